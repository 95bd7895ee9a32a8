"""Every type survives its message, and messages that make no sense are refused."""

# ruff: noqa: PT018

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2, PointField
from wire import wire

from giljabi import topics
from giljabi.ros import cloud, convert, convert_map, goals, status
from giljabi.types import (
    NAN,
    ActuatorCommand,
    BadInputError,
    Detections,
    GeoDetections,
    GnssFix,
    GnssVelocity,
    GridMap,
    Heading,
    Health,
    Imu,
    JointState,
    MissionPhase,
    MissionState,
    Odometry,
    Origin,
    Route,
    Scan,
    SpeedThroughWater,
    StackState,
    Tracks,
    Trajectory,
    Wind,
)

settings.load_profile("ros")

T = st.floats(0.0, 2e9).map(lambda t: round(t, 6))
REAL = st.floats(-1e6, 1e6)
POSITIVE = st.floats(0.01, 1e4)
ANGLE = st.floats(-3.14, 3.14)
NAME = st.sampled_from(["gnss", "imu", "gyro", "steering_gear"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def vec(n: int, element: Any = REAL) -> Any:
    return arrays(np.float64, n, elements=element)


def same(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    return np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@given(T, vec(3, REAL | st.just(NAN)), vec(3, REAL | st.just(NAN)), NAME)
def test_imu(t: float, w: Any, a: Any, source: str) -> None:
    msg = wire(convert.imu_to_msg(Imu(t, w, a, source)))
    back = convert.imu_from_msg(msg)
    assert same(back.t, t, 1e-6) and back.source == source
    assert same(back.angular_velocity, w) and same(back.linear_acceleration, a)
    assert (msg.angular_velocity_covariance[0] == -1) == bool(np.isnan(w).any())
    assert (msg.linear_acceleration_covariance[0] == -1) == bool(np.isnan(a).any())
    assert msg.orientation_covariance[0] == -1


@given(T, TEXT)
def test_headers_are_read_without_the_rest(t: float, frame: str) -> None:
    for msg in (
        convert.imu_to_msg(Imu(t, np.zeros(3), np.zeros(3), frame)),
        convert.joints_to_msg(JointState(t, source=frame)),
    ):
        back, stamp = convert.header_of(serialize_message(msg))
        assert back == frame
        assert same(stamp, t, 1e-9)


@given(st.binary(max_size=40))
def test_any_bytes_have_a_header_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(BadInputError):
        convert.header_of(b"\0\1\0\0" + data)
        convert.header_of(data)


def test_tilt_of_an_imu() -> None:
    tilt = 0.2, -0.1, 0.01
    msg = wire(convert.imu_to_msg(Imu(1.0, np.full(3, np.nan), np.full(3, np.nan), "mru", tilt)))
    q = msg.orientation  # R_enu_base = Rz(0) Ry(pitch) Rx(roll), by scipy
    x, y, z, w = Rotation.from_euler("ZYX", [0.0, -0.1, 0.2]).as_quat()
    assert (q.w, q.x, q.y, q.z) == pytest.approx((w, x, y, z))
    assert msg.orientation_covariance[8] >= 1e3
    back = convert.imu_from_msg(msg)
    assert not back.inertial
    assert back.tilt == pytest.approx(tilt)
    msg.orientation.w = msg.orientation.x = msg.orientation.y = msg.orientation.z = 0.0  # as many drivers leave it
    assert convert.imu_from_msg(msg).tilt is None


def test_imu_of_others_that_marks_a_part_as_missing() -> None:
    msg = convert.imu_to_msg(Imu(1.0, np.zeros(3), np.ones(3)))
    msg.linear_acceleration_covariance[0] = -1.0
    assert np.isnan(convert.imu_from_msg(msg).linear_acceleration).all()
    msg.angular_velocity.x = math.inf
    with pytest.raises(BadInputError, match="infinite"):
        convert.imu_from_msg(msg)


@given(
    T,
    st.floats(-90, 90),
    st.floats(-180, 180),
    REAL | st.just(NAN),
    vec(3, POSITIVE) | st.just(np.full(3, NAN)),
    st.sampled_from([0, 1, 2, 4]),
)
def test_fix(t: float, lat: float, lon: float, alt: float, std: Any, quality: int) -> None:
    back = convert.fix_from_msg(wire(convert.fix_to_msg(GnssFix(t, lat, lon, alt, std, quality, source="gnss"))))
    assert (back.lat_deg, back.lon_deg, back.quality, back.source) == (lat, lon, quality, "gnss")
    assert same(back.alt_m, alt) and same(back.std_enu, std)


@pytest.mark.parametrize("lat", [math.nan, math.inf, 91.0])
def test_fix_nowhere_is_refused(lat: float) -> None:
    msg = convert.fix_to_msg(GnssFix(0.0, 1.0, 2.0, 3.0, np.ones(3)))
    msg.latitude = lat
    with pytest.raises(BadInputError):
        convert.fix_from_msg(msg)


@given(T, vec(2), REAL | st.just(NAN), POSITIVE)
def test_velocity(t: float, v: Any, vz: float, std: float) -> None:
    msg = wire(convert.velocity_to_msg(GnssVelocity(t, np.append(v, vz), std)))
    back = convert.velocity_from_msg(msg)
    assert same(back.velocity_enu, np.append(v, vz)) and same(back.std, std)
    assert msg.twist.covariance[14] == (-1.0 if math.isnan(vz) else std**2)
    assert msg.twist.covariance[35] == -1.0


@given(T, ANGLE, POSITIVE)
def test_heading(t: float, yaw: float, std: float) -> None:
    back = convert.heading_from_msg(wire(convert.heading_to_msg(Heading(t, yaw, std, "compass"))))
    assert same(back.yaw, yaw) and same(back.std, std) and back.source == "compass"


def test_heading_to_port_is_positive_about_z() -> None:
    q = convert.heading_to_msg(Heading(0.0, 0.5, 0.1)).orientation
    assert q.z == pytest.approx(math.sin(0.25)) and q.w == pytest.approx(math.cos(0.25))


@given(T, REAL, POSITIVE)
def test_speed(t: float, speed: float, std: float) -> None:
    back = convert.speed_from_msg(wire(convert.speed_to_msg(SpeedThroughWater(t, speed, std))))
    assert same(back.speed, speed) and same(back.std, std)


SLOT = st.dictionaries(st.sampled_from("abcd"), REAL, max_size=4)


@given(T, SLOT, SLOT, SLOT)
def test_joints(t: float, position: dict[str, float], velocity: dict[str, float], effort: dict[str, float]) -> None:
    back = convert.joints_from_msg(wire(convert.joints_to_msg(JointState(t, position, velocity, effort))))
    assert (back.position, back.velocity, back.effort) == (position, velocity, effort)


def test_joints_with_arrays_of_other_lengths_are_refused() -> None:
    msg = convert.joints_to_msg(JointState(0.0, {"a": 1.0, "b": 2.0}))
    msg.position = [1.0]
    with pytest.raises(BadInputError, match="1 position values for 2 names"):
        convert.joints_from_msg(msg)


ROWS = st.integers(0, 5).flatmap(lambda n: arrays(np.float64, (n, 11), elements=st.floats(-1e4, 1e4, width=32)))


@given(T, ROWS, st.sampled_from(["map", "base_link"]))
def test_detections(t: float, data: Any, frame: str) -> None:
    data[:, 8] = 440123456.0  # an MMSI has more digits than a float32
    if len(data):
        data[0, 3:8] = NAN
    msg = wire(convert.detections_to_msg(Detections(t, "ais", frame, data)))
    back = convert.detections_from_msg(msg, "ais")
    assert back.frame == frame and back.source == "ais"
    np.testing.assert_array_equal(back.data, data)
    assert [f.datatype for f in msg.fields[:3]] == [PointField.FLOAT32] * 3


@given(T, ROWS)
def test_geo_detections_keep_degrees_exactly(t: float, data: Any) -> None:
    if len(data):
        data[0, :2] = (126.59123456789, 37.44987654321)
    back = convert.geo_detections_from_msg(wire(convert.geo_detections_to_msg(GeoDetections(t, "ais", data))), "ais")
    np.testing.assert_array_equal(back.data, data)


@given(T, ROWS)
def test_tracks(t: float, data: Any) -> None:
    np.testing.assert_array_equal(convert.tracks_from_msg(wire(convert.tracks_to_msg(Tracks(t, data)))).data, data)


def test_cloud_of_others_padded_rows_other_types_and_byte_order() -> None:
    dtype = np.dtype(
        {"names": ["y", "x", "intensity"], "formats": [">f8", ">i2", "u1"], "offsets": [0, 8, 12], "itemsize": 16}
    )
    table = np.zeros(4, dtype)
    table["x"], table["y"] = [1, -2, 3, 4], [0.5, 1.5, 2.5, 3.5]
    data = b"".join(table[2 * r : 2 * r + 2].tobytes() + b"pad" for r in range(2))
    fields = [
        PointField(name="y", offset=0, datatype=PointField.FLOAT64, count=1),
        PointField(name="x", offset=8, datatype=PointField.INT16, count=1),
    ]
    msg = PointCloud2(height=2, width=2, fields=fields, is_bigendian=True, point_step=16, row_step=35, data=data)
    out = cloud.from_cloud(msg, ("x", "y", "z"))
    np.testing.assert_array_equal(out[:, :2], [[1, 0.5], [-2, 1.5], [3, 2.5], [4, 3.5]])
    assert np.isnan(out[:, 2]).all()


@given(
    st.integers(0, 200),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 99),
    st.integers(0, 99),
    st.binary(max_size=200),
)
def test_any_cloud_is_read_or_refused(offset: int, kind: int, width: int, step: int, row: int, data: bytes) -> None:
    fields = [PointField(name=n, offset=offset, datatype=kind, count=1) for n in "xy"]
    msg = PointCloud2(height=1, width=width, fields=fields, point_step=step, row_step=row, data=data)
    with contextlib.suppress(BadInputError):
        assert cloud.from_cloud(msg, ("x", "y")).shape == (width, 2)


QUATERNION = (
    vec(4, st.floats(-1, 1)).filter(lambda q: float(np.linalg.norm(q)) > 0.1).map(lambda q: q / np.linalg.norm(q))
)


@given(T, vec(3), QUATERNION, vec(3), vec(3), vec(36), vec(36))
def test_odometry(t: float, p: Any, q: Any, v: Any, w: Any, pose_cov: Any, twist_cov: Any) -> None:
    s = Odometry(t, p, q, v, w, pose_cov.reshape(6, 6), twist_cov.reshape(6, 6))
    back = convert.odom_from_msg(wire(convert.odom_to_msg(s)))
    for name in ("position", "quaternion", "velocity", "angular_velocity", "pose_cov", "twist_cov"):
        assert same(getattr(back, name), getattr(s, name)), name


@pytest.mark.parametrize("spoil", ["nan", "frame", "quaternion"])
def test_bad_odometry_is_refused(spoil: str) -> None:
    msg = convert.odom_to_msg(Odometry(1.0, np.zeros(3), np.eye(4)[0], *[np.zeros(3)] * 2, *[np.eye(6)] * 2))
    if spoil == "nan":
        msg.twist.twist.linear.x = math.nan
    elif spoil == "frame":
        msg.header.frame_id = "odom"
    else:
        msg.pose.pose.orientation.w = 0.0
    with pytest.raises(BadInputError):
        convert.odom_from_msg(msg)


@given(st.floats(-90, 90), st.floats(-180, 180), REAL)
def test_origin(lat: float, lon: float, alt: float) -> None:
    assert convert.origin_from_msg(wire(convert.origin_to_msg(Origin(lat, lon, alt), 1.0))) == Origin(lat, lon, alt)


def test_map_to_odom_is_identity() -> None:
    msg = convert.map_to_odom_to_msg(3.0)
    assert (msg.header.frame_id, msg.child_frame_id, msg.transform.rotation.w) == ("map", "odom", 1.0)


@given(
    st.lists(st.tuples(st.integers(-999, 999), st.integers(-999, 999), st.floats(0.5, 20.0)), min_size=2, max_size=8)
)
def test_route(rows: list[tuple[int, int, float]]) -> None:
    points = np.array([[x + 2000.0 * i, y, 0.0] for i, (x, y, _) in enumerate(rows)])
    speed = np.array([r[2] for r in rows])
    back = goals.route_from_msg(wire(goals.route_to_msg(Route(points, speed, np.full((len(rows), 2), 5.0)), 10.0)), 7.0)
    assert same(back.points, points) and same(back.speed[1:], speed[1:], 1e-6)
    assert np.isinf(back.half_width).all() and not back.closed


def test_route_without_stamps_takes_the_default_speed_and_a_ring_is_closed() -> None:
    ring = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 0, 0.0]])
    msg = goals.route_to_msg(Route(ring, np.ones(4), np.ones((4, 2))), 0.0)
    for pose in msg.poses:
        pose.header.stamp = convert.stamp(0.0)
    back = goals.route_from_msg(msg, 7.0)
    assert back.closed and (back.speed == 7.0).all()
    msg.poses = msg.poses[:1]
    with pytest.raises(BadInputError, match="route of 1 points"):
        goals.route_from_msg(msg, 7.0)


@given(T, st.integers(1, 6), st.data())
def test_trajectory_and_plan(t: float, n: int, data: Any) -> None:
    steps = data.draw(vec(n, st.floats(-1.0, 1.0)))
    yaw = np.cumsum(steps)
    times = 0.1 * np.arange(n)
    p, v = data.draw(vec(3 * n)).reshape(n, 3), data.draw(vec(3 * n)).reshape(n, 3)
    rate = data.draw(vec(n))
    s = Trajectory(t, times, p, yaw, v, rate)
    back = goals.trajectory_from_msg(wire(goals.trajectory_to_msg(s)))
    assert back is not None
    for name in ("times", "position", "yaw", "velocity", "yaw_rate"):
        assert same(getattr(back, name), getattr(s, name), 1e-8), name
    plan_times, poses = goals.plan_from_msg(wire(goals.plan_to_msg(s)))
    assert same(plan_times, times, 1e-6) and same(poses[:, :3], p)
    assert same(np.unwrap(poses[:, 3]), yaw, 1e-8)


def test_nothing_to_follow() -> None:
    assert goals.trajectory_from_msg(wire(goals.trajectory_to_msg(None))) is None
    assert len(goals.plan_from_msg(wire(goals.plan_to_msg(None)))[0]) == 0


def test_trajectory_whose_times_fall_is_refused() -> None:
    s = Trajectory(0.0, np.array([0.0, 0.0]), np.zeros((2, 3)), np.zeros(2), np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(BadInputError, match="times do not rise"):
        goals.trajectory_from_msg(goals.trajectory_to_msg(s))


SLOT_OF = {"steering": "position", "throttle": "effort", "winch": "velocity"}


@given(T, st.dictionaries(st.sampled_from(sorted(SLOT_OF)), REAL, max_size=3))
def test_command(t: float, values: dict[str, float]) -> None:
    back = goals.command_from_msg(
        wire(goals.command_to_msg(ActuatorCommand(t, "auto", values), SLOT_OF)), SLOT_OF, "auto"
    )
    assert back.values == values and back.source == "auto"


@pytest.mark.parametrize("spoil", ["nan", "name", "slot"])
def test_bad_commands_are_refused(spoil: str) -> None:
    msg = goals.command_to_msg(ActuatorCommand(1.0, "auto", {"steering": 0.1, "throttle": 5.0}), SLOT_OF)
    if spoil == "nan":
        msg.position[0] = math.nan
    elif spoil == "name":
        msg.name[0] = "rudder"
    else:
        msg.position, msg.effort = [], []
    with pytest.raises(BadInputError, match="command for"):
        goals.command_from_msg(msg, SLOT_OF, "auto")


def test_wind_is_the_airs_velocity_in_map() -> None:
    msg = wire(convert.wind_to_msg(Wind(12.5, np.array([3.0, -4.0]), 0.5)))
    v, c = msg.twist.twist.linear, msg.twist.covariance
    assert (msg.header.frame_id, v.x, v.y, math.isnan(v.z)) == ("map", 3.0, -4.0, True)
    assert (c[0], c[7], c[14]) == (0.25, 0.25, -1.0)


@given(T, st.sampled_from(MissionPhase), st.floats(0, 1), REAL, REAL, TEXT)
def test_mission(t: float, phase: MissionPhase, progress: float, to_go: float, cross: float, note: str) -> None:
    for more in ((), (3, True, ()), (2, False, ("pause", "land"))):
        s = MissionState(t, phase, progress, to_go, cross, note, *more)
        assert status.mission_from_msg(wire(status.mission_to_msg(s))) == s


@given(T, st.booleans(), st.lists(TEXT, max_size=3))
def test_state_and_health(t: float, armed: bool, reasons: list[str]) -> None:
    s = StackState(t, "auto", armed, tuple(reasons))
    assert status.state_from_msg(wire(status.state_to_msg(s))) == s
    h = Health(t, "supervisor", tuple(reasons), degraded=armed, guided=not armed)
    assert status.health_from_msg(wire(status.health_to_msg(h))) == h
    values = {"WHEEL_SPEEDS": "100.0 Hz, 7 taken", "bus_state": "error-active"} if armed else {}
    part = status.PartHealth(t, "/ship/planner", {f"problem {i}": r for i, r in enumerate(reasons)}, values)
    assert status.diagnostics_from_msg(wire(status.diagnostics_to_msg([part]))) == [part]


def test_status_of_others_is_refused_or_left_out() -> None:
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

    for reader in (status.mission_from_msg, status.state_from_msg, status.health_from_msg):
        with pytest.raises(BadInputError):
            reader(DiagnosticStatus())
    assert status.diagnostics_from_msg(DiagnosticArray(status=[DiagnosticStatus(name="lidar")])) == []


def test_every_row_of_the_topic_table_names_a_message_that_exists() -> None:
    from giljabi.ros.messages import message_class

    for row in topics.TOPICS:
        assert message_class(row.message).__name__ == row.message.split("/")[1]


@given(T, st.integers(2, 40), st.sampled_from([-0.014, 0.02]), st.integers(0, 2**32 - 1))
def test_scans_survive_with_their_holes_and_open_rays(t: float, n: int, step: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranges = rng.choice([math.inf, NAN, 0.5, 3.25, 11.0], n)
    scan = Scan(t + 1.0, 0.25, step, ranges, 0.1, 0.02, 12.0, "lidar")
    back = convert_map.scan_from_msg(wire(convert_map.scan_to_msg(scan)))
    assert back.t == pytest.approx(scan.t, abs=1e-6)
    assert (back.source, back.duration, back.range_max) == ("lidar", pytest.approx(0.1), pytest.approx(12.0))
    assert back.angle_increment == pytest.approx(step)
    np.testing.assert_allclose(back.ranges, ranges)


def test_scans_that_make_no_sense_are_refused() -> None:
    for change in ({"angle_increment": 0.0}, {"range_max": 0.0}, {"scan_time": -1.0}, {"ranges": []}):
        msg = convert_map.scan_to_msg(Scan(1.0, 0.0, 0.1, np.ones(5), 0.1, 0.02, 12.0))
        for name, value in change.items():
            setattr(msg, name, value)
        with pytest.raises(BadInputError):
            convert_map.scan_from_msg(msg)


def test_maps_survive_and_turned_ones_are_refused() -> None:
    cells = np.random.default_rng(1).integers(0, 3, (7, 5)).astype(np.uint8)
    grid = GridMap(12.5, 0.2, (-3.5, 8.25), 6.5, cells)
    back = convert_map.map_from_msg(wire(convert_map.map_to_msg(grid)))
    assert (back.t, back.corner, back.height) == (12.5, (-3.5, 8.25), 6.5)
    assert back.resolution == pytest.approx(0.2)
    np.testing.assert_array_equal(back.cells, cells)
    msg = convert_map.map_to_msg(grid)
    msg.info.origin.orientation.z = 0.7
    with pytest.raises(BadInputError):
        convert_map.map_from_msg(msg)
    msg = convert_map.map_to_msg(grid)
    msg.info.width = 6
    with pytest.raises(BadInputError):
        convert_map.map_from_msg(msg)

"""The MAVLink driver against frames that pymavlink encodes."""

from __future__ import annotations

import math
import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mavlink_rig import T0, Autopilot, drone_platform, feed
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.frames import matrix_from_quat, rpy_from_quat
from giljabi.platform import load_platform
from giljabi.types import ExternalOdometry, GeoDetections, GnssFix, Imu, Kind, LocalOrigin, StackState
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_frames import Parser
from giljabi_drivers.mavlink_requests import FENCE, MISSION, RALLY, Download, Item, Parameter, Upload
from giljabi_drivers.mavlink_time import TimeSync

KEY = bytes(range(32))


@pytest.fixture
def driver(tmp_path: Path) -> MavlinkDriver:
    return MavlinkDriver(drone_platform(tmp_path), "autopilot")


def telemetry(a: Autopilot, boot_ms: int = 1000) -> list[bytes]:
    """Attitude: heading 30 degrees (NED), pitch 5 degrees up; 100 m north, 20 m east, 10 m high, climbs."""
    return [
        a.bytes(m)
        for m in (
            dialect.MAVLink_gps_global_origin_message(350955000, 1290403000, 12000),
            dialect.MAVLink_attitude_message(boot_ms, 0.0, math.radians(5), math.radians(30), 0.1, 0.2, 0.3),
            dialect.MAVLink_local_position_ned_message(boot_ms, 100.0, 20.0, -10.0, 3.0, 0.5, -1.0),
        )
    ]


def test_an_estimate_comes_in_enu_and_flu(driver: MavlinkDriver) -> None:
    a = Autopilot()
    result = feed(driver, T0, b"".join(telemetry(a)))
    origin = next(s for s in result.samples if isinstance(s, LocalOrigin))
    assert (origin.lat_deg, origin.lon_deg, origin.alt_m) == pytest.approx((35.0955, 129.0403, 12.0))
    o = next(s for s in result.samples if isinstance(s, ExternalOdometry))
    assert o.source == "estimate"
    assert o.position == pytest.approx([20.0, 100.0, 10.0])
    assert o.velocity == pytest.approx([0.5, 3.0, 1.0])
    roll, pitch, yaw = rpy_from_quat(o.quaternion)
    # Nose up is a negative pitch in FLU; 30 degrees east of north is 60 degrees counter-clockwise from east.
    assert (roll, pitch, yaw) == pytest.approx((0.0, math.radians(-5), math.radians(60)), abs=1e-7)
    assert o.angular_velocity == pytest.approx([0.1, -0.2, -0.3])
    nose = matrix_from_quat(o.quaternion)[:, 0]
    assert nose[0] > 0.4  # east
    assert nose[2] > 0.08  # up


def test_sensors(driver: MavlinkDriver) -> None:
    a = Autopilot()
    gps = dialect.MAVLink_gps_raw_int_message(
        1000000, 3, 350955000, 1290403000, 12000, 121, 200, 500, 9000, 11, 0, 900, 1500, 200, 0, 0
    )
    imu = dialect.MAVLink_raw_imu_message(1000000, 100, -200, -1000, 10, 20, -30, 0, 0, 0)
    samples = feed(driver, T0, a.bytes(gps) + a.bytes(imu)).samples
    fix = next(s for s in samples if isinstance(s, GnssFix))
    assert (fix.lat_deg, fix.lon_deg, fix.alt_m, fix.satellites) == pytest.approx((35.0955, 129.0403, 12.0, 11))
    assert fix.std_enu == pytest.approx([0.9, 0.9, 1.5])
    i = next(s for s in samples if isinstance(s, Imu))
    assert i.linear_acceleration == pytest.approx([0.980665, 1.96133, 9.80665])
    assert i.angular_velocity == pytest.approx([0.01, -0.02, 0.03])


@given(cuts=st.lists(st.integers(1, 40), max_size=20), noise=st.binary(max_size=30), v1=st.booleans())
def test_any_chunking_and_noise_in_front_give_the_same_messages(cuts: list[int], noise: bytes, v1: bool) -> None:
    a, reasons = Autopilot(), []
    messages = [dialect.MAVLink_param_value_message(b"RTL_ALT", 1.5, 9, 1000, i) for i in range(3)]
    frames = b""
    for m in messages:
        frames += bytes(m.pack(a.mav, force_mavlink1=v1))
    noise = noise.replace(b"\xfd", b"x").replace(b"\xfe", b"x")
    data, heard, parser = noise + frames, [], Parser(reject=reasons.append)
    for n in cuts:
        heard += list(parser.feed(T0, data[:n]))
        data = data[n:]
    heard += list(parser.feed(T0, data))
    assert [h.message.param_index for h in heard] == [0, 1, 2]
    assert all(h.message.param_value == 1.5 and h.message.param_id == "RTL_ALT" for h in heard)
    assert bool(reasons) == bool(noise)


@given(st.binary(max_size=400))
def test_bytes_never_raise(data: bytes) -> None:
    parser = Parser()
    for _ in parser.feed(T0, data):
        pass


@given(flip=st.integers(0, 8 * 20 - 1))
def test_a_flipped_bit_is_never_a_message(flip: int) -> None:
    data = bytearray(Autopilot().bytes(dialect.MAVLink_heartbeat_message(2, 3, 81, 4, 4, 3)))
    flip %= 8 * len(data)
    data[flip // 8] ^= 1 << flip % 8
    assert list(Parser().feed(T0, bytes(data))) == []


def test_every_field_of_every_message_reads_as_pymavlink_reads_it() -> None:
    a, rng = Autopilot(), random.Random(1)
    parser = Parser()
    for kind in dialect.mavlink_map.values():
        payload = bytes(rng.randrange(256) for _ in range(kind.unpacker.size))
        try:
            wanted = unpacked(a, kind, payload)
        except UnicodeDecodeError:
            continue
        (heard,) = parser.feed(T0, wanted[0])
        for name in kind.fieldnames:
            ours, theirs = getattr(heard.message, name), getattr(wanted[1], name)
            assert repr(ours) == repr(theirs), (kind.msgname, name)


def unpacked(a: Autopilot, kind: Any, payload: bytes) -> tuple[bytes, Any]:
    """A frame with this payload, and pymavlink's reading of it."""
    n = len(payload.rstrip(b"\0")) or 1
    head = bytes((0xFD, n, 0, 0, 0, 1, 1)) + kind.id.to_bytes(3, "little")
    frame = head + payload[:n]
    crc = dialect.x25crc(frame[1:] + bytes((kind.crc_extra,))).crc
    frame += crc.to_bytes(2, "little")
    return frame, a.mav.decode(bytearray(frame))


def test_other_vehicles_and_components_on_the_line_are_left_alone(driver: MavlinkDriver) -> None:
    result = feed(driver, T0, b"".join(telemetry(Autopilot(system=2))) + Autopilot(1, 154).heartbeat())
    assert result.samples == ()
    assert driver.stats.ignored == {"other_system": 3, "other_component": 1}
    assert "no heartbeat of system 1" in driver.health(T0)["autopilot"]


def test_with_a_key_unsigned_wrong_and_replayed_frames_are_refused(tmp_path: Path) -> None:
    (tmp_path / "key.hex").write_text(KEY.hex())
    driver = MavlinkDriver(drone_platform(tmp_path, "{signing_key_file: key.hex}"), "autopilot")
    feed(driver, T0, Autopilot().heartbeat())
    feed(driver, T0, Autopilot(key=bytes(32)).heartbeat())
    assert driver.stats.rejected == {"unsigned": 1, "signature": 1}
    a = Autopilot(key=KEY)
    first = a.heartbeat()
    feed(driver, T0, first)
    assert driver.stats.accepted == 1
    feed(driver, T0, first)
    feed(driver, T0, Autopilot(key=KEY, stamp=a.mav.signing.timestamp - 10_000_000).heartbeat())
    assert driver.stats.rejected["replayed"] == 2
    # What we send is signed as well: pymavlink with the key takes it.
    sent = [m for data in feed(driver, T0 + 0.1, a.heartbeat()).to_send for m in a.parse(data)]
    assert sent
    assert all(m.get_signed() for m in sent)


def test_wrong_key_files_are_errors_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc")
    from giljabi.types import BadInputError

    with pytest.raises(BadInputError, match="holds no key; 64 hex digits"):
        MavlinkDriver(drone_platform(tmp_path, "{signing_key_file: key}"), "autopilot")


# --- time -------------------------------------------------------------------------------------------


def test_clocks_are_told_apart_by_timesync_with_outliers_and_a_restart() -> None:
    sync, rng = TimeSync(), random.Random(3)
    boot = T0 - 1234.5
    for i in range(60):
        now = T0 + i * 1.0
        question = sync.ask(now)
        assert question is not None
        delay, back = 0.004 + rng.expovariate(500.0), 0.004
        if i % 7 == 3:
            back += 0.2  # a burst on the line
        stamp = (now + delay - boot) if i != 30 else 5.0  # nonsense once
        sync.hear(now + delay + back, dialect.MAVLink_timesync_message(round(stamp * 1e9), question.ts1))
    assert sync.offset == pytest.approx(boot, abs=0.002)
    assert sync.rejected["round_trip"] > 5
    assert sync.rejected["outlier"] == 1
    assert sync.map(T0 + 61.0, T0 + 60.99 - boot) == pytest.approx(T0 + 60.99, abs=0.002)
    for i in range(10):  # another boot
        now = T0 + 100.0 + i
        question = sync.ask(now)
        sync.hear(now + 0.01, dialect.MAVLink_timesync_message(round((now + 0.005 - T0 - 90.0) * 1e9), question.ts1))
    assert sync.offset == pytest.approx(T0 + 90.0, abs=0.002)
    assert sync.restarts == 1


def test_stamps_are_never_after_their_arrival(driver: MavlinkDriver) -> None:
    a = Autopilot()
    for i in range(20):
        for s in feed(driver, T0 + 0.02 * i, b"".join(telemetry(a, 1000 + 25 * i))).samples:
            assert s.t <= T0 + 0.02 * i


# --- requests over a line that loses ----------------------------------------------------------------


class Server:
    """An autopilot's end of mission, parameter and command protocol, by pymavlink; it may lose frames either way."""

    def __init__(self, driver: MavlinkDriver, loss: float = 0.0, seed: int = 1) -> None:
        self.driver, self.a, self.rng, self.loss = driver, Autopilot(), random.Random(seed), loss
        self.now = T0
        self.lists: dict[int, list[Any]] = {0: [], 1: [], 2: []}
        self.parameters = {"RTL_ALT": 1500.0}
        self.modes: list[tuple[float, float]] = []
        self.mode, self.armed, self.result = 0, False, dialect.MAV_RESULT_ACCEPTED
        self.commands: list[int] = []
        self.out: list[bytes] = []
        self._expected: tuple[int, int] | None = None
        self._beat = -1.0
        self.boot = T0 - 50.0

    def run(self, seconds: float, guard: StackState | None = None) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += 0.02
            if guard is not None:
                self.driver.guard_says(guard, {})
            if self.now >= self._beat:
                self._beat = self.now + 0.5
                self.out.append(self.a.heartbeat(self.mode, self.armed))
            data, self.out = [d for d in self.out if self.rng.random() >= self.loss], []
            for frame in feed(self.driver, self.now, b"".join(data)).to_send:
                if self.rng.random() >= self.loss:
                    for m in self.a.parse(frame):
                        self.take(m)

    def say(self, message: Any) -> None:
        self.out.append(self.a.bytes(message))

    def take(self, m: Any) -> None:
        name = m.get_type()
        if name == "COMMAND_LONG":
            self.commands.append(m.command)
            if self.result == dialect.MAV_RESULT_ACCEPTED and m.command == dialect.MAV_CMD_DO_SET_MODE:
                self.mode = int(m.param2)
            if self.result == dialect.MAV_RESULT_ACCEPTED and m.command == dialect.MAV_CMD_COMPONENT_ARM_DISARM:
                self.armed = m.param1 == 1.0
            self.say(dialect.MAVLink_command_ack_message(m.command, self.result))
        elif name == "TIMESYNC" and m.tc1 == 0:
            self.say(dialect.MAVLink_timesync_message(round((self.now - self.boot) * 1e9), m.ts1))
        elif name == "MISSION_COUNT":
            self.lists[m.mission_type], self._expected = [], (m.mission_type, m.count)
            self.ask()
        elif name == "MISSION_ITEM_INT" and self._expected and m.seq == len(self.lists[m.mission_type]):
            self.lists[m.mission_type].append(m)
            self.ask()
        elif name == "MISSION_ITEM_INT":
            self.ask()
        elif name == "MISSION_REQUEST_LIST":
            self.say(dialect.MAVLink_mission_count_message(255, 192, len(self.lists[m.mission_type]), m.mission_type))
        elif name == "MISSION_REQUEST_INT":
            i = self.lists[m.mission_type][m.seq]
            self.say(i)
        elif name == "PARAM_SET":
            self.parameters[m.param_id] = m.param_value
            self.parameter(m.param_id)
        elif name == "PARAM_REQUEST_READ":
            self.parameter(m.param_id)

    def ask(self) -> None:
        assert self._expected is not None
        kind, count = self._expected
        n = len(self.lists[kind])
        if n == count:
            self.say(dialect.MAVLink_mission_ack_message(255, 192, dialect.MAV_MISSION_ACCEPTED, kind))
        else:
            self.say(dialect.MAVLink_mission_request_int_message(255, 192, n, kind))

    def tick_requests(self) -> None:
        """Autopilots ask again for an item that does not come."""
        if self._expected and len(self.lists[self._expected[0]]) < self._expected[1]:
            self.ask()

    def parameter(self, name: str) -> None:
        self.say(dialect.MAVLink_param_value_message(name.encode(), self.parameters[name], 9, 1000, 5))


ITEMS = [
    Item(dialect.MAV_CMD_NAV_WAYPOINT, dialect.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT, (0.0, 1.5, 0.0, 0.0),
         350955000 + 100 * i, 1290403000 - 50 * i, 20.0 + i)
    for i in range(12)
]  # fmt: skip


@pytest.mark.parametrize("kind", [MISSION, FENCE, RALLY])
def test_lists_go_up_and_come_down_over_a_line_that_loses_a_fifth(driver: MavlinkDriver, kind: int) -> None:
    s = Server(driver, loss=0.2, seed=kind + 5)
    s.run(3.0)
    up = Upload(driver.target, ITEMS, kind)
    driver.begin(up)
    for _ in range(200):
        s.run(0.25)
        if up.done:
            break
        s.tick_requests()
    assert (up.done, up.error) == (True, "")
    assert [(i.x, i.y, i.z, i.param2) for i in s.lists[kind]] == [(i.x, i.y, i.z, 1.5) for i in ITEMS]
    down = Download(driver.target, kind)
    driver.begin(down)
    s.run(20.0)
    assert (down.done, down.error) == (True, "")
    assert down.items == ITEMS


def test_parameters_are_read_written_and_compared(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.3)
    s.run(1.0)
    read, write = Parameter(driver.target, "RTL_ALT"), Parameter(driver.target, "WPNAV_SPEED", 500.0)
    driver.begin(read)
    driver.begin(write)
    s.run(8.0)
    assert (read.value, read.error) == (1500.0, "")
    assert (s.parameters["WPNAV_SPEED"], write.error) == (500.0, "")
    missing = Parameter(driver.target, "NO_SUCH")
    s.parameters["NO_SUCH"] = math.nan
    s.loss = 1.0
    driver.begin(missing)
    s.run(1.0)
    assert not missing.done


def test_message_rates_are_asked_for_again_after_a_reconnection(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.1)
    s.run(10.0)
    rates = s.commands.count(dialect.MAV_CMD_SET_MESSAGE_INTERVAL)
    assert rates >= len(driver.autopilot.intervals_hz)
    s.loss = 1.0
    s.run(3.0)
    assert "no heartbeat" in driver.health(s.now)["autopilot"]
    s.loss, s.commands = 0.0, []
    s.run(2.0)
    assert "autopilot" not in driver.health(s.now)
    assert s.commands.count(dialect.MAV_CMD_SET_MESSAGE_INTERVAL) == len(driver.autopilot.intervals_hz)
    assert dialect.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN not in s.commands


# --- who flies --------------------------------------------------------------------------------------

AUTO = StackState(T0, "auto", True)
STANDBY = StackState(T0, "standby", False)


def test_an_armed_guard_brings_guided_mode_and_arming_over_a_line_that_loses(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.2)
    s.run(3.0, STANDBY)
    assert (s.mode, s.armed) == (0, False)
    s.run(15.0, AUTO)
    assert (s.mode, s.armed) == (4, True)
    assert driver.guard_says(AUTO, {}) == ""


def test_a_pilot_who_takes_over_makes_the_guard_disarm_and_is_left_alone(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    assert s.armed
    s.mode, s.commands = 5, []
    s.run(1.0, AUTO)
    assert driver.guard_says(AUTO, {}) == "the autopilot has left GUIDED for LOITER: somebody else has taken over"
    s.run(5.0, STANDBY)
    assert (s.mode, s.armed) == (5, True)
    assert s.commands == []


def test_a_guard_that_disarms_in_the_air_leaves_the_vehicle_holding_not_falling(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    s.say(dialect.MAVLink_extended_sys_state_message(0, dialect.MAV_LANDED_STATE_IN_AIR))
    s.run(0.1, AUTO)
    s.run(5.0, STANDBY)
    assert (s.mode, s.armed) == (17, True)


def test_a_guard_that_disarms_on_the_ground_stops_the_motors(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    s.say(dialect.MAVLink_extended_sys_state_message(0, dialect.MAV_LANDED_STATE_ON_GROUND))
    s.run(0.1, AUTO)
    s.run(5.0, STANDBY)
    assert not s.armed


def test_a_refusal_is_told_and_in_the_end_disarms_the_guard(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.result = dialect.MAV_RESULT_DENIED
    s.run(3.0, AUTO)
    assert driver.health(s.now)["request"] == "DO_SET_MODE: denied"
    s.run(15.0, AUTO)
    assert driver.guard_says(AUTO, {}) == "the autopilot refuses: DO_SET_MODE: denied"


def test_what_the_autopilot_says_against_arming_is_a_reason_in_its_words(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0)
    s.say(dialect.MAVLink_statustext_message(2, b"PreArm: Compass not calibrated"))
    bit = dialect.MAV_SYS_STATUS_PREARM_CHECK
    s.say(dialect.MAVLink_sys_status_message(bit, bit, 0, 100, 12000, 100, 15, 0, 0, 0, 0, 0, 0))
    s.say(dialect.MAVLink_ekf_status_report_message(dialect.ESTIMATOR_ATTITUDE, 0.1, 0.1, 0.1, 0.1, 0.1))
    s.run(0.1)
    health = driver.health(s.now)
    assert health["prearm"] == "PreArm: Compass not calibrated"
    assert health["battery"] == "15% left; 20% is the least"
    assert "no horizontal velocity, vertical velocity, horizontal position" in health["ekf"]
    s.say(dialect.MAVLink_sys_status_message(bit, bit, bit, 100, 12000, 100, 80, 0, 0, 0, 0, 0, 0))
    s.run(0.1)
    assert "prearm" not in driver.health(s.now)


def test_another_family_than_the_file_says_is_a_reason(tmp_path: Path) -> None:
    driver = MavlinkDriver(drone_platform(tmp_path, "{autopilot: px4}"), "autopilot")
    Server(driver).run(2.0)
    words = driver.health(T0 + 2.0)["autopilot"]
    assert words == "it says it is ardupilotmega; options.autopilot says px4"


def test_the_external_estimator_stands_in_map_and_says_when_it_is_lost(driver: MavlinkDriver) -> None:
    from giljabi.estimation.external import ExternalEstimator
    from giljabi.types import Origin

    estimator = ExternalEstimator(driver._platform)
    assert "no estimate yet" in estimator.health(T0)["position"]
    estimator.origin = Origin(35.0955, 129.0403 - 0.001, 2.0)  # 91.2 m west of the autopilot's, 10 m lower
    samples = feed(driver, T0, b"".join(telemetry(Autopilot()))).samples
    odom = estimator.step(T0, samples)
    assert odom is not None
    assert odom.position == pytest.approx([20.0 + 91.2, 100.0, 20.0], abs=0.1)
    assert odom.velocity_map == pytest.approx([0.5, 3.0, 1.0], abs=1e-3)
    later = estimator.step(T0 + 0.2, ())
    assert later is not None
    assert later.position - odom.position == pytest.approx(0.2 * np.array([0.5, 3.0, 1.0]), abs=1e-3)
    assert estimator.health(T0 + 0.2) == {}
    assert estimator.step(T0 + 0.4, ()) is None
    assert "0.4 s old" in estimator.health(T0 + 0.4)["lost"]


def test_no_field_of_any_message_with_a_good_checksum_breaks_the_driver(driver: MavlinkDriver) -> None:
    """Random payloads, many of extreme bytes, through every handler and every exchange that is under way."""
    rng, now = random.Random(5), T0
    kinds = list(dialect.mavlink_map.values())
    for i in range(4000):
        kind = rng.choice(kinds)
        size = kind.unpacker.size
        extreme = bytes(rng.choice((0, 0xFF, 0x7F, rng.randrange(256))) for _ in range(size))
        payload = extreme if rng.random() < 0.7 else rng.randbytes(size)
        n = len(payload.rstrip(b"\0")) or 1
        frame = bytes((0xFD, n, 0, 0, i % 256, 1, 1)) + kind.id.to_bytes(3, "little") + payload[:n]
        frame += dialect.x25crc(frame[1:] + bytes((kind.crc_extra,))).crc.to_bytes(2, "little")
        if i % 100 == 0:
            asked = [Upload(driver.target, ITEMS), Download(driver.target), Parameter(driver.target, "A")]
            driver.begin(rng.choice(asked))
        now += 0.05 * rng.random()
        for s in feed(driver, now, frame).samples:
            assert math.isfinite(s.t)
            assert s.t <= now
            arrays = [v for f in fields(s) if isinstance(v := getattr(s, f.name), np.ndarray)]
            assert not any(np.isinf(v).any() for v in arrays)
        driver.health(now)
    assert driver.stats.accepted > 1000


def adsb(flags: int = 13, tslc: int = 2, lat: int = 351000000, address: int = 0x71BC01) -> Any:
    """North-east at 10 m/s."""
    return dialect.MAVLink_adsb_vehicle_message(
        address, lat, 1290500000, 1, 120000, 4500, 1000, 0, b"KITE", dialect.ADSB_EMITTER_TYPE_UAV, tslc, flags, 0
    )


def test_other_aircraft_are_detections_with_identity_where_the_platform_asks_for_them(tmp_path: Path) -> None:
    a = Autopilot()
    driver = MavlinkDriver(load_platform("drone_lidar"), "autopilot")
    result = feed(driver, T0, a.heartbeat() + a.bytes(adsb()))
    (report,) = [s for s in result.samples if isinstance(s, GeoDetections)]
    assert (report.t, report.source) == (pytest.approx(T0 - 2.0), "traffic")
    assert report.data[0, [0, 1, 3, 4, 5, 8, 9]] == pytest.approx(
        [129.05, 35.1, math.sqrt(50), math.sqrt(50), math.pi / 4, 0x71BC01, Kind.DRONE.value]
    )
    assert report.data[0, 10] == pytest.approx(4.0)
    for flags, tslc in ((12, 0), (13, 200)):  # no place, or too old
        assert not feed(driver, T0 + 1, a.bytes(adsb(flags, tslc))).samples
    (still,) = feed(driver, T0 + 2, a.bytes(adsb(1))).samples
    assert isinstance(still, GeoDetections)
    assert np.isnan(still.data[0, 3:6]).all()
    before = sum(driver.stats.rejected.values())
    assert not feed(driver, T0 + 3, a.bytes(adsb(lat=2_000_000_000))).samples
    assert sum(driver.stats.rejected.values()) == before + 1
    plain = MavlinkDriver(drone_platform(tmp_path), "autopilot")
    assert not [s for s in feed(plain, T0, a.heartbeat() + a.bytes(adsb())).samples if isinstance(s, GeoDetections)]

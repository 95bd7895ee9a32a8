"""CAN driver against cantools as an independent codec, and against a recorded car."""

from __future__ import annotations

import gzip
import math
import random
from pathlib import Path
from typing import Any

import cantools
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.platform import load_platform
from giljabi.types import BadInputError, Detections, Imu, JointState
from giljabi_drivers.can import CanDriver
from giljabi_drivers.contract import Received
from giljabi_drivers.dbc import find_dbc, load_dbc

ROOT = Path(__file__).resolve().parents[2]
PEER: Any = cantools.database.load_file(ROOT / "config" / "dbc" / "car.dbc")
CRC = {"STEERING_COMMAND", "DRIVE_COMMAND", "STEERING_STATUS", "DRIVE_STATUS"}


def driver(**options: object) -> CanDriver:
    return CanDriver(load_platform("car"), "vehicle", **options)  # type: ignore[arg-type]


def frame(name: str, t: float = 0.0, **signals: float) -> Received:
    """A frame as an independent sender makes it: cantools packs it, the checksum is written out here."""
    m = PEER.get_message_by_name(name)
    values = {s.name: 0 for s in m.signals} | {s.name: 0.0 for s in m.signals if s.offset} | signals
    data = bytearray(m.encode(values, scaling=True, strict=False))
    if "CHECKSUM" in values and name in CRC:
        crc = 0xFF
        for byte in data[:-1]:
            crc ^= byte
            for _ in range(8):
                crc = (crc << 1) ^ (0x11D if crc & 0x80 else 0)
        data[-1] = crc ^ 0xFF
    elif "CHECKSUM" in values:
        data[-1] = (m.frame_id // 256 + m.frame_id % 256 + len(data) + sum(data[:-1])) % 256
    return Received(t, bytes(data), m.frame_id)


def test_signs_and_units() -> None:
    d = driver()
    samples = d.step(
        1.0,
        [
            frame("KINEMATICS", 0.5, YAW_RATE=10.0, ACCEL_X=2.0, ACCEL_Y=-1.0, COUNTER=1),
            frame("STEER_ANGLE_SENSOR", 0.6, STEER_ANGLE=148.0, COUNTER=1),
            frame(
                "WHEEL_SPEEDS", 0.7, WHEEL_SPEED_FL=36.0, WHEEL_SPEED_FR=72.0, WHEEL_SPEED_RL=18.0, WHEEL_SPEED_RR=0.0
            ),
            frame("STEERING_STATUS", 0.8, ANGLE=-5.0),
            frame("DRIVE_STATUS", 0.9, FORCE=-1500.0),
        ],
    ).samples
    imu, steering, wheels, status, force = samples
    assert isinstance(imu, Imu)
    assert imu.t == 0.5
    assert imu.source == "imu"
    assert imu.angular_velocity[2] == pytest.approx(math.radians(10.0), abs=1e-4)
    assert np.isnan(imu.angular_velocity[:2]).all()
    assert imu.linear_acceleration[:2] == pytest.approx([2.0, -1.0], abs=1e-3)
    assert isinstance(steering, JointState)
    assert steering.position == {"steering": pytest.approx(math.radians(10.0), abs=1e-5)}
    assert isinstance(wheels, JointState)
    assert wheels.source == "wheels"
    assert wheels.velocity == pytest.approx(
        {"wheel_fl": 10.0, "wheel_fr": 20.0, "wheel_rl": 5.0, "wheel_rr": 0.0}, abs=2e-3
    )
    assert isinstance(status, JointState)
    assert status.position == {"steering": pytest.approx(math.radians(-5.0), abs=1e-4)}
    assert isinstance(force, JointState)
    assert force.effort == {"throttle": -1500.0}


def test_faults_are_not_passed_off_as_values() -> None:
    d = driver()
    got = d.step(0.0, [frame("WHEEL_SPEEDS", WHEEL_SPEED_FL=36.0, WHEEL_SPEED_FL_FAULT=1, WHEEL_SPEED_RL=36.0)]).samples
    assert isinstance(got[0], JointState)
    assert "wheel_fl" not in got[0].velocity
    assert got[0].velocity["wheel_rl"] == pytest.approx(10.0, abs=2e-3)
    assert d.step(0.0, [frame("STEERING_STATUS", ANGLE=3.0, FAULT=1, COUNTER=1)]).samples == ()
    assert "fault" in d.health(0.0)["steering"]
    assert d.step(0.0, [frame("STEERING_STATUS", ANGLE=3.0, COUNTER=2)]).samples
    assert "steering" not in d.health(0.0)


def test_radar_objects_stand_in_base_link_with_velocity_over_ground() -> None:
    d = driver()
    d.step(0.0, [frame("WHEEL_SPEEDS", WHEEL_SPEED_RL=36.0, WHEEL_SPEED_RR=36.0), frame("KINEMATICS", YAW_RATE=20.0)])
    target = {"LONG_DIST": 50.0, "LAT_DIST": -3.0, "LONG_REL_SPEED": -12.0, "LAT_REL_SPEED": 1.0, "OBJECT_ID": 9}
    scan = [
        frame("RADAR_OBJECT_0", 0.05, VALID=1, LENGTH=4.5, WIDTH=1.75, **target),
        frame("RADAR_OBJECT_1", 0.05, VALID=0, **target),
        frame("RADAR_STATUS", 0.06, OBJECT_COUNT=1),
    ]
    (got,) = d.step(0.06, scan).samples
    assert isinstance(got, Detections)
    assert (got.source, got.frame, got.t, got.data.shape) == ("radar", "base_link", 0.06, (1, 11))
    x, y, z, vx, vy, yaw, length, width, number, kind, variance = got.data[0]
    assert (x, y, z) == pytest.approx((53.6, -3.0, 0.5))  # the radar sits 3.6 m ahead, 0.5 m up
    assert vx == pytest.approx(10.0 - 12.0, abs=5e-3)
    assert vy == pytest.approx(1.0 + 3.6 * math.radians(20.0), abs=1e-3)
    assert math.isnan(yaw)
    assert (length, width, number, kind, variance) == (4.5, 1.75, 9.0, 0.0, 0.25)


def test_a_scan_without_its_end_or_without_objects_is_still_a_scan() -> None:
    d = driver()
    (empty,) = d.step(0.0, [frame("RADAR_STATUS")]).samples
    assert isinstance(empty, Detections)
    assert empty.data.shape == (0, 11)
    result = d.step(1.0, [frame("RADAR_OBJECT_0", 1.0, VALID=1, LONG_DIST=10.0, OBJECT_ID=3)])
    assert result.samples == ()
    assert result.next_deadline == pytest.approx(1.1)
    (late,) = d.step(1.2, []).samples
    assert isinstance(late, Detections)
    assert late.t == 1.0
    assert np.isnan(late.data[0, 3:5]).all()  # own speed unknown: no velocity over ground
    d.step(2.0, [frame("RADAR_OBJECT_0", 2.0, VALID=1)])
    (lost,) = d.step(2.05, [frame("RADAR_OBJECT_0", 2.05, VALID=1)]).samples
    assert isinstance(lost, Detections)
    assert lost.t == 2.0
    d.step(2.06, [frame("RADAR_STATUS", 2.06, OBJECT_COUNT=5, COUNTER=1)])
    assert d.stats.flagged["radar_object_missing"] == 1


def test_every_single_bit_flip_of_a_checksummed_frame_is_rejected() -> None:
    for name in (
        "KINEMATICS",
        "STEER_ANGLE_SENSOR",
        "STEERING_STATUS",
        "DRIVE_STATUS",
        "RADAR_OBJECT_3",
        "RADAR_STATUS",
    ):
        d, good = driver(), frame(name)
        for bit in range(8 * len(good.data)):
            data = bytearray(good.data)
            data[bit // 8] ^= 1 << bit % 8
            assert d.step(0.0, [Received(0.0, bytes(data), good.can_id)]).samples == (), (name, bit)
            assert d.stats.rejected == {"checksum": bit + 1}


def test_counters() -> None:
    d = driver()
    for c in (14, 15, 0, 1):
        assert d.step(0.0, [frame("KINEMATICS", COUNTER=c)]).samples
    assert d.stats.flagged == {}
    assert d.step(0.0, [frame("KINEMATICS", COUNTER=1)]).samples == ()
    assert d.stats.rejected == {"counter_repeated": 1}
    assert d.step(0.0, [frame("KINEMATICS", COUNTER=4)]).samples
    assert d.stats.flagged == {"counter_skipped": 1}


def test_what_is_no_frame_of_ours_is_counted() -> None:
    d = driver()
    d.step(
        0.0,
        [
            Received(0.0, b"text"),
            Received(0.0, b"", 36, flags=2),
            Received(0.0, bytes(8), 0x20000004, flags=4),
            Received(0.0, bytes(8), 0x7FF),
            Received(0.0, bytes(8), 36, flags=1),
            Received(0.0, b"\x00\x01", 170),
        ],
    )
    assert d.stats.rejected == {"no_data_frame": 3, "short": 1}
    assert d.stats.ignored == {"other": 2}


FUZZED = driver()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.builds(
            Received,
            st.floats(0, 1e6),
            st.binary(max_size=64),
            st.one_of(st.sampled_from([m.frame_id for m in PEER.messages]), st.integers(-1, 1 << 29)),
            st.integers(0, 3),
            st.integers(0, 15),
        ),
        max_size=20,
    )
)
def test_no_frame_raises(received: list[Received]) -> None:
    d = FUZZED
    before = d.stats.accepted + sum(d.stats.rejected.values())
    d.step(0.0, received)
    assert d.stats.accepted + sum(d.stats.rejected.values()) == before + len(received)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_fields_read_what_cantools_reads(data: st.DataObject) -> None:
    ours = FUZZED.database
    m = data.draw(st.sampled_from(PEER.messages))
    raw = data.draw(st.binary(min_size=m.length, max_size=m.length))
    wanted = m.decode(raw, decode_choices=False)
    for name, f in ours.by_name[m.name].fields.items():
        assert f.value(raw) == pytest.approx(wanted[name], abs=1e-9)


def test_intel_signals_and_public_databases_read_as_cantools_reads(tmp_path: Path, data_dir: Path) -> None:
    theirs: Any = cantools.database.load_file(data_dir / "can" / "toyota.dbc", strict=False)
    ours = load_dbc(data_dir / "can" / "toyota.dbc", "toyota")
    text = 'VERSION ""\nBO_ 5 INTEL: 8 X\n SG_ A : 3|13@1- (0.5,-7) [0|0] "m" X\n SG_ B : 40|12@1+ (1,0) [0|0] "" X\n'
    (tmp_path / "intel.dbc").write_text(text)
    pairs = [(theirs, ours), (cantools.database.load_string(text, "dbc"), load_dbc(tmp_path / "intel.dbc"))]
    rng = random.Random(1)
    seen = 0
    for peer, mine in pairs:
        for m in mine.by_key.values():
            p = peer.get_message_by_name(m.name)
            if m.name == "PCS_HUD":
                continue  # its signals overlap, which cantools cannot decode
            for _ in range(20):
                raw = rng.randbytes(p.length)
                wanted = p.decode(raw, decode_choices=False)
                for name, f in m.fields.items():
                    assert f.value(raw) == pytest.approx(wanted[name], abs=1e-9), (m.name, name)
                    seen += 1
    assert seen > 5000


def test_encode_table_comes_out_of_the_database() -> None:
    table = driver().encode_table()
    assert table is not None
    steering, drive = table.messages
    assert (table.device, table.protocol, table.framing) == ("vehicle", "can", "socketcan")
    assert (steering.can_id, steering.size, steering.period_s, steering.extended) == (768, 8, 0.01, False)
    assert (steering.checksum.kind, drive.checksum.kind) == ("crc8_j1850", "crc8_j1850")
    assert steering.counter is not None
    assert steering.fields[0].raw_max == pytest.approx(math.degrees(0.5) / 0.005)
    assert [f.source for f in drive.fields] == ["value", "armed"]
    # The raw value that the table makes of -0.1 rad is the one cantools packs.
    f = steering.fields[0]
    m = PEER.get_message_by_name("STEERING_COMMAND")
    data = m.encode({"ANGLE_REQUEST": math.degrees(-0.1), "ENABLE": 1, "COUNTER": 0, "CHECKSUM": 0})
    assert int.from_bytes(data[:2], "big", signed=True) == pytest.approx(-0.1 * f.scale + f.offset, abs=0.51)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dbc: car.dbc", "dbc: nowhere.dbc", ["nowhere.dbc", "config/dbc"]),
        ("message: STEERING_COMMAND", "message: STEER", ["car.dbc has no message 'STEER'"]),
        ("signal: ANGLE_REQUEST", "signal: ANGLE", ["no signal 'ANGLE'", "ANGLE_REQUEST"]),
        ("signal: ANGLE_REQUEST", "signal: ENABLE", ["cannot carry 'steering'"]),
        ("checksum: toyota", "checksum: magic", ["checksum", "toyota"]),
        ("max: 4500.0", "max: 45000.0", ["cannot carry 'throttle'", "narrower"]),
        ("steering_ratio: 14.8", "steering_rate: 14.8", ["unknown key", "steering_ratio"]),
    ],
)
def test_a_wrong_platform_file_is_an_error_with_its_line(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    text = (ROOT / "config" / "platforms" / "car.yaml").read_text()
    assert old in text
    path = tmp_path / "car.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError) as e:
        CanDriver(load_platform(path), "vehicle")
    assert str(e.value).startswith(f"{path}:")
    for word in words:
        assert word in str(e.value)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x1b" * 99, b"hello\n", b'VERSION ""\nBO_ 5 A 8 X\n'])
def test_a_wrong_database_is_an_error_with_its_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"x\.dbc:\d+: "):
        load_dbc(path)
    with pytest.raises(BadInputError, match=r"x\.dbc:\d+: "):
        CanDriver(load_platform("car"), "vehicle", dbc=path)


def test_what_of_a_database_cannot_be_read_is_noted_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    lines = [
        'VERSION ""',
        "BO_ 5 A: 8 X",
        " SG_ bad",
        ' SG_ far : 60|8@1+ (1,0) [0|0] "" X',
        ' SG_ ok : 0|8@1+ (1,0) [0|0] "" X',
    ]
    path.write_text("\n".join(lines) + "\n")
    got = load_dbc(path)
    assert list(got.by_name["A"].fields) == ["ok"]
    assert got.notes[0].startswith(f"{path}:3: 'SG_ bad'")
    assert "A.far" in got.notes[1]


def test_our_database_has_nothing_to_note(data_dir: Path) -> None:
    assert load_dbc(ROOT / "config" / "dbc" / "car.dbc").notes == []
    assert load_dbc(data_dir / "can" / "toyota.dbc").notes == []


def test_a_missing_database_is_an_error() -> None:
    with pytest.raises(BadInputError, match=r"no database 'nothing\.dbc'"):
        find_dbc("nothing.dbc")


def test_recorded_car(data_dir: Path) -> None:
    """Wheel speeds and steering of a driven car to 1e-7 of the recorder's own decode; every checksum is right."""
    d = driver(dbc=data_dir / "can" / "toyota.dbc")
    checked = {m.can_id for m in d.database.by_key.values() if m.check.kind == "toyota"}
    received, with_checksum = [], []
    with gzip.open(data_dir / "can" / "rav4_60s.candump.gz", "rt") as f:
        for line in f:
            stamp, bus, text = line.split()
            can_id, data = text.split("#")
            r = Received(float(stamp[1:-1]), bytes.fromhex(data), int(can_id, 16), int(bus[3:]))
            received.append(r)
            if r.can_id in checked:
                with_checksum.append(r)
    samples = [s for r in received for s in d.step(r.t, [r]).samples]
    assert d.stats.rejected == {}
    assert len(with_checksum) == 12656
    joints = [s for s in samples if isinstance(s, JointState)]
    wheels = np.genfromtxt(data_dir / "can" / "rav4_wheel_speed.csv", delimiter=",", names=True)
    for corner in ("fl", "fr", "rl", "rr"):
        ours = np.array([s.velocity[f"wheel_{corner}"] for s in joints if s.velocity])
        assert np.abs(ours - wheels[f"{corner}_mps"]).max() < 1e-7
    angle = np.genfromtxt(data_dir / "can" / "rav4_steering_angle.csv", delimiter=",", names=True)
    ours = np.array([s.position["steering"] for s in joints if s.position])
    assert np.abs(np.degrees(ours) * 14.8 - angle["angle_deg"]).max() < 1e-7
    rng = random.Random(2)
    for r in rng.sample(with_checksum, 400):
        flipped = bytearray(r.data)
        bit = rng.randrange(8 * len(flipped))
        flipped[bit // 8] ^= 1 << bit % 8
        d.step(r.t, [Received(r.t, bytes(flipped), r.can_id, r.bus)])
    assert d.stats.rejected == {"checksum": 400}


def test_recorded_car_turns_and_brakes_the_way_the_truth_does(data_dir: Path) -> None:
    """Yaw rate is positive to the left and acceleration positive forward, by the recorded true velocity."""
    d = driver(dbc=data_dir / "can" / "toyota.dbc")
    imu: list[Imu] = []
    with gzip.open(data_dir / "can" / "rav4_60s.candump.gz", "rt") as f:
        for line in f:
            stamp, _, text = line.split()
            if text.startswith("024#"):
                r = Received(float(stamp[1:-1]), bytes.fromhex(text[4:]), 0x24)
                imu += [s for s in d.step(r.t, [r]).samples if isinstance(s, Imu)]
    truth = np.genfromtxt(data_dir / "can" / "rav4_pose_truth.csv", delimiter=",", names=True)
    t = truth["t_s"]
    up = np.array([truth[f"ecef_{a}_m"][0] for a in "xyz"])
    up /= np.linalg.norm(up)
    east = np.cross([0.0, 0.0, 1.0], up)
    east /= np.linalg.norm(east)
    north = np.cross(up, east)
    v = np.stack([truth[f"vecef_{a}"] for a in "xyz"], axis=1)
    smooth = np.ones(11) / 11
    ve, vn = (np.convolve(v @ axis, smooth, "same") for axis in (east, north))
    yaw_rate = np.gradient(np.unwrap(np.arctan2(vn, ve)), t)
    speed = np.hypot(ve, vn)
    acceleration = np.gradient(speed, t)
    ours = np.array([[s.t, s.angular_velocity[2], *s.linear_acceleration[:2]] for s in imu])
    window = np.ones(41) / 41
    at_t = [np.interp(t, ours[:, 0], np.convolve(ours[:, i], window, "same")) for i in (1, 2, 3)]
    inner = slice(20, -20)
    assert np.corrcoef(yaw_rate[inner], at_t[0][inner])[0, 1] > 0.6
    assert np.corrcoef(acceleration[inner], at_t[1][inner])[0, 1] > 0.8
    assert np.corrcoef((speed * yaw_rate)[inner], at_t[2][inner])[0, 1] > 0.6

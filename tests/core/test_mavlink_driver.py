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
from mavlink_rig import ITEMS, T0, Autopilot, drone_platform, feed
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.frames import matrix_from_quat, rpy_from_quat
from giljabi.platform import load_platform
from giljabi.types import Battery, ExternalOdometry, GeoDetections, GnssFix, Imu, Kind, LocalOrigin
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_frames import Parser
from giljabi_drivers.mavlink_requests import Download, Parameter, Upload
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused_without_a_word_on_the_terminal(driver: MavlinkDriver, bad: float) -> None:
    a = Autopilot()
    for m in (
        dialect.MAVLink_attitude_message(1000, 0.0, 0.1, 0.2, 0.1, bad, bad),
        dialect.MAVLink_highres_imu_message(1000, 0, 0, 9.8, bad, bad, 0, 0, 0, 0, 0, 0, 0, 0, 63),
    ):
        assert feed(driver, T0, a.bytes(m)).samples == ()
    assert driver.stats.rejected == {"bad_field": 2}


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


@pytest.mark.parametrize(
    ("told", "share"), [(64, 0.64), (0, 0.0), (100, 1.0), (-1, math.nan), (-2, math.nan), (127, math.nan)]
)
def test_a_charge_that_cannot_be_is_not_told(driver: MavlinkDriver, told: int, share: float) -> None:
    message = dialect.MAVLink_battery_status_message(0, 0, 0, 0, [4000] * 10, -1, -1, -1, told)
    (battery,) = feed(driver, T0, Autopilot().bytes(message)).samples
    assert isinstance(battery, Battery)
    assert battery.share == pytest.approx(share, nan_ok=True)
    assert math.isnan(battery.current)


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


@given(
    noise=st.lists(st.sampled_from((0xFD, 0xFE, 0, 9, 40)) | st.integers(0, 255), max_size=30), size=st.integers(1, 400)
)
def test_stray_bytes_cost_no_message(noise: list[int], size: int) -> None:
    """A stray magic byte looks like the head of a long frame, mostly of a message that nobody knows."""
    a, parser = Autopilot(), Parser()
    wanted = [a.bytes(dialect.MAVLink_param_value_message(b"RTL_ALT", 1.5, 9, 1000, i)) for i in range(5)]
    data = bytes(noise) + b"".join(wanted) + b"".join(a.heartbeat() for _ in range(40))
    heard = [h for k in range(0, len(data), size) for h in parser.feed(T0, data[k : k + size])]
    assert [h.message.param_index for h in heard if h.name == "PARAM_VALUE"] == list(range(5))


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

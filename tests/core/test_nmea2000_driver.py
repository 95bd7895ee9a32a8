"""NMEA 2000 to samples: signs, sources, epochs and addresses; frames are encoded by canboat."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from n2k_bus import canboat, driver, frames, give

from giljabi._core.guard import WireEncoder
from giljabi.types import BadInputError, GeoDetections, GnssFix, GnssVelocity, Heading, Imu, JointState, Kind
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea2000 import Nmea2000Driver
from giljabi_drivers.nmea2000_bus import own_name

FIX: dict[str, Any] = {
    "latitude": 35.1, "longitude": 129.05, "altitude": 12.5, "method": "DGNSS fix", "numberOfSvs": 11, "hdop": 0.8,
    "date": 20600, "time": 3600.5,
}  # fmt: skip


def gnss(**fields: Any) -> list[Received]:
    t, source = fields.pop("t", 10.0), fields.pop("source", 36)
    return frames(129029, "gnssPositionData", t=t, source=source, **{**FIX, **fields})


def rapid(t: float, lat: float = 35.1, source: int = 36) -> list[Received]:
    return frames(129025, "positionRapidUpdate", t=t, source=source, latitude=lat, longitude=129.05)


@pytest.fixture
def d(tmp_path: Path) -> Nmea2000Driver:
    return driver(tmp_path)


def one(d: Nmea2000Driver, *groups: list[Received]) -> Any:
    (sample,) = give(d, *groups)
    return sample


def test_a_full_fix(d: Nmea2000Driver) -> None:
    fix = one(d, gnss())
    assert isinstance(fix, GnssFix)
    assert (fix.lat_deg, fix.lon_deg, fix.alt_m) == pytest.approx((35.1, 129.05, 12.5), abs=1e-9)
    assert (fix.quality, fix.satellites, fix.source) == (2, 11, "gnss")
    assert fix.utc_s == pytest.approx(20600 * 86400 + 3600.5, abs=1e-3)
    assert fix.std_enu == pytest.approx([0.8 * 1.5 / math.sqrt(2)] * 2 + [1.5 * 0.8 * 1.5])


def test_dilution_of_another_group_counts(d: Nmea2000Driver) -> None:
    give(d, gnss(), frames(129539, "gnssDops", hdop=2.0, vdop=3.0))
    fix = one(d, gnss(hdop=2.0, t=10.5))
    assert fix.std_enu == pytest.approx([2.0 * 1.5 / math.sqrt(2)] * 2 + [3.0 * 1.5])


@pytest.mark.parametrize("method", ["no GNSS", "Manual Input", "Simulate mode"])
def test_no_fix_is_no_position(d: Nmea2000Driver, method: str) -> None:
    assert give(d, gnss(method=method), rapid(10.1)) == []
    assert "reports no fix" in d.health(20.0)["gnss"]
    assert len(give(d, gnss(t=11.0), rapid(11.1))) == 2


def test_rapid_positions_are_the_epochs_and_the_full_fix_tells_their_quality(d: Nmea2000Driver) -> None:
    got = []
    for k in range(30):
        t = 10.0 + k / 10
        if k % 10 == 5:
            got += give(d, gnss(t=t - 0.02))
        got += give(d, rapid(t, 35.1 + k * 1e-6))
    assert all(isinstance(s, GnssFix) for s in got)
    assert [s.t for s in got] == pytest.approx([10.0 + k / 10 for k in range(30)])
    assert {s.quality for s in got[:5]} == {1}
    assert {(s.quality, s.satellites) for s in got[5:]} == {(2, 11)}
    assert [k for k, s in enumerate(got) if not math.isnan(s.alt_m)] == [5, 15, 25]


def test_when_rapid_positions_end_the_full_fix_is_the_position(d: Nmea2000Driver) -> None:
    give(d, rapid(10.0))
    assert give(d, gnss(t=10.5)) == []
    assert [s.t for s in give(d, gnss(t=11.5), gnss(t=12.5))] == [11.5, 12.5]


@pytest.mark.parametrize("course", [0.0, 90.0, 200.0])
def test_course_and_speed(d: Nmea2000Driver, course: float) -> None:
    v = one(d, frames(129026, "cogSogRapidUpdate", cogReference="True", cog=math.radians(course), sog=5.0))
    assert isinstance(v, GnssVelocity)
    east, north = 5.0 * math.sin(math.radians(course)), 5.0 * math.cos(math.radians(course))
    assert v.velocity_enu[:2] == pytest.approx([east, north], abs=1e-3)


def test_a_magnetic_course_needs_the_variation(d: Nmea2000Driver) -> None:
    group = frames(129026, "cogSogRapidUpdate", cogReference="Magnetic", cog=math.radians(80.0), sog=5.0)
    assert give(d, group) == []
    give(d, frames(127258, "magneticVariation", variation=math.radians(10.0)))
    assert one(d, group).velocity_enu[:2] == pytest.approx([5.0, 0.0], abs=1e-3)


def test_standing_still_without_a_course(d: Nmea2000Driver) -> None:
    v = one(d, frames(129026, "cogSogRapidUpdate", cogReference="True", sog=0.1))
    assert v.velocity_enu[:2] == pytest.approx([0.0, 0.0])
    assert give(d, frames(129026, "cogSogRapidUpdate", cogReference="True", sog=3.0)) == []


def test_headings(d: Nmea2000Driver) -> None:
    h = one(d, frames(127250, "vesselHeading", heading=math.radians(30.0), reference="True"))
    assert isinstance(h, Heading)
    assert (h.yaw, h.std) == pytest.approx((math.radians(60.0), math.radians(1.0)), abs=1e-4)


def test_a_magnetic_heading_with_deviation_and_variation(d: Nmea2000Driver) -> None:
    magnetic = {"heading": math.radians(30.0), "reference": "Magnetic"}
    assert give(d, frames(127250, "vesselHeading", **magnetic)) == []
    h = one(d, frames(
        127250, "vesselHeading", deviation=math.radians(2.0), variation=math.radians(-8.0), **magnetic
    ))  # fmt: skip
    assert h.yaw == pytest.approx(math.radians(90.0 - 24.0), abs=2e-4)
    assert h.std == pytest.approx(math.radians(2.0))
    assert one(d, frames(127250, "vesselHeading", t=11.0, **magnetic)).yaw == pytest.approx(
        math.radians(90.0 - 22.0), abs=2e-4
    )


def test_a_device_that_tells_both_headings_gives_the_true_one(d: Nmea2000Driver) -> None:
    got = []
    for k in range(5):
        got += give(
            d, frames(127250, "vesselHeading", t=10 + k, heading=1.0, variation=0.1, reference="True"),
            frames(127250, "vesselHeading", t=10.05 + k, heading=0.9, variation=0.1, reference="Magnetic"),
        )  # fmt: skip
    assert [h.t for h in got] == [10, 11, 12, 13, 14]


def test_starboard_is_negative_in_our_frame(d: Nmea2000Driver) -> None:
    """Rate of turn and rudder are positive to starboard on the wire, ours to port."""
    imu = one(d, frames(127251, "rateOfTurn", rate=0.05))
    assert isinstance(imu, Imu)
    assert imu.angular_velocity[2] == pytest.approx(-0.05, abs=1e-7)
    assert np.isnan([*imu.angular_velocity[:2], *imu.linear_acceleration]).all()
    joints = one(d, frames(127245, "rudder", instance=0, position=0.2))
    assert isinstance(joints, JointState)
    assert joints.position == {"rudder": pytest.approx(-0.2)}


def test_tilt_about_the_axes_of_base_link(d: Nmea2000Driver) -> None:
    """On the wire roll is positive with the port side up, pitch with the bow up; about y to port the bow goes down."""
    imu = one(d, frames(127257, "attitude", yaw=0.0, pitch=0.1, roll=0.05))
    assert imu.tilt == pytest.approx((0.05, -0.1, math.radians(0.5)), abs=1e-4)
    assert not imu.inertial


def test_machinery_and_log(d: Nmea2000Driver, tmp_path: Path) -> None:
    engine = frames(127488, "engineParametersRapidUpdate", speed=20.0)  # Hz; canboat has no instance 0 in numbers
    assert one(d, engine).velocity == {"engine": pytest.approx(20.0 * math.tau, abs=0.03)}
    assert one(d, frames(128259, "speed", speedWaterReferenced=2.5)).speed == pytest.approx(2.5)
    named = driver(tmp_path, "{engines: {0: main}, rudders: {1: rudder_port}}")
    assert one(named, engine).velocity.keys() == {"main"}
    assert one(named, frames(127245, "rudder", instance=1, position=0.1)).position.keys() == {"rudder_port"}
    assert one(named, frames(127245, "rudder", instance=2, position=0.1)).position.keys() == {"rudder_2"}


def test_an_order_for_a_rudder_is_no_feedback(d: Nmea2000Driver) -> None:
    assert give(d, frames(127245, "rudder", instance=0, angleOrder=0.2)) == []


# --- sources --------------------------------------------------------------------------------------


def heading(t: float, source: int, angle: float = 1.0) -> list[Received]:
    return frames(127250, "vesselHeading", t=t, source=source, heading=angle, reference="True")


def claim(t: float, source: int, name: int) -> list[Received]:
    return [Received(t, name.to_bytes(8, "little"), canboat().can_id_compose(6, 60928, source, 255), 0, 1)]


def test_the_first_source_sticks_while_it_lives(d: Nmea2000Driver) -> None:
    got = give(d, heading(10.0, 5), heading(10.1, 6), heading(11.0, 5), heading(13.5, 6), heading(14.6, 6))
    assert [h.t for h in got] == [10.0, 11.0, 14.6]
    assert give(d, heading(14.7, 5)) == []


def test_a_source_by_address_and_by_name(tmp_path: Path) -> None:
    d = driver(tmp_path, "{sources: {heading: 6}}")
    assert [h.t for h in give(d, heading(10.0, 5), heading(10.1, 6))] == [10.1]
    d = driver(tmp_path, "{sources: {heading: '0xC050009B10FB0022'}}")
    assert give(d, heading(10.0, 6)) == []
    got = give(d, claim(10.1, 6, 0xC050009B10FB0022), heading(10.2, 6), heading(10.3, 5))
    assert [h.t for h in got] == [10.2]


def test_a_device_that_takes_another_address_stays_the_source(d: Nmea2000Driver) -> None:
    give(d, claim(9.0, 5, 77), heading(10.0, 5), claim(10.1, 9, 77))
    assert [h.t for h in give(d, heading(10.2, 9), heading(10.3, 5))] == [10.2]


def test_half_a_packet_of_the_address_s_last_owner_is_dropped(d: Nmea2000Driver) -> None:
    parts = gnss()
    assert give(d, claim(9.0, 36, 77), parts[:3], claim(10.0, 36, 78), parts[3:]) == []
    assert d.stats.rejected == {"fast_stale": 1, "fast_orphan": 4}


# --- AIS ------------------------------------------------------------------------------------------

TARGET: dict[str, Any] = {
    "messageId": "Scheduled Class A position report", "userId": 440123456, "latitude": 35.1, "longitude": 129.05,
    "cog": math.radians(90.0), "sog": 6.0, "heading": math.radians(90.0), "positionAccuracy": "High",
    "aisTransceiverInformation": "Channel A VDL reception", "communicationState": bytes(3),
}  # fmt: skip


def class_a(**fields: Any) -> list[Received]:
    return frames(129038, "aisClassAPositionReport", **{**TARGET, **fields})


def test_an_ais_target(d: Nmea2000Driver) -> None:
    got = one(d, class_a())
    assert isinstance(got, GeoDetections)
    assert got.source == "ais"
    lon, lat, z, vx, vy, yaw, length, width, number, kind, variance = got.data[0]
    assert (lon, lat) == pytest.approx((129.05, 35.1), abs=1e-7)
    assert (vx, vy, yaw) == pytest.approx((6.0, 0.0, 0.0), abs=1e-3)
    assert np.isnan([z, length, width]).all()
    assert (number, kind, variance) == (440123456, Kind.VESSEL.value, 25.0)


def test_a_ship_s_size_moves_her_to_the_middle_of_her_hull(d: Nmea2000Driver) -> None:
    static = frames(
        129794, "aisClassAStaticAndVoyageRelatedData", messageId="Static and voyage related data", userId=440123456,
        length=100.0, beam=20.0, positionReferenceFromStarboard=4.0, positionReferenceFromBow=20.0, name="FERRY",
        aisTransceiverInformation="Channel A VDL reception",
    )  # fmt: skip
    assert give(d, static) == []
    lon, lat, *_, length, width, _, _, _ = one(d, class_a(t=11.0)).data[0]
    assert (length, width) == pytest.approx((100.0, 20.0))
    # Heading east: the middle is 30 m behind the antenna (west), and 6 m to port of it (north).
    assert (lon - 129.05) * 111320.0 * math.cos(math.radians(35.1)) == pytest.approx(-30.0, abs=0.1)
    assert (lat - 35.1) * 110940.0 == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize("reception", ["Own information not broadcast", "Channel A VDL transmission"])
def test_the_own_ship_is_no_target(d: Nmea2000Driver, reception: str) -> None:
    assert give(d, class_a(aisTransceiverInformation=reception)) == []


def test_a_target_that_does_not_know(d: Nmea2000Driver) -> None:
    unknown = {k: v for k, v in TARGET.items() if k not in ("cog", "heading")}
    row = one(d, frames(129038, "aisClassAPositionReport", **unknown)).data[0]
    assert np.isnan(row[3:6]).all()
    nowhere = {k: v for k, v in TARGET.items() if k != "latitude"}
    assert give(d, frames(129038, "aisClassAPositionReport", t=11.0, **nowhere)) == []


def test_stations_that_stand(d: Nmea2000Driver) -> None:
    place = {"latitude": 35.0, "longitude": 129.0, "aisTransceiverInformation": "Channel A VDL reception"}
    aid = frames(
        129041, "aisAidsToNavigationAtonReport", messageId="ATON report", userId=994401234, lengthDiameter=4.0,
        beamDiameter=4.0, **place,
    )  # fmt: skip
    base = frames(
        129793, "aisUtcAndDateReport", t=11.0, messageId="Base station report", userId=4400001,
        communicationState=bytes(3), **place,
    )  # fmt: skip
    rows = [s.data[0] for s in give(d, aid, base)]
    assert [(r[8], r[9], *r[3:5]) for r in rows] == [(n, Kind.STATIC.value, 0.0, 0.0) for n in (994401234, 4400001)]
    assert rows[0][6:8] == pytest.approx([4.0, 4.0])


# --- commands and our own address -----------------------------------------------------------------

COMMANDS = "{address: 30, unique_number: 5, commands: {rudder: {instance: 0}}}"


def sent(data: bytes) -> tuple[int, bytes]:
    can_id, size, payload = struct.unpack("=IB3x8s", data)
    assert can_id & 1 << 31
    return can_id & 0x1FFFFFFF, payload[:size]


@pytest.mark.parametrize("angle", [0.0, 0.35, -0.2])
def test_the_rudder_order_on_the_wire(tmp_path: Path, angle: float) -> None:
    """Encoded by the guard's codec, read by canboat's encoder the other way round: port is negative there."""
    d = driver(tmp_path, COMMANDS, actuators=True)
    table = d.encode_table()
    assert table is not None
    (message,) = table.messages
    can_id, data = sent(WireEncoder(table, {"rudder": (-0.61, 0.61)}).encode(message.name, {"rudder": angle}))
    c = canboat()
    assert c.can_id_decompose(can_id) == (2, 127245, 30, 255)
    assert data[1:] == c.Database("si").encode("rudder", {"directionOrder": "No Order", "angleOrder": -angle})[1:]
    assert data[0] == 0


def test_the_address_is_claimed_told_and_defended(tmp_path: Path) -> None:
    c = canboat()
    d = driver(tmp_path, COMMANDS, actuators=True)
    own = c.iso_name(
        2046, 5, device_function=150, device_class=40, device_instance=0, system_instance=0, industry_group=4,
        arbitrary_address_capable=False,
    )  # fmt: skip
    assert own == own_name(5)
    claimed, asked = (sent(f) for f in d.step(1.0, []).to_send)
    assert claimed == (c.can_id_compose(6, 60928, 30, 255), own.to_bytes(8, "little"))
    assert asked == (c.can_id_compose(6, 59904, 30, 255), bytes.fromhex("00ee00"))
    assert d.step(1.1, []).to_send == ()
    request = Received(2.0, bytes.fromhex("00ee00"), c.can_id_compose(6, 59904, 7, 255), 0, 1)
    assert [sent(f) for f in d.step(2.0, [request]).to_send] == [claimed]
    higher, lower = claim(3.0, 30, own + 1), claim(4.0, 30, own - 1)
    assert [sent(f) for f in d.step(3.0, higher).to_send] == [claimed]
    assert d.health(3.0).get("n2k") is None
    (lost,) = d.step(4.0, lower).to_send
    assert sent(lost) == (c.can_id_compose(6, 60928, 254, 255), own.to_bytes(8, "little"))
    assert "address 30 belongs to another device" in d.health(4.0)["n2k"]


def test_canboat_s_claimer_gives_way_to_ours_and_ours_to_a_lower_name(tmp_path: Path) -> None:
    """An independent claimer at the other end of the bus, which wants the same address."""
    c = canboat()
    d = driver(tmp_path, COMMANDS, actuators=True)
    claims = d.step(0.0, []).to_send
    other = c.AddressClaimer(own_name(6), 30, False)
    theirs = other.start(0)
    for can_id, data in (sent(f) for f in claims):
        _, pgn, source, _ = c.can_id_decompose(can_id)
        if pgn == 60928:
            theirs += other.on_address_claim(10, source, int.from_bytes(data, "little"))
    back = [Received(0.02, bytes(f[4]), c.can_id_compose(f[0], f[1], f[2], f[3]), 0, 1) for f in theirs]
    for f in d.step(0.02, back).to_send:
        _, pgn, source, _ = c.can_id_decompose(sent(f)[0])
        assert (pgn, source) == (60928, 30)
    other.tick(1000)
    assert other.address != 30
    assert d.health(0.1).get("n2k") is None


def test_without_commands_nothing_is_sent(d: Nmea2000Driver) -> None:
    request = Received(2.0, bytes.fromhex("00ee00"), canboat().can_id_compose(6, 59904, 7, 255), 0, 1)
    assert d.step(1.0, []).to_send == d.step(2.0, [request]).to_send == ()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("{commands: {rudder: {}}}", "options.address, 0 to 251, is expected"),
        ("{address: 30}", "has no command for it"),
        ("{address: 30, commands: {rudder: {}, flap: {}}}", "no actuator 'flap'"),
        ("{sources: {position: 300}}", "sources"),
        ("{sources: {position: gyro}}", "sources"),
        ("{sources: {wind: 3}}", "sources"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: str, what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        driver(tmp_path, options, actuators=True)


# --- what is not for us ---------------------------------------------------------------------------


def test_what_is_not_used_is_counted(d: Nmea2000Driver) -> None:
    wind = frames(130306, "windData", windSpeed=3.0, windAngle=1.0, reference="Apparent")
    unknown = [Received(10.0, bytes(8), canboat().can_id_compose(6, 65280, 3, 255), 0, 1)]
    others = [Received(10.0, bytes(8), canboat().can_id_compose(6, 59904, 3, 17), 0, 1)]
    assert give(d, wind, unknown, others) == []
    assert d.stats.ignored == {"wind": 1, "65280": 1, "for_others": 1}
    bad = [
        Received(10.0, b"$GPGGA"), Received(10.0, bytes(8), 0x123, 0, 0), Received(10.0, bytes(8), 0x9F80100, 0, 5),
        Received(10.0, bytes(12), 0x9F80100, 0, 9), Received(10.0, bytes(5), 0x9F80124, 0, 1),
        Received(10.0, b"\xff\x00\xf8\xff\x7f\xff\x7f\xfc", 0x9F11224, 0, 1),
    ]  # fmt: skip
    assert d.step(10.0, bad).samples == ()
    assert d.stats.rejected == {"no_data_frame": 3, "standard_id": 1, "short": 1, "bad_field": 1}


@given(st.lists(st.tuples(st.integers(0, (1 << 29) - 1), st.binary(max_size=8), st.integers(0, 15)), max_size=40))
def test_any_frames(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bytes, int]]) -> None:
    d = driver(tmp_path_factory.mktemp("any"), COMMANDS, actuators=True)
    for i, (can_id, data, flags) in enumerate(rows):
        for s in d.step(i * 0.01, [Received(i * 0.01, data, can_id, 0, flags)]).samples:
            assert math.isfinite(s.t)


@given(st.sampled_from([129029, 129025, 129026, 127250, 127251, 127245, 127488, 128259, 129038, 129041]), st.data())
def test_any_payload_of_a_known_group_gives_samples_without_a_stray_nan(
    tmp_path_factory: pytest.TempPathFactory, pgn: int, data: st.DataObject
) -> None:
    d = driver(tmp_path_factory.mktemp("any"))
    c = canboat()
    fast = pgn in (129029, 129038, 129041)
    payload = data.draw(st.binary(min_size=43 if fast else 8, max_size=60 if fast else 8))
    parts = c.fast_packet_fragment(0, payload) if fast else [payload]
    samples = [
        s for p in parts for s in d.step(1.0, [Received(1.0, p, c.can_id_compose(2, pgn, 1, 255), 0, 1)]).samples
    ]
    for s in samples:
        if isinstance(s, GnssFix):
            assert np.isfinite([s.lat_deg, s.lon_deg, *s.std_enu]).all()
        elif isinstance(s, GnssVelocity):
            assert np.isfinite(s.velocity_enu[:2]).all()
        elif isinstance(s, Heading):
            assert math.isfinite(s.yaw)
        elif isinstance(s, JointState):
            assert all(math.isfinite(v) for v in (*s.position.values(), *s.velocity.values()))
        elif isinstance(s, GeoDetections):
            assert np.isfinite(s.data[:, :2]).all()

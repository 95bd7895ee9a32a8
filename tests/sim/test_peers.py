"""Device peers: what they put on the wire, what they obey, and what they do when nobody talks to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cantools
import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyais import decode as decode_ais

from giljabi_sim.peers.can import crc8_j1850, toyota
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation


def simulation(name: str, *overrides: str) -> Simulation:
    return Simulation(load_scenario(name, overrides))


def nmea(body: str) -> Chunk:
    total = 0
    for c in body:
        total ^= ord(c)
    return Chunk(f"${body}*{total:02X}\r\n".encode())


def run(s: Simulation, seconds: float, device: str = "", chunk: Chunk | None = None, begin: float = 0.0) -> list[Chunk]:
    """Everything the devices sent; the chunk is repeated every 0.1 s."""
    out = []
    for k in range(round(seconds * 50)):
        now = begin + k / 50
        received: dict[str, Sequence[Chunk]] = {device: [chunk]} if chunk and k % 5 == 0 else {}
        for chunks in s.step(now, received).values():
            out += chunks
    return out


def sentences(chunks: Sequence[Chunk], kind: str) -> list[pynmea2.NMEASentence]:
    lines = b"".join(c.data for c in chunks if c.can_id < 0).decode().splitlines()
    return [pynmea2.parse(line, check=True) for line in lines if line[3:6] == kind]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_ship_obeys_orders_and_tells_with_the_standards_signs(side: float) -> None:
    """A starboard order (positive on the wire) turns clockwise: heading and rate of turn grow, rudder positive."""
    s = simulation("ship_straight", "start.speed=3", "route.points.0=[0, 0]")
    run(s, 3.0, "bridge", nmea("AGPRC,50.0,A,,,,,B,0"))
    before = math.degrees(s.world.own.yaw)
    got = []
    for k in range(400):
        now = 3.0 + k / 50
        orders = [nmea("AGPRC,50.0,A,,,,,B,0"), nmea(f"AGROR,{20.0 * side},A,,,B")] if k % 5 == 0 else []
        for chunks in s.step(now, {"bridge": orders}).values():
            got += chunks
    assert s.world.vehicle.commands["rudder"] == pytest.approx(-math.radians(20.0 * side))
    assert side * (math.degrees(s.world.own.yaw) - before) < -5.0  # to starboard is clockwise in ENU
    assert side * float(sentences(got, "ROT")[-1].rate_of_turn) > 60.0
    assert side * float(sentences(got, "RSA")[-1].rsa_starboard) == pytest.approx(20.0, abs=1.0)
    first, last = (float(h.heading) for h in (sentences(got, "HDT")[0], sentences(got, "HDT")[-1]))
    assert side * math.remainder(last - first, 360.0) > 5.0
    assert last == pytest.approx((90.0 - math.degrees(s.world.own.yaw)) % 360.0, abs=4.0)
    rmc = sentences(got, "RMC")[-1]
    vx, vy = s.world.own.velocity
    assert float(rmc.spd_over_grnd) * 1852 / 3600 == pytest.approx(math.hypot(vx, vy), abs=0.3)
    assert math.remainder(float(rmc.true_course) - math.degrees(math.atan2(vx, vy)), 360.0) == pytest.approx(0, abs=8)


def test_position_on_the_wire_is_where_the_antenna_is() -> None:
    s = simulation("ship_straight", "start={x: 1000, y: 2000, yaw_deg: 90, speed: 0.0}")
    peer = s.peers["bridge"]
    out = [c for k in range(30) for c in peer.step(k / 10, (), s.world).to_send]
    gga = sentences(out, "GGA")[-1]
    o = s.scenario.model.origin
    assert (gga.latitude - o.lat_deg) * 110940 == pytest.approx(
        2001.0, abs=5.0
    )  # m per degree at 35 N; antenna 1 m ahead
    assert (gga.longitude - o.lon_deg) * 91180 == pytest.approx(1000.0, abs=5.0)


def test_watchdog_centres_rudder_and_stops_propeller() -> None:
    s = simulation("ship_straight")
    run(s, 1.0, "bridge", nmea("AGPRC,50.0,A,,,,,B,0"))
    assert s.world.vehicle.commands["lever"] == 0.5
    run(s, 0.4, begin=1.0)
    assert s.world.vehicle.commands["lever"] == 0.5
    run(s, 0.4, begin=1.4)
    assert s.world.vehicle.commands["lever"] == 0.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"$AGROR,10.0,A,,,B*00\r\n", "checksum"),
        (b"$AGROR,10.0,A,,,B\r\n", "framing"),
        (nmea("AGROR,10.0,V,,,B").data, "not_valid"),
        (nmea("AGROR,nan,A,,,B").data, "field"),
        (nmea("AGROR,,A,,,B").data, "field"),
        (nmea("AGXYZ,1,A").data, "unknown"),
    ],
)
def test_bad_orders_are_counted_not_obeyed(line: bytes, reason: str) -> None:
    s = simulation("ship_straight")
    s.step(0.0, {"bridge": [Chunk(line)]})
    assert s.world.vehicle.commands["rudder"] == 0.0
    assert s.peers["bridge"].rejected == {reason: 1}
    assert s.peers["bridge"].accepted == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_leave_the_bridge_well(chunks: list[bytes]) -> None:
    s = simulation("ship_straight")
    for k, data in enumerate(chunks):
        s.step(k / 50, {"bridge": [Chunk(data)], "ais": [Chunk(data)]})
    assert all(math.isfinite(v) for v in s.world.vehicle.commands.values())


def test_ais_tells_of_the_ferry() -> None:
    s = simulation("ship_crossing", "start.speed=0.01")
    out = run(s, 14.0)
    lines = [x for c in out for x in c.data.splitlines() if x.startswith(b"!")]
    reports = [decode_ais(line) for line in lines if line.split(b",")[1] == b"1"]
    positions = [r for r in reports if r.msg_type == 1]
    assert 3 <= len(positions) <= 6
    ferry = s.world.others[0].body
    vx, vy = ferry.velocity
    last = positions[-1]
    assert last.course == pytest.approx(math.degrees(math.atan2(vx, vy)) % 360.0, abs=5.0)
    assert last.speed * 1852 / 3600 == pytest.approx(ferry.speed, abs=0.5)
    static = [x for x in lines if x.split(b",")[1] == b"2"]
    told = decode_ais(*static[:2])
    assert (told.to_bow + told.to_stern, told.to_port + told.to_starboard) == (28, 8)


def test_gnss_fault_is_a_receiver_without_fix_and_is_consumed() -> None:
    s = simulation("ship_straight", "faults=[{what: silent, where: gnss, begin: 0}]")
    out = run(s, 1.0)
    assert {g.gps_qual for g in sentences(out, "GGA")} == {0}
    assert s.judge.report()["faults"] == [{"what": "silent", "where": "gnss", "consumed": True}]


def test_a_fault_that_nothing_meets_is_told() -> None:
    s = simulation("ship_straight", "faults=[{what: silent, where: gnss, begin: 50}]")
    run(s, 1.0)
    assert s.judge.report()["faults"][0]["consumed"] is False


# --- CAN -------------------------------------------------------------------------------------------


def database(root: Path) -> cantools.database.Database:
    return cantools.database.load_file(root / "config" / "dbc" / "car.dbc")


def frame(db: cantools.database.Database, name: str, counter: int, **signals: float) -> Chunk:
    m = db.get_message_by_name(name)
    data = bytearray(m.encode({"COUNTER": counter, "CHECKSUM": 0, "ENABLE": 1, **signals}))
    data[-1] = crc8_j1850(m.frame_id, bytes(data))
    return Chunk(bytes(data), m.frame_id)


def drive(s: Simulation, db: cantools.database.Database, seconds: float, angle_deg: float, force: float) -> list[Chunk]:
    out: list[Chunk] = []
    begin = s.world.t
    for k in range(round(seconds * 100)):
        frames = [
            frame(db, "STEERING_COMMAND", k % 16, ANGLE_REQUEST=angle_deg),
            frame(db, "DRIVE_COMMAND", k % 16, FORCE_REQUEST=force),
        ]
        for chunks in s.step(begin + k / 100, {"vehicle": frames}).values():
            out += chunks
    return out


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_car_obeys_frames_and_tells_with_the_databases_signs(root: Path, side: float) -> None:
    db = database(root)
    s = simulation("car_lap", "track.start_s=40")
    drive(s, db, 3.0, 0.0, 2500.0)
    out = drive(s, db, 2.0, 6.0 * side, 600.0)
    own = s.world.own
    assert side * own.yaw_rate > 0.05
    decoded = {}
    for c in out:
        if c.can_id >= 0:
            m = db.get_message_by_frame_id(c.can_id)
            decoded[m.name] = m.decode(c.data)
            assert (
                c.data[-1]
                == {"crc8_j1850": crc8_j1850, "toyota": toyota}[
                    m.dbc.attributes["ChecksumKind"].value if "ChecksumKind" in m.dbc.attributes else "toyota"
                ](c.can_id, c.data)
                or m.name == "WHEEL_SPEEDS"
            )
    assert decoded["KINEMATICS"]["YAW_RATE"] == pytest.approx(math.degrees(own.yaw_rate), abs=2.0)
    assert side * decoded["KINEMATICS"]["ACCEL_Y"] > 0.3
    assert side * decoded["STEER_ANGLE_SENSOR"]["STEER_ANGLE"] == pytest.approx(6.0 * 14.8, abs=4.0)
    assert decoded["STEERING_STATUS"]["ENABLED"] == 1
    outer, inner = ("RR", "RL") if side > 0 else ("RL", "RR")
    assert decoded["WHEEL_SPEEDS"][f"WHEEL_SPEED_{outer}"] > decoded["WHEEL_SPEEDS"][f"WHEEL_SPEED_{inner}"]
    assert decoded["WHEEL_SPEEDS"]["WHEEL_SPEED_RL"] / 3.6 == pytest.approx(own.feedback["wheel_rl"], abs=0.3)


def test_checksums_of_known_frames() -> None:
    # SAE J1850: the check value of "123456789" is 0x4B. Toyota: length, identifier and data, modulo 256.
    assert crc8_j1850(0, b"123456789" + b"?") == 0x4B
    assert toyota(0x2E4, bytes([0x80, 0, 0, 0, 0x6B])) == (5 + 0x02 + 0xE4 + 0x80) & 0xFF


def test_wrong_checksum_repeated_counter_and_no_enable_are_refused(root: Path) -> None:
    db = database(root)
    s = simulation("car_lap")
    peer = s.peers["vehicle"]
    good = frame(db, "STEERING_COMMAND", 3, ANGLE_REQUEST=5.0)
    bad = Chunk(good.data[:-1] + bytes([good.data[-1] ^ 1]), good.can_id)
    s.step(0.00, {"vehicle": [bad]})
    assert s.world.vehicle.commands["steering"] == 0.0
    s.step(0.01, {"vehicle": [good, good]})
    assert s.world.vehicle.commands["steering"] == pytest.approx(math.radians(5.0), abs=1e-4)
    s.step(0.02, {"vehicle": [frame(db, "STEERING_COMMAND", 4, ANGLE_REQUEST=-5.0, ENABLE=0)]})
    s.step(0.03, {"vehicle": [Chunk(b"\0", 0x7FF), Chunk(good.data[:3], good.can_id)]})
    assert s.world.vehicle.commands["steering"] > 0.0
    assert peer.rejected == {"checksum": 1, "counter": 1, "not_enabled": 1, "unknown_id": 1, "length": 1}
    assert peer.accepted == 1


def test_car_brakes_by_itself_when_nobody_talks(root: Path) -> None:
    db = database(root)
    s = simulation("car_lap")
    drive(s, db, 4.0, 0.0, 2500.0)
    assert s.world.own.speed > 4.0
    begin = s.world.t
    for k in range(500):
        s.step(begin + k / 100, {})
    assert s.world.own.speed < 0.1


def test_radar_sees_the_parked_van_where_it_is(root: Path) -> None:
    db = database(root)
    s = simulation("car_lap", "track.start_s=120", "actors=[{name: van, kind: car, at_s: 30, offset: -2, speed: 0,"
                   " length: 4.8, width: 1.9, behaviour: {kind: parked}}]")  # fmt: skip
    rows = []
    for k in range(100):
        for c in s.step(k / 100, {}).get("vehicle", []):
            if 801 <= c.can_id <= 816:
                rows.append(db.get_message_by_frame_id(c.can_id).decode(c.data))
    van = [r for r in rows if r["OBJECT_ID"] == 1]
    assert 12 <= len(van) <= 20  # one second at 20 Hz, some missed
    own, body = s.world.own, s.world.others[0].body
    x0, y0 = own.point(3.6, 0.0)
    c, sn = math.cos(own.yaw), math.sin(own.yaw)
    along, across = c * (body.x - x0) + sn * (body.y - y0), -sn * (body.x - x0) + c * (body.y - y0)
    assert sum(r["LONG_DIST"] for r in van) / len(van) == pytest.approx(along, abs=0.3)
    assert sum(r["LAT_DIST"] for r in van) / len(van) == pytest.approx(across, abs=0.3)
    assert sum(r["LENGTH"] for r in van) / len(van) == pytest.approx(4.8, abs=0.6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([768, 769, 36, 2000]), st.binary(max_size=8)), max_size=12))
def test_any_frames_leave_the_car_well(frames: list[tuple[int, bytes]]) -> None:
    s = simulation("car_lap")
    s.step(0.0, {"vehicle": [Chunk(data, can_id) for can_id, data in frames]})
    assert all(math.isfinite(v) for v in s.world.vehicle.commands.values())


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    def sent(seed: int) -> list[bytes]:
        s = Simulation(load_scenario("car_lap", seed=seed))
        return [c.data for k in range(100) for chunks in s.step(k / 100, {}).values() for c in chunks]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)

"""The workboat on an NMEA 2000 backbone: her peers' frames read by canboat, and whole passages in lock-step."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from giljabi.registry import build_driver
from giljabi_drivers.can_frames import reframed
from giljabi_drivers.transport import open_transport
from giljabi_sim.lockstep import LockStep, Result
from giljabi_sim.peers.contract import Chunk, Wire
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation
from giljabi_sim.wires import open_line


def sail(name: str, *overrides: str) -> tuple[LockStep, Result]:
    loop = LockStep(load_scenario(name, overrides, platform="ship_n2k"))
    return loop, loop.run()


@pytest.mark.parametrize("name", ["ship_straight", "ship_crossing"])
def test_she_sails_over_nmea_2000(name: str) -> None:
    loop, result = sail(name)
    assert result.report["outcome"] == "arrived"
    assert all(a["held"] for a in result.report["asserts"])
    peers, drivers = loop.simulation.peers, loop.stack.drivers
    assert peers["backbone"].accepted > 300
    assert peers["bridge"].accepted > 300
    assert peers["backbone"].rejected == peers["bridge"].rejected == {}
    assert drivers["backbone"].stats.rejected == {}
    assert set(drivers["backbone"].stats.last_t) >= {
        "gnss_position", "position_rapid", "cog_sog_rapid", "vessel_heading", "rate_of_turn", "rudder", "engine_rapid",
        "speed", "address_claim",
    }  # fmt: skip


def test_a_receiver_without_satellites_is_no_fix() -> None:
    _, result = sail("ship_straight", "faults=[{what: silent, where: gnss, begin: 0}]")
    assert any("the receiver reports no fix" in r for r in result.reasons)


def read(chunks: list[Chunk]) -> dict[int, list[dict[str, Any]]]:
    """Values by group, as canboat reads them, in SI."""
    backend = pytest.importorskip("nmea2000.backend")
    c, out = backend.canboat, {}
    packets = c.Reassembler()
    for chunk in chunks:
        priority, pgn, source, destination = c.can_id_decompose(chunk.can_id)
        data: bytes | None = chunk.data
        if backend.is_fast_pgn(pgn):
            data = packets.push(pgn, data, source, destination, priority)
        if data is not None:
            message = backend._codec("si").decode(pgn, data)
            out.setdefault(pgn, []).append({f.id: f.value for f in message.fields})
    return out


def test_what_the_peer_says_is_what_canboat_reads() -> None:
    s = Simulation(load_scenario("ship_crossing", ["start.speed=2.0"], platform="ship_n2k"))
    own = []
    for k in range(400):
        now = k / 50
        order = Chunk(bytes.fromhex("00f8") + (3490).to_bytes(2, "little") + bytes.fromhex("ff7fffff"), 0x09F10D1E)
        for chunks in s.step(now, {"backbone": [order]} if k % 5 == 0 else {}).values():
            own += [c for c in chunks if c.can_id >= 0]
    assert s.world.vehicle.commands["rudder"] == pytest.approx(-0.349)
    got, body = read(own), s.world.own
    vx, vy = body.velocity
    heading = math.pi / 2 - body.yaw
    last = {pgn: values[-1] for pgn, values in got.items()}
    assert math.remainder(last[127250]["heading"] - heading, math.tau) == pytest.approx(0.0, abs=0.05)
    assert last[127250]["reference"] == "True"
    assert last[127251]["rate"] == pytest.approx(-body.yaw_rate, abs=0.01)
    assert last[127251]["rate"] > 0.02  # starboard rudder turns her to starboard
    assert last[127245]["position"] == pytest.approx(0.349, abs=0.03)
    assert last[128259]["speedWaterReferenced"] == pytest.approx(body.feedback["water_speed"], abs=0.3)
    assert last[129026]["sog"] == pytest.approx(math.hypot(vx, vy), abs=0.3)
    assert math.remainder(last[129026]["cog"] - math.atan2(vx, vy), math.tau) == pytest.approx(0.0, abs=0.2)
    place = s.world.frame.geodetic(*body.point(1.0, 0.0), 3.0)
    for pgn in (129025, 129029):
        assert last[pgn]["latitude"] == pytest.approx(place.lat_deg, abs=5e-5)
        assert last[pgn]["longitude"] == pytest.approx(place.lon_deg, abs=5e-5)
    assert (last[129029]["method"], last[129029]["numberOfSvs"], last[129029]["hdop"]) == ("DGNSS fix", 12, 0.9)
    assert last[129029]["altitude"] == pytest.approx(place.alt_m, abs=0.1)
    ferry = s.world.others[0].body
    assert last[129038]["sog"] == pytest.approx(ferry.speed, abs=0.4)
    assert math.remainder(last[129038]["heading"] - math.pi / 2 + ferry.yaw, math.tau) == pytest.approx(0, abs=1e-3)
    assert last[129038]["aisTransceiverInformation"] == "Channel A VDL reception"
    size = {"length": 28.0, "beam": 8.0, "positionReferenceFromStarboard": 4.0, "positionReferenceFromBow": 14.0}
    assert {k: got[129794][0][k] for k in size} == size
    assert got[129794][0]["name"].strip("@ ") == "FERRY"


def test_without_orders_the_rudder_goes_amidships() -> None:
    s = Simulation(load_scenario("ship_straight", platform="ship_n2k"))
    order = Chunk(bytes.fromhex("00f8a20dff7fffff"), 0x09F10D1E)
    s.step(0.0, {"backbone": [order]})
    assert s.world.vehicle.commands["rudder"] == pytest.approx(-0.349)
    s.step(0.4, {})
    assert s.world.vehicle.commands["rudder"] == pytest.approx(-0.349)
    s.step(0.6, {})
    assert s.world.vehicle.commands["rudder"] == 0.0


@pytest.mark.parametrize(
    ("data", "can_id", "reason"),
    [
        ("00f8a20dff7fffff", 0x09F10D1E + 256, "unknown"),
        ("00f8a20d0000ffff", 0x09F10D1E, "not_an_order"),
        ("00f8ff7fff7fffff", 0x09F10D1E, "field"),
        ("00f8a20d", 0x09F10D1E, "unknown"),
    ],
)
def test_bad_orders_are_counted_not_obeyed(data: str, can_id: int, reason: str) -> None:
    s = Simulation(load_scenario("ship_straight", platform="ship_n2k"))
    s.step(0.0, {"backbone": [Chunk(bytes.fromhex(data), can_id)]})
    assert s.world.vehicle.commands["rudder"] == 0.0
    assert s.peers["backbone"].rejected == {reason: 1}


def test_over_the_real_multicast_bus(tmp_path: Path) -> None:
    """29-bit identifiers both ways: claims and requests of the driver reach the peers, their frames the driver."""
    line = open_line("backbone", Wire.CAN, "", tmp_path)
    transport = open_transport(line.url)
    s = Simulation(load_scenario("ship_straight", platform="ship_n2k"))
    driver = build_driver(s.scenario.platform, "backbone")
    samples = []
    for k in range(200):
        now = k / 50
        result = driver.step(now, transport.read(now))
        for data in result.to_send:
            assert transport.write(reframed(data, transport.framing))
        samples += result.samples
        line.write(list(s.peers["backbone"].step(now, line.read(), s.world).to_send))
        time.sleep(0.001)
    assert {type(x).__name__ for x in samples} >= {"GnssFix", "GnssVelocity", "Heading", "Imu", "JointState"}
    assert driver.stats.rejected == {}
    assert driver.stats.last_t["address_claim"] < 1.0  # what the peers answer to the request
    transport.close()
    line.close()

"""Somebody's autopilot simulator, named by GILJABI_AUTOPILOT (tcp:127.0.0.1:5760), flown by the whole stack."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymavlink.dialects.v20 import ardupilotmega as dialect
from pymavlink.quaternion import QuaternionBase

from giljabi._core.guard import WireEncoder
from giljabi.frames import LocalFrame
from giljabi.types import Origin
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_frames import signing_stamp
from giljabi_drivers.mavlink_requests import FENCE, MISSION, RALLY, Download, Item, Upload

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import autopilot
from autopilot_rig import DEVICE, Rig, changed

URL = os.environ.get("GILJABI_AUTOPILOT", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not URL, reason="GILJABI_AUTOPILOT names no autopilot's simulator; docs/drone.md has how to"),
]
RELATIVE, GLOBAL = 3, 0  # MAV_FRAME_GLOBAL_RELATIVE_ALT, MAV_FRAME_GLOBAL
TAKEOFF, WAYPOINT, RALLY_POINT, POLYGON_IN = 22, 16, 5100, 5001  # MAV_CMD


@pytest.fixture
def args() -> Iterator[argparse.Namespace]:
    speed = os.environ.get("GILJABI_AUTOPILOT_SPEED", "0")
    a = autopilot.arguments(["--device", URL, "--missions", "1", "--speed", speed])
    autopilot.prepare(a)
    yield a
    a.rig.transport.close()


def near(rig: Rig, x: float, y: float) -> tuple[int, int]:
    """1e-7 degrees of a place x m east and y m north of the autopilot's origin."""
    assert rig.origin is not None
    frame = LocalFrame(Origin(rig.origin.lat_deg, rig.origin.lon_deg, 0.0))
    lat, lon, _ = frame.geodetic_from_map([x, y, 0.0])
    return round(lat * 1e7), round(lon * 1e7)


def test_lists_go_up_and_come_down_again(args: argparse.Namespace) -> None:
    rig = autopilot.begin(args)
    assert rig.stack is not None
    rig.run(60.0, lambda now: rig.origin is not None, "the autopilot's origin")
    driver = rig.stack.drivers[DEVICE]
    assert isinstance(driver, MavlinkDriver)
    ways = [
        Item(WAYPOINT, GLOBAL, x=near(rig, 0, 0)[0], y=near(rig, 0, 0)[1]),  # home, which ArduPilot fills in itself
        Item(TAKEOFF, RELATIVE, z=12.0),
        *(Item(WAYPOINT, RELATIVE, x=a, y=b, z=12.0) for a, b in (near(rig, 20, 0), near(rig, 20, 20))),
    ]
    corners = [near(rig, x, y) for x, y in ((-300, -300), (300, -300), (300, 300), (-300, 300))]
    fence = [Item(POLYGON_IN, GLOBAL, (4.0, 0, 0, 0), a, b) for a, b in corners]
    rally = [Item(RALLY_POINT, RELATIVE, x=near(rig, 5, 5)[0], y=near(rig, 5, 5)[1], z=15.0)]
    for kind, items in ((MISSION, ways), (FENCE, fence), (RALLY, rally)):
        up = Upload(driver.target, items, kind)
        driver.begin(up)
        rig.run(30.0, lambda now: up.done, up.what)  # noqa: B023
        assert up.error == ""
        down = Download(driver.target, kind)
        driver.begin(down)
        rig.run(30.0, lambda now: down.done, down.what)  # noqa: B023
        assert down.error == ""
        first = 1 if kind == MISSION else 0
        got = [(i.command, i.x, i.y) for i in down.items[first:]]
        assert got == [(i.command, i.x, i.y) for i in items[first:]]
    clear = Upload(driver.target, [], FENCE)
    driver.begin(clear)
    rig.run(30.0, lambda now: clear.done, clear.what)
    assert clear.error == ""


def test_a_square_is_flown_home(args: argparse.Namespace) -> None:
    figures = autopilot.square(args)
    assert figures["home_m"] < 1.5
    assert figures["line_max_m"] < 2.0


def test_the_planner_dies_and_it_stops(args: argparse.Namespace) -> None:
    figures = autopilot.planner_dies(args)
    assert figures["held"], figures
    assert not math.isnan(figures["rest_s"])


def test_a_mission_over_a_bad_line(args: argparse.Namespace) -> None:
    figures = autopilot.missions(args)
    assert figures["failed"] == []
    assert min(figures["frames_lost"]) > 0


def told_key(rig: Rig, key: bytes) -> None:
    """Gives the autopilot a signing key over its first port, which it trusts; 32 zeros take it away."""
    mav = dialect.MAVLink(None, srcSystem=255, srcComponent=1)
    message = dialect.MAVLink_setup_signing_message(1, 1, list(key), signing_stamp(rig.clock.now()))
    for _ in range(3):
        rig.transport.write(bytes(message.pack(mav)))
        wait(rig, 0.3)


def wait(rig: Rig, seconds: float) -> None:
    end = rig.clock.now() + seconds
    rig.run(seconds + 10.0, lambda now: now > end, "waiting")


def test_with_a_key_only_what_is_signed_with_it_counts(args: argparse.Namespace, tmp_path: Path) -> None:
    rig, keys = args.rig, {"ours": bytes(range(1, 33)), "another": bytes(range(2, 34))}
    for name, key in keys.items():
        (tmp_path / name).write_bytes(key)
    signed = {
        name: changed("drone", {"drivers.autopilot.options.signing_key_file": str(tmp_path / name)}) for name in keys
    }
    driver = rig.use(signed["ours"])
    wait(rig, 3.0)
    assert "HEARTBEAT" not in driver.stats.last_t  # it does not sign yet
    assert driver.stats.rejected["unsigned"] > 20
    told_key(rig, keys["ours"])
    try:
        driver = rig.use(signed["another"])
        wait(rig, 3.0)
        assert "HEARTBEAT" not in driver.stats.last_t
        assert driver.stats.rejected["signature"] > 20
        driver = rig.use(signed["ours"])
        rig.fly_route(autopilot.SMALL, 4.0)
        rig.disarm()
        assert {"unsigned", "signature", "replayed"} & set(driver.stats.rejected) == set()
    finally:
        told_key(rig, bytes(32))


ATTITUDE = {"roll": 0.0, "pitch": 0.0, "yaw": math.pi / 2.0, "thrust": 0.5}
RATES = {"roll_rate": 0.0, "pitch_rate": 0.0, "yaw_rate": 0.0, "thrust": 0.5}


def fly_raw(rig: Rig, values: dict[str, float], seconds: float) -> Any:
    """Says a setpoint 50 times a second, without the stack; the last ATTITUDE_QUATERNION that comes."""
    limits = {n: (-10.0, 10.0) for n in values}
    inputs = "".join(
        f"  {n}: {{unit: '1', min: -10, max: 10, rate_max: 1000, driver: autopilot, safe: {{value: 0, rate: 1000}}}}\n"
        for n in values
    )
    platform = changed(
        "drone", {"actuators": yaml.safe_load(inputs), "guard.fence": {}, "steps.controller.options": {}}
    )
    table = MavlinkDriver(platform, DEVICE).encode_table()
    assert table is not None
    encoder, ear, last = WireEncoder(table, limits), dialect.MAVLink(None), None
    ear.robust_parsing = True
    end = rig.clock.now() + seconds
    while (now := rig.clock.now()) < end:
        for r in rig.transport.read(now):
            rig.ear.hear(now, r.data)
            for m in ear.parse_buffer(r.data) or ():
                last = m if m.get_type() == "ATTITUDE_QUATERNION" else last
        for name in ("heartbeat", "setpoint"):
            rig.transport.write(encoder.encode(name, values, t=now))
        time.sleep(0.02)
    assert last is not None
    return last


def test_attitudes_and_body_rates_are_flown(args: argparse.Namespace) -> None:
    """Nose to the north and 0.2 rad down: it leans so and leaves to the north. Then it turns by a rate."""
    rig = autopilot.begin(args)
    rig.fly_route([(0.0, 0.0, 0.0), (0.0, 0.0, 12.0)], 2.0)
    wait(rig, 1.0)
    m = fly_raw(rig, ATTITUDE | {"pitch": 0.2, "roll": 0.05}, 3.0)
    roll, pitch, yaw = QuaternionBase([m.q1, m.q2, m.q3, m.q4]).euler
    assert (roll, pitch, yaw) == pytest.approx((0.05, -0.2, 0.0), abs=0.05)
    m = fly_raw(rig, ATTITUDE, 3.0)
    m = fly_raw(rig, RATES | {"yaw_rate": 0.5}, 1.5)
    assert m.yawspeed == pytest.approx(-0.5, abs=0.1)
    assert (m.rollspeed, m.pitchspeed) == pytest.approx((0.0, 0.0), abs=0.1)
    fly_raw(rig, ATTITUDE, 2.0)
    autopilot.recover(rig)

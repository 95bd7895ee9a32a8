"""Somebody's autopilot simulator, named by GILJABI_AUTOPILOT (tcp:127.0.0.1:5760), flown by the whole stack."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from giljabi.frames import LocalFrame
from giljabi.types import Origin
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_requests import FENCE, MISSION, RALLY, Download, Item, Upload

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import autopilot
from autopilot_rig import DEVICE, Rig

URL = os.environ.get("GILJABI_AUTOPILOT", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not URL, reason="GILJABI_AUTOPILOT names no autopilot's simulator; docs/drone.md has how to"),
]
RELATIVE, GLOBAL = 3, 0  # MAV_FRAME_GLOBAL_RELATIVE_ALT, MAV_FRAME_GLOBAL
TAKEOFF, WAYPOINT, RALLY_POINT, POLYGON_IN = 22, 16, 5100, 5001  # MAV_CMD


@pytest.fixture
def args() -> Iterator[argparse.Namespace]:
    a = autopilot.arguments(["--device", URL, "--missions", "1"])
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

"""A ship whose autopilot has the rudder: passages by heading orders, in lock-step and over pseudo-terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from giljabi_sim.hil_lockstep import HilLockStep
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.nmea import NmeaPeer
from giljabi_sim.scenario import load_scenario


@pytest.mark.parametrize(("name", "most"), [("ship_straight", 1.0), ("ship_crossing", 10.0)])  # she gives way in it
def test_she_sails_by_heading_orders(name: str, most: float) -> None:
    loop = LockStep(load_scenario(name, platform="ship_autopilot"))
    report = loop.run().report
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    assert report["cross_track_rms_m"] < most
    bridge = loop.simulation.peers["bridge"]
    assert isinstance(bridge, NmeaPeer)
    assert bridge.rejected == {}
    assert (bridge.helm.mode, bridge.helm.override) == ("H", False)


def test_she_turns_through_north_over_a_pseudo_terminal(tmp_path: Path) -> None:
    """From north-east to north-west: yaw passes 90 degrees, the heading on the wire 360."""
    way = ["start.yaw_deg=60", "route.points=[[0, 0], [20, 35], [20, 60], [0, 95], [-20, 130]]", "duration_s=80"]
    loop = HilLockStep(load_scenario("ship_straight", [*way, "asserts=[]"], platform="ship_autopilot"), tmp_path)
    headings = []
    try:
        bridge = loop.simulation.peers["bridge"]
        assert isinstance(bridge, NmeaPeer)
        order = bridge.helm.order

        def listened(fields: list[str]) -> str:
            headings.append(float(fields[10]))
            return order(fields)

        bridge.helm.order = listened  # type: ignore[method-assign, assignment]
        report = loop.run().report
    finally:
        loop.close()
    assert report["outcome"] == "arrived"
    assert report["cross_track_rms_m"] < 3.0
    assert min(headings) < 60.0
    assert max(headings) > 300.0
    assert not [h for h in headings if 90.0 < h < 270.0]  # never the long way round


def test_a_hand_on_the_wheel_disarms() -> None:
    loop = LockStep(load_scenario("ship_straight", ["duration_s=20"], platform="ship_autopilot"))
    bridge = loop.simulation.peers["bridge"]
    assert isinstance(bridge, NmeaPeer)
    armed = {}

    def take_the_wheel(now: float) -> None:
        armed[now] = loop.stack.guard.state(now).armed
        bridge.helm.override = now >= 15.0

    loop.run(take_the_wheel)
    assert all(a for t, a in armed.items() if 5.0 < t < 15.0)
    assert not any(a for t, a in armed.items() if t > 16.0)
    _, events = loop.stack.guard.events()
    assert any("disarmed: the heading control steers by override, not by our orders" in e.what for e in events)

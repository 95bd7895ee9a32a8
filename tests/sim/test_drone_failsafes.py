"""Failsafes of the drone in lock-step: the scenarios, and that they fail when the table is away."""

from __future__ import annotations

from typing import Any

import pytest

from giljabi_sim.lockstep import LockStep
from giljabi_sim.scenario import load_scenario


def fly(name: str, *overrides: str) -> tuple[dict[str, Any], LockStep]:
    loop = LockStep(load_scenario(name, overrides))
    return loop.run().report, loop


def held(report: dict[str, Any]) -> dict[str, bool]:
    return {a["name"]: a["held"] for a in report["asserts"]}


FAILSAFES = ["drone_battery_low", "drone_gnss_lost", "drone_link_lost"]


@pytest.mark.parametrize("name", FAILSAFES)
def test_a_failsafe_brings_it_down_where_it_shall(name: str) -> None:
    report, _ = fly(name)
    assert all(held(report).values()), held(report)


@pytest.mark.parametrize("name", FAILSAFES)
def test_without_the_table_it_does_not(name: str) -> None:
    """What the scenarios hold comes from the table of the platform file, and from nothing else."""
    scenario = load_scenario(name, ("actions=[]", "duration_s=70"))
    object.__setattr__(scenario.platform.model, "failsafes", None)
    report = LockStep(scenario).run().report
    assert not all(held(report).values())


def test_a_landing_is_not_called_back_when_the_estimate_is_lost_on_the_way_down() -> None:
    """The estimate dies with the landing under way: the guard's ladder says neither hold nor return."""
    modes: list[int] = []
    fault = "what=silent where=estimator begin=31"
    loop = LockStep(load_scenario("drone_gnss_lost", ("asserts=[]",), faults=(fault,)), _Modes(modes))
    loop.run()
    assert modes == [0, 4, 9]  # STABILIZE, GUIDED, LAND
    assert loop.simulation.world.own.z < 0.5


class _Modes:
    """The autopilot's modes in their order."""

    def __init__(self, modes: list[int]) -> None:
        self._modes = modes

    def tick(self, now: float, simulation: Any, stack: Any) -> None:
        mode = simulation.peers["autopilot"].pilot.mode
        if mode not in self._modes[-1:]:
            self._modes.append(mode)

    def wire(self, *args: Any) -> None:
        pass


def test_a_mission_that_the_battery_does_not_bring_home_does_not_start() -> None:
    loop = LockStep(load_scenario("drone_link_lost", ("start.charge=0.38", "asserts=[]", "faults=[]")))
    result = loop.run()
    assert any("range: it needs" in r and "short" in r for r in result.reasons), result.reasons

"""Missions and failsafes of the drone in lock-step: the scenarios, and that they fail when the feature is away."""

from __future__ import annotations

import math
from typing import Any

import pytest

from giljabi.types import BadInputError, GiljabiError
from giljabi_sim.lockstep import LockStep
from giljabi_sim.scenario import load_scenario


def fly(name: str, *overrides: str) -> tuple[dict[str, Any], LockStep]:
    loop = LockStep(load_scenario(name, overrides))
    return loop.run().report, loop


def held(report: dict[str, Any]) -> dict[str, bool]:
    return {a["name"]: a["held"] for a in report["asserts"]}


def test_a_mission_file_with_survey_orbit_and_loiter_is_flown() -> None:
    report, _ = fly("drone_mission")
    assert report["outcome"] == "arrived"
    assert all(held(report).values()), held(report)


def test_orders_on_the_way() -> None:
    report, loop = fly("drone_mission_orders")
    assert all(held(report).values()), held(report)
    assert [(what, words) for _, what, words in loop.answers][4:] == [
        ("skip", "goes to step 5 of 6 (waypoint)"),
        ("load", "mission: its fences are not those in force; disarm before they are changed"),
        ("load", "goes on at step 5 of 6"),
        ("return", "returns"),
    ]


def test_without_the_orders_the_asserts_do_not_hold() -> None:
    report, _ = fly("drone_mission_orders", "actions=[]", "duration_s=60")
    assert not held(report)["pauses"]
    assert not held(report)["comes down at home"]


def test_an_answer_other_than_the_scenario_says_ends_the_run() -> None:
    with pytest.raises(GiljabiError, match="at 14 s 'pause' was done"):
        fly("drone_mission_orders", "actions.0.refused=true")


def test_a_mission_file_that_is_not_there_or_wrong_is_named(tmp_path: Any) -> None:
    with pytest.raises(BadInputError, match=r"drone_mission.yaml:\d+: no mission file 'none.yaml'"):
        load_scenario("drone_mission", ("mission=none.yaml",))
    file = tmp_path / "bad.yaml"
    file.write_text("items:\n- {kind: hover}\n")
    with pytest.raises(BadInputError, match=r"bad.yaml:2: "):
        load_scenario("drone_mission", (f"mission={file}",))


def test_any_mission_file_replaces_a_scenarios_way(tmp_path: Any) -> None:
    file = tmp_path / "short.yaml"
    place = "lat_deg: 47.39, lon_deg: 8.54"
    steps = f"- {{kind: takeoff, alt_m: 8}}\n- {{kind: loiter, hold_s: 2, {place}}}\n- {{kind: land}}\n"
    file.write_text(f"home: {{{place}}}\nitems:\n{steps}")
    report = LockStep(load_scenario("drone_square", mission=str(file))).run().report
    assert report["outcome"] == "arrived"
    assert report["t_end_s"] < 40


@pytest.mark.parametrize(("speed", "from_deg"), [(0.0, 0.0), (6.0, 250.0), (8.0, 20.0)])
def test_the_wind_is_measured_in_gusts(speed: float, from_deg: float) -> None:
    wind = f"world.wind={{speed: {speed}, from_deg: {from_deg}, turbulence: dryden}}"
    loop = LockStep(load_scenario("drone_square", (wind,)))
    planner: Any = loop.stack.planner
    loop.run()
    measured = planner.wind()
    to = math.radians(from_deg + 180.0)
    assert measured.velocity == pytest.approx([speed * math.sin(to), speed * math.cos(to)], abs=1.5)
    assert measured.t > 40.0

"""The whole stack against the plants, byte for byte, without ROS."""

from __future__ import annotations

import filecmp
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from giljabi.cli import main
from giljabi.types import BadInputError, MissionPhase
from giljabi_sim import judge
from giljabi_sim.lockstep import LockStep, Result
from giljabi_sim.scenario import load_scenario


def run(name: str, *overrides: str, seed: int | None = None) -> tuple[LockStep, Result]:
    loop = LockStep(load_scenario(name, overrides, seed=seed))
    return loop, loop.run()


def held(report: dict[str, Any]) -> dict[str, bool]:
    return {a["name"]: a["held"] for a in report["asserts"]}


def test_ship_sails_straight() -> None:
    loop, result = run("ship_straight")
    assert result.report["outcome"] == "arrived"
    assert all(held(result.report).values())
    assert result.report["cross_track_rms_m"] < 2.0
    assert 100.0 < result.report["path_m"] < 125.0
    # All of it went through bytes: thousands of valid orders, none refused, everything decoded.
    assert loop.simulation.peers["bridge"].accepted > 500
    assert loop.simulation.peers["bridge"].rejected == {}
    assert loop.stack.drivers["bridge"].stats.rejected == {}


def test_car_drives_straight() -> None:
    loop, result = run("car_straight")
    assert result.report["outcome"] == "arrived"
    assert all(held(result.report).values())
    assert loop.simulation.peers["vehicle"].accepted > 1000
    assert set(loop.simulation.peers["vehicle"].rejected) <= {"not_enabled"}  # before arming


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_ship_passes_the_ferry(seed: int) -> None:
    _, result = run("ship_crossing", seed=seed)
    assert result.report["outcome"] == "arrived"
    assert result.report["t_end_s"] < 100.0
    assert result.report["min_distance_m"] > 12.0
    assert all(held(result.report).values())


@pytest.mark.slow
def test_without_ais_the_ferry_is_not_avoided() -> None:
    """The encounter is real: the same scenario ends in less than the clearance when nobody tells of the ferry."""
    _, result = run("ship_crossing", "faults=[{what: silent, where: ais, begin: 0}]")
    assert result.report["min_distance_m"] < 6.0


@pytest.mark.slow
def test_car_laps_past_the_van() -> None:
    _, result = run("car_lap")
    assert result.report["outcome"] == "arrived"
    assert result.report["t_end_s"] < 100.0
    assert result.report["min_distance_m"] > 0.5
    assert result.report["min_edge_margin_m"] > 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ship_gnss_lost", "ship_gnss_log_lost", "ship_planner_silent", "car_controller_silent"]
)
def test_faults_end_at_standstill_and_are_consumed(name: str) -> None:
    _, result = run(name)
    assert all(held(result.report).values()), result.report
    assert all(f["consumed"] for f in result.report["faults"])


WEATHER = "world={wind: {speed: 5.0, from_deg: 250.0, gust: 1.0}, current: {speed: 0.15, to_deg: 120.0}}"


@pytest.mark.slow
def test_a_planner_that_comes_back_changes_nothing_by_itself() -> None:
    """It is found paused, the guard keeps the safe output, and the ship stays where she stopped."""
    loop, result = run(
        "ship_planner_silent", "faults=[{what: silent, where: planner, begin: 40, end: 52}]", WEATHER,
        "asserts=[{name: stays, expression: \"t < 44 or mode == 'minimum_risk'\", always: true}]",
    )  # fmt: skip
    assert held(result.report) == {"stays": True}
    assert result.report["path_m"] < 190.0
    state = loop.stack.state(result.report["t_end_s"])
    assert state.reasons[0].startswith("supervisor: planner: no word for ")
    assert loop.stack.latest.mission is not None
    assert loop.stack.latest.mission.phase is MissionPhase.PAUSED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stopped"), [("ship_planner_silent", 70), ("ship_gnss_lost", 70), ("ship_crossing", 102)]
)
def test_a_stop_in_wind_and_current_settles(name: str, stopped: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along the body, which is all that one propeller can hold; no swinging about the place of the stop."""
    monkeypatch.setattr(judge, "PATIENCE", 1e9)
    loop = LockStep(load_scenario(name, [WEATHER, "duration_s=160", "asserts=[]", "route.arrival_radius=0.001"]))
    speeds = []
    for tick in range(round((stopped + 30.0) * loop._rate)):
        loop._tick(tick / loop._rate)
        if tick > stopped * loop._rate:
            speeds.append(loop.simulation.world.own.vx)
    assert max(abs(v) for v in speeds) < 0.15
    assert sum(a * b < 0.0 for a, b in itertools.pairwise(speeds)) <= 2


def test_a_controller_that_is_late_is_followed_again_and_a_lost_one_is_not() -> None:
    """0.6 s without commands at 8 m/s: the brakes come on and go off again; 1.2 s need a person."""
    asserts = "asserts=[{name: goes on, expression: \"t < 8 or mode == 'auto'\", always: true}]"
    _, late = run("car_straight", "faults=[{what: silent, where: controller, begin: 9, end: 9.6}]", asserts)
    assert late.report["outcome"] == "arrived"
    assert held(late.report) == {"goes on": True}
    _, lost = run("car_straight", "faults=[{what: silent, where: controller, begin: 9, end: 10.2}]", asserts)
    assert lost.report["outcome"] == "stopped"
    assert held(lost.report) == {"goes on": False}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_stack_says_arrived_soon_after_the_ship_is_there(seed: int) -> None:
    """12 m before the goal she makes 2 m/s: 11 s of braking within her limits are left, and no creeping."""
    loop, result = run(
        "ship_crossing", "duration_s=96", "route.arrival_radius=0.001",
        "asserts=[{name: arrives, expression: \"phase == 'arrived'\", by: 92.0}]", seed=seed,
    )  # fmt: skip
    assert held(result.report) == {"arrives": True}
    end, own = loop.simulation.world.line.points[-1], loop.simulation.world.own
    assert math.hypot(own.x - end[0], own.y - end[1]) < 4.0


@pytest.mark.slow
def test_the_guard_stops_the_car_inside_the_fence() -> None:
    loop, result = run("car_fence")
    assert all(held(result.report).values()), result.report
    reason = loop.stack.state(result.report["t_end_s"]).reasons[0]
    assert reason.startswith("fence: it would be left within the ")


def test_dead_commands_stop_the_car_by_its_own_watchdog() -> None:
    _, result = run("car_straight", "faults=[{what: silent, where: commands, begin: 6}]",
                    "asserts=[{name: stops, expression: speed < 0.1 and t > 6, by: 14}]", "duration_s=16")  # fmt: skip
    assert held(result.report) == {"stops": True}


def test_a_stack_that_cannot_arm_says_why() -> None:
    _, result = run("ship_straight", "faults=[{what: silent, where: compass, begin: 0}]")
    assert result.report["outcome"] == "timeout"
    assert any("compass" in r or "heading" in r for r in result.reasons)


def test_estimate_stays_near_the_truth() -> None:
    loop, _ = run("car_straight", "asserts=[{name: near, expression: position_error < 0.6 or t < 1, always: true}]")
    assert held(loop.simulation.judge.report()) == {"near": True}
    odom, own = loop.stack.latest.odom, loop.simulation.world.own
    assert odom is not None
    assert math.hypot(odom.position[0] - own.x, odom.position[1] - own.y) < 0.6


def test_same_seed_same_files_other_seed_other_files(tmp_path: Path) -> None:
    for folder, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        code = main(
            [
                "sim",
                "ship_straight",
                "--seed",
                seed,
                "--out",
                str(tmp_path / folder),
                "--json",
                str(tmp_path / f"{folder}.json"),
            ]
        )
        assert code == 0
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert {"run.csv", "result.json", "picture.png", "bridge.log", "bridge.sent.log"} <= set(names)
    _, different, odd = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)
    assert (different, odd) == ([], [])
    assert filecmp.cmp(tmp_path / "a.json", tmp_path / "b.json", shallow=False)
    _, different, _ = filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", names, shallow=False)
    assert {"run.csv", "bridge.log", "bridge.sent.log"} <= set(different)


def test_json_on_standard_output_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "ship_straight", "--set", "duration_s=3", "--json", "-"]) == 1
    out = capsys.readouterr()
    report = json.loads(out.out)
    assert set(report) >= {
        "scenario",
        "platform",
        "seed",
        "outcome",
        "t_end_s",
        "min_distance_m",
        "cross_track_rms_m",
        "path_m",
        "asserts",
    }
    assert report["outcome"] == "timeout"
    assert report["min_distance_m"] is None  # nothing else on the water


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["sim"], "SCENARIO"),
        (["sim", "no_such"], "known scenarios are"),
        (["sim", "no/such.yaml"], "no/such.yaml:1:"),
        (["sim", "ship_straight", "--seed", "-1"], "seed"),
        (["sim", "ship_straight", "--seed", "x"], "seed"),
        (["sim", "ship_straight", "--set", "route.speed=9"], "speed_max"),
        (["sim", "ship_straight", "--set", "asserts=[{name: a, expression: foo > 1}]"], "unknown signal 'foo'"),
        (["sim", "ship_straight", "--set", "faults=[{what: silent, where: nobody, begin: 1}]"], "ship_straight.yaml:"),
        (["sim", "ship_straight", "--track", "x.csv"], "track"),
        (["sim", "car_lap", "--track", "x.csv"], "x.csv:1: cannot be read"),
        (["sim", "ship_straight", "--out", "/proc/none"], "/proc/none"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


def test_a_longer_track_has_more_time(root: Path, tmp_path: Path) -> None:
    own = [[float(v) for v in text.split(",")] for text in
           (root / "config/tracks/harbour_loop.csv").read_text().splitlines() if text[:1] not in ("#", "")]  # fmt: skip
    track = tmp_path / "twice.csv"
    track.write_text("".join(f"{2 * x},{2 * y},{r},{w}\n" for x, y, r, w in own))
    file = load_scenario("car_lap").model.duration_s
    assert load_scenario("car_lap", track=str(track)).model.duration_s == pytest.approx(2 * file, abs=1)
    assert load_scenario("car_lap", ["duration_s=7"], track=str(track)).model.duration_s == 7


def test_another_track_can_be_given(tmp_path: Path) -> None:
    track = tmp_path / "oval.csv"
    rows = [
        f"{60 * math.cos(a):.3f},{40 * math.sin(a):.3f},5,5" for a in (2 * math.pi * k / 80 for k in range(80))
    ]  # fmt: skip
    track.write_text("# x_m,y_m,w_tr_right_m,w_tr_left_m\n" + "\n".join(rows) + "\n")
    scenario = load_scenario("car_lap", ["duration_s=5", "actors=[]"], track=str(track))
    loop = LockStep(scenario)
    assert loop.simulation.world.line.length == pytest.approx(317.0, abs=3.0)
    assert loop.run().report["min_edge_margin_m"] > 3.0


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("# a\n1,2,3\n", 2), ("1,2,3,x\n", 1), ("0,0,1,1\n1,0,1,1\n1,1,nan,1\n0,1,1,1\n", 3), ("0,0,1,0\n", 1)],
)
def test_bad_tracks_say_where(tmp_path: Path, text: str, line: int) -> None:
    track = tmp_path / "t.csv"
    track.write_text(text)
    with pytest.raises(BadInputError, match=rf"^{track}:{line}: "):
        LockStep(load_scenario("car_lap", track=str(track)))

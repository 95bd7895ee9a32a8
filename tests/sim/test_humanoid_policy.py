"""A learned policy in the stack: begun when asked for, led as `policy`, and minimum risk when it fails."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")
pytest.importorskip("onnx", reason="writes the models: pip install onnx")
pytest.importorskip("onnxruntime", reason="runs the models: pip install 'giljabi[policy]'")

from policy_rig import TEXT, write_policy
from walker_rig import WalkerRun

from giljabi.types import BadInputError
from giljabi_sim.lockstep import run_scenario
from giljabi_sim.scenario import load_scenario

STAY = ("actions=[{at: 0.1, do: pause}]", "asserts=[]", "world.pushes=[]")
ELBOWS = ("left_elbow", "right_elbow")


def standing(platform: Path) -> WalkerRun:
    run = WalkerRun(*STAY, platform=platform).until_armed()
    return run.after(3.5)


def test_it_leads_as_policy_and_the_walk_goes_on_when_it_is_done(tmp_path: Path) -> None:
    run = standing(write_policy(tmp_path, (-1.0, -0.9), TEXT + "seconds: 2.0\n"))
    assert run.state.mode == "auto"
    assert run.fast.ask("policy") == ""
    run.after(1.5)
    assert run.state.mode == "policy"
    guard = run.loop.stack.guard
    assert [round(guard.output()[n], 3) for n in ELBOWS] == [-1.0, -0.9]
    assert run.own.feedback["left_elbow"] == pytest.approx(-1.0, abs=0.03)
    assert "stand still before" in run.fast.ask("policy")
    run.after(4.0)
    assert run.state.mode == "auto"
    assert run.fast.manager.mode == "standing"
    assert not guard.counters()
    run.loop.stack.ask("resume")
    run.after(4.0)
    assert run.own.x > 0.3


@pytest.mark.parametrize("why", ["not finite", "late"])
def test_one_that_gives_no_numbers_or_is_late_ends_sitting_without_torque(tmp_path: Path, why: str) -> None:
    nan = why == "not finite"
    run = standing(write_policy(tmp_path, (math.nan, 0.0) if nan else (-1.0, -0.9)))
    if not nan:
        times = iter(0.02 * k for k in range(10**6))  # every answer takes 20 ms
        run.fast.use_clock(lambda: next(times))
    assert run.fast.ask("policy") == ""
    run.after(0.3)
    assert why in run.fast.doing() or "took" in run.fast.doing()
    assert run.state.mode == "auto"
    worst = 0.0
    for _ in range(150):
        run.after(0.1)
        worst = max(worst, run.own.feedback["tilt"])
        if not run.state.armed:
            break
    assert not run.state.armed
    assert "it has sat down" in "; ".join(run.state.reasons)
    assert run.own.z < 0.65 * run.vehicle.height
    assert worst < 0.8, "sat down, not fallen"


def test_while_it_leads_a_dead_loop_and_stop_bring_the_safe_output(tmp_path: Path) -> None:
    for stalled in (True, False):
        run = standing(write_policy(tmp_path, (-1.0, -0.9)))
        assert run.fast.ask("policy") == ""
        run.after(1.0)
        assert run.state.mode == "policy"
        if stalled:
            run.after(
                0.5,
                lambda _, run=run: setattr(
                    run.loop.simulation.world.faults, "silent", lambda what: what == "controller"
                ),
            )
            assert run.state.mode == "minimum_risk"
            assert "no command from 'policy'" in "; ".join(run.state.reasons)
        else:
            run.loop.stack.stop(run.now)
            run.after(0.1)
            assert run.state.mode == "stopped"


def test_a_scenario_asks_for_it_and_it_is_refused_with_words_where_there_is_none(tmp_path: Path) -> None:
    platform = str(write_policy(tmp_path, (-1.0, -0.9), TEXT + "seconds: 1.0\n"))
    actions = "actions=[{at: 0.1, do: pause}, {at: 3.5, do: policy}, {at: 7.5, do: resume}]"
    short = ["route.points=[[0, 0], [0.8, 0]]", "asserts=[]", "world.pushes=[]", "route.arrival_radius=0.25", actions]
    assert run_scenario(load_scenario("humanoid_walk", short, platform=platform)).report["outcome"] == "arrived"
    refused = "actions=[{at: 0.1, do: pause}, {at: 3.5, do: policy, refused: true}, {at: 3.6, do: resume}]"
    assert run_scenario(load_scenario("humanoid_walk", [*short[:-1], refused])).report["outcome"] == "arrived"


def test_a_policy_that_is_not_there_or_not_this_robots_is_an_error_when_the_stack_is_built(tmp_path: Path) -> None:
    for text, words in (
        (TEXT.replace("right_elbow", "tail"), r"policy.yaml:3: .*no joint 'tail'"),
        ("", "policy.yaml:1"),
    ):
        with pytest.raises(BadInputError, match=words):
            WalkerRun(platform=write_policy(tmp_path, (0.0, 0.0), text))
    platform = write_policy(tmp_path, (0.0, 0.0))
    (tmp_path / "policy.yaml").unlink()
    with pytest.raises(BadInputError, match=r"walker.yaml:\d+: no file .*policy.yaml"):
        WalkerRun(platform=platform)

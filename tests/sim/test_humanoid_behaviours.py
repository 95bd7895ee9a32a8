"""A walker in contact dynamics, through servo packets: gets up from each side."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.walking.behaviours.manager import Mode
from giljabi.walking.behaviours.policy import Policy
from giljabi.walking.behaviours.policy_file import LoadedPolicyFile
from giljabi.walking.behaviours.trajectory import JointTrajectory, read_trajectory
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.behave import Behave, go_down, stand_up
from giljabi_sim.humanoid.body import Ground, World

SMALL = load_walker("small")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("side", ["prone", "supine"])
def test_it_gets_up_from_its_face_and_from_its_back(side: str) -> None:
    row = stand_up(SMALL, World(Ground(friction=0.7)), 0, side)
    assert row.stood, row
    assert row.words == f"stand_up.{side} done"
    assert row.seconds < 10.0


def test_it_falls_lies_gets_up_when_asked_and_walks_on() -> None:
    run = Behave(SMALL, World(), 3)
    run.until(Mode.STANDING, 1.0)
    run.drop("prone", np.random.default_rng(4))
    assert run.until(Mode.LYING, 6.0)
    run.manager.ask("stand")
    assert run.until(Mode.STANDING, 10.0)
    end = run.body.now + 6.0
    start = run.body.pose[0]
    while run.body.now < end:
        run.tick(Velocity(0.2))
    assert run.stands
    assert float(np.hypot(*(run.body.pose[0] - start)[:2])) > 0.5


SEEDS = (1, 2, 3)  # where in a step the torque goes decides how hard one fall is


@pytest.mark.parametrize(("how", "speed"), [("sit", 0.2), ("kneel", 0.0)])
def test_it_goes_down_far_softer_than_it_falls_without_torque(how: str, speed: float) -> None:
    rows = [go_down(SMALL, World(), seed, how, speed) for seed in SEEDS]
    free = [go_down(SMALL, World(), seed, "free", speed) for seed in SEEDS]
    assert all(r.down for r in rows), rows
    assert not any(r.down for r in free)
    assert sum(r.peak_mps2 for r in rows) < 0.7 * sum(r.peak_mps2 for r in free)
    assert sum(r.contact_mps for r in rows) < 0.5 * sum(r.contact_mps for r in free)


def test_after_sitting_down_it_stands_up_again() -> None:
    run = Behave(SMALL, World(), 2)
    run.until(Mode.STANDING, 1.0)
    while run.body.now < 2.0:
        run.tick()
    assert run.manager.ask("minimum_risk") is None
    assert run.until(Mode.DOWN, 10.0)
    assert run.manager.words == "sit done, joints only damp"
    run.manager.ask("stand")
    run.tick()
    assert run.until(Mode.STANDING, 25.0)
    end = run.body.now + 2.0
    while run.body.now < end:
        run.tick()
    assert run.stands


def test_its_arm_waves_while_it_walks_and_then_hangs_as_before() -> None:
    run = Behave(SMALL, World(), 5)
    elbow = list(SMALL.walker.joints).index("right_elbow")
    played = []
    while run.body.now < 2.5:
        run.tick(Velocity(0.2))
    assert run.manager.play(read_trajectory(ROOT / "examples/humanoid/wave.csv"), "wave") is None
    while run.body.now < 8.0:
        played.append(run.tick(Velocity(0.2))[elbow])
    assert run.stands
    assert run.body.pose[0][0] > 0.6
    assert min(played) == pytest.approx(-1.2, abs=0.15)
    assert played[-1] == pytest.approx(-0.6, abs=0.1)


def test_a_trajectory_of_the_legs_plays_where_it_stands() -> None:
    run = Behave(SMALL, World(), 6)
    while run.body.now < 2.5:
        run.tick()
    m = run.manager
    half = m.motions.stand + 0.5 * (m.motions.squat - m.motions.stand)
    t = JointTrajectory(tuple(m.joint_names), np.array([0.0, 1.0, 2.0]), np.array([m.motions.stand, half, half]))
    assert m.play(t, "half a squat") is None
    assert m.mode == Mode.PERFORMING
    while run.body.now < 4.2:
        run.tick()
    assert run.body.pose[0][2] < run.stand_height - 0.015
    assert run.until(Mode.STANDING, 6.0)
    assert run.stands


def test_the_example_policy_learns_the_squat_and_does_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="runs the model: pip install 'giljabi[policy]'")
    pytest.importorskip("onnx", reason="writes the model: pip install onnx")
    for name in ("squat_policy.yaml", "make_squat_policy.py"):
        shutil.copy(ROOT / "examples/humanoid" / name, tmp_path / name)
    subprocess.run([sys.executable, str(tmp_path / "make_squat_policy.py")], check=True, timeout=200)
    run = Behave(SMALL, World(), 7)
    while run.body.now < 2.5:
        run.tick()
    policy = Policy(LoadedPolicyFile(tmp_path / "squat_policy.yaml"), run.manager.motions)
    assert run.manager.perform(policy) is None
    heights = []
    while run.manager.mode == Mode.PERFORMING and run.body.now < 12.0:
        run.tick()
        assert run.manager.source == "policy" or run.manager.mode != Mode.PERFORMING
        heights.append(float(run.body.pose[0][2]))
    deep = SMALL.walker.gait.height - SMALL.walker.gait.height_low
    assert run.stand_height - min(heights) > 0.6 * deep
    assert policy.misses == {"late": 0, "not finite": 0, "out of range": 0}
    assert policy.answers > 900
    assert run.until(Mode.STANDING, 5.0)
    assert run.stands

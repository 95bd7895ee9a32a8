"""Learned policies: real models by onnx, run by onnxruntime, inside the limits of the robot and of their file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="kinematics of walkers: pip install 'giljabi[humanoid]'")
pytest.importorskip("onnx", reason="writes the models: pip install onnx")
pytest.importorskip("onnxruntime", reason="runs the models: pip install 'giljabi[policy]'")

import onnx

from giljabi.safety.guard import gives_back
from giljabi.types import Array, BadInputError
from giljabi.walking.base_estimation import GRAVITY
from giljabi.walking.behaviours.manager import Manager, Mode
from giljabi.walking.behaviours.motions import Motions, Status
from giljabi.walking.behaviours.policy import Policy
from giljabi.walking.behaviours.policy_file import LoadedPolicyFile
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import load_walker

SMALL = load_walker("small")
MOTIONS = Motions(SMALL, Kinematics(SMALL))
NAMES = list(SMALL.walker.joints)
KNEE, ELBOW = NAMES.index("left_knee"), NAMES.index("left_elbow")
UP = np.array([0.0, 0.0, 1.0])
DT = 0.008
TEXT = """\
model: m.onnx
rate_hz: 62.5
joints: [left_knee, left_elbow]
observations:
  - {name: up, scale: 2.0}
  - {name: gyro, scale: [1.0, 2.0, 3.0]}
  - {name: joint_positions}
  - {name: joint_velocities, scale: 0.1}
  - {name: last_action}
  - {name: command}
  - {name: clock, period_s: 2.0}
history: 2
action: {scale: [0.5, 0.25], offset: {left_elbow: -1.0}, clip: 3.0}
misses: 3
"""
FRAME = 3 + 3 + 2 + 2 + 2 + 3 + 2


def write(tmp_path: Path, weights: Array, bias: Array, text: str = TEXT) -> Path:
    """A linear model (1, n) -> (1, m) and its file."""
    n, m = weights.shape
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "linear",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, n])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, m])],
        [onnx.numpy_helper.from_array(np.asarray(v, dtype=np.float32), k) for k, v in (("w", weights), ("b", bias))],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return path


def constant(tmp_path: Path, values: list[float], text: str = TEXT) -> Policy:
    """A policy that always answers the same."""
    path = write(tmp_path, np.zeros((2 * FRAME, 2)), np.array(values), text)
    return Policy(LoadedPolicyFile(path), MOTIONS)


def at(joints: Array) -> Senses:
    return Senses(np.array([0.1, -0.2, 0.3]), np.array([0.0, 0.0, GRAVITY]), joints)


def test_what_the_model_sees_is_what_the_file_names_scaled_and_in_order(tmp_path: Path) -> None:
    seen: list[Array] = []

    def model(x: Array) -> Array:
        seen.append(np.array(x[0], dtype=np.float64))
        return np.array([[0.4, -0.8]], dtype=np.float32)

    path = write(tmp_path, np.zeros((2 * FRAME, 2)), np.zeros(2))
    policy = Policy(LoadedPolicyFile(path), MOTIONS, model=model)  # a spy in the model's place, for this test alone
    q = MOTIONS.stand.copy()
    policy.step(5.0, at(q), UP, Velocity(0.2, 0.1, -0.3))
    q[KNEE] += 0.032
    policy.step(5.0 + 0.5, at(q), UP, Velocity(0.2, 0.1, -0.3))
    elbow = MOTIONS.stand[ELBOW] + 1.0
    first = [0, 0, 2, 0.1, -0.4, 0.9, 0, elbow, 0, 0, 0, 0, 0.2, 0.1, -0.3, 0, 1]
    second = [0, 0, 2, 0.1, -0.4, 0.9, 0.032, elbow, 0.1 * 0.032 * 62.5, 0, 0.4, -0.8, 0.2, 0.1, -0.3, 1, 0]
    assert seen[0] == pytest.approx(first + first, abs=1e-6)
    assert seen[1] == pytest.approx(first + second, abs=1e-6)


def test_actions_become_targets_by_offset_and_scale_and_other_joints_stay(tmp_path: Path) -> None:
    policy = constant(tmp_path, [0.4, -0.8])
    for k in range(100):
        targets = policy.step(DT * k, at(MOTIONS.stand), UP, Velocity())
    assert targets[KNEE] == pytest.approx(MOTIONS.stand[KNEE] + 0.5 * 0.4, abs=1e-6)
    assert targets[ELBOW] == pytest.approx(-1.0 - 0.25 * 0.8, abs=1e-6)
    others = np.setdiff1d(np.arange(len(NAMES)), [KNEE, ELBOW])
    assert targets[others] == pytest.approx(MOTIONS.stand[others])
    assert policy.answers == 50  # 62.5 Hz of 125


def test_a_linear_model_runs_in_onnxruntime_as_numpy_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights, bias = 0.05 * rng.normal(size=(2 * FRAME, 2)), np.array([0.1, -0.2])
    file = LoadedPolicyFile(write(tmp_path, weights, bias, TEXT + "rate_max: 1000\n"))
    policy, twin = Policy(file, MOTIONS), Policy(file, MOTIONS)
    now, s = 1.0, at(MOTIONS.stand)
    observation = twin.observe(now, s, UP, Velocity(0.3)).astype(np.float64)
    wanted = np.array([MOTIONS.stand[KNEE], -1.0]) + np.array([0.5, 0.25]) * (observation @ weights + bias)
    most = SMALL.walker.servos.rate_max / 62.5
    got = policy.step(now, s, UP, Velocity(0.3))[[KNEE, ELBOW]]
    assert got == pytest.approx(
        np.clip(wanted, MOTIONS.stand[[KNEE, ELBOW]] - most, MOTIONS.stand[[KNEE, ELBOW]] + most), abs=1e-5
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_answers_that_are_not_finite_leave_the_targets_and_end_the_policy(tmp_path: Path, value: float) -> None:
    policy = constant(tmp_path, [0.1, value])
    for k in range(20):
        targets = policy.step(DT * k, at(MOTIONS.stand), UP, Velocity())
        assert targets == pytest.approx(MOTIONS.stand)
    assert policy.status == Status.FAILED
    assert policy.misses["not finite"] == 3
    assert "not finite, 3 times in a row" in policy.words


def test_answers_out_of_a_joints_range_are_clipped_and_end_the_policy(tmp_path: Path) -> None:
    policy = constant(tmp_path, [-3.0, 0.0])
    for k in range(200):
        targets = policy.step(DT * k, at(MOTIONS.stand), UP, Velocity())
        assert (targets >= MOTIONS.lower - 1e-9).all()
    assert policy.status == Status.FAILED
    assert "wants left_knee at" in policy.words


def test_a_late_answer_is_not_taken(tmp_path: Path) -> None:
    times = iter(np.cumsum([0.0, 0.003, 1.0, 0.05, 1.0, 0.05, 1.0, 0.05, 1.0]))
    file = LoadedPolicyFile(write(tmp_path, np.zeros((2 * FRAME, 2)), np.array([0.1, 0.0])))
    policy = Policy(file, MOTIONS, clock=lambda: float(next(times)))
    first = policy.step(0.0, at(MOTIONS.stand), UP, Velocity())
    later = [policy.step(0.016 * k, at(MOTIONS.stand), UP, Velocity()) for k in range(1, 5)]
    assert first[KNEE] > MOTIONS.stand[KNEE]
    assert later[-1] == pytest.approx(first)
    assert (policy.status, policy.misses["late"]) == (Status.FAILED, 3)
    assert "took 50.0 ms" in policy.words


def test_targets_move_no_faster_than_the_file_says(tmp_path: Path) -> None:
    policy = constant(tmp_path, [2.0, 0.0], TEXT + "rate_max: 1.0\n")
    seen = [policy.step(DT * k, at(MOTIONS.stand), UP, Velocity())[KNEE] for k in range(50)]
    assert np.diff(seen).max() == pytest.approx(1.0 / 62.5, rel=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("history: 2", "history: 3", r"\[1, 34\]; tensor\(float\) \[1, 51\] is expected"),
        ("joints: [left_knee, left_elbow]", "joints: [left_knee, tail]", "no joint 'tail'"),
        ("scale: [0.5, 0.25]", "scale: [0.5]", "1 numbers for 2 joints"),
        ("{name: up, scale: 2.0}", "{name: up, scale: [1, 2]}", "'up' has 3 numbers and 2 scales"),
        ("model: m.onnx", "model: n.onnx", "an ONNX file is expected"),
        ("model: m.onnx", "model: policy.yaml", "an ONNX model is expected"),
        ("{left_elbow: -1.0}", "{right_elbow: -1.0}", "none of `joints`"),
        ("name: gyro", "name: radar", "'radar'"),
    ],
)
def test_a_file_that_does_not_fit_its_model_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in TEXT
    path = write(tmp_path, np.zeros((2 * FRAME, 2)), np.zeros(2), TEXT.replace(old, new))
    with pytest.raises(BadInputError, match=rf"policy.yaml:\d+: .*{says}"):
        Policy(LoadedPolicyFile(path), MOTIONS)


def test_the_manager_leads_with_a_policy_and_takes_over_when_it_fails(tmp_path: Path) -> None:
    m = Manager(SMALL)
    s = Senses(np.zeros(3), np.array([0.0, 0.0, GRAVITY]), MOTIONS.stand)
    now = 0.0
    for _ in range(250):
        m.step(now, s, Velocity())
        now += DT
    assert m.perform(constant(tmp_path, [math.nan, 0.0])) is None
    m.step(now, s, Velocity())
    assert (m.mode, m.source) == (Mode.PERFORMING, "policy")
    for _ in range(10):
        now += DT
        m.step(now, s, Velocity())
    assert (m.mode, m.source) == (Mode.STEADYING, "auto")
    assert "not finite" in m.words
    for _ in range(100):
        now += DT
        m.step(now, s, Velocity())
    assert m.mode == Mode.STEADYING
    for _ in range(100):
        now += DT
        m.step(now, s, Velocity())
    assert m.mode == Mode.GOING_DOWN
    assert m.words == "minimum risk: sit"


def test_after_a_policy_that_ends_well_or_whose_file_says_so_the_robot_stands(tmp_path: Path) -> None:
    for extra, bias in (("seconds: 0.1\n", 0.0), ("failed: stand\n", math.nan)):
        m = Manager(SMALL)
        s = Senses(np.zeros(3), np.array([0.0, 0.0, GRAVITY]), MOTIONS.stand)
        for k in range(250):
            m.step(k * DT, s, Velocity())
        path = write(tmp_path, np.zeros((2 * FRAME, 2)), np.array([bias, 0.0]), TEXT + extra)
        assert m.perform(Policy(LoadedPolicyFile(path), MOTIONS)) is None
        for k in range(250, 600):
            m.step(k * DT, s, Velocity())
        assert (m.mode, m.words) == (Mode.STANDING, "standing")


def test_only_a_higher_source_gives_back_what_it_leads() -> None:
    assert gives_back("auto", "policy")
    assert not gives_back("policy", "auto")
    assert not gives_back(None, "policy")
    assert not gives_back("auto", "auto")

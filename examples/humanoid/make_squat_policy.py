"""Learns a policy by imitation: the small walker squats in simulation, a linear model learns it, ONNX keeps it.

    python make_squat_policy.py [squat_policy.yaml]

It needs the extras `humanoid` and `policy`, and the package `onnx`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from giljabi.types import Array
from giljabi.walking.behaviours.motions import Motions
from giljabi.walking.behaviours.policy import Policy
from giljabi.walking.behaviours.policy_file import LoadedPolicyFile
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.behave import Behave
from giljabi_sim.humanoid.body import World

HERE = Path(__file__).resolve().parent
PERIOD_S, CYCLES = 4.0, 3
RIDGE = 1e-2  # keeps small what the data does not tell


def demonstrate(policy: Policy) -> tuple[Array, Array]:
    """The walker squats by its own control: observations (t, n) and the actions (t, m) that would do the same."""
    walker = load_walker("small")
    run, gait = Behave(walker, World(), 1), walker.walker.gait
    while run.body.now < 2.0:
        run.tick()
    seen, done, start = [], [], run.body.now
    while run.body.now < start + CYCLES * PERIOD_S:
        depth = (1.0 - math.cos(2.0 * math.pi * (run.body.now - start) / PERIOD_S)) / 2.0
        wanted = Velocity(height=gait.height - depth * (gait.height - gait.height_low))
        now = run.body.now
        targets = run.tick(wanted)
        senses, up = run.manager.measured
        seen.append(policy.observe(now, senses, up, wanted))
        done.append(policy.action_of(targets))
    return np.array(seen), np.array(done)


def fit(seen: Array, done: Array) -> tuple[Array, Array]:
    """Weights (n, m) and bias (m,) by ridge regression."""
    a = np.hstack([seen, np.ones((len(seen), 1))])
    x = np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ done)
    return x[:-1], x[-1]


def save(weights: Array, bias: Array, path: Path) -> None:
    """One matrix product and one sum, as ONNX."""
    n, m = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["observation", "w", "b"], ["action"])],
        "squat",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, [1, n])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, m])],
        [numpy_helper.from_array(x.astype(np.float32), k) for k, x in (("w", weights), ("b", bias))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main(file: Path) -> int:
    """Demonstrates, fits, saves the model that a policy's file names."""
    (file.parent / "squat_policy.onnx").touch()  # a file without its model is refused
    loaded = LoadedPolicyFile(file)
    walker = load_walker("small")
    policy = Policy(loaded, Motions(walker, Kinematics(walker)), model=lambda observation: observation)
    seen, done = demonstrate(policy)
    weights, bias = fit(seen, done)
    save(weights, bias, loaded.model_path)
    left = float(np.abs(seen @ weights + bias - done).max())
    print(f"{loaded.model_path}: {seen.shape[1]} observations, {done.shape[1]} joints, at most {left:.3f} off")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "squat_policy.yaml"))

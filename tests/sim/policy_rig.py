"""A learned policy of one layer for the small walker, and a platform file that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from walker_rig import platform_file

TEXT = """\
model: m.onnx
rate_hz: 62.5
joints: [left_elbow, right_elbow]
observations: [{name: clock, period_s: 2.0}]
action: {scale: 1.0, offset: zero, clip: 3.0}
misses: 3
"""


def write_policy(folder: Path, bias: tuple[float, float], text: str = TEXT) -> Path:
    """A platform file beside a policy that brings the elbows to `bias` [rad] and does nothing else."""
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "constant",
        [onnx.helper.make_tensor_value_info("x", floats, [1, 2])],
        [onnx.helper.make_tensor_value_info("y", floats, [1, 2])],
        [
            onnx.numpy_helper.from_array(np.zeros((2, 2), dtype=np.float32), "w"),
            onnx.numpy_helper.from_array(np.array(bias, dtype=np.float32), "b"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "m.onnx")
    (folder / "policy.yaml").write_text(text)
    return platform_file(folder, ("  trigger: servos\n", "  trigger: servos\n  options: {policy: policy.yaml}\n"))

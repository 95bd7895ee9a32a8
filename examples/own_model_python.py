"""A model of one's own, written in Python: the same robot as in unicycle.hpp, without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np

from giljabi.python_model import PythonModel
from giljabi.solver import Ocp

N, DT = 30, 0.1


def dynamics(x: Any, u: Any, p: Any) -> Any:
    """Derivative of (x, y, heading, v, w) under (acceleration, turn)."""
    _, _, heading, v, w = x
    return v * np.cos(heading), v * np.sin(heading), w, u[0] - p.drag * v, u[1]


def clear(x: Any, p: Any) -> Any:
    """Constraints, each >= 0."""
    return [(x[0] - p.disc_x) ** 2 + (x[1] - p.disc_y) ** 2 - p.disc_radius**2]


UNICYCLE = PythonModel(
    "unicycle_python",
    ("x", "y", "heading", "v", "w"),
    ("acceleration", "turn"),
    dynamics,
    parameters={"drag": 0.1, "disc_x": 1e3, "disc_y": 0.0, "disc_radius": 1.0},
    constraints=clear,
    constraint_names=("disc",),
)


def main() -> None:
    """Plans once and prints the path."""
    ocp = Ocp(UNICYCLE, horizon=N, dt=DT)
    ocp.set("state_weights", [1, 1, 0.1, 0.1, 0.1])
    ocp.set("input_weights", [0.1, 0.1])
    ocp.set("input_lower", [-2, -3])
    ocp.set("input_upper", [2, 3])
    ocp.set("drag", 0.05)
    ocp.set("disc_x", 1.5)
    ocp.set("disc_y", 0.1)
    ocp.set("disc_radius", 0.5)
    reference = np.zeros((N + 1, 5))
    reference[:, 0], reference[:, 3] = DT * np.arange(N + 1), 1.0
    ocp.set_reference(reference)
    ocp.set_guess(reference[0])
    result = ocp.solve(reference[0])
    print(f"{result.status} after {result.iterations} iterations, cost {result.cost:.4f}")
    print(np.array2string(ocp.x[::5, :2], precision=2, suppress_small=True))


if __name__ == "__main__":
    main()

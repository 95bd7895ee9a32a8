"""A model of one's own, written in C++: drives round a disc. First: giljabi build-model examples/unicycle.hpp"""

from __future__ import annotations

import numpy as np
import unicycle  # noqa: F401  (importing it adds the model "unicycle" to the solver)

from giljabi.solver import Ocp

N, DT = 30, 0.1


def main() -> None:
    """Plans once and prints the path."""
    ocp = Ocp("unicycle", horizon=N, dt=DT)
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

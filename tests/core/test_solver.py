"""The solver from Python: problems, statuses, shapes and errors."""

from __future__ import annotations

import numpy as np
import pytest

from giljabi.solver import Ocp, Status
from giljabi.types import BadInputError


def car_problem() -> tuple[Ocp, np.ndarray]:
    """A car on a sine, one disc that crosses its path; and the state it starts from."""
    ocp = Ocp("bicycle", horizon=40, dt=0.05)
    k = 2 * np.pi / 80
    weights = np.array([1, 1, 5, 1, 1, 0.1])
    ocp.set("state_weights", weights)
    ocp.set("terminal_weights", 10 * weights)
    ocp.set("input_weights", [1, 0.01])
    for name, lower, upper in (("v", 0, 15), ("steering", -0.5, 0.5), ("a", -6, 3)):
        ocp.set(f"state_lower.{name}", lower)
        ocp.set(f"state_upper.{name}", upper)
    ocp.set("input_lower", [-0.8, -10])
    ocp.set("input_upper", [0.8, 10])
    t = np.arange(41) * 0.05
    along, slope = 10 * t, 4 * k * np.cos(k * 10 * t)
    zero = np.zeros(41)
    ocp.set_reference(
        np.c_[along, 4 * np.sin(k * along), np.arctan(slope), 10 * np.sqrt(1 + slope**2), zero, zero], np.zeros(2)
    )
    disc = 10 * t + 15 * np.cos(2 * np.pi * t / 10)
    ocp.set("disc_1_x", disc)
    ocp.set("disc_1_y", 4 * np.sin(k * disc) + 0.5)
    ocp.set("disc_1_radius", 2.0)
    x0 = np.array([0, 0, np.arctan(4 * k), 8, 0, 0])
    ocp.set_guess(x0)
    return ocp, x0


def test_car_converges_from_a_cold_start() -> None:
    ocp, x0 = car_problem()
    result = ocp.solve(x0)
    assert result.status is Status.CONVERGED
    assert max(result.residuals.stationarity, result.residuals.dynamics) <= 1e-6
    assert result.cost == pytest.approx(65.5665, rel=1e-5)
    for k in range(40):
        assert ocp.simulate(ocp.x[k], ocp.u[k], 0.05, substeps=1) == pytest.approx(ocp.x[k + 1], abs=1e-9)


def test_feedback_stays_at_the_optimum() -> None:
    ocp, x0 = car_problem()
    solved = ocp.solve(x0)
    result = ocp.feedback(x0)
    assert result.status is Status.CONVERGED
    assert result.u0 == pytest.approx(solved.u0, abs=1e-5)


def test_wrong_shape_names_the_expected_one() -> None:
    ocp, x0 = car_problem()
    with pytest.raises(BadInputError, match=r"x has shape \(5,\); \(6,\) is expected"):
        ocp.feedback(x0[:5])
    with pytest.raises(BadInputError, match="did you mean 'state_weights'"):
        ocp.set("state_weight", 1.0)


def test_not_a_number_in_gives_a_status() -> None:
    ocp, x0 = car_problem()
    ocp.solve(x0)
    x0[3] = np.nan
    result = ocp.feedback(x0)
    assert result.status is Status.BAD_INPUT
    assert np.all(np.isfinite(result.u0))

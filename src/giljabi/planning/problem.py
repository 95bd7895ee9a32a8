"""The solver behind planner and controller: weights, references, discs and corridor of one optimal control problem."""
# ruff: noqa: PLR0917

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from giljabi.models import ModelAdapter
from giljabi.planning.scene import OPEN, Strip
from giljabi.solver import Ocp, Status
from giljabi.types import Array

DISCS = 4
DISC_L1, DISC_L2 = 2.0e3, 2.0e3  # per unit of |p - c|^2 / r^2 - 1
EDGE_L1, EDGE_L2 = 100.0, 100.0  # per m and m^2 beyond the corridor


@dataclass(frozen=True, slots=True)
class Answer:
    """A solution: states (k, nx), inputs (k - 1, nu), the solver's word."""

    x: Array
    u: Array
    status: str


class Problem:
    """One optimal control problem of a model: quadratic tracking, actuator limits, soft discs and corridor."""

    discs = DISCS

    def __init__(
        self,
        model: ModelAdapter,
        stages: int,
        dt: float,
        tolerance: tuple[float, float, float],
        smoothness: float,
        terminal: float,
        lateral_share: float,
    ) -> None:
        """tolerance: deviation of position [m], heading [rad], speed [m/s] that costs one unit at a stage.

        lateral_share: share of the platform's lateral limits that may be used.
        """
        self._share = lateral_share
        self._model = model
        self._times: Array = np.asarray(dt * np.arange(stages + 1), dtype=np.float64)
        weight = (0.15 / model.state_scale) ** 2
        weight[:4] = 1.0 / np.array([tolerance[0], tolerance[0], tolerance[1], tolerance[2]]) ** 2
        self._weight = weight
        self._input_weight = smoothness / model.input_scale**2
        ocp = self._ocp = Ocp(model.kind, stages, dt)
        for name, value in model.parameters().items():
            ocp.set(name, value)
        ocp.set("state_weights", 2.0 * weight)
        ocp.set("terminal_weights", 2.0 * terminal * weight)
        ocp.set("input_weights", 2.0 * self._input_weight)
        ocp.set("penalty_l1", [*([DISC_L1] * DISCS), EDGE_L1, EDGE_L1])
        ocp.set("penalty_l2", [*([DISC_L2] * DISCS), EDGE_L2, EDGE_L2])
        ocp.set("violation_tolerance", 1e-2)
        ocp.set("input_lower", model.bounds.u_min)
        ocp.set("input_upper", model.bounds.u_max)
        # Far away and switched off until a plan sets them.
        self._parameters = np.zeros((stages + 1, 3 * DISCS + 6))
        self._parameters[:, -2:] = OPEN

    def input_cost(self, u: Array) -> float:
        """Cost of actuator rates (k - 1, nu)."""
        return float(np.sum(self._input_weight * u * u))

    def solve(
        self,
        x0: Array,
        reference: Array,
        guess: tuple[Array, Array | None],
        iterations: int,
        discs: tuple[Array, Array] | None = None,
        strip: Strip | None = None,
        shift: Array | None = None,
    ) -> Answer | None:
        """Real-time iterations from a guess; None when nothing usable came out.

        discs: centres (4, k, 2) and radii (4, k); shift: (nx,) by which the box on states is moved.
        """
        ocp = self._ocp
        moved = 0.0 if shift is None else shift
        box = self._model.stage_bounds(reference[:, 3], self._times, x0 - moved, self._share)
        ocp.set_guess(guess[0], guess[1])
        ocp.set_reference(reference)
        p = self._parameters
        if discs is not None:
            for j in range(DISCS):
                p[:, 3 * j : 3 * j + 2] = discs[0][j]
                p[:, 3 * j + 2] = discs[1][j]
        if strip is not None:
            e = 3 * DISCS
            p[:, e : e + 2], p[:, e + 2 : e + 4] = strip.centre, strip.normal
            p[:, e + 4], p[:, e + 5] = strip.left, strip.right
        if discs is not None or strip is not None:
            ocp.set_parameters(p)
        ocp.set("state_lower", box.x_min + moved)
        ocp.set("state_upper", box.x_max + moved)
        status = Status.BAD_INPUT
        for _ in range(iterations):
            result = ocp.feedback(x0)
            status = result.status
            if status is Status.BAD_INPUT or result.worst == "quadratic program":
                return None
            if status is Status.CONVERGED:
                break
        x, u = ocp.x.copy(), ocp.u.copy()
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(u))):
            return None
        return Answer(x, u, status.value)

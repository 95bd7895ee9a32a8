"""The centre of mass over footholds: a linear inverted pendulum, its divergent component, and its plan by the solver.

The support is a path of the zero-moment point's middle (knots in time, straight between them) and a rectangle of a sole
around it: constant while one foot stands, and in double support the rectangle on its way from one sole to the other,
which is inside the hull of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.solver import Ocp, Result
from giljabi.types import Array

GRAVITY = 9.81
STAGES, STAGE = 16, 0.32  # stage in units of the pendulum's time 1/omega
WEIGHTS = [0.0, 0.0, 0.02, 0.02, 100.0, 100.0]
JERK_WEIGHT = 2e-5
PENALTY = 1e4


@dataclass(frozen=True, slots=True)
class Support:
    """Knots of the support from now on: after the last it stays."""

    times: Array  # (k,) s from now, the first is 0
    middle: Array  # (k, 2) m
    yaw: Array  # (k,) rad, continuous
    wider: float = 0.0  # m that the rectangle has more on each side: both feet beside each other

    def at(self, t: Array) -> tuple[Array, Array]:
        """Middle (n, 2) and yaw (n,) at times (n,)."""
        xy = np.stack([np.interp(t, self.times, self.middle[:, i]) for i in (0, 1)], axis=1)
        return xy, np.interp(t, self.times, self.yaw)

    def divergent(self, omega: float) -> Array:
        """Divergent component (2,) now that rests over the last knot if the zero-moment point stays in the middle."""
        xi = self.middle[-1]
        for i in range(len(self.times) - 2, -1, -1):
            span = self.times[i + 1] - self.times[i]
            if span <= 0.0:
                continue
            drift = (self.middle[i + 1] - self.middle[i]) / (span * omega)
            xi = self.middle[i] + drift + (xi - self.middle[i + 1] - drift) * math.exp(-omega * span)
        return np.asarray(xi)


class Pendulum:
    """State (centre of mass, velocity, zero-moment point) of the plan, one `step` a tick."""

    def __init__(self, height: float, half: Array, margin: float) -> None:
        """height: m of the centre of mass; half: (2,) m of a sole; margin: m kept from its edge."""
        self.omega = math.sqrt(GRAVITY / height)
        self.com = np.zeros(2)
        self.velocity = np.zeros(2)
        self.zmp = np.zeros(2)
        self._reach = half - margin
        stage_s = STAGE / self.omega
        self._times: Array = stage_s * np.arange(STAGES + 1, dtype=np.float64)
        self._ocp = Ocp("lipm", STAGES, stage_s)
        self._ocp.set("height", height)
        self._ocp.set("gravity", GRAVITY)
        self._ocp.set("state_weights", WEIGHTS)
        self._ocp.set("terminal_weights", WEIGHTS)
        self._ocp.set("input_weights", [JERK_WEIGHT] * 2)
        edges = len(self._ocp.names.constraints)
        self._ocp.set("penalty_l1", [PENALTY] * edges)
        self._ocp.set("penalty_l2", [0.0] * edges)
        self._parameters = np.zeros((STAGES + 1, edges, 3))
        self._parameters[:, 4:, 2] = 1e3
        self._reference = np.zeros((STAGES + 1, 6))
        self.result: Result | None = None

    @property
    def divergent(self) -> Array:
        """com + velocity/omega (2,)."""
        return np.asarray(self.com + self.velocity / self.omega)

    @property
    def acceleration(self) -> Array:
        """(2,) m/s^2 of the centre of mass."""
        return np.asarray(self.omega**2 * (self.com - self.zmp))

    def rest(self, xy: Array) -> None:
        """Stands still over a point (2,)."""
        self.com, self.velocity, self.zmp = xy.copy(), np.zeros(2), xy.copy()

    def follow(self, measured: Array, share: float) -> None:
        """Takes over a share of what the measured divergent component (2,) differs by."""
        off = share * (measured - self.divergent)
        self.com = self.com + off / 2
        self.velocity = self.velocity + off * (self.omega / 2)

    def step(self, dt: float, support: Support, speed: Array) -> Result:
        """Plans over the horizon and moves dt along it; speed: (2,) m/s wanted."""
        middle, yaw = support.at(self._times)
        self._reference[:, 2:4] = speed
        self._reference[:, 4:6] = middle
        c, s = np.cos(yaw), np.sin(yaw)
        edges, along, across = self._parameters, self._reach[0], self._reach[1] + support.wider
        nx, ny = np.array([c, -c, -s, s]).T, np.array([s, -s, c, -c]).T
        edges[:, :4, 0], edges[:, :4, 1] = nx, ny
        edges[:, :4, 2] = nx * middle[:, :1] + ny * middle[:, 1:] + (along, along, across, across)
        self._ocp.set_reference(self._reference)
        self._ocp.set_parameters(edges.reshape(STAGES + 1, -1))
        result = self._ocp.feedback(np.concatenate([self.com, self.velocity, self.zmp]))
        self._advance(dt, result.u0)
        self.result = result
        return result

    def _advance(self, dt: float, jerk: Array) -> None:
        """Exact motion under a constant jerk of the centre of mass."""
        a = self.acceleration
        self.com = self.com + dt * self.velocity + dt**2 / 2 * a + dt**3 / 6 * jerk
        self.velocity = self.velocity + dt * a + dt**2 / 2 * jerk
        self.zmp = self.com - (a + dt * jerk) / self.omega**2

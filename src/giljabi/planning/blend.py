"""A smooth way onto a moving plan: an offset from it that ends after a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from giljabi.types import Array, Trajectory

SHORTEST, LONGEST = 0.8, 7.0  # s


@dataclass(frozen=True, slots=True)
class Blend:
    """An offset in position (3,) [m], velocity (3,) [m/s] and yaw [rad] that is 0, at rest, `duration` [s] after t."""

    t: float
    duration: float
    position: Array
    velocity: Array
    yaw: float

    def applied(self, plan: Trajectory) -> Trajectory:
        """The plan with what is left of the offset."""
        u = np.clip((plan.t - self.t + plan.times) / self.duration, 0.0, 1.0)[:, None]
        d = self.duration
        hold, slope = 1.0 - 3.0 * u**2 + 2.0 * u**3, d * (u - 2.0 * u**2 + u**3)
        hold_rate, slope_rate = (6.0 * u**2 - 6.0 * u) / d, 1.0 - 4.0 * u + 3.0 * u**2
        return replace(
            plan,
            position=plan.position + hold * self.position + slope * self.velocity,
            velocity=plan.velocity + hold_rate * self.position + slope_rate * self.velocity,
            yaw=plan.yaw + hold[:, 0] * self.yaw,
            yaw_rate=plan.yaw_rate + hold_rate[:, 0] * self.yaw,
        )


def join(  # noqa: PLR0917
    plan: Trajectory, position: Array, velocity: Array, yaw: float, acceleration: float, climb: float, turn: float
) -> Blend | None:  # fmt: skip
    """The shortest blend from a state onto a plan that keeps limits; None where it would take too long.

    position (3,) m, velocity (3,) m/s, yaw rad: the state at plan.t; acceleration m/s^2 over the ground, climb m/s,
    turn rad/s: most that the blend may add.
    """
    p, v = position - plan.position[0], velocity - plan.velocity[0]
    yaw = math.remainder(yaw - float(plan.yaw[0]), 2.0 * math.pi)
    off, fast = float(np.hypot(p[0], p[1])), float(np.hypot(v[0], v[1]))
    # Greatest curvature of the cubic: 6 p / d^2 + 4 v / d; greatest slope of its height and yaw: 1.5 p / d.
    d = (4.0 * fast + math.sqrt(16.0 * fast**2 + 24.0 * acceleration * off)) / (2.0 * acceleration)
    d = max(d, 1.5 * abs(float(p[2])) / climb, 1.5 * abs(yaw) / turn, SHORTEST)
    return Blend(plan.t, d, p, v, yaw) if d <= LONGEST else None

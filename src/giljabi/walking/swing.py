"""The swinging foot: to a foothold that may still move, off the ground and onto it with little speed."""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array
from giljabi.walking.footsteps import Foothold, wrap

REACHING = 6.0  # 1/s, of the lift: speed of a foot that looks for the ground
SETTLED = 0.06  # share of the swing at its end in which the foot only comes down


class Swing:
    """One swing; position and velocity go on without a jump when its target moves."""

    def __init__(self, start: Foothold, lift: float) -> None:
        self._lift = lift
        self.xy = start.xy.copy()
        self.velocity = np.zeros(2)
        self.acceleration = np.zeros(2)
        self.yaw = start.yaw
        self._part = 0.0  # of the way, 0 to 1; goes faster when the touchdown comes earlier
        self._yaw_from = start.yaw
        self.z = self.z_velocity = self.z_acceleration = 0.0

    @property
    def left(self) -> float:
        """Share of the way that is still to go, 1 to 0."""
        return 1.0 - self._part

    def step(self, dt: float, left: float, target: Foothold) -> None:
        """Moves on by dt; `left` seconds remain then until it stands on the target."""
        moving = left - SETTLED * (left + dt) / max(1.0 - self._part, 1e-3)
        if moving > 0.0:
            self._towards(dt, moving + dt, target.xy)
        else:
            self.xy, self.velocity, self.acceleration = target.xy.copy(), np.zeros(2), np.zeros(2)
        rate = (1.0 - self._part) / (left + dt)
        self._part = min(self._part + rate * dt, 1.0)
        along = min(self._part / (1.0 - SETTLED), 1.0)
        blend = along**3 * (10.0 - 15.0 * along + 6.0 * along**2)
        self.yaw = self._yaw_from + blend * wrap(target.yaw - self._yaw_from)
        z, dz, ddz = height(self._part)
        self.z, self.z_velocity = self._lift * z, self._lift * dz * rate
        self.z_acceleration = self._lift * ddz * rate**2

    def reach(self, dt: float) -> None:
        """Goes down on, for ground that did not come."""
        self.z -= REACHING * self._lift * dt
        self.z_velocity, self.z_acceleration = -REACHING * self._lift, 0.0

    def _towards(self, dt: float, left: float, target: Array) -> None:
        """A step along the quintic from the present state to rest at the target in `left` seconds."""
        for i in (0, 1):
            at, v, a = float(self.xy[i]), float(self.velocity[i]), float(self.acceleration[i])
            d = float(target[i]) - at
            c3 = (20 * d - 12 * v * left - 3 * a * left**2) / (2 * left**3)
            c4 = (-30 * d + 16 * v * left + 3 * a * left**2) / (2 * left**4)
            c5 = (12 * d - 6 * v * left - a * left**2) / (2 * left**5)
            self.xy[i] = at + dt * (v + dt * (a / 2 + dt * (c3 + dt * (c4 + dt * c5))))
            self.velocity[i] = v + dt * (a + dt * (3 * c3 + dt * (4 * c4 + dt * 5 * c5)))
            self.acceleration[i] = a + dt * (6 * c3 + dt * (12 * c4 + dt * 20 * c5))


def height(part: float) -> tuple[float, float, float]:
    """Height of the foot over a swing, 0 to 1 and back, and its two derivatives by `part` (0 to 1)."""
    x = 2.0 * math.pi * part
    return 0.5 * (1.0 - math.cos(x)), math.pi * math.sin(x), 2.0 * math.pi**2 * math.cos(x)

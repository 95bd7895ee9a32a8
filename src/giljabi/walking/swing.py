"""The swinging foot: to a foothold that may still move, off the ground and onto it with little speed."""

from __future__ import annotations

import numpy as np

from giljabi.types import Array
from giljabi.walking.footsteps import Foothold, wrap

TOP = 0.45  # share of the swing at which the foot is highest
SETTLED = 0.06  # share of the swing at its end in which the foot only comes down


class Swing:
    """One swing; position and velocity go on without a jump when its target moves."""

    def __init__(self, start: Foothold, lift: float, speed: float, past: float = 0.0) -> None:
        """lift: m above the higher ground; speed: m/s at which it meets the ground, or looks for it.

        past: share of the swing by which the foot is there earlier, to come down past an edge.
        """
        self._lift, self._speed = lift, speed
        self._settled, self._top = SETTLED + past, TOP + past / 2
        self.xy = start.xy.copy()
        self.velocity = np.zeros(2)
        self.acceleration = np.zeros(2)
        self.yaw = start.yaw
        self._part = 0.0  # of the way, 0 to 1; goes faster when the touchdown comes earlier
        self._yaw_from = start.yaw
        self._from = start.z
        self.z, self.z_velocity, self.z_acceleration = start.z, 0.0, 0.0

    @property
    def left(self) -> float:
        """Share of the way that is still to go, 1 to 0."""
        return 1.0 - self._part

    def step(self, dt: float, left: float, target: Foothold) -> None:
        """Moves on by dt; `left` seconds remain then until it stands on the target."""
        moving = left - self._settled * (left + dt) / max(1.0 - self._part, 1e-3)
        if moving > 0.0:
            self._towards(dt, moving + dt, target.xy)
        else:
            self.xy, self.velocity, self.acceleration = target.xy.copy(), np.zeros(2), np.zeros(2)
        rate = (1.0 - self._part) / (left + dt)
        if self._part < self._top:
            top = max(self._from, target.z) + self._lift
            self._rise(dt, max((self._top - self._part) / rate, dt), top, 0.0)
        else:
            self._rise(dt, left + dt, target.z, -self._speed)
        self._part = min(self._part + rate * dt, 1.0)
        along = min(self._part / (1.0 - self._settled), 1.0)
        blend = along**3 * (10.0 - 15.0 * along + 6.0 * along**2)
        self.yaw = self._yaw_from + blend * wrap(target.yaw - self._yaw_from)

    def reach(self, dt: float) -> None:
        """Goes down on, for ground that did not come."""
        self.z -= self._speed * dt
        self.z_velocity, self.z_acceleration = -self._speed, 0.0

    def _rise(self, dt: float, left: float, height: float, speed: float) -> None:
        """A step along the cubic from the present height and its speed to those in `left` seconds."""
        d, v = height - self.z, self.z_velocity
        c2, c3 = (3 * d / left - 2 * v - speed) / left, (v + speed - 2 * d / left) / left**2
        self.z += dt * (v + dt * (c2 + dt * c3))
        self.z_velocity = v + dt * (2 * c2 + dt * 3 * c3)
        self.z_acceleration = 2 * c2 + dt * 6 * c3

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

"""Where and when the next step comes down, from the measured divergent component of motion.

Idea of Khadiv, Herzog, Moosavian, Righetti (2016), "Step timing adjustment: a step toward generating robust gaits": at
the end of a step the divergent component must stand where the next one begins with it. What the zero-moment point
cannot bring back inside the sole, the step's place does; what its place cannot, its time does.
"""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array
from giljabi.walking.footsteps import Foothold, Footsteps

EARLIER, LATER = 0.10, 0.06  # s that a step may move
LAST = 0.05  # s before touchdown at which it is fixed
ZMP_SHARE = 0.8  # share of the sole that is counted on
TIME_WEIGHT = 0.02  # m^2/s^2 of moving the touchdown
SHIFT_WEIGHT = 0.02  # of moving the foothold


class StepAdjustment:
    """Chooses among touchdown times, and for each the best foothold."""

    def __init__(self, steps: Footsteps, omega: float, reach: Array) -> None:
        """reach: (2,) m that the zero-moment point has around the sole's middle."""
        self._steps = steps
        self._omega = omega
        self._reach = ZMP_SHARE * reach

    def adjust(
        self, stance: Foothold, side: int, nominal: Foothold, *, zmp: Array, measured: Array, end: Array, left: float
    ) -> tuple[Foothold, float]:
        """Foothold of foot `side` and the seconds until it, in place of `nominal` in `left` seconds.

        zmp: (2,) middle of the standing sole; measured: (2,) divergent component now; end: (2,) the one at touchdown
        that belongs to `nominal`.
        """
        if left <= LAST:
            return nominal, left
        best, foothold, when = math.inf, nominal, left
        for change in np.linspace(-EARLIER, LATER, 9):
            time = left + change
            if time < LAST:
                continue
            growth = math.exp(self._omega * time)
            off = stance.seen(stance.xy + zmp + (measured - zmp) * growth - end)
            off = off - np.clip(off / (growth - 1.0), -self._reach, self._reach) * (growth - 1.0)
            place = stance.seen(nominal.xy)
            moved = self._steps.reach(place + off, side)
            unmet = off - (moved - place)
            cost = unmet @ unmet + TIME_WEIGHT * change**2 + SHIFT_WEIGHT * float((moved - place) @ (moved - place))
            if cost < best:
                best, foothold, when = cost, Foothold(stance.at(moved), nominal.yaw), time
        return foothold, when

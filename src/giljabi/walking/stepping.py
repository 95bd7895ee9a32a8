"""Where and when the next step comes down, from the measured divergent component of motion.

Idea of Khadiv, Herzog, Moosavian, Righetti (2016), "Step timing adjustment: a step toward generating robust gaits": at
the end of a step the divergent component must stand where the next one begins with it. What the zero-moment point
cannot bring back inside the sole, the step's place does; what its place cannot, its time does.
"""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array
from giljabi.walking.footsteps import Foothold, Footsteps, turn

CHANGES = tuple(0.02 * i for i in range(-8, 6))  # s by which a touchdown may move from the nominal one
LAST = 0.05  # s before touchdown at which it is fixed
ZMP_SHARE = 0.2  # share of the sole that is counted on
TIME_WEIGHT = 0.02  # m^2/s^2 of moving the touchdown
SHIFT_WEIGHT = 0.02  # of moving the foothold
PEAK = 1.6  # greatest speed of a swing over its mean
LANDING = 0.02  # s at the end of a swing in which the foot only comes down


class StepAdjustment:
    """Chooses among touchdown times, and for each the best foothold."""

    def __init__(self, steps: Footsteps, omega: float, reach: Array, speed: float) -> None:
        """reach: (2,) m that the zero-moment point has around the sole's middle; speed: m/s of the foot at most."""
        self._steps = steps
        self._omega = omega
        self._reach = (ZMP_SHARE * float(reach[0]), ZMP_SHARE * float(reach[1]))
        self._speed = speed / PEAK

    def adjust(
        self,
        stance: Foothold,
        side: int,
        nominal: Foothold,
        *,
        zmp: Array,
        measured: Array,
        end: Array,
        left: float,
        foot: Array,
        least: float,
    ) -> tuple[Foothold, float]:
        """Foothold of foot `side` and the seconds until it, in place of `nominal` in `left` seconds.

        zmp: (2,) middle of the standing sole; measured: (2,) divergent component now; end: (2,) the one at touchdown
        that belongs to `nominal`; foot: (2,) m, where it is now; least: s that it needs to come down.
        """
        (px, py), (ax, ay) = stance.seen(nominal.xy).tolist(), stance.seen(foot).tolist()
        base, arm = stance.seen(zmp + stance.xy - end).tolist(), turn(measured - zmp, -stance.yaw).tolist()
        least = max(least, LAST)
        best, foothold, when = math.inf, (px, py), left
        for change in CHANGES:
            time = left + change
            if time < least:
                if change < CHANGES[-1]:
                    continue
                time = least
            growth = math.exp(self._omega * time)
            dx = self._unheld(base[0] + arm[0] * growth, growth, 0)
            dy = self._unheld(base[1] + arm[1] * growth, growth, 1)
            x, y = self._steps.reach_xy(px + dx, py + dy, side)
            way, far = self._speed * (time - LANDING), math.hypot(x - ax, y - ay)
            if far > way:
                x, y = ax + (x - ax) * way / far, ay + (y - ay) * way / far
            sx, sy, ux, uy = x - px, y - py, dx - x + px, dy - y + py
            shift, unmet = sx * sx + sy * sy, ux * ux + uy * uy
            cost = unmet + TIME_WEIGHT * (time - left) ** 2 + SHIFT_WEIGHT * shift
            if cost < best:
                best, foothold, when = cost, (x, y), time
        return Foothold(stance.at(np.array(foothold)), nominal.yaw, nominal.z), when

    def _unheld(self, off: float, growth: float, axis: int) -> float:
        """What is left of an error at touchdown when the zero-moment point has done its part."""
        held = self._reach[axis] * (growth - 1.0)
        return off - max(-held, min(held, off))

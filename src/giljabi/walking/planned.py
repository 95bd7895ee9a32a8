"""Planned footsteps as the gait follows them: which one comes next, and how much time it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from giljabi.types import Array, FootPlan
from giljabi.walking.footsteps import Foothold, Footsteps, turn, wrap

LONG = 1.35  # of the longest commanded step: a swing beyond that takes longer in proportion
CLIMB = 12.0  # 1/m: share of a step's time that a metre up or down costs
PAST = 0.25  # of the swing, for a step down by the lift
FAR = 0.1  # m from where the plan's first step begins, beyond which the plan is another place's


@dataclass(frozen=True, slots=True)
class Steps:
    """A plan in the frame of the odometry. slow: (n,) factor on the time of each step."""

    side: tuple[int, ...]
    feet: tuple[Foothold, ...]
    slow: tuple[float, ...]


def past_edge(drop: float, lift: float) -> float:
    """Share of a swing that a planned step down [m] gives the foot to come down past the edge; see Swing."""
    return PAST * min(max(drop / lift, 0.0), 1.0)


def steps_of(plan: FootPlan, pose: tuple[float, float, float], longest: float) -> Steps:
    """A plan in map as steps. pose: x, y, yaw of the odometry's frame in map; longest: m that a commanded step has."""
    feet, slow = [], []
    for k, (x, y, z, yaw) in enumerate(plan.feet.tolist()):
        feet.append(Foothold(turn(np.array([x - pose[0], y - pose[1]]), -pose[2]), yaw - pose[2], z))
        before = [plan.feet[j] for j in (k - 1, k - 2) if j >= 0]
        climb = max((abs(z - float(f[2])) for f in before), default=0.0)
        swing = 0.0 if k < 2 else math.hypot(x - float(before[1][0]), y - float(before[1][1]))
        slow.append(max(1.0, swing / (2.0 * LONG * longest)) + CLIMB * climb)
    return Steps(tuple(int(s) for s in plan.side), tuple(feet), tuple(slow))


class Planned:
    """Where in a plan the gait is. A plan that was left, or is done, is not begun again."""

    def __init__(self, steps: Footsteps) -> None:
        self._footsteps = steps
        self.plan: Steps | None = None
        self._over: Steps | None = None
        self._at = 0

    @property
    def leads(self) -> bool:
        """Whether a step of it is still to come."""
        return self.plan is not None

    @property
    def side(self) -> int:
        """The foot of the next step."""
        assert self.plan is not None
        return self.plan.side[self._at]

    @property
    def slow(self) -> float:
        """Factor on the next step's time."""
        return 1.0 if self.plan is None else self.plan.slow[self._at]

    def take(self, plan: Steps | None) -> None:
        """The plan to follow now; None: none."""
        if plan is not self.plan and plan is not self._over:
            self.leave()
            self.plan, self._at = plan, 0
        elif plan is None:
            self.leave()

    def leave(self) -> None:
        """No more of it."""
        if self.plan is not None:
            self.plan, self._over = None, self.plan

    def next(self, side: int, stance: Foothold) -> Foothold | None:
        """The next step, where foot `side` can reach it from the other; else None, and no more of the plan."""
        p = self.plan
        if p is None or p.side[self._at] != side:
            self.leave()
            return None
        f, most = p.feet[self._at], self._footsteps.gait.turn_max
        wanted = stance.seen(f.xy)
        place = self._footsteps.reach(wanted, side)
        if math.dist(place, wanted) > FAR:
            self.leave()
            return None
        bend = max(-most, min(most, wrap(f.yaw - stance.yaw)))
        return replace(f, xy=stance.at(place), yaw=stance.yaw + bend)

    def landed(self, plan: Steps | None) -> None:
        """A step of a plan has been done."""
        if self.plan is not None and plan is self.plan:
            self._at += 1
            if self._at == len(self.plan.side):
                self.leave()

    def following(self, count: int) -> list[tuple[Foothold, float]]:
        """Those after the next one, and the factors on their times."""
        p = self.plan
        return [] if p is None else list(zip(p.feet, p.slow, strict=True))[self._at + 1 : self._at + 1 + count]

    def velocity(self, step_time: float) -> Array:
        """(2,) m/s of the plan about now."""
        p = self.plan
        if p is None or len(p.side) < 3:
            return np.zeros(2)
        k = min(max(self._at, 1), len(p.side) - 2)
        return np.asarray((p.feet[k + 1].xy - p.feet[k - 1].xy) / (2.0 * step_time * p.slow[self._at]))

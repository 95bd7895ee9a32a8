"""Candidate plans past the tracks (left, right, behind) and the choice among them, with hysteresis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.planning.obstacles import Indices, Mask, Obstacles, passing
from giljabi.planning.options import PlannerOptions
from giljabi.planning.scene import Verdict
from giljabi.types import Array


@dataclass(frozen=True, slots=True)
class Candidate:
    """One solved plan: states (k, nx), inputs (k - 1, nu), cost against the undisturbed route, verdict, sides."""

    name: str  # follow, left, right, yield
    x: Array
    u: Array
    cost: float
    verdict: Verdict
    sides: dict[int, int]  # by track: +1 it passes on our port side, -1 on our starboard side, 0 neither yet
    status: str

    @property
    def safe(self) -> bool:
        """No margin is missed."""
        return self.verdict.deficit <= 0.0


def sides(obstacles: Obstacles, x: Array, times: Array, which: Indices) -> dict[int, int]:
    """Side on which each track of `which` (indices) goes by while the plan x (k, nx) runs."""
    miss = passing(obstacles, x[:, :2], times)
    least = 0.5 * (obstacles.half[:, 1] + obstacles.radius)
    return {obstacles.ids[j]: int(math.copysign(1, miss[j])) if abs(miss[j]) > least[j] else 0 for j in which}


def side_offset(placed: tuple[Array, Array, Array, Array], blocked: Mask, half_width: float, side: int) -> Array:
    """(k,) m: shift of the reference that passes every blocking track (n, k bool) on the left (+1) or right (-1)."""
    _, d, _, across = placed
    edge = d + side * (across + half_width)
    wanted = np.where(blocked, side * edge, 0.0)
    need = np.max(wanted, axis=0, initial=0.0)
    width = max(2, len(need) // 10)
    padded = np.pad(need, width, mode="edge")
    wide = np.max(np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1), axis=1)
    smooth = np.convolve(np.pad(wide, width, mode="edge"), np.full(2 * width + 1, 1.0 / (2 * width + 1)), "valid")
    return np.asarray(side * smooth)


def agree(a: dict[int, int], b: dict[int, int]) -> bool:
    """Whether two plans pass every track that both pass on the same side."""
    return all(side * b.get(i, 0) >= 0 for i, side in a.items())


class Chooser:
    """Remembers which sides were chosen, so that the plan does not dither."""

    def __init__(self, option: PlannerOptions) -> None:
        self._option = option
        self._rule = {"none": 0, "starboard": 1, "port": -1}[option.prefer]
        self.reset()

    def reset(self) -> None:
        """Forgets the last choice."""
        self._sides: dict[int, int] = {}
        self._challenger: dict[int, int] | None = None
        self._since = 0.0

    def price(self, c: Candidate, moving: dict[int, bool]) -> float:
        """Cost with what the rule of the road and missed margins add."""
        against = sum(
            (1.0 if moving.get(i, False) else 0.05) for i, side in c.sides.items() if self._rule and side == -self._rule
        )
        return (c.cost + 5.0) * (1.0 + 2.0 * against) * (1.0 + c.verdict.total) + (0.0 if c.safe else 1e6)

    def choose(self, now: float, candidates: list[Candidate], obstacles: Obstacles, may_wait: bool) -> Candidate | None:
        """The candidate to follow; None: none is safe on the chosen sides, and `may_wait` allows the last plan's tail.

        A plan on other sides replaces the chosen ones when it has been clearly better for a while, or at once when
        nothing is safe on them.
        """
        moving = dict(zip(obstacles.ids, obstacles.moving.tolist(), strict=True))

        def price(c: Candidate) -> float:
            return self.price(c, moving)

        best = min(candidates, key=price)
        same = [c for c in candidates if agree(self._sides, c.sides)]
        kept = min(same, key=price) if same else None
        if kept is best:
            self._challenger = None
        elif kept is not None and kept.safe:
            if price(best) >= self._option.switch_gain * price(kept):
                self._challenger = None
                best = kept
            elif self._challenger is None or not agree(self._challenger, best.sides):
                self._challenger, self._since = best.sides, now
            if best is not kept and now - self._since < self._option.switch_after_s:
                best = kept
        elif may_wait:
            return None
        # Sides of tracks that are no longer in the way are forgotten; undecided ones keep what was chosen.
        self._sides = {i: side or self._sides.get(i, 0) for i, side in best.sides.items()}
        return best

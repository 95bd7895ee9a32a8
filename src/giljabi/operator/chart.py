"""What the page's map shows of a mission beside its line: fences, those that are broken, the legs. Plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from giljabi.fence import Fence
from giljabi.missions.course import Course
from giljabi.missions.legs import Homing, ahead
from giljabi.planning.fences import FenceMap
from giljabi.types import Array


class Chart:
    """Fences and legs of one vehicle's mission, in map [m]."""

    def __init__(self, fences: Sequence[Fence]) -> None:
        """fences: of the platform file, which hold on every mission."""
        self._own = tuple(fences)
        self.set_fences(())
        self.legs: list[dict[str, Any]] = []

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces the mission's fences."""
        every = (*self._own, *fences)
        self.fences = [_drawn(f) for f in every]
        self._maps = [FenceMap([f]) for f in every]

    def set_course(self, course: Course | None) -> None:
        """Replaces the mission; None: a route, which has neither steps nor fences of its own."""
        self.legs = [] if course is None else _legs(course)
        if course is not None:
            self.set_fences(course.fences)

    def beyond(self, place: Array) -> list[int]:
        """Which of `fences` are broken at a place (3,) [m map]."""
        if not np.isfinite(place).all():
            return []
        return [i for i, m in enumerate(self._maps) if float(m.distance(place)[0]) < 0.0]


def _drawn(fence: Fence) -> dict[str, Any]:
    low, high = fence.height_min, fence.height_max
    band = f"{low:g} to {high:g} m" if math.isfinite(low) and math.isfinite(high) else ""
    band = band or (f"below {high:g} m" if math.isfinite(high) else f"above {low:g} m" if math.isfinite(low) else "")
    return {
        "points": [[round(x, 2), round(y, 2)] for x, y in fence.points],
        "centre": None if fence.centre is None else [round(v, 2) for v in fence.centre],
        "radius": fence.radius,
        "keep_out": fence.keep_out,
        "words": f"{'keep out' if fence.keep_out else 'fence'}{': ' if band else ''}{band}",
    }


def _legs(course: Course) -> list[dict[str, Any]]:
    """One a step, as a line from where the step before ends; from home, which the file may not say."""
    start = np.array([*(course.home or (0.0, 0.0)), 0.0])
    legs: list[dict[str, Any]] = [{"step": i + 1, "kind": s.kind, "points": []} for i, s in enumerate(course.steps)]
    last = _rounded(start)
    for p in ahead(course, 0, 0, start, Homing(start, course.rally, 0.0)):
        points = legs[p.step]["points"]
        if not points:
            points.append(last)
        last = _rounded(p.p)
        if points[-1] != last or p.last:
            points.append(last)
    return legs


def _rounded(p: Array) -> list[float]:
    return [round(float(p[0]), 2), round(float(p[1]), 2)]

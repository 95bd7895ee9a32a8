"""Plane geometry of the ground truth: rectangles, polygons and polylines in map [m]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.types import Array


def rectangle(  # noqa: PLR0917
    x: float, y: float, yaw: float, length: float, width: float, centre_x: float = 0.0
) -> Array:
    """Corners (4, 2) of a body rectangle, counter-clockwise from the rear right; centre_x ahead of (x, y)."""
    c, s = math.cos(yaw), math.sin(yaw)
    body = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * [length, width] + [centre_x, 0.0]
    return np.asarray(body @ np.array([[c, s], [-s, c]]) + [x, y])


def disc(x: float, y: float, radius: float, n: int = 24) -> Array:
    """Corners (n, 2) of the polygon around a disc."""
    a = 2.0 * math.pi * np.arange(n) / n
    return np.stack([x + radius * np.cos(a), y + radius * np.sin(a)], axis=1)


def inside(point: Array, polygon: Array) -> bool:
    """True when the point lies in the polygon (n, 2), convex or not."""
    x, y = float(point[0]), float(point[1])
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return bool(np.count_nonzero(crosses & (x < at)) % 2)


def _to_segments(points: Array, polygon: Array) -> float:
    """Least distance of points (n, 2) to the edges of a polygon [m]."""
    a, e = polygon, np.roll(polygon, -1, axis=0) - polygon
    rel = points[:, None, :] - a[None, :, :]
    size = np.maximum(np.sum(e * e, axis=1), 1e-12)
    w = np.clip(np.sum(rel * e, axis=2) / size, 0.0, 1.0)
    gap = rel - w[:, :, None] * e
    return float(np.sqrt(np.min(np.sum(gap * gap, axis=2))))


def _edges_cross(p: Array, q: Array) -> bool:
    """True when an edge of one polygon crosses an edge of the other."""
    a, b = p[:, None, :], np.roll(p, -1, axis=0)[:, None, :]
    c, d = q[None, :, :], np.roll(q, -1, axis=0)[None, :, :]

    def side(o: Array, to: Array, pt: Array) -> Array:
        return np.asarray(
            (to[..., 0] - o[..., 0]) * (pt[..., 1] - o[..., 1]) - (to[..., 1] - o[..., 1]) * (pt[..., 0] - o[..., 0])
        )

    return bool(np.any((side(a, b, c) * side(a, b, d) < 0.0) & (side(c, d, a) * side(c, d, b) < 0.0)))


def polygon_distance(p: Array, q: Array) -> float:
    """Distance between two polygons (n, 2), (m, 2) [m]; 0 when they touch or one contains the other."""
    if _edges_cross(p, q) or inside(p[0], q) or inside(q[0], p):
        return 0.0
    return min(_to_segments(p, q), _to_segments(q, p))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies beside a polyline."""

    s: float  # m along it
    offset: float  # m, positive to the left
    segment: int
    fraction: float  # of the segment, 0..1


class Polyline:
    """Points (n, 2) with arc length; a closed one repeats its first point."""

    def __init__(self, points: Array) -> None:
        self.points = np.asarray(points, dtype=np.float64)[:, :2]
        self._e = np.diff(self.points, axis=0)
        self._size = np.hypot(self._e[:, 0], self._e[:, 1])
        self.s = np.concatenate([[0.0], np.cumsum(self._size)])
        self.length = float(self.s[-1])

    def project(self, x: float, y: float, near: float | None = None, window: float = 30.0) -> Place:
        """Nearest place; `near` limits the search to `window` metres of arc length around it."""
        lo, hi = 0, len(self._e)
        if near is not None:
            lo = max(int(np.searchsorted(self.s, near - window)) - 1, 0)
            hi = min(int(np.searchsorted(self.s, near + window)) + 1, len(self._e))
        rel = np.array([x, y]) - self.points[lo:hi]
        e, size = self._e[lo:hi], np.maximum(self._size[lo:hi], 1e-9)
        w = np.clip(np.sum(rel * e, axis=1) / size**2, 0.0, 1.0)
        gap = rel - w[:, None] * e
        k = int(np.argmin(np.sum(gap * gap, axis=1)))
        side = e[k, 0] * rel[k, 1] - e[k, 1] * rel[k, 0]
        distance = float(np.hypot(gap[k, 0], gap[k, 1]))
        return Place(
            float(self.s[lo + k] + w[k] * self._size[lo + k]), math.copysign(distance, side), lo + k, float(w[k])
        )

    def at(self, s: float) -> tuple[float, float, float]:
        """x, y [m] and direction [rad] at arc length s, held beyond the ends."""
        s = min(max(s, 0.0), self.length)
        k = min(max(int(np.searchsorted(self.s, s, side="right")) - 1, 0), len(self._e) - 1)
        w = (s - self.s[k]) / max(self._size[k], 1e-9)
        x, y = self.points[k] + w * self._e[k]
        return float(x), float(y), math.atan2(self._e[k, 1], self._e[k, 0])

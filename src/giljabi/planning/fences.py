"""What planners ask of fences: how far away they are, which cells of a grid they block, which leg crosses one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from giljabi.fence import Fence, FenceLike, as_fences
from giljabi.platform import Platform
from giljabi.types import Array

LEG_STEP = 0.25  # m between the places at which a leg is looked at
SOFT = 0.3  # m, as the guard's (velocity_fence.hpp)


class FenceMap:
    """Fences prepared for questions; distances are signed: positive where the vehicle may be."""

    def __init__(self, fences: Iterable[FenceLike] = ()) -> None:
        """Raises BadInputError for what is no fence."""
        self.fences: tuple[Fence, ...] = as_fences(fences)
        self._corners = [np.array(f.points) for f in self.fences]

    def __len__(self) -> int:
        return len(self.fences)

    def distance(self, points: Array) -> Array:
        """Distance (n,) [m] of points (n, 3) to the nearest fence: positive inside what is allowed, negative beyond."""
        p = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        least = np.full(len(p), math.inf)
        for i in range(len(self.fences)):
            least = np.minimum(least, self._of(i, p))
        return least

    def blocked(
        self, origin: Sequence[float], resolution: float, shape: tuple[int, int], height: float, margin: float = 0.0
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Cells (rows along y, columns along x) with a place nearer than margin [m] to a fence, or beyond it.

        origin: x, y [m] of the grid's corner in map; height: of the flight [m].
        """
        rows, columns = shape
        x = origin[0] + (np.arange(columns) + 0.5) * resolution
        y = origin[1] + (np.arange(rows) + 0.5) * resolution
        grid = np.stack([*np.meshgrid(x, y), np.full(shape, height)], axis=-1)
        near = self.distance(grid.reshape(-1, 3)).reshape(shape)
        return np.asarray(near < margin + resolution * math.sqrt(0.5))

    def first(self, points: Array, margin: float) -> tuple[int, float]:
        """(index, distance [m]) of the first of points (n, 3) nearer than margin [m] to a fence; (-1, least) if none.

        A way that begins too near, but inside, may lead away.
        """
        d = self.distance(points)
        near = d < margin
        begin = 0
        while begin < len(d) and near[begin] and d[begin] > 0.0 and d[begin] >= np.max(d[: begin + 1]) - 1e-3:
            begin += 1
        i, least = _first(d[begin:], margin)
        return (begin + i, least) if i >= 0 else (-1, float(np.min(d, initial=math.inf)))

    def first_leg(self, points: Array, margin: float) -> str:
        """Which leg between points (m, 3) comes nearer than margin [m] to a fence, in words; empty when none does."""
        for i, (a, b) in enumerate(itertools.pairwise(points)):
            n = max(math.ceil(float(np.linalg.norm(b - a)) / LEG_STEP), 1)
            way = a + np.linspace(0.0, 1.0, n + 1)[:, None] * (b - a)
            k, d = self.first(way, margin) if i == 0 else _first(self.distance(way), margin)
            if k >= 0:
                end, where = (", ".join(f"{v:.1f}" for v in p) for p in (b, way[k]))
                what = "crosses a fence" if d < 0.0 else f"comes within {d:.1f} m of a fence"
                return f"leg {i + 1}, to ({end}), {what} at ({where}); {margin:.1f} m of room are expected"
        return ""

    def speeds(self, places: Array, room: FenceRoom) -> Array:
        """Most speed (n,) [m/s] at places (n, 3) in the order of a way, so that every fence it leads to can be kept."""
        most = np.full(len(places), math.inf)
        way = np.maximum(np.linalg.norm(np.diff(places, axis=0), axis=1), 1e-9)
        for i in range(len(self.fences)):
            for d in self._faces(i, places):
                closing = np.append(-np.diff(d) / way, 0.0)
                most = np.minimum(most, room.speed(d, closing))
        return most

    def _faces(self, i: int, p: Array) -> Iterator[Array]:
        """Distances (n,) of points (n, 3) to each side of a fence, all convex, on whichever side they are."""
        fence, corners = self.fences[i], self._corners[i]
        below, above = p[:, 2] - fence.height_min, fence.height_max - p[:, 2]
        if not fence.keep_out:
            yield from (d for d in (below, above) if math.isfinite(d[0]))
        # Over or under a keep-out its sides are that much further away.
        aside = np.maximum(-np.minimum(below, above), 0.0) if fence.keep_out else np.zeros(len(p))
        if fence.radius is not None and fence.centre is not None:
            yield np.hypot(fence.radius - np.hypot(p[:, 0] - fence.centre[0], p[:, 1] - fence.centre[1]), aside)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            e = b - a
            share = np.clip((p[:, :2] - a) @ e / (e @ e), 0.0, 1.0)
            gap = p[:, :2] - a - share[:, None] * e
            yield np.sqrt(np.sum(gap * gap, axis=1) + aside * aside)

    def _of(self, i: int, p: Array) -> Array:
        fence = self.fences[i]
        if fence.everywhere:
            level = np.full(len(p), math.inf)
        elif fence.radius is not None and fence.centre is not None:
            level = fence.radius - np.hypot(p[:, 0] - fence.centre[0], p[:, 1] - fence.centre[1])
        else:
            level = _polygon_distance(self._corners[i], p[:, :2])
        upright = np.minimum(p[:, 2] - fence.height_min, fence.height_max - p[:, 2])
        inner = np.minimum(level, upright)
        if not fence.keep_out:
            return np.asarray(inner)
        outer = np.hypot(np.maximum(-level, 0.0), np.maximum(-upright, 0.0))
        return np.asarray(np.where(inner > 0.0, -inner, outer))


def _first(d: Array, margin: float) -> tuple[int, float]:
    """Index and value of the first distance below margin; -1 when none is."""
    found = np.flatnonzero(d < margin)
    return (int(found[0]), float(d[found[0]])) if len(found) else (-1, math.inf)


def _polygon_distance(corners: Array, p: Array, piece: int = 4096) -> Array:
    """Distance (n,) of points (n, 2) to the edge of a polygon (m, 2), positive inside."""
    out = np.empty(len(p))
    a, b = corners, np.roll(corners, -1, axis=0)
    e = b - a
    size = np.sum(e * e, axis=1)
    for begin in range(0, len(p), piece):
        q = p[begin : begin + piece]
        rel = q[:, None, :] - a[None, :, :]
        share = np.clip(np.sum(rel * e, axis=2) / size, 0.0, 1.0)
        gap = rel - share[:, :, None] * e
        far = np.sqrt(np.min(np.sum(gap * gap, axis=2), axis=1))
        crosses = (a[:, 1] > q[:, 1:2]) != (b[:, 1] > q[:, 1:2])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = a[:, 0] + (q[:, 1:2] - a[:, 1]) / e[:, 1] * e[:, 0]
        inside = np.count_nonzero(crosses & (q[:, 0:1] < at), axis=1) % 2 == 1
        out[begin : begin + piece] = np.where(inside, far, -far)
    return out


@dataclass(frozen=True, slots=True)
class FenceRoom:
    """The room that the guard keeps to fences, so that plans within it are never held back."""

    standing: float  # m from base_link to a fence, at rest
    late: float  # s, until a command shows
    brake: float  # m/s^2
    drift: float  # m/s

    def speed(self, distance: Array, closing: Array) -> Array:
        """Fastest speed (n,) [m/s] at a signed distance (n,) [m] to fences that falls by `closing` (n,) m a metre.

        Such that it comes to rest with `standing` left: v closing (late + v / 2 brake) + drift v / brake = what is
        left. 0 where nothing is.
        """
        left = np.maximum(distance - self.standing, 0.0)
        a = np.maximum(closing, 0.0) / (2.0 * self.brake)
        b = np.maximum(closing, 0.0) * self.late + self.drift / self.brake
        root = np.sqrt(b * b + 4.0 * a * left)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(b + root > 0.0, 2.0 * left / np.maximum(b + root, 1e-12), np.inf))


def room_of(platform: Platform) -> FenceRoom:
    """From a platform's footprint and `guard`; one that does not say how it brakes is taken at its limit."""
    g, body, limits = platform.model.guard, platform.model.footprint, platform.model.limits
    f, brake = g.fence, g.stop_deceleration or limits.deceleration_max
    rates = [
        min(a.rate_max, a.safe.rate) for n, a in platform.model.actuators.items() if n in (f.velocity_inputs or ())
    ]
    if rates:
        brake = 1.0 / (1.0 / brake + 1.0 / min(rates))
    late = f.delay_s + 1.0 / g.rate_hz
    reach = math.hypot(0.5 * body.length + abs(body.centre_x), 0.5 * body.width)
    # Commands keep SOFT, and what drift needs to be led back, beyond what must be kept.
    standing = reach + f.position_error + f.drift * late + SOFT + f.drift
    return FenceRoom(standing, late, brake, f.drift)

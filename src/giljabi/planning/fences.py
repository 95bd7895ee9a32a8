"""What planners ask of fences: how far away they are, which cells of a grid they block, which leg crosses one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from giljabi.fence import Fence, FenceLike, as_fences
from giljabi.types import Array


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

        margin: one for all, or (n,) one each.
        """
        d = self.distance(points)
        near = np.flatnonzero(d < margin)
        return (int(near[0]), float(d[near[0]])) if len(near) else (-1, float(np.min(d, initial=math.inf)))

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

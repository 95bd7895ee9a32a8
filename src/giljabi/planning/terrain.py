"""The ground as a planner of footsteps sees it: where a sole lies flat, how high, and how far walls are away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from giljabi.frames import wrap_angle
from giljabi.ground import Surface
from giljabi.types import OCCUPIED, Array, GridMap

CELL = 0.04  # m, at least
CELLS = 400  # along the longer side, at most
HOPS = 5  # doublings of how far along its way a cell looks, from 4 cells on
SIGHTS = 14  # places looked at on a line
Cells = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Way:
    """From each cell to the goal, by the farthest place of the way that it sees.

    x, y: of that place [m]; from there on: length [m] (inf: there is no way), all turning `bend` and direction [rad].
    """

    x: Array
    y: Array
    length: Array
    bend: Array
    direction: Array

    def at(self, x: Array, y: Array, cell: tuple[Cells, Cells]) -> tuple[Array, Array, Array]:
        """Length [m], direction [rad] and bend [rad] of the way from places in these cells."""
        dx, dy = self.x[cell] - x, self.y[cell] - y
        direction = np.arctan2(dy, dx)
        bend = np.abs(wrap_angle(self.direction[cell] - direction)) + self.bend[cell]
        return np.hypot(dx, dy) + self.length[cell], direction, bend


class Terrain:
    """Built once for a region of map; all queries take arrays of places."""

    def __init__(
        self, low: Array, high: Array, surfaces: Sequence[Surface] = (), grid: GridMap | None = None,
        step_height: float = 0.03,
    ) -> None:  # fmt: skip
        """low, high: (2,) m, corners of the region; surfaces higher than `step_height` above map's zero are walls."""
        self.size = size = max(CELL, float(np.max(np.asarray(high) - low)) / CELLS)
        self.corner = np.floor(np.asarray(low) / size) * size
        nx, ny = np.ceil((high - self.corner) / size).astype(int) + 1
        self.shape = (int(nx), int(ny))
        self.walls = [s for s in surfaces if s.height > step_height]
        flats = sorted((s for s in surfaces if s.height <= step_height), key=lambda s: s.height)
        self.flat = bool(not flats)
        self._heights = np.array([s.height for s in flats])
        sides = [np.stack([s.corners, np.roll(s.corners, -1, axis=0)], axis=1) for s in flats]
        self._edges = np.concatenate(sides) if sides else np.zeros((0, 2, 2))  # (e, 2, 2)
        self._owner = np.repeat(np.arange(len(flats)), [len(s) for s in sides])
        self._distance = self._distances(grid)

    # --- walls ---

    def _distances(self, grid: GridMap | None) -> Array:
        """m from each cell's middle to the nearest wall."""
        blocked = np.zeros(self.shape, dtype=bool)
        x, y = self._centres()
        for wall in self.walls:
            blocked |= contains(wall.corners, x, y, self.size / 2)
        if grid is not None:
            for k in np.argwhere(grid.cells.T == OCCUPIED):
                at = (np.array(grid.corner) + k * grid.resolution - self.corner) / self.size
                first, last = np.floor(at + 1e-6), np.ceil(at + grid.resolution / self.size - 1e-6)
                i, j = (slice(max(int(a), 0), max(int(b), 0)) for a, b in zip(first, last, strict=True))
                blocked[i, j] = True
        if not blocked.any():
            return np.full(self.shape, 100.0)
        return np.asarray(self.size * distance_transform_edt(~blocked))

    def _centres(self) -> tuple[Array, Array]:
        axes = [self.corner[i] + self.size * (np.arange(self.shape[i]) + 0.5) for i in (0, 1)]
        x, y = np.meshgrid(axes[0], axes[1], indexing="ij")
        return x, y

    def cell(self, x: Array, y: Array) -> tuple[Cells, Cells]:
        """Indices of the cells of places; those outside of the region belong to its rim."""
        i, j = ((x - self.corner[0]) / self.size).astype(np.intp), ((y - self.corner[1]) / self.size).astype(np.intp)
        return np.minimum(np.maximum(i, 0), self.shape[0] - 1), np.minimum(np.maximum(j, 0), self.shape[1] - 1)

    def distance(self, x: Array, y: Array) -> Array:
        """m from places to the nearest wall; on the safe side by half a cell's diagonal."""
        return np.asarray(self._distance[self.cell(x, y)] - 0.3 * self.size)

    def to_go(self, goal: tuple[float, float, float], least: float, room: float) -> Way:
        """The way of a disc to a goal (x, y, yaw there).

        least: m that its middle keeps from walls; room: m that it likes to keep.
        """
        clear = self._distance - 0.3 * self.size
        i, j = self.cell(np.array([goal[0]]), np.array([goal[1]]))
        source = int(np.ravel_multi_index((i[0], j[0]), self.shape))
        cost, before = dijkstra(
            self._graph(clear, least, room), directed=False, indices=source, return_predecessors=True
        )
        nearer = np.where(before < 0, np.arange(clear.size), before)
        x, y = (a.reshape(-1) for a in self._centres())
        x[source], y[source] = goal[:2]
        far = self._seen_from(nearer, x, y, (clear >= min(room, least + self.size)).reshape(-1))
        length = np.hypot(x[far] - x, y[far] - y)
        direction = np.arctan2(y[far] - y, x[far] - x)
        direction[source] = goal[2]
        bend = np.abs(wrap_angle(direction[far] - direction))
        seen = far
        while (far != far[far]).any():  # sums along the whole way, twice as far each time
            length, bend, far = length + length[far], bend + bend[far], far[far]
        length = np.where(np.isfinite(cost), length[seen], np.inf)
        parts = (x[seen], y[seen], length, bend[seen], direction[seen])
        return Way(*(part.reshape(self.shape) for part in parts))

    def _graph(self, clear: Array, least: float, room: float) -> csr_matrix:
        """Neighbouring free cells; dearer where walls are nearer than `room`."""
        dear = 1.0 + 2.0 * np.clip((room - clear) / room, 0.0, 1.0)
        free = clear >= least
        index = np.arange(clear.size).reshape(self.shape)
        rows, columns, costs = [], [], []
        for di, dj in ((1, 0), (0, 1), (1, 1), (1, -1)):
            a = (slice(0, -di or None), slice(max(-dj, 0), -dj if dj > 0 else None))
            b = (slice(di, None), slice(max(dj, 0), dj if dj < 0 else None))
            both = free[a] & free[b]
            rows.append(index[a][both])
            columns.append(index[b][both])
            costs.append((0.5 * self.size * math.hypot(di, dj) * (dear[a] + dear[b]))[both])
        ends = (np.concatenate(rows), np.concatenate(columns))
        return csr_matrix((np.concatenate(costs), ends), (clear.size, clear.size))

    def _seen_from(self, nearer: Cells, x: Array, y: Array, free: npt.NDArray[np.bool_]) -> Cells:
        """The farthest cell of each one's way, of those looked at, to which the straight line is free."""
        hop = nearer
        for _ in range(2):
            hop = hop[hop]
        out = hop
        for _ in range(HOPS):
            hop = hop[hop]
            seen = np.ones(len(x), dtype=bool)
            for part in np.linspace(0.0, 1.0, SIGHTS):
                cell = self.cell(x + part * (x[hop] - x), y + part * (y[hop] - y))
                seen &= free[np.ravel_multi_index(cell, self.shape)]
            out = np.where(seen, hop, out)
        return out

    # --- surfaces ---

    def height(self, x: Array, y: Array) -> Array:
        """m of the ground at places; 0 where no surface is."""
        out = np.zeros(np.shape(x))
        for k in range(len(self._heights)):
            edges = self._edges[self._owner == k]
            out[contains(edges[:, 0], x, y)] = self._heights[k]  # lower ones first
        return out

    def sole(self, x: Array, y: Array, yaw: Array, half: Array) -> Array:
        """m of the ground under soles (n,) of half sizes (2,); NaN where an edge of a surface is under one."""
        if self.flat:
            return np.zeros(len(x))
        z = self.height(x, y)
        a, step = self._edges[:, 0], self._edges[:, 1] - self._edges[:, 0]
        c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
        dx, dy = a[None, :, 0] - x[:, None], a[None, :, 1] - y[:, None]
        first, last = np.zeros((len(x), len(a))), np.ones((len(x), len(a)))
        for at, along, size in (
            (c * dx + s * dy, c * step[:, 0] + s * step[:, 1], half[0]),
            (c * dy - s * dx, c * step[:, 1] - s * step[:, 0], half[1]),
        ):
            rate = np.where(np.abs(along) < 1e-12, 1e-12, along)
            enter, leave = (-size - at) / rate, (size - at) / rate
            first = np.maximum(first, np.minimum(enter, leave))
            last = np.minimum(last, np.maximum(enter, leave))
        # an edge below the surface that the sole lies on is none
        seen = self._heights[self._owner][None] > z[:, None] - 1e-9
        return np.where(((first <= last) & seen).any(axis=1), np.nan, z)


def contains(corners: Array, x: Array, y: Array, grown: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether places are in a convex polygon (n, 2), counter-clockwise, grown by [m]."""
    inside = np.ones(np.shape(x), dtype=bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        step = b - a
        inside &= step[0] * (y - a[1]) - step[1] * (x - a[0]) >= -grown * math.hypot(*step)
    return inside

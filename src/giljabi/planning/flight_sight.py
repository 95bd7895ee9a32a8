"""What the map tells planners that fly ways of their own: distances to what stands, and to what nobody has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from giljabi._core.planning import LatticePlanner
from giljabi.fence import Fence
from giljabi.planning.corridor import Cells, CorridorOptions, CorridorPlanner
from giljabi.planning.fences import FenceMap
from giljabi.platform import Platform
from giljabi.types import OCCUPIED, Array, GridMap

VERTICAL = 0.3  # m over the ground within a plan: less is a piece straight up or down, which is flown as it is
LAYER = 1.0  # m above and below the map's layer for which it holds
HEIGHT_STEP = 0.5  # m, in which fences are looked at


def half_diagonal(platform: Platform) -> float:
    """From the vehicle's centre to its furthest corner [m]."""
    body = platform.model.footprint
    return 0.5 * math.hypot(body.length, body.width)


class Sight:
    """The newest map about a vehicle, with fences and closed places as if something stood there."""

    def __init__(self, options: CorridorOptions, timeout_s: float) -> None:
        """timeout_s: an older map is none."""
        self._options, self._timeout = options, timeout_s
        self.corridor: CorridorPlanner | None = None  # of the map that was looked at last
        self.grid: GridMap | None = None
        self._fences = FenceMap()
        self._beyond: tuple[object, npt.NDArray[np.bool_]] | None = None

    @property
    def lattice(self) -> LatticePlanner:
        """Distances on the map that was looked at last; only after look()."""
        assert self.corridor is not None
        return self.corridor.lattice

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces the fences that count as walls."""
        self._fences, self._beyond = FenceMap(fences), None

    def look(self, now: float, here: Array, goal: Array, closed: Sequence[tuple[float, float, float]] = ()) -> bool:
        """Takes the map in; False where there is none that can be believed, or none of the height.

        here: (3,) m; goal: (2,) m; closed: x, y, radius [m] of places that are taken for occupied.
        """
        grid = self.grid
        if grid is None or not -0.1 <= now - grid.t <= self._timeout:
            return False
        if abs(float(here[2]) - grid.height) > 1.5 * LAYER:
            return False
        c = self.corridor
        if c is None or c.resolution != grid.resolution or c.cells != max(grid.cells.shape):
            side = max(grid.cells.shape) * grid.resolution
            options = self._options.model_copy(update={"window_m": side})
            c = self.corridor = CorridorPlanner(grid.resolution, options)
        c.look(self._with_closed(grid, closed), grid.corner, here[:2], goal)
        return True

    def _with_closed(self, grid: GridMap, closed: Sequence[tuple[float, float, float]]) -> Cells:
        if not closed and not len(self._fences):
            return grid.cells
        cells: Cells = grid.cells.copy()
        if len(self._fences):
            self._fenced(cells, grid)
        rows, columns = cells.shape
        x = grid.corner[0] + (np.arange(columns) + 0.5) * grid.resolution
        y = grid.corner[1] + (np.arange(rows) + 0.5) * grid.resolution
        for a, b, r in closed:
            cells[np.hypot(x[None, :] - a, y[:, None] - b) < r] = OCCUPIED
        return cells

    def _fenced(self, cells: Cells, grid: GridMap) -> None:
        """Closes what lies beyond fences; computed again when the grid's window moved or the height changed."""
        place = (grid.corner, cells.shape, round(grid.height / HEIGHT_STEP))
        if self._beyond is None or self._beyond[0] != place:
            height = HEIGHT_STEP * place[2]
            self._beyond = (place, self._fences.blocked(grid.corner, grid.resolution, grid.cells.shape, height))
        cells[self._beyond[1]] = OCCUPIED

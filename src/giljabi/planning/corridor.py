"""Local avoidance at one height: replanning through what is known to be free, and a smooth path of the plans.

The search itself (`giljabi._core.planning.LatticePlanner`) goes over pieces of constant acceleration. What a vehicle
follows is that plan averaged over a short window, which bounds jerk and moves it by no more than a centimetre or two.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from giljabi._core.planning import LatticePlanner
from giljabi.types import FREE, OCCUPIED, UNKNOWN, Array, BadInputError, Trajectory
from giljabi.yaml_file import Strict

__all__ = ["FREE", "OCCUPIED", "UNKNOWN", "Cells", "CorridorOptions", "CorridorPlanner", "SmoothPlan"]

Cells = npt.NDArray[np.uint8]


class CorridorOptions(Strict):
    """Limits and effort of local planning."""

    clearance: float = Field(default=0.36, gt=0, description="m, from the vehicle's centre to anything not free")
    hard_clearance: float = Field(default=0.28, gt=0, description="m, from where a place too near may be left")
    speed_max: float = Field(default=5.0, gt=0, description="m/s")
    acceleration: float = Field(default=5.0, gt=0, description="m/s^2 along each axis")
    braking: float = Field(default=5.0, gt=0, description="m/s^2")
    piece: float = Field(default=0.3, gt=0.02, description="s, length of a piece of the search")
    horizon: float = Field(default=1.8, gt=0, description="s")
    goal_radius: float = Field(default=0.4, gt=0, description="m")
    greed: float = Field(default=1.5, ge=1, description="weight of the way to go; more is faster and less optimal")
    expansions: int = Field(default=3000, ge=1, le=100000)
    smooth_s: float = Field(default=0.1, gt=0, le=0.5, description="half the window of the average")
    window_m: float = Field(default=16.0, gt=1, description="side of the grid that is looked at")


class SmoothPlan:
    """Pieces of constant acceleration as a path averaged by a triangle of half-width `smooth` (a FlatPath).

    The second integrals of a piecewise polynomial make the average exact: no sampling, acceleration and jerk without
    jumps. It rests before its first and after its last piece.
    """

    def __init__(  # noqa: PLR0917
        self,
        begin: float,
        position: tuple[float, float],
        height: float,
        smooth: float,
        yaw: float = 0.0,
        velocity: tuple[float, float] = (0.0, 0.0),
    ):
        """In a place (x, y) [m] at time begin [s], at rest or on with a velocity [m/s]."""
        self._w, self._height, self._yaw = smooth, height, yaw
        # Columns: time, x y, vx vy, ax ay of each piece, then the first and second integral of the position.
        self._rows: Array = np.array([[begin, *position, *velocity, 0, 0, 0, 0, 0, 0]], dtype=np.float64)

    @property
    def end(self) -> float:
        """When it comes to rest [s]."""
        return float(self._rows[-1, 0])

    def state(self, t: float) -> tuple[Array, Array]:
        """Position (2,) [m] and velocity (2,) [m/s] of the plan itself, before the average."""
        return self._raw(np.array([t]), 0)[0], self._raw(np.array([t]), 1)[0]

    def replace(self, t: float, pieces: Array) -> None:
        """From t on goes through pieces (n, 7) that begin in state(t), and rests; t must not go back."""
        rows = self._rows
        keep = rows[:, 0] < t
        keep[: max(int(np.searchsorted(rows[:, 0], t - 3.0 * self._w)) - 1, 0)] = False
        rows = rows[keep] if np.any(keep) else rows[:1]
        out = list(rows)
        now = t
        for k in range(len(pieces) + 1):
            row = np.zeros(11)
            row[0] = now
            if k < len(pieces):
                row[1:7] = pieces[k, 1:7]
                now += pieces[k, 0]
            else:
                d, p = pieces[-1, 0], pieces[-1]
                row[1:3] = p[1:3] + p[3:5] * d + 0.5 * p[5:7] * d * d
            out.append(row)
        self._rows = _integrated(np.array(out))

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,), order 0 to 4."""
        t = np.asarray(t, dtype=np.float64)
        w = self._w
        out = np.zeros((len(t), 3))
        parts = self._raw(t + w, order - 2) - 2.0 * self._raw(t, order - 2) + self._raw(t - w, order - 2)
        out[:, :2] = parts / (w * w)
        if order == 0:
            out[:, 2] = self._height
        return out

    def yaw(self, t: Array) -> Array:
        """Always the same."""
        return np.full(len(t), self._yaw)

    def trajectory(self, t: float, horizon: float = 2.0, step: float = 0.05) -> Trajectory:
        """Rows of the averaged path from t on."""
        times = np.arange(0.0, horizon + 0.5 * step, step)
        n, at = len(times), t + times
        return Trajectory(t, times, self.derivative(at, 0), self.yaw(at), self.derivative(at, 1), np.zeros(n))

    def _raw(self, t: Array, order: int) -> Array:
        """Derivative (n, 2) of the plan itself; orders -1 and -2 are its integrals."""
        rows = self._rows
        i = np.clip(np.searchsorted(rows[:, 0], t, side="right") - 1, 0, None)
        r, s = rows[i], (t - rows[i, 0])[:, None]
        p, v, a, first, second = r[:, 1:3], r[:, 3:5], r[:, 5:7], r[:, 7:9], r[:, 9:11]
        if order == -2:
            return np.asarray(second + s * first + s**2 / 2 * p + s**3 / 6 * v + s**4 / 24 * a)
        if order == -1:
            return np.asarray(first + s * p + s**2 / 2 * v + s**3 / 6 * a)
        if order == 0:
            return np.asarray(p + s * v + s**2 / 2 * a)
        return np.asarray(v + s * a if order == 1 else a)


def _integrated(rows: Array) -> Array:
    """The pieces with their integrals, zero at the begin of the first: they stay small and keep their digits."""
    rows[0, 7:11] = 0.0
    for k in range(1, len(rows)):
        last, row = rows[k - 1], rows[k]
        s = row[0] - last[0]
        row[7:9] = last[7:9] + s * last[1:3] + s**2 / 2 * last[3:5] + s**3 / 6 * last[5:7]
        row[9:11] = last[9:11] + s * last[7:9] + s**2 / 2 * last[1:3] + s**3 / 6 * last[3:5] + s**4 / 24 * last[5:7]
    return rows


class CorridorPlanner:
    """Replans a SmoothPlan towards a goal through a grid of free, occupied and unknown cells.

    Every piece of every plan can be left by a straight stop inside cells known to be free, so nothing is lost when a
    replan finds no way: the last plan goes on to its stop.
    """

    def __init__(self, resolution: float, options: CorridorOptions | None = None) -> None:
        """resolution: m, side of a cell."""
        o = self.options = options if options is not None else CorridorOptions()
        if o.hard_clearance >= o.clearance:
            raise BadInputError(f"hard_clearance {o.hard_clearance} is not below clearance {o.clearance} m")
        self.resolution = resolution
        self.cells = max(math.ceil(o.window_m / resolution), 8)
        names = ("clearance", "hard_clearance", "speed_max", "acceleration", "braking", "piece", "horizon",
                 "goal_radius", "greed")  # fmt: skip
        self.lattice = LatticePlanner(
            self.cells, self.cells, resolution, {n: getattr(o, n) for n in names}, o.expansions
        )
        self.note = ""  # why the last plan goes on

    def step(self, now: float, plan: SmoothPlan, cells: Cells, corner: tuple[float, float], goal: Array) -> None:
        """Replans what lies behind the window of the average.

        cells: (rows, columns) uint8, rows along y: FREE, OCCUPIED, UNKNOWN; what lies outside is unknown. corner:
        (x, y) [m] of the first cell's corner; goal: (2,) m.
        """
        self.look(cells, corner, plan.state(now + self.options.smooth_s)[0], goal)
        self.replan(now, plan, goal)

    def look(self, cells: Cells, corner: tuple[float, float], centre: Array, goal: Array) -> None:
        """Takes in the part of a grid about a place (2,) [m], and where to go; the rest as for step."""
        window, at = self._window(cells, corner, centre)
        self.lattice.set_map(window, at, (float(goal[0]), float(goal[1])))

    def replan(self, now: float, plan: SmoothPlan, goal: Array) -> None:
        """Replans in what was looked at last."""
        begin = now + self.options.smooth_s
        position, velocity = plan.state(begin)
        pieces = self.lattice.plan((float(position[0]), float(position[1])), (float(velocity[0]), float(velocity[1])))
        self.note = ""
        if len(pieces) < 2 and float(np.linalg.norm(goal - position)) > self.options.goal_radius:
            # Only the stop is left; while it moves, the stop that the last plan ends with was checked.
            self.note = "no way through what is known"
            if plan.end > begin:
                return
        if len(pieces):
            plan.replace(begin, pieces)

    def _window(self, cells: Cells, corner: tuple[float, float], centre: Array) -> tuple[Cells, tuple[float, float]]:
        """Cells (n, n) about a place, unknown where the grid has none, and the corner of the first one."""
        n, r = self.cells, self.resolution
        i = round((float(centre[0]) - corner[0]) / r) - n // 2
        j = round((float(centre[1]) - corner[1]) / r) - n // 2
        out = np.full((n, n), UNKNOWN, dtype=np.uint8)
        rows, columns = cells.shape
        a, b = max(j, 0), min(j + n, rows)
        c, d = max(i, 0), min(i + n, columns)
        if a < b and c < d:
            out[a - j : b - j, c - i : d - i] = cells[a:b, c:d]
        return out, (corner[0] + i * r, corner[1] + j * r)

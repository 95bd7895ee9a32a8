"""Race-track files: centre line with widths, and the route that laps it.

Columns as in the TUM race-track database: `# x_m,y_m,w_tr_right_m,w_tr_left_m`, first point not repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from giljabi.platform import Limits, share_dir
from giljabi.types import Array, BadInputError, Route

MAX_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class Track:
    """Closed centre line, first point not repeated."""

    name: str
    points: Array  # (n, 2) m
    right: Array  # (n,) m free to the right
    left: Array  # (n,) m free to the left

    @property
    def length(self) -> float:
        """Length of the closed centre line [m]."""
        return float(np.sum(np.hypot(*(np.roll(self.points, -1, axis=0) - self.points).T)))


def find_track(name: str, beside: Path | None = None) -> Path:
    """Path of a track file: as given, beside the scenario, or in config/tracks."""
    path = Path(name)
    places = [path] if path.is_absolute() else [path, *([beside / path] if beside else [])]
    if not path.is_absolute():
        places.append(share_dir() / "config" / "tracks" / path)
    return next((p for p in places if p.is_file()), path)


def load_track(path: Path) -> Track:  # noqa: PLR0912
    """Reads a track file; raises BadInputError `file:line: what; what is expected`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}:1: not a text file; a track CSV is expected") from None
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a track CSV is expected") from None
    columns = "x_m,y_m,w_tr_right_m,w_tr_left_m"
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            row = [float(v) for v in line.split(",")]
        except ValueError:
            raise BadInputError(
                f"{path}:{number}: '{line[:40]}' is not a row of numbers; {columns} is expected"
            ) from None
        if len(row) != 4:
            raise BadInputError(f"{path}:{number}: {len(row)} columns; {columns} are expected")
        if not all(math.isfinite(v) for v in row):
            raise BadInputError(f"{path}:{number}: a number is not finite; finite numbers are expected")
        if row[2] <= 0.0 or row[3] <= 0.0:
            raise BadInputError(f"{path}:{number}: a width is not above 0; metres to the right and left are expected")
        rows.append(row)
        lines.append(number)
        if len(rows) > MAX_POINTS:
            raise BadInputError(f"{path}:{number}: more than {MAX_POINTS} points; a shorter track is expected")
    if len(rows) < 4:
        raise BadInputError(f"{path}:{lines[-1] if lines else 1}: {len(rows)} points; at least 4 are expected")
    data = np.array(rows)
    if np.hypot(*(data[0, :2] - data[-1, :2])) < 1e-6:
        data, lines = data[:-1], lines[:-1]
    steps = np.hypot(*(np.roll(data[:, :2], -1, axis=0) - data[:, :2]).T)
    if np.min(steps) < 1e-6:
        raise BadInputError(
            f"{path}:{lines[int(np.argmin(steps))]}: the point stands twice; distinct points are expected"
        )
    if len(data) < 4:
        raise BadInputError(f"{path}:{lines[-1]}: {len(data)} distinct points; at least 4 are expected")
    return Track(path.stem, data[:, :2], data[:, 2], data[:, 3])


def resampled(track: Track, spacing: float) -> tuple[Array, Array, Array, Array]:
    """Periodic spline, first point repeated: points (n, 2), widths (n, 2) left right, curvature (n,), s (n,)."""
    closed = np.vstack([track.points, track.points[:1]])
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    spline = CubicSpline(s, closed, bc_type="periodic")
    n = max(round(s[-1] / spacing), 8)
    at = np.linspace(0.0, s[-1], n + 1)
    points, d1, d2 = spline(at), spline(at, 1), spline(at, 2)
    curvature = (d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]) / np.hypot(d1[:, 0], d1[:, 1]) ** 3
    widths = np.stack(
        [np.interp(at, s, np.append(w, w[0])) for w in (track.left, track.right)],
        axis=1,
    )
    points[-1] = points[0]
    return np.asarray(points), np.asarray(widths), np.asarray(curvature), at


def speed_profile(  # noqa: PLR0917
    s: Array, curvature: Array, cap: float, lateral: float, accelerate: float, brake: float
) -> Array:
    """Highest lap speed (n,) [m/s] within lateral, driving and braking acceleration [m/s^2] (forward-backward)."""
    v2 = np.minimum(cap**2, lateral / np.maximum(np.abs(curvature), 1e-9))
    v2[0] = v2[-1] = min(v2[0], v2[-1])
    ds = np.diff(s)
    for _ in range(2):  # the second round carries the start line's speed across
        for k in range(len(ds)):
            v2[k + 1] = min(v2[k + 1], v2[k] + 2.0 * accelerate * ds[k])
        v2[0] = min(v2[0], v2[-1])
        for k in range(len(ds) - 1, -1, -1):
            v2[k] = min(v2[k], v2[k + 1] + 2.0 * brake * ds[k])
        v2[-1] = min(v2[-1], v2[0])
    return np.sqrt(v2)


def lap_route(track: Track, limits: Limits, speed_max: float | None, use: float, spacing: float = 2.0) -> Route:
    """The lap as a closed route; `use` is the share of the limits that the profile takes."""
    points, widths, curvature, s = resampled(track, spacing)
    cap = min(limits.speed_max, speed_max or math.inf)
    speed = speed_profile(
        s,
        curvature,
        cap,
        use * limits.lateral_acceleration_max,
        use * limits.acceleration_max,
        use * limits.deceleration_max,
    )
    return Route(np.column_stack([points, np.zeros(len(points))]), speed, widths, closed=True)

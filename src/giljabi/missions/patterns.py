"""Waypoints of patterns: survey, corridor, orbit, expanding square, sector search. Plane map coordinates [m].

Search patterns follow the IAMSAR manual, volume II, chapter 5 (expanding square, sector).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from giljabi.types import Array, BadInputError

LINES_MAX = 5000  # of one survey; more is a spacing in the wrong unit


def lane_spacing(height: float, field_of_view: float, sidelap: float) -> float:
    """Distance between lanes [m] of a camera that looks down from height [m]; field_of_view [rad], sidelap 0..1."""
    if not (height > 0.0 and 0.0 < field_of_view < math.pi and 0.0 <= sidelap < 1.0):
        raise BadInputError(f"height {height}, field of view {field_of_view}, sidelap {sidelap} give no lanes")
    return 2.0 * height * math.tan(0.5 * field_of_view) * (1.0 - sidelap)


def survey(  # noqa: PLR0917
    polygon: Sequence[tuple[float, float]],
    spacing: float,
    heading: float,
    start: tuple[float, float] = (0.0, 0.0),
    overshoot: float = 0.0,
    wind: tuple[float, float] = (0.0, 0.0),
) -> Array:
    """Waypoints (n, 2) of a lawn-mower over a polygon: lanes along `heading` (rad, 0 = east), `spacing` [m] apart.

    The corner of the pattern nearest to `start` comes first; of two equally near ones that from which the lanes go on
    against the wind (m/s towards east, north), so that turns drift back onto the next lane. overshoot: m beyond both
    ends of a lane. Raises BadInputError for what is no area.
    """
    p = np.array(polygon, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] < 3 or p.shape[1] != 2 or not np.all(np.isfinite(p)):
        raise BadInputError(f"survey: {len(polygon)} corners; 3 or more finite ones are expected")
    if abs(_area(p)) < 1e-6 or not (math.isfinite(spacing) and spacing > 0.0 and overshoot >= 0.0):
        raise BadInputError("survey: an area and a spacing above 0 are expected")
    c, s = math.cos(heading), math.sin(heading)
    turn = np.array([[c, s], [-s, c]])  # lanes along the first axis
    q = p @ turn.T
    low, high = float(q[:, 1].min()), float(q[:, 1].max())
    n = max(math.ceil((high - low) / spacing - 1e-9), 1)
    if n > LINES_MAX:
        raise BadInputError(f"survey: {n} lanes; at most {LINES_MAX} are expected")
    lanes = []
    for y in low + (np.arange(n) + 0.5) * (high - low) / n:
        lanes += [(a - overshoot, b + overshoot, float(y)) for a, b in _cuts(q, float(y))]
    ways = []
    for flip in (False, True):
        for back in (False, True):
            order = lanes[::-1] if back else lanes
            way = []
            for i, (a, b, y) in enumerate(order):
                ends = [(a, y), (b, y)]
                way += ends if (i % 2 == 0) != flip else ends[::-1]
            ways.append(np.array(way) @ turn)
    against = np.array(wind)

    def cost(way: Array) -> tuple[float, float]:
        goes = way[-1] - way[0]
        return round(float(np.linalg.norm(way[0] - np.array(start))), 3), float(goes @ against)

    return min(ways, key=cost)


def _cuts(q: Array, y: float) -> list[tuple[float, float]]:
    """Intervals in x in which the line at y lies inside a polygon (even-odd rule)."""
    a, b = q, np.roll(q, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    a, b = a[crosses], b[crosses]
    x = np.sort(a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
    return [(float(x[i]), float(x[i + 1])) for i in range(0, len(x) - 1, 2)]


def _area(p: Array) -> float:
    x, y = p.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def corridor(line: Sequence[tuple[float, float]], width: float, spacing: float) -> Array:
    """Waypoints (n, 2) along a line and back, on lanes that cover its width [m]."""
    p = np.array(line, dtype=np.float64)
    if p.ndim != 2 or len(p) < 2 or not np.all(np.isfinite(p)) or not (width > 0.0 and spacing > 0.0):
        raise BadInputError("corridor: a line of 2 or more points, a width and a spacing above 0 are expected")
    d = np.diff(p, axis=0)
    length = np.linalg.norm(d, axis=1)
    if np.any(length < 1e-6):
        raise BadInputError("corridor: two consecutive points are the same; distinct points are expected")
    n = max(math.ceil(width / spacing - 1e-9), 1)
    if n > LINES_MAX:
        raise BadInputError(f"corridor: {n} lanes; at most {LINES_MAX} are expected")
    normal = np.column_stack([-d[:, 1], d[:, 0]]) / length[:, None]
    first, last = np.vstack([normal[:1], normal]), np.vstack([normal, normal[-1:]])
    middle = first + last
    # The corner's offset is longer by the cosine of half the turn; a sharp turn is cut at twice the width.
    scale = 2.0 / np.maximum(np.sum(middle * middle, axis=1, keepdims=True), 0.25)
    out = []
    for i, offset in enumerate((np.arange(n) + 0.5) * width / n - 0.5 * width):
        lane = p + offset * middle * scale
        out.append(lane if i % 2 == 0 else lane[::-1])
    return np.vstack(out)


def orbit(
    centre: tuple[float, float], radius: float, turns: float = 1.0, begin: float = 0.0, step: float = 5.0
) -> Array:
    """Waypoints (n, 2) on a circle, counter-clockwise for positive turns, from `begin` [rad], `step` m apart."""
    if not (radius > 0.0 and step > 0.0 and math.isfinite(turns) and turns != 0.0):
        raise BadInputError("orbit: a radius above 0 and turns other than 0 are expected")
    n = max(math.ceil(abs(turns) * 2.0 * math.pi * radius / step), math.ceil(12 * abs(turns)))
    if n > 100_000:
        raise BadInputError(f"orbit: {n} waypoints; at most 100000 are expected")
    a = begin + np.linspace(0.0, 2.0 * math.pi * turns, n + 1)
    return np.column_stack([centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a)])


def expanding_square(datum: tuple[float, float], spacing: float, legs: int, heading: float = 0.5 * math.pi) -> Array:
    """Waypoints (legs + 1, 2) from the datum: legs of 1, 1, 2, 2 ... spacings, each turned to starboard."""
    if not (spacing > 0.0 and 1 <= legs <= LINES_MAX):
        raise BadInputError(f"expanding square: {legs} legs of {spacing} m; 1 or more, and above 0 are expected")
    out, p = [np.array(datum, dtype=np.float64)], np.array(datum, dtype=np.float64)
    for i in range(legs):
        a = heading - 0.5 * math.pi * i
        p = p + (i // 2 + 1) * spacing * np.array([math.cos(a), math.sin(a)])
        out.append(p)
    return np.array(out)


def sector_search(datum: tuple[float, float], radius: float, heading: float = 0.5 * math.pi) -> Array:
    """Waypoints (10, 2) of a sector search: three triangles through the datum, every turn 120 degrees to starboard."""
    if not radius > 0.0:
        raise BadInputError(f"sector search: a radius of {radius} m; above 0 is expected")
    out, p = [np.array(datum, dtype=np.float64)], np.array(datum, dtype=np.float64)
    a = heading
    for i in range(9):
        p = p + radius * np.array([math.cos(a), math.sin(a)])
        out.append(p)
        # Through the datum (after every third leg) the way goes straight on.
        a -= 0.0 if i % 3 == 2 else 2.0 * math.pi / 3.0
    return np.array(out)

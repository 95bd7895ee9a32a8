"""Fences: where a vehicle must stay and must not be (keep-out); polygons and circles with a band of heights.

One type for platform files, scenarios, mission files, planners and the guard. Map is ENU [m]; heights are map's z.
A vehicle stays inside every inclusion fence and outside every keep-out; a keep-out with a band may be flown over or
under.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from giljabi.types import BadInputError
from giljabi.yaml_file import Strict

Corner: TypeAlias = tuple[float, float]
CORNERS_MAX = 1000  # of one polygon
FAR = 1e6  # m from the origin of map, beyond which nothing is meant


@dataclass(frozen=True, slots=True)
class Fence:
    """A polygon, a circle, or (neither given) every place, between two heights.

    Raises BadInputError for what is none: fewer than 3 corners, edges that cross, numbers that are not finite, a band
    upside down.
    """

    points: tuple[Corner, ...] = ()  # m, corners in either order; a last one equal to the first is dropped
    centre: Corner | None = None  # m
    radius: float | None = None  # m
    keep_out: bool = False
    height_min: float = -math.inf  # m above map's zero
    height_max: float = math.inf

    def __post_init__(self) -> None:
        points = tuple(_corner(p) for p in self.points)
        if len(points) > 1 and points[0] == points[-1]:
            points = points[:-1]
        object.__setattr__(self, "points", points)
        if self.centre is not None:
            object.__setattr__(self, "centre", _corner(self.centre))
        problem = _problem(self)
        if problem:
            raise BadInputError(f"fence: {problem}")

    @property
    def everywhere(self) -> bool:
        """True when only heights bound it."""
        return not self.points and self.centre is None

    @property
    def banded(self) -> bool:
        """True when heights bound it."""
        return self.height_min > -math.inf or self.height_max < math.inf

    def data(self) -> dict[str, Any]:
        """As it stands in a file; what is open is left out."""
        out: dict[str, Any] = {}
        if self.points:
            out["points"] = [list(p) for p in self.points]
        if self.centre is not None:
            out |= {"centre": list(self.centre), "radius": self.radius}
        if self.keep_out:
            out["keep_out"] = True
        out |= {n: v for n in ("height_min", "height_max") if math.isfinite(v := getattr(self, n))}
        return out


class FenceModel(Strict):
    """A fence in a file: a polygon (`points`), a circle (`centre`, `radius`), or heights alone.

    A bare list of corners is a polygon to stay inside.
    """

    points: list[Corner] = Field(default_factory=list, description="m in map, corners in order")
    centre: Corner | None = Field(default=None, description="m in map")
    radius: float | None = Field(default=None, gt=0, description="m")
    keep_out: bool = Field(default=False, description="true: stay out; false: stay in")
    height_min: float | None = Field(default=None, description="m above map's zero; none: down to the ground")
    height_max: float | None = Field(default=None, description="m above map's zero; none: no ceiling")

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return {"points": data} if isinstance(data, list) else data

    @model_validator(mode="after")
    def _valid(self) -> FenceModel:
        try:
            self.fence()
        except BadInputError as e:
            raise ValueError(str(e).removeprefix("fence: ")) from None
        return self

    def fence(self) -> Fence:
        """The fence; raises BadInputError."""
        low = -math.inf if self.height_min is None else self.height_min
        high = math.inf if self.height_max is None else self.height_max
        return Fence(tuple(self.points), self.centre, self.radius, self.keep_out, low, high)


FenceLike: TypeAlias = Fence | Sequence[Sequence[float]]


def as_fences(fences: Iterable[FenceLike]) -> tuple[Fence, ...]:
    """Fences; bare sequences of corners are polygons to stay inside. Raises BadInputError."""
    out = []
    for fence in fences:
        if isinstance(fence, Fence):
            out.append(fence)
            continue
        try:
            out.append(Fence(tuple((p[0], p[1]) for p in fence)))
        except (TypeError, IndexError, KeyError):
            raise BadInputError("fence: a corner is no pair x, y; two numbers are expected") from None
    return tuple(out)


def _corner(p: Sequence[float]) -> Corner:
    try:
        x, y = p
        return float(x), float(y)
    except (TypeError, ValueError):
        raise BadInputError(f"fence: {p!r} is no pair x, y; two numbers are expected") from None


def _problem(f: Fence) -> str:  # noqa: PLR0911
    """What is wrong with it, and what is expected; empty when nothing is."""
    numbers = [v for p in (*f.points, *([f.centre] if f.centre else [])) for v in p]
    if not all(abs(v) <= FAR for v in numbers):  # NaN compares false
        return f"a corner is not finite or further than {FAR:g} m from map's origin; metres in map are expected"
    if math.isnan(f.height_min) or math.isnan(f.height_max):
        return "a height is not a number; metres above map's zero are expected"
    if not f.height_min < f.height_max:
        return f"height_min {f.height_min:g} is not below height_max {f.height_max:g}; a band of heights is expected"
    if (f.centre is None) != (f.radius is None):
        return "a circle has centre and radius; both are expected"
    if f.radius is not None and not 0.0 < f.radius <= FAR:
        return f"radius {f.radius:g} is not above 0 and below {FAR:g} m; a circle is expected"
    if f.points and f.centre is not None:
        return "it has corners and a centre; a polygon or a circle is expected"
    if f.everywhere:
        if f.keep_out or not f.banded:
            return "it has no place; points, or centre and radius, are expected"
        return ""
    return _polygon_problem(f.points) if f.points else ""


def _polygon_problem(points: Sequence[Corner]) -> str:
    if len(points) < 3:
        return f"{len(points)} corners are no polygon; 3 or more are expected"
    if len(points) > CORNERS_MAX:
        return f"{len(points)} corners; at most {CORNERS_MAX} are expected"
    p = np.array(points)
    a, b = p, np.roll(p, -1, axis=0)
    if np.any(np.hypot(*(b - a).T) < 1e-6):
        return "two corners in a row are the same place; corners in order are expected"
    i, k = np.triu_indices(len(p), 1)
    beside = (k - i == 1) | ((i == 0) & (k == len(p) - 1))
    i, k = i[~beside], k[~beside]
    hits = np.flatnonzero(_touch(a[i], b[i], a[k], b[k]))
    if len(hits):
        return f"edges {i[hits[0]] + 1} and {k[hits[0]] + 1} cross; a polygon that does not cross itself is expected"
    u, v = b - a, np.roll(b - a, -1, axis=0)
    back = (np.abs(_cross(u, v)) < 1e-9 * np.hypot(*u.T) * np.hypot(*v.T)) & (np.sum(u * v, axis=1) < 0.0)
    if np.any(back):
        return f"edge {int(np.argmax(back)) + 1} runs back on itself; corners in order are expected"
    return ""


def _cross(u: Any, v: Any) -> Any:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _touch(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Whether segments a b and c d (n, 2) have a point in common."""
    s1, s2, s3, s4 = _cross(b - a, c - a), _cross(b - a, d - a), _cross(d - c, a - c), _cross(d - c, b - c)
    apart = np.any((np.maximum(a, b) < np.minimum(c, d)) | (np.maximum(c, d) < np.minimum(a, b)), axis=1)
    return ~apart & (s1 * s2 <= 0.0) & (s3 * s4 <= 0.0)

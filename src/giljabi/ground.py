"""What is known of the ground before anybody walks on it: low surfaces that can be stepped on, and what cannot."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from giljabi.types import Array
from giljabi.yaml_file import Strict


@dataclass(frozen=True, slots=True)
class Surface:
    """A piece of ground in map with one height: corners (n, 2) [m], counter-clockwise; height [m], inf: a wall."""

    corners: Array
    height: float


class SurfaceModel(Strict):
    """A surface in a file."""

    points: list[tuple[float, float]] = Field(min_length=3, description="corners in map, m; convex")
    height: float | None = Field(
        default=None, gt=0, le=100, description="m above map's zero; what is higher than a step, or null, is a wall"
    )

    @field_validator("points")
    @classmethod
    def _convex(cls, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        if not is_convex(np.array(points)):
            raise ValueError("the corners make no convex polygon; cut it into convex ones")
        return points

    def surface(self) -> Surface:
        """As data."""
        return make_surface(np.array(self.points), math.inf if self.height is None else self.height)


def surface_data(s: Surface) -> dict[str, Any]:
    """A surface as it stands in a file."""
    return {"points": s.corners.tolist(), "height": s.height if math.isfinite(s.height) else None}


class GroundFile(Strict):
    """A file with the ground of a place."""

    surfaces: list[SurfaceModel] = Field(default_factory=list)


def turns(corners: Array) -> Array:
    """Cross products (n,) of each edge with the next."""
    a = np.roll(corners, -1, axis=0) - corners
    b = np.roll(a, -1, axis=0)
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def is_convex(corners: Array) -> bool:
    """Whether corners (n, 2), in either order, go once around a convex polygon that has an area."""
    t = turns(corners)
    if not (np.all(t > 1e-9) or np.all(t < -1e-9)):
        return False
    a = np.roll(corners, -1, axis=0) - corners
    angles = np.arctan2(a[:, 1], a[:, 0])
    around = np.angle(np.exp(1j * (np.roll(angles, -1) - angles))).sum()
    return bool(abs(abs(around) - 2.0 * math.pi) < 1e-6)


def make_surface(corners: Array, height: float) -> Surface:
    """A surface with its corners counter-clockwise."""
    corners = np.asarray(corners, dtype=np.float64)
    return Surface(corners if turns(corners)[0] > 0.0 else corners[::-1].copy(), float(height))


def rectangle(x: float, y: float, yaw: float, size: tuple[float, float], height: float) -> Surface:
    """A rectangular surface; size: length and width."""
    half = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) * [size[0] / 2, size[1] / 2]
    c, s = math.cos(yaw), math.sin(yaw)
    return make_surface(half @ np.array([[c, s], [-s, c]]) + [x, y], height)

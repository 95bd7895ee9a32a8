"""Patterns of a mission as the points they become."""

from __future__ import annotations

import math

import numpy as np

from giljabi.frames import LocalFrame, yaw_from_heading_deg
from giljabi.missions import patterns
from giljabi.missions.plan import PlanItem
from giljabi.types import Array, BadInputError

PATTERNS = ("survey", "corridor", "orbit", "expanding_square", "sector")


def place_xy(frame: LocalFrame, lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """A place in map [m]."""
    x, y, _ = frame.map_from_geodetic(lat_deg, lon_deg, frame.origin.alt_m)
    return float(x), float(y)


def expand(item: PlanItem, frame: LocalFrame, start: tuple[float, float], alt: float) -> Array:
    """Points (n, 3) [m map, height above home] of a pattern.

    start: where the vehicle comes from; alt: height of the step before. Raises BadInputError for what is no pattern.
    """
    height = item.alt_m or alt
    if item.way is not None:
        rows = [(*place_xy(frame, lat, lon), up or height) for lat, lon, up in item.way]
        return np.array(rows, dtype=np.float64)
    xy = _level(item, frame, start, height)
    return np.column_stack([xy, np.full(len(xy), height)])


def _level(item: PlanItem, frame: LocalFrame, start: tuple[float, float], height: float) -> Array:
    """The same on the level (n, 2)."""
    heading = float(yaw_from_heading_deg(item.heading_deg))
    if item.kind == "survey":
        polygon = [place_xy(frame, *c) for c in item.polygon or ()]
        wind = (0.0, 0.0)
        if item.wind is not None:
            towards = math.radians(item.wind.from_deg + 180.0)
            wind = (item.wind.speed * math.sin(towards), item.wind.speed * math.cos(towards))
        return patterns.survey(polygon, _spacing(item, height), heading, start, item.overshoot_m, wind)
    if item.kind == "corridor":
        path = [place_xy(frame, *c) for c in item.path or ()]
        return patterns.corridor(path, item.width_m or 0.0, _spacing(item, height))
    centre = place_xy(frame, item.lat_deg or 0.0, item.lon_deg or 0.0)
    if item.kind == "orbit":
        begin = math.atan2(start[1] - centre[1], start[0] - centre[0])
        step = max(min(5.0, 0.25 * (item.radius_m or 0.0)), 0.5)
        return patterns.orbit(centre, item.radius_m or 0.0, item.turns, begin, step)
    if item.kind == "expanding_square":
        return patterns.expanding_square(centre, item.spacing_m or 0.0, item.legs or 0, heading)
    if item.kind == "sector":
        return patterns.sector_search(centre, item.radius_m or 0.0, heading)
    raise BadInputError(f"{item.kind} is no pattern; {', '.join(PATTERNS)} are expected")


def _spacing(item: PlanItem, height: float) -> float:
    """Between lanes [m]."""
    if item.spacing_m is not None:
        return item.spacing_m
    return patterns.lane_spacing(height, math.radians(item.field_of_view_deg or 0.0), item.sidelap)

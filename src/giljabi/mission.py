"""What a run tells its nodes: origin of map, a route or a mission, fences, what people will ask (JSON or YAML)."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from giljabi.fence import Fence, FenceModel
from giljabi.ground import Surface, SurfaceModel, surface_data
from giljabi.missions.plan import Plan
from giljabi.types import Origin, Route
from giljabi.yaml_file import Strict, YamlFile


class OriginModel(Strict):
    """Geodetic origin of map."""

    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-360, le=360)
    alt_m: float = 0.0


class RouteModel(Strict):
    """Polyline in map; a half width of null is open water."""

    points: list[tuple[float, float, float]] = Field(min_length=2)
    speed: list[float]
    half_width: list[tuple[float | None, float | None]]
    closed: bool = False
    heading: float | None = None  # rad at the end, of what can turn there


class ActionModel(Strict):
    """What a person asks of the mission at a time since its start [s]; a conductor does it."""

    at: float = Field(ge=0)
    do: str
    step: int | None = None
    plan: Plan | None = None
    refused: bool = False


class MissionModel(Strict):
    """The whole file."""

    origin: OriginModel | None = None
    route: RouteModel | None = None
    fences: list[FenceModel] = Field(default_factory=list)
    ground: list[SurfaceModel] = Field(default_factory=list)
    plan: Plan | None = None  # in place of a route
    actions: list[ActionModel] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mission:
    """Where map is, what to follow, and where to stay."""

    origin: Origin | None
    route: Route | None
    fences: tuple[Fence, ...] = ()
    plan: Plan | None = None  # in place of a route; its fences are its own
    actions: tuple[ActionModel, ...] = ()
    ground: tuple[Surface, ...] = ()  # that is known before


def load_mission(path: Path) -> Mission:
    """Reads and validates a mission file; raises BadInputError `file:line: what; what is expected`."""
    file = YamlFile(path)
    model = file.validate(MissionModel)
    origin = Origin(model.origin.lat_deg, model.origin.lon_deg, model.origin.alt_m) if model.origin else None
    route = None
    if model.route:
        r = model.route
        for name, rows in (("speed", r.speed), ("half_width", r.half_width)):
            if len(rows) != len(r.points):
                raise file.error(
                    ("route", name), f"{len(rows)} values for {len(r.points)} points; one each is expected"
                )
        width = np.array([[math.inf if v is None else v for v in pair] for pair in r.half_width])
        route = Route(np.array(r.points), np.array(r.speed), width, r.closed, r.heading)
    fences, ground = (f.fence() for f in model.fences), (s.surface() for s in model.ground)
    return Mission(origin, route, tuple(fences), model.plan, tuple(model.actions), tuple(ground))


def save_mission(path: Path, mission: Mission) -> None:
    """Writes a mission file at once: a reader sees the whole file or none."""
    data: dict[str, Any] = {}
    if mission.origin is not None:
        o = mission.origin
        data["origin"] = {"lat_deg": o.lat_deg, "lon_deg": o.lon_deg, "alt_m": o.alt_m}
    if mission.route is not None:
        r = mission.route
        data["route"] = {
            "points": np.asarray(r.points).tolist(),
            "speed": np.asarray(r.speed).tolist(),
            "half_width": [[v if math.isfinite(v) else None for v in row] for row in np.asarray(r.half_width).tolist()],
            "closed": bool(r.closed),
            "heading": r.heading,
        }
    if mission.fences:
        data["fences"] = [fence.data() for fence in mission.fences]
    if mission.ground:
        data["ground"] = [surface_data(s) for s in mission.ground]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data), encoding="utf-8")
    os.replace(partial, path)

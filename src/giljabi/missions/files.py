"""Mission files in and out: YAML of our own, QGroundControl's .plan, GeoJSON; errors with file and line.

What all three can say: take-off, waypoint, loiter, land, return, each with place, height above home and holding time;
home; speed; inclusion fences. Patterns, circles, exclusion fences and rally points of a .plan are
refused by name; a step's yaw and acceptance radius are not kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field

from giljabi.types import BadInputError
from giljabi.yaml_file import Key, Strict, YamlFile

Kind = Literal["takeoff", "waypoint", "loiter", "land", "return"]
COMMANDS: Mapping[int, Kind] = {22: "takeoff", 16: "waypoint", 19: "loiter", 21: "land", 20: "return"}  # MAV_CMD
NUMBERS = {kind: number for number, kind in COMMANDS.items()}
HOLD_PARAM = {"waypoint": 0, "loiter": 0}  # which of the seven parameters is the holding time [s]
RELATIVE = 3  # MAV_FRAME_GLOBAL_RELATIVE_ALT: heights above home
FORMATS = {".plan": "plan", ".geojson": "geojson", ".json": "geojson", ".yaml": "yaml", ".yml": "yaml"}


class PlanItem(Strict):
    """One step; `return` has no place."""

    kind: Kind
    lat_deg: float | None = Field(default=None, ge=-90, le=90)
    lon_deg: float | None = Field(default=None, ge=-180, le=180)
    alt_m: float = Field(default=0.0, ge=-1000, le=20000, description="above home")
    hold_s: float = Field(default=0.0, ge=0, le=86400)


class Home(Strict):
    """Where it starts; heights are above it."""

    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)
    alt_m: float = 0.0


class Plan(Strict):
    """A whole mission."""

    home: Home | None = None
    speed: float = Field(default=5.0, gt=0, le=100, description="m/s over ground")
    items: list[PlanItem] = Field(min_length=1)
    fences: list[list[tuple[float, float]]] = Field(default_factory=list, description="to stay in: lat, lon [deg]")


@dataclass(frozen=True, slots=True)
class _Reader:
    """The file's data with lines for errors."""

    file: YamlFile

    def get(self, *key: str | int) -> Any:
        """The value at a path; an error at its parent's line when it is missing."""
        data: Any = self.file.data
        for i, part in enumerate(key):
            ok = isinstance(data, dict) and part in data if isinstance(part, str) else isinstance(data, list)
            if not ok:
                where = ".".join(map(str, key[: i + 1]))
                raise self.file.error(key[:i], f"'{where}' is missing; a value is expected")
            data = data[part]
        return data

    def numbers(self, key: Key, count: int) -> list[float | None]:
        """A list of at least `count` numbers; null is None."""
        values = self.get(*key)
        good = isinstance(values, list) and len(values) >= count
        if not good or not all(v is None or _number(v) for v in values):
            raise self.file.error(key, f"{count} numbers are expected")
        return [None if v is None else float(v) for v in values]


def _number(v: Any) -> bool:
    return isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)


def format_of(path: Path) -> str:
    """plan, geojson or yaml by the name's end."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise BadInputError(f"{path}:1: '{path.suffix}' is no mission file; {', '.join(FORMATS)} are expected")
    return kind


def read_plan(path: Path) -> Plan:
    """Reads a mission; raises BadInputError `file:line: what; what is expected`."""
    kind = format_of(path)
    file = YamlFile(path)
    data = file.data if kind == "yaml" else _from_qgc(_Reader(file)) if kind == "plan" else _from_geojson(_Reader(file))
    plan = file.validate(Plan, data, ())
    for i, item in enumerate(plan.items):
        if item.kind not in ("return", "takeoff", "land") and (item.lat_deg is None or item.lon_deg is None):
            raise file.error(("items", i), f"item {i + 1} ({item.kind}) has no place; lat_deg and lon_deg are expected")
    for i, fence in enumerate(plan.fences):
        if len(fence) < 3 or any(not (abs(a) <= 90 and abs(b) <= 180) for a, b in fence):
            raise file.error(("fences", i), f"fence {i + 1} is no polygon; 3 or more corners lat, lon are expected")
    return plan


def write_plan(path: Path, plan: Plan) -> None:
    """Writes a mission in the format of the name's end."""
    kind = format_of(path)
    if kind == "yaml":
        text = yaml.safe_dump(_plain(plan), sort_keys=False)
    else:
        text = json.dumps(_to_qgc(plan) if kind == "plan" else _to_geojson(plan), indent=2, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _plain(plan: Plan) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(plan.model_dump_json(exclude_none=True))
    return data


# --- QGroundControl's .plan (docs.qgroundcontrol.com, file formats, plan) ---


def _from_qgc(r: _Reader) -> dict[str, Any]:
    if r.get("fileType") != "Plan":
        raise r.file.error(("fileType",), "this is no plan; fileType: Plan is expected")
    items = [_qgc_item(r, i) for i in range(len(_list(r, "mission", "items")))]
    out: dict[str, Any] = {"items": items}
    mission = r.get("mission")
    if mission.get("plannedHomePosition") is not None:
        lat, lon, alt = r.numbers(("mission", "plannedHomePosition"), 3)[:3]
        out["home"] = {"lat_deg": lat, "lon_deg": lon, "alt_m": alt}
    if _number(mission.get("hoverSpeed")):
        out["speed"] = mission["hoverSpeed"]
    data = r.file.data
    if isinstance(data.get("geoFence"), dict):
        out["fences"] = _qgc_fences(r)
    rally = data.get("rallyPoints")
    if isinstance(rally, dict) and rally.get("points"):
        raise r.file.error(("rallyPoints", "points"), "rally points are not read; an empty list is expected")
    return out


def _list(r: _Reader, *key: str) -> list[Any]:
    value = r.get(*key)
    if not isinstance(value, list):
        raise r.file.error(key, f"'{'.'.join(key)}' is no list; a list is expected")
    return value


def _qgc_item(r: _Reader, i: int) -> dict[str, Any]:
    key: Key = ("mission", "items", i)
    item = r.get(*key)
    if not isinstance(item, dict) or item.get("type") != "SimpleItem":
        raise r.file.error(key, "only items of type SimpleItem are read; expand the pattern in QGroundControl")
    number = item.get("command")
    kind = COMMANDS.get(number) if isinstance(number, int) else None
    if kind is None:
        raise r.file.error((*key, "command"), f"command {number} is not read; {sorted(COMMANDS)} are expected")
    if item.get("frame") != RELATIVE and kind != "return":
        raise r.file.error((*key, "frame"), f"frame {item.get('frame')}; {RELATIVE}, heights above home, is expected")
    p = r.numbers((*key, "params"), 7)
    out: dict[str, Any] = {"kind": kind, "alt_m": p[6] or 0.0}
    if kind in HOLD_PARAM:
        out["hold_s"] = p[HOLD_PARAM[kind]] or 0.0
    if kind != "return" and p[4] is not None and p[5] is not None and (p[4] or p[5]):
        out["lat_deg"], out["lon_deg"] = p[4], p[5]
    return out


def _qgc_fences(r: _Reader) -> list[Any]:
    fence = r.get("geoFence")
    if fence.get("circles"):
        raise r.file.error(("geoFence", "circles"), "circles are not read; polygons are expected")
    out = []
    for i, polygon in enumerate(fence.get("polygons") or []):
        key: Key = ("geoFence", "polygons", i)
        if not isinstance(polygon, dict) or polygon.get("inclusion") is not True:
            raise r.file.error(key, "an exclusion fence is not read; inclusion: true is expected")
        corners = r.get(*key, "polygon")
        if not isinstance(corners, list):
            raise r.file.error(key, "a polygon without corners; a list of lat, lon is expected")
        out.append([tuple(r.numbers((*key, "polygon", k), 2)[:2]) for k in range(len(corners))])
    return out


def _to_qgc(plan: Plan) -> dict[str, Any]:
    items = []
    for n, item in enumerate(plan.items, 1):
        params: list[float | None] = [0.0, 0.0, 0.0, None, item.lat_deg or 0.0, item.lon_deg or 0.0, item.alt_m]
        if item.kind in HOLD_PARAM:
            params[HOLD_PARAM[item.kind]] = item.hold_s
        frame = 2 if item.kind == "return" else RELATIVE
        items.append({
            "type": "SimpleItem", "autoContinue": True, "command": NUMBERS[item.kind], "doJumpId": n, "frame": frame,
            "params": params, "Altitude": item.alt_m, "AltitudeMode": 1, "AMSLAltAboveTerrain": None,
        })  # fmt: skip
    home = [plan.home.lat_deg, plan.home.lon_deg, plan.home.alt_m] if plan.home else None
    polygons = [{"inclusion": True, "polygon": [list(c) for c in f], "version": 1} for f in plan.fences]
    return {
        "fileType": "Plan", "groundStation": "QGroundControl", "version": 1,
        "geoFence": {"circles": [], "polygons": polygons, "version": 2},
        "rallyPoints": {"points": [], "version": 2},
        "mission": {
            "cruiseSpeed": plan.speed, "hoverSpeed": plan.speed, "firmwareType": 3, "vehicleType": 2, "version": 2,
            "globalPlanAltitudeMode": 1, "plannedHomePosition": home, "items": items,
        },
    }  # fmt: skip


# --- GeoJSON (RFC 7946: longitude first) ---


def _from_geojson(r: _Reader) -> dict[str, Any]:
    if r.get("type") != "FeatureCollection":
        raise r.file.error(("type",), "this is no mission; type: FeatureCollection is expected")
    out: dict[str, Any] = {"items": [], "fences": []}
    for i in range(len(_list(r, "features"))):
        key: Key = ("features", i)
        feature = r.get(*key)
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        p = feature.get("properties") if isinstance(feature, dict) else None
        p = p if isinstance(p, dict) else {}
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind is None and p.get("kind") == "return":
            out["items"].append({"kind": "return", **_given(p, "alt_m")})
        elif kind is None and p.get("kind") in ("takeoff", "land"):
            out["items"].append({"kind": p["kind"], **_given(p, "alt_m")})
        elif kind == "Point":
            _geojson_point(r, key, p, out)
        elif kind == "LineString":
            line = (*key, "geometry", "coordinates")
            for k in range(len(r.get(*line))):
                c = r.numbers((*line, k), 2)
                out["items"].append(
                    {"kind": "waypoint", "lat_deg": c[1], "lon_deg": c[0], "alt_m": c[2] if len(c) > 2 else 0.0}
                )
        elif kind == "Polygon":
            ring = (*key, "geometry", "coordinates", 0)
            corners = [r.numbers((*ring, k), 2) for k in range(len(r.get(*ring)))]
            out["fences"].append([(c[1], c[0]) for c in (corners[:-1] if corners[:1] == corners[-1:] else corners)])
        else:
            raise r.file.error(key, f"geometry {kind} is not read; Point, LineString and Polygon are expected")
        if "speed" in p:
            out["speed"] = p["speed"]
    return out


def _given(p: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {n: p[n] for n in names if n in p}


def _geojson_point(r: _Reader, key: Key, p: Mapping[str, Any], out: dict[str, Any]) -> None:
    c = r.numbers((*key, "geometry", "coordinates"), 2)
    place = {"lat_deg": c[1], "lon_deg": c[0], "alt_m": c[2] if len(c) > 2 else 0.0}
    kind = p.get("kind", "waypoint")
    if kind == "home":
        out["home"] = place
    elif kind in get_args(Kind):
        out["items"].append({"kind": kind, **place, **_given(p, "hold_s")})
    else:
        raise r.file.error(
            (*key, "properties"), f"kind '{kind}' is not known; home, {', '.join(get_args(Kind))} are expected"
        )


def _to_geojson(plan: Plan) -> dict[str, Any]:
    features: list[dict[str, Any]] = []

    def add(geometry: dict[str, Any] | None, **properties: Any) -> None:
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})

    def point(lat: float, lon: float, alt: float) -> dict[str, Any]:
        return {"type": "Point", "coordinates": [lon, lat, alt]}

    speed = {"speed": plan.speed}
    if plan.home is not None:
        add(point(plan.home.lat_deg, plan.home.lon_deg, plan.home.alt_m), kind="home", **speed)
    for item in plan.items:
        hold = {"hold_s": item.hold_s} if item.hold_s else {}
        if item.lat_deg is None or item.lon_deg is None:
            add(None, kind=item.kind, alt_m=item.alt_m, **hold, **speed)
        else:
            add(point(item.lat_deg, item.lon_deg, item.alt_m), kind=item.kind, **hold, **speed)
    for fence in plan.fences:
        ring = [[lon, lat] for lat, lon in [*fence, fence[0]]]
        add({"type": "Polygon", "coordinates": [ring]}, kind="fence")
    return {"type": "FeatureCollection", "features": features}

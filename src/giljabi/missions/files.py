"""Mission files in and out: YAML of our own, QGroundControl's .plan, GeoJSON; errors with file and line.

What a format cannot say is refused by name when it is read, and said in its nearest form when it is written: patterns
become waypoints in a .plan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import yaml

from giljabi.missions.plan import Circle, Home, Kind, Plan, PlanItem, Rally
from giljabi.missions.qgc import from_qgc, to_qgc
from giljabi.missions.reader import Reader
from giljabi.types import BadInputError
from giljabi.yaml_file import Key, YamlFile

__all__ = ["Home", "Plan", "PlanItem", "Rally", "parse_plan", "plan_text", "read_plan", "write_plan"]

FORMATS = {".plan": "plan", ".geojson": "geojson", ".json": "geojson", ".yaml": "yaml", ".yml": "yaml"}


def format_of(path: Path) -> str:
    """plan, geojson or yaml by the name's end."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise BadInputError(f"{path}:1: '{path.suffix}' is no mission file; {', '.join(FORMATS)} are expected")
    return kind


def read_plan(path: Path) -> Plan:
    """Reads a mission; raises BadInputError `file:line: what; what is expected`."""
    return _plan(YamlFile(path), format_of(path))


def parse_plan(text: str, name: str = "mission") -> Plan:
    """A mission in any of the formats out of a text; raises BadInputError `name:line: what; what is expected`."""
    file = YamlFile(Path(name), text)
    kind = "plan" if "fileType" in file.data else "geojson" if "type" in file.data else "yaml"
    return _plan(file, kind)


def _plan(file: YamlFile, kind: str) -> Plan:
    reader = Reader(file)
    data = file.data if kind == "yaml" else from_qgc(reader) if kind == "plan" else _from_geojson(reader)
    plan = file.validate(Plan, data, ())
    for name, polygons in (("fences", plan.fences), ("keep_out", plan.keep_out)):
        for i, fence in enumerate(polygons):
            if len(fence) < 3 or any(not (abs(a) <= 90 and abs(b) <= 180) for a, b in fence):
                what = f"{name} {i + 1} is no polygon; 3 or more corners lat, lon are expected"
                raise file.error((name, i), what)
    for i, item in enumerate(plan.items):
        for place in (*(item.polygon or ()), *(item.path or ()), *(item.way or ())):
            if not (abs(place[0]) <= 90 and abs(place[1]) <= 180):
                what = f"item {i + 1} ({item.kind}): {place[0]}, {place[1]} is no place; lat, lon [deg] are expected"
                raise file.error(("items", i), what)
    return plan


def write_plan(path: Path, plan: Plan) -> None:
    """Writes a mission in the format of the name's end."""
    path.write_text(plan_text(plan, format_of(path)), encoding="utf-8")


def plan_text(plan: Plan, kind: str = "yaml") -> str:
    """A mission as text: yaml, plan or geojson."""
    if kind == "yaml":
        return yaml.safe_dump(plain(plan), sort_keys=False)
    return json.dumps(to_qgc(plan) if kind == "plan" else _to_geojson(plan), indent=2, allow_nan=False) + "\n"


def plain(plan: Plan) -> dict[str, Any]:
    """A mission as data of YAML, without what says nothing."""
    data: dict[str, Any] = json.loads(plan.model_dump_json(exclude_none=True))
    data["items"] = [_given(item) for item in plan.items]
    return {k: v for k, v in data.items() if v != []}


def _given(item: PlanItem) -> dict[str, Any]:
    """The keys of a step that say something."""
    data: dict[str, Any] = json.loads(item.model_dump_json(exclude_defaults=True))
    return {"kind": item.kind, **data}


# --- GeoJSON (RFC 7946: longitude first) ---


def _from_geojson(r: Reader) -> dict[str, Any]:
    if r.get("type") != "FeatureCollection":
        raise r.file.error(("type",), "this is no mission; type: FeatureCollection is expected")
    out: dict[str, Any] = {"items": [], "fences": [], "keep_out": [], "circles": [], "rally": [], "left_out": []}
    for i in range(len(r.list("features"))):
        key: Key = ("features", i)
        feature = r.get(*key)
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        p = feature.get("properties") if isinstance(feature, dict) else None
        p = dict(p) if isinstance(p, dict) else {}
        speed = p.pop("mission_speed", None)
        if speed is not None:
            out["speed"] = speed
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind is None and p.get("kind") in get_args(Kind):
            out["items"].append(r.item(p, key))
        elif kind == "Point":
            _geojson_point(r, key, p, out)
        elif kind == "LineString":
            _geojson_line(r, key, p, out)
        elif kind == "Polygon":
            _geojson_polygon(r, key, p, out)
        else:
            raise r.file.error(key, f"geometry {kind} is not read; Point, LineString and Polygon are expected")
    return out


def _places(r: Reader, key: Key) -> list[list[float]]:
    """Coordinates as lat, lon and, where there is one, height."""
    coordinates = r.get(*key)
    if not isinstance(coordinates, list):
        raise r.file.error(key, "no list of coordinates; lon, lat pairs are expected")
    rows = [r.numbers((*key, k), 2) for k in range(len(coordinates))]
    if any(v is None for row in rows for v in row):
        raise r.file.error(key, "null is no coordinate; numbers are expected")
    return [[float(row[1] or 0.0), float(row[0] or 0.0), *(float(v or 0.0) for v in row[2:3])] for row in rows]


def _geojson_line(r: Reader, key: Key, p: dict[str, Any], out: dict[str, Any]) -> None:
    places = _places(r, (*key, "geometry", "coordinates"))
    kind = p.get("kind", "waypoint")
    if kind == "waypoint":
        more = {k: v for k, v in p.items() if k in ("speed", "hold_s")}
        for c in places:
            alt = c[2] if len(c) > 2 else 0.0
            item = {"kind": "waypoint", "lat_deg": c[0], "lon_deg": c[1], "alt_m": alt, **more}
            out["items"].append(r.item(item, key))
    elif kind in ("survey", "corridor"):
        laid_out = p.pop("laid_out", kind == "survey")
        way = {"way": [[*c, 0.0][:3] for c in places]} if laid_out else {"path": [c[:2] for c in places]}
        out["items"].append(r.item({**p, **way}, key))
    else:
        raise r.file.error((*key, "properties"), f"a line of kind '{kind}'; waypoint, survey or corridor is expected")


def _geojson_polygon(r: Reader, key: Key, p: dict[str, Any], out: dict[str, Any]) -> None:
    corners = [c[:2] for c in _places(r, (*key, "geometry", "coordinates", 0))]
    corners = corners[:-1] if corners[:1] == corners[-1:] else corners
    kind = p.get("kind", "fence")
    if kind == "fence":
        out["fences"].append(corners)
    elif kind == "keep_out":
        out["keep_out"].append(corners)
    elif kind == "survey":
        out["items"].append(r.item({**p, "polygon": corners}, key))
    else:
        what = f"a polygon of kind '{kind}'; fence, keep_out or survey is expected"
        raise r.file.error((*key, "properties"), what)


def _geojson_point(r: Reader, key: Key, p: dict[str, Any], out: dict[str, Any]) -> None:
    c = r.numbers((*key, "geometry", "coordinates"), 2)
    place = {"lat_deg": c[1], "lon_deg": c[0]}
    high = {"alt_m": (c[2] if len(c) > 2 else 0.0) or 0.0}
    kind = p.pop("kind", "waypoint")
    if kind == "home":
        out["home"] = r.file.validate(Home, {**place, **high}, key)
    elif kind == "rally":
        out["rally"].append(r.file.validate(Rally, {**place, **high}, key))
    elif kind == "circle":
        out["circles"].append(r.file.validate(Circle, {**place, **p}, key))
    elif kind in get_args(Kind):
        out["items"].append(r.item({"kind": kind, **place, **high, **p}, key))
    else:
        known = f"home, rally, circle, {', '.join(get_args(Kind))}"
        raise r.file.error((*key, "properties"), f"kind '{kind}' is not known; {known} are expected")


def _to_geojson(plan: Plan) -> dict[str, Any]:
    features: list[dict[str, Any]] = []

    def add(geometry: dict[str, Any] | None, properties: dict[str, Any]) -> None:
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})

    def point(lat: float, lon: float, alt: float) -> dict[str, Any]:
        return {"type": "Point", "coordinates": [lon, lat, alt]}

    def ring(corners: Any) -> dict[str, Any]:
        return {"type": "Polygon", "coordinates": [[[lon, lat] for lat, lon in [*corners, corners[0]]]]}

    speed = {"mission_speed": plan.speed}
    if plan.home is not None:
        add(point(plan.home.lat_deg, plan.home.lon_deg, plan.home.alt_m), {"kind": "home", **speed})
    for item in plan.items:
        add(*_feature(item, point, ring))
    if not plan.home:
        features[0]["properties"] |= speed
    for fence in plan.fences:
        add(ring(fence), {"kind": "fence"})
    for fence in plan.keep_out:
        add(ring(fence), {"kind": "keep_out"})
    for c in plan.circles:
        add(point(c.lat_deg, c.lon_deg, 0.0), {"kind": "circle", "radius_m": c.radius_m, "keep": c.keep})
    for place in plan.rally:
        add(point(place.lat_deg, place.lon_deg, place.alt_m), {"kind": "rally"})
    return {"type": "FeatureCollection", "features": features}


def _feature(item: PlanItem, point: Any, ring: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Geometry and properties of one step."""
    p = _given(item)
    if item.lat_deg is not None:
        rest = {k: v for k, v in p.items() if k not in ("lat_deg", "lon_deg", "alt_m")}
        return point(item.lat_deg, item.lon_deg, item.alt_m), rest
    if item.polygon is not None:
        return ring(p.pop("polygon")), p
    places = item.way or item.path
    if places is None:
        return None, p
    p.pop("way", None)
    p.pop("path", None)
    laid_out = {"laid_out": True} if item.way else {}
    return {"type": "LineString", "coordinates": [[c[1], c[0], *c[2:]] for c in places]}, {**p, **laid_out}

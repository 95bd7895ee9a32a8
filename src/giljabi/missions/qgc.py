"""QGroundControl's .plan in and out (docs.qgroundcontrol.com, file formats, plan; MAVLink MAV_CMD).

Surveys and corridor scans come as the waypoints that QGroundControl has put into them, and go back as they were. Yaw of
0 and the acceptance radius of waypoints are not kept: ground stations write them where nobody asked for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from giljabi.frames import LocalFrame
from giljabi.missions.expand import PATTERNS, expand
from giljabi.missions.plan import Circle, Kind, Plan, PlanItem, Rally
from giljabi.missions.reader import Reader, number
from giljabi.types import Origin
from giljabi.yaml_file import Key

WAYPOINT, UNLIMITED, TURNS, TIME, RETURN, LAND, TAKEOFF = 16, 17, 18, 19, 20, 21, 22
DELAY, YAW, SPEED = 93, 115, 178
COMMANDS = (WAYPOINT, UNLIMITED, TURNS, TIME, RETURN, LAND, TAKEOFF, DELAY, YAW, SPEED)
CAMERA = {203, 206, 530, 1000, 2000, 2001, 2500, 2501}  # what a camera shall do on a survey
MISSION_FRAME, RELATIVE = 2, 3  # MAV_FRAME_MISSION; MAV_FRAME_GLOBAL_RELATIVE_ALT: heights above home
COMPLEX: dict[str, Kind] = {"survey": "survey", "CorridorScan": "corridor"}


def from_qgc(r: Reader) -> dict[str, Any]:
    """Data of a Plan out of a .plan file; raises BadInputError at the line of what is not read."""
    if r.get("fileType") != "Plan":
        raise r.file.error(("fileType",), "this is no plan; fileType: Plan is expected")
    mission = r.get("mission")
    count = len(r.list("mission", "items"))
    out: dict[str, Any] = {"items": [], "left_out": []}
    if mission.get("plannedHomePosition") is not None:
        lat, lon, alt = r.numbers(("mission", "plannedHomePosition"), 3)[:3]
        out["home"] = {"lat_deg": lat, "lon_deg": lon, "alt_m": alt}
    if number(mission.get("hoverSpeed")):
        out["speed"] = mission["hoverSpeed"]
    speed: float | None = None
    for i in range(count):
        speed = _read_item(r, i, speed, out)
    if isinstance(r.file.data.get("geoFence"), dict):
        _read_fences(r, out)
    if isinstance(r.file.data.get("rallyPoints"), dict):
        out["rally"] = []
        points = r.get("rallyPoints").get("points")
        for i in range(len(r.list("rallyPoints", "points")) if points else 0):
            key: Key = ("rallyPoints", "points", i)
            lat, lon, alt = r.numbers(key, 3)[:3]
            data = {"lat_deg": lat, "lon_deg": lon, "alt_m": alt or 0.0}
            out["rally"].append(r.file.validate(Rally, data, key))
    return out


def _read_item(r: Reader, i: int, speed: float | None, out: dict[str, Any]) -> float | None:
    """Adds one item of the file to the steps; returns the speed that holds from there on."""
    key: Key = ("mission", "items", i)
    item = r.get(*key)
    if not isinstance(item, dict) or item.get("type") not in ("SimpleItem", "ComplexItem"):
        raise r.file.error(key, "an item of no type that is read; SimpleItem and ComplexItem are expected")
    fast = {} if speed is None else {"speed": speed}
    if item["type"] == "ComplexItem":
        out["items"].append(r.item({**_complex(r, key, item, out), **fast}, key))
        return speed
    command, p = item.get("command"), r.numbers((*key, "params"), 7)
    if command not in COMMANDS:
        known = ", ".join(map(str, sorted(COMMANDS)))
        raise r.file.error((*key, "command"), f"command {command} is not read; {known} are expected")
    if command == SPEED:
        if p[0] not in (0.0, 1.0) or not p[1] or p[1] <= 0.0:
            raise r.file.error(key, "a change of speed without one; params 0 or 1 and a speed above 0 are expected")
        return None if p[1] == out.get("speed", 5.0) else p[1]
    if command == DELAY:
        _delay(r, key, p[0], out)
        return speed
    if item.get("frame") != RELATIVE and command not in (RETURN, YAW):
        raise r.file.error((*key, "frame"), f"frame {item.get('frame')}; {RELATIVE}, heights above home, is expected")
    out["items"].append(r.item({**_simple(r, key, int(command), p), **fast}, key))
    return speed


def _simple(r: Reader, key: Key, command: int, p: list[float | None]) -> dict[str, Any]:
    """A step out of one command and its seven parameters."""
    if command == RETURN:
        return {"kind": "return"}
    if command == YAW:
        if p[3]:
            raise r.file.error(key, "a turn by an angle is not read; param 4 of 0, an absolute heading, is expected")
        return {"kind": "yaw", "yaw_deg": p[0]}
    out: dict[str, Any] = {"alt_m": p[6] or 0.0}
    if p[4] is not None and p[5] is not None and (p[4] or p[5]):
        out["lat_deg"], out["lon_deg"] = p[4], p[5]
    if command in (LAND, TAKEOFF):
        return {"kind": "land" if command == LAND else "takeoff", **out}
    if command == TURNS:
        radius = p[2] or 0.0  # positive ones are flown clockwise
        return {"kind": "orbit", **out, "radius_m": abs(radius), "turns": (p[0] or 0.0) * (-1.0 if radius > 0 else 1.0)}
    if p[3]:
        out["yaw_deg"] = p[3]
    if command == UNLIMITED:
        return {"kind": "loiter", **out, "until_resumed": True}
    return {"kind": "waypoint" if command == WAYPOINT else "loiter", **out, "hold_s": p[0] or 0.0}


def _delay(r: Reader, key: Key, seconds: float | None, out: dict[str, Any]) -> None:
    """NAV_DELAY: the step before holds."""
    last: PlanItem | None = out["items"][-1] if out["items"] else None
    if last is None or last.kind not in ("waypoint", "loiter", "yaw") or not seconds or seconds < 0.0:
        raise r.file.error(key, "a delay that no step takes; seconds after a waypoint, loiter or yaw are expected")
    data = {**last.model_dump(exclude_defaults=True), "kind": last.kind, "hold_s": last.hold_s + seconds}
    out["items"][-1] = r.item(data, key)


def _complex(r: Reader, key: Key, item: dict[str, Any], out: dict[str, Any]) -> dict[str, Any]:
    """A survey: the waypoints among its TransectStyleComplexItem.Items."""
    kind = COMPLEX.get(str(item.get("complexItemType")))
    if kind is None:
        what = f"complexItemType {item.get('complexItemType')} is not read; {' and '.join(COMPLEX)} are expected"
        raise r.file.error(key, what)
    inside: Key = (*key, "TransectStyleComplexItem", "Items")
    way, left = [], set()
    for k in range(len(r.list(*inside))):
        at = (*inside, k)
        command = r.get(*at).get("command") if isinstance(r.get(*at), dict) else None
        if command in CAMERA:
            left.add(command)
            continue
        if command != WAYPOINT or r.get(*at).get("frame") != RELATIVE:
            what = f"command {command} inside a {kind}; waypoints with heights above home are expected"
            raise r.file.error(at, what)
        p = r.numbers((*at, "params"), 7)
        if p[4] is None or p[5] is None or p[6] is None:
            raise r.file.error(at, "a waypoint without a place; lat, lon, alt are expected")
        way.append((p[4], p[5], p[6]))
    if left:
        words = ", ".join(map(str, sorted(left)))
        out["left_out"].append(f"step {len(out['items']) + 1} ({kind}): camera commands {words}")
    return {"kind": kind, "way": way, "qgc": item}


def _read_fences(r: Reader, out: dict[str, Any]) -> None:
    fence = r.get("geoFence")
    out |= {"fences": [], "keep_out": [], "circles": []}
    for i in range(len(r.list("geoFence", "polygons")) if fence.get("polygons") else 0):
        key: Key = ("geoFence", "polygons", i)
        inclusion = r.get(*key, "inclusion")
        corners = [tuple(r.numbers((*key, "polygon", k), 2)[:2]) for k in range(len(r.list(*key, "polygon")))]
        if not isinstance(inclusion, bool):
            raise r.file.error(key, f"inclusion is {inclusion}; true or false is expected")
        out["fences" if inclusion else "keep_out"].append(corners)
    for i in range(len(r.list("geoFence", "circles")) if fence.get("circles") else 0):
        key = ("geoFence", "circles", i)
        lat, lon = r.numbers((*key, "circle", "center"), 2)[:2]
        data = {"lat_deg": lat, "lon_deg": lon, "radius_m": r.get(*key, "circle", "radius")}
        keep = "in" if r.get(*key, "inclusion") is True else "out"
        out["circles"].append(r.file.validate(Circle, {**data, "keep": keep}, key))
    if fence.get("breachReturn"):
        out["left_out"].append("the fence's breach return point")


# --- writing ---


def to_qgc(plan: Plan) -> dict[str, Any]:
    """The JSON of a .plan file."""
    writer = _Writer(plan.speed)
    for item in plan.items:
        writer.add(item)
    home = [plan.home.lat_deg, plan.home.lon_deg, plan.home.alt_m] if plan.home else None
    polygons = [
        {"inclusion": inside, "polygon": [list(c) for c in f], "version": 1}
        for inside, group in ((True, plan.fences), (False, plan.keep_out))
        for f in group
    ]
    circles = [
        {"circle": {"center": [c.lat_deg, c.lon_deg], "radius": c.radius_m}, "inclusion": c.keep == "in", "version": 1}
        for c in plan.circles
    ]
    return {
        "fileType": "Plan", "groundStation": "QGroundControl", "version": 1,
        "geoFence": {"circles": circles, "polygons": polygons, "version": 2},
        "rallyPoints": {"points": [[p.lat_deg, p.lon_deg, p.alt_m] for p in plan.rally], "version": 2},
        "mission": {
            "cruiseSpeed": plan.speed, "hoverSpeed": plan.speed, "firmwareType": 3, "vehicleType": 2, "version": 2,
            "globalPlanAltitudeMode": 1, "plannedHomePosition": home, "items": writer.items,
        },
    }  # fmt: skip


class _Writer:
    """Items of a .plan, numbered."""

    def __init__(self, speed: float) -> None:
        self.items: list[dict[str, Any]] = []
        self._usual = self._speed = speed
        self._alt = 0.0
        self._number = 1

    def add(self, item: PlanItem) -> None:
        """One step, with the commands it takes."""
        speed = item.speed or self._usual
        if speed != self._speed:
            self._speed = speed
            self._simple(SPEED, [1.0, speed, -1.0, 0.0, 0.0, 0.0, 0.0], MISSION_FRAME)
        self._alt = item.alt_m or self._alt
        if item.qgc is not None:
            self.items.append(item.qgc)
            inside = item.qgc.get("TransectStyleComplexItem", {}).get("Items", [])
            self._number += max(len(inside), 1)
        elif item.kind in PATTERNS and item.kind != "orbit":
            self._pattern(item)
        else:
            self._plain(item)

    def _simple(self, command: int, params: list[float | None], frame: int = RELATIVE) -> None:
        self.items.append({
            "type": "SimpleItem", "autoContinue": True, "command": command, "doJumpId": self._number, "frame": frame,
            "params": params, "Altitude": params[6], "AltitudeMode": 1, "AMSLAltAboveTerrain": None,
        })  # fmt: skip
        self._number += 1

    def _plain(self, item: PlanItem) -> None:
        place = [item.lat_deg or 0.0, item.lon_deg or 0.0, item.alt_m]
        yaw = None if item.yaw_deg is None else item.yaw_deg or 360.0
        if item.kind == "return":
            self._simple(RETURN, [0.0] * 7, MISSION_FRAME)
        elif item.kind == "yaw":
            self._simple(YAW, [item.yaw_deg, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], MISSION_FRAME)
            if item.hold_s:
                self._simple(DELAY, [item.hold_s, -1.0, -1.0, -1.0, 0.0, 0.0, 0.0], MISSION_FRAME)
        elif item.kind == "orbit":
            radius = item.radius_m or 0.0
            self._simple(TURNS, [abs(item.turns), 0.0, radius if item.turns < 0.0 else -radius, 0.0, *place])
        elif item.kind == "loiter" and item.until_resumed:
            self._simple(UNLIMITED, [0.0, 0.0, 0.0, yaw, *place])
        else:
            command = {"waypoint": WAYPOINT, "loiter": TIME, "land": LAND, "takeoff": TAKEOFF}[item.kind]
            self._simple(command, [item.hold_s, 0.0, 0.0, yaw, *place])

    def _pattern(self, item: PlanItem) -> None:
        """A pattern as the waypoints that it becomes."""
        lat, lon = first_place(item)
        frame = LocalFrame(Origin(lat, lon, 0.0))
        for p in expand(item, frame, (0.0, 0.0), self._alt):
            place = frame.geodetic_from_map(np.array([p[0], p[1], 0.0]))
            self._simple(WAYPOINT, [0.0, 0.0, 0.0, None, float(place[0]), float(place[1]), float(p[2])])


def first_place(item: PlanItem) -> tuple[float, float]:
    """A place [deg] of a step that has one."""
    if item.lat_deg is not None and item.lon_deg is not None:
        return item.lat_deg, item.lon_deg
    if item.way:
        return item.way[0][0], item.way[0][1]
    return (item.polygon or item.path or [(0.0, 0.0)])[0]

"""What the operator's page shows, as plain data: the newest of everything in, one JSON-ready frame out.

Reads no clock and does no I/O. Every part of a frame carries its age and whether it is stale, so that old data never
looks like new data; numbers are finite or None.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from giljabi import topics
from giljabi.fence import Fence
from giljabi.missions.course import Course
from giljabi.operator.chart import Chart
from giljabi.platform import Platform
from giljabi.topics import Topic
from giljabi.types import (
    ActuatorCommand,
    Array,
    Health,
    JointState,
    Kind,
    MissionPhase,
    MissionState,
    Odometry,
    Route,
    StackState,
    Tracks,
    Trajectory,
)

Shown: TypeAlias = (
    Odometry | Tracks | Route | Trajectory | StackState | MissionState | Health | JointState | ActuatorCommand
)
Json: TypeAlias = dict[str, Any]

TRAIL_POINTS = 3000
PLAN_POINTS = 60
MANY_TRACKS = 200  # the nearest ones are shown
WIRE_SOURCE = "wire"  # ActuatorCommand.source of what the guard put on the wire


def number(value: float, digits: int = 3) -> float | None:
    """`value` rounded for the wire, or None when it is not finite."""
    return round(float(value), digits) if math.isfinite(value) else None


def compass_deg(yaw: float) -> float:
    """Yaw in ENU [rad] as a compass direction [deg], 0 = north, clockwise, in [0, 360)."""
    return (90.0 - math.degrees(yaw)) % 360.0


def closest_approach(position: Array, velocity: Array, other: Array, other_velocity: Array) -> tuple[float, float]:
    """Distance [m] at, and time [s] until, the closest point of approach under constant velocities.

    All arguments (2,) in map. A time of 0 means that the distance only grows.
    """
    p, v = other - position, other_velocity - velocity
    speed2 = float(v @ v)
    t = max(0.0, -float(p @ v) / speed2) if speed2 > 1e-9 else 0.0
    return float(np.hypot(*(p + t * v))), t


def largest_sigma(xx: float, xy: float, yy: float) -> float:
    """Standard deviation [m] along the worst direction of a planar covariance [m^2]; NaN when it is not one."""
    variance = 0.5 * (xx + yy) + math.hypot(0.5 * (xx - yy), xy)
    return math.sqrt(variance) if variance >= 0.0 else math.nan


class PageModel:
    """Keeps the newest of each kind of data and makes frames of it."""

    def __init__(self, platform: Platform, note: str = "") -> None:
        """note: shown beside the platform's name, e.g. "simulated"."""
        self.platform = platform
        self.note = note
        self.route_version = 0
        self.chart = Chart(platform.fences)
        self.trail: deque[tuple[float, float]] = deque(maxlen=TRAIL_POINTS)
        self._newest: dict[type, tuple[float, Any]] = {}  # class -> (time of arrival, object)
        self._commands: dict[str, tuple[float, ActuatorCommand]] = {}
        self._feedback: dict[str, tuple[float, float]] = {}  # actuator -> (time of arrival, SI value)
        self._health: dict[str, tuple[float, Health]] = {}
        self._body = None  # of a robot: its links, for a picture of them
        if platform.model.robot is not None:
            from giljabi.walking.robot import robot_file
            from giljabi.walking.shape import shape_of

            self._body = shape_of(robot_file(platform.file, platform.model.robot))

    def take(self, now: float, item: Shown) -> None:
        """Takes one arrival; `now` is the stack time of arrival [s]."""
        match item:
            case ActuatorCommand():
                self._commands[item.source] = (now, item)
            case Health():
                self._health[item.name] = (now, item)
            case JointState():
                self._take_feedback(now, item)
            case _:
                self._newest[type(item)] = (now, item)
                if isinstance(item, Odometry):
                    self._extend_trail(item)
                elif isinstance(item, Route):
                    self.route_version += 1

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces the mission's fences."""
        self.chart.set_fences(fences)
        self.route_version += 1

    def set_course(self, course: Course | None) -> None:
        """Replaces the mission, its fences too; None: a route takes its place."""
        self.chart.set_course(course)
        self.route_version += 1

    def forget(self, kind: type) -> None:
        """Drops the newest of one class, e.g. a plan that was taken back."""
        self._newest.pop(kind, None)

    def _take_feedback(self, now: float, joints: JointState) -> None:
        for name, actuator in self.platform.model.actuators.items():
            value = getattr(joints, actuator.slot).get(name, math.nan)
            if math.isfinite(value):
                self._feedback[name] = (now, value)

    def _extend_trail(self, odom: Odometry) -> None:
        x, y = float(odom.position[0]), float(odom.position[1])
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        step = 0.5 * self.platform.model.footprint.length
        if not self.trail or math.hypot(x - self.trail[-1][0], y - self.trail[-1][1]) >= step:
            self.trail.append((round(x, 2), round(y, 2)))

    # --- what goes out --------------------------------------------------------------------------

    def hello(self) -> Json:
        """What a page that has just connected needs once: the vehicle, its limits, and where it has been."""
        model = self.platform.model
        return {
            "body": self._body,
            "name": model.name,
            "description": model.description,
            "note": self.note,
            "footprint": model.footprint.model_dump(),
            "limits": model.limits.model_dump(),
            "actuators": [{"name": n, "unit": a.unit, "min": a.min, "max": a.max} for n, a in model.actuators.items()],
            "trail": [list(p) for p in self.trail],
        }

    def route(self) -> Json:
        """The route as lines in map [m]; `left` and `right` are the edges of the corridor, null where it is open.

        With the fences, and the mission's legs where it has some.
        """
        found, chart = self._newest.get(Route), {"fences": self.chart.fences, "legs": self.chart.legs}
        if found is None:
            return {"version": self.route_version, "points": [], "left": [], "right": [], "closed": False, **chart}
        route: Route = found[1]
        left, right = corridor(route)
        return {
            "version": self.route_version,
            "points": _xy(route.points),
            "left": left,
            "right": right,
            "closed": route.closed,
            **chart,
        }

    def frame(self, now: float) -> Json:
        """Everything that moves, at stack time `now` [s]."""
        odom = self._newest.get(Odometry)
        return {
            "banner": self.banner(now),
            "state": self._state(now),
            "odom": self._odometry(now),
            "tracks": self._tracks(now, odom[1] if odom else None),
            "plan": self._plan(now),
            "mission": self._mission(now),
            "beyond": self.chart.beyond(odom[1].position) if odom else [],
            "health": self._health_rows(now),
            "actuators": self._actuators(now),
            "route_version": self.route_version,
        }

    def banner(self, now: float) -> Json:
        """The one line that matters: level (ok, info, warn, alarm, lost), title, detail."""
        found = self._newest.get(StackState)
        if found is None:
            return {"level": "lost", "title": "NO CONTACT", "detail": "nothing heard from the guard yet"}
        age = now - found[0]
        state: StackState = found[1]
        reasons = "; ".join(state.reasons)
        if age > self._timeout(topics.STATE):
            detail = f"nothing heard from the guard for {age:.1f} s; it last said {state.mode}"
            return {"level": "lost", "title": "NO CONTACT", "detail": detail}
        if state.mode == "minimum_risk":
            return {"level": "alarm", "title": "MINIMUM RISK", "detail": reasons or "no reason was given"}
        if state.mode == "stopped":
            return {"level": "alarm", "title": "STOPPED", "detail": reasons or "stopped by request"}
        if state.armed:
            mission = self._newest.get(MissionState)
            note = mission[1].note or mission[1].phase.value if mission else "no mission"
            title = f"ARMED · {state.mode.upper().replace('_', ' ')}"
            return {"level": "warn" if reasons else "ok", "title": title, "detail": reasons or note}
        detail = f"will not arm: {reasons}" if reasons else "ready to arm"
        return {"level": "info", "title": state.mode.upper().replace("_", " "), "detail": detail}

    def _timeout(self, topic: Topic) -> float:
        override = self.platform.model.topics.get(topic.name)
        if override is not None and override.timeout_s is not None:
            return override.timeout_s
        return topic.timeout_s

    def _age(self, now: float, arrived: float, topic: Topic) -> Json:
        age = max(0.0, now - arrived)
        limit = self._timeout(topic)
        return {"age": number(age, 2), "stale": bool(limit > 0 and age > limit)}

    def _state(self, now: float) -> Json | None:
        found = self._newest.get(StackState)
        if found is None:
            return None
        at, state = found
        return {
            "mode": state.mode,
            "armed": state.armed,
            "reasons": list(state.reasons),
            **self._age(now, at, topics.STATE),
        }

    def _odometry(self, now: float) -> Json | None:
        found = self._newest.get(Odometry)
        if found is None:
            return None
        at, odom = found
        velocity = odom.velocity_map
        speed = float(np.hypot(velocity[0], velocity[1]))
        course = compass_deg(math.atan2(velocity[1], velocity[0])) if speed > 0.2 else math.nan
        sigma = largest_sigma(*(float(v) for v in (odom.pose_cov[0, 0], odom.pose_cov[0, 1], odom.pose_cov[1, 1])))
        return {
            "x": number(odom.position[0]),
            "y": number(odom.position[1]),
            "z": number(odom.position[2]),
            "attitude": [number(v, 4) for v in odom.quaternion] if np.isfinite(odom.quaternion).all() else None,
            "yaw": number(odom.yaw, 4),
            "vx": number(velocity[0]),
            "vy": number(velocity[1]),
            "speed": number(speed),
            "surge": number(odom.velocity[0]),
            "heading_deg": number(compass_deg(odom.yaw), 1),
            "course_deg": number(course, 1),
            "yaw_rate_dps": number(math.degrees(odom.angular_velocity[2]), 2),
            "sigma_m": number(sigma, 2),
            **self._age(now, at, topics.ODOM),
        }

    def _tracks(self, now: float, odom: Odometry | None) -> Json | None:
        found = self._newest.get(Tracks)
        if found is None:
            return None
        at, tracks = found
        rows = [_track(row, odom, now - at) for row in tracks.data]
        rows = [r for r in rows if r["x"] is not None and r["y"] is not None]
        rows.sort(key=lambda r: r["range_m"] if r["range_m"] is not None else 0.0)
        return {"items": rows[:MANY_TRACKS], "count": len(rows), **self._age(now, at, topics.TRACKS)}

    def _plan(self, now: float) -> Json | None:
        found = self._newest.get(Trajectory)
        if found is None:
            return None
        at, plan = found
        step = max(1, math.ceil(len(plan.position) / PLAN_POINTS))
        return {
            "points": _xy(plan.position[::step]),
            "horizon_s": number(plan.times[-1], 1) if len(plan.times) else None,
            "status": plan.status,
            **self._age(now, at, topics.TRAJECTORY),
        }

    def _mission(self, now: float) -> Json | None:
        found = self._newest.get(MissionState)
        if found is None:
            return None
        at, mission = found
        age = self._age(now, at, topics.MISSION_STATE)
        note = f"silent for {age['age']:.0f} s; its last word was: {mission.note}" if age["stale"] else mission.note
        return {
            "phase": mission.phase.value,
            "paused": mission.phase is MissionPhase.PAUSED,
            "progress": number(mission.progress, 4),
            "to_go_m": number(mission.distance_to_go, 1),
            "cross_track_m": number(mission.cross_track, 2),
            "note": note,
            "step": None if mission.aside else mission.step or None,
            "flies": mission.asks is not None,
            "asks": [] if age["stale"] else list(_may_ask(mission)),
            **age,
        }

    def _health_rows(self, now: float) -> list[Json]:
        rows = []
        for name, (at, health) in sorted(self._health.items()):
            age = self._age(now, at, topics.DIAGNOSTICS)
            rows.append({"name": name, "reasons": list(health.reasons), **age})
        return rows

    def _actuators(self, now: float) -> list[Json]:
        """Wanted (by the autonomy), sent (by the guard) and measured, for each actuator of the platform file."""
        rows = []
        for name in self.platform.model.actuators:
            row: Json = {"name": name}
            wanted = [c for s, c in self._commands.items() if s != WIRE_SOURCE and name in c[1].values]
            for key, found in (("wanted", max(wanted, default=None)), ("sent", self._commands.get(WIRE_SOURCE))):
                if found is not None and name in found[1].values:
                    row[key] = number(found[1].values[name], 4)
                    row[key + "_stale"] = self._age(now, found[0], topics.ACTUATOR_COMMANDS)["stale"]
            if name in self._feedback:
                at, value = self._feedback[name]
                row["measured"] = number(value, 4)
                row["measured_stale"] = self._age(now, at, topics.JOINT_STATES)["stale"]
            rows.append(row)
        return rows


def _track(row: Array, odom: Odometry | None, age: float) -> Json:
    x, y, _, vx, vy, yaw, length, width, ident, kind, variance = (float(v) for v in row)
    out: Json = {
        "id": int(ident) if abs(ident) < 2**53 else None,  # NaN: the sensor gave none
        "kind": _kind(kind),
        "x": number(x + age * vx if math.isfinite(vx) else x, 2),
        "y": number(y + age * vy if math.isfinite(vy) else y, 2),
        "vx": number(vx),
        "vy": number(vy),
        "speed": number(math.hypot(vx, vy)),
        "yaw": number(yaw, 3),
        "length": number(length, 1),
        "width": number(width, 1),
        "sigma_m": number(math.sqrt(variance), 1) if variance >= 0 else None,
        "range_m": None,
        "bearing_deg": None,
        "cpa_m": None,
        "tcpa_s": None,
    }
    if odom is None or not all(math.isfinite(v) for v in (x, y, *odom.position[:2])):
        return out
    dx, dy = x - odom.position[0], y - odom.position[1]
    out["range_m"] = number(math.hypot(dx, dy), 1)
    out["bearing_deg"] = number(compass_deg(math.atan2(dy, dx)), 1)
    if math.isfinite(vx) and math.isfinite(vy):
        cpa, t = closest_approach(odom.position[:2], odom.velocity_map[:2], np.array([x, y]), np.array([vx, vy]))
        out["cpa_m"], out["tcpa_s"] = number(cpa, 1), number(t, 1)
    return out


def _kind(value: float) -> str:
    try:
        return Kind(int(value)).name.lower()
    except (ValueError, OverflowError):  # not a number, infinite, or no kind of ours
        return Kind.UNKNOWN.name.lower()


def _may_ask(m: MissionState) -> tuple[str, ...]:
    if m.asks is not None:
        return m.asks
    return {MissionPhase.RUNNING: ("pause",), MissionPhase.PAUSED: ("resume",)}.get(m.phase, ())


def _xy(points: Array) -> list[list[float | None]]:
    return [[number(p[0], 2), number(p[1], 2)] for p in points]


def corridor(route: Route) -> tuple[list[list[float] | None], list[list[float] | None]]:
    """Left and right edge of the route's corridor, a point per route point [m, map]; None where it is open."""
    points = route.points[:, :2]
    if len(points) < 2:
        return [], []
    if route.closed:  # the last point repeats the first
        ring = np.vstack([points[-2], points, points[1]])
        ahead = ring[2:] - ring[:-2]
    else:
        ahead = np.gradient(points, axis=0)
    norm = np.hypot(ahead[:, 0], ahead[:, 1])
    ahead = ahead / np.where(norm > 1e-9, norm, 1.0)[:, None]
    normal = np.column_stack([-ahead[:, 1], ahead[:, 0]])  # to the left
    return _edge(points, normal, route.half_width[:, 0]), _edge(points, -normal, route.half_width[:, 1])


def _edge(points: Array, outwards: Array, width: Array) -> list[list[float] | None]:
    edge: list[list[float] | None] = []
    for p, n, w in zip(points, outwards, width, strict=True):
        point = [round(float(v), 2) for v in p + w * n] if math.isfinite(w) else None
        edge.append(point if point and all(math.isfinite(v) for v in point) else None)
    return edge


def take_all(model: PageModel, now: float, items: Sequence[Shown]) -> None:
    """Takes several arrivals at one time."""
    for item in items:
        model.take(now, item)

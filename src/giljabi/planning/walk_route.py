"""A planner for what walks: along a route, turning on the spot where it bends sharply, stopping for what is there.

Where nothing is known of the ground the plan is a velocity forward and a turn rate, carried on over the horizon, and
footsteps are the fast loop's affair. To a goal with a heading, and on ground that is known, it plans each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from giljabi.frames import wrap_angle
from giljabi.ground import GroundFile, Surface
from giljabi.planning.foot_planner import legs_of
from giljabi.planning.foot_route import FootRoute
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import Array, GridMap, MissionPhase, MissionState, Odometry, Route, Tracks, Trajectory
from giljabi.walking.robot import robot_file
from giljabi.yaml_file import Strict, YamlFile

DT = 0.1  # s between rows of a trajectory
BACK_M = 0.5  # m that the place on the route may go back between two steps
AHEAD_M = 1.5  # and forward


class WalkRouteOptions(Strict):
    """`steps.planner.options`."""

    horizon_s: float = Field(default=2.0, gt=0.5, le=10.0)
    look_ahead_m: float = Field(default=0.35, gt=0, description="to the point of the route that it walks towards")
    turn_gain: float = Field(default=1.2, gt=0, description="1/s, from the angle to that point to the turn rate")
    turn_first: float = Field(default=0.6, gt=0, le=math.pi, description="rad beyond which it turns on the spot")
    arrival_m: float = Field(default=0.12, gt=0)
    footsteps: Literal["needed", "always"] = Field(
        default="needed", description="planned steps: to a goal with a heading and on known ground, or on every route"
    )
    ground: str | None = Field(default=None, description="a file of surfaces, beside the platform file")


class WalkRoutePlanner:
    """steps.Planner."""

    def __init__(self, platform: Platform) -> None:
        self._o = platform.options(WalkRouteOptions, "steps", "planner")
        self._limits = platform.model.limits
        f = self._footprint = platform.model.footprint
        self._own_ground: list[Surface] = []
        self._reach = 0.5 * math.hypot(f.length, f.width)
        self._times: Array = np.asarray(DT * np.arange(round(self._o.horizon_s / DT) + 1), dtype=np.float64)
        self._route: Route | None = None
        self._at: Array = np.zeros(0)  # m along the route of each point
        self._s = 0.0
        self._phase = MissionPhase.IDLE
        self._speed = 0.0  # that the last plan began with
        self._turning = False
        self._last: float | None = None
        self._feet = self._foot_route(platform)
        self._on_foot = False

    def _foot_route(self, platform: Platform) -> FootRoute | None:
        robot, o = platform.model.robot, self._o
        if robot is None:
            return None
        self._walker = robot_file(platform.file, robot).walker
        feet = FootRoute(self._walker.gait.step_time, o.arrival_m)
        if o.ground is not None:
            path = platform.file.path.parent / o.ground
            if not path.is_file():
                key = ("steps", "planner", "options", "ground")
                raise platform.error(key, f"no file '{path}'; a file of surfaces is expected")
            self._own_ground = [m.surface() for m in YamlFile(path).validate(GroundFile).surfaces]
            feet.set_ground(self._own_ground)
        return feet

    def set_ground(self, surfaces: Sequence[Surface]) -> None:
        """See steps.KnowsGround; the platform's own stay."""
        if self._feet is not None:
            self._feet.set_ground([*self._own_ground, *surfaces])
            self._choose()

    def set_map(self, grid: GridMap) -> None:
        """See steps.MapFollower."""
        if self._feet is not None:
            self._feet.set_map(grid)

    def _choose(self) -> None:
        """Whether the route is walked by planned steps."""
        r, feet = self._route, self._feet
        self._on_foot = False
        if r is None or feet is None:
            return
        needed = r.heading is not None or feet.knows_ground or self._o.footsteps == "always"
        if needed:
            f, g = self._footprint, self._walker.gait
            speed = min(float(r.speed[1:].min()), self._limits.speed_max, g.speed)
            feet.begin(r.points, r.heading, legs_of(self._walker, self._limits, (f.length, f.width), speed))
            self._on_foot = True

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle."""
        self._route, self._phase, self._s, self._speed = route, MissionPhase.IDLE, 0.0, 0.0
        steps = np.hypot(*np.diff(route.points[:, :2], axis=0).T)
        self._at = np.concatenate([[0.0], np.cumsum(steps)])
        self._turning = False
        self._choose()

    def start(self) -> None:
        """Begins or resumes the route."""
        if self._route is not None and self._phase in (MissionPhase.IDLE, MissionPhase.PAUSED):
            self._phase = MissionPhase.RUNNING

    def pause(self) -> None:
        """Stops where it is until start()."""
        if self._phase is MissionPhase.RUNNING:
            self._phase = MissionPhase.PAUSED

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The plan from now on; None before start, and when it is over."""
        dt = 0.0 if self._last is None else min(max(now - self._last, 0.0), 1.0)
        self._last = now
        if self._route is None or self._phase is MissionPhase.IDLE:
            return PlanResult(None, MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waits for its start"))
        if self._on_foot and self._feet is not None:
            return self._step_by_step(now, odom, tracks, self._feet)
        beside = self._follow(odom)
        to_go = float(self._at[-1]) - self._s
        end = math.dist(odom.position[:2], self._route.points[-1, :2])
        there = to_go <= self._o.arrival_m and end <= 2.0 * self._o.arrival_m
        if self._phase is MissionPhase.RUNNING and there and self._speed == 0.0:
            self._phase = MissionPhase.ARRIVED
        blocked = self._blocked(now, odom, tracks)
        speed, turn = self._wanted(odom, to_go, there or bool(blocked))
        most = self._limits.acceleration_max * dt
        self._speed += min(max(speed - self._speed, -self._limits.deceleration_max * dt), most)
        note = blocked or {MissionPhase.PAUSED: "paused", MissionPhase.ARRIVED: "arrived"}.get(self._phase, "following")
        state = MissionState(now, self._phase, min(self._s / float(self._at[-1]), 1.0), to_go, beside, note)
        if self._phase is MissionPhase.ARRIVED:
            self._speed = 0.0
            return PlanResult(None, state)
        return PlanResult(self._trajectory(now, odom, turn), state)

    def _step_by_step(self, now: float, odom: Odometry, tracks: Tracks | None, feet: FootRoute) -> PlanResult:
        """As `step`, by planned steps."""
        running = self._phase is MissionPhase.RUNNING
        m = self._limits
        ahead = m.speed_max**2 / (2.0 * m.deceleration_max) + m.clearance + self._reach
        blocked = self._in_way(now, tracks, feet.ahead(ahead)) if running else ""
        if feet.step(now, odom, running and not blocked) and running:
            self._phase = MissionPhase.ARRIVED
        note = {MissionPhase.PAUSED: "paused", MissionPhase.ARRIVED: "arrived"}.get(self._phase, "")
        note = (
            note
            or blocked
            or feet.words
            or ("stepping" if feet.plan is not None else "comes to rest to plan its steps")
        )
        progress, to_go, beside = feet.place(odom)
        if self._phase is MissionPhase.ARRIVED:
            return PlanResult(None, MissionState(now, self._phase, 1.0, 0.0, beside, note))
        return PlanResult(
            feet.trajectory(now, odom), MissionState(now, self._phase, progress, to_go, beside, note), feet.plan
        )

    def _follow(self, odom: Odometry) -> float:
        """Moves the place on the route to the nearest one around the last; how far beside it is [m, left]."""
        assert self._route is not None
        p, points = odom.position[:2], self._route.points[:, :2]
        a, step = points[:-1], np.diff(points, axis=0)
        length = np.maximum(np.hypot(*step.T), 1e-9)
        low, high = self._s - BACK_M - self._at[:-1], self._s + AHEAD_M - self._at[:-1]
        along = np.einsum("ij,ij->i", p - a, step) / length
        along = np.clip(along, np.clip(low, 0.0, length), np.clip(high, 0.0, length))
        foot = a + (along / length)[:, None] * step
        distance = np.hypot(*(p - foot).T)
        distance[(high < 0.0) | (low > length)] = math.inf
        i = int(np.argmin(distance))
        self._s = float(self._at[i] + along[i])
        return float((step[i, 0] * (p[1] - foot[i, 1]) - step[i, 1] * (p[0] - foot[i, 0])) / length[i])

    def _point(self, s: float) -> Array:
        """The route's point (2,) at s; its last direction goes on beyond the end."""
        assert self._route is not None
        points = self._route.points[:, :2]
        if s <= self._at[-1]:
            return np.array([np.interp(s, self._at, points[:, i]) for i in (0, 1)])
        step = points[-1] - points[-2]
        return np.asarray(points[-1] + (s - self._at[-1]) * step / max(float(np.hypot(*step)), 1e-9))

    def _wanted(self, odom: Odometry, to_go: float, rest: bool) -> tuple[float, float]:
        """Speed forward and turn rate; rest: neither."""
        assert self._route is not None
        if self._phase is not MissionPhase.RUNNING or rest:
            return 0.0, 0.0
        o, m = self._o, self._limits
        x, y = self._point(self._s + o.look_ahead_m) - odom.position[:2]
        off = float(wrap_angle(math.atan2(y, x) - odom.yaw))
        # On the spot until it looks along the route, with some play so that it does not begin again and again.
        self._turning = abs(off) > (0.3 if self._turning else 1.0) * o.turn_first
        i = min(int(np.searchsorted(self._at, self._s, side="right")), len(self._at) - 1)
        braking = math.sqrt(2.0 * 0.5 * m.deceleration_max * max(to_go - 0.5 * o.arrival_m, 0.0))
        speed = 0.0 if self._turning else min(float(self._route.speed[i]), m.speed_max, max(braking, 0.1 * m.speed_max))
        return speed * max(math.cos(off), 0.0), min(max(o.turn_gain * off, -m.yaw_rate_max), m.yaw_rate_max)

    def _blocked(self, now: float, odom: Odometry, tracks: Tracks | None) -> str:
        """What stands in its way within the way to rest, in words."""
        if tracks is None or len(tracks.data) == 0 or self._phase is not MissionPhase.RUNNING:
            return ""
        m = self._limits
        ahead = self._speed**2 / (2.0 * m.deceleration_max) + self._speed * DT + m.clearance + self._reach
        return self._in_way(
            now, tracks, np.array([self._point(float(s)) for s in np.linspace(self._s, self._s + ahead, 8)])
        )

    def _in_way(self, now: float, tracks: Tracks | None, way: Array) -> str:
        """Which track stands near places (n, 2), in words."""
        if tracks is None or len(tracks.data) == 0 or len(way) == 0:
            return ""
        for row, place in zip(tracks.data, tracks.predicted(now), strict=True):
            half = 0.5 * math.hypot(*(float(v) if math.isfinite(v) else 0.0 for v in row[6:8]))
            if float(np.hypot(*(way - place).T).min()) < self._reach + half + 0.5 * self._limits.clearance:
                return f"stopping: track {row[8]:.0f} is in the way"
        return ""

    def _trajectory(self, now: float, odom: Odometry, turn: float) -> Trajectory:
        yaw = odom.yaw + turn * self._times
        velocity = np.stack([self._speed * np.cos(yaw), self._speed * np.sin(yaw), np.zeros(len(yaw))], axis=1)
        way = np.vstack([np.zeros(3), np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * DT, axis=0)])
        status = "stop" if self._speed == 0.0 and turn == 0.0 else "converged"
        position = np.asarray(odom.position, dtype=np.float64) + way
        return Trajectory(now, self._times, position, yaw, velocity, np.full(len(yaw), turn), status)

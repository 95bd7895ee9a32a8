"""Footsteps along a route: planned while the robot stands, and planned again where they do not lead on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from giljabi.frames import wrap_angle
from giljabi.ground import Surface
from giljabi.planning.foot_planner import FootPlanner, Legs, Pose
from giljabi.planning.terrain import Terrain
from giljabi.types import LEFT, RIGHT, Array, BadInputError, FootPlan, GridMap, Odometry, Trajectory

REST_S = 0.5  # s without motion after which it stands
REST_SPEED, REST_TURN = 0.03, 0.08  # m/s, rad/s: less is no motion
STUCK_S = 3.0  # s without motion on a plan, then it is made anew
AGAIN_S = 2.0  # s between two plans that failed
OFF_M = 0.25  # m beside a plan, from which another one is needed
AROUND_M = 1.5  # m about start and goal that a plan may use
BEHIND, AHEAD = 2, 6  # steps in which the place on a plan is looked for
HEADING = 0.2  # rad, at the goal
TRIES = 3  # from a place near the goal, to stand there exactly
ROWS_MAX = 300  # of a trajectory


class FootRoute:
    """One `step` a period of the planner; no clock."""

    def __init__(self, step_time: float, arrival_m: float) -> None:
        """step_time: s of a step; arrival_m: so near is there."""
        self._step_time, self._arrival = step_time, arrival_m
        self._surfaces: tuple[Surface, ...] = ()
        self._grid: GridMap | None = None
        self._planner: FootPlanner | None = None
        self._goals: list[Array] = []
        self._heading: float | None = None
        self.plan: FootPlan | None = None
        self._line = np.zeros((0, 3))  # x, y, yaw between the feet, at the start and after each step
        self._at = np.zeros(0)  # m along it
        self._ends: list[int] = []  # of the line, where each goal is reached
        self._i = 0
        self._still = self._since = 0.0  # s without motion; when the plan was made
        self._again = -math.inf
        self._tries = 0
        self._last: float | None = None
        self.words = ""  # why there is no plan

    @property
    def knows_ground(self) -> bool:
        """Whether anything is known that steps must mind."""
        return bool(self._surfaces)

    def set_ground(self, surfaces: Sequence[Surface]) -> None:
        """Replaces what is known of the ground."""
        self._surfaces = tuple(surfaces)
        self.plan = None

    def set_map(self, grid: GridMap) -> None:
        """Replaces the map; a plan through what has come into its way is given up."""
        self._grid = grid
        if self.plan is not None and self._planner is not None:
            (x, y, yaw), terrain = self._line[self._i :].T, self._terrain(self._line[:, :2])
            if (self._planner.clear(x, y, yaw, terrain) < -0.5 * self._planner.legs.clearance).any():
                self.plan = None

    def begin(self, points: Array, heading: float | None, legs: Legs) -> None:
        """Another route: its points (n, 2), without the first one, are walked to in turns."""
        self._planner = FootPlanner(legs)
        self._goals = list(points[1:, :2])
        self._heading, self.plan, self.words = heading, None, ""
        self._again, self._tries = -math.inf, 0

    # --- one period ---

    def step(self, now: float, odom: Odometry, go: bool) -> bool:
        """Moves on; whether the robot stands at the goal. go: it may walk."""
        self._watch(now, odom)
        if not go:
            self.plan = None
            return False
        if self.plan is not None and self._lost(now, odom):
            self.plan = None
        rested = self._still >= REST_S
        if rested and self._there(odom):
            return True
        if self.plan is None and rested and now >= self._again:
            self._make(now, odom)
        return False

    def _watch(self, now: float, odom: Odometry) -> None:
        dt = 0.0 if self._last is None else min(max(now - self._last, 0.0), 1.0)
        self._last = now
        moves = math.hypot(*odom.velocity[:2]) > REST_SPEED or abs(float(odom.angular_velocity[2])) > REST_TURN
        self._still = 0.0 if moves else self._still + dt

    def _there(self, odom: Odometry) -> bool:
        """At rest, at the end; after some tries less exactly."""
        off = math.dist(odom.position[:2], self._goals[-1])
        if len(self._goals) > 1:
            return False
        wanted = odom.yaw if self._heading is None else self._heading
        if off <= self._arrival and abs(float(wrap_angle(odom.yaw - wanted))) <= HEADING:
            return True
        return self._tries >= TRIES and off <= 2.0 * self._arrival

    def _lost(self, now: float, odom: Odometry) -> bool:
        """Follows the place on the plan; whether the plan does not lead any more."""
        first = max(self._i - BEHIND, 0)
        rows = self._line[first : self._i + AHEAD + 1]
        off = np.hypot(*(rows[:, :2] - odom.position[:2]).T)
        self._i = first + int(np.argmin(off + 0.2 * np.abs(wrap_angle(rows[:, 2] - odom.yaw))))
        while len(self._goals) > 1 and self._i >= self._ends[0]:
            self._goals.pop(0)
            self._ends.pop(0)
        return float(off.min()) > OFF_M or (self._still >= REST_S and now - self._since > STUCK_S)

    def _terrain(self, places: Array) -> Terrain:
        assert self._planner is not None
        low, high = places.min(axis=0) - AROUND_M, places.max(axis=0) + AROUND_M
        return Terrain(low, high, self._surfaces, self._grid, self._planner.legs.step_height)

    def _make(self, now: float, odom: Odometry) -> None:
        """From where the robot stands through all that is left of the route."""
        assert self._planner is not None
        pose: Pose = (float(odom.position[0]), float(odom.position[1]), odom.yaw)
        if math.dist(pose[:2], self._goals[-1]) <= 2.0 * self._arrival:
            self._tries += 1
        terrain = self._terrain(np.array([pose[:2], *self._goals]))
        parts, ends, first = [], [], None
        try:
            for k, goal in enumerate(self._goals):
                end = (float(goal[0]), float(goal[1]), self._heading_at(k, pose))
                part = self._planner.plan(pose, end, terrain, first)
                parts.append(part)
                ends.append(sum(len(p) for p in parts))
                pose, first = end, 1 - int(part.side[-1]) if len(part) else first
        except BadInputError as e:
            self.words, self._again = f"cannot walk there: {e}", now + AGAIN_S
            return
        self.words, self._since, self._ends, self._i = "", now, ends, 0
        self.plan = FootPlan(*(np.concatenate([getattr(p, a) for p in parts]) for a in ("side", "feet", "over")))
        self._draw((float(odom.position[0]), float(odom.position[1]), odom.yaw))

    def _heading_at(self, k: int, pose: Pose) -> float:
        """Where to look at a goal: as asked at the last one, else half way between coming and going."""
        goal = self._goals[k]
        if k == len(self._goals) - 1 and self._heading is not None:
            return self._heading
        coming = np.asarray(goal) - pose[:2]
        far = float(np.hypot(*coming))
        came = pose[2] if far < self._arrival else math.atan2(coming[1], coming[0])
        if k == len(self._goals) - 1:
            return came
        going = self._goals[k + 1] - goal
        return came + 0.5 * float(wrap_angle(math.atan2(going[1], going[0]) - came))

    def _draw(self, pose: Pose) -> None:
        """The line between the feet."""
        assert self.plan is not None
        assert self._planner is not None
        arm = self._planner.legs.width / 2 * np.array([-math.sin(pose[2]), math.cos(pose[2])])
        feet = {LEFT: np.array([*(pose[:2] + arm), pose[2]]), RIGHT: np.array([*(pose[:2] - arm), pose[2]])}
        rows = [np.array(pose)]
        for side, foot in zip(self.plan.side.tolist(), self.plan.feet, strict=True):
            feet[side] = foot[[0, 1, 3]]
            yaw = feet[RIGHT][2] + float(wrap_angle(feet[LEFT][2] - feet[RIGHT][2])) / 2
            rows.append(np.array([*(feet[LEFT][:2] + feet[RIGHT][:2]) / 2, yaw]))
        self._line = np.array(rows)
        self._at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self._line[:, :2], axis=0).T))])

    # --- what comes of it ---

    def place(self, odom: Odometry) -> tuple[float, float, float]:
        """Progress (0 to 1), way to go [m], and how far beside the plan it is [m, left]."""
        if self.plan is None or len(self._line) < 2:
            return 0.0, math.dist(odom.position[:2], self._goals[-1]), 0.0
        x, y, yaw = self._line[self._i]
        dx, dy = float(odom.position[0]) - x, float(odom.position[1]) - y
        length = float(self._at[-1])
        done = float(self._at[self._i])
        return done / max(length, 1e-6), length - done, math.cos(yaw) * dy - math.sin(yaw) * dx

    def ahead(self, way: float) -> Array:
        """Places (n, 2) on the plan within the next `way` [m]."""
        to = int(np.searchsorted(self._at, self._at[self._i] + way)) if self.plan is not None else 0
        return self._line[self._i : to + 1, :2]

    def trajectory(self, now: float, odom: Odometry) -> Trajectory:
        """The rest of the plan, a row a step; without a plan it rests."""
        here = np.array([[*odom.position[:2], odom.yaw]])
        rest = self._line[self._i + 1 :][:ROWS_MAX] if self.plan is not None else here
        rows = np.concatenate([here, rest if len(rest) else here])
        rows[:, 2] = np.unwrap(rows[:, 2])
        times = self._step_time * np.arange(len(rows), dtype=np.float64)
        rates = np.diff(rows, axis=0) / self._step_time
        rates = np.concatenate([rates, rates[-1:]])
        if self.plan is not None and not rates.any():
            rates[:, 0] = 1e-3  # the last step is still under way
        zero = np.zeros((len(rows), 1))
        position = np.concatenate([rows[:, :2], zero + odom.position[2]], axis=1)
        velocity = np.concatenate([rates[:, :2], zero], axis=1)
        if self.plan is None:
            velocity, rates = np.zeros_like(velocity), np.zeros_like(rates)
        status = "stop" if self.plan is None else "converged"
        return Trajectory(now, times, position, rows[:, 2], velocity, rates[:, 2], status)

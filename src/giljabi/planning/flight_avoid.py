"""The line of `flight_route`, left where something stands or comes in the way: local plans around it, and back.

While the line is clear the vehicle flies it, as it is. A line is left when something occupied is in its way, when a
stop from it would end where nothing is known to be free, or when a track comes too near. Local plans aim at a place
further on; as soon as the line can be joined on a clear way, it is. Pieces straight up and down are never touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from giljabi.fence import Fence
from giljabi.planning.blend import Blend, join
from giljabi.planning.corridor import CorridorOptions, SmoothPlan
from giljabi.planning.flight_beside import BesideTheLine
from giljabi.planning.flight_line import AirLine
from giljabi.planning.flight_route import FlightRouteOptions
from giljabi.planning.flight_sight import LAYER, VERTICAL, Sight, half_diagonal
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import (
    OCCUPIED,
    Array,
    GridMap,
    Kind,
    MissionPhase,
    MissionState,
    Odometry,
    Route,
    Tracks,
    Trajectory,
)
from giljabi.yaml_file import Strict

HORIZON_S, DT = 3.0, 0.05  # of local trajectories
MOVERS = 64
CIRCLES = 0.4  # of give_up_s: who moves so long without progress goes in circles
ON_GROUND = (Kind.CAR.value, Kind.PEDESTRIAN.value)
MARGIN = 0.1  # m, by which the line may be nearer to things than local plans, and must be clearer to be joined


class AvoidOptions(Strict):
    """`steps.planner.options.avoid`."""

    reach_m: float = Field(default=11.0, gt=2, description="how far ahead on the line local plans aim")
    reaction_s: float = Field(default=0.3, ge=0, description="after which a stop must still be possible")
    map_timeout_s: float = Field(default=0.6, gt=0, description="an older map is none")
    acceleration_share: float = Field(default=0.6, gt=0, le=1, description="of the limits, along each axis")
    braking_share: float = Field(default=0.7, gt=0, le=1, description="of deceleration_max")
    piece_s: float = Field(default=0.4, gt=0.05, description="length of a piece of the search")
    horizon_s: float = Field(default=3.2, gt=0, description="of the search")
    track_clearance: float = Field(default=2.0, ge=0, description="m kept from tracks beside their spread of 2 sigma")
    track_growth: float = Field(default=0.5, ge=0, description="m/s, by which a track may leave its course")
    ground_top_m: float = Field(default=4.0, ge=0, description="height of tracks that drive or walk")
    stuck_s: float = Field(default=4.0, gt=0, description="at rest before another way is tried")
    give_up_s: float = Field(default=60.0, gt=0, description="without progress along the line")


class FlightAvoidOptions(FlightRouteOptions):
    """`steps.planner.options`."""

    avoid: AvoidOptions = Field(default_factory=AvoidOptions)


@dataclass(frozen=True, slots=True)
class _View:
    """What one step goes by."""

    now: float
    dt: float
    reference: Trajectory  # the line's plan
    goal: Array  # (2,) m
    seen: bool  # whether there is a map
    movers: Array  # (n, 6)
    mission: MissionState


@dataclass(slots=True)
class _Progress:
    """How far it came, and what was tried since."""

    s: float = -math.inf  # m, furthest place on the line
    since: float = 0.0  # s
    moved: float = 0.0  # s, when it moved or tried last
    tried: float = 0.0  # s, when it tried another way last, else as since
    tries: int = 0


class FlightAvoidPlanner(BesideTheLine):
    """steps.MissionPlanner, steps.MapFollower and steps.KeepsFences."""

    def __init__(self, platform: Platform) -> None:
        options = platform.options(FlightAvoidOptions, "steps", "planner")
        self._o = o = options.avoid
        super().__init__(platform, options)
        radius, limits = half_diagonal(platform), platform.model.limits
        self._radius = radius
        self._climb, self._sink, self._turn = options.climb_max, options.sink_max, limits.yaw_rate_max
        self._speed_max = limits.speed_max
        self._plan_options = CorridorOptions(
            clearance=radius + limits.clearance,
            hard_clearance=radius + 0.3 * limits.clearance,
            speed_max=limits.speed_max,
            acceleration=o.acceleration_share * min(limits.acceleration_max, limits.lateral_acceleration_max),
            braking=o.braking_share * limits.deceleration_max,
            piece=o.piece_s,
            horizon=o.horizon_s,
            goal_radius=0.5,
            window_m=2000.0,
        )
        self._sight = Sight(self._plan_options, o.map_timeout_s)
        self._sight.set_fences(self._fences.fences)
        self._forget()

    def _forget(self) -> None:
        self._local: SmoothPlan | None = None
        self._blend: Blend | None = None
        self._failed = ""
        self._hold: Array | None = None  # where it stays when it goes on nowhere (2,) [m]
        self._z = self._yaw = 0.0  # of the local plan
        self._on: AirLine | None = None
        self._aim = 0.0  # m, place on the line that local plans want to
        self._why = ""
        self._progress = _Progress()
        self._closed: list[tuple[float, float, float]] = []  # ways that led nowhere: x, y, radius [m]
        self._last: float | None = None

    # --- steps.Planner ---

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle."""
        super().set_route(route)
        self._forget()

    def set_map(self, grid: GridMap) -> None:
        """Replaces the map."""
        self._sight.grid = grid

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces all fences: local plans stay inside them as among things."""
        super().set_fences(fences)
        self._sight.set_fences(fences)

    def start(self) -> str:
        """Begins or goes on; after a failure the way is looked for again. Raises BadInputError saying why not."""
        said = super().start()
        self._failed, self._closed, self._progress = "", [], _Progress()
        return said

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The line's plan where that is clear, else a local one; it always ends in a stop."""
        dt = 0.0 if self._last is None else min(max(now - self._last, 0.0), 1.0)
        self._last = now
        line = self._route.line
        if self._local is not None and line is not None:
            along = _direction(line, self._route.s) @ self._local.state(now)[1]
            self._route.go_on_from(self._route.s, max(float(along), 0.0))
        result = self._route.step(now, odom, tracks)
        line = self._route.line
        if result.trajectory is None or line is None:
            self._local = self._blend = None
            return result
        if line is not self._on:  # another leg: what was learned of the last one does not count
            self._on, self._aim, self._failed, self._closed, self._progress = line, 0.0, "", [], _Progress()
        reference = result.trajectory
        flown = self._blend.applied(reference) if self._blend is not None else reference
        here = flown.position[0] if self._local is None else np.array([*self._local.state(now)[0], self._z])
        goal = self._goal(now, line, here[:2])
        seen = self._sight.look(now, here, goal, self._closed)
        view = _View(now, dt, reference, goal, seen, self._movers(now, tracks, here), result.mission)
        if self._local is None:
            self._why = self._blocked(flown, view, -MARGIN)
            if not self._why:
                return PlanResult(flown, self._told(result.mission, ""))
            self._leave(now, flown)
        elif self._rejoin(view):
            assert self._blend is not None
            return PlanResult(self._blend.applied(reference), self._told(result.mission, ""))
        return self._avoid(view)

    # --- what stands and comes about the vehicle ---

    def _movers(self, now: float, tracks: Tracks | None, here: Array) -> Array:
        """Tracks as discs (n, 6) at `now`: x y, vx vy, distance between centres, growth; the nearest ones."""
        if tracks is None or not len(tracks.data):
            return np.zeros((0, 6))
        d = tracks.data
        below = np.isin(d[:, 9], ON_GROUND) & (here[2] > self._o.ground_top_m + self._plan_options.clearance)
        d = d[~below & np.isfinite(d[:, [0, 1, 3, 4]]).all(axis=1)]
        spread = 2.0 * np.sqrt(np.maximum(np.nan_to_num(d[:, 10]), 0.0))
        size = 0.5 * np.hypot(np.nan_to_num(d[:, 6], nan=1.0), np.nan_to_num(d[:, 7], nan=1.0))
        distance = size + spread + self._radius + self._o.track_clearance
        growth = np.full(len(d), self._o.track_growth)
        place = d[:, :2] + (now - tracks.t) * d[:, 3:5]
        out = np.column_stack([place, d[:, 3:5], distance, growth])
        return np.asarray(out[np.argsort(np.hypot(*(place - here[:2]).T))][:MOVERS])

    # --- on the line ---

    def _blocked(self, t: Trajectory, view: _View, margin: float) -> str:
        """Why a trajectory cannot be flown as it is; empty when it can. margin: more clearance than must be [m]."""
        xy = t.position[:, :2]
        away = np.hypot(*(xy - xy[0]).T)
        if float(away.max()) < VERTICAL:
            moves = float(np.abs(t.velocity[:, 2]).max()) > 0.1
            return "" if moves or not _met(t, view.movers) else "a track comes"
        if _met(t, view.movers):
            return "a track comes"
        k = int(np.searchsorted(t.times, self._o.reaction_s))
        speed = float(np.hypot(*t.velocity[k, :2]))
        corridor, grid = self._sight.corridor, self._sight.grid
        if not view.seen or corridor is None or grid is None:
            return "no map" if speed > 0.05 else ""
        lattice, o = corridor.lattice, self._plan_options
        way = np.arange(0.0, speed**2 / (2.0 * o.braking) + 0.1, 0.1)
        stop = xy[k] + way[:, None] * t.velocity[k, :2] / max(speed, 1e-6)
        room = lattice.clearance(*xy[0])
        enough = o.clearance if room >= o.clearance else max(room - 0.05, o.hard_clearance)
        if speed > 0.05 and any(lattice.clearance(x, y) < enough for x, y in (*xy[: k + 1], *stop)):
            return "no stop within what is known to be free"
        side = 0.5 * corridor.cells * corridor.resolution - 0.5
        near = (np.abs(xy - xy[0]).max(axis=1) < side) & (np.abs(t.position[:, 2] - grid.height) < LAYER)
        if any(lattice.room(x, y) < o.clearance + margin for x, y in xy[near & (away > 0.1)]):
            return "something stands in the way"
        return ""

    def _leave(self, now: float, flown: Trajectory) -> None:
        """A local plan that begins as the line was flown, with a stop behind it until there is a better one."""
        (x, y, z), (vx, vy, _) = flown.position[0], flown.velocity[0]
        self._local = SmoothPlan(now, (x, y), 0.0, self._plan_options.smooth_s, 0.0, (vx, vy))
        begin = now + self._plan_options.smooth_s
        p, v = self._local.state(begin)
        speed = float(np.hypot(*v))
        if speed > 1e-6:
            b = self._plan_options.braking
            self._local.replace(begin, np.array([[speed / b, *p, *v, *(-b / speed * v)]]))
        self._z, self._yaw, self._blend = float(z), float(flown.yaw[0]), None
        self._progress.moved = now

    def _rejoin(self, view: _View) -> bool:
        """Whether there is a clear way from the local plan back to the line; then it is taken."""
        assert self._local is not None
        if self._failed or not self._route.goes_on:
            return False
        p, v = self._local.state(view.now)
        state = (np.array([*p, self._z]), np.array([*v, 0.0]), self._yaw)
        limits = (0.8 * self._plan_options.acceleration, 0.5 * min(self._climb, self._sink), 0.6 * self._turn)
        blend = join(view.reference, *state, *limits)
        if blend is None or self._blocked(blend.applied(view.reference), view, MARGIN):
            return False
        self._blend, self._local, self._why = blend, None, ""
        return True

    # --- beside the line ---

    def _goal(self, now: float, line: AirLine, here: Array) -> Array:
        """Where local plans aim (2,) [m]: a place on the line further on, before it goes straight up or down."""
        if self._failed or not self._route.goes_on:
            if self._hold is None:
                v = np.zeros(2) if self._local is None else self._local.state(now)[1]
                self._hold = here + v * float(np.hypot(*v)) / (2.0 * self._plan_options.braking)
            return self._hold
        self._hold = None
        i = int(np.searchsorted(line.s, self._route.s))
        xy = line.position[i:, :2]
        step = np.hypot(*np.diff(xy, axis=0).T)
        level = step > 0.3 * np.diff(line.s[i:])
        first = int(np.argmax(level)) if level.any() else 0  # the climb that it may be in
        ends = np.flatnonzero(~level[first:])
        last = first + int(ends[0]) if len(ends) else len(xy) - 1
        reach = line.s[i:] - self._route.s
        # Who goes back out of a dead end still wants to where he wanted when he saw it.
        near = max(self._o.reach_m, self._aim - self._route.s) if self._local is not None else self._o.reach_m
        k = first
        while k < last and (reach[k] < near or (reach[k] < near + self._o.reach_m and self._taken(xy[k]))):
            k += 1
        self._aim = float(line.s[i + k])
        return np.asarray(xy[k])

    def _taken(self, p: Array) -> bool:
        """Whether something is known to stand at a place."""
        g = self._sight.grid
        if g is None:
            return False
        i, j = ((p - g.corner) / g.resolution).astype(int)
        r = math.ceil(self._plan_options.clearance / g.resolution)
        part = g.cells[max(j - r, 0) : max(j + r + 1, 0), max(i - r, 0) : max(i + r + 1, 0)]
        return bool((part == OCCUPIED).any())

    def _avoid(self, view: _View) -> PlanResult:
        plan, line, note = self._local, self._route.line, "no map"
        assert plan is not None
        assert line is not None
        if view.seen and self._sight.corridor is not None:
            near = np.abs(line.s - self._route.s) < self._o.reach_m
            speed = max(float(line.speed[near].max()), 0.5)
            self._sight.corridor.lattice.limit_speed(min(speed, self._speed_max))
            ahead = view.movers.copy()
            ahead[:, :2] += self._plan_options.smooth_s * ahead[:, 2:4]
            self._sight.corridor.lattice.set_movers(ahead)
            self._sight.corridor.replan(view.now, plan, view.goal)
            note = self._sight.corridor.note
        target = float(view.reference.position[0, 2])
        self._z += min(max(target - self._z, -0.7 * self._sink * view.dt), 0.7 * self._climb * view.dt)
        if self._route.goes_on and not self._failed:
            self._watch(view.now, plan, note, view.movers)
        return PlanResult(self._trajectory(view.now, plan, target), self._told(view.mission, note))

    def _watch(self, now: float, plan: SmoothPlan, note: str, movers: Array) -> None:
        """Progress along the line; what stands still for long tries another way, and gives up in the end."""
        w, p = self._progress, self._route.s
        if p > w.s + 0.5:
            self._progress = _Progress(p, now, now, now)
            return
        place, velocity = plan.state(now)
        if float(np.hypot(*velocity)) > 0.3:
            w.moved = now
        if now - w.since > self._o.give_up_s:
            self._failed = f"no way; {note or 'no progress'} for {now - w.since:.0f} s after {w.tries} other ways"
        elif now - w.moved > self._o.stuck_s or now - w.tried > CIRCLES * self._o.give_up_s:
            w.moved = w.tried = now
            w.tries += 1
            if self._sight.corridor is not None and not len(movers):
                self._close(place)

    def _close(self, place: Array) -> None:
        """Takes the way that looks shortest from here for closed, so that plans back off and look for another."""
        assert self._sight.corridor is not None
        o, radius = self._plan_options, 1.2
        angles = np.arange(16) * (math.pi / 8.0)
        cost = [
            self._sight.corridor.lattice.cost_to_go(*(place + 1.5 * np.array([math.cos(a), math.sin(a)])))
            for a in angles
        ]
        a = angles[int(np.argmin(cost))]
        x, y = place + (o.clearance + radius + 0.3) * np.array([math.cos(a), math.sin(a)])
        self._closed = [*self._closed[-7:], (float(x), float(y), radius)]

    def _trajectory(self, now: float, plan: SmoothPlan, target: float) -> Trajectory:
        """Rows of the local plan; the height goes to that of the line."""
        t = plan.trajectory(now, HORIZON_S, DT)
        rate = math.copysign(0.7 * (self._climb if target > self._z else self._sink), target - self._z)
        span = abs(target - self._z) / max(abs(rate), 1e-6)
        position, velocity = t.position.copy(), t.velocity.copy()
        position[:, 2] = self._z + rate * np.minimum(t.times, span)
        velocity[:, 2] = np.where(t.times < span, rate, 0.0)
        status = "stop" if self._sight.corridor is None or self._sight.corridor.note else "converged"
        return Trajectory(now, t.times, position, np.full(len(t.times), self._yaw), velocity, t.yaw_rate, status)

    def _told(self, m: MissionState, note: str) -> MissionState:
        if self._failed:
            return replace(m, phase=MissionPhase.FAILED, note=self._failed, asks=("resume", *(m.asks or ())))
        if self._local is None or m.phase is not MissionPhase.RUNNING:
            return m
        return replace(m, note=f"avoiding: {self._why}" + (f"; {note}" if note else ""))


def _direction(line: AirLine, s: float) -> Array:
    """Level direction (2,) of the line at s, shorter than 1 where it climbs."""
    i = min(int(np.searchsorted(line.s, s)), len(line.s) - 2)
    d = line.position[i + 1] - line.position[i]
    return np.asarray(d[:2] / max(float(np.linalg.norm(d)), 1e-9))


def _met(t: Trajectory, movers: Array) -> bool:
    """Whether a trajectory comes too near to anything that moves."""
    for x, y, vx, vy, distance, growth in movers:
        away = t.position[:, :2] - [x, y] - t.times[:, None] * [vx, vy]
        kept = min(distance, float(np.hypot(*away[0])) - 0.1)  # who is inside already may leave
        kept = kept + growth * t.times if kept == distance else np.full(len(t.times), kept)
        if bool((np.hypot(*away.T) < kept).any()):
            return True
    return False

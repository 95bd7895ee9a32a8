"""Route following with avoidance: references along a smooth route, candidates past tracks, one solver."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math

import numpy as np

from giljabi.models import ModelAdapter, build_model, carried, why_unusable
from giljabi.planning.choice import Candidate, Chooser, side_offset, sides
from giljabi.planning.obstacles import Mask, Obstacles, discs, nearest, predict
from giljabi.planning.options import settings
from giljabi.planning.problem import Problem
from giljabi.planning.progress import speed_of, stop_along, straight_path
from giljabi.planning.route import SmoothRoute
from giljabi.planning.scene import Scene
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import Array, MissionPhase, MissionState, Odometry, Route, Tracks, Trajectory


class OcpRoutePlanner:
    """steps.Planner through the solver: route, corridor, tracks; falls back to the last plan's tail, then to a stop."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.model: ModelAdapter = build_model(platform)
        self.set = settings(platform, self.model)
        self.body = platform.model.footprint
        self._times: Array = np.asarray(self.set.dt * np.arange(self.set.stages + 1), dtype=np.float64)
        option = self.set.option
        weights = (option.smoothness, option.terminal)
        self._problem = Problem(
            self.model, self.set.stages, self.set.dt, self.set.tolerance, *weights, option.avoid_share
        )
        self._chooser = Chooser(self.set.option)
        self._line: SmoothRoute | None = None
        self._phase = MissionPhase.IDLE
        self._forget()

    def _forget(self) -> None:
        self._s = self._s0 = self._goal = 0.0
        self._located = False
        self._last: Trajectory | None = None  # what was sent last
        self._plan: tuple[float, Array, Array] | None = None  # stamp, states, inputs of the last solved plan
        self._chooser.reset()

    # --- mission ----------------------------------------------------------------------------------

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle. Raises BadInputError when the route makes no line."""
        length = self.body.length
        self._line = SmoothRoute(route, self.set.route, spacing=min(max(0.05 * length, 0.1), 1.0))
        self._phase = MissionPhase.IDLE
        self._forget()

    def start(self) -> None:
        """Begins or resumes the route; begins it again after arrival."""
        if self._line is None:
            return
        if self._phase in (MissionPhase.ARRIVED, MissionPhase.FAILED):
            self._forget()
        self._phase = MissionPhase.RUNNING

    def pause(self) -> None:
        """Stops on the route until start()."""
        if self._phase is MissionPhase.RUNNING:
            self._phase = MissionPhase.PAUSED

    # --- step -------------------------------------------------------------------------------------

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """Plans from the newest estimate; always returns something usable or a stop plan."""
        unusable = why_unusable(now, odom, self.set.odom_timeout)
        if unusable:
            return self._stop(now, None, unusable, math.nan)
        line = self._line
        if line is None or self._phase is MissionPhase.IDLE:
            note = "no route" if line is None else "waiting for start"
            return PlanResult(None, MissionState(now, self._phase, 0.0, line.length if line else 0.0, 0.0, note))
        odom = carried(odom, now)
        cross = self._locate(line, odom)
        if self._phase is MissionPhase.RUNNING and self._arrived(line, odom):
            self._phase = MissionPhase.ARRIVED
        if self._phase is MissionPhase.ARRIVED:
            return PlanResult(None, self._state(now, cross, "arrived"))
        waiting = "paused" if self._phase is MissionPhase.PAUSED else self._why_blind(now, tracks)
        if waiting:
            return self._stop(now, odom, waiting, cross)
        return self._drive(now, odom, tracks, line, cross)

    def _drive(self, now: float, odom: Odometry, tracks: Tracks | None, line: SmoothRoute, cross: float) -> PlanResult:
        obstacles = predict(tracks, now, self._times, self.set.margins)
        x0 = self._start_state(now, odom, line)
        scene = Scene(line, self.model, self.body, self.set, self._times, x0)
        s, _ = line.project(x0[:2], self._s, self.body.length, self.body.length)
        near = scene.progress(s, self._goal)
        ref, _, s_ref = scene.reference(near)
        warm = self._shifted(now, ref)
        candidates = [self._solve(scene, "follow", ref, ref, s_ref, obstacles, warm)]
        blocked = scene.conflicts(ref, obstacles) < 0.0
        if np.any(blocked) or candidates[0] is None or not candidates[0].safe:
            candidates += self._alternatives(scene, ref, near, s, obstacles, blocked)
        solved = [c for c in candidates if c is not None]
        tail = self._tail(now, scene, warm[0], s_ref, obstacles)
        if not solved:
            if tail is not None:
                return PlanResult(tail, self._state(now, cross, "keeping the last plan: no new one"))
            return self._brake(now, odom, scene, s_ref, obstacles, "no plan from the solver", cross)
        chosen = self._chooser.choose(now, solved, obstacles, tail is not None)
        if chosen is not None and chosen.safe:
            return self._send(now, chosen, cross, self._note(chosen, obstacles, blocked))
        if tail is not None:
            return PlanResult(tail, self._state(now, cross, "keeping the last plan"))
        chosen = chosen or solved[0]
        why = f"too close to {chosen.verdict.reason}"
        seed, _, s_seed = scene.reference(scene.stopping(s, self.platform.model.limits.deceleration_max))
        stop = self._solve(scene, "stop", seed, ref, s_seed, obstacles, (seed, None))
        return self._brake(now, odom, scene, s_ref, obstacles, why, cross, chosen, stop)

    def _alternatives(
        self,
        scene: Scene,
        ref: Array,
        progress: tuple[Array, Array, Array],
        s: float,
        obstacles: Obstacles,
        blocked: Mask,
    ) -> list[Candidate | None]:
        """Plans that pass on the left, on the right, and that give way."""
        placed = scene.place(obstacles, progress[0])
        out: list[Candidate | None] = []
        for name, side in (("left", 1), ("right", -1)):
            offset = side_offset(placed, blocked, 0.5 * self.body.width, side)
            seed, _, s_seed = scene.reference(progress, offset)
            out.append(self._solve(scene, name, ref, ref, s_seed, obstacles, (seed, None)))
        slow = scene.progress(s, self._goal, scene.ceiling(placed, s))
        seed, _, s_seed = scene.reference(slow)
        out.append(self._solve(scene, "yield", seed, ref, s_seed, obstacles, (seed, None)))
        return out

    def _solve(
        self,
        scene: Scene,
        name: str,
        ref: Array,
        nominal: Array,
        near: Array,
        obstacles: Obstacles,
        guess: tuple[Array, Array | None],
    ) -> Candidate | None:
        """Solves towards `ref` from a guess and judges the answer against the nominal reference."""
        x, u = guess
        option = self.set.option
        rounds = option.iterations if name == "follow" else option.seed_iterations
        strip = scene.strip(x, near)
        centres, radii = discs(obstacles, x[:, 2], self.body)
        near_discs = nearest(centres, radii, x[:, :2], self._problem.discs)
        answer = self._problem.solve(scene.x0, ref, (x, u), rounds, near_discs, strip)
        if answer is None:
            return None
        conflict = np.flatnonzero(np.any(scene.conflicts(nominal, obstacles) < 0.0, axis=1))
        after = scene.strip(answer.x, near)
        position, _, speed = self.set.tolerance
        cost = float(
            np.sum((after.offset / position) ** 2) + np.sum(((answer.x[:, 3] - nominal[:, 3]) / speed) ** 2)
        ) + self._problem.input_cost(answer.u)
        verdict = scene.check(answer.x, near, obstacles, after)
        passed = sides(obstacles, answer.x, self._times, conflict)
        return Candidate(name, answer.x, answer.u, cost, verdict, passed, answer.status)

    # --- states and guesses -----------------------------------------------------------------------

    def _start_state(self, now: float, odom: Odometry, line: SmoothRoute) -> Array:
        """Where the plan begins: on the last plan while the vehicle keeps to it, else at the estimate."""
        x = self.model.state(odom)
        if self._plan is not None and now - self._plan[0] <= 3.5 * self.set.period:
            planned = _at(self._times, self._plan[1], now - self._plan[0])
            x[2] += 2.0 * math.pi * round((planned[2] - x[2]) / (2.0 * math.pi))
            off = float(np.hypot(*(x[:2] - planned[:2])))
            if (
                off <= self.set.rejoin_distance
                and abs(x[2] - planned[2]) <= 0.15
                and abs(x[3] - planned[3]) <= self.set.tolerance[2]
            ):
                return planned
            same = len(self.model.actuators(x))
            x[-same:] = planned[-same:]
            return x
        yaw = float(line.at(self._s).yaw[0])
        x[2] += 2.0 * math.pi * round((yaw - x[2]) / (2.0 * math.pi))
        return x

    def _shifted(self, now: float, ref: Array) -> tuple[Array, Array | None]:
        """The last plan moved on to now as a guess, else the reference."""
        if self._plan is None:
            return ref, None
        t, x, u = self._plan
        at = self._times + (now - t)
        moved = np.column_stack([np.interp(at, self._times, column) for column in x.T])
        over = np.maximum(at - self._times[-1], 0.0)
        moved[:, :2] += over[:, None] * moved[:, 3:4] * np.stack([np.cos(moved[:, 2]), np.sin(moved[:, 2])], axis=1)
        i = np.minimum((at[:-1] / self.set.dt).astype(int), len(u) - 1)
        return moved, np.where((over[1:] > 0.0)[:, None], 0.0, u[i])

    # --- mission state ----------------------------------------------------------------------------

    def _locate(self, line: SmoothRoute, odom: Odometry) -> float:
        """Moves progress along the line; returns the offset to its left [m]."""
        p = odom.position[:2]
        if not self._located:
            self._s, d = line.locate(p, odom.yaw)
            self._s0, self._located = self._s, True
            braking = 0.5 * line.speed_at(0.0) ** 2 / self.set.route.deceleration
            self._finish = max(self._s, 0.0) + line.length if line.closed else line.length
            self._goal = self._finish + (braking if line.closed else 0.0)
            return d
        step = max(float(np.hypot(*odom.velocity[:2])), 0.2 * self.set.route.speed) * 3.0 * self.set.period
        self._s, d = line.project(p, self._s, 0.5 * self.body.length, step + 2.0 * line.ds)
        return d

    def _arrived(self, line: SmoothRoute, odom: Odometry) -> bool:
        """At the end, at rest along the line; a vessel in a cross current cannot be at rest across it."""
        yaw = float(line.at(self._s).yaw[0])
        along = float(odom.velocity_map[:2] @ np.array([math.cos(yaw), math.sin(yaw)]))
        end = self._finish if line.closed else self._goal
        return abs(along) <= self.set.arrive_speed and self._s >= end - self.set.arrive_distance

    def _state(self, now: float, cross: float, note: str) -> MissionState:
        whole = max(self._finish - self._s0, 1e-6) if self._located else 1.0
        done = min(max((self._s - self._s0) / whole, 0.0), 1.0) if self._located else 0.0
        left = max(self._finish - self._s, 0.0) if self._located else 0.0
        if self._phase is MissionPhase.ARRIVED:
            done = 1.0
        return MissionState(now, self._phase, done, left, cross if math.isfinite(cross) else 0.0, note)

    def _note(self, chosen: Candidate, obstacles: Obstacles, blocked: Mask) -> str:
        if not np.any(blocked):
            return "following"
        first = int(np.argmax(np.any(blocked, axis=1) * 1.0 - 1e-3 * np.argmax(blocked, axis=1)))
        track = obstacles.ids[first]
        side = chosen.sides.get(track, 0)
        if chosen.name == "yield" or side == 0:
            return f"giving way to track {track}"
        return f"avoiding track {track} to {'starboard' if side > 0 else 'port'}"

    def _why_blind(self, now: float, tracks: Tracks | None) -> str:
        if tracks is None:
            return "no tracks yet" if self.set.option.require_tracks else ""
        age = now - tracks.t
        if not math.isfinite(tracks.t) or age > self.set.track_timeout:
            return f"tracks are {age:.1f} s old, at most {self.set.track_timeout:g} s is allowed"
        return ""

    # --- what is sent -----------------------------------------------------------------------------

    def _send(self, now: float, chosen: Candidate, cross: float, note: str) -> PlanResult:
        self._plan = (now, chosen.x, chosen.u)
        self._last = self.model.trajectory(now, self._times, chosen.x, chosen.status)
        return PlanResult(self._last, self._state(now, cross, note))

    def _tail(self, now: float, scene: Scene, moved: Array, near: Array, obstacles: Obstacles) -> Trajectory | None:
        """What was sent last, while it is a few periods old at most and still safe."""
        fresh = self._plan is not None and now - self._plan[0] <= self.set.option.keep_periods * self.set.period
        if not fresh or self._last is None:
            return None
        return self._last if scene.check(moved, near, obstacles).deficit <= 0.0 else None

    def _brake(
        self,
        now: float,
        odom: Odometry,
        scene: Scene,
        near: Array,
        obstacles: Obstacles,
        why: str,
        cross: float,
        chosen: Candidate | None = None,
        stop: Candidate | None = None,
    ) -> PlanResult:
        """A solved stop, or braking along the last plan, whichever keeps its distance better.

        When even that comes closer to something than the best candidate does, the candidate.
        """
        plan, last = self._plan, self._last
        result = self._stop(now, odom, why, cross)
        blind = result.trajectory
        if blind is None or (chosen is None and stop is None):
            return result
        at = np.minimum(self._times, blind.times[-1])
        columns = (blind.position[:, 0], blind.position[:, 1], blind.yaw)
        x = np.column_stack([np.interp(at, blind.times, c) for c in columns])
        least = scene.check(x, near, obstacles).deficit
        slack = 0.05 * self.set.margins.clearance
        if stop is not None and stop.verdict.deficit <= max(least, 0.0) + slack:
            least = stop.verdict.deficit
            result = self._send(now, stop, cross, f"stopping: {why}")
        if chosen is not None and max(least, 0.0) > max(chosen.verdict.deficit, 0.0) + slack:
            self._plan, self._last = plan, last
            return self._send(now, chosen, cross, f"evading: {why}")
        return result

    def _stop(self, now: float, odom: Odometry | None, why: str, cross: float) -> PlanResult:
        """Braking along the last plan, or straight on when there is none or the vehicle has left it."""
        deceleration, last = self.platform.model.limits.deceleration_max, self._last
        self._plan = None
        if last is not None and odom is not None:
            t = now - last.t
            planned = np.array([np.interp(t, last.times, last.position[:, i]) for i in range(2)])
            if float(np.hypot(*(odom.position[:2] - planned))) > 2.0 * self.set.rejoin_distance:
                last = None
        if last is None and odom is None:
            return PlanResult(None, self._state(now, cross, f"stopping: {why}"))
        if last is None and odom is not None:
            last = straight_path(odom, now, deceleration, self.set.dt)
        assert last is not None
        t = now - last.t
        self._last = stop_along(last, now, speed_of(last, t), deceleration, self.set.dt)
        return PlanResult(self._last, self._state(now, cross, f"stopping: {why}"))


def _at(times: Array, x: Array, t: float) -> Array:
    """Row of x (k, n) at time t, linear."""
    return np.array([np.interp(t, times, column) for column in x.T])

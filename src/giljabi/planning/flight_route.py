"""A planner for vehicles that hover: missions and routes in three dimensions within limits.

The executor of `giljabi.missions` says which leg is flown from one rest to the next. The plan is a line along that leg
with its fastest speeds, walked through by a clock that waits for the vehicle and can be stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from giljabi.estimation.wind import WindWatch
from giljabi.fence import Fence
from giljabi.missions.course import Course, check_flight, course_of_route
from giljabi.missions.executor import Executor, Reaction
from giljabi.missions.legs import Homing, Leg, ahead
from giljabi.missions.range_watch import RangeWatch
from giljabi.planning.fences import FenceMap, room_of
from giljabi.planning.flight_line import AirLimits, AirLine, build_line, flight_points
from giljabi.platform import Platform
from giljabi.steps import PlanResult, Progress
from giljabi.types import (
    Array,
    BadInputError,
    Battery,
    MissionPhase,
    MissionState,
    Odometry,
    Route,
    Tracks,
    Trajectory,
    Wind,
)
from giljabi.yaml_file import Strict

DT = 0.1  # s between rows of a trajectory
SINKS = 0.2  # m/s, from which the plan goes down
STILL = 1e-3  # rate of the plan's clock that counts as stopped
UNCUT = 0.01  # m by which corners are cut where there is no room
CRAWL = 0.3  # m/s
RANGE_PERIOD_S = 1.0
AIRBORNE = 2.0  # m above home, from where on the wind is measured
ALIGNED = 0.15  # rad by which the nose may miss a yaw that is asked for
YAW_SHARE = 0.7  # of the greatest yaw rate, in turns on the spot


class FlightRouteOptions(Strict):
    """`steps.planner.options`."""

    horizon_s: float = Field(default=5.0, gt=1.0, le=30.0)
    climb_max: float = Field(default=2.0, gt=0, description="m/s")
    sink_max: float = Field(default=1.5, gt=0, description="m/s")
    corner_m: float = Field(default=2.0, gt=0, description="by which a waypoint may be cut")
    cruise_height: float = Field(default=10.0, gt=0, description="m, for routes that give no heights")
    lead_m: float = Field(default=4.0, gt=0, description="the plan waits when the vehicle is so far behind it")
    arrival_m: float = Field(default=1.0, gt=0)
    return_height: float = Field(default=15.0, gt=0, description="m above home, least height of a return")


class FlightRoutePlanner:
    """steps.MissionPlanner."""

    def __init__(self, platform: Platform, options: FlightRouteOptions | None = None) -> None:
        """options: in place of the platform file's, for a planner that flies its own ways to this one's line."""
        o = self._o = options if options is not None else platform.options(FlightRouteOptions, "steps", "planner")
        m = platform.model.limits
        self._limits = AirLimits(
            m.speed_max, o.climb_max, o.sink_max, m.acceleration_max, m.deceleration_max, m.lateral_acceleration_max,
            m.yaw_rate_max,
        )  # fmt: skip
        self._times: Array = np.asarray(DT * np.arange(round(o.horizon_s / DT) + 1), dtype=np.float64)
        self.executor = Executor(o.return_height)
        self._range = RangeWatch(platform.model.energy, o.climb_max, o.sink_max)
        drag = platform.model.energy.drag if platform.model.energy is not None else None
        self._wind = WindWatch(drag.linear, drag.quadratic) if drag is not None else None
        self._range_due = 0.0  # s, when the way home is reckoned again
        self._asked = (Reaction.NONE, "")  # by failsafes
        self._turn_back = (Reaction.NONE, "")  # by what is left in the battery
        self._line: AirLine | None = None
        self._version = -1  # of the executor's leg that the line is made of
        self._t = 0.0  # of the plan's clock [s]
        self._rate = 0.0  # of the plan's clock, 0..1
        self._s = 0.0  # the vehicle's place on the line [m]
        self._beside = 0.0  # its distance from that [m]
        self._yaw: float | None = None  # of a turn on the spot at the line's end [rad]
        self._total = 0.0  # length of the mission [m]
        self._progress = 0.0  # along it, 0..1
        self._last: float | None = None
        self._room = room_of(platform)
        self._fences = FenceMap(platform.fences)
        self._judged: Course | None = None  # mission whose legs were compared with the fences
        self._refused = ""  # why it is not flown

    # --- what people and failsafes ask for ---

    def set_route(self, route: Route) -> None:
        """Replaces the mission by a route; it goes back to idle."""
        points, speed = flight_points(route, self._o.cruise_height)
        first = 1 if len(points) > 1 and abs(points[0][2]) < 1e-6 else 0  # the ground where it stands
        self.executor.replace(course_of_route(points[first:], speed[first:]))
        self._line = None

    def set_mission(self, course: Course) -> str:
        """Another mission, also in flight; says where it goes on. Raises BadInputError and flies the old one on."""
        check_flight(course)
        if self.executor.home is not None and (refused := self._judge(course, self.executor.home)):
            raise BadInputError(refused)
        if self.executor.phase is MissionPhase.IDLE:
            self._line = None
        return self.executor.load(course)

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces all fences; a mission that does not keep them fails."""
        self._fences, self._judged = FenceMap(fences), None

    def start(self) -> str:
        """Begins, or goes on; raises BadInputError saying why not."""
        for name, why in self.problems().items():
            raise BadInputError(f"{name}: {why}")
        return self.executor.start()

    def pause(self) -> str:
        """Brings the vehicle to a stop on its way until start()."""
        return self.executor.pause()

    def skip(self, step: int | None = None) -> str:
        """Goes to a step of the mission, counted from 0; None: the next one."""
        return self.executor.skip(step)

    def return_home(self) -> str:
        """Flies to home or the nearest rally point, and lands there."""
        return self.executor.return_home()

    def land(self) -> str:
        """Lands where it is."""
        return self.executor.land()

    def progress(self) -> Progress:
        """How far it is, for a planner that goes on after this one."""
        m = self.executor
        under_way = m.phase in (MissionPhase.RUNNING, MissionPhase.PAUSED)
        home = (float(m.home[0]), float(m.home[1]), float(m.home[2])) if under_way and m.home is not None else None
        return Progress(m.phase, m.step, m.index, home, self._total)

    def go_on_at(self, progress: Progress) -> str:
        """Paused where another planner was, with the mission that it was given before; raises BadInputError."""
        home = None if progress.home is None else np.array(progress.home)
        words = self.executor.go_on_at(progress.step, progress.index, home)
        self._total = progress.length
        return words

    def demand(self, reaction: Reaction, why: str) -> None:
        """What failsafes ask for now."""
        self._asked = (reaction, why)
        self.executor.demand(*max(self._asked, self._turn_back))

    def take_battery(self, battery: Battery) -> None:
        """The newest word of the battery."""
        self._range.take(battery, self.executor.phase is MissionPhase.RUNNING and not self.executor.grounded)

    def problems(self) -> Mapping[str, str]:
        """Why the mission cannot start, by name; empty once it is under way."""
        mission = self.executor
        if (
            mission.course is None
            or mission.place is None
            or mission.phase not in (MissionPhase.IDLE, MissionPhase.ARRIVED)
        ):
            return {}
        points, hold = mission.whole_way()
        home = mission.homing.home
        end = points[-1] if mission.ends_down else home
        why = self._range.why_not(self._last or 0.0, points, end, mission.course.speed, hold)
        return {"range": why} if why else {}

    def armed(self, armed: bool) -> None:
        """Whether the guard is armed; a vehicle that is not stands on the ground."""
        self.executor.grounded = not armed

    # --- one step ---

    @property
    def line(self) -> AirLine | None:
        """What it goes along; None before the first step under way."""
        return self._line

    @property
    def s(self) -> float:
        """The vehicle's place on the line [m]."""
        return self._s

    @property
    def goes_on(self) -> bool:
        """Whether it goes along its line; else it comes to rest there, to stay or for another leg."""
        return self.executor.phase is MissionPhase.RUNNING and self._version == self.executor.version

    def go_on_from(self, s: float, speed: float) -> None:
        """The plan goes on from a place on the line [m], entered with a speed [m/s]; for who left the line."""
        if self._line is not None:
            self._s, self._t = s, float(np.interp(s, self._line.s, self._line.time))
            self._rate = min(max(speed / float(np.interp(s, self._line.s, self._line.speed)), 0.0), 1.0)

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The plan from now on; None before start, and when it is over."""
        dt = 0.0 if self._last is None else min(max(now - self._last, 0.0), 1.0)
        self._last = now
        mission = self.executor
        mission.seen(odom.position)
        self._feel(odom)
        if mission.course is None or mission.phase is MissionPhase.IDLE:
            self._line = None
            idle = MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waits for its start", asks=mission.asks)
            return PlanResult(None, idle)
        if refused := self._refusal(odom.position):
            self._line = None
            return PlanResult(None, MissionState(now, MissionPhase.FAILED, 0.0, 0.0, 0.0, refused, asks=()))
        self._watch_range(now, odom)
        line = self._newest_line(odom)
        reach = self._limits.speed * max(dt, DT) * 3.0 + self._o.lead_m
        expected = float(np.interp(self._t, line.time, line.s))
        self._s = line.nearest(odom.position, self._s, reach, expected)
        if self._version == mission.version:
            mission.passed(int(np.searchsorted(line.marks, self._s - 1e-6)))
        self._walk(line, dt)
        place, _, _ = line.at(np.array([self._t]))
        at = line.position[int(np.searchsorted(line.s, self._s))]
        beside = self._beside = float(np.linalg.norm(odom.position - at))
        to_go = line.length - self._s + mission.left_beyond
        aligned = self._turn(odom, line, dt)
        if (self._at_end(line) and self._there(odom, line)) or self._down(line):
            mission.rests(dt, aligned)
        note = self._note(float(np.linalg.norm(odom.position - place[0])), aligned)
        done = mission.phase is MissionPhase.ARRIVED
        to_go = 0.0 if done or not math.isfinite(to_go) else to_go
        if mission.flies is Reaction.NONE:  # a return is no progress of the mission
            self._progress = min(max(1.0 - to_go / max(self._total, 1e-6), 0.0), 1.0)
        progress = 1.0 if done else self._progress
        aside = mission.flies is not Reaction.NONE
        state = MissionState(
            now, mission.phase, progress, to_go, beside, note, mission.step + 1, aside, mission.asks
        )  # fmt: skip
        return PlanResult(None if done else self._trajectory(now, line), state)

    def wind(self) -> Wind | None:
        """As it was measured in flight; None: it is not known."""
        return self._wind.wind if self._wind is not None else None

    def _feel(self, odom: Odometry) -> None:
        if self._wind is not None:
            home = self.executor.home
            high = home is not None and float(odom.position[2] - home[2]) > AIRBORNE
            self._wind.step(odom, high and not self.executor.grounded)
            self._range.take_wind(self._wind.wind)

    def _watch_range(self, now: float, odom: Odometry) -> None:
        """Once a second: whether it must turn back now."""
        mission = self.executor
        if now < self._range_due or mission.grounded or mission.course is None:
            return
        self._range_due = now + RANGE_PERIOD_S
        why = self._range.must_return(now, odom.position, mission.homing, mission.course.speed)
        self._turn_back = (Reaction.RETURN, why) if why else (Reaction.NONE, "")
        mission.demand(*max(self._asked, self._turn_back))

    def _newest_line(self, odom: Odometry) -> AirLine:
        """The line of the executor's leg; another leg begins when the vehicle rests."""
        mission = self.executor
        if self._line is not None and (self._version == mission.version or not self._still(self._line)):
            return self._line
        place, yaw = odom.position, odom.yaw
        if self._line is not None:
            row, _, along = self._line.at(np.array([self._t]))
            if float(np.linalg.norm(odom.position - row[0])) < self._o.lead_m:  # else somebody led it off the line
                place = row[0]
            yaw = float(along[0]) if self._yaw is None else self._yaw
        leg = mission.leg(place)
        line = self._inside(leg, yaw)
        self._line, self._version, self._yaw = line, mission.version, None
        self._t = self._s = self._rate = 0.0
        if mission.step == 0:
            self._total = line.length + leg.left
        return line

    def _inside(self, leg: Leg, yaw: float) -> AirLine:
        """The line of a leg, slow near fences; where a cut corner comes too near to one, corners are not cut."""
        slow = self._beside_fences if len(self._fences) else None
        line = build_line(leg.points, leg.speed, self._limits, self._o.corner_m, yaw, leg.look, slow)
        if slow is not None and self._fences.first(line.position, self._room.standing)[0] >= 0:
            line = build_line(leg.points, leg.speed, self._limits, UNCUT, yaw, leg.look, slow)
        return line

    def _beside_fences(self, places: Array) -> Array:
        """Most speed (n,) [m/s] at places (n, 3) in the line's order; a crawl where a return leads through a fence."""
        return np.maximum(self._fences.speeds(places, self._room), CRAWL)

    def _refusal(self, place: Array) -> str:
        """Which leg of a mission that begins does not keep the fences, in words; judged once for each mission."""
        course = self.executor.course
        if course is not self._judged and course is not None:
            self._judged = course
            self._refused = self._judge(course, place)
        return self._refused

    def _judge(self, course: Course, place: Array) -> str:
        """Which leg of a mission from a place (3,) on comes too near to a fence, in words; empty when none does."""
        if not len(self._fences):
            return ""
        home = place if self.executor.home is None else self.executor.home
        way = ahead(course, 0, 0, home, Homing(home, course.rally, self._o.return_height))
        return self._fences.first_leg(np.array([home, *(p.p for p in way)]), self._room.standing)

    def _still(self, line: AirLine) -> bool:
        return self._rate < STILL or self._t >= line.duration

    def _at_end(self, line: AirLine) -> bool:
        going = self.executor.phase is MissionPhase.RUNNING and self._version == self.executor.version
        return going and self._t >= line.duration

    def _there(self, odom: Odometry, line: AirLine) -> bool:
        end = line.position[-1]
        level = math.hypot(odom.position[0] - end[0], odom.position[1] - end[1])
        return level <= self._o.arrival_m and abs(float(odom.position[2] - end[2])) <= self._o.arrival_m

    def _down(self, line: AirLine) -> bool:
        """Disarmed at the end of a leg to the ground: it has landed, wherever the plan's clock is."""
        mission = self.executor
        near = line.length - self._s < self._o.lead_m
        return bool(mission.grounded and mission.lands and near and mission.phase is MissionPhase.RUNNING)

    def _turn(self, odom: Odometry, line: AirLine, dt: float) -> bool:
        """Moves the yaw of a hold on; whether the nose points there."""
        holds = self.executor.holds
        if holds is None or holds.yaw is None:
            return True
        if self._at_end(line):
            yaw = float(line.yaw[-1]) if self._yaw is None else self._yaw
            self._yaw = self._turned(yaw, holds.yaw, dt)
        return abs(math.remainder(holds.yaw - odom.yaw, 2.0 * math.pi)) < ALIGNED

    def _turned(self, yaw: float, wanted: float, dt: float) -> float:
        most = YAW_SHARE * self._limits.yaw_rate * dt
        return yaw + min(max(math.remainder(wanted - yaw, 2.0 * math.pi), -most), most)

    def _target(self, line: AirLine) -> float:
        """Rate that the plan's clock should have: it waits for a vehicle behind it, or beside it on the way down."""
        if self.executor.phase is not MissionPhase.RUNNING or self._version != self.executor.version:
            return 0.0
        place = line.at(np.array([self._t, self._t + DT]))[0]
        ahead = float(np.interp(self._t, line.time, line.s)) - self._s
        sinks = float(place[0, 2] - place[1, 2]) > SINKS * DT
        far = max(ahead, self._beside if sinks else 0.0)  # nobody comes down elsewhere
        return min(max(2.0 * (1.0 - far / self._o.lead_m), 0.0), 1.0)

    def _slew(self, line: AirLine, t: float, rate: float, target: float, dt: float) -> float:
        """The rate after dt, so that the speed changes by no more than the limits allow."""
        v = max(float(np.interp(t, line.time, line.speed)), 0.5)
        most = (self._limits.deceleration if target < rate else self._limits.acceleration) / v * dt
        return rate + min(max(target - rate, -most), most)

    def _walk(self, line: AirLine, dt: float) -> None:
        self._rate = self._slew(line, self._t, self._rate, self._target(line), dt)
        self._t = min(self._t + self._rate * dt, line.duration)

    def _trajectory(self, now: float, line: AirLine) -> Trajectory:
        target = self._target(line)
        t, rate = self._t, self._rate
        clock, rates = np.empty(len(self._times)), np.empty(len(self._times))
        for i in range(len(self._times)):
            clock[i], rates[i] = t, rate
            rate = self._slew(line, t, rate, target, DT)
            t += rate * DT
        position, velocity, yaw = line.at(clock)
        velocity = velocity * rates[:, None]
        holds = self.executor.holds
        if self._yaw is not None and holds is not None and holds.yaw is not None:
            yaw = np.array([self._turned(self._yaw, holds.yaw, float(t)) for t in self._times])
        yaw_rate = np.gradient(yaw, self._times)
        status = "stop" if target < STILL else "converged"
        plan = Trajectory(now, self._times, position, yaw, velocity, yaw_rate, status)
        return self._to_the_ground(plan, line, float(line.duration - clock[-1]))

    def _to_the_ground(self, plan: Trajectory, line: AirLine, left: float) -> Trajectory:
        """A landing that is asked for shows where it ends, however high it is: an autopilot may do it by itself."""
        if self.executor.flies is not Reaction.LAND or left <= 0.0 or plan.status == "stop":
            return plan
        return Trajectory(
            plan.t,
            np.append(plan.times, plan.times[-1] + left),
            np.vstack([plan.position, line.position[-1:]]),
            np.append(plan.yaw, plan.yaw[-1]),
            np.vstack([plan.velocity, np.zeros((1, 3))]),
            np.append(plan.yaw_rate, 0.0),
            plan.status,
        )

    def _note(self, behind: float, aligned: bool) -> str:
        mission = self.executor
        if mission.phase is MissionPhase.PAUSED:
            return mission.note() if mission.anew else "paused" if self._rate < STILL else "stopping"
        if mission.phase is MissionPhase.ARRIVED:
            return "arrived"
        if self._line is not None and self._at_end(self._line):
            return mission.holding(aligned)
        return f"waits for the vehicle, {behind:.1f} m behind" if self._rate < 0.2 and behind > 1.0 else mission.note()

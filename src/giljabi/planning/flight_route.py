"""A planner for vehicles that hover: take-off, a route in three dimensions within limits, landing; pause and resume.

The plan is a line with its fastest speeds, walked through by a clock that waits for the vehicle and can be stopped.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from giljabi.planning.flight_line import AirLimits, AirLine, build_line, flight_points
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import Array, MissionPhase, MissionState, Odometry, Route, Tracks, Trajectory
from giljabi.yaml_file import Strict

DT = 0.1  # s between rows of a trajectory
STILL = 1e-3  # rate of the plan's clock that counts as stopped


class FlightRouteOptions(Strict):
    """`steps.planner.options`."""

    horizon_s: float = Field(default=5.0, gt=1.0, le=30.0)
    climb_max: float = Field(default=2.0, gt=0, description="m/s")
    sink_max: float = Field(default=1.5, gt=0, description="m/s")
    corner_m: float = Field(default=2.0, gt=0, description="by which a waypoint may be cut")
    cruise_height: float = Field(default=10.0, gt=0, description="m, for routes that give no heights")
    lead_m: float = Field(default=4.0, gt=0, description="the plan waits when the vehicle is so far behind it")
    arrival_m: float = Field(default=1.0, gt=0)


class FlightRoutePlanner:
    """steps.Planner."""

    def __init__(self, platform: Platform, options: FlightRouteOptions | None = None) -> None:
        """options: in place of the platform file's, for a planner that flies its own ways to this one's line."""
        o = self._o = options if options is not None else platform.options(FlightRouteOptions, "steps", "planner")
        m = platform.model.limits
        self._limits = AirLimits(
            m.speed_max, o.climb_max, o.sink_max, m.acceleration_max, m.deceleration_max, m.lateral_acceleration_max,
            m.yaw_rate_max,
        )  # fmt: skip
        self._times: Array = np.asarray(DT * np.arange(round(o.horizon_s / DT) + 1), dtype=np.float64)
        self._route: Route | None = None
        self._line: AirLine | None = None
        self._phase = MissionPhase.IDLE
        self._t = 0.0  # of the plan's clock [s]
        self._rate = 0.0  # of the plan's clock, 0..1
        self._s = 0.0  # the vehicle's place on the line [m]
        self._last: float | None = None

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle."""
        self._route, self._line, self._phase = route, None, MissionPhase.IDLE
        self._t = self._rate = self._s = 0.0

    def start(self) -> None:
        """Begins or resumes the route."""
        if self._route is not None and self._phase in (MissionPhase.IDLE, MissionPhase.PAUSED):
            self._phase = MissionPhase.RUNNING

    def pause(self) -> None:
        """Brings the vehicle to a stop on its route until start()."""
        if self._phase is MissionPhase.RUNNING:
            self._phase = MissionPhase.PAUSED

    @property
    def line(self) -> AirLine | None:
        """What it goes along; None before the first step under way."""
        return self._line

    @property
    def s(self) -> float:
        """The vehicle's place on the line [m]."""
        return self._s

    def go_on_from(self, s: float, speed: float) -> None:
        """The plan goes on from a place on the line [m], entered with a speed [m/s]; for who left the line."""
        if self._line is not None:
            self._s, self._t = s, float(np.interp(s, self._line.s, self._line.time))
            self._rate = min(max(speed / float(np.interp(s, self._line.s, self._line.speed)), 0.0), 1.0)

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The plan from now on; None before start, and when it is over."""
        dt = 0.0 if self._last is None else min(max(now - self._last, 0.0), 1.0)
        self._last = now
        if self._route is None or self._phase is MissionPhase.IDLE:
            return PlanResult(None, MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waits for its start"))
        if self._line is None:
            points, speed = flight_points(self._route, self._o.cruise_height)
            self._line = build_line(points, speed, self._limits, self._o.corner_m, odom.yaw)
        line = self._line
        reach = self._limits.speed * max(dt, DT) * 3.0 + self._o.lead_m
        expected = float(np.interp(self._t, line.time, line.s))
        self._s = line.nearest(odom.position, self._s, reach, expected)
        self._walk(line, dt)
        place, _, _ = line.at(np.array([self._t]))
        beside = float(np.linalg.norm(odom.position - line.position[int(np.searchsorted(line.s, self._s))]))
        to_go = line.length - self._s
        if self._phase is MissionPhase.RUNNING and self._t >= line.duration and self._there(odom, line):
            self._phase = MissionPhase.ARRIVED
        note = self._note(float(np.linalg.norm(odom.position - place[0])))
        state = MissionState(now, self._phase, self._s / line.length, to_go, beside, note)
        if self._phase is MissionPhase.ARRIVED:
            return PlanResult(None, state)
        return PlanResult(self._trajectory(now, line), state)

    def _there(self, odom: Odometry, line: AirLine) -> bool:
        end = line.position[-1]
        level = math.hypot(odom.position[0] - end[0], odom.position[1] - end[1])
        return level <= self._o.arrival_m and abs(float(odom.position[2] - end[2])) <= self._o.arrival_m

    def _target(self, line: AirLine) -> float:
        """Rate that the plan's clock should have: it waits for a vehicle that has fallen behind."""
        if self._phase is not MissionPhase.RUNNING:
            return 0.0
        ahead = float(np.interp(self._t, line.time, line.s)) - self._s
        return min(max(2.0 * (1.0 - ahead / self._o.lead_m), 0.0), 1.0)

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
        yaw_rate = np.gradient(yaw, self._times)
        status = "stop" if target < STILL else "converged"
        return Trajectory(now, self._times, position, yaw, velocity, yaw_rate, status)

    def _note(self, behind: float) -> str:
        if self._phase is MissionPhase.PAUSED:
            return "paused" if self._rate < STILL else "stopping"
        if self._phase is MissionPhase.ARRIVED:
            return "arrived"
        return f"waits for the vehicle, {behind:.1f} m behind" if self._rate < 0.2 else "following"

"""The line of `flight_route`, flown among others of a fleet: every motion is agreed with them before it is begun.

The vehicle makes for a place further on along its line. Which way it takes there, and when, is a matter of
`giljabi.fleet`: it may go around others, above or below them, or wait. Nothing is flown that was not agreed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from giljabi.fleet.dodge import Room
from giljabi.fleet.intent import Intent
from giljabi.fleet.member import Member
from giljabi.planning.fences import room_of
from giljabi.planning.flight_beside import BesideTheLine
from giljabi.planning.flight_line import AirLine
from giljabi.planning.flight_route import FlightRouteOptions
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import Array, MissionPhase, Odometry, Tracks, Trajectory
from giljabi.yaml_file import Strict

DT, ROWS = 0.1, 31  # of trajectories
LOOK = 4  # samples of the line between two places that are looked at
STRAIGHT = 0.2  # m, in place of a corner, near the ground
MOVED = 1.0  # m that one that does not fly was carried


class FleetOptions(Strict):
    """`steps.planner.options.fleet`."""

    members: list[str] = Field(min_length=1, description="names of all vehicles, in the order of their right of way")
    distance_m: float = Field(default=2.2, gt=0.2, description="between centres, on plans: with errors and lags")
    height_share: float = Field(default=1.5, ge=1, description="times that, above and below each other")
    height_min: float = Field(default=2.0, description="m, lowest place of ways around others")
    height_max: float = Field(default=100.0, description="m, highest one")
    speed_share: float = Field(default=0.75, gt=0, le=1, description="of the limits, so that ways can be kept in wind")


class FlightFleetOptions(FlightRouteOptions):
    """`steps.planner.options`."""

    fleet: FleetOptions


class FlightFleetPlanner(BesideTheLine):
    """steps.MissionPlanner, steps.FleetMember and steps.KeepsFences."""

    def __init__(self, platform: Platform) -> None:
        options = platform.options(FlightFleetOptions, "steps", "planner")
        super().__init__(platform, options)
        o = self._o = options.fleet
        if len(set(o.members)) != len(o.members):
            raise platform.error(("steps", "planner", "options", "fleet", "members"), "a name stands twice")
        self._key_error = platform.error
        m = platform.model.limits
        most = 0.8 * min(m.acceleration_max, m.deceleration_max, m.lateral_acceleration_max)
        self._room = Room(
            o.speed_share * m.speed_max, o.speed_share * min(options.climb_max, options.sink_max), most,
            o.distance_m, o.height_share, o.height_min, o.height_max,
        )  # fmt: skip
        self._corner = options.corner_m
        self._name = ""
        self._member: Member | None = None
        self._heard: list[Intent] = []
        self._standing = room_of(platform).standing
        self._times: Array = np.asarray(DT * np.arange(ROWS), dtype=np.float64)

    # --- steps.FleetMember ---

    def join(self, vehicle: str) -> None:
        """Its own name; raises BadInputError when it is none of the members."""
        if vehicle not in self._o.members:
            known = ", ".join(self._o.members)
            key = ("steps", "planner", "options", "fleet", "members")
            raise self._key_error(key, f"this vehicle is '{vehicle}'; one of {known} is expected")
        self._name = vehicle

    def hear(self, intent: Intent) -> None:
        """Another vehicle's message; taken in at the next step."""
        self._heard.append(intent)

    def say(self, now: float) -> Intent | None:
        """What the others must know; None before the first step."""
        return self._member.say(now) if self._member is not None else None

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The agreed way; it always ends at rest."""
        member = self._joined(now, odom)
        for intent in self._heard:
            member.hear(intent, now)
        self._heard.clear()
        place, velocity = member.way.state(now)
        line = self._route.line
        if line is not None:
            along = float(_direction(line, self._route.s) @ velocity)
            self._route.go_on_from(self._route.s, max(along, 0.0))
        result = self._route.step(now, odom, tracks)
        line = self._route.line
        if result.trajectory is None or line is None:
            member.step(now, None)
            if result.mission.phase is MissionPhase.IDLE and float(np.linalg.norm(odom.position - place)) > MOVED:
                member.stands(now, odom.position)
            return result
        goal = self._goal(line, place) if self._route.goes_on else self._stop(place, velocity)
        way = member.step(now, goal)
        position, speed = way.at(now + self._times)
        yaw = np.interp(self._times, result.trajectory.times, result.trajectory.yaw)
        status = "stop" if way.end_t <= now + DT else "converged"
        trajectory = Trajectory(now, self._times, position, yaw, speed, np.gradient(yaw, self._times), status)
        told = member.note and self._route.goes_on
        return PlanResult(trajectory, replace(result.mission, note=member.note) if told else result.mission)

    def _inside(self, places: Array) -> Array:
        return self._fences.distance(places) - self._standing

    def _joined(self, now: float, odom: Odometry) -> Member:
        if self._member is None:
            name = self._name or self._o.members[0]
            self._member = Member(name, self._o.members, self._room, now, odom.position.copy(), self._inside)
        return self._member

    def _goal(self, line: AirLine, place: Array) -> Array:
        """The furthest place on the line that can be made for straight without leaving it by more than a corner."""
        i = int(np.searchsorted(line.s, self._route.s))
        reach = max(self._room.speed * self._room.horizon, 4.0 * self._room.distance)
        last = min(int(np.searchsorted(line.s, self._route.s + reach)), len(line.s) - 1)
        best = min(i + 3 * LOOK, last)
        low = float(place[2]) < self._o.height_min + MOVED
        for k in [*range(best, last, LOOK), last]:
            chord = line.position[k] - place
            share = (line.position[i : k + 1] - place) @ chord / max(float(chord @ chord), 1e-9)
            beside = line.position[i : k + 1] - place - np.clip(share, 0.0, 1.0)[:, None] * chord
            if float(np.linalg.norm(beside, axis=1).max()) > (STRAIGHT if low else self._corner):
                break
            best = k
        return np.asarray(line.position[best])

    def _stop(self, place: Array, velocity: Array) -> Array:
        """Where it can come to rest straight on."""
        return np.asarray(place + velocity * float(np.linalg.norm(velocity)) / (2.0 * self._room.acceleration))


def _direction(line: AirLine, s: float) -> Array:
    i = min(int(np.searchsorted(line.s, s)), len(line.s) - 2)
    d = line.position[i + 1] - line.position[i]
    return np.asarray(d / max(float(np.linalg.norm(d)), 1e-9))

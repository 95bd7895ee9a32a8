"""The line of `flight_route`, flown among others of a fleet: every motion is agreed with them before it is begun.

The vehicle makes for a place further on along its line. Which way it takes there, and when, is a matter of
`giljabi.fleet`: it may go around others, above or below them, or wait. Nothing is flown that was not agreed. On a
platform with a mapper ways lead through what is known to be free only, to their end; straight up and down needs no map.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from pydantic import Field

from giljabi.fleet.dodge import Room
from giljabi.fleet.intent import Intent, Way
from giljabi.fleet.member import Member
from giljabi.planning.corridor import CorridorOptions
from giljabi.planning.fences import room_of
from giljabi.planning.flight_beside import BesideTheLine
from giljabi.planning.flight_line import AirLine
from giljabi.planning.flight_route import FlightRouteOptions
from giljabi.planning.flight_sight import LAYER, VERTICAL, Sight, half_diagonal
from giljabi.platform import Platform
from giljabi.steps import PlanResult
from giljabi.types import Array, GridMap, MissionPhase, Odometry, Tracks, Trajectory
from giljabi.yaml_file import Strict

DT, ROWS = 0.1, 31  # of trajectories
LOOK = 4  # samples of the line between two places that are looked at
STRAIGHT = 0.2  # m, in place of a corner, near the ground
MOVED = 0.25  # m that one that does not fly was carried
FORBIDDEN = -1e3  # m of room


class FleetOptions(Strict):
    """`steps.planner.options.fleet`."""

    members: list[str] = Field(min_length=1, description="names of all vehicles, in the order of their right of way")
    distance_m: float = Field(default=2.2, gt=0.2, description="between centres, on plans: with errors and lags")
    height_share: float = Field(default=1.5, ge=1, description="times that, above and below each other")
    height_min: float = Field(default=2.0, description="m, lowest place of ways around others")
    height_max: float = Field(default=100.0, description="m, highest one")
    map_timeout_s: float = Field(default=0.6, gt=0, description="an older map is none")
    speed_share: float = Field(default=0.75, gt=0, le=1, description="of the limits, so that ways can be kept in wind")


class FlightFleetOptions(FlightRouteOptions):
    """`steps.planner.options`."""

    fleet: FleetOptions


class FlightFleetPlanner(BesideTheLine):
    """steps.MissionPlanner, steps.FleetMember, steps.MapFollower and steps.KeepsFences."""

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
        radius = half_diagonal(platform)
        self._clearance, self._hard = radius + m.clearance, radius + 0.3 * m.clearance
        distances = CorridorOptions(clearance=self._clearance, hard_clearance=self._hard)
        self._sight = Sight(distances, o.map_timeout_s) if platform.model.steps.mapper is not None else None
        self._seen = False  # whether there is a map now
        self._upright: Array = np.zeros(2)  # place (2,) m about which it may go straight up and down unseen
        self._times: Array = np.asarray(DT * np.arange(ROWS), dtype=np.float64)

    def set_map(self, grid: GridMap) -> None:
        """Replaces the map."""
        if self._sight is not None:
            self._sight.grid = grid

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
            self._upright = odom.position[:2].copy()
            if result.mission.phase is MissionPhase.IDLE and float(np.linalg.norm(odom.position - place)) > MOVED:
                member.stands(now, odom.position)
            return result
        goal = self._goal(line, place) if self._route.goes_on else self._stop(place, velocity)
        self._look(now, odom.position, goal)
        if blocked := self._blocked(now, member.way):
            goal = self._stop(place, velocity)
        way = member.step(now, goal)
        position, speed = way.at(now + self._times)
        yaw = np.interp(self._times, result.trajectory.times, result.trajectory.yaw)
        status = "stop" if way.end_t <= now + DT else "converged"
        trajectory = Trajectory(now, self._times, position, yaw, speed, np.gradient(yaw, self._times), status)
        told = blocked or (member.note if self._route.goes_on else "")
        return PlanResult(trajectory, replace(result.mission, note=told) if told else result.mission)

    def _look(self, now: float, here: Array, goal: Array) -> None:
        """Takes the map in; where it is free about the vehicle it may also begin to go straight up or down."""
        if self._sight is None:
            return
        self._seen = self._sight.look(now, here, goal[:2])
        if self._route.executor.grounded or (
            self._seen and self._sight.lattice.clearance(here[0], here[1]) >= self._clearance
        ):
            self._upright = here[:2].copy()

    def _inside(self, places: Array) -> Array:
        """Room (t, k) [m] of places (t, k, 3) of motions to fences, and to what is not known to be free."""
        left = (self._fences.distance(places.reshape(-1, 3)) - self._standing).reshape(places.shape[:2])
        if self._sight is None:
            return left
        away = np.hypot(*np.moveaxis(places[..., :2] - self._upright, 2, 0))
        return np.minimum(left, np.where(away.max(axis=0) < VERTICAL, math.inf, self._free(places)))

    def _free(self, places: Array) -> Array:
        """Room (t, k) [m] to what is not known to be free; who begins too near may only get away."""
        grid = self._sight.grid if self._sight is not None else None
        if self._sight is None or grid is None or not self._seen:
            return np.where(np.arange(len(places))[:, None] > 0, FORBIDDEN, np.zeros(places.shape[:2]))
        clearance = self._sight.lattice.clearance
        away = np.array([clearance(x, y) for x, y in places[..., :2].reshape(-1, 2)]).reshape(places.shape[:2])
        unknown = (away < self._hard) | (np.abs(places[..., 2] - grid.height) > LAYER)
        unknown[0] = False
        return np.where(unknown, FORBIDDEN, away - self._clearance)

    def _blocked(self, now: float, way: Way) -> str:
        """Whether something stands in the agreed way by now: when it was agreed to, it was free."""
        if self._sight is None or not self._seen or self._sight.grid is None or way.end_t <= now:
            return ""
        grid, room = self._sight.grid, self._sight.lattice.room
        ahead = way.places(np.arange(now, way.end_t, DT))
        side = 0.5 * max(grid.cells.shape) * grid.resolution - 0.5
        off = np.abs(ahead - ahead[0])
        near = (off[:, :2].max(axis=1) < side) & (np.abs(ahead[:, 2] - grid.height) < LAYER)
        near &= np.hypot(off[:, 0], off[:, 1]) > DT
        return "something stands in the way" if any(room(x, y) < self._hard for x, y in ahead[near, :2]) else ""

    def _joined(self, now: float, odom: Odometry) -> Member:
        if self._member is None:
            name, self._upright = self._name or self._o.members[0], odom.position[:2].copy()
            self._member = Member(name, self._o.members, self._room, now, odom.position.copy(), self._inside)
        return self._member

    def _goal(self, line: AirLine, place: Array) -> Array:
        """The furthest place on the line that can be made for straight without leaving it by more than a corner."""
        i = int(np.searchsorted(line.s, self._route.s))
        reach = max(self._room.speed * self._room.horizon, 4.0 * self._room.distance)
        last = min(int(np.searchsorted(line.s, self._route.s + reach)), len(line.s) - 1)
        best = min(i + 3 * LOOK, last)
        low = float(place[2]) < self._o.height_min + 1.0
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

"""The world of one scenario: vehicle, other vehicles, weather, and the route in ground truth."""

from __future__ import annotations

import math

import numpy as np

from giljabi.missions.course import course_from
from giljabi.missions.legs import drawn
from giljabi.types import BadInputError, Origin, Route
from giljabi_sim.actors import ActorMotion
from giljabi_sim.dryden import Dryden
from giljabi_sim.faults import build_faults
from giljabi_sim.geodesy import GeoPoint, LocalFrame
from giljabi_sim.geometry import Polyline
from giljabi_sim.noise import Drift, generator
from giljabi_sim.scenario import GoalSpec, HalfWidth, Obstacle, RouteSpec, Scenario, Start
from giljabi_sim.track import Track, find_track, lap_route, load_track, resampled
from giljabi_sim.truth import Body, Other, Own
from giljabi_sim.vehicles import build_vehicle

SUBSTEP = 0.02  # s, longest step with the weather held


class World:
    """Ground truth that moves; peers read it and set `vehicle.commands`."""

    def __init__(self, scenario: Scenario) -> None:
        """Builds everything; raises BadInputError with file:line."""
        m = scenario.model
        self.scenario = scenario
        self.t = 0.0  # s on the scenario's clock, which starts when the vehicle departs
        self._now = 0.0
        self._begin: float | None = None
        self.frame = LocalFrame(GeoPoint(m.origin.lat_deg, m.origin.lon_deg, m.origin.alt_m))
        self.faults = build_faults(scenario)
        self.route, start = build_route(scenario)
        self.line = Polyline(self.route.points)
        self.obstacles = tuple(_obstacle(o) for o in m.world.obstacles)
        self.vehicle = build_vehicle(scenario.platform, start, self.obstacles)
        if start.speed != 0.0:
            self._begin = 0.0
        self._actors = [ActorMotion(a, self.line) for a in m.actors]
        wind = m.world.wind
        towards = math.radians(wind.from_deg + 180.0)
        self._wind = (wind.speed * math.sin(towards), wind.speed * math.cos(towards))
        self._gust = Drift(generator(m.seed, "wind"), wind.gust, wind.gust_time, 2)
        self._dryden = (
            Dryden(generator(m.seed, "dryden"), wind.speed, math.atan2(self._wind[1], self._wind[0]))
            if wind.turbulence == "dryden"
            else None
        )
        self.wind = self._wind
        self.wind_up = 0.0  # m/s
        to = math.radians(m.world.current.to_deg)
        self.current = (m.world.current.speed * math.sin(to), m.world.current.speed * math.cos(to))
        self.friction = m.world.friction
        self._pushes = m.world.pushes
        self.push = (0.0, 0.0)
        self._look()

    def _look(self) -> None:
        self.own: Own = self.vehicle.own()
        self.others: tuple[Other, ...] = tuple(a.at(self.t) for a in self._actors)

    @property
    def departed(self) -> bool:
        """Whether the scenario's clock runs: a vehicle at rest is moored, or braked, until it is told to go."""
        return self._begin is not None

    def advance(self, now: float) -> None:
        """Moves time forward to `now` [s since the simulator began]; before departure only the sensors live."""
        if self._begin is None and self.vehicle.told_to_go():
            self._begin = self._now
        span, self._now = now - self._now, now
        if self._begin is None or span <= 0.0:
            return
        n = max(1, math.ceil(span / SUBSTEP - 1e-9))
        for i in range(n):
            gust = self._gust.at(now - span * (n - i) / n)
            self.wind = (self._wind[0] + float(gust[0]), self._wind[1] + float(gust[1]))
            if self._dryden is not None:
                own = self.vehicle.own()
                vx, vy = own.velocity
                air = math.hypot(vx - self.wind[0], vy - self.wind[1], own.vz - self.wind_up)
                east, north, self.wind_up = self._dryden.at(now - span * (n - i) / n, own.z, air).tolist()
                self.wind = (self.wind[0] + east, self.wind[1] + north)
            if self._pushes:
                t = now - span * (n - i) / n - self._begin
                on = [p.force for p in self._pushes if p.at <= t < p.at + p.duration]
                self.push = (sum(f[0] for f in on), sum(f[1] for f in on))
            self.vehicle.step(self, span / n)
        self.t = self.faults.t = now - self._begin
        self._look()


def _obstacle(o: Obstacle) -> Body:
    length = o.length if o.length is not None else 2.0 * (o.radius or 0.0)
    width = o.width if o.width is not None else length
    top = math.inf if o.top is None else o.top
    return Body(o.position[0], o.position[1], math.radians(o.yaw_deg), 0.0, 0.0, 0.0, length, width, top=top)


def build_route(scenario: Scenario) -> tuple[Route, Start]:
    """Route in the scenario's map frame and the start pose; raises BadInputError with file:line."""
    m = scenario.model
    if scenario.plan is not None:
        return _mission_route(scenario)
    if m.track is not None:
        track = _track(scenario)
        route = lap_route(track, scenario.platform.model.limits, m.track.speed_max, m.track.use)
        first, second = route.points[0], route.points[1]
        yaw = math.degrees(math.atan2(second[1] - first[1], second[0] - first[0]))
        return route, m.start or Start(x=float(first[0]), y=float(first[1]), yaw_deg=yaw)
    spec: RouteSpec | GoalSpec
    if m.route is not None:
        points, spec, key = list(m.route.points), m.route, "route"
        heading = math.degrees(math.atan2(points[1][1] - points[0][1], points[1][0] - points[0][0]))
        start = m.start or Start(x=points[0][0], y=points[0][1], yaw_deg=heading)
    else:
        assert m.goal is not None
        start = m.start or Start()
        points, spec, key = [(start.x, start.y), m.goal.position], m.goal, "goal"
    xyz = np.array([(*p, 0.0)[:3] for p in points], dtype=np.float64)
    xy = xyz[:, :2]
    if np.min(np.hypot(*np.diff(xy, axis=0).T)) < 0.1:
        raise scenario.error((key,), "two consecutive points are the same; distinct points are expected")
    limit = scenario.platform.model.limits.speed_max
    if spec.speed > limit:
        raise scenario.error(
            (key, "speed"), f"{spec.speed} m/s is above the platform's speed_max; at most {limit} is expected"
        )
    left, right = _widths(spec.half_width)
    n = len(points)
    return (
        Route(
            xyz,
            np.full(n, spec.speed),
            np.tile([left, right], (n, 1)),
            closed=False,
            heading=None if m.goal is None or m.goal.heading_deg is None else math.radians(m.goal.heading_deg),
        ),
        start,
    )


def _mission_route(scenario: Scenario) -> tuple[Route, Start]:
    """The way of a mission as its file says it, from where the vehicle stands; raises BadInputError."""
    m, plan = scenario.model, scenario.plan
    assert plan is not None
    start = m.start or Start()
    course = course_from(plan, Origin(m.origin.lat_deg, m.origin.lon_deg, m.origin.alt_m))
    return drawn(course, np.array([start.x, start.y, 0.0])), start


def _widths(half: HalfWidth | None) -> tuple[float, float]:
    if half is None:
        return math.inf, math.inf
    return half if isinstance(half, tuple) else (half, half)


def _track(scenario: Scenario) -> Track:
    spec = scenario.model.track
    assert spec is not None
    path = find_track(spec.file, scenario.file.path.parent)
    if not path.is_file():
        raise scenario.error(
            ("track", "file"), f"no track '{spec.file}'; a path or a name in config/tracks is expected"
        )
    track = load_track(path)
    if spec.start_s > 0.0:
        points, widths, _, s = resampled(track, 1.0)
        if spec.start_s >= s[-1]:
            raise scenario.error(
                ("track", "start_s"), f"{spec.start_s} m is beyond the lap; less than {s[-1]:.0f} is expected"
            )
        k = int(np.searchsorted(s, spec.start_s))
        points, widths = np.roll(points[:-1], -k, axis=0), np.roll(widths[:-1], -k, axis=0)
        track = Track(track.name, points, widths[:, 1], widths[:, 0])
    widest = scenario.platform.model.footprint.width
    if float(np.min(track.left + track.right)) <= widest:
        raise BadInputError(f"{path}:1: the track is narrower than the vehicle ({widest} m); a wider one is expected")
    return track

"""The planner that leaves its line and comes back, on a vehicle that does exactly what it plans."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.fence import Fence
from giljabi.frames import quat_from_yaw
from giljabi.planning.blend import join
from giljabi.planning.flight_avoid import FlightAvoidPlanner
from giljabi.planning.flight_route import FlightRoutePlanner
from giljabi.platform import load_platform
from giljabi.steps import KeepsFences, MapFollower, MissionPlanner, PlanResult
from giljabi.types import FREE, OCCUPIED, UNKNOWN, Array, GridMap, MissionPhase, Odometry, Route, Tracks, Trajectory

CELL, N, STEP = 0.2, 120, 0.1
NEAR = 0.5 * math.hypot(0.6, 0.6)  # of the vehicle's corners


def route(*points: tuple[float, float, float], speed: float = 4.0) -> Route:
    n = len(points)
    return Route(np.array(points, dtype=float), np.full(n, speed), np.full((n, 2), np.inf))


@dataclass
class Flight:
    """Perfect tracking; what stands (x, y, radius) is seen within `sight` [m], as is that nothing stands."""

    things: list[tuple[float, float, float]] = field(default_factory=list)
    sight: float = 9.0
    planner: FlightAvoidPlanner = field(default_factory=lambda: FlightAvoidPlanner(load_platform("drone_lidar")))
    p: Array = field(default_factory=lambda: np.array([0.0, 0.0, 6.0]))
    v: Array = field(default_factory=lambda: np.zeros(3))
    now: float = 0.0
    rows: list[Array] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tracks: Array = field(default_factory=lambda: np.zeros((0, 11)))

    def begin(self, *points: tuple[float, float, float]) -> Flight:
        self.planner.set_route(route(*points))
        self.planner.start()
        return self

    def see(self) -> GridMap:
        corner = (self.p[0] - 0.5 * N * CELL, self.p[1] - 0.5 * N * CELL)
        y, x = np.mgrid[0:N, 0:N] * CELL + 0.5 * CELL
        x, y = x + corner[0], y + corner[1]
        cells = np.where(np.hypot(x - self.p[0], y - self.p[1]) < self.sight, FREE, UNKNOWN).astype(np.uint8)
        for a, b, r in self.things:
            cells[(np.hypot(x - a, y - b) < r) & (cells == FREE)] = OCCUPIED
        return GridMap(self.now, CELL, corner, float(self.p[2]), cells)

    def step(self, *, looks: bool = True) -> PlanResult:
        zeros = np.zeros(3)
        odom = Odometry(self.now, self.p, quat_from_yaw(0.0), self.v, zeros, np.eye(6), np.eye(6))
        if looks:
            self.planner.set_map(self.see())
        moved = self.tracks.copy()
        moved[:, :2] += self.now * moved[:, 3:5]
        result = self.planner.step(self.now, odom, Tracks(self.now, moved))
        if (t := result.trajectory) is not None:
            self.p = np.array([np.interp(STEP, t.times, c) for c in t.position.T])
            self.v = np.array([np.interp(STEP, t.times, c) for c in t.velocity.T])
        self.now += STEP
        self.rows.append(np.array([*self.p, *self.v]))
        self.notes.append(result.mission.note)
        return result

    def run(self, seconds: float, *, looks: bool = True) -> Flight:
        for _ in range(round(seconds / STEP)):
            if self.step(looks=looks).mission.phase is MissionPhase.ARRIVED:
                break
        return self

    @property
    def path(self) -> Array:
        return np.array(self.rows)


def test_it_is_all_that_the_stack_asks_planners_for() -> None:
    planner = FlightAvoidPlanner(load_platform("drone_lidar"))
    assert isinstance(planner, (MissionPlanner,))
    assert isinstance(planner, (MapFollower,))
    assert isinstance(planner, (KeepsFences,))


def test_a_clear_line_is_flown_as_it_is() -> None:
    flight = Flight().begin((0, 0, 6), (40, 0, 6))
    plain = FlightRoutePlanner(load_platform("drone_lidar"), flight.planner._route._o)
    plain.set_route(route((0, 0, 6), (40, 0, 6)))
    plain.start()
    for _ in range(50):
        odom = Odometry(flight.now, flight.p, quat_from_yaw(0.0), flight.v, np.zeros(3), np.eye(6), np.eye(6))
        same = plain.step(flight.now, odom, None).trajectory
        ours = flight.step().trajectory
        assert same is not None
        assert ours is not None
        np.testing.assert_allclose(ours.position, same.position)
        np.testing.assert_allclose(ours.velocity, same.velocity)
    assert np.all(np.abs(flight.path[:, 1]) < 1e-6)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.tuples(st.floats(8, 32), st.floats(-4, 4)), min_size=1, max_size=5))
def test_what_stands_is_passed_with_room_and_no_step_jumps(places: list[tuple[float, float]]) -> None:
    flight = Flight([(x, y, 0.4) for x, y in places]).begin((0, 0, 6), (36, 0, 6)).run(20.0)
    path = flight.path
    for x, y in places:
        assert np.hypot(path[:, 0] - x, path[:, 1] - y).min() > 0.4 + NEAR
    assert np.abs(np.diff(path[:, :3], axis=0)).max() < 5.0 * STEP
    assert np.abs(np.diff(path[:, 3:5], axis=0)).max() < 0.8  # m/s in a step
    assert np.hypot(path[:, 3], path[:, 4]).max() < 4.4


def test_it_is_back_on_its_line_and_arrives() -> None:
    flight = Flight([(20.0, 0.3, 1.0)]).begin((0, 0, 6), (50, 0, 6)).run(40.0)
    assert any("something stands in the way" in n for n in flight.notes)
    assert np.abs(flight.path[:, 1]).max() > 1.0
    late = flight.path[flight.path[:, 0] > 42.0]
    assert np.abs(late[:, 1]).max() < 0.3
    assert np.linalg.norm(flight.p - [50.0, 0.0, 6.0]) < 1.0


def test_it_is_no_faster_than_it_can_see() -> None:
    flight = Flight(sight=5.0).begin((0, 0, 6), (60, 0, 6)).run(12.0)
    speed = np.hypot(flight.path[:, 3], flight.path[:, 4])
    assert 1.0 < speed.max() < 3.6  # 4 m/s need 6.5 m


@pytest.mark.parametrize("height", [0.0, 4.0])
def test_a_map_that_is_old_or_of_another_height_stops_it(height: float) -> None:
    flight = Flight().begin((0, 0, 6), (60, 0, 6)).run(6.0)
    x = flight.p[0]
    for _ in range(50):
        if height:
            grid = flight.see()
            flight.planner.set_map(GridMap(grid.t, grid.resolution, grid.corner, grid.height + height, grid.cells))
        flight.step(looks=False)
    assert np.hypot(*flight.v[:2]) < 0.05
    assert flight.p[0] - x < 9.0
    assert "no map" in flight.notes[-1]
    flight.run(3.0)
    assert flight.v[0] > 1.0  # goes on when there is one


def test_take_off_and_landing_go_through_untouched() -> None:
    flight = Flight([(1.0, 0.0, 0.3), (21.0, 0.0, 0.3)], p=np.array([0.0, 0.0, 0.1])).begin(
        (0, 0, 0), (20, 0, 6), (20, 0, 0)
    )
    plain = FlightRoutePlanner(load_platform("drone_lidar"), flight.planner._route._o)
    plain.set_route(route((0, 0, 0), (20, 0, 6), (20, 0, 0)))
    plain.start()
    while flight.p[2] < 4.0:  # the trunk on the line counts from where its height is seen
        odom = Odometry(flight.now, flight.p, quat_from_yaw(0.0), flight.v, np.zeros(3), np.eye(6), np.eye(6))
        same, ours = plain.step(flight.now, odom, None).trajectory, flight.step().trajectory
        assert same is not None
        assert ours is not None
        np.testing.assert_allclose(ours.position, same.position)


def test_a_fence_is_a_wall_to_who_goes_around_something() -> None:
    fence = Fence(((10.0, -8.0), (30.0, -8.0), (30.0, -3.1), (10.0, -3.1)), keep_out=True)
    trunk = (20.0, 0.4, 1.2)  # the shorter way around it is by the side of the fence
    free = Flight([trunk]).begin((0, 0, 6), (40, 0, 6)).run(20.0).path
    assert free[:, 1].min() < -1.2
    flight = Flight([trunk])
    flight.planner.set_fences([fence])
    path = flight.begin((0, 0, 6), (40, 0, 6)).run(20.0).path
    assert path[:, 1].min() > -1.2
    assert path[:, 1].max() > 1.6 + NEAR
    assert flight.p[0] > 39.0


def test_a_track_that_crosses_is_passed_with_its_spread_and_a_car_below_is_not_minded() -> None:
    row = np.full((1, 11), np.nan)
    row[0, [0, 1, 2, 3, 4, 8, 9, 10]] = [18.0, -24.0, 6.0, 0.0, 4.0, 7, 4, 1.0]
    flight = Flight(tracks=row).begin((0, 0, 6), (40, 0, 6)).run(25.0)
    t = STEP * (np.arange(len(flight.path)) + 1)
    away = np.hypot(flight.path[:, 0] - 18.0, flight.path[:, 1] + 24.0 - 4.0 * t)
    assert away.min() > 0.7 + 2.0 + NEAR + 2.0 - 0.3  # size, 2 sigma, vehicle, track_clearance
    assert flight.p[0] > 39.0
    row[0, 9] = 2  # a car
    below = Flight(tracks=row).begin((0, 0, 6), (40, 0, 6)).run(25.0)
    assert np.abs(below.path[:, 1]).max() < 1e-6


def test_shut_in_it_tries_other_ways_and_says_that_there_is_none() -> None:
    ring = [(8.0 * math.cos(a), 8.0 * math.sin(a), 0.7) for a in np.arange(0.0, 2.0 * math.pi, 0.12)]
    flight = Flight(ring, sight=15.0).begin((0, 0, 6), (40, 0, 6))
    for _ in range(round(100.0 / STEP)):
        result = flight.step()
        if result.mission.phase is MissionPhase.FAILED:
            break
    assert result.mission.phase is MissionPhase.FAILED
    assert "no way" in result.mission.note
    assert flight.planner._progress.tries >= 2
    assert np.hypot(flight.path[:, 0], flight.path[:, 1]).max() < 7.0
    flight.things = []
    flight.planner.start()
    flight.run(30.0)
    assert flight.p[0] > 39.0


def test_pause_beside_the_line_stops_there_and_resume_goes_on() -> None:
    flight = Flight([(20.0, 0.3, 1.5)]).begin((0, 0, 6), (50, 0, 6))
    while abs(flight.p[1]) < 1.0:
        flight.step()
    flight.planner.pause()
    flight.run(5.0)
    assert np.hypot(*flight.v[:2]) < 0.05
    flight.planner.start()
    flight.run(30.0)
    assert flight.p[0] > 49.0


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2), st.floats(-2, 2), st.floats(-3, 3))
def test_a_blend_begins_in_the_state_ends_in_the_plan_and_keeps_its_limits(
    y: float, vx: float, vy: float, yaw: float
) -> None:
    times = 0.05 * np.arange(161)
    position = np.column_stack([2.0 * times, np.zeros(161), np.full(161, 5.0)])
    velocity = np.tile([2.0, 0.0, 0.0], (161, 1))
    plan = Trajectory(3.0, times, position, np.zeros(161), velocity, np.zeros(161))
    blend = join(plan, np.array([0.0, y, 5.2]), np.array([2.0 + vx, vy, 0.0]), yaw, 1.2, 0.7, 0.7)
    if blend is None:
        return
    out = blend.applied(plan)
    assert out.position[0] == pytest.approx([0.0, y, 5.2])
    assert out.velocity[0] == pytest.approx([2.0 + vx, vy, 0.0])
    late = times > blend.duration
    np.testing.assert_allclose(out.position[late], position[late], atol=1e-9)
    slope = np.gradient(out.position, times, axis=0)
    np.testing.assert_allclose(slope[1:-1], out.velocity[1:-1], atol=0.05)
    added = np.gradient(out.velocity[:, :2], times, axis=0)
    assert np.hypot(*added.T).max() <= 1.2 * 1.05
    assert np.abs(out.yaw_rate).max() <= 0.7 + 1e-9

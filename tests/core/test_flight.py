"""Flight planner and velocity controller: limits of the line, take-off and landing, pause, stale plans."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.control.flight_velocity import FlightVelocityController
from giljabi.frames import quat_from_yaw
from giljabi.planning.flight_line import AirLimits, build_line, flight_points
from giljabi.planning.flight_route import FlightRoutePlanner
from giljabi.platform import load_platform
from giljabi.types import JointState, MissionPhase, Odometry, Route, Trajectory

LIMITS = AirLimits(8.0, 2.0, 1.5, 2.5, 2.5, 3.0, 1.2)
LANDED, FLYING = JointState(0.0, {"landed": 1.0}), JointState(0.0, {"landed": 0.0})
coordinate = st.floats(-200, 200).map(lambda v: round(v, 1))


def route(*points: tuple[float, float, float], speed: float = 5.0) -> Route:
    n = len(points)
    return Route(np.array(points, dtype=float), np.full(n, speed), np.full((n, 2), np.inf))


def at(p: tuple[float, float, float], v: tuple[float, float, float] = (0, 0, 0), t: float = 0.0) -> Odometry:
    zeros = np.zeros(3)
    return Odometry(t, np.array(p, float), quat_from_yaw(0.0), np.array(v, float), zeros, np.eye(6), np.eye(6))


@given(st.lists(st.tuples(coordinate, coordinate, st.floats(5, 60).map(lambda v: round(v, 1))), min_size=2, max_size=6))
def test_a_line_keeps_every_limit_and_passes_every_point(points: list[tuple[float, float, float]]) -> None:
    p = np.array(points)
    if np.min(np.linalg.norm(np.diff(p, axis=0), axis=1)) < 3.0:
        return
    line = build_line(p, np.full(len(p), 6.0), LIMITS, 2.0, 0.0)
    t = np.linspace(0.0, line.duration, 400)
    _, v, _ = line.at(t)
    assert np.max(np.linalg.norm(v, axis=1)) <= 6.0 + 1e-6
    assert np.max(v[:, 2]) <= 2.0 + 0.02
    assert np.min(v[:, 2]) >= -1.5 - 0.02
    along = np.diff(line.speed) / np.diff(line.time)
    assert np.max(np.abs(along)) <= 2.5 * 1.05
    for corner in p:
        assert np.min(np.linalg.norm(line.position - corner, axis=1)) <= 2.0 + 0.3
    assert np.linalg.norm(line.position[0] - p[0]) < 1e-9
    assert np.linalg.norm(line.position[-1] - p[-1]) < 1e-9
    assert np.max(np.abs(np.diff(line.yaw))) <= 1.2 * np.max(np.diff(line.time)) + 1e-9


def test_turns_are_slow_enough_for_the_lateral_limit() -> None:
    line = build_line(np.array([[0, 0, 10], [50, 0, 10], [50, 50, 10.0]]), np.full(3, 8.0), LIMITS, 2.0, 0.0)
    t = np.linspace(0.0, line.duration, 2000)
    _, v, _ = line.at(t)
    a = np.gradient(v, t, axis=0)
    speed = np.linalg.norm(v, axis=1)
    across = np.abs(v[:, 0] * a[:, 1] - v[:, 1] * a[:, 0]) / np.maximum(speed, 0.5)
    assert np.percentile(across, 99) <= 3.0 * 1.1
    assert np.max(across) > 2.0  # and it makes use of it


def test_ground_heights_mean_straight_up_and_straight_down() -> None:
    p, _ = flight_points(route((0, 0, 0), (40, 0, 12), (0, 40, 15), (0, 0, 0)), 10.0)
    assert p.tolist() == [[0, 0, 0], [0, 0, 12], [40, 0, 12], [0, 40, 15], [0, 0, 15], [0, 0, 0]]
    p, _ = flight_points(route((0, 0, 0), (40, 0, 0)), 10.0)
    assert p.tolist() == [[0, 0, 0], [0, 0, 10], [40, 0, 10], [40, 0, 0]]


def _next(plan: Trajectory) -> np.ndarray:
    """Where the plan is one step of the planner (0.05 s) later."""
    return np.array([np.interp(0.05, plan.times, c) for c in plan.position.T])


def flown(planner: FlightRoutePlanner, seconds: float, begin: float, p: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """A vehicle that is always where the plan says."""
    out = []
    for i in range(round(seconds / 0.05)):
        now = begin + 0.05 * i
        result = planner.step(now, at(p, t=now), None)
        if result.trajectory is None:
            break
        p = _next(result.trajectory)
        out.append((now, p))
    return out


def test_a_planner_waits_for_start_flies_pauses_and_goes_on() -> None:
    planner = FlightRoutePlanner(load_platform("drone"))
    planner.set_route(route((0, 0, 0), (40, 0, 12), (0, 0, 0)))
    assert planner.step(0.0, at((0, 0, 0)), None).trajectory is None
    planner.start()
    first = flown(planner, 15.0, 0.0, np.zeros(3))
    planner.pause()
    here = flown(planner, 5.0, 15.0, first[-1][1])
    assert np.linalg.norm(here[-1][1] - here[-20][1]) < 0.02
    stop = np.linalg.norm(here[-1][1] - here[0][1])
    assert stop < 5.0**2 / (2 * 2.5) + 2.0
    planner.start()
    rest = flown(planner, 60.0, 20.0, here[-1][1])
    assert np.linalg.norm(rest[-1][1] - [0, 0, 0]) < 1.1
    assert planner.step(90.0, at((0, 0, 0), t=90.0), None).mission.phase is MissionPhase.ARRIVED


def test_the_plan_waits_for_a_vehicle_that_does_not_move() -> None:
    planner = FlightRoutePlanner(load_platform("drone"))
    planner.set_route(route((0, 0, 0), (40, 0, 12), (0, 0, 0)))
    planner.start()
    for i in range(400):
        result = planner.step(0.05 * i, at((0, 0, 0), t=0.05 * i), None)
    assert result.trajectory is not None
    assert np.max(result.trajectory.position[:, 2]) < 5.0
    assert "waits for the vehicle" in result.mission.note


def rising() -> tuple[FlightVelocityController, FlightRoutePlanner]:
    platform = load_platform("drone")
    planner = FlightRoutePlanner(platform)
    planner.set_route(route((0, 0, 0), (40, 0, 12), (0, 0, 0)))
    planner.start()
    return FlightVelocityController(platform), planner


def test_take_off_is_left_to_the_autopilot_and_flown_on_by_velocities() -> None:
    controller, planner = rising()
    for i in range(40):
        plan = planner.step(0.05 * i, at((0, 0, 0), t=0.05 * i), None).trajectory
    command = controller.step(2.0, at((0, 0, 0), t=2.0), LANDED, plan, {})
    assert command is not None
    assert command.values["takeoff_height"] == 3.0
    command = controller.step(2.1, at((0, 0, 1.0), t=2.1), FLYING, replace(plan, t=2.1), {})
    assert command.values["takeoff_height"] == 3.0
    command = controller.step(2.2, at((0, 0, 2.5), t=2.2), FLYING, replace(plan, t=2.2), {})
    assert command.values["takeoff_height"] == 0.0
    assert command.values["velocity_z"] > 0.5


def test_without_a_plan_on_the_ground_nothing_is_asked_for() -> None:
    controller, _ = rising()
    command = controller.step(1.0, at((0, 0, 0), t=1.0), LANDED, None, {})
    assert command is not None
    assert set(command.values.values()) == {0.0}


def test_an_old_plan_is_braked_from_not_followed() -> None:
    controller, planner = rising()
    planner_p = (0.0, 0.0, 12.0)
    for i in range(120):  # on its way out
        plan = planner.step(0.05 * i, at(planner_p, t=0.05 * i), None).trajectory
        planner_p = tuple(_next(plan))
    t = plan.t
    first = controller.step(t + 0.05, at(planner_p, (4, 0, 0), t + 0.05), FLYING, plan, {})
    assert first.values["velocity_x"] > 2.0
    speeds = [
        controller.step(t + 0.25 + 0.02 * i, at(planner_p, (4, 0, 0), t + 0.25 + 0.02 * i), FLYING, plan, {}).values[
            "velocity_x"
        ]
        for i in range(100)
    ]
    assert speeds[0] < first.values["velocity_x"]
    assert speeds[-1] == 0.0
    assert all(b <= a for a, b in itertools.pairwise(speeds))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_gives_no_command(bad: float) -> None:
    controller, planner = rising()
    plan = planner.step(0.0, at((0, 0, 0)), None).trajectory
    assert controller.step(0.0, at((bad, 0, 0)), FLYING, plan, {}) is None
    assert "not finite" in controller.note
    assert controller.step(1.0, at((0, 0, 0), t=0.0), FLYING, plan, {}) is None
    assert "s old" in controller.note


def test_who_left_the_line_comes_back_to_it_at_a_place_and_with_a_speed() -> None:
    planner = FlightRoutePlanner(load_platform("drone"))
    planner.set_route(route((0, 0, 10), (60, 0, 10), speed=4.0))
    planner.start()
    planner.step(0.0, at((0, 0, 10)), None)
    planner.go_on_from(30.0, 2.0)
    plan = planner.step(0.05, at((30, 0, 10), (2, 0, 0), 0.05), None).trajectory
    assert plan is not None
    assert plan.position[0, 0] == pytest.approx(30.1, abs=0.06)
    assert plan.velocity[0, 0] == pytest.approx(2.1, abs=0.15)


def test_nobody_comes_down_beside_where_the_plan_does() -> None:
    planner = FlightRoutePlanner(load_platform("drone"))
    planner.set_route(route((0, 0, 0), (40, 0, 12), (0, 0, 0)))
    planner.start()
    way = flown(planner, 60.0, 0.0, np.zeros(3))
    i, (t, p) = next((i, row) for i, row in enumerate(way) if row[1][0] < 1.0 and i > 200 and row[1][2] < 9.0)
    again = FlightRoutePlanner(load_platform("drone"))
    again.set_route(route((0, 0, 0), (40, 0, 12), (0, 0, 0)))
    again.start()
    flown(again, 0.05 * i, 0.0, np.zeros(3))
    for k in range(200):  # blown aside
        result = again.step(t + 0.05 * k, at((6.0, 0.0, p[2]), t=t + 0.05 * k), None)
    assert result.trajectory is not None
    assert result.trajectory.position[-1, 2] > p[2] - 3.0
    assert flown(again, 20.0, t + 10.0, result.trajectory.position[0])[-1][1][2] < 0.2


def test_a_plan_that_rests_on_the_ground_ends_in_a_landing() -> None:
    """The vehicle came too late, or from aside, for the autopilot to land while the plan went down."""
    zeros, times = np.zeros((40, 3)), 0.1 * np.arange(40)
    for height, wanted in ((0.0, 1.0), (5.0, 0.0)):
        plan = Trajectory(1.0, times, zeros + [0.0, 0.0, height], np.zeros(40), zeros, np.zeros(40))
        controller, _ = rising()
        controller.step(0.0, at((0, 0, 0)), LANDED, None, {})
        command = controller.step(1.0, at((0.6, 0, height + 0.3), t=1.0), FLYING, plan, {})
        assert command is not None
        assert command.values["land"] == wanted

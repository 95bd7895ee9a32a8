"""The walkers' planner: along a route, around corners on the spot, waiting for what is in the way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from giljabi.frames import quat_from_yaw
from giljabi.ground import rectangle
from giljabi.planning.walk_route import WalkRoutePlanner
from giljabi.platform import Platform, load_platform
from giljabi.steps import PlanResult
from giljabi.types import FREE, OCCUPIED, Array, GridMap, MissionPhase, Odometry, Route, Tracks

pytest.importorskip("mujoco", reason="platforms of walkers: pip install 'giljabi[humanoid]'")

CORNER = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 1.0, 0.0]])


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("humanoid")


def route(points: Array) -> Route:
    return Route(points, np.full(len(points), 0.28), np.full((len(points), 2), np.inf))


def odom(t: float, x: float, y: float, yaw: float) -> Odometry:
    zero = np.zeros(3)
    return Odometry(t, np.array([x, y, 0.22]), quat_from_yaw(yaw), zero, zero, np.eye(6), np.eye(6))


def walk(planner: WalkRoutePlanner, seconds: float, pose: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
    """Follows every plan exactly; (n, 6): t, x, y, yaw, speed, turn."""
    x, y, yaw = pose
    rows = []
    for k in range(round(seconds / 0.1)):
        plan = planner.step(0.1 * k, odom(0.1 * k, x, y, yaw), None).trajectory
        speed, turn = (0.0, 0.0) if plan is None else (float(np.hypot(*plan.velocity[0, :2])), float(plan.yaw_rate[0]))
        rows.append((0.1 * k, x, y, yaw, speed, turn))
        x, y, yaw = x + 0.1 * speed * math.cos(yaw), y + 0.1 * speed * math.sin(yaw), yaw + 0.1 * turn
    return np.array(rows)


def test_it_follows_a_route_around_a_corner_and_rests_at_its_end(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_route(route(CORNER))
    planner.start()
    rows = walk(planner, 25.0)
    result = planner.step(25.0, odom(25.0, *rows[-1, 1:4]), None)
    assert result.mission.phase is MissionPhase.ARRIVED
    assert result.trajectory is None
    assert rows[-1, 1:3] == pytest.approx([2.0, 1.0], abs=0.13)
    assert rows[-1, 3] == pytest.approx(math.pi / 2, abs=0.2)
    m = platform.model.limits
    assert rows[:, 4].max() == pytest.approx(0.28, abs=1e-6)
    assert np.abs(rows[:, 5]).max() <= m.yaw_rate_max
    assert np.abs(np.diff(rows[:, 4])).max() <= m.acceleration_max * 0.1 + 1e-9
    beside = np.minimum(np.abs(rows[:, 2]), np.abs(rows[:, 1] - 2.0))
    assert beside.max() < 0.25


def test_where_the_route_lies_behind_it_turns_on_the_spot_first(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_route(route(CORNER[:2]))
    planner.start()
    rows = walk(planner, 12.0, (0.0, 0.0, 2.5))
    turned = int(np.argmax(rows[:, 4] > 0.0))
    assert abs(rows[turned, 3]) < 0.7
    assert np.hypot(rows[turned, 1], rows[turned, 2]) < 0.01
    assert rows[-1, 1] > 0.5


def test_it_pauses_and_goes_on(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_route(route(CORNER))
    planner.start()
    end = walk(planner, 5.0)[-1]
    planner.pause()
    still = walk(planner, 3.0, (end[1], end[2], end[3]))
    assert still[-1, 4] == 0.0
    assert planner.step(3.0, odom(3.0, end[1], end[2], end[3]), None).mission.phase is MissionPhase.PAUSED
    planner.start()
    assert walk(planner, 3.0, (end[1], end[2], end[3]))[-1, 4] > 0.1


def blocked(planner: WalkRoutePlanner, x: float, y: float) -> PlanResult:
    row = [x, y, 0.0, 0.0, 0.0, 0.0, 0.3, 0.3, 7.0, 0.0, 0.01]
    for k in range(30):
        result = planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), Tracks(0.0, np.array([row])))
    return result


def test_it_waits_for_what_stands_in_its_way_and_not_for_what_stands_beside(platform: Platform) -> None:
    for x, y, waits in ((0.4, 0.0, True), (0.4, 0.9, False), (1.6, 0.0, False), (-0.8, 0.0, False)):
        planner = WalkRoutePlanner(platform)
        planner.set_route(route(CORNER))
        planner.start()
        result = blocked(planner, x, y)
        assert result.trajectory is not None
        assert (float(np.hypot(*result.trajectory.velocity[0, :2])) == 0.0) is waits, (x, y)
        assert ("track 7" in result.mission.note) is waits


BOX = rectangle(1.0, 0.0, 0.0, (0.3, 0.4), math.inf)


def goal(x: float, y: float, heading: float | None) -> Route:
    return Route(np.array([[0.0, 0.0, 0.0], [x, y, 0.0]]), np.full(2, 0.28), np.full((2, 2), np.inf), heading=heading)


def moving(t: float, x: float, y: float, yaw: float) -> Odometry:
    return replace(odom(t, x, y, yaw), velocity=np.array([0.2, 0.0, 0.0]))


def step_along(planner: WalkRoutePlanner, t: float) -> tuple[float, PlanResult]:
    """Lets the robot be where its steps lead, one after the other, and come to rest there."""
    result = planner.step(t, odom(t, 0.0, 0.0, 0.0), None)
    for k in range(10):  # it must be at rest before it plans
        result = planner.step(t + 0.1 * k, odom(t + 0.1 * k, 0.0, 0.0, 0.0), None)
    plan = result.steps
    assert plan is not None
    t, rows = t + 1.0, result.trajectory.position if result.trajectory else np.zeros((0, 3))
    for row, yaw in zip(rows, result.trajectory.yaw if result.trajectory else (), strict=True):
        t += 0.36
        result = planner.step(t, moving(t, float(row[0]), float(row[1]), float(yaw)), None)
        assert result.steps is plan, "one plan, all the way"
        assert result.trajectory is not None
        assert result.trajectory.velocity.any() or result.trajectory.yaw_rate.any()
    for _ in range(10):
        t += 0.1
        result = planner.step(t, odom(t, float(rows[-1, 0]), float(rows[-1, 1]), float(yaw)), None)
    return t, result


def test_to_a_pose_it_plans_steps_from_rest_and_is_there_when_the_robot_stands(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_ground([BOX])
    planner.set_route(goal(2.0, 0.2, 1.0))
    planner.start()
    for k in range(10):  # still moving: no plan, and it stops
        result = planner.step(0.1 * k, moving(0.1 * k, 0.0, 0.0, 0.0), None)
        assert result.steps is None
        assert result.trajectory is not None
        assert not result.trajectory.velocity.any()
    _, result = step_along(planner, 1.0)
    assert result.mission.phase is MissionPhase.ARRIVED
    assert result.steps is None


def test_steps_are_planned_for_a_heading_or_known_ground_only(platform: Platform) -> None:
    for ground, heading, planned in (((), None, False), ((), 0.5, True), ((BOX,), None, True)):
        planner = WalkRoutePlanner(platform)
        planner.set_ground(ground)
        planner.set_route(goal(2.0, 0.0, heading))
        planner.start()
        steps = [planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), None).steps for k in range(10)]
        assert (steps[-1] is not None) == planned


def test_it_plans_anew_where_the_robot_is_stuck_or_beside_its_plan_and_after_a_pause(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_route(goal(2.0, 0.0, 0.5))
    planner.start()
    plans = [planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), None).steps for k in range(60)]
    seen = [p for p, q in zip(plans[1:], plans, strict=False) if p is not None and p is not q]
    assert len(seen) == 2  # the robot did not move for 3 s
    assert planner.step(6.0, moving(6.0, 0.1, 0.4, 0.0), None).steps is None
    away = [planner.step(6.1 + 0.1 * k, odom(6.1 + 0.1 * k, 0.1, 0.4, 0.0), None).steps for k in range(10)]
    assert away[-1] is not None
    assert away[-1].feet[0, 1] > 0.3
    planner.pause()
    assert planner.step(8.0, odom(8.0, 0.1, 0.4, 0.0), None).steps is None
    planner.start()
    assert planner.step(8.1, odom(8.1, 0.1, 0.4, 0.0), None).steps is not away[-1]


def test_where_there_is_no_way_it_stays_and_says_so_until_the_map_is_free(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_ground([rectangle(1.0, 0.0, 0.0, (0.1, 8.0), math.inf)])
    planner.set_route(goal(2.0, 0.0, None))
    planner.start()
    for k in range(10):
        result = planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), None)
    assert "cannot walk there: there is no way" in result.mission.note
    assert result.trajectory is not None
    assert not result.trajectory.velocity.any()
    planner.set_ground([])
    planner.set_route(goal(2.0, 0.0, 0.0))
    planner.start()
    assert planner.step(1.1, odom(1.1, 0.0, 0.0, 0.0), None).steps is not None


def test_what_comes_into_the_way_of_the_steps_ends_the_plan(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_route(goal(2.0, 0.0, 0.0))
    planner.start()
    for k in range(10):
        result = planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), None)
    plan, cells = result.steps, np.full((80, 80), FREE, dtype=np.uint8)
    planner.set_map(GridMap(0.0, 0.05, (-1.0, -2.0), 0.0, cells))
    assert planner.step(1.0, odom(1.0, 0.0, 0.0, 0.0), None).steps is plan
    cells[36:44, 38:42] = OCCUPIED  # x 0.9 to 1.1 m, y -0.2 to 0.2 m
    planner.set_map(GridMap(0.0, 0.05, (-1.0, -2.0), 0.0, cells))
    new = planner.step(1.1, odom(1.1, 0.0, 0.0, 0.0), None).steps
    assert new is not None
    assert np.abs(new.feet[:, 1]).max() > 0.3


def test_a_route_around_known_ground_goes_through_all_its_points(platform: Platform) -> None:
    planner = WalkRoutePlanner(platform)
    planner.set_ground([rectangle(5.0, 0.0, 0.0, (0.3, 0.4), math.inf)])
    planner.set_route(route(CORNER))
    planner.start()
    for k in range(10):
        result = planner.step(0.1 * k, odom(0.1 * k, 0.0, 0.0, 0.0), None)
    assert result.steps is not None
    assert (np.diff(result.steps.side) != 0).all()
    middle = (result.steps.feet[1:, :2] + result.steps.feet[:-1, :2]) / 2
    assert np.hypot(*(middle - CORNER[1, :2]).T).min() < 0.02
    _, result = step_along(planner, 1.0)
    assert result.mission.phase is MissionPhase.ARRIVED

"""The walkers' planner: along a route, around corners on the spot, waiting for what is in the way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from giljabi.frames import quat_from_yaw
from giljabi.planning.walk_route import WalkRoutePlanner
from giljabi.platform import Platform, load_platform
from giljabi.steps import PlanResult
from giljabi.types import Array, MissionPhase, Odometry, Route, Tracks

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

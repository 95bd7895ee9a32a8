"""Fences of what hovers: the planner's routes keep them, the guard holds commands back and lets the vehicle slide."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from giljabi.fence import Fence
from giljabi.missions.course import Course, Step
from giljabi.planning.fences import room_of
from giljabi.planning.flight_route import FlightRoutePlanner
from giljabi.platform import Platform, find_platform, load_platform
from giljabi.registry import build_driver
from giljabi.safety.guard import Guard, build_guard
from giljabi.types import BadInputError, MissionPhase, Odometry, Route

FIELD = Fence(((-20.0, -20.0), (80.0, -20.0), (80.0, 80.0), (-20.0, 80.0)), height_max=40.0)
TOWER = Fence(centre=(30.0, 0.0), radius=5.0, keep_out=True, height_max=25.0)


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("drone")


def at(t: float, p: tuple[float, float, float], v: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Odometry:
    cov = 1e-4 * np.eye(6)
    return Odometry(t, np.array(p), np.array([1.0, 0, 0, 0]), np.array(v), np.zeros(3), cov, cov)


def planner_of(platform: Platform, points: list[tuple[float, float, float]], *fences: Fence) -> FlightRoutePlanner:
    planner = FlightRoutePlanner(platform)
    planner.set_fences(fences)
    n = len(points)
    planner.set_route(Route(np.array(points), np.full(n, 8.0), np.full((n, 2), np.inf), False))
    planner.start()
    return planner


SQUARE = [(0.0, 0.0, 0.0), (0.0, 40.0, 12.0), (40.0, 40.0, 12.0), (40.0, 0.0, 12.0), (0.0, 0.0, 12.0), (0.0, 0.0, 0.0)]


def test_a_route_that_crosses_a_fence_is_refused_with_its_leg(platform: Platform) -> None:
    planner = planner_of(platform, SQUARE, FIELD, TOWER)
    result = planner.step(0.0, at(0.0, (0.0, 0.0, 0.0)), None)
    assert result.trajectory is None
    assert result.mission.phase is MissionPhase.FAILED
    assert result.mission.note.startswith("leg 5, to (0.0, 0.0, 12.0), comes within ")  # the first is the take-off
    planner.set_fences([FIELD])
    result = planner.step(0.1, at(0.1, (0.0, 0.0, 0.0)), None)
    assert result.mission.phase is MissionPhase.RUNNING
    assert result.trajectory is not None
    planner.set_fences([Fence(FIELD.points, height_max=12.0)])
    assert "leg 1, to (0.0, 0.0, 12.0)" in planner.step(0.2, at(0.2, (0.0, 0.0, 0.0)), None).mission.note


def test_over_a_tower_it_may_fly(platform: Platform) -> None:
    high = [(0.0, 0.0, 0.0), (0.0, 0.0, 32.0), (60.0, 0.0, 32.0), (60.0, 0.0, 0.0)]
    result = planner_of(platform, high, FIELD, TOWER).step(0.0, at(0.0, (0.0, 0.0, 0.0)), None)
    assert result.mission.phase is MissionPhase.RUNNING, result.mission.note


def test_a_mission_that_crosses_is_not_taken_in_flight(platform: Platform) -> None:
    planner = planner_of(platform, SQUARE, FIELD)
    planner.step(0.0, at(0.0, (0.0, 0.0, 0.0)), None)
    beyond = Course((Step("waypoint", np.array([[0.0, 100.0, 12.0]]), 5.0),), 5.0)
    with pytest.raises(BadInputError, match=r"leg \d, to \(0.0, 100.0, 12.0\), comes within"):
        planner.set_mission(beyond)
    assert planner.step(0.1, at(0.1, (0.0, 0.0, 0.0)), None).mission.phase is MissionPhase.RUNNING


def test_near_a_fence_it_is_slow_enough_to_stop(platform: Platform) -> None:
    room = room_of(platform)
    points = [(0.0, 0.0, 10.0), (80.0 - room.standing - 0.5, 0.0, 10.0), (80.0 - room.standing - 0.5, 60.0, 10.0)]
    planner = planner_of(platform, points, FIELD)
    planner.step(0.0, at(0.0, points[0]), None)
    line = planner.line
    assert line is not None
    d = np.minimum(80.0 - line.position[:, 0], 40.0 - line.position[:, 2])
    towards = np.gradient(line.position[:, 0], line.s) > 0.999
    v = line.speed[towards]
    left = d[towards] - room.standing
    assert np.max(v) > 7.0
    stop = v * (room.late + v / (2.0 * room.brake)) + room.drift * v / room.brake
    assert np.all(stop <= np.maximum(left, 0.0) + 0.3)  # one step of the line
    along = np.abs(np.gradient(line.position[:, 1], line.s)) > 0.9
    most = (80.0 - line.position[along, 0] - room.standing) * room.brake / room.drift
    assert np.all(line.speed[along] <= most + 0.05)
    free = planner_of(platform, points)
    free.step(0.0, at(0.0, points[0]), None)
    assert free.line is not None
    assert line.duration > free.line.duration + 3.0


def guard_of(platform: Platform) -> Guard:
    table = build_driver(platform, "autopilot").encode_table()
    assert table is not None
    return build_guard(platform, [table])


class Flown:
    """The drone's guard; the vehicle does what it was told 0.3 s ago, at 4 m/s^2."""

    def __init__(self, platform: Platform, start: tuple[float, float, float], *fences: Fence) -> None:
        self.guard = guard_of(platform)
        self.guard.set_fences(fences)
        self.t, self.p, self.v = 100.0, np.array(start), np.zeros(3)
        self.late = [np.zeros(3)] * 30
        self.out: dict[str, float] = {}

    def fly(self, seconds: float, **command: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.t += 0.01
            x, y, z = self.p.tolist()
            assert self.guard.pose(self.t, self.t, x, y, 0.0, float(self.v[0]), z, self.v.tolist()) == ""
            wanted = dict.fromkeys(self.guard.output(), 0.0) | command
            assert self.guard.submit("auto", self.t, self.t, wanted) == ""
            self.guard.heartbeat(self.t, self.t)
            if self.guard.state(self.t).mode == "standby":
                assert self.guard.arm(self.t) == []
            self.guard.step(self.t)
            self.out = self.guard.output()
            self.late.append(np.array([self.out[f"velocity_{a}"] for a in "xyz"]))
            self.v = self.v + np.clip(self.late.pop(0) - self.v, -0.04, 0.04)
            self.p = self.p + 0.01 * self.v


def test_a_command_straight_out_ends_before_the_fence(platform: Platform) -> None:
    flight = Flown(platform, (0.0, 0.0, 10.0), FIELD)
    flight.fly(30.0, velocity_x=8.0)
    assert flight.guard.state(flight.t).mode == "auto"
    assert flight.guard.state(flight.t).reasons == ("fence: commands are held back",)
    assert 1.2 < 80.0 - flight.p[0] < 3.0
    flight.fly(10.0, velocity_x=4.0, velocity_y=4.0)
    assert flight.p[1] > 8.0  # it slides along
    before = flight.p.copy()
    flight.fly(5.0, velocity_x=-4.0)
    assert flight.p[0] < before[0] - 10.0  # and away as it is told
    counted = flight.guard.counters()["ticks held back by a fence"]
    flight.fly(2.0)
    assert flight.guard.counters()["ticks held back by a fence"] == counted
    assert flight.guard.state(flight.t).reasons == ()


def test_accelerations_are_let_go_near_a_fence_only(platform: Platform) -> None:
    flight = Flown(platform, (0.0, 0.0, 10.0), FIELD)
    flight.fly(0.2, velocity_x=2.0, acceleration_x=3.0)
    assert flight.out["acceleration_x"] == pytest.approx(3.0)
    flight.fly(30.0, velocity_x=8.0, acceleration_x=6.0)
    assert flight.out["acceleration_x"] == 0.0
    assert 80.0 - flight.p[0] > 1.2


def test_it_does_not_climb_by_itself_through_a_ceiling_nor_land_on_a_tower(platform: Platform) -> None:
    ground = Flown(platform, (0.0, 0.0, 0.0), FIELD)
    ground.fly(0.1, takeoff_height=10.0)
    assert ground.out["takeoff_height"] == 10.0
    ground.fly(0.1, takeoff_height=29.0)
    assert ground.out["takeoff_height"] == 29.0
    low = Flown(platform, (0.0, 0.0, 0.0), Fence(FIELD.points, height_max=20.0))
    low.fly(0.1, takeoff_height=29.0)
    assert low.out["takeoff_height"] == 0.0
    over = Flown(platform, (0.0, 0.0, 0.0), FIELD, TOWER)
    over.fly(12.0, velocity_z=3.0)
    over.fly(6.0, velocity_x=5.0)
    assert math.hypot(over.p[0] - 30.0, over.p[1]) < 5.0
    over.fly(0.1, land=1.0)
    assert over.out["land"] == 0.0
    over.fly(10.0, velocity_z=-2.0)
    assert over.p[2] > 25.0 + 0.8


def test_what_is_outside_or_tells_no_height_does_not_arm(platform: Platform) -> None:
    outside = Flown(platform, (100.0, 0.0, 10.0), FIELD)
    with pytest.raises(AssertionError, match="outside or too near"):
        outside.fly(0.01)
    guard = Flown(platform, (0.0, 0.0, 10.0), FIELD).guard
    guard.pose(100.0, 100.0, 0.0, 0.0, 0.0, 0.0)
    guard.submit("auto", 100.0, 100.0, dict.fromkeys(guard.output(), 0.0))
    assert "fence: the pose has no height or no velocity" in guard.arm(100.0)


def test_blown_out_it_gives_up(platform: Platform) -> None:
    flight = Flown(platform, (0.0, 0.0, 10.0), FIELD)
    flight.fly(0.5)
    flight.p = np.array([81.0, 0.0, 10.0])
    flight.fly(0.02)
    assert flight.guard.state(flight.t).mode == "minimum_risk"
    assert flight.guard.state(flight.t).reasons[0] == "fence: it has been left"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("velocity_inputs: [velocity_x,", "velocity_inputs: [velocity,", "'velocity' is no actuator in m/s"),
        ("climb_input: takeoff_height", "climb_input: land", "'land' is no actuator in m;"),
        ("delay_s: 0.7", "delay_s: -1", "'guard.fence.delay_s' is -1"),
        ("scenario: drone", "fences: [{height_min: 9, height_max: 3}]\nscenario: drone", "height_min 9 is not below"),
        ("  stop_deceleration: 2.0", "", "fences need guard.stop_deceleration"),
    ],
)
def test_a_platform_file_says_where_its_fence_is_wrong(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = find_platform("drone").read_text()
    assert old in text
    text = text.replace(old, new, 1).replace("scenario: drone", "fences: [{height_max: 120}]\nscenario: drone")
    text = text.replace("fences: [{height_max: 120}]\nscenario", "scenario") if "height_min: 9" in new else text
    file = tmp_path / "drone.yaml"
    file.write_text(text)
    with pytest.raises(BadInputError, match=rf"drone.yaml:\d+: .*{words}"):
        guard_of(load_platform(file))


def test_a_ceiling_of_the_platform_holds_on_every_mission(tmp_path: Path) -> None:
    file = tmp_path / "drone.yaml"
    text = find_platform("drone").read_text()
    file.write_text(text.replace("scenario: drone", "fences: [{height_max: 15}]\nscenario: drone"))
    flight = Flown(load_platform(file), (0.0, 0.0, 5.0))
    flight.fly(20.0, velocity_z=3.0)
    assert 11.0 < flight.p[2] < 14.5

"""The page's model: what is shown, how old it is, and that nothing that is not finite gets out."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.fence import Fence
from giljabi.missions.course import Course, Step
from giljabi.operator.page import WIRE_SOURCE, PageModel, closest_approach, compass_deg
from giljabi.platform import load_platform
from giljabi.types import (
    ActuatorCommand,
    Health,
    JointState,
    Kind,
    MissionPhase,
    MissionState,
    Odometry,
    Route,
    StackState,
    Tracks,
    Trajectory,
)

SHIP = load_platform("ship")


def odometry(t: float, x: float, y: float, yaw: float, surge: float) -> Odometry:
    q = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
    velocity, zero = np.array([surge, 0.0, 0.0]), np.zeros(3)
    return Odometry(t, np.array([x, y, 0.0]), q, velocity, zero, 0.25 * np.eye(6), 0.01 * np.eye(6))


@pytest.fixture
def model() -> PageModel:
    return PageModel(SHIP)


@pytest.mark.parametrize(("yaw", "compass"), [(0.0, 90.0), (math.pi / 2, 0.0), (math.pi, 270.0), (-math.pi / 2, 180.0)])
def test_compass_turns_clockwise_from_north(yaw: float, compass: float) -> None:
    assert compass_deg(yaw) == pytest.approx(compass)


def test_closest_approach_of_crossing_tracks() -> None:
    # Own ship north at 2 m/s from the origin; the other west at 2 m/s from 100 m east, 60 m north.
    cpa, t = closest_approach(np.zeros(2), np.array([0.0, 2.0]), np.array([100.0, 60.0]), np.array([-2.0, 0.0]))
    assert t == pytest.approx(40.0)  # (100 - 2t, 60 - 2t) is shortest at t = 40
    assert cpa == pytest.approx(math.hypot(20.0, 20.0))


def test_closest_approach_that_is_past() -> None:
    cpa, t = closest_approach(np.zeros(2), np.array([0.0, 2.0]), np.array([30.0, -40.0]), np.array([0.0, -1.0]))
    assert (cpa, t) == (pytest.approx(50.0), 0.0)


def test_motion_in_the_words_of_the_bridge(model: PageModel) -> None:
    model.take(10.0, odometry(10.0, 3.0, 4.0, math.pi / 2, 2.0))
    odom = model.frame(10.05)["odom"]
    assert (odom["heading_deg"], odom["course_deg"], odom["speed"]) == (0.0, 0.0, 2.0)
    assert (odom["vx"], odom["vy"]) == (pytest.approx(0.0), pytest.approx(2.0))
    assert (odom["sigma_m"], odom["stale"]) == (0.5, False)


def test_everything_old_is_marked_old(model: PageModel) -> None:
    model.take(10.0, odometry(10.0, 0, 0, 0, 1))
    model.take(10.0, Tracks(10.0, np.zeros((1, 11))))
    model.take(10.0, StackState(10.0, "auto", True))
    model.take(10.0, MissionState(10.0, MissionPhase.RUNNING, 0.5, 100.0, 0.0))
    model.take(10.0, JointState(10.0, position={"rudder": 0.1}))
    model.take(10.0, ActuatorCommand(10.0, "auto", {"rudder": 0.1}))
    model.take(10.0, Health(10.0, "estimator"))
    model.take(10.0, Trajectory(10.0, np.zeros(1), np.zeros((1, 3)), np.zeros(1), np.zeros((1, 3)), np.zeros(1)))

    def ages(frame: dict[str, Any]) -> list[bool]:
        rudder = frame["actuators"][0]
        parts = [frame[k]["stale"] for k in ("odom", "tracks", "state", "mission", "plan")]
        return [*parts, rudder["wanted_stale"], rudder["measured_stale"], frame["health"][0]["stale"]]

    assert not any(ages(model.frame(10.1)))
    assert all(ages(model.frame(20.0)))
    assert model.frame(20.0)["odom"]["age"] == 10.0


def test_platform_file_overrides_the_age_limit(tmp_path: Any, root: Any) -> None:
    text = (root / "config/platforms/ship.yaml").read_text() + "\ntopics:\n  odom: {timeout_s: 5.0}\n"
    (tmp_path / "mine.yaml").write_text(text)
    model = PageModel(load_platform(tmp_path / "mine.yaml"))
    model.take(0.0, odometry(0.0, 0, 0, 0, 1))
    assert not model.frame(4.9)["odom"]["stale"]
    assert model.frame(5.1)["odom"]["stale"]


@pytest.mark.parametrize(
    ("state", "level", "title", "detail"),
    [
        (StackState(0, "standby", False, ("no fix", "no yaw")), "info", "STANDBY", "will not arm: no fix; no yaw"),
        (StackState(0, "standby", False), "info", "STANDBY", "ready to arm"),
        (StackState(0, "auto", True), "ok", "ARMED · AUTO", "passing astern of 12"),
        (StackState(0, "auto", True, ("planner is slow",)), "warn", "ARMED · AUTO", "planner is slow"),
        (StackState(0, "minimum_risk", True, ("no heartbeat",)), "alarm", "MINIMUM RISK", "no heartbeat"),
        (StackState(0, "stopped", False), "alarm", "STOPPED", "stopped by request"),
    ],
)  # fmt: skip
def test_banner(model: PageModel, state: StackState, level: str, title: str, detail: str) -> None:
    model.take(0.0, state)
    model.take(0.0, MissionState(0, MissionPhase.RUNNING, 0.1, 1.0, 0.0, "passing astern of 12"))
    assert model.banner(0.5) == {"level": level, "title": title, "detail": detail}


def test_banner_when_the_guard_is_silent(model: PageModel) -> None:
    assert model.banner(0.0)["level"] == "lost"
    model.take(0.0, StackState(0, "auto", True))
    banner = model.banner(3.0)
    assert (banner["level"], banner["title"]) == ("lost", "NO CONTACT")
    assert "3.0 s" in banner["detail"]
    assert "auto" in banner["detail"]


def test_tracks_are_sorted_moved_to_now_and_compared_with_the_own_way(model: PageModel) -> None:
    model.take(0.0, odometry(0.0, 0, 0, math.pi / 2, 2.0))
    rows = [
        [500.0, 0, 0, 0, 0, math.nan, math.nan, math.nan, math.nan, Kind.STATIC.value, math.nan],
        [100.0, 100.0, 0, -2.0, 0, math.pi, 20.0, 5.0, 440001, Kind.VESSEL.value, 4.0],
    ]
    model.take(0.0, Tracks(0.0, np.array(rows)))
    near, far = model.frame(0.5)["tracks"]["items"]
    assert (near["id"], near["kind"], near["x"], near["sigma_m"]) == (440001, "vessel", 99.0, 2.0)
    assert near["bearing_deg"] == pytest.approx(45.0)
    assert (near["cpa_m"], near["tcpa_s"]) == (pytest.approx(0.0), pytest.approx(50.0))
    assert (far["id"], far["kind"], far["length"]) == (None, "static", None)


def test_actuators_wanted_sent_and_measured(model: PageModel) -> None:
    model.take(0.0, ActuatorCommand(0.0, "manual", {"rudder": -0.2}))
    model.take(0.1, ActuatorCommand(0.1, "auto", {"rudder": 0.3, "throttle": 800.0}))
    model.take(0.1, ActuatorCommand(0.1, WIRE_SOURCE, {"rudder": 0.25}))
    model.take(0.1, JointState(0.1, position={"rudder": 0.2}, effort={"throttle": math.nan, "winch": 1.0}))
    rudder, throttle = model.frame(0.15)["actuators"]
    assert (rudder["wanted"], rudder["sent"], rudder["measured"]) == (0.3, 0.25, 0.2)
    assert throttle["wanted"] == 800.0
    assert "measured" not in throttle


def test_corridor_is_left_and_right_of_the_way(model: PageModel) -> None:
    points = np.array([[0.0, 0, 0], [100.0, 0, 0], [200.0, 0, 0]])
    width = np.array([[10.0, 5.0], [10.0, math.inf], [10.0, 5.0]])
    model.take(0.0, Route(points, np.ones(3), width))
    route = model.route()
    assert route["left"] == [[0.0, 10.0], [100.0, 10.0], [200.0, 10.0]]
    assert route["right"] == [[0.0, -5.0], None, [200.0, -5.0]]
    assert route["version"] == 1


def test_trail_keeps_half_a_length_apart(model: PageModel) -> None:
    for k in range(100):
        model.take(0.1 * k, odometry(0.1 * k, 0.5 * k, 0.0, 0.0, 5.0))
    trail = model.hello()["trail"]
    assert 7 <= len(trail) <= 9
    assert trail[1][0] == pytest.approx(6.5)


def test_a_plan_that_was_taken_back_is_gone(model: PageModel) -> None:
    zeros = np.zeros((1, 3))
    model.take(0.0, Trajectory(0.0, np.zeros(1), zeros, np.zeros(1), zeros, np.zeros(1)))
    assert model.frame(0.1)["plan"]["points"] == [[0.0, 0.0]]
    model.forget(Trajectory)
    assert model.frame(0.1)["plan"] is None


any_float = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(any_float, min_size=11, max_size=11), st.lists(any_float, min_size=6, max_size=6), any_float)
def test_no_value_makes_a_frame_that_is_not_json(track: list[float], pose: list[float], scalar: float) -> None:
    model = PageModel(SHIP)
    with np.errstate(all="ignore"):
        o = Odometry(0.0, np.array(pose[:3]), np.array([1.0, 0, 0, pose[3]]), np.array(pose[3:]), np.array(pose[:3]),
                     np.full((6, 6), scalar), np.eye(6))  # fmt: skip
        model.take(0.0, o)
        model.take(0.0, Tracks(0.0, np.array([track])))
        model.take(0.0, MissionState(0.0, MissionPhase.RUNNING, scalar, scalar, scalar))
        model.take(0.0, JointState(0.0, position={"rudder": scalar}, effort={"throttle": scalar}))
        model.take(0.0, ActuatorCommand(0.0, "auto", {"rudder": scalar}))
        model.take(0.0, Route(np.array([pose[:3], pose[3:]]), np.ones(2), np.full((2, 2), scalar)))
        text = json.dumps([model.hello(), model.route(), model.frame(0.1)], allow_nan=False)
    assert json.loads(text)[2]["actuators"][0]["name"] == "rudder"


def test_a_silent_planners_last_note_is_no_news(model: PageModel) -> None:
    model.take(10.0, MissionState(10.0, MissionPhase.RUNNING, 0.5, 100.0, 0.0, "following"))
    assert model.frame(11.0)["mission"]["note"] == "following"
    assert model.frame(14.0)["mission"]["note"] == "silent for 4 s; its last word was: following"


def test_fences_and_legs_and_what_is_broken(tmp_path: Any, root: Any) -> None:
    text = (root / "config/platforms/drone.yaml").read_text() + "\nfences:\n  - {height_max: 30.0}\n"
    (tmp_path / "mine.yaml").write_text(text)
    model = PageModel(load_platform(tmp_path / "mine.yaml"))
    assert [f["words"] for f in model.route()["fences"]] == ["fence: below 30 m"]
    steps = (
        Step("takeoff", np.array([[math.nan, math.nan, 10.0]]), 5.0), Step("waypoint", np.array([[40.0, 0, 10]]), 5.0),
        Step("survey", np.array([[40.0, 20, 10], [0, 20, 10]]), 5.0), Step("return", np.zeros((0, 3)), 5.0),
    )  # fmt: skip
    fences = (
        Fence(((-10, -10), (50, -10), (50, 50), (-10, 50))),
        Fence(centre=(20.0, 10.0), radius=5.0, keep_out=True, height_max=20.0),
    )
    before = model.route_version
    model.set_course(Course(steps, 5.0, fences=fences, home=(1.0, 2.0)))
    route = model.route()
    assert model.route_version == before + 1
    assert [(leg["step"], leg["kind"]) for leg in route["legs"]] == [
        (1, "takeoff"), (2, "waypoint"), (3, "survey"), (4, "return"),
    ]  # fmt: skip
    assert route["legs"][1]["points"] == [[1.0, 2.0], [40.0, 0.0]]
    assert route["legs"][2]["points"] == [[40.0, 0.0], [40.0, 20.0], [0.0, 20.0]]
    assert route["legs"][3]["points"][-1] == [1.0, 2.0]
    assert [f["keep_out"] for f in route["fences"]] == [False, False, True]
    places = {(0, 0, 10): [], (20, 10, 10): [2], (20, 10, 25): [], (60, 0, 10): [1], (60, 0, 31): [0, 1]}
    for place, broken in places.items():
        o = odometry(0.0, place[0], place[1], 0.0, 0.0)
        o.position[2] = place[2]
        model.take(0.0, o)
        assert model.frame(0.1)["beyond"] == broken, place
    model.set_course(None)
    assert model.route()["legs"] == []
    assert len(model.route()["fences"]) == 3  # the guard keeps them


def test_buttons_of_the_mission_are_what_its_planner_says(model: PageModel) -> None:
    def told(m: MissionState, now: float = 0.1) -> tuple[Any, ...]:
        model.take(0.0, m)
        shown = model.frame(now)["mission"]
        return shown["asks"], shown["flies"], shown["step"]

    assert told(MissionState(0, MissionPhase.RUNNING, 0, 0, 0)) == (["pause"], False, None)
    assert told(MissionState(0, MissionPhase.PAUSED, 0, 0, 0)) == (["resume"], False, None)
    assert told(MissionState(0, MissionPhase.IDLE, 0, 0, 0)) == ([], False, None)
    flies = MissionState(0, MissionPhase.RUNNING, 0, 0, 0, "", 3, asks=("pause", "land"))
    assert told(flies) == (["pause", "land"], True, 3)
    assert told(flies, 60.0)[0] == []  # nobody knows any more
    assert told(MissionState(0, MissionPhase.RUNNING, 0, 0, 0, "", 3, aside=True, asks=()))[2] is None

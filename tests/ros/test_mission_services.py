"""Missions over ROS: the planner's services and topics, for a vehicle that flies and for one that does not."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from harness import CLOCK, NodeProcess, graph, wait

from giljabi import topics
from giljabi.frames import LocalFrame, quat_from_yaw
from giljabi.missions.files import parse_plan, plan_text
from giljabi.missions.plan import Plan, PlanItem
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import message_class, qos_profile
from giljabi.ros.mission_client import ask
from giljabi.types import MissionPhase, MissionState, Odometry, Origin, StackState, Trajectory

DOMAIN = 88
ORIGIN = Origin(35.1, 129.0, 0.0)
FRAME = LocalFrame(ORIGIN)


def place(x: float, y: float) -> dict[str, float]:
    lat, lon, _ = FRAME.geodetic_from_map(np.array([x, y, 0.0]))
    return {"lat_deg": float(lat), "lon_deg": float(lon)}


def corner(x: float, y: float) -> tuple[float, float]:
    p = place(x, y)
    return p["lat_deg"], p["lon_deg"]


def mission(*places: tuple[float, float], fences: bool = False, flies: bool = True) -> str:
    items = [PlanItem(kind="waypoint", alt_m=10.0 if flies else 0.0, **place(*p)) for p in places]
    up, home = [PlanItem(kind="takeoff", alt_m=10.0)], [PlanItem(kind="return")]
    fence = [[corner(-99, -99), corner(99, -99), corner(99, 99), corner(-99, 99)]] if fences else []
    return plan_text(Plan(items=[*up, *items, *home] if flies else items, fences=fence))


class Bench:
    """The planner's process, and this test as the rest: a vehicle that is always where the plan says."""

    def __init__(self, node: Any, folder: Path, platform: str, flies: bool) -> None:
        self.node, self.armed, self.flies = node, False, flies
        self.p, self.plan_text = np.zeros(3), ""
        self.state: MissionState | None = None
        self.trajectory: Trajectory | None = None
        self.folder, self.platform = folder, platform
        self.begin()
        rows = (topics.ODOM, topics.ORIGIN, topics.STATE)
        self.out = {r: node.create_publisher(message_class(r.message), r.name, qos_profile(r.qos)) for r in rows}
        self.listen(topics.MISSION_STATE, lambda m: setattr(self, "state", status.mission_from_msg(m)))
        self.listen(topics.MISSION_PLAN, lambda m: setattr(self, "plan_text", m.data))
        self.listen(topics.TRAJECTORY, lambda m: setattr(self, "trajectory", goals.trajectory_from_msg(m)))
        self.out[topics.ORIGIN].publish(convert.origin_to_msg(ORIGIN, CLOCK.now()))
        self.end = threading.Event()
        threading.Thread(target=self._play, daemon=True).start()

    def begin(self) -> None:
        parameters = {"platform_file": self.platform, "memory_file": str(self.folder / "planner.json")}
        self.process = NodeProcess("planning", DOMAIN, self.folder, parameters)

    def listen(self, row: topics.Topic, use: Any) -> None:
        self.node.create_subscription(message_class(row.message), row.name, use, qos_profile(row.qos))

    def _play(self) -> None:
        while not self.end.wait(0.05):
            now, plan, zeros = CLOCK.now(), self.trajectory, np.zeros(3)
            if plan is not None and self.armed and self.flies:
                self.p = np.array([np.interp(now - plan.t, plan.times, c) for c in plan.position.T])
            odom = Odometry(now, self.p, quat_from_yaw(0.0), zeros, zeros, np.eye(6), np.eye(6))
            self.out[topics.ODOM].publish(convert.odom_to_msg(odom))
            mode = "auto" if self.armed else "standby"
            self.out[topics.STATE].publish(status.state_to_msg(StackState(now, mode, self.armed)))

    def told(self, text: str) -> None:
        wait(f"'{text}' as the planner's note", lambda: self.state is not None and text in self.state.note)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    platform, flies = getattr(request, "param", ("drone", True))
    with graph(DOMAIN) as node:
        b = Bench(node, tmp_path, platform, flies)
        try:
            wait("the planner", lambda: b.state is not None)
            yield b
        finally:
            b.end.set()
            b.process.end()


def test_a_mission_is_loaded_flown_paused_skipped_changed_and_brought_home(bench: Bench) -> None:
    assert ask("start", domain=DOMAIN) == (False, "there is no route; publish one on topic route, or load a mission")
    done, words = ask("load", mission((30, 0), (30, 30)), domain=DOMAIN)
    assert (done, words) == (True, "loaded, 4 steps")
    wait("the mission in force", lambda: bench.plan_text)
    assert parse_plan(bench.plan_text) == parse_plan(mission((30, 0), (30, 30)))
    bench.armed = True
    assert ask("start", domain=DOMAIN) == (True, "under way, step 1 of 4")
    bench.told("step 2 of 4")
    assert bench.p[2] > 8.0
    assert ask("pause", domain=DOMAIN)[0]
    bench.told("paused")
    for wrong, why in (
        ("items: [{kind: waypoint}]", "mission:1: 'items.0': waypoint has no place"),
        (mission((30, 0), fences=True), "its fences are not those in force"),
        ("{", "mission:1"),
    ):
        done, words = ask("load", wrong, domain=DOMAIN)
        assert not done
        assert why in words
    assert parse_plan(bench.plan_text) == parse_plan(mission((30, 0), (30, 30)))  # the old one is in force
    assert ask("load", mission((30, 0), (-30, 30)), domain=DOMAIN) == (True, "goes on at step 2 of 4")
    assert ask("skip", 9, domain=DOMAIN) == (False, "step 9 of 4; another one is expected")
    assert ask("skip", domain=DOMAIN) == (True, "goes to step 3 of 4 (waypoint)")
    assert ask("resume", domain=DOMAIN)[0]
    bench.told("step 3 of 4")
    assert ask("return", domain=DOMAIN) == (True, "returns")
    bench.told("arrived")
    assert np.hypot(*bench.p[:2]) < 1.1


@pytest.mark.parametrize("bench", [("ship", False)], indirect=True)
def test_a_ship_takes_a_mission_of_waypoints_and_says_what_it_cannot(bench: Bench) -> None:
    done, words = ask("load", mission((0, 0), (90, 0), flies=True), domain=DOMAIN)
    assert not done
    assert "step 1 (takeoff): this planner follows routes" in words
    assert ask("load", mission((0, 0), (90, 0), (90, 90), flies=False), domain=DOMAIN) == (
        True, "loaded as a route of 3 points",
    )  # fmt: skip
    assert ask("start", domain=DOMAIN)[0]
    wait("the ship under way", lambda: bench.state is not None and bench.state.phase is MissionPhase.RUNNING)
    assert ask("return", domain=DOMAIN) == (False, "this planner follows routes; it cannot return")
    assert ask("skip", 2, domain=DOMAIN) == (False, "this planner follows routes; it cannot skip")


def test_a_planner_that_was_killed_knows_its_mission_again_and_waits_for_a_word(bench: Bench) -> None:
    text = mission((30, 0), (30, 30), fences=True)
    assert ask("load", text, domain=DOMAIN) == (True, "loaded, 4 steps")
    bench.armed = True
    assert ask("start", domain=DOMAIN)[0]
    bench.told("step 3 of 4")
    bench.process.end(signal.SIGKILL)
    bench.state, bench.plan_text, bench.trajectory = None, "", None
    bench.begin()
    bench.told("started anew, paused at step 3 of 4; mission/resume goes on")
    assert bench.state is not None
    assert bench.state.phase is MissionPhase.PAUSED
    assert parse_plan(bench.plan_text) == parse_plan(text)  # in force, with its fences
    place = bench.p.copy()
    time.sleep(1.5)
    assert np.linalg.norm(bench.p - place) < 0.5
    assert ask("load", mission((30, 0)), domain=DOMAIN)[1].endswith("disarm before they are changed")
    assert ask("resume", domain=DOMAIN)[0]
    bench.told("step 4 of 4")
    bench.told("arrived")
    assert np.hypot(*bench.p[:2]) < 1.1


@pytest.mark.parametrize("bench", [("ship", False)], indirect=True)
def test_a_route_is_known_again_too_and_is_not_begun(bench: Bench) -> None:
    assert ask("load", mission((0, 0), (90, 0), (90, 90), flies=False), domain=DOMAIN)[0]
    bench.armed = True
    assert ask("start", domain=DOMAIN)[0]
    wait("the ship under way", lambda: bench.state is not None and bench.state.phase is MissionPhase.RUNNING)
    bench.process.end(signal.SIGKILL)
    bench.state = None
    bench.begin()
    wait("the ship's planner", lambda: bench.state is not None and "start" in bench.state.note)
    assert bench.state is not None
    assert bench.state.phase is MissionPhase.IDLE
    assert ask("start", domain=DOMAIN)[0]

"""Two planners as processes of their own: they find each other on /fleet/intent, agree, and pass with room."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from harness import CLOCK, NodeProcess, call, graph, wait

from giljabi import topics
from giljabi.fleet.intent import from_text
from giljabi.frames import quat_from_yaw
from giljabi.platform import load_platform
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import message_class, qos_profile
from giljabi.topics import Service, Topic
from giljabi.types import MissionPhase, MissionState, Odometry, Route

DOMAIN = 93
FLEET = "{kind: flight_fleet, rate_hz: 20, options: {fleet: {members: [vehicle_1, vehicle_2]}}}"


def platform_file(folder: Path) -> Path:
    text = load_platform("drone").file.path.read_text(encoding="utf-8")
    before, after = text.split("  planner:\n", 1)
    file = folder / "drone.yaml"
    file.write_text(f"{before}  planner: {FLEET}\n{after[after.index('  controller:') :]}")
    return file


class Vehicle:
    """A vehicle that is where its planner's trajectory says, with an odometry of 20 Hz."""

    def __init__(self, node: Any, name: str, place: list[float]) -> None:
        self._node, self._name = node, name
        self.place, self.velocity = np.array(place), np.zeros(3)
        self.mission: MissionState | None = None
        self._odom = self._publisher(topics.ODOM)
        self._route = self._publisher(topics.ROUTE)
        self._subscribe(topics.TRAJECTORY, self._follow)
        self._subscribe(topics.MISSION_STATE, self._told)

    def _publisher(self, row: Topic) -> Any:
        return self._node.create_publisher(
            message_class(row.message), f"/{self._name}/{row.name}", qos_profile(row.qos)
        )

    def _subscribe(self, row: Topic, use: Any) -> None:
        self._node.create_subscription(
            message_class(row.message), f"/{self._name}/{row.name}", use, qos_profile(row.qos)
        )

    def _follow(self, msg: Any) -> None:
        t = goals.trajectory_from_msg(msg)
        if t is not None:
            self.place, self.velocity = t.position[0], t.velocity[0]

    def _told(self, msg: Any) -> None:
        self.mission = status.mission_from_msg(msg)

    def tell(self) -> None:
        zero = np.zeros(3)
        odom = Odometry(CLOCK.now(), self.place, quat_from_yaw(0.0), self.velocity, zero, np.eye(6), np.eye(6))
        self._odom.publish(convert.odom_to_msg(odom))

    def go(self, points: list[list[float]]) -> None:
        n = len(points)
        route = Route(np.array(points, dtype=float), np.full(n, 4.0), np.full((n, 2), np.inf))
        self._route.publish(goals.route_to_msg(route, CLOCK.now()))
        service = Service(f"/{self._name}/{topics.MISSION_START.name}", topics.MISSION_START.type)
        wait("start", lambda: call(self._node, service).success)


def test_two_planners_agree_and_pass(tmp_path: Path) -> None:
    file = str(platform_file(tmp_path))
    places = {"a": [0.0, 0.0, 10.0], "b": [10.0, -10.0, 10.0]}
    ends = {"a": [20.0, 0.0, 10.0], "b": [10.0, 10.0, 10.0]}
    processes: list[NodeProcess] = []
    seen: set[str] = set()
    with graph(DOMAIN) as node:
        vehicles = {n: Vehicle(node, n, p) for n, p in places.items()}
        row = topics.FLEET_INTENT
        node.create_subscription(
            message_class(row.message), row.name, lambda m: seen.add(from_text(m.data).vehicle), qos_profile(row.qos)
        )
        end, least = threading.Event(), [math.inf]

        def play() -> None:
            while not end.wait(0.05):
                for v in vehicles.values():
                    v.tell()
                away = float(np.linalg.norm(vehicles["a"].place - vehicles["b"].place))
                least[0] = min(least[0], away)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        try:
            parameters = {"platform_file": file, "mission_file": ""}
            processes.append(NodeProcess("planner", DOMAIN, tmp_path, {**parameters, "system_id": 1}, "a"))
            wait("word of the first", lambda: seen == {"vehicle_1"})
            vehicles["a"].go([places["a"], ends["a"]])
            a, b = vehicles["a"], vehicles["b"]
            wait("waits", lambda: a.mission is not None and a.mission.note == "waits for word of vehicle_2")
            processes.append(NodeProcess("planner", DOMAIN, tmp_path, {**parameters, "system_id": 2}, "b"))
            wait("word of both", lambda: seen == {"vehicle_1", "vehicle_2"})
            b.go([places["b"], ends["b"]])
            for v in (a, b):
                wait("arrives", lambda v=v: v.mission is not None and v.mission.phase is MissionPhase.ARRIVED, 60.0)
        finally:
            end.set()
            thread.join(5.0)
            codes = [p.end() for p in processes]
    assert codes == [0, 0]
    assert np.allclose([a.place, b.place], [ends["a"], ends["b"]], atol=1.2)
    assert least[0] > 2.0


def test_a_vehicle_that_is_no_member_says_so(tmp_path: Path) -> None:
    parameters = {"platform_file": str(platform_file(tmp_path)), "mission_file": "", "system_id": 7}
    process = NodeProcess("planner", DOMAIN, tmp_path, parameters)
    try:
        wait("the words", lambda: "this vehicle is 'vehicle_7'" in process.log.read_text())
    finally:
        process.end()

"""The page's node on a real graph: messages in, events out; the buttons call the services."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed (extra [ros])")

from giljabi import topics  # noqa: E402
from giljabi.missions.files import plan_text  # noqa: E402
from giljabi.missions.plan import Home, Plan, PlanItem  # noqa: E402
from giljabi.ros import convert, goals, status  # noqa: E402
from giljabi.ros.messages import message_class, qos_profile, service_class  # noqa: E402
from giljabi.ros.page import PageNode  # noqa: E402
from giljabi.types import ActuatorCommand, Odometry, Origin, Route, StackState  # noqa: E402

pytestmark = pytest.mark.ros


class Graph:
    """The page's node and a stand-in for the rest of the graph, spun by one thread."""

    def __init__(self, context: Any) -> None:
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter

        parameters = [
            Parameter("platform_file", value="ship"),
            Parameter("page_port", value=18642),
            Parameter("devices_file", value="devices.json"),
        ]
        self.page = PageNode(context=context, parameter_overrides=parameters)
        self.peer = rclpy.create_node("peer", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.page)
        self.executor.add_node(self.peer)
        self.page.trigger_configure()
        self.page.trigger_activate()
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self) -> None:
        while not self.end.is_set():
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.end.set()
        self.thread.join(timeout=5)
        self.page.trigger_shutdown()
        self.executor.shutdown()
        self.page.destroy_node()
        self.peer.destroy_node()

    def publisher(self, topic: topics.Topic) -> Any:
        return self.peer.create_publisher(message_class(topic.message), topic.name, qos_profile(topic.qos))

    def connection(self) -> http.client.HTTPConnection:
        assert self.page.server is not None
        return http.client.HTTPConnection(self.page.server.url.removeprefix("http://").strip("/"), timeout=10)

    def press(self, name: str) -> dict[str, Any]:
        c = self.connection()
        c.request("POST", f"/buttons/{name}", headers={"X-Giljabi": "page"})
        return dict(json.loads(c.getresponse().read()))


@pytest.fixture
def graph() -> Iterator[Graph]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=78)
    g = Graph(context)
    yield g
    g.close()
    rclpy.shutdown(context=context)


def events(c: http.client.HTTPConnection, seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
    c.request("GET", "/events")
    reply, name, end = c.getresponse(), "", time.monotonic() + seconds
    while time.monotonic() < end:
        line = reply.readline().decode()
        if line.startswith("event: "):
            name = line[7:].strip()
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def test_messages_reach_the_page(graph: Graph) -> None:
    q = np.array([np.cos(0.3), 0, 0, np.sin(0.3)])
    slots = {"rudder": "position", "throttle": "effort"}
    route = Route(np.array([[0.0, 0, 0], [50.0, 20.0, 0]]), np.full(2, 2.0), np.full((2, 2), np.inf))
    odom, state = graph.publisher(topics.ODOM), graph.publisher(topics.STATE)
    wire = graph.publisher(topics.ACTUATOR_COMMANDS.at("wire"))
    path = graph.publisher(topics.ROUTE)
    path.publish(goals.route_to_msg(route, 1.0))
    health = graph.publisher(topics.DIAGNOSTICS)
    ours, foreign = (status.PartHealth(1.0, name, {"gnss": "no fix"}) for name in ("/drivers/bridge", "other_ship"))

    seen: dict[str, Any] = {}
    for name, data in events(graph.connection(), 15.0):
        now = graph.page.clock.now()
        o = Odometry(now, np.array([7.0, -3.0, 0]), q, np.array([2.0, 0, 0]), np.zeros(3), np.eye(6), np.eye(6))
        health.publish(status.diagnostics_to_msg([ours, foreign]))
        odom.publish(convert.odom_to_msg(o))
        state.publish(status.state_to_msg(StackState(now, "standby", False, ("no fix",))))
        wire.publish(goals.command_to_msg(ActuatorCommand(now, "wire", {"rudder": 0.1, "throttle": 900.0}), slots))
        seen[name] = data
        frame = seen.get("frame", {})
        if (
            frame.get("odom")
            and frame["health"]
            and frame["actuators"][1].get("sent") == 900.0
            and seen.get("route", {}).get("points")
        ):
            break
    assert seen["hello"]["note"] == "simulated"
    assert seen["route"]["points"] == [[0.0, 0.0], [50.0, 20.0]]
    assert (frame["odom"]["x"], frame["odom"]["y"], frame["odom"]["speed"]) == (7.0, -3.0, 2.0)
    assert frame["odom"]["yaw"] == pytest.approx(0.6, abs=1e-3)
    assert frame["odom"]["stale"] is False
    rows = {row["name"]: row["reasons"] for row in frame["health"]}
    assert rows["bridge"] == ["gnss: no fix"]
    assert set(rows) <= {"bridge", "page"}
    assert frame["banner"]["detail"] == "will not arm: no fix"


def test_stop_calls_the_service_and_tells_the_answer(graph: Graph) -> None:
    calls = []

    def stop(_request: Any, response: Any) -> Any:
        calls.append(time.monotonic())
        response.success, response.message = True, "safe outputs on the wire"
        return response

    first = graph.press("stop")
    assert first["done"] is False
    assert "nobody serves it" in first["message"]
    graph.peer.create_service(service_class(topics.STOP.type), topics.STOP.name, stop)
    end = time.monotonic() + 10
    while not (answer := graph.press("stop"))["done"] and time.monotonic() < end:
        time.sleep(0.1)
    assert answer == {"done": True, "message": "stop: safe outputs on the wire"}
    assert len(calls) == 1


def test_a_service_that_does_not_answer_is_reported(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    import giljabi.ros.page

    monkeypatch.setattr(giljabi.ros.page, "ANSWER_S", 0.3)

    def hang(_request: Any, response: Any) -> Any:
        time.sleep(1.0)
        return response

    graph.peer.create_service(service_class(topics.MISSION_PAUSE.type), topics.MISSION_PAUSE.name, hang)
    end = time.monotonic() + 10
    while "nobody" in (answer := graph.press("pause"))["message"] and time.monotonic() < end:
        time.sleep(0.1)
    assert answer == {"done": False, "message": "mission/pause: no answer within 0.3 s"}


def test_a_mission_comes_with_legs_and_fences_and_its_buttons_call_the_planner(graph: Graph) -> None:
    square = [(35.1, 129.0), (35.1, 129.01), (35.11, 129.01), (35.11, 129.0)]
    items = [PlanItem(kind="takeoff", alt_m=10.0), PlanItem(kind="waypoint", lat_deg=35.105, lon_deg=129.005)]
    plan = Plan(home=Home(lat_deg=35.102, lon_deg=129.002), items=[*items, PlanItem(kind="return")], fences=[square])
    mission, origin = graph.publisher(topics.MISSION_PLAN), graph.publisher(topics.ORIGIN)
    mission.publish(message_class(topics.MISSION_PLAN.message)(data=plan_text(plan)))
    origin.publish(convert.origin_to_msg(Origin(35.1, 129.0, 0.0), graph.page.clock.now()))
    seen: dict[str, Any] = {}
    for name, data in events(graph.connection(), 15.0):
        seen[name] = data
        if seen.get("route", {}).get("legs"):
            break
    assert [leg["kind"] for leg in seen["route"]["legs"]] == ["takeoff", "waypoint", "return"]
    east, north = seen["route"]["legs"][1]["points"][-1]
    assert (east, north) == (pytest.approx(455.9, abs=2.0), pytest.approx(554.7, abs=2.0))
    assert seen["route"]["fences"][0]["points"][2] == [pytest.approx(911.8, abs=3.0), pytest.approx(1109.5, abs=3.0)]
    assert set(seen["hello"]["buttons"]) == {"stop", "pause", "resume", "skip", "return", "land"}
    asked = []
    for row in (topics.MISSION_SKIP, topics.MISSION_RETURN, topics.MISSION_LAND):
        name = row.name.rpartition("/")[2]

        def answer(_request: Any, response: Any, name: str = name) -> Any:
            asked.append(name)
            response.success, response.message = name != "land", f"{name}: heard"
            return response

        graph.peer.create_service(service_class(row.type), row.name, answer)
        end = time.monotonic() + 10
        while "nobody" in (reply := graph.press(name))["message"] and time.monotonic() < end:
            time.sleep(0.1)
        assert reply == {"done": name != "land", "message": f"{row.name}: {name}: heard"}
    assert asked == ["skip", "return", "land"]

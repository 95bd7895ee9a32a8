"""The operator's page as a node: topics in, the page's web server beside it, buttons out as service calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from giljabi import topics
from giljabi.missions.course import course_from
from giljabi.missions.files import parse_plan
from giljabi.operator.page import WIRE_SOURCE, PageModel, Shown
from giljabi.operator.server import PORT, RATE_HZ, Button, PageFeed, PageServer
from giljabi.platform import Platform
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import service_class
from giljabi.ros.node import StackNode
from giljabi.ros.status import PartHealth
from giljabi.tell import tell
from giljabi.topics import Service, Topic
from giljabi.types import Trajectory

ANSWER_S = 2.0  # a button waits this long for its service


class PageNode(StackNode):
    """Parameters beside those of StackNode: page_port (the first port tried), devices_file (set when simulated)."""

    def __init__(self, name: str = "page", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("page_port", PORT)
        self.declare_parameter("devices_file", "")
        self.server: PageServer | None = None

    def build(self, platform: Platform) -> None:
        """Subscribes to what is shown and begins to serve."""
        note = "simulated" if self.get_parameter("devices_file").value else "hardware"
        feed = PageFeed(PageModel(platform, note), self.clock.now)
        slots = {name: a.slot for name, a in platform.model.actuators.items()}
        speed = platform.model.limits.speed_max
        show = self.subscribe
        self.show_newest(topics.ODOM, convert.odom_from_msg, feed)
        show(topics.TRACKS, convert.tracks_from_msg, feed.take)
        show(topics.ROUTE, partial(goals.route_from_msg, default_speed=speed), feed.take)
        # None: the planner says that there is nothing to follow.
        show(topics.TRAJECTORY, goals.trajectory_from_msg, lambda p: feed.take(p) if p else feed.forget(Trajectory))
        show(topics.STATE, status.state_from_msg, feed.take)
        show(topics.MISSION_STATE, status.mission_from_msg, feed.take)
        self.show_newest(topics.JOINT_STATES, convert.joints_from_msg, feed)
        show(topics.DIAGNOSTICS, status.diagnostics_from_msg, partial(self._take_parts, feed))
        for source in ("auto", "manual", WIRE_SOURCE):
            command = partial(_command, slots=slots, source=source)
            self.show_newest(topics.ACTUATOR_COMMANDS.at(source), command, feed)
        self._show_mission(feed)
        buttons = {
            "stop": self.button(topics.STOP),
            "pause": self.button(topics.MISSION_PAUSE),
            "resume": self.button(topics.MISSION_RESUME),
            "skip": self.button(topics.MISSION_SKIP),
            "return": self.button(topics.MISSION_RETURN),
            "land": self.button(topics.MISSION_LAND),
        }
        self.server = PageServer(feed, buttons, int(self.get_parameter("page_port").value or PORT))
        self.server.start()
        watched = self.publisher(topics.OPERATOR, _heartbeat)
        server = self.server
        self.every(self.row(topics.OPERATOR).rate_hz, lambda now: watched(now) if server.watched else None)
        tell("page", url=self.server.url)
        self.get_logger().info(f"page: {self.server.url}")

    def _show_mission(self, feed: PageFeed) -> None:
        """Fences and legs of the mission in force, as soon as it is known where map is."""
        known: dict[str, Any] = {"plan": None, "origin": None}

        def draw(**news: Any) -> None:
            known.update(news)
            if known["plan"] is not None and known["origin"] is not None:
                feed.set_course(course_from(known["plan"], known["origin"]))

        def take_plan(text: str) -> None:
            if text:
                draw(plan=parse_plan(text))
            else:
                known["plan"] = None
                feed.set_course(None)

        self.on_mission(lambda mission: None if mission.plan else feed.set_fences(mission.fences))
        self.subscribe(topics.MISSION_PLAN, lambda msg: msg.data, take_plan)
        self.subscribe(topics.ORIGIN, convert.origin_from_msg, lambda origin: draw(origin=origin))

    def show_newest(self, topic: Topic, from_msg: Callable[[Any], Shown], feed: PageFeed) -> None:
        """Converts only the newest message, and only as often as the page is drawn: these topics are fast."""
        newest: list[tuple[float, Any]] = []

        def keep(msg: Any) -> None:
            newest[:] = [(self.clock.now(), msg)]

        def take(_now: float) -> None:
            if newest:
                at, msg = newest.pop()
                feed.take(from_msg(msg), at)

        self.subscribe(topic, lambda msg: msg, keep)
        self.every(RATE_HZ, take)

    def _take_parts(self, feed: PageFeed, parts: list[PartHealth]) -> None:
        own = self.get_namespace().rstrip("/") + "/"
        for part in parts:
            # /diagnostics is shared by all vehicles on this network: only names in our own namespace are shown.
            if part.part.startswith(own):
                feed.take(part.health())

    def close(self) -> None:
        """Ends the server."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def button(self, service: Service) -> Button:
        """Calls a Trigger service and waits for the answer; to be used from the server's threads."""
        kind = service_class(service.type)
        client: Any = self.create_client(kind, service.name)
        self._handles.append((self.destroy_client, client))

        def press() -> tuple[bool, str]:
            if not client.service_is_ready():
                return False, f"{service.name}: nobody serves it; is the vehicle's process running?"
            answered = threading.Event()
            future = client.call_async(kind.Request())
            future.add_done_callback(lambda _: answered.set())
            if not answered.wait(ANSWER_S):
                client.remove_pending_request(future)
                return False, f"{service.name}: no answer within {ANSWER_S:.1f} s"
            answer = future.result()
            if answer is None:
                return False, f"{service.name}: the call failed"
            return bool(
                answer.success
            ), f"{service.name}: {answer.message or ('done' if answer.success else 'refused')}"

        return press


def _heartbeat(now: float) -> Any:
    return convert.header(now, "")


def _command(msg: Any, slots: dict[str, Any], source: str) -> Any:
    return goals.command_from_msg(msg, slots, source)

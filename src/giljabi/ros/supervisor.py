"""Supervisor node: watches every part, and tells the guard why the vehicle is not ready."""

from __future__ import annotations

from functools import partial

from giljabi import topics
from giljabi.nodes import processes
from giljabi.platform import Platform
from giljabi.ros import convert, convert_external, status
from giljabi.ros.node import StackNode
from giljabi.ros.sensors import STATE_TOPICS, detection_topics, detectors, scan_topic, scanners
from giljabi.ros.status import PartHealth
from giljabi.safety.failsafes import FailsafeInputs, Failsafes
from giljabi.safety.supervisor import Supervisor, SupervisorInputs
from giljabi.types import Battery, MissionState, Odometry


def watched(own: str, fast_loop: bool = False) -> list[str]:
    """Names of the nodes without which the vehicle cannot go: all that always run, but the watcher itself."""
    table = processes(simulated=False, page=False, conducted=False, fast_loop=fast_loop)
    return [n.name for p in table for n in p.nodes if n.name != own]


class SupervisorNode(StackNode):
    """Its own process, so that it outlives what it watches."""

    def build(self, platform: Platform) -> None:
        self._supervisor = Supervisor(platform)
        self._watched = watched(self.get_name(), platform.model.fast_loop is not None)
        self._stamps: dict[str, float] = {}
        self._odom_t: float | None = None
        self._mission: MissionState | None = None
        self._parts: dict[str, PartHealth] = {}
        self._heartbeat = self.publisher(topics.HEARTBEAT, status.health_to_msg)
        for topic in STATE_TOPICS:
            self.subscribe_headers(topic.row, self._take_stamp)
        for source in detectors(platform):
            for topic in detection_topics(source):
                self.subscribe_headers(topic.row, partial(self._take_scan, source))
        for source in scanners(platform):
            self.subscribe_headers(scan_topic(source).row, self._take_stamp)
        self._failsafes, self._covered, self._armed = Failsafes(platform), False, False
        self._odom: Odometry | None = None
        self._battery: Battery | None = None
        self._operator_t: float | None = None
        if platform.model.failsafes is None:
            self.subscribe_headers(topics.ODOM, self._take_odom)
        else:
            self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_whole_odom)
            self.subscribe(topics.BATTERY, convert_external.battery_from_msg, lambda s: setattr(self, "_battery", s))
            self.subscribe_headers(topics.OPERATOR, lambda frame, t: setattr(self, "_operator_t", t))
            self.subscribe(topics.STATE, status.state_from_msg, lambda s: setattr(self, "_armed", s.armed))
        self.subscribe(topics.MISSION_STATE, status.mission_from_msg, self._take_mission)
        self.subscribe(topics.DIAGNOSTICS, status.diagnostics_from_msg, self._take_parts)
        self.every(self.row(topics.HEARTBEAT).rate_hz, self._step)

    def _take_stamp(self, source: str, t: float) -> None:
        self._stamps[source] = max(t, self._stamps.get(source, t))

    def _take_scan(self, source: str, frame: str, t: float) -> None:
        self._take_stamp(source, t)  # the frame of a scan is not its sensor's name

    def _take_odom(self, frame: str, t: float) -> None:
        self._odom_t = t

    def _take_whole_odom(self, odom: Odometry) -> None:
        self._odom, self._odom_t = odom, odom.t

    def _take_mission(self, mission: MissionState) -> None:
        self._mission = mission

    def _take_parts(self, parts: list[PartHealth]) -> None:
        own = self.get_namespace().rstrip("/") + "/"
        for part in parts:
            # /diagnostics is shared by all vehicles on this network: only names in our own namespace count.
            if part.part.startswith(own):
                self._parts[part.part.removeprefix(own)] = part

    def _step(self, now: float) -> None:
        problems = {name.rsplit("/", 1)[-1]: dict(p.problems) for name, p in self._parts.items()}
        timeout = self.row(topics.DIAGNOSTICS).timeout_s
        for name in self._watched:
            part = self._parts.get(name)
            if part is None:
                problems[name] = {name: "not heard of yet; is its process running?"}
            elif now - part.t > timeout:
                problems[name] = {name: f"not heard of for {now - part.t:.1f} s; is its process running?"}
        inputs = SupervisorInputs(dict(self._stamps), self._odom_t, problems, self._mission, self._covered)
        health = self._supervisor.step(now, inputs)
        seen = FailsafeInputs(self._armed, health, self._supervisor.raised, self._battery, self._odom, self._operator_t)
        health = self._failsafes.step(now, seen)
        self._covered = health.demand in ("return", "land")
        self._heartbeat(health)

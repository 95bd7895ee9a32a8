"""Planner node: odometry, tracks and a route in; trajectory, plan and mission state out; services mission/*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nav_msgs.msg import Path as PathMsg
from std_msgs.msg import String as StringMsg

from giljabi import topics
from giljabi.fleet.intent import Intent, from_text, to_text
from giljabi.mission import Mission
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert, convert_map, goals, status
from giljabi.ros.node import StackNode
from giljabi.safety.hold import DegradedHold
from giljabi.steps import FleetMember, MapFollower, Planner, fleet_name, plan_inside
from giljabi.types import Health, MissionPhase, MissionState, Odometry, Route, Tracks


def _intent_to_msg(intent: Intent) -> StringMsg:
    return StringMsg(data=to_text(intent))


class PlannerNode(StackNode):
    """Holds one planner. The route comes from the mission file, or from anybody on topic `route`."""

    def build(self, platform: Platform) -> None:
        self.planner: Planner = build_step(platform, "planner")
        plan_inside(self.planner, platform, ())
        self._odom: Odometry | None = None
        self._tracks: Tracks | None = None
        self._route: Route | None = None
        self._phase: MissionPhase | None = None
        self._hold = DegradedHold()
        self._own_stamp: tuple[int, int] | None = None  # of the route that this node published itself
        self._trajectory = self.publisher(topics.TRAJECTORY, goals.trajectory_to_msg)
        self._plan = self.publisher(topics.PLAN, goals.plan_to_msg)
        self._mission = self.publisher(topics.MISSION_STATE, status.mission_to_msg)
        self._route_out = self.publisher(topics.ROUTE, self._own_route_to_msg)
        self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_odom)
        self.subscribe(topics.TRACKS, convert.tracks_from_msg, self._take_tracks)
        if isinstance(self.planner, MapFollower):
            self.subscribe(topics.MAP, convert_map.map_from_msg, self.planner.set_map)
        if isinstance(self.planner, FleetMember):
            self._join(self.planner)
        self.subscribe(topics.HEARTBEAT, status.health_from_msg, self._take_health)
        self.subscribe(topics.ROUTE, lambda msg: msg, self._take_route_msg)
        self.on_mission(self._take_mission)
        self.serve(topics.MISSION_START, self._start)
        self.serve(topics.MISSION_RESUME, self._start)
        self.serve(topics.MISSION_PAUSE, self._pause)
        self.every(platform.model.steps.planner.rate_hz, self._step)

    def _join(self, planner: FleetMember) -> None:
        """Others hear of this vehicle from when it knows where it is, and it of them at once."""
        planner.join(fleet_name(int(self.get_parameter("system_id").value)))
        say = self.publisher(topics.FLEET_INTENT, _intent_to_msg)
        self.subscribe(topics.FLEET_INTENT, lambda msg: from_text(msg.data), planner.hear)

        def tell(now: float) -> None:
            intent = planner.say(now)
            if intent is not None:
                say(intent)

        self.every(self.row(topics.FLEET_INTENT).rate_hz, tell)

    # --- inputs ---

    def _take_odom(self, odom: Odometry) -> None:
        self._odom = odom

    def _take_tracks(self, tracks: Tracks) -> None:
        self._tracks = tracks

    def _take_health(self, health: Health) -> None:
        if self._hold.step(health, self._phase, self.planner):
            what = "stopping: " + "; ".join(health.reasons) if self._hold.holding else "healthy again, going on"
            self.get_logger().warning(what)

    def _take_mission(self, mission: Mission) -> None:
        plan_inside(self.planner, self.platform, mission.fences)
        if mission.route is not None:
            self._take_route(mission.route)
            self._route_out(mission.route)

    def _own_route_to_msg(self, route: Route) -> PathMsg:
        msg = goals.route_to_msg(route, self.clock.now())
        self._own_stamp = (msg.header.stamp.sec, msg.header.stamp.nanosec)
        return msg

    def _take_route_msg(self, msg: PathMsg) -> None:
        # Walls of a route from a file would be lost on the way through the message.
        if (msg.header.stamp.sec, msg.header.stamp.nanosec) != self._own_stamp:
            self._take_route(goals.route_from_msg(msg, self.platform.model.limits.speed_max))

    def _take_route(self, route: Route) -> None:
        self.planner.set_route(route)
        self._route = route

    def _start(self, request: Any) -> tuple[bool, str]:
        if self._route is None:
            return False, "there is no route; publish one on topic route, or give a mission file"
        self._hold.forget()
        self.planner.start()
        return True, "under way"

    def _pause(self, request: Any) -> tuple[bool, str]:
        self._hold.forget()
        self.planner.pause()
        return True, "stopping; mission/resume goes on"

    # --- step ---

    def _step(self, now: float) -> None:
        odom = self._odom
        if odom is None or now - odom.t > self.row(topics.ODOM).timeout_s:
            self._mission(MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waiting for odometry"))
            return
        if self._route is None and not isinstance(self.planner, FleetMember):  # who stands about is in the way, too
            self._mission(MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waiting for a route"))
            return
        # Old tracks are kept: they are predicted, and an obstacle does not go away because the tracker died.
        result = self.planner.step(now, odom, self._tracks)
        self._trajectory(result.trajectory)
        self._plan(result.trajectory)
        self._mission(result.mission)
        self._phase = result.mission.phase

    def problems(self, now: float) -> Mapping[str, str]:
        if self.mission_awaited:
            return {"route": f"waits for {self.get_parameter('mission_file').value}"}
        return {} if self._route is not None else {"route": "there is none; publish one on topic route"}

"""Planner node: odometry, tracks and a route in; trajectory, plan and mission state out; services mission/*."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nav_msgs.msg import Path as PathMsg
from std_msgs.msg import String

from giljabi import topics
from giljabi.fleet.intent import Intent, from_text, to_text
from giljabi.mission import Mission
from giljabi.missions.desk import NO_ORIGIN, Desk
from giljabi.missions.files import parse_plan, plan_text
from giljabi.missions.memory import Memory, MemoryModel
from giljabi.missions.plan import Plan
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert, convert_external, convert_map, goals, status
from giljabi.ros.node import StackNode
from giljabi.safety.hold import DegradedHold
from giljabi.steps import (
    FeelsWind,
    FleetMember,
    GoesOn,
    KnowsGround,
    MapFollower,
    Planner,
    WatchesRange,
    fleet_name,
    plan_inside,
)
from giljabi.types import (
    Array,
    BadInputError,
    FootPlan,
    Health,
    MissionPhase,
    MissionState,
    Odometry,
    Origin,
    Route,
    Tracks,
)

MISSION_ASKS = (
    topics.MISSION_START, topics.MISSION_PAUSE, topics.MISSION_RESUME, topics.MISSION_SKIP, topics.MISSION_RETURN,
    topics.MISSION_LAND,
)  # fmt: skip


EMPTY = FootPlan(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0))


def _intent_to_msg(intent: Intent) -> String:
    return String(data=to_text(intent))


class PlannerNode(StackNode):
    """Holds one planner and its missions.

    They come from the run's mission file, or from anybody by service `mission/load` or on topic `route`. Parameter
    beside those of StackNode: memory_file (what was in force, for a process that is started anew; empty: nothing).
    """

    def __init__(self, name: str = "planner", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("memory_file", "")

    def build(self, platform: Platform) -> None:
        self.planner: Planner = build_step(platform, "planner")
        plan_inside(self.planner, platform, ())
        self._odom: Odometry | None = None
        self._tracks: Tracks | None = None
        self._desk = Desk(self.planner)
        self._waiting: Plan | None = None  # for the origin of map
        path = self.get_parameter("memory_file").value
        self._memory = Memory(Path(path) if path else None)
        self._unsaid: Route | None = None  # remembered, and not published yet
        self._last = self._remembered()  # what the process before this one was at
        self._phase: MissionPhase | None = None
        self._told: MissionState | None = None  # of the mission, last
        self._hold = DegradedHold()
        self._own_stamp: tuple[int, int] | None = None  # of the route that this node published itself
        self._trajectory = self.publisher(topics.TRAJECTORY, goals.trajectory_to_msg)
        self._plan = self.publisher(topics.PLAN, goals.plan_to_msg)
        self._footsteps = self.publisher(topics.FOOTSTEPS, goals.steps_to_msg)
        self._steps: FootPlan | None = None  # told last
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
        self.subscribe(topics.GOAL_POSE, goals.goal_from_msg, self._take_goal)
        self._mission_out = self.publisher(topics.MISSION_PLAN, lambda text: String(data=text))
        self.subscribe(topics.STATE, status.state_from_msg, lambda s: self._desk.take_armed(s.armed))
        if isinstance(self.planner, WatchesRange):
            self.subscribe(topics.BATTERY, convert_external.battery_from_msg, self.planner.take_battery)
        if isinstance(self.planner, FeelsWind):
            self._tell_wind(self.planner)
        self.subscribe(topics.ORIGIN, convert.origin_from_msg, self._take_origin)
        self.on_mission(self._take_mission)
        for row in MISSION_ASKS:
            self.serve(row, partial(self._asked, row.name.rpartition("/")[2]))
        self.serve_value(topics.MISSION_SKIP_TO, "step", self._skip_to)
        self.serve_value(topics.MISSION_LOAD, "mission", self._load)
        self.every(platform.model.steps.planner.rate_hz, self._step)
        self._recall()

    def _remembered(self) -> MemoryModel:
        try:
            return self._memory.read()
        except BadInputError as e:
            self.get_logger().error(f"what the last planner was at is lost: {e}")
            return MemoryModel()

    def _recall(self) -> None:
        """What was in force before; a mission waits for the origin of map."""
        self._waiting = self._last.plan
        route = self._unsaid = self._last.way()
        if route is not None:
            self._take_route(route, again=True)
            self._go_on()

    def _go_on(self) -> None:
        """Paused where the last process was; it never goes on by itself."""
        last, self._last = self._last.progress, MemoryModel(route=self._last.route)
        under_way = last is not None and last.phase in (MissionPhase.RUNNING, MissionPhase.PAUSED)
        if last is not None and under_way and isinstance(self.planner, GoesOn):
            self.get_logger().warning(self.planner.go_on_at(last.progress()))

    def _tell_wind(self, planner: FeelsWind) -> None:
        """Once a second, where it is known and news."""
        say, told = self.publisher(topics.WIND, convert.wind_to_msg), [-1e9]

        def tell(now: float) -> None:
            wind = planner.wind()
            if wind is not None and wind.t > told[0]:
                told[0] = wind.t
                say(wind)

        self.every(self.row(topics.WIND).rate_hz, tell)

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
        self._desk.take_health(health)
        if self._hold.step(health, self._phase, self.planner):
            what = "stopping: " + "; ".join(health.reasons) if self._hold.holding else "healthy again, going on"
            self.get_logger().warning(what)

    def _take_mission(self, mission: Mission) -> None:
        if isinstance(self.planner, KnowsGround):
            self.planner.set_ground(mission.ground)
        if self._desk.plan is not None or self._waiting is not None:
            return  # remembered, with its fences; or loaded before the file was there
        plan_inside(self.planner, self.platform, mission.fences)
        if self._desk.ready:
            return
        if mission.route is not None:
            self._take_route(mission.route)
            self._route_out(mission.route)
        if mission.plan is not None:
            self._waiting = mission.plan
            self._take_waiting()

    def _take_origin(self, origin: Origin) -> None:
        self._desk.origin = origin
        self._take_waiting()

    def _take_waiting(self) -> None:
        """The run's own mission, as soon as it is known where map is."""
        if self._waiting is not None and self._desk.origin is not None:
            plan, self._waiting = self._waiting, None
            again = self._last.plan is not None
            self.get_logger().info(self._take_plan(plan, again))
            if again:
                self._go_on()

    def _take_plan(self, plan: Plan, again: bool = False) -> str:
        """Raises BadInputError, and the old mission stays."""
        words = self._desk.load_plan(plan, again)
        if not again:
            self._memory.keep_plan(plan)
        plan_inside(self.planner, self.platform, self._desk.fences)
        self._mission_out(plan_text(plan))
        if self._desk.route is not None:
            self._route_out(self._desk.route)
        return words

    def _load(self, text: Any) -> str:
        if not isinstance(text, str):
            raise BadInputError(f"mission: a {type(text).__name__}; a text is expected")
        words = self._take_plan(parse_plan(text))
        self.get_logger().info(f"mission: {words}")
        return words

    def _skip_to(self, step: Any) -> str:
        if not isinstance(step, int) or isinstance(step, bool):
            raise BadInputError(f"step is {step}; a whole number from 1 is expected")
        self._hold.forget()
        return self._desk.ask("skip", step)

    def _asked(self, what: str, request: Any) -> tuple[bool, str]:
        self._hold.forget()
        words = self._desk.ask(what)
        self.get_logger().info(f"mission/{what}: {words}")
        return True, words

    def _own_route_to_msg(self, route: Route) -> PathMsg:
        msg = goals.route_to_msg(route, self.clock.now())
        self._own_stamp = (msg.header.stamp.sec, msg.header.stamp.nanosec)
        return msg

    def _take_route_msg(self, msg: PathMsg) -> None:
        # Walls of a route from a file would be lost on the way through the message.
        if (msg.header.stamp.sec, msg.header.stamp.nanosec) == self._own_stamp:
            return
        route, known = goals.route_from_msg(msg, self.platform.model.limits.speed_max), self._last.way()
        if known is not None and np.array_equal(known.points, route.points):
            self._last = MemoryModel()  # whoever published it before has said it again, to this process
        else:
            self._take_route(route)

    def _take_goal(self, goal: tuple[Array, float | None]) -> None:
        """A place in map, and a heading: straight there from where the vehicle is, when the mission is started."""
        if self._odom is None or self.clock.now() - self._odom.t > self.row(topics.ODOM).timeout_s:
            raise BadInputError("goal_pose: it is not known where the vehicle is; odometry is expected first")
        route = goals.straight_to(self._odom.position, goal[0], self.platform.model.limits.speed_max, goal[1])
        self._take_route(route)
        self._route_out(route)

    def _take_route(self, route: Route, again: bool = False) -> None:
        self._desk.set_route(route)
        if not again:
            self._memory.keep_route(route)
        self._mission_out("")

    # --- step ---

    def _step(self, now: float) -> None:
        if self._unsaid is not None:  # nobody else has it any more
            self._route_out(self._unsaid)
            self._unsaid = None
        odom = self._odom
        if odom is None or now - odom.t > self.row(topics.ODOM).timeout_s:
            blind = MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0) if self._told is None else self._told
            self._mission(replace(blind, t=now, note="waiting for odometry"))
            return
        if not self._desk.ready and not isinstance(self.planner, FleetMember):  # who stands about is in the way, too
            self._mission(MissionState(now, MissionPhase.IDLE, 0.0, 0.0, 0.0, "waiting for a route or a mission"))
            return
        # Old tracks are kept: they are predicted, and an obstacle does not go away because the tracker died.
        result = self.planner.step(now, odom, self._tracks)
        self._tell_steps(result.steps)
        self._trajectory(result.trajectory)
        self._plan(result.trajectory)
        self._mission(result.mission)
        self._phase, self._told = result.mission.phase, result.mission
        if isinstance(self.planner, GoesOn):
            self._memory.keep_progress(self.planner.progress())

    def _tell_steps(self, steps: FootPlan | None) -> None:
        """Planned steps, once; an empty plan: none."""
        if isinstance(self.planner, KnowsGround) and steps is not self._steps:
            self._steps = steps
            self._footsteps(EMPTY if steps is None else steps)

    def problems(self, now: float) -> Mapping[str, str]:
        if self.mission_awaited:
            return {"route": f"waits for {self.get_parameter('mission_file').value}"}
        if self._waiting is not None:
            return {"mission": NO_ORIGIN}
        if self._desk.ready and isinstance(self.planner, WatchesRange):
            return self.planner.problems()
        return {} if self._desk.ready else {"route": "there is none; publish one on topic route, or load a mission"}

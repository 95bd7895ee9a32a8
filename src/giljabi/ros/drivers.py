"""Drivers node: bytes to samples, and the guard, the only writer on the wire; services arm, stop and release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sensor_msgs.msg import JointState as JointStateMsg

from giljabi import topics
from giljabi.fence import Fence
from giljabi.frames import LocalFrame
from giljabi.mission import Mission
from giljabi.missions.course import fences_of
from giljabi.missions.desk import NO_ORIGIN
from giljabi.missions.files import parse_plan
from giljabi.missions.plan import Plan
from giljabi.platform import Platform
from giljabi.registry import build_driver, build_fast_loop
from giljabi.ros import convert, goals, status
from giljabi.ros.fast import FastRunner
from giljabi.ros.node import StackNode
from giljabi.ros.sensors import sample_publisher
from giljabi.ros.status import PartHealth
from giljabi.ros.told import RATE_HZ, Told
from giljabi.ros.wires import Wires
from giljabi.safety.guard import feedback_slots
from giljabi.safety.guard_thread import build_guard_thread
from giljabi.topics import AUTO, MANUAL, WIRE
from giljabi.types import ActuatorCommand, Health, JointState, Odometry, Origin, Sample, StackState
from giljabi_drivers.contract import Driver
from giljabi_drivers.transport import open_transport

SOURCES = (AUTO, MANUAL)
WAITS = "waits for the simulated devices"
STATE_CHECK_HZ = 20.0  # a change of mode is published within this period, else at the row's rate


class DriversNode(StackNode):
    """Owns the descriptors. The guard ticks and writes in its own C++ thread, whatever happens here."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("devices_file", "")
        self.declare_parameter("devices", [""])
        self.declare_parameter("told_file", "")
        self.guard: Any = None
        self.wires: Any = None

    def build(self, platform: Platform) -> None:
        self._slots = feedback_slots(platform)
        self._drivers: dict[str, Driver] = {name: build_driver(platform, name) for name in platform.model.drivers}
        self._followers: list[Any] = [d for d in self._drivers.values() if hasattr(d, "guard_says")]
        loop = build_fast_loop(platform)
        self._fast = FastRunner(self, platform, loop) if loop is not None else None
        if self._fast is not None:
            self._followers.append(self._fast)
        self._urls = self._known_urls(platform)
        self._devices_file = self.get_parameter("devices_file").value
        self._state: StackState | None = None
        self._state_told = 0.0
        self._event = 0
        self._fences: tuple[Fence, ...] = ()
        self._plan: Plan | None = None  # the mission in force, whose fences wait for the origin of map
        self._origin: Origin | None = None
        self.on_mission(self._take_mission)
        path = self.get_parameter("told_file").value
        self._told = Told(Path(path)) if path else None
        self.subscribe(topics.MISSION_PLAN, lambda msg: msg.data, self._take_plan)
        self.subscribe(topics.ORIGIN, convert.origin_from_msg, self._take_origin)
        self._open_outputs(platform)
        self._open_inputs()
        self._open_told()
        if self._devices_file:
            self.every(20.0, self._look_for_devices)
        else:
            self._open_devices()

    def close(self) -> None:
        # The guard says its last, disarmed word while the devices are still open.
        if self.wires is not None:
            self.wires.end()
        told, self._told = getattr(self, "_told", None), None
        if told is not None:
            told.close(self._counts())
        if self.guard is not None:
            self.guard.close()
        if self.wires is not None:
            self.wires.close()
        self.guard = self.wires = None

    def _known_urls(self, platform: Platform) -> dict[str, str]:
        """URL of each device: the platform file's, or those of parameter `devices` (NAME=URL)."""
        urls = {name: device.device for name, device in platform.model.drivers.items()}
        for pair in self.get_parameter("devices").value:
            name, equals, url = pair.partition("=")
            if equals and name in urls:
                urls[name] = url
            elif pair:
                raise platform.error(("drivers",), f"device '{pair}' is for no driver; known are {', '.join(urls)}")
        return urls

    def _look_for_devices(self, now: float) -> None:
        """Takes the URLs of simulated devices as soon as their file is there."""
        path = Path(self._devices_file)
        if self.guard is None and path.is_file():
            data = json.loads(path.read_text(encoding="utf-8"))
            self._urls |= {name: str(url) for name, url in data.items() if name in self._urls}
            self._open_devices()

    def _open_devices(self) -> None:
        transports = {name: open_transport(url) for name, url in self._urls.items()}
        tables = [
            replace(table, framing=transports[name].framing)
            for name, driver in self._drivers.items()
            if (table := driver.encode_table()) is not None
        ]
        self.guard = build_guard_thread(self.platform, tables, self.clock.offset_ns)
        self.guard.set_fences(self._fences)
        devices = {name: (driver, transports[name]) for name, driver in self._drivers.items()}
        self.wires = Wires(devices, self.clock, self._publish_sample, self.guard.set_descriptor, self.caught)
        self.wires.start()

    # --- outputs ---

    def _open_outputs(self, platform: Platform) -> None:
        self._sample_out = sample_publisher(self, platform)
        self._state_out = self.publisher(topics.STATE, status.state_to_msg)
        self._wire_out = self.publisher(topics.ACTUATOR_COMMANDS.at(WIRE), self._output_to_msg)
        self.every(STATE_CHECK_HZ, self._publish_state)
        rate = min(platform.model.guard.rate_hz, self.row(topics.ACTUATOR_COMMANDS).rate_hz)
        self.every(rate, self._publish_output)

    def _output_to_msg(self, command: ActuatorCommand) -> JointStateMsg:
        return goals.command_to_msg(command, self._slots)

    def _publish_sample(self, sample: Sample) -> None:
        """From the reading thread: a sample waits for nothing."""
        if isinstance(sample, JointState):
            self.guard.joints(sample, self._slots)
        if self._fast is None or self._stalled or self._fast.take(sample, self.guard):
            self._sample_out(sample)

    def _publish_state(self, now: float) -> None:
        if self.guard is None:
            self._state_out(StackState(now, "standby", False, (WAITS,)))
            return
        state = self.guard.state()
        self._tell_drivers(state)
        old = self._state
        changed = old is None or (state.mode, state.armed, state.reasons) != (old.mode, old.armed, old.reasons)
        if changed or now - self._state_told >= 1.0 / self.row(topics.STATE).rate_hz:
            self._state, self._state_told = state, now
            self._state_out(state)
        self._event, events = self.guard.events(self._event)
        for event in events:
            self.get_logger().info(f"guard: {event.what}")

    def _tell_drivers(self, state: StackState) -> None:
        """Drivers whose device has an authority of its own follow the guard, or make it disarm."""
        if not self._followers:
            return
        output = self.guard.output()
        for driver in self._followers:
            reason = driver.guard_says(state, output)
            if reason and state.armed:
                self.get_logger().warning(reason)
                self.guard.disarm(reason)

    def _publish_output(self, now: float) -> None:
        if self.guard is not None:
            self._wire_out(ActuatorCommand(now, WIRE, self.guard.output()))

    # --- inputs ---

    def _open_inputs(self) -> None:
        for source in SOURCES:
            from_msg = partial(goals.command_from_msg, slot_of=self._slots, source=source)
            self.subscribe(topics.ACTUATOR_COMMANDS.at(source), from_msg, self._take_command)
        self.subscribe(topics.HEARTBEAT, status.health_from_msg, self._take_heartbeat)
        self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_odom)
        self.serve(topics.ARM, self._arm)
        self.serve(topics.STOP, self._stop)
        self.serve(topics.RELEASE, self._give_back)

    def _take_command(self, command: ActuatorCommand) -> None:
        if self.guard is not None:
            self.guard.submit(command.source, command.t, command.values)  # what it refuses, it counts by reason

    def _take_heartbeat(self, health: Health) -> None:
        if self.guard is not None:
            self.guard.health(health)

    def _take_odom(self, odom: Odometry) -> None:
        if self._told is not None:
            self._told.odometry(odom)
        if self.guard is not None:
            self.guard.odometry(odom)

    def _take_mission(self, mission: Mission) -> None:
        if self._fast is not None:
            self._fast.take_mission(mission)
        self._plan = mission.plan
        self._set_fences(mission.fences)
        self._place_fences()

    def _take_plan(self, text: str) -> None:
        """The planner has taken another mission; an empty text: a route, which has no fences of its own."""
        if text:
            self._plan = parse_plan(text)
            self._place_fences()

    def _take_origin(self, origin: Origin) -> None:
        self._origin = origin
        self._place_fences()

    def _place_fences(self) -> None:
        if self._plan is None or self._origin is None:
            return
        fences, self._plan = fences_of(self._plan, LocalFrame(self._origin)), None
        if fences != self._fences:
            self._set_fences(fences)

    def _set_fences(self, fences: tuple[Fence, ...]) -> None:
        """Raises BadInputError while a source leads; the old ones stay then."""
        if self.guard is not None:
            self.guard.set_fences(fences)
        self._fences = fences

    def _arm(self, request: Any) -> tuple[bool, str]:
        if self.guard is None:
            return False, WAITS
        if request.data and self.mission_awaited:
            return False, f"waits for {self.get_parameter('mission_file').value}; it may hold a fence"
        if request.data and self._plan is not None:
            return False, f"the mission may hold a fence; {NO_ORIGIN}"
        if not request.data:
            self.guard.disarm("asked by service arm")
            return True, "disarmed"
        reasons = self.guard.arm()
        return not reasons, "; ".join(reasons) or "armed"

    def _stop(self, request: Any) -> tuple[bool, str]:
        if self.guard is not None:
            self.guard.stop()
        return True, "safe outputs until armed again"

    def _give_back(self, request: Any) -> tuple[bool, str]:
        """Manual gives its lead back; the guard answers with who leads now, or why nobody does."""
        if self._fast is not None and self._fast.release():
            return True, "the planner leads"
        state = self.guard.state() if self.guard is not None else None
        if state is None or state.mode != MANUAL:
            mode = "nobody leads" if state is None else f"the mode is {state.mode.replace('_', ' ')}"
            return False, f"{mode}; only {MANUAL} gives its lead back (after a stop or a fault: arm)"
        self.guard.release(MANUAL)
        state = self.guard.state()
        return state.mode in SOURCES, "; ".join(state.reasons) or f"{state.mode} leads"

    # --- for a judge ---

    def _open_told(self) -> None:
        if self._told is not None:
            self.subscribe(topics.MISSION_STATE, status.mission_from_msg, self._told.mission)
            self.every(RATE_HZ, self._tell_judge)

    def _tell_judge(self, now: float) -> None:
        if self._told is not None and self.guard is not None:
            self._told.tick(now, self.guard.state(), self.guard.output(), self._counts)

    def _counts(self) -> dict[str, Any]:
        """What guard and drivers have counted."""
        if self.guard is None or self.wires is None:
            return {}
        guard = {"refused": self.guard.counters(), "devices": self.guard.devices(), "loop": self.guard.loop()}
        return {"guard": guard, "drivers": self.wires.counts()}

    # --- health ---

    def health(self, now: float) -> list[PartHealth]:
        own = self.get_fully_qualified_name()
        problems = self.wires.problems(now) if self.wires is not None else {}
        told = self.wires.diagnostics(now) if self.wires is not None else {}
        parts = [PartHealth(now, f"{own}/{n}", p, told.get(n, {})) for n, p in problems.items()]
        if self._fast is not None:
            parts.append(PartHealth(now, f"{own}/fast_loop", self._fast.loop.health(now), self._fast.diagnostics()))
        return super().health(now) + parts

    def problems(self, now: float) -> Mapping[str, str]:
        return {} if self.guard is not None else {self.get_name(): WAITS}

"""The fast loop inside the drivers' process: run by its device's samples in the reading thread, told by topics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sensor_msgs.msg import NavSatFix

from giljabi import topics
from giljabi.children import ask_realtime
from giljabi.mission import Mission
from giljabi.platform import Platform
from giljabi.ros import convert, goals
from giljabi.ros.node import StackNode
from giljabi.safety.guard import gives_back
from giljabi.stack import Periodic
from giljabi.steps import FastLoop, FollowsSteps, TakesTime
from giljabi.types import ActuatorCommand, FootPlan, Imu, JointState, Origin, Sample, StackState

DECIMATED = (JointState, Imu)
SAMPLES_MAX = 500  # kept while the device that runs the loop is silent; then the oldest go
PRIORITY = 40  # of SCHED_FIFO, below the guard's thread
LATE_S = 2e-3  # a run that takes longer is counted


class FastRunner:
    """Feeds one loop and hands its commands to the guard; topics get copies at their own rate."""

    def __init__(self, node: StackNode, platform: Platform, loop: FastLoop) -> None:
        self.loop = loop
        self.realtime = ask_realtime(PRIORITY)  # before the reading thread and the guard's are started
        self._node = node
        self._samples: list[Sample] = []
        self._odom_out = node.publisher(topics.ODOM, convert.odom_to_msg)
        self._odom_due = Periodic(node.row(topics.ODOM).rate_hz)
        self._due: dict[str, Periodic] = {}  # by source
        self._rates = {JointState: node.row(topics.JOINT_STATES).rate_hz, Imu: node.row(topics.IMU).rate_hz}
        self._origin_out = node.publisher(topics.ORIGIN, self._origin_to_msg)
        self._frame_out = node.publisher(topics.MAP_TO_ODOM, convert.map_to_odom_to_msg)
        self._source: str | None = None  # of the last command
        if isinstance(loop, TakesTime):
            loop.use_clock(time.perf_counter)
        self._steered = False
        self.runs, self.late, self.longest, self.cpu = 0, 0, 0.0, 0.0
        for service in topics.BEHAVIOURS:
            node.serve(service, partial(self._ask, service.name.rsplit("/", 1)[-1]))
        node.subscribe(topics.TRAJECTORY, goals.trajectory_from_msg, loop.follow)
        if isinstance(loop, FollowsSteps):
            node.subscribe(topics.FOOTSTEPS, goals.steps_from_msg, self._follow_steps)
        node.subscribe(topics.JOINT_TRAJECTORY, goals.joint_trajectory_from_msg, loop.play)
        node.subscribe(topics.CMD_VEL, goals.velocity_from_msg, self._steer)

    def _origin_to_msg(self, origin: Origin) -> NavSatFix:
        return convert.origin_to_msg(origin, self._node.clock.now())

    def _follow_steps(self, plan: FootPlan) -> None:
        if isinstance(self.loop, FollowsSteps):
            self.loop.follow_steps(plan if len(plan) else None)

    def _steer(self, velocity: Any) -> None:
        self.loop.steer(self._node.clock.now(), velocity)
        self._steered = True

    def _ask(self, what: str, request: Any) -> tuple[bool, str]:
        why = self.loop.ask(what)
        return not why, why or what

    def release(self) -> bool:
        """Whether somebody steered until now."""
        steered, self._steered = self._steered, False
        self.loop.release()
        return steered

    def take_mission(self, mission: Mission) -> None:
        """The origin of map, for who shows it on a chart."""
        if mission.origin is not None:
            self.loop.origin = mission.origin
        origin = self.loop.origin or Origin(0.0, 0.0, 0.0)
        self._origin_out(origin)
        self._frame_out(self._node.clock.now())

    def take(self, sample: Sample, guard: Any) -> bool:
        """One sample, in the reading thread; whether it shall be published now."""
        self._samples.append(sample)
        if isinstance(sample, JointState):
            self._run(guard)
        del self._samples[:-SAMPLES_MAX]
        if not isinstance(sample, DECIMATED):
            return True
        due = self._due.get(sample.source)
        if due is None:
            due = self._due[sample.source] = Periodic(self._rates[type(sample)])
        return due.due(sample.t)

    def _run(self, guard: Any) -> None:
        before, began = time.thread_time(), time.monotonic()
        samples, self._samples = self._samples, []
        now = self._node.clock.now()
        result = self.loop.step(now, samples, guard.state())
        if result is None:
            return
        if result.command is not None:
            command: ActuatorCommand = result.command
            guard.submit(command.source, command.t, command.values)
            if gives_back(self._source, command.source):
                guard.release(self._source)
            self._source = command.source
        took = time.monotonic() - began
        self.runs += 1
        self.late += took > LATE_S
        self.longest = max(self.longest, took)
        self.cpu += time.thread_time() - before
        if result.odom is not None:
            guard.odometry(result.odom)
            if self._odom_due.due(now):
                self._odom_out(result.odom)

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """See contract.Authority."""
        return self.loop.guard_says(state, output)

    def diagnostics(self) -> dict[str, str]:
        """Runs and their times since the last call."""
        runs, late, longest, cpu = self.runs, self.late, self.longest, self.cpu
        self.runs, self.late, self.longest, self.cpu = 0, 0, 0.0, 0.0
        mean = f"{1e6 * cpu / runs:.0f}" if runs else "0"
        times = {"longest_us": f"{1e6 * longest:.0f}", "cpu_mean_us": mean}
        return {
            "doing": self.loop.doing(),
            "realtime": str(self.realtime),
            "runs": str(runs),
            "late": str(late),
            **times,
        }

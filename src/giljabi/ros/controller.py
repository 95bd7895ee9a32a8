"""Controller node: odometry, joints and trajectory in, named actuator commands out."""

from __future__ import annotations

from collections.abc import Mapping

from sensor_msgs.msg import JointState as JointStateMsg

from giljabi import topics
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert, goals
from giljabi.ros.node import StackNode
from giljabi.stack import merge_joints
from giljabi.steps import Controller
from giljabi.topics import AUTO, WIRE
from giljabi.types import ActuatorCommand, JointState, Odometry, Trajectory


class ControllerNode(StackNode):
    """Holds one controller; its step follows the arrival of odometry, so a sample waits for no timer."""

    def build(self, platform: Platform) -> None:
        self.controller: Controller = build_step(platform, "controller")
        self._slots: Mapping[str, str] = {name: a.slot for name, a in platform.model.actuators.items()}
        self._odom: Odometry | None = None
        self._joints: JointState | None = None
        self._trajectory: Trajectory | None = None
        self._output: Mapping[str, float] = {}
        command = topics.ACTUATOR_COMMANDS
        self._command = self.publisher(command.at(AUTO), self._command_to_msg)
        self._arrived = self.paced(platform.model.steps.controller.rate_hz, self._step)
        self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_odom)
        self.subscribe(topics.JOINT_STATES, convert.joints_from_msg, self._take_joints)
        self.subscribe(topics.TRAJECTORY, goals.trajectory_from_msg, self._take_trajectory)
        self.subscribe(command.at(WIRE), lambda msg: goals.command_from_msg(msg, self._slots, WIRE), self._take_output)

    def _command_to_msg(self, command: ActuatorCommand) -> JointStateMsg:
        return goals.command_to_msg(command, self._slots)

    def _take_odom(self, odom: Odometry) -> None:
        self._odom = odom
        self._arrived()

    def _take_joints(self, joints: JointState) -> None:
        self._joints = merge_joints(self._joints, joints)

    def _take_trajectory(self, trajectory: Trajectory | None) -> None:
        self._trajectory = trajectory

    def _take_output(self, output: ActuatorCommand) -> None:
        self._output = output.values

    def _step(self, now: float) -> None:
        odom = self._odom
        if odom is None or not self._output:
            return  # silence: the guard brings the vehicle to rest
        # The step itself judges how old odometry and trajectory may be: with an old plan it brakes along it.
        command = self.controller.step(now, odom, self._joints, self._trajectory, self._output)
        if command is None:
            return
        self._command(command)
        if self.trace.on:
            for name, value in command.values.items():
                self.trace(f"command.{name}", command.t, odom.t, self.clock.now(), value)

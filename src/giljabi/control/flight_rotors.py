"""The step that flies a trajectory with bare rotors: for airframes without an autopilot, and for simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from giljabi.control.airframe import Airframe
from giljabi.control.flight import FlightController, FlightOptions
from giljabi.control.flight_observer import FlightState
from giljabi.control.flight_paths import FlatPath, Polynomials
from giljabi.control.flight_three import RotorWatch, ThreeRotors
from giljabi.models import why_unusable
from giljabi.platform import Platform
from giljabi.topics import ODOM, TRAJECTORY
from giljabi.types import ActuatorCommand, Array, BadInputError, JointState, Odometry, Trajectory

ROTORS = ("rotor_1", "rotor_2", "rotor_3", "rotor_4")


class RotorOptions(FlightOptions):
    """`steps.controller.options` of `flight_rotors`."""

    delay_s: float = Field(default=0.01, ge=0, le=0.2, description="from an estimate to its effect")
    sink: float = Field(default=1.0, gt=0, le=3, description="m/s, how it comes down when a rotor is lost")


class TrajectoryPath:
    """A trajectory's rows as a flat path: pieces of fifth degree, times from its stamp; held beyond its ends."""

    def __init__(self, trajectory: Trajectory) -> None:
        """Raises BadInputError where the trajectory cannot be followed."""
        t, p, v = trajectory.times, trajectory.position, trajectory.velocity
        n = len(t)
        for name, shape in {"position": (n, 3), "velocity": (n, 3), "yaw": (n,), "yaw_rate": (n,)}.items():
            rows = getattr(trajectory, name)
            if rows.shape != shape or not np.all(np.isfinite(rows)):
                raise BadInputError(f"{name} has shape {rows.shape}; finite {shape} is expected")
        if n < 2 or not np.all(np.isfinite(t)) or not np.all(np.diff(t) > 0.0) or not math.isfinite(trajectory.t):
            raise BadInputError("times do not increase; at least two finite ones that do are expected")
        self._t, self._yaw = t - t[0], trajectory.yaw
        h = np.diff(t)[:, None]
        a = np.gradient(v, t, axis=0)
        self._pieces = Polynomials(self._t[:-1], float(self._t[-1]), _quintic(p, v, a, h))
        self._begin = float(t[0])

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        return self._pieces.derivative(np.asarray(t) - self._begin, order)

    def yaw(self, t: Array) -> Array:
        """Yaw (n,) [rad]."""
        return np.asarray(np.interp(np.asarray(t) - self._begin, self._t, self._yaw))


def _quintic(p: Array, v: Array, a: Array, h: Array) -> Array:
    """Coefficients (k, 6, 3) over scaled time of pieces that have these values at their ends."""
    p0, p1, v0, v1 = p[:-1], p[1:], h * v[:-1], h * v[1:]
    a0, a1 = h * h * a[:-1], h * h * a[1:]
    d = p1 - p0
    c3 = 10.0 * d - 6.0 * v0 - 4.0 * v1 - 1.5 * a0 + 0.5 * a1
    c4 = -15.0 * d + 8.0 * v0 + 7.0 * v1 + 1.5 * a0 - a1
    c5 = 6.0 * d - 3.0 * (v0 + v1) - 0.5 * (a0 - a1)
    return np.stack([p0, v0, 0.5 * a0, c3, c4, c5], axis=1)


@dataclass(frozen=True, slots=True)
class StopPath:
    """Straight on to a stop, and held there; the deceleration swells and fades."""

    position: Array  # (3,) m, where it begins
    velocity: Array  # (3,) m/s
    heading: float  # rad
    deceleration: float  # m/s^2, the most of it

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        t = np.asarray(t, dtype=np.float64)
        span = max(0.5 * math.pi * float(np.linalg.norm(self.velocity)) / self.deceleration, 1e-3)
        rate = math.pi / span
        s = np.clip(t, 0.0, span)
        if order == 0:
            way = 0.5 * (s + np.sin(rate * s) / rate)
            return np.asarray(self.position + way[:, None] * self.velocity)
        along = 0.5 * rate ** (order - 1) * np.cos(rate * s + 0.5 * math.pi * (order - 1))
        if order == 1:
            along += 0.5
        along[t > span] = 0.0
        return np.asarray(along[:, None] * self.velocity)

    def yaw(self, t: Array) -> Array:
        """Always the same."""
        return np.full(len(t), self.heading)


class RotorController:
    """steps.Controller for four rotors `rotor_1` .. `rotor_4` in N.

    Until there is a first trajectory the rotors get their safe outputs. When trajectories end or grow old, it brakes
    and holds its place; when a rotor is lost, it comes down on the others.
    """

    def __init__(self, platform: Platform) -> None:
        """Raises BadInputError with the file's line where the platform has no four rotors in N, or no airframe."""
        self.option = platform.options(RotorOptions, "steps", "controller")
        self.period = 1.0 / platform.model.steps.controller.rate_hz
        self._platform = platform
        self.airframe = _airframe(platform)
        self._controller = FlightController(self.airframe, self.period, self.option)
        self._watch = RotorWatch(self.airframe)
        self._odom_timeout = platform.timeout_s(ODOM)
        self._timeout = max(platform.timeout_s(TRAJECTORY), 3.0 / platform.model.steps.planner.rate_hz)
        self._three: ThreeRotors | None = None
        self._place: Array = np.zeros(2)  # m, where it comes down
        self._last: Trajectory | None = None
        self._path: tuple[float, FlatPath] | None = None  # time of its begin, and the path
        self._stopping = False
        self.note = ""  # why something else than the trajectory is followed

    def step(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        trajectory: Trajectory | None,
        last_output: Mapping[str, float],
    ) -> ActuatorCommand | None:
        """Command for now; None, with the reason in `note`, when the input cannot be trusted."""
        self.note = why_unusable(now, odom, self._odom_timeout)
        told = np.array([last_output.get(name, 0.0) for name in ROTORS])
        if not self.note and not np.all(np.isfinite(told)):
            self.note = "last output of the rotors is not finite"
        if self.note:
            return None
        state = FlightState(odom.t, odom.position, odom.quaternion, odom.velocity_map, odom.angular_velocity)
        self._follow(now, state, odom.yaw, trajectory)
        if self._path is None:
            safe = {name: self._platform.model.actuators[name].safe.value for name in ROTORS}
            return ActuatorCommand(now, "auto", safe)
        self._controller.observe(state, told=told)
        thrust = self._thrust(state, told)
        if not np.all(np.isfinite(thrust)):
            self.note = "thrusts are not finite"
            return None
        return ActuatorCommand(now, "auto", self._limited(thrust, told))

    def _follow(self, now: float, state: FlightState, yaw: float, trajectory: Trajectory | None) -> None:
        """Sets what to follow: the trajectory, or a stop once it is stale, refused or gone."""
        if trajectory is not None and trajectory is not self._last and now - trajectory.t <= self._timeout:
            try:
                self._path = (trajectory.t, TrajectoryPath(trajectory))
                self._last, self._stopping = trajectory, False
            except BadInputError as e:
                self.note = f"trajectory refused: {e}"
        if self._path is None:
            self.note = self.note or "nothing to follow"
            return
        age = math.inf if trajectory is None or self._last is None else now - self._last.t
        if age <= self._timeout:
            return
        self.note = self.note or (
            "nothing to follow: holding" if math.isinf(age) else f"trajectory is {age:.1f} s old: stopping"
        )
        if not self._stopping:
            deceleration = self._platform.model.limits.deceleration_max
            self._path = (state.t, StopPath(state.position.copy(), state.velocity.copy(), yaw, deceleration))
            self._stopping = True

    def _thrust(self, state: FlightState, told: Array) -> Array:
        """Thrusts (4,) [N] for the path, or on three rotors."""
        if self._three is None:
            lost = self._watch.step(state, told)
            if lost is not None:
                self._three, self._place = ThreeRotors(self.airframe, lost), state.position[:2].copy()
        if self._three is not None:
            self.note = f"{ROTORS[self._three.lost]} gives no thrust: coming down on the others"
            return self._three.step(state, self._controller.observer, self._place, self.option.sink)
        assert self._path is not None
        begin, path = self._path
        self._controller.prepare(path, state.t - begin, state.quaternion)
        command = self._controller.step(state)
        self.note = self.note or self._controller.note
        return command.thrust

    def _limited(self, thrust: Array, told: Array) -> dict[str, float]:
        """Inside each actuator's range, and inside its rate from the last output."""
        out = {}
        for i, name in enumerate(ROTORS):
            a = self._platform.model.actuators[name]
            most = a.rate_max * self.period
            value = min(max(float(thrust[i]), float(told[i]) - most), float(told[i]) + most)
            out[name] = min(max(value, a.min), a.max)
        return out


def _airframe(platform: Platform) -> Airframe:
    actuators = platform.model.actuators
    for name in ROTORS:
        if name not in actuators or actuators[name].unit != "N":
            raise platform.error(("actuators",), f"flight_rotors needs '{name}' in N; rotor_1 .. rotor_4 are expected")
    low, high = max(actuators[n].min for n in ROTORS), min(actuators[n].max for n in ROTORS)
    try:
        return Airframe.from_parameters(platform.model.model.parameters, high, low)
    except BadInputError as e:
        raise platform.error(("model",), str(e)) from None

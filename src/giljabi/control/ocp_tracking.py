"""Trajectory tracking through the solver, with compensation of what its model leaves out."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from giljabi.control.disturbance import DisturbanceObserver
from giljabi.models import Bias, ModelAdapter, Motion, build_model, carried, motion_of, why_unusable
from giljabi.planning.problem import Problem
from giljabi.planning.progress import speed_of, stop_along, straight_path
from giljabi.platform import Platform
from giljabi.topics import ODOM, TRAJECTORY
from giljabi.types import ActuatorCommand, Array, JointState, Odometry, Trajectory
from giljabi.yaml_file import Strict

LATERAL_SHARE = 1.2  # tracking needs some room beyond what a plan may use
NEAR_REST = 4.0  # standstill speeds; below, a vehicle whose reference rests is brought to rest, not to a point
LEAVE_REST = 2.0  # standstill speeds; above, a vehicle that was held is brought to rest again


class TrackingOptions(Strict):
    """`steps.controller.options`."""

    stages: int = Field(default=20, ge=5, le=100)
    horizon_s: float | None = Field(default=None, gt=0, description="length of the horizon; 0.4 of the time to rest")
    delay_s: float | None = Field(default=None, ge=0, description="from an estimate to its effect; 1.5 control periods")
    position_tolerance: float | None = Field(default=None, gt=0, description="m, deviation that costs one unit")
    heading_tolerance: float | None = Field(default=None, gt=0, description="rad")
    speed_tolerance: float | None = Field(default=None, gt=0, description="m/s")
    smoothness: float = Field(default=0.3, gt=0, description="weight of actuator rates")
    terminal: float = Field(default=5.0, gt=0, description="weight of the last stage over the others")
    iterations: int = Field(default=2, ge=1, le=20)
    observer_bandwidth: float | None = Field(default=None, gt=0, description="rad/s; 1 over the horizon")
    actuator_lag_s: float | None = Field(default=None, ge=0, description="lag of the actuators the observer assumes")
    standstill_speed: float | None = Field(default=None, gt=0, description="m/s below which the vehicle is held")
    rest_s: float | None = Field(default=None, gt=0, description="time constant of a stop's end; 0.25 to rest")


class OcpTrackingController:
    """steps.Controller through the solver; holds the vehicle with its safe outputs when there is nothing to follow."""

    options: type[TrackingOptions] = TrackingOptions

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.model: ModelAdapter = build_model(platform)
        o = self.option = platform.options(self.options, "steps", "controller")
        limits = platform.model.limits
        to_rest = limits.speed_max / limits.deceleration_max
        horizon = o.horizon_s if o.horizon_s is not None else 0.4 * to_rest
        self._period = 1.0 / platform.model.steps.controller.rate_hz
        self._dt = max(horizon / o.stages, self._period)
        self._times: Array = np.asarray(self._dt * np.arange(o.stages + 1), dtype=np.float64)
        self._delay = o.delay_s if o.delay_s is not None else 1.5 * self._period
        scale = self.model.state_scale
        tolerance = (
            o.position_tolerance if o.position_tolerance is not None else 0.3 * float(scale[0]),
            o.heading_tolerance if o.heading_tolerance is not None else 0.5 * float(scale[2]),
            o.speed_tolerance if o.speed_tolerance is not None else 0.5 * float(scale[3]),
        )
        self._problem = Problem(self.model, o.stages, self._dt, tolerance, o.smoothness, o.terminal, LATERAL_SHARE)
        bandwidth = o.observer_bandwidth if o.observer_bandwidth is not None else 1.0 / horizon
        lag = o.actuator_lag_s if o.actuator_lag_s is not None else self._period
        most = Bias(
            0.5 * limits.acceleration_max,
            0.1 / self.model.turn_radius if self.model.kinematic else 0.2 * limits.yaw_rate_max,
            0.3 * limits.speed_max,
        )
        self._still = o.standstill_speed if o.standstill_speed is not None else 0.02 * limits.speed_max
        self._rest_s = o.rest_s if o.rest_s is not None else 0.25 * to_rest
        self._held = False  # the vehicle has come to rest and is held by its safe outputs
        self._still_since = math.inf
        self._observer = DisturbanceObserver(self.model, bandwidth, 4.0 * self._still, most, lag)
        self._odom_timeout = platform.timeout_s(ODOM)
        # A plan may be missed; a planner that is slow by design is not a fault.
        self._timeout = max(platform.timeout_s(TRAJECTORY), 3.0 / platform.model.steps.planner.rate_hz)
        self._followed: Trajectory | None = None  # newest good trajectory
        self._brake: Trajectory | None = None  # what replaces it when it is stale or gone
        self._warm: tuple[float, Array, Array] | None = None
        self.note = ""  # why nothing, or something else than the trajectory, is followed

    @property
    def bias(self) -> Bias:
        """Newest estimate of what the model leaves out."""
        return self._observer.bias

    def step(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        trajectory: Trajectory | None,
        last_output: Mapping[str, float],
    ) -> ActuatorCommand | None:
        """Command for now; None, with the reason in `note`, when the input cannot be trusted."""
        self.note = self._refused(now, odom, last_output)
        if self.note:
            self._warm = None
            return None
        bias = self._observer.step(odom, last_output)
        odom = carried(odom, min(now + self._delay, odom.t + self._odom_timeout + self._delay))
        path = self._path(now, odom, trajectory)
        motion = motion_of(path, now + self._delay - path.t + self._times)
        resting = self._resting(now, odom, motion)
        if resting is not None:
            self._warm = None
            return self._limited(now, last_output, resting)
        return self._limited(now, last_output, self._track(now, odom, joints, motion, last_output, bias))

    def _refused(self, now: float, odom: Odometry, last_output: Mapping[str, float]) -> str:
        why = why_unusable(now, odom, self._odom_timeout)
        if why:
            return why
        for name, value in last_output.items():
            if not math.isfinite(value):
                return f"last output of '{name}' is not finite"
        return ""

    def _path(self, now: float, odom: Odometry, trajectory: Trajectory | None) -> Trajectory:
        """What to follow now: the trajectory, or braking along it once it is stale, or braking straight on."""
        if trajectory is not None:
            why = _why_bad(trajectory)
            if why:
                self.note = f"trajectory refused: {why}"
            elif now - trajectory.t <= self._timeout:
                self._followed, self._brake = trajectory, None
        gone = trajectory is None
        last = self._followed
        if last is not None and not gone and now - last.t <= self._timeout:
            return last
        if not self.note:
            age = math.nan if last is None else now - last.t
            self.note = "nothing to follow" if gone or last is None else f"trajectory is {age:.1f} s old: braking"
        if self._brake is None:
            deceleration = self.platform.model.limits.deceleration_max
            step = min(self._dt, 0.2)
            if last is not None and now - last.t <= 2.0 * self._timeout:
                t = now - last.t
                self._brake = stop_along(last, now, speed_of(last, t), deceleration, step)
            else:
                self._brake = straight_path(odom, now, deceleration, step)
        if gone:
            self._followed = None
        return self._brake

    def _track(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        motion: Motion,
        last_output: Mapping[str, float],
        bias: Bias,
    ) -> dict[str, float]:
        told = self.model.state(odom, last_output, joints)
        x0 = self.model.biased(told, bias)
        x0[2] += 2.0 * math.pi * round((float(motion.yaw[0]) - x0[2]) / (2.0 * math.pi))
        # Seen from a medium that drifts with the bias, the model is right: the path moves against the drift.
        side = np.array([[-math.sin(x0[2]), math.cos(x0[2])]])
        drift = bias.drift * side
        crab = bias.drift / np.maximum(np.abs(motion.speed), 4.0 * self._still)
        sway = motion.sway if motion.sway is not None else np.zeros_like(motion.speed)
        seen = Motion(
            motion.xy - drift * self._times[:, None],
            motion.yaw - np.clip(crab, -0.5, 0.5),
            motion.speed,
            motion.acceleration,
            motion.yaw_rate,
            sway,
        )
        if not self.model.kinematic:
            x0[4] -= bias.drift
        shift = x0 - told
        shift[:3] = 0.0
        ref = self.model.reference(seen)
        answer = self._problem.solve(x0, ref, self._guess(now, ref), self.option.iterations, shift=shift)
        if answer is None:
            self.note = self.note or "no answer from the solver: holding the trajectory's own commands"
            self._warm = None
            wanted = ref[0]
        else:
            self._warm = (now, answer.x, answer.u)
            share = self._period / self._dt
            wanted = answer.x[0] + share * (answer.x[1] - answer.x[0])
            # The drive force belongs to the speed the vehicle has, not to the predicted one.
            wanted[3] = x0[3]
        return self.model.actuators(self.model.biased(wanted, bias, -1.0))

    def _guess(self, now: float, ref: Array) -> tuple[Array, Array]:
        """The last solution moved on to now, else the reference."""
        if self._warm is None or now - self._warm[0] > 5.0 * self._period:
            return ref, np.zeros((len(ref) - 1, len(self.model.inputs)))
        t, x, u = self._warm
        at = self._times + (now - t)
        moved = np.column_stack([np.interp(at, self._times, column) for column in x.T])
        moved[:, :3] = np.where((at > self._times[-1])[:, None], ref[:, :3], moved[:, :3])
        i = np.minimum((at[:-1] / self._dt).astype(int), len(u) - 1)
        return moved, u[i]

    def _resting(self, now: float, odom: Odometry, motion: Motion) -> dict[str, float] | None:
        """What brings or keeps the vehicle at rest where the reference rests; None while there is a way to follow.

        Judged along the body: a vessel in a cross current cannot be at rest across it. The place is not regulated,
        or delays of sensors and drives would make it swing about it. Between held and let go lies a hysteresis.
        """
        speed = float(odom.velocity[0])
        if not np.all(np.abs(motion.speed) < self._still) or abs(speed) > NEAR_REST * self._still:
            self._held, self._still_since = False, math.inf
            return None
        self._still_since = min(self._still_since, now) if abs(speed) < self._still else math.inf
        # Rest must last: drives that answer late still carry the vehicle through standstill.
        lasted = now - self._still_since >= 0.4 * self._rest_s
        self._held = lasted or (self._held and abs(speed) < LEAVE_REST * self._still)
        if self._held:
            actuators = self.platform.model.actuators
            return {name: odom.yaw if a.wraps else a.safe.value for name, a in actuators.items()}
        most = self.platform.model.limits.deceleration_max
        slowing = np.array([-np.clip(speed / self._rest_s, -most, most)])
        motion = Motion(odom.position[None, :2], np.array([odom.yaw]), np.array([speed]), slowing, np.zeros(1))
        return self.model.actuators(self.model.reference(motion)[0])

    def _limited(self, now: float, last: Mapping[str, float], wanted: dict[str, float]) -> ActuatorCommand | None:
        """Inside each actuator's range, and inside its rate from the last output."""
        out = {}
        for name, a in self.platform.model.actuators.items():
            value = wanted[name]
            if not math.isfinite(value):
                self.note = f"command of '{name}' is not finite"
                self._warm = None
                return None
            if name in last:
                most = a.rate_max * self._period
                way = math.remainder(value - last[name], math.tau) if a.wraps else value - last[name]
                value = last[name] + min(max(way, -most), most)
            out[name] = math.remainder(value, math.tau) if a.wraps else min(max(value, a.min), a.max)
        return ActuatorCommand(now, "auto", out)


def _why_bad(trajectory: Trajectory) -> str:
    """Why a trajectory cannot be followed; empty when it can."""
    n = len(trajectory.times)
    if n < 2:
        return f"{n} rows, at least 2 are expected"
    if not math.isfinite(trajectory.t):
        return "its stamp is not finite"
    shapes = {"position": (n, 3), "yaw": (n,), "velocity": (n, 3), "yaw_rate": (n,)}
    for name, shape in shapes.items():
        a = getattr(trajectory, name)
        if a.shape != shape:
            return f"{name} has shape {a.shape}, {shape} is expected"
        # Height is not followed here.
        if not np.all(np.isfinite(a[:, :2] if a.ndim == 2 else a)):
            return f"{name} is not finite"
    if not np.all(np.isfinite(trajectory.times)) or np.any(np.diff(trajectory.times) <= 0.0):
        return "times do not increase"
    return ""

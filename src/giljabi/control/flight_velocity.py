"""A controller for an autopilot that takes velocities: feed-forward led by its lag, feedback, take-off, landing.

Inputs are velocity_x, velocity_y, velocity_z [m/s, map], yaw_rate [rad/s], and where the platform has them
acceleration_x, acceleration_y, acceleration_z [m/s^2, map], which the autopilot adds to what it makes of the velocity,
takeoff_height [m] and land [0 or 1], which it carries out by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from giljabi.control.braking import Braking
from giljabi.platform import Platform
from giljabi.topics import ODOM
from giljabi.types import ActuatorCommand, Array, JointState, Odometry, Trajectory
from giljabi.yaml_file import Strict

VELOCITY = ("velocity_x", "velocity_y", "velocity_z")
ACCELERATION = ("acceleration_x", "acceleration_y", "acceleration_z")
TAKEOFF_HEIGHT, LAND, YAW_RATE = "takeoff_height", "land", "yaw_rate"
RISES, SINKS = 0.1, -0.1  # m/s
LEVEL = 0.3  # m/s, slower is straight up or down
SLOPE_S = 0.1  # s over which a plan's acceleration is taken
NEAR_GROUND = 0.5  # m, a plan that ends this near to the ground ends on it


class FlightVelocityOptions(Strict):
    """`steps.controller.options`."""

    lag_s: float = Field(default=0.5, ge=0, le=2.0, description="of the autopilot's answer to a velocity")
    acceleration_lag_s: float = Field(default=0.2, ge=0, le=1.0, description="of its answer to an acceleration")
    delay_s: float = Field(default=0.08, ge=0, le=0.5, description="from an estimate to its effect")
    position_gain: float = Field(default=0.8, gt=0, le=3.0, description="1/s")
    height_gain: float = Field(default=0.8, gt=0, le=3.0, description="1/s")
    yaw_gain: float = Field(default=1.0, gt=0, le=5.0, description="1/s")
    correction_max: float = Field(default=2.0, gt=0, description="m/s, most that the feedback adds")
    trajectory_timeout_s: float = Field(default=0.2, gt=0, description="an older plan is not followed: it brakes")
    braking: float = Field(default=6.0, gt=0, description="m/s^2 by which it brakes then")
    braking_jerk: float = Field(default=20.0, gt=0, description="m/s^3 by which that grows and ends")
    takeoff_m: float = Field(default=3.0, gt=0.5, description="height that the autopilot climbs to by itself")
    land_within_m: float = Field(default=1.5, gt=0, description="level distance from which the autopilot may land")


class FlightVelocityController:
    """steps.Controller."""

    def __init__(self, platform: Platform) -> None:
        self._o = platform.options(FlightVelocityOptions, "steps", "controller")
        self._platform = platform
        self._actuators = platform.model.actuators
        for name in (*VELOCITY, YAW_RATE):
            if name not in self._actuators:
                raise platform.error(("actuators",), f"'{name}' is missing; the controller gives it")
        self._limits = platform.model.limits
        self._period = 1.0 / platform.model.steps.controller.rate_hz
        self._odom_timeout = platform.timeout_s(ODOM)
        self._timeout = max(self._o.trajectory_timeout_s, 2.0 / platform.model.steps.planner.rate_hz)
        self._ground: float | None = None  # height of base_link in map where it stood last [m]
        self._rising: float | None = None  # height to climb to [m above the ground]
        self._landing = False
        self._velocity: Array = np.zeros(3)  # commanded last
        self._acceleration: Array = np.zeros(3)
        self._along: Array = np.zeros(3)  # direction in which it brakes
        self._braking: tuple[float, Braking] | None = None  # since when, and how
        self._yaw: float | None = None
        self.note = ""

    def step(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        trajectory: Trajectory | None,
        last_output: Mapping[str, float],
    ) -> ActuatorCommand | None:
        """Command for now; None, with the reason in `note`, when the input cannot be trusted."""
        self.note = self._refused(now, odom)
        if self.note:
            return None
        landed = joints is not None and joints.position.get("landed", 0.0) >= 0.5
        if landed:
            self._ground = float(odom.position[2])
        if trajectory is not None and not _good(trajectory):
            self.note, trajectory = "trajectory refused: it is not finite", None
        if trajectory is None or now - trajectory.t > self._timeout:
            self._rising = None
            if trajectory is not None:
                self.note = f"trajectory is {now - trajectory.t:.1f} s old: braking"
            return self._command(now, *self._brake(now), 0.0, 0.0, float(self._landing and not landed))
        velocity, acceleration, yaw_rate = self._follow(now, odom, trajectory)
        height = self._take_off(odom, trajectory, landed)
        land = self._land(odom, trajectory, landed)
        if landed and not height:
            velocity, acceleration, yaw_rate = np.zeros(3), np.zeros(3), 0.0
        self._velocity, self._acceleration, self._braking = velocity, acceleration, None
        return self._command(now, velocity, acceleration, yaw_rate, height, float(land))

    def _refused(self, now: float, odom: Odometry) -> str:
        parts = (odom.position, odom.velocity, odom.quaternion)
        if not all(bool(np.all(np.isfinite(p))) for p in parts):
            return "odometry is not finite"
        age = now - odom.t
        return "" if -0.1 <= age <= self._odom_timeout else f"odometry is {age:.1f} s old"

    def _brake(self, now: float) -> tuple[Array, Array]:
        """From the last velocity to rest, led by the lags: the autopilot is told what it shall have reached then."""
        if self._braking is None:
            speed = float(np.linalg.norm(self._velocity))
            self._along = self._velocity / max(speed, 1e-6)
            slowing = max(-float(self._along @ self._acceleration), 0.0)
            self._braking = (now, Braking(speed, slowing, self._o.braking, self._o.braking_jerk))
        begun, way = self._braking
        self._velocity = way.at(now - begun)[0] * self._along
        speed, slowing = way.at(now - begun + self._o.lag_s + self._o.acceleration_lag_s)
        return speed * self._along, -slowing * self._along

    def _follow(self, now: float, odom: Odometry, trajectory: Trajectory) -> tuple[Array, Array, float]:
        """Velocity (3,), acceleration (3,), yaw rate: the plan's, led by the lags, and what brings back to it."""
        o = self._o
        t = now - trajectory.t + o.delay_s
        place = _place(trajectory, t)
        ahead = _at(trajectory.times, trajectory.velocity, t + o.lag_s)
        acceleration = _slope(trajectory, t + o.acceleration_lag_s)
        carried = odom.position + o.delay_s * odom.velocity_map
        gain = np.array([o.position_gain, o.position_gain, o.height_gain])
        # What the lag leaves open is not asked for twice: the vehicle is where the plan was led from.
        back = gain * (place - carried)
        size = float(np.linalg.norm(back))
        if size > o.correction_max:
            back *= o.correction_max / size
        velocity = ahead + back
        level = float(np.hypot(velocity[0], velocity[1]))
        if level > self._limits.speed_max:
            velocity[:2] *= self._limits.speed_max / level
        yaw = float(np.interp(t, trajectory.times, trajectory.yaw))
        error = math.remainder(yaw - odom.yaw, 2.0 * math.pi)
        yaw_rate = float(np.interp(t, trajectory.times, trajectory.yaw_rate)) + o.yaw_gain * error
        most = self._limits.yaw_rate_max
        return velocity, acceleration, min(max(yaw_rate, -most), most)

    def _take_off(self, odom: Odometry, trajectory: Trajectory, landed: bool) -> float:
        """Height to climb to [m], 0 when the vehicle flies by velocities."""
        if TAKEOFF_HEIGHT not in self._actuators:
            return 0.0
        top = float(np.max(trajectory.position[:, 2]))
        rises = float(np.max(trajectory.velocity[:, 2])) > RISES or top > float(odom.position[2]) + 0.5
        if landed and rises and not self._landing:
            self._rising = self._o.takeoff_m
        elif self._rising is not None and not landed:
            ground = self._ground if self._ground is not None else -math.inf
            if odom.position[2] - ground >= 0.8 * self._rising:
                self._rising = None
        return self._rising or 0.0

    def _land(self, odom: Odometry, trajectory: Trajectory, landed: bool) -> bool:
        """Whether the autopilot shall land: the plan ends on the ground, straight below."""
        if LAND not in self._actuators or self._ground is None or self._rising is not None:
            return False
        if self._landing:
            return not landed
        v, end = trajectory.velocity, trajectory.position[-1]
        # On the way, or at its end: a plan that has come to rest on the ground sinks no more.
        down = float(np.min(v[:, 2])) < SINKS or float(np.max(np.abs(v[:, 2]))) < -SINKS
        down = down and float(np.max(np.hypot(v[:, 0], v[:, 1]))) < LEVEL
        level = math.hypot(odom.position[0] - end[0], odom.position[1] - end[1])
        self._landing = down and not landed and end[2] < self._ground + NEAR_GROUND and level < self._o.land_within_m
        return self._landing

    def _command(  # noqa: PLR0917
        self, now: float, velocity: Array, acceleration: Array, yaw_rate: float, height: float, land: float
    ) -> ActuatorCommand:
        wanted = {YAW_RATE: yaw_rate, TAKEOFF_HEIGHT: height, LAND: land}
        wanted |= dict(zip((*VELOCITY, *ACCELERATION), (*velocity, *acceleration), strict=True))
        values = {}
        for name, a in self._actuators.items():
            value = float(wanted.get(name, a.safe.value))
            values[name] = min(max(value, a.min), a.max)
        return ActuatorCommand(now, "auto", values)


def _at(times: Array, rows: Array, t: float) -> Array:
    """Rows (k, 3) at one time, held at both ends."""
    return np.array([np.interp(t, times, c) for c in rows.T])


def _slope(trajectory: Trajectory, t: float) -> Array:
    """Acceleration (3,) [m/s^2] of a plan at one time, over SLOPE_S; none beyond its end."""
    h = 0.5 * SLOPE_S
    later, earlier = (_at(trajectory.times, trajectory.velocity, s) for s in (t + h, t - h))
    return np.asarray((later - earlier) / SLOPE_S)


def _place(trajectory: Trajectory, t: float) -> Array:
    """Position (3,) of a plan at one time: between rows on the parabola that their velocities make."""
    times, v = trajectory.times, trajectory.velocity
    i = min(max(int(np.searchsorted(times, t)) - 1, 0), len(times) - 2)
    h = float(times[i + 1] - times[i])
    s = min(max(t - float(times[i]), 0.0), h)
    sag = 0.5 * s * (h - s) / h * (v[i + 1] - v[i])
    return np.asarray(_at(times, trajectory.position, t) - sag)


def _good(t: Trajectory) -> bool:
    parts = (t.times, t.position, t.velocity, t.yaw, t.yaw_rate)
    return len(t.times) >= 2 and all(bool(np.all(np.isfinite(p))) for p in parts)

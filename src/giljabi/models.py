"""Model adapters: what a solver model's states and inputs mean for a platform, chosen by `model.kind`.

An adapter is found by the name of the model, through the table below or the entry point group
`giljabi.models` (a callable `(platform: Platform) -> ModelAdapter`), never by the name of a platform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import NamedTuple, Protocol

import numpy as np

from giljabi.platform import Actuator, Platform
from giljabi.types import Array, JointState, Odometry, Trajectory


@dataclass(frozen=True, slots=True)
class Bounds:
    """Box on states and inputs; infinite where free."""

    x_min: Array  # (nx,) for all stages, or (k, nx)
    x_max: Array
    u_min: Array  # (nu,)
    u_max: Array


@dataclass(frozen=True, slots=True)
class Motion:
    """What a reference asks for at each stage (k,): pose, speed along the body, its slope, yaw rate."""

    xy: Array  # (k, 2) m, map
    yaw: Array  # rad, continuous
    speed: Array  # m/s
    acceleration: Array  # m/s^2
    yaw_rate: Array  # rad/s
    sway: Array | None = None  # m/s to port, where known


@dataclass(frozen=True, slots=True)
class Bias:
    """What moves the vehicle beside its model, as the controller estimates it."""

    surge: float = 0.0  # m/s^2 along the body
    yaw: float = 0.0  # in the unit of the adapter's `derivative`: rad/s^2, or 1/m of curvature for kinematic models
    drift: float = 0.0  # m/s to port


class ModelAdapter(Protocol):
    """One solver model on one platform; the first three states are x [m], y [m], yaw [rad] of base_link in map."""

    kind: str
    states: tuple[str, ...]
    inputs: tuple[str, ...]
    bounds: Bounds
    state_scale: Array  # (nx,) deviation of each state that costs as much as any other
    input_scale: Array  # (nu,)
    turn_radius: float  # m, smallest
    kinematic: bool  # yaw rate and sway follow the state at once

    def parameters(self) -> dict[str, float]:
        """The model's parameters for the solver, SI."""

    def state(
        self, odom: Odometry, outputs: Mapping[str, float] | None = None, joints: JointState | None = None
    ) -> Array:
        """State (nx,) from an estimate and actuators: last outputs, else feedback, else those of steady motion."""

    def reference(self, motion: Motion) -> Array:
        """States (k, nx) of that motion, actuators in balance."""

    def stage_bounds(self, speed: Array, times: Array, x0: Array, share: float) -> Bounds:
        """The box at stages (k,) whose reference speed is `speed` (k,): turning inside `share` of the lateral limits.

        Where x0 is outside, the box closes in on it as fast as the actuators do.
        """

    def derivative(self, x: Array) -> Array:
        """Accelerations of the model at x (nx,): surge, sway [m/s^2], yaw [rad/s^2] (kinematic: curvature [1/m])."""

    def biased(self, x: Array, bias: Bias, sign: float = 1.0) -> Array:
        """x with the actuator states at which the model alone would move as the vehicle does; sign -1: the inverse."""

    def actuators(self, x: Array) -> dict[str, float]:
        """Named actuator values in SI of a state (nx,)."""

    def trajectory(self, t: float, times: Array, x: Array, status: str) -> Trajectory:
        """Solver states (k, nx) at times (k,) as a trajectory."""


def rotate(v: Array, yaw: Array) -> Array:
    """Vectors (k, 2) turned by yaw (k,)."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.stack([c * v[:, 0] - s * v[:, 1], s * v[:, 0] + c * v[:, 1]], axis=1)


def carried(odom: Odometry, now: float) -> Odometry:
    """The estimate carried on to now at constant body velocity and yaw rate; as it is when it is not older."""
    dt = now - odom.t
    if dt <= 0.0:
        return odom
    turn = float(odom.angular_velocity[2]) * dt
    middle = np.array([odom.yaw + 0.5 * turn])
    position = odom.position.copy()
    position[:2] += dt * rotate(odom.velocity[None, :2], middle)[0]
    half = 0.5 * (odom.yaw + turn)
    q = np.array([math.cos(half), 0.0, 0.0, math.sin(half)])
    return Odometry(now, position, q, odom.velocity, odom.angular_velocity, odom.pose_cov, odom.twist_cov)


def why_unusable(now: float, odom: Odometry, timeout: float) -> str:
    """Why nothing may be done from an estimate; empty when it may be used."""
    if not math.isfinite(now):
        return "time is not finite"
    for name in ("position", "quaternion", "velocity", "angular_velocity"):
        if not np.all(np.isfinite(getattr(odom, name))):
            return f"odometry: {name} is not finite"
    age = now - odom.t
    if not math.isfinite(age) or age > timeout:
        return f"odometry is {age:.2f} s old, at most {timeout:g} s is allowed"
    return ""


def motion_of(trajectory: Trajectory, times: Array) -> Motion:
    """The motion a trajectory asks for at times (k,) [s] after its stamp; held still in its last pose beyond the end.

    Positions by cubic Hermite interpolation, the rest linear.
    """
    t = trajectory.times
    q = np.clip(times, t[0], t[-1])
    i = np.clip(np.searchsorted(t, q, side="right") - 1, 0, len(t) - 2)
    h = t[i + 1] - t[i]
    w = ((q - t[i]) / h)[:, None]
    p, v = trajectory.position[:, :2], trajectory.velocity[:, :2]
    a, b = p[i], p[i + 1]
    m0, m1 = h[:, None] * v[i], h[:, None] * v[i + 1]
    xy = a + w * (m0 + w * (3.0 * (b - a) - 2.0 * m0 - m1 + w * (2.0 * (a - b) + m0 + m1)))
    yaw = np.interp(q, t, trajectory.yaw)
    over = times > t[-1]
    velocity = rotate(np.stack([np.interp(q, t, v[:, 0]), np.interp(q, t, v[:, 1])], axis=1), -yaw)
    speed = np.where(over, 0.0, velocity[:, 0])
    body = rotate(v, -trajectory.yaw)[:, 0]
    slope = np.interp(q, t[:-1] + 0.5 * np.diff(t), np.diff(body) / np.diff(t))
    rate = np.where(over, 0.0, np.interp(q, t, trajectory.yaw_rate))
    return Motion(xy, yaw, speed, np.where(over, 0.0, slope), rate, np.where(over, 0.0, velocity[:, 1]))


def named(outputs: Mapping[str, float] | None, joints: JointState | None, name: str, slot: str) -> float | None:
    """Newest finite value of an actuator: last output, else feedback, else None."""
    value = (outputs or {}).get(name)
    if value is None and joints is not None:
        value = getattr(joints, slot).get(name)
    return float(value) if value is not None and math.isfinite(value) else None


def _open(x0: Array, *but: int) -> Array:
    """x0 as a bound that holds it, infinite for the states that have their own."""
    y = x0.copy()
    y[list(but)] = math.inf
    return np.asarray(y)


def _fast(most: float, speed: Array, times: Array, x0: Array, braking: float) -> Array:
    """Upper bound (k,) on the speed: a little beyond the reference's, and no lower than braking reaches from x0."""
    wanted = np.minimum(1.08 * np.maximum(speed, 0.0) + 0.02 * most, most)
    return np.asarray(np.maximum(wanted, x0[3] - 0.8 * braking * times))


def _parameters(platform: Platform, required: tuple[str, ...], positive: tuple[str, ...]) -> dict[str, float]:
    """The model's parameters; raises BadInputError at the file's line for a missing, unknown or non-positive one."""
    given = platform.model.model.parameters
    kind = platform.model.model.kind
    key = ("model", "parameters")
    for name in given:
        if name not in required:
            known = ", ".join(required)
            raise platform.error((*key, name), f"unknown key '{name}'; model '{kind}' knows {known}")
    for name in required:
        if name not in given:
            raise platform.error(key, f"'model.parameters.{name}' is missing; model '{kind}' requires it")
        if name in positive and given[name] <= 0.0:
            raise platform.error((*key, name), f"'{name}' is {given[name]}; a value above 0 is expected")
    return {name: float(given[name]) for name in required}


def _actuators(platform: Platform, units: dict[str, str]) -> dict[str, Actuator]:
    """The actuators a model needs; raises BadInputError when one is missing or has another unit."""
    kind = platform.model.model.kind
    have = platform.model.actuators
    for name, unit in units.items():
        if name not in have:
            raise platform.error(("actuators",), f"'{name}' is missing; model '{kind}' commands it in {unit}")
        if have[name].unit != unit:
            raise platform.error(("actuators", name, "unit"), f"unit is {have[name].unit}; {unit} is expected")
    for name in have:
        if name not in units:
            known = ", ".join(units)
            raise platform.error(("actuators", name), f"model '{kind}' does not command '{name}'; it commands {known}")
    return {name: have[name] for name in units}


class Bicycle:
    """Kinematic bicycle at the rear axle: x y psi v steering a; inputs are the steering rate and the jerk.

    base_link is the rear axle. Drive force = mass a + drag v^2 + rolling.
    """

    kind = "bicycle"
    states: tuple[str, ...] = ("x", "y", "psi", "v", "steering", "a")
    inputs: tuple[str, ...] = ("steering_rate", "jerk")

    def __init__(self, platform: Platform) -> None:
        p = _parameters(platform, ("wheelbase", "mass", "drag", "rolling"), ("wheelbase", "mass"))
        limits = platform.model.limits
        act = _actuators(platform, {"steering": "rad", "throttle": "N"})
        steering, throttle = act["steering"], act["throttle"]
        self._p = p
        self._centre_x = platform.model.footprint.centre_x
        self._turning = (limits.lateral_acceleration_max, limits.yaw_rate_max)
        a_min = max(-1.5 * limits.deceleration_max, throttle.min / p["mass"])
        a_max = min(limits.acceleration_max, (throttle.max - p["rolling"]) / p["mass"])
        inf = math.inf
        jerk = throttle.rate_max / p["mass"]
        self.bounds = Bounds(
            np.array([-inf, -inf, -inf, limits.speed_min, steering.min, a_min]),
            np.array([inf, inf, inf, limits.speed_max, steering.max, a_max]),
            np.array([-steering.rate_max, -jerk]),
            np.array([steering.rate_max, jerk]),
        )
        self.turn_radius = p["wheelbase"] / math.tan(min(-steering.min, steering.max))
        self.state_scale = np.array([1.0, 1.0, 0.3, 0.1 * limits.speed_max, steering.max, limits.deceleration_max])
        self.input_scale = np.array([steering.rate_max, jerk])
        self.kinematic = True

    def parameters(self) -> dict[str, float]:
        return {"wheelbase": self._p["wheelbase"], "centre_x": self._centre_x}

    def _resistance(self, v: float) -> float:
        return self._p["drag"] * v * abs(v) + self._p["rolling"] * min(max(v / 0.2, -1.0), 1.0)

    def state(
        self, odom: Odometry, outputs: Mapping[str, float] | None = None, joints: JointState | None = None
    ) -> Array:
        v = float(odom.velocity[0])
        delta = named(outputs, joints, "steering", "position")
        if delta is None:
            delta = math.atan(self._p["wheelbase"] * float(odom.angular_velocity[2]) / max(v, 1.0))
        force = named(outputs, joints, "throttle", "effort")
        a = 0.0 if force is None else (force - self._resistance(v)) / self._p["mass"]
        b = self.bounds
        tail = np.clip(np.array([v, delta, a]), b.x_min[3:], b.x_max[3:])
        return np.array([odom.position[0], odom.position[1], odom.yaw, *tail])

    def reference(self, motion: Motion) -> Array:
        delta = np.arctan(self._p["wheelbase"] * motion.yaw_rate / np.maximum(motion.speed, 0.5))
        x = np.column_stack([motion.xy, motion.yaw, motion.speed, delta, motion.acceleration])
        x[:, 3:] = np.clip(x[:, 3:], self.bounds.x_min[3:], self.bounds.x_max[3:])
        return x

    def stage_bounds(self, speed: Array, times: Array, x0: Array, share: float) -> Bounds:
        v = np.maximum(np.abs(speed), 0.5)
        most = np.arctan(share * self._p["wheelbase"] * np.minimum(self._turning[0] / v**2, self._turning[1] / v))
        b = self.bounds
        low, high = np.tile(b.x_min, (len(v), 1)), np.tile(b.x_max, (len(v), 1))
        high[:, 3] = _fast(b.x_max[3], speed, times, x0, -b.x_min[5])
        low[:, 4] = np.minimum(np.maximum(low[:, 4], -most), x0[4] + 0.9 * b.u_max[0] * times)
        high[:, 4] = np.maximum(np.minimum(high[:, 4], most), x0[4] - 0.9 * b.u_max[0] * times)
        return Bounds(np.minimum(low, _open(x0, 4)), np.maximum(high, -_open(-x0, 3, 4)), b.u_min, b.u_max)

    def derivative(self, x: Array) -> Array:
        return np.array([x[5], 0.0, math.tan(x[4]) / self._p["wheelbase"]])

    def biased(self, x: Array, bias: Bias, sign: float = 1.0) -> Array:
        y = x.copy()
        y[4] = math.atan(math.tan(x[4]) + sign * self._p["wheelbase"] * bias.yaw)
        y[5] += sign * bias.surge
        return np.asarray(y)

    def actuators(self, x: Array) -> dict[str, float]:
        return {"steering": float(x[4]), "throttle": self._p["mass"] * float(x[5]) + self._resistance(float(x[3]))}

    def trajectory(self, t: float, times: Array, x: Array, status: str) -> Trajectory:
        k = len(times)
        v, yaw = x[:, 3], x[:, 2]
        position = np.column_stack([x[:, :2], np.zeros(k)])
        velocity = np.column_stack([v * np.cos(yaw), v * np.sin(yaw), np.zeros(k)])
        rate = v * np.tan(x[:, 4]) / self._p["wheelbase"]
        return Trajectory(t, times.copy(), position, yaw.copy(), velocity, rate, status)


class Span(NamedTuple):
    """What a drive can do, in its unit and its unit a second."""

    min: float
    max: float
    rate_max: float


class VesselRudder:
    """Three-degree-of-freedom vessel with propeller and rudder: x y psi u v r thrust rudder; inputs are their rates.

    base_link is midships. Equations and coefficients after Skjetne (2005), mirrored to y to port.
    """

    kind = "vessel_rudder"
    states: tuple[str, ...] = ("x", "y", "psi", "u", "v", "r", "thrust", "rudder")
    inputs: tuple[str, ...] = ("thrust_rate", "rudder_rate")
    names = (
        *("m11", "m22", "m23", "m33", "d11", "d11_abs", "d11_cub", "d22", "d22_abs", "d22_r", "d23", "d23_abs"),
        *("d23_r", "d32", "d32_abs", "d32_r", "d33", "d33_abs", "d33_r", "rudder_yaw", "rudder_sway"),
        "propeller_wash",
    )

    extra: tuple[str, ...] = ()  # further parameters, which the solver does not know

    def __init__(self, platform: Platform) -> None:
        positive = ("m11", "m22", "m33", "d11", "d33", "rudder_yaw", *self.extra)
        self._given = _parameters(platform, (*self.names, *self.extra), positive)
        self._p = p = {n: self._given[n] for n in self.names}
        limits = platform.model.limits
        rudder, throttle = self._drives(platform)
        inf = math.inf
        self.bounds = Bounds(
            np.array([-inf, -inf, -inf, limits.speed_min, -inf, -limits.yaw_rate_max, throttle.min, rudder.min]),
            np.array([inf, inf, inf, limits.speed_max, inf, limits.yaw_rate_max, throttle.max, rudder.max]),
            np.array([-throttle.rate_max, -rudder.rate_max]),
            np.array([throttle.rate_max, rudder.rate_max]),
        )
        self._turning = (limits.lateral_acceleration_max, limits.yaw_rate_max)
        self.turn_radius = limits.speed_max / limits.yaw_rate_max
        length = platform.model.footprint.length
        self.state_scale = np.array(
            [
                *(0.3 * length, 0.3 * length, 0.3, 0.1 * limits.speed_max, 0.2 * limits.speed_max),
                *(limits.yaw_rate_max, throttle.max, rudder.max),
            ]
        )
        self.input_scale = np.array([throttle.rate_max, rudder.rate_max])
        self.kinematic = False
        self._centre_x = platform.model.footprint.centre_x
        self._braking = 0.5 * limits.deceleration_max
        self._settling = 2.0 * p["m33"] / p["d33"]  # s
        self._det = p["m22"] * p["m33"] - p["m23"] ** 2

    def _drives(self, platform: Platform) -> tuple[Span, Span]:
        """What rudder and throttle can do."""
        act = _actuators(platform, {"rudder": "rad", "throttle": "N"})
        rudder, throttle = act["rudder"], act["throttle"]
        return Span(rudder.min, rudder.max, rudder.rate_max), Span(throttle.min, throttle.max, throttle.rate_max)

    def parameters(self) -> dict[str, float]:
        return {**self._p, "centre_x": self._centre_x}

    def _drag(self, u: Array) -> Array:
        p = self._p
        return np.asarray((p["d11"] + p["d11_abs"] * np.abs(u) + p["d11_cub"] * u * u) * u)

    def _flow(self, u: Array, thrust: Array) -> Array:
        """Square of the flow at the rudder [m^2/s^2]: way through the water and propeller wash ahead."""
        return np.asarray(u * np.abs(u) + self._p["propeller_wash"] * np.maximum(thrust, 0.0))

    def state(
        self, odom: Odometry, outputs: Mapping[str, float] | None = None, joints: JointState | None = None
    ) -> Array:
        u, v, r = float(odom.velocity[0]), float(odom.velocity[1]), float(odom.angular_velocity[2])
        steady = self.reference(
            Motion(
                odom.position[None, :2], np.array([odom.yaw]), np.array([u]), np.zeros(1), np.array([r]), np.array([v])
            )
        )[0]
        rudder = named(outputs, joints, "rudder", "position")
        thrust = named(outputs, joints, "throttle", "effort")
        x = np.array([*steady[:3], u, v, r, steady[6], steady[7]])
        if thrust is not None:
            x[6] = thrust
        if rudder is not None:
            x[7] = rudder
        x[6:] = np.clip(x[6:], self.bounds.x_min[6:], self.bounds.x_max[6:])
        return x

    def reference(self, motion: Motion) -> Array:
        p = self._p
        u, r = motion.speed, motion.yaw_rate
        v = np.zeros_like(u) if motion.sway is None else motion.sway
        thrust = self._drag(u) + p["m11"] * motion.acceleration
        c13, c23 = -p["m22"] * v - p["m23"] * r, p["m11"] * u
        d32 = p["d32"] + p["d32_abs"] * np.abs(v) + p["d32_r"] * np.abs(r)
        d33 = p["d33"] + p["d33_abs"] * np.abs(v) + p["d33_r"] * np.abs(r)
        moment = -c13 * u - c23 * v + d32 * v + d33 * r
        rudder = moment / (p["rudder_yaw"] * np.maximum(self._flow(u, thrust), 0.5))
        x = np.column_stack([motion.xy, motion.yaw, u, v, r, thrust, rudder])
        x[:, 3:] = np.clip(x[:, 3:], self.bounds.x_min[3:], self.bounds.x_max[3:])
        return x

    def stage_bounds(self, speed: Array, times: Array, x0: Array, share: float) -> Bounds:
        rate = share * np.minimum(self._turning[0] / np.maximum(np.abs(speed), 0.1), self._turning[1])
        b = self.bounds
        low, high = np.tile(b.x_min, (len(rate), 1)), np.tile(b.x_max, (len(rate), 1))
        high[:, 3] = _fast(b.x_max[3], speed, times, x0, self._braking)
        # The yaw rate follows the rudder over some seconds, so a start beyond the limit may die away.
        fade = abs(float(x0[5])) * np.exp(-times / self._settling)
        low[:, 5], high[:, 5] = -np.maximum(rate, fade), np.maximum(rate, fade)
        return Bounds(np.minimum(low, _open(x0, 5)), np.maximum(high, -_open(-x0, 3, 5)), b.u_min, b.u_max)

    def derivative(self, x: Array) -> Array:
        p = self._p
        u, v, r, thrust, rudder = (float(a) for a in x[3:8])
        c13, c23 = -p["m22"] * v - p["m23"] * r, p["m11"] * u
        d22 = p["d22"] + p["d22_abs"] * abs(v) + p["d22_r"] * abs(r)
        d23 = p["d23"] + p["d23_abs"] * abs(v) + p["d23_r"] * abs(r)
        d32 = p["d32"] + p["d32_abs"] * abs(v) + p["d32_r"] * abs(r)
        d33 = p["d33"] + p["d33_abs"] * abs(v) + p["d33_r"] * abs(r)
        flow = float(self._flow(np.array(u), np.array(thrust)))
        fx = thrust - c13 * r - float(self._drag(np.array(u)))
        fy = p["rudder_sway"] * rudder * flow - c23 * r - d22 * v - d23 * r
        fn = p["rudder_yaw"] * rudder * flow + c13 * u + c23 * v - d32 * v - d33 * r
        return np.array(
            [fx / p["m11"], (p["m33"] * fy - p["m23"] * fn) / self._det, (p["m22"] * fn - p["m23"] * fy) / self._det]
        )

    def biased(self, x: Array, bias: Bias, sign: float = 1.0) -> Array:
        p = self._p
        y = x.copy()
        flow = max(float(self._flow(np.array(x[3]), np.array(x[6]))), 1.0)
        gain = (p["m22"] * p["rudder_yaw"] - p["m23"] * p["rudder_sway"]) / self._det * flow
        y[6] += sign * p["m11"] * bias.surge
        y[7] += sign * bias.yaw / gain
        return np.asarray(y)

    def actuators(self, x: Array) -> dict[str, float]:
        return {"rudder": float(x[7]), "throttle": float(x[6])}

    def trajectory(self, t: float, times: Array, x: Array, status: str) -> Trajectory:
        k = len(times)
        position = np.column_stack([x[:, :2], np.zeros(k)])
        velocity = np.column_stack([rotate(x[:, 3:5], x[:, 2]), np.zeros(k)])
        return Trajectory(t, times.copy(), position, x[:, 2].copy(), velocity, x[:, 5].copy(), status)


class VesselHeading(VesselRudder):
    """A vessel whose rudder belongs to an autopilot that is told the heading (yaw, rad).

    It plans with the rudder that the autopilot has (`rudder_max`, `rudder_rate`), whose orders are not ours: the
    heading that leads her along a plan is the controller's (`heading_orders`).
    """

    extra = ("rudder_max", "rudder_rate")

    def _drives(self, platform: Platform) -> tuple[Span, Span]:
        act = _actuators(platform, {"heading": "rad", "throttle": "N"})
        if not act["heading"].wraps:
            raise platform.error(("actuators", "heading"), "'heading' does not wrap; wraps: true is expected")
        throttle, most = act["throttle"], self._given["rudder_max"]
        return (
            Span(-most, most, self._given["rudder_rate"]),
            Span(throttle.min, throttle.max, throttle.rate_max),
        )

    def biased(self, x: Array, bias: Bias, sign: float = 1.0) -> Array:
        y = x.copy()
        y[6] += sign * self._p["m11"] * bias.surge
        return np.asarray(y)

    def actuators(self, x: Array) -> dict[str, float]:
        return {"heading": math.remainder(float(x[2]), math.tau), "throttle": float(x[6])}


MODELS: dict[str, type[Bicycle] | type[VesselRudder]] = {
    "bicycle": Bicycle,
    "vessel_rudder": VesselRudder,
    "vessel_heading": VesselHeading,
}


def build_model(platform: Platform) -> ModelAdapter:
    """The adapter of the platform's model; raises BadInputError at the file's line when nobody provides it."""
    kind = platform.model.model.kind
    found = {e.name: e for e in entry_points(group="giljabi.models")}
    if kind in found:
        adapter: ModelAdapter = found[kind].load()(platform)
        return adapter
    if kind not in MODELS:
        known = ", ".join(sorted({*MODELS, *found}))
        raise platform.error(("model", "kind"), f"no model is called '{kind}'; known are {known}")
    return MODELS[kind](platform)

"""Small plants for closed-loop tests of planner and controller; their equations are not the solver's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from giljabi.platform import Platform
from giljabi.types import Array, Odometry


def quaternion(yaw: float) -> Array:
    return np.array([math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw)])


def odometry(t: float, x: float, y: float, yaw: float, u: float, v: float = 0.0, r: float = 0.0) -> Odometry:
    z = np.zeros((6, 6))
    return Odometry(t, np.array([x, y, 0.0]), quaternion(yaw), np.array([u, v, 0.0]), np.array([0.0, 0.0, r]), z, z)


@dataclass
class SmallCar:
    """Single-track car with saturating tyres, lagging actuators and a head wind; rolls without slip when slow."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    vx: float = 0.0
    vy: float = 0.0  # at the centre of gravity
    r: float = 0.0
    mass: float = 1500.0
    push: float = 0.0  # N along the body, wind or slope
    trim: float = 0.0  # rad the wheels are off the command
    steering: float = 0.0
    force: float = 0.0

    def step(self, command: Mapping[str, float], dt: float) -> None:
        front, rear, inertia = 1.2, 1.5, 2300.0
        self.steering += dt * np.clip((command.get("steering", 0.0) - self.steering) / 0.08, -0.9, 0.9)
        self.force += dt * (command.get("throttle", 0.0) - self.force) / 0.1
        wheel = self.steering + self.trim
        brake = self.force if self.force > 0 else self.force * min(max(self.vx / 0.05, -1.0), 1.0)
        resist = 0.8 * self.vx * abs(self.vx) + 200.0 * math.tanh(self.vx / 0.1)
        along = brake + self.push * min(abs(self.vx), 1.0) - resist
        if self.vx < 2.5:
            self.vx += dt * along / self.mass
            self.r = self.vx * math.tan(wheel) / (front + rear)
            self.vy = rear * self.r
        else:
            grip = 0.5 * self.mass * 9.81
            slip_f = math.atan2(self.vy + front * self.r, self.vx) - wheel
            slip_r = math.atan2(self.vy - rear * self.r, self.vx)
            f = -grip * math.tanh(12.0 * slip_f)
            b = -grip * math.tanh(15.0 * slip_r)
            self.vx += dt * ((along - f * math.sin(wheel)) / self.mass + self.vy * self.r)
            self.vy += dt * ((f * math.cos(wheel) + b) / self.mass - self.vx * self.r)
            self.r += dt * (front * f * math.cos(wheel) - rear * b) / inertia
        lateral = self.vy - rear * self.r
        self.x += dt * (self.vx * math.cos(self.yaw) - lateral * math.sin(self.yaw))
        self.y += dt * (self.vx * math.sin(self.yaw) + lateral * math.cos(self.yaw))
        self.yaw += dt * self.r

    def odometry(self, t: float) -> Odometry:
        return odometry(t, self.x, self.y, self.yaw, self.vx, self.vy - 1.5 * self.r, self.r)


@dataclass
class SmallShip:
    """Manoeuvring model with square-law hull forces, current and a constant wind force in map; lagging actuators."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    u: float = 0.0  # over ground, body
    v: float = 0.0
    r: float = 0.0
    mass: float = 25_000.0
    current: tuple[float, float] = (0.0, 0.0)  # m/s towards, map
    wind: tuple[float, float] = (0.0, 0.0)  # N, map
    rudder: float = 0.0
    thrust: float = 0.0

    def step(self, command: Mapping[str, float], dt: float) -> None:
        self.rudder += dt * np.clip((command.get("rudder", 0.0) - self.rudder) / 0.5, -0.3, 0.3)
        self.thrust += dt * (command.get("throttle", 0.0) - self.thrust) / 1.0
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        cx, cy = self.current
        ur, vr = self.u - (c * cx + s * cy), self.v - (-s * cx + c * cy)
        wx, wy = c * self.wind[0] + s * self.wind[1], -s * self.wind[0] + c * self.wind[1]
        flow = ur * abs(ur) + 3.5e-4 * max(self.thrust, 0.0)
        mx, my, iz = 1.05 * self.mass, 1.4 * self.mass, 11.0 * self.mass
        side = -8.5e3 * vr - 4.0e3 * vr * abs(vr)
        fx = self.thrust - 820.0 * ur * abs(ur) - 300.0 * ur - 600.0 * self.rudder**2 * abs(flow) + wx
        fy = side - 1000.0 * self.rudder * flow + wy
        fn = 5600.0 * self.rudder * flow - 1.7e5 * self.r - 8.0e4 * self.r * abs(self.r) - 8.0e2 * ur * vr
        du = (fx + my * vr * self.r) / mx
        dv = (fy - mx * ur * self.r) / my
        self.u += dt * du
        self.v += dt * dv
        self.r += dt * fn / iz
        self.x += dt * (self.u * c - self.v * s)
        self.y += dt * (self.u * s + self.v * c)
        self.yaw += dt * self.r

    def odometry(self, t: float) -> Odometry:
        return odometry(t, self.x, self.y, self.yaw, self.u, self.v, self.r)


@dataclass
class SmallGuard:
    """Range and rate of every actuator, as the guard holds them."""

    platform: Platform
    output: dict[str, float] = field(default_factory=dict)
    worst: float = 0.0  # largest share of a range or rate limit by which a command was beyond it

    def __post_init__(self) -> None:
        self.output = {name: a.safe.value for name, a in self.platform.model.actuators.items()}

    def step(self, values: Mapping[str, float] | None, dt: float) -> None:
        for name, a in self.platform.model.actuators.items():
            wanted = a.safe.value if values is None else values[name]
            assert math.isfinite(wanted)
            step = (wanted - self.output[name]) / (a.rate_max * dt)
            if values is not None:
                beyond = max(a.min - wanted, wanted - a.max) / (a.max - a.min)
                self.worst = max(self.worst, beyond, abs(step) - 1.0)
            self.output[name] = min(max(self.output[name] + np.clip(step, -1, 1) * a.rate_max * dt, a.min), a.max)

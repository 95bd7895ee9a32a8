"""A small generator of true motion and noisy samples for the estimator's tests, independent of the simulator.

Planar path by integrating speed and yaw rate in fine steps, with roll and pitch on top; samples are derived from finite
differences of the path, not from the filter's equations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from giljabi import frames as fr
from giljabi.types import Array, GnssFix, GnssVelocity, Heading, Imu, JointState, Origin

ORIGIN = Origin(37.5, 127.0, 30.0)
STEP = 0.002


@dataclass
class Ride:
    """Truth on a fine grid: t (n,); position, velocity, acceleration of base_link in map and rpy, each (n, 3)."""

    t: Array
    position: Array
    rpy: Array
    velocity: Array
    acceleration: Array
    rate: Array  # (n, 3) rad/s, body

    def at(self, t: float) -> int:
        return min(len(self.t) - 1, round((t - self.t[0]) / STEP))


def make_ride(
    duration: float,
    speed: Callable[[Array], Array],
    yaw_rate: Callable[[Array], Array],
    *,
    yaw0: float = 0.0,
    slip: float = 0.0,
    sway: float = 0.0,
) -> Ride:
    """slip: angle of course to the left of the bow [rad]; sway: amplitude of roll and pitch [rad]."""
    t = np.arange(0.0, duration + STEP / 2, STEP)
    s, w = np.broadcast_to(speed(t), t.shape), np.broadcast_to(yaw_rate(t), t.shape)
    yaw = yaw0 + np.concatenate([[0.0], np.cumsum(0.5 * (w[1:] + w[:-1]) * STEP)])
    course = yaw + slip
    v = np.c_[s * np.cos(course), s * np.sin(course), np.zeros_like(t)]
    p = np.concatenate([np.zeros((1, 3)), np.cumsum(0.5 * (v[1:] + v[:-1]) * STEP, axis=0)])
    rpy = np.c_[sway * np.sin(0.9 * t), 0.6 * sway * np.sin(0.7 * t + 1.0), yaw]
    R = Rotation.from_euler("xyz", rpy)
    rate = np.zeros((len(t), 3))
    rate[1:-1] = (R[:-2].inv() * R[2:]).as_rotvec() / (2 * STEP)
    rate[0], rate[-1] = rate[1], rate[-2]
    return Ride(t, p, rpy, v, np.gradient(v, STEP, axis=0), rate)


@dataclass
class Sensors:
    """Noisy samples of a ride; all standard deviations 1 sigma."""

    ride: Ride
    rng: np.random.Generator
    gyro_bias: tuple[float, float, float] = (0.004, -0.003, 0.006)
    accel_bias: tuple[float, float, float] = (0.08, -0.05, 0.1)
    lever: tuple[float, float, float] = (1.0, 0.0, 1.5)

    def imu(self, t: float, gyro: float = 0.003, accel: float = 0.03, source: str = "imu") -> Imu:
        k, r = self.ride.at(t), self.ride
        R = Rotation.from_euler("xyz", r.rpy[k])
        force = R.inv().apply(r.acceleration[k] + [0.0, 0.0, fr.GRAVITY])
        return Imu(
            t,
            r.rate[k] + self.gyro_bias + gyro * self.rng.standard_normal(3),
            force + self.accel_bias + accel * self.rng.standard_normal(3),
            source,
        )

    def rate_only(self, t: float, gyro: float = 0.003) -> Imu:
        s = self.imu(t, gyro)
        return Imu(t, np.array([np.nan, np.nan, s.angular_velocity[2]]), np.full(3, np.nan), "gyro")

    def antenna(self, t: float) -> Array:
        k = self.ride.at(t)
        return self.ride.position[k] + Rotation.from_euler("xyz", self.ride.rpy[k]).apply(self.lever)

    def fix(self, t: float, std: float = 0.5, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> GnssFix:
        p = self.antenna(t) + std * self.rng.standard_normal(3) + shift
        lat, lon, alt = fr.LocalFrame(ORIGIN).geodetic_from_map(p)
        return GnssFix(t, float(lat), float(lon), float(alt), np.full(3, std))

    def velocity(self, t: float, std: float = 0.1) -> GnssVelocity:
        v = (
            (self.antenna(t + 0.01) - self.antenna(t - 0.01)) / 0.02
            if t > 0.02
            else self.ride.velocity[self.ride.at(t)]
        )
        v = v + std * self.rng.standard_normal(3)
        return GnssVelocity(t, np.array([v[0], v[1], np.nan]), std)

    def heading(self, t: float, std: float = 0.02) -> Heading:
        yaw = self.ride.rpy[self.ride.at(t), 2] + std * self.rng.standard_normal()
        return Heading(t, float(fr.wrap_angle(yaw)), std)

    def wheels(self, t: float, std: float = 0.03) -> JointState:
        k = self.ride.at(t)
        v = float(np.hypot(*self.ride.velocity[k, :2]))
        noise = std * self.rng.standard_normal(4) if v > 0.02 else np.zeros(4)
        half = 0.75 * self.ride.rate[k, 2]
        names = ("wheel_fl", "wheel_fr", "wheel_rl", "wheel_rr")
        speeds = v + np.array([-half, half, -half, half]) + noise
        return JointState(t, velocity=dict(zip(names, speeds.tolist(), strict=True)))

"""Rides past the estimator, for its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from ride import ORIGIN, Ride, Sensors, make_ride

from giljabi import frames as fr
from giljabi.estimation.eskf import EskfEstimator
from giljabi.platform import load_platform
from giljabi.types import (
    Odometry,
    Sample,
)

CAR = (1.0, 0.0, 1.5)
SHIP = (1.0, 0.0, 3.0)


def estimator(name: str, origin: bool = True) -> EskfEstimator:
    e = EskfEstimator(load_platform(name))
    if origin:
        e.origin = ORIGIN
    return e


Sources = dict[str, tuple[float, Callable[[float], Sample]]]  # name → period, maker


def run(
    e: EskfEstimator, ride: Ride, sources: Sources, until: float, keep: Callable[[str, float], bool] = lambda s, t: True
) -> Iterator[tuple[float, Odometry | None]]:
    """Steps at 50 Hz; every source gives a sample each period."""
    n = {name: 0 for name in sources}
    for k in range(round(until / 0.02) + 1):
        now = 0.02 * k
        batch: list[Sample] = []
        for name, (period, make) in sources.items():
            while n[name] * period <= now + 1e-9:
                t = n[name] * period
                n[name] += 1
                if keep(name, t):
                    batch.append(make(t))
        yield now, e.step(now, sorted(batch, key=lambda s: s.t))


def yaw_error(odom: Odometry, ride: Ride) -> float:
    return float(fr.angle_difference(odom.yaw, ride.rpy[ride.at(odom.t), 2]))


def position_error(odom: Odometry, ride: Ride) -> np.ndarray:
    return odom.position - ride.position[ride.at(odom.t)]


def check_sane(odom: Odometry) -> None:
    for a in (odom.position, odom.quaternion, odom.velocity, odom.angular_velocity, odom.pose_cov, odom.twist_cov):
        assert np.all(np.isfinite(a))
    for c in (odom.pose_cov, odom.twist_cov):
        assert np.array_equal(c, c.T) or np.allclose(c, c.T, rtol=0, atol=1e-12 * np.abs(c).max())
        assert np.linalg.eigvalsh(c).min() > -1e-9 * np.abs(c).max()


def car_ride(duration: float = 60.0, yaw0: float = 0.7) -> Ride:
    return make_ride(
        duration,
        lambda t: 8.0 + 3.0 * np.sin(0.25 * t),
        lambda t: 0.25 * np.sin(0.2 * t) + 0.05,
        yaw0=yaw0,
        sway=0.03,
    )


def car_sources(s: Sensors) -> Sources:
    return {"imu": (0.01, s.imu), "fix": (0.2, s.fix), "velocity": (0.2, s.velocity), "wheels": (0.02, s.wheels)}


def ship_ride(duration: float = 120.0, slip: float = 0.0, speed: float = 3.0, turn: float = 0.05) -> Ride:
    return make_ride(
        duration, lambda t: speed + 0.5 * np.sin(0.05 * t), lambda t: turn * np.sin(0.08 * t), yaw0=-2.0, slip=slip
    )

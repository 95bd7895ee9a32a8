"""What a sample must be before it may touch the filter: finite where it applies and within what the world allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from giljabi.types import GnssFix, GnssVelocity, Heading, Imu, JointState, Sample, SpeedThroughWater

GYRO_MAX = 40.0  # rad/s; MEMS gyros end at 35 (2000 deg/s)
ACCEL_MAX = 500.0  # m/s^2
SPEED_MAX = 600.0  # m/s; receivers stop at 515 (1000 kn)
ALT_RANGE = (-1000.0, 100e3)  # m
STD_MAX = 1000.0  # m, m/s, rad; a sample worse than this says nothing


def fault(sample: Sample) -> str:
    """Reason to refuse a sample, or an empty string."""
    if not math.isfinite(sample.t):
        return "stamp not finite"
    check = _CHECKS.get(type(sample))
    return check(sample) if check else "not for the estimator"


def _std(std: float) -> str:
    return "" if 0.0 < std < STD_MAX else "standard deviation not positive or useless"


def _vector(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.shape == (3,) and value.dtype == np.float64


def _imu(s: Imu) -> str:
    if not (_vector(s.angular_velocity) and _vector(s.linear_acceleration)):
        return "wrong shape"
    values = (*s.angular_velocity.tolist(), *s.linear_acceleration.tolist())
    if all(math.isnan(v) for v in values):
        return "nothing measured"
    if any(math.isinf(v) for v in values):
        return "not finite"
    # NaN compares false: a slot that is not measured passes.
    if any(abs(v) > GYRO_MAX for v in values[:3]) or any(abs(v) > ACCEL_MAX for v in values[3:]):
        return "beyond any sensor's range"
    return ""


def _fix(s: GnssFix) -> str:
    if not (math.isfinite(s.lat_deg) and math.isfinite(s.lon_deg)) or math.isinf(s.alt_m):
        return "not finite"
    bad = {
        "no fix": s.quality <= 0,
        "receiver is dead reckoning": s.quality == 6,
        "outside the earth's coordinates": abs(s.lat_deg) > 90.0 or abs(s.lon_deg) > 180.0,
        "absurd height": s.alt_m < ALT_RANGE[0] or s.alt_m > ALT_RANGE[1],
        "standard deviation not positive or useless": not _vector(s.std_enu)
        or not all(0.0 < v < STD_MAX for v in s.std_enu[:2].tolist()),
    }
    return next((reason for reason, found in bad.items() if found), "")


def _velocity(s: GnssVelocity) -> str:
    if not _vector(s.velocity_enu):
        return "wrong shape"
    east, north, up = s.velocity_enu.tolist()
    if not (math.isfinite(east) and math.isfinite(north)) or math.isinf(up):
        return "not finite"
    if max(abs(east), abs(north)) > SPEED_MAX or abs(up) > SPEED_MAX:
        return "absurd speed"
    return _std(s.std)


def _heading(s: Heading) -> str:
    if not math.isfinite(s.yaw) or abs(s.yaw) > 1e3:
        return "not finite"
    return _std(s.std)


def _log(s: SpeedThroughWater) -> str:
    if not math.isfinite(s.speed) or abs(s.speed) > SPEED_MAX:
        return "absurd speed"
    return _std(s.std)


def _joints(s: JointState) -> str:
    wheels = [v for name, v in s.velocity.items() if name.startswith("wheel")]
    return "absurd wheel speed" if any(abs(v) > SPEED_MAX for v in wheels) else ""


_CHECKS: dict[type, Callable[[Any], str]] = {
    Imu: _imu,
    GnssFix: _fix,
    GnssVelocity: _velocity,
    Heading: _heading,
    SpeedThroughWater: _log,
    JointState: _joints,
}

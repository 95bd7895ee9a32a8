"""What drivers of marine receivers and compasses share: from what devices say to samples in SI."""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import NAN, Array, Imu

# Quality of GnssFix: 1 single, 2 differential, 4 RTK fixed, 5 RTK float, 6 dead reckoning.
UERE_M = {1: 3.0, 2: 1.5, 4: 0.02, 5: 0.4, 6: 10.0}  # user equivalent range error by quality, 1 sigma
NO_COURSE_SPEED = 0.5  # m/s, below it a receiver may leave the course empty


def dilution_std(quality: int, hdop: float, vdop: float, uere_m: float | None = None) -> Array:
    """East, north, up (3,) [m], 1 sigma: dilution of precision times range error; NaN where the device tells none."""
    hdop = 2.0 if math.isnan(hdop) else min(max(hdop, 0.5), 100.0)
    vdop = 1.5 * hdop if math.isnan(vdop) else min(max(vdop, 0.5), 100.0)
    uere = uere_m or UERE_M[quality]
    # HDOP counts both horizontal axes together.
    return np.array([hdop * uere / math.sqrt(2.0), hdop * uere / math.sqrt(2.0), vdop * uere])


def course_velocity(speed: float, course_deg: float, std: float) -> tuple[Array, float] | None:
    """Velocity over ground (3,) in ENU [m/s] and its 1 sigma; None when the course is missing and matters."""
    if math.isnan(speed):
        return None
    if math.isnan(course_deg):
        if speed > NO_COURSE_SPEED:
            return None
        std, speed, course_deg = max(std, speed), 0.0, 0.0
    c = math.radians(course_deg)
    return np.array([speed * math.sin(c), speed * math.cos(c), NAN]), std


def yaw_of_heading(heading_deg: float) -> float:
    """Yaw in ENU [rad, -pi to pi] of a true heading [deg, clockwise from north]."""
    return math.remainder(math.pi / 2 - math.radians(heading_deg), math.tau)


def tilt_sample(t: float, roll_deg: float | None, pitch_deg: float | None, std_deg: float, source: str) -> Imu | None:
    """An Imu of roll and pitch alone; None when one of them is missing or is no such angle.

    Ships count roll positive with the port side up and pitch positive with the bow up (IEC 61162-3, PGN 127257); about
    the axes of base_link the first has the same sign, the second the other one.
    """
    if roll_deg is None or pitch_deg is None or not (abs(roll_deg) <= 180.0 and abs(pitch_deg) <= 90.0):
        return None
    tilt = math.radians(roll_deg), -math.radians(pitch_deg), math.radians(std_deg)
    return Imu(t, np.full(3, NAN), np.full(3, NAN), source, tilt)

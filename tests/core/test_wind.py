"""The wind by how a vehicle leans: made-up motions, and what the way home makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.estimation.wind import KNOWN_S, WindWatch
from giljabi.failsafe_table import Energy
from giljabi.frames import matrix_from_quat, quat_from_matrix
from giljabi.missions.range_watch import RangeWatch
from giljabi.types import Array, Battery, Odometry, Wind

LINEAR, QUADRATIC = 0.12, 0.004
speeds = st.floats(-8.0, 8.0)


def leaning(t: float, velocity: Array, acceleration: Array, wind: Array, yaw: float) -> Odometry:
    """A vehicle whose thrust does exactly what its acceleration in the wind takes."""
    air = np.array([*(velocity[:2] - wind), 0.0])
    thrust = acceleration + [0, 0, 9.81] + (LINEAR + QUADRATIC * float(np.linalg.norm(air))) * air
    up = thrust / np.linalg.norm(thrust)
    side = np.cross(up, [math.cos(yaw), math.sin(yaw), 0.0])
    side /= np.linalg.norm(side)
    q = quat_from_matrix(np.column_stack([np.cross(side, up), side, up]))
    return Odometry(t, np.zeros(3), q, matrix_from_quat(q).T @ velocity, np.zeros(3), np.eye(6), np.eye(6))


@given(speeds, speeds, st.floats(-3.0, 3.0), st.floats(0.1, 1.0), st.floats(-1.0, 1.0))
def test_wind_is_found_on_any_motion(east: float, north: float, yaw: float, rate: float, climb: float) -> None:
    watch, wind = WindWatch(LINEAR, QUADRATIC), np.array([east, north])
    for t in np.arange(0.0, 30.0, 0.05):
        turn = np.array([math.cos(rate * t), math.sin(rate * t), 0.0])
        velocity = 4.0 * turn + [1.0, 0.0, climb]
        acceleration = 4.0 * rate * np.array([-turn[1], turn[0], 0.0])
        assert (watch.wind is None) or t > KNOWN_S
        watch.step(leaning(t, velocity, acceleration, wind, yaw), t > 2.0)
    assert watch.wind is not None
    assert watch.wind.velocity == pytest.approx(wind, abs=0.25)
    assert watch.wind.std < 0.5


def test_nothing_is_measured_on_the_ground_nor_over_gaps_and_nan() -> None:
    watch, wind = WindWatch(LINEAR, QUADRATIC), np.array([3.0, 0.0])
    still = np.zeros(3)
    for t in np.arange(0.0, 20.0, 0.05):
        watch.step(leaning(t, still, still, wind, 0.0), False)
    for t in np.arange(20.0, 60.0, 0.5):  # an estimate twice a second
        watch.step(leaning(t, still, still, wind, 0.0), True)
    assert watch.wind is None
    for t in np.arange(60.0, 80.0, 0.05):
        odom = leaning(t, still, still, wind, 0.0)
        if 65.0 < t < 65.2:
            odom = replace(odom, velocity=still + math.nan)
        elif 70.0 < t < 70.2:
            odom = replace(odom, quaternion=np.full(4, math.nan))
        watch.step(odom, True)
    assert watch.wind is not None
    assert watch.wind.velocity == pytest.approx([3.0, 0.0], abs=0.05)


def test_the_way_home_is_longer_against_the_wind_that_was_measured() -> None:
    from giljabi.missions.legs import Homing

    energy = Energy(battery_wh=74, hover_w=340, cruise_w=340, air_speed=10, reserve=0.2, wind=3)
    homing = Homing(np.zeros(3), np.zeros((0, 3)), 15.0)
    place = np.array([900.0, 0.0, 20.0])

    def told(share: float, wind: Wind | None) -> str:
        watch = RangeWatch(energy, 2.0, 1.5)
        watch.take(Battery(100.0, 15.0, 20.0, share), True)
        watch.take_wind(wind)
        return watch.must_return(100.0, place, homing, 8.0)

    def least(wind: Wind | None) -> float:
        """Charge at which it turns back."""
        return float(next(s for s in np.arange(1.0, 0.1, -0.01) if told(s, wind)))

    from_home, to_home = (Wind(99.0, np.array([e, 0.0]), 0.5) for e in (5.0, -5.0))
    calm = Wind(99.0, np.zeros(2), 0.0)
    assert least(from_home) > least(None) > least(calm) >= least(to_home)
    assert told(0.25, from_home).endswith("in 5 m/s of wind")
    assert "leaves no way" in told(0.9, Wind(99.0, np.array([9.5, 0.0]), 0.5))

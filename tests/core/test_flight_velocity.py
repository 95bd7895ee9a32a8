"""The controller for autopilots that take velocities: feed-forward, feedback, braking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.control.braking import Braking
from giljabi.control.flight_paths import Circle
from giljabi.control.flight_velocity import FlightVelocityController, FlightVelocityOptions
from giljabi.platform import load_platform
from giljabi.types import Array, JointState, Odometry, Trajectory

DT = 0.02
ACCELERATION = ("acceleration_x", "acceleration_y", "acceleration_z")


OPTIONS = load_platform("drone").options(FlightVelocityOptions, "steps", "controller")


def controller() -> FlightVelocityController:
    return FlightVelocityController(load_platform("drone"))


def odom(t: float, position: Array, velocity: Array) -> Odometry:
    return Odometry(t, position, np.array([1.0, 0, 0, 0]), velocity, np.zeros(3), np.eye(6), np.eye(6))


def plan(path: Circle, t: float) -> Trajectory:
    times = np.arange(0.0, 3.0, 0.1)
    at = t + times
    n = len(times)
    return Trajectory(t, times, path.derivative(at, 0), np.zeros(n), path.derivative(at, 1), np.zeros(n))


def commanded(c: FlightVelocityController, t: float, o: Odometry, p: Trajectory) -> dict[str, float]:
    flying = JointState(t, {"landed": 0.0})
    command = c.step(t, o, flying, p, {})
    assert command is not None
    return dict(command.values)


def test_on_the_path_velocity_and_acceleration_are_the_plans_led_by_their_lags() -> None:
    """A motion that lags by the acceleration's lag would be the plan's own; the plan's rows are 0.1 s apart."""
    path, c, o = Circle(20.0, 5.0, 10.0), controller(), OPTIONS
    t = 2.03
    here = odom(t, *(path.derivative(np.array([t]), k)[0] for k in (0, 1)))
    values = commanded(c, t, here, plan(path, t - 0.05))
    ahead = np.array([t + o.delay_s])
    v = path.derivative(ahead + o.lag_s, 1)[0]
    a = path.derivative(ahead + o.acceleration_lag_s, 2)[0]
    assert [values[f"velocity_{x}"] for x in "xyz"] == pytest.approx(v, abs=0.02)
    assert [values[n] for n in ACCELERATION] == pytest.approx(a, abs=0.02)


def test_between_the_rows_of_a_plan_the_place_lies_on_the_curve() -> None:
    path, c = Circle(5.0, 5.0, 10.0), controller()
    t = 1.0
    here = odom(t, *(path.derivative(np.array([t]), k)[0] for k in (0, 1)))
    whole, between = (commanded(c, t, here, plan(path, t - late)) for late in (0.02, 0.07))
    # A chord of this circle lies 6 mm inside: a gain of 0.8 would make 5 mm/s of it.
    assert whole["velocity_x"] == pytest.approx(between["velocity_x"], abs=0.01)
    assert whole["velocity_y"] == pytest.approx(between["velocity_y"], abs=0.01)


def test_a_plan_that_ends_is_braked_from_with_the_acceleration_that_fits() -> None:
    path, c = Circle(1000.0, 4.0, 10.0), controller()
    t = 0.0
    here = odom(t, *(path.derivative(np.array([t]), k)[0] for k in (0, 1)))
    last = plan(path, t)
    speeds, slowing = [], []
    for i in range(150):
        now = i * DT
        values = commanded(c, now, odom(now, here.position, here.velocity), last)
        if now > OPTIONS.trajectory_timeout_s:
            speeds.append(math.hypot(values["velocity_x"], values["velocity_y"]))
            slowing.append(math.hypot(values["acceleration_x"], values["acceleration_y"]))
            assert values["velocity_y"] * values["acceleration_y"] <= 0.0
    assert speeds[0] > 3.0
    assert speeds[-1] == 0.0
    assert slowing[-1] == 0.0
    assert max(slowing) == pytest.approx(min(OPTIONS.braking, math.sqrt(4.0 * OPTIONS.braking_jerk)), abs=0.1)
    assert max(abs(np.diff(slowing))) <= OPTIONS.braking_jerk * DT + 1e-9
    # What one falls the other adds up to.
    assert sum(slowing) * DT == pytest.approx(speeds[0], abs=OPTIONS.braking * DT)


@given(
    speed=st.floats(0.0, 30.0), slowing=st.floats(0.0, 20.0), most=st.floats(0.5, 15.0), jerk=st.floats(1.0, 50.0)
)  # fmt: skip
def test_braking_ends_at_rest_within_its_bounds(speed: float, slowing: float, most: float, jerk: float) -> None:
    way, dt = Braking(speed, slowing, most, jerk), 1e-3
    rise, stay, peak = way.phases()
    assert way.at(0.0)[0] == pytest.approx(speed, abs=1e-9)
    assert way.at(0.0)[1] <= min(slowing, most) + 1e-9
    assert peak <= most
    assert way.at(2.0 * rise + stay) == pytest.approx((0.0, 0.0), abs=1e-6)
    for t in np.linspace(0.0, 2.0 * rise + stay, 17):
        (v0, b0), (v1, b1) = way.at(float(t)), way.at(float(t) + dt)
        assert b0 <= most + 1e-9
        assert abs(b1 - b0) <= jerk * dt * (1.0 + 1e-6) + 1e-9
        assert v0 - v1 == pytest.approx(0.5 * (b0 + b1) * dt, abs=jerk * dt**2)
        assert v1 >= 0.0


def test_braking_goes_on_with_the_deceleration_that_there_is() -> None:
    assert Braking(4.0, 2.0, 7.0, 15.0).at(0.0) == pytest.approx((4.0, 2.0))
    assert Braking(4.0, 2.0, 7.0, 15.0).at(0.1) == pytest.approx((4.0 - 0.2 - 0.5 * 15.0 * 0.01, 3.5))

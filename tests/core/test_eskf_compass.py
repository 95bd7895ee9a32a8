"""A compass that sticks, and compasses that only look as if they did."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from estimated import SHIP, Sources, estimator, run, ship_ride, yaw_error
from ride import Ride, Sensors, make_ride

from giljabi.types import Heading

STUCK = 40.0  # s


def sources_of(ride: Ride, seed: int) -> Sources:
    s = Sensors(ride, np.random.default_rng(seed), lever=SHIP)
    return {
        "fix": (0.2, s.fix),
        "velocity": (0.2, s.velocity),
        "compass": (0.1, s.heading),
        "gyro": (0.1, s.rate_only),
    }


def stuck(sources: Sources, begin: float, end: float = math.inf) -> Sources:
    """The same with a compass that repeats its last reading from `begin` to `end`."""
    period, make = sources["compass"]
    kept: list[float] = []

    def heading(t: float) -> Heading:
        s = make(t)
        assert isinstance(s, Heading)
        if not begin <= t < end:
            kept[:] = [s.yaw]
            return s
        return replace(s, yaw=kept[0])

    return {**sources, "compass": (period, heading)}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("turn", [0.05, -0.12])
def test_stuck_compass_is_named_and_the_gyroscope_carries_the_heading(seed: int, turn: float) -> None:
    ride = make_ride(80.0, lambda t: 3.0 + 0.0 * t, lambda t: turn * (t > STUCK + 5.0), yaw0=0.5)
    e, named, worst = estimator("ship"), math.inf, 0.0
    for now, odom in run(e, ride, stuck(sources_of(ride, seed), STUCK), 70.0):
        words = e.health(now).get("compass", "")
        if words and named == math.inf:
            named = now
            assert "is frozen" in words
        if odom is not None and now > named + 0.1:
            worst = max(worst, abs(yaw_error(odom, ride)))
    assert named < STUCK + 5.0 + max(math.radians(3.5), 4 * 0.02) / abs(turn) + 4.0
    assert worst < math.radians(4.0)
    assert e.rejected["heading"]["frozen"] > 100


def test_straight_way_hides_nothing_and_a_compass_that_moves_again_is_believed_again() -> None:
    ride = make_ride(120.0, lambda t: 3.0 + 0.0 * t, lambda t: 0.05 * (t > STUCK + 20.0), yaw0=0.5)
    e, words = estimator("ship"), dict[float, str]()
    for now, odom in run(e, ride, stuck(sources_of(ride, 4), STUCK, 80.0), 110.0):
        words[round(now, 2)] = e.health(now).get("compass", "")
        error = abs(yaw_error(odom, ride)) if odom is not None else math.inf
    assert not any(w for t, w in words.items() if t < STUCK + 20.0)
    assert words[79.0]
    assert not any(w for t, w in words.items() if t > 80.2)
    assert error < math.radians(2.0)


@pytest.mark.parametrize(
    ("every", "lag", "step_deg"), [(1.0, 0.0, 0.1), (0.1, 1.5, 1.0), (0.5, 1.0, 0.5), (0.1, 0.0, 1.0)]
)
def test_slow_damped_and_coarse_compasses_are_not_called_stuck(every: float, lag: float, step_deg: float) -> None:
    ride = ship_ride(turn=0.15)
    step = math.radians(step_deg)

    def heading(t: float) -> Heading:
        seen = max(0.0, every * math.floor(t / every + 1e-9) - lag)
        yaw = float(ride.rpy[ride.at(seen), 2])
        return Heading(t, step * round(yaw / step), 0.02, source="compass")

    e = estimator("ship")
    for now, _ in run(e, ride, {**sources_of(ride, 5), "compass": (0.1, heading)}, 100.0):
        assert "compass" not in e.health(now), now

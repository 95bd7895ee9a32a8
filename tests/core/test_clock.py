"""Stamps of other clocks on ours."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.clock import DRIFT, STEP_S, DeviceClock

LATENCIES = st.lists(st.floats(0.0, 0.5), min_size=2, max_size=50)


@given(LATENCIES, st.floats(-1e9, 1e9))
def test_only_the_least_latency_stays(latencies: list[float], offset: float) -> None:
    clock = DeviceClock()
    least = math.inf
    for k, latency in enumerate(latencies):
        true = 0.1 * k
        least = min(least, latency)
        mapped = clock.map(true + latency, true - offset)
        assert mapped <= true + latency + 1e-6
        # Drift is allowed for: it may give back at most DRIFT of the time that has passed.
        assert least - 1e-6 <= mapped - true <= least + DRIFT * (true + 0.5) + 1e-6


def test_a_slow_clock_is_followed() -> None:
    clock = DeviceClock()
    for k in range(36_000):
        mapped = clock.map(0.1 * k + 0.04, 0.1 * k * (1.0 - 5e-5))  # 50 ppm slow: 0.18 s in an hour
    assert mapped == pytest.approx(0.1 * k + 0.04, abs=1e-3)


def test_a_clock_that_is_set_starts_anew() -> None:
    clock = DeviceClock()
    assert clock.map(100.0, 5.0) == 100.0
    assert clock.map(101.3, 6.0) == pytest.approx(101.0, abs=1e-3)
    assert clock.map(102.0, 6.0 + 18.0) == 102.0  # leap seconds arrive
    assert clock.map(103.0, 25.0 - 2.0 * STEP_S) == 103.0


def test_without_a_stamp_it_is_the_time_of_arrival() -> None:
    clock = DeviceClock()
    assert clock.map(3.0, math.nan) == 3.0
    assert clock.map(4.0, 1.0) == 4.0

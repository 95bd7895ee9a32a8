"""The estimator with bad input, and its origin and options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimated import (
    check_sane,
    estimator,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ride import ORIGIN, Sensors, make_ride

from giljabi.estimation.eskf import EskfEstimator
from giljabi.platform import load_platform
from giljabi.types import (
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    Origin,
    SpeedThroughWater,
)

# --- bad input ---

anything = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 1e-300]))
vec = st.lists(anything, min_size=3, max_size=3).map(lambda v: np.array(v, dtype=np.float64))
stamp = st.one_of(st.floats(9.0, 12.0), anything)
bad_sample = st.one_of(
    st.builds(Imu, stamp, vec, vec),
    st.builds(GnssFix, stamp, anything, anything, anything, vec, st.integers(-1, 9)),
    st.builds(GnssVelocity, stamp, vec, anything),
    st.builds(Heading, stamp, anything, anything),
    st.builds(SpeedThroughWater, stamp, anything, anything),
    st.builds(JointState, stamp, velocity=st.dictionaries(st.sampled_from(["wheel_rl", "wheel_rr", "x"]), anything)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(bad_sample, max_size=12), st.booleans())
def test_fuzz(samples: list[Any], ship: bool) -> None:
    e = estimator("ship" if ship else "car", origin=False)
    ride = make_ride(0.1, lambda t: 1.0 + 0 * t, lambda t: 0 * t)
    s = Sensors(ride, np.random.default_rng(0))
    base = s.fix(0.0)
    e.step(10.0, [GnssFix(9.9, base.lat_deg, base.lon_deg, base.alt_m, base.std_enu)])
    for k, x in enumerate(samples):
        odom = e.step(10.0 + 0.1 * k, [x])
        if odom is not None:
            check_sane(odom)
        e.health(10.0 + 0.1 * k)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Imu(1.0, np.array([0, 0, np.inf]), np.full(3, np.nan)), "not finite"),
        (Imu(1.0, np.full(3, np.nan), np.full(3, np.nan)), "nothing measured"),
        (Imu(1.0, np.array([0, 0, 99.0]), np.zeros(3)), "beyond any sensor's range"),
        (GnssFix(1.0, 91.0, 0.0, 0.0, np.ones(3)), "outside the earth's coordinates"),
        (GnssFix(1.0, math.nan, 0.0, 0.0, np.ones(3)), "not finite"),
        (GnssFix(1.0, 1.0, 0.0, 0.0, np.ones(3), quality=0), "no fix"),
        (GnssFix(1.0, 1.0, 0.0, 0.0, np.ones(3), quality=6), "receiver is dead reckoning"),
        (GnssFix(1.0, 1.0, 0.0, 0.0, np.zeros(3)), "standard deviation not positive or useless"),
        (GnssFix(1.0, 1.0, 0.0, 1e7, np.ones(3)), "absurd height"),
        (GnssVelocity(1.0, np.array([1e4, 0, np.nan]), 0.1), "absurd speed"),
        (GnssVelocity(1.0, np.array([np.nan, 0, 0]), 0.1), "not finite"),
        (Heading(1.0, math.nan, 0.1), "not finite"),
        (Heading(1.0, 1.0, -0.1), "standard deviation not positive or useless"),
        (SpeedThroughWater(1.0, 1e9, 0.1), "absurd speed"),
        (Heading(math.nan, 1.0, 0.1), "stamp not finite"),
    ],
)
def test_bad_samples_are_refused_and_counted(sample: Any, reason: str) -> None:
    e = estimator("car")
    e.step(1.0, [sample])
    assert e.rejected[sample.source] == {reason: 1}


def test_time_going_back_is_refused() -> None:
    e = estimator("car")
    e.step(5.0, [])
    assert e.step(4.0, []) is None
    assert e.step(math.nan, []) is None


# --- origin ---


def test_origin_comes_from_the_first_good_fix_and_stays() -> None:
    e = estimator("car", origin=False)
    e.step(1.0, [GnssFix(1.0, 40.0, 10.0, 50.0, np.full(3, 90.0))])
    assert e.origin is None
    e.step(2.0, [GnssFix(2.0, 41.0, 11.0, 60.0, np.ones(3))])
    assert e.origin == Origin(41.0, 11.0, 58.5)  # base_link lies 1.5 m below the antenna
    for k in range(10):
        e.step(3.0 + k, [GnssFix(3.0 + k, 41.5, 11.5, 60.0, np.ones(3))])
    assert e.origin == Origin(41.0, 11.0, 58.5)
    with pytest.raises(ValueError, match="cannot change"):
        e.origin = ORIGIN


def test_options_are_checked(tmp_path: Path, root: Path) -> None:
    text = (root / "config/platforms/car.yaml").read_text()
    bad = text.replace("{kind: eskf, rate_hz: 100}", "{kind: eskf, rate_hz: 100, options: {gyro_nose: 1}}")
    path = tmp_path / "car.yaml"
    path.write_text(bad)
    with pytest.raises(Exception, match="did you mean 'gyro_noise'"):
        EskfEstimator(load_platform(path))

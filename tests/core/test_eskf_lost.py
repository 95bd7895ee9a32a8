"""When the estimate may no longer be stopped by, and how well the log carries it until then."""

from __future__ import annotations

import numpy as np
import pytest
from estimated import SHIP, Sources, estimator, run
from ride import Ride, Sensors, make_ride

from giljabi.estimation.eskf import EskfEstimator
from giljabi.platform import load_platform
from giljabi.types import SpeedThroughWater

LOSS = 40.0  # s, when what falls silent does so
CURRENT = 0.2  # m/s along the ship


def braking_ship() -> Ride:
    """3 m/s, then from 45 s on to rest at 0.2 m/s^2."""
    return make_ride(90.0, lambda t: np.clip(3.0 - 0.2 * (t - 45.0), 0.0, 3.0), lambda t: 0.0 * t, yaw0=0.5)


def ship_sources(s: Sensors, ride: Ride, rng: np.random.Generator) -> Sources:
    def log(t: float) -> SpeedThroughWater:
        over_ground = float(np.hypot(*ride.velocity[ride.at(t), :2]))
        return SpeedThroughWater(t, over_ground - CURRENT + 0.05 * rng.standard_normal(), 0.1)

    return {
        "fix": (0.2, s.fix),
        "velocity": (0.2, s.velocity),
        "compass": (0.1, s.heading),
        "gyro": (0.1, s.rate_only),
        "log": (0.5, log),
    }


def ship(seed: int) -> tuple[EskfEstimator, Ride, Sources]:
    ride, rng = braking_ship(), np.random.default_rng(seed)
    return estimator("ship"), ride, ship_sources(Sensors(ride, rng, lever=SHIP), ride, rng)


def test_speed_that_nobody_tells_is_lost_within_a_time_that_follows_from_the_limits() -> None:
    e, ride, sources = ship(1)
    limits = load_platform("ship").model.limits
    limit = 0.5 * limits.speed_max / limits.acceleration_max
    gone = ("fix", "velocity", "log")
    lost: list[float] = []
    for now, _ in run(e, ride, sources, 70.0, lambda n, t: n not in gone or not LOSS < t < 60.0):
        if now > 10.0 and "lost" in e.health(now):
            lost.append(now)
    assert lost[0] == pytest.approx(LOSS + limit, abs=0.6)  # 0.5 s is the log's period
    assert lost[-1] == pytest.approx(60.0, abs=0.3)  # a fix ends it
    assert "nothing has told the speed for" in _words_at(LOSS + limit + 2.0)


def _words_at(t: float) -> str:
    e, ride, sources = ship(1)
    for now, _ in run(e, ride, sources, t, lambda n, at: n in ("compass", "gyro") or at < LOSS):
        words = e.health(now).get("lost", "")
    return words


def test_one_source_of_speed_is_enough() -> None:
    for kept in ("fix", "velocity", "log"):
        e, ride, sources = ship(2)
        told = {"fix", "velocity", "log"} - {kept}
        for now, _ in run(e, ride, sources, 80.0, lambda n, t, told=told: n not in told or t < LOSS):
            if now > 10.0:
                assert "lost" not in e.health(now), (kept, now)


def test_car_without_wheels_and_satellites_is_lost_within_its_own_time() -> None:
    ride = make_ride(40.0, lambda t: 8.0 + 0.0 * t, lambda t: 0.0 * t, yaw0=0.5)
    s = Sensors(ride, np.random.default_rng(3))
    sources: Sources = {"imu": (0.01, s.imu), "fix": (0.2, s.fix), "velocity": (0.2, s.velocity)}
    e = estimator("car")
    lost = [
        now
        for now, _ in run(e, ride, sources, 30.0, lambda n, t: n == "imu" or t < 20.0)
        if now > 10.0 and "lost" in e.health(now)
    ]
    assert lost[0] == pytest.approx(20.0 + 0.5 * 15.0 / 3.0, abs=0.3)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_in_an_outage_the_log_carries_the_speed_without_lag(seed: int) -> None:
    """A controller that brakes by it must not overshoot: at 0.2 m/s^2 a lag of 1.5 s would be 0.3 m/s."""
    e, ride, sources = ship(seed)
    late = []
    for now, odom in run(e, ride, sources, 90.0, lambda n, t: n not in ("fix", "velocity") or t < LOSS):
        if 52.0 < now < 59.0:
            assert odom is not None
            late.append(float(odom.velocity[0] - np.hypot(*ride.velocity[ride.at(now), :2])))
        if now > 46.0:
            assert odom is not None
            off = float(np.linalg.norm(odom.position[:2] - ride.position[ride.at(now), :2]))
            assert off < 3.0 * float(np.sqrt(odom.pose_cov[0, 0] + odom.pose_cov[1, 1]))
    assert abs(np.mean(late)) < 0.15
    assert float(np.sqrt(odom.pose_cov[0, 0])) > 5.0  # 50 s with a current that is known to 0.2 m/s


def test_receiver_that_comes_back_is_believed_at_once() -> None:
    """The current has changed meanwhile: the filter knows that it does not know."""
    e, ride, sources = ship(7)
    period, log = sources["log"]

    def drifted(t: float) -> SpeedThroughWater:
        s = log(t)
        return SpeedThroughWater(t, s.speed - (0.3 if t > LOSS else 0.0), s.std)  # type: ignore[union-attr]

    sources["log"] = (period, drifted)
    for now, odom in run(e, ride, sources, 82.0, lambda n, t: n not in ("fix", "velocity") or not LOSS < t < 80.0):
        if now == pytest.approx(79.9, abs=0.011):
            assert odom is not None
            assert np.linalg.norm(odom.position[:2] - ride.position[ride.at(now), :2]) > 5.0
    assert odom is not None
    assert np.linalg.norm(odom.position[:2] - ride.position[ride.at(82.0), :2]) < 1.0
    assert "position jump" not in e.rejected.get("gnss", {})

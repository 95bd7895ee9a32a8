"""The estimator against an independent generator: accuracy, consistency, signs, outages, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ride import ORIGIN, Ride, Sensors, make_ride

from giljabi import frames as fr
from giljabi._core import estimation as core
from giljabi.estimation.eskf import EskfEstimator
from giljabi.platform import load_platform
from giljabi.types import (
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    Odometry,
    Origin,
    Sample,
    SpeedThroughWater,
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


# --- accuracy by platform ---


def test_car_with_imu_wheels_and_no_compass() -> None:
    ride = car_ride()
    s = Sensors(ride, np.random.default_rng(1))
    e = estimator("car")
    late = []
    for now, odom in run(e, ride, car_sources(s), 60.0):
        if odom is not None:
            check_sane(odom)
        if now > 20.0:
            assert odom is not None
            late.append((odom, position_error(odom, ride), yaw_error(odom, ride)))
    assert np.sqrt(np.mean([d[:2] @ d[:2] for _, d, _ in late])) < 0.25  # fixes alone: 0.71
    assert np.sqrt(np.mean([y * y for _, _, y in late])) < 0.02
    speed = [float(o.velocity[0]) - float(np.hypot(*ride.velocity[ride.at(o.t), :2])) for o, _, _ in late]
    assert np.sqrt(np.mean(np.square(speed))) < 0.1
    assert e.health(60.0) == {}
    f = e._fusion.filter
    assert np.abs(f.gyro_bias - s.gyro_bias).max() < 0.003
    # Roll and pitch are told apart from accelerometer bias only by turning; z is plain.
    assert f.accel_bias[2] == pytest.approx(s.accel_bias[2], abs=0.05)
    assert sum(e.rejected.get("gnss", {}).values()) <= 3  # the gate lets 999 of 1000 pass


def test_car_without_wheels_still_finds_heading() -> None:
    ride = car_ride()
    s = Sensors(ride, np.random.default_rng(2))
    sources = {k: v for k, v in car_sources(s).items() if k != "wheels"}
    errors = [yaw_error(o, ride) for now, o in run(estimator("car"), ride, sources, 60.0) if now > 30 and o]
    assert np.sqrt(np.mean(np.square(errors))) < 0.04


def test_ship_with_compass_and_rate_of_turn() -> None:
    ride = ship_ride(slip=0.08)  # leeway: course and heading differ, the compass must win
    s = Sensors(ride, np.random.default_rng(3), lever=SHIP, gyro_bias=(0, 0, 0.002))
    sources: Sources = {
        "gyro": (0.1, s.rate_only),
        "fix": (1.0, lambda t: s.fix(t, 0.8)),
        "velocity": (1.0, s.velocity),
        "compass": (0.1, s.heading),
    }
    e = estimator("ship")
    late = []
    for now, odom in run(e, ride, sources, 120.0):
        if now > 30.0:
            assert odom is not None
            check_sane(odom)
            late.append([*position_error(odom, ride)[:2], yaw_error(odom, ride), odom.velocity[1]])
    a = np.array(late)
    assert np.sqrt(np.mean(a[:, 0] ** 2 + a[:, 1] ** 2)) < 0.9
    assert np.sqrt(np.mean(a[:, 2] ** 2)) < 0.01
    assert np.mean(a[:, 3]) == pytest.approx(3.0 * np.sin(0.08), abs=0.06)  # sideways speed to port
    assert e.health(120.0) == {}


def test_gnss_alone_follows_a_turn() -> None:
    # Constant turn: the turn rate itself is estimated from fixes and course.
    ride = make_ride(60.0, lambda t: 3.0 + 0 * t, lambda t: np.where(t > 5.0, 0.1, 0.0), yaw0=1.0)
    s = Sensors(ride, np.random.default_rng(4), lever=SHIP)
    e = estimator("ship")
    sources: Sources = {"fix": (1.0, lambda t: s.fix(t, 0.5)), "velocity": (1.0, s.velocity)}
    late = []
    for now, odom in run(e, ride, sources, 60.0):
        if now > 30.0:
            assert odom is not None
            check_sane(odom)
            late.append([*position_error(odom, ride)[:2], yaw_error(odom, ride), odom.angular_velocity[2]])
    a = np.array(late)
    assert np.sqrt(np.mean(a[:, 0] ** 2 + a[:, 1] ** 2)) < 0.8
    assert np.sqrt(np.mean(a[:, 2] ** 2)) < 0.12
    assert np.mean(a[:, 3]) == pytest.approx(0.1, abs=0.015)


def test_fixes_alone_without_velocity_or_height() -> None:
    ride = make_ride(60.0, lambda t: 3.0 + 0 * t, lambda t: 0 * t, yaw0=-2.5)
    s = Sensors(ride, np.random.default_rng(5), lever=SHIP)

    def flat(t: float) -> GnssFix:
        f = s.fix(t, 1.0)
        return GnssFix(t, f.lat_deg, f.lon_deg, math.nan, np.array([1.0, 1.0, math.nan]))

    e = EskfEstimator(load_platform("ship"))
    yaw = []
    for now, odom in run(e, ride, {"fix": (1.0, flat)}, 60.0):
        if now > 40.0:
            assert odom is not None
            check_sane(odom)
            yaw.append(yaw_error(odom, ride))
            assert odom.velocity[0] == pytest.approx(3.0, abs=0.8)
            assert abs(odom.position[2]) < 1.0
    assert np.sqrt(np.mean(np.square(yaw))) < 0.2
    assert e.origin is not None
    assert e.origin.alt_m == 0.0


# --- consistency ---


@pytest.mark.parametrize("platform", ["car", "ship"])
def test_normalised_error_is_chi_square(platform: str) -> None:
    """Mean NEES of x, y, yaw over runs stays near 3: neither overconfident nor useless."""
    nees = []
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        if platform == "car":
            ride = car_ride(30.0, yaw0=float(rng.uniform(-3, 3)))
            bias = tuple(0.01 * rng.standard_normal(3))
            s = Sensors(ride, rng, gyro_bias=bias, accel_bias=tuple(0.1 * rng.standard_normal(3)))
            sources = car_sources(s)
        else:
            ride = ship_ride(30.0)
            s = Sensors(ride, rng, lever=SHIP, gyro_bias=(0, 0, 0.01 * rng.standard_normal()))
            sources = {
                "gyro": (0.1, s.rate_only),
                "fix": (1.0, lambda t, s=s: s.fix(t, 0.8)),
                "velocity": (1.0, s.velocity),
                "compass": (0.1, s.heading),
            }
        for now, odom in run(estimator(platform), ride, sources, 30.0):
            if now > 10.0 and odom is not None and round(now / 0.02) % 50 == 0:
                x = np.array([*position_error(odom, ride)[:2], yaw_error(odom, ride)])
                c = odom.pose_cov[np.ix_([0, 1, 5], [0, 1, 5])]
                nees.append(float(x @ np.linalg.solve(c, x)))
    assert 0.7 < np.mean(nees) < 4.5
    assert np.mean(np.array(nees) < 11.34) > 0.93  # 99 % bound of chi-square with 3 degrees


def test_yaw_converges_from_any_course() -> None:
    for yaw0 in np.linspace(-3.1, 3.1, 7):
        ride = car_ride(12.0, yaw0=float(yaw0))
        s = Sensors(ride, np.random.default_rng(6))
        last = None
        for _, odom in run(estimator("car"), ride, car_sources(s), 12.0):
            last = odom
        assert last is not None
        assert abs(yaw_error(last, ride)) < 0.04


def test_compass_alone_aligns_at_rest() -> None:
    ride = make_ride(5.0, lambda t: 0 * t, lambda t: 0 * t, yaw0=2.0)
    s = Sensors(ride, np.random.default_rng(7))
    e = estimator("car")
    sources = {**car_sources(s), "compass": (0.1, s.heading)}
    for now, odom in run(e, ride, sources, 5.0):
        if now > 2.0:
            assert odom is not None
            assert abs(yaw_error(odom, ride)) < 0.03
            assert np.linalg.norm(odom.velocity) < 0.1
    assert e.health(5.0) == {}


def test_at_rest_without_compass_heading_is_reported_unknown() -> None:
    ride = make_ride(5.0, lambda t: 0 * t, lambda t: 0 * t, yaw0=2.0)
    s = Sensors(ride, np.random.default_rng(8))
    e = estimator("car")
    odom = [o for _, o in run(e, ride, car_sources(s), 5.0)][-1]
    assert odom is not None
    assert odom.pose_cov[5, 5] > 3.0
    assert "heading" in e.health(5.0)
    # Position is the antenna's: base_link is 1 m away in a direction that nobody knows yet.
    assert np.linalg.norm((odom.position - s.antenna(5.0))[:2]) < 0.6
    assert odom.pose_cov[0, 0] > 0.9


def test_standstill_learns_gyro_bias() -> None:
    ride = make_ride(8.0, lambda t: 0 * t, lambda t: 0 * t, yaw0=2.0)
    s = Sensors(ride, np.random.default_rng(9), gyro_bias=(0.01, -0.02, 0.03))
    e = estimator("car")
    for _ in run(e, ride, car_sources(s), 8.0):
        pass
    assert np.abs(e._fusion.filter.gyro_bias - s.gyro_bias).max() < 0.003


# --- outages, jumps, order ---


def test_outage_is_bridged_and_ends_well() -> None:
    ride = car_ride(60.0)
    s = Sensors(ride, np.random.default_rng(10))
    e = estimator("car")
    grown = 0.0
    for now, odom in run(
        e, ride, car_sources(s), 60.0, lambda name, t: name not in ("fix", "velocity") or not 25 < t < 45
    ):
        if now == pytest.approx(44.9, abs=0.011):
            assert odom is not None
            d = position_error(odom, ride)[:2]
            grown = math.sqrt(odom.pose_cov[0, 0] + odom.pose_cov[1, 1])
            assert np.linalg.norm(d) < 6.0  # 20 s and 160 m by wheels and gyro
            assert np.linalg.norm(d) < 4.0 * grown
            assert "gnss" in e.health(now)
        if now > 50.0:
            assert odom is not None
            assert np.linalg.norm(position_error(odom, ride)[:2]) < 1.0
    assert grown > 0.5
    assert e.health(60.0) == {}


def test_jump_is_gated_and_a_lasting_one_believed() -> None:
    ride = car_ride(40.0)
    s = Sensors(ride, np.random.default_rng(11))
    e = estimator("car")
    sources = car_sources(s)
    wrong = (40.0, -30.0, 0.0)
    sources["fix"] = (0.2, lambda t: s.fix(t, shift=wrong if 15.0 < t < 16.0 or t > 25.0 else (0.0, 0.0, 0.0)))
    for now, odom in run(e, ride, sources, 40.0):
        if 15.0 < now < 25.0:
            assert odom is not None
            assert np.linalg.norm(position_error(odom, ride)[:2]) < 1.5
        if 25.7 < now < 27.0:
            assert any("rejected" in k for k in e.health(now))
        if now > 33.0:
            assert odom is not None
            assert np.linalg.norm(position_error(odom, ride)[:2] - wrong[:2]) < 1.5
    assert e.rejected["gnss"]["position jump"] > 15


def test_garbage_fixes_are_never_believed() -> None:
    ride = car_ride(30.0)
    s = Sensors(ride, np.random.default_rng(12))
    rng = np.random.default_rng(13)
    e = estimator("car")
    sources = car_sources(s)
    sources["bad"] = (0.3, lambda t: s.fix(t + 1e-6, shift=(*(rng.uniform(-5e3, 5e3, 2)), 0.0)) if t > 5 else s.fix(t))
    for now, odom in run(e, ride, sources, 30.0):
        if now > 10.0:
            assert odom is not None
            assert np.linalg.norm(position_error(odom, ride)[:2]) < 1.0


def test_wrong_heading_is_left_when_the_compass_recovers() -> None:
    ride = ship_ride(90.0)
    s = Sensors(ride, np.random.default_rng(14), lever=SHIP)
    e = estimator("ship")

    def compass(t: float) -> Heading:
        h = s.heading(t)
        return Heading(t, h.yaw + (1.5 if 20 < t < 22 else 0.0), h.std)

    sources: Sources = {"fix": (1.0, s.fix), "velocity": (1.0, s.velocity), "compass": (0.1, compass)}
    for now, odom in run(e, ride, sources, 90.0):
        if now > 10:
            assert odom is not None
            assert abs(yaw_error(odom, ride)) < 0.15
    assert e.rejected["heading"]["heading jump"] >= 15


def test_late_samples_count_as_if_in_time() -> None:
    ride = car_ride(20.0)
    samples = []
    s = Sensors(ride, np.random.default_rng(15))
    for name, (period, make) in car_sources(s).items():
        delay = 0.15 if name in ("fix", "velocity") else 0.0
        samples += [(k * period + delay, make(k * period)) for k in range(round(20.0 / period))]
    orders = []
    for late in (False, True):
        e = estimator("car")
        arrivals = sorted(((a if late else x.t), n, x) for n, (a, x) in enumerate(samples))
        odom, k = None, 0
        for step in range(round(20.3 / 0.02)):
            now = 0.02 * step
            batch = []
            while k < len(arrivals) and arrivals[k][0] <= now:
                batch.append(arrivals[k][2])
                k += 1
            odom = e.step(now, batch)
        orders.append(odom)
        assert sum(e.rejected.get("gnss", {}).values()) == 0
    a, b = orders
    assert a is not None
    assert b is not None
    assert np.allclose(a.position, b.position, atol=0.02)
    assert np.allclose(a.quaternion, b.quaternion, atol=1e-3)


def test_too_late_is_refused() -> None:
    ride = car_ride(10.0)
    s = Sensors(ride, np.random.default_rng(16))
    e = estimator("car")
    for _ in run(e, ride, car_sources(s), 5.0):
        pass
    e.step(5.02, [s.fix(3.0)])
    assert e.rejected["gnss"] == {"too late": 1}
    e.step(5.04, [s.fix(9.0)])
    assert e.rejected["gnss"]["stamp in the future"] == 1


def test_same_input_same_bytes() -> None:
    ride = car_ride(10.0)

    def once() -> bytes:
        s = Sensors(ride, np.random.default_rng(17))
        out = b""
        for _, odom in run(estimator("car"), ride, car_sources(s), 10.0):
            if odom is not None:
                out += odom.position.tobytes() + odom.quaternion.tobytes() + odom.pose_cov.tobytes()
        return out

    assert once() == once()


def test_odometry_is_stamped_now() -> None:
    ride = make_ride(20.0, lambda t: 5.0 + 0 * t, lambda t: 0 * t)
    s = Sensors(ride, np.random.default_rng(18))
    e = estimator("car")
    for _ in run(e, ride, car_sources(s), 10.0):
        pass
    a, b = e.step(10.0, []), e.step(10.1, [])
    assert a is not None
    assert b is not None
    assert b.t == 10.1
    assert np.hypot(*(b.position - a.position)[:2]) == pytest.approx(0.5, abs=0.05)
    assert b.pose_cov[0, 0] > a.pose_cov[0, 0]


def test_imu_dies_and_comes_back() -> None:
    ride = car_ride(50.0)
    s = Sensors(ride, np.random.default_rng(19))
    e = estimator("car")
    for now, odom in run(e, ride, car_sources(s), 50.0, lambda name, t: name != "imu" or not 20 < t < 30):
        if now > 10:
            assert odom is not None
            check_sane(odom)
            assert np.linalg.norm(position_error(odom, ride)[:2]) < 1.5
        if 21 < now < 29:
            assert "imu" in e.health(now)
    assert odom is not None
    assert abs(yaw_error(odom, ride)) < 0.05
    assert np.abs(e._fusion.filter.gyro_bias - s.gyro_bias).max() < 0.004


def test_long_silence_starts_anew_with_the_same_origin() -> None:
    ride = car_ride(10.0)
    s = Sensors(ride, np.random.default_rng(20))
    e = estimator("car", origin=False)
    for _ in run(e, ride, car_sources(s), 5.0):
        pass
    origin = e.origin
    assert e.step(200.0, []) is None
    assert "position" in e.health(200.0)
    lat, lon, alt = fr.LocalFrame(ORIGIN).geodetic_from_map([3000.0, 100.0, 0.0])
    odom = e.step(200.1, [GnssFix(200.05, float(lat), float(lon), float(alt), np.ones(3))])
    assert odom is not None
    assert e.origin == origin
    assert odom.position[0] == pytest.approx(3000.0, abs=5.0)


def test_speed_through_water_is_not_speed_over_ground() -> None:
    # 1 m/s of current along the track: the log reads 2, the ship makes 3; the estimate must say 3, also in an outage.
    ride = make_ride(120.0, lambda t: 3.0 + 0 * t, lambda t: 0 * t, yaw0=0.5)
    s = Sensors(ride, np.random.default_rng(21), lever=SHIP)
    e = estimator("ship")
    sources: Sources = {
        "fix": (1.0, s.fix),
        "velocity": (1.0, s.velocity),
        "compass": (0.1, s.heading),
        "log": (1.0, lambda t: SpeedThroughWater(t, 2.0, 0.1)),
    }
    for now, odom in run(e, ride, sources, 120.0, lambda name, t: name not in ("fix", "velocity") or t < 70):
        if now > 60:
            assert odom is not None
            assert odom.velocity[0] == pytest.approx(3.0, abs=0.3)
    assert odom is not None
    assert np.linalg.norm(position_error(odom, ride)[:2]) < 15.0


# --- signs: flipping any of these in a sensor must show ---


@pytest.mark.parametrize("flip", ["gyro_z", "accel_x", "lever_x", "heading", "wheels"])
def test_a_flipped_sign_shows(flip: str) -> None:
    """The same ride with one sign wrong is much worse than without: the filter really uses that input."""

    def worst(flipped: bool) -> float:
        ride = car_ride(45.0)
        s = Sensors(
            ride, np.random.default_rng(22), lever=(-3.0, 0, 1.5) if flip == "lever_x" and flipped else (3, 0, 1.5)
        )
        e = estimator("car")
        e._fusion.mounting.lever = lambda kind, source: np.array([3.0, 0.0, 1.5])  # type: ignore[method-assign]

        def imu(t: float) -> Imu:
            x = s.imu(t)
            w, f = x.angular_velocity.copy(), x.linear_acceleration.copy()
            if flipped and flip == "gyro_z":
                w[2] *= -1
            if flipped and flip == "accel_x":
                f[0] *= -1
            return Imu(t, w, f)

        def wheels(t: float) -> JointState:
            x = s.wheels(t)
            sign = -1.0 if flipped and flip == "wheels" else 1.0
            return JointState(t, velocity={k: sign * v for k, v in x.velocity.items()})

        sources: Sources = {"imu": (0.01, imu), "fix": (0.2, s.fix)}
        if flip in ("wheels", "gyro_z"):
            sources["wheels"] = (0.02, wheels)
        if flip in ("heading", "lever_x", "accel_x"):
            sign = -1.0 if flipped and flip == "heading" else 1.0
            sources["compass"] = (0.1, lambda t: Heading(t, sign * s.heading(t).yaw, 0.02))
        gone = 100.0 if flip in ("lever_x", "heading") else 35.0
        errors = [0.0]
        for now, odom in run(e, ride, sources, 45.0, lambda name, t: name != "fix" or t < gone):
            if now > 20 and odom is not None:
                errors.append(float(np.hypot(*position_error(odom, ride)[:2])) + 5 * abs(yaw_error(odom, ride)))
        return max(errors)

    good, bad = worst(False), worst(True)
    assert bad > 2.0 * good
    assert bad > 1.5


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


# --- the filter itself ---


R = fr.matrix_from_quat
MODELS: dict[str, tuple[Any, Any]] = {
    "position": (
        lambda g, lever, u: g.position + R(g.quaternion) @ lever,
        lambda g, z, std, lever, u: g.update_position(z, std, lever),
    ),
    "velocity": (
        lambda g, lever, u: g.velocity + R(g.quaternion) @ np.cross(g.rate(u), lever),
        lambda g, z, std, lever, u: g.update_velocity(z, std, lever, u),
    ),
    "body_velocity": (
        lambda g, lever, u: R(g.quaternion).T @ g.velocity,
        lambda g, z, std, lever, u: g.update_body_velocity(z, std),
    ),
    "yaw": (lambda g, lever, u: np.array([g.yaw]), lambda g, z, std, lever, u: g.update_yaw(float(z[0]), std[0])),
}


@pytest.mark.parametrize("model", MODELS)
def test_measurement_rows_are_the_derivatives(model: str) -> None:
    """A tight update lands on the measurement; a wrong row would leave a residual of the first order (1e-4)."""
    rng = np.random.default_rng(30)
    h, update = MODELS[model]
    for _ in range(20):
        f = core.Eskf()
        noise = core.Noise()
        noise.gate = [1e9] * 3
        f.noise = noise
        f.quaternion = fr.quat_from_rpy(*(0.3 * rng.standard_normal(2)), rng.uniform(-3, 3))
        f.position, f.velocity = rng.standard_normal(3), 3 * rng.standard_normal(3)
        a = rng.standard_normal((15, 15))
        f.covariance = 1e-6 * (a @ a.T + 15 * np.eye(15))
        lever, u = rng.standard_normal(3), core.ImuInput(rng.standard_normal(3), rng.standard_normal(3))
        z = h(f, lever, u) + 1e-4 * rng.standard_normal(len(h(f, lever, u)))
        assert update(f, z, np.full(3, 1e-7), lever, u).accepted
        assert np.allclose(h(f, lever, u), z, atol=3e-7)


def test_prediction_covariance_is_that_of_samples() -> None:
    """P after a prediction equals the spread of perturbed predictions, with and without accelerometer and gyro."""
    rng = np.random.default_rng(31)
    inputs = [
        core.ImuInput([0.1, -0.2, 0.4], [0.5, 0.3, 9.6]),
        core.ImuInput([math.nan, math.nan, 0.4], [math.nan] * 3),
        core.ImuInput(),
        core.ImuInput([math.nan, math.nan, 0.4], [0.4, math.nan, math.nan]),
    ]
    for u in inputs:
        f = core.Eskf()
        quiet = core.Noise()
        for name in ("gyro", "accel", "gyro_bias_walk", "accel_bias_walk", "turn_rate_walk"):
            setattr(quiet, name, 0.0)
        quiet.missing_rate = quiet.missing_acceleration = np.zeros(3)
        f.noise = quiet
        q0 = fr.quat_from_rpy(0.1, -0.2, 0.7)
        f.quaternion, f.velocity, f.gyro_bias = q0, np.array([4.0, 1.0, -0.5]), np.array([0.0, 0.0, -0.3])
        a = rng.standard_normal((15, 15))
        P0 = 1e-6 * (a @ a.T)
        f.covariance = P0
        root = np.linalg.cholesky(P0 + 1e-18 * np.eye(15))
        g = f.copy()
        for _ in range(50):
            g.predict(0.01, u)
        columns = []
        for k in range(15):
            ends = []
            for sign in (1.0, -1.0):
                d = sign * root[:, k]
                x = f.copy()
                x.position, x.velocity = f.position + d[:3], f.velocity + d[3:6]
                x.quaternion = fr.quat_multiply(q0, _exp(d[6:9]))
                x.gyro_bias, x.accel_bias = f.gyro_bias + d[9:12], f.accel_bias + d[12:]
                for _ in range(50):
                    x.predict(0.01, u)
                dq = fr.quat_multiply(fr.quat_conjugate(g.quaternion), x.quaternion)
                ends.append(
                    np.concatenate(
                        [
                            x.position - g.position,
                            x.velocity - g.velocity,
                            2 * dq[1:] * np.sign(dq[0]),
                            x.gyro_bias - g.gyro_bias,
                            x.accel_bias - g.accel_bias,
                        ]
                    )
                )
            columns.append((ends[0] - ends[1]) / 2)
        J = np.array(columns).T
        expected = J @ J.T
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected))) + 1e-12
        assert np.abs((g.covariance - expected) / scale).max() < 0.02


def _exp(v: np.ndarray) -> np.ndarray:
    return fr.quat_normalize(np.array([1.0, *(0.5 * v)]))


def test_covariance_stays_positive_over_a_long_run() -> None:
    rng = np.random.default_rng(32)
    f = core.Eskf()
    f.covariance = np.diag([1e4] * 3 + [100.0] * 3 + [3.0] * 3 + [1e-3] * 6)
    for k in range(20000):
        f.predict(0.01, core.ImuInput(0.3 * rng.standard_normal(3), [0.1, 0.2, 9.8]))
        if k % 10 == 0:
            f.update_position(f.position + 1e-3 * rng.standard_normal(3), np.full(3, 1e-3), np.array([1.0, 0, 1]))
        if k % 1000 == 0:
            assert np.linalg.eigvalsh(f.covariance).min() > -1e-12
    assert f.finite()


def test_reset_yaw_keeps_tilt() -> None:
    f = core.Eskf()
    f.quaternion = fr.quat_from_rpy(0.1, -0.2, 2.0)
    f.covariance = np.diag([1.0] * 6 + [1e-6, 1e-6, 0.5] + [1.0] * 6)
    f.reset_yaw(-1.0, 0.05)
    assert np.allclose(fr.rpy_from_quat(f.quaternion), [0.1, -0.2, -1.0])
    R_map_base = fr.matrix_from_quat(f.quaternion)
    assert (R_map_base @ f.covariance[6:9, 6:9] @ R_map_base.T)[2, 2] == pytest.approx(0.05**2)
    assert np.linalg.eigvalsh(f.covariance).min() > 0

"""The estimator against an independent generator: accuracy, consistency, outages, signs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from estimated import (
    SHIP,
    Sources,
    car_ride,
    car_sources,
    check_sane,
    estimator,
    position_error,
    run,
    ship_ride,
    yaw_error,
)
from ride import ORIGIN, Sensors, make_ride

from giljabi import frames as fr
from giljabi.estimation.eskf import EskfEstimator
from giljabi.platform import load_platform
from giljabi.types import (
    GnssFix,
    Heading,
    Imu,
    JointState,
    SpeedThroughWater,
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

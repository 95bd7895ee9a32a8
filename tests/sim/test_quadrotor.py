"""The multirotor's plant behind named rotors, and the gusts that push it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from giljabi._core.plants import QuadrotorPlant
from giljabi_sim.dryden import Dryden, scales
from giljabi_sim.noise import generator
from giljabi_sim.quadrotor import ROTORS, QuadrotorVehicle, euler
from giljabi_sim.scenario import Start

CALM = SimpleNamespace(wind=(0.0, 0.0), wind_up=0.0, current=(0.0, 0.0), friction=1.0)


def vehicle(yaw_deg: float = 90.0, **simulation: object) -> QuadrotorVehicle:
    footprint = SimpleNamespace(length=0.5, width=0.5, centre_x=0.0)
    platform = SimpleNamespace(model=SimpleNamespace(simulation=simulation, footprint=footprint))
    return QuadrotorVehicle(platform, Start(x=3.0, y=4.0, yaw_deg=yaw_deg))  # type: ignore[arg-type]


def test_it_stands_until_told_and_takes_off_where_it_stood() -> None:
    v = vehicle()
    assert not v.told_to_go()
    for _ in range(50):
        v.step(CALM, 0.02)
    own = v.own()
    assert own.z == pytest.approx(0.16, abs=0.01)
    assert own.specific_force[2] == pytest.approx(9.81, abs=0.05)
    v.commands.update(dict.fromkeys(ROTORS, 0.3 * 2.0 * 9.81))
    assert v.told_to_go()
    for _ in range(50):
        v.step(CALM, 0.02)
    own = v.own()
    assert own.z > 0.7
    assert own.vz > 0.5
    assert (own.x, own.y, own.yaw) == pytest.approx((3.0, 4.0, math.pi / 2), abs=1e-3)
    assert own.feedback["rotor_1"] == pytest.approx(math.sqrt(0.3 * 2.0 * 9.81 / 8.5e-6), rel=1e-3)
    voltage, current, charge = v.battery
    assert 14.0 < voltage < 16.8
    assert current > 10.0
    assert charge < 1.0


def test_truth_is_in_the_heading_frame_and_the_attitude_is_whole() -> None:
    v = vehicle(yaw_deg=90.0)
    v.commands.update(dict.fromkeys(ROTORS, 0.27 * 2.0 * 9.81))
    for _ in range(100):
        v.step(CALM, 0.01)
    for name in ("rotor_2", "rotor_3"):  # the left side goes up
        v.commands[name] += 0.05
    for _ in range(30):
        v.step(CALM, 0.01)
    own = v.own()
    assert own.roll > 0.02
    assert own.rates[0] > 0.05
    assert own.vy < -0.01  # to the right
    assert own.velocity[0] > 0.01  # which is east when the nose is north
    assert euler(own.quaternion) == pytest.approx((own.roll, own.pitch, own.yaw))


def test_a_broken_rotor_lets_its_corner_down() -> None:
    v = vehicle()
    v.commands.update(dict.fromkeys(ROTORS, 0.26 * 2.0 * 9.81))
    for _ in range(100):
        v.step(CALM, 0.01)
    v.effectiveness[0] = 0.0  # front right
    for _ in range(15):
        v.step(CALM, 0.01)
    own = v.own()
    assert own.roll > 0.05
    assert own.pitch > 0.05


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: QuadrotorPlant({"mas": 1.0}), "mas"),
        (lambda: QuadrotorPlant(airframe="whale"), "whale"),
        (lambda: QuadrotorPlant().step([1.0, 1.0, math.nan, 1.0], 0.01), "finite"),
        (lambda: QuadrotorPlant().step([1.0] * 4, 2.0), "dt"),
        (lambda: setattr(QuadrotorPlant(), "state", [0.0] * 18), "quaternion"),
    ],
)
def test_bad_input_is_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]


def test_gusts_have_the_spectra_of_the_specification() -> None:
    lengths, sigmas = scales(6.096, 10.0)  # 20 ft
    shape = 0.177 + 0.000823 * 20.0
    assert lengths[0] == pytest.approx(20.0 / shape**1.2 * 0.3048)
    assert lengths[2] == pytest.approx(6.096)
    assert sigmas[2] == pytest.approx(1.0)
    assert sigmas[0] == pytest.approx(1.0 / shape**0.4)
    gusts = Dryden(generator(3, "t"), 10.0, 0.0)
    dt, speed = 0.25, 8.0
    rows = np.array([gusts.at(k * dt, 6.096, speed) for k in range(60000)])
    assert rows.std(axis=0) == pytest.approx(sigmas, rel=0.1)
    for i in (0, 1, 2):
        x = rows[:, i] / sigmas[i]
        a = 0.5  # scaled time of the comparison
        n = round(a * lengths[i] / speed / dt)
        a = n * dt * speed / lengths[i]
        expected = math.exp(-a) if i == 0 else math.exp(-a) * (1.0 - 0.5 * a)  # of Dryden's spectra
        assert float(np.mean(x[n:] * x[:-n])) == pytest.approx(expected, abs=0.05)


def test_gusts_do_not_depend_on_the_frame_or_the_step() -> None:
    east, north = Dryden(generator(1, "t"), 5.0, 0.0), Dryden(generator(1, "t"), 5.0, math.pi / 2)
    for k in range(20):
        a, b = east.at(0.1 * k, 20.0, 5.0), north.at(0.1 * k, 20.0, 5.0)
        assert b == pytest.approx([-a[1], a[0], a[2]])
    assert east.at(1.9, 20.0, 5.0) == pytest.approx(a)  # no time, no change

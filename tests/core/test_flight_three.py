"""A rotor is lost: told from the motion, and flown down on the other three."""

import math

import numpy as np
import pytest
from test_flight_control import PERIOD, state_of, x500

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.airframe import flat_reference
from giljabi.control.flight import FlightController
from giljabi.control.flight_observer import WrenchObserver
from giljabi.control.flight_paths import FlatPath, Hover, Lemniscate
from giljabi.control.flight_three import RotorWatch, ThreeRotors
from giljabi.frames import matrix_from_quat

AIRFRAME = x500(thrust_min=0.1, thrust_max=10.5)


def begin(path: FlatPath, plant: QuadrotorPlant) -> None:
    ref = flat_reference(AIRFRAME, path, np.zeros(1), np.zeros(3), np.zeros(3))
    spin = [plant.speed_wanted(float(f)) for f in ref.thrust[0]]
    plant.state = [*ref.position[0], *ref.quaternion[0], *ref.velocity[0], *ref.rates[0], *spin, 1.0]


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_rotor_is_named_and_the_vehicle_comes_down_upright_near_its_place(lost: int) -> None:
    plant, path = QuadrotorPlant(), Hover((0.0, 0.0, 20.0))
    begin(path, plant)
    controller, watch = FlightController(AIRFRAME, PERIOD), RotorWatch(AIRFRAME)
    three: ThreeRotors | None = None
    told, effect = np.full(4, AIRFRAME.hover_thrust), [1.0] * 4
    for k in range(3000):
        t = k * PERIOD
        if k == 50:
            effect[lost] = 0.0
        now = state_of(plant, t)
        assert matrix_from_quat(now.quaternion)[2, 2] > 0.0  # never upside down
        controller.observe(now, told=told)
        found = watch.step(now, told)
        if three is None and found is not None:
            assert (found, t < 0.7) == (lost, True)
            three = ThreeRotors(AIRFRAME, found)
        if three is None:
            controller.prepare(path, t, now.quaternion)
            told = controller.step(now).thrust
        else:
            told = three.step(now, controller.observer, np.zeros(2), 1.0)
            assert told[lost] == 0.0
            assert np.all((told >= 0.0) & (told <= AIRFRAME.thrust_max))
        plant.step(told.tolist(), PERIOD, effectiveness=effect)
        if now.position[2] < 0.3:
            break
    assert three is not None
    assert now.position[2] < 0.3
    assert -1.3 < now.velocity[2] < -0.5
    assert math.hypot(now.position[0], now.position[1]) < 1.0
    assert abs(now.rates[2]) > 2.0  # yaw is given up


def test_hard_flight_with_gusts_is_no_lost_rotor() -> None:
    plant, path = QuadrotorPlant({"mass": 2.4}), Lemniscate(10.0, 9.0, 5.0)
    begin(path, plant)
    controller, watch = FlightController(AIRFRAME, PERIOD), RotorWatch(AIRFRAME)
    told = np.full(4, AIRFRAME.hover_thrust)
    for k in range(800):
        now = state_of(plant, k * PERIOD)
        controller.observe(now, told=told)
        assert watch.step(now, told) is None
        controller.prepare(path, now.t, now.quaternion)
        told = controller.step(now).thrust
        gust = [8.0 if 300 < k < 500 else 0.0, -5.0 if k > 400 else 0.0, 0.0]
        plant.step(told.tolist(), PERIOD, wind=gust)


def test_thrusts_keep_the_torque_when_the_total_must_give_way() -> None:
    three = ThreeRotors(AIRFRAME, 0)
    observer = WrenchObserver(AIRFRAME, 10.0, 10.0, 5.0, 20.0)
    state = state_of(QuadrotorPlant(), 0.0)
    calm = three.step(state, observer, np.zeros(2), 0.0)
    assert calm[1] == pytest.approx(AIRFRAME.thrust_min)  # the opposite rotor has nothing to balance
    assert calm[2] == pytest.approx(calm[3])
    wish = three._inside(60.0, np.array([0.5, 0.5]))
    assert wish.max() == pytest.approx(AIRFRAME.thrust_max)
    assert (AIRFRAME.allocation @ wish)[1] - (AIRFRAME.allocation @ wish)[2] == pytest.approx(0.0, abs=1e-6)

"""Planner and controller in closed loop with plants that are not the solver's models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from closed_loop import drive, route, track
from small_plants import SmallCar, SmallShip

from giljabi.platform import Platform, load_platform
from giljabi.types import MissionPhase


@pytest.fixture(scope="module")
def car() -> Platform:
    return load_platform("car")


@pytest.fixture(scope="module")
def ship() -> Platform:
    return load_platform("ship")


def test_car_drives_straight_and_stops_at_the_end(car: Platform) -> None:
    run = drive(car, SmallCar(), route([(0, 0), (100, 0)], 10.0, 4.0), until=40)
    assert run.phase is MissionPhase.ARRIVED
    assert run.column("x")[-1] == pytest.approx(100.0, abs=1.5)
    assert np.max(np.abs(run.column("y"))) < 0.05
    assert np.max(run.column("u")) == pytest.approx(10.0, abs=0.4)
    assert abs(run.column("u")[-1]) < 0.1


def test_ship_sails_round_a_corner_and_stops_at_the_end(ship: Platform) -> None:
    run = drive(ship, SmallShip(), route([(0, 0), (100, 0), (160, 50)], 3.2, 40.0), until=160, dt=0.02)
    assert run.phase is MissionPhase.ARRIVED
    assert np.hypot(run.column("x")[-1] - 160.0, run.column("y")[-1] - 50.0) < 6.0
    assert np.max(np.abs(run.column("cross"))) < 3.0


def test_car_passes_a_parked_car_at_its_clearance(car: Platform) -> None:
    parked = track(70.0, -1.0, yaw=0.0)
    run = drive(car, SmallCar(), route([(0, 0), (150, 0)], 10.0, 4.5), lambda t: parked, until=40, noise=0.1)
    assert run.phase is MissionPhase.ARRIVED
    assert run.least_room > 0.5
    assert np.max(np.abs(run.column("y"))) < 4.5 - 0.925
    assert any(n.startswith("avoiding track 7 to port") for n in run.notes)


def test_ship_gives_way_to_a_vessel_from_starboard_and_passes_astern(ship: Platform) -> None:
    def crossing(t: float) -> np.ndarray:
        return track(120.0, -120.0 + 2.5 * t, 0.0, 2.5, math.pi / 2, 20.0, 6.0)

    run = drive(ship, SmallShip(), route([(0, 0), (300, 0)], 3.2, 80.0), crossing, until=200, dt=0.02, noise=1.0)
    assert run.phase is MissionPhase.ARRIVED
    assert run.least_room > 12.0
    k = int(np.argmax(run.column("x") > 120.0))
    assert crossing(run.column("t")[k])[0, 1] > run.column("y")[k]  # it is through before we are there

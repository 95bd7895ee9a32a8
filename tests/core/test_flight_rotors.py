"""The step that flies trajectories with bare rotors, over the simulator's plant."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from test_flight_control import state_of

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.flight_paths import Lemniscate
from giljabi.control.flight_rotors import ROTORS, RotorController, StopPath, TrajectoryPath
from giljabi.frames import matrix_from_quat
from giljabi.platform import find_platform, load_platform
from giljabi.registry import build_step
from giljabi.types import ActuatorCommand, Array, BadInputError, Odometry, Trajectory

PERIOD = 0.01
PLANT = QuadrotorPlant().parameters


def platform_file() -> dict[str, Any]:
    """The ship's file with rotors in place of a rudder."""
    data = dict(yaml.safe_load(find_platform("ship").read_text()))
    data["model"] = {"kind": "quadrotor", "parameters": {
        "mass": 2.0, "torque_ratio": 0.016, "drag_x": 0.25, "drag_y": 0.25, "motor_lag": 0.035,
        **{f"inertia_{axis}": PLANT[f"inertia_{axis}"] for axis in "xyz"},
        **{f"rotor_{i}_{key}": PLANT[f"rotor_{i}_{key}"] for i in range(1, 5) for key in ("x", "y", "spin")},
    }}  # fmt: skip
    driver = next(iter(data["drivers"]))
    rotor = {"unit": "N", "min": 0.0, "max": 10.0, "rate_max": 400.0, "driver": driver, "safe": {"rate": 400.0}}
    data["actuators"] = {name: dict(rotor) for name in ROTORS}
    data["limits"].update(speed_max=10.0, deceleration_max=4.0)
    data["steps"]["controller"] = {"kind": "flight_rotors", "rate_hz": 100}
    return data


def build(tmp_path: Path, data: dict[str, Any] | None = None) -> RotorController:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data if data is not None else platform_file(), sort_keys=False))
    step = build_step(load_platform(path), "controller")
    assert isinstance(step, RotorController)
    return step


class Flight:
    """Plant, controller and what a guard passes on."""

    def __init__(self, controller: RotorController, start: Array, velocity: Array) -> None:
        self.controller, self.plant, self.t = controller, QuadrotorPlant(), 0.0
        hover = self.plant.speed_wanted(0.25 * 2.0 * 9.81)
        self.plant.state = [*start, 1.0, 0.0, 0.0, 0.0, *velocity, 0.0, 0.0, 0.0, *[hover] * 4, 1.0]
        self.last = dict.fromkeys(ROTORS, 0.25 * 2.0 * 9.81)
        self.effect = [1.0] * 4

    def odometry(self) -> Odometry:
        s, z = state_of(self.plant, self.t), np.zeros((6, 6))
        v = matrix_from_quat(s.quaternion).T @ s.velocity
        return Odometry(self.t, s.position, s.quaternion, v, s.rates, z, z)

    def step(self, trajectory: Trajectory | None) -> ActuatorCommand | None:
        command = self.controller.step(self.t, self.odometry(), None, trajectory, self.last)
        if command is not None:
            self.last = dict(command.values)
        self.plant.step([self.last[name] for name in ROTORS], PERIOD, effectiveness=self.effect)
        self.t += PERIOD
        return command


def rows(path: Lemniscate, t: float) -> Trajectory:
    """What a planner would send at t: 3 s in steps of 0.1 s."""
    times = np.arange(31) * 0.1
    at = t + times
    return Trajectory(t, times, path.derivative(at, 0), np.zeros(31), path.derivative(at, 1), np.zeros(31))


def test_it_follows_what_a_planner_sends_ten_times_a_second(tmp_path: Path) -> None:
    path = Lemniscate(10.0, 7.0, 5.0)
    flight = Flight(build(tmp_path), path.derivative(np.zeros(1), 0)[0], path.derivative(np.zeros(1), 1)[0])
    trajectory, worst = rows(path, 0.0), 0.0
    for k in range(600):
        if k % 10 == 0:
            trajectory = rows(path, flight.t)
        assert flight.step(trajectory) is not None
        gap = np.linalg.norm(np.array(flight.plant.state[:3]) - path.derivative(np.array([flight.t]), 0)[0])
        worst = max(worst, float(gap))
        assert flight.controller.note == ""
    assert worst < 0.25


@pytest.mark.parametrize("how", ["gone", "stale", "broken"])
def test_without_a_trajectory_it_stops_and_holds_its_place(tmp_path: Path, how: str) -> None:
    path = Lemniscate(10.0, 6.0, 5.0)
    flight = Flight(build(tmp_path), path.derivative(np.zeros(1), 0)[0], path.derivative(np.zeros(1), 1)[0])
    good = rows(path, 0.0)
    for _ in range(20):
        flight.step(good)
    begun = np.array(flight.plant.state[:3])
    bad = Trajectory(0.2, good.times, good.position * math.nan, good.yaw, good.velocity, good.yaw_rate)
    for _ in range(600):
        flight.step({"gone": None, "stale": good, "broken": bad}[how])
    assert flight.controller.note
    s = np.array(flight.plant.state)
    assert np.linalg.norm(s[7:10]) < 0.05
    assert s[2] == pytest.approx(5.0, abs=0.1)
    travelled = float(np.linalg.norm(s[:3] - begun))
    late = 6.0 * 3.0 if how != "gone" else 0.0  # until a trajectory counts as old
    assert travelled < 0.5 * math.pi * 6.0**2 / (2.0 * 4.0) + 1.0 + late


def test_before_the_first_trajectory_the_rotors_stand_still(tmp_path: Path) -> None:
    flight = Flight(build(tmp_path), np.array([0.0, 0.0, 0.16]), np.zeros(3))
    command = flight.step(None)
    assert command is not None
    assert set(command.values.values()) == {0.0}
    assert flight.controller.note == "nothing to follow"


def test_a_lost_rotor_brings_it_down(tmp_path: Path) -> None:
    path = Lemniscate(10.0, 2.0, 25.0)
    flight = Flight(build(tmp_path), path.derivative(np.zeros(1), 0)[0], np.zeros(3))
    for k in range(3000):
        if k == 100:
            flight.effect[2] = 0.0
        flight.step(rows(path, flight.t) if k % 10 == 0 else flight.controller._last)
        assert matrix_from_quat(np.array(flight.plant.state[3:7]))[2, 2] > 0.0
        if flight.plant.state[2] < 0.3:
            break
    assert "rotor_3 gives no thrust" in flight.controller.note
    assert flight.plant.state[2] < 0.3
    assert flight.plant.state[9] > -1.5


def test_input_that_cannot_be_trusted_gives_no_command(tmp_path: Path) -> None:
    flight = Flight(build(tmp_path), np.array([0.0, 0.0, 5.0]), np.zeros(3))
    odom = flight.odometry()
    controller = flight.controller
    assert controller.step(5.0, odom, None, None, flight.last) is None
    assert "old" in controller.note
    assert controller.step(0.0, odom, None, None, {"rotor_1": math.nan}) is None
    assert "not finite" in controller.note
    broken = replace(odom, position=odom.position * math.nan)
    assert controller.step(0.0, broken, None, None, flight.last) is None


def test_mistakes_in_the_file_are_named(tmp_path: Path) -> None:
    data = platform_file()
    data["actuators"]["rotor_3"]["unit"] = "N*m"
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: flight_rotors needs 'rotor_3' in N"):
        build(tmp_path, data)
    data = platform_file()
    del data["model"]["parameters"]["torque_ratio"]
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: .*torque_ratio"):
        build(tmp_path, data)
    data = platform_file()
    data["steps"]["controller"]["options"] = {"stage": 20}
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: .*stage"):
        build(tmp_path, data)


def test_rows_become_a_path_that_goes_through_them() -> None:
    path = Lemniscate(5.0, 5.0)
    smooth = TrajectoryPath(rows(path, 1.0))
    t = np.linspace(0.0, 2.9, 57)
    assert smooth.derivative(t, 0) == pytest.approx(path.derivative(t + 1.0, 0), abs=2e-3)
    assert smooth.derivative(t, 1) == pytest.approx(path.derivative(t + 1.0, 1), abs=0.06)
    assert smooth.derivative(t[2:-8], 2) == pytest.approx(path.derivative(t[2:-8] + 1.0, 2), abs=0.6)
    h = 1e-4
    for order in range(3):
        slope = (smooth.derivative(t + h, order) - smooth.derivative(t - h, order)) / (2 * h)
        inside = np.abs((t * 10) % 1 - 0.5) < 0.4
        assert slope[inside] == pytest.approx(smooth.derivative(t, order + 1)[inside], rel=1e-3, abs=1e-2)


def test_a_stop_keeps_its_deceleration_and_ends_at_rest() -> None:
    stop = StopPath(np.array([1.0, 2.0, 3.0]), np.array([4.0, 0.0, -1.0]), 0.0, 2.0)
    t, h = np.linspace(0.0, 5.0, 101), 1e-5
    assert np.linalg.norm(stop.derivative(t, 2), axis=1).max() == pytest.approx(2.0, rel=0.01)
    assert stop.derivative(t[:1], 1)[0] == pytest.approx([4.0, 0.0, -1.0])
    assert stop.derivative(t[-1:], 1)[0] == pytest.approx(np.zeros(3))
    for order in range(4):
        slope = (stop.derivative(t[1:60] + h, order) - stop.derivative(t[1:60] - h, order)) / (2 * h)
        assert slope == pytest.approx(stop.derivative(t[1:60], order + 1), abs=1e-3)

"""Controller: disturbances leave no steady error, limits hold, bad input is refused with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from closed_loop import Plant, drive, route
from hypothesis import given, settings
from hypothesis import strategies as st
from small_plants import SmallCar, SmallGuard, SmallShip, odometry

from giljabi.control.ocp_tracking import OcpTrackingController
from giljabi.models import build_model
from giljabi.platform import Platform, load_platform
from giljabi.registry import build_step
from giljabi.topics import TRAJECTORY
from giljabi.types import BadInputError, MissionPhase, Odometry, Trajectory


@pytest.fixture(scope="module")
def car() -> Platform:
    return load_platform("car")


@pytest.fixture(scope="module")
def ship() -> Platform:
    return load_platform("ship")


def straight(t: float, speed: float, n: int = 41, dt: float = 0.15, start: float = 0.0) -> Trajectory:
    times = dt * np.arange(n)
    position = np.zeros((n, 3))
    position[:, 0] = start + speed * times
    velocity = np.zeros((n, 3))
    velocity[:, 0] = speed
    return Trajectory(t, times, position, np.zeros(n), velocity, np.zeros(n))


def follow(platform: Platform, plant: Plant, speed: float, until: float, dt: float) -> tuple[float, float, float]:
    """(lateral error m, speed error m/s, heading) at the end of a straight line followed with fresh trajectories."""
    controller, guard = OcpTrackingController(platform), SmallGuard(platform)
    every = round(1.0 / platform.model.steps.controller.rate_hz / dt)
    command: Mapping[str, float] | None = None
    for i in range(round(until / dt)):
        t = i * dt
        if i % every == 0:
            trajectory = straight(t, speed, start=speed * t)
            out = controller.step(t, plant.odometry(t), None, trajectory, guard.output)
            assert out is not None
            command = out.values
        guard.step(command, dt)
        plant.step(guard.output, dt)
    odom = plant.odometry(until)
    return float(odom.position[1]), float(odom.velocity[0]) - speed, odom.yaw


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_car_with_wrong_mass_crooked_wheels_and_wind_keeps_line_and_speed(car: Platform, sign: float) -> None:
    plant = SmallCar(vx=8.0, mass=1500.0 * (1.0 + 0.2 * sign), push=-500.0 * sign, trim=0.02 * sign)
    lateral, speed, _ = follow(car, plant, 8.0, 20.0, 0.01)
    assert abs(lateral) < 0.05
    assert abs(speed) < 0.1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ship_in_wind_and_cross_current_keeps_its_line_by_crabbing(ship: Platform, sign: float) -> None:
    plant = SmallShip(u=3.0, current=(0.1, 0.4 * sign), wind=(-300.0, 900.0 * sign), mass=25_000.0 * 1.2)
    lateral, speed, yaw = follow(ship, plant, 3.0, 150.0, 0.05)
    assert abs(lateral) < 0.6
    assert abs(speed) < 0.1
    assert math.copysign(1.0, yaw) == -sign  # the bow points up-stream
    assert abs(yaw) > 0.1


def test_first_command_starts_from_what_the_guard_put_out(car: Platform) -> None:
    controller = OcpTrackingController(car)
    last = {"steering": 0.31, "throttle": -4500.0}
    out = controller.step(0.0, odometry(0.0, 0, 0, 0, 5.0), None, straight(0.0, 5.0), last)
    assert out is not None
    for name, a in car.model.actuators.items():
        assert abs(out.values[name] - last[name]) <= a.rate_max / 50.0 + 1e-9
    assert out.values["steering"] < 0.31
    assert out.values["throttle"] > -4500.0


def test_stale_trajectory_is_braked_along_into_a_stop(car: Platform) -> None:
    plant, controller, guard = SmallCar(vx=8.0), OcpTrackingController(car), SmallGuard(car)
    guard.output = {"steering": 0.0, "throttle": 200.0}
    bend = _arc(0.0, 8.0, 40.0)
    notes = set()
    for i in range(1000):
        t = 0.01 * i
        if i % 2 == 0:
            out = controller.step(t, plant.odometry(t), None, bend, guard.output)
            assert out is not None
            notes.add(controller.note)
        guard.step(out.values, 0.01)
        plant.step(guard.output, 0.01)
    assert abs(plant.vx) < 0.05
    assert any("old: braking" in n for n in notes)
    # The plan's timeout at 8 m/s and 8^2 / (2 x 3) m of braking, on the circle about (0, 40).
    assert math.hypot(plant.x, plant.y - 40.0) == pytest.approx(40.0, abs=0.5)
    assert 40.0 * plant.yaw == pytest.approx(8.0 * car.timeout_s(TRAJECTORY) + 8.0**2 / 6.0, abs=3.0)


def _arc(t: float, speed: float, radius: float, n: int = 41, dt: float = 0.15) -> Trajectory:
    times = dt * np.arange(n)
    yaw = speed * times / radius
    position = np.stack([radius * np.sin(yaw), radius * (1.0 - np.cos(yaw)), np.zeros(n)], axis=1)
    velocity = speed * np.stack([np.cos(yaw), np.sin(yaw), np.zeros(n)], axis=1)
    return Trajectory(t, times, position, yaw, velocity, np.full(n, speed / radius))


def test_nothing_to_follow_holds_with_the_safe_outputs(car: Platform, ship: Platform) -> None:
    for platform in (car, ship):
        controller, guard = OcpTrackingController(platform), SmallGuard(platform)
        for i in range(600):
            out = controller.step(0.02 * i, odometry(0.02 * i, 0, 0, 0.3, 0.0), None, None, guard.output)
            assert out is not None
            guard.step(out.values, 0.02)
        assert guard.output == {n: a.safe.value for n, a in platform.model.actuators.items()}
        assert controller.note == "nothing to follow"


def test_a_moving_car_that_loses_its_trajectory_stops(car: Platform) -> None:
    plant, controller, guard = SmallCar(vx=6.0), OcpTrackingController(car), SmallGuard(car)
    for i in range(800):
        t = 0.01 * i
        trajectory = straight(0.0, 6.0) if t < 0.5 else None
        if i % 2 == 0:
            out = controller.step(t, plant.odometry(t), None, trajectory, guard.output)
            assert out is not None
        guard.step(out.values, 0.01)
        plant.step(guard.output, 0.01)
    assert abs(plant.vx) < 0.05
    assert abs(plant.y) < 0.1
    assert plant.x < 3.0 + 6.0 + 3.0


@pytest.mark.parametrize(
    ("break_it", "word"),
    [
        (lambda o: odometry(o.t, math.nan, 0, 0, 1), "position is not finite"),
        (lambda o: odometry(o.t, 0, 0, 0, math.inf), "velocity is not finite"),
        (lambda o: odometry(o.t - 1.0, 0, 0, 0, 1), "odometry is 1.00 s old"),
        (lambda o: odometry(math.nan, 0, 0, 0, 1), "old"),
    ],
)
def test_bad_estimates_are_refused_with_the_reason(car: Platform, break_it: object, word: str) -> None:
    controller = OcpTrackingController(car)
    good = odometry(1.0, 0, 0, 0, 1)
    assert callable(break_it)
    bad: Odometry = break_it(good)
    assert controller.step(1.0, bad, None, straight(1.0, 1.0), {}) is None
    assert word in controller.note
    assert controller.step(1.0, good, None, straight(1.0, 1.0), {}) is not None
    assert controller.step(1.0, good, None, straight(1.0, 1.0), {"steering": math.nan}) is None
    assert "last output of 'steering'" in controller.note


def test_bad_trajectories_are_refused_and_the_last_good_one_braked_along(car: Platform) -> None:
    good = straight(0.0, 5.0)
    bad = Trajectory(0.1, good.times[::-1], good.position, good.yaw, good.velocity, good.yaw_rate)
    nan = Trajectory(0.1, good.times, good.position * math.nan, good.yaw, good.velocity, good.yaw_rate)
    short = Trajectory(0.1, good.times[:1], good.position[:1], good.yaw[:1], good.velocity[:1], good.yaw_rate[:1])
    shape = Trajectory(0.1, good.times, good.position[:5], good.yaw, good.velocity, good.yaw_rate)
    for broken, word in ((bad, "times"), (nan, "position is not"), (short, "1 rows"), (shape, "position has shape")):
        controller = OcpTrackingController(car)
        last = {"steering": 0.0, "throttle": 0.0}
        controller.step(0.0, odometry(0.0, 0, 0, 0, 5), None, good, last)
        out = controller.step(0.1, odometry(0.1, 0.5, 0, 0, 5), None, broken, last)
        assert out is not None
        assert controller.note.startswith(f"trajectory refused: {word}")
        assert all(math.isfinite(v) for v in out.values.values())


number = st.floats(-1e3, 1e3)


@pytest.mark.parametrize("vessel", [True, False])
@settings(max_examples=30, deadline=None)
@given(
    state=st.tuples(number, number, st.floats(-3.2, 3.2), st.floats(-20, 40), st.floats(-5, 5), st.floats(-3, 3)),
    rows=st.lists(st.tuples(number, number, number, number), min_size=2, max_size=8),
    share=st.floats(-1.0, 1.0),
)
def test_any_finite_input_gives_commands_inside_range_and_rate(
    car: Platform, ship: Platform, vessel: bool, state: tuple[float, ...], rows: list[tuple[float, ...]], share: float
) -> None:
    platform = ship if vessel else car
    controller = OcpTrackingController(platform)
    a = np.array(rows)
    n = len(a)
    flat = np.zeros((n, 3))
    flat[:, :2] = a[:, :2]
    speed = np.zeros((n, 3))
    speed[:, :2] = 0.01 * a[:, 2:]
    trajectory = Trajectory(0.0, 0.3 * np.arange(n), flat, 0.01 * a[:, 2], speed, 0.001 * a[:, 3])
    actuators = platform.model.actuators
    last = {k: 0.5 * (v.max + v.min) + 0.5 * share * (v.max - v.min) for k, v in actuators.items()}
    period = 1.0 / platform.model.steps.controller.rate_hz
    for i in range(2):
        t = i * period
        out = controller.step(t, odometry(t, *state), None, trajectory, last)
        assert out is not None
        for name, v in actuators.items():
            assert v.min <= out.values[name] <= v.max
            assert abs(out.values[name] - last[name]) <= v.rate_max * period * (1 + 1e-9)
        last = dict(out.values)


def test_late_estimates_leave_the_car_stable(car: Platform) -> None:
    way = route([(0, 0), (60, 0), (90, 25), (140, 25)], 9.0, 5.0)
    run = drive(car, SmallCar(), way, until=40, latency=0.12)
    assert run.phase is MissionPhase.ARRIVED
    assert np.max(np.abs(run.column("lateral"))) < 0.5
    assert np.sqrt(np.mean(run.column("lateral") ** 2)) < 0.15


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (
            "controller: {kind: ocp_tracking, rate_hz: 50, options: {stagess: 10}}",
            "controller",
            "did you mean 'stages'",
        ),
        ("controller: {kind: ocp_tracking, rate_hz: 50, options: {smoothness: -1}}", "controller", "smoothness"),
    ],
)
def test_mistakes_in_options_are_told_with_their_line(
    tmp_path: object, root: object, text: str, line: str, word: str
) -> None:
    from pathlib import Path

    source = Path(str(root)) / "config/platforms/car.yaml"
    old = "controller: {kind: ocp_tracking, rate_hz: 50}"
    content = source.read_text()
    assert old in content
    path = Path(str(tmp_path)) / "mine.yaml"
    path.write_text(content.replace(old, text))
    where = 1 + content[: content.index(old)].count("\n")
    with pytest.raises(BadInputError, match=word) as e:
        build_step(load_platform(path), line)
    assert str(e.value).startswith(f"{path}:{where}: ")


def test_mistakes_in_model_parameters_are_told_with_their_line(tmp_path: object, root: object) -> None:
    from pathlib import Path

    content = (Path(str(root)) / "config/platforms/car.yaml").read_text()
    path = Path(str(tmp_path)) / "mine.yaml"
    for old, new, word in (
        ("    mass: 1500.0", "    mas: 1500.0", "unknown key 'mas'"),
        ("    mass: 1500.0", "    mass: -1.0", "'mass' is -1.0"),
        ("  kind: bicycle", "  kind: tricycle", "'tricycle'; known are bicycle, vessel_heading, vessel_rudder"),
        ("    unit: rad\n", "    unit: m\n", "rad is expected"),
    ):
        assert old in content
        path.write_text(content.replace(old, new, 1))
        with pytest.raises(BadInputError, match=word) as e:
            build_model(load_platform(path))
        where = 1 + content[: content.index(old)].count("\n")
        assert str(e.value).startswith(f"{path}:{where}: ")

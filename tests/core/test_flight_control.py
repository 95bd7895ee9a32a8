"""Flight control: paths, flatness, the observer and the closed loop over the simulator's plant."""

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.airframe import Airframe, flat_reference
from giljabi.control.flight import FlightController, FlightOptions
from giljabi.control.flight_observer import FlightState, WrenchObserver
from giljabi.control.flight_paths import Circle, FlatPath, Hover, Lemniscate, minimum_snap, through
from giljabi.frames import yaw_from_quat
from giljabi.solver import Ocp, Status
from giljabi.types import Array, BadInputError

POINTS = np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 2.0], [4.0, 5.0, 2.5], [0.0, 5.0, 1.0]])
PERIOD = 0.01


def x500(**changes: object) -> Airframe:
    """What a user knows of the plant's airframe from its data sheet."""
    p = QuadrotorPlant().parameters
    known: dict[str, object] = {
        "mass": p["mass"],
        "inertia": tuple(p[f"inertia_{axis}"] for axis in "xyz"),
        "rotor_x": tuple(p[f"rotor_{i}_x"] for i in range(1, 5)),
        "rotor_y": tuple(p[f"rotor_{i}_y"] for i in range(1, 5)),
        "spin": tuple(p[f"rotor_{i}_spin"] for i in range(1, 5)),
        "torque_ratio": p["torque_coefficient"] / p["thrust_coefficient"],
        "thrust_max": 9.0,
        "thrust_min": 0.2,
        "drag": (0.25, 0.25, 0.0),
        "motor_lag": 0.035,
    }
    return Airframe(**{**known, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        Lemniscate(5.0, 6.0, 2.0, (1.0, -2.0)),
        Circle(3.0, 4.0),
        minimum_snap(POINTS, np.array([2.0, 1.5, 2.5])),
        minimum_snap(POINTS, np.array([2.0, 1.5, 2.5]), order=3),
    ],
)
def test_derivatives_are_those_of_the_position(path: FlatPath) -> None:
    t, h = np.linspace(0.3, 5.7, 40), 1e-4
    for order in range(4):
        slope = (path.derivative(t + h, order) - path.derivative(t - h, order)) / (2 * h)
        assert slope == pytest.approx(path.derivative(t, order + 1), rel=1e-4, abs=1e-3)


def test_the_lemniscate_is_the_agreed_one() -> None:
    path = Lemniscate(5.0, 8.0)
    t = np.linspace(0.0, 10.0, 2001)
    a = 8.0 / (5.0 * math.sqrt(2.0)) * t
    expected = np.column_stack([5 * np.sin(a), 5 * np.sin(a) * np.cos(a), np.full_like(a, 2.0)])
    assert path.derivative(t, 0) == pytest.approx(expected)
    assert np.linalg.norm(path.derivative(t, 1), axis=1).max() == pytest.approx(8.0, rel=1e-4)


def test_minimum_snap_goes_through_the_points_smoothly_and_nothing_nearby_is_smoother() -> None:
    times = np.array([2.0, 1.5, 2.5])
    path = minimum_snap(POINTS, times)
    knots = np.array([0.0, 2.0, 3.5, 6.0])
    assert path.derivative(knots, 0) == pytest.approx(POINTS)
    for order in range(1, 4):
        assert path.derivative(np.array([0.0, 6.0]), order) == pytest.approx(np.zeros((2, 3)), abs=1e-8)
        eps = 1e-9
        jump = path.derivative(knots[1:3] + eps, order) - path.derivative(knots[1:3] - eps, order)
        assert jump == pytest.approx(np.zeros((2, 3)), abs=1e-4)
    # Against a change over two pieces that keeps the points and rests at its ends: the integral's slope is zero.
    x = np.polynomial.Polynomial([0.0, 1.0])
    change = (x**4 * (x - 2.0) * (3.5 - x) ** 4).deriv(4)
    t = np.linspace(0.0, 3.5, 3501)
    both = path.derivative(t, 4)[:, 0] * change(t)
    assert abs(trapezoid(both, t)) < 1e-3 * trapezoid(np.abs(both), t)


def test_a_path_within_limits_meets_the_tighter_one_and_beats_equal_shares() -> None:
    path = through(POINTS, 4.0, 6.0)
    fastest, hardest = path.peaks(200)
    assert max(fastest / 4.0, hardest / 6.0) == pytest.approx(1.0, abs=0.01)
    gaps = np.linalg.norm(np.diff(POINTS, axis=0), axis=1)
    plain = minimum_snap(POINTS, gaps)
    v, a = plain.peaks()
    assert path.end <= plain.stretched(max(v / 4.0, math.sqrt(a / 6.0))).end


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimum_snap(POINTS[:1], np.array([])), "two finite points"),
        (lambda: minimum_snap(POINTS, np.array([1.0, -1.0, 1.0])), "above 0 s"),
        (lambda: minimum_snap(POINTS, np.ones(3), order=5), "order is 5"),
        (lambda: through(np.repeat(POINTS, 2, axis=0), 3.0, 3.0), "same"),
        (lambda: through(POINTS, 0.0, 3.0), "limits"),
        (lambda: x500(mass=math.nan), "mass is nan"),
        (lambda: x500(spin=(1.0, 1.0, 1.0, 1.0)), "every axis"),
        (lambda: Airframe.from_parameters({"mass": 1.0}, 9.0), "inertia_x"),
    ],
)
def test_bad_input_says_what_is_expected(call: object, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        call()  # type: ignore[operator]


def test_flat_reference_is_a_motion_of_the_model() -> None:
    airframe, path = x500(drag=(0.4, 0.3, 0.1), thrust_max=50.0, thrust_min=-50.0), Lemniscate(5.0, 6.0)
    push, turn = np.array([1.0, -2.0, 0.5]), np.array([0.5, -0.3, 0.2])
    t = np.linspace(0.0, 5.0, 30)
    ref = flat_reference(airframe, path, t, push, turn)
    near = flat_reference(airframe, path, t + 1e-3, push, turn)
    for k in range(len(t)):
        a, alpha = airframe.accelerations(ref.quaternion[k], ref.velocity[k], ref.rates[k], ref.thrust[k])
        assert a + push == pytest.approx(path.derivative(t[k : k + 1], 2)[0], abs=2e-3)
        assert alpha + turn == pytest.approx((near.rates[k] - ref.rates[k]) / 1e-3, abs=0.1)
    assert yaw_from_quat(ref.quaternion) == pytest.approx(np.zeros(30), abs=0.4)


def test_our_accelerations_are_those_of_the_solver() -> None:
    airframe = x500(drag=(0.4, 0.3, 0.1))
    ocp = Ocp("quadrotor", 5, 0.04)
    for name, value in airframe.constants.items():
        ocp.set(name, value)
    push, turn = np.array([1.0, -2.0, 0.5]), np.array([0.5, -0.3, 0.2])
    for i, axis in enumerate("xyz"):
        ocp.set(f"push_{axis}", push[i])
        ocp.set(f"turn_{axis}", turn[i])
    q = np.array([0.9, 0.2, -0.3, 0.1])
    q /= np.linalg.norm(q)
    v, w, thrust = np.array([3.0, -2.0, 1.0]), np.array([1.0, -2.0, 0.5]), np.array([4.0, 5.0, 6.0, 4.5])
    x = np.concatenate([np.zeros(3), q, v, w])
    rate = (ocp.simulate(x, thrust, 1e-6, 1) - x) / 1e-6
    a, alpha = airframe.accelerations(q, v, w, thrust)
    assert rate[7:10] == pytest.approx(a + push, abs=1e-3)
    assert rate[10:13] == pytest.approx(alpha + turn, abs=1e-3)


def state_of(plant: QuadrotorPlant, t: float) -> FlightState:
    x = np.array(plant.state)
    return FlightState(t, x[:3], x[3:7], x[7:10], x[10:13])


def flown(
    path: FlatPath,
    seconds: float,
    airframe: Airframe | None = None,
    wind: tuple[float, float, float] = (0.0, 0.0, 0.0),
    options: FlightOptions | None = None,
) -> tuple[Array, FlightController]:
    """Distances (n,) [m] from the path over the plant, begun on it."""
    plant = QuadrotorPlant()
    airframe = airframe if airframe is not None else x500()
    controller = FlightController(airframe, PERIOD, options)
    at = np.zeros(1)
    ref = flat_reference(airframe, path, at, np.zeros(3), np.zeros(3))
    spin = [plant.speed_wanted(float(f)) for f in ref.thrust[0]]
    plant.state = [*ref.position[0], *ref.quaternion[0], *ref.velocity[0], *ref.rates[0], *spin, 1.0]
    out = []
    for k in range(round(seconds / PERIOD)):
        t = k * PERIOD
        now = state_of(plant, t)
        out.append(float(np.linalg.norm(now.position - path.derivative(np.array([t]), 0)[0])))
        controller.observe(now)
        controller.prepare(path, t, now.quaternion)
        command = controller.step(now)
        assert command.status in (Status.CONVERGED, Status.FEASIBLE)
        plant.step(command.thrust.tolist(), PERIOD, wind)
    return np.array(out), controller


def test_a_fast_figure_of_eight_is_followed_through_wind() -> None:
    distance, _ = flown(Lemniscate(8.0, 6.0, 3.0), 8.0, wind=(4.0, 2.0, 0.0))
    assert float(np.sqrt(np.mean(distance**2))) < 0.10


def test_a_wrong_mass_is_found_and_carried() -> None:
    distance, controller = flown(Hover((0.0, 0.0, 3.0)), 6.0, airframe=x500(mass=1.4))
    assert float(distance[-100:].max()) < 0.03
    assert controller.observer.push[2] == pytest.approx(9.81 - 9.81 * 2.0 / 1.4, abs=0.5)


def test_the_observer_finds_a_push_and_a_turn_from_velocity_or_accelerometer() -> None:
    airframe = x500(drag=(0.0, 0.0, 0.0))
    thrust = np.full(4, airframe.hover_thrust)
    for felt in (None, np.array([1.0, -0.5, 9.81])):
        observer = WrenchObserver(airframe, 10.0, 10.0, 5.0, 20.0)
        for k in range(200):
            t = 0.01 * k
            v, w = np.array([1.0, -0.5, 0.0]) * t, np.array([0.0, 0.0, 0.3]) * t
            observer.step(FlightState(t, np.zeros(3), np.array([1.0, 0, 0, 0]), v, w), thrust, felt, None)
        assert observer.push == pytest.approx([1.0, -0.5, 0.0], abs=1e-3)
        assert observer.turn == pytest.approx([0.0, 0.0, 0.3], abs=1e-3)


def test_body_rates_lead_where_the_thrusts_turn_it() -> None:
    airframe = x500()
    controller = FlightController(airframe, PERIOD)
    hover = Hover((0.0, 0.0, 3.0))
    state = FlightState(0.0, np.array([0.0, -1.0, 3.0]), np.array([1.0, 0, 0, 0]), np.zeros(3), np.zeros(3))
    controller.observe(state)
    controller.prepare(hover, 0.0, state.quaternion)
    command = controller.step(state)
    assert command.rates[0] < -0.1  # the goal lies to the left: the left side goes down
    assert (airframe.allocation @ command.thrust)[1] < 0.0
    assert command.total == pytest.approx(4.0 * airframe.hover_thrust, rel=0.3)


def test_a_state_that_is_not_finite_gives_hover_and_says_so() -> None:
    controller = FlightController(x500(), PERIOD)
    good = FlightState(0.0, np.zeros(3), np.array([1.0, 0, 0, 0]), np.zeros(3), np.zeros(3))
    controller.prepare(Hover((0.0, 0.0, 0.0)), 0.0, good.quaternion)
    command = controller.step(FlightState(0.0, np.full(3, math.nan), good.quaternion, np.zeros(3), np.zeros(3)))
    assert "bad_input" in controller.note
    assert np.all(np.isfinite(command.thrust))


def test_same_calls_same_answers() -> None:
    first, _ = flown(Circle(4.0, 3.0), 1.0)
    second, _ = flown(Circle(4.0, 3.0), 1.0)
    assert np.array_equal(first, second)

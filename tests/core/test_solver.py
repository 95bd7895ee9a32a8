"""The solver from Python: problems, statuses, shapes and errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from giljabi.platform import load_platform
from giljabi.solver import Ocp, Status, solve_batch
from giljabi.types import BadInputError


def car_problem() -> tuple[Ocp, np.ndarray]:
    """A car on a sine, one disc that crosses its path; and the state it starts from."""
    ocp = Ocp("bicycle", horizon=40, dt=0.05)
    k = 2 * np.pi / 80
    weights = np.array([1, 1, 5, 1, 1, 0.1])
    ocp.set("state_weights", weights)
    ocp.set("terminal_weights", 10 * weights)
    ocp.set("input_weights", [1, 0.01])
    for name, lower, upper in (("v", 0, 15), ("steering", -0.5, 0.5), ("a", -6, 3)):
        ocp.set(f"state_lower.{name}", lower)
        ocp.set(f"state_upper.{name}", upper)
    ocp.set("input_lower", [-0.8, -10])
    ocp.set("input_upper", [0.8, 10])
    t = np.arange(41) * 0.05
    along, slope = 10 * t, 4 * k * np.cos(k * 10 * t)
    zero = np.zeros(41)
    ocp.set_reference(
        np.c_[along, 4 * np.sin(k * along), np.arctan(slope), 10 * np.sqrt(1 + slope**2), zero, zero], np.zeros(2)
    )
    disc = 10 * t + 15 * np.cos(2 * np.pi * t / 10)
    ocp.set("disc_1_x", disc)
    ocp.set("disc_1_y", 4 * np.sin(k * disc) + 0.5)
    ocp.set("disc_1_radius", 2.0)
    x0 = np.array([0, 0, np.arctan(4 * k), 8, 0, 0])
    ocp.set_guess(x0)
    return ocp, x0


def test_car_converges_from_a_cold_start() -> None:
    ocp, x0 = car_problem()
    result = ocp.solve(x0)
    assert result.status is Status.CONVERGED
    assert max(result.residuals.stationarity, result.residuals.dynamics) <= 1e-6
    assert result.cost == pytest.approx(65.5665, rel=1e-5)
    for k in range(40):
        assert ocp.simulate(ocp.x[k], ocp.u[k], 0.05, substeps=1) == pytest.approx(ocp.x[k + 1], abs=1e-9)


def test_feedback_stays_at_the_optimum() -> None:
    ocp, x0 = car_problem()
    solved = ocp.solve(x0)
    result = ocp.feedback(x0)
    assert result.status is Status.CONVERGED
    assert result.cost == pytest.approx(solved.cost, rel=1e-7)
    assert result.u0 == pytest.approx(solved.u0, abs=1e-5)


def test_a_time_budget_ends_the_work_early_and_the_result_says_so() -> None:
    ocp, x0 = car_problem()
    assert ocp.get("time_budget") == np.inf
    ocp.set("time_budget", 1.0)
    early = ocp.solve(x0)
    assert early.limit == "time"
    assert early.iterations == early.qp_iterations == 1
    assert early.status is not Status.CONVERGED
    assert np.all(np.isfinite(ocp.x))
    ocp.set("time_budget", np.inf)
    whole = ocp.solve(x0)
    assert (whole.limit, whole.status) == ("", Status.CONVERGED)
    assert ocp.solve(x0, 1).limit in ("", "iterations")
    with pytest.raises(BadInputError, match="above 0"):
        ocp.set("time_budget", float("nan"))


def test_wrong_shape_names_the_expected_one() -> None:
    ocp, x0 = car_problem()
    with pytest.raises(BadInputError, match=r"x has shape \(5,\); \(6,\) is expected"):
        ocp.feedback(x0[:5])
    with pytest.raises(BadInputError, match="did you mean 'state_weights'"):
        ocp.set("state_weight", 1.0)


def test_not_a_number_in_gives_a_status() -> None:
    ocp, x0 = car_problem()
    ocp.solve(x0)
    x0[3] = np.nan
    result = ocp.feedback(x0)
    assert result.status is Status.BAD_INPUT
    assert np.all(np.isfinite(result.u0))


# --- what goes in -----------------------------------------------------------------------------------

FINITE = st.floats(-1e3, 1e3)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=12)


@pytest.fixture(scope="module")
def posed() -> tuple[Ocp, np.ndarray]:
    return car_problem()


@settings(max_examples=200, deadline=None)
@given(value=hnp.arrays(np.float64, SHAPES, elements=st.floats()), where=st.integers(0, 6))
def test_any_array_is_taken_or_refused_with_the_expected_shape(
    posed: tuple[Ocp, np.ndarray], value: np.ndarray, where: int
) -> None:
    ocp, x0 = posed
    calls = (
        (lambda: ocp.set_reference(value), [(6,), (41, 6)]),
        (lambda: ocp.set_reference(x0, value), [(2,), (40, 2)]),
        (lambda: ocp.set_parameters(value), [(18,), (41, 18)]),
        (lambda: ocp.set_guess(value), [(6,), (41, 6)]),
        (lambda: ocp.set("state_weights", value), [(6,)]),
        (lambda: ocp.set("disc_2_x", value), [(), (41,)]),
        (lambda: ocp.set("wheelbase", value), [()]),
    )
    call, shapes = calls[where]
    if value.shape not in shapes:
        with pytest.raises(BadInputError, match="expected"):
            call()
    elif not np.all(np.isfinite(value)):
        with pytest.raises(BadInputError, match="not finite"):
            call()
    else:
        try:
            call()
        except BadInputError as e:
            assert "or more" in str(e) or "above 0" in str(e)  # noqa: PT017


@settings(max_examples=100, deadline=None)
@given(value=st.one_of(st.none(), st.text(), st.binary(), st.dictionaries(st.text(), FINITE), st.complex_numbers()))
def test_what_is_no_array_of_numbers_is_refused(posed: tuple[Ocp, np.ndarray], value: object) -> None:
    ocp, _ = posed
    for call in (
        lambda: ocp.set("input_weights", value),
        lambda: ocp.set_guess(value),
        lambda: ocp.feedback(value),
        lambda: ocp.solve(value),
    ):
        with pytest.raises(BadInputError):
            call()


@settings(max_examples=150, deadline=None)
@given(x=hnp.arrays(np.float64, 6, elements=st.floats(width=64)))
def test_any_state_gives_a_status_and_a_usable_input(x: np.ndarray) -> None:
    ocp, x0 = car_problem()
    ocp.feedback(x0)
    for result in (ocp.feedback(x), ocp.solve(x, 5)):
        assert isinstance(result.status, Status)
        assert (result.status is Status.BAD_INPUT) or np.all(np.isfinite(x))
        assert np.all(np.abs(result.u0) <= [0.8, 10])
        assert np.all(np.isfinite(ocp.x))
        assert np.isfinite(result.cost)
        assert np.isfinite(result.violation)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Ocp("bycicle", 10, 0.1), "did you mean 'bicycle'"),
        (lambda: Ocp("bicycle", 0, 0.1), "1 to 10000 stages"),
        (lambda: Ocp("bicycle", 10, -0.1), "above 0"),
        (lambda: Ocp("bicycle", 10, float("nan")), "above 0"),
        (lambda: Ocp("bicycle", "ten", 0.1), "1 to 10000 stages"),  # type: ignore[arg-type]
        (lambda: Ocp("bicycle", 10, 0.1).set("state_upper.w", 1.0), "known are x, y, psi, v, steering, a"),
        (lambda: Ocp("bicycle", 10, 0.1).set("wheelbase", 0.0), "above 0"),
        (lambda: Ocp("bicycle", 10, 0.1).set("disc_1_radius", -1.0), "0 or more"),
        (lambda: Ocp("bicycle", 10, 0.1).set("state_weights", [1, 1, 1, 1, 1, -1]), "0 or more"),
        (lambda: Ocp("bicycle", 10, 0.1).set("state_lower.v", float("nan")), "NaN"),
        (lambda: Ocp("bicycle", 10, 0.1).set("qp_iterations", 2.5), "whole number"),
        (lambda: Ocp("bicycle", 10, 0.1).solve(np.zeros(6), 0), "whole number"),
    ],
)
def test_errors_say_what_is_expected(call: Callable[[], object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        call()


def test_crossed_bounds_are_named_before_a_solve() -> None:
    ocp, x0 = car_problem()
    ocp.set("state_lower.v", 15)  # no room, but not crossed
    assert ocp.feedback(x0).status in Status
    for name, lower, upper, stage in (("v", np.inf, np.inf, 0), ("a", -np.inf, -np.inf, 0)):
        ocp, x0 = car_problem()
        ocp.set(f"state_lower.{name}", lower)
        ocp.set(f"state_upper.{name}", upper)
        with pytest.raises(BadInputError, match=rf"state_lower\.{name} is .*inf.* at stage {stage}"):
            ocp.feedback(x0)
    ocp, x0 = car_problem()
    ocp.set("state_lower.v", 16)
    with pytest.raises(BadInputError, match=r"state_lower\.v is 16\.0 and state_upper\.v is 15\.0 at stage 0"):
        ocp.feedback(x0)


# --- what comes out ---------------------------------------------------------------------------------


def test_views_do_not_copy_and_cannot_be_written() -> None:
    ocp, x0 = car_problem()
    x, u = ocp.x, ocp.u
    ocp.solve(x0)
    assert x is ocp.x
    assert x[0] == pytest.approx(x0)
    assert np.any(u != 0)
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1.0
    before = x.copy()
    ocp.shift()
    assert np.array_equal(x[:-1], before[1:])
    del ocp
    assert np.all(np.isfinite(x))  # the view keeps the memory alive


def test_set_and_get_agree_for_every_name() -> None:
    ocp = Ocp("vessel_rudder", 5, 1.0)
    for name in (*ocp.names.settings, *ocp.names.constants, *ocp.names.parameters):
        value = ocp.get(name)
        ocp.set(name, value)
        assert np.array_equal(ocp.get(name), value)
    ocp.set("state_upper.thrust", np.arange(6.0))
    assert ocp.get("state_upper")[3, 6] == 3.0


def test_the_violated_constraint_and_stage_are_named() -> None:
    ocp, x0 = car_problem()
    ocp.set("disc_2_x", x0[0])
    ocp.set("disc_2_y", x0[1] + 0.2)
    ocp.set("disc_2_radius", 2.0)
    result = ocp.solve(x0)
    assert result.worst == "disc_2@stage 1"
    assert result.violation == pytest.approx(-min(ocp.constraint_values(ocp.x[k], k)[1] for k in range(1, 41)))
    assert result.status.usable
    ocp.set("soft_limit", 0.1)
    assert ocp.solve(x0).status is Status.INFEASIBLE


def test_a_bound_that_cannot_hold_is_infeasible_and_named() -> None:
    ocp, x0 = car_problem()
    x0[3] = 20.0
    result = ocp.solve(x0)
    assert result.status is Status.INFEASIBLE
    assert result.worst == "v upper bound@stage 1"
    assert not result.status.usable


def test_closed_loop_keeps_clear_and_tracks() -> None:
    """Twenty seconds with the disc coming through; the plant is the model integrated ten times finer."""
    ocp, x = car_problem()
    k = 2 * np.pi / 80
    for _ in range(15):
        ocp.feedback(x)
    least, late = np.inf, 0.0
    for i in range(400):
        t = (i + np.arange(41)) * 0.05
        along, slope = 10 * t, 4 * k * np.cos(k * 10 * t)
        zero = np.zeros(41)
        ocp.set_reference(np.c_[along, 4 * np.sin(k * along), np.arctan(slope), 10 * np.sqrt(1 + slope**2), zero, zero])
        disc = along + 15 * np.cos(2 * np.pi * t / 10)
        ocp.set("disc_1_x", disc)
        ocp.set("disc_1_y", 4 * np.sin(k * disc) + 0.5)
        ocp.prepare()
        result = ocp.feedback(x)
        assert result.status.usable
        assert result.qp_iterations <= 25
        least = min(least, ocp.constraint_values(x)[0])
        x = ocp.simulate(x, result.u0, 0.05)
        ocp.shift()
        late = max(late, abs(x[1] - 4 * np.sin(k * x[0]))) if i > 330 else late
    assert least > -1e-3
    assert late < 2.5


def test_left_corridor_bound_is_to_port() -> None:
    """Reference outside the corridor: the path ends at its edge."""
    ocp, _ = car_problem()
    ocp.set("disc_1_radius", 0.0)
    t = np.arange(41) * 0.05
    reference = np.zeros((41, 6))
    reference[:, 0], reference[:, 1], reference[:, 3] = 8 * t, 1.5, 8
    ocp.set_reference(reference)
    ocp.set("corridor_normal_y", 1.0)
    ocp.set("corridor_left", 0.5)
    x0 = np.array([0, 0, 0, 8.0, 0, 0])
    ocp.set_guess(x0)
    assert ocp.solve(x0).status is Status.CONVERGED
    assert 0.4 < ocp.x[-1, 1] < 0.52
    ocp.set("corridor_left", 1e3)
    ocp.solve(x0)
    assert ocp.x[-1, 1] > 0.8


def test_ship_passes_a_vessel_on_its_route(root: Path) -> None:
    """The ship's own parameters, at sea scale in N and m."""
    ocp = Ocp("vessel_rudder", 40, 1.0)
    for name, value in load_platform(root / "config/platforms/ship.yaml").model.model.parameters.items():
        ocp.set(name, value)
    ocp.set("input_lower", [-4000, -0.25])
    ocp.set("input_upper", [4000, 0.25])
    for name, lower, upper in (("rudder", -0.61, 0.61), ("thrust", -6000, 16000)):
        ocp.set(f"state_lower.{name}", lower)
        ocp.set(f"state_upper.{name}", upper)
    ocp.set("state_weights", [1e-2, 1e-2, 1, 1, 1, 1, 1e-9, 0.1])
    ocp.set("terminal_weights", [0.1, 0.1, 10, 10, 1, 1, 1e-9, 0.1])
    ocp.set("input_weights", [1e-6, 10])
    reference = np.zeros((41, 8))
    reference[:, 0], reference[:, 3], reference[:, 6] = 3.0 * np.arange(41), 3.0, 7000.0
    ocp.set_reference(reference)
    ocp.set("disc_1_x", 60.0)
    ocp.set("disc_1_y", 2.0)
    ocp.set("disc_1_radius", 20.0)
    x0 = reference[0]
    ocp.set_guess(x0)
    result = ocp.solve(x0)
    assert result.status is Status.CONVERGED
    assert np.min(np.hypot(ocp.x[:, 0] - 60, ocp.x[:, 1] - 2)) > 20 - 0.05
    assert np.min(ocp.x[:, 1]) < -15  # the short side


def test_positive_rudder_turns_the_ship_to_port(root: Path) -> None:
    ocp = Ocp("vessel_rudder", 5, 1.0)
    for name, value in load_platform(root / "config/platforms/ship.yaml").model.model.parameters.items():
        ocp.set(name, value)
    x = np.array([0, 0, 0, 3.0, 0, 0, 8000.0, 0.2])
    for _ in range(120):
        x = ocp.simulate(x, [0, 0], 1.0)
    assert 0.02 < x[5] < 0.2  # rad/s
    assert 2.0 < x[3] < 4.0  # m/s under 8 kN


def test_example_of_the_documentation_runs(root: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/solver.md").read_text(encoding="utf-8"), re.S)
    assert blocks
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)


def test_two_solvers_run_at_the_same_time_and_agree() -> None:
    """Solves release the GIL; results do not depend on what else runs."""

    def run(_: int) -> bytes:
        ocp, x0 = car_problem()
        for _ in range(10):
            ocp.feedback(x0)
        return ocp.x.tobytes() + ocp.u.tobytes()

    with ThreadPoolExecutor(2) as pool:
        results = set(pool.map(run, range(6)))
    assert len(results) == 1


def test_a_batch_gives_the_same_bytes_on_any_number_of_threads_as_one_by_one() -> None:
    def pose() -> tuple[list[Ocp], list[np.ndarray]]:
        problems, states = [], []
        for i in range(7):
            ocp, x0 = car_problem()
            ocp.set_guess(x0 + [0, 0.5 * i, 0, 0, 0, 0])
            problems.append(ocp)
            states.append(x0 + [0, 0, 0, 0.3 * i, 0, 0])
        return problems, states

    problems, states = pose()
    alone = [ocp.solve(x, starts=1) for ocp, x in zip(problems, states, strict=True)]
    expected = [ocp.x.tobytes() + ocp.u.tobytes() for ocp in problems]
    for threads in (1, 2, 5, None):
        problems, states = pose()
        results = solve_batch(problems, states, threads=threads)
        assert [r.cost for r in results] == [r.cost for r in alone]
        assert [r.status for r in results] == [r.status for r in alone]
        assert [ocp.x.tobytes() + ocp.u.tobytes() for ocp in problems] == expected
    assert solve_batch([], []) == []


def test_a_batch_refuses_what_it_cannot_solve() -> None:
    ocp, x0 = car_problem()
    for problems, states, message in (
        ([ocp], [], "0 states for 1 problems"),
        ([ocp, ocp], [x0, x0], "twice"),
        ([ocp], [x0[:3]], r"shape \(3,\)"),
    ):
        with pytest.raises(BadInputError, match=message):
            solve_batch(problems, states)
    with pytest.raises(BadInputError, match="threads"):
        solve_batch([ocp], [x0], threads=0)


def _blocked() -> tuple[Ocp, np.ndarray]:
    """A disc that leaves less room on the side of the guess; and the state."""
    ocp = Ocp("bicycle_disc", horizon=40, dt=0.05)
    ocp.set("disc_1_x", 12.0)
    ocp.set("disc_1_y", 0.6)
    ocp.set("disc_1_radius", 2.0)
    reference = np.zeros((41, 6))
    reference[:, 0], reference[:, 3] = 0.5 * np.arange(41), 10.0
    ocp.set_reference(reference)
    guess = reference.copy()
    guess[:, 1] = 3.5
    ocp.set_guess(guess)
    return ocp, np.array([0, 0, 0, 10.0, 0, 0])


def test_a_cold_solve_finds_the_better_side_and_one_start_stays_on_the_side_of_its_guess() -> None:
    one, x = _blocked()
    near = one.solve(x, starts=1)
    several, _ = _blocked()
    best = several.solve(x)
    assert near.status is best.status is Status.CONVERGED
    assert one.x[:, 1].max() > 2.0
    assert several.x[:, 1].min() < -1.0
    assert best.cost < 0.8 * near.cost
    again = several.solve(x)  # goes on from there
    assert again.iterations <= 1
    assert again.cost == pytest.approx(best.cost, rel=1e-6)
    assert several.feedback(x).qp_iterations <= 2  # with that solution's multipliers
    assert several.get("penalty_l1") == pytest.approx(one.get("penalty_l1"))


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every solve from several starts, by how many."""
    again, calls = Ocp._solve_again, []

    def counted(self: Ocp, *arguments: Any) -> Any:
        calls.append(arguments[2])
        return again(self, *arguments)

    monkeypatch.setattr(Ocp, "_solve_again", counted)
    return calls


@pytest.mark.parametrize(
    ("model", "several"),
    [("bicycle", True), ("vessel", True), ("lipm", False), ("rigid_body", False), ("quadrotor", False)],
)
def test_only_what_may_have_several_minima_is_solved_from_several_starts(
    model: str, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ocp = Ocp(model, 5, 0.05)
    calls = _calls(monkeypatch)
    x = np.zeros(len(ocp.names.states))
    if model == "quadrotor":
        x[3] = 1.0
    ocp.set_guess(x)
    ocp.solve(x)
    assert calls == ([4] if several else [])
    ocp.set_guess(x)
    ocp.solve(x, starts=3)  # asked for: done
    assert calls[-1] == 3


def test_a_solve_with_a_time_budget_starts_once() -> None:
    ocp, x = _blocked()
    ocp.set("time_budget", 1e9)
    ocp.solve(x)
    assert ocp.x[:, 1].max() > 2.0
    with pytest.raises(BadInputError, match="1 to 4"):
        ocp.solve(x, starts=5)

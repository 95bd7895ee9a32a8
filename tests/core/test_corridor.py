"""Local avoidance: distances, plans that keep clear and can always stop, and the smooth path of them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from giljabi._core.planning import LatticePlanner
from giljabi.planning.corridor import FREE, OCCUPIED, UNKNOWN, CorridorOptions, CorridorPlanner, SmoothPlan
from giljabi.types import Array, BadInputError

CELL, N = 0.1, 160
CLEARANCE = CorridorOptions().clearance
CORNER = (-8.0, -8.0)


def field(trunks: list[tuple[float, float]], radius: float = 0.15) -> Array:
    """Free cells with trunks."""
    y, x = np.mgrid[0:N, 0:N] * CELL + 0.5 * CELL - 8.0
    cells = np.zeros((N, N), dtype=np.uint8)
    for a, b in trunks:
        cells[np.hypot(x - a, y - b) < radius + 0.5 * CELL] = OCCUPIED
    return cells


def walked(pieces: Array) -> Array:
    """Places (n, 2) along pieces, 2 ms apart."""
    rows = []
    for duration, x, y, vx, vy, ax, ay in pieces:
        t = np.arange(0.0, duration, 0.002)[:, None]
        rows.append(np.array([x, y]) + t * [vx, vy] + 0.5 * t**2 * [ax, ay])
    return np.concatenate(rows)


def planned(cells: Array, goal: tuple[float, float], velocity: tuple[float, float] = (0.0, 0.0)) -> Array:
    lattice = LatticePlanner(N, N, CELL, {"clearance": CLEARANCE})
    lattice.set_map(cells, CORNER, goal)
    return lattice.plan((0.0, 0.0), velocity)


def test_distances_are_those_of_scipy() -> None:
    cells = (np.random.default_rng(1).random((N, N)) < 0.02).astype(np.uint8)
    lattice = LatticePlanner(N, N, CELL)
    lattice.set_map(cells, CORNER, (5.0, 0.0))
    exact = CELL * np.maximum(distance_transform_edt(cells == 0) - 0.5, 0.0)
    for j, i in [(0, 0), (17, 120), (80, 80), (159, 3), (40, 99), (121, 64)]:
        assert lattice.clearance(*(CELL * np.array([i + 0.5, j + 0.5]) - 8.0)) == pytest.approx(exact[j, i], abs=1e-5)
    assert lattice.clearance(100.0, 0.0) == 0.0


def test_in_the_open_it_goes_straight_and_fast_and_ends_at_rest() -> None:
    pieces = planned(field([]), (20.0, 0.0))
    assert np.abs(walked(pieces)[:, 1]).max() < 0.3
    speeds = np.hypot(pieces[:, 3], pieces[:, 4])
    assert speeds.max() > 4.0
    last = pieces[-1]
    assert last[3:5] + last[0] * last[5:7] == pytest.approx([0.0, 0.0], abs=1e-9)
    for a, b in itertools.pairwise(pieces):  # each begins where the one before ends
        assert a[1:3] + a[0] * a[3:5] + 0.5 * a[0] ** 2 * a[5:7] == pytest.approx(b[1:3])
        assert a[3:5] + a[0] * a[5:7] == pytest.approx(b[3:5])


@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=5, max_size=40), st.floats(0, 2 * math.pi))
def test_every_piece_keeps_clear_and_can_be_left_by_a_stop(trunks: list[tuple[float, float]], a: float) -> None:
    trunks = [p for p in trunks if math.hypot(*p) > 1.0]
    cells = field(trunks)
    lattice = LatticePlanner(N, N, CELL, {"clearance": CLEARANCE})
    lattice.set_map(cells, CORNER, (15.0 * math.cos(a), 15.0 * math.sin(a)))
    pieces = lattice.plan((0.0, 0.0), (0.0, 0.0))
    for place in walked(pieces):
        assert all(math.dist(place, trunk) > 0.15 + CLEARANCE - 0.1 for trunk in trunks)
    for _, x, y, vx, vy, *_ in pieces[1:]:
        speed = math.hypot(vx, vy)
        assert speed <= 5.0 + 1e-9
        for s in np.linspace(0.0, speed / 5.0, 20):
            way = s - 0.5 * s * s * 5.0 / max(speed, 1e-9)
            assert lattice.clearance(x + vx * way, y + vy * way) >= CLEARANCE - 0.05


def test_a_wall_is_passed_by_its_gap() -> None:
    cells = field([])
    cells[:, 110:113] = OCCUPIED
    cells[120:132, 110:113] = FREE  # at y = 4.0 to 5.2
    plan = SmoothPlan(0.0, (0.0, 0.0), 2.0, 0.1)
    planner = CorridorPlanner(CELL)
    for k in range(400):
        planner.step(0.05 * k, plan, cells, CORNER, np.array([6.0, 0.0]))
    path = plan.derivative(np.array([20.0]), 0)[0]
    assert np.hypot(path[0] - 6.0, path[1]) < 0.6


def test_no_plan_goes_where_nothing_is_known() -> None:
    cells = np.full((N, N), UNKNOWN, dtype=np.uint8)
    cells[60:100, 60:110] = FREE  # up to x = 3 m
    pieces = planned(cells, (30.0, 0.0), (2.0, 0.0))
    assert len(pieces) > 1
    assert walked(pieces)[:, 0].max() < 3.0 - CLEARANCE + 0.05


def test_the_smooth_path_is_near_the_plan_and_its_derivatives_are_its_own() -> None:
    pieces = planned(field([(2.0, 0.1), (4.0, -0.3)]), (20.0, 0.0))
    plan = SmoothPlan(0.0, (0.0, 0.0), 2.0, 0.1)
    plan.replace(0.5, pieces)
    t, h = np.linspace(0.0, plan.end + 0.5, 300), 1e-4
    raw = np.array([plan.state(float(s))[0] for s in t])
    assert np.abs(plan.derivative(t, 0)[:, :2] - raw).max() < 5.0 * math.sqrt(2) * 0.1**2 / 12 + 1e-6
    for order in range(3):
        slope = (plan.derivative(t + h, order) - plan.derivative(t - h, order)) / (2 * h)
        assert slope == pytest.approx(plan.derivative(t, order + 1), abs=0.2)
    assert plan.derivative(t, 0)[:, 2] == pytest.approx(np.full(300, 2.0))
    rows = plan.trajectory(0.3)
    assert rows.position[4] == pytest.approx(plan.derivative(np.array([0.5]), 0)[0])


def test_a_replan_changes_nothing_before_its_begin_and_leaves_no_jump() -> None:
    cells = field([(3.0, 0.0)])
    plan, planner = SmoothPlan(0.0, (0.0, 0.0), 2.0, 0.1), CorridorPlanner(CELL)
    before = np.zeros((4, 3))
    for k in range(60):
        now = 0.05 * k
        at = np.array([now - 0.02, now - 0.01, now, now + 1e-9])
        if k:
            before = np.array([plan.derivative(at[2:3], order)[0] for order in range(3)])
        planner.step(now, plan, cells, CORNER, np.array([6.0, 0.0]))
        if k:
            after = np.array([plan.derivative(at[2:3], order)[0] for order in range(3)])
            assert after == pytest.approx(before, abs=1e-6)


def test_when_the_way_closes_the_last_plan_goes_on_to_its_stop() -> None:
    plan, planner = SmoothPlan(0.0, (0.0, 0.0), 2.0, 0.1), CorridorPlanner(CELL)
    for k in range(10):
        planner.step(0.05 * k, plan, field([]), CORNER, np.array([20.0, 0.0]))
    stop = plan.state(plan.end)[0]
    shut = np.full((N, N), OCCUPIED, dtype=np.uint8)
    planner.step(0.5, plan, shut, CORNER, np.array([20.0, 0.0]))
    assert planner.note == "no way through what is known"
    assert plan.state(plan.end)[0] == pytest.approx(stop)
    assert plan.derivative(np.array([plan.end + 1.0]), 1)[0] == pytest.approx(np.zeros(3), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LatticePlanner(2, 100, 0.1), "width"),
        (lambda: LatticePlanner(100, 100, 0.0), "resolution"),
        (lambda: LatticePlanner(100, 100, 0.1, {"speed": 3.0}), "no option 'speed'"),
        (lambda: LatticePlanner(100, 100, 0.1, {"piece": 0.01}), "too many pieces"),
        (lambda: LatticePlanner(N, N, CELL).set_map(np.zeros((3, 3), np.uint8), CORNER, (0.0, 0.0)), "shape"),
        (lambda: LatticePlanner(N, N, CELL).plan((math.nan, 0.0), (0.0, 0.0)), "finite"),
        (lambda: CorridorPlanner(CELL, CorridorOptions(clearance=0.2)), "hard_clearance"),
    ],
)
def test_bad_input_is_refused_by_name(call: object, words: str) -> None:
    with pytest.raises((ValueError, BadInputError), match=words):
        call()  # type: ignore[operator]


def test_who_comes_is_let_pass_and_no_stop_is_in_its_way() -> None:
    """Straight across the way, timed to meet: every piece and the stop stay outside the disc."""
    lattice = LatticePlanner(N, N, CELL, {"clearance": CLEARANCE})
    lattice.set_map(field([]), CORNER, (7.0, 0.0))
    mover = np.array([3.0, -4.0, 0.0, 3.5, 1.2, 0.2])
    for movers in (np.zeros((0, 6)), mover[None]):
        lattice.set_movers(movers)
        pieces = lattice.plan((0.0, 0.0), (3.0, 0.0))
        places, t = walked(pieces), []
        for k, duration in enumerate(pieces[:, 0]):
            t.append(pieces[:k, 0].sum() + np.arange(0.0, duration, 0.002))
        at = np.concatenate(t)
        away = np.hypot(places[:, 0] - 3.0, places[:, 1] + 4.0 - 3.5 * at) - 1.2 - 0.2 * at
        assert (away.min() < 0.0) == (len(movers) == 0)


def test_who_is_inside_already_goes_away_and_who_waits_at_the_goal_leaves_it() -> None:
    lattice = LatticePlanner(N, N, CELL, {"clearance": CLEARANCE})
    lattice.set_map(field([]), CORNER, (0.2, 0.0))
    lattice.set_movers([[-1.5, 0.0, 1.0, 0.0, 2.5, 0.5]])
    pieces = lattice.plan((0.0, 0.0), (0.0, 0.0))
    assert len(pieces) > 1
    assert math.hypot(*walked(pieces)[-1]) > 0.5


def test_a_lower_speed_is_kept_and_nonsense_is_refused() -> None:
    lattice = LatticePlanner(N, N, CELL, {"clearance": CLEARANCE})
    lattice.set_map(field([]), CORNER, (20.0, 0.0))
    lattice.limit_speed(1.5)
    assert np.hypot(*lattice.plan((0.0, 0.0), (0.0, 0.0))[:, 3:5].T).max() <= 1.5 + 1e-9
    for wrong in (0.0, math.nan):
        with pytest.raises(ValueError, match="speed"):
            lattice.limit_speed(wrong)
    with pytest.raises(ValueError, match="movers"):
        lattice.set_movers([[1.0, 2.0]])
    with pytest.raises(ValueError, match="finite"):
        lattice.set_movers([[math.nan, 0, 0, 0, 1, 0]])

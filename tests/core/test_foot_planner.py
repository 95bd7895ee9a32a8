"""Footsteps to a pose: inside the legs' reach, soles flat on one surface, the body clear of walls; by points."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from giljabi.frames import wrap_angle
from giljabi.ground import GroundFile, Surface, rectangle
from giljabi.planning.foot_planner import FootPlanner, Legs, Pose, legs_of
from giljabi.planning.terrain import Terrain
from giljabi.platform import Limits
from giljabi.types import FREE, LEFT, OCCUPIED, Array, BadInputError, FootPlan, GridMap
from giljabi.walking.walker_file import load_walker
from giljabi.yaml_file import YamlFile

WALL = math.inf
BOX = rectangle(1.5, 0.0, 0.0, (0.4, 0.6), WALL)
START: Pose = (0.0, 0.0, 0.0)


def legs() -> Legs:
    limits = Limits(
        speed_max=0.3, speed_min=-0.15, acceleration_max=0.3, deceleration_max=0.3, yaw_rate_max=0.4,
        lateral_acceleration_max=0.3, clearance=0.1,
    )  # fmt: skip
    return replace(legs_of(load_walker("small").walker, limits, (0.16, 0.3), 0.28), step_height=0.03)


def terrain(*surfaces: Surface, grid: GridMap | None = None) -> Terrain:
    return Terrain(np.array([-1.5, -2.0]), np.array([4.5, 2.0]), surfaces, grid)


def ground_at(surfaces: tuple[Surface, ...], points: Array) -> Array:
    """Heights (n,) of points (n, 2), by another library."""
    z = np.zeros(len(points))
    for s in sorted(surfaces, key=lambda s: s.height):
        if math.isfinite(s.height):
            z[Outline(s.corners).contains_points(points)] = s.height
    return z


def patch(x: float, y: float, yaw: float, half: tuple[float, float]) -> Array:
    """Points (n, 2) all over a rectangle."""
    a, b = np.meshgrid(np.linspace(-half[0], half[0], 15), np.linspace(-half[1], half[1], 9))
    c, s = math.cos(yaw), math.sin(yaw)
    return np.stack([x + c * a - s * b, y + s * a + c * b], axis=-1).reshape(-1, 2)


def check(plan: FootPlan, start: Pose, goal: Pose, g: Legs, surfaces: tuple[Surface, ...] = ()) -> None:
    """All that a plan promises."""
    assert (np.diff(plan.side) != 0).all()
    out = np.array([1.0, -1.0])
    arm = np.array([-math.sin(start[2]), math.cos(start[2])]) * g.width / 2
    xy = np.array(start[:2]) + out[:, None] * arm
    feet = [np.array([*p, ground_at(surfaces, p[None])[0], start[2]]) for p in xy]
    walls = [s for s in surfaces if s.height > g.step_height]
    for side, foot in zip(plan.side, plan.feet, strict=True):
        stands = feet[1 - side]
        c, s = math.cos(stands[3]), math.sin(stands[3])
        dx, dy = foot[:2] - stands[:2]
        ahead, beside = c * dx + s * dy, (c * dy - s * dx) * out[side]
        assert abs(ahead) <= g.length_max + 1e-9
        assert g.width_min - 1e-9 <= beside <= g.width + g.side_max + 1e-9
        assert abs(wrap_angle(foot[3] - stands[3])) <= g.turn_max + 1e-9
        assert abs(foot[2] - stands[2]) <= g.step_height + 1e-9
        assert abs(foot[2] - feet[side][2]) <= g.step_height + 1e-9
        under = ground_at(surfaces, patch(foot[0], foot[1], foot[3], g.half))
        assert np.allclose(under, foot[2]), "a sole across an edge"
        feet[side] = foot
        x, y = (feet[0][:2] + feet[1][:2]) / 2
        body = patch(x, y, (feet[0][3] + feet[1][3]) / 2, (g.body[0] / 2, g.body[1] / 2))
        for wall in walls:
            assert not Outline(wall.corners).contains_points(body, radius=1e-9).any(), "the body in a wall"
    middle = (feet[LEFT][:2] + feet[1][:2]) / 2
    assert middle == pytest.approx(goal[:2], abs=1e-6)
    for foot in feet:
        assert abs(wrap_angle(foot[3] - goal[2])) < 1e-6
    assert (plan.over >= plan.feet[:, 2] - 1e-9).all()


@pytest.mark.parametrize(
    "goal", [(3.0, 0.0, 0.0), (3.0, 0.5, math.pi / 2), (0.0, -1.0, math.pi), (-0.6, 0.0, 0.0), (2.6, 1.0, -1.0)]
)
def test_a_goal_pose_is_reached_around_a_box(goal: Pose) -> None:
    planner = FootPlanner(legs())
    check(planner.plan(START, goal, terrain(BOX)), START, goal, planner.legs, (BOX,))


def test_the_straight_way_takes_the_fewest_steps_and_goes_straight() -> None:
    plan = FootPlanner(legs()).plan(START, (2.0, 0.0, 0.0), terrain())
    assert len(plan) <= 2.0 / (0.28 * 0.36) + 4  # two until it is as fast as it may, two to bring the feet together
    assert np.abs(plan.feet[:, 1]).max() < 0.06


def test_on_and_off_a_low_terrace_no_sole_is_across_an_edge() -> None:
    planner, ground = FootPlanner(legs()), (rectangle(1.2, 0.0, 0.0, (0.8, 2.0), 0.03),)
    plan = planner.plan(START, (2.4, 0.0, 0.0), terrain(*ground))
    check(plan, START, (2.4, 0.0, 0.0), planner.legs, ground)
    assert set(plan.feet[:, 2]) == {0.0, 0.03}


def test_two_low_surfaces_make_stairs_and_what_is_too_high_for_a_step_is_a_wall() -> None:
    planner = FootPlanner(legs())
    stairs = (rectangle(1.4, 0.0, 0.0, (1.2, 1.0), 0.015), rectangle(1.4, 0.0, 0.0, (0.5, 1.0), 0.03))
    plan = planner.plan(START, (1.4, 0.0, 0.0), terrain(*stairs))
    check(plan, START, (1.4, 0.0, 0.0), planner.legs, stairs)
    assert set(plan.feet[:, 2]) == {0.0, 0.015, 0.03}
    with pytest.raises(BadInputError, match="too near to a wall"):
        planner.plan(START, (1.4, 0.0, 0.0), terrain(rectangle(1.4, 0.0, 0.0, (0.8, 1.0), 0.031)))


def test_there_is_no_way_through_a_fence_and_no_place_across_an_edge() -> None:
    planner = FootPlanner(legs())
    with pytest.raises(BadInputError, match="there is no way"):
        planner.plan(START, (3.0, 0.0, 0.0), terrain(rectangle(1.5, 0.0, 0.0, (0.1, 9.0), WALL)))
    with pytest.raises(BadInputError, match="across an edge"):
        planner.plan(START, (1.5, 0.0, 0.0), terrain(rectangle(2.0, 0.0, 0.0, (1.0, 1.0), 0.02)))


def test_occupied_cells_of_a_map_are_walls() -> None:
    cells = np.full((80, 120), FREE, dtype=np.uint8)
    cells[25:55, 58:66] = OCCUPIED  # x 1.4 to 1.8, y -0.75 to 0.75
    grid = GridMap(0.0, 0.05, (-1.5, -2.0), 0.0, cells)
    wall = rectangle(1.6, 0.0, 0.0, (0.4, 1.5), WALL)
    planner = FootPlanner(legs())
    plan = planner.plan(START, (3.0, 0.0, 0.0), terrain(grid=grid))
    check(plan, START, (3.0, 0.0, 0.0), planner.legs, (wall,))
    assert np.abs(plan.feet[:, 1]).max() > 0.8


def test_the_first_foot_can_be_chosen_and_the_same_question_has_the_same_answer() -> None:
    planner = FootPlanner(legs())
    for first in (0, 1):
        plans = [planner.plan(START, (1.0, 0.2, 0.3), terrain(), first) for _ in range(2)]
        assert plans[0].side[0] == first
        assert plans[0].same(plans[1])
    assert not plans[0].same(replace(plans[0], over=plans[0].over + 0.01))
    assert not plans[0].same(None)


PLACE = st.floats(-1.2, 1.2)


@given(
    st.tuples(st.floats(1.2, 3.0), PLACE, st.floats(-3.1, 3.1)),
    st.lists(st.tuples(st.floats(0.0, 3.0), PLACE, st.floats(-3.1, 3.1), st.floats(0.1, 0.6)), max_size=3),
    st.lists(st.tuples(st.floats(0.5, 2.5), PLACE, st.floats(0.4, 1.0), st.floats(0.005, 0.03)), max_size=2),
)
def test_whatever_is_planned_keeps_its_promises(
    goal: Pose, walls: list[tuple[float, ...]], flats: list[tuple[float, ...]]
) -> None:
    ground = [rectangle(x, y, yaw, (size, size), WALL) for x, y, yaw, size in walls if math.hypot(x, y) > 0.7]
    ground += [rectangle(x, y, 0.0, (size, size), z) for x, y, size, z in flats if x - size / 2 > 0.15]
    planner = FootPlanner(legs())
    try:
        plan = planner.plan(START, goal, terrain(*ground))
    except BadInputError:
        return
    check(plan, START, goal, planner.legs, tuple(ground))


def test_a_file_of_surfaces_is_held_against_what_a_surface_is(tmp_path: Path) -> None:
    file = tmp_path / "ground.yaml"
    file.write_text(
        "surfaces:\n  - {points: [[0, 0], [0, 1], [1, 1]], height: 0.02}\n  - {points: [[0, 0], [2, 0], [1, 1]]}\n"
    )
    a, b = (m.surface() for m in YamlFile(file).validate(GroundFile).surfaces)
    assert a.corners.tolist() == [[1, 1], [0, 1], [0, 0]]  # counter-clockwise
    assert (a.height, b.height) == (0.02, math.inf)
    for corners, words in (
        ("[[0, 0], [2, 0], [1, 0.2], [0, 2]]", "no convex polygon"),
        ("[[0, 0], [1, 0], [2, 0]]", "no convex polygon"),
        ("[[0, 0], [1, 0], [.nan, 1]]", "not a finite number"),
        ("[[0, 0], [1, 2], [2, 0], [0, 1], [2, 1]]", "no convex polygon"),
    ):
        file.write_text(f"surfaces:\n  - {{points: {corners}}}\n")
        with pytest.raises(BadInputError, match=rf"ground.yaml:2: .*{words}"):
            YamlFile(file).validate(GroundFile)

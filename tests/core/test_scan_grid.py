"""The rolling grid and the mapper: rays, noise, heights, poses at each ray's time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from giljabi._core.perception import ScanGrid
from giljabi.frames import matrix_from_rpy
from giljabi.perception.scan_grid import ScanGridMapper
from giljabi.platform import load_platform
from giljabi.types import FREE, OCCUPIED, UNKNOWN, Array, GridMap, Odometry, Scan

N, CELL = 60, 0.2
RAYS = 450
STEP = -2.0 * math.pi / RAYS


def ends(grid: ScanGrid, origin: Array, to: Array, hit: bool) -> None:
    grid.insert(np.tile(origin, (len(to), 1)), to, np.full(len(to), hit))


def at(cells: Array, corner: tuple[float, float], p: tuple[float, float]) -> int:
    return int(cells[math.floor((p[1] - corner[1]) / CELL), math.floor((p[0] - corner[0]) / CELL)])


def test_a_ray_frees_what_it_passes_and_fills_where_it_ends() -> None:
    grid = ScanGrid(N, CELL)
    grid.move_to(0.0, 0.0, 5.0)
    ends(grid, np.array([0.1, 0.1, 5.0]), np.array([[4.1, 0.1, 5.0]]), True)
    cells, corner = grid.cells(), (grid.corner[0], grid.corner[1])
    assert [at(cells, corner, (x, 0.1)) for x in (0.1, 2.1, 3.9, 4.1, 4.5)] == [FREE, FREE, FREE, OCCUPIED, UNKNOWN]
    assert np.count_nonzero(cells == OCCUPIED) == 1
    assert np.count_nonzero(cells == FREE) == 20


@given(st.floats(-5.5, 5.5), st.floats(-5.5, 5.5), st.floats(-5.5, 5.5), st.floats(-5.5, 5.5))
def test_every_cell_that_a_ray_goes_through_is_freed(x: float, y: float, to_x: float, to_y: float) -> None:
    grid = ScanGrid(N, CELL)
    grid.move_to(0.0, 0.0, 0.0)
    ends(grid, np.array([x, y, 0.0]), np.array([[to_x, to_y, 0.0]]), False)
    cells, corner = grid.cells(), (grid.corner[0], grid.corner[1])
    last = (math.floor(to_x / CELL), math.floor(to_y / CELL))
    for share in np.linspace(0.0, 1.0, 50):
        p = (x + share * (to_x - x), y + share * (to_y - y))
        u, v = p[0] / CELL, p[1] / CELL
        if (math.floor(u), math.floor(v)) != last and min(abs(u - round(u)), abs(v - round(v))) > 1e-6:
            assert at(cells, corner, p) == FREE
    assert not np.any(cells == OCCUPIED)


def test_a_wall_seen_at_a_grazing_angle_is_not_erased_by_its_own_rays() -> None:
    grid = ScanGrid(N, CELL)
    grid.move_to(0.0, 0.0, 0.0)
    wall = np.column_stack([np.linspace(0.5, 5.5, 200), np.full(200, 0.55), np.zeros(200)])
    for _ in range(20):
        ends(grid, np.array([0.0, 0.1, 0.0]), wall, True)
    cells, corner = grid.cells(), (grid.corner[0], grid.corner[1])
    assert all(at(cells, corner, (x, 0.55)) == OCCUPIED for x in np.arange(0.7, 5.4, 0.2))


def test_what_went_away_is_free_again_and_a_single_false_echo_is_forgotten() -> None:
    grid = ScanGrid(N, CELL)
    grid.move_to(0.0, 0.0, 0.0)
    origin, thing = np.array([0.1, 0.1, 0.0]), np.array([[3.1, 0.1, 0.0]])
    beyond = np.array([[5.5, 0.1, 0.0]])
    for times, most in ((1, 3), (30, 10)):
        for _ in range(times):
            ends(grid, origin, thing, True)
        corner = (grid.corner[0], grid.corner[1])
        assert at(grid.cells(), corner, (3.1, 0.1)) == OCCUPIED
        for _ in range(most):
            ends(grid, origin, beyond, False)
        assert at(grid.cells(), corner, (3.1, 0.1)) == FREE


def test_another_height_is_unknown_again_and_the_window_rolls() -> None:
    grid = ScanGrid(N, CELL, {"band": 1.0})
    grid.move_to(0.0, 0.0, 2.0)
    ends(grid, np.array([0.1, 0.1, 2.0]), np.array([[5.1, 0.1, 2.0]]), True)
    grid.move_to(0.0, 0.0, 2.9)
    assert at(grid.cells(), (grid.corner[0], grid.corner[1]), (2.1, 0.1)) == FREE
    grid.move_to(0.0, 0.0, 3.5)
    assert np.all(grid.cells() == UNKNOWN)
    grid.move_to(4.0, 0.0, 2.0)
    cells, corner = grid.cells(), (grid.corner[0], grid.corner[1])
    assert corner[0] == pytest.approx(4.0 - N / 2 * CELL)
    assert at(cells, corner, (5.1, 0.1)) == OCCUPIED
    grid.move_to(40.0, 0.0, 2.0)
    assert np.all(grid.cells() == UNKNOWN)
    grid.move_to(0.0, 0.0, 2.0)
    assert np.all(grid.cells() == UNKNOWN)  # what fell out is forgotten


def test_rays_above_and_below_the_layer_say_nothing_of_it() -> None:
    grid = ScanGrid(N, CELL, {"band": 0.5})
    grid.move_to(0.0, 0.0, 5.0)
    ends(grid, np.array([0.1, 0.1, 5.0]), np.array([[5.1, 0.1, 3.0]]), True)  # sinks by 0.4 a metre
    cells, corner = grid.cells(), (grid.corner[0], grid.corner[1])
    assert at(cells, corner, (1.1, 0.1)) == FREE
    assert [at(cells, corner, (x, 0.1)) for x in (1.7, 3.1, 5.1)] == [UNKNOWN] * 3


def odometry(t: float, p: tuple[float, float, float], rpy: tuple[float, float, float], speed: float) -> Odometry:
    q = Rotation.from_euler("ZYX", rpy[::-1]).as_quat()[[3, 0, 1, 2]]
    return Odometry(t, np.array(p), q, np.array([speed, 0.0, 0.0]), np.zeros(3), np.eye(6), np.eye(6))


def seen(yaw_rate: float, speed: float, roll: float) -> GridMap:
    """A map from two revolutions about a wall at x = 6 m, on the move."""
    mapper = ScanGridMapper(load_platform("drone_lidar"))

    def pose(t: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return (speed * t, 0.0, 8.0), (roll, 0.05, yaw_rate * t)

    grid = None
    for turn in range(3):
        end = 0.3 + 0.1 * turn
        ranges = np.full(RAYS, math.inf)
        for k in range(RAYS):
            (x, y, z), rpy = pose(end - 0.1 + 0.1 * k / RAYS)
            matrix = matrix_from_rpy(*rpy)
            ray = matrix @ [math.cos(STEP * k), math.sin(STEP * k), 0.0]
            origin = np.array([x, y, z]) + matrix @ [0.0, 0.0, 0.12]
            if ray[0] > 0.0 and abs(origin[1] + (6.0 - origin[0]) / ray[0] * ray[1]) < 3.0:
                ranges[k] = (6.0 - origin[0]) / ray[0]
        scan = Scan(end, 0.0, STEP, ranges, 0.1, 0.02, 12.0, "lidar")
        times = np.arange(end - 0.3, end + 0.02, 0.02)
        grid = mapper.step(end + 0.02, [scan], [odometry(t, *pose(t), speed) for t in times])
    assert grid is not None
    return grid


@pytest.mark.parametrize(("yaw_rate", "speed", "roll"), [(0.0, 0.0, 0.0), (1.2, 4.0, 0.1), (-1.2, -4.0, -0.15)])
def test_the_mapper_sees_a_wall_where_it_is_while_it_flies_turns_and_tilts(
    yaw_rate: float, speed: float, roll: float
) -> None:
    grid = seen(yaw_rate, speed, roll)
    j, i = np.nonzero(grid.cells == OCCUPIED)
    x = grid.corner[0] + (i + 0.5) * grid.resolution
    y = grid.corner[1] + (j + 0.5) * grid.resolution
    assert len(x) >= 25
    assert np.all(np.abs(x - 6.0) < 0.3)
    assert np.all(np.abs(y) < 3.2)
    assert grid.height == pytest.approx(8.0)


def test_scans_wait_for_their_pose_and_strange_ones_are_counted() -> None:
    mapper = ScanGridMapper(load_platform("drone_lidar"))
    scan = Scan(1.0, 0.0, STEP, np.full(RAYS, 5.0), 0.1, 0.02, 12.0, "lidar")
    assert mapper.step(1.0, [scan], [odometry(0.8, (0, 0, 5), (0, 0, 0), 0.0)]) is None
    grid = mapper.step(1.05, [], [odometry(1.02, (0, 0, 5), (0, 0, 0), 0.0)])
    assert grid is not None
    assert grid.t == 1.0
    late = Scan(0.5, 0.0, STEP, np.full(RAYS, 5.0), 0.1, 0.02, 12.0, "lidar")
    mapper.step(2.0, [late, Scan(math.nan, 0.0, STEP, np.full(RAYS, 5.0), 0.1, 0.02, 12.0, "lidar")], [])
    assert mapper.rejected == {"stamp or source": 2}

"""Fences as data: what is one, how it stands in files, and the distances that planners ask for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.fence import Fence, as_fences
from giljabi.mission import load_mission
from giljabi.planning.fences import FenceMap
from giljabi.types import BadInputError

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
NOTCH = ((0.0, 0.0), (10.0, 0.0), (10.0, 4.0), (4.0, 4.0), (4.0, 10.0), (0.0, 10.0))


@pytest.mark.parametrize(
    ("given_fence", "words"),
    [
        ({"points": SQUARE[:2]}, "2 corners are no polygon; 3 or more are expected"),
        ({"points": (*SQUARE[:3], (math.nan, 1.0))}, "not finite"),
        ({"points": (SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3])}, "edges 1 and 3 cross"),
        ({"points": (*SQUARE, (5.0, 0.0))}, "cross"),
        ({"points": (SQUARE[0], SQUARE[1], SQUARE[1], SQUARE[2])}, "same place"),
        ({"points": ((0.0, 0.0), (9.0, 0.0), (4.0, 0.0))}, "runs back|cross"),
        ({"points": SQUARE, "centre": (0.0, 0.0), "radius": 2.0}, "a polygon or a circle"),
        ({"centre": (0.0, 0.0)}, "both are expected"),
        ({"centre": (0.0, 0.0), "radius": -1.0}, "radius"),
        ({"centre": (0.0, math.inf), "radius": 1.0}, "not finite"),
        ({"points": SQUARE, "height_min": 20.0, "height_max": 10.0}, "height_min 20 is not below height_max 10"),
        ({"points": SQUARE, "height_max": math.nan}, "height is not a number"),
        ({}, "no place"),
        ({"keep_out": True, "height_max": 10.0}, "no place"),
    ],
)
def test_what_is_no_fence_is_refused_in_words(given_fence: dict[str, object], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        Fence(**given_fence)  # type: ignore[arg-type]


def test_a_file_names_the_line_of_a_bad_fence(tmp_path: Path) -> None:
    file = tmp_path / "mission.yaml"
    file.write_text(
        "fences:\n"
        "  - [[0, 0], [9, 0], [9, 9]]\n"
        "  - {centre: [4, 4], radius: 2, keep_out: true, height_max: 30}\n"
        "  - {height_max: 120}\n"
        "  - points: [[0, 0], [9, 9], [9, 0], [0, 9]]\n"
    )
    with pytest.raises(BadInputError, match=r"mission.yaml:5: .*edges 1 and 3 cross"):
        load_mission(file)
    file.write_text(file.read_text().replace("[9, 9], [9, 0]", "[9, 0], [9, 9]"))
    inside, tower, ceiling, _ = load_mission(file).fences
    assert inside == Fence(((0.0, 0.0), (9.0, 0.0), (9.0, 9.0)))
    assert (tower.keep_out, tower.radius, tower.height_max) == (True, 2.0, 30.0)
    assert (ceiling.everywhere, ceiling.height_max) == (True, 120.0)
    file.write_text("fences:\n  - {radius: 2, center: [1, 2]}\n")
    with pytest.raises(BadInputError, match=r"mission.yaml:2: unknown key 'fences.0.center'; did you mean 'centre'"):
        load_mission(file)


def test_a_ring_that_repeats_its_first_corner_is_the_same_fence() -> None:
    assert Fence((*SQUARE, SQUARE[0])) == Fence(SQUARE)
    assert as_fences([SQUARE, Fence(SQUARE)]) == (Fence(SQUARE), Fence(SQUARE))


def test_distances_are_positive_where_the_vehicle_may_be() -> None:
    inside = FenceMap([Fence(NOTCH, height_min=2.0, height_max=20.0)])
    points = np.array([[2, 2, 10], [7, 7, 10], [3, 3, 10], [2, 2, 3], [2, 2, 25], [-1, 5, 10.0]])
    assert inside.distance(points) == pytest.approx([2.0, -3.0, math.sqrt(2.0), 1.0, -5.0, -1.0])
    tower = FenceMap([Fence(centre=(0.0, 0.0), radius=5.0, keep_out=True, height_max=30.0)])
    points = np.array([[8, 0, 10], [0, 0, 34], [8, 0, 34], [0, 4, 10], [0, 0, 28.0]])
    assert tower.distance(points) == pytest.approx([3.0, 4.0, 5.0, -1.0, -2.0])
    assert FenceMap().distance(points).tolist() == [math.inf] * 5


def test_blocked_cells_are_those_with_a_place_too_near() -> None:
    fences = FenceMap([Fence(SQUARE), Fence(((4.0, 4.0), (6.0, 4.0), (6.0, 6.0), (4.0, 6.0)), keep_out=True)])
    blocked = fences.blocked((-1.0, -1.0), 0.5, (24, 24), height=3.0, margin=1.0)
    assert np.all(np.concatenate([blocked[0], blocked[:, 0], blocked[12, 12:13]]))
    assert not blocked[6, 6]  # (2.25, 2.25)
    for row, column in np.argwhere(~blocked):
        corners = [(-1.0 + 0.5 * (column + i), -1.0 + 0.5 * (row + k), 3.0) for i in (0, 1) for k in (0, 1)]
        assert np.all(fences.distance(np.array(corners)) >= 1.0)


@given(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0), st.floats(-5.0, 30.0), st.booleans())
def test_nobody_gets_past_a_fence_without_meeting_distance_zero(x: float, y: float, z: float, out: bool) -> None:
    """The distance falls by no more than the way that is gone: so it never jumps over zero."""
    fences = FenceMap([Fence(NOTCH, keep_out=out, height_min=1.0, height_max=12.0)])
    way = np.linspace([5.0, 2.0, 6.0], [x, y, z], 60)
    d = fences.distance(way)
    step = float(np.linalg.norm(way[1] - way[0]))
    crossed = np.sign(d[1:]) != np.sign(d[:-1])
    assert np.all(np.abs(np.diff(d))[crossed] <= 2.0 * step + 1e-9)
    px, py, pz = way.T
    within = (px > 0) & (px < 10) & (py > 0) & (py < 10) & ~((px > 4) & (py > 4)) & (pz > 1) & (pz < 12)
    clearly = np.abs(d) > 1e-6
    assert ((d > 0.0) == (within ^ out))[clearly].all()

"""Smooth routes: geometry against hand-made figures, projection where lines meet, speed inside the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.planning.route import RouteLimits, SmoothRoute
from giljabi.types import BadInputError, Route

LIMITS = RouteLimits(15.0, 2.0, 3.0, 3.0, 0.8, 5.0, 10.0, 0.2)


def make(points: list[tuple[float, float]], closed: bool = False, speed: float = 10.0, width: float = 4.0) -> Route:
    xyz = np.array([(*p, 0.0) for p in points])
    return Route(xyz, np.full(len(xyz), speed), np.full((len(xyz), 2), width), closed)


def circle(radius: float, n: int, sign: float = 1.0) -> list[tuple[float, float]]:
    a = sign * np.linspace(0.0, 2.0 * math.pi, n + 1)
    points = [(radius * math.cos(x), radius * math.sin(x)) for x in a]
    points[-1] = points[0]
    return points


def test_corner_is_an_arc_of_the_wanted_radius_on_the_right_side() -> None:
    line = SmoothRoute(make([(0, 0), (50, 0), (50, 50)]), LIMITS, 0.1)
    assert line.length == pytest.approx(2 * 40.0 + 0.5 * math.pi * 10.0)
    p = line.at(40.0 + 0.25 * math.pi * 10.0)
    assert p.xy[0] == pytest.approx([40 + 10 * math.sin(math.pi / 4), 10 - 10 * math.cos(math.pi / 4)], abs=1e-3)
    assert p.yaw[0] == pytest.approx(math.pi / 4, abs=1e-3)
    assert p.curvature[0] == pytest.approx(0.1, rel=1e-3)
    right = SmoothRoute(make([(0, 0), (50, 0), (50, -50)]), LIMITS, 0.1)
    assert right.at(45.0).curvature[0] == pytest.approx(-0.1, rel=1e-3)


def test_open_line_goes_on_straight_at_both_ends() -> None:
    line = SmoothRoute(make([(0, 0), (30, 0)]), LIMITS)
    assert line.at(np.array([-5.0, 35.0])).xy.tolist() == [[-5.0, 0.0], [35.0, 0.0]]
    s, d = line.project(np.array([-3.0, 2.0]), 0.0, 5.0, 5.0)
    assert (s, d) == (pytest.approx(-3.0), pytest.approx(2.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fine_polygon_of_a_circle_has_the_circles_curvature(sign: float) -> None:
    line = SmoothRoute(make(circle(60.0, 90, sign), closed=True), LIMITS, 0.25)
    s = np.linspace(0.0, 3.0 * line.length, 500)
    p = line.at(s)
    assert np.hypot(*p.xy.T) == pytest.approx(60.0, abs=0.15)
    assert p.curvature == pytest.approx(sign / 60.0, rel=0.02)
    assert p.yaw[-1] - p.yaw[0] == pytest.approx(sign * 6.0 * math.pi, abs=1e-6)


def test_closed_line_is_smooth_where_it_closes() -> None:
    line = SmoothRoute(make([(0, 0), (100, 0), (100, 60), (0, 60), (0, 0)], closed=True), LIMITS, 0.2)
    s = np.linspace(line.length - 20.0, line.length + 20.0, 2001)
    p = line.at(s)
    steps = np.hypot(*np.diff(p.xy, axis=0).T)
    assert steps == pytest.approx(0.02, rel=2e-3)
    assert np.max(np.abs(np.diff(p.yaw))) < 0.02 * 0.11
    assert np.max(np.abs(p.curvature)) < 0.1001


def test_projection_stays_on_its_branch_where_the_line_crosses_itself() -> None:
    eight = [(40.0 * math.sin(a), 40.0 * math.sin(a) * math.cos(a)) for a in np.linspace(0.0, 2.0 * math.pi, 81)]
    eight[-1] = eight[0]
    line = SmoothRoute(make(eight, closed=True), LIMITS, 0.25)
    s_true = np.arange(0.0, 3.0 * line.length, 1.0)
    s = 0.0
    for want in s_true:
        at = line.at(want)
        offset = 2.0 * math.sin(0.1 * want)
        p = at.xy[0] + offset * np.array([-math.sin(at.yaw[0]), math.cos(at.yaw[0])])
        s, d = line.project(p, s, 1.0, 4.0)
        assert s == pytest.approx(want, abs=0.4)
        assert d == pytest.approx(offset, abs=0.1)


def test_locate_knows_the_start_of_a_lap_from_its_end() -> None:
    line = SmoothRoute(make(circle(60.0, 90), closed=True), LIMITS, 0.25)
    back = line.at(-4.0)
    s, d = line.locate(back.xy[0], float(back.yaw[0]))
    assert s == pytest.approx(-4.0, abs=0.1)
    assert d == pytest.approx(0.0, abs=0.1)


def test_profile_brakes_before_turns_and_never_breaks_a_limit() -> None:
    line = SmoothRoute(make([(0, 0), (200, 0), (200, 200)], speed=20.0), LIMITS, 0.25)
    s = np.arange(0.0, line.length, 0.25)
    p = line.at(s)
    assert np.max(p.speed) == pytest.approx(15.0)
    assert np.min(p.speed) == pytest.approx(math.sqrt(3.0 * 10.0), rel=0.01)
    assert np.all(p.speed**2 * np.abs(p.curvature) <= 3.0 * 1.001)
    slope = np.diff(p.speed**2) / 0.5
    assert np.max(slope) <= 2.0 * (1.0 + 1e-3)  # speed is linear between samples
    assert np.min(slope) >= -3.0 * (1.0 + 1e-3)


def test_wanted_speed_is_the_one_towards_each_point() -> None:
    route = make([(0, 0), (100, 0), (200, 0)])
    line = SmoothRoute(Route(route.points, np.array([1.0, 8.0, 4.0]), route.half_width), LIMITS)
    assert line.speed_at(50.0) == pytest.approx(8.0)
    assert line.speed_at(150.0) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("points", "closed", "word"),
    [
        ([(0, 0)], False, "at least 2 points"),
        ([(1, 1), (1, 1)], False, "same point"),
        ([(0, 0), (math.nan, 1)], False, "waypoint 1 is not finite"),
        ([(0, 0), (10, 0), (0, 0)], False, "turns back on itself at waypoint 1"),
        ([(0, 0), (10, 0)], True, "fewer than 3"),
    ],
)
def test_what_makes_no_line_is_refused_by_name(points: list[tuple[float, float]], closed: bool, word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        SmoothRoute(make(points, closed), LIMITS)


def test_shapes_and_speeds_are_checked() -> None:
    good = make([(0, 0), (10, 0)])
    with pytest.raises(BadInputError, match="half_width"):
        SmoothRoute(Route(good.points, good.speed, good.half_width[:1]), LIMITS)
    with pytest.raises(BadInputError, match="speed at waypoint 1"):
        SmoothRoute(Route(good.points, np.array([1.0, 0.0]), good.half_width), LIMITS)
    with pytest.raises(BadInputError, match="half width at waypoint 0"):
        SmoothRoute(Route(good.points, good.speed, -good.half_width), LIMITS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), min_size=2, max_size=12, unique=True),
    st.booleans(),
)
def test_any_waypoints_give_a_finite_line_or_a_clear_error(points: list[tuple[float, float]], closed: bool) -> None:
    try:
        line = SmoothRoute(make(points, closed), LIMITS)
    except BadInputError:
        return
    p = line.at(np.linspace(-50.0, line.length + 50.0, 300))
    for a in (p.xy, p.yaw, p.curvature, p.speed):
        assert np.all(np.isfinite(a))
    assert np.all(p.speed <= 10.0 + 1e-9)
    steps = np.hypot(*np.diff(line._xy, axis=0).T)
    assert np.max(steps) <= line.ds * (1.0 + 1e-6)
    s, d = line.project(np.array([1.0, 2.0]), 0.0, 5.0, line.length)
    assert math.isfinite(s)
    assert math.isfinite(d)

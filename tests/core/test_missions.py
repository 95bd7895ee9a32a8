"""Missions: patterns, files that go round, and whether it gets home."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.frames import LocalFrame
from giljabi.missions.command import way_of
from giljabi.missions.energy import Craft, check_range, ground_speed
from giljabi.missions.files import parse_plan, read_plan, write_plan
from giljabi.missions.patterns import corridor, expanding_square, lane_spacing, orbit, sector_search, survey
from giljabi.missions.plan import Circle, Home, Plan, PlanItem, Rally, Wind
from giljabi.types import BadInputError, Origin

SQUARE = [(0.0, 0.0), (100.0, 0.0), (100.0, 60.0), (0.0, 60.0)]


def covered(way: np.ndarray, point: tuple[float, float]) -> float:
    """Distance of a point from the nearest lane (every second leg)."""
    best = math.inf
    for a, b in zip(way[0::2], way[1::2], strict=True):
        u = (b - a) / np.linalg.norm(b - a)
        along = np.clip((point - a) @ u, 0, np.linalg.norm(b - a))
        best = min(best, float(np.linalg.norm(point - (a + along * u))))
    return best


@given(heading=st.floats(-3.2, 3.2), spacing=st.floats(5.0, 30.0))
def test_a_survey_sees_every_place_of_a_convex_polygon(heading: float, spacing: float) -> None:
    way = survey(SQUARE, spacing, heading)
    for x in np.linspace(0.5, 99.5, 12):
        for y in np.linspace(0.5, 59.5, 8):
            # Half a spacing beside a lane; at an oblique edge a lane ends before the corner that it sees.
            assert covered(way, (x, y)) <= 0.5 * spacing * math.sqrt(2.0) + 0.5 * spacing + 1e-6


def test_lanes_run_along_the_heading_and_start_at_the_nearest_corner() -> None:
    way = survey(SQUARE, 20.0, 0.0, start=(105.0, 65.0))
    assert way.tolist() == [[100, 50], [0, 50], [0, 30], [100, 30], [100, 10], [0, 10]]
    assert lane_spacing(50.0, math.radians(60.0), 0.7) == pytest.approx(0.3 * 57.735, rel=1e-4)


def test_of_two_equal_corners_the_lanes_go_against_the_wind() -> None:
    north = survey(SQUARE, 20.0, 0.0, start=(-30.0, 30.0), wind=(0.0, -5.0))
    south = survey(SQUARE, 20.0, 0.0, start=(-30.0, 30.0), wind=(0.0, 5.0))
    assert north[-1][1] > north[0][1]
    assert south[-1][1] < south[0][1]


def test_search_patterns() -> None:
    way = expanding_square((0.0, 0.0), 10.0, 5)
    assert way.round(9).tolist() == [[0, 0], [0, 10], [10, 10], [10, -10], [-10, -10], [-10, 20]]
    sector = sector_search((5.0, 5.0), 100.0)
    assert len(sector) == 10
    assert np.allclose(np.linalg.norm(np.diff(sector, axis=0), axis=1), 100.0)
    assert sum(np.allclose(p, (5.0, 5.0)) for p in sector) == 4  # each triangle goes through the datum
    circle = orbit((1.0, 2.0), 30.0, turns=-1.5)
    assert np.allclose(np.hypot(*(circle - (1.0, 2.0)).T), 30.0)
    lanes = corridor([(0, 0), (100, 0), (100, 50)], 20.0, 10.0)
    assert lanes[:3].round(6).tolist() == [[0, -5], [105, -5], [105, 50]]
    assert lanes[3:].round(6).tolist() == [[95, 50], [95, 5], [0, 5]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: survey(SQUARE[:2], 5.0, 0.0),
        lambda: survey(SQUARE, 0.001, 0.0),
        lambda: survey(SQUARE, math.nan, 0.0),
        lambda: corridor([(0, 0), (0, 0)], 5.0, 1.0),
        lambda: orbit((0, 0), 0.0),
        lambda: expanding_square((0, 0), 1.0, 0),
        lambda: sector_search((0, 0), math.nan),
        lambda: Craft(0.0, 1.0, 1.0, 1.0),
    ],
)
def test_nonsense_is_refused(call: object) -> None:
    with pytest.raises(BadInputError):
        call()  # type: ignore[operator]


CRAFT = Craft(hover_power=250.0, cruise_power=220.0, air_speed=10.0, energy=266_000.0)


def test_wind_makes_the_way_home_longer_than_the_way_out() -> None:
    assert ground_speed(np.array([1.0, 0.0]), 10.0, (4.0, 0.0)) == pytest.approx(14.0)
    assert ground_speed(np.array([-1.0, 0.0]), 10.0, (4.0, 0.0)) == pytest.approx(6.0)
    assert ground_speed(np.array([1.0, 0.0]), 10.0, (0.0, 6.0)) == pytest.approx(8.0)
    points, home = np.array([[0, 0, 50], [3000, 0, 50.0]]), np.zeros(3)
    calm = check_range(points, home, CRAFT, (0.0, 0.0), 1.0, 10.0)
    assert calm.why == ""
    assert calm.time == pytest.approx(600.0 + 50 / 1.5, rel=1e-6)
    windy = check_range(points, home, CRAFT, (7.0, 0.0), 1.0, 10.0)
    assert "short" in windy.why
    assert windy.needed > 1.5 * calm.needed
    assert "leaves no way" in check_range(points, home, CRAFT, (11.0, 0.0), 1.0, 10.0).why
    assert check_range(points, home, CRAFT, (0.0, 0.0), 0.4, 10.0).why
    # Half way, with the same battery left as it needs from there:
    assert check_range(points[1:], home, CRAFT, (0.0, 0.0), 0.55, 10.0).why == ""


degree = st.integers(-890000000, 890000000).map(lambda v: v / 1e7)
item = st.builds(
    PlanItem, kind=st.sampled_from(["waypoint", "loiter"]), lat_deg=degree, lon_deg=degree,
    alt_m=st.integers(0, 5000).map(lambda v: v / 10), hold_s=st.integers(0, 600).map(float),
)  # fmt: skip
plans = st.builds(
    Plan, home=st.builds(Home, lat_deg=degree, lon_deg=degree, alt_m=st.integers(0, 100).map(float)),
    speed=st.integers(1, 200).map(lambda v: v / 10), items=st.lists(item, min_size=1, max_size=5),
    fences=st.lists(st.lists(st.tuples(degree, degree), min_size=3, max_size=5, unique=True), max_size=2),
)  # fmt: skip


@given(plan=plans, end=st.sampled_from([".plan", ".geojson", ".yaml"]))
def test_a_plan_goes_round_through_every_format(tmp_path_factory: pytest.TempPathFactory, plan: Plan, end: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"round{end}"
    takeoff = PlanItem(kind="takeoff", alt_m=10.0)
    plan = plan.model_copy(update={"items": [takeoff, *plan.items, PlanItem(kind="return")]})
    plan = plan.model_copy(update={"items": [i for i in plan.items if i.lat_deg or i.lon_deg or i.kind != "waypoint"]})
    plan.items[:] = [i for i in plan.items if i.kind in ("takeoff", "return") or i.lat_deg or i.lon_deg]
    write_plan(path, plan)
    assert read_plan(path) == plan


QGC = {
    "fileType": "Plan", "version": 1, "groundStation": "QGroundControl",
    "geoFence": {"circles": [], "polygons": [], "version": 2}, "rallyPoints": {"points": [], "version": 2},
    "mission": {
        "hoverSpeed": 7, "plannedHomePosition": [47.3977419, 8.545594, 488.0], "items": [
            {"type": "SimpleItem", "command": 22, "frame": 3, "params": [0, 0, 0, None, 47.39, 8.54, 20],
             "autoContinue": True, "doJumpId": 1},
            {"type": "SimpleItem", "command": 16, "frame": 3, "params": [4, 0, 0, None, 47.40, 8.55, 30],
             "autoContinue": True, "doJumpId": 2},
            {"type": "SimpleItem", "command": 20, "frame": 2, "params": [0, 0, 0, 0, 0, 0, 0],
             "autoContinue": True, "doJumpId": 3},
        ],
    },
}  # fmt: skip


corner = st.tuples(degree, degree)
spacing = st.integers(1, 500).map(float)
angle = st.integers(1, 3599).map(lambda v: v / 10)
speed = st.none() | st.integers(1, 200).map(lambda v: v / 10)


def steps(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[PlanItem]:
    alt = st.integers(1, 5000).map(lambda v: v / 10)
    return st.builds(PlanItem, kind=st.just(kind), alt_m=alt, speed=speed, **more)


HERE = {"lat_deg": degree.filter(bool), "lon_deg": degree.filter(bool)}
SIMPLE = st.one_of(
    steps("waypoint", **HERE, hold_s=spacing, yaw_deg=st.none() | angle),
    steps("loiter", **HERE, hold_s=spacing),
    steps("loiter", **HERE, until_resumed=st.just(True)),
    steps("orbit", **HERE, radius_m=spacing, turns=st.sampled_from([-2.0, 1.0, 0.5])),
    st.builds(PlanItem, kind=st.just("yaw"), yaw_deg=angle, hold_s=spacing),
    steps("land", **HERE),
)
PATTERN = st.one_of(
    steps("survey", polygon=st.lists(corner, min_size=3, max_size=5), spacing_m=spacing, heading_deg=angle),
    steps(
        "survey", polygon=st.lists(corner, min_size=3, max_size=5), field_of_view_deg=angle.filter(lambda v: v < 180),
        sidelap=st.just(0.7), overshoot_m=spacing,
        wind=st.builds(Wind, speed=st.just(4.0), from_deg=angle),
    ),
    steps("corridor", path=st.lists(corner, min_size=2, max_size=4), width_m=spacing, spacing_m=spacing),
    steps("expanding_square", **HERE, spacing_m=spacing, legs=st.integers(1, 9)),
    steps("sector", **HERE, radius_m=spacing, heading_deg=angle),
    steps("survey", way=st.lists(st.tuples(degree, degree, spacing), min_size=1, max_size=4)),
)  # fmt: skip
AROUND = {
    "keep_out": st.lists(st.lists(corner, min_size=3, max_size=5, unique=True), max_size=2),
    "circles": st.lists(
        st.builds(Circle, lat_deg=degree, lon_deg=degree, radius_m=spacing, keep=st.sampled_from(["in", "out"]))
    ),
    "rally": st.lists(st.builds(Rally, lat_deg=degree, lon_deg=degree, alt_m=spacing)),
}


def back_and_forth(folder: pytest.TempPathFactory, plan: Plan, end: str) -> None:
    path = folder.getbasetemp() / f"all{end}"
    write_plan(path, plan)
    assert read_plan(path) == plan
    assert parse_plan(path.read_text()) == plan


@given(
    items=st.lists(SIMPLE | PATTERN, min_size=1, max_size=6), around=st.fixed_dictionaries(AROUND),
    end=st.sampled_from([".geojson", ".yaml"]),
)  # fmt: skip
def test_every_step_goes_round_through_yaml_and_geojson(
    tmp_path_factory: pytest.TempPathFactory, items: list[PlanItem], around: dict[str, Any], end: str
) -> None:
    back_and_forth(tmp_path_factory, Plan(items=items, **around), end)


@given(items=st.lists(SIMPLE, min_size=1, max_size=6), around=st.fixed_dictionaries(AROUND))
def test_every_step_but_patterns_goes_round_through_a_plan(
    tmp_path_factory: pytest.TempPathFactory, items: list[PlanItem], around: dict[str, Any]
) -> None:
    usual = [i.model_copy(update={"speed": None if i.speed == 5.0 else i.speed}) for i in items]
    back_and_forth(tmp_path_factory, Plan(items=usual, **around), ".plan")


def test_a_pattern_becomes_waypoints_in_a_plan(tmp_path: Path) -> None:
    square = PlanItem(kind="expanding_square", lat_deg=35.0, lon_deg=129.0, alt_m=20.0, spacing_m=10.0, legs=3)
    write_plan(tmp_path / "s.plan", Plan(items=[square]))
    items = read_plan(tmp_path / "s.plan").items
    assert [i.kind for i in items] == ["waypoint"] * 4
    frame = LocalFrame(Origin(35.0, 129.0, 0.0))
    way = [frame.map_from_geodetic(i.lat_deg, i.lon_deg, 0.0)[:2].round(3).tolist() for i in items]
    assert way == [[0, 0], [0, 10], [10, 10], [10, -10]]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("items: [{kind: waypoint}]", "1: 'items.0': waypoint has no place; lat_deg and lon_deg are expected"),
        ("items:\n- {kind: takeoff, alt_m: 9}\n- {kind: survey, spacing_m: 3}", "3: .*survey has no area"),
        ("items:\n- {kind: land, radius_m: 3}", "2: .*land takes no radius_m"),
        ("items:\n- {kind: hover}", "2: .*'hover'"),
        ("items:\n- {kind: yaw, yaw_deg: north}", "2: .*a number is expected"),
        ("items: []", "1: .*at least 1 item"),
        ("items:\n- {kind: return}\nfences: [[[1, 2], [3, 4]]]", "3: fences 1 is no polygon"),
        ("items:\n- {kind: corridor, width_m: 3, spacing_m: 1, path: [[95, 2], [3, 4]]}", "2: .*is no place"),
    ],
)
def test_what_is_wrong_in_a_text_is_said_with_its_line(text: str, what: str) -> None:
    with pytest.raises(BadInputError, match=f"^mission:{what}"):
        parse_plan(text)


SURVEY = {
    "type": "ComplexItem", "complexItemType": "survey", "version": 5, "angle": 30, "polygon": [[47.4, 8.5]],
    "TransectStyleComplexItem": {"version": 2, "Items": [
        {"type": "SimpleItem", "command": 16, "frame": 3, "params": [0, 0, 0, None, 47.41, 8.51, 50]},
        {"type": "SimpleItem", "command": 206, "frame": 2, "params": [25, 0, 1, 0, 0, 0, 0]},
        {"type": "SimpleItem", "command": 16, "frame": 3, "params": [0, 0, 0, None, 47.42, 8.51, 50]},
    ]},
}  # fmt: skip


def qgc(**more: Any) -> dict[str, Any]:
    """QGC with other parts."""
    data: dict[str, Any] = json.loads(json.dumps(QGC))
    data["mission"]["items"][1:2] = more.pop("items", data["mission"]["items"][1:2])
    return {**data, **more}


def test_surveys_rally_points_and_fences_of_qgroundcontrol_are_taken_in_and_written_back(tmp_path: Path) -> None:
    square = [[47.39, 8.53], [47.43, 8.53], [47.43, 8.56]]
    fence = {
        "version": 2,
        "polygons": [{"inclusion": True, "polygon": square}, {"inclusion": False, "polygon": square[::-1]}],
        "circles": [{"circle": {"center": [47.4, 8.54], "radius": 30.5}, "inclusion": False, "version": 1}],
    }  # fmt: skip
    rally = {"version": 2, "points": [[47.4, 8.55, 30]]}
    path = tmp_path / "s.plan"
    path.write_text(json.dumps(qgc(items=[SURVEY], geoFence=fence, rallyPoints=rally)))
    plan = read_plan(path)
    assert plan.items[1].way == [(47.41, 8.51, 50), (47.42, 8.51, 50)]
    assert plan.left_out == ["step 2 (survey): camera commands 206"]
    assert (len(plan.fences), len(plan.keep_out)) == (1, 1)
    assert plan.circles == [Circle(lat_deg=47.4, lon_deg=8.54, radius_m=30.5, keep="out")]
    assert plan.rally == [Rally(lat_deg=47.4, lon_deg=8.55, alt_m=30)]
    write_plan(tmp_path / "s.yaml", plan)
    write_plan(tmp_path / "back.plan", read_plan(tmp_path / "s.yaml"))
    back = json.loads((tmp_path / "back.plan").read_text())
    assert back["mission"]["items"][1] == SURVEY  # as it was
    assert back["rallyPoints"]["points"] == rally["points"]
    assert read_plan(tmp_path / "back.plan") == plan


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"survey"', '"StructureScan"', "complexItemType StructureScan is not read"),
        ('"command": 16, "frame": 3', '"command": 16, "frame": 10', "inside a survey"),
        ('"command": 206', '"command": 183', "command 183 inside a survey"),
        ("8.51, 50", "8.51, null", "a waypoint without a place"),
    ],
)
def test_surveys_of_qgroundcontrol_that_say_more_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    path = tmp_path / "s.plan"
    text = json.dumps(qgc(items=[SURVEY]), indent=None).replace('{"type"', '\n{"type"')
    assert old in text
    path.write_text(text.replace(old, new, 1) if "command" not in old else text.replace(old, new))
    with pytest.raises(BadInputError, match=rf"s.plan:\d+: .*{what}"):
        read_plan(path)


def test_a_plan_of_qgroundcontrol_is_read_and_what_is_not_known_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.plan"
    path.write_text(json.dumps(QGC, indent=1))
    plan = read_plan(path)
    assert [(i.kind, i.alt_m, i.hold_s) for i in plan.items] == [
        ("takeoff", 20, 0),
        ("waypoint", 30, 4),
        ("return", 0, 0),
    ]
    assert plan.speed == 7
    assert plan.home is not None
    assert plan.home.alt_m == 488.0
    path.write_text(json.dumps(QGC, indent=1).replace('"command": 16', '"command": 206'))
    with pytest.raises(BadInputError, match=r"m.plan:\d+: command 206 is not read"):
        read_plan(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_plan_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for end in (".plan", ".geojson", ".yaml"):
        path = tmp_path_factory.getbasetemp() / f"any{end}"
        path.write_bytes(data)
        with pytest.raises(BadInputError):
            read_plan(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda c: st.lists(c, max_size=3), max_leaves=6
    )
)
def test_any_json_in_the_place_of_a_part_is_an_error_not_a_crash(
    tmp_path_factory: pytest.TempPathFactory, part: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "part.plan"
    for key in ("mission", "geoFence", "rallyPoints"):
        path.write_text(json.dumps({**QGC, key: part}))
        with contextlib.suppress(BadInputError):
            read_plan(path)


def test_the_check_flies_the_lanes_of_a_survey_and_keeps_the_height(tmp_path: Path) -> None:
    text = """
home: {lat_deg: 35.0, lon_deg: 129.0}
speed: 5.0
items:
  - {kind: takeoff, alt_m: 20.0}
  - {kind: waypoint, lat_deg: 35.001, lon_deg: 129.0}
  - {kind: survey, polygon: [[35.001, 129.0], [35.002, 129.0], [35.002, 129.002], [35.001, 129.002]], spacing_m: 10.0}
  - {kind: land}
"""
    (tmp_path / "m.yaml").write_text(text)
    way, _ = way_of(read_plan(tmp_path / "m.yaml"))
    length = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
    assert length > 1500.0
    assert list(way[1:-1, 2]) == [20.0] * (len(way) - 2)
    assert way[-1][2] == 0.0


def test_the_command_converts_shows_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from giljabi.cli import main

    path = tmp_path / "m.plan"
    path.write_text(json.dumps(QGC))
    assert main(["mission", "convert", str(path), str(tmp_path / "m.yaml")]) == 0
    assert read_plan(tmp_path / "m.yaml") == read_plan(path)
    assert main(["mission", "show", str(path)]) == 0
    assert "waypoint  47.4000000 8.5500000  30.0 m  holds 4 s" in capsys.readouterr().out
    craft = ["--battery-wh", "74", "--hover-w", "250", "--cruise-w", "220", "--air-speed", "12"]
    assert main(["mission", "check", str(path), *craft]) == 0
    assert "it gets home" in capsys.readouterr().out
    assert main(["mission", "check", str(path), *craft, "--charge", "0.3"]) == 1
    assert "short" in capsys.readouterr().out
    assert main(["mission", "check", str(path), *craft, "--wind", "13"]) == 1
    assert main(["mission", "show", str(tmp_path / "none.plan")]) == 2

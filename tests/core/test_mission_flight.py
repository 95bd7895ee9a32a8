"""Missions as they are flown: legs, holding, pause, skip, another mission in flight, return, landing, demands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.frames import LocalFrame, quat_from_yaw
from giljabi.missions.course import Course, course_from, route_of
from giljabi.missions.executor import Executor, Reaction
from giljabi.missions.memory import Memory
from giljabi.missions.plan import Home, Plan, PlanItem, Rally
from giljabi.planning.flight_route import FlightRoutePlanner
from giljabi.platform import load_platform
from giljabi.types import Array, BadInputError, MissionPhase, Odometry, Origin

ORIGIN = Origin(35.1, 129.0, 0.0)
FRAME = LocalFrame(ORIGIN)
DT = 0.05


def place(x: float, y: float) -> dict[str, float]:
    lat, lon, _ = FRAME.geodetic_from_map(np.array([x, y, 0.0]))
    return {"lat_deg": float(lat), "lon_deg": float(lon)}


def corner(x: float, y: float) -> tuple[float, float]:
    p = place(x, y)
    return p["lat_deg"], p["lon_deg"]


def at(kind: str, x: float, y: float, **more: object) -> PlanItem:
    return PlanItem.model_validate({"kind": kind, **place(x, y), **more})


UP, HOME = PlanItem(kind="takeoff", alt_m=10.0), PlanItem(kind="return")


def course(*items: PlanItem, rally: tuple[Rally, ...] = (), speed: float = 5.0) -> Course:
    plan = Plan(home=Home(**place(0, 0)), speed=speed, items=[UP, *items], rally=list(rally))
    return course_from(plan, ORIGIN)


@dataclass
class Flight:
    """A planner, and a vehicle that is always where the plan says."""

    planner: FlightRoutePlanner = field(default_factory=lambda: FlightRoutePlanner(load_platform("drone")))
    now: float = 0.0
    p: Array = field(default_factory=lambda: np.zeros(3))
    yaw: float = 0.0
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)  # x y z yaw
    notes: list[str] = field(default_factory=list)
    phase: MissionPhase = MissionPhase.IDLE
    progress: float = 0.0

    def fly(self, seconds: float, until: str = "") -> Flight:
        for _ in range(round(seconds / DT)):
            zeros = np.zeros(3)
            odom = Odometry(self.now, self.p, quat_from_yaw(self.yaw), zeros, zeros, np.eye(6), np.eye(6))
            result = self.planner.step(self.now, odom, None)
            self.phase, self.progress = result.mission.phase, result.mission.progress
            if result.mission.note not in self.notes[-1:]:
                self.notes.append(result.mission.note)
            self.now += DT
            plan = result.trajectory
            if plan is None or (until and until in result.mission.note):
                break
            jump = np.linalg.norm(plan.position[0] - self.p)
            assert jump < 1.0, f"the plan jumps by {jump} m at {self.now}"
            self.p = np.array([np.interp(DT, plan.times, c) for c in plan.position.T])
            self.yaw = float(np.interp(DT, plan.times, plan.yaw))
            self.rows.append((*self.p.tolist(), self.yaw))
        return self

    def near(self, x: float, y: float, z: float | None = None) -> float:
        rows = np.array(self.rows)
        d = np.hypot(rows[:, 0] - x, rows[:, 1] - y)
        return float(np.min(d if z is None else np.hypot(d, rows[:, 2] - z)))


def flight(c: Course) -> Flight:
    f = Flight()
    f.planner.set_mission(c)
    f.fly(DT)
    f.planner.start()
    return f


def test_every_kind_of_step_is_flown_in_turn() -> None:
    square = [corner(30, 30), corner(60, 30), corner(60, 50), corner(30, 50)]
    f = flight(course(
        at("waypoint", 20, 0, alt_m=12, speed=2.0),
        at("loiter", 20, 20, hold_s=4.0, yaw_deg=180.0),
        PlanItem(kind="survey", polygon=square, spacing_m=10.0, heading_deg=90.0),
        at("orbit", 40, 0, radius_m=8.0),
        PlanItem(kind="yaw", yaw_deg=270.0),
        at("expanding_square", -30, 0, spacing_m=5.0, legs=4),
        at("sector", -30, -30, radius_m=15.0),
        PlanItem(kind="corridor", path=[corner(0, -30), corner(20, -30)], width_m=8.0, spacing_m=4.0),
        HOME,
    )).fly(400)  # fmt: skip
    assert f.phase is MissionPhase.ARRIVED
    assert f.progress == 1.0
    assert np.hypot(*f.p[:2]) < 1.1
    assert abs(f.p[2]) < 1.1
    assert f.near(20, 0, 12) < 2.1
    for x, y in ((60, 35), (30, 45), (-35, -5), (-30, -15), (20, -28), (0, -32)):
        assert f.near(x, y) < 2.1, (x, y)
    rows = np.array(f.rows)
    radius = np.hypot(rows[:, 0] - 40, rows[:, 1])
    ring = rows[np.abs(radius - 8.0) < 0.3]
    looks = [math.remainder(math.atan2(-y, 40 - x) - yaw, math.tau) for x, y, _, yaw in ring]
    assert len(ring) > 100
    assert np.percentile(np.abs(looks), 50) < 0.3  # the nose points to the centre
    still = rows[(np.abs(rows[:, 0] - 20) < 0.2) & (np.abs(rows[:, 1] - 20) < 0.2)]
    assert len(still) * DT == pytest.approx(4.0 + math.pi / (0.7 * 1.2), abs=1.0)  # a turn of 180 degrees, and the hold
    assert math.remainder(still[int(0.85 * len(still)), 3] + 0.5 * math.pi, math.tau) == pytest.approx(
        0.0, abs=0.2
    )  # south
    slow = rows[
        (rows[:, 1] < 1) & (rows[:, 0] > 5) & (rows[:, 0] < 15) & (rows[:, 2] > 11) & (np.arange(len(rows)) < 600)
    ]
    assert np.max(np.abs(np.diff(slow[:, 0]))) / DT < 2.2  # its own speed


def test_a_loiter_waits_for_a_word_a_pause_stops_at_once() -> None:
    f = flight(course(at("loiter", 30, 0, until_resumed=True), at("waypoint", 60, 0), HOME))
    f.fly(60.0)
    assert np.allclose(f.p, (30, 0, 10), atol=0.1)
    assert "until mission/resume" in f.notes[-1]
    f.planner.start()
    f.fly(3.0)
    assert f.p[0] > 33
    f.planner.pause()
    before = f.p.copy()
    f.fly(6.0)
    assert f.notes[-1] == "paused"
    assert np.linalg.norm(f.p - before) < 8.0
    f.planner.start()
    assert f.fly(100.0).phase is MissionPhase.ARRIVED
    assert f.near(60, 0, 10) < 0.2  # a turn back is a stop


def test_skip_goes_to_the_next_step_or_a_named_one_and_no_further() -> None:
    f = flight(course(at("waypoint", 60, 0), at("waypoint", 60, 60), at("waypoint", 0, 60), HOME))
    f.fly(10.0)
    assert f.planner.skip(3) == "goes to step 4 of 5 (waypoint)"
    f.fly(30.0)
    assert f.near(0, 60) < 2.1
    assert f.near(60, 0) > 5.0
    for wrong in (-1, 5, 99):
        with pytest.raises(BadInputError, match="another one is expected"):
            f.planner.skip(wrong)
    assert f.fly(60.0).phase is MissionPhase.ARRIVED


def test_another_mission_goes_on_where_nothing_has_changed_and_says_where_it_joins() -> None:
    first = [at("waypoint", 40, 0), at("waypoint", 40, 40)]
    f = flight(course(*first, HOME))
    f.fly(8.0)
    speed = np.linalg.norm(np.subtract(f.rows[-1][:3], f.rows[-2][:3])) / DT
    assert speed > 3.0
    assert f.planner.set_mission(course(*first, HOME, rally=(Rally(**place(40, 50)),))) == "goes on at step 2 of 4"
    f.fly(1.0)
    assert np.linalg.norm(np.subtract(f.rows[-1][:3], f.rows[-2][:3])) / DT > 3.0  # and does not stop for it
    assert "goes on at step" in f.planner.set_mission(course(*first, at("waypoint", 0, 40), HOME))
    assert "joins at step 2 of 3 (waypoint)" in f.planner.set_mission(course(at("waypoint", -40, 0), HOME))
    f.fly(100.0)
    assert f.near(-40, 0) < 0.2
    assert f.near(40, 40) > 10.0
    assert f.phase is MissionPhase.ARRIVED


def test_a_mission_that_is_refused_leaves_the_old_one_flying() -> None:
    f = flight(course(at("waypoint", 40, 0), HOME))
    f.fly(6.0)
    for wrong in (course(HOME, at("waypoint", 1, 1)), course(PlanItem(kind="takeoff", alt_m=5.0), HOME)):
        with pytest.raises(BadInputError, match="one flight"):
            f.planner.set_mission(wrong)
    low = course_from(Plan(items=[at("waypoint", 1, 1)]), ORIGIN)
    with pytest.raises(BadInputError, match=r"step 1 \(waypoint\): 0 m above home"):
        f.planner.set_mission(low)
    assert f.fly(60.0).phase is MissionPhase.ARRIVED
    assert f.near(40, 0) < 0.2


def test_return_climbs_and_takes_the_nearest_place() -> None:
    rally = (Rally(**place(80, 20), alt_m=20.0), Rally(**place(-200, 0)))
    f = flight(course(at("waypoint", 100, 0), HOME, rally=rally))
    f.fly(20.0)
    assert f.planner.return_home() == "returns"
    f.fly(60.0)
    assert f.phase is MissionPhase.ARRIVED
    assert np.hypot(f.p[0] - 80, f.p[1] - 20) < 1.1
    assert max(r[2] for r in f.rows) == pytest.approx(20.0, abs=0.1)
    near = flight(course(at("waypoint", 100, 0), HOME, rally=rally))
    near.fly(8.0)
    near.planner.return_home()
    near.fly(60.0)
    assert np.hypot(*near.p[:2]) < 1.1
    assert max(r[2] for r in near.rows) == pytest.approx(15.0, abs=0.1)  # return_height


def test_landing_is_where_it_comes_to_rest() -> None:
    f = flight(course(at("waypoint", 100, 0), HOME))
    f.fly(12.0)
    x = f.p[0]
    f.planner.land()
    f.fly(40.0)
    assert f.phase is MissionPhase.ARRIVED
    assert x < f.p[0] < x + 8.0
    assert f.p[2] < 1.1


def test_the_most_conservative_demand_wins_and_only_a_person_goes_back() -> None:
    f = flight(course(at("waypoint", 100, 0), HOME))
    f.fly(12.0)
    f.planner.demand(Reaction.RETURN, "battery 29 %")
    f.fly(1.0)
    assert f.notes[-1] == "returns: battery 29 %"
    for ask in (f.planner.start, f.planner.skip, f.planner.pause):
        with pytest.raises(BadInputError, match="it returns: battery 29 %"):
            ask()
    f.planner.demand(Reaction.LAND, "battery 10 %")
    f.fly(1.0)
    assert f.notes[-1] == "lands: battery 10 %"
    f.planner.demand(Reaction.RETURN, "battery 29 %")  # less is asked for: it lands on
    f.fly(0.5)
    assert f.notes[-1] == "lands: battery 10 %"
    f.planner.demand(Reaction.LAND, "battery 10 %")
    with pytest.raises(BadInputError, match="it lands"):
        f.planner.return_home()
    f.planner.demand(Reaction.NONE, "")
    f.fly(1.0)
    assert f.notes[-1] == "lands: battery 10 %"
    assert f.p[2] > 2.0
    f.planner.start()  # a person's word, and nothing is against it any more
    assert f.fly(100.0).phase is MissionPhase.ARRIVED
    assert f.near(100, 0) < 0.2


def test_nothing_starts_against_a_failsafe() -> None:
    f = Flight()
    f.planner.set_mission(course(HOME))
    f.planner.demand(Reaction.LAND, "battery 5 %")
    f.fly(DT)
    with pytest.raises(BadInputError, match="battery 5 %"):
        f.planner.start()


def test_home_is_where_it_stands_when_it_is_armed_wherever_map_begins() -> None:
    f = Flight(p=np.array([7.0, 3.0, 35.0]))
    f.planner.armed(False)
    f.planner.set_mission(course(at("waypoint", 40, 0), HOME))
    f.fly(DT)
    f.planner.armed(True)
    f.planner.start()
    f.fly(60.0)
    assert max(r[2] for r in f.rows) == pytest.approx(50.0, abs=0.1)
    assert np.allclose(f.p, (7, 3, 35), atol=1.1)


def test_started_anew_in_the_air_home_is_that_of_the_file() -> None:
    f = Flight(p=np.array([30.0, 30.0, 20.0]))
    f.planner.armed(True)
    f.planner.set_mission(course(HOME))
    f.planner.start()
    f.fly(60.0)
    assert np.hypot(*f.p[:2]) < 1.1


def test_routes_out_of_missions_for_planners_that_follow_routes() -> None:
    plan = Plan(items=[at("waypoint", 0, 0), at("waypoint", 40, 0, speed=2.0), at("waypoint", 40, 40)])
    route = route_of(course_from(plan, ORIGIN))
    assert np.allclose(route.points, [[0, 0, 0], [40, 0, 0], [40, 40, 0]], atol=1e-6)
    assert route.speed.tolist() == [5.0, 2.0, 5.0]
    with pytest.raises(BadInputError, match=r"step 2 \(loiter\): this planner follows routes"):
        route_of(course_from(Plan(items=[at("waypoint", 0, 0), at("loiter", 9, 0, hold_s=3)]), ORIGIN))


events = st.tuples(
    st.sampled_from(["pause", "resume", "skip", "return", "land"]), st.sampled_from(list(Reaction)),
    st.sampled_from(["fly", "rest", "disarm"]),
)  # fmt: skip


@given(st.lists(events, max_size=12))
def test_what_may_be_asked_for_is_what_is_not_refused(happens: list[tuple[str, Reaction, str]]) -> None:
    m = Executor(15.0)
    m.load(course(at("waypoint", 30, 0), at("loiter", 30, 30, until_resumed=True), at("waypoint", 0, 30), HOME))
    place = np.array([0.0, 0.0, 0.0])
    m.grounded = False
    m.seen(place)
    assert m.asks == ()
    m.start()
    calls = {"pause": m.pause, "resume": m.start, "skip": m.skip, "return": m.return_home, "land": m.land}
    for ask, reaction, then in happens:
        m.demand(reaction, "the link is lost")
        may, before = m.asks, (m.phase, m.version, m.flies, m.step)
        try:
            calls[ask]()
        except BadInputError:
            assert ask not in may
        else:  # what is not offered is refused, changes nothing, or makes no sense on the ground
            same = before == (m.phase, m.version, m.flies, m.step)
            assert ask in may or same or m.grounded or before[0] is MissionPhase.ARRIVED
        m.grounded = then == "disarm"
        if m.phase is MissionPhase.RUNNING:
            place = m.leg(place).points[-1]
            m.seen(place)
            if then == "rest":
                m.rests(1.0, True)


def test_another_planner_goes_on_where_the_last_one_ended_when_it_is_told_to(tmp_path: Path) -> None:
    c = course(at("waypoint", 30, 0), PlanItem(kind="corridor", path=[corner(30, 10), corner(30, 60)], width_m=8.0,
               spacing_m=4.0), HOME)  # fmt: skip
    first = flight(c).fly(28.0)
    was = first.planner.progress()
    assert (was.phase, was.step) == (MissionPhase.RUNNING, 2)
    assert was.index > 0
    memory = Memory(tmp_path / "planner.json")
    memory.keep_plan(Plan(items=[UP, HOME]))
    memory.keep_progress(was)
    left = Memory(tmp_path / "planner.json").read()
    assert left.plan == Plan(items=[UP, HOME])
    assert left.progress is not None
    f = Flight(now=first.now + 1.0, p=first.p, yaw=first.yaw)
    f.planner.set_mission(c)
    words = "the planner was started anew, paused at step 3 of 4; mission/resume goes on"
    assert f.planner.go_on_at(left.progress.progress()) == words
    f.fly(10.0)
    assert f.notes[-1] == words
    assert f.phase is MissionPhase.PAUSED
    assert np.linalg.norm(f.p - first.p) < 0.1  # it stays where it is
    begin = len(f.rows)
    f.planner.start()
    f.fly(5.0)
    assert f.progress == pytest.approx(first.progress, abs=0.2)
    f.fly(200.0)
    assert f.phase is MissionPhase.ARRIVED
    assert np.hypot(*f.p[:2]) < 1.1  # the home that it knew
    assert min(np.hypot(x - 30.0, y) for x, y, *_ in f.rows[begin:]) > 5.0  # what lay behind is not flown again
    with pytest.raises(BadInputError, match="no step 8"):
        f.planner.go_on_at(replace(was, step=7))


@pytest.mark.parametrize("spoil", ['{"progress": {"phase": "running"}}', "[", '{"plan": 3}', '{"progress": 1e999}'])
def test_a_spoilt_memory_is_refused_with_its_line(tmp_path: Path, spoil: str) -> None:
    file = tmp_path / "planner.json"
    file.write_text(spoil)
    with pytest.raises(BadInputError, match=r"planner.json:\d+: "):
        Memory(file).read()

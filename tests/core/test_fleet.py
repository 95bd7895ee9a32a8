"""A fleet without a server: the message, the agreement under loss and delay, ways that keep their distance."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.fence import Fence
from giljabi.fleet.agreement import PROMISE_S, SILENT_S, Agreement
from giljabi.fleet.dodge import Room, clear, find_way
from giljabi.fleet.intent import Intent, Way, from_text, to_text
from giljabi.fleet.member import Member
from giljabi.frames import quat_from_yaw
from giljabi.planning.fences import FenceMap
from giljabi.planning.flight_fleet import FlightFleetPlanner
from giljabi.platform import load_platform
from giljabi.types import BadInputError, MissionPhase, Odometry, Route

ROOM = Room(speed=5.0, climb=2.0, acceleration=2.0, distance=2.0, low=0.0)
number = st.floats(-500.0, 500.0).map(lambda v: round(v, 3))


@st.composite
def ways(draw: st.DrawFn) -> Way:
    n = draw(st.integers(1, 6))
    t = 100.0 + np.cumsum([round(draw(st.floats(0.1, 2.0)), 3) for _ in range(n)])
    rows = [[float(round(t[i], 4)), *(draw(number) for _ in range(6))] for i in range(n)]
    rows[-1][4:] = [0.0, 0.0, 0.0]
    return Way(np.array(rows))


# --- the message ---


@given(ways(), ways() | st.none(), st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 10**9), max_size=3))
def test_message_comes_back_as_it_was(way: Way, wish: Way | None, agreed: dict[str, int]) -> None:
    sent = Intent("vehicle_1", 12.3456, 7, way, 3, wish, 4, agreed, {"a": 5}, {"b": 11.25})
    got = from_text(to_text(sent))
    assert np.allclose(got.way.rows, way.rows, atol=1e-9)
    assert (got.wish is None) == (wish is None)
    assert replace(got, way=way, wish=wish) == sent


@given(st.lists(st.floats(1e-9, 1e-3), min_size=1, max_size=30), st.floats(0.0, 2e9))
def test_rows_a_moment_apart_are_still_a_way_when_written(steps: list[float], t0: float) -> None:
    t = np.unique(t0 + np.cumsum(steps))
    rows = np.column_stack([t, np.arange(len(t)), np.zeros((len(t), 5))])
    rows[:-1, 4] = 1.0
    got = from_text(to_text(Intent("vehicle_1", t0, 1, Way(rows), 1))).way
    assert np.allclose(got.rows[-1], rows[-1], atol=1e-4)
    assert set(got.rows[:, 1]) <= set(rows[:, 1])


def test_a_new_way_leaves_the_old_one_with_room_between_their_rows() -> None:
    p, goal = np.zeros(3), np.array([30.0, 0.0, 5.0])
    way = find_way(Way.rest(0.0, p), 1.0, goal, [], 0.0, ROOM)
    assert way is not None
    for branch in 1.2 + np.array([1e-7, 1e-5, 2e-4]):  # just beyond a row of the way
        turned = find_way(way, branch, goal + [0.0, 9.0, 0.0], [], 1.1, ROOM)
        assert turned is not None
        assert np.diff(turned.rows[:, 0]).min() >= 1e-3


@given(st.text(max_size=60) | st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists).map(str))
def test_garbage_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInputError, match="intent"):
        from_text(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"t":1.0', '"t":NaN'),
        ("[[2.0,1.0,0.0,0.0,0.0,0.0,0.0]]", "[[2.0,NaN,0.0,0.0,0.0,0.0,0.0]]"),
        ("[[2.0,1.0,0.0,0.0,0.0,0.0,0.0]]", "[[2.0,1.0,0.0,0.0,3.0,0.0,0.0]]"),
        ("[[2.0,1.0,0.0,0.0,0.0,0.0,0.0]]", "[]"),
        ('"number":5', '"number":-5'),
        ('"number":5', '"number":true'),
        ('"vehicle":"a"', '"vehicle":""'),
    ],
)
def test_what_is_no_way_is_refused(old: str, new: str) -> None:
    text = to_text(Intent("a", 1.0, 5, Way.rest(2.0, np.array([1.0, 0.0, 0.0])), 0))
    assert old in text
    with pytest.raises(BadInputError, match="intent"):
        from_text(text.replace(old, new))


def test_way_between_rows_has_constant_acceleration() -> None:
    way = Way(np.array([[0.0, 0, 0, 0, 2, 0, 0], [2.0, 2, 0, 0, 0, 0, 0]], dtype=float))
    p, v = way.at(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]))
    assert np.allclose(p[:, 0], [0.0, 0.0, 1.5, 2.0, 2.0])
    assert np.allclose(v[1:4, 0], [2.0, 1.0, 0.0])


# --- agreement ---


class Air:
    """Messages that are lost and late."""

    def __init__(self, seed: int, loss: float, delay: float) -> None:
        self.random, self.loss, self.delay = Random(seed), loss, delay
        self._queue: list[tuple[float, int, str, str]] = []
        self._n = itertools.count()

    def send(self, t: float, to: str, intent: Intent) -> None:
        if self.random.random() >= self.loss:
            due = t + self.random.uniform(0.0, self.delay)
            heapq.heappush(self._queue, (due, next(self._n), to, to_text(intent)))

    def due(self, t: float) -> list[tuple[str, Intent]]:
        out = []
        while self._queue and self._queue[0][0] <= t:
            _, _, to, text = heapq.heappop(self._queue)
            out.append((to, from_text(text)))
        return out


def straight(a: Agreement, now: float, lead: float, goal: np.ndarray) -> Way:
    """At once to a goal at 4 m/s from where it will be: whatever the others do."""
    p = a.way.places(np.array([now + lead]))[0]
    old = a.way.since(now).rows
    old = old[old[:, 0] < now + lead - 1e-6]
    seconds = max(float(np.linalg.norm(goal - p)) / 4.0, 0.1)
    rest = [[now + lead, *p, *((goal - p) / seconds)], [now + lead + seconds, *goal, 0.0, 0.0, 0.0]]
    return Way(np.vstack([old, rest]) if len(old) else np.array(rest))


KEEP = lambda a, b, t: clear(a, b, t, ROOM)  # noqa: E731


@dataclass
class Wanderers:
    """Members that want anything at any time, and look at nobody: only the agreement keeps them apart."""

    names: str
    seed: int
    loss: float
    delay: float
    cuts: list[tuple[float, float, str, str]] = field(default_factory=list)  # from, to [s], sender, receiver
    dead: dict[str, float] = field(default_factory=dict)  # since when [s]
    taken: Counter[str] = field(default_factory=Counter)  # late in the run

    def wander(self, seconds: float, late: float = 0.0) -> None:
        rng, air = np.random.default_rng(self.seed), Air(self.seed, self.loss, self.delay)
        place = {n: np.array([6.0 * i, 0.0, 10.0]) for i, n in enumerate(self.names)}
        self.members = {n: Agreement(n, self.names, KEEP, Way.rest(0.0, place[n]), 0.0) for n in self.names}
        for t in 0.1 * np.arange(round(10 * seconds)):
            for to, intent in air.due(t):
                if t < self.dead.get(to, math.inf):
                    self.members[to].hear(intent, t)
            for name, a in self.members.items():
                if t < self.dead.get(name, math.inf):
                    self.taken[name] += self._wish(t, a, rng) and t > late
                    self._tell(t, a, air)
            self._look(t)

    def _wish(self, t: float, a: Agreement, rng: np.random.Generator) -> bool:
        taken = a.step(t)
        if a.ready(t) and a.wish is None and rng.random() < 0.3:
            lead = float(rng.uniform(0.2, 3.0 + self.delay))
            goal = np.array([*rng.uniform(-2.0, 22.0, 2), 10.0])
            a.want(t, straight(a, t, lead, goal), t + lead)
            taken = a.step(t) or taken
        return taken

    def _tell(self, t: float, a: Agreement, air: Air) -> None:
        news = a.say(t)
        for other in self.names:
            cut = any(b <= t < e and x == a.vehicle and y == other for b, e, x, y in self.cuts)
            if other != a.vehicle and not cut:
                air.send(t, other, news)

    def _look(self, t: float) -> None:
        for x, y in itertools.combinations(self.members.values(), 2):
            grid = np.arange(t, max(x.way.end_t, y.way.end_t, t) + 0.1, 0.1)
            apart = np.linalg.norm(x.way.places(grid) - y.way.places(grid), axis=1)
            assert apart.min() > ROOM.distance - 0.1, (t, x.vehicle, y.vehicle)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.floats(0.0, 0.6), st.floats(0.0, 1.5))
def test_no_two_are_ever_on_ways_that_come_too_near(seed: int, loss: float, delay: float) -> None:
    w = Wanderers("abcd", seed, loss, delay)
    w.wander(30.0)
    assert w.taken.total() > 8 or loss > 0.3 or delay > 0.5


@st.composite
def silences(draw: st.DrawFn) -> list[tuple[float, float, str, str]]:
    """Links that are cut for a while: between two, all of one's, one way or both."""
    out = []
    for _ in range(draw(st.integers(1, 6))):
        begin, last = draw(st.floats(4.0, 45.0)), draw(st.floats(3.0, 30.0))
        one, others = draw(st.sampled_from("abcd")), draw(st.sets(st.sampled_from("abcd"), min_size=1))
        ways = draw(st.sampled_from(["speaks", "hears", "both"]))
        out += [(begin, begin + last, one, o) for o in others if ways != "hears"]
        out += [(begin, begin + last, o, one) for o in others if ways != "speaks"]
    return out


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.0, 0.3), st.floats(0.0, 0.3), silences())
def test_silence_of_any_kind_brings_no_two_together(
    seed: int, loss: float, delay: float, cuts: list[tuple[float, float, str, str]]
) -> None:
    Wanderers("abcd", seed, loss, delay, cuts).wander(60.0)


@pytest.mark.parametrize("who", ["a", "c", "ad"])
def test_those_who_are_left_go_on_without_who_is_dead_and_not_too_few(who: str) -> None:
    w = Wanderers("abcde", 3, 0.2, 0.3, dead=dict.fromkeys(who, 9.0))
    w.wander(60.0, late=9.0 + SILENT_S + 3.0)
    assert all(w.taken[n] >= 3 for n in "abcde" if n not in who), w.taken
    few = Wanderers("abcd", 3, 0.2, 0.3, dead={"a": 9.0, "d": 9.0})
    few.wander(40.0, late=9.0 + SILENT_S)
    assert few.taken.total() == 0
    assert few.members["b"].waits(40.0) == "a, d silent: 2 of 4 are too few to go on"
    half = Wanderers("abcd", 3, 0.2, 0.3, dead={"b": 9.0, "d": 9.0})
    half.wander(40.0, late=9.0 + SILENT_S)
    assert half.taken["a"] > 2
    assert half.taken["c"] > 2


def test_who_was_cut_off_takes_nothing_and_goes_on_when_it_is_back() -> None:
    alone = [(10.0, 30.0, x, y) for x, y in itertools.permutations("abc", 2) if "a" in (x, y)]
    w = Wanderers("abc", 1, 0.2, 0.3, alone)
    w.wander(30.0, late=10.0 + PROMISE_S)
    assert w.taken["a"] == 0
    assert w.taken["b"] > 1
    assert w.taken["c"] > 1
    w = Wanderers("abc", 1, 0.2, 0.3, alone)
    w.wander(60.0, late=32.0)
    assert all(w.taken[n] > 2 for n in "abc")


def test_who_was_called_silent_does_not_leave_out_whom_it_may_have_missed() -> None:
    """'a' is cut off; 'b' goes on without it, and dies; 'a' comes back and knows nothing of where 'b' went."""
    alone = [(10.0, 22.0, x, y) for x, y in itertools.permutations("abc", 2) if "a" in (x, y)]
    w = Wanderers("abc", 1, 0.0, 0.1, alone, dead={"b": 21.9})
    w.wander(60.0, late=22.0)
    assert "b silent, and may have taken a way that was not heard of" in w.members["a"].waits(60.0)
    assert w.taken["a"] == 0


def test_what_is_below_a_silent_one_is_taken() -> None:
    members = {
        n: Agreement(n, "abc", KEEP, Way.rest(0.0, np.array([6.0 * i, 0, 20])), 0.0) for i, n in enumerate("abc")
    }
    for t in np.arange(0.0, 14.0, 0.1):
        for a, b in itertools.permutations(members.values(), 2):
            if a.vehicle != "a" or t < 6.0:
                b.hear(a.say(t), t)
    b = members["b"]
    assert b.silent(t) == ["a"]
    for height, clears in ((5.0, False), (35.0, True)):
        under = Way(np.array([[t, 6, 0, height, -2, 0, 0], [t + 3.0, 0, 0, height, 0, 0, 0]]))
        assert all(KEEP(under, way, t) for way in b.taken(t)) is clears
    room = Room(speed=5.0, climb=2.0, acceleration=2.0, distance=2.0, low=0.0)
    start, goal = np.array([6.0, 0.0, 5.0]), np.array([-6.0, 0.0, 5.0])
    found = find_way(Way.rest(t, start), t, goal, list(b.taken(t)), t, room)
    assert found is not None
    assert np.hypot(*found.rows[:, 1:3].T).min() > 1.9


def test_a_way_is_taken_when_all_have_heard_of_it_and_a_missing_one_keeps_all_on_the_ground() -> None:
    keep = lambda a, b, t: True  # noqa: E731
    a, b = (Agreement(n, ["a", "b", "c"], keep, Way.rest(0.0, np.zeros(3)), 0.0) for n in "ab")
    a.hear(b.say(6.0), 6.0)
    assert a.missing() == ["c"]
    assert not a.ready(10.0)
    c = Agreement("c", ["a", "b", "c"], keep, Way.rest(0.0, np.ones(3)), 0.0)
    a.hear(c.say(6.0), 6.0)
    assert a.ready(10.0)
    assert not a.ready(PROMISE_S)
    a.want(10.0, Way.rest(10.0, np.zeros(3)), 11.0)
    for m in (b, c):
        assert not a.step(10.1)
        m.hear(a.say(10.1), 10.1)
        a.hear(m.say(10.2), 10.2)
    assert a.step(10.2)
    for m in (a, c):
        b.hear(m.say(10.3), 10.3)
    b.want(10.3, Way.rest(10.3, np.zeros(3)), 11.3)
    c.hear(b.say(10.4), 10.4)
    b.hear(c.say(10.4), 10.4)
    assert not b.step(10.5)
    a.hear(b.say(10.5), 10.5)
    b.hear(a.say(10.6), 10.6)
    assert b.step(10.7)


def test_a_wish_that_is_too_late_is_never_taken() -> None:
    a, b = (Agreement(n, ["a", "b"], lambda x, y, t: True, Way.rest(0.0, np.zeros(3)), 0.0) for n in "ab")
    b.hear(a.say(6.0), 6.0)
    b.want(6.0, Way.rest(6.0, np.ones(3)), 7.0)
    a.hear(b.say(6.0), 6.1)
    late = a.say(6.2)
    assert not b.step(7.1)
    b.hear(late, 7.2)
    assert not b.step(7.2)
    assert float(np.abs(b.way.rows[-1, 1:4]).max()) == 0.0


# --- ways ---


def test_way_goes_around_one_that_stands_between() -> None:
    way, goal = Way.rest(0.0, np.array([0.0, 0.0, 10.0])), np.array([12.0, 0.0, 10.0])
    block = Way.rest(0.0, np.array([6.0, 0.0, 10.0]))
    free = find_way(way, 0.3, goal, [], 0.0, ROOM)
    assert free is not None
    assert np.abs(free.rows[:, 2]).max() < 1e-6
    found = find_way(way, 0.3, goal, [block], 0.0, ROOM)
    assert found is not None
    assert clear(found, block, 0.0, ROOM)
    assert not clear(free, block, 0.0, ROOM)
    speed = np.linalg.norm(np.diff(found.rows[:, 1:4], axis=0), axis=1) / np.diff(found.rows[:, 0])
    assert speed.max() <= math.hypot(ROOM.speed, ROOM.speed, ROOM.climb) + 1e-6
    change = np.linalg.norm(np.diff(found.rows[:, 4:], axis=0), axis=1) / np.diff(found.rows[:, 0])
    assert change.max() <= ROOM.acceleration + 1e-6


def test_way_around_stays_inside_fences() -> None:
    way, goal = Way.rest(0.0, np.array([0.0, 0.0, 10.0])), np.array([12.0, 0.0, 10.0])
    block = Way.rest(0.0, np.array([6.0, 0.0, 10.0]))
    corridor = FenceMap([Fence(((-2.0, -1.0), (20.0, -1.0), (20.0, 30.0), (-2.0, 30.0)), height_max=10.5)])
    inside = lambda p: corridor.distance(p.reshape(-1, 3)).reshape(p.shape[:2])  # noqa: E731
    free, kept = (find_way(way, 0.3, goal, [block], 0.0, ROOM, i) for i in (None, inside))
    assert free is not None
    assert kept is not None
    assert corridor.distance(free.rows[:, 1:4]).min() < 0.0
    assert corridor.distance(kept.rows[:, 1:4]).min() >= 0.0
    out = Way.rest(0.0, np.array([0.0, -3.0, 10.0]))
    back = find_way(out, 0.3, np.array([0.0, 5.0, 10.0]), [], 0.0, ROOM, inside)
    assert back is not None
    assert back.rows[-1, 2] > 4.0


@pytest.mark.parametrize("seed", range(3))
def test_four_cross_and_arrive(seed: int) -> None:
    names, air = [f"vehicle_{i}" for i in range(4)], Air(seed, 0.2, 0.3)
    start = 10.0 * np.array([[1, 0, 1], [0, 1, 1], [-1, 0, 1], [0, -1, 1.0]])
    goal = start * [-1.0, -1.0, 1.0]
    members = [Member(n, names, ROOM, 0.0, p) for n, p in zip(names, start, strict=True)]
    least = math.inf
    for k in range(1200):
        t = 0.05 * k
        for to, intent in air.due(t):
            members[names.index(to)].hear(intent, t)
        places = np.array([m.step(t, g).state(t)[0] for m, g in zip(members, goal, strict=True)])
        least = min([least, *(float(np.linalg.norm(p - q)) for p, q in itertools.combinations(places, 2))])
        if float(np.linalg.norm(places - goal, axis=1).max()) < 0.5:
            break
        for m, name in zip(members, names, strict=True):
            for other in names if k % 2 == 0 else []:
                if other != name:
                    air.send(t, other, m.say(t))
    assert t < 40.0
    assert least > ROOM.distance - 0.1


# --- the planner ---


def planner(tmp_path: Path, number_: int) -> FlightFleetPlanner:
    text = Path(load_platform("drone").file.path).read_text(encoding="utf-8")
    before, after = text.split("  planner:\n", 1)
    after = after[after.index("  controller:") :]
    options = "{fleet: {members: [vehicle_1, vehicle_2]}}"
    file = tmp_path / "drone.yaml"
    file.write_text(f"{before}  planner: {{kind: flight_fleet, rate_hz: 20, options: {options}}}\n{after}")
    out = FlightFleetPlanner(load_platform(file))
    out.join(f"vehicle_{number_}")
    return out


def test_two_planners_fly_crossing_routes_and_land(tmp_path: Path) -> None:
    both = [planner(tmp_path, 1), planner(tmp_path, 2)]
    place = [np.zeros(3), np.array([30.0, -30.0, 0.0])]
    velocity = [np.zeros(3), np.zeros(3)]
    routes = [
        [[0, 0, 0], [0, 0, 10], [60, 0, 10], [60, 0, 0]],
        [[30, -30, 0], [30, -30, 10], [30, 30, 10], [30, 30, 0]],
    ]
    for p, points in zip(both, routes, strict=True):
        p.set_route(Route(np.array(points, dtype=float), np.full(4, 5.0), np.full((4, 2), np.inf)))
        p.armed(True)
        p.start()
    least, phases, alone = math.inf, [MissionPhase.IDLE] * 2, ""
    for k in range(1600):
        t = 0.05 * k
        for i, p in enumerate(both):
            odom = Odometry(t, place[i], quat_from_yaw(0.0), velocity[i], np.zeros(3), np.eye(6), np.eye(6))
            result = p.step(t, odom, None)
            phases[i] = result.mission.phase
            if result.trajectory is not None:
                place[i], velocity[i] = result.trajectory.position[0], result.trajectory.velocity[0]
            intent = p.say(t)
            assert intent is not None
            if t < 2.0:
                alone = result.mission.note
            elif k % 2 == 0:
                both[1 - i].hear(from_text(to_text(intent)))
        least = min(least, float(np.linalg.norm(place[0] - place[1])))
        if all(x is MissionPhase.ARRIVED for x in phases):
            break
    assert alone == "waits for word of vehicle_1"
    assert phases == [MissionPhase.ARRIVED] * 2
    assert np.allclose(place, [[60, 0, 0], [30, 30, 0]], atol=1.1)
    assert least > 2.1


def test_a_stranger_is_refused_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"drone\.yaml:\d+: .*'vehicle_3'; one of vehicle_1, vehicle_2 is expected"):
        planner(tmp_path, 3)

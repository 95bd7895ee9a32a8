"""The way ahead of a mission as points, and the legs from one rest to the next. Pure: data in, data out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from giljabi.missions.course import Course, Step
from giljabi.types import Array, Route

GROUND = 0.6  # m above home that counts as standing on it
SAME = 0.05  # m between points that are one
LEG_MAX = 1500.0  # m: a longer leg is cut, so that its line is made in little time
ANEW = ("takeoff", "land", "return")  # steps whose points depend on where the vehicle is
NEAR_HOME = 5.0  # m, level: from here it does not climb before it comes home


@dataclass(frozen=True, slots=True)
class Point:
    """A point to pass: place (3,) m map, speed towards it [m/s], its step, its number there, the last of it or not."""

    p: Array
    speed: float
    step: int
    index: int
    last: bool
    look: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """From rest to rest. points (n, 3) m map, the first where it begins; speed (n,) towards each [m/s].

    look: (n, 2) m, what the nose points to on the way to each, NaN: along the way; passed: (step, index) of the next
    point of the mission once point k lies behind; holds: step that holds at its end; ground: it ends on the ground.
    """

    points: Array
    speed: Array
    look: Array
    passed: tuple[tuple[int, int], ...]
    holds: Step | None
    ground: bool
    left: float  # m of the way beyond this leg


@dataclass(frozen=True, slots=True)
class Homing:
    """Where a return goes: home (3,) m map, rally points (k, 3) above home, the least height above home [m]."""

    home: Array
    rally: Array
    height: float

    def way(self, place: Array) -> list[Array]:
        """Points (3,) from a place (3,): up, over, and down to the ground of the nearest place to land."""
        goals = np.vstack([np.array([[*self.home[:2], 0.0]]), self.rally])
        goal = goals[int(np.argmin(np.hypot(*(goals[:, :2] - place[:2]).T)))]
        far = float(np.hypot(*(goal[:2] - place[:2]))) > NEAR_HOME
        top = float(place[2])
        if far:
            top = max(top, self.home[2] + self.height, self.home[2] + float(goal[2]))
        out = [np.array([*place[:2], top])] if far else []
        return [*out, np.array([*goal[:2], top]), np.array([*goal[:2], self.home[2]])]


def ahead(course: Course, step: int, index: int, place: Array, homing: Homing) -> Iterator[Point]:
    """All points from a step's point on, for a vehicle at a place (3,) m map."""
    base = float(homing.home[2]) if course.above_home else 0.0
    here = np.array(place, dtype=np.float64)
    on_ground = here[2] < homing.home[2] + GROUND
    for i in range(step, len(course.steps)):
        s = course.steps[i]
        for k, (p, last) in enumerate(_of_step(s, here, base, homing, on_ground)):
            if i == step and k < index and s.kind not in ANEW:
                continue
            if on_ground and p[2] > homing.home[2] + GROUND:
                if float(np.hypot(*(p - here)[:2])) > SAME:  # straight up first
                    here = np.array([*here[:2], p[2]])
                    yield Point(here, s.speed, i, k - 1, False)
                on_ground = False
            here = p
            yield Point(p, s.speed, i, k, last, s.look)


def _of_step(s: Step, here: Array, base: float, homing: Homing, on_ground: bool) -> list[tuple[Array, bool]]:
    """Points of one step, the last of them marked; at least one."""
    if s.kind == "return":
        way = homing.way(here)
    elif s.kind == "land":
        over = [np.array([*s.points[0, :2], here[2]])] if len(s.points) else []
        way = [*over, np.array([*(over[0] if over else here)[:2], homing.home[2]])]
    elif s.kind == "takeoff":
        top = base + float(s.points[0, 2])
        way = [np.array([*here[:2], top if on_ground else max(top, here[2])])]
    else:
        way = [np.array([p[0], p[1], base + p[2]]) for p in s.points] or [here]
    return [(p, k == len(way) - 1) for k, p in enumerate(way)]


def leg_from(course: Course, step: int, index: int, place: Array, homing: Homing) -> Leg:
    """The leg from a place (3,) to where the vehicle rests next."""
    points = list(ahead(course, step, index, place, homing))
    cut, length, here = len(points), 0.0, np.asarray(place, dtype=np.float64)
    for n, p in enumerate(points):
        length += float(np.linalg.norm(p.p - here))
        here = p.p
        if (p.last and course.steps[p.step].stops) or (length > LEG_MAX and p.index >= 0):
            cut = n + 1
            break
    mine, rest = points[:cut], points[cut:]
    last = mine[-1]
    ends = course.steps[last.step]
    holds = ends if last.last and ends.stops and ends.kind not in ("land", "return") else None
    ground = last.p[2] < homing.home[2] + GROUND if holds is None and not rest else False
    left = sum(float(np.linalg.norm(b - a)) for a, b in _pairs([last.p, *(p.p for p in rest)]))
    return _leg(place, mine, holds, bool(ground), left)


def homeward(place: Array, homing: Homing, speed: float) -> Leg:
    """The leg of a return."""
    way = homing.way(place)
    mine = [Point(p, speed, 0, k, k == len(way) - 1) for k, p in enumerate(way)]
    return _leg(place, mine, None, True, 0.0)


def downward(place: Array, home: Array, speed: float) -> Leg:
    """The leg of a landing where it is."""
    return _leg(place, [Point(np.array([*place[:2], home[2]]), speed, 0, 0, True)], None, True, 0.0)


def drawn(course: Course, start: Array) -> Route:
    """A mission from a place (3,) on the ground as a route, for maps and judges."""
    points = [np.array(start, dtype=np.float64)]
    speed = [course.speed]
    for p in ahead(course, 0, 0, points[0], Homing(points[0], course.rally, 0.0)):
        if float(np.hypot(*(p.p - points[-1])[:2])) > 0.1 or len(points) < 2:
            points.append(p.p)
            speed.append(p.speed)
        else:
            points[-1] = p.p
    n = len(points)
    return Route(np.array(points), np.array(speed), np.full((n, 2), np.inf))


def _leg(place: Array, mine: list[Point], holds: Step | None, ground: bool, left: float) -> Leg:
    """Points that are one with the one before are passed with it."""
    points, speed, look = [np.array(place, dtype=np.float64)], [mine[0].speed], [(math.nan, math.nan)]
    passed: list[tuple[int, int]] = [(mine[0].step, max(mine[0].index, 0))]
    for p in mine:
        then = (p.step + 1, 0) if p.last else (p.step, p.index + 1)
        if float(np.linalg.norm(p.p - points[-1])) < SAME:
            passed[-1] = then
            continue
        points.append(p.p)
        speed.append(p.speed)
        look.append(p.look or (math.nan, math.nan))
        passed.append(then)
    return Leg(np.array(points), np.array(speed), np.array(look), tuple(passed), holds, ground, left)


def _pairs(points: list[Array]) -> Iterator[tuple[Array, Array]]:
    return itertools.pairwise(points)

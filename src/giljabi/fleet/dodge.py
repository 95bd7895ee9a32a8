"""Ways to a goal that keep their distance from what others may fly: a few dozen motions, the best clear one wins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from giljabi.fleet.intent import Way
from giljabi.types import Array

DT = 0.1  # s, of motions and of looking for the least distance
AZIMUTHS = np.radians([0.0, -15.0, 15.0, -30.0, 30.0, -55.0, 55.0, -90.0, 90.0, -135.0, 135.0, 180.0])  # right first
CLIMBS = np.radians([0.0, 20.0, -20.0, 50.0, -50.0, 85.0, -85.0])
REACHES = (1.0, 0.45, 0.15)  # of the furthest
CHUNK = 16  # ways looked at together, the best first
APART = 1e-3  # s between rows of a way, at least
KEEP = 0.02  # m: what is agreed to may be so much nearer than what is looked for


Inside = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Room:
    """Limits of the motions, and the distance to keep."""

    speed: float  # m/s, over the ground
    climb: float  # m/s, up and down
    acceleration: float  # m/s^2
    distance: float  # m between centres, level
    height_share: float = 1.5  # times that, above and below: rotors blow downwards
    low: float = 2.0  # m, lowest and highest place
    high: float = 120.0
    horizon: float = 3.0  # s after which a motion brakes

    @property
    def scale(self) -> Array:
        """Factors (3,) that make the kept distance the same in all directions."""
        return np.array([1.0, 1.0, 1.0 / self.height_share])


def clear(a: Way, b: Way, now: float, room: Room) -> bool:
    """Whether two ways keep their distance from now on; who is nearer already may only move away."""
    end = max(a.end_t, b.end_t, now)
    t = np.arange(now, end + DT, DT)
    apart = _apart(a.places(t), b.places(t), a.below, b.below) * room.scale
    return bool(_least(apart[None])[0] >= min(room.distance - KEEP, _now(apart)))


def _apart(a: Array, b: Array, a_below: bool, b_below: bool) -> Array:
    """Differences (..., 3) of places; none in height below what may come down."""
    d = a - b
    if a_below:
        d[..., 2] = np.minimum(d[..., 2], 0.0)
    if b_below:
        d[..., 2] = np.maximum(d[..., 2], 0.0)
    return np.asarray(d)


def _now(apart: Array) -> float:
    return float(np.linalg.norm(apart[0])) - 1e-3


def _least(apart: Array) -> Array:
    """Least distance (k,) of motions whose difference is given at samples (k, t, 3), straight between them."""
    if apart.shape[1] == 1:
        return np.asarray(np.linalg.norm(apart[:, 0], axis=-1))
    p, d = apart[:, :-1], np.diff(apart, axis=1)
    share = np.clip(-(p * d).sum(-1) / np.maximum((d * d).sum(-1), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(p + share[..., None] * d, axis=-1).min(axis=1))


def motions(p: Array, v: Array, targets: Array, room: Room) -> tuple[Array, Array]:
    """Places and velocities (t, k, 3) each DT from a place and velocity (3,) towards targets (k, 3), to rest."""
    most = np.array([room.speed, room.speed, room.climb])
    change = room.acceleration * DT
    coast = round(room.horizon / DT)
    brake = math.ceil(float(np.linalg.norm(v)) / change + math.hypot(room.speed, room.climb) / change) + 1
    place, speed = np.repeat(p[None], len(targets), 0), np.repeat(v[None], len(targets), 0)
    places, speeds = [place], [speed]
    for n in range(coast + brake):
        if n < coast:
            to = targets - place
            left = np.linalg.norm(to, axis=1, keepdims=True)
            size = np.minimum(np.sqrt(1.4 * room.acceleration * left), left / (2.0 * DT))
            wanted = to / np.maximum(left, 1e-9) * size
            wanted /= np.maximum(np.abs(wanted / most).max(axis=1, keepdims=True), 1.0)
        else:
            wanted = np.zeros_like(speed)
        step = wanted - speed
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, change / np.maximum(length, 1e-9))
        place = place + DT * (speed + 0.5 * step)
        speed = speed + step
        places.append(place)
        speeds.append(speed)
        if n >= coast and not speed.any():
            break
    return np.array(places), np.array(speeds)


def targets_about(p: Array, goal: Array, room: Room) -> Array:
    """Places to make for (k, 3): the goal first, then around the direction to it, near and far."""
    to = goal - p
    far = max(min(float(np.linalg.norm(to)), room.speed * room.horizon), 3.0 * room.distance)
    heading = math.atan2(to[1], to[0])
    a, c, r = np.meshgrid(heading + AZIMUTHS, CLIMBS, far * np.array(REACHES), indexing="ij")
    around = np.column_stack(
        [(r * np.cos(c) * np.cos(a)).ravel(), (r * np.cos(c) * np.sin(a)).ravel(), (r * np.sin(c)).ravel()]
    )
    out = p + around
    out[:, 2] = np.clip(out[:, 2], room.low, room.high)
    return np.vstack([goal, out])


def find_way(  # noqa: PLR0917
    way: Way, branch: float, goal: Array, others: Sequence[Way], now: float, room: Room, inside: Inside | None = None
) -> Way | None:
    """The best clear way that leaves the present one at `branch` [s] for a goal (3,); None: staying is as good.

    inside: room (t, k) [m] that places (t, k, 3) of motions have to fences and things, negative where nobody may be.
    """
    p, v = way.state(branch)
    targets = targets_about(p, goal, room)
    places, speeds = motions(p, v, targets, room)
    ends = places[-1]
    stays = way.rows[-1, 1:4]
    cost = np.linalg.norm(ends - goal, axis=1) + 0.02 * np.arange(len(targets)) / len(targets)
    order = np.argsort(cost, kind="stable")
    before = float(np.linalg.norm(stays - goal))
    t = branch + DT * np.arange(len(places))
    horizon = max([t[-1], *(o.end_t for o in others)])
    grid = branch + DT * np.arange(math.ceil((horizon - branch) / DT) + 1)
    rest = np.repeat(places[-1:], max(len(grid) - len(places), 0), 0)
    mine = np.concatenate([places, rest])[: len(grid)]
    for first in range(0, len(order), CHUNK):
        some = order[first : first + CHUNK]
        some = some[cost[some] <= before - 0.1]
        if not len(some):
            return None
        ok = np.ones(len(some), dtype=bool)
        for o in others:
            away = _apart(mine[:, some], o.places(grid)[:, None, :], False, o.below)
            apart = away.transpose(1, 0, 2) * room.scale
            ok &= _least(apart) >= min(room.distance, _now(apart[0]))
        if inside is not None:
            left = inside(places[:, some])
            ok &= left.min(axis=0) >= np.minimum(left[0] - 1e-3, 0.0)  # who is outside may only come back
        if ok.any():
            k = some[int(np.argmax(ok))]
            return _joined(way.since(now), np.column_stack([t, places[:, k], speeds[:, k]]))
    return None


def _joined(way: Way, rows: Array) -> Way:
    """The old way up to the first row of the new one; two rows of the new one make one, where nothing is lost."""
    moving = np.flatnonzero(np.abs(rows[:, 4:]).max(axis=1) > 1e-9)
    last = min(int(moving[-1]) + 1, len(rows) - 1) if len(moving) else 0
    thin = rows[: last + 1]
    keep = np.zeros(len(thin), dtype=bool)
    keep[::2] = keep[-1] = True
    old = way.rows[way.rows[:, 0] < thin[0, 0] - APART]
    return Way(np.vstack([old, thin[keep]]))

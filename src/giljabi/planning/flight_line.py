"""A line through waypoints in the air, with rounded corners and the fastest speeds that a vehicle's limits allow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from giljabi.types import Array, Route

Slow: TypeAlias = Callable[[Array], Array]
STEP = 0.25  # m between samples of the line
TIE = 0.02  # by which a place that is not the expected one counts as further away
SLOWEST = 0.05  # m/s, so that time goes on at both ends


@dataclass(frozen=True, slots=True)
class AirLimits:
    """What the vehicle may do in the air."""

    speed: float  # m/s along the line
    climb: float  # m/s up
    sink: float  # m/s down
    acceleration: float  # m/s^2 along
    deceleration: float
    lateral: float  # m/s^2 across
    yaw_rate: float  # rad/s


@dataclass(frozen=True, slots=True)
class AirLine:
    """Samples along the line: s (n,) m, position (n, 3) m, speed (n,) m/s, time (n,) s, yaw (n,) rad unwrapped.

    marks: (m,) m along it where the points that it was made of are passed.
    """

    s: Array
    position: Array
    speed: Array
    time: Array
    yaw: Array
    marks: Array

    @property
    def length(self) -> float:
        """Length [m]."""
        return float(self.s[-1])

    @property
    def duration(self) -> float:
        """Time from rest at its begin to rest at its end [s]."""
        return float(self.time[-1])

    def at(self, t: Array) -> tuple[Array, Array, Array]:
        """Position (k, 3), velocity (k, 3), yaw (k,) at times (k,) since the begin; at rest beyond both ends."""
        t = np.clip(t, 0.0, self.duration)
        s = np.interp(t, self.time, self.s)
        p = np.column_stack([np.interp(s, self.s, c) for c in self.position.T])
        h = 0.5 * STEP
        ahead = np.column_stack([np.interp(s + h, self.s, c) for c in self.position.T])
        behind = np.column_stack([np.interp(s - h, self.s, c) for c in self.position.T])
        along = ahead - behind
        norm = np.linalg.norm(along, axis=1, keepdims=True)
        speed = np.interp(t, self.time, self.speed)
        inside = (t > 0.0) & (t < self.duration)
        velocity = np.where(inside[:, None], along / np.maximum(norm, 1e-9) * speed[:, None], 0.0)
        return p, velocity, np.interp(t, self.time, self.yaw)

    def nearest(self, p: Array, s: float, reach: float, expected: float) -> float:
        """s [m] of the place nearest to a point (3,), looked for within reach [m] of s.

        Where the line crosses itself or turns back, the place nearer to the expected one [m] is meant.
        """
        near = np.flatnonzero(np.abs(self.s - s) <= reach)
        if len(near) == 0:
            return s
        d = np.sum((self.position[near] - p) ** 2, axis=1) + TIE * (self.s[near] - expected) ** 2
        return float(self.s[near[int(np.argmin(d))]])


def flight_points(route: Route, cruise_height: float) -> tuple[Array, Array]:
    """Points (m, 3) and speeds (m,) of a route with take-off and landing in it.

    Height 0 at the first or the last point means the ground: the vehicle rises straight to the height of the next
    point, and comes down straight from that of the one before. A route that is flat on the ground is flown at
    cruise_height.
    """
    p, v = np.array(route.points, dtype=np.float64), np.array(route.speed, dtype=np.float64)
    if np.all(np.abs(p[:, 2]) < 1e-6):
        p[:, 2] = cruise_height
        p[0, 2] = p[-1, 2] = 0.0
        if len(p) == 2:
            p, v = np.insert(p, 1, [*p[1, :2], cruise_height], axis=0), np.insert(v, 1, v[1])
    if abs(p[0, 2]) < 1e-6 and p[1, 2] > 0.0 and float(np.hypot(*(p[1] - p[0])[:2])) > 0.1:
        p, v = np.insert(p, 1, [*p[0, :2], p[1, 2]], axis=0), np.insert(v, 1, v[0])
    if abs(p[-1, 2]) < 1e-6 and p[-2, 2] > 0.0 and float(np.hypot(*(p[-1] - p[-2])[:2])) > 0.1:
        p, v = np.insert(p, len(p) - 1, [*p[-1, :2], p[-2, 2]], axis=0), np.insert(v, len(v) - 1, v[-1])
    return p, v


def standing(place: Array, yaw: float) -> AirLine:
    """A line without length."""
    zero = np.zeros(1)
    return AirLine(zero, np.array([place], dtype=np.float64), zero, zero, np.array([yaw]), zero)


def build_line(  # noqa: PLR0917
    points: Array,
    speed: Array,
    limits: AirLimits,
    corner: float,
    yaw0: float,
    look: Array | None = None,
    slow: Slow | None = None,
) -> AirLine:
    """The line through points (m, 3) at speeds (m,) towards each; corners are cut by `corner` [m] at most.

    look: (m, 2) place that the nose points to on the way to each point; NaN: along the way. slow: most speed (n,)
    at places (n, 3) in the line's order, as near a fence.
    """
    if len(points) < 2:
        return standing(points[0], yaw0)
    p, wanted, marks = _rounded(points, speed, corner)
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    n = max(math.ceil(s[-1] / STEP), 2)
    grid = np.linspace(0.0, s[-1], n + 1)
    q = np.column_stack([np.interp(grid, s, c) for c in p.T])
    cap = wanted[np.minimum(np.searchsorted(s, grid - 1e-9), len(wanted) - 1)]  # each piece its own
    if slow is not None:
        cap = np.minimum(cap, slow(q))
    v = _speeds(q, grid, np.minimum(cap, limits.speed), limits)
    time = np.concatenate([[0.0], np.cumsum(2.0 * np.diff(grid) / (v[:-1] + v[1:]))])
    at = s[marks]
    there = None
    if look is not None and not np.all(np.isnan(look)):
        there = look[np.minimum(np.searchsorted(at, grid, side="left"), len(points) - 1)]
    return AirLine(grid, q, v, time, _yaw(q, time, yaw0, limits.yaw_rate, there), at)


def _rounded(points: Array, speed: Array, corner: float) -> tuple[Array, Array, list[int]]:
    """Dense polyline with arcs at the corners, the speed wanted at each of its points, and which stand for `points`."""
    out, v, marks = [points[0]], [float(speed[min(1, len(speed) - 1)])], [0]
    for i in range(1, len(points) - 1):
        a, b, c = points[i - 1], points[i], points[i + 1]
        u, w = b - a, c - b
        lu, lw = float(np.linalg.norm(u)), float(np.linalg.norm(w))
        u, w = u / lu, w / lw
        half = 0.5 * math.acos(min(max(float(u @ w), -1.0), 1.0))
        vertical = abs(u[2]) > 0.95 or abs(w[2]) > 0.95
        sharp = half > math.radians(75.0)
        if half < 1e-3 or vertical or sharp:  # take-off and landing are not cut; a turn back is a stop
            marks.append(len(out))
            out.append(b)
            v.append(float(speed[i]))
            continue
        # corner = r (1 / cos(half) - 1); the tangent points lie r tan(half) before and after.
        r = min(corner / (1.0 / math.cos(half) - 1.0), 0.45 * min(lu, lw) / math.tan(half))
        t = r * math.tan(half)
        centre = b + (w - u) / float(np.linalg.norm(w - u)) * (r / math.cos(half))
        arc = np.linspace(-half, half, max(int(2.0 * half * r / STEP), 4) + 1)
        marks.append(len(out) + len(arc) // 2)
        for k in arc:
            middle = (b - centre) / float(np.linalg.norm(b - centre))
            side = (u + w) / float(np.linalg.norm(u + w))
            out.append(centre + r * (math.cos(k) * middle + math.sin(k) * side))
            v.append(float(min(speed[i], speed[i + 1])))
        assert t < min(lu, lw)
    marks.append(len(out))
    out.append(points[-1])
    v.append(float(speed[-1]))
    return np.array(out), np.array(v), marks


def _speeds(q: Array, s: Array, cap: Array, limits: AirLimits) -> Array:
    """Fastest speeds (n,) below cap, from rest to rest."""
    d = np.diff(q, axis=0)
    ds = np.maximum(np.linalg.norm(d, axis=1), 1e-9)
    u = d / ds[:, None]
    # Steepest of the pieces on both sides of a sample.
    up = np.maximum(np.append(u[:, 2], u[-1, 2]), np.insert(u[:, 2], 0, u[0, 2]))
    down = np.maximum(np.append(-u[:, 2], -u[-1, 2]), np.insert(-u[:, 2], 0, -u[0, 2]))
    v = np.minimum(cap, np.where(up > 1e-6, limits.climb / np.maximum(up, 1e-6), np.inf))
    v = np.minimum(v, np.where(down > 1e-6, limits.sink / np.maximum(down, 1e-6), np.inf))
    turn = np.linalg.norm(np.diff(u, axis=0), axis=1) / (0.5 * (ds[1:] + ds[:-1]))
    v[1:-1] = np.minimum(v[1:-1], np.sqrt(limits.lateral / np.maximum(turn, 1e-9)))
    v[0] = v[-1] = 0.0
    for i in range(1, len(v)):
        v[i] = min(v[i], math.sqrt(v[i - 1] ** 2 + 2.0 * limits.acceleration * ds[i - 1]))
    for i in range(len(v) - 2, -1, -1):
        v[i] = min(v[i], math.sqrt(v[i + 1] ** 2 + 2.0 * limits.deceleration * ds[i]))
    return np.maximum(v, SLOWEST)


def _yaw(q: Array, time: Array, yaw0: float, rate: float, look: Array | None = None) -> Array:
    """The nose points along the way, or where it shall look, turned no faster than rate; up and down it stays."""
    d = np.diff(q, axis=0)
    yaw = np.full(len(q), yaw0)
    level = np.hypot(d[:, 0], d[:, 1]) > 0.3 * np.linalg.norm(d, axis=1)
    for i in range(1, len(q)):
        target = math.atan2(d[i - 1, 1], d[i - 1, 0]) if level[i - 1] else yaw[i - 1]
        if look is not None and not math.isnan(look[i, 0]):
            target = math.atan2(look[i, 1] - q[i, 1], look[i, 0] - q[i, 0])
        turn = math.remainder(target - yaw[i - 1], 2.0 * math.pi)
        most = 0.7 * rate * (time[i] - time[i - 1])
        yaw[i] = yaw[i - 1] + min(max(turn, -most), most)
    return yaw

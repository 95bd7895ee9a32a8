"""Smooth routes: waypoints become an arc-length line with heading, curvature, corridor and speed profile."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from giljabi.types import Array, BadInputError, Route

MAX_SAMPLES = 200_000


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """What the vehicle may do along a route; SI."""

    speed: float  # m/s
    acceleration: float  # m/s^2
    deceleration: float  # m/s^2, positive
    lateral_acceleration: float  # m/s^2
    yaw_rate: float  # rad/s
    turn_radius: float  # m, smallest the vehicle can do
    wanted_radius: float  # m, used where a corner leaves the room
    cut: float  # m, how far a corner may be cut for the sake of a larger radius


@dataclass(frozen=True, slots=True)
class LinePoints:
    """Points of the line, one row for each s that was asked for."""

    xy: Array  # (n, 2) m
    yaw: Array  # (n,) rad, continuous along the line
    curvature: Array  # (n,) 1/m, positive to the left
    speed: Array  # (n,) m/s, profile
    left: Array  # (n,) m free to the left
    right: Array  # (n,) m free to the right


class SmoothRoute:
    """Arc-length line through a Route's waypoints, corners rounded by arcs.

    Open lines continue straight beyond both ends; closed ones repeat for every s.
    """

    def __init__(self, route: Route, limits: RouteLimits, spacing: float = 0.5) -> None:
        """Builds the line; raises BadInputError naming the waypoint that makes no line."""
        points, speed, width, self.closed = _clean(route)
        tangent, radius, turn = _fillets(points, self.closed, limits)
        self.sharpest_radius = float(np.min(radius, initial=math.inf))
        length = _length(points, tangent, radius, turn, self.closed)
        ds = max(spacing, length / MAX_SAMPLES)
        xy, yaw, source = _sample(points, tangent, radius, turn, self.closed, length, ds)
        n = len(xy) - 1
        self.length = length
        self.ds = length / n
        self._xy, self._yaw = xy, yaw
        kappa = np.gradient(yaw, self.ds)
        if self.closed:
            kappa[0] = kappa[-1] = (yaw[1] - yaw[0] + yaw[-1] - yaw[-2]) / (2.0 * self.ds)
        self._kappa = kappa
        self._left, self._right = width[source, 0], width[source, 1]
        self._speed = _profile(np.minimum(speed[source], limits.speed), kappa, self.ds, self.closed, limits)
        self._turns = float(yaw[-1] - yaw[0])

    def at(self, s: Array | float) -> LinePoints:
        """The line at arc lengths s (n,) [m], any order."""
        s = np.atleast_1d(np.asarray(s, dtype=np.float64))
        n = len(self._xy) - 1
        over = np.zeros_like(s)
        laps = np.zeros_like(s)
        if self.closed:
            laps = np.floor(s / self.length)
            inside = s - laps * self.length
        else:
            inside = np.clip(s, 0.0, self.length)
            over = s - inside
        q = inside / self.ds
        i = np.minimum(q.astype(np.int64), n - 1)
        w = q - i

        def mix(a: Array) -> Array:
            return np.asarray(a[i] + w * (a[i + 1] - a[i]))

        yaw = mix(self._yaw) + laps * self._turns
        xy = self._xy[i] + w[:, None] * (self._xy[i + 1] - self._xy[i])
        xy = xy + over[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        kappa = np.where(over == 0.0, mix(self._kappa), 0.0)
        nearest = np.where(w < 0.5, i, i + 1)
        return LinePoints(xy, yaw, kappa, mix(self._speed), self._left[nearest], self._right[nearest])

    def speed_at(self, s: float) -> float:
        """Speed profile at one s [m/s]; the cheap form of `at` for integration along the line."""
        q = (s % self.length if self.closed else min(max(s, 0.0), self.length)) / self.ds
        i = min(int(q), len(self._speed) - 2)
        return float(self._speed[i] + (q - i) * (self._speed[i + 1] - self._speed[i]))

    def project(self, xy: Array, near: float, back: float, ahead: float) -> tuple[float, float]:
        """(s, d): nearest point of the line within [near - back, near + ahead] and the offset to its left [m].

        The window is what keeps the answer on the right branch where the line crosses or nears itself.
        """
        lo, hi = near - back, near + ahead
        if not self.closed:
            lo, hi = max(lo, -back), min(max(hi, lo + self.ds), self.length + ahead)
        s = np.linspace(lo, hi, max(3, math.ceil((hi - lo) / self.ds) + 1))
        p = self.at(s).xy
        k = int(np.argmin(np.sum((p - xy) ** 2, axis=1)))
        best = (math.inf, 0.0, 0.0)
        for a, b in ((k - 1, k), (k, k + 1)):
            if a < 0 or b >= len(s):
                continue
            e = p[b] - p[a]
            size = float(e @ e)
            w = min(max(float((xy - p[a]) @ e) / size, 0.0), 1.0) if size > 0.0 else 0.0
            r = xy - (p[a] + w * e)
            distance = float(np.hypot(r[0], r[1]))
            if distance < best[0]:
                side = float(e[0] * r[1] - e[1] * r[0])
                best = (distance, float(s[a] + w * (s[b] - s[a])), math.copysign(distance, side))
        return best[1], best[2]

    def locate(self, xy: Array, yaw: float) -> tuple[float, float]:
        """(s, d) of a vehicle whose place on the line is not known: near, pointing along it, early rather than late."""
        across = np.hypot(*(self._xy - xy).T)
        away = 1.0 - np.cos(self._yaw - yaw)
        cost = across + away * 0.05 * self.length + 1e-3 * np.arange(len(across)) * self.ds
        k = int(np.argmin(cost))
        s = k * self.ds
        if self.closed and s > 0.5 * self.length and self.length - s < across[k] + 0.1 * self.length:
            s -= self.length  # just behind the start
        return self.project(xy, s, 4.0 * self.ds + across[k], 4.0 * self.ds + across[k])


def _clean(route: Route) -> tuple[Array, Array, Array, bool]:
    """Distinct waypoints (n, 2), speed on the way to each, half widths (n, 2), closed."""
    points = np.asarray(route.points, dtype=np.float64)
    speed = np.asarray(route.speed, dtype=np.float64)
    width = np.asarray(route.half_width, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2 or len(points) < 2:
        raise BadInputError(f"route: points have shape {points.shape}; at least 2 points with x and y are expected")
    if speed.shape != (len(points),) or width.shape != (len(points), 2):
        raise BadInputError(
            f"route: speed {speed.shape} and half_width {width.shape} do not fit {len(points)} points; "
            f"({len(points)},) and ({len(points)}, 2) are expected"
        )
    for k in range(len(points)):
        if not (np.all(np.isfinite(points[k])) and np.isfinite(speed[k])) or np.any(np.isnan(width[k])):
            raise BadInputError(f"route: waypoint {k} is not finite; finite coordinates and speed are expected")
        if speed[k] <= 0.0 and k > 0:
            raise BadInputError(f"route: speed at waypoint {k} is {speed[k]} m/s; a speed above 0 is expected")
        if np.any(width[k] < 0.0):
            raise BadInputError(f"route: half width at waypoint {k} is {width[k].tolist()} m; 0 or more is expected")
    points = points[:, :2]
    steps = np.hypot(*np.diff(points, axis=0).T)
    keep = np.concatenate([[True], steps > 1e-3])
    points, speed, width = points[keep], speed[keep], width[keep]
    closed = bool(route.closed)
    if closed:
        if len(points) > 1 and float(np.hypot(*(points[0] - points[-1]))) < 1e-3:
            speed = np.concatenate([speed[-1:], speed[1:-1]])
            points, width = points[:-1], width[:-1]
        if len(points) < 3:
            raise BadInputError("route: a closed route with fewer than 3 distinct points; at least 3 are expected")
    if len(points) < 2:
        raise BadInputError("route: all waypoints are the same point; at least 2 distinct points are expected")
    return points, speed, width, closed


def _fillets(points: Array, closed: bool, limits: RouteLimits) -> tuple[Array, Array, Array]:
    """Tangent length [m], radius [m] (inf: straight) and signed turn [rad] at every waypoint."""
    n = len(points)
    into = points - np.roll(points, 1, axis=0)
    out = np.roll(points, -1, axis=0) - points
    turn = np.arctan2(into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0], np.sum(into * out, axis=1))
    if not closed:
        turn[0] = turn[-1] = 0.0
    sharp = np.flatnonzero(np.abs(turn) > math.radians(175.0))
    if len(sharp):
        raise BadInputError(f"route: turns back on itself at waypoint {sharp[0]}; a turn below 175 degrees is expected")
    half = 0.5 * np.abs(turn)
    bent = half > 1e-9
    wanted = np.zeros(n)
    wanted[bent] = np.maximum(limits.wanted_radius * np.tan(half[bent]), limits.cut / np.tan(0.5 * half[bent]))
    leg = np.hypot(out[:, 0], out[:, 1])  # from k to k + 1
    both = wanted + np.roll(wanted, -1)
    share = np.minimum(1.0, np.divide(leg, both, out=np.ones(n), where=both > 0.0))
    if not closed:
        share[-1] = 1.0
    tangent = wanted * np.minimum(share, np.roll(share, 1))
    radius = np.full(n, np.inf)
    radius[bent] = tangent[bent] / np.tan(half[bent])
    return tangent, radius, turn


def _length(points: Array, tangent: Array, radius: Array, turn: Array, closed: bool) -> float:
    legs = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    total = float(np.sum(legs if closed else legs[:-1]))
    bent = np.isfinite(radius)
    return total - float(np.sum(2.0 * tangent[bent] - radius[bent] * np.abs(turn[bent])))


def _sample(
    points: Array, tangent: Array, radius: Array, turn: Array, closed: bool, length: float, ds: float
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """xy (m, 2), yaw (m,) and the waypoint each sample is on the way to (m,), at equal arc lengths 0 .. length."""
    n = len(points)
    count = max(4, math.ceil(length / ds)) + 1
    s = np.linspace(0.0, length, count)
    # A closed line begins at its first waypoint: in the middle of that waypoint's arc.
    starts, pieces = [], []  # each piece: start s, (x, y, yaw, curvature), waypoint it leads to
    legs = [(k, (k + 1) % n) for k in range(n if closed else n - 1)]
    at = -0.5 * abs(turn[0]) * radius[0] if closed and np.isfinite(radius[0]) else 0.0
    first = points[legs[0][1]] - points[0]
    yaw = math.atan2(first[1], first[0]) - (turn[0] if closed else 0.0)
    order = [*legs, legs[0]] if closed else legs
    for a, b in order:
        e = (points[b] - points[a]) / np.hypot(*(points[b] - points[a]))
        if np.isfinite(radius[a]):
            sign = math.copysign(1.0, turn[a])
            into = np.array([math.cos(yaw), math.sin(yaw)])
            corner = points[a] - tangent[a] * into
            starts.append(at)
            pieces.append((corner[0], corner[1], yaw, sign / radius[a], a))
            at += radius[a] * abs(turn[a])
        yaw += turn[a] if closed or a > 0 else 0.0
        begin = points[a] + tangent[a] * e
        starts.append(at)
        pieces.append((begin[0], begin[1], yaw, 0.0, b))
        at += float(np.hypot(*(points[b] - points[a]))) - tangent[a] - tangent[b]
    table = np.array(pieces)
    which = np.maximum(np.searchsorted(np.array(starts), s, side="right") - 1, 0)
    x0, y0, yaw0, kappa = table[which, 0], table[which, 1], table[which, 2], table[which, 3]
    along = s - np.array(starts)[which]
    angle = kappa * along
    # Chord of an arc: length along * sinc(angle / 2), direction yaw0 + angle / 2.
    chord = along * np.sinc(angle / (2.0 * math.pi))
    xy = np.stack([x0 + chord * np.cos(yaw0 + 0.5 * angle), y0 + chord * np.sin(yaw0 + 0.5 * angle)], axis=1)
    return xy, yaw0 + angle, table[which, 4].astype(np.int64)


def _profile(cap: Array, kappa: Array, ds: float, closed: bool, limits: RouteLimits) -> Array:
    """Highest speed (m,) below `cap` that turns and changes speed inside the limits (forward and backward pass)."""
    bend = np.maximum(np.abs(kappa), 1e-9)
    v = np.minimum(cap, np.minimum(np.sqrt(limits.lateral_acceleration / bend), limits.yaw_rate / bend))
    square = np.tile(v[:-1] ** 2, 3) if closed else v**2
    s = ds * np.arange(len(square))
    # v^2(s) <= v^2(j) + 2 a (s - j) for every j before s, and the mirror image for braking.
    up = 2.0 * limits.acceleration * s
    square = np.minimum.accumulate(square - up) + up
    down = 2.0 * limits.deceleration * s
    square = np.minimum.accumulate((square + down)[::-1])[::-1] - down
    if closed:
        m = len(v) - 1
        square = np.append(square[m : 2 * m], square[m])
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))

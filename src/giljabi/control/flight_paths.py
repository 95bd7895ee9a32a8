"""Paths for a vehicle whose position and yaw say everything else (flat outputs): pure functions of time.

Positions in map [m], times [s] from the path's begin; every path gives derivatives up to the fourth (snap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import minimize

from giljabi.types import Array, BadInputError


class FlatPath(Protocol):
    """Where to be at a time."""

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,), order 0 to 4."""

    def yaw(self, t: Array) -> Array:
        """Yaw (n,) [rad], continuous."""


@dataclass(frozen=True, slots=True)
class Lemniscate:
    """(R sin a, R sin a cos a, height) about a centre, a = speed / (R sqrt 2) t: `speed` is the peak speed."""

    radius: float  # m
    speed: float  # m/s
    height: float = 2.0  # m
    centre: tuple[float, float] = (0.0, 0.0)

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        rate = self.speed / (self.radius * math.sqrt(2.0))
        t = np.asarray(t, dtype=np.float64)
        out = np.zeros((len(t), 3))
        quarter = 0.5 * math.pi * order
        out[:, 0] = self.radius * rate**order * np.sin(rate * t + quarter)
        out[:, 1] = 0.5 * self.radius * (2.0 * rate) ** order * np.sin(2.0 * rate * t + quarter)
        if order == 0:
            out += [*self.centre, self.height]
        return out

    def yaw(self, t: Array) -> Array:
        """Zero."""
        return np.zeros(len(t))


@dataclass(frozen=True, slots=True)
class Circle:
    """Counter-clockwise circle about a centre, begun east of it."""

    radius: float  # m
    speed: float  # m/s
    height: float = 2.0  # m
    centre: tuple[float, float] = (0.0, 0.0)

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        rate = self.speed / self.radius
        t = np.asarray(t, dtype=np.float64)
        out = np.zeros((len(t), 3))
        quarter = 0.5 * math.pi * order
        out[:, 0] = self.radius * rate**order * np.cos(rate * t + quarter)
        out[:, 1] = self.radius * rate**order * np.sin(rate * t + quarter)
        if order == 0:
            out += [*self.centre, self.height]
        return out

    def yaw(self, t: Array) -> Array:
        """Zero."""
        return np.zeros(len(t))


@dataclass(frozen=True, slots=True)
class Hover:
    """One place, one yaw."""

    position: tuple[float, float, float]  # m
    heading: float = 0.0  # rad

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        return np.tile(np.asarray(self.position) if order == 0 else np.zeros(3), (len(t), 1))

    def yaw(self, t: Array) -> Array:
        """Always the same."""
        return np.full(len(t), self.heading)


@dataclass(frozen=True)
class Polynomials:
    """Polynomial pieces one after the other; at rest in the first and last point outside its time.

    times: (k,) s, begin of each piece; ends at `end`; coefficients: (k, degree + 1, 3), ascending powers of the time
    in the piece over its length.
    """

    times: Array
    end: float
    coefficients: Array
    heading: float = 0.0  # rad

    @property
    def lengths(self) -> Array:
        """Duration (k,) of each piece [s]."""
        return np.diff([*self.times, self.end])

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) of the position at times (n,)."""
        t = np.asarray(t, dtype=np.float64)
        inside = np.clip(t, 0.0, self.end)
        i = np.clip(np.searchsorted(self.times, inside, side="right") - 1, 0, len(self.times) - 1)
        length = self.lengths[i]
        powers = _powers((inside - self.times[i]) / length, self.coefficients.shape[1], order)
        out = np.einsum("nd,ndc->nc", powers, self.coefficients[i]) / (length**order)[:, None]
        if order > 0:
            out[(t < 0.0) | (t > self.end)] = 0.0
        return np.asarray(out)

    def yaw(self, t: Array) -> Array:
        """Always the same."""
        return np.full(len(t), self.heading)

    def stretched(self, factor: float) -> Polynomials:
        """The same curve, `factor` times slower."""
        return Polynomials(self.times * factor, self.end * factor, self.coefficients, self.heading)

    def peaks(self, samples: int = 25) -> tuple[float, float]:
        """Largest speed [m/s] and acceleration [m/s^2] at `samples` times a piece."""
        t = np.concatenate([[self.end], *np.linspace(self.times, [*self.times[1:], self.end], samples, axis=1)])
        fastest, hardest = (float(np.linalg.norm(self.derivative(t, k), axis=1).max()) for k in (1, 2))
        return fastest, hardest


def _powers(s: Array, count: int, order: int) -> Array:
    """Rows (n, count) whose product with coefficients is the derivative with respect to s."""
    out = np.zeros((len(s), count))
    for j in range(order, count):
        out[:, j] = math.perm(j, order) * s ** (j - order)
    return out


def minimum_snap(points: Array, durations: Array, order: int = 4) -> Polynomials:
    """Pieces through points (k+1, 3) in given durations (k,) that minimise the integral of the squared derivative.

    order: 4 snap, 3 jerk. From rest to rest, with derivatives up to order - 1 zero at both ends; the curve is
    continuous up to derivative 2 order - 2. Raises BadInputError.
    """
    points, durations = np.asarray(points, dtype=np.float64), np.asarray(durations, dtype=np.float64)
    k = len(points) - 1
    if points.ndim != 2 or points.shape[1] != 3 or k < 1 or not np.all(np.isfinite(points)):
        raise BadInputError(f"points have shape {points.shape}; at least two finite points (k+1, 3) are expected")
    if durations.shape != (k,) or not np.all(durations > 0.0) or not np.all(np.isfinite(durations)):
        raise BadInputError(f"durations are {durations}; {k} times above 0 s are expected")
    if order not in (3, 4):
        raise BadInputError(f"order is {order}; 3 (jerk) or 4 (snap) is expected")
    n = 2 * order  # coefficients a piece; the optimum is a spline of this degree - 1
    rows: list[Array] = []
    right: list[Array] = []
    zero = np.zeros(3)

    def add(piece: dict[int, tuple[float, int, float]], value: Array) -> None:
        row = np.zeros(k * n)
        for i, (s, d, sign) in piece.items():
            row[i * n : (i + 1) * n] = sign * _powers(np.array([s]), n, d)[0] / durations[i] ** d
        rows.append(row)
        right.append(value)

    for i in range(k):
        add({i: (0.0, 0, 1.0)}, points[i])
        add({i: (1.0, 0, 1.0)}, points[i + 1])
        for d in range(1, n - 1) if i + 1 < k else ():
            add({i: (1.0, d, 1.0), i + 1: (0.0, d, -1.0)}, zero)
    for d in range(1, order):
        add({0: (0.0, d, 1.0)}, zero)
        add({k - 1: (1.0, d, 1.0)}, zero)
    a, b = np.array(rows), np.array(right)
    scale = np.abs(a).max(axis=1, keepdims=True)
    coefficients = np.linalg.solve(a / scale, b / scale).reshape(k, n, 3)
    begins = np.concatenate([[0.0], np.cumsum(durations)])
    return Polynomials(begins[:-1], float(begins[-1]), coefficients)


def through(points: Array, speed_max: float, acceleration_max: float, order: int = 4) -> Polynomials:
    """Smooth path through points (k+1, 3) from rest to rest, as fast as the limits allow on such a path.

    The shares of the pieces are searched for the shortest total time, which then just meets the tighter limit.
    speed_max [m/s], acceleration_max [m/s^2]. Raises BadInputError.
    """
    points = np.asarray(points, dtype=np.float64)
    if not (speed_max > 0.0 and acceleration_max > 0.0):
        raise BadInputError(f"limits are {speed_max} m/s, {acceleration_max} m/s^2; numbers above 0 are expected")
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1) if points.ndim == 2 else np.zeros(1)
    if len(gaps) and np.min(gaps) < 1e-6:
        raise BadInputError("two consecutive points are the same; distinct points are expected")

    def within(shares: Array) -> Polynomials:
        path = minimum_snap(points, shares, order)
        fastest, hardest = path.peaks()
        return path.stretched(max(fastest / speed_max, math.sqrt(hardest / acceleration_max)))

    first = gaps / speed_max + math.sqrt(1.0 / acceleration_max)
    if len(gaps) == 1:
        return within(first)
    found = minimize(
        lambda s: within(np.exp(s)).end, np.log(first), method="Nelder-Mead", options={"maxfev": 60 * len(gaps)}
    )
    return within(np.exp(found.x))

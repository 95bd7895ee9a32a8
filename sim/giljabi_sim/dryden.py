"""Gusts of turbulent air by Dryden's spectra, low altitude form of MIL-F-8785C (section 3.7)."""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array

_FOOT = 0.3048  # m
_LOWEST, _HIGHEST = 10.0 * _FOOT, 1000.0 * _FOOT  # m, heights between which the form holds
_ROOT3 = math.sqrt(3.0)
_STATIONARY = np.array([[0.5, 0.25], [0.25, 0.25]])  # covariance of the two states under unit white noise
_SLOWEST = 1.0  # m/s of air past the vehicle, so that turbulence passes one that drifts with it, too


def scales(height: float, wind_6m: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Lengths [m] and 1 sigma [m/s] of the gusts along the wind, across it, and up (MIL-F-8785C 3.7.3).

    height: m above ground, held between 3 m and 305 m; wind_6m: mean wind 6 m above ground [m/s].
    """
    h = min(max(height, _LOWEST), _HIGHEST) / _FOOT
    shape = 0.177 + 0.000823 * h
    level = h / shape**1.2 * _FOOT
    sigma_up = 0.1 * wind_6m
    sigma = sigma_up / shape**0.4
    return (level, level, h * _FOOT), (sigma, sigma, sigma_up)


class Dryden:
    """Gust velocity in map, exact in discrete time whatever the step: seeded, no memory of calls but the time."""

    def __init__(self, rng: np.random.Generator, wind_6m: float, towards: float) -> None:
        """wind_6m: mean wind 6 m above ground [m/s]; towards: where it goes [rad, 0 is east, to the left]."""
        self._rng, self._wind = rng, wind_6m
        self._c, self._s = math.cos(towards), math.sin(towards)
        self._along = rng.standard_normal()
        draws = rng.standard_normal((2, 2))  # across, up: two states each
        self._cross: Array = draws @ np.linalg.cholesky(_STATIONARY).T
        self._t: float | None = None

    def at(self, t: float, height: float, air_speed: float) -> Array:
        """Gust (3,) [m/s] towards east, north, up at time t [s], which must not go back."""
        lengths, sigmas = scales(height, self._wind)
        speed = max(air_speed, _SLOWEST)
        if self._t is not None and t > self._t:
            dt = t - self._t
            keep = math.exp(-dt * speed / lengths[0])
            self._along = keep * self._along + math.sqrt(1.0 - keep * keep) * self._rng.standard_normal()
            for i in range(2):
                self._cross[i] = _second_order(self._cross[i], dt * speed / lengths[i + 1], self._rng)
        self._t = t
        # (1 + sqrt(3) s) / (1 + s)^2 of white noise, in time scaled by speed over length: unit variance.
        across, up = (_ROOT3 * self._cross[:, 0] + (1.0 - _ROOT3) * self._cross[:, 1]).tolist()
        u, v, w = sigmas[0] * self._along, sigmas[1] * across, sigmas[2] * up
        return np.array([self._c * u - self._s * v, self._s * u + self._c * v, w])


def _second_order(x: Array, step: float, rng: np.random.Generator) -> Array:
    """The states of 1 / (1 + s)^2 (2,) after a step of scaled time, driven by white noise."""
    move = math.exp(-step) * np.array([[1.0, 0.0], [step, 1.0]])
    rest = _STATIONARY - move @ _STATIONARY @ move.T
    a = math.sqrt(max(rest[0, 0], 0.0))
    b = rest[0, 1] / a if a > 0.0 else 0.0
    c = math.sqrt(max(rest[1, 1] - b * b, 0.0))
    n = rng.standard_normal(2)
    out: Array = move @ x + np.array([a * n[0], b * n[0] + c * n[1]])
    return out

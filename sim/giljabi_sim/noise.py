"""Noise of sensors: seeded, one generator for each source, so that one sensor's draws never shift another's."""

from __future__ import annotations

import math
import zlib

import numpy as np

from giljabi.types import Array


def generator(seed: int, name: str) -> np.random.Generator:
    """The generator of one source of randomness; the same for the same seed and name."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))


class Drift:
    """First-order Gauss-Markov process: what multipath, atmosphere and slow biases look like."""

    def __init__(self, rng: np.random.Generator, std: float, time: float, n: int = 1) -> None:
        """std: 1 sigma in steady state; time: correlation time [s]; n: independent components."""
        self._rng, self._std, self._time = rng, std, time
        self._value = std * rng.standard_normal(n)
        self._t: float | None = None

    def at(self, t: float) -> Array:
        """Value (n,) at time t [s], which must not go back."""
        if self._t is not None and t > self._t:
            keep = math.exp(-(t - self._t) / self._time)
            kick = self._std * math.sqrt(1.0 - keep * keep)
            self._value = keep * self._value + kick * self._rng.standard_normal(len(self._value))
        self._t = t
        return self._value


class Schedule:
    """Times of a periodic task; counts periods, so rounding never drifts."""

    def __init__(self, rate_hz: float, phase: float = 0.0) -> None:
        """phase: 0..1 of a period before the first one."""
        self._period = 1.0 / rate_hz
        self._phase = phase
        self._count = 0
        self._start: float | None = None

    @property
    def next(self) -> float:
        """When it is due next [s]."""
        return (self._start or 0.0) + (self._phase + self._count) * self._period

    def due(self, now: float) -> bool:
        """True once a period; missed periods are skipped."""
        if self._start is None:
            self._start = now
        if now < self.next - 1e-9:
            return False
        behind = (now - self._start) / self._period - self._phase
        self._count = math.floor(behind + 1e-6) + 1
        return True

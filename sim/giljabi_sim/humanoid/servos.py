"""Position servos as their bus sees them: targets in ticks, late; positions in ticks, with noise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from giljabi.types import Array


@dataclass(frozen=True, slots=True)
class ServoFaults:
    """What is wrong with the servos of one run."""

    gain_factor: float = 1.0
    delay_s: float = 0.0  # beyond the bus's own
    noise_factor: float = 1.0
    silent: tuple[int, float, float] | None = None  # index, from, to [s]: neither takes nor tells anything
    lost_share: float = 0.0  # of packets


@dataclass(slots=True)
class ServoBank:
    """All servos of a robot; q in rad, in the file's order."""

    count: int
    ticks_per_turn: int
    rng: np.random.Generator
    faults: ServoFaults = field(default_factory=ServoFaults)
    delay_s: float = 0.004
    noise_rad: float = 0.0004
    _queue: deque[tuple[float, Array]] = field(default_factory=deque)
    target: Array | None = None
    _told: Array | None = None

    def command(self, now: float, targets: Array) -> None:
        """Targets (n,) rad leave for the servos; NaN where a packet holds none."""
        ticks = np.round(targets * self.ticks_per_turn / (2 * np.pi))
        lost = self.rng.random(self.count) < self.faults.lost_share
        ticks[lost] = np.nan
        self._queue.append((now + self.delay_s + self.faults.delay_s, ticks * (2 * np.pi / self.ticks_per_turn)))

    def at(self, now: float) -> Array | None:
        """Targets (n,) that the servos hold at `now`."""
        while self._queue and self._queue[0][0] <= now + 1e-9:
            _, new = self._queue.popleft()
            old = new if self.target is None else self.target
            keep = np.isnan(new) | self._silent(now)
            self.target = np.where(keep, old, new)
        return self.target

    def tell(self, now: float, q: Array) -> Array:
        """Positions (n,) as the bus reads them; what does not answer keeps its last."""
        noise = self.rng.normal(0.0, self.noise_rad * self.faults.noise_factor, self.count)
        unit = 2 * np.pi / self.ticks_per_turn
        seen = np.round((q + noise) / unit) * unit
        if self._told is not None:
            lost = (self.rng.random(self.count) < self.faults.lost_share) | self._silent(now)
            seen = np.where(lost, self._told, seen)
        self._told = seen
        return seen

    def _silent(self, now: float) -> npt.NDArray[np.bool_]:
        out = np.zeros(self.count, dtype=bool)
        if self.faults.silent is not None:
            index, begin, end = self.faults.silent
            out[index] = begin <= now < end
        return out

"""Time is an argument: clocks exist only at the edges.

Stamps are the monotonic clock plus one offset that is fixed when the stack starts and handed to every
process through the environment, so a jump of the wall clock changes nothing.
"""

from __future__ import annotations

import math
import os
import time
from typing import Protocol

OFFSET_ENV = "GILJABI_CLOCK_OFFSET_NS"
DRIFT = 1e-4  # s/s by which a device's clock may run off ours
STEP_S = 1.0  # s, a device's stamp that is further off than this comes from a clock that was set anew


class Clock(Protocol):
    """Anything that tells the stack's time in seconds."""

    def now(self) -> float:
        """Stack time [s]."""


def make_offset_ns() -> int:
    """Offset that makes monotonic stamps read like UTC at the moment the stack starts [ns]."""
    return time.time_ns() - time.monotonic_ns()


class StackClock:
    """Monotonic clock plus the stack's fixed offset."""

    def __init__(self, offset_ns: int | None = None) -> None:
        """offset_ns: None reads GILJABI_CLOCK_OFFSET_NS, or makes an offset when that is unset."""
        if offset_ns is None:
            text = os.environ.get(OFFSET_ENV)
            offset_ns = int(text) if text else make_offset_ns()
        self.offset_ns = offset_ns

    def now_ns(self) -> int:
        """Stack time [ns]."""
        return time.monotonic_ns() + self.offset_ns

    def now(self) -> float:
        """Stack time [s]."""
        return self.now_ns() * 1e-9


class ReplayClock(StackClock):
    """Stack clock of a replay: it stands until the next recorded time is set."""

    def __init__(self) -> None:
        super().__init__(0)
        self._ns = 0

    def now_ns(self) -> int:
        """Recorded time [ns]."""
        return self._ns

    def set(self, t: float) -> None:
        """Moves to recorded time t [s]."""
        self._ns = round(t * 1e9)


class ManualClock:
    """Clock that the lock-step loop or a replay moves."""

    def __init__(self, t: float = 0.0) -> None:
        self._t = t

    def now(self) -> float:
        """Stack time [s]."""
        return self._t

    def set(self, t: float) -> None:
        """Moves time forward; going back is an error."""
        if t < self._t:
            raise ValueError(f"time cannot go back from {self._t} to {t}")
        self._t = t


class DeviceClock:
    """Maps the stamps of a device's own clock to ours, from when its messages arrive.

    The message that took the least time gives the offset between the clocks; what the others took longer is theirs.
    The least time itself cannot be seen from one side: it stays in the mapped stamps.
    """

    def __init__(self) -> None:
        self._offset = math.inf
        self._t = -math.inf

    def map(self, received: float, stamp: float) -> float:
        """Our time [s] of a device's `stamp` [s] that arrived at `received` [s]; `received` when it has none (NaN)."""
        if not math.isfinite(stamp):
            return received
        offset = received - stamp
        drifted = self._offset + DRIFT * max(0.0, received - self._t)
        self._offset = offset if abs(offset - drifted) > STEP_S else min(offset, drifted)
        self._t = max(self._t, received)
        return stamp + self._offset


def to_ros_ns(t: float) -> tuple[int, int]:
    """(sec, nanosec) of a header stamp."""
    ns = round(t * 1e9)
    return ns // 1_000_000_000, ns % 1_000_000_000

"""The one contract of all drivers: sans-I/O steps between received bytes and SI samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from giljabi.types import Sample, StackState
from giljabi.wire import EncodeTable


@dataclass(frozen=True, slots=True)
class Received:
    """A chunk as it arrived: stream bytes (any chunking) or one CAN frame, with its receive time."""

    t: float  # stack time of reception [s]
    data: bytes
    can_id: int = -1  # -1: a byte stream or a datagram
    bus: int = 0  # CAN bus; of a stream: its connection or sender, whose bytes belong together
    flags: int = 0  # CAN: 1 extended, 2 remote, 4 error, 8 FD


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one driver step gives."""

    samples: Sequence[Sample]
    # Polls and acknowledgements, of CAN drivers as struct can_frame; never actuator values: those go through the guard.
    to_send: Sequence[bytes] = ()
    next_deadline: float = float("inf")  # the driver wants to be stepped again by then [s]


@dataclass(slots=True)
class DriverStats:
    """What was accepted and what was dropped, by reason."""

    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)  # accepted, but nothing the stack uses, by message name
    flagged: dict[str, int] = field(default_factory=dict)  # accepted with a remark, e.g. counter_skipped
    last_t: dict[str, float] = field(default_factory=dict)  # newest receive time by message name

    def reject(self, reason: str, n: int = 1) -> None:
        """Counts a dropped message."""
        if n > 0:
            self.rejected[reason] = self.rejected.get(reason, 0) + n

    def flag(self, remark: str, n: int = 1) -> None:
        """Counts a message that was accepted with a remark."""
        self.flagged[remark] = self.flagged.get(remark, 0) + n


class Authority(Protocol):
    """A driver whose device has an authority of its own (an autopilot): it follows the guard, or says why not."""

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """Takes the guard's state and outputs, at every tick; returns why the guard must disarm, or an empty text."""


class Driver(Protocol):
    """A device: bytes in, samples out; and how the guard shall speak to it."""

    name: str
    stats: DriverStats

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes what arrived since the last step; never raises on bad bytes, counts them instead."""

    def encode_table(self) -> EncodeTable | None:
        """Table for the guard, or None when the device takes no commands."""

    def health(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when the device is well (e.g. {"gnss": "no fix for 3.1 s"})."""


@runtime_checkable
class Diagnosing(Protocol):
    """A driver that has more to tell than problems; optional."""

    def diagnostics(self, now: float) -> Mapping[str, str]:
        """What people may want to know, as text by key: rates, counts, ages. Small, and cheap to make."""


@runtime_checkable
class Selective(Protocol):
    """A CAN driver that needs some identifiers only; optional. A bus that can filter gives it no others."""

    def listens(self) -> Collection[int]:
        """Identifiers, bit 31 set for the extended format."""


@runtime_checkable
class Asked(Protocol):
    """A driver whose device speaks only when it is asked; optional. The guard asks while it runs."""

    def ask(self, now: float) -> bytes:
        """A question that changes nothing, for who listens without a guard; empty while replies are due."""


def diagnostics_of(driver: Driver, now: float) -> dict[str, str]:
    """What a driver tells: its own diagnostics, else what it dropped and flagged, by reason."""
    if isinstance(driver, Diagnosing):
        return dict(driver.diagnostics(now))
    stats = driver.stats
    out = {"taken": str(stats.accepted)}
    out |= {f"dropped.{reason}": str(n) for reason, n in stats.rejected.items()}
    return out | {f"flagged.{remark}": str(n) for remark, n in stats.flagged.items()}

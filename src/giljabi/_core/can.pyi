"""
CAN frames: checksums by name, the watch over a bus, reading
"""

from __future__ import annotations

import collections.abc
import typing

from giljabi.wire import WireChecksum, WireCounter

__all__: list[str] = ["Checksum", "Reader", "Watch", "checksum_kinds", "counter_max"]

_Frame = typing.TypeVar("_Frame")

class Checksum:
    """
    Checksum of one CAN message; ValueError when it is wrongly described.
    """
    def __init__(
        self,
        spec: WireChecksum,
        counter: WireCounter | None,
        can_id: int,
        extended: bool,
        size: int,
        what: str = "checksum",
    ) -> None: ...
    def ok(self, data: bytes) -> bool:
        """
        Whether checksum and header of a payload are right.
        """
    def put(self, data: bytes) -> bytes:
        """
        The payload with its checksum and header.
        """
    def value(self, data: bytes) -> int:
        """
        Checksum of a payload whose counter is in place.
        """

class Reader(typing.Generic[_Frame]):
    """
    CAN frames out of a socket or a stream; times in s.
    """
    def __init__(self, received: type[_Frame], framing: str, bus: int = 0) -> None:
        """
        received: the class of frames; framing: socketcan, can_msgpack or slcan.
        """
    def drain(
        self, fd: int, now: float, limit: int = 4096, own_address: int = 0, own_port: int = 0
    ) -> tuple[list[_Frame], list[float]]:
        """
        (frames, the hardware's stamp of each where there is one); datagrams of our own sender are left out.
        """
    def parse(self, chunk: bytes, t: float) -> list[_Frame]:
        """
        Frames of a datagram, or of any part of a stream of slcan.
        """
    @property
    def malformed(self) -> int:
        """
        Datagrams or lines that are no frame.
        """
    @property
    def overflow(self) -> int:
        """
        Frames that the kernel dropped, since opening.
        """
    @property
    def refused(self) -> int:
        """
        Commands that an slcan adapter refused.
        """
    @property
    def stamps(self) -> str:
        """
        Where stamps come from: hardware, kernel or read.
        """

class Watch(typing.Generic[_Frame]):
    """
    Checks, counts and reads the frames of one bus; times in s.
    """
    def __init__(self, received: type[_Frame], bus: int = -1) -> None:
        """
        received: the class of frames; bus: only frames of this one, -1 all.
        """
    def add(self, message: typing.Any, wanted: bool, counted: bool) -> int:
        """
        Watches a message of a database; returns its index. wanted: feed gives its frames out.
        """
    def expire(self, now: float) -> float:
        """
        Marks messages that are silent for 2.5 periods; returns when the next one would be.
        """
    def feed(self, frames: collections.abc.Sequence[_Frame]) -> tuple[list[tuple[int, _Frame]], dict[str, int]]:
        """
        ([(index, frame)] of wanted messages, counts by verdict).
        """
    def told(self, index: int) -> dict[str, float]:
        """
        Counts by verdict, last_t, interval_s, period_s, stale.
        """
    def values(self, index: int) -> dict[str, float]:
        """
        Newest signals of a message, in the units of its database.
        """

def checksum_kinds() -> list[str]:
    """
    Names of all kinds of checksums.
    """

def counter_max(kind: str) -> int:
    """
    Highest value of the counter that a kind of checksum prescribes, -1 for none.
    """

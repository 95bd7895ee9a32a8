"""NMEA 2000 on CAN: 29-bit identifiers and fast packets (IEC 61162-3; ISO 11783-3 for the identifier)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

GLOBAL = 255  # destination: everybody
NULL = 254  # source of a node without an address
FIRST_BYTES, NEXT_BYTES = 6, 7  # of a fast packet, in its first and in each further frame
LONGEST = FIRST_BYTES + 31 * NEXT_BYTES  # bytes, IEC 61162-3
LATER_MAX = 4  # packets begun later; the counter comes round after eight, and nothing may be left of it then
PDU1_BELOW = 240  # PDU format: below it the next byte is the destination, else it belongs to the PGN


@dataclass(frozen=True, slots=True)
class Header:
    """What a 29-bit identifier says."""

    priority: int  # 0 first
    pgn: int
    source: int
    destination: int  # 255: everybody

    @classmethod
    def of(cls, can_id: int) -> Header:
        """Takes an identifier apart."""
        form, specific = can_id >> 16 & 0xFF, can_id >> 8 & 0xFF
        pgn = can_id >> 8 & 0x3FF00
        if form < PDU1_BELOW:
            return cls(can_id >> 26 & 7, pgn, can_id & 0xFF, specific)
        return cls(can_id >> 26 & 7, pgn | specific, can_id & 0xFF, GLOBAL)

    @property
    def can_id(self) -> int:
        """The identifier."""
        specific = self.destination << 8 if self.pgn >> 8 & 0xFF < PDU1_BELOW else 0
        return self.priority << 26 | self.pgn << 8 | specific | self.source


@dataclass(slots=True)
class _Packet:
    """Frames of one packet that have come so far."""

    t: float  # of the newest
    total: int
    data: bytearray
    last: bytes  # newest frame, to know its repetition
    index: int = 0  # of the newest
    later: int = 0  # packets that the same sender has begun since


Key = tuple[int, int, int]  # bus, identifier without priority, sequence counter


@dataclass(slots=True)
class FastPackets:
    """Assembles; nothing is glued that does not belong together, and memory is bounded by `packets_max`.

    reject(reason) is called for what is dropped: `fast_timeout`, `fast_order`, `fast_orphan` (a frame whose packet did
    not begin or was dropped), `fast_restarted`, `fast_stale`, `fast_length`, `fast_short`, `fast_evicted`;
    flag(remark) for `duplicate_frame`, which does no harm.
    """

    reject: Callable[[str], None]
    flag: Callable[[str], None]
    timeout_s: float = 0.75  # between two frames of a packet
    packets_max: int = 64
    packets: OrderedDict[Key, _Packet] = field(default_factory=OrderedDict)

    def feed(self, t: float, bus: int, can_id: int, frame: bytes) -> bytes | None:
        """One frame; the whole packet when it is the last one of it."""
        if len(frame) < 2:
            self.reject("fast_short")
            return None
        stream, sequence, index = can_id & 0x3FFFFFF, frame[0] >> 5, frame[0] & 0x1F
        key = (bus, stream, sequence)
        packet = self.packets.get(key)
        if packet is not None and not 0.0 <= t - packet.t <= self.timeout_s:
            self._drop(key, "fast_timeout")
            packet = None
        if index == 0:
            return self._begin(key, packet, t, frame)
        if packet is None:
            self.reject("fast_orphan")
            return None
        if index == packet.index and frame == packet.last:
            self.flag("duplicate_frame")
            return None
        if index != packet.index + 1:
            self._drop(key, "fast_order")
            return None
        return self._add(key, packet, t, frame, frame[1:])

    def forget(self, bus: int, source: int) -> None:
        """Drops what an address began: somebody else has it now."""
        for key in [k for k in self.packets if k[0] == bus and k[1] & 0xFF == source]:
            self._drop(key, "fast_stale")

    def expire(self, t: float) -> None:
        """Drops packets whose next frame is overdue."""
        while self.packets:
            key, packet = next(iter(self.packets.items()))
            if 0.0 <= t - packet.t <= self.timeout_s:
                return
            self._drop(key, "fast_timeout")

    def _begin(self, key: Key, packet: _Packet | None, t: float, frame: bytes) -> bytes | None:
        if packet is not None:
            if packet.index == 0 and frame == packet.last:
                self.flag("duplicate_frame")
                return None
            self._drop(key, "fast_restarted")
        for old in [k for k in self.packets if k[:2] == key[:2]]:
            self.packets[old].later += 1
            if self.packets[old].later >= LATER_MAX:
                self._drop(old, "fast_stale")
        total = frame[1]
        if not 1 <= total <= LONGEST:
            self.reject("fast_length")
            return None
        packet = self.packets[key] = _Packet(t, total, bytearray(), frame)
        if len(self.packets) > self.packets_max:
            self.packets.popitem(last=False)
            self.reject("fast_evicted")
        return self._add(key, packet, t, frame, frame[2:])

    def _add(self, key: Key, packet: _Packet, t: float, frame: bytes, data: bytes) -> bytes | None:
        packet.data += data
        if len(packet.data) >= packet.total:
            del self.packets[key]
            return bytes(packet.data[: packet.total])
        if len(frame) < 8:  # more is to come, so this frame is full
            self._drop(key, "fast_short")
            return None
        packet.t, packet.last, packet.index = t, frame, frame[0] & 0x1F
        self.packets.move_to_end(key)
        return None

    def _drop(self, key: Key, reason: str) -> None:
        del self.packets[key]
        self.reject(reason)

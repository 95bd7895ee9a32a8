"""MAVLink frames, versions 1 and 2: bytes in any chunking to messages, messages to bytes; CRC and signatures.

mavlink.io/en/guide/serialization.html and message_signing.html. The dialect's tables are pymavlink's.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastcrc import crc16
from pymavlink.dialects.v20 import ardupilotmega as dialect

V1, V2 = 0xFE, 0xFD
HEADER_V1, HEADER_V2, CRC, SIGNATURE = 6, 10, 2, 13
SIGNED = 0x01  # incompatibility flag; a frame with an unknown one must be dropped
STAMP_EPOCH = 1420070400.0  # 2015-01-01 UTC, where signing stamps begin
STAMPS_PER_S = 1e5
OLDEST_STREAM_S = 60.0  # a stream that was never heard may lie this far behind the newest stamp
MAX_STREAMS = 64
_ID = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Heard:
    """One good message: who sent it, and its fields as pymavlink's class has them."""

    t: float  # receive time [s]
    system: int
    component: int
    name: str
    message: Any
    signed: bool


def signing_stamp(t: float) -> int:
    """Signing stamp of stack time t [s]: 10 us since 2015; times before count from 0 (a simulated clock)."""
    return int((t - STAMP_EPOCH if t >= STAMP_EPOCH else max(t, 0.0)) * STAMPS_PER_S)


def signature_of(key: bytes, signed: bytes) -> bytes:
    """First six bytes of SHA-256 over key, frame, link id and stamp."""
    return hashlib.sha256(key + signed).digest()[:6]


@dataclass(slots=True)
class Parser:
    """One line of bytes: messages out, everything else counted by reason."""

    key: bytes = b""  # 32 bytes: only frames signed with it pass
    accepts_unsigned: frozenset[str] = frozenset()  # names that need no signature although there is a key
    reject: Callable[[str], None] = lambda reason: None
    _buffer: bytearray = field(default_factory=bytearray)
    _stamps: dict[tuple[int, int, int], int] = field(default_factory=dict)  # by system, component, link
    _sequence: dict[tuple[int, int], int] = field(default_factory=dict)
    lost: int = 0  # messages that a gap in the sequence stands for

    def feed(self, t: float, data: bytes) -> Iterator[Heard]:
        """Messages in `data`, which arrived at t [s]; never raises on bad bytes."""
        self._buffer += data
        buffer, at, out = self._buffer, 0, []
        while True:
            start = at
            while at < len(buffer) and buffer[at] not in (V1, V2):
                at += 1
            if at > start:
                self.reject("framing")
            size = self._size(at)
            if size == 0 or len(buffer) - at < size:
                break
            frame = bytes(buffer[at : at + size])
            heard, reason = self._take(t, frame)
            # Another frame may begin inside of what only looked like one; of an unknown message nothing can be checked.
            at += 1 if reason in ("crc", "flags", "unknown_message") else size
            if reason:
                self.reject(reason)
            if heard is not None:
                out.append(heard)
        del buffer[:at]
        return iter(out)

    def _size(self, at: int) -> int:
        """Length of the frame at `at`; 0 while its header is not there."""
        b = self._buffer
        if len(b) - at < 3:
            return 0
        if b[at] == V1:
            return HEADER_V1 + b[at + 1] + CRC
        return HEADER_V2 + b[at + 1] + CRC + (SIGNATURE if b[at + 2] & SIGNED else 0)

    def _take(self, t: float, frame: bytes) -> tuple[Heard | None, str]:
        v2 = frame[0] == V2
        size = frame[1]
        if v2:
            if frame[2] & ~SIGNED:
                return None, "flags"
            sequence, system, component = frame[4], frame[5], frame[6]
            (number,) = _ID.unpack(frame[7:10] + b"\0")
            header = HEADER_V2
        else:
            sequence, system, component, number = frame[2], frame[3], frame[4], frame[5]
            header = HEADER_V1
        kind = dialect.mavlink_map.get(number)
        if kind is None:
            return None, "unknown_message"
        end = header + size
        if crc16.mcrf4xx(frame[1:end] + bytes((kind.crc_extra,))) != int.from_bytes(frame[end : end + 2], "little"):
            return None, "crc"
        signed = v2 and bool(frame[2] & SIGNED)
        reason = self._signature(frame, signed, system, component, kind.msgname) if self.key else ""
        if reason:
            return None, reason
        self._count(system, component, sequence)
        try:
            return Heard(t, system, component, kind.msgname, unpack(kind, frame[header:end]), signed), ""
        except (struct.error, UnicodeDecodeError, ValueError):
            return None, "payload"

    def _count(self, system: int, component: int, sequence: int) -> None:
        before = self._sequence.get((system, component))
        if before is not None:
            self.lost += (sequence - before - 1) % 256
        elif len(self._sequence) >= MAX_STREAMS:
            self._sequence.clear()
        self._sequence[system, component] = sequence

    def _signature(self, frame: bytes, signed: bool, system: int, component: int, name: str) -> str:
        if not signed:
            return "" if name in self.accepts_unsigned else "unsigned"
        body, given = frame[:-6], frame[-6:]
        if not hmac.compare_digest(signature_of(self.key, body), given):
            return "signature"
        link, stamp = body[-7], int.from_bytes(body[-6:], "little")
        stream = (system, component, link)
        last = self._stamps.get(stream)
        if last is None:
            newest = max(self._stamps.values(), default=0)
            if stamp < newest - OLDEST_STREAM_S * STAMPS_PER_S or len(self._stamps) >= MAX_STREAMS:
                return "replayed"
        elif stamp <= last:
            return "replayed"
        self._stamps[stream] = stamp
        return ""


def unpack(kind: Any, payload: bytes) -> Any:
    """Fields of a payload as an object of pymavlink's class; zeros that were cut are put back."""
    packer = kind.unpacker
    values = packer.unpack(payload[: packer.size].ljust(packer.size, b"\0"))
    out: list[Any] = []
    at = 0
    for length, text in zip(kind.lengths, kind.array_lengths, strict=True):
        value = values[at]
        if isinstance(value, bytes):
            value, at = value.rstrip(b"\0"), at + 1
        elif text:
            value, at = list(values[at : at + length]), at + length
        else:
            at += 1
        out.append(value)
    return kind(*(out[order] for order in kind.orders))


@dataclass(slots=True)
class Speaker:
    """The driver's own voice on a link: sequence, signature."""

    system: int
    component: int
    key: bytes = b""
    link_id: int = 0
    _mav: Any = None
    _stamp: int = 0

    def __post_init__(self) -> None:
        self._mav = dialect.MAVLink(None, srcSystem=self.system, srcComponent=self.component)

    def encode(self, now: float, message: Any) -> bytes:
        """Bytes of a message, sent at stack time `now` [s]."""
        frame = bytearray(message.pack(self._mav, force_mavlink1=False))
        self._mav.seq = (self._mav.seq + 1) % 256
        if not self.key:
            return bytes(frame)
        frame[2] |= SIGNED
        kind = dialect.mavlink_map[message.get_msgId()]
        crc = crc16.mcrf4xx(bytes(frame[1:-2]) + bytes((kind.crc_extra,)))
        frame[-2:] = crc.to_bytes(2, "little")
        self._stamp = max(signing_stamp(now), self._stamp + 1)
        body = bytes(frame) + bytes((self.link_id,)) + self._stamp.to_bytes(6, "little")
        return body + signature_of(self.key, body)

"""A half-duplex line of simulated servos: instruction packets in, status packets out, each at its time on the wire.

Protocols by hand from the makers' manuals: ROBOTIS e-Manual "DYNAMIXEL Protocol 2.0", Feetech "Communication Protocol
User Manual". What our own drivers send and read is another implementation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from giljabi_sim.peers.servo_device import ACCESS, SCS_SERIES, STS_SERIES, X_SERIES, Motor, Servo

Reply = tuple[float, bytes]  # time of its last byte [s], bytes
Family = Literal["dynamixel", "feetech_sts", "feetech_scs"]
SERIES = {"dynamixel": X_SERIES, "feetech_sts": STS_SERIES, "feetech_scs": SCS_SERIES}
PING, READ, WRITE, REG_WRITE, ACTION, RESET, REBOOT, CLEAR = 1, 2, 3, 4, 5, 6, 8, 0x10
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ, BULK_READ, BULK_WRITE, FAST_BULK_READ = 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A
BROADCAST = 0xFE


def _table() -> tuple[int, ...]:
    out = []
    for i in range(256):
        crc = i << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
        out.append(crc & 0xFFFF)
    return tuple(out)


_CRC = _table()


def crc16(data: bytes, crc: int = 0) -> int:
    """CRC of protocol 2.0."""
    for b in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC[crc >> 8 ^ b]
    return crc


LONGEST = 1024  # bytes of an instruction packet that a servo's receive buffer takes: an assumption, no manual says it


class ServoBus:
    """All servos of one line; `receive` takes what the master sends, `take` gives what is due."""

    def __init__(self, family: Family, ids: Sequence[int], baud: float, echo: bool = False) -> None:
        """echo: the adapter gives the master's own bytes back."""
        self.family, self.byte_s, self.echo = family, 10.0 / baud, echo
        self.servos = {i: Servo(SERIES[family], i, Motor()) for i in ids}
        self.gap: Literal["wait", "stop"] = "wait"  # what those behind a silent servo do in a plain sync read
        self.turnaround_s = 0.0  # from the end of a request to the reply
        self.collisions = 0
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        self.instructions: Counter[int] = Counter()
        self.dynamics = True
        self.at_once = False  # without dynamics: what is written as goal is read as position
        self._buffer = b""
        self._free = 0.0  # end of what is on the wire [s]
        self._out: list[Reply] = []
        self._t: float | None = None
        self._parse: Callable[[float], None] = self._dynamixel if family == "dynamixel" else self._feetech

    # --- time ---

    def move(self, now: float) -> None:
        """Moves the motors to `now` [s]."""
        last, self._t = self._t, now
        if last is None or now <= last or not self.dynamics:
            return
        n = max(1, int((now - last) / 2e-3 + 0.999))
        for k in range(n):
            for s in self.servos.values():
                s.step(last + (now - last) * (k + 1) / n, (now - last) / n)

    def receive(self, now: float, data: bytes) -> None:
        """Bytes of the master that begin to go over the wire at `now`."""
        if now < self._free - 1e-9 and self._out:
            # Both talk at once: neither is understood.
            self.collisions += 1
            self._out = [(t, bytes(b ^ 0x5A for b in d)) for t, d in self._out]
            self._buffer = b""
            return
        self._free = now + len(data) * self.byte_s
        if self.echo:
            self._out.append((self._free, data))
        self._buffer += data
        self._parse(now)

    def take(self, now: float) -> list[bytes]:
        """Replies whose last byte is through by `now`."""
        due = [d for t, d in self._out if t <= now + 1e-9]
        self._out = [(t, d) for t, d in self._out if t > now + 1e-9]
        return due

    @property
    def next_due(self) -> float:
        """Time of the next reply; infinite when there is none."""
        return min((t for t, _ in self._out), default=float("inf"))

    def _send(self, servo: Servo | None, data: bytes, delay: float) -> None:
        if servo is not None and servo.corrupt > 0:
            servo.corrupt -= 1
            data = data[:-3] + bytes([data[-3] ^ 0x10]) + data[-2:]
        self._free += delay + len(data) * self.byte_s
        self._out.append((self._free, data))

    def _delay(self, servo: Servo) -> float:
        return self.turnaround_s

    # --- Dynamixel ---

    def _dynamixel(self, now: float) -> None:
        while True:
            at = self._buffer.find(b"\xff\xff\xfd\x00")
            if at < 0:
                self._buffer = self._buffer[-3:]
                return
            p = self._buffer[at:]
            total = 7 + int.from_bytes(p[5:7], "little")
            if total > LONGEST:  # a length with a flipped bit: it would swallow what follows for half a second
                self.rejected["length"] += 1
                self._buffer = p[4:]
                continue
            if len(p) < max(10, total):
                self._buffer = p
                return
            packet, self._buffer = p[:total], p[total:]
            if crc16(packet[:-2]) != int.from_bytes(packet[-2:], "little"):
                self.rejected["checksum"] += 1
                self._buffer = p[4:]
                continue
            body = packet[7:-2].replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
            self.accepted += 1
            for s in self.servos.values():
                s.heard = now
            self._obey(packet[4], body[0], body[1:])

    def _status(self, servo: Servo, error: int, data: bytes = b"") -> bytes:
        body = bytes([0x55, error | servo.error]) + data
        stuffed = body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        head = b"\xff\xff\xfd\x00" + bytes([servo.id]) + (len(stuffed) + 2).to_bytes(2, "little") + stuffed
        return head + crc16(head).to_bytes(2, "little")

    def _obey(self, id_: int, instruction: int, q: bytes) -> None:
        self.instructions[instruction] += 1

        def word(at: int) -> int:
            return int.from_bytes(q[at : at + 2], "little")

        if instruction in (SYNC_READ, FAST_SYNC_READ):
            spans = [(i, word(0), word(2)) for i in q[4:]]
            self._many(spans, instruction == FAST_SYNC_READ)
        elif instruction in (BULK_READ, FAST_BULK_READ):
            spans = [(q[k], word(k + 1), word(k + 3)) for k in range(0, len(q) - 4, 5)]
            self._many(spans, instruction == FAST_BULK_READ)
        elif instruction == SYNC_WRITE:
            size = word(2)
            for k in range(4, len(q) - size, size + 1):
                self._write(q[k], word(0), q[k + 1 : k + 1 + size])
        elif instruction == BULK_WRITE:
            k = 0
            while k + 5 <= len(q):
                self._write(q[k], word(k + 1), q[k + 5 : k + 5 + word(k + 3)])
                k += 5 + word(k + 3)
        else:
            self._single(id_, instruction, q, word)

    def _write(self, id_: int, address: int, data: bytes) -> None:
        servo = self.servos.get(id_)
        if servo is not None and not servo.silent:
            servo.write(address, data)
            if self.at_once:
                (goal, size), (position, _) = servo.places.goal, servo.places.position
                servo.table[position : position + size] = servo.table[goal : goal + size]

    def _many(self, spans: Sequence[tuple[int, int, int]], fast: bool) -> None:
        if not fast:
            for i, address, size in spans:
                servo = self.servos.get(i)
                if servo is None or servo.silent:
                    if self.gap == "stop":
                        return
                    self._free += self.turnaround_s + (11 + size) * self.byte_s  # those behind wait for its time
                    continue
                data = servo.read(address, size)
                self._send(servo, self._status(servo, ACCESS if data is None else 0, data or b""), self._delay(servo))
            return
        length = 1 + sum(4 + size for _, _, size in spans)
        out = b"\xff\xff\xfd\x00\xfe" + length.to_bytes(2, "little") + b"\x55"
        crc, broken = crc16(out), []
        for i, address, size in spans:
            servo = self.servos.get(i)
            if servo is None or servo.silent:
                if i == spans[0][0]:
                    return
                break
            part = bytes([servo.error, i]) + (servo.read(address, size) or bytes(size))
            crc = crc16(part, crc)
            field = crc.to_bytes(2, "little")
            crc = crc16(field, crc)
            if servo.corrupt > 0:
                servo.corrupt -= 1
                broken.append(len(out) + 2)
            out += part + field
        for at in broken:
            out = out[:at] + bytes([out[at] ^ 0x10]) + out[at + 1 :]
        self._send(None, out, self.turnaround_s)

    def _single(self, id_: int, instruction: int, q: bytes, word: Callable[[int], int]) -> None:
        broadcast = id_ == BROADCAST
        for servo in [s for s in self.servos.values() if (broadcast or s.id == id_) and not s.silent]:
            level = servo.table[servo.places.status_level]
            error, data = 0, b""
            if instruction == PING:
                data, level = bytes(servo.table[0:2] + servo.table[6:7]), 2
            elif instruction == READ:
                got = servo.read(word(0), word(2))
                error, data, level = (ACCESS, b"", max(level, 1)) if got is None else (0, got, level + 1)
            elif instruction == WRITE:
                error = servo.write(word(0), q[2:])
            elif instruction == REG_WRITE:
                servo.pending = (word(0), q[2:])
            elif instruction == ACTION:
                if servo.pending is not None:
                    error, servo.pending = servo.write(*servo.pending), None
            elif instruction == REBOOT:
                reply = self._status(servo, 0)
                servo.reboot()
                self._send(servo, reply, self._delay(servo))
                continue
            elif instruction == CLEAR:
                error = 0 if q == b"\x01DXL\x22" else ACCESS
            elif instruction == RESET:
                servo.__post_init__()
            else:
                error = 2
            if level >= 2 and (not broadcast or instruction == PING):
                self._send(servo, self._status(servo, error, data), self._delay(servo))

    # --- Feetech ---

    def _feetech(self, now: float) -> None:
        while True:
            at = self._buffer.find(b"\xff\xff")
            if at < 0:
                self._buffer = self._buffer[-1:]
                return
            p = self._buffer[at:]
            if len(p) < 6 or len(p) < 4 + p[3]:
                self._buffer = p
                return
            packet = p[: 4 + p[3]]
            if p[2] == 0xFF or p[3] < 2 or ~sum(packet[2:-1]) & 0xFF != packet[-1]:
                self.rejected["checksum"] += 1
                self._buffer = p[1:]
                continue
            self._buffer = p[4 + p[3] :]
            self.accepted += 1
            for s in self.servos.values():
                s.heard = now
            self._obey_feetech(packet[2], packet[4], packet[5:-1])

    def _short(self, servo: Servo, data: bytes = b"") -> bytes:
        body = bytes([servo.id, len(data) + 2, servo.error]) + data
        return b"\xff\xff" + body + bytes([~sum(body) & 0xFF])

    def _obey_feetech(self, id_: int, instruction: int, q: bytes) -> None:
        self.instructions[instruction] += 1
        if instruction == SYNC_READ:
            for i in q[2:]:
                servo = self.servos.get(i)
                if servo is None or servo.silent:
                    if self.gap == "stop":
                        return
                    self._free += self.turnaround_s + (6 + q[1]) * self.byte_s
                    continue
                self._send(servo, self._short(servo, servo.read(q[0], q[1]) or b""), self._delay(servo))
            return
        if instruction == SYNC_WRITE:
            for k in range(2, len(q) - q[1], q[1] + 1):
                self._write(q[k], q[0], q[k + 1 : k + 1 + q[1]])
            return
        for servo in [s for s in self.servos.values() if id_ in (BROADCAST, s.id) and not s.silent]:
            data = b""
            answers = servo.table[servo.places.status_level] > 0 or instruction in (PING, READ)
            if instruction == READ:
                data = servo.read(q[0], q[1]) or b""
            elif instruction == WRITE:
                servo.write(q[0], q[1:])
            elif instruction == REG_WRITE:
                servo.pending = (q[0], q[1:])
            elif instruction == ACTION and servo.pending is not None:
                servo.write(*servo.pending)
                servo.pending = None
            if answers and (id_ != BROADCAST or instruction == PING):
                self._send(servo, self._short(servo, data), self._delay(servo))

"""A line of servos for a person at a keyboard: one question, one answer. The stack's own way is servo.py."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from giljabi._core.servo import Codec, Parser
from giljabi.types import BadInputError, GiljabiError
from giljabi_drivers.servo_start import number, to_bytes
from giljabi_drivers.servo_tables import Family, Model, Register, Table, default_table, model_of
from giljabi_drivers.stream_transports import SerialTransport
from giljabi_drivers.transport import open_transport, parse_url
from giljabi_drivers.transport_base import Transport

PING, FACTORY_RESET, REBOOT = 1, 6, 8
BROADCAST = 254
TRIES, FEW = 3, 32
LATENCY_S = 0.015  # of an adapter in low-latency mode
SLOW_LATENCY_S = 0.03  # an FTDI adapter waits 16 ms with what came unless it is told not to
NET_LATENCY_S = 0.1
BROADCAST_S = 0.003  # most that each servo takes for its turn to answer a ping to all
ERRORS = {
    1: "failed", 2: "unknown instruction", 3: "checksum", 4: "value out of range", 5: "wrong length",
    6: "beyond its limit", 7: "access refused",
}  # fmt: skip


class ServoError(GiljabiError):
    """A servo did not answer, or refused."""


def port_url(text: str, baud: int | None) -> str:
    """A device URL from what people type: serial:/dev/ttyUSB0, /dev/ttyUSB0 or tcp:HOST:PORT. Raises BadInputError."""
    url = f"serial:{text}" if text.startswith(("/", "COM")) else text
    parts = parse_url(url)
    if parts.scheme not in ("serial", "tcp"):
        raise BadInputError(
            f"--port {text}: servos are on a serial line; serial:/dev/ttyUSB0 or tcp:HOST:PORT is expected"
        )
    if parts.scheme == "tcp" or baud is None:
        return url
    return f"serial:{parts.rest}?baud={baud}"


@dataclass(frozen=True, slots=True)
class Found:
    """A servo that answered."""

    family: Family
    id: int
    number: int
    model: Model | None

    @property
    def table(self) -> Table:
        return self.model.table if self.model is not None else default_table(self.family)

    @property
    def name(self) -> str:
        return self.model.name if self.model is not None else f"model {self.number}"


class Line:
    """One line at one speed."""

    def __init__(self, url: str, family: Family) -> None:
        """Raises BadInputError for a wrong URL, ServoError when the port cannot be opened."""
        self.url, self.hint = url, ""
        self._transport: Transport = open_transport(url)
        begin = time.monotonic()
        while self._transport.command_fd() < 0 and time.monotonic() - begin < 3.0:
            self._transport.read(time.monotonic())
            if self._transport.problem not in ("", "connecting"):
                break
            time.sleep(0.01)
        if self._transport.command_fd() < 0:
            problem = self._transport.problem
            self._transport.close()
            raise ServoError(f"{url}: {problem}; is the adapter plugged in, and may you open it?")
        parts = parse_url(url)
        self.baud = int(parts.options.get("baud", "1000000"))
        self._latency = NET_LATENCY_S if parts.scheme == "tcp" else LATENCY_S
        if isinstance(self._transport, SerialTransport) and self._transport.slow:
            self._latency, self.hint = SLOW_LATENCY_S, self._transport.slow
        self.use(family)

    @property
    def fd(self) -> int:
        return self._transport.command_fd()

    def use(self, family: Family) -> None:
        """Speaks another protocol from here on."""
        self.family: Family = family
        self.codec, self._parser = Codec(family), Parser(family)

    def close(self) -> None:
        self._transport.close()

    # --- questions ---

    def answers(self, packet: bytes, wait_s: float, stop_after: int = 0) -> Iterator[tuple[int, int, bytes]]:
        """Replies within a time, or until so many have come."""
        self._transport.read(time.monotonic())  # what is left of the question before
        self._parser = Parser(self.family)
        self._parser.sent(packet)
        self._transport.write(packet)
        end = time.monotonic() + wait_s + 10.0 * len(packet) / self.baud
        count = 0
        while time.monotonic() < end and not (stop_after and count >= stop_after):
            chunks = self._transport.read(time.monotonic())
            if not chunks:
                if self._transport.problem:
                    raise ServoError(f"{self.url}: {self._transport.problem}")
                time.sleep(2e-4)
            for c in chunks:
                for reply in self._parser.feed(c.data):
                    count += 1
                    yield reply

    def ask(self, packet: bytes, servo: int, size: int) -> bytes | None:
        """Data of the reply of one servo; None when it is silent. Raises ServoError when it refuses."""
        wait = self._latency + 10.0 * (size + 20) / self.baud + 1e-3
        for who, error, data in self.answers(packet, wait):
            if who != servo:
                continue  # a late answer to the question before
            refused = error & 0x7F if self.family == "dynamixel" else 0
            if refused:
                raise ServoError(f"servo {servo} refuses: {ERRORS.get(refused, f'error {refused}')}")
            return data
        return None

    def ping(self, servo: int) -> Found | None:
        """A servo, or None."""
        data = self.ask(self.codec.plain(servo, PING), servo, 3)
        if data is None:
            return None
        kind = self.read(servo, default_table(self.family).registers["model_number"]) if len(data) < 2 else None
        found = int.from_bytes(data[:2], "little") if kind is None else kind
        return Found(self.family, servo, found, model_of(self.family, found))

    def scan(self, ids: Sequence[int]) -> list[Found]:
        """All servos with one of these ids. Dynamixel answers a ping to all in turns, Feetech only one by one."""
        if self.family == "dynamixel" and len(ids) > FEW:
            wait = self._latency + len(ids) * (140.0 / self.baud + BROADCAST_S)
            heard = {i for i, _, _ in self.answers(self.codec.plain(BROADCAST, PING), wait)}
            ids = sorted(heard & set(ids))
        tries = TRIES if len(ids) <= FEW else 1  # many ids: who is asked for by name is worth the time
        return [f for i in ids if (f := self._try(i, tries)) is not None]

    def _try(self, servo: int, tries: int) -> Found | None:
        try:
            return next((f for _ in range(tries) if (f := self.ping(servo)) is not None), None)
        except ServoError:
            return Found(self.family, servo, 0, None)

    # --- registers ---

    def read(self, servo: int, r: Register) -> int | None:
        """A raw value; None when the servo is silent."""
        for _ in range(TRIES):
            data = self.ask(self.codec.read(servo, r.address, r.size), servo, r.size)
            if data is not None and len(data) == r.size:
                return number(self.family, r, data)
        return None

    def write(self, servo: int, r: Register, value: int) -> None:
        """Writes and waits for the acknowledgement, where there is one."""
        self.ask(self.codec.write(servo, r.address, to_bytes(self.family, r, value)), servo, 0)

    def instruct(self, servo: int, instruction: int, data: bytes = b"") -> None:
        """Reboot and the like."""
        self.ask(self.codec.plain(servo, instruction, data), servo, 0)

"""What all transports share: device URLs, opening with back-off, draining a socket."""

from __future__ import annotations

import math
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from giljabi.types import BadInputError
from giljabi_drivers.contract import Received

Framing = Literal["raw", "socketcan", "can_msgpack", "slcan", "iec61162_450"]
LOOPBACK = "127.0.0.1"
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 1.0
CHUNK = 65536
MAX_READS = 4096  # per read(): a flood must not hold up the caller
EXAMPLES = (
    "serial:/dev/ttyUSB0?baud=38400, tcp:HOST:PORT, tcp-listen:PORT, udp:HOST:PORT, udp-listen:PORT, "
    "udp-multicast:239.192.0.4:60004, can:socketcan/can0, can:udp_multicast/239.74.163.2?port=43113, "
    "can:slcan//dev/ttyACM0?bitrate=500000, can:python-can/INTERFACE/CHANNEL or can:virtual/NAME"
)


@dataclass(frozen=True, slots=True)
class Url:
    """A device URL, taken apart: `scheme:rest?options`."""

    text: str
    scheme: str
    rest: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Url:
        """Splits a URL; raises BadInputError when it has no scheme or its options are no `key=value`."""
        scheme, colon, tail = text.partition(":")
        rest, _, query = tail.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
        except ValueError:
            raise BadInputError(
                f"device '{text}': '{query}' is no list of options; key=value&... is expected"
            ) from None
        if not colon or not rest:
            raise BadInputError(f"device '{text}': not a device URL; {EXAMPLES} is expected")
        return cls(text, scheme, rest, dict(pairs))

    def error(self, what: str) -> BadInputError:
        return BadInputError(f"device '{self.text}': {what}")

    def allow(self, *names: str) -> None:
        """Raises BadInputError for an option that nobody reads."""
        for n in self.options:
            if n not in names:
                raise self.error(f"unknown option '{n}'; {', '.join(names) or 'none'} is expected")

    def number(self, name: str, text: str | None, low: int, high: int) -> int:
        """An integer option or part inside [low, high]."""
        if text is None or not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise self.error(f"{name} is '{text or ''}'; {low} to {high} is expected")
        return int(text)

    def host_port(self, text: str) -> tuple[str, int]:
        host, colon, port = text.rpartition(":")
        if not colon or not host:
            raise self.error(f"'{text}' is no HOST:PORT; e.g. 127.0.0.1:10110 is expected")
        return host, self.number("port", port, 1, 65535)

    def interface(self) -> str:
        """IPv4 address of the interface to use; loopback unless `?interface=` says otherwise."""
        text = self.options.get("interface", LOOPBACK)
        try:
            socket.inet_pton(socket.AF_INET, text)
        except OSError:
            raise self.error(f"interface is '{text}'; an IPv4 address of this machine is expected") from None
        return text


LINES = 256  # told apart, of one device


class Transport(ABC):
    """Bytes in and out of one device; see giljabi_drivers.transport."""

    framing: Framing = "raw"

    def __init__(self, url: Url) -> None:
        """Tries to open at once; a failure is told in `problem` and tried again by read()."""
        self.url = url
        self.problem = "not open yet"
        self.generation = 0  # goes up with every opening: descriptors taken before are void
        self.rejected: dict[str, int] = {}
        self._next_try = -math.inf
        self._retry = FIRST_RETRY_S
        self._is_open = False
        self._closed = False
        self._attempt()

    @property
    def line(self) -> int:
        """Number of the connection: half a sentence of one must not meet the first bytes of the next."""
        return self.generation % LINES

    # --- for the shell ------------------------------------------------------------------------------

    @abstractmethod
    def fileno(self) -> int:
        """Descriptor that becomes readable when there is something to read; -1 when there is none."""

    def command_fd(self) -> int:
        """Descriptor for the guard to write to; -1 when there is none."""
        return self.fileno()

    def diagnostics(self) -> Mapping[str, str]:
        """What there is to tell besides `problem`, as text by key."""
        return {f"dropped.{reason}": str(n) for reason, n in self.rejected.items()}

    def read(self, now: float) -> list[Received]:
        """Everything that has arrived, stamped `now` [s]; opens again when it is time. Never raises."""
        if self._closed:
            return []
        if not self._is_open:
            if now < self._next_try:
                return []
            if not self._attempt():
                self._back_off(now)
                return []
        try:
            out = self._receive(now)
        except (OSError, EOFError) as e:
            self._lose(now, reason(e))
            return []
        if out:
            self._retry = FIRST_RETRY_S
        return out

    def write(self, data: bytes) -> int:
        """Bytes taken; 0 while closed or when the device is busy. A broken device is noticed by the next read()."""
        if not self._is_open or self._closed:
            return 0
        try:
            return self._send(data)
        except OSError as e:
            self.problem = reason(e)
            return 0

    def close(self) -> None:
        """Lets the device go for good; may be called twice."""
        self._closed = True
        self._is_open = False
        self.problem = "closed"
        self._release()

    # --- for the kinds ------------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Opens the device; raises OSError. Calls `_opened` when it is ready, now or later."""

    @abstractmethod
    def _receive(self, now: float) -> list[Received]:
        """Drains the device without blocking; raises OSError or EOFError when it is gone."""

    @abstractmethod
    def _send(self, data: bytes) -> int:
        """Writes without blocking; raises OSError."""

    @abstractmethod
    def _release(self) -> None:
        """Closes what is open; never raises."""

    def _opened(self) -> None:
        self.generation += 1
        self.problem = ""

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _attempt(self) -> bool:
        try:
            self._is_open = True
            self._open()
        except OSError as e:
            self._is_open = False
            self.problem = reason(e)
            self._release()
        return self._is_open

    def _back_off(self, now: float) -> None:
        self._next_try = now + self._retry
        self._retry = min(2.0 * self._retry, LAST_RETRY_S)

    def _lose(self, now: float, why: str) -> None:
        self._is_open = False
        self.problem = why
        self._release()
        self._back_off(now)


def reason(e: BaseException) -> str:
    """What an error says, in a few words."""
    if isinstance(e, OSError) and e.strerror:
        return e.strerror
    return str(e) or type(e).__name__


class SocketTransport(Transport):
    """One non-blocking socket to read from and write to."""

    _socket: socket.socket | None = None

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        return drain_stream(self._socket, now, self.line)

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data) if self._socket is not None else 0
        except BlockingIOError:
            return 0

    def _release(self) -> None:
        s, self._socket = self._socket, None
        if s is not None:
            s.close()


def drain_stream(s: socket.socket, now: float, line: int) -> list[Received]:
    """Everything a connected stream has; EOFError when the peer hung up and nothing is left."""
    out: list[Received] = []
    for _ in range(MAX_READS):
        try:
            data = s.recv(CHUNK)
        except BlockingIOError:
            break
        if not data:
            if not out:
                raise EOFError("the peer hung up")
            break
        out.append(Received(now, data, bus=line))
    return out

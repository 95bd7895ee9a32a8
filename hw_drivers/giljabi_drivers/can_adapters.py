"""CAN adapters that are no socket: Lawicel's ASCII protocol on a serial line, and whatever python-can knows."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from typing import Any

from giljabi_drivers.can_state import ACTIVE, BUS_OFF, PASSIVE
from giljabi_drivers.can_transports import CanTransport, bad_choice, from_message, to_message
from giljabi_drivers.contract import Received
from giljabi_drivers.stream_transports import SerialTransport
from giljabi_drivers.transport_base import MAX_READS, Framing, Url

# CANUSB manual: S0 to S8; S9 as slcan adapters know it. CANable: Y2 and Y5 for the data phase of CAN FD.
BITRATES = {
    10_000: 0, 20_000: 1, 50_000: 2, 100_000: 3, 125_000: 4, 250_000: 5, 500_000: 6, 750_000: 7, 1_000_000: 8,
    83_300: 9,
}  # fmt: skip
DATA_BITRATES = {2_000_000: "Y2", 5_000_000: "Y5"}
STATE_CHECK_S = 0.05  # between questions after the state of a vendor's controller
QUEUE = 65536  # frames of a vendor's adapter that wait to be read


class SlcanTransport(CanTransport, SerialTransport):
    """An adapter with Lawicel's ASCII protocol: opened with its C, S and O commands, then t, T, d, D, b, B.

    It tells no bus state: only the age of its messages does.
    """

    framing: Framing = "slcan"

    def __init__(self, url: Url, path: str) -> None:
        url.allow("bitrate", "data_bitrate", "baud", "bus")
        if not path.startswith("/"):
            raise url.error(f"'{path}' is no path of a serial line; e.g. can:slcan//dev/ttyACM0 is expected")
        self._code = self._choice(url, "bitrate", "500000", BITRATES)
        self._data_code = DATA_BITRATES[int(url.options["data_bitrate"])] if self._fd(url) else ""
        self._setup(path, url.number("baud", url.options.get("baud", "115200"), 50, 4_000_000))
        CanTransport.__init__(self, url)

    @staticmethod
    def _choice(url: Url, name: str, default: str, choices: dict[int, Any]) -> Any:
        text = url.options.get(name, default)
        if not text.isdigit() or int(text) not in choices:
            raise bad_choice(url, name, text, choices)
        return choices[int(text)]

    def _fd(self, url: Url) -> bool:
        return "data_bitrate" in url.options and bool(self._choice(url, "data_bitrate", "", DATA_BITRATES))

    def _open(self) -> None:
        super()._open()
        # An empty line first: what an interrupted sender left in the adapter must not swallow the command.
        commands = ["", "C", f"S{self._code}", self._data_code, "O"]
        os.write(self.fileno(), b"".join(c.encode() + b"\r" for i, c in enumerate(commands) if c or i == 0))

    def _receive(self, now: float) -> list[Received]:
        out: list[Received] = []
        for chunk in super()._receive(now):
            out += self._reader.parse(chunk.data, now)
        if self._reader.malformed:
            self.rejected["malformed"] = self._reader.malformed
        if self._reader.refused:
            self.rejected["refused_by_adapter"] = self._reader.refused
        return out

    def _release(self) -> None:
        if self._port is not None:
            with contextlib.suppress(OSError):
                os.write(self.fileno(), b"C\r")
        super()._release()


class PythonCanTransport(CanTransport):
    """Any adapter that python-can knows: `can:python-can/INTERFACE/CHANNEL?bitrate=500000`.

    A thread receives; another takes what the guard writes into a socket pair and gives it to the adapter's library, so
    that the guard can write to buses without a descriptor. Other options of the URL go to python-can.
    """

    framing: Framing = "socketcan"

    def __init__(self, url: Url, rest: str) -> None:
        interface, slash, channel = rest.partition("/")
        if not interface or not slash or not channel:
            raise url.error(f"'{rest}' is no INTERFACE/CHANNEL; e.g. can:python-can/pcan/PCAN_USBBUS1 is expected")
        self._interface, self._channel = interface, channel
        self._extra: dict[str, Any] = {k: int(v) if v.isdigit() else v for k, v in url.options.items() if k != "bus"}
        self._bus: Any = None
        self._pump: _Pump | None = None
        self._asked = 0.0
        super().__init__(url)

    def fileno(self) -> int:
        return self._pump.wake.fileno() if self._pump is not None else -1

    def _write_fd(self) -> int:
        return self._pump.guard_end.fileno() if self._pump is not None else -1

    def _open(self) -> None:
        import can

        try:
            self._bus = can.Bus(interface=self._interface, channel=self._channel, **self._extra)
        except (can.CanError, OSError, ValueError, TypeError, ImportError, NotImplementedError, KeyError) as e:
            raise OSError(0, f"python-can cannot open it: {str(e) or type(e).__name__}") from None
        self._pump = _Pump(self._bus)
        self._state = self._told_state()
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        pump = self._pump
        assert pump is not None
        frames, clock = pump.take(), time.monotonic()
        if pump.error and not frames:
            raise OSError(0, pump.error)
        for name, n in (("send_failed", pump.failed), ("queue_overflow", pump.lost)):
            if n:
                self.rejected[name] = n
        if now - self._asked >= STATE_CHECK_S:
            self._asked = now
            told = self._told_state()
            if told != self._state:
                self._state = told
                self.bus.set(told)
        return [from_message(m, now - max(0.0, clock - t), self.bus_number) for t, m in frames]

    def _told_state(self) -> str:
        """The library's own word on the controller; libraries without one say active."""
        import can

        try:
            return {can.BusState.ERROR: BUS_OFF, can.BusState.PASSIVE: PASSIVE}.get(self._bus.state, ACTIVE)
        except Exception:  # vendors raise what they like
            return ACTIVE

    def _send(self, data: bytes) -> int:
        return self._pump.guard_end.send(data) if self._pump is not None else 0

    def _release(self) -> None:
        pump, self._pump = self._pump, None
        bus, self._bus = self._bus, None
        if pump is not None:
            pump.close()
        if bus is not None:
            with contextlib.suppress(Exception):  # vendors raise what they like
                bus.shutdown()


class _Pump:
    """Two threads between a python-can bus and descriptors."""

    def __init__(self, bus: Any) -> None:
        self.error = ""
        self.failed = self.lost = 0
        self.wake, self._wake_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.guard_end, self._bus_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for s in (self.wake, self._wake_end, self.guard_end):
            s.setblocking(False)
        self._bus = bus
        self._queue: deque[tuple[float, Any]] = deque()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"can-{name}", daemon=True)
            for name, work in (("receive", self._receive), ("send", self._send))
        ]
        for t in self._threads:
            t.start()

    def take(self) -> list[tuple[float, Any]]:
        """(monotonic time, message) of what came."""
        with contextlib.suppress(BlockingIOError):
            while self.wake.recv(64):
                pass
        return [self._queue.popleft() for _ in range(min(len(self._queue), MAX_READS))]

    def close(self) -> None:
        self._end.set()
        with contextlib.suppress(OSError):
            self.guard_end.shutdown(socket.SHUT_RDWR)
        for t in self._threads:
            t.join(timeout=1.0)
        for s in (self.wake, self._wake_end, self.guard_end, self._bus_end):
            s.close()

    def _receive(self) -> None:
        while not self._end.is_set():
            try:
                m = self._bus.recv(0.1)
            except Exception as e:  # vendors raise what they like
                self.error = str(e) or type(e).__name__
                m = None
            if m is not None and len(self._queue) >= QUEUE:
                self.lost += 1
            elif m is not None:
                self._queue.append((time.monotonic(), m))
            if m is not None or self.error:
                with contextlib.suppress(OSError):
                    self._wake_end.send(b"x")
            if self.error:
                return

    def _send(self) -> None:
        while not self._end.is_set():
            try:
                data = self._bus_end.recv(128)
            except OSError:
                return
            if not data:
                return
            message = to_message(data)
            try:
                if message is not None:
                    self._bus.send(message, timeout=0.05)
            except Exception:  # vendors raise what they like
                self.failed += 1

"""CAN buses: SocketCAN, python-can's udp_multicast pinned to one interface, and its virtual bus.

All of them read their error frames: while the controller is off the bus there is no descriptor to write to, which is
how the guard learns of it. Adapters behind a line or a library of their own are in can_adapters.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from giljabi._core.can import Reader
from giljabi.clock import DeviceClock
from giljabi.types import BadInputError
from giljabi_drivers import can_netlink
from giljabi_drivers.can_frames import unpack_socketcan
from giljabi_drivers.can_state import ACTIVE, ERROR, BusState
from giljabi_drivers.contract import Received
from giljabi_drivers.transport_base import (
    FIRST_RETRY_S,
    MAX_READS,
    Framing,
    SocketTransport,
    Transport,
    Url,
)

CAN_BUFFER = 1 << 22  # bytes the kernel may keep for us
SOL_CAN_RAW, CAN_RAW_FILTER, CAN_RAW_ERR_FILTER, CAN_RAW_FD_FRAMES = (
    101,
    1,
    2,
    5,
)  # linux/can/raw.h; not in every Python
SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RXQ_OVFL = 35, 37, 40  # asm-generic/socket.h
# linux/net_tstamp.h: RX_HARDWARE, RX_SOFTWARE, SOFTWARE, RAW_HARDWARE
STAMPS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6
MAX_FILTERS = 512  # CAN_RAW_FILTER_MAX
EFF, RTR = 1 << 31, 1 << 30
PROOF_S = 1.0  # frames heard so long after the controller went off prove that it is back
LAST_RESTART_S = 5.0  # longest pause between two tries to start a controller again


class CanTransport(Transport):
    """What all CAN buses share: bus number, bus state, restart with back-off, the kernel's stamps."""

    def __init__(self, url: Url) -> None:
        self.bus = BusState()
        self.bus_number = url.number("bus", url.options.get("bus", "0"), 0, 255)
        self.keys: Collection[int] | None = None  # what to listen to, None: everything
        self._reader = Reader(Received, self.framing, self.bus_number)
        self._clock = DeviceClock()
        self._off_since = math.nan
        self._restart_at = math.inf
        self._restart_wait = FIRST_RETRY_S
        self._restart_words = ""
        Transport.__init__(self, url)

    def listen(self, keys: Collection[int] | None) -> None:
        """Identifiers (bit 31: extended) that are of interest; a bus that can filter gives no others."""
        self.keys = keys

    def command_fd(self) -> int:
        return -1 if self.bus.off else self._write_fd()

    def read(self, now: float) -> list[Received]:
        out = super().read(now)
        if self._is_open:
            self._follow_state(now, out)
        return out

    def diagnostics(self) -> Mapping[str, str]:
        """Bus state, where stamps come from, what was dropped."""
        return {**self.bus.diagnostics(), "stamps": self._reader.stamps, **super().diagnostics()}

    # --- for the kinds ------------------------------------------------------------------------------

    def _write_fd(self) -> int:
        """Descriptor for the guard while the bus is well."""
        return self.fileno()

    def _restart(self) -> bool:
        """Restarts the controller; True when it is known to be back. OSError says why it cannot be."""
        raise OSError(errno.EOPNOTSUPP, "it restarts by itself")

    def _proven(self, now: float, frames: list[Received]) -> bool:
        """Whether frames tell that the controller is back without having said so."""
        return False

    # --- state --------------------------------------------------------------------------------------

    def _opened(self) -> None:
        super()._opened()
        self.bus.set(ACTIVE)
        self._restart_at = math.inf

    def _follow_state(self, now: float, frames: list[Received]) -> None:
        turned = self.bus.take(frames)
        if self.bus.off and not turned and self._proven(now, frames):
            turned = self.bus.set(ACTIVE)
        if turned and self.bus.off:
            self._off_since, self._restart_wait, self._restart_words = now, FIRST_RETRY_S, ""
            self._restart_at = now + self._restart_wait
        if self.bus.off and now >= self._restart_at:
            self._restart_wait = min(2.0 * self._restart_wait, LAST_RESTART_S)
            self._restart_at = now + self._restart_wait
            try:
                turned = self._restart() and self.bus.set(ACTIVE)
            except OSError as e:
                self._restart_words = f" ({e.strerror or e})"
        if self.bus.off:
            self.problem = self.bus.problem() + self._restart_words
        elif turned:
            self.problem = ""

    def _drain(self, fd: int, now: float, own: tuple[int, int] = (0, 0)) -> list[Received]:
        """Everything a datagram socket has; hardware stamps are mapped onto our clock."""
        frames, hardware = self._reader.drain(fd, now, MAX_READS, *own)
        if self._reader.malformed:
            self.rejected["malformed"] = self._reader.malformed
        if self._reader.overflow:
            self.rejected["kernel_overflow"] = self._reader.overflow
        if hardware:
            pairs = zip(frames, hardware, strict=True)
            frames = [replace(r, t=min(r.t, self._clock.map(r.t, h))) if h > 0.0 else r for r, h in pairs]
        return frames


def make_can_socket() -> socket.socket:
    """A raw CAN socket of the kernel; the seam for tests."""
    if not hasattr(socket, "AF_CAN"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no SocketCAN")
    return socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)


def stamp_options(s: socket.socket, hardware: bool) -> None:
    """Asks for the kernel's receive stamps and its count of dropped frames; goes on without what it does not know."""
    for option, value in ((SO_RXQ_OVFL, 1), (SO_TIMESTAMPING, STAMPS) if hardware else (SO_TIMESTAMPNS, 1)):
        try:
            s.setsockopt(socket.SOL_SOCKET, option, value)
        except OSError:
            if option == SO_TIMESTAMPING:
                s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def filters(keys: Collection[int]) -> bytes:
    """CAN_RAW_FILTER for these identifiers; data frames only, of their own format."""
    out = b""
    for key in sorted(keys):
        mask = (0x1FFFFFFF if key & EFF else 0x7FF) | EFF | RTR
        out += struct.pack("=II", key, mask)
    return out


class SocketCanTransport(CanTransport, SocketTransport):
    """A CAN interface of the kernel, classic and FD frames, error frames included."""

    framing: Framing = "socketcan"

    def __init__(self, url: Url, channel: str) -> None:
        url.allow("bus", "filters")
        if url.options.get("filters", "on") not in ("on", "off"):
            raise url.error(f"filters is '{url.options['filters']}'; on or off is expected")
        self._channel = channel
        super().__init__(url)

    def listen(self, keys: Collection[int] | None) -> None:
        super().listen(keys)
        if self._socket is not None:
            self._set_filters(self._socket)

    def _open(self) -> None:
        s = self._socket = make_can_socket()
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CAN_BUFFER)
        s.setsockopt(SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1)
        s.setsockopt(SOL_CAN_RAW, CAN_RAW_ERR_FILTER, 0x1FFFFFFF)  # CAN_ERR_MASK: all of them
        stamp_options(s, hardware=True)
        self._set_filters(s)
        s.bind((self._channel,))
        self._opened()

    def _set_filters(self, s: socket.socket) -> None:
        use = self.keys is not None and len(self.keys) <= MAX_FILTERS and self.url.options.get("filters") != "off"
        everything = struct.pack("=II", 0, 0)
        s.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, filters(self.keys or ()) if use else everything)

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        return self._drain(self._socket.fileno(), now)

    def _restart(self) -> bool:
        try:
            can_netlink.restart(self._channel)
        except OSError as e:
            if e.errno == errno.EBUSY:  # it is not off the bus: its error frame was lost
                return True
            if e.errno in (errno.EPERM, errno.EACCES):
                raise OSError(e.errno, "no right to restart it; it waits for restart-ms of the interface") from None
            raise
        return False  # the kernel says so by an error frame

    def _proven(self, now: float, frames: list[Received]) -> bool:
        return now - self._off_since > PROOF_S and any(not r.flags & ERROR for r in frames)


class MulticastCanTransport(CanTransport, SocketTransport):
    """CAN frames as python-can's udp_multicast datagrams, pinned to one interface.

    Receives on a socket bound to the group, sends on one connected to it, so that the guard can write() to it; what
    we send ourselves does not come back. An error frame in a datagram tells of our own controller, as on a rig.
    """

    framing: Framing = "can_msgpack"

    def __init__(self, url: Url, group: str) -> None:
        url.allow("port", "interface", "bus")
        try:
            first = socket.inet_pton(socket.AF_INET, group)[0]
        except OSError:
            first = 0
        if not 224 <= first <= 239:
            raise url.error(f"'{group}' is no IPv4 multicast group; e.g. 239.74.163.2 is expected")
        self._group = (group, url.number("port", url.options.get("port", "43113"), 1, 65535))
        self._interface = url.interface()
        self._sender: socket.socket | None = None
        self._own = (0, 0)
        super().__init__(url)

    def _write_fd(self) -> int:
        return self._sender.fileno() if self._sender is not None else -1

    def _open(self) -> None:
        interface = socket.inet_aton(self._interface)
        sender = self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sender.bind((self._interface, 0))
        sender.connect(self._group)
        s = self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CAN_BUFFER)
        stamp_options(s, hardware=False)
        s.bind(self._group)
        member = struct.pack("=4s4s", socket.inet_aton(self._group[0]), interface)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        address, port = sender.getsockname()
        self._own = (int.from_bytes(socket.inet_aton(address), "big"), port)
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        return self._drain(self._socket.fileno(), now, self._own)

    def _send(self, data: bytes) -> int:
        try:
            return self._sender.send(data) if self._sender is not None else 0
        except (BlockingIOError, ConnectionRefusedError):
            return 0

    def _release(self) -> None:
        super()._release()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()


def to_message(data: bytes) -> Any:
    """struct can_frame or canfd_frame as a python-can Message; None when it is none."""
    import can

    r = unpack_socketcan(data, 0.0)
    if r is None:
        return None
    return can.Message(
        arbitration_id=r.can_id,
        data=r.data,
        is_extended_id=bool(r.flags & 1),
        is_remote_frame=bool(r.flags & 2),
        is_error_frame=bool(r.flags & 4),
        is_fd=bool(r.flags & 8),
        bitrate_switch=bool(r.flags & 8 and data[5] & 1),
    )


def from_message(m: Any, t: float, bus: int) -> Received:
    """A python-can Message as a frame received at t [s]."""
    flags = 1 if m.is_extended_id else 0
    if m.is_remote_frame or m.is_error_frame or m.is_fd:
        flags |= m.is_remote_frame << 1 | m.is_error_frame << 2 | m.is_fd << 3
    return Received(t, bytes(m.data), m.arbitration_id, bus, flags)


class VirtualCanTransport(CanTransport):
    """python-can's bus inside one process, for tests; it has no descriptor, so the guard cannot write to it."""

    framing: Framing = "socketcan"

    def __init__(self, url: Url, channel: str) -> None:
        url.allow("bus")
        self._channel = channel
        self._bus: Any = None
        super().__init__(url)

    def fileno(self) -> int:
        return -1

    def _open(self) -> None:
        import can

        self._bus = can.Bus(interface="virtual", channel=self._channel)
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        waiting = self._bus.queue  # all at once: a call for each frame costs more than the frame
        with waiting.mutex:
            n = min(len(waiting.queue), MAX_READS)
            messages = [waiting.queue.popleft() for _ in range(n)]
        return [from_message(m, now, self.bus_number) for m in messages]

    def _send(self, data: bytes) -> int:
        message = to_message(data)
        if message is None:
            return 0
        self._bus.send(message)
        return len(data)

    def _release(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()


def bad_choice(url: Url, name: str, text: str, choices: Collection[int]) -> BadInputError:
    """The error for an option that is none of a few numbers."""
    return url.error(f"{name} is '{text}'; one of {', '.join(map(str, choices))} is expected")

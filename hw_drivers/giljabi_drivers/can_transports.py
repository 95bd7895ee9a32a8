"""CAN buses: SocketCAN, python-can's udp_multicast pinned to one interface, and its virtual bus.

Other adapters of python-can belong here: a class with the same face, and its name in transport.CAN_KINDS.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from giljabi_drivers.can_frames import unpack_msgpack, unpack_socketcan
from giljabi_drivers.contract import Received
from giljabi_drivers.transport_base import CHUNK, MAX_READS, Framing, SocketTransport, Transport, Url

CAN_BUFFER = 1 << 22  # bytes the kernel may keep for us


class SocketCanTransport(SocketTransport):
    """A CAN interface of the kernel, classic and FD frames, error frames included."""

    framing: Framing = "socketcan"

    def __init__(self, url: Url, channel: str) -> None:
        url.allow("bus")
        self._channel = channel
        self._bus = url.number("bus", url.options.get("bus", "0"), 0, 255)
        super().__init__(url)

    def _open(self) -> None:
        if not hasattr(socket, "AF_CAN"):
            raise OSError(errno.EAFNOSUPPORT, "this system has no SocketCAN")
        s = self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CAN_BUFFER)
        s.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        s.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_ERR_FILTER, 0x1FFFFFFF)  # CAN_ERR_MASK: all of them
        s.bind((self._channel,))
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        out = []
        for _ in range(MAX_READS):
            try:
                frame = unpack_socketcan(self._socket.recv(128), now, self._bus)
            except BlockingIOError:
                break
            if frame is None:
                self._reject("malformed")
            else:
                out.append(frame)
        return out


class MulticastCanTransport(SocketTransport):
    """CAN frames as python-can's udp_multicast datagrams, pinned to one interface.

    Receives on a socket bound to the group, sends on one connected to it, so that the guard can write() to it; what
    we send ourselves does not come back.
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
        self._bus = url.number("bus", url.options.get("bus", "0"), 0, 255)
        self._sender: socket.socket | None = None
        super().__init__(url)

    def command_fd(self) -> int:
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
        s.bind(self._group)
        member = struct.pack("=4s4s", socket.inet_aton(self._group[0]), interface)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self._own = sender.getsockname()
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        out = []
        for _ in range(MAX_READS):
            try:
                data, sender = self._socket.recvfrom(CHUNK)
            except BlockingIOError:
                break
            if sender == self._own:
                continue
            frame = unpack_msgpack(data, now, self._bus)
            if frame is None:
                self._reject("malformed")
            else:
                out.append(frame)
        return out

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


class VirtualCanTransport(Transport):
    """python-can's bus inside one process, for tests; it has no descriptor, so the guard cannot write to it."""

    framing: Framing = "socketcan"

    def __init__(self, url: Url, channel: str) -> None:
        url.allow("bus")
        self._channel = channel
        self._bus_number = url.number("bus", url.options.get("bus", "0"), 0, 255)
        self._bus: Any = None
        super().__init__(url)

    def fileno(self) -> int:
        return -1

    def _open(self) -> None:
        import can

        self._bus = can.Bus(interface="virtual", channel=self._channel)
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        out = []
        for _ in range(MAX_READS):
            m = self._bus.recv(0)
            if m is None:
                break
            flags = m.is_extended_id | m.is_remote_frame << 1 | m.is_error_frame << 2 | m.is_fd << 3
            out.append(Received(now, bytes(m.data), m.arbitration_id, self._bus_number, flags))
        return out

    def _send(self, data: bytes) -> int:
        import can

        r = unpack_socketcan(data, 0.0)
        if r is None:
            return 0
        message = can.Message(
            arbitration_id=r.can_id,
            data=r.data,
            is_extended_id=bool(r.flags & 1),
            is_remote_frame=bool(r.flags & 2),
            is_fd=bool(r.flags & 8),
        )
        self._bus.send(message)
        return len(data)

    def _release(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

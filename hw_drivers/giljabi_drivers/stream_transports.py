"""Serial lines, TCP and UDP."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

from giljabi_drivers.contract import Received
from giljabi_drivers.transport_base import CHUNK, MAX_READS, SocketTransport, Transport, Url, drain_stream, reason

CONNECT_TIMEOUT_S = 5.0
TIOCGSERIAL, TIOCSSERIAL, ASYNC_LOW_LATENCY = 0x541E, 0x541F, 1 << 13  # <linux/tty_flags.h>
SERIAL_STRUCT, FLAGS_AT = 72, 16  # struct serial_struct of <linux/serial.h>: its size, where its flags are
SLOW = (
    "{path} stays slow (16 ms for each answer): setserial {path} low_latency, or "
    "echo 1 > /sys/bus/usb-serial/devices/{name}/latency_timer, as root"
)
SENDERS_MAX = 32  # told apart on one UDP port; then the one that was silent longest gives its place away


def set_low_latency(fd: int) -> bool:
    """Asks a USB adapter to hand over what came at once; False where it cannot or may not be asked."""
    data = bytearray(SERIAL_STRUCT)
    try:
        fcntl.ioctl(fd, TIOCGSERIAL, data)
        flags = struct.unpack_from("i", data, FLAGS_AT)[0]
        struct.pack_into("i", data, FLAGS_AT, flags | ASYNC_LOW_LATENCY)
        fcntl.ioctl(fd, TIOCSSERIAL, data)
    except OSError:
        return False
    return True


class SerialTransport(Transport):
    """A tty through pyserial; a pseudo-terminal works too. A USB adapter is asked for low latency at every opening."""

    def __init__(self, url: Url) -> None:
        url.allow("baud")
        self._setup(url.rest, url.number("baud", url.options.get("baud", "38400"), 50, 4_000_000))
        super().__init__(url)

    def _setup(self, path: str, baud: int) -> None:
        self._path, self._baud = path, baud
        self._port: Any = None
        self.slow = ""  # in words: the adapter hands over what came every 16 ms only
        self._poll = select.poll()

    def fileno(self) -> int:
        return int(self._port.fileno()) if self._port is not None else -1

    def _open(self) -> None:
        import serial

        try:
            self._port = serial.Serial(self._path, self._baud, timeout=0, write_timeout=0, exclusive=True)
        except ValueError as e:
            raise OSError(errno.EINVAL, str(e)) from None
        except OSError as e:
            if e.errno:  # pyserial says the path three times
                raise OSError(e.errno, os.strerror(e.errno)) from None
            raise
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)
        name = os.path.basename(os.path.realpath(self._path))
        fast = set_low_latency(self.fileno()) or not name.startswith("ttyUSB")
        self.slow = "" if fast else SLOW.format(path=self._path, name=name)
        self._opened()

    def diagnostics(self) -> Mapping[str, str]:
        return {**super().diagnostics(), **({"latency": self.slow} if self.slow else {})}

    def _receive(self, now: float) -> list[Received]:
        out: list[Received] = []
        for _ in range(MAX_READS):
            # A line that hung up reads as empty, like one that is silent: only poll tells them apart.
            events = self._poll.poll(0)
            if not events:
                break
            data = os.read(self.fileno(), CHUNK) if events[0][1] & select.POLLIN else b""
            if not data:
                if not out:
                    raise EOFError("the device is gone")
                break
            out.append(Received(now, data, bus=self.line))
        return out

    def _send(self, data: bytes) -> int:
        try:
            return os.write(self.fileno(), data)
        except BlockingIOError:
            return 0

    def _release(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()


def _keep_alive(s: socket.socket) -> None:
    """A peer whose machine died is noticed after about 8 s, and small commands are not held back."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            s.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class TcpTransport(SocketTransport):
    """A TCP client; a name is resolved at every opening, an address needs no resolver."""

    def __init__(self, url: Url) -> None:
        url.allow()
        self._address = url.host_port(url.rest)
        self._connecting = False
        self._give_up = math.nan
        super().__init__(url)

    def command_fd(self) -> int:
        return -1 if self._connecting else self.fileno()

    def _open(self) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        code = self._socket.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        self._connecting, self._give_up, self.problem = True, math.nan, "connecting"

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        if self._connecting:
            if math.isnan(self._give_up):
                self._give_up = now + CONNECT_TIMEOUT_S
            if not select.select((), (self._socket,), (), 0)[1]:
                if now > self._give_up:
                    raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
                return []
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self._connecting = False
            _keep_alive(self._socket)
            self._opened()
        return super()._receive(now)

    def _send(self, data: bytes) -> int:
        return 0 if self._connecting else super()._send(data)


class TcpListenTransport(Transport):
    """A TCP server for one peer; a new peer takes the place of the old one, which may be dead without a word."""

    def __init__(self, url: Url) -> None:
        url.allow("interface")
        self._address = (url.interface(), url.number("port", url.rest, 1, 65535))
        self._server: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._epoll: select.epoll | None = None
        super().__init__(url)

    def fileno(self) -> int:
        return self._epoll.fileno() if self._epoll is not None else -1

    def command_fd(self) -> int:
        return self._peer.fileno() if self._peer is not None else -1

    def _open(self) -> None:
        self._server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.setblocking(False)
        self._server.bind(self._address)
        self._server.listen(4)
        self._epoll = select.epoll()
        self._epoll.register(self._server.fileno(), select.EPOLLIN)
        self.problem = "no peer has connected"

    def _receive(self, now: float) -> list[Received]:
        out: list[Received] = self._read_peer(now)
        while self._server is not None:
            try:
                peer, _ = self._server.accept()
            except BlockingIOError:
                return out
            peer.setblocking(False)
            _keep_alive(peer)
            self._drop_peer("")
            assert self._epoll is not None
            self._epoll.register(peer.fileno(), select.EPOLLIN)
            self._peer = peer
            self._opened()
            out += self._read_peer(now)
        return out

    def _read_peer(self, now: float) -> list[Received]:
        if self._peer is None:
            return []
        try:
            return drain_stream(self._peer, now, self.line)
        except (OSError, EOFError) as e:
            self._drop_peer(reason(e))
            return []

    def _drop_peer(self, why: str) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            self.problem = why
            peer.close()  # takes it out of the epoll set, too

    def _send(self, data: bytes) -> int:
        try:
            return self._peer.send(data) if self._peer is not None else 0
        except BlockingIOError:
            return 0

    def _release(self) -> None:
        self._drop_peer("")
        server, self._server = self._server, None
        epoll, self._epoll = self._epoll, None
        for part in (server, epoll):
            if part is not None:
                part.close()


class UdpTransport(SocketTransport):
    """UDP with one peer (`udp:`, may be given its own port by `?local=`), or with anybody who sends (`udp-listen:`)."""

    def __init__(self, url: Url) -> None:
        self._peer: tuple[str, int] | None = None
        self._senders: dict[tuple[str, int], int] = {}  # line by address
        if url.scheme == "udp":
            url.allow("local", "interface")
            self._peer = url.host_port(url.rest)
            local = url.number("local", url.options["local"], 1, 65535) if "local" in url.options else 0
            loopback = self._peer[0] == "localhost" or self._peer[0].startswith("127.")
            # Without an interface the system picks the address that reaches the peer.
            self._local = (url.interface() if loopback or "interface" in url.options else "", local)
        else:
            url.allow("interface")
            self._local = (url.interface(), url.number("port", url.rest, 1, 65535))
        super().__init__(url)

    def command_fd(self) -> int:
        return self.fileno() if self._peer is not None else -1

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if self._peer is None or self._local != ("", 0):
            self._socket.bind(self._local)
        if self._peer is not None:
            self._socket.connect(self._peer)
        self._opened()

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        out = []
        for _ in range(MAX_READS):
            try:
                data, sender = self._socket.recvfrom(CHUNK)
                out.append(Received(now, data, bus=self._line_of(sender)))
            except BlockingIOError:
                break
            except ConnectionRefusedError:  # what we sent found nobody; that is no reason to stop listening
                self.problem = "nobody listens at the peer"
                continue
        if out:
            self.problem = ""
        return out

    def _line_of(self, sender: tuple[str, int]) -> int:
        """Every sender is a line of its own: half a sentence of one must not meet the next datagram of another."""
        line = self._senders.pop(sender, None)
        if line is None:
            full = len(self._senders) >= SENDERS_MAX
            line = self._senders.pop(next(iter(self._senders))) if full else len(self._senders)
        self._senders[sender] = line  # the one heard last stands last
        return line

    def _send(self, data: bytes) -> int:
        return super()._send(data) if self._peer is not None else 0

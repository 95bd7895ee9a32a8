"""Real descriptors of the simulated devices: pseudo-terminal, TCP, UDP and CAN over UDP multicast, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import struct
import termios
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from giljabi.platform import Platform
from giljabi.types import BadInputError
from giljabi_sim.peers.contract import Chunk, Peer, Wire

LOOPBACK = "127.0.0.1"
CAN_GROUP = "239.74.163.2"
MARINE_GROUP = "239.74.163.3"
CHUNK = 65536
WIRES = ("pty", "tcp", "udp", "multicast-450")
WAITING = 4096  # bytes kept for a reader that is not there, as a UART's buffer would


class Line(Protocol):
    """One open device."""

    url: str

    def read(self) -> list[Chunk]:
        """What has arrived; never blocks."""

    def write(self, chunks: Sequence[Chunk]) -> int:
        """Sends; what does not fit is lost, as on a wire nobody reads. Returns bytes (CAN: frames) that were taken."""

    def unplug(self) -> None:
        """The line is gone for the other end, which sees it where the kind of line tells."""

    def plug(self) -> None:
        """It is there again, at the same URL."""

    def close(self) -> None:
        """Closes the descriptors and takes the link away."""


class PtyLine:
    """A serial line: the slave's path is linked into the run folder."""

    def __init__(self, name: str, run_dir: Path) -> None:
        self._link = run_dir / name
        self._master = self._slave = -1
        self.plug()
        self.url = f"serial:{self._link}?baud=38400"

    def plug(self) -> None:
        """A new pseudo-terminal behind the same link."""
        if self._master >= 0:
            return
        self._master, self._slave = pty.openpty()
        attributes = termios.tcgetattr(self._slave)
        attributes[0] = attributes[1] = attributes[3] = 0  # raw: no echo, no translation, no line editing
        attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        os.set_blocking(self._master, False)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))

    def fileno(self) -> int:
        """What to wait on; -1 while it is unplugged."""
        return self._master

    def unplug(self) -> None:
        """Ends the terminal: whoever has it open sees it hang up."""
        if self._master >= 0:
            self._link.unlink(missing_ok=True)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1

    def read(self) -> list[Chunk]:
        """The slave stays open here too, so a driver may come and go."""
        try:
            data = os.read(self._master, CHUNK)
        except (BlockingIOError, OSError):
            return []
        return [Chunk(data)] if data else []

    def write(self, chunks: Sequence[Chunk]) -> int:
        """Drops what was not read when the buffer is full, the oldest first."""
        data = b"".join(c.data for c in chunks)
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            termios.tcflush(self._slave, termios.TCIFLUSH)
        except OSError:
            pass
        return 0

    def close(self) -> None:
        """Ends the terminal."""
        self.unplug()


class TcpLine:
    """A serial server: listens, one client at a time."""

    def __init__(self) -> None:
        self._port = 0
        self._server: socket.socket | None = None
        self._client: socket.socket | None = None
        self.plug()
        self.url = f"tcp:{LOOPBACK}:{self._port}"

    def plug(self) -> None:
        """Listens, the second time on the same port; where somebody took it, nobody can connect."""
        if self._server is not None:
            return
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((LOOPBACK, self._port))
        s.listen(1)
        s.setblocking(False)
        self._server, self._port = s, int(s.getsockname()[1])

    def unplug(self) -> None:
        """Hangs up and listens no more."""
        self._drop()
        if self._server is not None:
            self._server.close()
            self._server = None

    def read(self) -> list[Chunk]:
        """Takes a new client in the place of the old one."""
        if self._server is None:
            return []
        try:
            client, _ = self._server.accept()
        except OSError:
            pass
        else:
            self._drop()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
        if self._client is None:
            return []
        try:
            data = self._client.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._drop()
        return [Chunk(data)] if data else []

    def write(self, chunks: Sequence[Chunk]) -> int:
        """To the client, if there is one."""
        if self._client is not None:
            try:
                return self._client.send(b"".join(c.data for c in chunks))
            except BlockingIOError:
                pass
            except OSError:
                self._drop()
        return 0

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Hangs up."""
        self.unplug()


class UdpLine:
    """Datagrams one way, to a port that the driver listens on."""

    def __init__(self) -> None:
        self._port = _free_udp_port()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.setblocking(False)
        self.url = f"udp-listen:{self._port}"

    def read(self) -> list[Chunk]:
        """Nothing comes back this way."""
        return []

    def write(self, chunks: Sequence[Chunk]) -> int:
        """One datagram for each chunk."""
        taken = 0
        for c in chunks:
            with contextlib.suppress(OSError):
                taken += self._socket.sendto(c.data, (LOOPBACK, self._port))
        return taken

    def unplug(self) -> None:
        """Nobody can see that a sender is gone: it is silent, which is for the caller to do."""

    def plug(self) -> None:
        """See unplug."""

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


def _group_sockets(group: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
    """A member of the group and a sender to it, both on the loopback interface only."""
    loopback = socket.inet_aton(LOOPBACK)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind(group)
    s.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4s", socket.inet_aton(group[0]), loopback)
    )
    s.setblocking(False)
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
    out.bind((LOOPBACK, 0))
    out.setblocking(False)
    return s, out


class MulticastLine:
    """Datagrams of IEC 61162-450 in a group of the loopback interface, both ways."""

    def __init__(self) -> None:
        self._group = (MARINE_GROUP, _free_udp_port())
        self._socket, self._out = _group_sockets(self._group)
        self._own = self._out.getsockname()
        self.url = f"udp-multicast:{MARINE_GROUP}:{self._group[1]}?framing=61162-450"

    def read(self) -> list[Chunk]:
        """Datagrams of others."""
        out: list[Chunk] = []
        while True:
            try:
                data, sender = self._socket.recvfrom(CHUNK)
            except OSError:
                return out
            if sender != self._own:
                out.append(Chunk(data, datagram=True))

    def write(self, chunks: Sequence[Chunk]) -> int:
        """One datagram for each chunk."""
        taken = 0
        for c in chunks:
            with contextlib.suppress(OSError):
                taken += self._out.sendto(c.data, self._group)
        return taken

    def unplug(self) -> None:
        """A group has no end that could go: it is silent, which is for the caller to do."""

    def plug(self) -> None:
        """See unplug."""

    def close(self) -> None:
        """Leaves the group."""
        self._socket.close()
        self._out.close()


class CanLine:
    """CAN frames as python-can's udp_multicast datagrams, sent and received on the loopback interface only."""

    def __init__(self) -> None:
        from can.interfaces.udp_multicast.utils import pack_message, unpack_message

        self._pack, self._unpack = pack_message, unpack_message
        self._group = (CAN_GROUP, _free_udp_port())
        self._socket, self._out = _group_sockets(self._group)
        self._own = self._out.getsockname()
        self.url = f"can:udp_multicast/{CAN_GROUP}?port={self._group[1]}"

    def read(self) -> list[Chunk]:
        """Frames of others; datagrams that are none are dropped."""
        out: list[Chunk] = []
        while True:
            try:
                data, sender = self._socket.recvfrom(CHUNK)
            except OSError:
                return out
            if sender == self._own:
                continue
            try:
                message = self._unpack(data, check=True)
            except Exception:
                continue  # anybody may send to the group
            if not (message.is_error_frame or message.is_remote_frame):
                out.append(Chunk(bytes(message.data), message.arbitration_id))

    def unplug(self) -> None:
        """A group has no end that could go: it is silent, which is for the caller to do."""

    def plug(self) -> None:
        """See unplug."""

    def write(self, chunks: Sequence[Chunk]) -> int:
        """One datagram for each frame."""
        from can import Message

        taken = 0
        for c in chunks:
            message = Message(
                arbitration_id=c.can_id, data=c.data, is_extended_id=c.can_id > 0x7FF, is_error_frame=c.is_error
            )
            with contextlib.suppress(OSError):
                self._out.sendto(self._pack(message), self._group)
                taken += 1
        return taken

    def close(self) -> None:
        """Leaves the group."""
        self._socket.close()
        self._out.close()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((LOOPBACK, 0))
        return int(s.getsockname()[1])


def open_lines(platform: Platform, peers: Mapping[str, Peer], run_dir: Path) -> dict[str, Line]:
    """Opens the line of every peer, as `simulation.peers.<driver>.wire` says; raises BadInputError, opening none."""
    spec: Mapping[str, Any] = platform.model.simulation.get("peers", {})
    out: dict[str, Line] = {}
    try:
        for name, peer in peers.items():
            kind = spec[name].get("wire", "pty")
            if peer.wire is not Wire.CAN and kind not in WIRES:
                what = f"no wire '{kind}'; {', '.join(WIRES[:-1])} or {WIRES[-1]} is expected"
                raise platform.error(("simulation", "peers", name, "wire"), what)
            out[name] = open_line(name, peer.wire, kind, run_dir)
    except (BadInputError, OSError):
        for line in out.values():
            line.close()
        raise
    return out


def plug_lines(lines: Mapping[str, Line], unplugged: Collection[str], gone: set[str]) -> None:
    """Takes away and brings back what a fault says; gone: drivers whose line is away, kept by the caller."""
    for name in sorted({*unplugged} ^ gone):
        if name in gone:
            lines[name].plug()
            gone.discard(name)
        else:
            lines[name].unplug()
            gone.add(name)


def open_line(name: str, wire: Wire, kind: str, run_dir: Path) -> Line:
    """Opens what the peer hangs on; kind: pty, tcp, udp or multicast-450 for a serial line. Raises BadInputError."""
    if wire is Wire.CAN:
        return CanLine()
    if kind == "pty":
        return PtyLine(name, run_dir)
    if kind == "tcp":
        return TcpLine()
    if kind == "udp":
        return UdpLine()
    if kind == "multicast-450":
        return MulticastLine()
    raise BadInputError(f"simulation.peers.{name}.wire: no wire '{kind}'; pty, tcp, udp or multicast-450 is expected")

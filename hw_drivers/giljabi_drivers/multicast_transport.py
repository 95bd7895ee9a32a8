"""UDP multicast: plain datagrams, or the framing of IEC 61162-450."""

from __future__ import annotations

import socket
import struct

from giljabi_drivers.contract import Received
from giljabi_drivers.iec61162_450 import Sequencer
from giljabi_drivers.transport_base import CHUNK, LINES, MAX_READS, SocketTransport, Url

BUFFER = 1 << 20  # bytes the kernel may keep for us
STANDARD_GROUPS = range(60001, 60065)  # ports of the transmission groups 239.192.0.1 to 239.192.0.64
FRAMINGS = ("61162-450", "none")


class UdpMulticastTransport(SocketTransport):
    """`udp-multicast:GROUP:PORT?interface=IP&framing=61162-450|none`.

    framing: of the transmission groups 239.192.0.N:6000N it is 61162-450, else none. There each source (s:) is a
    line of its own, else each sender. interface: an IPv4 address of this machine or a name such as eth0. What is
    written goes to the same group, a datagram a write, no further than the local network, and is not read back.
    """

    def __init__(self, url: Url) -> None:
        """Raises BadInputError for a wrong URL."""
        url.allow("interface", "framing")
        self._group = url.host_port(url.rest)
        try:
            first = socket.inet_pton(socket.AF_INET, self._group[0])[0]
        except OSError:
            first = 0
        if not 224 <= first <= 239:
            raise url.error(f"'{self._group[0]}' is no IPv4 multicast group; e.g. 239.192.0.4 is expected")
        of_standard = self._group[0].startswith("239.192.0.") and self._group[1] in STANDARD_GROUPS
        framing = url.options.get("framing", FRAMINGS[0] if of_standard else FRAMINGS[1])
        if framing not in FRAMINGS:
            raise url.error(f"framing is '{framing}'; {' or '.join(FRAMINGS)} is expected")
        self._sequencer = Sequencer(self._reject, self._flag) if framing == FRAMINGS[0] else None
        self.framing = "raw" if self._sequencer is None else "iec61162_450"
        self._senders: dict[str, int] = {}
        self._out: socket.socket | None = None
        self._own = ("", 0)
        self.flagged: dict[str, int] = {}
        text = url.options.get("interface", "")
        self._name = text if text and not text[0].isdigit() else ""  # looked up when it is opened: it may come later
        self._address = "0.0.0.0" if self._name else url.interface()
        super().__init__(url)

    def command_fd(self) -> int:
        """A socket of its own, connected to the group."""
        return self._out.fileno() if self._out is not None else -1

    def _open(self) -> None:
        index = socket.if_nametoindex(self._name) if self._name else 0
        s = self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        s.bind(self._group)
        member = struct.pack("=4s4si", socket.inet_aton(self._group[0]), socket.inet_aton(self._address), index)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        if hasattr(socket, "IP_MULTICAST_ALL"):  # only what came over the interface that was asked for
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_ALL, 0)
        self._open_out(index)
        self._opened()

    def _open_out(self, index: int) -> None:
        s = self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setblocking(False)
        way = struct.pack("=4s4si", socket.inet_aton("0.0.0.0"), socket.inet_aton(self._address), index)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, way)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        if not self._name:
            s.bind((self._address, 0))
        s.connect(self._group)
        self._own = s.getsockname()

    def _receive(self, now: float) -> list[Received]:
        assert self._socket is not None
        out: list[Received] = []
        for _ in range(MAX_READS):
            try:
                data, (host, port) = self._socket.recvfrom(CHUNK)
            except BlockingIOError:
                break
            if (host, port) == self._own:
                continue
            sender = f"{host}:{port}"
            if self._sequencer is None:
                out.append(Received(now, data, bus=self._line_of(sender)))
            else:
                out += [Received(now, line, bus=n) for n, line in self._sequencer.feed(now, sender, data)]
        return out

    def _line_of(self, sender: str) -> int:
        """Half a sentence of one sender must not meet the next datagram of another."""
        line = self._senders.pop(sender, None)
        if line is None:
            full = len(self._senders) >= LINES // 4
            line = self._senders.pop(next(iter(self._senders))) if full else len(self._senders)
        self._senders[sender] = line  # the one heard last stands last
        return line

    def _send(self, data: bytes) -> int:
        try:
            return self._out.send(data) if self._out is not None else 0
        except BlockingIOError:
            return 0

    def _release(self) -> None:
        super()._release()
        out, self._out = self._out, None
        if out is not None:
            out.close()

    def _flag(self, remark: str, n: int) -> None:
        self.flagged[remark] = self.flagged.get(remark, 0) + n

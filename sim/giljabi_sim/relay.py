"""A bad radio link between a stack and an autopilot: a relay on 127.0.0.1 that loses MAVLink frames, seeded.

usage: python -m giljabi_sim.relay tcp:127.0.0.1:5760 --listen 5770 [--loss 0.05] [--seed N]
       python -m giljabi_sim.relay udp:127.0.0.1:14550 --listen 14560
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
from dataclasses import dataclass, field

from giljabi.arguments import Parser
from giljabi.types import BadInputError, GiljabiError
from giljabi_sim.noise import generator

V1, V2 = 0xFE, 0xFD  # first byte of a frame; mavlink.io/en/guide/serialization.html
V1_AROUND, V2_AROUND, SIGNATURE = 8, 12, 13  # bytes of a frame beside its payload
SIGNED = 0x01
CHUNK = 65536
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class LossyFrames:
    """One direction: bytes in any chunking in, whole frames out, less a share of them."""

    share: float
    seed: int
    way: str = ""
    passed: int = 0
    lost: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _rng: object = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 1.0:
            raise BadInputError(f"a loss of {self.share}; 0 or more and less than 1 is expected")
        self._rng = generator(self.seed, f"relay {self.way}")

    def feed(self, data: bytes) -> bytes:
        """What comes out now; the begin of a frame waits for the rest, what is no frame passes."""
        self._buffer += data
        out = bytearray()
        at = 0
        while at < len(self._buffer):
            size = self._size(at)
            if size == 0:
                break
            unit = self._buffer[at : at + size]
            at += size
            if unit[0] in (V1, V2) and self._rng.random() < self.share:  # type: ignore[attr-defined]
                self.lost += 1
            else:
                self.passed += unit[0] in (V1, V2)
                out += unit
        del self._buffer[:at]
        return bytes(out)

    def _size(self, at: int) -> int:
        """Bytes of the frame at `at`, or of what lies before the next one; 0 while it is not whole."""
        b = self._buffer
        if b[at] not in (V1, V2):
            ends = [i for v in (V1, V2) if (i := b.find(v, at)) >= 0]
            return min(ends, default=len(b)) - at
        if len(b) - at < 3:
            return 0
        signed = SIGNATURE if b[at] == V2 and b[at + 2] & SIGNED else 0
        size = b[at + 1] + (V1_AROUND if b[at] == V1 else V2_AROUND + signed)
        return size if len(b) - at >= size else 0


class Relay:
    """Sockets around two LossyFrames; one peer at a time, a new TCP peer takes the old one's place."""

    def __init__(self, target: str, listen: int, share: float, seed: int) -> None:
        """target: tcp:HOST:PORT or udp:HOST:PORT; raises BadInputError for another, OSError for a taken port."""
        self._kind, host, port = parse_target(target)
        self._target = (host, port)
        self.inwards, self.outwards = (LossyFrames(share, seed, way) for way in ("to the stack", "to the autopilot"))
        self._selector = selectors.DefaultSelector()
        stream = self._kind == "tcp"
        self._server = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind((LOOPBACK, listen))
        if stream:
            self._server.listen(1)
        self.port = int(self._server.getsockname()[1])
        self._selector.register(self._server, selectors.EVENT_READ)
        self._near: socket.socket | None = None  # to the stack (TCP)
        self._far: socket.socket | None = None  # to the autopilot
        self._asker: tuple[str, int] | None = None  # the stack (UDP)
        if not stream:
            self._open_far()

    def step(self, wait_s: float) -> None:
        """Carries what is there, waiting for it `wait_s` seconds at most."""
        for key, _ in self._selector.select(wait_s):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if sock is self._server and self._kind == "tcp":
                self._accept()
            else:
                self._carry(sock)

    def close(self) -> None:
        """Ends the link and the port."""
        self.drop()
        for sock in (self._far, self._server):
            if sock is not None:
                self._selector.unregister(sock)
                sock.close()
        self._far = None
        self._selector.close()

    def drop(self) -> None:
        """Ends the link; the port stays (TCP)."""
        if self._kind == "tcp":
            for sock in (self._near, self._far):
                if sock is not None:
                    self._selector.unregister(sock)
                    sock.close()
            self._near = self._far = None

    def _open_far(self) -> None:
        stream = self._kind == "tcp"
        self._far = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        if not stream:
            self._far.bind((LOOPBACK, 0))
        self._far.connect(self._target)
        self._selector.register(self._far, selectors.EVENT_READ)

    def _accept(self) -> None:
        peer, _ = self._server.accept()
        self.drop()
        try:
            self._open_far()
        except OSError:
            peer.close()
            if self._far is not None:
                self._far.close()
            self._far = None
            return
        self._near = peer
        for sock in (self._near, self._far):
            assert sock is not None
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(peer, selectors.EVENT_READ)

    def _carry(self, sock: socket.socket) -> None:
        try:
            if sock is self._server:
                data, self._asker = sock.recvfrom(CHUNK)
            else:
                data = sock.recv(CHUNK)
            inwards = sock is self._far
            rest = (self.inwards if inwards else self.outwards).feed(data)
            if not data and self._kind == "tcp":
                self.drop()
            elif rest and self._kind == "udp" and inwards:
                if self._asker is not None:
                    self._server.sendto(rest, self._asker)
            elif rest:
                other = self._near if inwards else self._far
                assert other is not None
                other.sendall(rest)
        except OSError:  # the other end is gone
            self.drop()


def parse_target(text: str) -> tuple[str, str, int]:
    """Kind, host and port of tcp:HOST:PORT or udp:HOST:PORT; raises BadInputError."""
    kind, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("tcp", "udp") or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInputError(f"target '{text}'; tcp:HOST:PORT or udp:HOST:PORT is expected")
    return kind, host, int(port)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog="python -m giljabi_sim.relay", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", metavar="URL", help="the autopilot: tcp:HOST:PORT or udp:HOST:PORT")
    parser.add_argument("--listen", metavar="PORT", type=int, required=True, help="port on 127.0.0.1 for the stack")
    parser.add_argument("--loss", metavar="SHARE", type=float, default=0.05, help="of the frames, each way")
    parser.add_argument("--seed", metavar="N", type=int, default=1)
    try:
        args = parser.parse_args(argv)
        relay = Relay(args.target, args.listen, args.loss, args.seed)
    except (GiljabiError, OSError) as e:
        print(f"relay: {e}", file=sys.stderr)
        return 2
    try:
        while True:
            relay.step(1.0)
    except KeyboardInterrupt:
        for way in (relay.inwards, relay.outwards):
            print(f"{way.way}: {way.passed} frames passed, {way.lost} lost", file=sys.stderr)
        return 130
    finally:
        relay.close()


if __name__ == "__main__":
    sys.exit(main())

"""Any talker of sentences on a network of IEC 61162-450: its sentences as datagrams, orders out of datagrams.

One sentence a datagram, behind a TAG block with source and line counter (clauses 7.1 and 7.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giljabi_sim.peers.contract import Chunk, Peer, PeerResult, Wire

if TYPE_CHECKING:
    from giljabi_sim.world import World

TOKEN = b"UdPbC\x00"
ORDER = re.compile(rb"UdPbC\x00\\(s:[A-Z][A-Z0-9]\d{4},n:\d{1,3})\*([0-9A-F]{2})\\(\$[^\r\n]*\r\n)", re.DOTALL)
LINES = 1000  # the counter goes from 0 to 999


def sentence_of(data: bytes) -> bytes:
    """The sentence of a datagram; anything else as it is."""
    return data.rsplit(b"\\", 1)[-1] if data.startswith(TOKEN) else data


class MulticastPeer:
    """A peer with a network in front of its serial line."""

    wire = Wire.SERIAL

    def __init__(self, peer: Peer, source: str) -> None:
        """source: two letters of a talker and four digits."""
        self.peer = peer
        self._source = source
        self._next = 0
        self._damaged = 0  # datagrams without a whole sentence of IEC 61162-450
        self.accepted = 0
        self.rejected: dict[str, int] = {}

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Orders as bare sentences, too: where there is no network, as in `giljabi sim`, they come without a header."""
        orders = [Chunk(text) for c in received if (text := self._order(c.data))]
        result = self.peer.step(now, orders, world)
        self.accepted = self.peer.accepted
        self.rejected = {**self.peer.rejected, **({"datagram": self._damaged} if self._damaged else {})}
        lines = [line for c in result.to_send for line in c.data.splitlines(keepends=True)]
        return PeerResult(tuple(Chunk(self._datagram(x), datagram=True) for x in lines), result.next_deadline)

    def _datagram(self, line: bytes) -> bytes:
        tag = f"s:{self._source},n:{self._next}".encode()
        self._next = (self._next + 1) % LINES
        total = 0
        for byte in tag:
            total ^= byte
        return TOKEN + b"\\%s*%02X\\" % (tag, total) + line

    def _order(self, data: bytes) -> bytes:
        if data.startswith(b"$"):
            return data
        m, total = ORDER.fullmatch(data), 0
        for byte in m[1] if m else b"":
            total ^= byte
        if m is None or total != int(m[2], 16):
            self._damaged += 1
            return b""
        return m[3]

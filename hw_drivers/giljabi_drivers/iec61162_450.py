"""IEC 61162-450: datagrams of NMEA 0183 sentences with TAG blocks, checked and put in order for each source.

Sans-I/O: `feed(now, sender, datagram)` gives the sentences that are new, with the number of their source's line.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

HEADER = b"UdPbC\0"
# What else travels on these groups: binary files (edition 1, 7.3) and NMEA 2000 groups (edition 2).
OTHERS = {b"RaUdP\0": "450_binary", b"RrUdP\0": "450_binary", b"RpUdP\0": "450_binary", b"NkPgN\0": "450_nmea2000"}
TAG = re.compile(rb"\\([^\\*\r\n]*)\*([0-9A-Fa-f]{2})\\")
NUMBERS = 1000  # the line counter n goes from 0 to 999
WINDOW = 64  # numbers behind the newest of which we know whether they came
SILENCE_S = 2.0  # after which a source may have started anew
SOURCES_MAX = 64


@dataclass(slots=True)
class _Source:
    line: int
    t: float
    newest: int = -1
    seen: int = 0  # bit k: number newest - k came


@dataclass(slots=True)
class Sequencer:
    """Takes datagrams apart; drops what came already or too late, and counts what is missing.

    reject(reason): 450_header, 450_binary, 450_nmea2000, 450_truncated, 450_no_tag, 450_tag (wrong checksum),
    450_counter, 450_duplicate, 450_late. flag(remark, n): 450_missing, n lines; 450_restarted.
    """

    reject: Callable[[str], None]
    flag: Callable[[str, int], None]
    sources: OrderedDict[bytes, _Source] = field(default_factory=OrderedDict)

    def feed(self, t: float, sender: str, datagram: bytes) -> list[tuple[int, bytes]]:
        """Line number and sentence with its TAG block of all that is new. sender: used where no s: is given."""
        head = datagram[: len(HEADER)]
        if head != HEADER:
            self.reject(OTHERS.get(head, "450_header"))
            return []
        *lines, rest = datagram[len(HEADER) :].split(b"\r\n")
        if rest:
            self.reject("450_truncated")
        out = []
        for text in lines:
            if text:
                line = self._take(t, sender, text)
                if line >= 0:
                    out.append((line, text + b"\r\n"))
        return out

    def _take(self, t: float, sender: str, text: bytes) -> int:
        """Number of the line's source; -1 when the line is dropped."""
        blocks = _blocks(text)
        if not blocks or not all(reduce(xor, body, 0) == total for body, total in blocks):
            self.reject("450_tag" if blocks else "450_no_tag")
            return -1
        tags = dict(p.split(b":", 1) for body, _ in blocks for p in body.split(b",") if b":" in p)
        key = tags.get(b"s") or b"@" + sender.encode("ascii", "replace")
        source = self._source(key, t)
        number = tags.get(b"n", b"")
        if number and not (number.isdigit() and int(number) < NUMBERS):
            self.reject("450_counter")
            return -1
        fresh = not number or self._fresh(source, int(number), t)
        source.t = t
        return source.line if fresh else -1

    def _source(self, key: bytes, t: float) -> _Source:
        source = self.sources.get(key)
        if source is None:
            line = len(self.sources)
            if line >= SOURCES_MAX:
                line = self.sources.popitem(last=False)[1].line
            source = self.sources[key] = _Source(line, t)
        self.sources.move_to_end(key)  # the one heard last stands last
        return source

    def _fresh(self, s: _Source, number: int, t: float) -> bool:
        """Whether this number did not come yet; notes it, and what is missing before it."""
        ahead = (number - s.newest) % NUMBERS
        behind = NUMBERS - ahead
        if s.newest < 0 or not 0.0 <= t - s.t <= SILENCE_S:
            s.newest, s.seen = number, 1
        elif ahead == 0 or behind < WINDOW:
            bit = 1 << (behind if ahead else 0)
            self.reject("450_duplicate" if s.seen & bit else "450_late")
            s.seen |= bit
            return False
        elif ahead <= NUMBERS // 2:
            if ahead > 1:
                self.flag("450_missing", ahead - 1)
            s.newest, s.seen = number, (s.seen << ahead | 1) & ((1 << WINDOW) - 1)
        else:
            self.flag("450_restarted", 1)
            s.newest, s.seen = number, 1
        return True


def _blocks(text: bytes) -> list[tuple[bytes, int]]:
    """Bodies of the TAG blocks in front of a sentence, with their checksums."""
    out, at = [], 0
    while (m := TAG.match(text, at)) is not None:
        out.append((m[1], int(m[2], 16)))
        at = m.end()
    return out

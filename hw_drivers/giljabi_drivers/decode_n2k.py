"""NMEA 2000 traffic as objects: what every parameter group says, in SI."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from giljabi_drivers.can_frames import ERROR, EXTENDED, FD, REMOTE
from giljabi_drivers.contract import Received
from giljabi_drivers.decode import finite, nothing_found
from giljabi_drivers.epoch import DAY
from giljabi_drivers.nmea2000_frames import FastPackets, Header
from giljabi_drivers.nmea2000_pgns import PGNS
from giljabi_drivers.recordings import CAN_SUFFIXES, ISO, candump_frames, iso_time, read_lines, read_recording

# canboat's plain lines: time, priority, PGN, source, destination, length, bytes in hexadecimal.
PLAIN = re.compile(
    rb"(?P<t>[^,]+),(?P<priority>[0-7]),(?P<pgn>\d{1,6}),(?P<source>\d{1,3}),(?P<destination>\d{1,3}),(?P<n>\d{1,4}),"
    rb"(?P<data>[0-9A-Fa-f]{2}(?:,[0-9A-Fa-f]{2})*),?"
)
LOOKED_AT = 100  # lines, to find out what a file is


def is_plain(line: bytes) -> bool:
    """Whether a line is one of canboat's."""
    return PLAIN.fullmatch(line.strip()) is not None


class N2kDecoder:
    """Frames or canboat's lines to objects; counts what it takes and what it leaves."""

    def __init__(self, bus: int | None = None) -> None:
        self._bus = bus
        self._packets = FastPackets(self._reject, self._reject)
        self._t = -math.inf
        self.accepted = 0
        self.rejected: dict[str, int] = {}

    def rows(self, file: str, lines: Iterator[bytes] | None = None) -> Iterator[dict[str, Any]]:
        """Objects of a file, or of `lines` as candump or canboat prints them; raises BadInputError for others."""
        if lines is None:
            path = Path(file)
            head = list(itertools.islice(read_lines(path), LOOKED_AT)) if path.suffix not in CAN_SUFFIXES else []
            if any(is_plain(x) for x in head):
                return self.lines(file, read_lines(path))
            return self.frames(file, read_recording(path))
        head = []
        for line in lines:
            head.append(line)
            if line.strip() and not line.startswith(b"#"):
                break
        plain = bool(head) and is_plain(head[-1])
        every = itertools.chain(head, lines)
        return self.lines(file, every) if plain else self.frames(file, candump_frames(file, every))

    def frames(self, file: str, received: Iterable[Received]) -> Iterator[dict[str, Any]]:
        """One object a group that frames of a CAN trace complete; raises BadInputError for other recordings."""
        frames = 0
        for r in received:
            if r.can_id < 0:
                raise nothing_found(file, "no CAN frame in it; CAN frames or canboat's plain lines are expected")
            frames += 1
            if self._bus is not None and r.bus != self._bus:
                self._reject("other_bus")
            elif r.flags & (ERROR | REMOTE | FD) or len(r.data) > 8:
                self._reject("no_data_frame")
            elif not r.flags & EXTENDED:
                self._reject("standard_id")
            else:
                row = self._frame(r.t, r.bus, r.can_id, r.data)
                if row is not None:
                    yield {"t": r.t, "bus": r.bus, **row}
        self._packets.expire(math.inf)
        if not frames:
            raise nothing_found(file, "no frame in it; a CAN trace is expected")

    def lines(self, file: str, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """One object a group of canboat's plain lines; raises BadInputError for other files."""
        found, number = False, 0
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            m = PLAIN.fullmatch(line)
            if m is None:
                if line and not line.startswith(b"#"):
                    self._reject("malformed")
                continue
            data = bytes.fromhex(m["data"].replace(b",", b"").decode("ascii"))
            priority, pgn, source, destination = (int(m[k]) for k in ("priority", "pgn", "source", "destination"))
            if len(data) != int(m["n"]) or pgn > 0x3FFFF or source > 255 or destination > 255:
                self._reject("malformed")
                continue
            found = True
            t = _time(m["t"])
            header = Header(priority, pgn, source, destination)
            group = PGNS.get(pgn)
            if group is not None and group.fast and len(data) == 8 and group.least > 8:  # frames, not assembled
                self._t = t if math.isfinite(t) else self._t + 0.01 if math.isfinite(self._t) else 0.0
                row = self._frame(self._t, 0, header.can_id, data)
            else:
                row = self._group(header, data)
            if row is not None:
                yield {"line": number, "t": finite(t), **row}
        self._packets.expire(math.inf)
        if not found:
            raise nothing_found(file, "no frame in it; a CAN trace or canboat's plain lines are expected")

    def summary(self) -> dict[str, Any]:
        """`accepted` groups and `rejected` frames and groups by reason."""
        return {"accepted": self.accepted, "rejected": self.rejected}

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _frame(self, t: float, bus: int, can_id: int, data: bytes) -> dict[str, Any] | None:
        header = Header.of(can_id)
        group = PGNS.get(header.pgn)
        if group is not None and group.fast:
            whole = self._packets.feed(t, bus, can_id, data)
            return None if whole is None else self._group(header, whole)
        return self._group(header, data)

    def _group(self, header: Header, data: bytes) -> dict[str, Any] | None:
        group = PGNS.get(header.pgn)
        if group is None:
            self._reject("unknown_pgn")
            return None
        try:
            values = group.read(data)
        except ValueError as e:
            self._reject("short" if str(e) == "short" else "bad_field")
            return None
        self.accepted += 1
        days, clock = values.pop("days", None), values.get("utc_of_day_s")
        if days is not None and clock is not None:
            values["utc_s"] = days * DAY + clock
        return {
            "pgn": header.pgn, "name": group.name, "source": header.source, "destination": header.destination,
            "priority": header.priority, **values,
        }  # fmt: skip


def _time(text: bytes) -> float:
    """Epoch seconds of canboat's time; NaN for another form."""
    t = text.strip()
    m = ISO.match(t[:10] + b"T" + t[11:]) if len(t) > 11 else None
    return iso_time(m) if m else math.nan

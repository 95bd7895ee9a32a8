"""Recorded bytes with their recorded times: NMEA 0183 logs and CAN traces, plain or gzip.

NMEA logs often carry no receive times. In this order, a line's time is: the logger's own stamp in front of the
sentence or in its TAG block; the UTC inside the sentences; their time of day alone, counted from day 0, when the log
names no date; a nominal cadence of 10 lines a second.
"""

from __future__ import annotations

import gzip
import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from giljabi.types import NAN, BadInputError
from giljabi_drivers.can_frames import ERROR, EXTENDED, FD, ID_BITS, REMOTE
from giljabi_drivers.contract import Received
from giljabi_drivers.epoch import DAY, UtcTracker, full_year

if TYPE_CHECKING:
    from giljabi._core.nmea import Sentence

TimeBase = Literal["logger", "utc", "clock", "nominal"]
LINE_MAX = 1 << 16  # bytes; a binary file has no lines
HEAD_BYTES = 1 << 19  # looked at to find out what a file is and how it tells time
NOMINAL_S = 0.1  # between lines without any time
BACKWARD_S = 2.0  # sentences of one epoch may be out of order by that much
CLOCK_FIELD = {"GGA": 0, "GNS": 0, "RMC": 0, "GLL": 4, "ZDA": 0, "GST": 0, "GBS": 0}
CAN_SUFFIXES = (".asc", ".blf", ".trc", ".mf4")
# Linux can-utils: `candump -l` and `candump -ta`.
CANDUMP = re.compile(
    rb"\s*\((?P<t>\d+\.\d+)\)\s+(?P<bus>\w+)\s+(?:(?P<id>[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})#(?P<data>\S*)"
    rb"|(?:[RT]X\s+\S+\s+)?(?P<id2>[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})\s+\[(?P<n>\d+)\]\s*"
    rb"(?P<data2>[0-9A-Fa-f ]*|remote request))"
    rb"(?:\s+[RT])?\s*"
)
ISO = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
EPOCH = re.compile(rb"(?<![\d.])(\d{9,10}(?:\.\d+)?|\d{13})(?![\d.])")
TAG_TIME = re.compile(r"(?:^|,)c:(\d+(?:\.\d+)?)(?:,|$)")


def read_recording(path: str | Path) -> Iterator[Received]:
    """Bytes or frames of a recording in order of time; finds out by itself what it is.

    Raises BadInputError `file:line: what; what is expected` for files that are empty, cut off, or neither.
    """
    path = Path(path)
    if _suffix(path) in CAN_SUFFIXES:
        return read_can_log(path)
    for line in itertools.islice(read_lines(path), 100):
        if CANDUMP.fullmatch(line.rstrip(b"\r\n")):
            return read_candump(path)
        if line.strip() and not line.startswith(b"#"):
            break
    return read_nmea(path)


def read_lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends, plain or gzip; a longer line comes in parts. Raises BadInputError with the line."""
    number = 0
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            with gzip.open(raw) if magic == b"\x1f\x8b" else raw as f:
                while line := f.readline(LINE_MAX):
                    number += 1
                    yield bytes(line)
    except EOFError:
        raise BadInputError(f"{path}:{number + 1}: the gzip file is cut off; a whole file is expected") from None
    except (gzip.BadGzipFile, zlib.error) as e:
        raise BadInputError(f"{path}:{number + 1}: not gzip any more ({e}); a whole file is expected") from None
    except OSError as e:
        raise BadInputError(
            f"{path}:{number + 1}: cannot be read ({e.strerror or e}); a recording is expected"
        ) from None
    if number == 0:
        raise BadInputError(f"{path}:1: the file is empty; a recording is expected")


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


class Monotone:
    """Makes times that never go back: small steps back stand still, a clock that was set goes on where it was."""

    def __init__(self, longest_gap_s: float = math.inf) -> None:
        self._longest = longest_gap_s
        self._offset = 0.0
        self._last = NAN

    def at(self, t: float) -> float:
        """The time to use for a recorded time t [s]."""
        t += self._offset
        if t < self._last - BACKWARD_S or t > self._last + self._longest:
            self._offset += self._last + NOMINAL_S - t
            t = self._last + NOMINAL_S
        self._last = t if math.isnan(self._last) else max(t, self._last)
        return self._last


# --- NMEA 0183 ------------------------------------------------------------------------------------


class LineClock:
    """Time of every line of one log."""

    def __init__(self, head: Iterable[bytes]) -> None:
        """head: the log's first lines; `base` then says where times come from, `sentences` how many there were."""
        from giljabi._core.nmea import Framer

        # Whether a missing checksum is fine is the driver's affair; a wrong one is never.
        self._framer = Framer("none")
        self._utc = UtcTracker()
        found: list[Sentence] = []
        self.sentences = stamped = 0
        for line in head:
            for s in self._framer.feed(line):
                if "," not in s.text:
                    continue
                self.sentences += 1
                stamped += not math.isnan(logger_time(line, s))
                if s.type in CLOCK_FIELD:
                    found.append(s)
        self._framer.finish()
        # Before its first fix a receiver tells the time it was switched off at, or the year 1980.
        self._fixes_only = any(_has_fix(s) for s in found)
        clock = next((c for s in found if not math.isnan(c := self._clock(s))), NAN)
        date = next((d for s in found if (d := self._date(s))), None)
        self.base: TimeBase = "nominal"
        if self.sentences and 2 * stamped >= self.sentences:
            self.base = "logger"
        elif date is not None:
            self.base = "utc"
            self._utc.set_date(0.0, *date)
        elif not math.isnan(clock):
            self.base = "clock"
            self._utc.set_date(0.0, 1970, 1, 1, clock)
        self._monotone = Monotone(DAY if self.base == "utc" else math.inf)
        self._t = self._monotone.at(self._utc.resolve(0.0, clock)) if self.base in ("utc", "clock") else NAN

    def at(self, line: bytes) -> float:
        """Time of the next line [s]; NaN as long as nothing is known."""
        if self.base == "nominal":
            self._t = 0.0 if math.isnan(self._t) else self._t + NOMINAL_S
            return self._t
        for s in self._framer.feed(line):
            t = logger_time(line, s) if self.base == "logger" else self._sentence_time(s)
            if not math.isnan(t):
                self._t = self._monotone.at(t)
        return self._t

    def _sentence_time(self, s: Sentence) -> float:
        date = self._date(s) if self.base == "utc" else None
        if date is not None:
            self._utc.set_date(0.0, *date)
        return self._utc.resolve(0.0, self._clock(s))

    def _clock(self, s: Sentence) -> float:
        return NAN if self._fixes_only and not _has_fix(s) else _clock(s)

    def _date(self, s: Sentence) -> tuple[int, int, int, float] | None:
        return None if self._fixes_only and not _has_fix(s) else _date(s)


def read_nmea(path: str | Path) -> Iterator[Received]:
    """Lines of an NMEA 0183 log, other protocols between them included; raises BadInputError."""
    path = Path(path)
    head, size = [], 0
    lines = read_lines(path)
    for line in lines:
        head.append(line)
        size += len(line)
        if size > HEAD_BYTES:
            break
    clock = LineClock(head)
    if clock.sentences == 0:
        raise BadInputError(f"{path}:1: no NMEA sentence in it; NMEA 0183 lines or a candump file is expected")
    waiting: list[bytes] = []
    for line in itertools.chain(head, lines):
        t = clock.at(line)
        if math.isnan(t):
            waiting.append(line)  # a logger's first lines without a stamp
            continue
        for w in waiting:
            yield Received(t, w)
        waiting.clear()
        yield Received(t, line)


def time_base(path: str | Path) -> TimeBase:
    """Where the times of an NMEA log come from; raises BadInputError like read_nmea."""
    size = itertools.accumulate(len(line) for line in read_lines(Path(path)))
    count = sum(1 for n in size if n <= HEAD_BYTES)
    return LineClock(itertools.islice(read_lines(Path(path)), count)).base


def _has_fix(s: Sentence) -> bool:
    """Whether the sentence says that its receiver has a fix."""
    if s.type in ("RMC", "GLL"):
        return s.field(1 if s.type == "RMC" else 5).strip() == "A"
    if s.type == "GGA":
        return s.field(5).strip() not in ("", "0")
    return s.type == "GNS" and bool(set(s.field(5)) - {"N"})


def _clock(s: Sentence) -> float:
    """Time of day [s] of a sentence, NaN when it has none."""
    i = CLOCK_FIELD.get(s.type, -1) if s.talker != "P" else -1
    if i < 0:
        return NAN
    try:
        return s.clock(i)
    except ValueError:
        return NAN


def _date(s: Sentence) -> tuple[int, int, int, float] | None:
    """Year, month, day and time of day of an RMC or a ZDA with a date."""
    clock = _clock(s)
    if math.isnan(clock) or s.type not in ("RMC", "ZDA"):
        return None
    if s.type == "RMC":
        text = s.field(8).strip()
        parts = [text[4:], text[2:4], text[:2]] if len(text) == 6 else []
    else:
        parts = [s.field(i).strip() for i in (3, 2, 1)]
    if len(parts) < 3 or not all(p.isascii() and p.isdigit() and len(p) <= 4 for p in parts):
        return None
    year, month, day = (int(p) for p in parts)
    year = full_year(year) if year < 100 else year
    try:
        datetime(year, month, day)
    except ValueError:
        return None
    return year, month, day, clock


def logger_time(line: bytes, s: Sentence) -> float:
    """Time [epoch s] that a logger wrote in front of a sentence, or that its TAG block carries; NaN when none."""
    tag = TAG_TIME.search(s.tag) if s.tag else None
    if tag:
        t = float(tag.group(1))
        return t / 1e3 if t > 1e11 else t  # NMEA 0183 v4.1: seconds, many talkers send milliseconds
    prefix = line[: max(line.find(s.text[0].encode()), 0)]
    iso = ISO.search(prefix)
    if iso:
        return iso_time(iso)
    epoch = EPOCH.search(prefix)
    if epoch:
        t = float(epoch.group(1))
        return t / 1e3 if t > 1e11 else t
    return NAN


def iso_time(m: re.Match[bytes]) -> float:
    """ISO 8601 [epoch s]; without a zone it is taken as UTC."""
    try:
        year, month, day, hour, minute, second = (int(m.group(i)) for i in range(1, 7))
        whole = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc).timestamp()
    except ValueError:
        return NAN
    zone = (m.group(8) or b"Z").decode().replace(":", "")
    shift = 0 if zone == "Z" else (int(zone[:3]) * 60 + int(zone[0] + zone[3:])) * 60
    return whole + float(m.group(7) or 0.0) - shift


# --- CAN ------------------------------------------------------------------------------------------


def read_candump(path: str | Path) -> Iterator[Received]:
    """Frames of a candump file (log or screen format with absolute times); raises BadInputError."""
    return candump_frames(str(path), read_lines(Path(path)))


def candump_frames(file: str, lines: Iterable[bytes]) -> Iterator[Received]:
    """Frames of candump's lines, wherever they come from; raises BadInputError that names `file`."""
    bus = _bus_numbers()
    monotone = Monotone()
    number = count = 0
    for line in lines:
        number += 1
        text = line.rstrip(b"\r\n")
        if not text.strip() or text.startswith(b"#"):
            continue
        m = CANDUMP.fullmatch(text)
        frame = _candump_frame(m, bus) if m else None
        if frame is None or m is None:
            shown = text[:40].decode("ascii", "replace")
            raise BadInputError(f"{file}:{number}: '{shown}' is no frame; e.g. (1.5) can0 123#0102 is expected")
        can_id, data, bus_number, flags = frame
        count += 1
        yield Received(monotone.at(float(m["t"])), data, can_id, bus_number, flags)
    if not count:
        raise BadInputError(f"{file}:1: no frame in it; a candump file is expected")


def _bus_numbers() -> Callable[[bytes], int]:
    """Bus by interface name: its number, else the order of appearance."""
    known: dict[bytes, int] = {}

    def bus(name: bytes) -> int:
        if name not in known:
            digits = re.search(rb"\d{1,3}$", name)
            known[name] = int(digits.group()) if digits else len(known)
        return known[name]

    return bus


def _candump_frame(m: re.Match[bytes], bus: Callable[[bytes], int]) -> tuple[int, bytes, int, int] | None:
    """Identifier, data, bus and flags of a matched line; None when its data are wrong."""
    text_id = m["id"] or m["id2"]
    raw_id = int(text_id, 16)
    flags = (ERROR if raw_id & 0x20000000 else EXTENDED) if len(text_id) == 8 else 0
    body = (m["data"] if m["data"] is not None else m["data2"].replace(b" ", b"")).replace(b".", b"")
    if body.startswith((b"R", b"remote")):
        return raw_id & ID_BITS, b"", bus(m["bus"]), flags | REMOTE
    if body.startswith(b"#"):  # FD: ##<flags><data>
        flags, body = flags | FD, body[2:]
    body = body.split(b"_")[0]  # classic frames may carry their raw DLC behind an underscore
    try:
        data = bytes.fromhex(body.decode("ascii"))
    except ValueError:
        return None
    if m["n"] is not None and len(data) != int(m["n"]):
        return None
    if len(data) > 8:
        flags |= FD
    return (raw_id & ID_BITS, data, bus(m["bus"]), flags) if len(data) <= 64 else None


def read_can_log(path: str | Path) -> Iterator[Received]:
    """Frames of an ASC, BLF, TRC or MF4 file through python-can's readers; raises BadInputError."""
    import can

    path = Path(path)
    numbers: dict[object, int] = {}
    monotone = Monotone()
    count = 0
    try:
        with can.LogReader(path) as reader:
            for m in reader:
                channel = m.channel
                bus = channel if isinstance(channel, int) else numbers.setdefault(channel, len(numbers))
                flags = m.is_extended_id | m.is_remote_frame << 1 | m.is_error_frame << 2 | m.is_fd << 3
                count += 1
                yield Received(monotone.at(m.timestamp), bytes(m.data), m.arbitration_id, max(bus, 0), flags)
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror or e}); a CAN trace is expected") from None
    except NotImplementedError:  # how python-can says that asammdf is missing
        raise BadInputError(f"{path}:1: MF4 needs asammdf; `pip install 'giljabi[mf4]'` brings it") from None
    except Exception as e:  # python-can's readers raise many kinds on files that are not theirs
        what = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise BadInputError(f"{path}:{count + 1}: {what}; a CAN trace is expected") from None
    if not count:
        raise BadInputError(f"{path}:1: no frame in it; a CAN trace is expected")

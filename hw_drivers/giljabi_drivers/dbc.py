"""CAN databases: cantools reads the file, precomputed shifts and masks read the frames."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from giljabi._core.can import Checksum
from giljabi.platform import share_dir
from giljabi.types import BadInputError
from giljabi.wire import WireChecksum, WireCounter
from giljabi_drivers.can_checks import default_checks
from giljabi_drivers.dbc_repair import Repair, lines_of

# Factor to SI by the DBC's unit string; the empty string is looked up under what the signal usually has.
SI: dict[str, dict[str, float]] = {
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6, "kph": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600},
    "angle": {"rad": 1.0, "deg": math.pi / 180, "°": math.pi / 180, "mrad": 1e-3},
    "angular rate": {"rad/s": 1.0, "deg/s": math.pi / 180, "°/s": math.pi / 180},
    "acceleration": {"m/s^2": 1.0, "m/s2": 1.0, "m/s/s": 1.0, "m/s²": 1.0, "g": 9.80665},
    "force": {"N": 1.0, "kN": 1e3},
    "length": {"m": 1.0, "cm": 1e-2, "mm": 1e-3},
}


@dataclass(frozen=True, slots=True)
class Field:
    """Where a signal stands: `(int.from_bytes(data) >> shift) & mask`, then sign, scale and offset."""

    name: str
    start: int
    length: int
    big_endian: bool
    signed: bool
    scale: float
    offset: float
    unit: str
    shift: int
    mask: int

    def raw(self, data: bytes) -> int:
        """Raw value out of a frame's data; the frame must be at least as long as its message."""
        x = (int.from_bytes(data, "big" if self.big_endian else "little") >> self.shift) & self.mask
        return x - self.mask - 1 if self.signed and x > self.mask >> 1 else x

    def value(self, data: bytes) -> float:
        """Physical value in the DBC's unit."""
        return self.raw(data) * self.scale + self.offset


@dataclass(slots=True)
class Message:
    """One message of the database, ready to check and to read."""

    name: str
    can_id: int
    extended: bool
    size: int
    cycle_s: float  # 0: not given
    axes: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    check: WireChecksum = field(default_factory=WireChecksum)  # of kind "none" when frames cannot be checked
    checker: Checksum | None = None  # the same, compiled
    counter: WireCounter | None = None
    counter_field: Field | None = None
    unchecked: str = ""  # why the checksum that it should have cannot be computed
    fd: bool = False
    bitrate_switch: bool = False
    whole: Any = None  # cantools's message, for what `fields` cannot hold

    def signals(self, data: bytes) -> dict[str, float]:
        """Every signal in the DBC's units; ValueError when the frame's multiplexer selects nothing."""
        try:
            values: dict[str, Any] = self.whole.decode(data, decode_choices=False)
        except Exception as e:  # cantools lets its own, key and bitstruct errors through
            raise ValueError(f"{self.name}: {e}") from None
        return {name: float(v) if isinstance(v, float) else v for name, v in values.items()}

    @property
    def key(self) -> int:
        """Identifier with bit 31 for the extended format."""
        return self.can_id | (1 << 31 if self.extended else 0)

    def checksum_ok(self, data: bytes) -> bool:
        """Whether the frame's checksum is right; data is as long as the message."""
        return self.checker is None or self.checker.ok(data)

    def si(self, name: str, quantity: str, usual_unit: str) -> Callable[[bytes], float] | None:
        """Reader of a signal in SI, or None when the message has no such signal; BadInputError on a strange unit."""
        f = self.fields.get(name)
        if f is None:
            return None
        factor = self.si_factor(name, quantity, usual_unit)
        shift, mask, half = f.shift, f.mask, f.mask >> 1 if f.signed else f.mask
        scale, offset, order = f.scale, f.offset, "big" if f.big_endian else "little"

        def read(data: bytes) -> float:
            x = (int.from_bytes(data, order) >> shift) & mask  # type: ignore[arg-type]
            return ((x - mask - 1 if x > half else x) * scale + offset) * factor

        return read

    def si_factor(self, name: str, quantity: str, usual_unit: str) -> float:
        """SI per unit of a signal."""
        unit = self.fields[name].unit.strip() or usual_unit
        known = SI[quantity]
        if unit not in known:
            raise BadInputError(f"{self.name}.{name}: unit '{unit}' is no {quantity}; one of {', '.join(known)}")
        return known[unit]


@dataclass(slots=True)
class Database:
    """Messages by name and by key; `notes` says what of the file cannot be used."""

    path: Path
    by_name: dict[str, Message]
    by_key: dict[int, Message]
    notes: list[str]
    lines: dict[tuple[int, str], int] = field(default_factory=dict)  # see dbc_repair.lines_of

    def at(self, message: Message, signal: str = "") -> str:
        """`file:line` of a message or of one of its signals."""
        return f"{self.path}:{self.lines.get((message.key, signal), self.lines.get((message.key, ''), 1))}"


def find_dbc(name: str | Path, beside: Path | None = None) -> Path:
    """Path of a DBC from a file name in config/dbc or a path, relative to `beside` or to the working folder."""
    path = Path(name)
    places = [path] if path.is_absolute() else [*([beside / path] if beside else []), share_dir() / "config/dbc" / path]
    places += [] if path.is_absolute() else [path]
    for place in places:
        if place.is_file():
            return place
    raise BadInputError(f"no database '{name}'; a file in config/dbc or a path is expected")


def load_dbc(path: Path, default_checksum: str = "none") -> Database:
    """Reads a DBC; raises BadInputError `file:line: what` when it cannot be read.

    default_checksum: of messages that have a CHECKSUM signal but no ChecksumKind attribute.
    """
    import cantools

    try:
        text = path.read_bytes().decode("cp1252", errors="replace")
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a DBC file is expected") from None
    if not re.search(r"^\s*BO_ ", text, re.MULTILINE):
        raise BadInputError(f"{path}:1: has no message (BO_); a DBC file is expected")
    repair = Repair(path, text)
    loaded: Any = repair.read(lambda t: cantools.database.load_string(t, database_format="dbc", strict=False))
    if not loaded.messages:
        raise BadInputError(f"{repair.notes[0]}; a DBC file with at least one message is expected")
    out = Database(path, {}, {}, repair.notes, lines_of(repair.lines))
    definitions = loaded.dbc.attribute_definitions if loaded.dbc else {}
    kind = definitions["ChecksumKind"].default_value if "ChecksumKind" in definitions else default_checksum
    for m in loaded.messages:
        _add(out, m, str(kind or default_checksum))
    return out


def _add(database: Database, m: Any, default_checksum: str) -> None:
    attributes = m.dbc.attributes if m.dbc else {}
    text = {n: str(attributes[n].value) for n in ("ChecksumKind", "ChecksumDataId", "Axes") if n in attributes}
    out = Message(m.name, m.frame_id, m.is_extended_frame, m.length, (m.cycle_time or 0) / 1e3)
    out.axes, out.whole, out.fd = text.get("Axes", ""), m, bool(m.is_fd) or m.length > 8
    out.bitrate_switch = out.fd and str(getattr(attributes.get("CANFD_BRS"), "value", 0)) == "1"
    for s in m.signals:
        big = s.byte_order == "big_endian"
        first = 8 * (s.start // 8) + 7 - s.start % 8 if big else s.start  # bits before the signal, in its own order
        strange = s.is_multiplexer or s.multiplexer_ids or s.is_float or not s.scale
        if first + s.length > 8 * m.length or strange:
            what = "does not fit its message, is multiplexed, floating-point or without a scale; it is left out"
            database.notes.append(f"{database.at(out, s.name)}: {m.name}.{s.name} {what}")
            continue
        shift = 8 * m.length - first - s.length if big else first
        scale, offset, unit = float(s.scale), float(s.offset), str(s.unit or "")
        mask = (1 << s.length) - 1
        out.fields[s.name] = Field(s.name, s.start, s.length, big, bool(s.is_signed), scale, offset, unit, shift, mask)
    try:
        default_checks(out, default_checksum, text)
    except BadInputError as e:
        raise BadInputError(f"{database.at(out)}: {m.name}: {e}") from None
    if out.unchecked:
        database.notes.append(f"{database.at(out)}: {m.name} is not checked: {out.unchecked}")
    if out.key in database.by_key:
        database.notes.append(f"{database.at(out)}: {m.name} has the identifier of {database.by_key[out.key].name}")
        return
    database.by_key[out.key] = out
    database.by_name.setdefault(out.name, out)

"""Faults on the wire: what happens to bytes and frames on their way, sans-I/O and seeded.

The unit is a message: a sentence where a stream carries sentences, else a chunk as it was sent; a frame on CAN. A fault
has been consumed when the other end was given something else than was sent, or not given what was sent.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from giljabi_sim.fault_spec import WHOLE_LINE, Fault
from giljabi_sim.noise import generator
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.peers.multicast import sentence_of

SENTENCE = re.compile(rb"[^\n]*\n|[^\n]+")
# Error frames of the kernel (linux/can/error.h): CAN_ERR_BUSOFF and CAN_ERR_RESTARTED.
BUS_OFF, RESTARTED = Chunk(bytes(8), 0x040, is_error=True), Chunk(bytes(8), 0x100, is_error=True)
SENTENCE_STARTS = (b"$", b"!", b"\\")
Lines = dict[str, list[Chunk]]  # chunks by driver


@dataclass(slots=True)
class _Unit:
    """One message under way, and the faults that changed it."""

    chunk: Chunk
    marks: tuple[int, ...] = ()

    @property
    def key(self) -> bytes | int:
        """What tells messages of one kind from others: CAN identifier, or address of a sentence."""
        if self.chunk.can_id >= 0:
            return self.chunk.can_id
        text = sentence_of(self.chunk.data)
        return text.split(b",", 1)[0] if text.startswith(SENTENCE_STARTS) else b""


@dataclass(slots=True)
class Tally:
    """What a fault met while it was on."""

    began: bool = False
    met: int = 0  # messages that it could have hit
    other: int = 0  # messages that it was not meant for
    chosen: int = 0
    changed: int = 0  # given to the other end otherwise than sent, or not given


@dataclass(slots=True)
class _Stage:
    """One fault on one direction of one line."""

    number: int
    fault: Fault
    tally: Tally
    seed: int
    way: str
    held: deque[tuple[float, _Unit]] = field(default_factory=deque)
    last: dict[bytes | int, Chunk] = field(default_factory=dict)
    was_on: bool = False
    _rng: object = None

    def __post_init__(self) -> None:
        f = self.fault
        self._rng = generator(self.seed, f"wire {self.number} {f.what} {f.where} {self.way}")

    def step(self, now: float, active: bool, units: list[_Unit]) -> list[_Unit]:
        """Messages of this moment in, messages that come out now."""
        self.tally.began |= active
        out: list[_Unit] = []
        if self.fault.what == "bus_off" and self.way == "from_device" and active != self.was_on:
            self.was_on = active  # the controller says so, whatever is on the bus
            out.append(_Unit(BUS_OFF if active else RESTARTED, (self.number,)))
        if self.fault.what == "delay":
            self._release(now, out)
        for u in units:
            if active and self._chosen(u):
                self._act(now, u, out)
            else:
                if self.fault.what == "freeze" and not active:
                    self.last[u.key] = u.chunk
                out.append(u)
                if self.fault.what == "reorder":
                    self._release(now, out)
        if not active and self.fault.what == "reorder":
            while self.held:  # nothing came after it
                out.append(self.held.popleft()[1])
        return out

    def _release(self, now: float, out: list[_Unit]) -> None:
        while self.held and self.held[0][0] <= now + 1e-9:
            u = self.held.popleft()[1]
            out.append(replace(u, marks=(*u.marks, self.number)))

    def _chosen(self, u: _Unit) -> bool:
        f, tally = self.fault, self.tally
        if not _is_meant(f.message, u.chunk):
            tally.other += 1
            return False
        tally.met += 1
        if f.count is not None and tally.chosen >= f.count:
            return False
        if f.every is not None and tally.met % f.every != 0:
            return False
        if f.share is not None and self._draw(1 << 30) >= f.share * (1 << 30):
            return False
        tally.chosen += 1
        return True

    def _draw(self, below: int) -> int:
        return int(self._rng.integers(below))  # type: ignore[attr-defined]

    def _act(self, now: float, u: _Unit, out: list[_Unit]) -> None:
        what = self.fault.what
        if what in ("drop", *WHOLE_LINE):
            self.tally.changed += 1
        elif what == "delay":
            self.held.append((now + (self.fault.delay_s or 0.0), u))
        elif what == "reorder":
            if self.held:  # two in a row: the first has been overtaken by nobody yet
                out.append(u)
                self._release(now, out)
            else:
                self.held.append((now, u))
        elif what == "duplicate":
            out += [u, replace(u, marks=(*u.marks, self.number))]
        elif what == "garbage":
            out += [_Unit(self._garbage(u.chunk), (self.number,)), u]
        else:
            chunk = self._flipped(u.chunk) if what == "flip" else self.last.setdefault(u.key, u.chunk)
            out.append(_Unit(chunk, (*u.marks, self.number)) if chunk != u.chunk else u)

    def _flipped(self, chunk: Chunk) -> Chunk:
        size = 8 * len(chunk.data)
        places: set[int] = set()
        while len(places) < min(self.fault.bits or 1, size):
            places.add(self._draw(size))
        data = bytearray(chunk.data)
        for p in sorted(places):
            data[p // 8] ^= 1 << p % 8
        return replace(chunk, data=bytes(data))

    def _garbage(self, chunk: Chunk) -> Chunk:
        """Random bytes; on CAN a frame that no node sends, with the identifier hit where one was named."""
        count = self.fault.bytes or 16
        if chunk.can_id < 0:
            return replace(chunk, data=bytes(self._draw(256) for _ in range(count)))
        can_id = chunk.can_id if self.fault.message is not None else self._draw(0x800)
        return Chunk(bytes(self._draw(256) for _ in range(min(count, 8))), can_id)


@dataclass(slots=True)
class _Line:
    """Both ends of one direction of one device."""

    stages: list[_Stage] = field(default_factory=list)

    def step(self, now: float, t: float, chunks: Sequence[Chunk], tallies: Mapping[int, Tally]) -> list[Chunk]:
        units = [_Unit(c) for chunk in chunks for c in _split(chunk)]
        for s in self.stages:
            units = s.step(now, _is_on(s.fault, t), units)
        for u in units:
            for number in u.marks:
                tallies[number].changed += 1
        return _joined(units)


class WireFaults:
    """All wire faults of a scenario; same scenario and seed, same bytes."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        """faults: all of the scenario; those that are not of the wire are passed over."""
        self._faults = {i: f for i, f in enumerate(faults) if f.on_wire}
        self.tallies = {i: Tally() for i in self._faults}
        self._from: dict[str, _Line] = {}
        self._to: dict[str, _Line] = {}
        for i, f in self._faults.items():
            both = f.what in WHOLE_LINE or f.direction == "both"
            for lines, way in ((self._from, "from_device"), (self._to, "to_device")):
                if both or (f.direction or "from_device") == way:
                    stage = _Stage(i, f, self.tallies[i], seed, way)
                    lines.setdefault(f.where, _Line()).stages.append(stage)

    def from_devices(self, now: float, t: float, sent: Lines) -> Lines:
        """What the devices sent at `now` [s] in, what arrives at the other end out; t: s on the scenario's clock."""
        return self._through(self._from, now, t, sent)

    def to_devices(self, now: float, t: float, sent: Mapping[str, Sequence[Chunk]]) -> Mapping[str, Sequence[Chunk]]:
        """The same the other way."""
        return self._through(self._to, now, t, {k: list(v) for k, v in sent.items()}) if self._to else sent

    def _through(self, lines: Mapping[str, _Line], now: float, t: float, sent: Lines) -> Lines:
        for name, line in lines.items():
            chunks = line.step(now, t, sent.get(name, ()), self.tallies)
            if chunks:
                sent[name] = chunks
            else:
                sent.pop(name, None)
        return sent

    def gone(self, t: float) -> frozenset[str]:
        """Drivers whose line is unplugged at t."""
        return frozenset(f.where for f in self._faults.values() if f.what == "unplug" and _is_on(f, t))

    def row(self, number: int, t_end: float) -> dict[str, object]:
        """One row of the report: what it met, and what was wrong when that was nothing."""
        f, tally = self._faults[number], self.tallies[number]
        out: dict[str, object] = {"what": f.what, "where": f.where, "consumed": tally.changed > 0}
        out |= {"met": tally.met, "changed": tally.changed}
        problem = _problem(f, tally, t_end)
        return out | ({"problem": problem} if problem else {})


def _is_on(f: Fault, t: float) -> bool:
    return f.begin <= t and (f.end is None or t < f.end)


def _is_meant(message: int | str | None, chunk: Chunk) -> bool:
    if message is None:
        return True
    if isinstance(message, int):
        return chunk.can_id == message
    address = sentence_of(chunk.data).split(b",", 1)[0].lstrip(b"$!\\").upper()
    wanted = message.upper().encode("ascii", "replace")
    return chunk.can_id < 0 and (address == wanted or (len(address) == 5 and address[2:] == wanted))


def _split(chunk: Chunk) -> list[Chunk]:
    """The sentences of a chunk of a stream; anything else is one message."""
    if chunk.can_id >= 0 or not chunk.data.startswith(SENTENCE_STARTS):
        return [chunk]
    parts = SENTENCE.findall(chunk.data)
    return [replace(chunk, data=p) for p in parts] if len(parts) > 1 else [chunk]


def _joined(units: Sequence[_Unit]) -> list[Chunk]:
    """Frames and datagrams one by one, bytes of a stream in one piece."""
    if any(u.chunk.can_id >= 0 or u.chunk.datagram for u in units):
        return [u.chunk for u in units]
    data = b"".join(u.chunk.data for u in units)
    return [Chunk(data)] if data else []


def _problem(f: Fault, tally: Tally, t_end: float) -> str:
    """Why nothing consumed it, in words; empty when something did."""
    if tally.changed:
        return ""
    if not tally.began:
        why = f"the run ended at {t_end:.1f} s, before it began"
    elif tally.met + tally.other == 0:
        why = f"met no byte: {_nobody(f)}"
    elif tally.met == 0:
        why = f"met no such message; {tally.other} others passed then"
    elif tally.chosen == 0:
        why = f"chose none of the {tally.met} messages that passed then"
    else:
        why = f"changed nothing: what it did to {tally.chosen} messages left them as they were, or never arrived"
    return f"{f.words}: {why}"


def _nobody(f: Fault) -> str:
    if f.what in WHOLE_LINE or f.direction == "both":
        return "neither end sent anything then"
    return "nothing was sent to the device then" if f.direction == "to_device" else "the device sent nothing then"

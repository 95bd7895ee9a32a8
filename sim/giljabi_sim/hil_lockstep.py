"""Lock-step over real bytes: the devices' lines on one end, the drivers' transports on the other, one process.

Time stands still until each end has read exactly the bytes that the other wrote, so the outcome is that of
`giljabi sim`, but every byte went through the kernel and the transports' framing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from giljabi.stack import Stack
from giljabi.types import GiljabiError
from giljabi_drivers.can_frames import ERROR
from giljabi_drivers.contract import Received
from giljabi_drivers.transport import open_transport
from giljabi_drivers.transport_base import Transport
from giljabi_sim.lockstep import LockStep, Recorder
from giljabi_sim.peers.contract import Chunk, Wire
from giljabi_sim.scenario import Scenario
from giljabi_sim.wires import Line, open_lines, plug_lines

WAIT_S = 2.0  # for bytes that the kernel has taken
CONNECT_S = 5.0
PIECE = 1024  # bytes written to a stream before they are read: a terminal's buffer holds 4096
NAP_S = 5e-5
Part = TypeVar("Part", Received, Chunk)


@dataclass(slots=True)
class Carried:
    """What went over one wire; messages are frames on CAN, and writes on a stream."""

    bytes_in: int = 0  # from the device
    messages_in: int = 0
    lost_in: int = 0  # messages sent while nobody listened
    bytes_out: int = 0
    messages_out: int = 0
    refused_out: int = 0  # messages that the transport did not take


class HilLockStep(LockStep):
    """One scenario against one stack over real descriptors; `close` gives them back."""

    def __init__(self, scenario: Scenario, run_dir: Path, recorder: Recorder | None = None) -> None:
        """run_dir: for the links of terminals. Raises BadInputError, or GiljabiError when a line cannot be opened."""
        self.lines_dir = run_dir
        self.lines: dict[str, Line] = {}
        self.transports: dict[str, Transport] = {}
        self.carried: dict[str, Carried] = {}
        self._arrived: dict[str, list[Chunk]] = {}
        self._gone: set[str] = set()
        try:
            super().__init__(scenario, recorder)
        except BaseException:
            self.close()
            raise

    def _build_stack(self) -> Stack:
        self.lines = open_lines(self.simulation.scenario.platform, self.simulation.peers, self.lines_dir)
        self.transports = {name: open_transport(line.url) for name, line in self.lines.items()}
        self.carried = {name: Carried() for name in self.lines}
        self._open = dict.fromkeys(self.lines, True)
        self._connect()
        return Stack(self.scenario.platform, {name: t.framing for name, t in self.transports.items()})

    def close(self) -> None:
        """Closes both ends of all lines."""
        for transport in self.transports.values():
            transport.close()
        for line in self.lines.values():
            line.close()

    def _connect(self) -> None:
        """Waits until every transport has its device."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            for name, transport in self.transports.items():
                self.lines[name].read()
                transport.read(0.0)
            closed = [(n, t) for n, t in self.transports.items() if t.problem]
            if not closed:
                return
            if time.monotonic() > deadline:
                name, t = closed[0]
                raise GiljabiError(f"hil: '{name}' cannot be opened at {t.url.text} ({t.problem})")
            time.sleep(NAP_S)

    # --- from the devices ---------------------------------------------------------------------------

    def _inwards(self, now: float, sent: Mapping[str, Sequence[Chunk]]) -> dict[str, list[Received]]:
        plug_lines(self.lines, self.simulation.unplugged, self._gone)
        received: dict[str, list[Received]] = {}
        for name, transport in self.transports.items():
            chunks, carried = sent.get(name, ()), self.carried[name]
            self._arrived.setdefault(name, []).extend(self.lines[name].read())  # and a TCP line takes its client
            is_can = self.simulation.peers[name].wire is Wire.CAN
            # A CAN controller that is off the bus still hears itself say so, and that it is back.
            if (transport.problem and not is_can) or name in self._gone:
                carried.lost_in += len(chunks)
                got = transport.read(now)  # sees that it hung up, and opens it again when it is time
            else:
                got = self._read_in(now, name, chunks)
            # The kernel's stamps are of the wall's time, ours stands still while bytes are under way.
            got = [r if r.t == now else replace(r, t=now) for r in got]
            carried.bytes_in += sum(len(r.data) for r in got)
            carried.messages_in += len(chunks) if got else 0
            if got:
                received[name] = got
                self._note(now, name, False, [Chunk(r.data, r.can_id, bool(r.flags & ERROR)) for r in got])
            self._follow(now, name)
        return received

    def _read_in(self, now: float, name: str, chunks: Sequence[Chunk]) -> list[Received]:
        """Writes on the device's end, reads the same bytes on the driver's."""
        line, transport, got = self.lines[name], self.transports[name], list[Received]()
        is_can = self.simulation.peers[name].wire is Wire.CAN
        if any(c.datagram for c in chunks):
            return self._read_datagrams(now, name, chunks)
        for piece in [chunks] if is_can else _pieces(chunks):
            expected = len(piece) if is_can else sum(len(c.data) for c in piece)
            taken = line.write(piece)
            if taken < expected:
                raise GiljabiError(
                    f"hil: '{name}': the kernel took {taken} of {expected} {_unit(is_can)} to the driver"
                )
            got += _collect(partial(transport.read, now), expected, is_can, f"hil: '{name}': to the driver")
        if not chunks:
            got.extend(transport.read(now))
        return got

    def _read_datagrams(self, now: float, name: str, chunks: Sequence[Chunk]) -> list[Received]:
        """The same for datagrams of one sentence each: one that the transport drops is counted by it."""
        line, transport, got = self.lines[name], self.transports[name], list[Received]()
        before, deadline = sum(transport.rejected.values()), time.monotonic() + WAIT_S
        taken, size = line.write(chunks), sum(len(c.data) for c in chunks)
        if taken < size:
            raise GiljabiError(f"hil: '{name}': the kernel took {taken} of {size} bytes to the driver")
        while len(got) + sum(transport.rejected.values()) - before < len(chunks):
            if time.monotonic() > deadline:
                what = f"{len(got)} of {len(chunks)} datagrams came within {WAIT_S:g} s, the others were not dropped"
                raise GiljabiError(f"hil: '{name}': to the driver: {what}; the kernel lost them")
            got += transport.read(now)
        return got

    def _follow(self, now: float, name: str) -> None:
        """Tells the guard when a device comes and goes, as the thread that owns the descriptors does."""
        is_open = not self.transports[name].problem
        if is_open != self._open[name]:
            self._open[name] = is_open
            why = self.transports[name].problem if self.transports[name].fileno() >= 0 else ""
            self.stack.set_device(name, is_open, now, why)

    # --- to the devices -----------------------------------------------------------------------------

    def _outwards(self, now: float, frames: Sequence[tuple[str, bytes]]) -> None:
        expected: dict[str, int] = {}
        for name, data in frames:
            transport, carried = self.transports[name], self.carried[name]
            taken = transport.write(data) if transport.command_fd() >= 0 else 0
            if taken == 0:
                carried.refused_out += 1
                continue
            is_can = self.simulation.peers[name].wire is Wire.CAN
            if taken < len(data):
                raise GiljabiError(f"hil: '{name}': the kernel took {taken} of {len(data)} bytes to the device")
            carried.messages_out += 1
            expected[name] = expected.get(name, 0) + (1 if is_can else taken)
        for name, n in expected.items():
            chunks = self._read_out(name, n)
            self.carried[name].bytes_out += sum(len(c.data) for c in chunks)
            self._arrived.setdefault(name, []).extend(chunks)
            self._note(now, name, True, chunks)

    def _read_out(self, name: str, expected: int) -> list[Chunk]:
        is_can = self.simulation.peers[name].wire is Wire.CAN
        out = _collect(self.lines[name].read, expected, is_can, f"hil: '{name}': to the device")
        return out if is_can or any(c.datagram for c in out) else [Chunk(b"".join(c.data for c in out))]

    def _at_devices(self, now: float) -> Mapping[str, Sequence[Chunk]]:
        arrived, self._arrived = self._arrived, {}
        return arrived


def _pieces(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """A stream's chunks in pieces that a terminal's buffer holds; a datagram is never cut below 1024 bytes."""
    return [[Chunk(c.data[k : k + PIECE])] for c in chunks for k in range(0, len(c.data), PIECE)]


def _unit(is_can: bool) -> str:
    return "frames" if is_can else "bytes"


def _collect(read: Callable[[], list[Part]], expected: int, is_can: bool, words: str) -> list[Part]:
    """Reads until so many frames or bytes have come; raises GiljabiError when they do not."""
    out: list[Part] = []
    came, deadline = 0, time.monotonic() + WAIT_S
    while True:
        new = read()
        out += new
        came += len(new) if is_can else sum(len(p.data) for p in new)
        if came >= expected:
            return out
        if time.monotonic() > deadline:
            what = f"{came} of {expected} {_unit(is_can)} came within {WAIT_S:g} s"
            raise GiljabiError(f"{words}: {what}; the kernel lost the rest, or somebody else reads this line")
        if not new:
            time.sleep(NAP_S)

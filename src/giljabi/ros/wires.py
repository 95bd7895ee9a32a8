"""The drivers' input side: one thread that reads all devices and steps their drivers."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from giljabi.clock import StackClock
from giljabi.types import Sample
from giljabi_drivers.can_frames import reframed
from giljabi_drivers.can_transports import CanTransport
from giljabi_drivers.contract import Driver, Received, Selective, diagnostics_of
from giljabi_drivers.transport_base import Transport

WAIT_S = 0.05  # longest wait for bytes, so that reopening, deadlines and the end are seen


@dataclass(slots=True)
class Wire:
    """One device: its driver, its transport, and what of it is registered."""

    name: str
    driver: Driver
    transport: Transport
    commanded: bool  # the guard writes to it
    generation: int = -1
    fd: int = -1
    command_fd: int = -1
    deadline: float = 0.0


class Wires:
    """Reads all devices in one thread; transports reopen by themselves, the guard gets each new descriptor."""

    def __init__(
        self,
        devices: Mapping[str, tuple[Driver, Transport]],
        clock: StackClock,
        use: Callable[[Sample], None],
        hand_over: Callable[[str, int, str], None],
        caught: Callable[[str, Exception], None],
    ) -> None:
        """use: gets each sample; hand_over: gets (device, descriptor for the guard or -1, why it is gone)."""
        self._clock, self._use, self._hand_over, self._caught = clock, use, hand_over, caught
        self.wires = [Wire(n, d, t, d.encode_table() is not None) for n, (d, t) in devices.items()]
        for driver, transport in devices.values():
            if isinstance(driver, Selective) and isinstance(transport, CanTransport):
                transport.listen(driver.listens())
        self._selector = selectors.DefaultSelector()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wires", daemon=True)

    def start(self) -> None:
        """Begins to open and read."""
        self._thread.start()

    def end(self) -> None:
        """Ends the thread; from here on no descriptor is handed over."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def close(self) -> None:
        """Closes all devices."""
        for wire in self.wires:
            wire.transport.close()

    def problems(self, now: float) -> dict[str, dict[str, str]]:
        """Open problems by device."""
        return {
            w.name: {w.name: f"{w.transport.url.text}: {w.transport.problem}"}
            if w.transport.problem
            else dict(w.driver.health(now))
            for w in self.wires
        }

    def diagnostics(self, now: float) -> dict[str, dict[str, str]]:
        """What devices and drivers have to tell, as text by key, by device."""
        return {w.name: {**w.transport.diagnostics(), **diagnostics_of(w.driver, now)} for w in self.wires}

    def counts(self) -> dict[str, dict[str, Any]]:
        """By device: what its driver took, and what driver and transport dropped and flagged, by reason."""
        out = {}
        for w in self.wires:
            stats, t = w.driver.stats, w.transport
            out[w.name] = {
                "accepted": stats.accepted,
                "rejected": {**t.rejected, **stats.rejected},
                "flagged": {**getattr(t, "flagged", {}), **stats.flagged},
            }
        return out

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self._cycle()
            except Exception as e:
                self._caught("wires", e)
                self._end.wait(WAIT_S)

    def _cycle(self) -> None:
        now = self._clock.now()
        soonest = min((w.deadline for w in self.wires), default=now + WAIT_S)
        ready = {key.data for key, _ in self._selector.select(max(0.0, min(WAIT_S, soonest - now)))}
        now = self._clock.now()
        for wire in self.wires:
            # A silent wire is read too: that is what notices a gone device and opens it again.
            if wire.name in ready or now >= wire.deadline:
                try:
                    self._step(wire, now, wire.transport.read(now))
                except Exception as e:
                    self._caught(wire.name, e)
                self._follow(wire)

    def _step(self, wire: Wire, now: float, received: Sequence[Received]) -> None:
        wire.deadline = now + WAIT_S
        result = wire.driver.step(now, received)
        if now < result.next_deadline:
            wire.deadline = min(wire.deadline, result.next_deadline)
        for data in result.to_send:
            wire.transport.write(reframed(data, wire.transport.framing))
        for sample in result.samples:
            self._use(sample)

    def _follow(self, wire: Wire) -> None:
        """Registers what was opened anew and forgets what was closed."""
        t = wire.transport
        fd, command_fd = t.fileno(), t.command_fd()
        if (wire.generation, wire.fd, wire.command_fd) == (t.generation, fd, command_fd):
            return
        if (wire.generation, wire.fd) != (t.generation, fd):
            if wire.fd >= 0:
                for key in [k for k in self._selector.get_map().values() if k.data == wire.name]:
                    self._selector.unregister(key.fd)
            if fd >= 0:
                self._selector.register(fd, selectors.EVENT_READ, wire.name)
        wire.generation, wire.fd, wire.command_fd = t.generation, fd, command_fd
        if wire.commanded:
            self._hand_over(wire.name, command_fd, t.problem if command_fd < 0 <= fd else "")

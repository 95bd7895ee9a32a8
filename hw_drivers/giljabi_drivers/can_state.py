"""State of a CAN controller as its error frames tell it (linux/can/error.h), sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from giljabi_drivers.contract import Received

ERROR = 4  # Received.flags
ACTIVE, WARNING, PASSIVE, BUS_OFF = "error-active", "error-warning", "error-passive", "bus-off"

# Classes in the identifier of an error frame.
TX_TIMEOUT, LOST_ARBITRATION, CONTROLLER, PROTOCOL, NO_ACK = 0x01, 0x02, 0x04, 0x08, 0x20
BUSOFF, BUS_ERROR, RESTARTED, COUNTERS = 0x40, 0x80, 0x100, 0x200
NAMES = {
    TX_TIMEOUT: "tx_timeout",
    LOST_ARBITRATION: "lost_arbitration",
    PROTOCOL: "protocol",
    NO_ACK: "no_ack",
    BUSOFF: "bus_off",
    BUS_ERROR: "bus_error",
    RESTARTED: "restarted",
}
# data[1] of class CONTROLLER
RX_OVERFLOW, TX_OVERFLOW, TO_WARNING, TO_PASSIVE, TO_ACTIVE = 0x01, 0x02, 0x0C, 0x30, 0x40


class BusState:
    """What the controller said last: its state, its error counters, and how often what happened."""

    def __init__(self) -> None:
        self.state = ACTIVE
        self.tx_errors = self.rx_errors = -1  # -1: not told
        self.counts: dict[str, int] = {}

    @property
    def off(self) -> bool:
        """True while the controller takes no part in the bus."""
        return self.state == BUS_OFF

    def take(self, frames: Iterable[Received]) -> bool:
        """Reads the error frames among `frames`; True when the controller went off the bus or came back."""
        was = self.off
        turned = False
        for r in frames:
            if r.flags & ERROR:
                self._error(r.can_id, r.data)
                turned = turned or self.off != was
        return turned

    def set(self, state: str) -> bool:
        """Takes a state that was told otherwise; True when the controller went off the bus or came back."""
        was, self.state = self.off, state
        return self.off != was

    def problem(self) -> str:
        """Why nothing goes out; empty while it can."""
        if not self.off:
            return ""
        counters = f" after {self.tx_errors} transmit errors" if self.tx_errors > 0 else ""
        return f"{BUS_OFF}{counters}; check wiring, termination and bit rate. It is restarted; then arm again"

    def diagnostics(self) -> Mapping[str, str]:
        """State and counts as text."""
        out = {"bus_state": self.state}
        if self.tx_errors >= 0:
            out["bus_errors"] = f"{self.tx_errors} sending, {self.rx_errors} receiving"
        if self.counts:
            out["bus_events"] = ", ".join(f"{n} {name}" for name, n in sorted(self.counts.items()))
        return out

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _error(self, kind: int, data: bytes) -> None:
        for bit, name in NAMES.items():
            if kind & bit:
                self._count(name)
        if len(data) >= 8 and kind & (COUNTERS | CONTROLLER):
            self.tx_errors, self.rx_errors = data[6], data[7]
        what = data[1] if kind & CONTROLLER and len(data) > 1 else 0
        if what & RX_OVERFLOW:
            self._count("receive_overflow")
        if what & TX_OVERFLOW:
            self._count("send_overflow")
        if kind & BUSOFF:
            self.state = BUS_OFF
        elif kind & RESTARTED or what & TO_ACTIVE:
            self.state = ACTIVE
        elif self.off:
            pass  # only a restart ends it
        elif what & TO_PASSIVE:
            self.state = PASSIVE
        elif what & TO_WARNING:
            self.state = WARNING

"""CAN traces as objects: signals by a DBC, checksums and counters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from giljabi.types import BadInputError
from giljabi_drivers.can_checks import KINDS, maker_checksum, next_counter
from giljabi_drivers.can_frames import ERROR, REMOTE
from giljabi_drivers.dbc import Message, find_dbc, load_dbc
from giljabi_drivers.decode import nothing_found
from giljabi_drivers.recordings import read_recording


class CanDecoder:
    """Frames to objects; counts what it takes and what it leaves."""

    def __init__(self, dbc: str, bus: int | None = None, checksum: str | None = None) -> None:
        """checksum: kind of CHECKSUM signals, default the DBC's or its maker's; raises BadInputError."""
        if checksum is not None and checksum not in KINDS:
            raise BadInputError(f"--checksum {checksum}: no such kind; one of {', '.join(KINDS)} is expected")
        path = find_dbc(dbc)
        self.database = load_dbc(path, checksum or maker_checksum(path.name))
        self._bus = bus
        self._counters: dict[tuple[int, int], int] = {}
        self.accepted = 0
        self.rejected: dict[str, int] = {}

    def rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """One object a frame that the database knows; raises BadInputError for other files."""
        frames = 0
        for r in read_recording(path):
            if r.can_id < 0:
                raise nothing_found(str(path), "these are NMEA sentences; CAN frames are expected")
            frames += 1
            if self._bus is not None and r.bus != self._bus:
                self._reject("other_bus")
                continue
            if r.flags & (ERROR | REMOTE):
                self._reject("no_data_frame")
                continue
            message = self.database.by_key.get(r.can_id | (r.flags & 1) << 31)
            if message is None:
                self._reject("unknown_id")
                continue
            if len(r.data) < message.size:
                self._reject("short")
                continue
            row = self._row(message, r.data[: message.size], r.bus)
            if row is not None:
                yield {"t": r.t, "bus": r.bus, "id": r.can_id, "name": message.name, **row}
        if not frames:
            raise nothing_found(str(path), "no frame in it; a CAN trace is expected")

    def summary(self) -> dict[str, Any]:
        """`accepted` frames and `rejected` ones by reason; `notes` on what of the database cannot be used."""
        return {"accepted": self.accepted, "rejected": self.rejected, "notes": self.database.notes}

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _row(self, message: Message, data: bytes, bus: int) -> dict[str, Any] | None:
        try:
            signals = message.signals(data)
        except ValueError:
            self._reject("undecodable")
            return None
        self.accepted += 1
        return {
            "signals": {k: v for k, v in signals.items() if math.isfinite(v)},
            "checksum_ok": message.checksum_ok(data) if message.checker is not None else None,
            "counter_ok": self._counter_ok(message, data, bus),
        }

    def _counter_ok(self, message: Message, data: bytes, bus: int) -> bool | None:
        if message.counter is None or message.counter_field is None:
            return None
        key = bus, message.key
        value = message.counter_field.raw(data) & message.counter_field.mask
        last = self._counters.get(key)
        self._counters[key] = value
        return last is None or value == next_counter(message.counter, last)

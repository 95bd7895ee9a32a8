"""What the stack in other processes tells the simulator's judge: signals for asserts, and counts for the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from giljabi_sim.expressions import Value
from giljabi_sim.truth import Own

SILENCE_S = 1.0  # after which nobody knows what the stack thinks


class StackWords:
    """Reads the lines of a growing file; a line that is half there waits for its end."""

    def __init__(self, path: Path) -> None:
        """The file need not be there yet."""
        self._path = path
        self._file: Any = None
        self._half = ""
        self._heard = -math.inf
        self.newest: dict[str, Any] = {}
        self.counts: dict[str, Any] = {}  # of guard and drivers, the newest

    def read(self, now: float) -> bool:
        """Takes what is new; whether the mode has changed. now: any clock that goes on."""
        if self._file is None:
            if not self._path.is_file():
                return False
            self._file = self._path.open(encoding="utf-8")
        *lines, self._half = (self._half + self._file.read()).split("\n")
        before = self.newest.get("mode")
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            self.counts = row.pop("counts", self.counts)
            if "mode" in row:
                self.newest, self._heard = row, now
        return self.newest.get("mode") != before

    def signals(self, now: float, own: Own) -> dict[str, Value]:
        """What lock-step knows of the stack, too; empty while it is silent."""
        if now - self._heard > SILENCE_S:
            return {}
        row = self.newest
        out: dict[str, Value] = {n: row[n] for n in ("armed", "mode", "phase")}
        out |= {"position_error": math.inf, "heading_error_deg": math.inf}
        odom = row.get("odom")
        if odom is not None:
            out["position_error"] = math.hypot(odom["x"] - own.x, odom["y"] - own.y)
            out["heading_error_deg"] = abs(math.degrees(math.remainder(odom["yaw"] - own.yaw, 2.0 * math.pi)))
        return out

    def close(self) -> None:
        """Reads no more."""
        if self._file is not None:
            self._file.close()

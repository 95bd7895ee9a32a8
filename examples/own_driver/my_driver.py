"""A driver in one file: a compass that sends `A5 hi lo xor`, the heading in 1/100 degree clockwise from north."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from giljabi.platform import Platform
from giljabi.types import Heading
from giljabi.wire import EncodeTable
from giljabi.yaml_file import Strict
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.sensors import SensorWatch

SYNC, SIZE = 0xA5, 4


class Options(Strict):
    """`options` in the platform file: unknown keys are errors with file and line."""

    std_deg: float = 1.0


class Compass:
    """Bytes in any chunking, one Heading a valid frame, everything else counted by reason."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers`; raises BadInputError with the line."""
        self.name = name
        self.stats = DriverStats()
        self._std = math.radians(platform.options(Options, "drivers", name).std_deg)
        self._watch = SensorWatch(platform, name)  # names of the sensors, and which of them are silent
        self._left: dict[int, bytes] = {}  # half a frame, by line: two senders never share one

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """No clock, no file, no exception: whatever arrives, it is counted."""
        out: list[Heading] = []
        for r in received:
            data = self._left.pop(r.bus, b"") + r.data
            k = 0
            while k < len(data):
                if data[k] != SYNC:
                    self.stats.reject("sync")
                    k += 1
                elif len(data) - k < SIZE:
                    break
                else:
                    k += self._frame(data[k : k + SIZE], r.t, out)
            if k < len(data):
                self._left[r.bus] = data[k:]
        return StepResult(out)

    def _frame(self, frame: bytes, t: float, out: list[Heading]) -> int:
        """Takes one frame; returns how many bytes are done with."""
        hundredths = frame[1] << 8 | frame[2]
        if frame[0] ^ frame[1] ^ frame[2] != frame[3]:
            self.stats.reject("checksum")
            return 1  # the sync byte was none; the real one may be inside
        if hundredths >= 36000:
            self.stats.reject("range")
            return SIZE
        self.stats.accepted += 1
        self.stats.last_t["heading"] = t
        yaw = math.remainder(math.radians(90.0 - hundredths / 100.0), math.tau)  # ENU, counter-clockwise
        sample = Heading(t, yaw, self._std, self._watch.source("heading", "heading"))
        self._watch.saw(sample)
        out.append(sample)
        return SIZE

    def encode_table(self) -> EncodeTable | None:
        """A compass takes no commands."""
        return None

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent for longer than their timeout."""
        return self._watch.problems(now)

"""Which sensor of the platform file a sample belongs to, and which of them are silent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from giljabi.platform import Platform
from giljabi.types import GnssFix, Imu, Sample


@dataclass(slots=True)
class _Seen:
    kind: str
    timeout_s: float
    required: bool
    t: float = -math.inf  # newest sample
    note: str = ""  # what the device said since


@dataclass(slots=True)
class SensorWatch:
    """Names and ages of the samples of one driver."""

    platform: Platform
    driver: str
    sensors: dict[str, _Seen] = field(init=False)
    names: dict[str, str] = field(init=False)  # sensor by kind

    def __post_init__(self) -> None:
        mine = {n: s for n, s in self.platform.model.sensors.items() if s.driver == self.driver}
        self.sensors = {n: _Seen(s.kind, s.timeout_s, s.required) for n, s in mine.items()}
        self.names = {}
        for n, s in mine.items():
            self.names.setdefault(s.kind, n)

    def source(self, kind: str, default: str) -> str:
        """Name of the first sensor of a kind in the platform file; `default` when the file has none."""
        return self.names.get(kind, default)

    def saw(self, sample: Sample) -> None:
        """Notes a sample that was given out; a velocity alone is no GNSS receiver, a tilt alone no IMU."""
        if isinstance(sample, Imu) and not sample.inertial:
            return
        seen = self.sensors.get(sample.source)
        if seen is not None and (seen.kind != "gnss" or isinstance(sample, GnssFix)):
            seen.t = max(seen.t, sample.t)
            seen.note = ""

    def note(self, kind: str, text: str) -> None:
        """What the device says of itself, shown when its samples are missing."""
        name = self.names.get(kind)
        if name is not None:
            self.sensors[name].note = text

    def problems(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent for longer than their timeout, by name."""
        out = {}
        for name, seen in self.sensors.items():
            age = now - seen.t
            if not seen.required or age <= seen.timeout_s:
                continue
            text = f"no {name} sample yet" if math.isinf(age) else f"no {name} sample for {age:.1f} s"
            out[name] = f"{text} ({seen.note})" if seen.note else text
        return out

"""LDROBOT LD06 and LD19 scanners: packets of 12 distances over 10 m or so, about 38 packets a revolution.

Development manual V2.3: header 0x54, length 0x2C (12 points), speed [deg/s], first angle [0.01 deg], 12 times distance
[mm] and confidence, last angle, time [ms], CRC-8 with polynomial 0x4D. Angles turn clockwise seen from above, from the
arrow on the case, which is x of the sensor.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from giljabi.platform import Platform
from giljabi.types import Array, Sample, Scan
from giljabi.yaml_file import Strict
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.sensors import SensorWatch

HEAD = b"\x54\x2c"
POINTS = 12
PACKET = struct.Struct("<2sHH" + POINTS * "HB" + "HHB")
RANGE_MIN, RANGE_MAX = 0.02, 12.0  # m
SPEEDS = (360.0, 7200.0)  # deg/s; slower is a motor that stands
PACKET_DEG = 40.0  # more between the first and the last angle of a packet is no packet


def _crc_table() -> tuple[int, ...]:
    out = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x4D if crc & 0x80 else crc << 1) & 0xFF
        out.append(crc)
    return tuple(out)


CRC = _crc_table()


def crc8(data: bytes) -> int:
    """CRC-8, polynomial 0x4D, from 0."""
    crc = 0
    for byte in data:
        crc = CRC[crc ^ byte]
    return crc


class Ld19Options(Strict):
    """`drivers.<name>.options`."""

    rays: int = Field(default=450, ge=36, le=3600, description="of one revolution, evenly spread")
    confidence_min: int = Field(default=15, ge=0, le=255, description="weaker echoes are not believed")


class Ld19Driver:
    """One scanner on a serial line; it sends by itself and takes no commands."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers` of the platform file; raises BadInputError with its line."""
        self.name = name
        self.stats = DriverStats()
        self._o = platform.options(Ld19Options, "drivers", name)
        self._watch = SensorWatch(platform, name)
        self._source = self._watch.source("scan", "lidar")
        self._buffer = b""
        self._line = 0
        self._ranges: Array = np.full(self._o.rays, np.nan)
        self._angle = -1.0  # of the newest point [deg]; negative: none yet
        self._out: list[Sample] = []

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes bytes in any chunking; never raises on bad bytes, counts them instead."""
        for r in received:
            if r.can_id >= 0:
                self.stats.reject("not_a_stream")
                continue
            if r.bus != self._line:
                self._line, self._buffer, self._angle = r.bus, b"", -1.0
            self._buffer = self._cut(self._buffer + r.data, r.t)
        out, self._out = tuple(self._out), []
        return StepResult(out)

    def encode_table(self) -> None:
        """It takes no commands."""

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent for longer than their timeout, by name."""
        return self._watch.problems(now)

    def _cut(self, data: bytes, t: float) -> bytes:
        """Takes whole packets out of the front; returns what may still become one."""
        at = noise = 0
        while at < len(data):
            if not HEAD.startswith(data[at : at + 2]):
                noise, at = noise + 1, at + 1
            elif len(data) - at < PACKET.size:
                break
            elif crc8(data[at : at + PACKET.size - 1]) != data[at + PACKET.size - 1]:
                self.stats.reject("checksum")
                at += 1
            else:
                self._packet(data[at : at + PACKET.size], t)
                at += PACKET.size
        self.stats.reject("noise", noise)
        return data[at:]

    def _packet(self, p: bytes, t: float) -> None:
        _, speed, first, *points, last, _, _ = PACKET.unpack(p)
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            self.stats.reject("motor_speed")
            self._watch.note("scan", f"its motor turns at {speed / 360.0:.1f} Hz")
            return
        wide = (last - first) % 36000 / 100.0
        if wide > PACKET_DEG or max(first, last) >= 36000 + 100:
            self.stats.reject("angles")
            return
        for k in range(POINTS):
            angle = (first / 100.0 + wide * k / (POINTS - 1)) % 360.0
            if angle < self._angle - 180.0:
                self._revolution(t, speed)
            self._angle = angle
            self._point(angle, 0.001 * points[2 * k], points[2 * k + 1])
        self.stats.accepted += 1
        self.stats.last_t["packet"] = t

    def _point(self, angle: float, distance: float, confidence: int) -> None:
        """The nearest of all echoes of one ray; a distance of 0 says that nothing came back."""
        i = round(angle / 360.0 * self._o.rays) % self._o.rays
        if distance == 0.0 or distance > RANGE_MAX:
            distance = math.inf
        elif confidence < self._o.confidence_min or distance < RANGE_MIN:
            return
        old = self._ranges[i]
        self._ranges[i] = distance if math.isnan(old) else min(old, distance)

    def _revolution(self, t: float, speed: float) -> None:
        step = -2.0 * math.pi / self._o.rays  # clockwise
        scan = Scan(t, 0.0, step, self._ranges, 360.0 / speed, RANGE_MIN, RANGE_MAX, self._source)
        self._out.append(scan)
        self._watch.saw(scan)
        self._ranges = np.full(self._o.rays, np.nan)

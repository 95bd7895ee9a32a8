"""VectorNav IMUs: binary output (VN-100 user manual UM001, chapter 4) and two of the ASCII messages.

The device's axes are x forward, y right, z down, ours x forward, y left, z up.
"""

from __future__ import annotations

import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from giljabi.platform import Platform
from giljabi.types import NAN, Array
from giljabi_drivers.imu_common import SerialImu, matrix_from_quaternion

SYNC = 0xFA
# Bytes of each field by group (0-based) and bit, UM001 section 4.3.6; 0: not in use.
SIZES = (
    (8, 8, 8, 12, 16, 12, 24, 12, 12, 24, 20, 28, 2, 4, 8, 0),
    (8, 8, 8, 2, 8, 8, 8, 4, 4, 1, 1, 0, 0, 0, 0, 0),
    (2, 12, 12, 12, 4, 4, 16, 12, 12, 12, 12, 2, 40, 0, 0, 0),
    (8, 8, 2, 1, 1, 24, 24, 12, 12, 12, 4, 4, 2, 28, 2, 12),
    (2, 12, 16, 36, 12, 12, 12, 12, 12, 12, 28, 24, 0, 0, 0, 0),
    (2, 24, 24, 12, 12, 12, 12, 12, 12, 4, 4, 68, 64, 0, 0, 0),
    (8, 8, 2, 1, 1, 24, 24, 12, 12, 12, 4, 4, 2, 28, 2, 12),
)
# Fields that are read, by (group, bit); of several with one name the first counts: compensated before raw.
FIELDS = {
    (0, 0): "time", (1, 0): "time", (0, 5): "rate", (2, 10): "rate", (2, 3): "raw_rate", (0, 8): "force",
    (2, 9): "force", (2, 2): "raw_force", (0, 9): "raw", (0, 4): "quaternion", (4, 2): "quaternion", (0, 3): "angles",
    (4, 1): "angles",
}  # fmt: skip
LONGEST = 512  # bytes of a binary packet, and of an ASCII line
R_ENU_NED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
R_FRD_FLU = np.diag([1.0, -1.0, -1.0])
ASK_AGAIN_S = 5.0  # without a packet
IMU_RATE_HZ = 800  # the divisor of the output's rate counts from it
SETTINGS = 0x0131  # common group: TimeStartup, Quaternion, AngularRate, Accel


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header of a binary packet says: where the fields are."""

    size: int  # of the whole packet
    places: Mapping[str, int]

    @classmethod
    def of(cls, head: bytes) -> Layout | None:
        """head: from the sync byte on, as long as it may be; None when it is no header."""
        groups, at = head[1], 2
        if groups == 0 or groups & 0x80:
            return None
        words = []
        for group in range(7):
            if groups >> group & 1:
                word = int.from_bytes(head[at : at + 2], "little")
                if word == 0 or word & 0x8000:
                    return None
                words.append((group, word))
                at += 2
        places: dict[str, int] = {}
        for group, word in words:
            for bit in range(15):
                if word >> bit & 1:
                    size = SIZES[group][bit]
                    if size == 0:
                        return None
                    name = FIELDS.get((group, bit))
                    if name is not None:
                        places.setdefault(name, at)
                    at += size
        return cls(at + 2, places) if at + 2 <= LONGEST else None


def header_size(groups: int) -> int:
    """Bytes of a header from its groups byte."""
    return 2 + 2 * (groups & 0x7F).bit_count()


class VectorNavDriver(SerialImu):
    """One VectorNav device on a serial line."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(platform, name)
        self._layouts: dict[bytes, Layout | None] = {}
        self._stamp = NAN  # of the newest packet [s]
        self._period = math.inf

    def _begin_line(self) -> None:
        self._stamp = NAN

    def _configure(self, now: float) -> tuple[tuple[bytes, ...], float]:
        """Its settings, at the start and while nothing is heard: they are lost with its power."""
        deadline = max(self._heard_t, self._asked_t) + ASK_AGAIN_S if self._options.configure else math.inf
        if now < deadline:
            return (), deadline
        self._asked_t = now
        return self._settings(), now + ASK_AGAIN_S

    # --- framing ------------------------------------------------------------------------------------

    def _cut(self, data: bytes, t: float) -> bytes:
        at, noise = 0, 0
        while at < len(data):
            if data[at] == SYNC:
                size = self._binary(data, at, t)
            elif data[at] == 0x24:  # $
                size = self._ascii(data, at, t)
            else:
                size = 0
            if size < 0:
                break
            if size == 0:
                noise, at = noise + (data[at] not in b"\r\n"), at + 1
            at += size
        self.stats.reject("noise", noise)
        return data[at:]

    def _binary(self, data: bytes, at: int, t: float) -> int:
        """Bytes of the packet that begins at `at`; 0: it is none, -1: it is not whole yet."""
        if len(data) < at + 2 or len(data) < at + header_size(data[at + 1]):
            return -1
        head = data[at : at + header_size(data[at + 1])]
        if head not in self._layouts:
            if len(self._layouts) >= 256:
                self._layouts.clear()
            self._layouts[head] = Layout.of(head)
        layout = self._layouts[head]
        if layout is None:
            return 0
        if len(data) < at + layout.size:
            return -1
        packet = data[at : at + layout.size]
        if binascii.crc_hqx(packet[1:], 0) != 0:
            self.stats.reject("checksum")
            return 0
        self._packet(packet, layout.places, t)
        return layout.size

    def _ascii(self, data: bytes, at: int, t: float) -> int:
        end = data.find(b"\n", at, at + LONGEST)
        if end < 0:
            return -1 if len(data) - at < LONGEST and data[at : at + 3] == b"$VN"[: len(data) - at] else 0
        line = data[at:end].rstrip(b"\r")
        if not line.startswith(b"$VN"):
            return 0
        self._sentence(line, t)
        return end + 1 - at

    # --- contents -----------------------------------------------------------------------------------

    def _packet(self, p: bytes, places: Mapping[str, int], t: float) -> None:
        stamp = NAN
        if "time" in places:
            stamp = struct.unpack_from("<Q", p, places["time"])[0] * 1e-9
            if not self._in_order(stamp):
                return
        rate = _vector(p, places, (("rate", 0), ("raw_rate", 0), ("raw", 12)))
        force = _vector(p, places, (("force", 0), ("raw_force", 0), ("raw", 0)))
        if (rate or force) and not self._samples.reading(t, stamp, rate, force):
            return
        if "quaternion" in places:
            x, y, z, w = struct.unpack_from("<4f", p, places["quaternion"])
            self._turned(t, stamp, matrix_from_quaternion(w, x, y, z))
        elif "angles" in places:
            self._angles(t, stamp, *struct.unpack_from("<3f", p, places["angles"]))
        self._accept("binary", t)

    def _in_order(self, stamp: float) -> bool:
        """Counts packets that are missing before this one; False when it came already."""
        step = stamp - self._stamp
        if step == 0.0:
            self.stats.reject("repeated")
            return False
        self._stamp = stamp
        if not 0.0 < step < 1.0:  # the first one, or the device started anew
            self._period = math.inf
        elif step > 1.5 * self._period:
            self.stats.flag("lost_packets", round(step / self._period) - 1)
        else:
            self._period = min(self._period, step) if math.isinf(self._period) else 0.9 * self._period + 0.1 * step
        return True

    def _sentence(self, line: bytes, t: float) -> None:
        body, star, check = line[1:].rpartition(b"*")
        if not star or not _check_ok(body, check):
            self.stats.reject("checksum" if star else "no_checksum")
            return
        kind, *fields = body.decode("ascii", "replace").split(",")
        if kind == "VNERR":
            self.stats.reject("device_error")
            self._watch.note("imu", f"the device reports error {fields[0] if fields else '?'}")
            return
        if kind not in ("VNIMU", "VNYMR"):
            self.stats.accepted += 1
            name = kind if kind.isalnum() and len(kind) < 8 and len(self.stats.ignored) < 32 else "other"
            self.stats.ignored[name] = self.stats.ignored.get(name, 0) + 1
            return
        try:
            v = [float(x) for x in fields[:12]]
            # VNIMU: magnetic field, acceleration, rate, temperature, pressure. VNYMR: yaw, pitch, roll before these.
            first = 3 if kind == "VNIMU" else 6
            force, rate = v[first : first + 3], v[first + 3 : first + 6]
            if len(rate) < 3:
                raise ValueError
        except ValueError:
            self.stats.reject("bad_field")
            return
        if self._samples.reading(t, NAN, _flu(rate), _flu(force)):
            if kind == "VNYMR":
                self._angles(t, NAN, *v[:3])
            self._accept(kind, t)

    def _angles(self, t: float, stamp: float, yaw: float, pitch: float, roll: float) -> None:
        """Yaw, pitch, roll [deg] from north-east-down to the device."""
        (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (yaw, pitch, roll)))
        matrix = np.array([
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ])  # fmt: skip
        self._turned(t, stamp, matrix)

    def _turned(self, t: float, stamp: float, R_ned_frd: Array) -> None:
        self._samples.attitude(t, stamp, R_ENU_NED @ R_ned_frd @ R_FRD_FLU)

    def _accept(self, name: str, t: float) -> None:
        self.stats.accepted += 1
        self.stats.last_t[name] = self._heard_t = t

    # --- settings -----------------------------------------------------------------------------------

    def _settings(self) -> tuple[bytes, ...]:
        """No ASCII output; binary output 1 (register 75) on the serial ports. Lost when the device loses its power."""
        divisor = max(1, round(IMU_RATE_HZ / self._options.rate_hz))
        return tuple(sentence(b) for b in ("VNWRG,06,0", f"VNWRG,75,3,{divisor},01,{SETTINGS:04X}"))


def sentence(body: str) -> bytes:
    """An ASCII command with its 8-bit checksum."""
    total = 0
    for c in body.encode("ascii"):
        total ^= c
    return f"${body}*{total:02X}\r\n".encode("ascii")


def _check_ok(body: bytes, check: bytes) -> bool:
    """8-bit XOR (two digits) or CRC-16 (four)."""
    try:
        told = int(check.decode("ascii"), 16)
    except ValueError:
        return False
    if len(check) == 4:
        return binascii.crc_hqx(body, 0) == told
    total = 0
    for c in body:
        total ^= c
    return len(check) == 2 and total == told


def _flu(v: Sequence[float]) -> tuple[float, float, float]:
    return (v[0], -v[1], -v[2])


def _vector(p: bytes, places: Mapping[str, int], names: Sequence[tuple[str, int]]) -> Sequence[float] | None:
    """Three floats in our axes, from the first of these fields (and bytes into it) that the packet has."""
    for name, shift in names:
        if name in places:
            return _flu(struct.unpack_from("<3f", p, places[name] + shift))
    return None

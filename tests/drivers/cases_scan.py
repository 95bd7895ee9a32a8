"""Scanners for the contract suite: the maker's example packet, and packets around it with a CRC of another library."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from crccheck.crc import Crc8Base

from giljabi.types import Scan
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase

# LD06 development manual V1.0, section 4: 324.27 to 334.7 deg, 0.224 to 0.192 m, confidence 228 and so on.
MANUAL = bytes.fromhex(
    "54 2C 68 08 AB 7E E0 00 E4 DC 00 E2 D9 00 E5 D5 00 E3 D3 00 E4 D0 00 E9 CD 00 E4 CA 00 E2 C7 00 E9 C5 00 E5"
    "C2 00 E5 C0 00 E5 BE 82 3A 1A 50"
)
RANGES = (0.224, 0.220, 0.217, 0.213, 0.211, 0.208, 0.205, 0.202, 0.199, 0.197, 0.194, 0.192)
RAYS = 450


class Crc4d(Crc8Base):
    """The maker's CRC-8."""

    _poly = 0x4D


def packet(first: float, last: float, millimetres: list[int], confidence: int = 200, speed: int = 2152) -> bytes:
    """Angles in degrees clockwise."""
    points = b"".join(struct.pack("<HB", d, confidence) for d in millimetres)
    body = b"\x54\x2c" + struct.pack("<HH", speed, round(100 * first)) + points
    body += struct.pack("<HH", round(100 * last), 15000)
    return body + bytes([Crc4d.calc(body)])


def expected() -> Scan:
    """One revolution: the first packet, the manual's, and 5 points of the one that crosses 0."""
    ranges = np.full(RAYS, np.nan)
    for k in range(12):
        ranges[round((90.0 + k) / 0.8)] = 1.0 + 0.1 * k
        ranges[round((324.27 + 10.43 * k / 11) / 0.8)] = RANGES[k]
    for k in range(5):  # the sixth, at 0 deg, begins the next revolution
        ranges[round((355.0 + k) / 0.8)] = 6.0 if k != 2 else math.inf
    return Scan(3.0, 0.0, -2.0 * math.pi / RAYS, ranges, 360.0 / 2152, 0.02, 12.0, "lidar")


def chunks(k: int) -> list[Received]:
    """A revolution that begins at 90 deg and ends where 0 is passed."""
    side = packet(90.0, 101.0, [1000 + 100 * i for i in range(12)])
    across = packet(355.0, 6.0, [6000, 6000, 0, 6000, 6000, 6000, 7000, 7000, 7000, 7000, 7000, 7000])
    return [Received(1.0, side), Received(2.0, MANUAL), Received(3.0, across)]


EXTRA: dict[str, Any] = {
    "drivers": {"scanner": {"kind": "ld19", "device": "serial:/dev/ttyUSB3?baud=230400", "options": {}}},
    "sensors": {"lidar": {"kind": "scan", "driver": "scanner", "timeout_s": 1.0}},
}
CASES = [
    DriverCase(
        name="ld19", platform="drone", driver="scanner", golden=chunks(0), again=chunks, extra=EXTRA,
        expected=[expected()],
    ),
]  # fmt: skip

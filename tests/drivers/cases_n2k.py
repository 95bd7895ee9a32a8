"""NMEA 2000 for the contract suite: parameter groups packed here bit by bit, as the PGN tables say."""

from __future__ import annotations

import math
import struct

import numpy as np

from giljabi.types import NAN, GnssFix, Heading, Imu, JointState, SpeedThroughWater
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase

SOURCE, EXTENDED = 7, 1
DAYS, CLOCK = 20000, 43200.0  # since 1970, s of the day
LAT_DEG, LON_DEG, ALT_M = 35.0955, 129.0403, 12.5


def frame(t: float, priority: int, pgn: int, data: bytes) -> Received:
    """One frame of a global group."""
    return Received(t, data, priority << 26 | pgn << 8 | SOURCE, flags=EXTENDED)


def fast(t: float, pgn: int, data: bytes, sequence: int) -> list[Received]:
    """A fast packet: six bytes in the first frame, seven in the others, the rest filled up."""
    parts = [bytes([len(data)]) + data[:6], *(data[k : k + 7] for k in range(6, len(data), 7))]
    return [frame(t, 3, pgn, bytes([(sequence % 8) << 5 | i]) + part.ljust(7, b"\xff")) for i, part in enumerate(parts)]


def said(k: int) -> list[Received]:
    """The k-th time: sequence identifiers and the clock one further."""
    sid = k % 250
    gnss = struct.pack(
        "<BHIqqqBBBhhiB", sid, DAYS, round((CLOCK + k) * 1e4), round(LAT_DEG * 1e16), round(LON_DEG * 1e16),
        round(ALT_M * 1e6), 0x10, 0xFC, 9, 100, 150, 0, 0,
    )  # fmt: skip
    return [
        *fast(1.0, 129029, gnss, k),
        frame(1.1, 2, 127250, struct.pack("<BHhhB", sid, round(math.radians(42.0) * 1e4), 0, 0, 0xFC)),
        frame(1.2, 2, 127251, struct.pack("<Bi3s", sid, round(0.02 / 3.125e-8), b"\xff" * 3)),  # to starboard
        frame(1.3, 2, 128259, struct.pack("<BHHB2s", sid, 250, 0xFFFF, 0, b"\xff\xff")),
        frame(1.4, 2, 127245, struct.pack("<BBhh2s", 0, 0xF8, 0x7FFF, -1000, b"\xff\xff")),  # 0.1 rad to port
    ]


CASES = [
    DriverCase(
        name="nmea2000",
        platform="ship_n2k",
        driver="backbone",
        golden=said(0),
        again=said,
        expected=[
            GnssFix(
                1.0, LAT_DEG, LON_DEG, ALT_M, 3.0 * np.array([math.sqrt(0.5), math.sqrt(0.5), 1.5]), quality=1,
                satellites=9, utc_s=DAYS * 86400 + CLOCK, source="gnss",
            ),
            Heading(1.1, math.radians(48.0), math.radians(1.0), "compass"),
            Imu(1.2, np.array([NAN, NAN, -0.02]), np.full(3, NAN), "gyro"),
            SpeedThroughWater(1.3, 2.5, 0.1, "log"),
            JointState(1.4, position={"rudder": 0.1}, source="steering_gear"),
        ],
        tolerance=1e-4,
        checked=False,  # the bus has its CRC, the groups have none
    )
]  # fmt: skip

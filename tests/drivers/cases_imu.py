"""Serial IMUs for the contract suite: the maker's example packet, a recorded one, and packets with the next time."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from crccheck.crc import CrcXmodem

from giljabi.types import Heading, Imu
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase

# VN-100 user manual UM001, section 4.3.7, example case 1: yaw 43.578686, pitch 1.8847202, roll -0.0020249654 deg.
YAW = bytes.fromhex("fa 01 08 00 93 50 2e 42 83 3e f1 3f 48 b5 04 bb 92 88")
# What an MTi-300 sent (github.com/Scottapotamas/xsens-mti, Apache-2.0): acceleration, rate of turn, status.
MTI = bytes.fromhex("40200C BDA21AF8 BE2A8E96 411D27A2 80200C BBB17D81 BB963200 3C01E841 E02004 00400003")
RATE, FORCE = (-0.00541657, -0.00458360, 0.00792891), (-0.07915300, -0.16655955, 9.82217598)


def vectornav(k: int) -> list[Received]:
    """TimeStartup, AngularRate and Accel in axes down, then the manual's packet."""
    body = struct.pack("<BHQ3f3f", 1, 0x0121, 10**9 * (5 + k), 0.01, 0.02, 0.03, 0.5, -0.25, -9.75)
    return [Received(1.0, b"\xfa" + body + CrcXmodem.calc(body).to_bytes(2, "big")), Received(1.5, YAW)]


def xsens(k: int) -> list[Received]:
    """The recorded items behind a counter that goes on."""
    data = struct.pack(">HBH", 0x1020, 2, 100 + k) + MTI
    body = bytes([0xFF, 0x36, len(data)]) + data
    return [Received(1.0, b"\xfa" + body + bytes([-sum(body) & 0xFF]))]


def extra(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """A ship whose gyro and compass are this device."""
    device = {"kind": kind, "device": "serial:/dev/ttyUSB2?baud=115200", "options": options}
    mine = {"driver": "ahrs"}
    return {"drivers": {"ahrs": device}, "sensors": {"gyro": mine, "compass": mine}}


CASES = [
    DriverCase(
        name="vectornav", platform="ship", driver="ahrs", golden=vectornav(0), again=vectornav,
        extra=extra("vectornav", {"heading": "true_north"}),
        expected=[
            Imu(1.0, np.array([0.01, -0.02, -0.03]), np.array([0.5, 0.25, 9.75]), "gyro"),
            Heading(1.5, math.radians(90.0 - 43.578686), math.radians(2.0), "compass"),
        ],
    ),
    DriverCase(
        name="xsens", platform="ship", driver="ahrs", golden=xsens(0), again=xsens, extra=extra("xsens", {}),
        expected=[Imu(1.0, np.array(RATE), np.array(FORCE), "gyro")],
    ),
]  # fmt: skip

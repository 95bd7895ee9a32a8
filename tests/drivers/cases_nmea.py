"""NMEA 0183 and AIS for the contract suite: sentences of makers' manuals, the rest by pynmea2."""

from __future__ import annotations

import math

import numpy as np
import pynmea2

from giljabi.types import NAN, GeoDetections, GnssFix, Heading, Imu, JointState, SpeedThroughWater
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase

KNOT = 1852.0 / 3600.0
# Trimble, GGA and GST of one epoch.
GST = b"$GPGST,172814.0,0.006,0.023,0.020,273.6,0.023,0.020,0.031*6A\r\n"
GGA = b"$GPGGA,172814.0,3723.46587704,N,12202.26957864,W,2,6,1.2,18.893,M,-25.669,M,2.0,0031*4F\r\n"
OTHERS = (
    pynmea2.HDT("HE", "HDT", ("90.0", "T")),
    pynmea2.ROT("TI", "ROT", ("-60.0", "A")),  # deg/min, to port
    pynmea2.VHW("VW", "VHW", ("", "T", "", "M", "5.0", "N", "9.3", "K")),
    pynmea2.RSA("AG", "RSA", ("-5.00", "A", "", "")),  # deg, to port
    pynmea2.RPM("ER", "RPM", ("S", "0", "120.0", "", "A")),
)
VDM = b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n"  # a class A report at rest, heading 181

OTHER_CHUNKS = [Received(1.5 + 0.1 * i, f"{s}\r\n".encode()) for i, s in enumerate(OTHERS)]


def next_epoch(k: int) -> list[Received]:
    """The same fix some seconds later: a receiver that repeats its clock has said nothing new."""
    clock = f"{172814 + k}.0"
    sentences = []
    for line in (GST, GGA):
        s = pynmea2.parse(line.decode())
        s.data[0] = clock
        sentences.append(f"{s}\r\n".encode())
    return [Received(1.0, b"".join(sentences)), *OTHER_CHUNKS]


BRIDGE = DriverCase(
    name="nmea0183",
    platform="ship",
    driver="bridge",
    golden=[Received(1.0, GST + GGA), *OTHER_CHUNKS],
    again=next_epoch,
    expected=[
        GnssFix(
            1.0, 37.0 + 23.46587704 / 60.0, -(122.0 + 2.26957864 / 60.0), 18.893, np.array([0.020, 0.023, 0.031]),
            quality=2, satellites=6, source="gnss",
        ),
        Heading(1.5, 0.0, math.radians(1.0), "compass"),
        Imu(1.6, np.array([NAN, NAN, math.radians(1.0)]), np.full(3, NAN), "gyro"),
        SpeedThroughWater(1.7, 5.0 * KNOT, 0.1, "log"),
        JointState(1.8, position={"rudder": math.radians(5.0)}, source="steering_gear"),
        JointState(1.9, velocity={"propeller": 4.0 * math.pi}, source="steering_gear"),
    ],
    tolerance=2e-3,
)  # fmt: skip

HTD = "$AGHTD,V,1.5,L,H,N,28.0,,,,359.5,,,T,A,A,A,0.5"
AUTOPILOT = DriverCase(
    name="nmea0183_autopilot",
    platform="ship_autopilot",
    driver="bridge",
    golden=[Received(1.0, f"{HTD}*{pynmea2.NMEASentence.checksum(HTD[1:]):02X}\r\n".encode()), OTHER_CHUNKS[0]],
    expected=[
        Heading(1.5, 0.0, math.radians(1.0), "compass"),
        JointState(1.5, position={"heading": 0.0}, source="compass_now"),
    ],
    tolerance=2e-3,
)

AIS = DriverCase(
    name="ais",
    platform="ship",
    driver="ais",
    golden=[Received(1.0, VDM)],
    expected=[
        GeoDetections(
            1.0, "ais",
            np.array([[-122.345833, 47.582833, NAN, 0.0, 0.0, math.radians(-91.0), NAN, NAN, 477553000.0, 1.0, 100.0]]),
        )
    ],
)  # fmt: skip

CASES = [BRIDGE, AUTOPILOT, AIS]

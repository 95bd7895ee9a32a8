"""NMEA sentences by an independent encoder, and the ship's driver to give them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pynmea2

from giljabi.platform import load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = load_platform("ship")
SHIP = (ROOT / "config" / "platforms" / "ship.yaml").read_text()
KNOT = 1852.0 / 3600.0
GGA = "123519.00,4807.038,N,01131.000,E,{},08,0.9,545.4,M,46.9,M,,"
RMC = "{},A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W,A"


def ship(tmp_path: Path | None = None, options: str = "") -> Nmea0183Driver:
    """The ship's bridge; options: lines added to those of the driver."""
    if tmp_path is None:
        return Nmea0183Driver(PLATFORM, "bridge")
    path = tmp_path / "ship.yaml"
    path.write_text(SHIP.replace("      talker: AG\n", f"      talker: AG\n{options}", 1))
    return Nmea0183Driver(load_platform(path), "bridge")


def sentence(kind: str, fields: str, talker: str = "GP") -> bytes:
    """A sentence as an independent encoder writes it."""
    return (str(pynmea2.TalkerSentence(talker, kind, tuple(fields.split(",")))) + "\r\n").encode()


def give(driver: Nmea0183Driver, *lines: bytes, t: float = 10.0) -> list[Any]:
    return [s for line in lines for s in driver.step(t, [Received(t, line)]).samples]


def one(kind: str, fields: str) -> Any:
    (sample,) = give(ship(), sentence(kind, fields))
    return sample

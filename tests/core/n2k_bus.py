"""NMEA 2000 frames by an independent encoder (canboat's, in the package nmea2000), and a driver to give them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from giljabi.platform import load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea2000 import Nmea2000Driver

ROOT = Path(__file__).resolve().parents[2]
SHIP = (ROOT / "config" / "platforms" / "ship.yaml").read_text()


def driver(tmp_path: Path, options: str = "{}", actuators: bool = False) -> Nmea2000Driver:
    """The driver `n2k` of a ship whose sensors hang on an NMEA 2000 bus; actuators: her rudder, too."""
    text = SHIP.replace("driver: bridge", "driver: n2k").replace("driver: ais", "driver: n2k")
    head, rest = text.split("\nactuators:\n")
    gear, rest = rest.split("\nsensors:\n")
    gear = gear.replace("driver: n2k", "driver: bridge", 2)
    if actuators:
        gear = gear.replace("driver: bridge", "driver: n2k", 1)
    n2k = f"drivers:\n  n2k:\n    kind: nmea2000\n    device: can:socketcan/can0\n    options: {options}\n"
    text = f"{head}\nactuators:\n{gear}\nsensors:\n{rest.replace('drivers:', n2k.rstrip(), 1)}"
    path = tmp_path / "ship.yaml"
    path.write_text(text)
    return Nmea2000Driver(load_platform(path), "n2k")


def canboat() -> Any:
    return pytest.importorskip("nmea2000._canboat", reason="canboat's encoder; pip install nmea2000 (Python 3.11)")


def frames(
    pgn: int, pgn_id: str, *, source: int = 36, sequence: int = 0, t: float = 10.0, bus: int = 0, **fields: Any
) -> list[Received]:
    """A parameter group as canboat encodes it, in SI, cut into frames."""
    c = canboat()
    data = c.Database("si").encode(pgn_id, fields)
    can_id = c.can_id_compose(3, pgn, source, 255)
    fast = c.Database("si").pgn_info(pgn_id).packet_type == "Fast"
    parts = c.fast_packet_fragment(sequence, data) if fast else [data]
    return [Received(t, bytes(p), can_id, bus, 1) for p in parts]


def give(d: Nmea2000Driver, *groups: list[Received]) -> list[Any]:
    return [s for group in groups for r in group for s in d.step(r.t, [r]).samples]

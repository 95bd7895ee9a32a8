"""NMEA driver: the orders it has the guard send, and what is wrong with its part of a platform file."""

from __future__ import annotations

from pathlib import Path

import pynmea2
import pytest
from nmea_lines import PLATFORM, SHIP, ship

from giljabi._core.guard import WireEncoder
from giljabi.platform import load_platform
from giljabi.types import BadInputError
from giljabi_drivers.nmea0183 import Nmea0183Driver

# --- orders -----------------------------------------------------------------------------------------


def encoder(driver: Nmea0183Driver) -> WireEncoder:
    limits = {n: (a.min, a.max) for n, a in PLATFORM.model.actuators.items()}
    return WireEncoder(driver.encode_table(), limits)


def order(data: bytes) -> list[str]:
    """Fields of a sentence on the wire, read without our own code."""
    text = data.decode("ascii")
    assert text.startswith("$")
    assert text.endswith("\r\n")
    assert len(text) <= 82
    body, checksum = text[1:-2].split("*")
    assert int(checksum, 16) == pynmea2.NMEASentence.checksum(body)
    return body.split(",")


@pytest.mark.parametrize(("rudder", "degrees"), [(0.1, -5.73), (-0.35, 20.05), (0.0, 0.0), (2.0, -34.95)])
def test_rudder_order_on_the_wire(rudder: float, degrees: float) -> None:
    address, value, *rest = order(encoder(ship()).encode("ROR rudder", {"rudder": rudder, "throttle": 0.0}))
    assert (address, rest) == ("AGROR", ["A", "", "", "B"])
    assert float(value) == pytest.approx(degrees, abs=0.006)


@pytest.mark.parametrize(("newton", "percent"), [(8000.0, 50.0), (-6000.0, -37.5), (99999.0, 100.0), (0.0, 0.0)])
def test_lever_order_on_the_wire(newton: float, percent: float) -> None:
    address, value, *rest = order(encoder(ship()).encode("PRC throttle", {"rudder": 0.0, "throttle": newton}))
    assert (address, rest) == ("AGPRC", ["A", "", "", "", "", "B", "0"])
    assert float(value) == pytest.approx(percent, abs=0.006)


def test_a_device_without_actuators_takes_no_commands() -> None:
    assert Nmea0183Driver(PLATFORM, "ais").encode_table() is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rudder: {sentence: ROR", "ruder: {sentence: ROR", ["'rudder'", "no command"]),
        ("sentence: PRC", "sentence: ROR", ["ROR carries an actuator in rad", "'throttle' is in N"]),
        (", full_scale: 16000.0", "", ["PRC needs full_scale"]),
        ("talker: AG", "talker: agx", ["talker"]),
        ("sentence: ROR", "sentence: XYZ", ["XYZ", "ROR"]),
        ("talker: AG", "talkr: AG", ["unknown key", "talker"]),
    ],
)
def test_a_wrong_platform_file_is_an_error_with_its_line(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    assert old in SHIP
    path = tmp_path / "ship.yaml"
    path.write_text(SHIP.replace(old, new, 1))
    with pytest.raises(BadInputError) as e:
        Nmea0183Driver(load_platform(path), "bridge")
    assert str(e.value).startswith(f"{path}:")
    for word in words:
        assert word in str(e.value)

"""All rules of the contract for the driver beside this file: pytest examples/own_driver"""

import math
from pathlib import Path

from giljabi.types import Heading
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_suite import DriverCase, DriverContract

COMPASS = {"kind": f"{Path(__file__).parent}/my_driver.py:Compass", "device": "udp-listen:10110"}


class TestCompass(DriverContract):
    case = DriverCase(
        name="compass", platform="ship", driver="my_compass",
        extra={"drivers": {"my_compass": COMPASS}, "sensors": {"compass": {"driver": "my_compass"}}},
        golden=[Received(1.0, bytes.fromhex("a5 10 68 dd"))],  # 42.00 degrees
        expected=[Heading(1.0, math.radians(48.0), math.radians(1.0), "compass")],
    )  # fmt: skip

"""An autopilot for the contract suite: pymavlink's own encoder at the other end."""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from mavlink_rig import Autopilot, drone_platform

from giljabi.types import NAN, ExternalOdometry, GnssFix, GnssVelocity
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase

FOLDER = tempfile.TemporaryDirectory()  # goes with the process
PLATFORM = drone_platform(Path(FOLDER.name)).file.path
HALF = math.sqrt(0.5)


def said(k: int) -> list[Received]:
    """The k-th time: sequence numbers and the clock since boot go on."""
    a = Autopilot()
    a.mav.seq = 5 * k % 256
    boot = 10_000 + 20_000 * k
    fix: list[Any] = [boot * 1000, 3, 350955000, 1290403000, 12500, 100, 150, 250, 9000, 11, 12500, 800, 1200, 100, 0]
    return [
        Received(1.0, a.heartbeat()),
        Received(1.1, a.bytes(dialect.MAVLink_gps_raw_int_message(*fix))),
        Received(1.2, a.bytes(dialect.MAVLink_attitude_quaternion_message(boot, 1.0, 0.0, 0.0, 0.0, 0.01, 0.02, 0.03))),
        Received(1.2, a.bytes(dialect.MAVLink_local_position_ned_message(boot, 1.0, 2.0, -3.0, 0.1, 0.2, -0.3))),
    ]


CASES = [
    DriverCase(
        name="mavlink", platform=PLATFORM, driver="autopilot", golden=said(0), again=said,
        expected=[
            GnssFix(1.1, 35.0955, 129.0403, 12.5, np.array([0.8, 0.8, 1.2]), 1, 11, NAN, "gnss"),
            GnssVelocity(1.1, np.array([2.5, 0.0, NAN]), 0.1, "gnss"),
            ExternalOdometry(  # nose to the north: yaw is 90 degrees in ENU
                1.2, np.array([2.0, 1.0, 3.0]), np.array([HALF, 0.0, 0.0, HALF]), np.array([0.2, 0.1, 0.3]),
                np.array([0.01, -0.02, -0.03]), 0.5, 0.1, 0.02, "estimate",
            ),
        ],
        settle_s=0.5,
    )
]  # fmt: skip

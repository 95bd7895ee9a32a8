"""Servos for the contract suite: simulated ones answer, with numbers put into their control tables by hand."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from servo_rig import JOINTS, leg_file

from giljabi.types import JointState
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import Answer, DriverCase
from giljabi_sim.peers.servo_bus import ServoBus

FOLDER = tempfile.TemporaryDirectory()  # goes with the process
COUNTS = (2048 + 512, 2048 + 256, 2048 - 1024, 2048)  # present position; the knee is mounted the other way round
ANGLES = (math.pi / 4, -math.pi / 8, -math.pi / 2, 0.0)
SPEEDS, CURRENTS = (10, -20, 0, 3), (50, 0, -7, 100)  # raw, of each servo
SIGNS = (1, -1, 1, 1)
BYTE_S = 1e-5  # at 1 Mbit/s


def peer(family: Literal["dynamixel", "feetech_sts"]) -> Answer:
    """Four servos at rest; they say so when a question would have changed anything."""
    bus = ServoBus(family, [1, 2, 3, 4], 1e6)
    for servo, *raw in zip(bus.servos.values(), COUNTS, SPEEDS, CURRENTS, strict=True):
        p = servo.places
        for place, value in zip((p.position, p.velocity, p.current), raw, strict=True):
            servo.put(*place, value)
    tables = {i: bytes(s.table) for i, s in bus.servos.items()}

    def answer(now: float, question: bytes) -> Sequence[Received]:
        bus.receive(now, question)
        out = []
        while math.isfinite(t := bus.next_due):
            out += [Received(t, data) for data in bus.take(t)]
        assert bus.rejected == {}, "a question that servos do not understand"
        assert {i: bytes(s.table) for i, s in bus.servos.items()} == tables, "a question that changes something"
        return out

    return answer


def joints(t: float, speed: float, ampere: float) -> JointState:
    """What the counts mean; speed of one count [rad/s], current of one count [A]; 1.8 N m/A."""
    return JointState(
        t,
        dict(zip(JOINTS, ANGLES, strict=True)),
        {n: k * v * speed for n, k, v in zip(JOINTS, SIGNS, SPEEDS, strict=True)},
        {n: k * c * ampere * 1.8 for n, k, c in zip(JOINTS, SIGNS, CURRENTS, strict=True)},
        "joints",
    )


# Bytes on the wire: a fast sync read of four and one reply with 10 bytes of each; a sync read and four replies of 15.
FAST_S = (14 + 4 + 8 + 4 * (1 + 1 + 10 + 2)) * BYTE_S
STS_S = (8 + 4 + 4 * (6 + 15)) * BYTE_S
CASES = [
    DriverCase(
        name="dynamixel", platform=leg_file(Path(FOLDER.name), "dynamixel"), driver="leg",
        peer=lambda: peer("dynamixel"),
        expected=[joints(t + FAST_S, 0.229 * 2 * math.pi / 60, 2.69e-3) for t in (1.0, 1.1)],
    ),
    DriverCase(
        name="feetech", platform=leg_file(Path(FOLDER.name), "feetech", "sts"), driver="leg",
        peer=lambda: peer("feetech_sts"),
        expected=[joints(t + STS_S, 2 * math.pi / 4096, 6.5e-3) for t in (1.0, 1.1)],
    ),
]  # fmt: skip

"""The car's bus for the contract suite: frames by cantools, checksums by the simulator's own code."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cantools
import numpy as np

from giljabi.types import NAN, Detections, Imu, JointState
from giljabi_drivers.contract import Received
from giljabi_drivers.contract_case import DriverCase
from giljabi_sim.peers.can import CHECKSUMS

DBC: Any = cantools.database.load_file(Path(__file__).resolve().parents[2] / "config" / "dbc" / "car.dbc")


def frame(t: float, name: str, **values: float) -> Received:
    """One frame with its checksum; signals that are not given are 0."""
    m = DBC.get_message_by_name(name)
    data = bytearray(m.encode({s.name: values.get(s.name, 0) for s in m.signals}))
    if any(s.name == "CHECKSUM" for s in m.signals):
        kind = m.dbc.attributes.get("ChecksumKind")
        data[-1] = CHECKSUMS[kind.value if kind is not None else "toyota"](m.frame_id, bytes(data))
    return Received(t, bytes(data), m.frame_id)


WHEELS = {f"WHEEL_SPEED_{w}": 36.0 for w in ("FL", "FR", "RL", "RR")}  # km/h
TARGET = {"LONG_DIST": 20.0, "LAT_DIST": -2.0, "LONG_REL_SPEED": -4.0, "OBJECT_ID": 7, "VALID": 1, "LENGTH": 4.5}
SAID: list[tuple[float, str, dict[str, float]]] = [
    (1.0, "WHEEL_SPEEDS", WHEELS),
    (1.0, "KINEMATICS", {"YAW_RATE": 0.0, "ACCEL_X": 1.0, "ACCEL_Y": -0.5}),
    (1.01, "STEER_ANGLE_SENSOR", {"STEER_ANGLE": 14.8}),
    (1.02, "STEERING_STATUS", {"ANGLE": 2.0, "ENABLED": 1}),
    (1.03, "DRIVE_STATUS", {"FORCE": 1500.0, "ENABLED": 1}),
    (1.04, "RADAR_OBJECT_0", {"WIDTH": 1.75, **TARGET}),
    (1.04, "RADAR_STATUS", {"OBJECT_COUNT": 1}),
]


def said(k: int) -> list[Received]:
    """The k-th time, each message with its counter one further."""
    return [frame(t, name, COUNTER=k % 16, **values) for t, name, values in SAID]


VEHICLE = DriverCase(
    name="can",
    platform="car",
    driver="vehicle",
    golden=said(0),
    again=said,
    expected=[
        JointState(1.0, velocity={f"wheel_{w}": 10.0 for w in ("fl", "fr", "rl", "rr")}, source="wheels"),
        Imu(1.0, np.array([NAN, NAN, 0.0]), np.array([1.0, -0.5, NAN]), "imu"),
        JointState(1.01, position={"steering": math.radians(1.0)}, source="wheels"),
        JointState(1.02, position={"steering": math.radians(2.0)}, source="wheels"),
        JointState(1.03, effort={"throttle": 1500.0}, source="wheels"),
        # 3.6 m ahead of the rear axle; closing with 4 m/s on a car that does 10 m/s.
        Detections(1.04, "radar", "base_link", np.array([
            [23.6, -2.0, 0.5, 6.0, 0.0, NAN, 4.5, 1.75, 7.0, 0.0, 0.25]
        ])),
    ],
    tolerance=5e-3,
)  # fmt: skip

CASES = [VEHICLE]

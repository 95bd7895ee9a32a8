"""An IMU on CAN by a DBC of its own; cantools encodes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cantools
import numpy as np
import pytest

from giljabi.platform import load_platform
from giljabi.types import BadInputError, Imu
from giljabi_drivers.can import CanDriver
from giljabi_drivers.contract import Received

DBC = """VERSION ""
BU_: XXX
BO_ 512 GYRO: 8 XXX
 SG_ RATE_X : 7|16@0- (0.01,0) [0|0] "deg/s" XXX
 SG_ RATE_Y : 23|16@0- (0.01,0) [0|0] "deg/s" XXX
 SG_ RATE_Z : 39|16@0- (0.001,0) [0|0] "rad/s" XXX
BO_ 513 ACCELEROMETER: 8 XXX
 SG_ FORWARD : 0|16@1- (0.001,0) [0|0] "g" XXX
 SG_ RIGHT : 16|16@1- (0.01,0) [0|0] "m/s^2" XXX
 SG_ DOWN : 32|16@1- (0.01,0) [0|0] "m/s^2" XXX
 SG_ WARMTH : 48|8@1- (1,0) [0|0] "degC" XXX
"""
ALL = """{angular_velocity: {x: GYRO.RATE_X, y: GYRO.RATE_Y, z: GYRO.RATE_Z},
 linear_acceleration: {x: ACCELEROMETER.FORWARD, y: -ACCELEROMETER.RIGHT, z: -ACCELEROMETER.DOWN}}"""
PEER: Any = cantools.database.load_string(DBC)


def driver(tmp_path: Path, imu: str = ALL) -> CanDriver:
    """The car, whose IMU is a device on a second bus."""
    text = (Path(__file__).resolve().parents[2] / "config" / "platforms" / "car.yaml").read_text()
    (tmp_path / "imu.dbc").write_text(DBC)
    device = "kind: can\n    device: can:socketcan/can1\n"
    block = f"drivers:\n  inertial:\n    {device}    options: {{dbc: imu.dbc, imu: {imu}}}\n"
    text = text.replace("drivers:\n", block, 1)
    head, sensors = text.split("\nsensors:\n")
    line = next(x for x in sensors.splitlines() if "kind: imu" in x)
    text = f"{head}\nsensors:\n{sensors.replace(line, line.replace('driver: vehicle', 'driver: inertial'))}"
    (tmp_path / "car.yaml").write_text(text)
    return CanDriver(load_platform(tmp_path / "car.yaml"), "inertial")


def gyro(t: float, x: float = 1.0, y: float = -2.0, z: float = 0.3) -> Received:
    return Received(t, PEER.encode_message("GYRO", {"RATE_X": x, "RATE_Y": y, "RATE_Z": z}), 512)


def accelerometer(t: float) -> Received:
    values = {"FORWARD": 0.1, "RIGHT": 0.5, "DOWN": -9.81, "WARMTH": 20}
    return Received(t, PEER.encode_message("ACCELEROMETER", values), 513)


def give(d: CanDriver, *frames: Received) -> list[Any]:
    return [s for f in frames for s in d.step(f.t, [f]).samples]


def test_two_messages_make_one_reading(tmp_path: Path) -> None:
    d = driver(tmp_path)
    assert d.health(0.0)
    (imu,) = give(d, gyro(1.0), accelerometer(1.002))
    assert isinstance(imu, Imu)
    assert imu.t == 1.002
    assert imu.angular_velocity == pytest.approx([math.radians(1.0), math.radians(-2.0), 0.3], abs=1e-9)
    assert imu.linear_acceleration == pytest.approx([0.980665, -0.5, 9.81], abs=1e-9)
    assert d.health(1.01) == {}
    assert len(give(d, accelerometer(1.01), gyro(1.011), gyro(1.02), accelerometer(1.021))) == 2


def test_a_lost_message_costs_its_axes_only(tmp_path: Path) -> None:
    a, b = give(driver(tmp_path), gyro(1.0), gyro(1.01), accelerometer(1.012))
    assert a.angular_velocity[2] == pytest.approx(0.3)
    assert np.isnan(a.linear_acceleration).all()
    assert np.isfinite([*b.angular_velocity, *b.linear_acceleration]).all()


def test_some_axes(tmp_path: Path) -> None:
    (imu,) = give(driver(tmp_path, "{angular_velocity: {z: -GYRO.RATE_Z}}"), gyro(1.0))
    assert imu.angular_velocity[2] == pytest.approx(-0.3)
    assert np.isnan([*imu.angular_velocity[:2], *imu.linear_acceleration]).all()


@pytest.mark.parametrize(
    ("imu", "what"),
    [
        ("{angular_velocity: {z: NOTHING.RATE}}", "no message 'NOTHING'"),
        ("{angular_velocity: {z: GYRO.RATE}}", "no signal 'RATE'; it has RATE_X"),
        ("{linear_acceleration: {z: GYRO.RATE_X}}", "unit 'deg/s' is no acceleration"),
        ("{angular_velocity: {w: GYRO.RATE_X}}", "'x', 'y' or 'z'"),
        ("{angular_velocity: {z: GYRO}}", "imu"),
    ],
)
def test_what_the_database_does_not_have(tmp_path: Path, imu: str, what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        driver(tmp_path, imu)

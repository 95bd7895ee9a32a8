"""A ship with a serial IMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from giljabi.platform import load_platform
from giljabi.registry import build_driver

ROOT = Path(__file__).resolve().parents[2]


def imu_platform(tmp_path: Path, kind: str, options: str = "{}", rpy: str = "[0, 0, 0]", peer: str = "{}") -> Path:
    """The ship, whose gyro is an IMU of its own on a serial line; its heading stays the compass's."""
    text = (ROOT / "config" / "platforms" / "ship.yaml").read_text()
    gyro = "gyro: {kind: imu, driver: bridge, timeout_s: 1.0}"
    assert gyro in text
    text = text.replace(gyro, f"gyro: {{kind: imu, driver: ahrs, timeout_s: 1.0, rpy_deg: {rpy}}}")
    line = f"drivers:\n  ahrs:\n    kind: {kind}\n    device: serial:/dev/ttyUSB2?baud=115200\n    options: {options}\n"
    text = text.replace("drivers:\n", line, 1)
    text = text.replace("  peers:\n", f"  peers:\n    ahrs: {{kind: {kind}, options: {peer}}}\n")
    text = text.replace("        rate_of_turn: {rate_hz: 10, white: 3.0}   # deg/min\n", "")
    path = tmp_path / f"ship_{kind}.yaml"
    path.write_text(text)
    return path


def imu_driver(tmp_path: Path, kind: str, options: str = "{}", rpy: str = "[0, 0, 0]") -> Any:
    return build_driver(load_platform(imu_platform(tmp_path, kind, options, rpy)), "ahrs")

"""A platform with an autopilot, and the other end of its line, spoken by pymavlink's own encoder and parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.platform import Platform, load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_requests import Item

T0 = 1.8e9  # stack time reads like UTC

PLATFORM = """
name: test_drone
description: for tests
model: {kind: quadrotor}
footprint: {length: 0.6, width: 0.6}
limits:
  {speed_max: 10.0, speed_min: -10.0, acceleration_max: 3.0, deceleration_max: 3.0, yaw_rate_max: 1.5,
   lateral_acceleration_max: 3.0, clearance: 1.0}
actuators:
  velocity_x: {unit: m/s, min: -10, max: 10, rate_max: 8, driver: autopilot, safe: {value: 0, rate: 8}}
  velocity_y: {unit: m/s, min: -10, max: 10, rate_max: 8, driver: autopilot, safe: {value: 0, rate: 8}}
  velocity_z: {unit: m/s, min: -3, max: 4, rate_max: 8, driver: autopilot, safe: {value: 0, rate: 8}}
  yaw_rate: {unit: rad/s, min: -1.5, max: 1.5, rate_max: 6, driver: autopilot, safe: {value: 0, rate: 6}}
  takeoff_height: {unit: m, min: 0, max: 100, rate_max: 10000, driver: autopilot, safe: {value: 0, rate: 10000}}
  land: {unit: "1", min: 0, max: 1, rate_max: 100, driver: autopilot, safe: {value: 0, rate: 100}}
sensors:
  estimate: {kind: odometry, driver: autopilot, timeout_s: 0.5}
  gnss: {kind: gnss, driver: autopilot, timeout_s: 2.0}
drivers:
  autopilot:
    kind: mavlink
    device: tcp:127.0.0.1:5760
    options: %s
steps:
  estimator: {kind: external, rate_hz: 50}
  tracker: {kind: gnn, rate_hz: 5}
  planner: {kind: ocp_route, rate_hz: 5}
  controller: {kind: ocp_tracking, rate_hz: 50}
guard: {rate_hz: 100, command_timeout_s: 0.1, command_lost_s: 0.5, heartbeat_timeout_s: 1.0, pose_timeout_s: 1.0}
minimum_risk: {manoeuvre: stop, within_s: 20.0}
scenario: drone_square.yaml
"""


def drone_platform(
    folder: Path, options: str = "{autopilot: ardupilot}", inputs: dict[str, tuple[str, float]] | None = None
) -> Platform:
    """inputs: unit and greatest value of actuators in place of the usual ones."""
    text = PLATFORM % options
    if inputs is not None:
        rest = "rate_max: 1000, driver: autopilot, safe: {value: 0, rate: 1000}"
        rows = "".join(f"  {n}: {{unit: {u!r}, min: {-m}, max: {m}, {rest}}}\n" for n, (u, m) in inputs.items())
        head, tail = text.split("actuators:\n")
        text = f"{head}actuators:\n{rows}sensors:{tail.split('sensors:')[1]}"
    path = folder / "test_drone.yaml"
    path.write_text(text)
    return load_platform(path)


class Autopilot:
    """The other end: pymavlink's encoder and parser, nothing of ours."""

    def __init__(self, system: int = 1, component: int = 1, key: bytes = b"", stamp: int = 0) -> None:
        self.mav = dialect.MAVLink(None, srcSystem=system, srcComponent=component)
        self.mav.robust_parsing = True
        if key:
            self.mav.signing.secret_key = key
            self.mav.signing.sign_outgoing = True
            self.mav.signing.timestamp = stamp or 37_990_000_000_000

    def bytes(self, message: Any) -> bytes:
        data = bytes(message.pack(self.mav))
        self.mav.seq = (self.mav.seq + 1) % 256
        return data

    def parse(self, data: bytes) -> list[Any]:
        return list(self.mav.parse_buffer(data) or [])

    def heartbeat(self, mode: int = 0, armed: bool = False, status: int = dialect.MAV_STATE_STANDBY) -> bytes:
        base = dialect.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | (dialect.MAV_MODE_FLAG_SAFETY_ARMED if armed else 0)
        kind, family = dialect.MAV_TYPE_QUADROTOR, dialect.MAV_AUTOPILOT_ARDUPILOTMEGA
        return self.bytes(dialect.MAVLink_heartbeat_message(kind, family, base, mode, status, 3))


def feed(driver: MavlinkDriver, now: float, data: bytes, line: int = 0) -> Any:
    return driver.step(now, [Received(now, data, bus=line)])


ITEMS = [
    Item(dialect.MAV_CMD_NAV_WAYPOINT, dialect.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT, (0.0, 1.5, 0.0, 0.0),
         350955000 + 100 * i, 1290403000 - 50 * i, 20.0 + i)
    for i in range(12)
]  # fmt: skip

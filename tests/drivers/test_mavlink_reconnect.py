"""An autopilot's link that drops and comes back: within 2 s there is an estimate again, and nothing is restarted."""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import ExternalOdometry
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.transport import open_transport

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from mavlink_rig import T0, Autopilot, drone_platform

STEP = 0.02


class Device:
    """An autopilot behind a TCP port that can go away; time is the test's."""

    def __init__(self) -> None:
        self.a, self.boot, self.heard = Autopilot(), 5.0, []  # type: ignore[var-annotated]
        self.server: socket.socket | None = None
        self.peer: socket.socket | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]

    def shut(self) -> None:
        for s in (self.peer, self.server):
            if s is not None:
                s.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # reset: the port is free at once
                s.close()
        self.peer = self.server = None

    def step(self) -> None:
        """50 Hz: telemetry, once a second a HEARTBEAT; it has flown on while nobody listened."""
        self.boot += STEP
        if self.server is None:
            return
        if select.select([self.server], [], [], 0.0)[0]:
            self.peer, _ = self.server.accept()
        if self.peer is None:
            return
        ms, out = round(self.boot * 1e3), b""
        if round(self.boot / STEP) % 50 == 0:
            out += self.a.heartbeat(4, armed=True)
            out += self.a.bytes(dialect.MAVLink_gps_global_origin_message(1, 2, 3))
        out += self.a.bytes(dialect.MAVLink_attitude_message(ms, 0, 0, 0, 0, 0, 0))
        out += self.a.bytes(dialect.MAVLink_local_position_ned_message(ms, 1, 2, -3, 0, 0, 0))
        self.peer.sendall(out)
        if select.select([self.peer], [], [], 0.0)[0]:
            commands = [m for m in self.a.parse(self.peer.recv(65536)) if m.get_type() == "COMMAND_LONG"]
            self.heard += commands
            for m in commands:
                self.peer.sendall(self.a.bytes(dialect.MAVLink_command_ack_message(m.command, 0)))


@pytest.mark.parametrize("gone_s", [0.5, 4.0, 30.0])
def test_there_is_an_estimate_again_within_2_s(tmp_path: Path, gone_s: float) -> None:
    device = Device()
    transport = open_transport(f"tcp:127.0.0.1:{device.port}")
    driver = MavlinkDriver(drone_platform(tmp_path), "autopilot")
    now = T0

    def run(seconds: float) -> float | None:
        """Time until the first estimate [s]."""
        nonlocal now
        first = None
        for i in range(round(seconds / STEP)):
            device.step()
            now += STEP
            result = driver.step(now, transport.read(now))
            if device.peer is not None:
                for data in result.to_send:
                    transport.write(data)
            if first is None and any(isinstance(s, ExternalOdometry) for s in result.samples):
                first = i * STEP
        return first

    try:
        assert run(3.0) is not None
        device.shut()
        assert run(gone_s) in (None, 0.0)  # what was under way when it was shut
        device.open()
        device.heard.clear()
        again = run(4.0)
        assert again is not None
        assert again <= 2.0
        assert "autopilot" not in driver.health(now)
        commands = {m.command for m in device.heard}
        assert dialect.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN not in commands
        assert (dialect.MAV_CMD_SET_MESSAGE_INTERVAL in commands) == (gone_s > 2.0)  # asked anew after a silence
    finally:
        transport.close()
        device.shut()

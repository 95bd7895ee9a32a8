"""The whole way: real bytes on a pseudo-terminal and a CAN multicast group, through transport and driver, and back."""

from __future__ import annotations

import os
import pty
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cantools
import pytest
from can.interfaces.udp_multicast.utils import unpack_message

from giljabi._core.guard import WireEncoder
from giljabi.platform import load_platform
from giljabi.types import GnssFix, Heading, Imu, JointState
from giljabi_drivers.can import CanDriver
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.transport import open_transport, pack_can

GROUP = "239.74.163.78"
LINE = (
    b"\xb5\x62\x01$\x00GP"  # another protocol on the same line
    b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
    b"$HEHDT,09$HEHDT,090.0,T*26\n\n$TIROT,-6"
)
REST = b"0.0,A*20\r"


def collect(transport: Any, driver: Any, count: int) -> list[Any]:
    """Samples from real bytes, until there are `count` of them or 5 s have passed."""
    out: list[Any] = []
    end = time.monotonic() + 5.0
    while len(out) < count and time.monotonic() < end:
        now = time.monotonic()
        out += driver.step(now, transport.read(now)).samples
        time.sleep(0.001)
    return out


def test_a_serial_line() -> None:
    platform = load_platform("ship")
    master, slave = pty.openpty()
    transport = open_transport(f"serial:{os.ttyname(slave)}?baud=38400")
    try:
        driver = Nmea0183Driver(platform, "bridge")
        os.write(master, LINE)
        got = collect(transport, driver, 2)
        os.write(master, REST)
        got += collect(transport, driver, 1)
        assert [type(s) for s in got] == [GnssFix, Heading, Imu]
        assert got[2].angular_velocity[2] == pytest.approx(0.01745, abs=1e-5)  # 60 deg/min to port
        assert driver.stats.rejected == {"truncated": 1}
        encoder = WireEncoder(driver.encode_table(), {n: (a.min, a.max) for n, a in platform.model.actuators.items()})
        order = encoder.encode("ROR rudder", {"rudder": -0.1, "throttle": 0.0})
        assert os.write(transport.command_fd(), order) == len(order)
        assert os.read(master, 200) == order
        assert order.startswith(b"$AGROR,5.73,A,,,B*")
    finally:
        transport.close()
        os.close(master)
        os.close(slave)


def test_a_can_bus() -> None:
    platform = load_platform("car")
    root = Path(__file__).resolve().parents[2]
    peer: Any = cantools.database.load_file(root / "config" / "dbc" / "car.dbc")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    car, stack = (open_transport(f"can:udp_multicast/{GROUP}?port={port}") for _ in range(2))
    try:
        driver = CanDriver(platform, "vehicle")
        m = peer.get_message_by_name("WHEEL_SPEEDS")
        values = {s.name: 36.0 if s.name.startswith("WHEEL") and not s.name.endswith("FAULT") else 0 for s in m.signals}
        car.write(pack_can(Received(0.0, m.encode(values), m.frame_id), car.framing))
        (got,) = collect(stack, driver, 1)
        assert isinstance(got, JointState)
        assert got.velocity["wheel_fl"] == pytest.approx(10.0, abs=2e-3)
        table = driver.encode_table()
        assert table is not None
        limits = {n: (a.min, a.max) for n, a in platform.model.actuators.items()}
        encoder = WireEncoder(replace(table, framing=stack.framing), limits)
        datagram = encoder.encode("STEERING_COMMAND", {"steering": 0.2, "throttle": 0.0}, True, 7)
        assert unpack_message(datagram, check=True).arbitration_id == 768  # python-can takes it
        os.write(stack.command_fd(), datagram)
        end = time.monotonic() + 5.0
        frames: list[Received] = []
        while not frames and time.monotonic() < end:
            frames = car.read(0.0)
        decoded = peer.decode_message(frames[0].can_id, frames[0].data)
        assert decoded["ANGLE_REQUEST"] == pytest.approx(11.459, abs=0.003)  # deg, to the left
        assert (decoded["ENABLE"], decoded["COUNTER"]) == (1, 7)
        assert driver.database.by_key[frames[0].can_id].checksum_ok(frames[0].data)
    finally:
        car.close()
        stack.close()


def test_half_a_datagram_never_meets_another_senders() -> None:
    """Two receivers feed one UDP port and their datagrams end anywhere; each goes on where it stopped itself."""
    whole = b"$HEHDT,090.0,T*26\r\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    transport = open_transport(f"udp-listen:{port}")
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        driver = Nmea0183Driver(load_platform("ship"), "bridge")
        parts = [(0, whole[:9]), (1, whole[:12]), (2, b"5.0,T*23\r\n"), (0, whole[9:]), (1, whole[12:])]
        for who, data in parts:
            senders[who].sendto(data, ("127.0.0.1", port))
        got = collect(transport, driver, 2)
        assert [type(s) for s in got] == [Heading, Heading]
        assert driver.stats.accepted == 2
        # The tail of a third alone, which completes the first's half to a sentence with a right checksum, is nothing.
        halves = [(0, b"$HEHDT,04"), (2, b"5.0,T*2E\r\n"), (1, whole)]
        for who, data in halves:
            senders[who].sendto(data, ("127.0.0.1", port))
        (last,) = collect(transport, driver, 1)
        assert last.yaw == pytest.approx(got[0].yaw)
        assert driver.stats.accepted == 3
    finally:
        transport.close()
        for sender in senders:
            sender.close()


def test_senders_beyond_the_last_place_take_that_of_the_longest_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    transport = open_transport(f"udp-listen:{port}")
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
    try:
        lines = []
        for sender in senders:
            sender.sendto(b"x", ("127.0.0.1", port))
            end = time.monotonic() + 5.0
            while not (got := transport.read(time.monotonic())):
                assert time.monotonic() < end
            lines += [r.bus for r in got]
        assert lines == [*range(32), *range(8)]
    finally:
        transport.close()
        for sender in senders:
            sender.close()

"""Serial IMUs in simulation: what they feel, how they are set up, and a passage with each of them."""

from __future__ import annotations

import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from giljabi.estimation.mounting import Mounting
from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.types import Heading, Imu
from giljabi_drivers.contract import Received
from giljabi_drivers.transport import open_transport
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.contract import Chunk, Wire
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation
from giljabi_sim.wires import PtyLine, open_line

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
from imu_rig import imu_platform

KINDS = ("vectornav", "xsens")
MOUNTED = "[180, 0, 30]"


@pytest.mark.parametrize("kind", KINDS)
def test_she_sails_with_it(tmp_path: Path, kind: str) -> None:
    """The device is told what to send, is mounted upside down, and its rate of turn is the only one."""
    path = imu_platform(tmp_path, kind, "{configure: true}", MOUNTED, "{waits: true}")
    loop = LockStep(load_scenario("ship_straight", platform=str(path)))
    result = loop.run()
    assert result.report["outcome"] == "arrived"
    assert result.report["cross_track_rms_m"] < 2.0
    driver, peer = loop.stack.drivers["ahrs"], loop.simulation.peers["ahrs"]
    assert driver.stats.accepted > 1000
    assert driver.stats.rejected == {}
    assert driver.stats.flagged == {}
    assert (peer.accepted, peer.rejected) == ({"vectornav": 2, "xsens": 3}[kind], {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rpy", ["[0, 0, 0]", MOUNTED, "[0, 90, 0]"])
def test_what_it_feels_is_what_the_ship_does(tmp_path: Path, kind: str, rpy: str) -> None:
    """She turns to port under way; rate, specific force and heading arrive in base_link."""
    path = imu_platform(tmp_path, kind, "{heading: true_north}", rpy, "{gyro_bias_dps: 0, acceleration_bias: 0}")
    platform = load_platform(path)
    s = Simulation(load_scenario("ship_straight", ["start.speed=3"], platform=str(path)))
    driver, mounting = build_driver(platform, "ahrs"), Mounting(platform)
    samples = []
    for k in range(1000):
        now = k / 50
        s.world.vehicle.commands |= {"rudder": 0.3, "lever": 0.6}
        chunks = s.step(now, {}).get("ahrs", ())
        samples += [x for c in chunks for x in driver.step(now, [Received(now, c.data)]).samples]
    imu = [mounting.imu_in_base(x) for x in samples if isinstance(x, Imu)][-50:]
    heading = [x for x in samples if isinstance(x, Heading)][-1]
    own = s.world.own
    assert own.yaw_rate > 0.05
    assert np.mean([w for w, _ in imu], axis=0) == pytest.approx([0.0, 0.0, own.yaw_rate], abs=0.004)
    assert np.mean([f for _, f in imu], axis=0) == pytest.approx([own.ax, own.ay, 9.80665], abs=0.03)
    assert math.remainder(heading.yaw - own.yaw, math.tau) == pytest.approx(0.0, abs=0.06)
    assert driver.stats.rejected == {}


@pytest.mark.parametrize("kind", KINDS)
def test_over_a_pseudo_terminal(tmp_path: Path, kind: str) -> None:
    """The device's settings and packets over a real tty, in whatever pieces the system makes of them."""
    path = imu_platform(tmp_path, kind, "{configure: true}", peer="{waits: true}")
    s = Simulation(load_scenario("ship_straight", platform=str(path)))
    line = open_line("ahrs", Wire.SERIAL, "pty", tmp_path)
    assert isinstance(line, PtyLine)
    transport = open_transport(line.url.replace("baud=38400", "baud=115200"))
    driver = build_driver(load_platform(path), "ahrs")
    got = []
    for k in range(400):
        now = k / 100
        line.write(list(s.peers["ahrs"].step(now, line.read(), s.world).to_send))
        time.sleep(0.0005)
        result = driver.step(now, transport.read(now))
        for data in result.to_send:
            assert transport.write(data) == len(data)
        got += result.samples
        if len(got) > 100:
            break
    assert len(got) > 100
    assert driver.stats.rejected == {}
    transport.close()
    line.close()


@pytest.mark.parametrize(("kind", "data", "reason"), [
    ("vectornav", b"$VNWRG,75,3,8,01,0131*00\r\n", "checksum"), ("vectornav", b"$VNWNV*57\r\n", "unknown"),
    ("xsens", bytes.fromhex("faff3000d0"), "checksum"), ("xsens", bytes.fromhex("faff4000c1"), "unknown"),
])  # fmt: skip
def test_wrong_settings_are_counted(tmp_path: Path, kind: str, data: bytes, reason: str) -> None:
    path = imu_platform(tmp_path, kind, peer="{waits: true}")
    s = Simulation(load_scenario("ship_straight", platform=str(path)))
    for k in range(50):
        assert "ahrs" not in s.step(k / 50, {"ahrs": [Chunk(data)]} if k == 0 else {})
    assert s.peers["ahrs"].rejected == {reason: 1}


def test_random_settings_leave_it_well(tmp_path: Path) -> None:
    bits = random.Random(1)
    for kind in KINDS:
        s = Simulation(load_scenario("ship_straight", platform=str(imu_platform(tmp_path, kind))))
        for k in range(50):
            s.step(k / 50, {"ahrs": [Chunk(bits.randbytes(40))]})
        assert s.peers["ahrs"].accepted == 0

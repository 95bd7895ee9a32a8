"""The drivers' process with a chain of servos on a pseudo-terminal: joint_states out, commands in, one servo silent."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from harness import CLOCK, NodeProcess, armed, graph, wait
from servo_rig import JOINTS, leg_file

from giljabi import topics
from giljabi.ros import goals, status
from giljabi.ros.messages import message_class, qos_profile
from giljabi.types import ActuatorCommand, Health
from giljabi_sim.peers.servo_bus import ServoBus
from giljabi_sim.servo_pty import PtyChain

pytestmark = pytest.mark.alone
DOMAIN = 86
SLOTS = dict.fromkeys(JOINTS, "position")
SIGNS = dict(zip(JOINTS, (1, -1, 1, 1), strict=True))  # the knee of leg_file is mounted the other way round


class Bench:
    """Four servos, the drivers' process, and this test as the rest of the stack."""

    def __init__(self, node: Any, folder: Path) -> None:
        self.node = node
        self.bus = ServoBus("dynamixel", [1, 2, 3, 4], 1e6)
        self.bus.dynamics, self.bus.at_once = False, True  # what is written as goal is read as position
        self.chain = PtyChain(self.bus, paced=False)
        self.joints: dict[str, float] = {}
        self.heard = dict.fromkeys(JOINTS, 0.0)  # when each joint was last told
        self.problems: dict[str, str] = {}
        self.command: dict[str, float] | None = None
        self._subscribe(topics.JOINT_STATES, self._take_joints)
        self._subscribe(topics.DIAGNOSTICS, self._take_diagnostics)
        self._out = {
            row: node.create_publisher(message_class(row.message), row.name, qos_profile(row.qos))
            for row in (topics.HEARTBEAT, topics.ACTUATOR_COMMANDS.at("auto"))
        }
        self._end = threading.Event()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._serve, self._speak)]
        for t in self._threads:
            t.start()
        parameters = {
            "platform_file": str(leg_file(folder, rate_hz=50)),
            "devices": [f"leg=serial:{self.chain.path}?baud=1000000"],
        }
        self.drivers = NodeProcess("drivers", DOMAIN, folder, parameters)

    def _subscribe(self, row: Any, take: Any) -> None:
        self.node.create_subscription(message_class(row.message), row.name, take, qos_profile(row.qos))

    def _take_joints(self, msg: Any) -> None:
        for name, position in zip(msg.name, msg.position, strict=True):
            self.joints[name], self.heard[name] = position, time.monotonic()

    def _take_diagnostics(self, msg: Any) -> None:
        for part in status.diagnostics_from_msg(msg):
            if part.part.endswith("/leg"):
                self.problems = dict(part.problems)

    def _serve(self) -> None:
        while not self._end.is_set():
            self.chain.serve(time.monotonic() + 0.05)

    def _speak(self) -> None:
        while not self._end.wait(0.04):
            now = CLOCK.now()
            self._out[topics.HEARTBEAT].publish(status.health_to_msg(Health(now, "supervisor", ())))
            if self.command is not None:
                command = goals.command_to_msg(ActuatorCommand(now, "auto", self.command), SLOTS)
                self._out[topics.ACTUATOR_COMMANDS.at("auto")].publish(command)

    def armed(self) -> None:
        """Arms as soon as nothing is against it."""
        armed(self.node)

    def there(self, names: tuple[str, ...]) -> bool:
        """Whether these joints say that they are where they are told to be."""
        return self.command is not None and all(abs(self.joints[n] - self.command[n]) < 0.01 for n in names)

    def close(self) -> None:
        """Ends everything."""
        self._end.set()
        for t in self._threads:
            t.join(2.0)
        self.drivers.end()
        self.chain.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with graph(DOMAIN) as node:
        b = Bench(node, tmp_path)
        try:
            yield b
        finally:
            b.close()


def test_joint_states_out_commands_in_and_one_silent_servo(bench: Bench) -> None:
    wait("joint_states of all joints", lambda: set(bench.joints) == set(JOINTS))
    assert not any(s.torque for s in bench.bus.servos.values())
    bench.command = dict(bench.joints)
    bench.armed()
    wait("torque", lambda: all(s.torque for s in bench.bus.servos.values()))
    bench.command = {"hip": 0.3, "knee": -0.4, "ankle": 0.2, "toe": -0.1}
    wait("joints where the commands are", lambda: bench.there(JOINTS))
    for servo, name in zip(bench.bus.servos.values(), JOINTS, strict=True):
        count = servo.get(*servo.places.position) - 2048
        assert abs(SIGNS[name] * count * 2 * 3.14159265 / 4096 - bench.command[name]) < 0.01

    silent, others = bench.bus.servos[2], ("hip", "ankle", "toe")
    silent.silent = True
    wait("words about the silent servo", lambda: "servo 2 has not answered" in bench.problems.get("knee", ""))
    since = time.monotonic()
    bench.command = {"hip": -0.2, "knee": -0.4, "ankle": 0.4, "toe": 0.3}
    wait("the others go on", lambda: bench.there(others) and all(bench.heard[n] > since for n in others))
    assert bench.heard["knee"] < since, "a joint whose servo is silent is told nevertheless"

    silent.silent = False
    wait("the servo is heard again", lambda: bench.heard["knee"] > since and "knee" not in bench.problems)

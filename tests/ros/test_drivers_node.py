"""The drivers' process on real bytes: nothing unsafe reaches the wire, whatever ROS does."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from harness import CLOCK, Device, NodeProcess, armed, bridge_sentences, call, graph, wait
from std_srvs.srv import SetBool

from giljabi import topics
from giljabi.fence import Fence
from giljabi.mission import Mission, save_mission
from giljabi.platform import load_platform
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import message_class, qos_profile
from giljabi.types import ActuatorCommand, Health, Odometry, StackState

DOMAIN = 87
PLATFORM = load_platform("ship").model
RUDDER, THROTTLE = PLATFORM.actuators["rudder"], PLATFORM.actuators["throttle"]
SLOTS = {name: a.slot for name, a in PLATFORM.actuators.items()}
PERIOD_S = 0.1  # of the sentences
SPARE = 1.25  # a loaded machine delivers late


class Bench:
    """A bridge on a pseudo-terminal, the drivers' process, and this test as the rest of the stack."""

    def __init__(self, node: Any, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.bridge, self.ais = Device(folder / "bridge"), Device(folder / "ais")
        self.bridge.send(bridge_sentences, 5.0)
        self.state: StackState | None = None
        self.beating = self.commanding = True
        self.rudder, self.throttle, self.age = 0.0, 0.0, 0.0
        self.manual: float | None = None  # rudder of the joystick, while a hand is on it
        self.reasons: tuple[str, ...] = ()
        row = topics.STATE
        node.create_subscription(message_class(row.message), row.name, self._take_state, qos_profile(row.qos))
        self._publishers = {
            row: node.create_publisher(message_class(row.message), row.name, qos_profile(row.qos))
            for row in (topics.HEARTBEAT, topics.ODOM, *(topics.ACTUATOR_COMMANDS.at(s) for s in ("auto", "manual")))
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.drivers = self.start()
        self._thread.start()

    def start(self, mission: str = "") -> NodeProcess:
        """Starts the drivers' process."""
        devices = [f"bridge={self.bridge.url}", f"ais={self.ais.url}"]
        return NodeProcess(
            "drivers", DOMAIN, self.folder, {"platform_file": "ship", "mission_file": mission, "devices": devices}
        )

    def _take_state(self, msg: Any) -> None:
        self.state = status.state_from_msg(msg)

    def _play(self) -> None:
        """Heartbeat, odometry and commands at 20 Hz, as long as they are wanted."""
        zero = np.zeros(3)
        while not self._end.wait(0.05):
            now = CLOCK.now()
            odom = Odometry(now, zero, np.array([1.0, 0, 0, 0]), zero, zero, np.eye(6), np.eye(6))
            self._send(topics.ODOM, convert.odom_to_msg(odom))
            if self.beating:
                self._send(topics.HEARTBEAT, status.health_to_msg(Health(now, "supervisor", self.reasons)))
            if self.commanding:
                values = {"rudder": self.rudder, "throttle": self.throttle}
                command = ActuatorCommand(now - self.age, "auto", values)
                self._send(topics.ACTUATOR_COMMANDS.at("auto"), goals.command_to_msg(command, SLOTS))
            if self.manual is not None:
                by_hand = ActuatorCommand(now, "manual", {"rudder": self.manual, "throttle": 0.0})
                self._send(topics.ACTUATOR_COMMANDS.at("manual"), goals.command_to_msg(by_hand, SLOTS))

    def _send(self, row: Any, msg: Any) -> None:
        self._publishers[row].publish(msg)

    def arm(self) -> Any:
        """Calls the service."""
        return call(self.node, topics.ARM, SetBool.Request(data=True))

    def armed(self) -> None:
        """Arms as soon as nothing is against it."""
        armed(self.node)

    def order(self, rudder: float, throttle: float = 0.0) -> None:
        """Commands values and waits until they stand on the wire."""
        self.rudder, self.throttle = rudder, throttle
        wait(f"rudder {rudder} on the wire", lambda: abs(self.rudder_now() - rudder) < 0.001, 20.0)

    def rudder_now(self) -> float:
        """Newest rudder order on the wire [rad], positive to port."""
        orders = self.bridge.orders("ROR")
        return -math.radians(orders[-1][1]) if orders else math.nan

    def close(self) -> None:
        """Ends everything."""
        self._end.set()
        self._thread.join(2.0)
        self.drivers.end()
        self.bridge.close()
        self.ais.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with graph(DOMAIN) as node:
        b = Bench(node, tmp_path)
        try:
            yield b
        finally:
            b.close()


def check_wire(bench: Bench) -> None:
    """Every order that was ever on the wire: inside limits, and never faster than the platform allows."""
    for kind, actuator, scale in (("ROR", RUDDER, -math.pi / 180.0), ("PRC", THROTTLE, 160.0)):
        orders = [(t, v * scale) for t, v in bench.bridge.orders(kind)]
        assert orders, f"no {kind} on the wire"
        resolution = abs(scale) * 0.1
        for _, v in orders:
            assert actuator.min - resolution <= v <= actuator.max + resolution
        # Over half a second, so that bytes that were read late do not look like a jump.
        for i, (t0, v0) in enumerate(orders):
            for t1, v1 in orders[i + 1 : i + 6]:
                allowed = actuator.rate_max * (max(t1 - t0, PERIOD_S) * SPARE + 2 * PERIOD_S) + resolution
                assert abs(v1 - v0) <= allowed, f"{kind}: {v0} to {v1} within {t1 - t0:.2f} s"


def test_arming_is_refused_with_every_reason_and_then_granted(bench: Bench) -> None:
    bench.beating = bench.commanding = False
    answer = bench.arm()
    assert not answer.success
    assert "supervisor" in answer.message or "heartbeat" in answer.message
    state = wait("a state", lambda: bench.state)
    assert not state.armed
    assert state.reasons
    bench.beating, bench.reasons = True, ("gnss: no fix for 3.1 s; check the antenna",)
    bench.commanding = True
    wait("the supervisor's words", lambda: bench.state and any("no fix for 3.1 s" in r for r in bench.state.reasons))
    assert "no fix for 3.1 s" in bench.arm().message
    bench.reasons = ()
    bench.armed()
    wait("armed", lambda: bench.state and bench.state.armed)


def test_commands_reach_the_wire_with_the_right_sign_and_inside_the_limits(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2, 4000.0)
    # ROR: starboard positive, degrees; our rudder is positive to port.
    assert bench.bridge.orders("ROR")[-1][1] == pytest.approx(-math.degrees(0.2), abs=0.11)
    wait("thrust", lambda: abs(bench.bridge.orders("PRC")[-1][1] - 25.0) < 0.2)
    bench.rudder = 5.0  # far outside
    wait("the limit", lambda: abs(bench.rudder_now() - RUDDER.max) < 0.01)
    check_wire(bench)


def test_without_arming_nothing_but_safe_values_is_sent(bench: Bench) -> None:
    bench.rudder, bench.throttle = 0.3, 8000.0
    wait("orders", lambda: len(bench.bridge.orders("ROR")) > 10)
    assert {v for _, v in bench.bridge.orders("ROR")} == {0.0}
    assert {v for _, v in bench.bridge.orders("PRC")} == {0.0}


def test_commands_that_stop_and_commands_that_are_old_never_reach_the_wire(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2, 4000.0)
    bench.commanding = False
    silent = CLOCK.now()
    wait("safe rudder", lambda: abs(bench.rudder_now()) < 0.002)
    back = next(t for t, v in bench.bridge.orders("ROR", silent) if abs(v) < 0.11)
    ramp = 0.2 / RUDDER.safe.rate
    assert back - silent <= PLATFORM.guard.command_timeout_s + ramp + 0.5
    # Commands computed ten seconds ago are no commands.
    bench.rudder, bench.age, bench.commanding = -0.4, 10.0, True
    since = CLOCK.now()
    time.sleep(2.0)
    assert all(abs(v) < 0.11 for _, v in bench.bridge.orders("ROR", since))
    check_wire(bench)


def test_stop_works_while_commands_go_on(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2, 4000.0)
    assert call(bench.node, topics.STOP).success
    wait("safe rudder", lambda: abs(bench.rudder_now()) < 0.002)
    wait("no thrust", lambda: abs(bench.bridge.orders("PRC")[-1][1]) < 0.1)
    since = CLOCK.now()
    time.sleep(1.0)
    assert {v for _, v in bench.bridge.orders("ROR", since)} == {0.0}
    assert bench.state is not None
    assert bench.state.mode == "stopped"
    check_wire(bench)


def test_after_a_stop_arming_leads_on_and_after_manual_the_service_release_does(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2)
    assert call(bench.node, topics.STOP).success
    wait("safe rudder", lambda: abs(bench.rudder_now()) < 0.002)
    answer = call(bench.node, topics.RELEASE)
    assert not answer.success
    assert "the mode is stopped" in answer.message
    assert "arm" in answer.message
    bench.armed()
    wait("the order again", lambda: abs(bench.rudder_now() - 0.2) < 0.002)
    bench.manual = -0.3
    wait("manual", lambda: bench.state and bench.state.mode == "manual")
    wait("the hand's rudder", lambda: abs(bench.rudder_now() + 0.3) < 0.002)
    bench.manual = None
    time.sleep(0.2)  # a command under way would take the lead again
    answer = call(bench.node, topics.RELEASE)
    assert (answer.success, answer.message) == (True, "auto leads")
    wait("the order again", lambda: abs(bench.rudder_now() - 0.2) < 0.002)
    assert bench.state is not None
    assert bench.state.mode == "auto"
    check_wire(bench)


def test_a_fence_of_the_mission_is_waited_for_and_kept(bench: Bench) -> None:
    path = bench.folder / "mission.json"
    bench.drivers.end(signal.SIGTERM)
    bench.drivers = bench.start(str(path))
    wait("the mission is waited for", lambda: f"waits for {path}" in bench.arm().message)
    partial = bench.folder / "mission.partial"
    partial.write_text('{"fences": [[[50, -50], [100, -50], [100, 50], [50, 50]]]}')  # the pose is (0, 0)
    partial.rename(path)
    wait("the fence", lambda: "fence: it would be left within the 0.00 m to rest" in bench.arm().message)


def test_a_keep_out_of_the_mission_is_kept(bench: Bench) -> None:
    path = bench.folder / "mission.json"
    keep_out = Fence(centre=(0.0, 0.0), radius=20.0, keep_out=True)
    save_mission(path, Mission(None, None, (keep_out,)))
    bench.drivers.end(signal.SIGTERM)
    bench.drivers = bench.start(str(path))
    wait("the fence", lambda: "fence: it would be left within the 0.00 m to rest" in bench.arm().message)
    save_mission(path, Mission(None, None, (Fence(centre=(500.0, 0.0), radius=20.0, keep_out=True),)))
    bench.drivers.end(signal.SIGTERM)
    bench.drivers = bench.start(str(path))
    wait("it arms", lambda: bench.arm().success)


def test_a_silent_supervisor_brings_the_vehicle_to_its_safe_state(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2)
    bench.beating = False
    wait("safe rudder", lambda: abs(bench.rudder_now()) < 0.002)
    wait("minimum risk", lambda: bench.state and bench.state.mode == "minimum_risk")
    check_wire(bench)


def test_a_restarted_process_does_not_arm_and_the_last_word_of_a_killed_one_was_inside_the_limits(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2)
    bench.drivers.end(signal.SIGKILL)
    bench.state, since = None, CLOCK.now()
    bench.drivers = bench.start()
    state = wait("a state", lambda: bench.state)
    time.sleep(2.0)
    assert not state.armed
    assert bench.state is not None
    assert not bench.state.armed
    wait("orders", lambda: len(bench.bridge.orders("ROR", since)) > 5)
    assert {v for _, v in bench.bridge.orders("ROR", since)} == {0.0}


def test_an_unplugged_device_ends_auto_and_is_opened_again_when_it_is_back(bench: Bench) -> None:
    bench.armed()
    bench.order(0.2)
    bench.bridge.close()
    state = wait("not in auto", lambda: bench.state if bench.state and bench.state.mode != "auto" else None)
    assert any("bridge" in r for r in (*state.reasons, bench.arm().message)), state
    bench.bridge = Device(bench.folder / "bridge")
    bench.bridge.send(bridge_sentences, 5.0)
    wait("orders on the new line", lambda: len(bench.bridge.orders("ROR")) > 5)
    assert bench.state is not None
    assert bench.state.mode != "auto", "it went on by itself"
    check_wire(bench)


def test_diagnostics_tell_what_each_device_took_and_dropped(bench: Bench) -> None:
    seen: dict[str, dict[str, str]] = {}

    def take(msg: Any) -> None:
        for s in msg.status:
            seen[s.name.rsplit("/", 1)[-1]] = status.values_of(s)

    row = topics.DIAGNOSTICS
    bench.node.create_subscription(message_class(row.message), row.name, take, qos_profile(row.qos))
    wait("counts of the bridge", lambda: int(seen.get("bridge", {}).get("taken", "0")) > 20, 30.0)
    assert "t_s" in seen["bridge"]
    assert len(seen["bridge"]) < 40  # small enough to be published all the time

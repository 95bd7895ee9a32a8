"""The guard's real thread and the reading thread on one chain of servos behind a pseudo-terminal."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from servo_rig import JOINTS, leg_file

from giljabi.clock import StackClock
from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.ros.wires import Wires
from giljabi.safety.guard import feedback_slots
from giljabi.safety.guard_thread import GuardThread, build_guard_thread
from giljabi.types import JointState, Sample
from giljabi_drivers.transport import open_transport

PATIENCE = 20.0  # s, for a loaded machine


@pytest.fixture
def port() -> Iterator[str]:
    argv = [sys.executable, "-m", "giljabi_sim.servo_pty", "--n", "4", "--baud", "1000000", "--still"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(timeout=20.0)


class Bench:
    """Guard, reading thread and a source of commands and heartbeats."""

    def __init__(self, port: str, folder: Path) -> None:
        self.platform = load_platform(leg_file(folder, rate_hz=100))
        self.clock = StackClock()
        self.driver = build_driver(self.platform, "leg")
        self.guard: GuardThread = build_guard_thread(self.platform, [self.driver.encode_table()], self.clock.offset_ns)
        transport = open_transport(f"serial:{port}?baud=1000000")
        self.errors: list[Exception] = []
        self.wires = Wires(
            {"leg": (self.driver, transport)}, self.clock, self._take, self.guard.set_descriptor,
            lambda _, e: self.errors.append(e),
        )  # fmt: skip
        self.slots = feedback_slots(self.platform)
        self.joints: JointState | None = None
        self.command: dict[str, float] | None = None
        self._end = threading.Event()
        self._source = threading.Thread(target=self._speak)

    def __enter__(self) -> Bench:
        self.wires.start()
        self._source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._source.join()
        self.wires.end()
        self.guard.close()
        self.wires.close()

    def _take(self, sample: Sample) -> None:
        if isinstance(sample, JointState):
            self.joints = sample
            self.guard.joints(sample, self.slots)

    def _speak(self) -> None:
        while not self._end.wait(0.01):
            now = self.guard.now()
            self.guard.heartbeat(now)
            if self.command is not None:
                self.guard.submit("auto", now, self.command)

    def until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, (what, self.driver.health(self.clock.now()), self.guard.state(), self.errors)
            time.sleep(0.01)

    def near(self, wanted: dict[str, float]) -> bool:
        position = self.joints.position if self.joints is not None else {}
        return all(abs(position.get(n, 9.0) - v) < 0.02 for n, v in wanted.items())


def test_joints_follow_through_the_threads(port: str, tmp_path: Path) -> None:
    with Bench(port, tmp_path) as b:
        b.until(lambda: b.joints is not None and set(b.joints.position) == set(JOINTS), "every joint is heard")
        assert b.joints is not None
        b.command = dict(b.joints.position)
        b.until(lambda: b.guard.arm() == [], "arms")
        b.command = {"hip": 0.3, "knee": -0.5, "ankle": 0.2, "toe": -0.1}
        b.until(lambda: b.near(b.command or {}), "goes where it is told")
        b.guard.disarm()
        b.until(lambda: not b.guard.state().armed, "disarms")
        assert b.errors == []
        rejected = sum(b.driver.stats.rejected.values())
        assert rejected <= 0.01 * b.driver.stats.accepted, b.driver.stats.rejected

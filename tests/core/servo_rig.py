"""Guard, driver and simulated servos of a small robot on one clock, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from giljabi.platform import Platform, load_platform, share_dir
from giljabi.registry import build_driver
from giljabi.safety.guard import Guard, build_guard, feedback_slots
from giljabi.types import JointState
from giljabi_drivers.contract import Received
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.peers.servo import ServoPeer

JOINTS = ("hip", "knee", "ankle", "toe")
START = {"hip": 0.4, "knee": -0.8, "ankle": 0.2, "toe": 0.0}
SAFE = {"action": "hold", "value": 0.0, "rate": 0.5, "hold_s": 1.0}


def leg_file(folder: Path, kind: str = "dynamixel", file: str = "leg", **changes: Any) -> Path:
    """A platform file of one leg; changes: options of the driver, `safe`, `joint` and `rate_hz`."""
    data: dict[str, Any] = yaml.safe_load((share_dir() / "config" / "platforms" / "car.yaml").read_text())
    model = {"dynamixel": "xm430-w350", "feetech": "sts3215"}[kind]
    safe, joint, rate = changes.pop("safe", {}), changes.pop("joint", {}), changes.pop("rate_hz", 250)
    data["name"] = "leg"
    data["actuators"] = {
        n: {
            "unit": "rad", "min": -1.5, "max": 1.5, "rate_max": 4.0, "driver": "leg", "safe": SAFE | safe.get(n, {}),
        } for n in JOINTS
    }  # fmt: skip
    data["sensors"] = {"joints": {"kind": "joints", "driver": "leg", "timeout_s": 0.2}}
    own = {
        n: {"id": k + 1, "sign": -1 if n == "knee" else 1, "torque_constant": 1.8} | joint.get(n, {})
        for k, n in enumerate(JOINTS)
    }
    data["drivers"] = {
        "leg": {
            "kind": kind,
            "device": "serial:/dev/null?baud=1000000",
            "options": {"model": model, "joints": own} | changes,
        }
    }
    data["guard"] |= {"rate_hz": rate, "command_timeout_s": 0.1, "command_lost_s": 0.4}
    data["simulation"] = {"plant": "car", "peers": {"leg": {"kind": "servo", "options": {"start": START}}}}
    path = folder / f"{file}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


class Leg:
    """One tick after the other: bytes to the servos, replies to the driver, samples to the guard."""

    def __init__(self, path: Path) -> None:
        self.platform: Platform = load_platform(path)
        self.peer = ServoPeer(self.platform, "leg", None, (), 1)  # type: ignore[arg-type]
        self.t = 0.0
        self.line = 1
        self.wire: list[bytes] = []
        self.sent: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """The drivers' process again; the servos know nothing of it."""
        self.driver = build_driver(self.platform, "leg")
        self.guard: Guard = build_guard(self.platform, [self.driver.encode_table()])
        self.slots = feedback_slots(self.platform)
        self.samples: list[JointState] = []
        self.reasons: list[str] = []
        self.command: dict[str, float] | None = None
        self.beats = True

    def run(self, seconds: float, guard: bool = True, driver: bool = True) -> None:
        """Some time; the servos answer in steps of 0.2 ms."""
        tick = 1.0 / self.platform.model.guard.rate_hz
        for _ in range(round(seconds / tick)):
            self.t += tick
            if guard:
                self._guard()
            sent, self.wire = self.wire, []
            self.sent += sent
            for k in range(20):
                now = self.t + k * tick / 20.0
                got = self.peer.step(now, [Chunk(d) for d in sent] if k == 0 else [], None)
                if driver and got.to_send:
                    self._driver(now, [c.data for c in got.to_send])
            if driver:
                self._driver(self.t + 0.99 * tick, [])

    def _guard(self) -> None:
        if self.command is not None:
            self.guard.submit("auto", self.t, self.t, self.command)
        if self.beats:
            self.guard.heartbeat(self.t, self.t)
        self.wire = [data for _, data in self.guard.step(self.t)]

    def _driver(self, now: float, chunks: list[bytes]) -> None:
        result = self.driver.step(now, [Received(now, d, bus=self.line) for d in chunks])
        assert not result.to_send
        for sample in result.samples:
            self.samples.append(sample)
            self.guard.joints(now, sample, self.slots)

    # --- what a test looks at ---

    def angles(self) -> dict[str, float]:
        """Where the joints are [rad]."""
        return {n: j.angle for n, j in self.peer.joints.items()}

    def torque(self) -> dict[str, bool]:
        """Whether each servo has torque."""
        return {n: j.servo.torque for n, j in self.peer.joints.items()}

    def arm(self) -> list[str]:
        """Asks the guard, with the joints' own positions as command."""
        self.command = self.command or dict(self.samples[-1].position)
        self.run(0.02)
        return self.guard.arm(self.t)

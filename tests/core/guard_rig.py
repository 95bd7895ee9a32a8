"""A guard without a wire: its configuration, its time, and what it wrote, decoded independently of the codec."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping

from giljabi.safety.guard import Guard, GuardActuator, GuardConfig
from giljabi.wire import EncodeTable, WireCounter, WireField, WireMessage

DT = 0.01
T0 = 1.7e9  # stack time reads like UTC
STEERING = GuardActuator("steering", -0.5, 0.5, 0.8, safe_value=0.0, safe_rate=0.2, hold_s=1.0)
THROTTLE = GuardActuator("throttle", -9000.0, 4500.0, 20000.0, safe_value=-4500.0, safe_rate=10000.0)


def can_message(name: str, actuator: str, scale: float, can_id: int, period_s: float) -> WireMessage:
    return WireMessage(
        name,
        period_s,
        (
            WireField(actuator, scale, start_bit=0, length=16, signed=True),
            WireField("enable", source="armed", start_bit=16, length=1),
        ),
        can_id=can_id,
        size=4,
        counter=WireCounter(24, 4, big_endian=False),
    )


TABLE = EncodeTable(
    "vehicle",
    "can",
    (can_message("steer", "steering", 10000.0, 1, 0.02), can_message("drive", "throttle", 1.0, 2, 0.05)),
    "socketcan",
)
CONFIG = GuardConfig((STEERING, THROTTLE), (TABLE,), 100.0, 0.15, 0.5, 0.3)
COMMAND = {"steering": 0.1, "throttle": 1000.0}
PATIENT = dataclasses.replace(CONFIG, command_lost_s=0.6)  # a late command is waited for


@dataclasses.dataclass
class Frame:
    t: float
    name: str
    value: float  # SI
    enable: bool
    counter: int


class Rig:
    """A guard, its time, and what it wrote, decoded independently of the codec."""

    def __init__(self, config: GuardConfig = CONFIG) -> None:
        self.guard = Guard(config)
        self.n = 0
        self.frames: list[Frame] = []
        self.step()

    @property
    def now(self) -> float:
        return T0 + self.n * DT

    def step(self) -> list[Frame]:
        new = []
        for device, data in self.guard.step(self.now):
            assert device == "vehicle"
            can_id, raw, enable, counter = struct.unpack("=IxxxxhBBxxxx", data)
            name, scale = {1: ("steering", 1e-4), 2: ("throttle", 1.0)}[can_id]
            new.append(Frame(self.now, name, raw * scale, bool(enable), counter))
        self.frames += new
        return new

    def run(self, seconds: float, command: Mapping[str, float] | None = COMMAND, *, source: str = "auto") -> None:
        """Steps with commands (None: none come) and heartbeats."""
        for _ in range(round(seconds / DT)):
            self.n += 1
            if command is not None:
                assert self.guard.submit(source, self.now, self.now, command) == ""
            assert self.guard.heartbeat(self.now, self.now) == ""
            self.step()

    def arm(self, command: Mapping[str, float] = COMMAND) -> None:
        self.run(0.05, command)
        assert self.guard.arm(self.now) == []

    @property
    def mode(self) -> str:
        return self.guard.state(self.now).mode

    @property
    def reasons(self) -> str:
        return "; ".join(self.guard.state(self.now).reasons)

    def last(self, name: str) -> Frame:
        return next(f for f in reversed(self.frames) if f.name == name)

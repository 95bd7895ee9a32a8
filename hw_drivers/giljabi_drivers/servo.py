"""Chains of Dynamixel and Feetech servos.

The line is half-duplex and has one master: the guard's thread. Every tick it asks the chain
(giljabi._core.servo.Chain) for one piece of bytes: goals and torque from the guard, then one read of all joints, or in
its place one packet that this driver wants to be sent. So nothing collides, and the driver only reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from giljabi._core.servo import Chain, Codec
from giljabi.platform import Platform
from giljabi.types import JointState
from giljabi.wire import EncodeTable, WireField, WireMessage
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.sensors import SensorWatch
from giljabi_drivers.servo_options import build_layout, check_rate, find_model, table_of
from giljabi_drivers.servo_start import TRIPPED, Part, Runner, Scripts
from giljabi_drivers.servo_tables import Family

POSITION, VELOCITY, EFFORT, VOLTAGE, TEMPERATURE, HARDWARE = range(6)
RETRY_S = 1.0  # between attempts to start a servo
COUNTED = ("checksum", "truncated", "length", "id", "unexpected")
WHOLE = 0.9  # of a period, after which a sample goes out without those that are silent
MISSED_MAX = 5  # cycles without an answer that are told of,
MISSED_S = 0.1  # when they have lasted so long


@dataclass(slots=True)
class Seen:
    """What is known of one servo."""

    problem: str = "has not been asked yet"  # of its start; '' when it is ready
    retry_at: float = -math.inf
    registers: dict[str, int] = field(default_factory=dict)  # by the housekeeping
    asked: bool = False  # once
    torque: bool = False  # as the guard wants it
    old_look: bool = False  # the look under way began before that changed


class ServoDriver:
    """One line of servos; each joint is an actuator of the platform file, in rad."""

    families: tuple[Family, ...] = ("dynamixel",)

    def __init__(self, platform: Platform, name: str) -> None:
        """Raises BadInputError with file:line."""
        self.name = name
        self.stats = DriverStats()
        self.sensors = SensorWatch(platform, name)
        self._source = self.sensors.source("joints", name)
        self._o, layout = build_layout(platform, name, self.families)
        try:
            self.chain = Chain(layout)
        except ValueError as e:
            raise platform.error(("drivers", name, "options"), str(e)) from None
        slow = self.chain.wire_time(True, True)
        self._period = check_rate(platform, name, self._o, slow)
        self.parts = [self._part(platform, n, k, layout.joints[k]) for k, n in enumerate(self._o.joints)]
        self._joints = tuple(p.name for p in self.parts)
        self._torque = [p.option.torque_constant is not None for p in self.parts]
        self._scripts = Scripts(Codec(layout.family), self._o)
        self._runner = Runner(self.chain, self._o.latency_s)
        self._seen = [Seen() for _ in self.parts]
        self._current = -1  # part that the running script is about
        self._next_look, self._turn = 0.0, 0
        self._urgent: list[int] = []  # parts to look at first
        self._away = [False] * len(self.parts)
        self._line = -1
        self._passive = False
        self.chain.polling(False)

    def _part(self, platform: Platform, name: str, k: int, joint: object) -> Part:
        model, actuator = find_model(platform, self.name, name, self._o), platform.model.actuators[name]
        table = table_of(model, self._o)
        return Part(name, joint, self._o.joints[name], model, table, actuator.min, actuator.max)  # type: ignore[arg-type]

    # --- the contract ---

    def encode_table(self) -> EncodeTable:
        """One message a cycle; its bytes come from the chain."""
        fields = tuple(WireField(p.name) for p in self.parts)
        return EncodeTable(self.name, "servo", (WireMessage("cycle", self._period, fields),), chain=self.chain)

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Replies in, joints out."""
        for r in received:
            if r.bus != self._line:
                self._begin_line(r.bus)
            self.chain.feed(r.t, r.data)
        if not self._passive:
            self._ask(now)
        if received:
            self._count()
        # One sample a cycle: when everybody has answered, or there is no use in waiting.
        late = min(self.chain.deadline(), self.chain.began() + WHOLE * self._period)
        samples = self._samples() if now >= late or self.chain.done() else ()
        return StepResult(samples, (), late if late > now else now + self._period)

    def ask(self, now: float) -> bytes:
        """A question to all joints that changes nothing, for who listens without a guard."""
        if not self._passive:  # what waits in the chain would be asked by the start
            self._passive = True
            self._runner.drop()
            self.chain.reset()
        self.chain.polling(True)
        for s in self._seen:
            s.problem = ""
        return self.chain.cycle(now)

    def health(self, now: float) -> Mapping[str, str]:
        """Problems by joint, and joints that are silent."""
        out = dict(self.sensors.problems(now))
        temperature, bits = self.chain.values(TEMPERATURE), self.chain.values(HARDWARE)
        for k, p in enumerate(self.parts):
            words = self._words(now, k, p, temperature[k], bits[k])
            if words:
                out[p.name] = words
        return out

    def joint(self, name: str, now: float) -> dict[str, float]:
        """age_s, errors, voltage, temperature of a joint."""
        k = self._joints.index(name)
        row = self.chain.joint(k)
        return {
            "age_s": now - row["t"], "errors": float(row["errors"]), "voltage": self.chain.values(VOLTAGE)[k],
            "temperature": self.chain.values(TEMPERATURE)[k],
        }  # fmt: skip

    # --- samples ---

    def _samples(self) -> Sequence[JointState]:
        fresh = self.chain.take_fresh()
        if not fresh:
            return ()
        position, velocity = self.chain.values(POSITION), self.chain.values(VELOCITY)
        effort = self.chain.values(EFFORT)
        names = self._joints
        t = max(self.chain.joint(k)["t"] for k in (fresh[0], fresh[-1]))
        sample = JointState(
            t,
            {names[k]: position[k] for k in fresh},
            {names[k]: velocity[k] for k in fresh},
            {names[k]: effort[k] for k in fresh if self._torque[k]},
            self._source,
        )
        self.sensors.saw(sample)
        return (sample,)

    def _count(self) -> None:
        counts = self.chain.stats()
        self.stats.accepted = counts["accepted"]
        self.stats.rejected = {n: counts[n] for n in (*COUNTED, "garbage_bytes") if counts[n]}

    # --- start and housekeeping ---

    def _begin_line(self, line: int) -> None:
        """A line that was opened anew: its servos may have been without power."""
        if self._line >= 0:
            self.chain.reset()
            self._runner.drop()
            self._current = -1
            self._seen = [Seen() for _ in self.parts]
        self._line = line

    def _ask(self, now: float) -> None:
        self._watch_torque()
        self._runner.step(now)
        if self._runner.busy:
            return
        if self._current >= 0 and self._runner.result is not None:
            self._finish(now)
        starting = [k for k, s in enumerate(self._seen) if s.problem and now >= s.retry_at]
        if starting:
            k = next((k for k in starting if not self._seen[k].asked), starting[0])
            self._seen[k].retry_at = now + RETRY_S
            self._begin(k, now, start=True)
        elif now >= self._next_look:
            self._next_look = now + self._o.housekeeping_s
            self._turn = self._urgent.pop(0) if self._urgent else (self._turn + 1) % len(self.parts)
            if not self._seen[self._turn].problem:
                self._begin(self._turn, now, start=False)
        self._watch_returns()

    def _begin(self, k: int, now: float, start: bool) -> None:
        self._current, self._starting = k, start
        p = self.parts[k]
        script = self._scripts.start(p) if start else self._scripts.look(p, self._seen[k].registers)
        self._runner.begin(script, p.joint.id, now)

    def _finish(self, now: float) -> None:
        """What a script found."""
        s = self._seen[self._current]
        if self._starting:
            s.problem, s.asked = self._runner.result or "", True
            s.registers = {}
            s.retry_at = now + RETRY_S
            if all(other.asked for other in self._seen):
                self.chain.polling(True)
        elif s.registers.get("bus_watchdog") == TRIPPED and not self.chain.joint(self._current)["torque"]:
            s.problem, s.retry_at = "its bus watchdog has tripped", now  # nobody drives it: it is set again
        if s.old_look:
            s.registers.pop("torque_enable", None)
            s.old_look = False
        self._current = -1

    def _watch_torque(self) -> None:
        """What a servo said of its torque before the guard gave or took it says nothing about it now."""
        for k, s in enumerate(self._seen):
            torque = bool(self.chain.joint(k)["torque"])
            if torque != s.torque:
                s.torque = torque
                s.registers.pop("torque_enable", None)
                s.old_look = self._current == k

    def _watch_returns(self) -> None:
        """A servo that was away may have lost its power, and with it what it was told at its start."""
        for k in range(len(self.parts)):
            row = self.chain.joint(k)
            if row["silent"]:
                self._away[k] = True
            elif self._away[k] and row["missed"] == 0:
                self._away[k] = False
                self._seen[k].problem, self._seen[k].retry_at = "was away and is asked again", -math.inf
            if row["status"] & 0x80 and not self._seen[k].registers.get("hardware_error") and k not in self._urgent:
                self._urgent.append(k)

    # --- words ---

    def _words(self, now: float, k: int, p: Part, temperature: float, bits: float) -> str:
        row, seen = self.chain.joint(k), self._seen[k]
        if seen.problem:
            return seen.problem if seen.asked else f"servo {p.joint.id} {seen.problem}"
        missed = (row["silent"] or row["missed"] >= MISSED_MAX) and now - row["t"] >= MISSED_S
        if missed or math.isnan(row["t"]):
            since = "yet" if math.isnan(row["t"]) else f"for {now - row['t']:.1f} s"
            return f"servo {p.joint.id} has not answered {since}; its cable, its power?"
        raw = int(bits) if math.isfinite(bits) else seen.registers.get("hardware_error", 0)
        found = (
            (raw != 0 or row["status"] & 0x80, f"reports {self._named(p, raw)}"),
            (
                seen.registers.get("bus_watchdog") == TRIPPED,
                "took no goals since its bus watchdog tripped; disarm, arm",
            ),
            (row["torque"] and seen.registers.get("torque_enable") == 0, "has lost its torque; overload, its power?"),
            (temperature >= self._o.temperature_max, f"has {temperature:.0f} degrees Celsius"),
        )
        return next((f"servo {p.joint.id} {words}" for wrong, words in found if wrong), "")

    @staticmethod
    def _named(p: Part, raw: int) -> str:
        """Bits of the hardware error register in words."""
        return ", ".join(words for bit, words in p.table.errors.items() if raw >> bit & 1) or "a hardware error"


class DynamixelDriver(ServoDriver):
    """Dynamixel, protocol 2.0."""

    families = ("dynamixel",)


class FeetechDriver(ServoDriver):
    """Feetech STS or SCS."""

    families = ("feetech_sts", "feetech_scs")

"""What is asked of a servo before it may be driven: is it there, is it the right one, is it set as it must be.

Nothing here moves a joint or changes its torque; the chain itself refuses packets that would.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from giljabi._core.servo import Chain, Codec
from giljabi_drivers.servo_layout import Joint
from giljabi_drivers.servo_options import JointOption, ServoOptions
from giljabi_drivers.servo_tables import Model, Register, Table, model_of

PING = 1
TRIPPED = 0xFF  # of the bus watchdog
TRIES = 4
EXTRA_S = 0.02  # for a servo to answer, beyond the line's latency

Ask: TypeAlias = tuple[bytes, int]  # packet, size of the one reply that is awaited; -1: none is
Script: TypeAlias = Generator[Ask, "bytes | None", str]  # gets the reply's data, or None; returns a problem, or ''


def number(family: str, r: Register, data: bytes) -> int:
    """A register's raw value."""
    value = int.from_bytes(data, "big" if family == "feetech_scs" else "little")
    bits = 8 * r.size
    if r.sign == -1 and value >> (bits - 1):
        return value - (1 << bits)
    if r.sign >= 0 and value >> r.sign & 1:
        return -(value & ~(1 << r.sign))
    return value


def to_bytes(family: str, r: Register, value: int) -> bytes:
    """Bytes of a register's raw value."""
    if r.sign >= 0 and value < 0:
        value = -value | 1 << r.sign
    order = "big" if family == "feetech_scs" else "little"
    return (value & ((1 << 8 * r.size) - 1)).to_bytes(r.size, order)  # type: ignore[arg-type]


@dataclass(slots=True)
class Part:
    """One servo: what it must be and what was last read of it."""

    name: str
    joint: Joint
    option: JointOption
    model: Model
    table: Table
    low: float  # rad, limits of the actuator
    high: float

    def wanted(self, o: ServoOptions) -> dict[str, int]:
        """Registers and their raw values."""
        t, out = self.table, dict(self.option.gains)
        if t.family == "dynamixel":
            out |= {"status_return_level": 1, "return_delay": round(o.return_delay_s / t.return_delay_s)}
            out |= {"operating_mode": t.modes[self.mode], "profile_acceleration": 0, "profile_velocity": 0}
            out["bus_watchdog"] = max(1, math.ceil(o.watchdog_s / t.registers["bus_watchdog"].scale - 1e-9))
        else:
            out |= {"goal_time": 0, "goal_velocity": 0}
            if "acceleration" in t.registers:
                out["acceleration"] = 0
            if self.option.torque_limit is not None:
                out["torque_limit"] = round(self.option.torque_limit / t.registers["torque_limit"].scale)
        return out

    @property
    def mode(self) -> str:
        """Operating mode by name."""
        if self.option.current_limit_a is not None:
            return "current_position"
        low, high = self.raw_limits
        turn = self.table.counts_per_turn
        return "position" if self.table.zero == 0.0 or (low >= 0.0 and high <= turn - 1.0) else "extended_position"

    @property
    def raw_limits(self) -> tuple[float, float]:
        """Counts that the guard may ask for."""
        g = self.joint.goals[0]
        ends = sorted((self.low * g.scale + g.offset, self.high * g.scale + g.offset))
        return ends[0], ends[1]


class Scripts:
    """The questions to one servo, as generators of packets."""

    def __init__(self, codec: Codec, o: ServoOptions) -> None:
        self._codec, self._o = codec, o

    def start(self, p: Part) -> Script:
        """Ping, model, then every register that must have a value."""
        servo = p.joint.id
        data = yield self._codec.plain(servo, PING), 3 if p.table.family == "dynamixel" else 0
        if data is None:
            return f"servo {servo} does not answer a ping"
        found = yield from self._read(p, "model_number")
        if found is not None and found != p.model.number:
            other = model_of(p.table.family, found)
            name = f"a {other.name}" if other is not None else f"model number {found}"
            return f"servo {servo} is {name}; a {p.model.name} is expected"
        problem = yield from self._set(p)
        return problem or (yield from self._check_limits(p))

    def look(self, p: Part, seen: dict[str, int]) -> Script:
        """Torque, hardware error and bus watchdog into `seen`."""
        first, last = (p.table.registers[n] for n in p.table.housekeeping)
        size = last.address + last.size - first.address
        data = yield self._codec.read(p.joint.id, first.address, size), size
        if data is None:
            return ""
        for n in ("torque_enable", "hardware_error", "bus_watchdog"):
            r = p.table.registers.get(n)
            if r is not None and first.address <= r.address < first.address + size:
                at = r.address - first.address
                seen[n] = number(p.table.family, r, data[at : at + r.size])
        return ""

    def _read(self, p: Part, name: str) -> Generator[Ask, bytes | None, int | None]:
        r = p.table.registers[name]
        data = yield self._codec.read(p.joint.id, r.address, r.size), r.size
        return None if data is None else number(p.table.family, r, data)

    def _write(self, p: Part, name: str, value: int) -> Generator[Ask, bytes | None, None]:
        r = p.table.registers[name]
        yield self._codec.write(p.joint.id, r.address, to_bytes(p.table.family, r, value)), -1

    def _set(self, p: Part) -> Script:
        wanted = self._registers(p)
        torque = yield from self._read(p, "torque_enable")
        for n, (r, value) in wanted.items():
            for attempt in range(3):
                data = yield self._codec.read(p.joint.id, r.address, r.size), r.size
                if data is None:
                    return f"servo {p.joint.id} does not say its {n}"
                now = number(p.table.family, r, data)
                if now == value:
                    break
                locked = torque and (r.address < p.joint.torque_address or n.startswith("indirect"))
                if attempt == 2 or locked:
                    why = " and cannot be changed while it has torque; arm with false first" if locked else ""
                    return f"{n} of servo {p.joint.id} is {now}, {value} is expected{why}"
                if n == "bus_watchdog" and now == TRIPPED:
                    yield from self._write(p, n, 0)
                yield self._codec.write(p.joint.id, r.address, to_bytes(p.table.family, r, value)), -1
        return ""

    def _registers(self, p: Part) -> Mapping[str, tuple[Register, int]]:
        t = p.table.registers
        out = {n: (t[n], v) for n, v in p.wanted(self._o).items() if n in t}
        for k, address in enumerate(p.joint.indirect):
            out[f"indirect_address {k + 1}"] = (Register(t["indirect_address"].address + 2 * k, 2), address)
        return out

    def _check_limits(self, p: Part) -> Script:
        """A goal beyond the servo's own limits would be refused, and nobody would hear of it."""
        t = p.table.registers
        if p.mode != "position" or "min_position" not in t:
            return ""
        least = yield from self._read(p, "min_position")
        most = yield from self._read(p, "max_position")
        low, high = p.raw_limits
        if least is None or most is None or (p.table.family != "dynamixel" and least == most):
            return ""
        if low < least - 1.0 or high > most + 1.0:
            what = f"servo {p.joint.id} goes from {least} to {most} itself"
            return f"{what}, the platform's limits are {low:.0f} to {high:.0f} counts"
        return ""


class Runner:
    """Puts the packets of one script after the other into the chain's cycles."""

    def __init__(self, chain: Chain, latency_s: float) -> None:
        self._chain, self._wait_s = chain, latency_s + EXTRA_S
        self._script: Script | None = None
        self._ask: Ask = (b"", -1)
        self._tries = 0
        self._since = 0.0
        self._sent = False
        self._servo = -1
        self.result: str | None = None  # of the script that has ended

    @property
    def busy(self) -> bool:
        return self._script is not None

    def begin(self, script: Script, servo: int, now: float) -> None:
        """Starts a script of one servo."""
        self._script, self._servo, self.result = script, servo, None
        self._advance(None, now, first=True)

    def drop(self) -> None:
        """Forgets the script: the line was opened anew."""
        self._script, self.result = None, None

    def step(self, now: float) -> None:
        """Takes a reply, or asks again."""
        replies = self._chain.replies()
        if self._script is None:
            return
        packet, size = self._ask
        for servo, error, data in replies:
            if self._sent and servo == self._servo and (len(data) == size or error & 0x7F):
                self._advance(data if len(data) == size else None, now)
                return
        if not self._sent:
            self._sent = self._chain.request(packet, int(size >= 0), max(size, 0))
            self._since = now
        elif not self._chain.idle(now):
            self._since = max(self._since, now - self._wait_s)
        elif size < 0:
            self._advance(None, now)
        elif now - self._since > self._wait_s:
            self._tries += 1
            self._sent = False
            if self._tries >= TRIES:
                self._advance(None, now)

    def _advance(self, data: bytes | None, now: float, first: bool = False) -> None:
        assert self._script is not None
        try:
            self._ask = next(self._script) if first else self._script.send(data)
        except StopIteration as end:
            self._script, self.result = None, str(end.value)
            return
        self._tries, self._sent, self._since = 0, False, now
        self.step_once(now)

    def step_once(self, now: float) -> None:
        """Hands the question over at once where the chain has room."""
        self._sent = self._chain.request(self._ask[0], int(self._ask[1] >= 0), max(self._ask[1], 0))
        self._since = now

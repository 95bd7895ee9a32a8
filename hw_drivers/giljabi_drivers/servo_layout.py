"""What a chain of servos is built from: which bytes of each control table are written and read every cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from giljabi.types import BadInputError
from giljabi_drivers.servo_tables import UNSIGNED, Family, Register, Table

Quantity = Literal["position", "velocity", "effort", "voltage", "temperature", "hardware"]
QUANTITIES: tuple[Quantity, ...] = ("position", "velocity", "effort", "voltage", "temperature", "hardware")
FAST = ("present_position", "present_velocity", "present_current")
LOAD = ("present_position", "present_velocity", "present_load")
SLOW = ("present_voltage", "present_temperature", "hardware_error")
MAX_SLOW = 32  # bytes of a reading of everything
QUANTITY_OF: dict[str, Quantity] = {
    "present_position": "position", "present_velocity": "velocity", "present_current": "effort",
    "present_load": "effort", "present_voltage": "voltage", "present_temperature": "temperature",
    "hardware_error": "hardware",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A number inside a block."""

    at: int
    size: int
    sign: int


@dataclass(frozen=True, slots=True)
class Goal:
    """raw = value * scale + offset inside [low, high]; channel -1: `driven`, or `safe` in safe output, as raw."""

    field: Field
    channel: int = -1
    scale: float = 1.0
    offset: float = 0.0
    low: float = -(2.0**31)
    high: float = 2.0**31 - 1.0
    driven: float = 0.0
    safe: float = 0.0


@dataclass(frozen=True, slots=True)
class Read:
    """value = raw * scale + offset, SI."""

    field: Field
    quantity: Quantity
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Joint:
    """One servo of a chain."""

    id: int
    goal_address: int
    goal_size: int
    goals: tuple[Goal, ...]
    read_address: int
    fast_size: int  # bytes read every cycle
    slow_size: int  # bytes read now and then, from the same address
    reads: tuple[Read, ...]
    torque_address: int
    indirect: tuple[int, ...] = ()  # addresses that the servo's indirect data must stand for, byte by byte


@dataclass(frozen=True, slots=True)
class ChainLayout:
    """A chain: giljabi._core.servo.Chain compiles it."""

    family: Family
    joints: tuple[Joint, ...]
    baud: float
    return_delay_s: float = 0.0
    latency_s: float = 4e-3  # most that adapter and system add to a reply
    fast: bool = True  # Dynamixel: one long reply of all servos
    slow_every: int = 50  # cycles
    probe_period_s: float = 0.1  # of servos that fell silent


@dataclass(frozen=True, slots=True)
class Mounting:
    """How a servo sits in its joint: position = sign / gear * (raw - zero) * radians of one count."""

    sign: float = 1.0
    gear: float = 1.0  # turns of the servo for one turn of the joint
    zero: float = 2048.0  # raw
    effort: float = 1.0  # N*m (or what else is wanted) of one ampere or of full load
    low: float = -(2.0**31)  # raw limits of the goal
    high: float = 2.0**31 - 1.0


@dataclass(frozen=True, slots=True)
class Extra:
    """A further goal register with a fixed raw value, and another one in safe output."""

    register: str
    driven: float
    safe: float


def block(table: Table, names: Sequence[str]) -> tuple[int, int]:
    """(address, size) of the smallest block that holds registers."""
    registers = [table.registers[n] for n in names]
    start = min(r.address for r in registers)
    return start, max(r.address + r.size for r in registers) - start


def _field(start: int, r: Register) -> Field:
    return Field(r.address - start, r.size, r.sign)


def _check(table: Table, names: Sequence[str]) -> None:
    for n in names:
        if n not in table.registers:
            raise BadInputError(f"the control table has no register '{n}'")


def _gathered(
    table: Table, written: Sequence[str], read: Sequence[str], slow: Sequence[str]
) -> tuple[Table, tuple[int, ...]]:
    """The table with these registers moved into the indirect data, and the addresses that they stand for."""
    _check(table, ("indirect_address", "indirect_data"))
    at, moved = table.registers["indirect_data"].address, dict(table.registers)
    addresses: list[int] = []
    room = (at - table.registers["indirect_address"].address) // 2
    for n in (*written, *read, *slow):
        r = table.registers[n]
        moved[n] = replace(r, address=at + len(addresses))
        addresses += range(r.address, r.address + r.size)
    if len(addresses) > room:
        raise BadInputError(f"{len(addresses)} bytes are gathered; at most {room} fit into the indirect data")
    return replace(table, registers=moved), tuple(addresses)


def _read(start: int, table: Table, name: str, mounting: Mounting) -> Read:
    """One register in SI at the joint."""
    r, q = table.registers[name], QUANTITY_OF[name]
    turn, scale, offset = mounting.sign / mounting.gear, r.scale, 0.0
    if q == "position":
        scale = turn * table.radians
        offset = -scale * mounting.zero
    elif q == "velocity":
        scale = turn * r.scale
    elif q == "effort":
        scale = mounting.sign * r.scale * mounting.effort
    return Read(_field(start, r), q, scale, offset)


def make_joint(
    table: Table, servo_id: int, channel: int, mounting: Mounting, *, reads: Sequence[str] = FAST,
    slow: Sequence[str] = SLOW, extras: Sequence[Extra] = (), indirect: bool = False,
) -> Joint:  # fmt: skip
    """A joint driven to positions [rad]; raises BadInputError when a register is not in the table.

    indirect: the servo gathers the registers by itself, so that nothing between them is written or read.
    """
    written = [*(e.register for e in extras), "goal_position"]
    slow = [n for n in slow if n in table.registers]
    _check(table, (*reads, *written))
    torque = table.registers["torque_enable"].address
    gathered: tuple[int, ...] = ()
    if indirect:
        table, gathered = _gathered(table, written, reads, slow)
    goal_address, goal_size = block(table, written)
    if sum(table.registers[n].size for n in written) != goal_size:
        what = f"{', '.join(written)} are not next to each other, a write would change others"
        raise BadInputError(f"{what}; indirect: true is expected")
    count = mounting.sign * mounting.gear / table.radians
    position = _field(goal_address, table.registers["goal_position"])
    goals = [Goal(position, channel, count, mounting.zero, mounting.low, mounting.high)]
    for e in extras:
        goals.append(Goal(_field(goal_address, table.registers[e.register]), driven=e.driven, safe=e.safe))
    start, fast_size = block(table, reads)
    # Slow registers in front of the fast ones, or far behind, are left to the housekeeping.
    behind = [n for n in slow if start <= table.registers[n].address < start + MAX_SLOW]
    _, slow_size = block(table, [*reads, *behind])
    items = tuple(_read(start, table, n, mounting) for n in (*reads, *behind))
    return Joint(
        servo_id, goal_address, goal_size, tuple(goals), start, fast_size, slow_size, items, torque, gathered
    )  # fmt: skip


def position_chain(family: Family, table: Table, ids: Sequence[int], baud: float, **options: object) -> ChainLayout:
    """Positions written and read (rad from the middle), nothing else: the smallest cycle."""
    joints = tuple(
        make_joint(table, i, k, Mounting(zero=table.zero), reads=("present_position",), slow=())
        for k, i in enumerate(ids)
    )
    return replace(ChainLayout(family, joints, baud), **options)  # type: ignore[arg-type]


__all__ = ["FAST", "LOAD", "QUANTITIES", "SLOW", "UNSIGNED", "ChainLayout", "Extra", "Field", "Goal", "Joint"]
__all__ += ["Mounting", "Quantity", "Read", "block", "make_joint", "position_chain"]

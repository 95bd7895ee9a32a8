"""One simulated servo: control table, motor, bus watchdog. The bus in front of it is in servo_bus.py.

Tables by hand from the makers' manuals (ROBOTIS e-Manual, X series; Feetech STS and SCS memory tables); nothing here
comes from the drivers.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field


@dataclass(slots=True)
class Motor:
    """Second order with limits: acceleration towards the goal, velocity and torque bounded."""

    position: float = 0.0  # rad, from the servo's middle
    velocity: float = 0.0
    stiffness: float = 900.0  # 1/s^2
    damping: float = 48.0  # 1/s
    velocity_max: float = 6.0  # rad/s
    acceleration_max: float = 200.0  # rad/s^2
    load: float = 0.0  # rad/s^2 from outside, e.g. gravity
    friction: float = 4.0  # 1/s, without torque
    external: bool = False  # a plant sets position and velocity
    effort: float = 0.0  # share of the greatest acceleration

    def step(self, dt: float, goal: float | None) -> None:
        """goal: None without torque."""
        a = 0.0
        if goal is not None:
            a = self.stiffness * (goal - self.position) - self.damping * self.velocity
            a = min(max(a, -self.acceleration_max), self.acceleration_max)
        self.effort = a / self.acceleration_max
        if self.external:
            return
        a += self.load - (self.friction * self.velocity if goal is None else 0.0)
        self.velocity = min(max(self.velocity + a * dt, -self.velocity_max), self.velocity_max)
        self.position += self.velocity * dt


# Addresses that both ends agree on because the maker's manual says so.
@dataclass(frozen=True, slots=True)
class Places:
    """Where a family keeps what the simulation needs; (address, size)."""

    id: int
    baud: int
    status_level: int
    torque: int
    goal: tuple[int, int]
    position: tuple[int, int]
    velocity: tuple[int, int]
    current: tuple[int, int]
    voltage: tuple[int, int]
    temperature: int
    error: int
    rom_end: int  # below, nothing can be written while there is torque (Dynamixel), or while locked (Feetech)
    read_only: tuple[tuple[int, int], ...]
    limits: tuple[int, int]  # addresses of least and greatest position
    watchdog: int  # 0: none
    counts: float  # of one turn
    middle: int
    speed: float  # rad/s of one count of velocity
    current_full: float  # counts at full torque
    model: int
    big: bool = False
    signed_bit: bool = False  # Feetech: sign and magnitude
    size: int = 256


X_SERIES = Places(
    id=7, baud=8, status_level=68, torque=64, goal=(116, 4), position=(132, 4), velocity=(128, 4), current=(126, 2),
    voltage=(144, 2), temperature=146, error=70, rom_end=64, read_only=((0, 7), (120, 147)), limits=(52, 48),
    watchdog=98, counts=4096.0, middle=2048, speed=0.229 * 2.0 * math.pi / 60.0, current_full=1193.0, model=1020,
    size=680,
)  # fmt: skip
STS_SERIES = Places(
    id=5, baud=6, status_level=8, torque=40, goal=(42, 2), position=(56, 2), velocity=(58, 2), current=(69, 2),
    voltage=(62, 1), temperature=63, error=65, rom_end=40, read_only=((0, 5), (56, 71)), limits=(9, 11), watchdog=0,
    counts=4096.0, middle=2048, speed=2.0 * math.pi / 4096.0, current_full=500.0, model=777, signed_bit=True,
)  # fmt: skip
SCS_SERIES = Places(
    id=5, baud=6, status_level=8, torque=40, goal=(42, 2), position=(56, 2), velocity=(58, 2), current=(60, 2),
    voltage=(62, 1), temperature=63, error=65, rom_end=40, read_only=((0, 5), (56, 71)), limits=(9, 11), watchdog=0,
    counts=1228.8, middle=511, speed=math.radians(300.0) / 1024.0, current_full=1000.0, model=1284, big=True,
    signed_bit=True,
)  # fmt: skip

OK, ACCESS, RANGE, LENGTH, LIMIT = 0, 7, 4, 5, 6  # Dynamixel error numbers


@dataclass(slots=True)
class Servo:
    """Control table and motor of one servo."""

    places: Places
    id: int
    motor: Motor = field(default_factory=Motor)
    table: bytearray = field(default_factory=bytearray)
    heard: float = 0.0  # s, newest instruction on the bus
    pending: tuple[int, bytes] | None = None  # reg write
    silent: bool = False
    corrupt: int = 0  # so many replies get a flipped bit
    tripped: bool = False  # bus watchdog
    writes: int = 0  # goals taken
    _shown: tuple[float, float, float] = (math.nan, 0.0, 0.0)

    def __post_init__(self) -> None:
        p = self.places
        self.table = bytearray(p.size)
        self.put(p.id, 1, self.id)
        model_at = 0 if p.watchdog else 3
        self.put(model_at, 2, p.model)
        self.put(6 if p.watchdog else 0, 1, 46)
        turn = round(p.counts) - 1
        if p.watchdog:
            for address, size, value in (
                (8, 1, 3), (9, 1, 250), (11, 1, 3), (31, 1, 80), (38, 2, 1193), (48, 4, turn), (52, 4, 0), (63, 1, 52),
                (68, 1, 2), (84, 2, 800),
            ):  # fmt: skip
                self.put(address, size, value)
            for k in range(28):
                self.put(168 + 2 * k, 2, 224 + k)
        else:
            for address, size, value in (
                (8, 1, 1),
                (9, 2, 0),
                (11, 2, min(turn, 4095)),
                (13, 1, 70),
                (48, 2, 1000),
                (55, 1, 1),
            ):
                self.put(address, size, value)
            if p.big:
                self.put(48, 1, 1)
        self.put(*p.voltage, 120)
        self.put(p.temperature, 1, 35)
        self.show()
        self.put(*p.goal, self.get(*p.position))

    # --- numbers ---

    def put(self, address: int, size: int, value: int) -> None:
        """A number into the table, in the family's byte order."""
        order = "big" if self.places.big else "little"
        if self.places.signed_bit and value < 0:
            value = -value | 1 << (8 * size - 1)
        self.table[address : address + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, order)  # type: ignore[arg-type]

    def get(self, address: int, size: int) -> int:
        """A number out of the table; two's complement where it has four bytes, sign and magnitude for Feetech."""
        order = "big" if self.places.big else "little"
        value = int.from_bytes(self.table[address : address + size], order)  # type: ignore[arg-type]
        if self.places.signed_bit:
            top = 1 << (8 * size - 1)
            return -(value - top) if value & top and size > 1 else value
        if size == 4:
            return struct.unpack("<i", self.table[address : address + size])[0]  # type: ignore[no-any-return]
        return value

    @property
    def torque(self) -> bool:
        return self.table[self.places.torque] == 1

    @property
    def goal(self) -> float:
        """Goal position [rad]."""
        return (self.get(*self.places.goal) - self.places.middle) * 2.0 * math.pi / self.places.counts

    # --- time ---

    def step(self, now: float, dt: float) -> None:
        """Moves the motor; the watchdog stops it where it is."""
        p = self.places
        wait = self.table[p.watchdog] if p.watchdog else 0
        if self.torque and 0 < wait < 128 and now - self.heard > wait * 0.02:
            self.table[p.watchdog] = 0xFF
            self.tripped = True
            self.put(*p.goal, round(p.middle + self.motor.position * p.counts / (2.0 * math.pi)))
        self.motor.step(dt, self.goal if self.torque else None)
        self.show()

    def show(self) -> None:
        """What the motor does, into the table."""
        m, p = self.motor, self.places
        now = (m.position, m.velocity, m.effort)
        if now == self._shown:
            return
        self._shown = now
        self.put(*p.position, round(p.middle + m.position * p.counts / (2.0 * math.pi)))
        self.put(*p.velocity, round(m.velocity / p.speed))
        self.put(*p.current, round(m.effort * p.current_full))

    # --- instructions ---

    @property
    def error(self) -> int:
        """Alert bit, or the error byte of Feetech."""
        bits = self.table[self.places.error]
        if self.places.watchdog:
            return 0x80 if bits else 0
        return bits

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of the table; None beyond its end."""
        if address + size > len(self.table):
            return None
        if self.places.watchdog and address < 252 and address + size > 224:
            return bytes(self.table[self._direct(a)] for a in range(address, address + size))
        return bytes(self.table[address : address + size])

    def _direct(self, address: int) -> int:
        """Where an indirect address leads."""
        if 224 <= address < 252:
            at = 168 + 2 * (address - 224)
            return int.from_bytes(self.table[at : at + 2], "little")
        return address

    def write(self, address: int, data: bytes) -> int:
        """Error number."""
        p = self.places
        if p.watchdog and 224 <= address < 252:
            errors = [self.write(self._direct(address + k), bytes([byte])) for k, byte in enumerate(data)]
            return max(errors)
        locked = address < p.rom_end and (self.torque if p.watchdog else self.table[48 if p.big else 55] == 1)
        read_only = any(a < address + len(data) and address < b for a, b in p.read_only)
        if locked or read_only or address + len(data) > len(self.table):
            return ACCESS
        if p.watchdog and address < 120 and address + len(data) > 100 and self.table[p.watchdog] == 0xFF:
            return RANGE
        return self._store(address, data)

    def _store(self, address: int, data: bytes) -> int:
        p, old = self.places, bytes(self.table)
        had_torque = self.torque
        self.table[address : address + len(data)] = data
        goal_at, goal_size = p.goal
        if address < goal_at + goal_size and address + len(data) > goal_at:
            low, high = self.get(p.limits[0], goal_size), self.get(p.limits[1], goal_size)
            if len(data) >= goal_size and not (low <= self.get(*p.goal) <= high):
                self.table[:] = old
                return LIMIT
            self.writes += 1
        if p.watchdog and address <= p.watchdog < address + len(data) and self.table[p.watchdog] == 0:
            self.tripped = False
        if not p.watchdog and not had_torque and self.torque:
            self.put(*p.goal, self.get(*p.position))
        self.id = self.table[p.id]
        return OK

    def reboot(self) -> None:
        """RAM back to its defaults; the motor stays where it is."""
        p = self.places
        rom = bytes(self.table[: p.rom_end])
        self.__post_init__()
        self.table[: p.rom_end] = rom
        self.id = self.table[p.id]
        self.tripped = False

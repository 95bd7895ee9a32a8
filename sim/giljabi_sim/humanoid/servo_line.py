"""The servo bus of a walker in lock-step: our driver's chain at one end, simulated servos at the other, bytes between.

A tick reads all positions in one cycle, the control chain thinks, and a second cycle writes all goals. Each byte takes
its time on the wire; the motors are the simulator's joints.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from giljabi._core.servo import Chain
from giljabi.types import Array
from giljabi.walking.walker_file import WalkerFile
from giljabi_drivers.servo_layout import position_chain
from giljabi_drivers.servo_tables import MODELS
from giljabi_sim.peers.servo_bus import ServoBus

LATENCY_S = 1e-3  # most that the adapter adds
POLL_S = 1e-4
THINKING_S = 1e-3  # between the last position's arrival and the first goal's departure
POSITION = 0  # of Chain.values


@dataclass(frozen=True, slots=True)
class ServoFaults:
    """What is wrong with the servos of one run."""

    gain_factor: float = 1.0
    delay_s: float = 0.0  # between a goal's arrival and the motor
    noise_factor: float = 1.0
    silent: tuple[int, float, float] | None = None  # index, from, to [s]: takes no goal and tells no position
    corrupt_share: float = 0.0  # of packets, either way, gets a flipped bit


class ServoLine:
    """All servos of a robot on one bus; arrays (n,) in the file's order, rad, ids from 1."""

    def __init__(self, file: WalkerFile, rng: np.random.Generator, faults: ServoFaults, noise_rad: float) -> None:
        """noise_rad: of a position before the encoder's step. Raises BadInputError for a model nobody knows."""
        s = file.walker.servos
        if s.model not in MODELS:
            raise file.error(f"no servo is called '{s.model}'; known are {', '.join(MODELS)}", "servos", "model")
        table = MODELS[s.model].table
        self.ids = list(range(1, len(file.walker.joints) + 1))
        layout = position_chain(table.family, table, self.ids, s.baud, latency_s=LATENCY_S)
        self.chain = Chain(layout)
        self.bus = ServoBus(table.family, self.ids, s.baud)
        self.bus.dynamics = False
        if table.registers["goal_position"].address != next(iter(self.bus.servos.values())).places.goal[0]:
            what = f"the simulated servos have another control table than '{s.model}'"
            raise file.error(f"{what}; a servo of Dynamixel's X series or Feetech's is expected", "servos", "model")
        self.faults = faults
        self._servos = list(self.bus.servos.values())
        self._rng, self._noise = rng, noise_rad * faults.noise_factor
        self._late: deque[tuple[float, Array]] = deque()  # goals on their way to the motors
        self._goals = np.full(len(self.ids), np.nan)
        self._orders = bytes([1] * len(self.ids))
        self.positions = np.zeros(len(self.ids))
        self.heard = np.ones(len(self.ids), dtype=bool)  # which servos answered the last read

    def hold(self, q: Array) -> None:
        """Switched on in this posture: torque on, goals where the joints are."""
        for servo, angle in zip(self._servos, q, strict=True):
            p = servo.places
            servo.motor.position = float(angle)
            servo.show()
            servo.put(*p.goal, servo.get(*p.position))
            servo.table[p.torque] = 1
        self._goals = np.asarray(q, dtype=np.float64).copy()
        self.positions = self._goals.copy()

    def read(self, now: float, q: Array) -> float:
        """One cycle that reads all positions while the joints are at q; when it was over [s]. See `positions`."""
        noisy = q + self._rng.normal(0.0, self._noise, len(q))
        for i, (servo, angle) in enumerate(zip(self._servos, noisy, strict=True)):
            servo.motor.position = float(angle)
            servo.show()
            servo.silent = self._silent(i, now)
        self.chain.polling(True)
        end = self._exchange(now, self.chain.cycle(now, None))
        told = np.array(self.chain.values(POSITION))
        self.heard[:] = False
        self.heard[self.chain.take_fresh()] = True
        self.positions = np.where(np.isnan(told), self.positions, told)
        return end

    def write(self, now: float, goals: Array) -> None:
        """One cycle that writes all goals from `now` on."""
        self.chain.polling(False)
        sent = self.chain.cycle(now, goals.tolist(), self._orders)
        self.bus.receive(now, self._spoilt(sent))
        arrival = now + len(sent) * self.bus.byte_s + self.faults.delay_s
        held = np.array([s.goal if s.torque else math.nan for s in self._servos])
        self._late.append((arrival, held))

    def goals(self, now: float) -> Array:
        """Goals (n,) that the motors follow at `now`; NaN without torque."""
        while self._late and self._late[0][0] <= now + 1e-9:
            self._goals = self._late.popleft()[1]
        return self._goals

    def _exchange(self, now: float, sent: bytes) -> float:
        self.bus.receive(now, self._spoilt(sent))
        limit = self.chain.deadline()
        while not self.chain.done() and now < limit:
            now += POLL_S
            for data in self.bus.take(now):
                self.chain.feed(now, self._spoilt(data))
            more = self.chain.follow_up(now)
            if more:
                self.bus.receive(now, more)
                limit = self.chain.deadline()
        return now

    def _spoilt(self, data: bytes) -> bytes:
        """The bytes of a packet, in some packets with a flipped bit."""
        if not data or self._rng.random() >= self.faults.corrupt_share:
            return data
        bit = int(self._rng.integers(8 * len(data)))
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        return bytes(out)

    def _silent(self, index: int, now: float) -> bool:
        s = self.faults.silent
        return s is not None and s[0] == index and s[1] <= now < s[2]

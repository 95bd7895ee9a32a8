"""One run of a walker: the chain and the simulated body take turns, and what a judge sees of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from giljabi.types import Array
from giljabi.walking.chain import Chain, Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import WalkerFile
from giljabi_sim.humanoid.body import SimulatedBody, World

FALLEN_TILT = 0.8  # rad of the base
FALLEN_HEIGHT = 0.6  # of the base's height at the start
RUN_UP_S = 2.0  # s of a walk that do not count for its speed: weight shift, first steps
LAST_S = 1.0  # s over which the heading at the end is averaged: the body turns with each step

Command = Callable[[float], Velocity]


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one run."""

    seed: int
    fell: bool
    t_end_s: float
    distance_m: float  # straight from the start
    speed_mps: float  # along x, without the run-up
    heading_error_rad: float
    x_m: float
    y_m: float
    turned_rad: float  # continuous


class Walk:
    """Body and chain in lock-step; one `tick` is one period of the chain."""

    def __init__(self, file: WalkerFile, world: World, seed: int) -> None:
        self.chain = Chain(file)
        self.body = SimulatedBody(file, world, seed)
        self.body.place(self.chain.start_joints)
        self.seed = seed
        self.tick_us: list[float] = []  # CPU time of each of the chain's ticks
        self.path: list[tuple[float, float, float, float]] = []  # t, x, y, yaw (continuous)
        self._height = float(self.body.pose[0][2])
        self._ticks = 0

    @property
    def fallen(self) -> bool:
        """Whether the robot lies, by the simulator's truth."""
        position, _, tilt = self.body.pose
        return tilt > FALLEN_TILT or self._above(position) < FALLEN_HEIGHT * self._height

    def _above(self, position: Array) -> float:
        return float(position[2] - math.tan(self.body.world.ground.slope) * position[0])

    def tick(self, wanted: Velocity) -> None:
        """One period: sense, think, act, move."""
        body = self.body
        gyro, acceleration = body.inertial()
        senses = Senses(gyro, acceleration, body.joints(), body.servos.heard)
        before = time.thread_time()
        targets = self.chain.step(senses, wanted)
        self.tick_us.append(1e6 * (time.thread_time() - before))
        body.drive(targets)
        self._ticks += 1
        body.advance(self._ticks * self.chain.dt)
        position, yaw, _ = body.pose
        last = self.path[-1][3] if self.path else 0.0
        self.path.append((body.now, position[0], position[1], last + math.remainder(yaw - last, 2 * math.pi)))

    def run(self, command: Command, duration: float, distance: float = math.inf) -> Row:
        """Until it falls, has gone `distance`, or `duration` is over."""
        while self.body.now < duration and not self.fallen:
            self.tick(command(self.body.now))
            if math.hypot(*self.path[-1][1:3]) >= distance:
                break
        return self.row()

    def row(self) -> Row:
        """What came of it so far."""
        path = np.array(self.path)
        t, x, y, yaw = (float(v) for v in path[-1])
        first = np.searchsorted(path[:, 0], min(RUN_UP_S + START_S, t - 0.1))
        speed = (x - path[first, 1]) / max(t - path[first, 0], 1e-9)
        heading = float(np.mean(path[path[:, 0] > t - LAST_S, 3]))
        return Row(self.seed, self.fallen, round(t, 3), math.hypot(x, y), float(speed), abs(heading), x, y, yaw)


START_S = 1.5  # s at which commands begin: the chain has settled


def straight(speed: float) -> Command:
    """Forward (or backward) at `speed` from `START_S` on."""
    return lambda t: Velocity(speed if t >= START_S else 0.0)


def steady(velocity: Velocity) -> Command:
    """Any constant velocity from `START_S` on."""
    return lambda t: velocity if t >= START_S else Velocity()

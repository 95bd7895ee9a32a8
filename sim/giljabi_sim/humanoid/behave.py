"""A walker with all it can do, in lock-step with its body: tries to stand up, to go down, to play."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.types import Array
from giljabi.walking.base_estimation import rotation_of
from giljabi.walking.behaviours.manager import Manager, Mode
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import WalkerFile
from giljabi_sim.humanoid.body import SimulatedBody, World

JOINT_SPREAD = 0.5  # rad, of each joint about the standing posture in which it is dropped
TURN_SPREAD = 0.3  # rad, about each axis
DROP = 0.03  # m
DRAWS = 100  # of a posture, until no limb is inside another
TRY_S = 60.0  # s until a try has failed
STOOD_S = 2.0  # s that it must stand
STOOD_TILT = 0.3  # rad
STOOD_HEIGHT = 0.85  # of the base's height in the standing posture
STAND_S, GO_S = 1.5, 5.0  # s: it may walk; it is told to go down
DOWN_S, AFTER_S = 12.0, 2.0  # s: at most; watched when it is down and joints only damp
LIES_ON = {  # rotation vector of the base
    "prone": np.array([0.0, math.pi / 2, 0.0]),
    "supine": np.array([0.0, -math.pi / 2, 0.0]),
    "left": np.array([-math.pi / 2, 0.0, 0.0]),
    "right": np.array([math.pi / 2, 0.0, 0.0]),
}


class Behave:
    """Body and manager; one `tick` is one period."""

    def __init__(self, file: WalkerFile, world: World, seed: int) -> None:
        """Stands at the start."""
        self.manager = Manager(file)
        self.body = SimulatedBody(file, world, seed)
        self.body.place(self.manager.motions.stand)
        self.stand_height = float(self.body.pose[0][2])
        self._ticks = 0

    def drop(self, side: str, rng: np.random.Generator) -> None:
        """Lets it fall on a side of `LIES_ON`, joints and orientation at random."""
        m = self.manager
        for _ in range(DRAWS):
            q = m.motions.stand + rng.uniform(-JOINT_SPREAD, JOINT_SPREAD, len(m.motions.stand))
            turned = rotation_of(np.array([0.0, 0.0, rng.uniform(-math.pi, math.pi)])) @ rotation_of(LIES_ON[side])
            rotation = turned @ rotation_of(rng.uniform(-TURN_SPREAD, TURN_SPREAD, 3))
            self.body.lay(np.clip(q, m.lower, m.upper), rotation, DROP)
            if not self.body.tangled:
                return
        raise RuntimeError(f"each of {DRAWS} postures had one limb inside another")

    def tick(self, wanted: Velocity | None = None) -> Array:
        """One period: sense, think, act, move; the targets."""
        body, m = self.body, self.manager
        gyro, acceleration = body.inertial()
        senses = Senses(gyro, acceleration, body.joints())
        targets = m.step(body.now, senses, Velocity() if wanted is None else wanted)
        body.drive(targets)
        self._ticks += 1
        body.advance(self._ticks * m.dt)
        return targets

    def until(self, mode: Mode, limit_s: float, wanted: Velocity | None = None) -> bool:
        """Ticks until the manager is in this mode; whether that came before `limit_s` more seconds."""
        end = self.body.now + limit_s
        while self.manager.mode != mode and self.body.now < end:
            self.tick(wanted)
        return self.manager.mode == mode

    @property
    def stands(self) -> bool:
        """By the simulator's truth."""
        position, _, tilt = self.body.pose
        return tilt < STOOD_TILT and float(position[2]) > STOOD_HEIGHT * self.stand_height


@dataclass(frozen=True, slots=True)
class Rising:
    """What came of one try to stand up."""

    seed: int
    side: str
    friction: float
    stood: bool
    attempts: int  # motions from the ground that were begun, a roll from the side included
    seconds: float  # from the wish to the standing posture
    words: str


def stand_up(file: WalkerFile, world: World, seed: int, side: str) -> Rising:
    """Dropped on a side, at rest, asked to stand: does it, and stays so?"""
    run = Behave(file, world, seed)
    m = run.manager
    run.drop(side, np.random.default_rng([seed, list(LIES_ON).index(side)]))
    run.until(Mode.LYING, 10.0)
    asked = run.body.now
    m.ask("stand")
    run.until(Mode.STANDING, TRY_S)
    seconds = run.body.now - asked
    attempts, words = m.attempts, m.words
    end = run.body.now + STOOD_S
    stood = m.mode == Mode.STANDING
    while stood and run.body.now < end:
        run.tick()
        stood = run.stands
    friction = world.ground.friction
    return Rising(seed, side, -1.0 if friction is None else friction, stood, attempts, round(seconds, 3), words)


@dataclass(frozen=True, slots=True)
class Lowering:
    """What came of one way down, by the simulator's truth."""

    seed: int
    how: str
    speed_mps: float  # it walked when it was told
    down: bool  # it ended as the manager says, without a fall
    contact_mps: float  # downwards, of the base when something else than a foot touched the ground
    peak_mps2: float  # greatest specific force at the inertial sensor, gravity included
    seconds: float
    words: str


def go_down(file: WalkerFile, world: World, seed: int, how: str, speed: float) -> Lowering:
    """Stands or walks, is told a way down (`kneel`, `sit`, `minimum_risk`, `damp`), or loses all torque (`free`)."""
    run = Behave(file, world, seed)
    body, m = run.body, run.manager
    end = GO_S
    while body.now < end:
        run.tick(Velocity(speed if body.now > STAND_S else 0.0))
    if how == "free":
        body.lose_torque()
    words = None if how == "free" else m.ask(how)
    if words is not None:
        raise RuntimeError(f"{how}: {words}")
    contact, peak, last, over = 0.0, 0.0, run.body.now, body.now + DOWN_S
    touched = False
    while body.now < over:
        run.tick(Velocity(speed))
        peak = max(peak, float(np.linalg.norm(body.force)))
        if body.touching and not touched:
            touched, contact = True, -float(body.velocity[2])
        if m.mode in (Mode.DOWN, Mode.LYING):
            over = min(over, max(body.now, last) + AFTER_S)
        else:
            last = body.now
    down = m.mode == Mode.DOWN
    return Lowering(seed, how, speed, down, round(contact, 3), round(peak, 1), round(last - GO_S, 2), m.words)

"""The fast loop of a walker: what its sensors say in, position targets of its servos out, once a tick."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from giljabi.types import Array
from giljabi.walking.base_estimation import BaseEstimator
from giljabi.walking.falls import FallWatch, StepReach
from giljabi.walking.footsteps import Foothold, Velocity
from giljabi.walking.gait import Gait, Measured
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import WalkerFile
from giljabi.walking.wholebody import Targets, WholeBody, yaw_rotation

SETTLE_S = 1.0  # s that the first posture is held
GAP = 12  # ticks without an answer in which a servo is taken to do what is planned
REST_S = 1.4  # s after which it may walk


@dataclass(frozen=True, slots=True)
class Senses:
    """One tick's measurements, SI, sensor axes of the IMU."""

    gyro: Array  # (3,) rad/s
    acceleration: Array  # (3,) m/s^2, specific force
    joints: Array  # (n,) rad, in the file's order; of a servo that did not answer the last it said
    heard: Array | None = None  # (n,) bool, which servos answered in this tick; None: all


class Chain:
    """Estimator, gait, whole-body control; no clock, no I/O.

    When the robot falls, or after `give_up` when it has sat down, the targets are the measured joints: servos that only
    damp, for good: a robot that lies starts with a new chain.
    """

    def __init__(self, file: WalkerFile) -> None:
        self.file = file
        w = file.walker
        self.estimator = BaseEstimator(Kinematics(file))
        self.body = WholeBody(Kinematics(file))
        self.dt = 1.0 / w.rate_hz
        self.gait: Gait | None = None
        self.targets: Targets | None = None
        k = self.body.kinematics
        self.joint_names = k.joint_names
        self.start_joints = self._crouch(k)
        self._command = self.start_joints.copy()
        self._ticks = 0
        self._mean = np.zeros((2, 3))
        self.falls = FallWatch()
        self.limp = False
        self.rejected = 0  # ticks whose measurements held a number that is not finite: the last ones were taken
        self._giving_up = False
        self._senses: Senses | None = None
        self._posture: Array | None = None
        n = len(self.start_joints)
        self._joints, self._moved = self.start_joints.copy(), np.zeros(n)  # rad, as last taken; of the last tick's plan
        self._gaps = np.zeros(n, dtype=np.int64)  # ticks since each servo answered
        self._holds = k.movers
        self._goal, self._deaf = self.start_joints.copy(), False  # rad, of the last goals that servos heard

    def _crouch(self, k: Kinematics) -> Array:
        """Joints that stand at the gait's height, feet side by side."""
        g = self.file.walker.gait
        k.set(np.zeros(3), np.array([1.0, 0, 0, 0]), k.nominal)
        feet = [np.array([0.0, s * g.width / 2, 0.0]) for s in (1, -1)]
        level = yaw_rotation(0.0)
        self.targets = Targets(
            np.array([0.0, 0.0, g.height]), feet, [level, level], level, k.nominal, np.zeros((2, 18))
        )
        error = self.body.solve(self.targets, 40)
        if error > 1e-3:
            raise self.file.error(
                f"height {g.height} m and width {g.width} m cannot be reached ({1e3 * error:.1f} mm or mrad are left);"
                " a height that leaves the knees bent is expected", "gait", "height"
            )  # fmt: skip
        return np.asarray(k.q.copy())

    def step(self, senses: Senses, wanted: Velocity) -> Array:
        """Position targets (n,) rad."""
        senses = self._whole(self._finite(senses))
        e = self.estimator
        self._ticks += 1
        if self.limp:
            return self._let_go(senses)
        if self.gait is None:
            if not self._settled(senses):
                return self.start_joints
            e.start(self._mean[0], self._mean[1], senses.joints)
            self.gait = Gait(self.file.walker, [self._seen(0), self._seen(1)])
            self._reach = StepReach(self.file.walker, self.gait.pendulum.omega)
        e.step(self.dt, senses.gyro, senses.acceleration, senses.joints, self.gait.share_left)
        if self._ticks * self.dt < REST_S:
            wanted = Velocity()
        divergent = e.com[:2] + e.velocity[:2] / self.gait.pendulum.omega
        allowed = self._safe(wanted, divergent)
        if allowed is None:
            return self._let_go(senses)
        if self._posture is not None:
            self.gait.posture = self._posture
        self.targets = self.gait.step(self.dt, allowed, self._measured(divergent))
        if self.gait.seated is not None:
            e.anchor(self.gait.seated, self.gait.soles[self.gait.seated].z)
        before = self.body.kinematics.q
        self.body.solve(self.targets)
        self._moved = self.body.kinematics.q - before
        return self._through_servos()

    def give_up(self) -> None:
        """Minimum risk: stops, sits down and lets go."""
        self._giving_up = True

    def pose(self, joints: Array) -> None:
        """Where joints that no task moves (arms, head) should be from now on, of all (n,) rad."""
        self._posture = joints

    def _safe(self, wanted: Velocity, divergent: Array) -> Velocity | None:
        """What may be done of what is wanted; None, and limp from then on, where nothing may."""
        assert self.gait is not None
        e, low = self.estimator, self.file.walker.gait.height_low
        down = self._giving_up and self.gait.height <= low + 1e-4
        beyond = self._reach.beyond(divergent, self.gait.soles, self.gait.stride)
        self.limp = self.falls.step(self.dt, e.rotation, e.gyro, beyond) or down
        if self.limp:
            return None
        return Velocity(height=low) if self._giving_up else wanted

    def _let_go(self, senses: Senses) -> Array:
        k = self.body.kinematics
        self._command = np.clip(senses.joints, k.lower, k.upper)
        return np.asarray(self._command)

    def _finite(self, senses: Senses) -> Senses:
        """The measurements, or the last whole ones; raises ValueError when there were none yet."""
        if math.isfinite(senses.gyro.sum() + senses.acceleration.sum() + senses.joints.sum()):
            self._senses = senses
            return senses
        self.rejected += 1
        if self._senses is None:
            raise ValueError("the first measurements hold a number that is not finite; a whole set is expected")
        return self._senses

    def _whole(self, senses: Senses) -> Senses:
        """With servos that did not answer where the plan moves them; after `GAP` ticks where the last goal was.

        Then the plan holds them there as well, and the leg's other joints do their part. Ankles stay with the plan: to
        hold one would turn the body for the sake of the sole's angle, which the ground gives anyway.
        """
        if senses.heard is None:
            return senses
        self._gaps = np.where(senses.heard, 0, self._gaps + 1)
        self._goal = np.where(self._gaps > 1, self._goal, self.body.kinematics.q)
        deaf = (self._gaps > GAP) & self._holds
        if deaf.any() or self._deaf:
            self._deaf = bool(deaf.any())
            self.body.fix(deaf, self._goal)
        planned = np.where(deaf, self._goal, self._joints + self._moved)
        self._joints = np.where(senses.heard, senses.joints, planned)
        return replace(senses, joints=self._joints)

    def _settled(self, senses: Senses) -> bool:
        """Whether the robot has stood long enough to know which way is up: means over the second half of `SETTLE_S`."""
        count = round(SETTLE_S * self.file.walker.rate_hz / 2)
        if self._ticks > count:
            self._mean += np.stack([senses.gyro, senses.acceleration]) / count
        return self._ticks >= 2 * count

    def _through_servos(self) -> Array:
        """Targets that make the servos' gains give the torque the plan needs."""
        assert self.gait is not None
        k = self.body.kinematics
        rates = self.body.rates
        torque = self.body.torque(self.gait.share_left) + k.damping * rates[0] + k.armature * rates[1]
        step = self.file.walker.servos.rate_max * self.dt
        command = np.clip(k.q + torque / k.gain, k.lower, k.upper)
        self._command = np.clip(command, self._command - step, self._command + step)
        return np.asarray(self._command)

    def _measured(self, divergent: Array) -> Measured:
        k = self.estimator.kinematics
        (left, r_left), (right, r_right) = k.sole(0), k.sole(1)
        return Measured(
            divergent, (self._seen(0), self._seen(1)), (float(left[2]), float(right[2])),
            _tilt(self.estimator.rotation), (_tilt(r_left), _tilt(r_right)),
        )  # fmt: skip

    def _seen(self, side: int) -> Foothold:
        """Where the estimator sees a foot."""
        xyz, rotation = self.estimator.kinematics.sole(side)
        return Foothold(xyz[:2].copy(), float(np.arctan2(rotation[1, 0], rotation[0, 0])))


def _tilt(rotation: Array) -> tuple[float, float]:
    """Small angles [rad] about x and y by which R (3, 3) leans z."""
    return -float(rotation[1, 2]), float(rotation[0, 2])

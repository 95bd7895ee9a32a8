"""Whole-body control of position servos: inverse kinematics with joint limits, and the torques of contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giljabi.types import Array
from giljabi.walking.kinematics import Kinematics


@dataclass(slots=True)
class Targets:
    """What the body should do now, in the frame of the odometry."""

    com: Array  # (3,) m
    feet: list[Array]  # 2 x (3,) m, middle of the soles: left, right
    foot_rotation: list[Array]  # 2 x (3, 3)
    torso: Array  # (3, 3) orientation of the base
    posture: Array  # (n,) rad, joints that no task moves
    rates: Array  # (2, 18) velocity, acceleration: left foot and its turn, right foot, centre of mass, torso


class WholeBody:
    """Joints for targets, one Newton step a tick from where the last one ended; see whole_body.hpp."""

    def __init__(self, kinematics: Kinematics) -> None:
        self.kinematics = kinematics

    def solve(self, targets: Targets, iterations: int = 1) -> float:
        """Moves the model towards the targets, the base and both feet at once; the largest error before the last step.

        Afterwards `rates` holds velocity and acceleration of the posture.
        """
        k, t = self.kinematics, targets
        return k.core.solve(
            t.com, np.array(t.feet), np.array(t.foot_rotation), t.torso, t.rates, k.hinges(t.posture), iterations
        )

    def fix(self, joints: NDArray[np.bool_], where: Array) -> None:
        """Joints (n,) bool that stay at `where` (n,) rad in every solve until the next call."""
        k = self.kinematics
        k.core.fix(k.hinges(joints.astype(np.float64)) > 0.5)
        if joints.any():
            k.set(k.core.q[:3].copy(), k.core.q[3:7].copy(), np.where(joints, where, k.q))

    @property
    def rates(self) -> Array:
        """Velocity and acceleration (2, n) of the joints."""
        return np.asarray(self.kinematics.core.rates[self.kinematics.columns[6:]].T)

    @property
    def limited(self) -> int:
        """Rounds in which a joint's limit was met."""
        return self.kinematics.core.limited

    @property
    def zmp(self) -> Array:
        """Zero-moment point (2,) of the whole motion, swinging legs included, at the last `torque`."""
        return self.kinematics.core.zmp

    def torque(self, share_left: float) -> Array:
        """Torques (n,) N m that make the planned motion on the ground; share_left: 0 to 1 of the weight.

        Inverse dynamics with the soles' forces; damping and armature of the joints are not in it.
        """
        return self.kinematics.of_hinges(self.kinematics.core.torque(share_left))


def yaw_rotation(yaw: float) -> Array:
    """R (3, 3) of a turn about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

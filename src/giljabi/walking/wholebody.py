"""Whole-body control of position servos: inverse kinematics with joint limits, and the torques of contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from giljabi.types import Array
from giljabi.walking.kinematics import Kinematics

FOOT, COM, TORSO = 10.0, 10.0, 1.0  # weights of the tasks where joint limits leave no room for all
POSTURE = 1e-3
STEP_MAX = 0.2  # rad or m of one iteration


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
    """Joints for targets, one Newton step a tick from where the last one ended."""

    def __init__(self, kinematics: Kinematics) -> None:
        self.kinematics = kinematics
        k = kinematics
        legs = np.concatenate(k.legs)
        b = k.base_dof
        self._legs = legs
        self._columns = np.concatenate([np.arange(b, b + 6), k.dof[legs]])
        self._jacobian = np.zeros((18, k.model.nv))
        self._error = np.zeros(18)
        self._weights = np.concatenate([np.full(12, FOOT), np.full(3, COM), np.full(3, TORSO)])
        self._step = np.zeros(k.model.nv)
        self.rates = np.zeros((2, k.model.nv))
        self._others = np.setdiff1d(np.arange(len(k.dof)), legs)
        self.limited = 0  # ticks at which a joint limit was met

    def solve(self, targets: Targets, iterations: int = 1) -> float:
        """Moves the model towards the targets, the base and both feet at once; the largest error before the last step.

        Afterwards `rates` (2, nv) holds velocity and acceleration of the posture.
        """
        k = self.kinematics
        others = self._others
        k.data.qpos[k.qpos[others]] = np.clip(targets.posture[others], k.lower[others], k.upper[others])
        k.update()
        for _ in range(iterations):
            self._linearize(targets)
            self._move(targets)
        return float(np.abs(self._error).max())

    def _linearize(self, targets: Targets) -> None:
        k, e, j = self.kinematics, self._error, self._jacobian
        for side in (0, 1):
            point, rotation = k.sole(side)
            at = 6 * side
            e[at : at + 3] = targets.feet[side] - point
            e[at + 3 : at + 6] = turn_between(rotation, targets.foot_rotation[side])
            k.point_jacobian(side, point, j[at : at + 3], j[at + 3 : at + 6])
        e[12:15] = targets.com - k.com
        k.com_jacobian(j[12:15])
        rotation = k.rotation(k.base)
        e[15:18] = turn_between(rotation, targets.torso)
        b = k.base_dof + 3
        j[15:18, b : b + 3] = rotation  # the base's angular velocity is in its own axes

    def _move(self, targets: Targets) -> None:
        """One damped least-squares step; joints at their limits are taken out and the rest is solved again."""
        k = self.kinematics
        free = np.ones(len(self._columns), dtype=bool)
        low = k.lower[self._legs] - k.data.qpos[k.qpos[self._legs]]
        high = k.upper[self._legs] - k.data.qpos[k.qpos[self._legs]]
        weighted = self._jacobian[:, self._columns] * self._weights[:, None]
        wanted = np.stack([self._error, *targets.rates], axis=1) * self._weights[:, None]
        step = np.zeros((len(self._columns), 3))
        for _ in range(4):
            a = weighted[:, free]
            rest = wanted - weighted[:, ~free] @ step[~free]
            normal = a.T @ a
            normal.flat[:: len(normal) + 1] += POSTURE
            step[free] = np.linalg.solve(normal, a.T @ rest)
            over = ((step[6:, 0] < low - 1e-9) | (step[6:, 0] > high + 1e-9)) & free[6:]
            if not over.any():
                break
            self.limited += 1
            step[6:, 0][over] = np.clip(step[6:, 0], low, high)[over]
            step[6:, 1:][over] = 0.0
            free[6:][over] = False
        self._step[self._columns] = np.clip(step[:, 0], -STEP_MAX, STEP_MAX)
        self.rates[:, self._columns] = step[:, 1:].T
        k.move(self._step)
        k.update()


class Contact:
    """Torque of the joints that makes the planned motion on the ground: inverse dynamics with the soles' forces."""

    def __init__(self, kinematics: Kinematics, margin: float) -> None:
        """margin: m that the pressure keeps from a sole's edge."""
        self._k = kinematics
        self._reach = [s.half - margin for s in kinematics.soles]
        self._force = np.zeros(kinematics.model.nv)
        self._jacobian, self._turning = np.zeros((3, kinematics.model.nv)), np.zeros((3, kinematics.model.nv))
        self.zmp = np.zeros(2)  # of the whole motion, swinging legs included

    def torque(self, rates: Array, share_left: float) -> Array:
        """(n,) N m. rates: (2, nv) velocity and acceleration; share_left: 0 to 1 of the weight on the left foot.

        The base is driven by nothing, so what moves it comes from the ground: its six equations give force, point
        and turning moment there. Damping of the joints is not in it.
        """
        k = self._k
        torque = k.inverse_dynamics(rates, self._force)
        b = k.base_dof
        push, moment = torque[b : b + 3].copy(), k.rotation(k.base) @ torque[b + 3 : b + 6]
        if push[2] < 0.2 * 9.81 * k.mass:  # nearly falling: nothing to lean on
            push = np.array([0.0, 0.0, 9.81 * k.mass])
        left, right = k.sole(0)[0], k.sole(1)[0]
        ground = share_left * left + (1.0 - share_left) * right
        drop = ground[2] - k.data.xpos[k.base][2]
        arm = np.array([(drop * push[0] - moment[1]) / push[2], (moment[0] + drop * push[1]) / push[2]])
        self.zmp = k.data.xpos[k.base][:2] + arm
        twist = moment[2] - (arm[0] * push[1] - arm[1] * push[0])
        offset = self.zmp - ground[:2]
        for side, sole, share in ((0, left, share_left), (1, right, 1.0 - share_left)):
            if share <= 0.0:
                continue
            rotation = k.rotation(k.soles[side].body)
            inside = rotation[:2, :2].T @ offset
            inside = np.clip(inside, -self._reach[side], self._reach[side])
            point = sole + rotation[:, :2] @ inside
            k.point_jacobian(side, point, self._jacobian, self._turning)
            torque -= self._jacobian.T @ (push * share) + self._turning[2] * (twist * share)
        return np.asarray(torque[k.dof])


def turn_between(a: Array, b: Array) -> Array:
    """Rotation vector (3,) in the world from orientation a (3, 3) to b; its size is the sine of the angle."""
    r = b @ a.T
    return np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]) / 2


def yaw_rotation(yaw: float) -> Array:
    """R (3, 3) of a turn about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

"""Joints that no step needs: the head looks, arms play a trajectory while the legs keep the balance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from giljabi.types import Array
from giljabi.walking.kinematics import Kinematics

if TYPE_CHECKING:
    from giljabi.walking.behaviours.trajectory import TrajectoryPlayer

LOOK_RATE = 2.0  # rad/s
RETURN_RATE = 1.5  # rad/s back to the standing posture when a trajectory is over


class UpperBody:
    """Where the joints outside the legs should be; one `step` a tick."""

    def __init__(self, kinematics: Kinematics, look: dict[str, int]) -> None:
        """look: index of the head's joints, by `pan` and `tilt`."""
        k = kinematics
        self.joints = np.setdiff1d(np.arange(len(k.joint_names)), np.concatenate(k.legs))
        self._lower, self._upper = k.lower, k.upper
        self._look = look
        self._gaze: dict[int, float] = {}
        self._posture: Array | None = None
        self.playing: TrajectoryPlayer | None = None

    def look(self, pan: float, tilt: float) -> str | None:
        """Where the head should turn, rad; why not, or None."""
        for axis, angle in (("pan", pan), ("tilt", tilt)):
            if axis not in self._look:
                if angle:
                    return f"the head has no joint to {axis}"
                continue
            i = self._look[axis]
            if not self._lower[i] <= angle <= self._upper[i]:
                return f"{axis} {angle:g} rad is out of range; {self._lower[i]:g} to {self._upper[i]:g} is expected"
        for axis, i in self._look.items():
            self._gaze[i] = pan if axis == "pan" else tilt
        return None

    def step(self, now: float, dt: float, stand: Array) -> Array:
        """Posture (n,) rad; the legs' part of it is `stand`'s."""
        if self._posture is None:
            self._posture = stand.copy()
        goal, rate = stand.copy(), np.full(len(stand), RETURN_RATE)
        for i, angle in self._gaze.items():
            goal[i], rate[i] = angle, LOOK_RATE
        if self.playing is not None:
            played = self.playing.at(now)
            goal[self.playing.joints] = played
            rate[self.playing.joints] = np.inf
            if self.playing.over:
                self.playing = None
        self._posture = self._posture + np.clip(goal - self._posture, -rate * dt, rate * dt)
        return np.asarray(self._posture)

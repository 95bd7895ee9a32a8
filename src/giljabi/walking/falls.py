"""Falls, seen before the ground is: where the base's tilt will be in a moment."""

from __future__ import annotations

import math

from giljabi.types import Array

HORIZON_S = 0.2  # s that the tilt is carried on at its present rate
TILT = 0.6  # rad there, from which no step helps
LYING = 0.9  # rad now
LASTING_S = 0.016  # s that it must say so: noise and heel strikes do not


class FallWatch:
    """Latches `falling`; one `step` a tick."""

    def __init__(self) -> None:
        self.falling = False
        self._for_s = 0.0

    def step(self, dt: float, rotation: Array, gyro: Array) -> bool:
        """rotation: R_odom_base (3, 3); gyro: rad/s in the base. Whether the robot falls, or has fallen."""
        up = rotation[2]
        tilt = math.acos(max(-1.0, min(1.0, float(up[2]))))
        flat = math.hypot(float(up[0]), float(up[1]))
        # the rate of the angle between base z and up: gyro about the axis (up x z) / |up x z|
        rate = 0.0 if flat < 1e-6 else (float(up[1]) * float(gyro[0]) - float(up[0]) * float(gyro[1])) / flat
        ahead = tilt + HORIZON_S * rate
        self._for_s = self._for_s + dt if ahead > TILT else 0.0
        self.falling = self.falling or self._for_s >= LASTING_S or tilt > LYING
        return self.falling

"""Which way is up, and what the robot lies on."""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array
from giljabi.walking.base_estimation import GRAVITY, cross, rotation_of
from giljabi.walking.behaviours.words import Word

GAIN = 2.0  # 1/s, how fast the accelerometer's up corrects the gyro's
BAND = 3.0  # m/s^2 off 1 g at which the accelerometer is not believed at all
STILL_RATE = 0.25  # rad/s
STILL_S = 0.4  # s for which it must turn slower than that
UPRIGHT = math.cos(0.6)  # of the angle between the base's z and up


class Side(Word):
    """What of the base is below."""

    UPRIGHT = "upright"
    PRONE = "prone"
    SUPINE = "supine"
    LEFT = "left"
    RIGHT = "right"
    OVERHEAD = "overhead"


class Posture:
    """Direction of up in the base's axes from gyro and accelerometer; one `step` a tick."""

    def __init__(self, mount: Array) -> None:
        """mount: (3, 3) R_base_imu."""
        self.up = np.array([0.0, 0.0, 1.0])
        self.rate = np.zeros(3)  # rad/s in the base
        self.still_s = 0.0
        self._mount = mount
        self._started = False

    def step(self, dt: float, gyro: Array, acceleration: Array) -> Array:
        """Up (3,); gyro rad/s and specific force m/s^2 in the sensor's axes."""
        self.rate = self._mount @ gyro
        force = self._mount @ acceleration
        size = math.sqrt(force @ force)
        if not self._started and size > 0.5 * GRAVITY:
            self.up, self._started = force / size, True
        weight = max(0.0, 1.0 - abs(size - GRAVITY) / BAND)
        error = cross(force / max(size, 1e-6), self.up) * (GAIN * weight)
        up = rotation_of((self.rate + error) * dt).T @ self.up
        self.up = up / math.sqrt(up @ up)
        quiet = math.sqrt(self.rate @ self.rate) < STILL_RATE
        self.still_s = self.still_s + dt if quiet else 0.0
        return self.up

    @property
    def still(self) -> bool:
        """Whether it has rested for a while."""
        return self.still_s >= STILL_S

    @property
    def tilt(self) -> float:
        """Angle between the base's z and up, rad."""
        return math.acos(max(-1.0, min(1.0, float(self.up[2]))))

    @property
    def side(self) -> Side:
        """What it lies on: the axis of the base that points down most; x forward, y left, z up."""
        x, y, z = (float(v) for v in self.up)
        if z > UPRIGHT:
            return Side.UPRIGHT
        if -z > max(abs(x), abs(y)):
            return Side.OVERHEAD
        if abs(x) >= abs(y):
            return Side.PRONE if x < 0.0 else Side.SUPINE
        return Side.LEFT if y < 0.0 else Side.RIGHT

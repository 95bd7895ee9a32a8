"""Where the base is and how it moves, from the inertial sensor, the joints and the foot that stands."""

from __future__ import annotations

import math

import numpy as np

from giljabi.types import Array
from giljabi.walking.kinematics import Kinematics

TILT_GAIN = 0.5  # 1/s, how fast the accelerometer's up corrects the gyro's
TILT_BAND = 3.0  # m/s^2 off 1 g at which the accelerometer is not believed at all
VELOCITY_GAIN = 25.0  # 1/s, how fast the legs' velocity corrects the accelerometer's
GRAVITY = 9.81
NEAREST = 1.5 * np.eye(3)  # of the iteration to the nearest rotation


class BaseEstimator:
    """Base orientation by a complementary filter; base position and velocity over the standing foot.

    The frame is the odometry's: z up, origin and yaw 0 where the robot stood at first. One `step` a tick.
    """

    def __init__(self, kinematics: Kinematics) -> None:
        """kinematics: a model of its own, which follows the measured posture."""
        self.kinematics = kinematics
        self.rotation = np.eye(3)  # R_odom_base
        self.gyro_bias = np.zeros(3)
        self.gyro = np.zeros(3)  # base frame, without bias
        self.com = np.zeros(3)
        self.velocity = np.zeros(3)  # of the centre of mass
        self._com_before: Array | None = None
        self._mount = kinematics.R_base_imu
        self._anchor = [np.zeros(3), np.zeros(3)]  # middle of each sole in odom

    def start(self, gyro: Array, acceleration: Array, q: Array) -> None:
        """Of a robot at rest: orientation from gravity, the gyro's bias; the middle between its soles is the origin."""
        self.gyro_bias = self._mount @ gyro
        up = self._mount @ acceleration
        up = up / np.linalg.norm(up)
        x = np.array([1.0, 0.0, 0.0])
        x = x - up * (x @ up)
        x /= np.linalg.norm(x)
        self.rotation = np.stack([x, np.cross(up, x), up])
        self._place(q, np.zeros(3))
        soles = [self.kinematics.sole(side)[0].copy() for side in (0, 1)]
        middle = (soles[0] + soles[1]) / 2
        self._anchor = [s - middle for s in soles]
        self._place(q, -middle)
        self.com = self.kinematics.com.copy()
        self._com_before = None

    def anchor(self, side: int, z: float | None = None) -> Array:
        """From now on this foot stands where it is now, at height z if that is known; its place (3,)."""
        place = self.kinematics.sole(side)[0].copy()
        if z is not None:
            place[2] = z
        self._anchor[side] = place
        return np.asarray(place)

    def step(self, dt: float, gyro: Array, acceleration: Array, q: Array, share_left: float) -> None:
        """gyro rad/s, acceleration m/s^2 (specific force) in the sensor's axes, joints q; share_left of the weight."""
        rate = self._mount @ gyro - self.gyro_bias
        force = self._mount @ acceleration
        self._turn(dt, rate, force)
        self.gyro = rate
        self._place(q, np.zeros(3))
        soles = [self.kinematics.sole(side)[0] for side in (0, 1)]
        base = share_left * (self._anchor[0] - soles[0]) + (1.0 - share_left) * (self._anchor[1] - soles[1])
        self._place(q, base)
        com = self.kinematics.com.copy()
        predicted = self.velocity + (self.rotation @ force - np.array([0.0, 0.0, GRAVITY])) * dt
        if self._com_before is None:
            self.velocity = np.zeros(3)
        else:
            seen = (com - self._com_before) / dt
            self.velocity = predicted + (1.0 - math.exp(-VELOCITY_GAIN * dt)) * (seen - predicted)
        self._com_before = com
        self.com = com

    @property
    def yaw(self) -> float:
        """Heading, rad."""
        return math.atan2(self.rotation[1, 0], self.rotation[0, 0])

    @property
    def tilt(self) -> Array:
        """Roll and pitch (2,) of the base, rad."""
        r = self.rotation
        return np.array([math.atan2(r[2, 1], r[2, 2]), -math.asin(min(1.0, max(-1.0, r[2, 0])))])

    def _turn(self, dt: float, rate: Array, force: Array) -> None:
        size = math.sqrt(force @ force)
        up = self.rotation[2]  # odom's z in the base
        weight = max(0.0, 1.0 - abs(size - GRAVITY) / TILT_BAND)
        correction = cross(force / max(size, 1e-6), up) * (TILT_GAIN * weight)
        self.rotation = self.rotation @ rotation_of((rate + correction) * dt)
        # one step of the iteration to the nearest rotation keeps it one
        r = self.rotation
        self.rotation = r @ (NEAREST - 0.5 * (r.T @ r))

    def _place(self, q: Array, position: Array) -> None:
        self.kinematics.set(position, quaternion_of(self.rotation), q)


def cross(a: Array, b: Array) -> Array:
    """a x b of two vectors (3,)."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def rotation_of(v: Array) -> Array:
    """R (3, 3) of a rotation vector (3,), Rodrigues."""
    x, y, z = float(v[0]), float(v[1]), float(v[2])
    angle = math.sqrt(x * x + y * y + z * z)
    a = 1.0 if angle < 1e-9 else math.sin(angle) / angle
    b = 0.5 if angle < 1e-9 else (1.0 - math.cos(angle)) / (angle * angle)
    return np.array(
        [
            [1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
            [b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x],
            [b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y)],
        ]
    )


def quaternion_of(r: Array) -> Array:
    """Quaternion (4,), w first, of R (3, 3)."""
    t = r[0, 0] + r[1, 1] + r[2, 2]
    if t > 0.0:
        s = 2.0 * math.sqrt(t + 1.0)
        return np.array([0.25 * s, (r[2, 1] - r[1, 2]) / s, (r[0, 2] - r[2, 0]) / s, (r[1, 0] - r[0, 1]) / s])
    i = int(np.argmax([r[0, 0], r[1, 1], r[2, 2]]))
    j, k = (i + 1) % 3, (i + 2) % 3
    s = 2.0 * math.sqrt(max(1.0 + r[i, i] - r[j, j] - r[k, k], 1e-12))
    q = np.zeros(4)
    q[0] = (r[k, j] - r[j, k]) / s
    q[1 + i] = 0.25 * s
    q[1 + j] = (r[j, i] + r[i, j]) / s
    q[1 + k] = (r[k, i] + r[i, k]) / s
    return q

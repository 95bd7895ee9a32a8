"""A multirotor autopilot's own flying: modes, arming, failsafes, and the loops from velocity down to rotor thrusts.

It behaves as ArduCopter does where that matters to somebody who commands it: setpoints do not lift it off the ground,
take-off is a command that a setpoint ends, velocities are reached no faster than its own limits of acceleration and
jerk allow, an acceleration beside them is added, old setpoints are followed by a stop, LAND and RTL disarm on the
ground, and so does waiting there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from giljabi.types import Array
from giljabi_sim.truth import Own

STABILIZE, AUTO, GUIDED, LOITER, RTL, LAND, BRAKE = 0, 3, 4, 5, 6, 9, 17
MODES = {STABILIZE, GUIDED, LOITER, RTL, LAND, BRAKE}
HOLDS = (LOITER, BRAKE)
GCS_TIMEOUT = 5.0  # s: without the ground station's heartbeat it returns or lands, where FS_GCS_ENABLE is set
FS_LAND = 5.0  # of FS_GCS_ENABLE
DISARM_DELAY = 10.0  # s on the ground until it disarms by itself
BRAKE_ACCEL = 7.5  # m/s^2, of mode BRAKE
READY_S = 3.0  # s after power on until the checks before arming pass
LAND_SPEED, LAND_SPEED_HIGH, LAND_HIGH = 0.6, 1.5, 8.0  # m/s, m/s above this height [m]
CLIMB_SPEED, RTL_SPEED, RTL_HEIGHT = 2.0, 5.0, 15.0
TOUCH = 0.12  # m above the ground that counts as touching it
PARAMETERS = {  # with ArduCopter's defaults and units: m/s^3, cm/s^2, cdeg, cm
    "PSC_JERK_XY": 5.0, "WPNAV_ACCEL": 250.0, "WPNAV_ACCEL_Z": 100.0, "PSC_JERK_Z": 5.0, "ANGLE_MAX": 3000.0,
    "FS_GCS_ENABLE": 0.0, "RTL_ALT": 1500.0,
    "GUID_TIMEOUT": 3.0,  # s: without a new setpoint it stops
}  # fmt: skip
ACCEL_MAX = 8.0  # m/s^2, horizontal, beyond what the tilt allows
IDLE = 0.15  # N of a rotor that turns on the ground
K_PLACE, K_VELOCITY, K_INTEGRAL, K_ATTITUDE, K_YAW = 1.0, 2.0, 0.5, 6.0, 2.5
K_RATE = np.array([15.0, 15.0, 8.0])
GRAVITY = 9.81


@dataclass(slots=True)
class Estimate:
    """What the autopilot believes: truth with errors. ENU from where it stood at power on, FLU."""

    position: Array
    velocity: Array
    rotation: Array  # (3, 3) body to map
    yaw: float
    rates: Array


def rotation_of(own: Own) -> Array:
    """(3, 3) body to map."""
    w, x, y, z = own.quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


class Loops:
    """Velocity to attitude to rates to rotor thrusts."""

    def __init__(self, p: dict[str, float]) -> None:
        """p: the plant's parameters, as somebody who set the vehicle up knows them."""
        self._mass = p["mass"]
        self._inertia = np.array([p["inertia_x"], p["inertia_y"], p["inertia_z"]])
        turn = p["torque_coefficient"] / p["thrust_coefficient"]
        columns = [[1.0, p[f"rotor_{i}_y"], -p[f"rotor_{i}_x"], turn * p[f"rotor_{i}_spin"]] for i in range(1, 5)]
        self._mix = np.linalg.inv(np.array(columns).T)
        self._most = 2.2 * self._mass * GRAVITY / 4.0
        self._integral = np.zeros(3)

    def reset(self) -> None:
        """On the ground nothing is integrated."""
        self._integral = np.zeros(3)

    def thrusts(self, e: Estimate, way: Shaper, yaw: float, yaw_rate: float, tilt: float, dt: float) -> Array:  # noqa: PLR0917
        """Thrust of each rotor [N] for where it shall be, yaw [rad], yaw rate [rad/s], with `tilt` [rad] at most."""
        error = way.velocity + np.clip(K_PLACE * (way.place - e.position), -2.0, 2.0) - e.velocity
        self._integral = np.clip(self._integral + K_INTEGRAL * error * dt, -3.0, 3.0)
        a = way.acceleration + K_VELOCITY * error + self._integral
        level = float(np.hypot(a[0], a[1]))
        if level > ACCEL_MAX:
            a[:2] *= ACCEL_MAX / level
        a[2] = np.clip(a[2], -5.0, 6.0)
        force = self._mass * (a + np.array([0.0, 0.0, GRAVITY]))
        side = float(np.hypot(force[0], force[1]))
        if side > force[2] * math.tan(tilt):
            force[:2] *= force[2] * math.tan(tilt) / side
        up = force / np.linalg.norm(force)
        ahead = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        left = np.cross(up, ahead)
        left /= np.linalg.norm(left)
        wanted = np.column_stack([np.cross(left, up), left, up])
        twist = wanted.T @ e.rotation
        off = 0.5 * np.array([twist[2, 1] - twist[1, 2], twist[0, 2] - twist[2, 0], twist[1, 0] - twist[0, 1]])
        rates = -np.array([K_ATTITUDE, K_ATTITUDE, K_YAW]) * off + np.array([0.0, 0.0, yaw_rate])
        turn = self._inertia * K_RATE * (rates - e.rates) + np.cross(e.rates, self._inertia * e.rates)
        turn[2] = np.clip(turn[2], -0.25, 0.25)
        total = float(force @ e.rotation[:, 2])
        return np.asarray(np.clip(self._mix @ np.array([total, *turn]), 0.3, self._most))


@dataclass(slots=True)
class Shaper:
    """Where the loops shall be: a motion that reaches a velocity within limits of acceleration and jerk."""

    place: Array = field(default_factory=lambda: np.zeros(3))
    velocity: Array = field(default_factory=lambda: np.zeros(3))
    acceleration: Array = field(default_factory=lambda: np.zeros(3))

    def begin(self, e: Estimate) -> None:
        """From what the vehicle does now."""
        self.place, self.velocity, self.acceleration = e.position.copy(), e.velocity.copy(), np.zeros(3)

    def step(self, wanted: Array, feed: Array, most: Array, jerk: Array, dt: float) -> None:
        """Towards a velocity (3,) with its acceleration (3,); most, jerk: (level, up) limits."""
        self.place = self.place + dt * self.velocity + 0.5 * dt * dt * self.acceleration
        self.velocity = self.velocity + dt * self.acceleration
        for part, limit, j in ((slice(0, 2), most[0], jerk[0]), (slice(2, 3), most[1], jerk[1])):
            error = wanted[part] - self.velocity[part]
            size = float(np.linalg.norm(error))
            # Near the wanted velocity in proportion, else so that the jerk can bring the acceleration back in time.
            rate = j / limit
            a = min(rate * size if size < j / rate**2 else math.sqrt(2.0 * j * (size - 0.5 * j / rate**2)), limit)
            step = (a / size * error if size > 0.0 else np.zeros_like(error)) + feed[part] - self.acceleration[part]
            change = float(np.linalg.norm(step))
            self.acceleration[part] += step if change <= j * dt else step * (j * dt / change)


@dataclass(slots=True)
class Pilot:
    """The state machine; `commands` of the vehicle are what it decides."""

    loops: Loops
    parameters: dict[str, float] = field(default_factory=lambda: dict(PARAMETERS))
    mode: int = STABILIZE
    armed: bool = False
    landed: bool = True
    texts: list[tuple[int, str]] = field(default_factory=list)  # severity, words
    velocity: Array = field(default_factory=lambda: np.zeros(3))  # of the newest setpoint, ENU
    acceleration: Array = field(default_factory=lambda: np.zeros(3))  # beside it
    yaw_rate: float = 0.0
    setpoint_t: float = -math.inf
    takeoff: float | None = None  # m above home
    home: Array = field(default_factory=lambda: np.zeros(3))
    yaw: float = 0.0
    beat_t: float | None = None  # of the ground station
    _way: Shaper = field(default_factory=Shaper)
    _touch: float = 0.0
    _waits: float = 0.0  # on the ground since
    _climbed: bool = False
    _hold: Array | None = None

    # --- what it is asked for ---

    def set_mode(self, mode: int) -> bool:
        """False for a mode it does not have."""
        if mode not in MODES:
            return False
        if mode != self.mode:
            self.mode, self.takeoff, self._climbed, self._hold = mode, None, False, None
            self.setpoint_t = -math.inf
        return True

    def arm(self, now: float, e: Estimate, trouble: str) -> bool:
        """False, and words, when the checks do not pass."""
        if trouble or self.mode in (RTL, LAND, BRAKE):
            name = {RTL: "RTL", LAND: "LAND", BRAKE: "BRAKE"}.get(self.mode, "")
            self.texts.append((2, f"PreArm: {trouble}" if trouble else f"Arm: {name} mode not armable"))
            return False
        if not self.armed:
            self.armed, self.home, self.yaw, self._touch, self._waits = True, e.position.copy(), e.yaw, now, now
            self.texts.append((6, "Arming motors"))
        return True

    def disarm(self, force: bool) -> bool:
        """False in the air."""
        if self.armed and not self.landed and not force:
            return False
        if self.armed:
            self.texts.append((6, "Disarming motors"))
        self.armed, self.takeoff = False, None
        return True

    def take_off(self, height: float) -> bool:
        """Climbs to height [m above home]; on the ground, armed and in GUIDED only."""
        if not (self.armed and self.landed and self.mode == GUIDED and height > 0.5):
            return False
        self.takeoff = height
        return True

    def setpoint(self, now: float, velocity: Array, acceleration: Array, yaw_rate: float) -> None:
        """A velocity [m/s ENU] with its acceleration [m/s^2] and yaw rate [rad/s]; it ends a take-off."""
        if self.mode != GUIDED or not self.armed:
            return
        self.velocity, self.acceleration, self.yaw_rate = velocity, acceleration, yaw_rate
        self.setpoint_t, self.takeoff = now, None

    # --- what it does ---

    def step(self, now: float, dt: float, e: Estimate, commands: dict[str, float], charge: float) -> None:
        """One tick: failsafes, mode, loops."""
        self._failsafes(now, charge)
        wanted, rate = self._wanted(now, e)
        self._land_detector(now, e, wanted)
        if not self.armed or self._rests():
            self.loops.reset()
            self._way.begin(e)
            self.yaw = e.yaw
            thrust = [IDLE if self.armed else 0.0] * 4
        else:
            self.landed = False
            ahead = math.remainder(self.yaw + rate * dt - e.yaw, 2.0 * math.pi)
            self.yaw = e.yaw + min(max(ahead, -0.5), 0.5)
            self._shape(now, wanted, dt)
            tilt = math.radians(0.01 * self.parameters["ANGLE_MAX"])
            thrust = list(self.loops.thrusts(e, self._way, self.yaw, rate, tilt, dt))
        for i, value in enumerate(thrust, 1):
            commands[f"rotor_{i}"] = float(value)

    def _shape(self, now: float, wanted: Array, dt: float) -> None:
        """The motion that the loops follow."""
        p = self.parameters
        guided = (
            self.mode == GUIDED and self.takeoff is None and now - self.setpoint_t <= self.parameters["GUID_TIMEOUT"]
        )
        level = BRAKE_ACCEL if self.mode == BRAKE else 0.01 * p["WPNAV_ACCEL"]
        most = np.array([level, BRAKE_ACCEL if self.mode == BRAKE else 0.01 * p["WPNAV_ACCEL_Z"]])
        jerk = np.array([p["PSC_JERK_XY"], p["PSC_JERK_Z"]])
        self._way.step(wanted, self.acceleration if guided else np.zeros(3), most, jerk, dt)

    def _rests(self) -> bool:
        """On the ground only a take-off makes it rise."""
        return self.landed and self.takeoff is None

    def _failsafes(self, now: float, charge: float) -> None:
        if not self.armed or self.landed:
            return
        silent = self.beat_t is not None and now - self.beat_t > GCS_TIMEOUT and self.parameters["FS_GCS_ENABLE"] > 0.0
        if silent and self.mode in (GUIDED, BRAKE, LOITER):
            self.texts.append((1, "GCS Failsafe"))
            self.set_mode(LAND if self.parameters["FS_GCS_ENABLE"] == FS_LAND else RTL)
        if charge < 0.08 and self.mode != LAND:
            self.texts.append((1, "Battery Failsafe"))
            self.set_mode(LAND)

    def _wanted(self, now: float, e: Estimate) -> tuple[Array, float]:
        """Velocity [m/s ENU] and yaw rate [rad/s] that the mode asks for."""
        if self.mode == GUIDED and self.takeoff is not None:
            return self._rise(e), 0.0
        if self.mode == GUIDED and now - self.setpoint_t <= self.parameters["GUID_TIMEOUT"]:
            self._hold = None
            return self.velocity, self.yaw_rate
        if self.mode == LAND:
            return self._descend(e), 0.0
        if self.mode == RTL:
            return self._return(e), 0.0
        return self._stay(e), 0.0

    def _stay(self, e: Estimate) -> Array:
        """To rest, then to the place where that was."""
        if self._hold is None:
            if float(np.linalg.norm(e.velocity)) > 0.4:
                return np.zeros(3)
            self._hold = e.position.copy()
        return np.clip(0.8 * (self._hold - e.position), -1.0, 1.0)

    def _rise(self, e: Estimate) -> Array:
        assert self.takeoff is not None
        left = self.home[2] + self.takeoff - e.position[2]
        if left < 0.15:
            self.takeoff = None
            return np.zeros(3)
        side = np.clip(0.8 * (self.home - e.position), -1.0, 1.0)
        return np.array([side[0], side[1], min(CLIMB_SPEED, 0.3 + 0.8 * left)])

    def _descend(self, e: Estimate) -> Array:
        if self._hold is None and float(np.hypot(e.velocity[0], e.velocity[1])) < 0.6:
            self._hold = e.position.copy()
        side = np.zeros(3) if self._hold is None else np.clip(0.8 * (self._hold - e.position), -1.0, 1.0)
        speed = LAND_SPEED_HIGH if e.position[2] - self.home[2] > LAND_HIGH else LAND_SPEED
        return np.array([side[0], side[1], -speed])

    def _return(self, e: Estimate) -> Array:
        way = self.home - e.position
        distance = float(np.hypot(way[0], way[1]))
        height = e.position[2] - self.home[2]
        if distance > 1.0 and not self._climbed and height < RTL_HEIGHT - 0.5:
            return np.array([0.0, 0.0, CLIMB_SPEED])
        self._climbed = True
        if distance < 1.0:
            return self._descend(e)
        speed = min(RTL_SPEED, 0.3 + 0.5 * distance)
        return np.array([*(speed * way[:2] / distance), 0.0])

    def _land_detector(self, now: float, e: Estimate, wanted: Array) -> None:
        """Down for a second while going down is wanted: the ground. LAND and RTL disarm there."""
        down = e.position[2] - self.home[2] < TOUCH + 0.5 and abs(float(e.velocity[2])) < 0.15 and wanted[2] < -0.1
        if not down or self.landed or not self.armed:
            self._touch = now
        elif now - self._touch > 1.0:
            self.landed = True
            self.texts.append((6, "Land complete"))
        if not self.landed or self.takeoff is not None:
            self._waits = now
        if self.landed and self.armed and (self.mode in (LAND, RTL) or now - self._waits > DISARM_DELAY):
            self.disarm(force=False)

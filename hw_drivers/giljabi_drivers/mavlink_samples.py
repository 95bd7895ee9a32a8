"""Telemetry of an autopilot as samples: NED and FRD, degrees and scaled integers end here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.frames import GRAVITY, R_ENU_NED, R_FLU_FRD
from giljabi.types import (
    NAN,
    Array,
    Battery,
    ExternalOdometry,
    GnssFix,
    GnssVelocity,
    Imu,
    JointState,
    LocalOrigin,
    Sample,
)
from giljabi_drivers.mavlink_frames import Heard
from giljabi_drivers.mavlink_traffic import Traffic

ATTITUDE_MAX_AGE = 0.2  # s, of the attitude that goes with a position
IMU_ALIVE = 1.0  # s: while a better message of the same comes, the lesser one is left alone
QUALITY_OF_FIX = {2: 1, 3: 1, 4: 2, 5: 5, 6: 4, 7: 4, 8: 4}  # GPS_FIX_TYPE
IMU_RANK = {"HIGHRES_IMU": 3, "SCALED_IMU": 2, "RAW_IMU": 1}
_HALF = math.sqrt(0.5)
LANDED = {dialect.MAV_LANDED_STATE_ON_GROUND: 1.0, dialect.MAV_LANDED_STATE_IN_AIR: 0.0,
          dialect.MAV_LANDED_STATE_TAKEOFF: 0.0, dialect.MAV_LANDED_STATE_LANDING: 0.0}  # fmt: skip


@dataclass(slots=True)
class Noise:
    """1 sigma of the autopilot's own estimate, where it does not say."""

    position: float
    velocity: float
    attitude: float


def enu_flu(w: float, x: float, y: float, z: float) -> Array:
    """R_enu_flu (w x y z) of a quaternion R_ned_frd."""
    # (sqrt(1/2), sqrt(1/2) k-rotation) from the left, half a turn about x from the right:
    # q_enu_ned = (0, h, h, 0), q_frd_flu = (0, 1, 0, 0).
    h = _HALF
    a = (-h * x - h * y, h * w + h * z, h * w - h * z, -h * x + h * y)  # q_enu_ned * q
    aw, ax, ay, az = a
    q = np.array([-ax, aw, az, -ay])  # a * q_frd_flu
    return np.asarray(q if q[0] >= 0.0 else -q)


@dataclass(slots=True)
class Telemetry:
    """Newest parts of what arrives, and the samples they make."""

    stamp: Callable[[float, float], float]  # (received, seconds since boot) -> stack time
    names: Callable[[str, str], str]  # sensor of a kind in the platform file
    noise: Noise
    traffic: Traffic
    landed: float = NAN
    battery_share: float = NAN
    no_fix: bool = False
    _attitude: tuple[float, Array, Array] | None = None  # stamp, quaternion, rates
    _imu: dict[int, float] = field(default_factory=dict)  # receive time by rank
    _handlers: dict[str, Callable[[Heard], Sample | None]] = field(init=False)

    def __post_init__(self) -> None:
        self._handlers = {
            "ATTITUDE_QUATERNION": self._attitude_quaternion, "ATTITUDE": self._attitude_angles,
            "LOCAL_POSITION_NED": self._local_position, "GPS_GLOBAL_ORIGIN": self._origin, "GPS_RAW_INT": self._fix,
            "HIGHRES_IMU": self._highres, "SCALED_IMU": self._scaled, "RAW_IMU": self._scaled,
            "BATTERY_STATUS": self._battery, "SYS_STATUS": self._sys_status, "EXTENDED_SYS_STATE": self._extended,
            **self.traffic.handlers(),
        }  # fmt: skip

    @property
    def known(self) -> frozenset[str]:
        """Messages that are read here."""
        return frozenset(self._handlers)

    def take(self, heard: Heard) -> list[Sample]:
        """Samples of one message; raises ValueError for numbers that make no sense."""
        handler = self._handlers.get(heard.name)
        if handler is None:
            return []
        sample = handler(heard)
        out = [sample] if sample is not None else []
        if heard.name == "GPS_RAW_INT" and out:
            out += self._gnss_velocity(heard)
        return out

    # --- estimate ---

    def _attitude_quaternion(self, heard: Heard) -> None:
        m = heard.message
        q = enu_flu(m.q1, m.q2, m.q3, m.q4)
        self._keep_attitude(heard, q)

    def _attitude_angles(self, heard: Heard) -> None:
        m = heard.message
        (cr, sr), (cp, sp), (cy, sy) = ((math.cos(0.5 * a), math.sin(0.5 * a)) for a in (m.roll, m.pitch, m.yaw))
        q = enu_flu(
            cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        )  # fmt: skip
        self._keep_attitude(heard, q)

    def _keep_attitude(self, heard: Heard, q: Array) -> None:
        m = heard.message
        norm = float(np.linalg.norm(q))
        if not 0.9 < norm < 1.1:
            raise ValueError("no rotation")
        rates = R_FLU_FRD @ _finite(np.array([m.rollspeed, m.pitchspeed, m.yawspeed]))
        self._attitude = (self.stamp(heard.t, m.time_boot_ms * 1e-3), q / norm, rates)

    def _local_position(self, heard: Heard) -> Sample | None:
        m = heard.message
        t = self.stamp(heard.t, m.time_boot_ms * 1e-3)
        if self._attitude is None or abs(t - self._attitude[0]) > ATTITUDE_MAX_AGE:
            return None
        position = R_ENU_NED @ _finite(np.array([m.x, m.y, m.z]))
        velocity = R_ENU_NED @ _finite(np.array([m.vx, m.vy, m.vz]))
        _, q, rates = self._attitude
        n = self.noise
        name = self.names("odometry", "autopilot")
        return ExternalOdometry(t, position, q, velocity, rates, n.position, n.velocity, n.attitude, name)

    def _origin(self, heard: Heard) -> Sample:
        m = heard.message
        lat, lon, alt = m.latitude * 1e-7, m.longitude * 1e-7, m.altitude * 1e-3
        if abs(lat) > 90.0 or abs(lon) > 180.0:
            raise ValueError("outside the earth's coordinates")
        return LocalOrigin(heard.t, lat, lon, alt, self.names("odometry", "autopilot"))

    # --- sensors ---

    def _fix(self, heard: Heard) -> Sample | None:
        m = heard.message
        quality = QUALITY_OF_FIX.get(m.fix_type, 0)
        self.no_fix = quality == 0
        if self.no_fix:
            return None
        alt = m.alt * 1e-3 if m.fix_type >= 3 else NAN
        h_acc, v_acc = getattr(m, "h_acc", 0) * 1e-3, getattr(m, "v_acc", 0) * 1e-3
        if h_acc <= 0.0:
            h_acc = 2.5 * (m.eph * 0.01 if 0 < m.eph < 65535 else 2.0)
        v_acc = v_acc if v_acc > 0.0 else 1.5 * h_acc
        satellites = m.satellites_visible if m.satellites_visible < 255 else 0
        std = np.array([h_acc, h_acc, v_acc])
        name = self.names("gnss", "gnss")
        return GnssFix(heard.t, m.lat * 1e-7, m.lon * 1e-7, alt, std, quality, satellites, NAN, name)

    def _gnss_velocity(self, heard: Heard) -> list[Sample]:
        m = heard.message
        if m.vel == 65535 or m.cog == 65535:
            return []
        speed, course = m.vel * 0.01, math.radians(m.cog * 0.01)
        velocity = np.array([speed * math.sin(course), speed * math.cos(course), NAN])
        std = max(getattr(m, "vel_acc", 0) * 1e-3, 0.1)
        return [GnssVelocity(heard.t, velocity, std, self.names("gnss", "gnss"))]

    def _inertial(self, heard: Heard, seconds: float, gyro: Array, accel: Array) -> Sample | None:
        rank = IMU_RANK[heard.name]
        self._imu[rank] = heard.t
        if any(heard.t - t < IMU_ALIVE for r, t in self._imu.items() if r > rank):
            return None
        t = self.stamp(heard.t, seconds)
        return Imu(t, R_FLU_FRD @ _finite(gyro), R_FLU_FRD @ _finite(accel), self.names("imu", "imu"))

    def _highres(self, heard: Heard) -> Sample | None:
        m = heard.message
        gyro, accel = np.array([m.xgyro, m.ygyro, m.zgyro]), np.array([m.xacc, m.yacc, m.zacc])
        return self._inertial(heard, m.time_usec * 1e-6, gyro, accel)

    def _scaled(self, heard: Heard) -> Sample | None:
        """SCALED_IMU, and RAW_IMU as ArduPilot sends it: thousandths of g and of rad/s."""
        m = heard.message
        seconds = m.time_usec * 1e-6 if heard.name == "RAW_IMU" else m.time_boot_ms * 1e-3
        gyro = 1e-3 * np.array([m.xgyro, m.ygyro, m.zgyro], dtype=np.float64)
        accel = 1e-3 * GRAVITY * np.array([m.xacc, m.yacc, m.zacc], dtype=np.float64)
        return self._inertial(heard, seconds, gyro, accel)

    def _battery(self, heard: Heard) -> Sample | None:
        m = heard.message
        if m.id != 0:
            return None
        cells = [v * 1e-3 for v in m.voltages if v != 65535]
        voltage = sum(cells) if cells else NAN
        current = m.current_battery * 0.01 if m.current_battery >= 0 else NAN
        self.battery_share = m.battery_remaining * 0.01 if 0 <= m.battery_remaining <= 100 else NAN
        return Battery(heard.t, voltage, current, self.battery_share, self.names("battery", "battery"))

    def _sys_status(self, heard: Heard) -> None:
        if 0 <= heard.message.battery_remaining <= 100:
            self.battery_share = heard.message.battery_remaining * 0.01

    def _extended(self, heard: Heard) -> Sample | None:
        self.landed = LANDED.get(heard.message.landed_state, NAN)
        if math.isnan(self.landed):
            return None
        return JointState(heard.t, {"landed": self.landed}, source=self.names("joints", "flight_state"))


def _finite(v: Array) -> Array:
    if not np.all(np.isfinite(v)):
        raise ValueError("not finite")
    return np.asarray(v, dtype=np.float64)

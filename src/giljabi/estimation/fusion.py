"""Fusion of one sample after another into the filter; the whole state can be put aside and taken back.

`Fusion` knows no order of arrival: `EskfEstimator` calls it in the order of stamps and rolls it back for late ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import gammaincinv  # scipy.stats takes a second to import

from giljabi._core import estimation as core
from giljabi.estimation.frozen import EqualReadings, turned
from giljabi.estimation.mounting import Mounting
from giljabi.estimation.options import EskfOptions, missing_acceleration_density, turn_rate_density
from giljabi.estimation.streaks import Streak, next_streak
from giljabi.estimation.wheels import Wheels, wheel_speed
from giljabi.frames import LocalFrame, quat_from_rpy, quat_rotate
from giljabi.platform import Platform
from giljabi.types import (
    NAN,
    Array,
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    Origin,
    Sample,
    SpeedThroughWater,
)

ZERO = np.zeros(3)
UNKNOWN_YAW_STD = math.pi / math.sqrt(3.0)  # uniform over the circle
GOOD_FIX_STD = 30.0  # m, worst fix that may set the origin
GIVE_UP_S = 60.0  # without any sample so long the estimate starts anew
WHEELS_HZ = 20.0  # readings used
FRESH_S = 5.0  # a compass, wheels or a receiver count as present so long


@dataclass(slots=True)
class Memory:
    """Everything beside the filter that a roll-back must restore; values in it are replaced, never changed."""

    t: float = -math.inf  # time of the filter's state
    initialised: bool = False
    aligned: bool = False  # yaw is known
    turn_rate: bool = True  # the bias slot of yaw holds the negative turn rate
    saved_bias: tuple[float, float] | None = None  # gyro bias z and its std while turn_rate
    imu: core.ImuInput | None = None
    imu_t: float = -math.inf
    imu_source: str = ""
    imu_rank: int = 0
    gravity: tuple[float, float, float] | None = None  # low-passed specific force before the start
    velocity: tuple[float, GnssVelocity] | None = None
    heading: tuple[float, Heading] | None = None
    fix_t: float = -math.inf  # accepted
    velocity_t: float = -math.inf
    heading_t: float = -math.inf
    wheels: Wheels | None = None
    wheels_used_t: float = -math.inf
    course_t: float = -math.inf
    model_t: float = -math.inf
    log_t: float = -math.inf
    speed_t: float = -math.inf  # newest sample that told something of the speed
    by_log_t: float = math.inf  # since when the log has carried the estimate on; inf: it does not
    current: tuple[float, float] | None = None  # east, north [m/s]: what the log misses
    streaks: dict[str, Streak] = field(default_factory=dict)
    equal: dict[str, EqualReadings] = field(default_factory=dict)  # headings, by source


class Fusion:
    """Filter plus memory: `advance` to a time, `apply` a sample at it."""

    def __init__(self, platform: Platform, options: EskfOptions) -> None:
        self.options = options
        self.limits = platform.model.limits
        self.mounting = Mounting(platform)
        self.imu_timeout = self.mounting.timeout("imu", 0.3)
        self.filter = core.Eskf()
        self.memory = Memory()
        self.frame: LocalFrame | None = None
        self._noise = self._make_noise()
        self._handlers: dict[type, Callable[[Any], str]] = {
            Imu: self._imu,
            GnssFix: self._fix,
            GnssVelocity: self._gnss_velocity,
            Heading: self._heading,
            JointState: self._wheels,
            SpeedThroughWater: self._log,
        }

    def _make_noise(self) -> core.Noise:
        o, noise = self.options, core.Noise()
        noise.gyro, noise.accel = o.gyro_noise, o.accel_noise
        noise.gyro_bias_walk, noise.accel_bias_walk = o.gyro_bias_walk, o.accel_bias_walk
        noise.missing_acceleration = np.array(missing_acceleration_density(self.limits))
        noise.turn_rate_walk = turn_rate_density(self.limits)
        noise.gate = [2.0 * float(gammaincinv(0.5 * k, o.gate)) for k in (1, 2, 3)]
        return noise

    # --- roll-back ---

    def save(self) -> tuple[core.Eskf, Memory]:
        """A copy of everything that `apply` changes."""
        return self.filter.copy(), replace(self.memory)

    def load(self, saved: tuple[core.Eskf, Memory]) -> None:
        """Takes a copy back."""
        self.filter.assign(saved[0])
        self.memory = replace(saved[1])

    # --- time ---

    def input(self) -> core.ImuInput:
        """What the filter is told between samples: without yaw, accelerations have no direction in map."""
        m = self.memory
        if m.imu is None:
            return core.ImuInput()
        return m.imu if m.aligned else core.ImuInput(m.imu.angular_velocity, np.full(3, NAN))

    def advance(self, t: float, u: core.ImuInput | None = None) -> None:
        """Predicts to t with the inertial input `u` (default: the newest one, held until its timeout)."""
        m = self.memory
        if not m.initialised or t <= m.t:
            m.t = max(m.t, t)
            return
        if t - m.t > GIVE_UP_S:
            self.memory = Memory(t=t)
            return
        if m.imu is not None and t > m.imu_t + self.imu_timeout:
            end = max(m.t, m.imu_t + self.imu_timeout)
            self.filter.predict(end - m.t, self.input())
            m.t = end
            self._lose_imu()
        self.filter.predict(t - m.t, u or self.input())
        m.t = t

    def _lose_imu(self) -> None:
        self._set_turn_rate_mode(True)
        self.memory.imu, self.memory.imu_rank, self.memory.imu_source = None, 0, ""

    def _set_turn_rate_mode(self, on: bool) -> None:
        """Swaps the meaning of the yaw bias slot between gyro bias and negative turn rate."""
        m, f = self.memory, self.filter
        if on == m.turn_rate:
            return
        m.turn_rate = on
        if on:
            m.saved_bias = self._gyro_bias()
            rate = float(f.rate(m.imu)[2]) if m.imu is not None else 0.0
            f.reset_gyro_bias_z(-rate, 0.1 * self.limits.yaw_rate_max)
        else:
            f.reset_gyro_bias_z(*(m.saved_bias or (0.0, self.options.gyro_bias_std)))

    def _gyro_bias(self) -> tuple[float, float]:
        return float(self.filter.gyro_bias[2]), math.sqrt(float(self.filter.covariance[11, 11]))

    # --- samples ---

    def apply(self, sample: Sample) -> str:
        """Advances to the sample's stamp and fuses it; returns the reason when it was not used."""
        if not isinstance(sample, Imu):
            self.advance(sample.t)
        handler = self._handlers.get(type(sample))
        return handler(sample) if handler else "not for the estimator"

    def _imu(self, s: Imu) -> str:
        m = self.memory
        rate, force = self.mounting.imu_in_base(s)
        rank = int(np.isfinite(rate).sum() + np.isfinite(force).sum())
        fresh = m.imu is not None and s.t - m.imu_t <= self.imu_timeout
        if fresh and s.source != m.imu_source and rank <= m.imu_rank:
            return ""  # a better IMU is in use
        new = core.ImuInput(rate, force)
        same = m.imu is not None and s.source == m.imu_source
        if same and m.imu is not None and 0.0 < s.t - m.imu_t < 0.1:
            # Trapezoid: the mean of two samples is the input between them.
            held = self.input()
            both = core.ImuInput(0.5 * (rate + held.angular_velocity), 0.5 * (force + held.specific_force))
            self.advance(s.t, both)
        else:
            self.advance(s.t)
        m = self.memory
        if m.equal:
            m.equal = turned(m.equal, m.imu if same and fresh else None, float(rate[2]), s.t - m.imu_t)
        if m.initialised:
            self._set_turn_rate_mode(not math.isfinite(rate[2]))
        m.imu, m.imu_t, m.imu_source, m.imu_rank = new, s.t, s.source, rank
        if not m.initialised and np.isfinite(force).all():
            x, y, z = (0.9 * np.array(m.gravity or force) + 0.1 * force).tolist()
            m.gravity = (x, y, z)
        return ""

    def _fix(self, s: GnssFix) -> str:
        m, f = self.memory, self.filter
        std = np.maximum(s.std_enu, self.options.gnss_std_min)
        if not math.isfinite(std[2]) or std[2] <= 0.0:
            std[2] = 2.0 * float(max(std[0], std[1]))
        if not m.initialised:
            return self._start(s, std)
        assert self.frame is not None
        two_d = math.isnan(s.alt_m)
        z = self.frame.map_from_geodetic(s.lat_deg, s.lon_deg, self.frame.origin.alt_m if two_d else s.alt_m)
        lever = self._lever(s.source)
        if two_d:
            z[2], std[2] = f.position[2] + lever[2], NAN
        self._end_of_log(s.t)
        z = z + self.options.gnss_delay_s * f.velocity
        flat, level = np.array([z[0], z[1], NAN]), np.array([NAN, NAN, z[2]])
        reason = ""
        if not f.update_position(flat, std, lever).accepted:
            reason = "position jump"
            if self._believe("position", s.t, z[:2], 6.0 * float(max(std[0], std[1])), 1.5 * self.limits.speed_max):
                f.reset_position(np.array([*(z - self._lever_map(lever))[:2], NAN]), 2.0 * std)
                self._doubt_velocity(s.t)
                reason = ""
        if not reason:
            m.fix_t = m.speed_t = s.t
            self._settle("position")
        if not two_d and not f.update_position(level, std, lever).accepted:
            if self._believe("height", s.t, z[2:], 6.0 * std[2], 1.5 * self.limits.speed_max):
                f.reset_position(np.array([NAN, NAN, z[2] - self._lever_map(lever)[2]]), 2.0 * std)
                self._settle("height")
        elif not two_d:
            self._settle("height")
        self._vehicle_model(s.t)
        self._course(s.t)
        return reason

    def _start(self, s: GnssFix, std: Array) -> str:
        """First good fix: origin, position, attitude from gravity, yaw from a compass or the course."""
        m, o = self.memory, self.options
        if max(std[0], std[1]) > GOOD_FIX_STD:
            return "too coarse to start with"
        lever = self._lever(s.source)
        if self.frame is None:
            alt = 0.0 if math.isnan(s.alt_m) else s.alt_m - float(lever[2])
            self.frame = LocalFrame(Origin(s.lat_deg, s.lon_deg, alt))
        yaw, yaw_std = 0.0, UNKNOWN_YAW_STD
        if m.heading is not None and s.t - m.heading[0] < FRESH_S:
            yaw, yaw_std, m.aligned = m.heading[1].yaw, max(m.heading[1].std, o.heading_std_min), True
        roll, pitch, tilt_std = 0.0, 0.0, 0.05
        if m.gravity is not None:
            x, y, z = m.gravity
            roll, pitch, tilt_std = math.atan2(y, z), math.atan2(-x, math.hypot(y, z)), 0.1
        velocity, velocity_std = ZERO, 0.5 * self.limits.speed_max
        if m.velocity is not None and s.t - m.velocity[0] < 2.0:
            velocity = np.nan_to_num(m.velocity[1].velocity_enu)
            velocity_std = 2.0 * max(m.velocity[1].std, o.velocity_std_min)
        two_d = math.isnan(s.alt_m)
        alt = self.frame.origin.alt_m + float(lever[2]) if two_d else s.alt_m
        antenna = self.frame.map_from_geodetic(s.lat_deg, s.lon_deg, alt)
        lever = self._lever(s.source)
        f = core.Eskf()
        f.noise = self._noise
        f.quaternion = quat_from_rpy(roll, pitch, yaw)
        self.filter = f
        f.velocity = velocity
        f.position = antenna - self._lever_map(lever)
        m.turn_rate = m.imu is None or not math.isfinite(m.imu.angular_velocity[2])
        spread = [*std, velocity_std, velocity_std, min(velocity_std, 1.0)]
        spread += [tilt_std, tilt_std, yaw_std, *[o.gyro_bias_std] * 3, *[o.accel_bias_std] * 3]
        if m.turn_rate:
            spread[11] = 0.3 * self.limits.yaw_rate_max
        f.covariance = np.diag(np.square(spread))
        m.initialised, m.fix_t, m.speed_t, m.t = True, s.t, s.t, max(m.t, s.t)
        self._course(s.t)
        return ""

    def _lever(self, source: str) -> Array:
        """Lever arm of an antenna in base_link; with unknown yaw only its height counts."""
        lever = self.mounting.lever("gnss", source)
        if not self.memory.aligned:
            lever[:2] = 0.0
        return lever

    def _lever_map(self, lever: Array) -> Array:
        return quat_rotate(self.filter.quaternion, lever)

    def _gnss_velocity(self, s: GnssVelocity) -> str:
        m, f = self.memory, self.filter
        m.velocity = (s.t, s)
        if not m.initialised:
            return ""
        self._end_of_log(s.t)
        lag, lag_std = self._lag(s.t)
        std = math.hypot(max(s.std, self.options.velocity_std_min), lag_std)
        lever = self._lever(s.source)
        reason = ""
        if not f.update_velocity(s.velocity_enu + lag, np.full(3, std), lever, self.input()).accepted:
            reason = "velocity jump"
            if self._believe("velocity", s.t, s.velocity_enu[:2], 6.0 * std, 2.0 * self.limits.acceleration_max):
                f.reset_velocity(s.velocity_enu, np.full(3, 2.0 * std))
                reason = ""
        if not reason:
            m.velocity_t = m.speed_t = s.t
            self._settle("velocity")
            if m.wheels is not None:
                speed = float(np.hypot(s.velocity_enu[0], s.velocity_enu[1]))
                m.wheels = m.wheels.compared(s.t, speed, max(s.std, self.options.velocity_std_min))
        self._course(s.t)
        return reason

    def _lag(self, t: float) -> tuple[Array, float]:
        """What a receiver's speed lacks because it is late: (3,) m/s in map, and 1 sigma of what is not known of it."""
        w, f = self.memory.wheels, self.filter
        if w is None or t - w.t > 1.0:
            return ZERO, 0.0
        yaw, v = float(f.yaw), f.velocity
        ahead = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        turning = float(f.rate(self.input())[2]) * np.array([-v[1], v[0], 0.0])
        delay, spread = w.known_delay
        return delay * (w.acceleration * ahead + turning), spread * abs(w.acceleration)

    def _heading(self, s: Heading) -> str:
        m, f = self.memory, self.filter
        std = max(s.std, self.options.heading_std_min)
        if self._frozen(s, std):
            return "frozen"
        m.heading, m.heading_t = (s.t, s), s.t
        if not m.initialised:
            return ""
        if not m.aligned:
            self._align(s.yaw, std)
            return ""
        if f.update_yaw(s.yaw, std).accepted:
            self._settle("heading")
            return ""
        ahead = np.array([math.cos(s.yaw), math.sin(s.yaw)])
        if self._believe("heading", s.t, ahead, 6.0 * std, self.limits.yaw_rate_max):
            f.reset_yaw(s.yaw, 2.0 * std)
            self._settle("heading")
            return ""
        return "heading jump"

    def _frozen(self, s: Heading, std: float) -> bool:
        """Whether a heading only repeats itself; when it shows, yaw and bias go back to what the gyroscope says."""
        m = self.memory
        run = m.equal.get(s.source)
        if run is None or run.yaw != s.yaw:
            if m.initialised and m.aligned and not m.turn_rate and m.imu is not None:
                m.equal = {**m.equal, s.source: EqualReadings(s.yaw, s.t, *self._gyro_bias())}
            return False
        m.equal = {**m.equal, s.source: (after := run.again(s.t, std))}
        if after.frozen and not run.frozen:
            self.filter.reset_gyro_bias_z(run.bias, run.bias_std)
            self._align(s.yaw + run.turn, math.hypot(std, run.bias_std * (s.t - run.since)))
        return after.frozen

    def _wheels(self, s: JointState) -> str:
        m, f, o = self.memory, self.filter, self.options
        speed, resting = wheel_speed(s)
        if not math.isfinite(speed):
            return ""  # joints without wheels: nothing for the estimator
        m.wheels = m.wheels or Wheels.unknown(o.wheel_scale_std, o.gnss_delay_s, o.gnss_delay_std_s)
        m.wheels = w = m.wheels.measured(s.t, speed, resting)
        if not m.initialised or s.t - m.wheels_used_t < 0.9 / WHEELS_HZ:
            return ""
        m.wheels_used_t = s.t
        if w.standing:
            return self._standstill(s.t)
        if not m.aligned:
            return "heading unknown"
        speed, spread = w.true_speed
        # An error of the radius lasts: the readings of a second count as one.
        std = o.wheel_std + math.sqrt(WHEELS_HZ) * spread
        if f.update_body_velocity(np.array([speed, 0.0, 0.0]), np.array([std, std, 2.0 * std])).accepted:
            self._settle("wheels")
            return ""
        if self._believe("wheels", s.t, np.array([speed]), 6.0 * std, 2.0 * self.limits.acceleration_max):
            # Wheels and yaw cannot both be right: take yaw from the course again.
            self._settle("wheels")
            m.aligned = False
            self._course(s.t)
        return "wheels and estimate disagree"

    def _standstill(self, t: float) -> str:
        m, f = self.memory, self.filter
        if m.imu is not None:
            f.update_zero_rate(m.imu, 0.01)
        if f.update_velocity(ZERO, np.full(3, 0.05), ZERO, self.input()).accepted:
            self._settle("wheels")
            return ""
        if self._believe("wheels", t, np.zeros(1), 0.1, 0.0):
            f.reset_velocity(ZERO, np.full(3, 0.1))
        return "wheels at rest disagree"

    def _log(self, s: SpeedThroughWater) -> str:
        """Water moves: while position is known the log only teaches the current; in an outage it carries on with it."""
        m, f = self.memory, self.filter
        if not m.initialised or not m.aligned:
            return ""
        yaw = float(f.yaw)
        if s.t - max(m.fix_t, m.velocity_t) < FRESH_S:
            m.speed_t = s.t
            seen = f.velocity[:2] - s.speed * np.array([math.cos(yaw), math.sin(yaw)])
            old = np.array(m.current) if m.current else seen
            k = min(1.0, max(0.0, s.t - m.log_t) / 30.0)
            east, north = (old + k * (seen - old)).tolist()
            m.current, m.log_t = (east, north), s.t
            return ""
        east, north = m.current or (0.0, 0.0)
        along = s.speed + east * math.cos(yaw) + north * math.sin(yaw)
        # The current's error lasts: it is no noise of the log, or the speed would lag by it; `drift` accounts for it.
        spread = s.std if math.isfinite(m.by_log_t) else math.hypot(s.std, self.current_std)
        if not f.update_body_velocity(np.array([along, NAN, NAN]), np.full(3, spread)).accepted:
            return "log disagrees"
        m.log_t = m.speed_t = s.t
        m.by_log_t = min(m.by_log_t, s.t)
        return ""

    @property
    def current_std(self) -> float:
        """What is not known of the current [m/s]."""
        return self.options.current_std * (0.4 if self.memory.current else 1.0)

    def drift(self, t: float) -> tuple[float, float]:
        """What an unknown current has added since the log carries the estimate on: std of position [m], speed [m/s]."""
        lasted = t - self.memory.by_log_t
        return (self.current_std * lasted, self.current_std) if lasted >= 0.0 else (0.0, 0.0)

    def _end_of_log(self, t: float) -> None:
        """The receiver is back: the filter learns how far the current may have carried it."""
        place, speed = self.drift(t)
        if speed > 0.0:
            p = self.filter.covariance
            p[[0, 1], [0, 1]] += place**2
            p[[3, 4], [3, 4]] += speed**2
            self.filter.covariance = p
        self.memory.by_log_t = math.inf

    # --- what the vehicle is known to do ---

    def _vehicle_model(self, t: float) -> None:
        """Once a second: near level and no lasting climb, where no accelerometer says otherwise."""
        m, f = self.memory, self.filter
        if t - m.model_t < 0.9:
            return
        u = self.input()
        if not np.isfinite(u.specific_force).all() or not np.isfinite(u.angular_velocity[:2]).all():
            m.model_t = t
            f.update_level(0.05)
            f.update_velocity(np.array([NAN, NAN, 0.0]), np.full(3, 0.3), ZERO, u)

    def _course(self, t: float) -> None:
        """Without a compass: a moving vehicle points where it goes, within the sideslip."""
        m, f, o = self.memory, self.filter, self.options
        if not o.course_heading or t - m.heading_t < FRESH_S or t - m.course_t < 0.45:
            return
        speed, cov = float(np.hypot(f.velocity[0], f.velocity[1])), f.covariance
        spread = math.sqrt(max(0.0, 0.5 * float(cov[3, 3] + cov[4, 4])))
        if speed < o.course_speed_min or spread > 0.2 * speed:
            return
        m.course_t = t
        course = math.atan2(f.velocity[1], f.velocity[0])
        if not m.aligned or f.yaw_std > 0.6:
            self._align(course, math.hypot(spread / speed, o.sideslip_std))
        elif m.wheels is None or t - m.wheels.t > FRESH_S:
            # v_y = 0 in the body is course = heading, and says which of both is wrong.
            std = max(o.sideslip_std * speed, 0.05)
            if not f.update_body_velocity(np.array([NAN, 0.0, NAN]), np.full(3, std)).accepted:
                ahead = np.array([math.cos(course), math.sin(course)])
                if self._believe("course", t, ahead, 0.5, self.limits.yaw_rate_max):
                    m.aligned = False
                    self._align(course, math.hypot(spread / speed, o.sideslip_std))
            else:
                self._settle("course")

    def _align(self, yaw: float, std: float) -> None:
        """Sets yaw; keeps the antenna, which is what the fixes have held, where it is."""
        m, f = self.memory, self.filter
        antenna = f.position + self._lever_map(self._lever("gnss"))
        f.reset_yaw(yaw, std)
        m.aligned = True
        f.position = antenna - self._lever_map(self._lever("gnss"))
        self._settle("heading")
        self._settle("course")

    def _doubt_velocity(self, t: float) -> None:
        """After a position reset: nothing says that the velocity was better, unless a receiver does."""
        if t - self.memory.velocity_t > 1.5:
            self.filter.reset_velocity(self.filter.velocity, np.full(3, 0.5 * self.limits.speed_max))

    def _believe(self, kind: str, t: float, value: Array, tolerance: float, rate: float) -> bool:
        """True when a rejected source has agreed with itself for `recovery_s`; then its value shall be taken."""
        m = self.memory
        streak = next_streak(m.streaks.get(kind), t, tuple(float(v) for v in value), tolerance, rate)
        m.streaks = {**m.streaks, kind: streak}
        return streak.lasted(t, self.options.recovery_s)

    def _settle(self, kind: str) -> None:
        if kind == "wheels":
            self.memory.speed_t = self.memory.t
        if kind in self.memory.streaks:
            self.memory.streaks = {k: v for k, v in self.memory.streaks.items() if k != kind}

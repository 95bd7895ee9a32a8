"""Wheels against a satellite receiver: tyre radius and the receiver's delay, learnt while driving."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from giljabi.types import NAN, JointState

STANDSTILL_S = 0.5  # wheels at rest so long mean standstill
STANDSTILL_SPEED = 0.03  # m/s
SMOOTH_S = 0.3  # s, of the wheels' acceleration
SCALE_STD_MIN = 0.002  # tyres warm up, load shifts


@dataclass(frozen=True, slots=True)
class Wheels:
    """What is known of the wheels; every step gives a new one.

    The receiver tells now what was `delay` ago: wheel = scale (v_gnss + delay a). Scale and delay are two states of a
    small extended Kalman filter beside the main one, so that a tyre or a slow receiver does not pull the vehicle back.
    """

    scale: float
    delay: float
    P: tuple[float, float, float]  # variances of scale and delay, covariance
    t: float = -math.inf
    speed: float = NAN  # m/s as measured
    acceleration: float = 0.0  # m/s^2, smoothed
    rest_since: float = math.inf

    @staticmethod
    def unknown(scale_std: float, delay: float, delay_std: float) -> Wheels:
        """At the start: radius as the platform file says within scale_std, delay [s] of the receiver."""
        return Wheels(1.0, delay, (scale_std**2, delay_std**2, 0.0))

    def measured(self, t: float, speed: float, resting: bool) -> Wheels:
        """With a new reading."""
        dt = t - self.t
        a = self.acceleration
        if 0.0 < dt < 0.5 and math.isfinite(self.speed):
            a += min(1.0, dt / SMOOTH_S) * ((speed - self.speed) / dt - a)
        else:
            a = 0.0
        rest_since = (min(self.rest_since, t) if dt < 1.0 else t) if resting else math.inf
        return replace(self, t=t, speed=speed, acceleration=a, rest_since=rest_since)

    def compared(self, t: float, speed: float, std: float) -> Wheels:
        """With the receiver's speed over ground [m/s] at t."""
        if speed < 3.0 or not self.speed > 1.0 or t - self.t > 0.3:
            return self
        pss, pdd, psd = self.P
        lead = speed + self.delay * self.acceleration
        h = np.array([lead, self.scale * self.acceleration])
        P = np.array([[pss, psd], [psd, pdd]])
        # Receivers smooth: an error lasts for about ten samples, which then count as one.
        noise = 10.0 * std**2
        s = float(h @ P @ h) + noise
        error = self.speed - self.scale * lead
        if error * error > 16.0 * s:
            return self
        k = P @ h / s
        P = P - np.outer(k, h @ P)
        scale, delay = self.scale + float(k[0]) * error, self.delay + float(k[1]) * error
        P[0, 0] = max(float(P[0, 0]), SCALE_STD_MIN**2)
        cross = 0.5 * float(P[0, 1] + P[1, 0])
        return replace(self, scale=scale, delay=min(max(delay, 0.0), 0.5), P=(float(P[0, 0]), float(P[1, 1]), cross))

    @property
    def standing(self) -> bool:
        """At rest for long enough to mean it."""
        return self.t - self.rest_since >= STANDSTILL_S

    @property
    def true_speed(self) -> tuple[float, float]:
        """Speed over ground [m/s] and what the radius leaves uncertain of it (1 sigma)."""
        return self.speed / self.scale, math.sqrt(self.P[0]) * abs(self.speed)

    @property
    def known_delay(self) -> tuple[float, float]:
        """Delay of the receiver [s] and its standard deviation."""
        return self.delay, math.sqrt(self.P[1])


def wheel_speed(s: JointState) -> tuple[float, bool]:
    """Speed of the rear axle [m/s] (NaN without wheels) and whether every wheel is at rest.

    Rear wheels (`wheel_rl`, `wheel_rr`) when both are there: front wheels run a longer way in a turn.
    """
    wheels = {k: v for k, v in s.velocity.items() if k.startswith("wheel") and math.isfinite(v)}
    if not wheels:
        return NAN, False
    rear = [wheels[k] for k in ("wheel_rl", "wheel_rr") if k in wheels]
    used = rear if len(rear) == 2 else list(wheels.values())
    return sum(used) / len(used), all(abs(v) < STANDSTILL_SPEED for v in wheels.values())

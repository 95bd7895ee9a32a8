"""The wind, from how far a multirotor leans against it: thrust and weight leave over what the air pulls.

Only the direction of the thrust and the velocity over ground are needed. What the thrust gives beside gravity and the
change of velocity is drag, and the drag says how fast the air goes by; ground velocity less that is the wind.
"""

from __future__ import annotations

import math

import numpy as np

from giljabi.frames import matrix_from_quat
from giljabi.types import Array, Odometry, Wind

GRAVITY = 9.81
WINDOW_S = 1.0  # over which the change of velocity is taken
GAP_S = 0.3  # without an estimate: the window begins again
SETTLE_S = 10.0  # time constant of the mean
KNOWN_S = 10.0  # in the air, before anything is said
TILT_MIN = 0.5  # least cosine of the tilt


class WindWatch:
    """One vehicle's. linear [1/s] and quadratic [1/m]: drag by air speed, a share of the mass."""

    def __init__(self, linear: float, quadratic: float) -> None:
        self._linear, self._quadratic = linear, quadratic
        self._wind: Wind | None = None
        self._flown = 0.0
        self._begin: tuple[float, Array] | None = None  # of the window: time, velocity
        self._last = -math.inf
        self._sum, self._count = np.zeros(5), 0  # slope (2,), velocity (3,)

    @property
    def wind(self) -> Wind | None:
        """None until it is known."""
        return self._wind if self._flown >= KNOWN_S else None

    def step(self, odom: Odometry, flies: bool) -> None:
        """The newest estimate; flies: high enough that the ground does not matter."""
        up = matrix_from_quat(odom.quaternion)[:, 2]
        velocity = odom.velocity_map
        good = flies and up[2] > TILT_MIN and bool(np.isfinite(velocity).all())
        if not good or self._begin is None or not 0.0 <= odom.t - self._last < GAP_S:
            self._begin = (odom.t, velocity.copy()) if good else None
            self._sum, self._count = np.zeros(5), 0
            self._last = odom.t
            return
        self._last = odom.t
        self._sum += np.array([up[0] / up[2], up[1] / up[2], *velocity])
        self._count += 1
        if odom.t - self._begin[0] >= WINDOW_S:
            self._take(odom.t, velocity)

    def _take(self, t: float, velocity: Array) -> None:
        """One window is over."""
        assert self._begin is not None
        dt = t - self._begin[0]
        mean = self._sum / self._count
        change = (velocity - self._begin[1]) / dt
        drag = mean[:2] * (GRAVITY + change[2]) - change[:2]
        sample = mean[2:4] - self._air_speed(float(np.hypot(*drag))) * drag / max(float(np.hypot(*drag)), 1e-9)
        self._begin, self._sum, self._count = (t, velocity.copy()), np.zeros(5), 0
        self._flown += dt
        if self._wind is None:
            self._wind = Wind(t, sample, 0.0)
            return
        # A plain mean at first, then one that forgets.
        share = max(1.0 - math.exp(-dt / SETTLE_S), dt / self._flown)
        off = sample - self._wind.velocity
        variance = (1.0 - share) * (self._wind.std**2 + share * 0.5 * float(off @ off))
        self._wind = Wind(t, self._wind.velocity + share * off, math.sqrt(variance))

    def _air_speed(self, drag: float) -> float:
        """m/s at which the drag is so many m/s^2."""
        a, b = self._quadratic, self._linear
        return 2.0 * drag / (b + math.sqrt(b * b + 4.0 * a * drag))

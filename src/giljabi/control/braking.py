"""A way to rest with bounded deceleration and jerk, as a function of time."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Braking:
    """The quickest way from speed >= 0 [m/s] and deceleration >= 0 [m/s^2] to rest within `most` and `jerk`.

    The deceleration rises, stays at its peak and falls to 0 with the speed. One that is too much for the speed is
    taken for the greatest one that ends at rest.
    """

    speed: float
    slowing: float
    most: float
    jerk: float

    def phases(self) -> tuple[float, float, float]:
        """Seconds that the deceleration rises and stays, and its peak [m/s^2]; the rise is counted from none."""
        whole = self.speed + self._begin() ** 2 / (2.0 * self.jerk)  # speed at which it would have begun with none
        peak = min(math.sqrt(whole * self.jerk), self.most)
        return peak / self.jerk, (whole / peak - peak / self.jerk if peak > 0.0 else 0.0), peak

    def _begin(self) -> float:
        return min(self.slowing, self.most, math.sqrt(2.0 * self.jerk * self.speed))

    def at(self, t: float) -> tuple[float, float]:
        """Speed [m/s] and deceleration [m/s^2] t >= 0 seconds after the beginning."""
        rise, stay, peak = self.phases()
        t += self._begin() / self.jerk
        whole = peak * (rise + stay)
        if t <= rise:
            slowing = self.jerk * t
            return whole - 0.5 * slowing * t, slowing
        if t <= rise + stay:
            return whole - peak * (t - 0.5 * rise), peak
        left = max(2.0 * rise + stay - t, 0.0)
        return 0.5 * self.jerk * left**2, self.jerk * left

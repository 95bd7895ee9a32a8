"""A compass that repeats itself: readings equal to the last bit while the gyroscope turns.

A stuck heading looks perfect to a filter: no noise, always accepted, and the gyroscope's bias bends until it agrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from giljabi._core.estimation import ImuInput

TURN_MIN = math.radians(3.0)  # rad; more than the step of any compass in use
SIGMAS = 4.0
PATIENCE_S = 2.0  # a damped or slow compass has so long to show a turn


@dataclass(frozen=True, slots=True)
class EqualReadings:
    """A run of equal headings of one source, and what the gyroscope turned meanwhile.

    yaw: the reading [rad]; since: stamp of the first [s]; bias, bias_std: of the gyroscope about z when the run began
    [rad/s], before the readings could bend it; turn: integral of rate - bias [rad]; beyond: since when the turn is more
    than both can err [s].
    """

    yaw: float
    since: float
    bias: float
    bias_std: float
    turn: float = 0.0
    beyond: float = math.inf
    frozen: bool = False

    def turned(self, rate: float, dt: float) -> EqualReadings:
        """With `dt` [s] more of a measured rate about z [rad/s]."""
        return replace(self, turn=self.turn + (rate - self.bias) * dt)

    def limit(self, t: float, std: float) -> float:
        """Turn [rad] that readings of `std` [rad] may hide until `t`."""
        return max(TURN_MIN, SIGMAS * math.hypot(std, self.bias_std * (t - self.since)))

    def again(self, t: float, std: float) -> EqualReadings:
        """With one more equal reading at `t`."""
        if self.frozen or abs(self.turn) <= self.limit(t, std):
            return self if self.frozen or self.beyond == math.inf else replace(self, beyond=math.inf)
        beyond = min(self.beyond, t)
        return replace(self, beyond=beyond, frozen=t - beyond >= PATIENCE_S)

    def words(self, t: float) -> str:
        """What a person needs to hear."""
        return f"{t - self.since:.0f} s the same while the gyroscope turned by {math.degrees(abs(self.turn)):.0f} deg"


def turned(
    runs: Mapping[str, EqualReadings], before: ImuInput | None, after: float, dt: float
) -> dict[str, EqualReadings]:
    """Runs after `dt` [s] between two measured rates [rad/s]; none survives a gap (None, NaN) in the rates."""
    rate = math.nan if before is None else 0.5 * (float(before.angular_velocity[2]) + after)
    if not math.isfinite(rate):
        return {}
    return {source: run.turned(rate, dt) for source, run in runs.items()}

"""Can it still get home? Time and energy of a way in wind, against what the battery has left."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from giljabi.types import Array, BadInputError


@dataclass(frozen=True, slots=True)
class Craft:
    """What the check knows of the vehicle: power in hover and in cruise [W], cruise air speed [m/s], battery [J]."""

    hover_power: float
    cruise_power: float
    air_speed: float
    energy: float
    reserve: float = 0.2  # share of the battery that is not planned with
    climb: float = 2.0  # m/s
    sink: float = 1.5

    def __post_init__(self) -> None:
        values = (self.hover_power, self.cruise_power, self.air_speed, self.energy, self.climb, self.sink)
        if not all(math.isfinite(v) and v > 0.0 for v in values) or not 0.0 <= self.reserve < 1.0:
            raise BadInputError("range check: powers, speeds and energy above 0 and a reserve of 0 to 1 are expected")


@dataclass(frozen=True, slots=True)
class RangeCheck:
    """Verdict: `why` is empty when it gets home. Times [s], energies [J]."""

    time: float
    needed: float
    available: float
    why: str = ""


def ground_speed(along: Array, air_speed: float, wind: tuple[float, float]) -> float:
    """Speed over ground [m/s] along a unit vector (2,) in wind [m/s towards east, north]; 0 where it makes no way."""
    head = float(along[0] * wind[0] + along[1] * wind[1])
    cross = float(along[0] * wind[1] - along[1] * wind[0])
    left = air_speed**2 - cross**2
    return max(head + math.sqrt(left), 0.0) if left > 0.0 else 0.0


def way_cost(points: Array, craft: Craft, wind: tuple[float, float], speed: float) -> tuple[float, float, str]:
    """(s, J, why not) of a way through points (n, 3), flown at `speed` [m/s] over ground or what the wind leaves."""
    time = energy = 0.0
    for a, b in itertools.pairwise(points):
        level, rise = float(np.hypot(*(b - a)[:2])), float(b[2] - a[2])
        straight = 0.0
        if level > 1e-6:
            possible = ground_speed((b - a)[:2] / level, craft.air_speed, wind)
            if possible < 0.5:
                return (
                    math.inf,
                    math.inf,
                    f"the wind of {math.hypot(*wind):.1f} m/s leaves no way towards ({b[0]:.0f}, {b[1]:.0f})",
                )
            straight = level / min(possible, speed)
        upright = rise / craft.climb if rise > 0.0 else -rise / craft.sink
        leg = max(straight, upright)
        time += leg
        energy += leg * (
            craft.cruise_power if straight >= upright else craft.hover_power * (1.2 if rise > 0.0 else 1.0)
        )
    return time, energy, ""


def check_range(  # noqa: PLR0917
    points: Array, home: Array, craft: Craft, wind: tuple[float, float], share: float, speed: float
) -> RangeCheck:
    """Whether the way through points (n, 3) [m map], and from its end home, fits into what is left of the battery.

    share: 0..1 of the charge now; in flight the points are those that are left, the first where the vehicle is.
    """
    p = np.array(points, dtype=np.float64).reshape(-1, 3)
    if not np.all(np.isfinite(p)) or not np.all(np.isfinite(home)) or not math.isfinite(share) or not speed > 0.0:
        raise BadInputError("range check: points, home, charge and speed must be finite")
    top = max(float(p[-1, 2]), float(home[2]))
    back = np.array([p[-1], [p[-1, 0], p[-1, 1], top], [home[0], home[1], top], home])
    time, needed, why = way_cost(np.vstack([p, back[1:]]), craft, wind, speed)
    available = max(share - craft.reserve, 0.0) * craft.energy
    if not why and needed > available:
        wants, has = needed / craft.energy, available / craft.energy
        why = f"it needs {wants:.0%} of the battery, {has:.0%} may be used: {wants - has:.0%} short"
    return RangeCheck(time, needed, available, why)

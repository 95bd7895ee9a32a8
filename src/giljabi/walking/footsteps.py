"""Footsteps from a velocity command: where the next foot goes, inside what the legs reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from giljabi.types import Array
from giljabi.walking.walker_file import Gait

if TYPE_CHECKING:
    from giljabi.walking.planned import Steps

LEFT, RIGHT = 0, 1
SPEED_SLEW = 0.4  # m/s^2 and rad/s^2, of commanded velocities


@dataclass(frozen=True, slots=True)
class Foothold:
    """Middle of a sole on the ground."""

    xy: Array  # (2,) m
    yaw: float  # rad
    z: float = 0.0  # m, of the ground there

    def seen(self, xy: Array) -> Array:
        """A point (2,) of the ground in this foothold's axes."""
        return turn(xy - self.xy, -self.yaw)

    def at(self, xy: Array) -> Array:
        """A point (2,) of this foothold's axes on the ground."""
        return np.asarray(self.xy + turn(xy, self.yaw))


@dataclass(frozen=True, slots=True)
class Velocity:
    """What the robot should do: m/s forward and to the left, rad/s to the left; standing, its height."""

    forward: float = 0.0
    side: float = 0.0
    turn: float = 0.0
    height: float = math.inf  # m of the centre of mass while it stands; the gait's limits apply
    steps: Steps | None = None  # planned ones, in place of a velocity

    @property
    def still(self) -> bool:
        """Nothing to walk for."""
        return self.steps is None and abs(self.forward) < 1e-3 and abs(self.side) < 1e-3 and abs(self.turn) < 1e-3


def turn(v: Array, yaw: float) -> Array:
    """A vector (2,) turned by yaw."""
    c, s = math.cos(yaw), math.sin(yaw)
    x, y = v.tolist()
    return np.array([c * x - s * y, s * x + c * y])


def outward(side: int) -> float:
    """+1 for the left foot, -1 for the right: the direction away from the other."""
    return 1.0 if side == LEFT else -1.0


class Footsteps:
    """Chains of footholds for one gait."""

    def __init__(self, gait: Gait) -> None:
        self.gait = gait

    def next(self, stance: Foothold, side: int, command: Velocity, heading: float | None = None) -> Foothold:
        """Where foot `side` goes from `stance` (the other foot) for one step of the commanded velocity.

        heading: rad that the robot should have there; without it the stance foot's and the commanded turn.
        """
        g = self.gait
        out = outward(side)
        bend = command.turn * g.step_time if heading is None else wrap(heading - stance.yaw)
        bend = max(-g.turn_max, min(g.turn_max, bend))
        forward = command.forward * g.step_time
        lateral = command.side * g.step_time
        lateral = 2.0 * lateral if lateral * out > 0.0 else 0.0  # the leading foot opens, the other closes
        middle = turn(np.array([forward, out * g.width / 2 + lateral]), bend / 2)
        place = middle + turn(np.array([0.0, out * g.width / 2]), bend)
        return Foothold(stance.at(self.reach(place, side)), stance.yaw + bend, stance.z)

    def reach(self, place: Array, side: int) -> Array:
        """The nearest place (2,), in the stance foot's axes, that foot `side` can go to without touching the other."""
        return np.array(self.reach_xy(float(place[0]), float(place[1]), side))

    def reach_xy(self, x: float, y: float, side: int) -> tuple[float, float]:
        """As `reach`, in numbers."""
        g, out = self.gait, outward(side)
        return (
            max(-g.length_max, min(g.length_max, x)),
            out * max(g.width_min, min(g.width + g.side_max, out * y)),
        )

    def chain(self, stance: Foothold, first: Foothold, side: int, command: Velocity, count: int) -> list[Foothold]:
        """`first` (of foot `side`, beside `stance`) and the `count` - 1 footholds after it."""
        out = [first]
        while len(out) < count:
            side = RIGHT if side == LEFT else LEFT
            out.append(self.next(out[-1], side, command))
        return out


def wrap(angle: float) -> float:
    """An angle in (-pi, pi]."""
    return math.atan2(math.sin(angle), math.cos(angle))

"""Falls, seen before the ground is: no step within reach catches the body, or its tilt grows beyond what steps mend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from giljabi.types import Array
from giljabi.walking.footsteps import Foothold

if TYPE_CHECKING:
    from giljabi.walking.gait import Stride
    from giljabi.walking.walker_file import Walker

HORIZON_S = 0.12  # s that the tilt is carried on at its present rate
TILT = 0.6  # rad there, from which no step helps
LYING = 0.9  # rad now
LASTING_S = 0.016  # s that it must say so: noise and heel strikes do not
STEP_LEAST_S, STEP_MOST_S = 0.06, 0.15  # s that a swinging foot takes to come down at least and at most when it hurries
LIFT_OFF_S = 0.25  # s until a foot that stands can come down elsewhere
INNER = 0.02  # m past the outer edge of the standing foot, where no foot can go


class StepReach:
    """How far the divergent component of motion will be from what the next step reaches when it comes down."""

    def __init__(self, walker: Walker, omega: float) -> None:
        """omega: 1/s of the pendulum."""
        g, foot = walker.gait, walker.left_foot
        self._omega = omega
        self._half = (foot.half_length, foot.half_width)
        self._ahead = g.length_max + foot.half_length
        self._outwards = g.width + g.side_max + foot.half_width

    def beyond(self, divergent: Array, soles: list[Foothold], stride: Stride | None) -> float:
        """m; 0 where a step catches it. divergent: (2,) m; soles: left, right."""
        swinging = stride is not None and stride.t >= stride.double
        out = math.inf
        for side in (0, 1):
            if swinging and stride is not None and stride.side == side:
                continue
            t = LIFT_OFF_S
            if swinging and stride is not None:
                t = min(STEP_MOST_S, max(stride.duration - stride.t, STEP_LEAST_S))
            out = min(
                out, self._from(soles[side].seen(divergent), -1.0 if side == 0 else 1.0, math.exp(self._omega * t))
            )
        return out

    def _from(self, seen: Array, inwards: float, growth: float) -> float:
        """Standing on one foot, seen from it; the pressure in its sole is where it holds back most."""
        x, y = float(seen[0]), float(seen[1]) * inwards
        length, width = self._half
        px, py = max(-length, min(length, x)), max(-width, min(width, y))
        x, y = px + (x - px) * growth, py + (y - py) * growth
        return math.hypot(max(0.0, abs(x) - self._ahead), max(0.0, y - self._outwards, -width - INNER - y))


class FallWatch:
    """Latches `falling`; one `step` a tick."""

    def __init__(self) -> None:
        self.falling = False
        self._for_s = 0.0

    def step(self, dt: float, rotation: Array, gyro: Array, beyond: float = 0.0) -> bool:
        """Whether the robot falls, or has fallen.

        rotation: R_odom_base (3, 3); gyro: rad/s in the base; beyond: m, of `StepReach`.
        """
        up = rotation[2]
        tilt = math.acos(max(-1.0, min(1.0, float(up[2]))))
        flat = math.hypot(float(up[0]), float(up[1]))
        # the rate of the angle between base z and up: gyro about the axis (up x z) / |up x z|
        rate = 0.0 if flat < 1e-6 else (float(up[1]) * float(gyro[0]) - float(up[0]) * float(gyro[1])) / flat
        lost = tilt + HORIZON_S * rate > TILT or beyond > 0.0
        self._for_s = self._for_s + dt if lost else 0.0
        self.falling = self.falling or self._for_s >= LASTING_S - 1e-9 or tilt > LYING
        return self.falling

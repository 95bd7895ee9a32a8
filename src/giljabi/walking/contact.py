"""When the swinging foot meets the ground, from what the joints and the inertial sensor say; no switch in the sole."""

from __future__ import annotations

from collections import deque

MEMORY_S = 0.05  # s by which a foot may be behind its plan: servos, their bus, the sensors
SLOW = 0.4  # share of the planned speed below which a foot does not come down
FALLING = 0.7  # share from which it does
LEAST = 0.8  # share of a looking foot's speed: planned speed that tells anything
TICKS = 2  # that it must be so: a step of the encoders is none


class Touch:
    """Watches one swing: the foot's measured height no longer falls though the plan takes it down."""

    def __init__(self, dt: float, speed: float) -> None:
        """dt: s of a tick; speed: m/s of a foot that looks for the ground."""
        self._dt, self._least = dt, LEAST * speed
        self._planned: deque[float] = deque(maxlen=max(2, round(MEMORY_S / dt)))
        self._heights: deque[float] = deque(maxlen=3)
        self._for = 0
        self._fell = False  # it has been seen coming down

    def step(self, planned: float, height: float) -> bool:
        """Whether the foot is on the ground; planned: m/s upwards of the last tick; height: m, measured."""
        self._planned.append(planned)
        self._heights.append(height)
        falls = -max(self._planned)  # what every plan of the memory asked for
        if len(self._planned) < (self._planned.maxlen or 0) or falls < self._least:
            self._for = 0
            return False
        falling = (self._heights[0] - height) / (self._dt * (len(self._heights) - 1))
        self._fell = self._fell or falling > FALLING * falls
        self._for = self._for + 1 if self._fell and falling < SLOW * falls else 0
        return self._for >= TICKS

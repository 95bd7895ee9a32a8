"""Rejections in a row: a source that keeps agreeing with itself is believed in the end."""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Streak:
    """Rejections in a row of one source that agree with each other."""

    count: int
    first_t: float
    last_t: float
    value: tuple[float, ...]

    def lasted(self, t: float, wanted: float) -> bool:
        """Whether the source has agreed with itself for `wanted` seconds."""
        return self.count >= ENOUGH and t - self.first_t >= wanted


def next_streak(old: Streak | None, t: float, value: tuple[float, ...], tolerance: float, rate: float) -> Streak:
    """The streak with one more value; a new one where it differs by more than `tolerance` and `rate` a second."""
    if old is None or any(
        abs(a - b) > tolerance + rate * (t - old.last_t) for a, b in zip(value, old.value, strict=True)
    ):
        return Streak(1, t, t, value)
    return Streak(old.count + 1, old.first_t, t, value)

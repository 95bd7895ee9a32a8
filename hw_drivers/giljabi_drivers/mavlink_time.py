"""An autopilot's clock in stack time: TIMESYNC with outlier rejection, receive times until its answers have come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.clock import DRIFT, DeviceClock

FAST_S, SLOW_S = 0.1, 1.0  # between questions, before and after the clocks are known
ENOUGH = 10  # good answers until the slow pace
LONGEST_S = 0.5  # a round trip beyond this says nothing
SLACK_S = 0.002  # a round trip may take so much longer than the shortest one, or twice as long
JUMP_S = 0.02  # an offset that is further off than this is an outlier ...
RESTART = 5  # ... unless so many in a row agree: the autopilot has started anew
GAIN = 0.05  # of an answer in the estimate, after the first ones
WAITING = 16  # questions under way that are remembered


@dataclass(slots=True)
class TimeSync:
    """Offset between the autopilot's clock since boot and stack time."""

    offset: float = math.nan  # s, stack time minus the autopilot's
    round_trip: float = math.nan  # s, shortest of late
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    _next: float = -math.inf
    _asked: dict[int, float] = field(default_factory=dict)
    _last: float = -math.inf
    _odd: list[float] = field(default_factory=list)
    _fallback: DeviceClock = field(default_factory=DeviceClock)

    @property
    def next(self) -> float:
        """When the next question is due [s]."""
        return self._next

    def ask(self, now: float) -> Any | None:
        """A TIMESYNC question when one is due."""
        if now < self._next:
            return None
        self._next = now + (SLOW_S if self.accepted >= ENOUGH else FAST_S)
        stamp = round(now * 1e9)
        self._asked[stamp] = now
        while len(self._asked) > WAITING:
            del self._asked[next(iter(self._asked))]
        return dialect.MAVLink_timesync_message(0, stamp)

    def hear(self, t: float, message: Any) -> Any | None:
        """An answer is taken; a question (tc1 is 0) is answered with stack time."""
        if message.tc1 == 0:
            return dialect.MAVLink_timesync_message(round(t * 1e9), message.ts1)
        asked = self._asked.pop(message.ts1, None)
        reason = "not_asked" if asked is None else self._take(t, asked, message.tc1 * 1e-9)
        if reason:
            self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return None

    def _take(self, t: float, asked: float, theirs: float) -> str:
        trip = t - asked
        if not 0.0 <= trip <= LONGEST_S:
            return "round_trip"
        offset = 0.5 * (asked + t) - theirs
        if math.isnan(self.offset):
            self.offset, self.round_trip = offset, trip
        else:
            allowed = max(2.0 * self.round_trip, self.round_trip + SLACK_S)
            self.round_trip = min(trip, self.round_trip * 1.02 + 1e-5)
            if trip > allowed:
                return "round_trip"
            reason = self._judge(offset, trip)
            if reason:
                return reason
            gain = max(GAIN, 1.0 / (self.accepted + 1))
            self.offset += gain * (offset - self.offset)
        self._odd.clear()
        self.accepted += 1
        self._last = t
        return ""

    def _judge(self, offset: float, trip: float) -> str:
        """Empty for an offset that fits; a row of equal outliers means another clock."""
        if abs(offset - self.offset) <= JUMP_S + DRIFT + 0.5 * trip:
            return ""
        self._odd = [o for o in self._odd if abs(o - offset) <= JUMP_S] + [offset]
        if len(self._odd) < RESTART:
            return "outlier"
        self.offset, self.accepted, self.restarts = offset, 0, self.restarts + 1
        return ""

    def map(self, received: float, stamp: float) -> float:
        """Stack time [s] of the autopilot's `stamp` [s since boot], never after its arrival."""
        fallback = self._fallback.map(received, stamp)
        t = stamp + self.offset if not math.isnan(self.offset) else fallback
        # A stamp far from its arrival comes from a clock that was set anew before TIMESYNC has noticed.
        return min(t if 0.0 <= received - t < 1.0 else min(fallback, received), received)

"""When a periodic step runs: at its rate, but moved to the arrival of the data it waits for."""

from __future__ import annotations


class Pace:
    """At most `rate_hz`; right after data when data comes at least that often, else by timer.

    Waiting for the next timer tick would add half a period at every hop between sensor and actuator.
    """

    def __init__(self, rate_hz: float) -> None:
        self.period = 1.0 / rate_hz
        self._due = -1e18  # no earlier than this
        self._by_data = -1e18  # last run that data triggered

    def _run(self, now: float) -> bool:
        # The average rate is kept while runs come a little early or late; a long gap is not made up.
        self._due = max(self._due + self.period, now + 0.5 * self.period)
        return True

    def arrived(self, now: float) -> bool:
        """Data came: true when the step shall run now."""
        if now < self._due - 0.25 * self.period:
            return False
        self._by_data = now
        return self._run(now)

    def timer(self, now: float) -> bool:
        """The timer, which ticks at the rate: true when the step shall run now."""
        wait = 0.5 if now - self._by_data < 2.5 * self.period else -0.25
        return now >= self._due + wait * self.period and self._run(now)

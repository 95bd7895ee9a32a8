"""One sample per epoch out of several sentences, and the date that belongs to a time of day."""

from __future__ import annotations

import calendar
import datetime
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from giljabi.types import NAN

S = TypeVar("S")
DAY = 86400.0
GPS_ROLLOVER = 1024 * 7 * DAY  # the week number of old receivers has 10 bits


@dataclass(frozen=True, slots=True)
class _Offer(Generic[S]):
    t: float
    key: float  # time of day of the epoch [s]; NaN when the sentence tells none
    rank: int
    content: Hashable
    sample: S


@dataclass(slots=True)
class EpochFilter(Generic[S]):
    """Passes one sample per epoch, from the best sentence that carries it; nothing is lost.

    The best sentence passes at once. A lesser one waits for the better one only while that has been seen lately,
    and passes when the next epoch begins or when the better one is overdue. So a corrupted line costs a short
    delay, not a sample.
    """

    interval: float = 1.0  # of epochs [s], learnt
    gap: float = 0.1  # from a lesser to the better sentence of one epoch [s], learnt
    seen: dict[int, float] = field(default_factory=dict)
    pending: _Offer[S] | None = None
    passed: _Offer[S] | None = None

    @property
    def deadline(self) -> float:
        """When flush() wants to be called [s]."""
        if self.pending is None:
            return math.inf
        return self.pending.t + min(max(2.0 * self.gap, 0.05), 0.9 * self.interval)

    def offer(self, t: float, key: float, rank: int, content: Hashable, sample: S) -> list[S]:
        """A new sample; returns what may pass. content: tells two samples of the same kind and time apart."""
        new = _Offer(t, key, rank, content, sample)
        self.seen[rank] = t
        out: list[S] = []
        if self.pending is not None:
            if not self._same(self.pending, new):
                out.append(self._pass(self.pending))
            elif rank > self.pending.rank:
                self.gap += 0.3 * (max(t - self.pending.t, 0.0) - self.gap)
                self.pending = None
            else:
                return out
        if self.passed is not None and self._same(self.passed, new) and self.passed.rank >= rank:
            return out
        if any(r > rank and abs(t - last) < max(3.0 * self.interval, 2.0) for r, last in self.seen.items()):
            self.pending = new
        else:
            out.append(self._pass(new))
        return out

    def flush(self, now: float) -> list[S]:
        """Passes what has waited long enough."""
        return [self._pass(self.pending)] if self.pending is not None and now >= self.deadline else []

    def _pass(self, offer: _Offer[S]) -> S:
        if self.passed is not None and not self._same(self.passed, offer):
            dt = offer.t - self.passed.t
            if dt > 0.01:
                self.interval += 0.3 * (min(dt, 1.0) - self.interval)
        if offer is self.pending:
            self.pending = None
        self.passed = offer
        return offer.sample

    def _same(self, a: _Offer[S], b: _Offer[S]) -> bool:
        """Whether two sentences tell of one epoch."""
        if a.rank == b.rank:
            return a.key == b.key and a.content == b.content
        if math.isnan(a.key) or math.isnan(b.key):
            return abs(a.t - b.t) < 0.5 * self.interval
        return a.key == b.key


@dataclass(slots=True)
class UtcTracker:
    """UTC as data: joins times of day to the last date, over midnight and over GPS week rollovers."""

    utc: float = NAN  # last full UTC [epoch s]
    t: float = NAN  # its receive time
    offset: float = 0.0  # whole rollovers to add [s]

    def set_date(self, t: float, year: int, month: int, day: int, clock: float) -> None:
        """A date with its time of day; ValueError when there is no such day."""
        datetime.date(year, month, day)
        raw = calendar.timegm((year, month, day, 0, 0, 0)) + clock
        predicted = self.utc + (t - self.t)
        for k in (1, -1):  # the receiver's week rolled over while we listened, or it mended itself
            if abs(raw + self.offset + k * GPS_ROLLOVER - predicted) < 2 * DAY:
                self.offset += k * GPS_ROLLOVER
        for k in (1, 2):  # it had rolled over before: the receive clock agrees to within a week with the mended date
            if abs(raw + k * GPS_ROLLOVER - t) < 7 * DAY:
                self.offset = k * GPS_ROLLOVER
        self.utc, self.t = raw + self.offset, t

    def learn_date(self, t: float, values: Mapping[str, Any]) -> bool:
        """Takes the date of a sentence (`Sentence.values()`) where it tells one with a time of day."""
        clock, day, month, year = (values.get(k) for k in ("utc_of_day_s", "day", "month", "year"))
        if clock is None or day is None or month is None or year is None:
            return False
        self.set_date(t, full_year(year) if year < 100 else year, month, day, clock)
        return True

    def resolve(self, t: float, clock: float) -> float:
        """UTC [epoch s] of a time of day received at t, on the day nearest to what is expected; NaN without a date."""
        predicted = self.utc + (t - self.t)
        if math.isnan(predicted) or math.isnan(clock):
            return NAN
        midnight = math.floor(predicted / DAY) * DAY
        self.utc = min((midnight + d * DAY + clock for d in (-1, 0, 1)), key=lambda u: abs(u - predicted))
        self.t = t
        return self.utc


def full_year(two_digits: int) -> int:
    """Year of an RMC date: 80 to 99 lie in the 20th century, GPS began in 1980."""
    return two_digits + (1900 if two_digits >= 80 else 2000)

"""How vehicles agree on ways without a server, whatever is lost or late.

Members have a fixed order. A vehicle takes a new way only when every member before it in the order has agreed to it,
and every other member has heard of it; one agrees only to what keeps its distance from the way it is on and the one it
wants, and keeps clear of what it has agreed to ever after, until the other says that it took it or gave it up. So of
any two vehicles the earlier one knows every way that the later one can be on, at any time, and messages that are lost
or late cost time, never distance.

Who was not heard of for SILENT_S is silent: what it can be on is known (its way and its wish, and all below them), for
its wishes have run out, and who calls it silent does not hear of new ones. The others go on without it when all of them
call it silent and they are more than half of the members (or just half, with the first of the order): of two such
groups one member would be in both, and it does not call both silent. Who was called silent itself since it last heard
of another one may have missed a way of that one, and waits for word of it. A silent one that speaks again is asked
again from then on.

A vehicle that is started anew does not know what it has agreed to before: it wants nothing until that has run out, and
until it has heard of every member. Numbers begin at the stack time in milliseconds, so that they rise over a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from giljabi.fleet.intent import Intent, Way

PROMISE_S = 5.0  # a wish must be taken within it
# More than PROMISE_S, so that no wish of a silent one can still be taken. Of ten messages a second, up to 0.3 s late,
# 57 in a row must be lost: 0.2^57 = 1e-40 with a loss of 20 %, 0.6^57 = 2e-13 with 60 %.
SILENT_S = 6.0
SLACK_S = 0.1  # of times that were rounded in messages
AGO_S = 0.3  # who is not silent was so longer ago, as it is told

Clear = Callable[[Way, Way, float], bool]  # whether two ways keep their distance from a time on


@dataclass(slots=True)
class _Other:
    """What is known of another member: its newest message, and what was agreed."""

    news: Intent
    agreed: int = 0  # number of its newest wish that was agreed to
    promised: Way | None = None  # that wish, while it may still be taken
    mine: int = 0  # newest wish of ours that it has agreed to


@dataclass(slots=True)
class Agreement:
    """One vehicle's part. members: all names in their order, this one's among them; began: stack time of its start."""

    vehicle: str
    members: Sequence[str]
    clear: Clear
    way: Way
    began: float
    way_number: int = 0
    wish: Way | None = None
    wish_number: int = 0
    _before: float = 0.0  # the wish must be taken until then [s]
    _asked: float = 0.0  # when it was asked for [s]
    _told: int = 0  # number of the first message with it
    _number: int = 0
    _others: dict[str, _Other] = field(default_factory=dict)
    _silent: dict[str, float] = field(default_factory=dict)  # when each other one was silent last [s]

    def __post_init__(self) -> None:
        if self.vehicle not in self.members or len(set(self.members)) != len(self.members):
            raise ValueError(f"'{self.vehicle}' is not one of the members, or a name stands twice")
        self._number = self.wish_number = max(round(1e3 * self.began), 1)
        self._silent = {m: self.began for m in self.members if m != self.vehicle}  # before: who knows?

    @property
    def _earlier(self) -> Sequence[str]:
        return self.members[: self.members.index(self.vehicle)]

    def missing(self) -> list[str]:
        """Members that nothing was ever heard of: until it is known where they are nobody moves."""
        return [m for m in self.members if m != self.vehicle and m not in self._others]

    def ready(self, now: float) -> bool:
        """Whether it may want anything."""
        return now - self.began > PROMISE_S and not self.missing() and not self.waits(now)

    def heard(self, member: str) -> float | None:
        """When the newest message of a member was made [s]; None before the first."""
        other = self._others.get(member)
        return other.news.t if other is not None else None

    def silent(self, now: float) -> list[str]:
        """Members that were heard of, but not lately."""
        out = [name for name, other in self._others.items() if now - other.news.t > SILENT_S]
        for name in out:
            self._silent[name] = now
        return out

    def waits(self, now: float) -> str:
        """Why it may take nothing while some are silent, in words; empty when it may, or none is."""
        silent = self.silent(now)
        if not silent:
            return ""
        group = [m for m in self.members if m not in silent]
        without = f"{', '.join(silent)} silent"
        if 2 * len(group) < len(self.members) or (2 * len(group) == len(self.members) and self.members[0] in silent):
            return f"{without}: {len(group)} of {len(self.members)} are too few to go on"
        for m in group:
            other = self._others.get(m)
            if other is None:
                continue
            news = other.news
            if any(news.t - news.silent.get(s, -math.inf) > SLACK_S for s in silent):
                return f"{without}; {m} does not say so yet"
            since = news.silent.get(self.vehicle, news.t) + PROMISE_S + AGO_S + SLACK_S
            for s in silent:
                if self._others[s].news.t <= since:
                    return f"{without}, and may have taken a way that was not heard of"
        return ""

    def taken(self, now: float) -> Iterator[Way]:
        """Every way that another member may be on, as far as it is known here."""
        silent = self.silent(now)
        for name, other in self._others.items():
            ways = [other.news.way, other.promised]
            if name in silent:
                ways = [None if w is None else replace(w, below=True) for w in (*ways, other.news.wish)]
            yield from (w for w in ways if w is not None)

    def want(self, now: float, way: Way, before: float) -> None:
        """Asks for a way, to be taken until `before` [s]; an older wish is given up."""
        self.wish_number += 1
        self.wish, self._before, self._asked, self._told = way, before, now, self._number + 1

    def _give_up(self) -> None:
        self.wish, self.wish_number = None, self.wish_number + 1

    def step(self, now: float) -> bool:
        """Takes the wish when all who must have agreed; gives it up when it is too late. True: a new way."""
        if self.wish is None:
            return False
        if now > self._before or now > self._asked + PROMISE_S:
            self._give_up()
            return False
        if self.missing() or self.waits(now) or not self._allowed(self.silent(now)):
            return False
        # What was agreed to meanwhile was measured against this wish; ways heard of since were not.
        if not all(self.clear(self.wish, way, now) for way in self.taken(now)):
            return False
        self.way, self.way_number, self.wish = self.wish, self.wish_number, None
        return True

    def _allowed(self, silent: Sequence[str]) -> bool:
        """Whether all others have heard of the wish, and those before this one have agreed to it."""
        earlier = self._earlier
        for name, other in self._others.items():
            if name in silent:
                continue
            if other.news.heard.get(self.vehicle, 0) < self._told:
                return False
            if name in earlier and other.mine != self.wish_number:
                return False
        return True

    def hear(self, m: Intent, now: float) -> None:
        """Takes a message in; older ones than the newest of a member, own ones and strangers' change nothing."""
        if m.vehicle == self.vehicle or m.vehicle not in self.members:
            return
        was_silent = m.vehicle in self.silent(now)
        other = self._others.get(m.vehicle)
        if other is None:
            other = self._others[m.vehicle] = _Other(m)
        elif m.number <= other.news.number:
            return
        other.news = m
        if was_silent and self.wish is not None:  # it was not asked
            self._give_up()
        other.mine = max(other.mine, m.agreed.get(self.vehicle, 0))
        if (other.promised is not None and m.wish_number > other.agreed) or m.way_number >= other.agreed > 0:
            other.promised = None  # given up, or taken
        later = self.members.index(m.vehicle) > self.members.index(self.vehicle)
        if later and m.wish is not None and m.wish_number > other.agreed and self._agrees(m.wish, now):
            other.agreed, other.promised = m.wish_number, m.wish

    def _agrees(self, wish: Way, now: float) -> bool:
        return self.clear(self.way, wish, now) and (self.wish is None or self.clear(self.wish, wish, now))

    def say(self, now: float) -> Intent:
        """The message of now."""
        self._number += 1
        silent = self.silent(now)
        agreed = {name: other.agreed for name, other in self._others.items() if other.agreed > 0}
        heard = {name: other.news.number for name, other in self._others.items() if name not in silent}
        wish = self.wish.since(now) if self.wish is not None else None
        return Intent(
            self.vehicle, now, self._number, self.way.since(now), self.way_number, wish, self.wish_number, agreed,
            heard, {name: t if name in silent else min(t, now - AGO_S) for name, t in self._silent.items()},
        )  # fmt: skip

"""How vehicles agree on ways without a server, whatever is lost or late.

Members have a fixed order. A vehicle takes a new way only when every member before it in the order has agreed to it;
one agrees only to what keeps its distance from the way it is on and the one it wants, and keeps clear of what it has
agreed to ever after, until the other says that it took it or gave it up. So of any two vehicles the earlier one knows
every way that the later one can be on, at any time, and messages that are lost or late cost time, never distance.

A vehicle that is started anew does not know what it has agreed to before: it wants nothing until that has run out.
Numbers begin at the stack time in milliseconds, so that they rise over a restart, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from giljabi.fleet.intent import Intent, Way

PROMISE_S = 5.0  # a wish must be taken within it

Clear = Callable[[Way, Way, float], bool]  # whether two ways keep their distance from a time on


@dataclass(slots=True)
class _Other:
    """What is known of another member."""

    number: int
    way: Way
    way_number: int
    wish_number: int = 0
    agreed: int = 0  # number of its newest wish that was agreed to
    promised: Way | None = None  # that wish, while it may still be taken
    mine: int = 0  # newest wish of ours that it has agreed to
    t: float = 0.0  # of its newest message [s]


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
    _number: int = 0
    _others: dict[str, _Other] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vehicle not in self.members or len(set(self.members)) != len(self.members):
            raise ValueError(f"'{self.vehicle}' is not one of the members, or a name stands twice")
        self._number = self.wish_number = max(round(1e3 * self.began), 1)

    @property
    def _earlier(self) -> Sequence[str]:
        return self.members[: self.members.index(self.vehicle)]

    def missing(self) -> list[str]:
        """Members that nothing was ever heard of: until it is known where they are nobody moves."""
        return [m for m in self.members if m != self.vehicle and m not in self._others]

    def ready(self, now: float) -> bool:
        """Whether it may want anything."""
        return now - self.began > PROMISE_S and not self.missing()

    def heard(self, member: str) -> float | None:
        """When the newest message of a member was made [s]; None before the first."""
        other = self._others.get(member)
        return other.t if other is not None else None

    def taken(self) -> Iterator[Way]:
        """Every way that another member may be on, as far as it is known here."""
        for other in self._others.values():
            yield other.way
            if other.promised is not None:
                yield other.promised

    def want(self, now: float, way: Way, before: float) -> None:
        """Asks for a way, to be taken until `before` [s]; an older wish is given up."""
        self.wish_number += 1
        self.wish, self._before, self._asked = way, before, now

    def step(self, now: float) -> bool:
        """Takes the wish when all who must have agreed; gives it up when it is too late. True: a new way."""
        if self.wish is None:
            return False
        if now > self._before or now > self._asked + PROMISE_S:
            self.wish, self.wish_number = None, self.wish_number + 1
            return False
        agreed = all(m in self._others and self._others[m].mine == self.wish_number for m in self._earlier)
        # What was agreed to meanwhile was measured against this wish; ways heard of since were not.
        if not agreed or not all(self.clear(self.wish, way, now) for way in self.taken()):
            return False
        self.way, self.way_number, self.wish = self.wish, self.wish_number, None
        return True

    def hear(self, m: Intent, now: float) -> None:
        """Takes a message in; older ones than the newest of a member, own ones and strangers' change nothing."""
        if m.vehicle == self.vehicle or m.vehicle not in self.members:
            return
        other = self._others.get(m.vehicle)
        if other is None:
            other = self._others[m.vehicle] = _Other(m.number, m.way, m.way_number)
        elif m.number <= other.number:
            return
        other.number, other.way, other.way_number, other.t = m.number, m.way, m.way_number, m.t
        other.mine = max(other.mine, m.agreed.get(self.vehicle, 0))
        if (other.promised is not None and m.wish_number > other.agreed) or m.way_number >= other.agreed > 0:
            other.promised = None  # given up, or taken
        other.wish_number = m.wish_number
        later = self.members.index(m.vehicle) > self.members.index(self.vehicle)
        if later and m.wish is not None and m.wish_number > other.agreed and self._agrees(m.wish, now):
            other.agreed, other.promised = m.wish_number, m.wish

    def _agrees(self, wish: Way, now: float) -> bool:
        return self.clear(self.way, wish, now) and (self.wish is None or self.clear(self.wish, wish, now))

    def say(self, now: float) -> Intent:
        """The message of now."""
        self._number += 1
        agreed = {name: other.agreed for name, other in self._others.items() if other.agreed > 0}
        wish = self.wish.since(now) if self.wish is not None else None
        return Intent(
            self.vehicle, now, self._number, self.way.since(now), self.way_number, wish, self.wish_number, agreed
        )

"""The messages of one bus under watch: checks, counts, rates and silences, in C++; the words for people, here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from giljabi._core.can import Watch
from giljabi_drivers.can_checks import MessageOptions
from giljabi_drivers.contract import DriverStats, Received
from giljabi_drivers.dbc import Message

NOT_REJECTED = ("accepted", "other", "counter_skipped")
ERRORS = ("checksum", "short", "counter_repeated", "counter_invalid", "counter_skipped")
SHOWN_MAX = 64  # messages in the diagnostics


class MessageWatch:
    """Every message that is listened to, by its index in the order of `add`."""

    def __init__(self, options: Mapping[str, MessageOptions], bus: int | None) -> None:
        """options: of the platform file, by message; bus: frames of others are not ours, None takes all."""
        self._core = Watch(Received, -1 if bus is None else bus)
        self._required = {n for n, o in options.items() if o.required}
        self._messages: list[Message] = []

    @property
    def keys(self) -> list[int]:
        """Identifiers, bit 31 set for the extended format."""
        return [m.key for m in self._messages]

    def add(self, message: Message, wanted: bool, counted: bool) -> int:
        """Watches a message. wanted: feed() gives its frames out; counted: its counter is watched, too."""
        self._messages.append(message)
        return self._core.add(message, wanted, counted)

    def feed(self, frames: Sequence[Received], stats: DriverStats) -> list[tuple[int, Received]]:
        """Checks and counts frames; returns those that are right and wanted, with their message's index."""
        if not frames:
            return []
        out, counts = self._core.feed(frames)
        for reason, n in counts.items():
            if reason not in NOT_REJECTED:
                stats.reject(reason, n)
        other, skipped = counts.get("other", 0), counts.get("counter_skipped", 0)
        stats.accepted += counts.get("accepted", 0) + other
        if other:
            stats.ignored["other"] = stats.ignored.get("other", 0) + other
        if skipped:
            stats.flagged["counter_skipped"] = stats.flagged.get("counter_skipped", 0) + skipped
        return out

    def expire(self, now: float) -> float:
        """Notes what is silent for 2.5 periods by now [s], with all fed that came; returns the next such time."""
        return self._core.expire(now)

    def told(self, name: str) -> dict[str, float]:
        """Counts by verdict, `last_t`, `interval_s`, `period_s` [s] and `stale` of a message; KeyError for others."""
        return self._core.told(self._index(name))

    def values(self, name: str) -> dict[str, float]:
        """Newest signals of a message in the units of its database, NaN before; KeyError for others."""
        return self._core.values(self._index(name))

    def problems(self, now: float) -> dict[str, str]:
        """Required messages that are silent."""
        out = {}
        for i, m in enumerate(self._messages):
            if m.name not in self._required:
                continue
            told = self._core.told(i)
            if not math.isfinite(told["last_t"]):
                out[m.name] = f"no frame of {m.name} yet; check identifier, bus and checksum"
            elif told["stale"]:
                out[m.name] = f"no frame of {m.name} for {now - told['last_t']:.2f} s"
        return out

    def diagnostics(self, now: float) -> dict[str, str]:
        """A line for each message that was heard: rate, frames taken, errors, silence."""
        out = {}
        for i, m in enumerate(self._messages):
            told = self._core.told(i)
            if any(told[v] for v in ("accepted", *ERRORS)):
                out[m.name] = _words(told, now)
        if len(out) > SHOWN_MAX:
            more = len(out) - SHOWN_MAX
            out = dict(list(out.items())[:SHOWN_MAX]) | {"more": f"{more} messages"}
        return out

    def _index(self, name: str) -> int:
        for i, m in enumerate(self._messages):
            if m.name == name:
                return i
        raise KeyError(name)


def _words(told: Mapping[str, float], now: float) -> str:
    silent = now - told["last_t"]
    rate = 1.0 / told["interval_s"] if told["interval_s"] > 0.0 else 0.0
    parts = [f"{0.0 if told['stale'] else rate:.1f} Hz", f"{told['accepted']:.0f} taken"]
    parts += [f"{told[e]:.0f} {e}" for e in ERRORS if told[e]]
    if told["silences"]:
        parts.append(f"{told['silences']:.0f} silences")
    if told["stale"]:
        parts.append(f"silent for {silent:.2f} s")
    return ", ".join(parts)

"""The autopilot's own parameters, as the platform file wants them: read, written while it is disarmed, read back.

mavlink.io/en/services/parameter.html; ArduPilot carries integers as floats, PX4 byte by byte.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from giljabi_drivers.mavlink_requests import Exchanges, Parameter

AGAIN_S = 10.0  # after one that was not answered or did not take


@dataclass(slots=True)
class Wanted:
    """Keeps parameters at their wanted values; one question at a time."""

    target: tuple[int, int]
    values: Mapping[str, float]
    bytewise: bool = False  # integers on the wire: as the bytes of the float, not as its value
    words: str = ""  # why the vehicle should not arm yet
    _left: list[str] = field(default_factory=list)
    _asked: Parameter | None = None
    _wait: float = -math.inf

    def __post_init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """The autopilot may be another one, or a new boot of it: all are asked for again."""
        self._left, self._asked, self._wait = list(self.values), None, -math.inf
        self.words = "the autopilot's parameters are not read yet" if self._left else ""

    def update(self, now: float, armed: bool, exchanges: Exchanges) -> None:
        """One step; queues what is to be asked."""
        asked = self._asked
        if asked is not None:
            if not asked.done:
                return
            self._answered(now, asked, armed, exchanges)
        if self._left and self._asked is None and now >= self._wait:
            self._ask(exchanges, Parameter(self.target, self._left[0], bytewise=self.bytewise))

    def _ask(self, exchanges: Exchanges, question: Parameter) -> None:
        self._asked = question
        exchanges.add(question)

    def _answered(self, now: float, asked: Parameter, armed: bool, exchanges: Exchanges) -> None:
        self._asked = None
        wanted = self.values[asked.name]
        if asked.error:
            self.words, self._wait = asked.error, now + AGAIN_S
            self._left.append(self._left.pop(0))
        elif asked.is_at(wanted):
            self._left.remove(asked.name)
            if not self._left:
                self.words = ""
        elif armed:
            self.words, self._wait = f"parameter {asked.name} is {asked.value:g}, {wanted:g} is wanted", now + AGAIN_S
        else:
            self._ask(exchanges, Parameter(self.target, asked.name, wanted, asked.type, self.bytewise))

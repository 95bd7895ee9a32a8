"""What an autopilot stores: mission, fence, rally points and parameters, by MAVLink's own protocols."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect


@dataclass(slots=True)
class Lists:
    """Takes their messages, gives answers."""

    system: int
    stored: dict[int, list[Any]] = field(default_factory=lambda: {0: [], 1: [], 2: []})
    parameters: dict[str, float] = field(default_factory=dict)
    _coming: tuple[int, list[Any], int] | None = None  # kind, items so far, how many

    def take(self, m: Any) -> list[Any]:  # noqa: PLR0911
        """Answers to one message; none for what is not about lists."""
        name = m.get_type()
        sender = (m.get_srcSystem(), m.get_srcComponent())
        if name == "MISSION_COUNT" and m.mission_type in self.stored:
            self._coming = (m.mission_type, [], m.count)
            return [self._next(sender)]
        if name == "MISSION_ITEM_INT" and self._coming is not None:
            if m.seq == len(self._coming[1]):
                self._coming[1].append(m)
            return [self._next(sender)]
        if name == "MISSION_REQUEST_LIST" and m.mission_type in self.stored:
            n = len(self.stored[m.mission_type])
            return [dialect.MAVLink_mission_count_message(*sender, n, m.mission_type)]
        if name == "MISSION_REQUEST_INT" and m.seq < len(self.stored.get(m.mission_type, ())):
            return [self.stored[m.mission_type][m.seq]]
        if name == "PARAM_SET":
            self.parameters[m.param_id] = m.param_value
            return [self._parameter(m.param_id)]
        if name == "PARAM_REQUEST_READ" and m.param_id in self.parameters:
            return [self._parameter(m.param_id)]
        return []

    def _next(self, sender: tuple[int, int]) -> Any:
        assert self._coming is not None
        kind, items, count = self._coming
        if len(items) < count:
            return dialect.MAVLink_mission_request_int_message(*sender, len(items), kind)
        self.stored[kind], self._coming = items, None
        return dialect.MAVLink_mission_ack_message(*sender, dialect.MAV_MISSION_ACCEPTED, kind)

    def _parameter(self, name: str) -> Any:
        value = self.parameters[name]
        real = dialect.MAV_PARAM_TYPE_REAL32
        return dialect.MAVLink_param_value_message(name.encode(), value, real, len(self.parameters), 0)

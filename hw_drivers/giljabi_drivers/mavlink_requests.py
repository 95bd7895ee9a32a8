"""Questions to an autopilot with answer and retry: commands, parameters, missions, fences, rally points.

mavlink.io/en/services/command.html, parameter.html and mission.html. Every exchange is a small object: what the driver
hears goes to `hear`, what is due comes out of `due`; it ends with `done` and, when it failed, `error` in words.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi_drivers.mavlink_frames import Heard

RETRY_S = 0.5
TRIES = 8
PROGRESS_S = 10.0  # an autopilot that says IN_PROGRESS is waited for
RESULTS = {v.name.removeprefix("MAV_RESULT_").lower().replace("_", " "): k for k, v in
           dialect.enums["MAV_RESULT"].items()}  # fmt: skip
RESULT_WORDS = {k: name for name, k in RESULTS.items()}
WHOLE = frozenset(range(dialect.MAV_PARAM_TYPE_UINT8, dialect.MAV_PARAM_TYPE_INT32 + 1))  # integers of 4 bytes at most
MISSION, FENCE, RALLY = 0, 1, 2  # MAV_MISSION_TYPE
LISTS = ("mission", "fence", "rally points")


class Exchange(Protocol):
    """One question and its answer."""

    done: bool
    error: str

    @property
    def what(self) -> str:
        """What is asked for."""

    def hear(self, heard: Heard) -> None:
        """Takes a message of the autopilot."""

    def due(self, now: float) -> Sequence[Any]:
        """Messages to send now."""


@dataclass(slots=True)
class Retry:
    """When the same thing is said again, and when it has been said often enough."""

    tries: int = 0
    next: float = -math.inf

    def due(self, now: float) -> bool:
        """True when it is time to say it (again)."""
        if now < self.next or self.tries >= TRIES:
            return False
        self.tries += 1
        self.next = now + RETRY_S
        return True

    def over(self, now: float) -> bool:
        """True when every try went unanswered."""
        return self.tries >= TRIES and now >= self.next

    def reset(self) -> None:
        """An answer has come: what follows has all its tries."""
        self.tries, self.next = 0, -math.inf


@dataclass(slots=True)
class Command:
    """COMMAND_LONG until its COMMAND_ACK."""

    target: tuple[int, int]
    command: int
    params: Sequence[float]
    done: bool = False
    error: str = ""
    _retry: Retry = field(default_factory=Retry)

    @property
    def what(self) -> str:
        """Name of the command."""
        entry = dialect.enums["MAV_CMD"].get(self.command)
        return str(entry.name.removeprefix("MAV_CMD_")) if entry else f"command {self.command}"

    def hear(self, heard: Heard) -> None:
        """COMMAND_ACK of this command ends it, IN_PROGRESS prolongs it."""
        m = heard.message
        if heard.name != "COMMAND_ACK" or m.command != self.command or self._retry.tries == 0:
            return
        if m.result == dialect.MAV_RESULT_IN_PROGRESS:
            self._retry.tries, self._retry.next = TRIES, heard.t + PROGRESS_S
        elif m.result == dialect.MAV_RESULT_TEMPORARILY_REJECTED:
            return  # said again until it is taken or the tries are over
        else:
            self.done = True
            if m.result != dialect.MAV_RESULT_ACCEPTED:
                self.error = f"{self.what}: {RESULT_WORDS.get(m.result, m.result)}"

    def due(self, now: float) -> Sequence[Any]:
        """The command, with its confirmation counter."""
        if self._retry.over(now):
            self.done, self.error = True, f"{self.what}: no answer"
            return ()
        confirmation = self._retry.tries
        if not self._retry.due(now):
            return ()
        p = [*self.params, *[0.0] * (7 - len(self.params))]
        return (dialect.MAVLink_command_long_message(*self.target, self.command, confirmation, *p),)


@dataclass(slots=True)
class Parameter:
    """Reads a parameter, or writes it first when `write` is given; `type` is its MAV_PARAM_TYPE, told by a read."""

    target: tuple[int, int]
    name: str
    write: float | None = None
    type: int = dialect.MAV_PARAM_TYPE_REAL32
    bytewise: bool = False  # integers are the bytes of the float on the wire (PX4), not its value (ArduPilot)
    value: float = math.nan
    done: bool = False
    error: str = ""
    _retry: Retry = field(default_factory=Retry)

    @property
    def what(self) -> str:
        """Name of the parameter."""
        return f"parameter {self.name}"

    def is_at(self, value: float) -> bool:
        """Whether it was heard to be at a value, as near as a float has it."""
        return math.isclose(self.value, value, rel_tol=1e-5, abs_tol=1e-6)

    def hear(self, heard: Heard) -> None:
        """PARAM_VALUE of this parameter; after a write it must be what was written."""
        m = heard.message
        if heard.name != "PARAM_VALUE" or text_of(m.param_id) != self.name or self._retry.tries == 0:
            return
        whole = self.bytewise and m.param_type in WHOLE
        self.value = float(struct.unpack("<i", struct.pack("<f", m.param_value))[0]) if whole else float(m.param_value)
        self.type, self.done = m.param_type, True
        if self.write is not None and not self.is_at(self.write):
            self.error = f"{self.what}: it stays {self.value:g}, {self.write:g} was asked for"

    def due(self, now: float) -> Sequence[Any]:
        """PARAM_SET or PARAM_REQUEST_READ."""
        if self._retry.over(now):
            self.done, self.error = True, f"{self.what}: no answer"
            return ()
        if not self._retry.due(now):
            return ()
        name = self.name.encode("ascii")
        if self.write is None:
            return (dialect.MAVLink_param_request_read_message(*self.target, name, -1),)
        whole = self.bytewise and self.type in WHOLE
        value = struct.unpack("<f", struct.pack("<i", round(self.write)))[0] if whole else self.write
        return (dialect.MAVLink_param_set_message(*self.target, name, value, self.type),)


@dataclass(frozen=True, slots=True)
class Item:
    """One MISSION_ITEM_INT without its number."""

    command: int
    frame: int
    params: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    x: int = 0  # 1e-7 deg
    y: int = 0
    z: float = 0.0  # m
    autocontinue: int = 1


@dataclass(slots=True)
class Upload:
    """Items to the autopilot; it asks for them one by one."""

    target: tuple[int, int]
    items: Sequence[Item]
    kind: int = MISSION
    done: bool = False
    error: str = ""
    _retry: Retry = field(default_factory=Retry)
    _asked: deque[int] = field(default_factory=deque)
    _begun: bool = False

    @property
    def what(self) -> str:
        """Which list goes up."""
        return f"{LISTS[self.kind]} upload"

    def hear(self, heard: Heard) -> None:
        """MISSION_REQUEST(_INT) and MISSION_ACK."""
        m = heard.message
        if getattr(m, "mission_type", self.kind) != self.kind or (self._retry.tries == 0 and not self._begun):
            return
        if heard.name in ("MISSION_REQUEST_INT", "MISSION_REQUEST"):
            self._begun = True
            self._retry.reset()
            if m.seq < len(self.items):
                self._asked.append(m.seq)
            self._retry.tries, self._retry.next = 1, heard.t + RETRY_S * TRIES
        elif heard.name == "MISSION_ACK":
            self.done = True
            if m.type != dialect.MAV_MISSION_ACCEPTED:
                name = dialect.enums["MAV_MISSION_RESULT"].get(m.type)
                self.error = f"{self.what}: {name.name.removeprefix('MAV_MISSION_').lower() if name else m.type}"

    def due(self, now: float) -> Sequence[Any]:
        """MISSION_COUNT until the first question, then the items asked for."""
        if not self._begun:
            if self._retry.over(now):
                self.done, self.error = True, f"{self.what}: no answer"
            elif self._retry.due(now):
                return (dialect.MAVLink_mission_count_message(*self.target, len(self.items), self.kind),)
            return ()
        if not self._asked and now >= self._retry.next:
            self.done, self.error = True, f"{self.what}: the autopilot stopped asking"
        out = [self._item(seq) for seq in self._asked]
        self._asked.clear()
        return out

    def _item(self, seq: int) -> Any:
        i = self.items[seq]
        current = int(seq == 0 and self.kind == MISSION)
        return dialect.MAVLink_mission_item_int_message(
            *self.target, seq, i.frame, i.command, current, i.autocontinue, *i.params, i.x, i.y, i.z, self.kind
        )


@dataclass(slots=True)
class Download:
    """Items from the autopilot; we ask for them one by one."""

    target: tuple[int, int]
    kind: int = MISSION
    items: list[Item] = field(default_factory=list)
    done: bool = False
    error: str = ""
    _retry: Retry = field(default_factory=Retry)
    _count: int = -1
    _ack: bool = False

    @property
    def what(self) -> str:
        """Which list comes down."""
        return f"{LISTS[self.kind]} download"

    def hear(self, heard: Heard) -> None:
        """MISSION_COUNT and MISSION_ITEM_INT."""
        m = heard.message
        if getattr(m, "mission_type", self.kind) != self.kind or self._retry.tries == 0:
            return
        if heard.name == "MISSION_COUNT" and self._count < 0:
            self._count = m.count
            self._retry.reset()
        elif heard.name == "MISSION_ITEM_INT" and m.seq == len(self.items) < self._count:
            params = (m.param1, m.param2, m.param3, m.param4)
            self.items.append(Item(m.command, m.frame, params, m.x, m.y, m.z, m.autocontinue))
            self._retry.reset()
        elif heard.name == "MISSION_ACK" and m.type != dialect.MAV_MISSION_ACCEPTED:
            self.done, self.error = True, f"{self.what}: refused"
        self._ack = self._count == len(self.items)

    def due(self, now: float) -> Sequence[Any]:
        """The next question, or the closing MISSION_ACK."""
        if self._ack:
            self.done = True
            return (dialect.MAVLink_mission_ack_message(*self.target, dialect.MAV_MISSION_ACCEPTED, self.kind),)
        if self._retry.over(now):
            self.done, self.error = True, f"{self.what}: no answer"
        if self.done or not self._retry.due(now):
            return ()
        if self._count < 0:
            return (dialect.MAVLink_mission_request_list_message(*self.target, self.kind),)
        return (dialect.MAVLink_mission_request_int_message(*self.target, len(self.items), self.kind),)


@dataclass(slots=True)
class Exchanges:
    """All that is under way; one command at a time, as autopilots expect, everything else beside it."""

    commands: deque[Command] = field(default_factory=deque)
    others: list[Exchange] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # words of what failed, newest last

    def command(self, target: tuple[int, int], command: int, *params: float) -> Command:
        """Queues a command."""
        c = Command(target, command, params)
        self.commands.append(c)
        return c

    def add(self, exchange: Exchange) -> None:
        """Begins anything else."""
        self.others.append(exchange)

    def forget(self, command: int) -> None:
        """Drops queued commands of one kind, which are about to be asked anew."""
        self.commands = deque(c for c in self.commands if c.command != command)

    def clear(self) -> None:
        """The autopilot has started anew: what was asked is void."""
        self.commands.clear()
        for e in self.others:
            e.done, e.error = True, f"{e.what}: the autopilot started anew"
        self.others.clear()

    def hear(self, heard: Heard) -> None:
        """Hands a message to whoever waits for it."""
        if self.commands:
            self.commands[0].hear(heard)
        for e in self.others:
            e.hear(heard)

    def due(self, now: float) -> list[Any]:
        """Messages to send now."""
        out: list[Any] = []
        if self.commands:
            out += self.commands[0].due(now)
            if self.commands[0].done:
                self._note(self.commands.popleft())
        for e in list(self.others):
            out += e.due(now)
            if e.done:
                self.others.remove(e)
                self._note(e)
        return out

    def _note(self, e: Exchange) -> None:
        if e.error:
            self.failed = [*self.failed[-15:], e.error]


def text_of(value: bytes | str) -> str:
    """Text of a MAVLink character field."""
    return value if isinstance(value, str) else value.split(b"\0")[0].decode("ascii", "replace")

"""Who flies: brings the autopilot into its guided mode and arms it when the guard is armed, and sees a pilot take over.

It asks, with acknowledgement and retry; what moves the vehicle goes through the guard alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import StackState
from giljabi_drivers.mavlink_autopilots import Autopilot
from giljabi_drivers.mavlink_commands import LAND, ON
from giljabi_drivers.mavlink_requests import Command, Exchanges

LEADS = ("auto", "manual", "policy")
SETTLE_S = 1.5  # after an answer, until HEARTBEAT must show it
HEARS_S = 1.0  # within which the guard's wish to land is heard of, after the autopilot has obeyed it
AGAIN_S = 2.0  # between attempts after a refusal
GIVE_UP = 5  # refusals of one step until the guard is told


class Step(Enum):
    """How far the autopilot has followed."""

    IDLE = "idle"
    MODE = "asked for its guided mode"
    ARM = "asked to arm"
    ENGAGED = "flies by our setpoints"


@dataclass(slots=True)
class Authority:
    """State of the vehicle as HEARTBEAT tells it, and what is done about it."""

    autopilot: Autopilot
    target: tuple[int, int]
    exchanges: Exchanges
    mode: int = -1
    armed: bool = False
    landed: float = math.nan
    seen: float = -math.inf  # last HEARTBEAT [s]
    step: Step = Step.IDLE
    refusal: str = ""  # why the guard must disarm; stays until it has
    words: str = ""  # what hinders, while it hinders
    _guard: StackState | None = None
    _land: bool = False
    _pending: Command | None = None
    _wait: float = -math.inf
    _tries: int = 0
    _landing: bool = False  # the guard has asked for it; the mode is ours
    _since: float = -math.inf  # when it was last not landing
    _left: bool = field(default=False)  # the guard was armed and is not any more

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """Takes the guard's state and outputs; returns why it must disarm, or an empty text."""
        if self._guard is not None and self._guard.armed and not state.armed:
            self._left = True
            self.refusal = ""
        elif self._guard is not None and not self._guard.armed and state.armed:
            self._tries, self.refusal, self._landing, self._left = 0, "", False, False
        self._guard = state
        self._land = output.get(LAND, 0.0) >= ON
        return self.refusal

    def heartbeat(self, t: float, message: object) -> None:
        """HEARTBEAT of the autopilot."""
        self.mode = int(message.custom_mode)  # type: ignore[attr-defined]
        self.armed = bool(message.base_mode & dialect.MAV_MODE_FLAG_SAFETY_ARMED)  # type: ignore[attr-defined]
        self.seen = t

    def lost(self) -> None:
        """The link or the autopilot is gone: what it does now is unknown."""
        self._pending, self._wait = None, -math.inf

    def update(self, now: float) -> None:
        """One step; queues what is to be asked."""
        if self._pending is not None:
            if not self._pending.done:
                return
            self._answered(now)
        guard = self._guard
        if guard is None or now < self._wait:
            return
        if guard.armed and guard.mode in LEADS:
            self._lead(now)
        elif guard.armed:  # minimum risk or stopped: the guard's own ladder speaks
            self._watch_end()
        else:
            self._leave(now)

    def _answered(self, now: float) -> None:
        assert self._pending is not None
        error, self._pending = self._pending.error, None
        if not error:
            self._wait = now + SETTLE_S
            return
        self._tries += 1
        self.words, self._wait = error, now + AGAIN_S
        if self._tries >= GIVE_UP:
            self.refusal = f"the autopilot refuses: {error}"

    def _ask(self, command: int, *params: float) -> None:
        self._pending = self.exchanges.command(self.target, command, *params)

    def _lead(self, now: float) -> None:
        guided = self.autopilot.modes[self.autopilot.guided]
        self._landing = self._landing or self._land
        if self.step is Step.ENGAGED:
            self._watch_end()
            land = self.autopilot.modes[self.autopilot.land]
            if self.mode != land:
                self._since = now
            told = self.mode == land and now - self._since < HEARS_S  # the guard's word may come behind its effect
            if self.armed and self.mode != guided and not told and not (self._landing and self.mode == land):
                name = self.autopilot.mode_name(self.mode)
                self.refusal = (
                    f"the autopilot has left {self.autopilot.guided} for {name}: somebody else has taken over"
                )
                self.step = Step.IDLE
            return
        if self.refusal:
            return
        if self.mode != guided:
            self.step = Step.MODE
            self._ask(dialect.MAV_CMD_DO_SET_MODE, *self.autopilot.mode_command(self.autopilot.guided))
        elif not self.armed:
            self.step = Step.ARM
            self._ask(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 1.0)
        else:
            self.step, self.words, self._tries = Step.ENGAGED, "", 0

    def _watch_end(self) -> None:
        if self.step is Step.ENGAGED and not self.armed:
            self.step = Step.IDLE
            self.refusal = "landed: the autopilot has disarmed" if self.landed == 1.0 else "the autopilot has disarmed"

    def _leave(self, now: float) -> None:
        """The guard is not armed: on the ground the motors stop, in the air the vehicle holds. Once."""
        if not self._left or self.step is Step.IDLE:
            self._left = False
            self.step = Step.IDLE
            return
        if not self.armed:
            self.step = Step.IDLE
        elif self.landed == 1.0:
            self._ask(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 0.0)
        elif self.mode == self.autopilot.modes[self.autopilot.guided]:
            self._ask(dialect.MAV_CMD_DO_SET_MODE, *self.autopilot.mode_command(self.autopilot.hold))
            self.step = Step.IDLE
        else:
            self.step = Step.IDLE

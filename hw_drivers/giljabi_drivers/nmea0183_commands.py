"""Actuators as sentences of IEC 61162-1, and what a heading control system says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from giljabi.platform import Actuator, Platform
from giljabi.types import StackState
from giljabi.wire import EncodeTable, WireField, WireGate, WireMessage
from giljabi.yaml_file import Strict
from giljabi_drivers.commanded import commanded

UNITS = {"ROR": "rad", "PRC": "N", "HTC": "rad"}
STEERING_MODES = {
    "M": "by hand", "S": "its own heading", "H": "the heading that it is sent", "T": "a track", "R": "a rudder angle"
}  # fmt: skip
TAKES_OVER_S = 5.0  # after arming, until a heading control system must say that it steers by our orders
HEARD_S = 5.0  # so long its newest word counts


class SentenceCommand(Strict):
    """How one actuator becomes a sentence: ROR (rudder), PRC (propulsion), HTC (heading of an autopilot)."""

    sentence: Literal["ROR", "PRC", "HTC"]
    period_s: float = Field(default=0.1, gt=0)
    full_scale: float | None = Field(default=None, gt=0, description="PRC: newtons at 100 %")
    shaft: int = Field(default=0, ge=0, le=9, description="PRC: 0 single or centre, odd starboard, even port")
    rate_of_turn_dpm: float | None = Field(
        default=None, gt=0, le=999, description="HTC: degrees a minute that it shall turn with; its own when left out"
    )
    status_flag: bool = Field(default=True, description="HTC: its last field, C (a command), since edition 4")


def build_table(
    platform: Platform, device: str, commands: Mapping[str, SentenceCommand], talker: str, source_id: str
) -> EncodeTable | None:
    """Sentences for every actuator of this device, None when it has none; raises BadInputError with the line."""
    key = ("drivers", device, "options", "commands")
    mine = commanded(platform, device, commands)
    messages = []
    for n, c in commands.items():
        why = _unfit(n, c, mine[n])
        if why:
            raise platform.error((*key, n), why)
        messages.append(_heading(n, c, talker) if c.sentence == "HTC" else _lever(n, c, mine[n], talker))
    return EncodeTable(device, "nmea", tuple(messages), source_id=source_id) if messages else None


def _unfit(n: str, c: SentenceCommand, a: Actuator) -> str:
    """Why the sentence cannot carry the actuator; empty when it can."""
    if a.unit != UNITS[c.sentence]:
        return f"{c.sentence} carries an actuator in {UNITS[c.sentence]}, but '{n}' is in {a.unit}; another is expected"
    if a.wraps != (c.sentence == "HTC"):
        if a.wraps:
            return f"'{n}' wraps, which {c.sentence} cannot carry; HTC is expected"
        return f"HTC carries a heading, but '{n}' does not wrap; wraps: true is expected"
    if c.sentence == "PRC" and c.full_scale is None:
        return "PRC needs full_scale; newtons at 100 % are expected"
    return ""


def _lever(n: str, c: SentenceCommand, a: Actuator, talker: str) -> WireMessage:
    # ROR: degrees, starboard positive, while our rudder is positive to port. PRC: lever in percent.
    scale = -180.0 / math.pi if c.sentence == "ROR" else 100.0 / (c.full_scale or 1.0)
    low, high = sorted((a.min * scale, a.max * scale))
    if c.sentence == "PRC":
        low, high = max(low, -100.0), min(high, 100.0)
    # ROR: starboard (or single) order, valid, port order, valid, location B (bridge).
    # PRC: lever, valid, rpm, its mode, pitch, its mode, location B, shaft.
    tail = "A,,,B" if c.sentence == "ROR" else f"A,,,,,B,{c.shaft}"
    value = WireField(n, scale=scale, raw_min=low, raw_max=high, decimals=2)
    return WireMessage(f"{c.sentence} {n}", c.period_s, (value,), template=f"${talker}{c.sentence},{{{n}}},{tail}")


def _heading(n: str, c: SentenceCommand, talker: str) -> WireMessage:
    """Heading from true north, clockwise, while ours is the yaw: from east, counter-clockwise.

    Goes out only while armed: any HTC may change how the ship is steered.
    """
    value = WireField(n, scale=-180.0 / math.pi, offset=90.0, turn=360.0, decimals=1)
    turn = "N,,,,," if c.rate_of_turn_dpm is None else f"T,,,,{c.rate_of_turn_dpm:.1f},"
    # Override V: the steering mode counts. Rudder order and side; H: by headings from outside; turn mode, limits of
    # rudder and off-heading, radius, rate; heading to steer; limit off track, track; T: from true north.
    template = f"${talker}HTC,V,,,H,{turn}{{{n}}},,,T{',C' if c.status_flag else ''}"
    return WireMessage(f"HTC {n}", c.period_s, (value,), template=template, gate=WireGate("armed"))


@dataclass(slots=True)
class HeadingControl:
    """What the ship's heading control says (HTD); it may be out of our hands without our knowing otherwise."""

    t: float = -math.inf  # of its newest word [s]
    override: bool = False
    mode: str = ""
    _armed_t: float = math.inf
    _engaged: bool = False  # it has steered by our orders since arming

    def told(self, values: Mapping[str, Any], t: float) -> None:
        """Takes the values of HTD."""
        self.t, self.override, self.mode = t, bool(values.get("override")), str(values.get("steering_mode", ""))

    def guard_says(self, state: StackState) -> str:
        """Takes the guard's state; returns why it must disarm: somebody else steers, or nobody follows."""
        if not state.armed:
            self._armed_t, self._engaged = math.inf, False
            return ""
        self._armed_t = min(self._armed_t, state.t)
        if self.t < self._armed_t or state.t - self.t > HEARD_S:
            return ""  # not every system speaks
        ours = self.mode == "H" and not self.override
        self._engaged = self._engaged or ours
        if ours or not (self._engaged or state.t - self._armed_t > TAKES_OVER_S):
            return ""
        how = "by override" if self.override else STEERING_MODES.get(self.mode, f"in mode '{self.mode}'")
        return f"the heading control steers {how}, not by our orders (HTD)"

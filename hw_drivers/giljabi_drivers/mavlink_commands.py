"""What the guard says to an autopilot: setpoints while a source leads, then the ladder hold, return, land.

All of it goes through the guard's encode table, so none of it waits for Python. Setpoints are NED on the wire, named
inputs in ENU (velocity_x east ...) and yaw counter-clockwise. Positions are in the autopilot's own frame.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.platform import Platform
from giljabi.wire import EncodeTable, WireField, WireGate, WireMavlinkLink, WireMessage
from giljabi.yaml_file import Strict
from giljabi_drivers.mavlink_autopilots import Autopilot

LOCAL_TARGET, ATTITUDE_TARGET = "SET_POSITION_TARGET_LOCAL_NED", "SET_ATTITUDE_TARGET"
LADDER_TRIES, LADDER_PERIOD_S = 5, 0.3  # a step of the ladder is said so often, so that a lost frame is no matter
REPEAT_S = 1.0  # of take-off and landing commands while they are wanted
ON = 0.5  # an input that is a switch, or a height to climb to, is on from here
HEARTBEAT_S = 0.5

# Input: (field of SET_POSITION_TARGET_LOCAL_NED, scale, offset).
LOCAL = {
    "position_x": ("y", 1.0, 0.0), "position_y": ("x", 1.0, 0.0), "position_z": ("z", -1.0, 0.0),
    "velocity_x": ("vy", 1.0, 0.0), "velocity_y": ("vx", 1.0, 0.0), "velocity_z": ("vz", -1.0, 0.0),
    "acceleration_x": ("afy", 1.0, 0.0), "acceleration_y": ("afx", 1.0, 0.0), "acceleration_z": ("afz", -1.0, 0.0),
    "yaw": ("yaw", -1.0, math.pi / 2.0), "yaw_rate": ("yaw_rate", -1.0, 0.0),
}  # fmt: skip
# Bits of its type_mask that say: ignore this.
IGNORE = {
    "x": 1, "y": 2, "z": 4, "vx": 8, "vy": 16, "vz": 32, "afx": 64, "afy": 128, "afz": 256, "yaw": 1024,
    "yaw_rate": 2048,
}  # fmt: skip
SPACE = ("position_", "velocity_", "acceleration_")
# Input: (field of SET_ATTITUDE_TARGET, scale); rates in FRD on the wire, thrust 0..1.
RATES = {
    "roll_rate": ("body_roll_rate", 1.0), "pitch_rate": ("body_pitch_rate", -1.0),
    "yaw_rate": ("body_yaw_rate", -1.0), "thrust": ("thrust", 1.0),
}  # fmt: skip
ATTITUDE = ("roll", "pitch", "yaw")  # rad, ENU from FLU; a quaternion on the wire
RATES_IGNORE, ATTITUDE_IGNORE = 7, 128  # bits of its type_mask
QUATERNION: dict[str, Literal["q1", "q2", "q3", "q4"]] = {"q1": "q1", "q2": "q2", "q3": "q3", "q4": "q4"}
TAKEOFF_HEIGHT, LAND = "takeoff_height", "land"


Values = dict[str, tuple[str, float, float]]  # field: actuator, scale, offset


class Rung(Strict):
    """One step of the ladder."""

    mode: Literal["hold", "return", "land"]
    after_s: float = Field(ge=0, description="since the safe output began")


def fields_of(name: str) -> dict[str, tuple[int, str]]:
    """(byte, struct letter) of every field of a message, as it stands in the payload; q[4] is q1 to q4."""
    kind = dialect.mavlink_map[getattr(dialect, f"MAVLINK_MSG_ID_{name}")]
    at, out = 0, {}
    letters = iter(re.sub(r"\d+(.)", r"\1", kind.unpacker.format.lstrip("<")))
    for field, count in zip(kind.ordered_fieldnames, kind.array_lengths, strict=True):
        letter = next(letters)
        for place in [f"{field}{i + 1}" for i in range(count)] or [field]:
            out[place] = (at, letter)
            at += struct.calcsize("<" + letter)
    return out


def wire_message(
    name: str,
    message: str,
    period_s: float,
    constants: Mapping[str, float],
    values: Mapping[str, tuple[str, float, float]],
    *,
    gate: WireGate,
    attitude: tuple[str, ...] = (),
) -> WireMessage:
    """A row of the encode table; values: field -> (actuator, scale, offset); what is not named is 0."""
    places = fields_of(message)
    kind = dialect.mavlink_map[getattr(dialect, f"MAVLINK_MSG_ID_{message}")]
    fields = []
    for field, (at, letter) in places.items():
        place: dict[str, Any] = {
            "start_bit": 8 * at, "length": 8 * struct.calcsize("<" + letter), "signed": letter in "bhi",
            "real": letter == "f",
        }  # fmt: skip
        if field in values:
            actuator, scale, offset = values[field]
            fields.append(WireField(actuator, scale, offset, **place))
        elif field == "time_boot_ms":
            fields.append(WireField(field, source="time", **place))
        elif attitude and field in QUATERNION:
            fields.append(WireField(field, source=QUATERNION[field], **place))
        elif constants.get(field):
            fields.append(WireField(field, offset=constants[field], source="constant", **place))
    return WireMessage(
        name, period_s, tuple(fields), size=kind.unpacker.size, mavlink_id=kind.id, crc_extra=kind.crc_extra,
        attitude=attitude, gate=gate,
    )  # fmt: skip


class TableBuilder:
    """The encode table of one autopilot."""

    def __init__(self, platform: Platform, device: str, autopilot: Autopilot, target: tuple[int, int]) -> None:
        self._platform, self._device, self._autopilot = platform, device, autopilot
        self._target = {"target_system": float(target[0]), "target_component": float(target[1])}
        self.inputs = [n for n, a in platform.model.actuators.items() if a.driver == device]

    def build(self, link: WireMavlinkLink, period_s: float, ladder: Sequence[Rung]) -> EncodeTable | None:
        """None when the platform gives this driver no inputs; raises BadInputError for what no message carries."""
        if not self.inputs:
            return None
        hold_s = min((r.after_s for r in ladder), default=math.inf)
        self._check(ladder, hold_s)
        messages = [self._heartbeat(), *self._setpoints(period_s, hold_s)]
        if TAKEOFF_HEIGHT in self.inputs:
            messages.append(self._takeoff())
        if LAND in self.inputs:
            gate = WireGate("driven", actuator=LAND, low=ON)
            messages.append(self._mode("land", self._autopilot.land, REPEAT_S, gate))
        for rung in ladder:
            # An autopilot that lands by our word is not called back: landing is the last step.
            unless = LAND if LAND in self.inputs and rung.mode != "land" else ""
            until = rung.after_s + (LADDER_TRIES - 0.5) * LADDER_PERIOD_S
            gate = WireGate("safe", rung.after_s, until, actuator=unless, high=ON if unless else math.inf)
            mode = self._autopilot.word(rung.mode)
            messages.append(self._mode(f"ladder_{rung.mode}", mode, LADDER_PERIOD_S, gate))
        return EncodeTable(self._device, "mavlink", tuple(messages), mavlink=link)

    def _check(self, ladder: Sequence[Rung], hold_s: float) -> None:
        key = ("drivers", self._device, "options", "ladder")
        times = [r.after_s for r in ladder]
        if times != sorted(times) or len({r.mode for r in ladder}) != len(ladder):
            raise self._platform.error(key, "the ladder goes back; each mode once and rising times are expected")
        g = self._platform.model.guard
        lost = g.command_lost_s if g.command_lost_s is not None else 4.0 * g.command_timeout_s
        if hold_s < lost:
            what = f"the first step comes {hold_s:g} s after a late command, but a command may be {lost:g} s late"
            raise self._platform.error(key, f"{what}; {lost:g} or more is expected")

    def _heartbeat(self) -> WireMessage:
        """Only while the supervisor is content: without it the autopilot's own failsafe takes over."""
        constants = {
            "type": float(dialect.MAV_TYPE_ONBOARD_CONTROLLER), "autopilot": float(dialect.MAV_AUTOPILOT_INVALID),
            "system_status": float(dialect.MAV_STATE_ACTIVE), "mavlink_version": 3.0,
        }  # fmt: skip
        return wire_message("heartbeat", "HEARTBEAT", HEARTBEAT_S, constants, {}, gate=WireGate("healthy"))

    def _setpoints(self, period_s: float, hold_s: float) -> list[WireMessage]:
        """The setpoint while a source leads, and its safe value until the ladder begins."""
        # Where take-off is a command, a setpoint would end it.
        waits = TAKEOFF_HEIGHT in self.inputs and self._autopilot.takes_off_by_command
        driven = WireGate("driven", actuator=TAKEOFF_HEIGHT, high=ON) if waits else WireGate("driven")
        safe = WireGate("safe", 0.0, hold_s + 1.0)
        names = [n for n in self.inputs if n not in (TAKEOFF_HEIGHT, LAND)]
        if "thrust" in names:
            how = self._attitude(names)
            return [
                wire_message("setpoint", ATTITUDE_TARGET, period_s, *how[:2], gate=driven, attitude=how[2]),
                wire_message("stop", ATTITUDE_TARGET, period_s, *how[:2], gate=safe, attitude=how[2]),
            ]
        # A place is no stop: the old one would be flown to.
        stop = self._local([n for n in names if not n.startswith("position_")], stops=True)
        return [
            wire_message("setpoint", LOCAL_TARGET, period_s, *self._local(names), gate=driven),
            wire_message("stop", LOCAL_TARGET, period_s, *stop, gate=safe),
        ]

    def _attitude(self, names: Sequence[str]) -> tuple[dict[str, float], Values, tuple[str, ...]]:
        """Of an attitude, of body rates, or of both; what autopilots take for thrust is their own matter."""
        turned, rated = (all(n in names for n in group) for group in (ATTITUDE, [r for r in RATES if r != "thrust"]))
        known = {"thrust", *(ATTITUDE if turned else ()), *(RATES if rated else ())}
        for n in names:
            if n not in known:
                what = f"roll, pitch and yaw, or {', '.join(r for r in RATES if r != 'thrust')}, or all are expected"
                raise self._platform.error(("actuators", n), f"'{n}' does not go with 'thrust' alone; {what}")
        if not turned and not rated:
            raise self._platform.error(("actuators", "thrust"), "a thrust needs an attitude or body rates beside it")
        mask = (0 if turned else ATTITUDE_IGNORE) | (0 if rated else RATES_IGNORE)
        values = {RATES[n][0]: (n, RATES[n][1], 0.0) for n in names if n in RATES}
        return {**self._target, "type_mask": float(mask)}, values, ATTITUDE if turned else ()

    def _local(self, names: Sequence[str], stops: bool = False) -> tuple[dict[str, float], Values]:
        """Of positions, velocities, accelerations and yaw; `stops`: velocities that are no input are 0, not ignored."""
        for n in names:
            if n not in LOCAL:
                known = ", ".join([*LOCAL, TAKEOFF_HEIGHT, LAND])
                raise self._platform.error(
                    ("actuators", n),
                    f"no setpoint carries '{n}'; {known}, or thrust with roll, pitch, yaw or body rates are expected",
                )
        if not stops and not any(n.startswith(SPACE) for n in names):
            raise self._platform.error(("actuators",), "no place, velocity or acceleration is among the inputs")
        fence = self._platform.model.guard.fence
        if fence.velocity_inputs and any(n.startswith("position_") for n in names):
            key = ("guard", "fence", "velocity_inputs")
            raise self._platform.error(key, "a place would pull it through what velocities are held back from")
        values = {LOCAL[n][0]: (n, LOCAL[n][1], LOCAL[n][2]) for n in names}
        told = {*values, *(("vx", "vy", "vz") if stops else ())}
        mask = sum(bit for field, bit in IGNORE.items() if field not in told)
        constants = {
            **self._target, "type_mask": float(mask), "coordinate_frame": float(dialect.MAV_FRAME_LOCAL_NED),
        }  # fmt: skip
        return constants, values

    def _takeoff(self) -> WireMessage:
        constants = {**self._target, "command": float(dialect.MAV_CMD_NAV_TAKEOFF)}
        on = WireGate("driven", actuator=TAKEOFF_HEIGHT, low=ON)
        never = WireGate("driven", actuator=TAKEOFF_HEIGHT, low=math.inf)
        gate = on if self._autopilot.takes_off_by_command else never
        values = {"param7": (TAKEOFF_HEIGHT, 1.0, 0.0)}
        return wire_message("takeoff", "COMMAND_LONG", REPEAT_S, constants, values, gate=gate)

    def _mode(self, name: str, mode: str, period_s: float, gate: WireGate) -> WireMessage:
        p1, p2, p3 = self._autopilot.mode_command(mode)
        constants = {
            **self._target, "command": float(dialect.MAV_CMD_DO_SET_MODE), "param1": p1, "param2": p2, "param3": p3,
        }  # fmt: skip
        return wire_message(name, "COMMAND_LONG", period_s, constants, {}, gate=gate)

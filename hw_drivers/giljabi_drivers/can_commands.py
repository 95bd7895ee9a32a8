"""How actuators become CAN messages: the encode table that the guard's C++ codec runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field as Option

from giljabi.platform import Actuator, Platform
from giljabi.types import BadInputError
from giljabi.wire import EncodeTable, WireField, WireMessage
from giljabi.yaml_file import Strict
from giljabi_drivers.commanded import commanded
from giljabi_drivers.dbc import Database, Message

QUANTITY = {"rad": "angle", "m": "length", "rad/s": "angular rate", "m/s": "speed", "N": "force"}
PERIOD_S = 0.02  # of a command whose DBC gives no cycle time


class SignalCommand(Strict):
    """Message and signal that carry one actuator."""

    message: str
    signal: str
    enable: str = Option(default="ENABLE", description="signal that is 1 while armed; may be absent in the DBC")
    period_s: float | None = Option(default=None, gt=0, description="default is the DBC's cycle time")
    gain: float = Option(default=1.0, description="signal per actuator in SI, e.g. a steering ratio or -1")


def build_table(
    platform: Platform, driver: str, commands: Mapping[str, SignalCommand], database: Database, strict: bool
) -> EncodeTable | None:
    """The driver's encode table; raises BadInputError with the platform file's line.

    strict: False lets the whole table go when the database lacks a command message, as that of a recording does.
    """
    key = ("drivers", driver, "options", "commands")
    mine = commanded(platform, driver, commands)
    by_message: dict[str, dict[str, SignalCommand]] = {}
    for n, c in commands.items():
        by_message.setdefault(c.message, {})[n] = c
    messages = []
    for name, parts in by_message.items():
        m = database.by_name.get(name)
        if m is None and not strict:
            return None
        if m is None:
            raise platform.error((*key, next(iter(parts)), "message"), f"{database.path.name} has no message '{name}'")
        messages.append(_message(platform, key, m, {n: (c, mine[n]) for n, c in parts.items()}))
    if not messages:
        return None
    return EncodeTable(driver, "can", tuple(messages), framing_of(platform.model.drivers[driver].device))


def framing_of(device: str) -> Literal["socketcan", "can_msgpack", "slcan"]:
    """How a frame becomes bytes on the descriptor of a device URL."""
    if device.startswith("can:slcan"):
        return "slcan"
    return "can_msgpack" if device.startswith("can:udp_multicast") else "socketcan"


def _message(
    platform: Platform, key: tuple[str, ...], m: Message, parts: Mapping[str, tuple[SignalCommand, Actuator]]
) -> WireMessage:
    fields, periods = [], []
    for n, (c, a) in parts.items():
        if c.signal not in m.fields:
            known = ", ".join(m.fields)
            raise platform.error((*key, n, "signal"), f"{m.name} has no signal '{c.signal}'; it has {known}")
        try:
            fields.append(_field(m, n, c, a))
        except BadInputError as problem:
            raise platform.error((*key, n, "signal"), str(problem)) from None
        enable = m.fields.get(c.enable)
        if enable is not None and not any(f.source == "armed" and f.start_bit == enable.start for f in fields):
            e = enable
            fields.append(
                WireField(
                    n, raw_min=0.0, raw_max=1.0, start_bit=e.start, length=e.length, big_endian=e.big_endian,
                    source="armed",
                )
            )  # fmt: skip
        periods.append(c.period_s or m.cycle_s or PERIOD_S)
    if m.unchecked:
        raise platform.error((*key, next(iter(parts)), "message"), m.unchecked)
    return WireMessage(
        m.name, min(periods), tuple(fields), can_id=m.can_id, extended=m.extended, size=m.size, fd=m.fd,
        bitrate_switch=m.bitrate_switch, counter=m.counter, checksum=m.check,
    )  # fmt: skip


def _field(m: Message, actuator: str, c: SignalCommand, a: Actuator) -> WireField:
    """raw = (value * gain / si - offset) / scale, kept inside the actuator's limits and the signal's bits."""
    f = m.fields[c.signal]
    if a.unit not in QUANTITY:
        raise BadInputError(f"an actuator in {a.unit} has no CAN unit; {', '.join(QUANTITY)} are expected")
    scale = c.gain / m.si_factor(c.signal, QUANTITY[a.unit], a.unit) / f.scale
    offset = -f.offset / f.scale
    low, high = sorted((a.min * scale + offset, a.max * scale + offset))
    bits_low, bits_high = (-(f.mask + 1) // 2, f.mask // 2) if f.signed else (0, f.mask)
    if low < bits_low - 1e-6 or high > bits_high + 1e-6:
        what = f"{m.name}.{c.signal} cannot carry '{actuator}' from {a.min} to {a.max} {a.unit}"
        raise BadInputError(f"{what}; narrower limits are expected")
    return WireField(
        actuator, scale=scale, offset=offset, raw_min=low, raw_max=high, start_bit=f.start, length=f.length,
        signed=f.signed, big_endian=f.big_endian,
    )  # fmt: skip

"""How a rudder order becomes an NMEA 2000 message: PGN 127245 with its angle order, sent by the guard.

The published groups have no such order for thrust: throttle levers speak their makers' own groups.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field as Option

from giljabi.platform import Platform
from giljabi.wire import EncodeTable, WireField, WireMessage
from giljabi.yaml_file import Strict
from giljabi_drivers.can_commands import framing_of
from giljabi_drivers.commanded import commanded
from giljabi_drivers.nmea2000_frames import GLOBAL, Header
from giljabi_drivers.nmea2000_pgns import RUDDER

COUNTS = 1e4  # per radian


class RudderCommand(Strict):
    """An actuator in rad as the angle order of PGN 127245."""

    instance: int = Option(default=0, ge=0, le=251, description="rudder that is meant")
    period_s: float = Option(default=0.1, gt=0)


def build_table(
    platform: Platform, driver: str, commands: Mapping[str, RudderCommand], address: int | None
) -> EncodeTable | None:
    """The driver's encode table; raises BadInputError with the platform file's line."""
    key = ("drivers", driver, "options")
    mine = commanded(platform, driver, commands)
    messages = []
    for n, c in commands.items():
        if address is None:
            raise platform.error(key, "commands need an address of our own; options.address, 0 to 251, is expected")
        a = mine[n]
        if a.unit != "rad":
            what = f"PGN {RUDDER} carries an actuator in rad, but '{n}' is in {a.unit}"
            raise platform.error((*key, "commands", n), f"{what}; another driver is expected")
        if max(abs(a.min), abs(a.max)) * COUNTS > 31415:
            raise platform.error(("actuators", n), f"'{n}' goes beyond half a turn; limits within pi are expected")
        # Starboard rudder is positive on the wire, ours turns the bow to port. Instance, no direction order and five
        # reserved bits, angle order, position not available, two reserved bytes.
        low, high = sorted((-a.min * COUNTS, -a.max * COUNTS))
        fields = (
            WireField(n, offset=float(c.instance), length=8, source="constant"),
            WireField(n, offset=float(0xF8), start_bit=8, length=8, source="constant"),
            WireField(n, scale=-COUNTS, raw_min=low, raw_max=high, start_bit=16, length=16, signed=True),
            WireField(n, offset=float(0x7FFF), start_bit=32, length=16, source="constant"),
            WireField(n, offset=float(0xFFFF), start_bit=48, length=16, source="constant"),
        )
        can_id = Header(2, RUDDER, address, GLOBAL).can_id
        messages.append(WireMessage(f"PGN {RUDDER} {n}", c.period_s, fields, can_id=can_id, extended=True))
    if not messages:
        return None
    return EncodeTable(driver, "can", tuple(messages), framing_of(platform.model.drivers[driver].device))

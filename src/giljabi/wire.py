"""What the guard puts on a wire: encode tables in plain data, filled in SI by name, run by the C++ codec.

A driver builds its table at configure from the platform file and its database (DBC); after that no Python
takes part in a byte that moves an actuator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from giljabi._core.servo import Chain


@dataclass(frozen=True, slots=True)
class WireField:
    """One actuator value inside a message: raw = (value_si * scale + offset), clipped to [raw_min, raw_max].

    CAN: raw is rounded and placed at start_bit/length with DBC numbering (`big_endian`: Motorola, start_bit is
    the most significant bit as DBC files give it). NMEA: printed with `decimals` at the place of the template
    that names the actuator. MAVLink: whole bytes of the payload, little-endian; `real` is a float. `source`: "value"
    is the actuator's value, "armed" is 1 when armed and else 0, "constant" is `offset` alone, "time" milliseconds,
    "q1" to "q4" the quaternion (w x y z, NED from FRD) of the message's attitude.
    `turn`: of an angle, raw is brought to [0, turn) before it is rounded and clipped, so that 359.97 is never "360.0".
    """

    actuator: str
    scale: float = 1.0
    offset: float = 0.0
    raw_min: float = -1e18
    raw_max: float = 1e18
    start_bit: int = 0
    length: int = 0
    signed: bool = False
    big_endian: bool = False
    decimals: int = 1
    source: Literal["value", "armed", "constant", "time", "q1", "q2", "q3", "q4"] = "value"
    real: bool = False
    turn: float = 0.0  # 0: does not wrap


@dataclass(frozen=True, slots=True)
class WireCrc:
    """A CRC of one's own: Rocksoft parameters, `reflect` for both directions.

    The data ID, `id_bytes` of it, goes in before or after the payload; bytes named in `skip` are left out, as are those
    that the checksum fills.
    """

    width: int
    polynomial: int
    init: int = 0
    xorout: int = 0
    reflect: bool = False
    id_bytes: int = 0
    id_at: Literal["start", "end"] = "start"
    id_order: Literal["low_first", "high_first"] = "low_first"
    skip: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WireChecksum:
    """Checksum of a CAN message by name (`giljabi._core.can.checksum_kinds()`), and where its signal stands.

    `data_id`: one number, or 16 of which the counter chooses one. `mode`: how AUTOSAR's profiles 1 and 11 use it.
    `crc`: of kind "crc".
    """

    kind: str = "none"
    start_bit: int = 0
    length: int = 8
    big_endian: bool = True
    data_id: tuple[int, ...] = ()
    mode: Literal["both", "low", "alternating", "nibble"] = "both"
    crc: WireCrc | None = None


@dataclass(frozen=True, slots=True)
class WireCounter:
    """Rolling counter field of a CAN message; after `max` (None: all bits set) comes 0."""

    start_bit: int
    length: int
    big_endian: bool = True
    max: int | None = None


@dataclass(frozen=True, slots=True)
class WireGate:
    """When a message may go out, besides its period.

    always; healthy: the supervisor speaks and reports no fault; armed; driven: armed, and a source's commands go out;
    safe: armed, but the safe output goes out, from `from_s` to `until_s` seconds after it began. `actuator`: only while
    that actuator's output lies in [low, high).
    """

    when: Literal["always", "healthy", "armed", "driven", "safe"] = "always"
    from_s: float = 0.0
    until_s: float = math.inf
    actuator: str = ""
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class WireMavlinkLink:
    """Who speaks on a MAVLink link, and the 32 bytes that sign (none: unsigned)."""

    system: int
    component: int
    link_id: int = 0
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message sent every `period_s`.

    NMEA: `template` like "$AGROR,{rudder},{A|V},,,B"; "*hh\\r\\n" is appended; "{A|V}" is A while armed and else V.
    CAN: `can_id`, `size` bytes, more than 8 or `fd` as a CAN FD frame. MAVLink: `mavlink_id`, `crc_extra`, and a
    payload of `size` bytes; `attitude`: the actuators roll, pitch, yaw [rad, ENU from FLU] whose quaternion it has.
    """

    name: str
    period_s: float
    fields: tuple[WireField, ...]
    template: str = ""
    can_id: int = -1
    extended: bool = False
    size: int = 8
    fd: bool = False
    bitrate_switch: bool = False
    counter: WireCounter | None = None
    checksum: WireChecksum = field(default_factory=WireChecksum)
    mavlink_id: int = -1
    crc_extra: int = 0
    attitude: tuple[str, ...] = ()
    gate: WireGate = field(default_factory=WireGate)


@dataclass(frozen=True, slots=True)
class EncodeTable:
    """All messages of one device; framing says how one message becomes bytes on the descriptor.

    raw: the bytes as they are (NMEA and MAVLink over serial, TCP, UDP); socketcan: struct can_frame; can_msgpack:
    python-can's udp_multicast datagram; slcan: a line of Lawicel's ASCII protocol; iec61162_450: a datagram with one
    sentence, sent by `source_id`.
    """

    device: str
    protocol: Literal["nmea", "can", "mavlink", "servo"]
    messages: tuple[WireMessage, ...]
    framing: Literal["raw", "socketcan", "can_msgpack", "slcan", "iec61162_450"] = "raw"
    source_id: str = ""
    mavlink: WireMavlinkLink | None = None
    # servo: one message; its fields name the actuator of each channel of the chain
    chain: Chain | None = field(default=None, compare=False)

"""What the guard puts on a wire: encode tables in plain data, filled in SI by name, run by the C++ codec.

A driver builds its table at configure from the platform file and its database (DBC); after that no Python
takes part in a byte that moves an actuator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class WireField:
    """One actuator value inside a message: raw = (value_si * scale + offset), clipped to [raw_min, raw_max].

    CAN: raw is rounded and placed at start_bit/length with DBC numbering (`big_endian`: Motorola, start_bit is
    the most significant bit as DBC files give it). NMEA: printed with `decimals` at the place of the template
    that names the actuator. `source`: "value" is the actuator's value, "armed" is 1 when armed and else 0,
    "constant" is `offset` alone.
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
    source: Literal["value", "armed", "constant"] = "value"


@dataclass(frozen=True, slots=True)
class WireChecksum:
    """Checksum of a CAN message by name; it fills one byte, which is left out of the sum.

    toyota: length + bytes of the identifier + payload, modulo 256; crc8_j1850: SAE J1850 over the payload (polynomial
    0x1D, start and final XOR 0xFF, as AUTOSAR E2E profile 1 without data ID); xor8: XOR of the payload; none.
    """

    kind: Literal["toyota", "crc8_j1850", "xor8", "none"] = "none"
    start_bit: int = 0
    length: int = 8
    big_endian: bool = True


@dataclass(frozen=True, slots=True)
class WireCounter:
    """Rolling counter field of a CAN message."""

    start_bit: int
    length: int
    big_endian: bool = True


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message sent every `period_s`.

    NMEA: `template` like "$AGROR,{rudder},{A|V},,,B"; "*hh\\r\\n" is appended; "{A|V}" is A while armed and else V.
    CAN: `can_id`, `size` bytes.
    """

    name: str
    period_s: float
    fields: tuple[WireField, ...]
    template: str = ""
    can_id: int = -1
    extended: bool = False
    size: int = 8
    counter: WireCounter | None = None
    checksum: WireChecksum = field(default_factory=WireChecksum)


@dataclass(frozen=True, slots=True)
class EncodeTable:
    """All messages of one device; framing says how one message becomes bytes on the descriptor.

    raw: the bytes as they are (NMEA over serial, TCP, UDP); socketcan: struct can_frame; can_msgpack: python-can's
    udp_multicast datagram.
    """

    device: str
    protocol: Literal["nmea", "can"]
    messages: tuple[WireMessage, ...]
    framing: Literal["raw", "socketcan", "can_msgpack"] = "raw"

"""Whole AIS messages (ITU-R M.1371) as named values in SI, for people to read; pyais decodes."""

from __future__ import annotations

import enum
import math
from typing import Any

from giljabi_drivers.ais import BITS, KNOT, pyais_parts

# pyais's name → ours and the factor to it, for every message that has the field.
UNITS = {
    "lat": ("lat_deg", 1.0),
    "lon": ("lon_deg", 1.0),
    "speed": ("sog_mps", KNOT),
    "course": ("cog_deg", 1.0),
    "heading": ("heading_deg", 1.0),
    "turn": ("rate_of_turn_radps", math.radians(1.0) / 60.0),
    "alt": ("alt_m", 1.0),
    "draught": ("draught_m", 1.0),
    "to_bow": ("to_bow_m", 1.0),
    "to_stern": ("to_stern_m", 1.0),
    "to_port": ("to_port_m", 1.0),
    "to_starboard": ("to_starboard_m", 1.0),
}
UNKNOWN = {"lat_deg": 91.0, "lon_deg": 181.0, "heading_deg": 511.0, "cog_deg": 360.0, "alt_m": 4095.0}
LEFT_OUT = ("spare", "reserved", "radio", "mmsi")  # begin of names; mmsi is set apart
WITHIN_DEG = {"lat_deg": 90.0, "lon_deg": 180.0, "heading_deg": 360.0, "cog_deg": 360.0}
NO_SPEED = {9: 1023.0, 27: 63.0}  # knots; every other message: 102.3
SCALED = frozenset({1, 2, 3, 4, 5, 9, 11, 18, 19, 21, 24, 27})  # messages whose positions are in degrees


class AisError(ValueError):
    """What is wrong with a payload: a reason to count it under."""


def read_message(payload: str, fill: int) -> dict[str, Any]:
    """Named values of a payload; what the sender does not know is left out.

    Raises AisError with the reason (`ais_short`, `ais_unknown_message`, `ais_no_mmsi`, `ais_payload`).
    """
    bit_vector, classes, error = pyais_parts()
    bits = bit_vector(payload.encode("ascii"), fill)
    if len(bits) < 38:
        raise AisError("ais_short")
    kind, mmsi = bits.get(0, 6), bits.get(8, 30)
    if kind not in classes or kind == 0:
        raise AisError("ais_unknown_message")
    if len(bits) < BITS.get(kind, 38):
        raise AisError("ais_short")
    if mmsi == 0:
        raise AisError("ais_no_mmsi")
    try:
        values = classes[kind].from_vector(bits).asdict()
    except (error, ValueError, KeyError, IndexError):
        raise AisError("ais_payload") from None
    out: dict[str, Any] = {"mmsi": mmsi, "message": kind}
    for name, value in values.items():
        if value is None or name == "msg_type" or name.startswith(LEFT_OUT):
            continue
        key, factor = UNITS.get(name, (name, 1.0))
        if kind not in SCALED and key in ("lat_deg", "lon_deg"):
            continue
        v = _plain(value, factor if key != name else None)
        if v is not None and _known(key, v, kind):
            out[key] = v
    return out


def _plain(value: Any, factor: float | None) -> Any:
    """A value that JSON has; numbers with a unit times their factor, not finite ones None."""
    if isinstance(value, enum.Enum):
        if factor is not None:  # a code in the place of a number: not known, or beyond what the device measures
            return None
        value = value.value
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            return None
        return float(value) * factor if factor is not None else value
    text = str(value).strip("@ ")
    return text or None


def _known(key: str, v: Any, kind: int) -> bool:
    if key == "sog_mps":
        return bool(0.0 <= v < (NO_SPEED.get(kind, 102.3) - 0.05) * KNOT)
    if key in WITHIN_DEG and not abs(v) <= WITHIN_DEG[key]:
        return False
    return not (key in UNKNOWN and v == UNKNOWN[key])

"""Attitude in NMEA 0183 whose fields depend on other fields: PSXN, XDR, and the kinds of PASHR."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from giljabi._core.nmea import Sentence

Values = dict[str, Any]
TRANSDUCERS_MAX = 32
# Names that makers give to angular displacements (type A, unit D) and to heave (type D, unit M).
ANGLES = {"PITCH": "pitch_deg", "PTCH": "pitch_deg", "ROLL": "roll_deg", "HEEL": "roll_deg", "YAW": "yaw_deg"}


def values_of(s: Sentence) -> Values | None:
    """What a sentence says, in SI; None when it is not known. Raises ValueError when a field is malformed."""
    if s.talker == "P" and s.type == "SXN":
        return _psxn(s)
    if s.talker == "P" and s.type == "ASHR":
        return s.values() if not s.field(0)[:1].isalpha() else None  # $PASHR,ATT and the like are other sentences
    if s.type == "XDR" and s.talker != "P":
        return _xdr(s)
    return s.values()


def _number(text: str, limit: float) -> float:
    value = float(text)
    if not abs(value) <= limit:
        raise ValueError(text)
    return value


def _numbers(s: Sentence, rows: tuple[tuple[str, float], ...]) -> Values:
    """Fields from the second on by name; empty ones are left out."""
    texts = [s.field(i + 1).strip() for i in range(len(rows))]
    return {key: _number(t, limit) for (key, limit), t in zip(rows, texts, strict=True) if t}


def _psxn(s: Sentence) -> Values | None:
    """Seapath and MRU: 20 qualities (0 normal, 1 reduced, 2 invalid), 23 roll, pitch, heading, heave.

    Roll is positive with the port side up, pitch with the bow up, heave down.
    """
    kind = s.field(0).strip()
    if kind == "20":
        keys = ("position_quality", "height_quality", "heading_quality", "attitude_quality")
        return {k: int(v) for k, v in _numbers(s, tuple((k, 9.0) for k in keys)).items()}
    if kind == "23":
        v = _numbers(s, (("roll_deg", 180.0), ("pitch_deg", 90.0), ("heading_deg", 360.0), ("heave_m", 100.0)))
        if v.get("heading_deg", 0.0) < 0.0:
            raise ValueError("heading")
        if "heave_m" in v:
            v["heave_m"] = -v["heave_m"]  # up, as PASHR has it
        return v
    return None


def _xdr(s: Sentence) -> Values:
    """Transducers in groups of four: type, value, unit, name."""
    fields = [f.strip() for f in s.fields]
    out: Values = {}
    transducers = []
    for k in range(0, min(len(fields) - 3, 4 * TRANSDUCERS_MAX), 4):
        kind, text, unit, name = fields[k : k + 4]
        if not text:
            continue
        value = _number(text, 1e9)
        transducers.append({"kind": kind, "value": value, "unit": unit, "name": name})
        key = ANGLES.get(name.upper()) if (kind, unit) == ("A", "D") else None
        if (kind, unit) == ("D", "M") and name.upper() == "HEAVE":
            key = "heave_m"
        if key is not None and math.isfinite(value) and key not in out:
            out[key] = value
    return {**out, "transducers": transducers}

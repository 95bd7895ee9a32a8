"""Sentences of NMEA 0183 (IEC 61162-1) as named values in SI: one row a field.

`read(sentence)` gives what the sentence says, also when it says that it is not valid; fields that are empty are left
out. Keys end in a unit where the value is not SI. Angles and rates keep the sentence's sign: positive to starboard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from giljabi._core.nmea import Sentence

KNOT = 1852.0 / 3600.0  # m/s
NAUTICAL_MILE = 1852.0  # m
FOOT, FATHOM = 0.3048, 1.8288  # m
Value = float | int | str | bool | list[dict[str, float | int]] | list[int] | list[str]
Values = dict[str, Value]
Field = Callable[["Sentence", Values], None]
SPEED_UNITS = {"N": KNOT, "K": 1 / 3.6, "M": 1.0, "S": 1609.344 / 3600.0}
LENGTH_UNITS = {"N": NAUTICAL_MILE, "K": 1000.0, "S": 1609.344, "M": 1.0}


# What a value may be at most, by the end of its key; beyond it the field is malformed.
LARGEST = (("_deg", 360.0), ("_mps", 1100.0), ("_radps", 1e5), ("_m", 1e8), ("_s", 1e7))


def read(s: Sentence) -> Values | None:
    """Named values of a sentence, None when its kind is not known.

    Raises ValueError on a field that is not what its kind wants.
    """
    fields = SENTENCES.get(s.type)
    if fields is None:
        return None
    out: Values = {}
    for f in fields:
        f(s, out)
    return out


# --- kinds of fields ------------------------------------------------------------------------------


def number(key: str, i: int, scale: float = 1.0, low: float = -math.inf, high: float = math.inf) -> Field:
    """Field i, inside [low, high] (default: what the unit allows), times scale, unless an earlier field gave it."""
    largest = next((v for end, v in LARGEST if key.endswith(end)), 1e9) / scale
    low, high = max(low, -largest), min(high, largest)

    def take(s: Sentence, out: Values) -> None:
        v = s.number(i)
        if not isnan(v) and key not in out:
            if not low <= v <= high:
                raise ValueError(f"{s.address} field {i} is {v}; {low:g} to {high:g} is expected")
            out[key] = v if scale == 1.0 else v * scale

    return take


def aside(key: str, i: int, low: float, high: float) -> Field:
    """Field i where the rest says enough without it: outside [low, high] it counts as not given."""

    def take(s: Sentence, out: Values) -> None:
        v = s.number(i)
        if low <= v <= high:
            out[key] = v

    return take


def whole(key: str, i: int, low: int = 0, high: int = 10**9) -> Field:
    """Field i as a whole number inside [low, high]."""

    def take(s: Sentence, out: Values) -> None:
        v = s.number(i)
        if not isnan(v):
            if not low <= v <= high or v != int(v):
                raise ValueError(f"{s.address} field {i} is {v}; a whole number from {low} to {high} is expected")
            out[key] = int(v)

    return take


def text(key: str, i: int) -> Field:
    """Field i as text."""

    def take(s: Sentence, out: Values) -> None:
        v = s.field(i).strip()
        if v:
            out[key] = v

    return take


def flag(key: str, i: int, yes: str = "A") -> Field:
    """True when field i is one of the letters of `yes`; left out when it is empty."""

    def take(s: Sentence, out: Values) -> None:
        v = s.field(i).strip()
        if v:
            out[key] = v in yes

    return take


def clock(i: int) -> Field:
    """UTC of the day."""

    def take(s: Sentence, out: Values) -> None:
        v = s.clock(i)
        if not isnan(v):
            out["utc_of_day_s"] = v

    return take


def position(i: int) -> Field:
    """Latitude and longitude at fields i to i + 3; only both together."""

    def take(s: Sentence, out: Values) -> None:
        lat, lon = s.coordinate(i), s.coordinate(i + 2)
        if s.field(i + 1).strip() in ("E", "W") or s.field(i + 3).strip() in ("N", "S"):
            raise ValueError("latitude and longitude are swapped")
        if not (isnan(lat) or isnan(lon)):
            out["lat_deg"], out["lon_deg"] = lat, lon

    return take


def sided(key: str, i: int) -> Field:
    """Field i, positive for E and negative for W in field i + 1."""

    def take(s: Sentence, out: Values) -> None:
        v = s.number(i)
        if isnan(v):
            return
        letter = s.field(i + 1).strip()
        if letter not in ("E", "W") or not 0.0 <= v <= 180.0:
            raise ValueError(f"{s.address} field {i} is {v} {letter}; 0 to 180 and E or W is expected")
        out[key] = v if letter == "E" else -v

    return take


def variation(i: int) -> Field:
    """Magnetic variation; 999.9, or no letter beside it, says nothing."""

    def take(s: Sentence, out: Values) -> None:
        v, letter = s.number(i), s.field(i + 1).strip()
        if 0.0 <= v <= 180.0 and letter in ("E", "W"):
            out["variation_deg"] = v if letter == "E" else -v

    return take


def in_unit(key: str, i: int, unit_at: int, units: dict[str, float]) -> Field:
    """Field i in the unit whose letter stands in another field."""

    def take(s: Sentence, out: Values) -> None:
        v, letter = s.number(i), s.field(unit_at).strip()
        if isnan(v) or not letter:
            return
        if letter not in units:
            raise ValueError(f"{s.address} field {unit_at} is '{letter}'; one of {' '.join(units)} is expected")
        out[key] = v * units[letter]

    return take


def by_letter(names: dict[str, str], i: int, letter_at: int) -> Field:
    """Field i under the name that its reference letter stands for (T true, M magnetic, R relative)."""

    def take(s: Sentence, out: Values) -> None:
        v, letter = s.number(i), s.field(letter_at).strip()
        if not isnan(v) and letter in names:
            out[names[letter]] = v

    return take


def date(i: int) -> Field:
    """ddmmyy."""

    def take(s: Sentence, out: Values) -> None:
        v = s.field(i).strip()
        if v:
            if len(v) != 6 or not (v.isascii() and v.isdigit()):
                raise ValueError(f"{s.address} field {i} is '{v}'; ddmmyy is expected")
            out["day"], out["month"], out["year"] = int(v[:2]), int(v[2:4]), int(v[4:])

    return take


# --- sentences with a shape of their own -----------------------------------------------------------


def _vtg(s: Sentence, out: Values) -> None:
    """Before NMEA 0183 2.0 the unit letters were not there: four fields."""
    letters = s.text.count(",") > 4
    for f in VTG if letters else OLD_VTG:
        f(s, out)


def _gsa(s: Sentence, out: Values) -> None:
    used = [int(v) for i in range(2, 14) if abs(v := s.number(i)) < 1e9]
    out["satellites_used"] = used


def _gsv(s: Sentence, out: Values) -> None:
    """Up to four satellites of four fields each; since version 4.1 a signal number ends the sentence."""
    satellites: list[dict[str, float | int]] = []
    n = s.text.count(",")
    for i in range(3, n - 3, 4):
        row: dict[str, float | int] = {}
        for key, k in (("id", i), ("elevation_deg", i + 1), ("azimuth_deg", i + 2), ("cn0_dbhz", i + 3)):
            v = s.number(k)
            if abs(v) < 1e9:
                row[key] = int(v) if key == "id" else v
        if "id" in row:
            satellites.append(row)
    out["satellites"] = satellites


VTG: Sequence[Field] = (
    number("cog_deg", 0), number("cog_magnetic_deg", 2), number("sog_mps", 4, KNOT), number("sog_mps", 6, 1 / 3.6),
    text("mode", 8),
)  # fmt: skip
OLD_VTG: Sequence[Field] = (
    number("cog_deg", 0), number("cog_magnetic_deg", 1), number("sog_mps", 2, KNOT), number("sog_mps", 3, 1 / 3.6),
    text("mode", 4),
)  # fmt: skip
BEARING = {"T": "bearing_deg", "M": "bearing_magnetic_deg", "R": "bearing_relative_deg"}
STEER = {"T": "heading_to_steer_deg", "M": "heading_to_steer_magnetic_deg"}
SATELLITES, HDOP, ALTITUDE = (
    whole("satellites_in_use", 6),
    number("hdop", 7, 1.0, 0.0, 1e6),
    aside("alt_m", 8, -1e3, 1e5),
)
HEADING = number("heading_deg", 0, 1.0, 0.0, 360.0)
MAGNETIC = number("heading_magnetic_deg", 0, 1.0, 0.0, 360.0)
SENTENCES: dict[str, tuple[Field, ...]] = {
    # position
    "GGA": (
        clock(0), position(1), whole("quality", 5, 0, 9), SATELLITES, HDOP, ALTITUDE,
        number("geoid_separation_m", 10), number("dgnss_age_s", 12), text("dgnss_station", 13),
    ),
    "GNS": (
        clock(0), position(1), text("mode", 5), SATELLITES, HDOP, ALTITUDE,
        number("geoid_separation_m", 9), number("dgnss_age_s", 10), text("dgnss_station", 11),
    ),
    "RMC": (
        clock(0), flag("valid", 1, "AD"), position(2), number("sog_mps", 6, KNOT), number("cog_deg", 7), date(8),
        variation(9), text("mode", 11),
    ),
    "GLL": (position(0), clock(4), flag("valid", 5, "AD"), text("mode", 6)),
    "VTG": (_vtg,),
    "ZDA": (clock(0), whole("day", 1, 1, 31), whole("month", 2, 1, 12), whole("year", 3, 0, 2200)),
    "GST": (
        clock(0), number("range_rms_m", 1), number("std_major_m", 2), number("std_minor_m", 3),
        number("std_major_direction_deg", 4),
        number("std_north_m", 5, 1.0, 0.0), number("std_east_m", 6, 1.0, 0.0), number("std_up_m", 7, 1.0, 0.0),
    ),
    "GSA": (text("selection", 0), whole("fix_dimensions", 1), _gsa, number("pdop", 14), number("hdop", 15),
            number("vdop", 16)),
    "GSV": (whole("sentences", 0), whole("sentence", 1), whole("satellites_in_view", 2), _gsv),
    # attitude
    "HDT": (HEADING,),
    "THS": (HEADING, text("mode", 1)),
    "HDG": (MAGNETIC, sided("deviation_deg", 1), variation(3)),
    "HDM": (MAGNETIC,),
    "ROT": (number("rate_of_turn_radps", 0, math.radians(1.0) / 60.0, -7200.0, 7200.0), flag("valid", 1)),
    "ASHR": (
        clock(0), number("heading_deg", 1), number("roll_deg", 3), number("pitch_deg", 4), number("heave_m", 5),
        number("roll_std_deg", 6), number("pitch_std_deg", 7), number("heading_std_deg", 8), whole("quality", 9),
    ),
    # water and wind
    "VHW": (HEADING, number("heading_magnetic_deg", 2), number("water_speed_mps", 4, KNOT),
            number("water_speed_mps", 6, 1 / 3.6)),
    "VBW": (
        number("water_speed_mps", 0, KNOT), number("water_speed_across_mps", 1, KNOT), flag("water_valid", 2),
        number("ground_speed_mps", 3, KNOT), number("ground_speed_across_mps", 4, KNOT), flag("ground_valid", 5),
    ),
    "DBT": (number("depth_m", 2), number("depth_m", 0, FOOT), number("depth_m", 4, FATHOM)),
    "DPT": (number("depth_m", 0), number("transducer_offset_m", 1), number("range_m", 2)),
    "MWV": (by_letter({"R": "wind_angle_apparent_deg", "T": "wind_angle_true_deg"}, 0, 1),
            in_unit("wind_speed_mps", 2, 3, SPEED_UNITS), flag("valid", 4)),
    "MWD": (number("wind_direction_deg", 0), number("wind_direction_magnetic_deg", 2), number("wind_speed_mps", 6),
            number("wind_speed_mps", 4, KNOT)),
    # machinery
    "RSA": (number("rudder_deg", 0, 1.0, -180.0, 180.0), flag("valid", 1),
            number("rudder_port_deg", 2, 1.0, -180.0, 180.0), flag("port_valid", 3)),
    "RPM": (text("source", 0), whole("number", 1, 0, 99), number("speed_radps", 2, math.tau / 60.0),
            number("pitch_percent", 3), flag("valid", 4)),
    # autopilot
    "XTE": (flag("valid", 0), flag("cycle_lock", 1), in_unit("cross_track_m", 2, 4, LENGTH_UNITS), text("steer", 3),
            text("mode", 5)),
    "APB": (
        flag("valid", 0), flag("cycle_lock", 1), in_unit("cross_track_m", 2, 4, LENGTH_UNITS), text("steer", 3),
        flag("arrived", 5), flag("passed", 6),
        by_letter({"T": "bearing_of_leg_deg", "M": "bearing_of_leg_magnetic_deg"}, 7, 8), text("waypoint", 9),
        by_letter(BEARING, 10, 11), by_letter(STEER, 12, 13), text("mode", 14),
    ),
    # radar
    "TTM": (
        whole("target", 0), in_unit("distance_m", 1, 9, LENGTH_UNITS), by_letter(BEARING, 2, 3),
        in_unit("target_speed_mps", 4, 9, SPEED_UNITS),
        by_letter({"T": "target_course_deg", "R": "target_course_relative_deg"}, 5, 6),
        in_unit("cpa_m", 7, 9, LENGTH_UNITS), number("tcpa_s", 8, 60.0), text("name", 10), text("status", 11),
        flag("reference_target", 12, "R"), clock(13), text("acquisition", 14),
    ),
    "TLL": (whole("target", 0), position(1), text("name", 5), clock(6), text("status", 7),
            flag("reference_target", 8, "R")),
    "OSD": (
        HEADING, flag("heading_valid", 1), number("cog_deg", 2), text("course_reference", 3),
        in_unit("sog_mps", 4, 8, SPEED_UNITS), text("speed_reference", 5), number("set_deg", 6),
        in_unit("drift_mps", 7, 8, SPEED_UNITS),
    ),
}  # fmt: skip

"""The parameter groups of NMEA 2000 that are read, one row a field, as named values in SI.

Numbers, widths and resolutions are facts of IEC 61162-3 appendix B as canboat's database publishes them. A value that
its sender marks "not available", "out of range" or "reserved" is absent; one that cannot be is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DEG = 180.0 / math.pi
ANGLE = 1e-4 * DEG  # 0.0001 rad, in degrees
TURN = (0.0, 360.01)  # degrees; 62832 counts are a little more than a turn
Values = dict[str, Any]
INF = math.inf
Range = tuple[float, float]
ANY, POSITIVE, HALF_TURN = (-INF, INF), (0.0, INF), (-180.01, 180.01)
LATITUDE, LONGITUDE = (-90.0, 90.0), (-180.0, 180.0)
Reader = Callable[[bytes, int, Values], None]


@dataclass(frozen=True, slots=True)
class Pgn:
    """One parameter group: how it travels and what is in it."""

    pgn: int
    name: str
    fast: bool
    least: int  # bytes that it must have
    fields: tuple[Reader, ...]
    then: Callable[[Values], None] | None = None

    def read(self, data: bytes) -> Values:
        """Named values of a payload; raises ValueError when one of them cannot be, or the payload is too short."""
        if len(data) < self.least:
            raise ValueError("short")
        out: Values = {}
        whole = int.from_bytes(data, "little")
        for take in self.fields:
            take(data, whole, out)
        if self.then is not None:
            self.then(out)
        return out


def sentinels(width: int) -> int:
    """How many of the largest values are no values: not available, out of range, reserved."""
    return 0 if width < 2 else 1 if width < 4 else 2 if width < 8 else 3


def _number(
    key: str, start: int, width: int, scale: float = 1.0, within: Range = ANY, *, signed: bool = False,
    aside: bool = False,
) -> Reader:  # fmt: skip
    """A number times scale; outside `within` it is wrong, or with `aside` not known either."""
    low, high = within
    mask, end = (1 << width) - 1, (start + width + 7) // 8
    half = 1 << (width - 1)
    largest = (half if signed else half << 1) - 1 - sentinels(width)
    whole_number = scale == 1.0

    def take(data: bytes, whole: int, out: Values) -> None:
        if len(data) < end:
            return
        raw = whole >> start & mask
        if signed:
            raw = (raw ^ half) - half
            if raw == -half:
                return
        if raw > largest:
            return
        value = raw if whole_number else raw * scale
        if low <= value <= high:
            out[key] = value
        elif not aside:
            raise ValueError(key)

    return take


def _signed(key: str, start: int, width: int, scale: float, within: Range = ANY) -> Reader:
    return _number(key, start, width, scale, within, signed=True)


def _dilution(key: str, start: int) -> Reader:
    """Signed as the standard has it; receivers were recorded that say 0xFFFF for not available."""
    return _number(key, start, 16, 0.01, POSITIVE, signed=True, aside=True)


def _choice(key: str, start: int, width: int, *names: str) -> Reader:
    """A code as its name; a code without a name is left out."""
    mask, end = (1 << width) - 1, (start + width + 7) // 8

    def take(data: bytes, whole: int, out: Values) -> None:
        raw = whole >> start & mask
        if len(data) >= end and raw < len(names) and names[raw]:
            out[key] = names[raw]

    return take


def _flag(key: str, start: int) -> Reader:
    def take(data: bytes, whole: int, out: Values) -> None:
        if len(data) > start // 8:
            out[key] = bool(whole >> start & 1)

    return take


def _text(key: str, start: int, size: int) -> Reader:
    """Text of fixed size (bytes), padded with @, 0xFF, NUL or spaces."""

    def take(data: bytes, whole: int, out: Values) -> None:
        raw = data[start // 8 : start // 8 + size]
        text = raw.split(b"\0")[0].split(b"\xff")[0].decode("ascii", "replace").strip(" @")
        if text:
            out[key] = text

    return take


def _latitude(start: int, width: int = 32, scale: float = 1e-7) -> Reader:
    return _signed("lat_deg", start, width, scale, LATITUDE)


def _longitude(start: int, width: int = 32, scale: float = 1e-7) -> Reader:
    return _signed("lon_deg", start, width, scale, LONGITUDE)


def _course(start: int) -> Reader:
    return _number("cog_deg", start, 16, ANGLE, TURN)


def _moment(start: int) -> tuple[Reader, Reader]:
    """Date (days since 1970) and time of day; a leap second may be in it."""
    return _number("days", start, 16), _number("utc_of_day_s", start + 16, 32, 1e-4, (0.0, 86401.0))


INSTANCE = _number("instance", 0, 8)
REFERENCE = ("true", "magnetic")


def _by_reference(key: str) -> Callable[[Values], None]:
    """A magnetic angle goes under its own name; one whose reference is not told is no use."""

    def then(v: Values) -> None:
        reference = v.get("reference")
        if key in v and reference != "true":
            angle = v.pop(key)
            if reference == "magnetic":
                v[key.replace("_deg", "_magnetic_deg")] = angle

    return then


def _local_offset(v: Values) -> None:
    if "local_offset_min" in v:
        v["local_offset_s"] = 60.0 * v.pop("local_offset_min")


# --- AIS (ITU-R M.1371 in NMEA 2000) --------------------------------------------------------------

RECEPTION = ("channel A", "channel B", "own, channel A", "own, channel B", "own, not broadcast")
MMSI = _number("mmsi", 8, 32, 1.0, (1, 999_999_999), aside=True)
# 91 and 181 degrees are what M.1371 says when the ship does not know; some devices pass them on.
AIS_HEAD = (
    _number("message", 0, 6), MMSI,
    _number("lon_deg", 40, 32, 1e-7, LONGITUDE, signed=True, aside=True),
    _number("lat_deg", 72, 32, 1e-7, LATITUDE, signed=True, aside=True),
    _flag("accuracy", 104),
)  # fmt: skip
AIS_COURSE = _number("cog_deg", 112, 16, ANGLE, (0.0, 359.999), aside=True)
AIS_MOTION = (*AIS_HEAD, AIS_COURSE, _number("sog_mps", 128, 16, 0.01))


def _ais_heading(start: int) -> Reader:
    return _number("heading_deg", start, 16, ANGLE, TURN, aside=True)


def _size(start: int) -> tuple[Reader, ...]:
    keys = ("length_m", "width_m", "from_starboard_m", "from_bow_m")
    return tuple(_number(k, start + 16 * i, 16, 0.1) for i, k in enumerate(keys))


def _reception(start: int) -> Reader:
    return _choice("reception", start, 5, *RECEPTION)


# --- the table ------------------------------------------------------------------------------------

FLUIDS = ("fuel", "water", "grey water", "live well", "oil", "black water")
METHODS = (
    "none", "gnss", "dgnss", "precise", "rtk fixed", "rtk float", "estimated", "manual", "simulated",
)  # fmt: skip
ADDRESS_CLAIM, ISO_REQUEST = 60928, 59904
SYSTEM_TIME, RUDDER, HEADING, RATE_OF_TURN, VARIATION, ENGINE = 126992, 127245, 127250, 127251, 127258, 127488
ATTITUDE = 127257
SPEED, POSITION, COG_SOG, GNSS, TIME_DATE, DOPS = 128259, 129025, 129026, 129029, 129033, 129539
CLASS_A, CLASS_B, CLASS_B_EXTENDED, AID, BASE_STATION, AIRCRAFT = 129038, 129039, 129040, 129041, 129793, 129798
CLASS_A_STATIC, CLASS_B_NAME, CLASS_B_STATIC = 129794, 129809, 129810

PGNS: Mapping[int, Pgn] = {p.pgn: p for p in (
    Pgn(ISO_REQUEST, "iso_request", False, 3, (_number("requested_pgn", 0, 24),)),
    Pgn(ADDRESS_CLAIM, "address_claim", False, 8, (
        _number("unique_number", 0, 21), _number("manufacturer", 21, 11), _number("device_instance", 32, 8),
        _number("device_function", 40, 8), _number("device_class", 49, 7), _number("system_instance", 56, 4),
        _number("industry_group", 60, 3), _flag("arbitrary_address", 63),
    )),
    Pgn(SYSTEM_TIME, "system_time", False, 8, (
        _choice("source_of_time", 8, 4, "gps", "glonass", "radio", "cesium", "rubidium", "crystal"), *_moment(16),
    )),
    Pgn(RUDDER, "rudder", False, 6, (
        INSTANCE, _choice("direction_order", 8, 3, "none", "starboard", "port"),
        _signed("rudder_order_deg", 16, 16, ANGLE, HALF_TURN),
        _signed("rudder_deg", 32, 16, ANGLE, HALF_TURN),
    )),
    Pgn(HEADING, "vessel_heading", False, 8, (
        _number("heading_deg", 8, 16, ANGLE, TURN), _signed("deviation_deg", 24, 16, ANGLE, HALF_TURN),
        _signed("variation_deg", 40, 16, ANGLE, HALF_TURN), _choice("reference", 56, 2, *REFERENCE),
    ), _by_reference("heading_deg")),
    Pgn(RATE_OF_TURN, "rate_of_turn", False, 5, (_signed("rate_of_turn_radps", 8, 32, 1e-6 / 32.0),)),
    Pgn(ATTITUDE, "attitude", False, 7, (
        _signed("yaw_deg", 8, 16, ANGLE, HALF_TURN), _signed("pitch_deg", 24, 16, ANGLE, HALF_TURN),
        _signed("roll_deg", 40, 16, ANGLE, HALF_TURN),
    )),
    Pgn(VARIATION, "magnetic_variation", False, 6, (
        _signed("variation_deg", 32, 16, ANGLE, HALF_TURN),
    )),
    Pgn(ENGINE, "engine_rapid", False, 6, (
        INSTANCE, _number("speed_radps", 8, 16, 0.25 * 2.0 * math.pi / 60.0),
        _number("boost_pressure_pa", 24, 16, 100.0), _number("tilt_percent", 40, 8, signed=True),
    )),
    Pgn(127489, "engine_dynamic", True, 26, (
        INSTANCE, _number("oil_pressure_pa", 8, 16, 100.0), _number("oil_temperature_k", 24, 16, 0.1),
        _number("coolant_temperature_k", 40, 16, 0.01), _signed("alternator_v", 56, 16, 0.01),
        _signed("fuel_rate_m3ps", 72, 16, 0.1e-3 / 3600.0), _number("running_s", 88, 32),
        _number("coolant_pressure_pa", 120, 16, 100.0), _number("fuel_pressure_pa", 136, 16, 1000.0),
        _number("load_percent", 192, 8, signed=True), _number("torque_percent", 200, 8, signed=True),
    )),
    Pgn(127505, "fluid_level", False, 7, (
        _number("instance", 0, 4), _choice("fluid", 4, 4, *FLUIDS),
        _signed("level_percent", 8, 16, 0.004), _number("capacity_m3", 24, 32, 1e-4),
    )),
    Pgn(SPEED, "speed", False, 6, (
        _number("water_speed_mps", 8, 16, 0.01), _number("ground_speed_mps", 24, 16, 0.01),
        _choice("sensor", 40, 8, "paddle wheel", "pitot tube", "doppler", "correlation", "electro magnetic"),
    )),
    Pgn(128267, "water_depth", False, 7, (
        _number("depth_m", 8, 32, 0.01), _signed("transducer_offset_m", 40, 16, 0.001), _number("range_m", 56, 8, 10.0),
    )),
    Pgn(POSITION, "position_rapid", False, 8, (_latitude(0), _longitude(32))),
    Pgn(COG_SOG, "cog_sog_rapid", False, 6, (
        _choice("reference", 8, 2, *REFERENCE), _course(16), _number("sog_mps", 32, 16, 0.01),
    ), _by_reference("cog_deg")),
    Pgn(GNSS, "gnss_position", True, 43, (
        *_moment(8), _latitude(56, 64, 1e-16), _longitude(120, 64, 1e-16), _signed("alt_m", 184, 64, 1e-6, (-1e4, 1e6)),
        _choice("system", 248, 4, "gps", "glonass", "gps+glonass", "gps+sbas", "gps+sbas+glonass", "chayka",
                "integrated", "surveyed", "galileo"),
        _choice("method", 252, 4, *METHODS), _choice("integrity", 256, 2, "not checked", "safe", "caution", "unsafe"),
        _number("satellites_in_use", 264, 8), _dilution("hdop", 272),
        _dilution("pdop", 288), _signed("geoid_separation_m", 304, 32, 0.01),
    )),
    Pgn(TIME_DATE, "time_date", False, 6, (
        *_moment(0), _number("local_offset_min", 48, 16, signed=True),
    ), _local_offset),
    Pgn(DOPS, "gnss_dops", False, 8, (
        _choice("mode", 11, 3, "1d", "2d", "3d", "auto"), _dilution("hdop", 16),
        _dilution("vdop", 32), _dilution("tdop", 48),
    )),
    Pgn(130306, "wind", False, 6, (
        _number("wind_speed_mps", 8, 16, 0.01), _number("wind_angle_deg", 24, 16, ANGLE, TURN),
        _choice("reference", 40, 3, "true north", "magnetic north", "apparent", "true boat", "true water"),
    )),
    Pgn(CLASS_A, "ais_class_a", True, 26, (
        *AIS_MOTION, _reception(163), _ais_heading(168), _signed("rate_of_turn_radps", 184, 16, 1e-3 / 32.0),
        _number("navigation_status", 200, 4),
    )),
    Pgn(CLASS_B, "ais_class_b", True, 26, (*AIS_MOTION, _reception(163), _ais_heading(168))),
    Pgn(CLASS_B_EXTENDED, "ais_class_b_extended", True, 52, (
        *AIS_MOTION, _number("ship_type", 160, 8), _ais_heading(168), *_size(192), _text("shipname", 256, 20),
        _reception(422),
    )),
    Pgn(AID, "ais_aid_to_navigation", True, 26, (
        *AIS_HEAD, *_size(112), _number("aid_type", 176, 5), _flag("off_position", 181), _flag("virtual", 182),
        _reception(200),
    )),
    Pgn(BASE_STATION, "ais_base_station", True, 24, (*AIS_HEAD, _reception(163))),
    Pgn(AIRCRAFT, "ais_sar_aircraft", True, 25, (
        *AIS_HEAD, AIS_COURSE, _number("sog_mps", 128, 16, 0.1), _reception(163), _signed("alt_m", 168, 32, 0.01),
    )),
    Pgn(CLASS_A_STATIC, "ais_class_a_static", True, 53, (
        _number("message", 0, 6), MMSI, _number("imo_number", 40, 32), _text("callsign", 72, 7),
        _text("shipname", 128, 20), _number("ship_type", 288, 8), *_size(296), _number("draught_m", 408, 16, 0.01),
        _text("destination", 424, 20), _reception(592),
    )),
    Pgn(CLASS_B_NAME, "ais_class_b_name", True, 25, (
        _number("message", 0, 6), MMSI, _text("shipname", 40, 20), _reception(200),
    )),
    Pgn(CLASS_B_STATIC, "ais_class_b_static", True, 28, (
        _number("message", 0, 6), MMSI, _number("ship_type", 40, 8), _text("callsign", 104, 7), *_size(160),
        _reception(264),
    )),
)}  # fmt: skip

"""AIS out of NMEA 2000: the same rows of GeoDetections as from !AIVDM sentences."""

from __future__ import annotations

import math

from giljabi.types import NAN, Kind
from giljabi_drivers import nmea2000_pgns as pgns
from giljabi_drivers.ais import Hull, Hulls
from giljabi_drivers.nmea2000_pgns import Values

AIS = (
    pgns.CLASS_A, pgns.CLASS_B, pgns.CLASS_B_EXTENDED, pgns.AID, pgns.BASE_STATION, pgns.AIRCRAFT, pgns.CLASS_A_STATIC,
    pgns.CLASS_B_NAME, pgns.CLASS_B_STATIC,
)  # fmt: skip
# The number of the message of M.1371 travels inside and says what it is of.
VESSEL_MESSAGES = frozenset({1, 2, 3, 18, 19, 27})
FIXED_MESSAGES = frozenset({4, 11, 21})


def ais_row(v: Values, hulls: Hulls) -> tuple[float, ...] | None:
    """A row of GeoDetections out of a position report of another station; sizes go into `hulls`."""
    mmsi = v.get("mmsi")
    if mmsi is None or str(v.get("reception", "")).startswith("own"):
        return None  # what our own transponder sends is no target
    _remember(mmsi, v, hulls)
    if "lat_deg" not in v or "lon_deg" not in v:
        return None
    message = v.get("message", 0)
    fixed = message in FIXED_MESSAGES
    what = Kind.STATIC if fixed else Kind.VESSEL if message in VESSEL_MESSAGES else Kind.UNKNOWN
    velocity = (0.0, 0.0) if fixed else _velocity(v.get("sog_mps", NAN), v.get("cog_deg", NAN))
    accurate = bool(v.get("accuracy", False))
    return hulls.row(
        mmsi, v["lat_deg"], v["lon_deg"], velocity, v.get("heading_deg", NAN), accurate=accurate, what=what
    )


def _remember(mmsi: int, v: Values, hulls: Hulls) -> None:
    length, width = v.get("length_m", 0.0), v.get("width_m", 0.0)
    if mmsi // 10_000_000 == 98 or (length == 0.0 and width == 0.0):
        return  # of an auxiliary craft the size may be the mother ship's number
    bow, starboard = v.get("from_bow_m"), v.get("from_starboard_m")
    if bow is None or starboard is None or bow > length or starboard > width:
        bow, starboard = 0.0, width  # as M.1371 writes it when the reference point is not known
    hulls.remember(mmsi, Hull(bow, length - bow, width - starboard, starboard))


def _velocity(speed: float, course_deg: float) -> tuple[float, float]:
    """Velocity over ground in ENU [m/s]; NaN where it is not known."""
    if speed == 0.0:
        return 0.0, 0.0
    c = math.radians(course_deg)
    return speed * math.sin(c), speed * math.cos(c)

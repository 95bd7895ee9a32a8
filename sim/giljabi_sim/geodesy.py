"""WGS-84 for the simulator alone: local east-north-up to latitude and longitude by way of ECEF.

Kept apart from `giljabi.frames` on purpose: the stack's geodesy is judged against this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.types import Array

A = 6378137.0  # m, semi-major axis
F = 1.0 / 298.257223563
E2 = F * (2.0 - F)


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Geodetic position on WGS-84."""

    lat_deg: float
    lon_deg: float
    alt_m: float


def to_ecef(p: GeoPoint) -> Array:
    """Earth-centred, earth-fixed position (3,) [m]."""
    lat, lon = math.radians(p.lat_deg), math.radians(p.lon_deg)
    n = A / math.sqrt(1.0 - E2 * math.sin(lat) ** 2)
    flat = (n + p.alt_m) * math.cos(lat)
    return np.array([flat * math.cos(lon), flat * math.sin(lon), (n * (1.0 - E2) + p.alt_m) * math.sin(lat)])


def from_ecef(xyz: Array) -> GeoPoint:
    """Inverse of `to_ecef` by Bowring's iteration; below 1 um between -5 and 10 km."""
    x, y, z = (float(v) for v in xyz)
    flat = math.hypot(x, y)
    lat = math.atan2(z, flat * (1.0 - E2))
    n = A
    for _ in range(6):
        n = A / math.sqrt(1.0 - E2 * math.sin(lat) ** 2)
        lat = math.atan2(z + E2 * n * math.sin(lat), flat)
    n = A / math.sqrt(1.0 - E2 * math.sin(lat) ** 2)
    alt = flat / math.cos(lat) - n if abs(lat) < 1.2 else z / math.sin(lat) - n * (1.0 - E2)
    return GeoPoint(math.degrees(lat), math.degrees(math.atan2(y, x)), alt)


class LocalFrame:
    """East-north-up tangent frame at an origin."""

    def __init__(self, origin: GeoPoint) -> None:
        self.origin = origin
        lat, lon = math.radians(origin.lat_deg), math.radians(origin.lon_deg)
        east = [-math.sin(lon), math.cos(lon), 0.0]
        north = [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
        up = [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
        self._R_ecef_enu = np.array([east, north, up]).T
        self._t_ecef = to_ecef(origin)

    def geodetic(self, x: float, y: float, z: float = 0.0) -> GeoPoint:
        """Latitude, longitude and height of a point in the frame [m]."""
        return from_ecef(self._t_ecef + self._R_ecef_enu @ np.array([x, y, z]))

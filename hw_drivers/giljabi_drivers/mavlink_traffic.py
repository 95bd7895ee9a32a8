"""Other aircraft that an autopilot's ADS-B receiver hears (MAVLink ADSB_VEHICLE) as detections with identity."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import NAN, GeoDetections, Kind
from giljabi_drivers.mavlink_frames import Heard

MESSAGE = "ADSB_VEHICLE"
RATE_HZ = 5.0
OLD_S = 30  # since the aircraft was heard last; older is no detection
DRONES = (dialect.ADSB_EMITTER_TYPE_UAV, dialect.ADSB_EMITTER_TYPE_ULTRA_LIGHT)


class Traffic:
    """Reports into rows of GeoDetections; nothing where the platform file has no sensor for them."""

    def __init__(self, source: str, std_m: float) -> None:
        """source: sensor of kind detections in the platform file, empty: none; std_m: 1 sigma of a position."""
        self.wanted = bool(source)
        self._source, self._variance = source, std_m**2

    def handlers(self) -> dict[str, Callable[[Heard], GeoDetections | None]]:
        """By message."""
        return {MESSAGE: self._report} if self.wanted else {}

    def _report(self, heard: Heard) -> GeoDetections | None:
        m = heard.message
        if not m.flags & dialect.ADSB_FLAGS_VALID_COORDS or m.tslc > OLD_S:
            return None
        lat, lon = m.lat * 1e-7, m.lon * 1e-7
        if abs(lat) > 90.0 or abs(lon) > 180.0 or m.ICAO_address == 0:
            raise ValueError("no aircraft on earth")
        vx = vy = yaw = NAN
        moving = dialect.ADSB_FLAGS_VALID_HEADING | dialect.ADSB_FLAGS_VALID_VELOCITY
        if m.flags & moving == moving and m.heading <= 36000:
            course, speed = math.radians(m.heading * 0.01), m.hor_velocity * 0.01
            vx, vy = speed * math.sin(course), speed * math.cos(course)
            yaw = math.remainder(math.pi / 2 - course, math.tau)
        kind = Kind.DRONE if m.emitter_type in DRONES else Kind.UNKNOWN
        row = (lon, lat, NAN, vx, vy, yaw, NAN, NAN, float(m.ICAO_address), float(kind.value), self._variance)
        return GeoDetections(heard.t - m.tslc, self._source, np.array([row]))

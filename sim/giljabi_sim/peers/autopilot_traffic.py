"""The ADS-B receiver of a simulated autopilot: what other drones of the scenario transmit, one of them a message."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

if TYPE_CHECKING:
    from giljabi_sim.world import World

PERIOD = 1.0  # s, of what each of them transmits
FIRST_ADDRESS = 0x71BC00  # ICAO addresses of the Republic of Korea begin here


class Receiver:
    """Hears every drone once a second; noise is new in each report."""

    def __init__(self, rng: np.random.Generator, std_m: float) -> None:
        self._rng, self._std = rng, std_m
        self._heard: dict[str, float] = {}

    def report(self, now: float, world: World) -> Any:
        """The drone that was heard longest ago, where that is a second or more; else None."""
        drones = [(i, o) for i, o in enumerate(world.others) if o.kind == "drone"]
        due = [(self._heard.get(o.name, -math.inf), i, o) for i, o in drones]
        due = [row for row in due if now - row[0] >= PERIOD - 1e-6]
        if not due:
            return None
        _, i, other = min(due, key=lambda row: row[:2])
        self._heard[other.name] = now
        b, e = other.body, self._std * self._rng.standard_normal(2)
        place = world.frame.geodetic(b.x + e[0], b.y + e[1], world.own.z)
        vx, vy = b.velocity
        course = round(math.degrees(math.atan2(vx, vy)) % 360.0 * 100.0) % 36000
        d = dialect
        flags = d.ADSB_FLAGS_VALID_COORDS | d.ADSB_FLAGS_VALID_HEADING | d.ADSB_FLAGS_VALID_VELOCITY
        return d.MAVLink_adsb_vehicle_message(
            FIRST_ADDRESS + i, round(place.lat_deg * 1e7), round(place.lon_deg * 1e7), 1, round(place.alt_m * 1e3),
            course, round(100.0 * math.hypot(vx, vy)), 0, other.name.encode()[:8], d.ADSB_EMITTER_TYPE_UAV, 0, flags, 0,
        )  # fmt: skip

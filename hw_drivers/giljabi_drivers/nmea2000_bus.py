"""Who speaks on an NMEA 2000 bus: names behind addresses, which source of a quantity is used, our own address.

ISO 11783-5 (network management), which IEC 61162-3 takes over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from giljabi_drivers.nmea2000_frames import GLOBAL, NULL, Header
from giljabi_drivers.nmea2000_pgns import ADDRESS_CLAIM, ISO_REQUEST

Station = tuple[int, int]  # bus, address
SILENCE_S = 5.0  # after which the bus counts as having been down


@dataclass(slots=True)
class Names:
    """Which NAME (64 bits) holds which address, from address claims; bounded by the 254 addresses of 256 buses."""

    by_station: dict[Station, int] = field(default_factory=dict)

    def claim(self, station: Station, name: int) -> Station | None:
        """A claim heard. Returns the station that the same device had before it moved, None when it did not move."""
        before = next((s for s, n in self.by_station.items() if n == name and s[0] == station[0]), None)
        if before is not None and before != station:
            del self.by_station[before]
        if station[1] < NULL:
            self.by_station[station] = name
        return before if before != station else None


@dataclass(slots=True)
class Sources:
    """One source for each quantity: the one that the platform file names, else the first one heard while it lives."""

    wanted: Mapping[str, int | str]  # by quantity: address, or NAME in hexadecimal
    names: Names
    timeout_s: float
    chosen: dict[str, tuple[Station, float]] = field(default_factory=dict)

    def take(self, quantity: str, station: Station, t: float) -> bool:
        """Whether a sample of this station is used."""
        wanted = self.wanted.get(quantity.partition(" ")[0])
        if isinstance(wanted, int):
            return station[1] == wanted
        if isinstance(wanted, str):
            return self.names.by_station.get(station) == int(wanted, 16)
        now = self.chosen.get(quantity)
        if now is not None and now[0] != station and 0.0 <= t - now[1] <= self.timeout_s:
            return False
        self.chosen[quantity] = (station, t)
        return True

    def uses(self, quantity: str, station: Station) -> bool:
        """Whether this station is the one in use."""
        now = self.chosen.get(quantity)
        return now is None or now[0] == station

    def moved(self, old: Station, new: Station) -> None:
        """The same device under another address: it stays chosen."""
        for quantity, (station, t) in self.chosen.items():
            if station == old:
                self.chosen[quantity] = (new, t)


@dataclass(slots=True)
class OwnAddress:
    """Our address on the bus: claimed at the start and after silence, told to who asks, defended by the lower NAME."""

    address: int
    name: int
    problem: str = ""
    lost: bool = False
    heard_t: float = -math.inf

    def hello(self, t: float) -> list[tuple[int, bytes]]:
        """Frames to send when something was heard at t, or nothing yet: when the bus has just come up, our claim and a
        request that all others tell theirs."""
        silent = t - self.heard_t > SILENCE_S
        self.heard_t = t
        ask = Header(6, ISO_REQUEST, self.address, GLOBAL).can_id, ADDRESS_CLAIM.to_bytes(3, "little")
        return [self._claim(), ask] if silent else []

    def request(self, header: Header, pgn: int) -> list[tuple[int, bytes]]:
        """Somebody asks who is there."""
        asked = pgn == ADDRESS_CLAIM and header.destination in (self.address, GLOBAL)
        return [self._claim()] if asked else []

    def claimed(self, source: int, name: int) -> list[tuple[int, bytes]]:
        """Somebody else claims an address; ours goes to the lower NAME."""
        if source != self.address or name == self.name:
            return []
        if self.name < name and not self.lost:
            return [self._claim()]
        self.lost = True
        self.problem = f"address {self.address} belongs to another device (NAME {name:016X}); another one is expected"
        return [self._claim()]

    def _claim(self) -> tuple[int, bytes]:
        """Identifier and data; from the null address when we have lost ours (ISO 11783-5, cannot claim)."""
        source = NULL if self.lost else self.address
        return Header(6, ADDRESS_CLAIM, source, GLOBAL).can_id, self.name.to_bytes(8, "little")


def own_name(unique_number: int) -> int:
    """NAME of an autopilot (class 40 steering and control surfaces, function 150) with a fixed address.

    Manufacturer 2046 stands for none. ISO 11783-5, clause 4.2; classes and functions of NMEA 2000 appendix B.
    """
    industry_marine, device_class, function, manufacturer = 4, 40, 150, 2046
    return (
        industry_marine << 60 | device_class << 49 | function << 40 | manufacturer << 21 | unique_number & 0x1FFFFF
    )  # fmt: skip

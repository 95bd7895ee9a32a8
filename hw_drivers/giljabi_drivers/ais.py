"""AIS (ITU-R M.1371) out of !AIVDM sentences: fragments, and rows of GeoDetections."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from giljabi.types import NAN, Kind

if TYPE_CHECKING:
    from giljabi._core.nmea import Sentence

KNOT = 1852.0 / 3600.0  # m/s
ARMOUR = re.compile(r"[0-W`-w]+")  # six-bit armour of the payload, IEC 61162-1
# Bits a message must have before a field of it is believed (ITU-R M.1371-5, tables 48 to 94).
BITS = {1: 168, 2: 168, 3: 168, 4: 168, 5: 422, 9: 168, 18: 168, 19: 312, 21: 272, 24: 160, 27: 96}
# First bit of the four distances to the ship's ends (9, 9, 6, 6 bits), by message; static messages hold nothing else
# that is used, so their texts are never decoded.
HULL_AT = {5: 240, 19: 271, 21: 219, 24: 132}
STATIC = frozenset({5, 24})
VESSELS = frozenset({1, 2, 3, 18, 19, 27})
FIXED = frozenset({4, 21})  # base station, aid to navigation
SEMI_MAJOR_M, E2 = 6378137.0, 6.69437999014e-3  # WGS-84


@dataclass(slots=True)
class _Group:
    """Fragments of one message that have come so far."""

    t: float
    parts: dict[int, str]
    stamp: float  # the first that a logger or a TAG block gave one of its sentences; NaN
    fill: int = 0


@dataclass(frozen=True, slots=True)
class Hull:
    """Distances of the position's reference point to the ship's ends [m]."""

    bow: float
    stern: float
    port: float
    starboard: float

    @property
    def length(self) -> float:
        return float(self.bow + self.stern) or NAN

    @property
    def width(self) -> float:
        return float(self.port + self.starboard) or NAN

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the hull seen from the reference point, ahead and to port [m]; 0 where the point is not given."""
        if self.bow == 0 and self.port == 0:  # ITU-R M.1371-5, figure 41: reference point not available
            return 0.0, 0.0
        return (self.bow - self.stern) / 2.0, (self.port - self.starboard) / 2.0


@dataclass(slots=True)
class Hulls:
    """Sizes of ships by MMSI, the newest `most` of them."""

    most: int = 4096
    by_mmsi: OrderedDict[int, Hull] = field(default_factory=OrderedDict)

    def remember(self, mmsi: int, hull: Hull) -> None:
        """Keeps what a ship says of herself."""
        if hull.bow + hull.stern + hull.port + hull.starboard == 0:
            return
        self.by_mmsi[mmsi] = hull
        self.by_mmsi.move_to_end(mmsi)
        if len(self.by_mmsi) > self.most:
            self.by_mmsi.popitem(last=False)

    def row(
        self, mmsi: int, lat: float, lon: float, velocity: tuple[float, float], heading_deg: float, *, accurate: bool,
        what: Kind,
    ) -> tuple[float, ...]:  # fmt: skip
        """A row of GeoDetections: the middle of the hull where size and heading are known.

        lat, lon: of the reference point [deg]; velocity: over ground in ENU [m/s]; heading_deg: NaN where not known.
        """
        yaw = math.remainder(math.pi / 2 - math.radians(heading_deg), math.tau)
        hull = self.by_mmsi.get(mmsi)
        if hull is not None and not math.isnan(yaw) and what is not Kind.STATIC:
            lat, lon = _shifted(lat, lon, yaw, *hull.centre)
        length, width = (hull.length, hull.width) if hull else (NAN, NAN)
        # The accuracy flag tells better from worse than 10 m (ITU-R M.1371-5, table 48); taken as 2 sigma and 1 sigma.
        variance = 25.0 if accurate else 100.0
        return (lon, lat, NAN, *velocity, yaw, length, width, float(mmsi), float(what.value), variance)


@dataclass(slots=True)
class AisReceiver:
    """Assembles and decodes; memory is bounded by `groups_max` and that of `hulls`.

    reject(reason) is called for everything that is dropped.
    """

    reject: Callable[[str], None]
    timeout_s: float = 5.0
    groups_max: int = 64
    groups: OrderedDict[tuple[str, str, str, int, int], _Group] = field(default_factory=OrderedDict)
    hulls: Hulls = field(default_factory=Hulls)
    stamp: float = NAN  # of the message that was completed last

    def feed(self, s: Sentence, t: float, source: int = 0) -> tuple[float, ...] | None:
        """One VDM sentence; a row of GeoDetections when it completes a position report.

        source: number of the line it came over, so that two receivers do not share fragments.
        """
        payload = self.assemble(s, t, source)
        return None if payload is None else self._decode(*payload)

    def expire(self, t: float) -> None:
        """Drops fragments that waited longer than the timeout."""
        while self.groups:
            key, group = next(iter(self.groups.items()))
            if 0.0 <= t - group.t <= self.timeout_s:
                break
            del self.groups[key]
            self.reject("ais_incomplete")

    def assemble(self, s: Sentence, t: float, source: int = 0, stamp: float = NAN) -> tuple[str, int] | None:
        """Payload and fill bits of the message that this sentence completes; None while parts are missing.

        stamp: time that the sentence was given by others; that of a message is the first among its sentences.
        """
        fields, talker = s.fields, s.talker
        if len(fields) < 6 or not (fields[0].isdigit() and fields[1].isdigit() and fields[5].isdigit()):
            self.reject("ais_malformed")
            return None
        count, number, fill = int(fields[0][:2]), int(fields[1][:2]), int(fields[5][:2])
        if not (1 <= number <= count <= 9 and fill <= 5 and ARMOUR.fullmatch(fields[4])):
            self.reject("ais_malformed")
            return None
        if count == 1:
            self.stamp = stamp
            return fields[4], fill
        self.expire(t)
        key = (talker, fields[2], fields[3], count, source)
        group = self.groups.get(key)
        if group is not None and number in group.parts and group.parts[number] != fields[4]:
            del self.groups[key]  # the sequence number came round again
            self.reject("ais_incomplete")
            group = None
        if group is None:
            group = self.groups[key] = _Group(t, {}, stamp)
            if len(self.groups) > self.groups_max:
                self.groups.popitem(last=False)
                self.reject("ais_incomplete")
        group.parts[number] = fields[4]
        group.stamp = stamp if math.isnan(group.stamp) else group.stamp
        if number == count:
            group.fill = fill
        if len(group.parts) < count:
            return None
        del self.groups[key]
        self.stamp = group.stamp
        return "".join(group.parts[i + 1] for i in range(count)), group.fill

    def _decode(self, payload: str, fill: int) -> tuple[float, ...] | None:
        bit_vector, classes, error = pyais_parts()
        bits = bit_vector(payload.encode("ascii"), fill)
        kind = bits.get(0, 6)
        if kind not in BITS:
            return None  # nothing of it is a detection
        if len(bits) < BITS[kind]:
            self.reject("ais_short")
            return None
        mmsi = bits.get(8, 30)
        if mmsi == 0:
            self.reject("ais_no_mmsi")
            return None
        if kind in HULL_AT and (kind != 24 or bits.get(38, 2) == 1):  # part A of message 24 is a name
            self._remember(mmsi, bits, HULL_AT[kind])
        if kind in STATIC:
            return None
        try:
            message: Any = classes[kind].from_vector(bits)
        except (error, ValueError, KeyError, IndexError):
            self.reject("ais_payload")
            return None
        return self._row(mmsi, kind, message)

    def _remember(self, mmsi: int, bits: Any, at: int) -> None:
        if mmsi // 10_000_000 == 98 or len(bits) < at + 30:
            return  # an auxiliary craft: the same bits are the mother ship's MMSI
        self.hulls.remember(
            mmsi, Hull(bits.get(at, 9), bits.get(at + 9, 9), bits.get(at + 18, 6), bits.get(at + 24, 6))
        )

    def _row(self, mmsi: int, kind: int, m: Any) -> tuple[float, ...] | None:
        lat, lon = float(m.lat), float(m.lon)
        if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):
            return None  # 91 and 181 say that the ship does not know
        fixed = kind in FIXED
        vx, vy = (0.0, 0.0) if fixed else _velocity(kind, float(m.speed), float(m.course))
        heading = int(getattr(m, "heading", 511))
        what = Kind.VESSEL if kind in VESSELS else Kind.STATIC if fixed else Kind.UNKNOWN
        heading_deg = float(heading) if heading < 360 else NAN
        accurate = bool(getattr(m, "accuracy", False))
        return self.hulls.row(mmsi, lat, lon, (vx, vy), heading_deg, accurate=accurate, what=what)


@lru_cache(maxsize=1)
def pyais_parts() -> tuple[Any, Any, Any]:
    """Bit vector, message classes and error of pyais, imported when the first AIS sentence comes."""
    messages: Any = import_module("pyais.messages")
    return messages.bit_vector, messages.MSG_CLASS, import_module("pyais.exceptions").AISBaseException


def _velocity(kind: int, speed: float, course: float) -> tuple[float, float]:
    """Velocity over ground in ENU [m/s] from knots and degrees; NaN when speed or course is not available."""
    unknown = {9: 1023.0, 27: 63.0}.get(kind, 102.3)
    if not 0.0 <= speed < unknown - 0.05:
        return NAN, NAN
    if speed == 0.0:
        return 0.0, 0.0
    if not 0.0 <= course < 360.0:
        return NAN, NAN
    c = math.radians(course)
    return speed * KNOT * math.sin(c), speed * KNOT * math.cos(c)


def _shifted(lat: float, lon: float, yaw: float, ahead: float, left: float) -> tuple[float, float]:
    """Position moved by body offsets [m], over the WGS-84 radii of curvature; error below 1 cm at 500 m."""
    east = ahead * math.cos(yaw) - left * math.sin(yaw)
    north = ahead * math.sin(yaw) + left * math.cos(yaw)
    w = math.sqrt(1.0 - E2 * math.sin(math.radians(lat)) ** 2)
    meridian, normal = SEMI_MAJOR_M * (1.0 - E2) / w**3, SEMI_MAJOR_M / w
    across = normal * max(math.cos(math.radians(lat)), 1e-6)
    lon += math.degrees(east / across)
    return lat + math.degrees(north / meridian), math.remainder(lon, 360.0)

"""NMEA 2000 (IEC 61162-3) over CAN: parameter groups to samples in SI, rudder orders out.

Stamps are receive times; UTC travels as data in `GnssFix.utc_s`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from giljabi.platform import Platform
from giljabi.types import (
    NAN,
    GeoDetections,
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    Sample,
    SpeedThroughWater,
)
from giljabi.wire import EncodeTable
from giljabi.yaml_file import Strict
from giljabi_drivers import nmea2000_pgns as pgns
from giljabi_drivers.ais import Hulls
from giljabi_drivers.can_frames import ERROR, EXTENDED, FD, REMOTE, pack_socketcan
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.epoch import UtcTracker
from giljabi_drivers.navigation import course_velocity, dilution_std, tilt_sample, yaw_of_heading
from giljabi_drivers.nmea2000_ais import AIS, ais_row
from giljabi_drivers.nmea2000_bus import Names, OwnAddress, Sources, Station, own_name
from giljabi_drivers.nmea2000_commands import RudderCommand, build_table
from giljabi_drivers.nmea2000_frames import GLOBAL, FastPackets, Header
from giljabi_drivers.nmea2000_pgns import Pgn, Values
from giljabi_drivers.sensors import SensorWatch

# Method of a fix as GnssFix.quality; not listed: no fix, or one that must not be trusted on a vehicle.
QUALITY = {"gnss": 1, "dgnss": 2, "precise": 1, "rtk fixed": 4, "rtk float": 5, "estimated": 6}
ESTIMATE_MAX_AGE = 5.0  # s, how long the quality of a fix holds for the positions between
RAPID_MAX_AGE = 1.0  # s, as long the rapid positions count as alive
ALTITUDE_MAX_AGE = 0.25  # s
UNKNOWN_MAX = 64  # distinct unknown groups that are counted apart
IDS_MAX = 4096  # identifiers kept taken apart
Quantity = Literal["position", "velocity", "heading", "turn", "log", "rudder", "engine", "time", "ais"]
Address = Annotated[int, Field(ge=0, le=251)]
Name = Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{1,16}$")]


class Nmea2000Options(Strict):
    """`options` of an nmea2000 driver."""

    bus: int | None = Field(default=None, ge=0, description="listen to this bus only")
    sources: dict[Quantity, Address | Name] = Field(
        default_factory=dict, description="by quantity: address or NAME; else the first one heard, while it lives"
    )
    source_timeout_s: float = Field(default=3.0, gt=0, description="silence after which another source is taken")
    rudders: dict[int, str] = Field(default_factory=dict, description="joint by rudder instance")
    engines: dict[int, str] = Field(default_factory=dict, description="joint by engine instance")
    commands: dict[str, RudderCommand] = Field(default_factory=dict)
    address: int | None = Field(default=None, ge=0, le=251, description="our own, claimed when there are commands")
    unique_number: int = Field(default=1, ge=0, le=2097148, description="of our NAME")
    uere_m: float | None = Field(default=None, gt=0, description="1 sigma at HDOP 1; default by fix quality")
    velocity_std_mps: float = Field(default=0.1, gt=0)
    heading_std_deg: float = Field(default=1.0, gt=0)
    magnetic_std_deg: float = Field(default=2.0, gt=0, description="heading out of a magnetic compass")
    variation_deg: float | None = Field(default=None, description="magnetic, east positive; default from the bus")
    speed_std_mps: float = Field(default=0.2, gt=0, description="of the log")
    tilt_std_deg: float = Field(default=0.5, gt=0, description="of roll and pitch")


class Nmea2000Driver:
    """One NMEA 2000 bus, whatever carries its frames."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers` of the platform file; raises BadInputError with its line."""
        self.name = name
        self.stats = DriverStats()
        o = self._options = platform.options(Nmea2000Options, "drivers", name)
        self._table = build_table(platform, name, o.commands, o.address)
        self._watch = SensorWatch(platform, name)
        self._own = OwnAddress(o.address, own_name(o.unique_number)) if self._table and o.address is not None else None
        self._names = Names()
        self._sources = Sources({str(k): v for k, v in o.sources.items()}, self._names, o.source_timeout_s)
        self._packets = FastPackets(self.stats.reject, self.stats.flag)
        self._rudders = {c.instance: n for n, c in o.commands.items()} | o.rudders
        self._ids: dict[int, tuple[Header, Pgn | None]] = {}
        self._utc = UtcTracker()
        self._quality: tuple[float, int, float, int] | None = None  # receive time, quality, HDOP, satellites
        self._vdop: tuple[float, float] = (-math.inf, NAN)
        self._altitude: tuple[float, float] = (-math.inf, NAN)
        self._rapid_t = self._true_t = -math.inf  # newest rapid position, newest true heading
        self._receiver: Station | None = None  # whose quality, height and rapid positions these are
        self._variation: float | None = o.variation_deg
        self._hulls = Hulls()
        self._targets: list[tuple[float, ...]] = []
        self._out: list[Sample] = []
        self._send: list[tuple[int, bytes]] = []
        self._handlers: dict[int, Callable[[Values, float, Station], None]] = {
            pgns.GNSS: self._gnss, pgns.POSITION: self._position, pgns.COG_SOG: self._cog_sog, pgns.DOPS: self._dops,
            pgns.HEADING: self._heading, pgns.VARIATION: self._learn_variation, pgns.RATE_OF_TURN: self._turn,
            pgns.SPEED: self._speed, pgns.ATTITUDE: self._tilt, pgns.RUDDER: self._rudder, pgns.ENGINE: self._engine,
            pgns.SYSTEM_TIME: self._time, pgns.TIME_DATE: self._time, **dict.fromkeys(AIS, self._ais),
        }  # fmt: skip

    # --- contract -----------------------------------------------------------------------------------

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes frames; never raises on bad frames, counts them instead."""
        self._out, self._send = [], []
        if self._own is not None and (received or math.isinf(self._own.heard_t)):
            self._send += self._own.hello(now)
        for r in received:
            if r.can_id < 0 or r.flags & (REMOTE | ERROR | FD) or len(r.data) > 8:
                self.stats.reject("no_data_frame")
            elif not (r.flags & EXTENDED or r.can_id > 0x7FF):
                self.stats.reject("standard_id")
            elif self._options.bus is not None and r.bus != self._options.bus:
                self._ignore("other_bus")
            else:
                self._frame(r)
        if self._targets:
            t = received[-1].t
            self._give(GeoDetections(t, self._watch.source("detections", "ais"), np.array(self._targets)))
            self._targets = []
        self._packets.expire(now)
        deadline = now + self._packets.timeout_s if self._packets.packets else math.inf
        return StepResult(tuple(self._out), tuple(_packed(now, *f) for f in self._send), deadline)

    def encode_table(self) -> EncodeTable | None:
        """Rudder orders for the guard; None when the device takes no commands."""
        return self._table

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent too long, and our address when another device has it."""
        problems = dict(self._watch.problems(now))
        if self._own is not None and self._own.problem:
            problems[self.name] = self._own.problem
        return problems

    # --- frames -------------------------------------------------------------------------------------

    def _frame(self, r: Received) -> None:
        known = self._ids.get(r.can_id)
        if known is None:
            if len(self._ids) >= IDS_MAX:
                self._ids.clear()
            header = Header.of(r.can_id)
            known = self._ids[r.can_id] = (header, pgns.PGNS.get(header.pgn))
        header, group = known
        if header.destination != GLOBAL and (self._own is None or header.destination != self._own.address):
            self._ignore("for_others")
            return
        if group is None:
            self._ignore(str(header.pgn))
            return
        data: bytes | None = r.data
        if group.fast:
            data = self._packets.feed(r.t, r.bus, r.can_id, r.data)
            if data is None:
                return
        try:
            values = group.read(data or b"")
        except ValueError as e:
            self.stats.reject("short" if str(e) == "short" else "bad_field")
            return
        station = (r.bus, header.source)
        handler = self._handlers.get(group.pgn)
        if handler is not None:
            handler(values, r.t, station)
        elif group.pgn == pgns.ADDRESS_CLAIM:
            self._claim(int.from_bytes(r.data, "little"), station)
        elif group.pgn == pgns.ISO_REQUEST:
            self._requested(header, values)
        else:
            self._ignore(group.name)
            return
        self.stats.accepted += 1
        self.stats.last_t[group.name] = r.t

    def _ignore(self, name: str) -> None:
        ignored = self.stats.ignored
        name = name if name in ignored or len(ignored) < UNKNOWN_MAX else "other"
        ignored[name] = ignored.get(name, 0) + 1
        self.stats.accepted += 1

    def _give(self, sample: Sample) -> None:
        self._out.append(sample)
        self._watch.saw(sample)

    # --- addresses ----------------------------------------------------------------------------------

    def _claim(self, name: int, station: Station) -> None:
        if self._own is not None:
            self._send += self._own.claimed(station[1], name)
        if self._names.by_station.get(station) != name:
            self._packets.forget(*station)
        old = self._names.claim(station, name)
        if old is not None:
            self._sources.moved(old, station)

    def _requested(self, header: Header, v: Values) -> None:
        if self._own is not None:
            self._send += self._own.request(header, v.get("requested_pgn", 0))

    # --- position and velocity ----------------------------------------------------------------------

    def _own_receiver(self, t: float, station: Station) -> bool:
        """Whether this is the receiver in use; another one than before begins without the quality of that."""
        if not self._sources.take("position", station, t):
            return False
        if station != self._receiver:
            self._receiver, self._quality, self._rapid_t = station, None, -math.inf
            self._altitude = self._vdop = (-math.inf, NAN)
        return True

    def _gnss(self, v: Values, t: float, station: Station) -> None:
        """Full fix: alone it is the position; beside rapid positions it tells their quality and height."""
        if not self._own_receiver(t, station):
            return
        quality = QUALITY.get(v.get("method", ""), 0)
        self._quality = (t, quality, v.get("hdop", NAN), v.get("satellites_in_use", 0))
        self._altitude = (t, v.get("alt_m", NAN))
        if quality == 0:
            self._watch.note("gnss", "the receiver reports no fix")
            return
        self._learn_time(v, t)
        if not 0.0 <= t - self._rapid_t <= RAPID_MAX_AGE:
            self._fix(v, t, self._utc.resolve(t, v.get("utc_of_day_s", NAN)))

    def _position(self, v: Values, t: float, station: Station) -> None:
        if not self._own_receiver(t, station) or "lat_deg" not in v or "lon_deg" not in v:
            return
        if self._quality is not None and self._quality[1] == 0 and t - self._quality[0] <= ESTIMATE_MAX_AGE:
            self._watch.note("gnss", "the receiver reports no fix")
            return
        self._rapid_t = t
        self._fix(v, t, NAN)

    def _fix(self, v: Values, t: float, utc: float) -> None:
        if "lat_deg" not in v or "lon_deg" not in v:
            return
        quality, hdop, satellites = 1, NAN, 0
        if self._quality is not None and 0.0 <= t - self._quality[0] <= ESTIMATE_MAX_AGE:
            quality, hdop, satellites = self._quality[1] or 1, self._quality[2], self._quality[3]
        vdop = self._vdop[1] if 0.0 <= t - self._vdop[0] <= ESTIMATE_MAX_AGE else NAN
        alt_m = self._altitude[1] if 0.0 <= t - self._altitude[0] <= ALTITUDE_MAX_AGE else NAN
        self._altitude = (-math.inf, NAN)  # of one epoch
        std = dilution_std(quality, hdop, vdop, self._options.uere_m)
        source = self._watch.source("gnss", "gnss")
        self._give(GnssFix(t, v["lat_deg"], v["lon_deg"], alt_m, std, quality, satellites, utc, source))

    def _dops(self, v: Values, t: float, station: Station) -> None:
        if not self._sources.uses("position", station):
            return
        self._vdop = (t, v.get("vdop", NAN))
        if self._quality is not None and "hdop" in v:
            self._quality = (self._quality[0], self._quality[1], v["hdop"], self._quality[3])

    def _cog_sog(self, v: Values, t: float, station: Station) -> None:
        course = v.get("cog_deg", NAN)
        if "cog_magnetic_deg" in v and self._variation is not None:
            course = v["cog_magnetic_deg"] + self._variation
        velocity = course_velocity(v.get("sog_mps", NAN), course, self._options.velocity_std_mps)
        if velocity is None or not self._sources.take("velocity", station, t):
            return
        self._give(GnssVelocity(t, *velocity, self._watch.source("gnss", "gnss")))

    def _time(self, v: Values, t: float, station: Station) -> None:
        if self._sources.take("time", station, t):
            self._learn_time(v, t)

    def _learn_time(self, v: Values, t: float) -> None:
        if "days" in v and "utc_of_day_s" in v:
            day = datetime.date(1970, 1, 1) + datetime.timedelta(days=v["days"])
            self._utc.set_date(t, day.year, day.month, day.day, v["utc_of_day_s"])

    # --- heading, rate of turn, log -----------------------------------------------------------------

    def _learn_variation(self, v: Values, t: float, station: Station) -> None:
        """From the bus, unless the platform file says it."""
        if self._options.variation_deg is None:
            self._variation = v.get("variation_deg", self._variation)

    def _heading(self, v: Values, t: float, station: Station) -> None:
        self._learn_variation(v, t, station)
        o = self._options
        if "heading_deg" in v:
            heading_deg, std_deg = v["heading_deg"], o.heading_std_deg
        elif "heading_magnetic_deg" in v and self._variation is not None:
            heading_deg = v["heading_magnetic_deg"] + v.get("deviation_deg", 0.0) + self._variation
            std_deg = o.magnetic_std_deg
            if t - self._true_t <= 1.0 and self._sources.uses("heading", station):
                return  # the device tells its true heading, too
        else:
            return
        if not self._sources.take("heading", station, t):
            return
        if "heading_deg" in v:
            self._true_t = t
        source = self._watch.source("heading", "heading")
        self._give(Heading(t, yaw_of_heading(heading_deg), math.radians(std_deg), source))

    def _turn(self, v: Values, t: float, station: Station) -> None:
        rate = v.get("rate_of_turn_radps")  # positive turns the bow to starboard
        if rate is not None and self._sources.take("turn", station, t):
            self._give(Imu(t, np.array([NAN, NAN, -rate]), np.full(3, NAN), self._watch.source("imu", "imu")))

    def _tilt(self, v: Values, t: float, station: Station) -> None:
        source, std_deg = self._watch.source("imu", "tilt"), self._options.tilt_std_deg
        sample = tilt_sample(t, v.get("roll_deg"), v.get("pitch_deg"), std_deg, source)
        if sample is not None and self._sources.take("tilt", station, t):
            self._give(sample)

    def _speed(self, v: Values, t: float, station: Station) -> None:
        speed = v.get("water_speed_mps")
        if speed is not None and self._sources.take("log", station, t):
            self._give(SpeedThroughWater(t, speed, self._options.speed_std_mps, self._watch.source("log", "log")))

    # --- feedback of actuators ----------------------------------------------------------------------

    def _rudder(self, v: Values, t: float, station: Station) -> None:
        instance = v.get("instance", 0)
        if "rudder_deg" in v and self._sources.take(f"rudder {instance}", station, t):
            name = self._rudders.get(instance) or ("rudder" if instance == 0 else f"rudder_{instance}")
            position = {name: -math.radians(v["rudder_deg"])}  # positive is starboard rudder
            self._give(JointState(t, position=position, source=self._watch.source("joints", "joints")))

    def _engine(self, v: Values, t: float, station: Station) -> None:
        instance = v.get("instance", 0)
        if "speed_radps" in v and self._sources.take(f"engine {instance}", station, t):
            name = self._options.engines.get(instance) or ("engine" if instance == 0 else f"engine_{instance}")
            velocity = {name: v["speed_radps"]}
            self._give(JointState(t, velocity=velocity, source=self._watch.source("joints", "joints")))

    # --- AIS ----------------------------------------------------------------------------------------

    def _ais(self, v: Values, t: float, station: Station) -> None:
        if self._sources.take("ais", station, t):
            row = ais_row(v, self._hulls)
            if row is not None:
                self._targets.append(row)


def _packed(now: float, can_id: int, data: bytes) -> bytes:
    """A frame to send; the shell turns it into what its transport writes."""
    return pack_socketcan(Received(now, data, can_id, flags=EXTENDED))

"""A bridge's NMEA 0183 line: GNSS, gyro compass, rate of turn, rudder and propeller; takes ROR or HTC, and PRC orders.

Sentences are encoded by pynmea2. Signs on the wire are the standard's: courses clockwise from north, rate of turn and
rudder positive to starboard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Generic, TypeVar

import pynmea2
from pydantic import Field

from giljabi.platform import Platform
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, Schedule, generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.peers.helm import Helm, HelmOptions
from giljabi_sim.scenario import Actor
from giljabi_sim.truth import Own

if TYPE_CHECKING:
    from giljabi_sim.world import World

T = TypeVar("T")  # what a reading becomes: sentences or frames
KNOT = 1852.0 / 3600.0
EPOCH = datetime(2026, 6, 1, 6, 0, 0, tzinfo=timezone.utc)  # UTC on the wire at t = 0; the same in every run
LONGEST_LINE = 120


class Gnss(Strict):
    """Receiver: rate, fix quality, errors."""

    rate_hz: float = Field(default=5.0, gt=0, le=20)
    quality: int = Field(default=2, ge=1, le=5, description="GGA field: 1 single, 2 differential, 4 RTK, 5 float")
    white_m: float = Field(default=0.25, ge=0, description="1 sigma per axis")
    drift_m: float = Field(default=0.5, ge=0, description="1 sigma per axis")
    drift_time: float = Field(default=60.0, gt=0, description="s")
    velocity_mps: float = Field(default=0.05, ge=0, description="1 sigma per axis")
    hdop: float = Field(default=0.9, gt=0)
    minutes_decimals: int = Field(default=5, ge=3, le=8)
    gst: bool = Field(default=True, description="sends its own error estimate")


class Compass(Strict):
    """True heading."""

    rate_hz: float = Field(default=10.0, gt=0, le=50)
    white_deg: float = Field(default=0.3, ge=0)
    drift_deg: float = Field(default=0.4, ge=0)
    drift_time: float = Field(default=120.0, gt=0)


class Rate(Strict):
    """A simple reading: rate and white noise."""

    rate_hz: float = Field(default=10.0, gt=0, le=50)
    white: float = Field(default=0.0, ge=0)


class NmeaOptions(Strict):
    """`options` of an nmea peer; a missing reading is not sent."""

    gnss: Gnss | None = None
    compass: Compass | None = None
    rate_of_turn: Rate | None = Field(default=None, description="white in deg/min")
    rudder: Rate | None = Field(default=None, description="white in deg")
    propeller: Rate | None = Field(default=None, description="white in rpm")
    log: Rate | None = Field(default=None, description="water speed, white in m/s")
    autopilot: HelmOptions | None = Field(default=None, description="it has the rudder: HTC instead of ROR")
    watchdog_s: float = Field(default=0.5, gt=0, description="without a valid order the actuator goes to zero")


class Talkers(Generic[T]):
    """What lines of marine talkers share: sensors by kind, noise by reading, each reading at its own rate."""

    def __init__(self, platform: Platform, name: str, seed: int, readings: Sequence[str]) -> None:
        """name: driver of the platform file; readings: that have noise of their own."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        sensors = [(n, s) for n, s in platform.model.sensors.items() if s.driver == name]
        self._names = {s.kind: n for n, s in sensors}
        self._antenna = next((s.position for _, s in sensors if s.kind == "gnss"), (0.0, 0.0, 0.0))
        self._rng = {k: generator(seed, f"{name}.{k}") for k in readings}
        self._tasks: list[tuple[Schedule, Callable[[float, Own, World], Iterable[T]]]] = []

    def _every(self, spec: Rate | Compass | None, task: Callable[[float, Own, World], Iterable[T]]) -> None:
        """A reading at its rate, when there is one."""
        if spec:
            self._tasks.append((Schedule(spec.rate_hz), task))

    def _due(self, now: float, world: World) -> tuple[list[T], float]:
        """What is said now, and when there is more to say [s]."""
        own, out = world.own, list[T]()
        for schedule, task in self._tasks:
            if schedule.due(now):
                out.extend(task(now, own, world))
        return out, min((s.next for s, _ in self._tasks), default=math.inf)


class NmeaPeer(Talkers[pynmea2.NMEASentence]):
    """One serial line with everything that hangs on it."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        super().__init__(platform, name, seed, ("gnss", "compass", "rot", "rsa", "rpm", "log"))
        o = self._o = platform.options(NmeaOptions, "simulation", "peers", name)
        if o.gnss:
            self._gnss_drift = Drift(self._rng["gnss"], o.gnss.drift_m, o.gnss.drift_time, 2)
            self._tasks.append((Schedule(o.gnss.rate_hz, 0.3), self._gnss))
        if o.compass:
            self._compass_drift = Drift(self._rng["compass"], o.compass.drift_deg, o.compass.drift_time)
        self._every(o.compass, self._compass)
        self._every(o.rate_of_turn, self._rate_of_turn)
        self._every(o.rudder, self._rudder)
        self._every(o.propeller, self._propeller)
        self._every(o.log, self._log)
        if o.autopilot:
            self.helm = Helm(o.autopilot)
            self._tasks.append((Schedule(o.autopilot.rate_hz), self._steer))
        self._partial = b""
        self._order_t: dict[str, float] = {}

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Orders in, sentences out."""
        for chunk in received:
            self._take(now, chunk.data, world)
        self._watch(now, world)
        sentences, deadline = self._due(now, world)
        text = "".join(f"{s}\r\n" for s in sentences)
        return PeerResult((Chunk(text.encode("ascii")),) if text else (), deadline)

    # --- orders -------------------------------------------------------------------------------------

    def _take(self, now: float, data: bytes, world: World) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-LONGEST_LINE:]
        for line in lines:
            reason = self._order(now, line.strip(), world)
            if reason:
                self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _order(self, now: float, line: bytes, world: World) -> str:  # noqa: PLR0911
        """Obeys one sentence; returns why not, or an empty text."""
        body, star, given = line.partition(b"*")
        if not line.startswith(b"$") or not star:
            return "framing"
        total = 0
        for byte in body[1:]:
            total ^= byte
        if given.upper() != b"%02X" % total:
            return "checksum"
        fields = body[1:].decode("ascii", "replace").split(",")
        if self._o.autopilot and fields[0][2:] in ("HTC", "ROR"):
            reason = self.helm.order(fields) if fields[0][2:] == "HTC" else "not_ours"
            self.accepted += not reason
            return reason
        try:
            # ROR: starboard (or single) order in degrees and its status; PRC: lever in percent and its status.
            kind, value, status = fields[0][2:], float(fields[1]), fields[2]
        except (IndexError, ValueError):
            return "field"
        if status != "A":
            return "not_valid"
        if not math.isfinite(value):
            return "field"
        if kind == "ROR":
            world.vehicle.commands["rudder"] = -math.radians(value)
        elif kind == "PRC":
            world.vehicle.commands["lever"] = value / 100.0
        else:
            return "unknown"
        self._order_t[kind] = now
        self.accepted += 1
        return ""

    def _watch(self, now: float, world: World) -> None:
        for kind, command in (("ROR", "rudder"), ("PRC", "lever")):
            if kind == "ROR" and self._o.autopilot:
                continue  # the rudder is the autopilot's; it keeps the heading that it was told last
            if now - self._order_t.get(kind, math.inf) > self._o.watchdog_s:  # before its first order it is at zero
                world.vehicle.commands[command] = 0.0

    def _steer(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        """One step of the autopilot, and what it says of itself."""
        world.vehicle.commands["rudder"] = self.helm.steer(own.yaw, own.yaw_rate)
        return [pynmea2.TalkerSentence("AG", "HTD", self.helm.told(own.yaw))]

    # --- readings -----------------------------------------------------------------------------------

    def _gnss(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        g = self._o.gnss
        assert g is not None
        rng = self._rng["gnss"]
        drift = self._gnss_drift.at(now)
        white = g.white_m * rng.standard_normal(2)
        jitter = g.velocity_mps * rng.standard_normal(2)
        name = self._names.get("gnss", "gnss")
        offset = world.faults.offset(name)
        utc = EPOCH + timedelta(seconds=now)
        clock, date = f"{utc:%H%M%S}.{utc.microsecond // 10000:02d}", f"{utc:%d%m%y}"
        if world.faults.silent(name):
            # A receiver without satellites goes on talking.
            return [
                pynmea2.GGA("GP", "GGA", (clock, "", "", "", "", "0", "00", "", "", "M", "", "M", "", "")),
                pynmea2.RMC("GP", "RMC", (clock, "V", "", "", "", "", "", "", date, "", "", "N")),
            ]
        x, y = own.point(self._antenna[0], self._antenna[1])
        vx, vy = own.velocity_at(self._antenna[0], self._antenna[1])
        p = world.frame.geodetic(x + drift[0] + white[0] + offset, y + drift[1] + white[1], self._antenna[2])
        vx, vy = vx + float(jitter[0]), vy + float(jitter[1])
        speed = math.hypot(vx, vy) / KNOT
        course = math.degrees(math.atan2(vx, vy)) % 360.0
        lat, lon = _degrees_minutes(p.lat_deg, 2, "NS", g), _degrees_minutes(p.lon_deg, 3, "EW", g)
        sigma = math.hypot(g.white_m, g.drift_m)
        mode = {1: "A", 2: "D", 4: "R", 5: "F"}.get(g.quality, "A")
        gga = (clock, *lat, *lon, str(g.quality), "12", f"{g.hdop:.1f}", f"{p.alt_m:.2f}", "M", "0.0", "M", "", "")
        rmc = (clock, "A", *lat, *lon, f"{speed:.3f}", f"{course % 360.0:.2f}", date, "", "", mode)
        out = [pynmea2.GGA("GP", "GGA", gga), pynmea2.RMC("GP", "RMC", rmc)]
        if g.gst:
            s = f"{max(sigma, 0.001):.3f}"
            out.insert(0, pynmea2.GST("GP", "GST", (clock, s, s, s, "0.0", s, s, f"{2.0 * sigma:.3f}")))
        return out

    def _compass(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        c = self._o.compass
        assert c is not None
        error = float(self._compass_drift.at(now)[0]) + c.white_deg * float(self._rng["compass"].standard_normal())
        name = self._names.get("heading", "heading")
        if world.faults.silent(name):
            return []
        heading = (90.0 - math.degrees(own.yaw + world.faults.offset(name)) + error) % 360.0
        return [pynmea2.HDT("HE", "HDT", (f"{heading:.2f}" if heading < 359.995 else "0.00", "T"))]

    def _rate_of_turn(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        s = self._o.rate_of_turn
        assert s is not None
        rate = -math.degrees(own.yaw_rate) * 60.0 + s.white * float(self._rng["rot"].standard_normal())
        if world.faults.silent(self._names.get("imu", "imu")):
            return []
        return [pynmea2.ROT("HE", "ROT", (f"{rate:.2f}", "A"))]

    def _rudder(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        s = self._o.rudder
        assert s is not None
        angle = -math.degrees(own.feedback["rudder"]) + s.white * float(self._rng["rsa"].standard_normal())
        if world.faults.silent(self._names.get("joints", "joints")):
            return []
        return [pynmea2.RSA("AG", "RSA", (f"{angle:.2f}", "A", "", ""))]

    def _propeller(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        s = self._o.propeller
        assert s is not None
        rpm = own.feedback["propeller"] * 60.0 / (2.0 * math.pi) + s.white * float(self._rng["rpm"].standard_normal())
        if world.faults.silent(self._names.get("joints", "joints")):
            return []
        return [pynmea2.RPM("ER", "RPM", ("S", "0", f"{rpm:.1f}", "", "A"))]

    def _log(self, now: float, own: Own, world: World) -> list[pynmea2.NMEASentence]:
        s = self._o.log
        assert s is not None
        knots = (own.feedback["water_speed"] + s.white * float(self._rng["log"].standard_normal())) / KNOT
        if world.faults.silent(self._names.get("log", "log")):
            return []
        return [pynmea2.VHW("VW", "VHW", ("", "T", "", "M", f"{knots:.2f}", "N", f"{knots * 1.852:.2f}", "K"))]


def _degrees_minutes(value: float, digits: int, letters: str, g: Gnss) -> tuple[str, str]:
    """`ddmm.mmmmm` and hemisphere; rounding never shows sixty minutes."""
    scale = 10**g.minutes_decimals
    total = round(abs(value) * 60.0 * scale)
    degrees, rest = divmod(total, 60 * scale)
    minutes, fraction = divmod(rest, scale)
    text = f"{degrees:0{digits}d}{minutes:02d}.{fraction:0{g.minutes_decimals}d}"
    return text, letters[0] if value >= 0 else letters[1]

"""NMEA 0183 (IEC 61162-1) and AIS: sentences to samples in SI, actuators to sentences.

Stamps are receive times; UTC travels as data in `GnssFix.utc_s`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

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
    StackState,
)
from giljabi.wire import EncodeTable
from giljabi.yaml_file import Strict
from giljabi_drivers.ais import AisReceiver
from giljabi_drivers.attitude_sentences import values_of
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.epoch import EpochFilter, UtcTracker
from giljabi_drivers.navigation import course_velocity, dilution_std, tilt_sample, yaw_of_heading
from giljabi_drivers.nmea0183_commands import HeadingControl, SentenceCommand, build_table
from giljabi_drivers.sensors import SensorWatch

if TYPE_CHECKING:
    from giljabi._core.nmea import Framer, Sentence

# FAA mode characters (NMEA 0183 2.3, IEC 61162-1) as GnssFix.quality; not listed: no fix, or one that must not be
# trusted on a vehicle (M manual input, S simulator).
QUALITY_OF_MODE = {"A": 1, "D": 2, "P": 1, "R": 4, "F": 5, "E": 6}
QUALITY_OF_GGA = {1: 1, 2: 2, 3: 1, 4: 4, 5: 5, 6: 6}
LOWEST_STD_M = 0.005
ESTIMATE_MAX_AGE = 5.0  # s, how long GST and GSA hold
INVALID = 2  # quality of PSXN
Values = dict[str, Any]  # of a sentence: Sentence.values()
UNKNOWN_MAX = 64  # distinct unknown sentence names that are counted apart


class Nmea0183Options(Strict):
    """`options` of an nmea0183 driver."""

    checksum: Literal["required", "none"] = "required"
    talker: str = Field(default="AG", pattern=r"^[A-Z]{2}$")
    source_id: str = Field(
        default="AG0001", pattern=r"^[A-Z][A-Z0-9]\d{4}$", description="who sends, on groups of IEC 61162-450"
    )
    commands: dict[str, SentenceCommand] = Field(default_factory=dict)
    uere_m: float | None = Field(default=None, gt=0, description="1 sigma at HDOP 1; default by fix quality")
    velocity_std_mps: float = Field(default=0.1, gt=0)
    heading_std_deg: float = Field(default=1.0, gt=0)
    tilt_std_deg: float = Field(default=0.5, gt=0, description="of roll and pitch")
    magnetic_std_deg: float = Field(default=2.0, gt=0, description="heading out of a magnetic compass")
    variation_deg: float | None = Field(default=None, description="magnetic, east positive; default from HDG and RMC")
    speed_std_mps: float = Field(default=0.2, gt=0, description="of the log")
    ais_timeout_s: float = Field(default=5.0, gt=0, description="between fragments of one message")


class Nmea0183Driver:
    """One NMEA 0183 line (serial, TCP or UDP), with AIS on it or not."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers` of the platform file; raises BadInputError with its line."""
        self.name = name
        self.stats = DriverStats()
        self._platform = platform
        self._options = platform.options(Nmea0183Options, "drivers", name)
        o = self._options
        self._table = build_table(platform, name, o.commands, o.talker, o.source_id)
        self._watch = SensorWatch(platform, name)
        self._rudder = next((a for a, c in self._options.commands.items() if c.sentence == "ROR"), "rudder")
        self._ordered_heading = next((a for a, c in self._options.commands.items() if c.sentence == "HTC"), "")
        self._control = HeadingControl()
        self._framers: dict[int, Framer] = {}
        self._rejected_by_framers: dict[str, int] = {}
        self._utc = UtcTracker()
        self._fixes: EpochFilter[GnssFix] = EpochFilter()
        self._velocities: EpochFilter[GnssVelocity] = EpochFilter()
        self._headings: EpochFilter[Heading] = EpochFilter()
        self._speeds: EpochFilter[SpeedThroughWater] = EpochFilter()
        self._ais = AisReceiver(self.stats.reject, self._options.ais_timeout_s)
        self._targets: list[tuple[float, ...]] = []
        self._gst: tuple[float, float, float, float] | None = None  # receive time, std east north up [m]
        self._dop: tuple[float, float, float] | None = None  # receive time, HDOP, VDOP of GSA
        self._no_fix = False  # the newest status said so
        self._seapath = (-math.inf, 0, 0)  # receive time, quality of heading and of attitude in PSXN 20
        self._variation: float | None = self._options.variation_deg
        self._out: list[Sample] = []
        self._handlers: dict[str, Callable[[Values, float], None]] = {
            "GGA": self._gga, "GNS": self._gns, "RMC": self._rmc, "GLL": self._gll, "VTG": self._vtg,
            "ZDA": self._zda, "GST": self._gst_, "GSA": self._gsa, "HDT": self._hdt, "THS": self._ths,
            "HDG": self._hdg, "HDM": self._hdm, "ROT": self._rot, "VHW": self._vhw, "VBW": self._vbw,
            "RSA": self._rsa, "RPM": self._rpm, "XDR": self._tilt, "HTD": self._control.told,
        }  # fmt: skip
        self._proprietary = {"ASHR": self._pashr, "SXN": self._psxn}

    # --- contract -----------------------------------------------------------------------------------

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes bytes in any chunking; never raises on bad bytes, counts them instead."""
        self._out = []
        for r in received:
            if r.can_id >= 0:
                self.stats.reject("not_a_stream")
                continue
            for sentence in self._framer(r.bus).feed(r.data):
                self._handle(sentence, r.t, r.bus)
            if self._targets:
                self._give(GeoDetections(r.t, self._watch.source("detections", "ais"), np.array(self._targets)))
                self._targets = []
        for f in (self._fixes, self._velocities, self._headings, self._speeds):
            for sample in f.flush(now):
                self._give(sample)
        self._ais.expire(now)
        self._count_rejected()
        deadline = min(f.deadline for f in (self._fixes, self._velocities, self._headings, self._speeds))
        return StepResult(tuple(self._out), (), deadline)

    def encode_table(self) -> EncodeTable | None:
        """Rudder orders and lever positions for the guard; None when the device takes no commands."""
        return self._table

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent for longer than their timeout, by name."""
        return self._watch.problems(now)

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """Why the guard must disarm: the heading control says that it does not steer by our orders."""
        return self._control.guard_says(state) if self._ordered_heading else ""

    # --- sentences ----------------------------------------------------------------------------------

    def _framer(self, line: int) -> Framer:
        """Every line of the device has its own: two senders must not share half sentences."""
        framer = self._framers.get(line)
        if framer is None:
            from giljabi._core.nmea import Framer

            framer = self._framers[line] = Framer(self._options.checksum)
        return framer

    def _count_rejected(self) -> None:
        total: dict[str, int] = {}
        for framer in self._framers.values():
            for reason, n in framer.rejected.items():
                total[reason] = total.get(reason, 0) + n
        for reason, n in total.items():
            self.stats.reject(reason, n - self._rejected_by_framers.get(reason, 0))
        self._rejected_by_framers = total

    def _handle(self, s: Sentence, t: float, line: int) -> None:
        kind = s.type
        if kind == "VDM":
            self._accept(kind, t)
            row = self._ais.feed(s, t, line)
            if row is not None:
                self._targets.append(row)
            return
        handler = (self._proprietary if s.talker == "P" else self._handlers).get(kind)
        try:
            values = values_of(s) if handler is not None else None
            if handler is not None and values is not None:
                handler(values, t)
                self._accept(kind, t)
                return
        except ValueError:
            self.stats.reject("bad_field")
            return
        # Own ship's !xxVDO is here on purpose: the own position out of AIS is no target.
        self.stats.accepted += 1
        name = kind if kind in self.stats.ignored or len(self.stats.ignored) < UNKNOWN_MAX else "other"
        self.stats.ignored[name] = self.stats.ignored.get(name, 0) + 1

    def _accept(self, kind: str, t: float) -> None:
        self.stats.accepted += 1
        self.stats.last_t[kind] = t

    def _give(self, sample: Sample) -> None:
        self._out.append(sample)
        self._watch.saw(sample)
        if self._ordered_heading and isinstance(sample, Heading):  # where an ordered heading begins
            self._out.append(JointState(sample.t, {self._ordered_heading: sample.yaw}, source=f"{sample.source}_now"))

    # --- position and velocity ----------------------------------------------------------------------

    def _gga(self, v: Values, t: float) -> None:
        self._fix(v, t, 3, QUALITY_OF_GGA.get(int(_get(v, "quality", 0)), 0))

    def _gns(self, v: Values, t: float) -> None:
        self._fix(v, t, 4, max((QUALITY_OF_MODE.get(c, 0) for c in _text(v, "mode")), key=_preference, default=0))

    def _gll(self, v: Values, t: float) -> None:
        self._fix(v, t, 1, _quality(v))

    def _rmc(self, v: Values, t: float) -> None:
        quality = _quality(v)
        if quality:
            self._learn_variation(v)
            self._utc.learn_date(t, v)
        self._fix(v, t, 2, quality)
        if quality:
            self._velocity(t, 2, _get(v, "utc_of_day_s"), _get(v, "sog_mps"), _get(v, "cog_deg"))

    def _vtg(self, v: Values, t: float) -> None:
        mode = _text(v, "mode")
        if QUALITY_OF_MODE.get(mode, 0) or not (mode or self._no_fix):
            self._velocity(t, 1, NAN, _get(v, "sog_mps"), _get(v, "cog_deg"))

    def _zda(self, v: Values, t: float) -> None:
        self._utc.learn_date(t, v)

    def _gst_(self, v: Values, t: float) -> None:
        north, east, up = (_get(v, f"std_{axis}_m") for axis in ("north", "east", "up"))
        if not (math.isnan(north) or math.isnan(east)):
            up = 1.5 * max(north, east) if math.isnan(up) else up
            self._gst = (t, max(east, LOWEST_STD_M), max(north, LOWEST_STD_M), max(up, LOWEST_STD_M))

    def _gsa(self, v: Values, t: float) -> None:
        hdop = _get(v, "hdop")
        if not math.isnan(hdop):
            self._dop = (t, hdop, _get(v, "vdop"))

    def _note_no_fix(self) -> None:
        self._no_fix = True
        self._watch.note("gnss", "the receiver reports no fix")

    def _fix(self, v: Values, t: float, rank: int, quality: int) -> None:
        """A position with the quality of its fix; 0: the receiver has none."""
        if quality == 0:
            self._note_no_fix()
            return
        self._no_fix = False
        if "lat_deg" not in v:
            return
        lat, lon, alt_m, clock = (_get(v, k) for k in ("lat_deg", "lon_deg", "alt_m", "utc_of_day_s"))
        std, utc = self._std(t, quality, _get(v, "hdop")), self._utc.resolve(t, clock)
        satellites, source = int(_get(v, "satellites_in_use", 0)), self._watch.source("gnss", "gnss")
        fix = GnssFix(t, lat, lon, alt_m, std, quality, satellites, utc, source)
        for sample in self._fixes.offer(t, clock, rank, (lat, lon, alt_m), fix):
            self._give(sample)

    def _std(self, t: float, quality: int, hdop: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """East, north, up [m]: GST when it is fresh, else dilution of precision times range error."""
        if self._gst is not None and 0.0 <= t - self._gst[0] <= ESTIMATE_MAX_AGE:
            return np.array(self._gst[1:])
        vdop = NAN
        if self._dop is not None and 0.0 <= t - self._dop[0] <= ESTIMATE_MAX_AGE:
            hdop, vdop = (self._dop[1] if math.isnan(hdop) else hdop), self._dop[2]
        return dilution_std(quality, hdop, vdop, self._options.uere_m)

    def _velocity(self, t: float, rank: int, clock: float, speed: float, course_deg: float) -> None:
        velocity = course_velocity(speed, course_deg, self._options.velocity_std_mps)
        if velocity is None:
            return
        sample = GnssVelocity(t, *velocity, self._watch.source("gnss", "gnss"))
        for v in self._velocities.offer(t, clock, rank, tuple(velocity[0][:2].tolist()), sample):
            self._give(v)

    # --- heading, rate of turn, log -----------------------------------------------------------------

    def _heading(self, t: float, rank: int, heading_deg: float, std_deg: float) -> None:
        if math.isnan(heading_deg):
            return
        sample = Heading(
            t, yaw_of_heading(heading_deg), math.radians(std_deg), self._watch.source("heading", "heading")
        )
        for h in self._headings.offer(t, NAN, rank, heading_deg, sample):
            self._give(h)

    def _hdt(self, v: Values, t: float) -> None:
        self._heading(t, 3, _get(v, "heading_deg"), self._options.heading_std_deg)

    def _ths(self, v: Values, t: float) -> None:
        if _text(v, "mode") in ("A", "E"):  # M manual, S simulator, V not valid
            self._hdt(v, t)

    def _pashr(self, v: Values, t: float) -> None:
        """Tilt and heading of an attitude sensor; quality 0: it has no heading."""
        self._tilt(v, t)
        if _get(v, "quality", 1) > 0:
            std_deg = _get(v, "heading_std_deg", self._options.heading_std_deg)
            self._heading(t, 4, _get(v, "heading_deg"), std_deg or self._options.heading_std_deg)

    def _psxn(self, v: Values, t: float) -> None:
        if "heading_quality" in v:
            self._seapath = (t, v["heading_quality"], v.get("attitude_quality", 0))
        stale = not 0.0 <= t - self._seapath[0] <= ESTIMATE_MAX_AGE
        if stale or self._seapath[1] < INVALID:
            self._heading(t, 4, _get(v, "heading_deg"), self._options.heading_std_deg)
        if stale or self._seapath[2] < INVALID:
            self._tilt(v, t)

    def _tilt(self, v: Values, t: float) -> None:
        """Roll and pitch against the horizon."""
        source = self._watch.source("imu", "tilt")
        sample = tilt_sample(t, v.get("roll_deg"), v.get("pitch_deg"), self._options.tilt_std_deg, source)
        if sample is not None:
            self._give(sample)

    def _learn_variation(self, v: Values) -> None:
        """From RMC and HDG, unless the platform file says it."""
        if self._options.variation_deg is None:
            self._variation = _get(v, "variation_deg", self._variation or NAN)
            if math.isnan(self._variation):
                self._variation = None

    def _hdg(self, v: Values, t: float) -> None:
        self._learn_variation(v)
        self._magnetic(t, 2, _get(v, "heading_magnetic_deg") + _get(v, "deviation_deg", 0.0))

    def _hdm(self, v: Values, t: float) -> None:
        self._magnetic(t, 1, _get(v, "heading_magnetic_deg"))

    def _magnetic(self, t: float, rank: int, heading_deg: float) -> None:
        if self._variation is not None:
            self._heading(t, rank, heading_deg + self._variation, self._options.magnetic_std_deg)

    def _rot(self, v: Values, t: float) -> None:
        rate = _get(v, "rate_of_turn_radps")  # positive turns the bow to starboard
        if v.get("valid") and not math.isnan(rate):
            self._give(Imu(t, np.array([NAN, NAN, -rate]), np.full(3, NAN), self._watch.source("imu", "imu")))

    def _water_speed(self, t: float, rank: int, speed: float) -> None:
        if math.isnan(speed):
            return
        sample = SpeedThroughWater(t, speed, self._options.speed_std_mps, self._watch.source("log", "log"))
        for s in self._speeds.offer(t, NAN, rank, speed, sample):
            self._give(s)

    def _vhw(self, v: Values, t: float) -> None:
        self._water_speed(t, 1, _get(v, "water_speed_mps"))

    def _vbw(self, v: Values, t: float) -> None:
        if v.get("water_valid"):
            self._water_speed(t, 2, _get(v, "water_speed_mps"))

    # --- feedback of actuators ----------------------------------------------------------------------

    def _rsa(self, v: Values, t: float) -> None:
        """Single or starboard rudder as the actuator itself, the port one of two as `<name>_port`."""
        position = {}
        for key, valid, name in (
            ("rudder_deg", "valid", self._rudder),
            ("rudder_port_deg", "port_valid", f"{self._rudder}_port"),
        ):
            if v.get(valid) and key in v:
                position[name] = -math.radians(_get(v, key))  # positive is starboard rudder
        if position:
            self._give(JointState(t, position=position, source=self._watch.source("joints", "joints")))

    def _rpm(self, v: Values, t: float) -> None:
        kind, number = _text(v, "source"), int(_get(v, "number", 0))
        if not v.get("valid") or kind not in ("S", "E") or "speed_radps" not in v:
            return
        name = ("propeller" if kind == "S" else "engine") + (f"_{number}" if number > 1 else "")
        velocity = {name: _get(v, "speed_radps")}
        self._give(JointState(t, velocity=velocity, source=self._watch.source("joints", "joints")))


def _get(v: Values, key: str, default: float = NAN) -> float:
    """A number, `default` where the sentence does not say it."""
    return float(v.get(key, default))


def _text(v: Values, key: str) -> str:
    return str(v.get(key, ""))


def _quality(v: Values) -> int:
    """Quality of RMC and GLL: status A and a mode that means a fix (no mode field before NMEA 0183 2.3)."""
    if not v.get("valid"):
        return 0
    mode = _text(v, "mode")
    return QUALITY_OF_MODE.get(mode, 0) if mode else 1


def _preference(quality: int) -> int:
    """Order of qualities from worst to best: 0 none, dead reckoning, single, differential, float, fixed."""
    return (0, 6, 1, 2, 5, 4).index(quality)

"""AIS receiver: what the transponders of the other vessels say (ITU-R M.1371-5), encoded by pyais."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyais.encode import encode_dict
from pydantic import Field

from giljabi.platform import Platform
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.scenario import Actor, Ais
from giljabi_sim.truth import Other

if TYPE_CHECKING:
    from giljabi_sim.world import World

KNOT = 1852.0 / 3600.0
STATIC_PERIOD = 360.0  # s, ship static data


class AisOptions(Strict):
    """`options` of an ais peer."""

    white_m: float = Field(default=0.4, ge=0, description="position error of the other ships' receivers, 1 sigma")
    drift_m: float = Field(default=1.2, ge=0)
    drift_time: float = Field(default=90.0, gt=0)
    speed_mps: float = Field(default=0.08, ge=0)
    course_deg: float = Field(default=1.0, ge=0)
    loss: float = Field(default=0.02, ge=0, lt=1, description="share of messages lost on the air")
    range_m: float = Field(default=20000.0, gt=0)


class _Transponder:
    """One vessel's own transmitter."""

    def __init__(self, actor: Actor, spec: Ais, options: AisOptions, seed: int) -> None:
        self.name = actor.name
        self.length, self.width = actor.length, actor.width
        self.class_b = spec.device == "B"
        # 440 is Korea's maritime identification digits.
        self.mmsi = spec.mmsi or 440_000_000 + zlib.crc32(actor.name.encode()) % 999_999
        self._period = spec.period_s
        self._o = options
        self._rng = generator(seed, f"ais.{actor.name}")
        self._drift = Drift(self._rng, options.drift_m, options.drift_time, 2)
        first = float(self._rng.uniform(0.2, 2.0))
        self.position_t, self.static_t = first, first + 0.4
        self._sequence = 0

    def period(self, speed: float) -> float:
        """Seconds between position reports, M.1371 tables 1 and 2."""
        if self._period is not None:
            return self._period
        knots = speed / KNOT
        if self.class_b:
            return 30.0 if knots > 2.0 else 180.0
        return 10.0 if knots <= 14.0 else 6.0 if knots <= 23.0 else 2.0

    def messages(self, now: float, other: Other, world: World) -> list[str]:
        """Sentences due now."""
        out: list[str] = []
        if now >= self.position_t:
            period = self.period(other.body.speed)
            # Slots are reserved around the nominal time.
            self.position_t += period * (1.0 + 0.05 * float(self._rng.uniform(-1.0, 1.0)))
            out += self._position(now, other, world)
        if now >= self.static_t:
            self.static_t += STATIC_PERIOD
            out += self._static()
        return out

    def _position(self, now: float, other: Other, world: World) -> list[str]:
        o, body = self._o, other.body
        drift = self._drift.at(now)
        white = o.white_m * self._rng.standard_normal(2)
        noise = self._rng.standard_normal(3)
        lost = float(self._rng.uniform()) < o.loss
        x, y = body.point(body.centre_x, 0.0)
        if lost or math.hypot(x - world.own.x, y - world.own.y) > o.range_m:
            return []
        vx, vy = body.velocity
        p = world.frame.geodetic(x + float(drift[0] + white[0]), y + float(drift[1] + white[1]), 0.0)
        speed = max(math.hypot(vx, vy) + o.speed_mps * float(noise[0]), 0.0)
        course = math.atan2(vx, vy) if speed > 0.1 else math.pi / 2 - body.yaw
        report: dict[str, Any] = {
            "type": 18 if self.class_b else 1,
            "mmsi": self.mmsi,
            "lat": p.lat_deg,
            "lon": p.lon_deg,
            "speed": min(speed / KNOT, 102.2),
            "course": (math.degrees(course) + o.course_deg * float(noise[1])) % 360.0,
            "heading": 511
            if self.class_b
            else round((90.0 - math.degrees(body.yaw) + 0.5 * float(noise[2])) % 360.0) % 360,
            "accuracy": 1,
            "second": int(now) % 60,
        }
        if not self.class_b:
            rate = -math.degrees(body.yaw_rate) * 60.0  # to starboard, deg/min
            report |= {"status": 0, "turn": rate}
        return _encode(report)

    def _static(self) -> list[str]:
        half, side = self.length / 2.0, self.width / 2.0
        size = {
            "to_bow": math.ceil(half), "to_stern": math.floor(half),
            "to_port": math.ceil(side), "to_starboard": math.floor(side),
        }  # fmt: skip
        name = self.name.upper()[:20].replace("_", " ")
        if self.class_b:
            a = {"type": 24, "partno": 0, "mmsi": self.mmsi, "shipname": name}
            b = {"type": 24, "partno": 1, "mmsi": self.mmsi, "ship_type": 37, **size}
            return _encode(a) + _encode(b)
        self._sequence = (self._sequence + 1) % 10
        report = {"type": 5, "mmsi": self.mmsi, "shipname": name, "ship_type": 70, "draught": 3.0, **size}
        return _encode(report, self._sequence)


def _encode(report: dict[str, Any], sequence: int = 0) -> list[str]:
    return [
        str(s) for s in encode_dict(report, radio_channel="A", talker_id="AI", sentence_type="VDM", seq_id=sequence)
    ]


class AisPeer:
    """The receiver's serial line."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """Raises BadInputError at the options' line."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        options = platform.options(AisOptions, "simulation", "peers", name)
        self._sensor = next((n for n, s in platform.model.sensors.items() if s.driver == name), "ais")
        self._transponders = [_Transponder(a, a.ais, options, seed) for a in actors if a.ais]

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Sentences of the vessels that are due; takes no commands."""
        others = {o.name: o for o in world.others}
        lines = [line for t in self._transponders for line in t.messages(now, others[t.name], world)]
        deadline = min((min(t.position_t, t.static_t) for t in self._transponders), default=math.inf)
        if not lines or world.faults.silent(self._sensor):
            return PeerResult((), deadline)
        return PeerResult((Chunk("".join(f"{line}\r\n" for line in lines).encode("ascii")),), deadline)

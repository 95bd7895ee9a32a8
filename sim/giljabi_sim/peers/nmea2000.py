"""An NMEA 2000 backbone: receiver, compass, rate of turn, log, rudder feedback, engine and AIS; takes rudder orders.

Frames are packed here by struct, field by field as IEC 61162-3 lists them. Signs on the wire are the standard's:
angles clockwise from north, rate of turn and rudder positive to starboard. Angles are in 0.0001 rad.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pydantic import Field

from giljabi.platform import Platform
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, Schedule
from giljabi_sim.peers.ais import STATIC_PERIOD
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.peers.nmea import EPOCH, Compass, Gnss, Rate, Talkers
from giljabi_sim.scenario import Actor
from giljabi_sim.truth import Other, Own

if TYPE_CHECKING:
    from giljabi_sim.world import World

TURN = 2.0 * math.pi
GYRO, RECEIVER, LOG, GEAR, MACHINE, TRANSPONDER = 10, 11, 12, 13, 14, 15  # source addresses
METHOD = {1: 1, 2: 2, 4: 4, 5: 5}  # of a fix, by the quality that GGA would tell
DAYS = (EPOCH - datetime(1970, 1, 1, tzinfo=timezone.utc)).days
NO_U8, NO_S16, NO_U16, NO_S32 = 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF
NAME = 0xC0_50_96_00_3F_E0_00_00  # upper part of the devices' NAMEs; the address tells them apart


class Nmea2000Options(Strict):
    """`options` of an nmea2000 peer; a missing reading is not sent."""

    gnss: Gnss | None = Field(default=None, description="rate of the rapid position; the full fix comes once a second")
    compass: Compass | None = None
    rate_of_turn: Rate | None = Field(default=None, description="white in deg/min")
    rudder: Rate | None = Field(default=None, description="white in deg")
    engine: Rate | None = Field(default=None, description="white in rpm")
    log: Rate | None = Field(default=None, description="water speed, white in m/s")
    ais: bool = False
    watchdog_s: float = Field(default=0.5, gt=0, description="without an order the rudder goes amidships")


def _id(priority: int, pgn: int, source: int) -> int:
    return priority << 26 | pgn << 8 | source


def _u16(angle: float) -> int:
    """Angle [rad] as 0..2 pi in 0.0001 rad."""
    return int(angle % TURN * 1e4)


def _s16(value: float) -> int:
    return max(min(round(value), 32764), -32767)


class Nmea2000Peer(Talkers[Chunk]):
    """All devices of the backbone but ours."""

    wire = Wire.CAN

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        super().__init__(platform, name, seed, ("gnss", "compass", "rot", "rudder", "engine", "log", "ais"))
        o = self._o = platform.options(Nmea2000Options, "simulation", "peers", name)
        self._sequence: dict[int, int] = {}
        self._static_t: dict[str, float] = {}
        self._order_t = -math.inf
        if o.gnss:
            self._drift = Drift(self._rng["gnss"], o.gnss.drift_m, o.gnss.drift_time, 2)
            self._tasks += [(Schedule(o.gnss.rate_hz, 0.3), self._gnss), (Schedule(1.0, 0.31), self._full_fix)]
            self._place = (math.nan, math.nan, math.nan)
        if o.compass:
            self._compass_drift = Drift(self._rng["compass"], o.compass.drift_deg, o.compass.drift_time)
        self._every(o.compass, self._compass)
        self._every(o.rate_of_turn, self._rate_of_turn)
        self._every(o.rudder, self._rudder)
        self._every(o.engine, self._engine)
        self._every(o.log, self._log)
        if o.ais:
            self._vessels = [a for a in actors if a.ais]
            self._tasks.append((Schedule(0.4, 0.5), self._ais))

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Orders in, frames out."""
        out: list[Chunk] = []
        for chunk in received:
            reason = self._take(now, chunk, world, out)
            if reason:
                self.rejected[reason] = self.rejected.get(reason, 0) + 1
        if math.isfinite(self._order_t) and now - self._order_t > self._o.watchdog_s:
            world.vehicle.commands["rudder"] = 0.0
            self._order_t = -math.inf
        told, deadline = self._due(now, world)
        return PeerResult((*out, *told), deadline)

    # --- orders -------------------------------------------------------------------------------------

    def _take(self, now: float, chunk: Chunk, world: World, out: list[Chunk]) -> str:
        """Obeys one frame; returns why not, or an empty text."""
        group, size = chunk.can_id >> 8 & 0x3FFFF, len(chunk.data)
        if group >> 8 == 0xEA and size == 3:  # a request; for address claims
            if int.from_bytes(chunk.data, "little") == 0xEE00:
                sources = (GYRO, RECEIVER, LOG, GEAR, MACHINE, TRANSPONDER)
                out += [Chunk(struct.pack("<Q", NAME | s), _id(6, 0xEEFF, s)) for s in sources]
            return ""
        if group >> 8 == 0xEE:
            return ""
        if group != 127245 or size != 8:
            return "unknown"
        _, direction, order, position = struct.unpack_from("<BBhh", chunk.data)
        if direction & 7 not in (0, 7) or position != NO_S16:
            return "not_an_order"
        if abs(order) > 31416:
            return "field"
        world.vehicle.commands["rudder"] = -order * 1e-4
        self._order_t = now
        self.accepted += 1
        return ""

    # --- readings -----------------------------------------------------------------------------------

    def _fast(self, priority: int, pgn: int, source: int, data: bytes) -> list[Chunk]:
        """Frames of a fast packet: counter and number in the first byte, the length in the second of the first."""
        counter = self._sequence.get(pgn, 0)
        self._sequence[pgn] = (counter + 1) % 8
        pieces = [bytes([len(data)]) + data[:6]] + [data[k : k + 7] for k in range(6, len(data), 7)]
        can_id = _id(priority, pgn, source)
        return [Chunk((bytes([counter * 32 + k]) + p).ljust(8, b"\xff"), can_id) for k, p in enumerate(pieces)]

    def _gnss(self, now: float, own: Own, world: World) -> list[Chunk]:
        g = self._o.gnss
        assert g is not None
        rng = self._rng["gnss"]
        drift, white, jitter = self._drift.at(now), g.white_m * rng.standard_normal(2), rng.standard_normal(2)
        name = self._names.get("gnss", "gnss")
        if world.faults.silent(name):
            self._place = (math.nan, math.nan, math.nan)
            return []
        x, y = own.point(self._antenna[0], self._antenna[1])
        vx, vy = own.velocity_at(self._antenna[0], self._antenna[1])
        offset = world.faults.offset(name)
        p = world.frame.geodetic(x + drift[0] + white[0] + offset, y + drift[1] + white[1], self._antenna[2])
        self._place = (p.lat_deg, p.lon_deg, p.alt_m)
        vx, vy = vx + g.velocity_mps * float(jitter[0]), vy + g.velocity_mps * float(jitter[1])
        place = struct.pack("<ii", round(p.lat_deg * 1e7), round(p.lon_deg * 1e7))
        motion = struct.pack("<BBHHH", 0, 0xFC, _u16(math.atan2(vx, vy)), round(math.hypot(vx, vy) * 100), NO_U16)
        return [Chunk(place, _id(2, 129025, RECEIVER)), Chunk(motion, _id(2, 129026, RECEIVER))]

    def _full_fix(self, now: float, own: Own, world: World) -> list[Chunk]:
        g = self._o.gnss
        assert g is not None
        lat, lon, alt = self._place
        seconds = (EPOCH.hour * 60 + EPOCH.minute) * 60 + EPOCH.second + now
        day, seconds = divmod(seconds, 86400.0)
        head = struct.pack("<BHI", 0, DAYS + int(day), int(seconds * 1e4))
        if math.isnan(lat):
            # A receiver without satellites goes on talking.
            none = (1 << 63) - 1
            body = struct.pack("<qqqBBBhhiB", none, none, none, 0x00, 0xFC, 0, NO_S16, NO_S16, NO_S32, 0)
        else:
            body = struct.pack(
                "<qqqBBBhhiB", round(lat * 1e16), round(lon * 1e16), round(alt * 1e6), METHOD.get(g.quality, 1) << 4,
                0xFC, 12, round(g.hdop * 100), NO_S16, 0, 0,
            )  # fmt: skip
        return self._fast(3, 129029, RECEIVER, head + body)

    def _compass(self, now: float, own: Own, world: World) -> list[Chunk]:
        c = self._o.compass
        assert c is not None
        error = float(self._compass_drift.at(now)[0]) + c.white_deg * float(self._rng["compass"].standard_normal())
        name = self._names.get("heading", "heading")
        if world.faults.silent(name):
            return []
        heading = math.pi / 2.0 - own.yaw - world.faults.offset(name) + math.radians(error)
        return [Chunk(struct.pack("<BHhhB", NO_U8, _u16(heading), NO_S16, NO_S16, 0xFC), _id(2, 127250, GYRO))]

    def _rate_of_turn(self, now: float, own: Own, world: World) -> list[Chunk]:
        s = self._o.rate_of_turn
        assert s is not None
        rate = -own.yaw_rate + math.radians(s.white / 60.0) * float(self._rng["rot"].standard_normal())
        if world.faults.silent(self._names.get("imu", "imu")):
            return []
        return [Chunk(struct.pack("<BiBH", NO_U8, round(rate * 32e6), NO_U8, NO_U16), _id(2, 127251, GYRO))]

    def _rudder(self, now: float, own: Own, world: World) -> list[Chunk]:
        s = self._o.rudder
        assert s is not None
        angle = -own.feedback["rudder"] + math.radians(s.white) * float(self._rng["rudder"].standard_normal())
        if world.faults.silent(self._names.get("joints", "joints")):
            return []
        data = struct.pack("<BBhhH", 0, 0xF8, NO_S16, _s16(angle * 1e4), NO_U16)
        return [Chunk(data, _id(2, 127245, GEAR))]

    def _engine(self, now: float, own: Own, world: World) -> list[Chunk]:
        s = self._o.engine
        assert s is not None
        rpm = abs(own.feedback["propeller"]) * 30.0 / math.pi + s.white * float(self._rng["engine"].standard_normal())
        if world.faults.silent(self._names.get("joints", "joints")):
            return []
        data = struct.pack("<BHHbH", 0, max(round(rpm * 4.0), 0), NO_U16, 0x7F, NO_U16)
        return [Chunk(data, _id(2, 127488, MACHINE))]

    def _log(self, now: float, own: Own, world: World) -> list[Chunk]:
        s = self._o.log
        assert s is not None
        speed = own.feedback["water_speed"] + s.white * float(self._rng["log"].standard_normal())
        if world.faults.silent(self._names.get("log", "log")):
            return []
        data = struct.pack("<BHHBH", NO_U8, max(round(speed * 100.0), 0), NO_U16, 0, NO_U16)
        return [Chunk(data, _id(2, 128259, LOG))]

    # --- other vessels ------------------------------------------------------------------------------

    def _ais(self, now: float, own: Own, world: World) -> list[Chunk]:
        others = {o.name: o for o in world.others}
        silent = world.faults.silent(self._names.get("detections", "ais"))
        out: list[Chunk] = []
        for actor in self._vessels:
            mmsi = (
                actor.ais.mmsi
                if actor.ais and actor.ais.mmsi
                else 440_000_000 + zlib.crc32(actor.name.encode()) % 999_999
            )
            out += self._report(mmsi, others[actor.name], world)
            if now - self._static_t.get(actor.name, -math.inf) >= STATIC_PERIOD:
                self._static_t[actor.name] = now
                out += self._static(mmsi, actor)
        return [] if silent else out

    def _report(self, mmsi: int, other: Other, world: World) -> list[Chunk]:
        """Position of class A; the antenna stands in the middle of the hull."""
        body, noise = other.body, self._rng["ais"].standard_normal(4)
        x, y = body.point(body.centre_x, 0.0)
        vx, vy = body.velocity
        p = world.frame.geodetic(x + 0.8 * float(noise[0]), y + 0.8 * float(noise[1]), 0.0)
        speed = max(math.hypot(vx, vy) + 0.08 * float(noise[2]), 0.0)
        course = math.atan2(vx, vy) + math.radians(float(noise[3]))
        second = 60  # not available
        data = struct.pack(
            "<BIiiBHH3sHhBB", 1, mmsi, round(p.lon_deg * 1e7), round(p.lat_deg * 1e7), 1 | second << 2, _u16(course),
            round(speed * 100), bytes(3), _u16(math.pi / 2.0 - body.yaw), NO_S16, 0xF0, 0xFF,
        )  # fmt: skip
        return self._fast(4, 129038, TRANSPONDER, data + b"\xff")

    def _static(self, mmsi: int, actor: Actor) -> list[Chunk]:
        name = actor.name.upper()[:20].ljust(20, "@").encode("ascii", "replace")
        data = struct.pack(
            "<BII7s20sBHHHHHIH20sBB", 5, mmsi, 0xFFFFFFFF, b"@" * 7, name, 70, round(actor.length * 10),
            round(actor.width * 10), round(actor.width * 5), round(actor.length * 5), NO_U16, 0xFFFFFFFF, 300,
            b"@" * 20, 0xFF, 0xE0,
        )  # fmt: skip
        return self._fast(6, 129794, TRANSPONDER, data + b"\xff")

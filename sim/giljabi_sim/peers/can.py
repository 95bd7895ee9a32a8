"""The CAN bus of a drive-by-wire car: kinematics, wheels, steering, radar; takes steering and drive commands.

Frames are encoded and decoded by cantools from the DBC; checksums and counters are computed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cantools
from pydantic import Field

from giljabi.platform import Platform, share_dir
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, Schedule, generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.scenario import Actor
from giljabi_sim.truth import Body, Own

if TYPE_CHECKING:
    from giljabi_sim.world import World

RADAR_SLOTS = 16


class Radar(Strict):
    """Front radar: what it sees and how badly."""

    rate_hz: float = Field(default=20.0, gt=0, le=50)
    range_m: float = Field(default=120.0, gt=0)
    half_angle_deg: float = Field(default=60.0, gt=0, le=90)
    distance_m: float = Field(default=0.15, ge=0, description="1 sigma along the ray")
    bearing_deg: float = Field(default=0.3, ge=0)
    speed_mps: float = Field(default=0.12, ge=0)
    size_m: float = Field(default=0.3, ge=0)
    miss: float = Field(default=0.06, ge=0, lt=1, description="share of detections that are missing")
    clutter: float = Field(default=0.15, ge=0, description="false detections per scan, mean")


class CanOptions(Strict):
    """`options` of a can peer."""

    yaw_rate_dps: float = Field(default=0.08, ge=0, description="white, deg/s")
    yaw_rate_bias_dps: float = Field(default=0.15, ge=0)
    acceleration: float = Field(default=0.06, ge=0, description="white, m/s^2")
    acceleration_bias: float = Field(default=0.05, ge=0)
    wheel_mps: float = Field(default=0.02, ge=0)
    wheel_scale: float = Field(default=0.004, ge=0, description="error of the rolling radius, 1 sigma")
    steering_deg: float = Field(default=0.1, ge=0, description="white, steering wheel")
    radar: Radar | None = Field(default_factory=Radar)
    watchdog_s: float = Field(default=0.5, gt=0)
    brake_n: float = Field(default=4500.0, gt=0, description="braking force without valid commands")


def toyota(can_id: int, data: bytes) -> int:
    """Low byte of the sum of length, identifier bytes and all data bytes but the last."""
    return (len(data) + (can_id >> 8) + (can_id & 0xFF) + sum(data[:-1])) & 0xFF


def crc8_j1850(can_id: int, data: bytes) -> int:
    """CRC of SAE J1850 over all data bytes but the last: polynomial 0x1D, start and final exclusive-or 0xFF."""
    crc = 0xFF
    for byte in data[:-1]:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0xFF


CHECKSUMS: dict[str, Callable[[int, bytes], int]] = {"toyota": toyota, "crc8_j1850": crc8_j1850}


class CanPeer:
    """All nodes of the vehicle's bus but ours."""

    wire = Wire.CAN

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        o = self._o = platform.options(CanOptions, "simulation", "peers", name)
        driver = platform.model.drivers[name].options
        self._db = _load_dbc(platform, name, str(driver.get("dbc", "")))
        self._ratio = float(driver.get("steering_ratio", 1.0))
        self._sensors = {s.kind: (n, s) for n, s in platform.model.sensors.items() if s.driver == name}
        self._rng = {k: generator(seed, f"{name}.{k}") for k in ("kinematics", "wheels", "steer", "radar", "bias")}
        bias = self._rng["bias"]
        self._yaw_bias = o.yaw_rate_bias_dps * float(bias.standard_normal())
        self._acceleration_bias = Drift(bias, o.acceleration_bias, 300.0, 2)
        self._wheel_scale = 1.0 + o.wheel_scale * float(bias.standard_normal())
        self._fast, self._slow = Schedule(100.0), Schedule(50.0)
        self._scan = Schedule(o.radar.rate_hz, 0.5) if o.radar else None
        self._counter: dict[str, int] = {}
        self._seen_counter: dict[str, int] = {}
        self._order_t: dict[str, float] = {}
        self._enabled: dict[str, int] = {}

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Commands in, frames out."""
        for chunk in received:
            reason = self._obey(now, chunk, world)
            if reason:
                self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self._watch(now, world)
        own = world.own
        out: list[Chunk] = []
        if self._fast.due(now):
            out += self._fast_frames(now, own, world)
        if self._slow.due(now):
            out += self._status_frames(own)
        if self._scan is not None and self._scan.due(now):
            out += self._radar_frames(own, world)
        times = [self._fast.next, self._slow.next, *([self._scan.next] if self._scan else [])]
        return PeerResult(out, min(times))

    # --- commands -----------------------------------------------------------------------------------

    def _obey(self, now: float, chunk: Chunk, world: World) -> str:  # noqa: PLR0911
        try:
            message = self._db.get_message_by_frame_id(chunk.can_id)
        except KeyError:
            return "unknown_id"
        if message.name not in ("STEERING_COMMAND", "DRIVE_COMMAND"):
            return "not_mine"
        if len(chunk.data) != message.length:
            return "length"
        if chunk.data[-1] != self._checksum(message)(chunk.can_id, chunk.data):
            return "checksum"
        signals: dict[str, Any] = message.decode(chunk.data, decode_choices=False)
        counter = int(signals["COUNTER"])
        if self._seen_counter.get(message.name) == counter:
            return "counter"
        self._seen_counter[message.name] = counter
        self._enabled[message.name] = int(signals["ENABLE"])
        if not signals["ENABLE"]:
            return "not_enabled"
        if message.name == "STEERING_COMMAND":
            world.vehicle.commands["steering"] = math.radians(float(signals["ANGLE_REQUEST"]))
        else:
            world.vehicle.commands["force"] = float(signals["FORCE_REQUEST"])
        self._order_t[message.name] = now
        self.accepted += 1
        return ""

    def _watch(self, now: float, world: World) -> None:
        silent = [
            n
            for n in ("STEERING_COMMAND", "DRIVE_COMMAND")
            if now - self._order_t.get(n, -math.inf) > self._o.watchdog_s
        ]
        for name in silent:
            self._enabled[name] = 0
        if silent:
            world.vehicle.commands["force"] = -self._o.brake_n
        if "STEERING_COMMAND" in silent:
            world.vehicle.commands["steering"] = 0.0

    # --- frames -------------------------------------------------------------------------------------

    def _checksum(self, message: Any) -> Callable[[int, bytes], int]:
        attribute = message.dbc.attributes.get("ChecksumKind") if message.dbc else None
        return CHECKSUMS[attribute.value if attribute is not None else "toyota"]

    def _frame(self, name: str, values: dict[str, float]) -> Chunk:
        """One frame with its counter and checksum, values clipped to the signals' ranges."""
        message = self._db.get_message_by_name(name)
        signals: dict[str, float] = {}
        for s in message.signals:
            value = values.get(s.name, 0.0)
            if s.name == "COUNTER":
                value = self._counter[name] = (self._counter.get(name, -1) + 1) % 16
            low = s.minimum if s.minimum is not None else -math.inf
            high = s.maximum if s.maximum is not None else math.inf
            signals[s.name] = min(max(value, float(low)), float(high))
        data = bytearray(message.encode(signals))
        if any(s.name == "CHECKSUM" for s in message.signals):
            data[-1] = self._checksum(message)(message.frame_id, bytes(data))
        return Chunk(bytes(data), message.frame_id)

    def _lost(self, kind: str, world: World) -> bool:
        return world.faults.silent(self._sensors[kind][0] if kind in self._sensors else kind)

    def _fast_frames(self, now: float, own: Own, world: World) -> list[Chunk]:
        o, f = self._o, own.feedback
        k, w = self._rng["kinematics"].standard_normal(3), self._rng["wheels"].standard_normal(4)
        bias = self._acceleration_bias.at(now)
        yaw_rate = math.degrees(own.yaw_rate) + self._yaw_bias + o.yaw_rate_dps * float(k[0])
        noisy = o.steering_deg * float(self._rng["steer"].standard_normal())
        out: list[Chunk] = []
        if not self._lost("imu", world):
            ax = own.ax + float(bias[0]) + o.acceleration * float(k[1])
            ay = own.ay + float(bias[1]) + o.acceleration * float(k[2])
            out.append(self._frame("KINEMATICS", {"YAW_RATE": yaw_rate, "ACCEL_X": ax, "ACCEL_Y": ay}))
        if not self._lost("joints", world):
            angle = math.degrees(f["steering"]) * self._ratio + noisy
            rate = math.degrees(f["steering_rate"]) * self._ratio
            out.append(self._frame("STEER_ANGLE_SENSOR", {"STEER_ANGLE": angle, "STEER_RATE": rate}))
            wheels = {
                f"WHEEL_SPEED_{n.upper()}": (f[f"wheel_{n}"] * self._wheel_scale + o.wheel_mps * float(w[i])) * 3.6
                for i, n in enumerate(("fl", "fr", "rl", "rr"))
            }
            out.append(self._frame("WHEEL_SPEEDS", wheels))
        return out

    def _status_frames(self, own: Own) -> list[Chunk]:
        f = own.feedback
        steering = {"ANGLE": math.degrees(f["steering"]), "ENABLED": self._enabled.get("STEERING_COMMAND", 0)}
        drive = {"FORCE": f["force"], "ENABLED": self._enabled.get("DRIVE_COMMAND", 0)}
        return [self._frame("STEERING_STATUS", steering), self._frame("DRIVE_STATUS", drive)]

    # --- radar --------------------------------------------------------------------------------------

    def _radar_frames(self, own: Own, world: World) -> list[Chunk]:
        r = self._o.radar
        assert r is not None
        rows = self._radar_rows(r, own, world)
        if self._lost("detections", world):
            return []
        rows = sorted(rows, key=lambda row: row["LONG_DIST"])[:RADAR_SLOTS]
        out = [self._frame(f"RADAR_OBJECT_{i}", row) for i, row in enumerate(rows)]
        return [*out, self._frame("RADAR_STATUS", {"OBJECT_COUNT": len(rows)})]

    def _radar_rows(self, r: Radar, own: Own, world: World) -> list[dict[str, float]]:
        rng = self._rng["radar"]
        mount = self._sensors["detections"][1].position if "detections" in self._sensors else (0.0, 0.0, 0.0)
        x0, y0 = own.point(mount[0], mount[1])
        u0, v0 = own.velocity_at(mount[0], mount[1])
        c, s = math.cos(own.yaw), math.sin(own.yaw)
        half = math.radians(r.half_angle_deg)
        rows: list[dict[str, float]] = []
        bodies: list[Body] = [*(o.body for o in world.others), *world.obstacles]
        for i, body in enumerate(bodies):
            noise, missed = rng.standard_normal(6), float(rng.uniform()) < r.miss
            x, y = body.point(body.centre_x, 0.0)
            along, across = c * (x - x0) + s * (y - y0), -s * (x - x0) + c * (y - y0)
            distance, bearing = math.hypot(along, across), math.atan2(across, along)
            if missed or distance > r.range_m or abs(bearing) > half:
                continue
            distance += r.distance_m * float(noise[0])
            bearing += math.radians(r.bearing_deg) * float(noise[1])
            u, v = body.velocity
            rows.append(
                {
                    "LONG_DIST": distance * math.cos(bearing),
                    "LAT_DIST": distance * math.sin(bearing),
                    "LONG_REL_SPEED": c * (u - u0) + s * (v - v0) + r.speed_mps * float(noise[2]),
                    "LAT_REL_SPEED": -s * (u - u0) + c * (v - v0) + r.speed_mps * float(noise[3]),
                    "OBJECT_ID": (i + 1) % 48,
                    "VALID": 1,
                    "LENGTH": max(body.length + r.size_m * float(noise[4]), 0.5),
                    "WIDTH": max(body.width + r.size_m * float(noise[5]), 0.25),
                }
            )
        for _ in range(int(rng.poisson(r.clutter))):
            distance, bearing = float(rng.uniform(2.0, r.range_m)), float(rng.uniform(-half, half))
            rows.append(
                {
                    "LONG_DIST": distance * math.cos(bearing),
                    "LAT_DIST": distance * math.sin(bearing),
                    "LONG_REL_SPEED": -(c * u0 + s * v0) + float(rng.normal(0.0, 1.0)),
                    "LAT_REL_SPEED": float(rng.normal(0.0, 0.5)),
                    "OBJECT_ID": 48 + int(rng.integers(16)),
                    "VALID": 1,
                    "LENGTH": float(rng.uniform(0.5, 3.0)),
                    "WIDTH": float(rng.uniform(0.5, 2.0)),
                }
            )
        return [row for row in rows if abs(row["LAT_DIST"]) < 51.0]


def _load_dbc(platform: Platform, name: str, dbc: str) -> Any:
    key = ("drivers", name, "options", "dbc")
    places = [Path(dbc), platform.file.path.parent / dbc, share_dir() / "config" / "dbc" / dbc]
    path = next((p for p in places if dbc and p.is_file()), None)
    if path is None:
        raise platform.error(key, f"no database '{dbc}'; a DBC file in config/dbc or a path is expected")
    try:
        return cantools.database.load_file(path)
    except Exception as e:
        reason = " ".join(str(e).split())[:120]
        raise platform.error(key, f"'{dbc}' cannot be read ({reason}); a DBC file is expected") from None

"""An LDROBOT LD19 scanner on its serial line: rays through what stands in the world, with noise and lost echoes.

Packed here field by field; the CRC is computed bit by bit. Other vehicles are columns, obstacles up to their top.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from giljabi.platform import Platform
from giljabi.types import Array
from giljabi.yaml_file import Strict
from giljabi_sim.noise import generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.scenario import Actor
from giljabi_sim.truth import Body, Own

if TYPE_CHECKING:
    from giljabi_sim.world import World

POINTS_HZ = 4500.0
PER_PACKET = 12
GROUND = 0.0  # m, height of the ground


class Ld19Options(Strict):
    """`options` of an ld19 peer."""

    turns_hz: float = Field(default=10.0, ge=5.0, le=13.0)
    reach_m: float = Field(default=12.0, gt=0, le=12.0)
    noise_m: float = Field(default=0.02, ge=0, description="1 sigma")
    lost: float = Field(default=0.01, ge=0, lt=1, description="share of echoes that do not come back")


class Ld19Peer:
    """The device: it turns and sends from the start, and hears nothing."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        self._o = platform.options(Ld19Options, "simulation", "peers", name)
        sensors = {s.kind: (n, s) for n, s in platform.model.sensors.items() if s.driver == name}
        self._name, sensor = sensors.get("scan", (name, None))
        self._place = np.array(sensor.position if sensor else (0.0, 0.0, 0.0))
        self._mounting = Rotation.from_euler("ZYX", (sensor.rpy_deg if sensor else (0.0, 0.0, 0.0))[::-1], degrees=True)
        self._rng = generator(seed, f"{name}.lidar")
        self._sent = 0  # points so far
        self._standing: Array = np.concatenate([_edges(b) for b in world.obstacles] or [np.zeros((0, 5))])

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Every packet whose last point was measured by now."""
        if received:
            self.rejected["unexpected"] = self.rejected.get("unexpected", 0) + sum(len(c.data) for c in received)
        due = int(now * POINTS_HZ / PER_PACKET + 1e-6) * PER_PACKET
        due, first = min(due, self._sent + 100 * PER_PACKET), self._sent
        deadline = (due + PER_PACKET) / POINTS_HZ
        if due <= first:
            return PeerResult((), deadline)
        self._sent = due
        step = 360.0 * self._o.turns_hz / POINTS_HZ
        angles: Array = np.asarray((np.arange(first, due) * step) % 360.0, dtype=np.float64)
        ranges = self._measure(world.own, np.radians(-angles), world)
        if world.faults.silent(self._name):
            return PeerResult((), deadline)
        data = b"".join(
            self._packet(angles[k : k + PER_PACKET], ranges[k : k + PER_PACKET], (first + k) / POINTS_HZ)
            for k in range(0, due - first, PER_PACKET)
        )
        return PeerResult((Chunk(data),), deadline)

    def _measure(self, own: Own, azimuth: Array, world: World) -> Array:
        """Distances (n,) along rays at angles counter-clockwise from the device's x [rad]; 0: no echo."""
        body = Rotation.from_quat(np.array(own.quaternion)[[1, 2, 3, 0]])
        flat = np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros(len(azimuth))])
        ray = (body * self._mounting).apply(flat)
        origin = np.array([own.x, own.y, own.z]) + body.apply(self._place)
        moving = [_edges(o.body) for o in world.others]
        edges = np.concatenate([self._standing, *moving]) if moving else self._standing
        true = np.minimum(_to_edges(origin, ray, edges), _to_ground(origin, ray))
        noise, luck = self._rng.standard_normal(len(azimuth)), self._rng.random(len(azimuth))
        back = (true < self._o.reach_m) & (luck >= self._o.lost)
        return np.where(back, np.maximum(true + self._o.noise_m * noise, 0.02), 0.0)

    def _packet(self, angles: Array, ranges: Array, t: float) -> bytes:
        speed = round(360.0 * self._o.turns_hz)  # deg/s
        points = b"".join(struct.pack("<HB", round(1000.0 * r), 200 if r > 0.0 else 0) for r in ranges)
        first, last = (round(100.0 * float(a)) % 36000 for a in (angles[0], angles[-1]))
        body = b"\x54" + bytes([0x20 | PER_PACKET]) + struct.pack("<HH", speed, first) + points
        body += struct.pack("<HH", last, round(1000.0 * t) % 30000)
        crc = 0
        for byte in body:
            crc ^= byte
            for _ in range(8):
                crc = (crc << 1 ^ 0x4D if crc & 0x80 else crc << 1) & 0xFF
        return body + bytes([crc])


def _edges(body: Body) -> Array:
    """Edges (n, 5) of a body: x y of a corner, what leads to the next one, height of its top."""
    c = body.corners
    return np.column_stack([c, np.roll(c, -1, axis=0) - c, np.full(len(c), body.top)])


def _to_edges(origin: Array, ray: Array, edges: Array) -> Array:
    """Distance (n,) along rays (n, 3) to the first vertical wall over edges (m, 5); inf where there is none."""
    if not len(edges):
        return np.full(len(ray), math.inf)
    d, e = edges[None, :, :2] - origin[:2], edges[None, :, 2:4]
    u = ray[:, None, :2]
    turn = u[..., 0] * e[..., 1] - u[..., 1] * e[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (d[..., 0] * e[..., 1] - d[..., 1] * e[..., 0]) / turn
        share = (d[..., 0] * u[..., 1] - d[..., 1] * u[..., 0]) / turn
        height = origin[2] + along * ray[:, 2:]
    met = (along > 0.0) & (share >= 0.0) & (share <= 1.0) & (height <= edges[None, :, 4])
    return np.asarray(np.where(met, along, math.inf).min(axis=1))


def _to_ground(origin: Array, ray: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(ray[:, 2] < -1e-6, (GROUND - origin[2]) / ray[:, 2], math.inf)

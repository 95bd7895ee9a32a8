"""Serial IMUs: a VectorNav (binary output, its axes down) and an Xsens (MTData2, its axes up), and their settings.

Packets are packed here field by field, with CRC and sums of our own; signs and axes are the devices'.
"""

from __future__ import annotations

import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from giljabi.platform import Platform
from giljabi.types import Array
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, Schedule, generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.scenario import Actor
from giljabi_sim.truth import Own

if TYPE_CHECKING:
    from giljabi_sim.world import World

GRAVITY = 9.80665
BOOT_S = 12.0  # of the device's clock at t = 0
LONGEST_COMMAND = 300


class ImuOptions(Strict):
    """`options` of a vectornav or an xsens peer."""

    rate_hz: float = Field(default=100.0, gt=0, le=400)
    gyro_dps: float = Field(default=0.05, ge=0, description="white, deg/s")
    gyro_bias_dps: float = Field(default=0.1, ge=0, description="1 sigma")
    acceleration: float = Field(default=0.03, ge=0, description="white, m/s^2")
    acceleration_bias: float = Field(default=0.03, ge=0)
    heading_deg: float = Field(default=0.5, ge=0, description="white, of the yaw that it estimates")
    waits: bool = Field(default=False, description="says nothing before it has been told what to send")


class ImuPeer(ABC):
    """The device on its serial line."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        o = self._o = platform.options(ImuOptions, "simulation", "peers", name)
        sensors = {s.kind: (n, s) for n, s in platform.model.sensors.items() if s.driver == name}
        self._name, sensor = sensors.get("imu", ("imu", None))
        rpy = sensor.rpy_deg if sensor else (0.0, 0.0, 0.0)
        self._place = np.array(sensor.position if sensor else (0.0, 0.0, 0.0))
        self._base_from_device = Rotation.from_euler("ZYX", rpy[::-1], degrees=True)
        self._rng = generator(seed, f"{name}.imu")
        self._gyro_bias = np.radians(o.gyro_bias_dps) * self._rng.standard_normal(3)
        self._force_bias = Drift(self._rng, o.acceleration_bias, 300.0, 3)
        self._schedule = Schedule(o.rate_hz)
        self._talks = not o.waits
        self._count = 0
        self._old: tuple[float, float] | None = None  # time and yaw rate of the last packet
        self._rest = b""

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Settings in, packets out."""
        out = [Chunk(a) for c in received for a in self._told(c.data)]
        if self._schedule.due(now):
            packet = self._measure(now, world.own)
            if self._talks and not world.faults.silent(self._name):
                out.append(Chunk(packet))
        return PeerResult(tuple(out), self._schedule.next)

    def _measure(self, now: float, own: Own) -> bytes:
        """What the device feels: rate, specific force and attitude in axes x forward, y left, z up of its own."""
        if own.felt:
            return self._felt(now, own)
        o, noise = self._o, self._rng.standard_normal(7)
        turning = 0.0
        if self._old is not None and now > self._old[0]:
            turning = (own.yaw_rate - self._old[1]) / (now - self._old[0])
        self._old = (now, own.yaw_rate)
        w, (x, y, _) = own.yaw_rate, self._place
        force = np.array([own.ax - w * w * x - turning * y, own.ay - w * w * y + turning * x, GRAVITY])
        to_device = self._base_from_device.inv()
        rate = to_device.apply([0.0, 0.0, w]) + self._gyro_bias + math.radians(o.gyro_dps) * noise[:3]
        felt = to_device.apply(force) + self._force_bias.at(now) + o.acceleration * noise[3:6]
        yaw = own.yaw + math.radians(o.heading_deg) * float(noise[6])
        attitude = Rotation.from_euler("z", yaw) * self._base_from_device
        self._count += 1
        return self._packet(now + BOOT_S, rate, felt, attitude)

    def _felt(self, now: float, own: Own) -> bytes:
        """The same of a body that moves in all directions, whose plant tells what is felt where the device sits."""
        o, noise = self._o, self._rng.standard_normal(9)
        rate = np.array(own.rates) + self._gyro_bias + math.radians(o.gyro_dps) * noise[:3]
        felt = np.array(own.specific_force) + self._force_bias.at(now) + o.acceleration * noise[3:6]
        w, x, y, z = own.quaternion
        error = Rotation.from_rotvec(math.radians(o.heading_deg) * noise[6:9])
        self._count += 1
        return self._packet(now + BOOT_S, rate, felt, error * Rotation.from_quat([x, y, z, w]) * self._base_from_device)

    @abstractmethod
    def _packet(self, t: float, rate: Array, force: Array, attitude: Rotation) -> bytes:
        """The bytes of one reading; attitude: from the device's axes to east, north, up."""

    @abstractmethod
    def _told(self, data: bytes) -> list[bytes]:
        """Obeys settings; returns the answers."""

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


def crc16(data: bytes) -> int:
    """CRC-16-CCITT: polynomial 0x1021, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class VectorNavPeer(ImuPeer):
    """Binary output 1: time since start, quaternion, rate, acceleration; x forward, y right, z down."""

    def _packet(self, t: float, rate: Array, force: Array, attitude: Rotation) -> bytes:
        down = Rotation.from_euler("x", 180.0, degrees=True)
        ned = Rotation.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, -1]]) * attitude * down
        body = struct.pack("<BHQ", 1, 1 << 0 | 1 << 4 | 1 << 5 | 1 << 8, round(t * 1e9))
        body += struct.pack("<4f", *ned.as_quat()) + struct.pack("<3f", rate[0], -rate[1], -rate[2])
        body += struct.pack("<3f", force[0], -force[1], -force[2])
        return b"\xfa" + body + struct.pack(">H", crc16(body))

    def _told(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LONGEST_COMMAND:]
        out = []
        for line in lines:
            body, star, check = line.strip().removeprefix(b"$").partition(b"*")
            total = 0
            for byte in body:
                total ^= byte
            if not star or check.upper() != b"%02X" % total:
                self._reject("checksum")
                continue
            if body.startswith(b"VNWRG,75,") and body.endswith(b",01,0131"):
                self._talks = True
            elif body != b"VNWRG,06,0":
                self._reject("unknown")
                continue
            self.accepted += 1
            out.append(line.strip() + b"\r\n")  # it says back what it was told
        return out


class XsensPeer(ImuPeer):
    """MTData2: counter, time, quaternion (ENU), acceleration, rate of turn, status; x forward, y left, z up."""

    def _packet(self, t: float, rate: Array, force: Array, attitude: Rotation) -> bytes:
        x, y, z, w = attitude.as_quat()
        data = struct.pack(">HBH", 0x1020, 2, self._count & 0xFFFF)
        data += struct.pack(">HBI", 0x1060, 4, round(t * 1e4) & 0xFFFFFFFF)
        data += struct.pack(">HB4f", 0x2010, 16, w, x, y, z)
        data += struct.pack(">HB3f", 0x4020, 12, *force)
        data += struct.pack(">HB3f", 0x8020, 12, *rate)
        data += struct.pack(">HBI", 0xE020, 4, 3)
        return self._message(0x36, data)

    def _message(self, kind: int, data: bytes = b"") -> bytes:
        body = struct.pack(">BBB", 0xFF, kind, len(data)) + data
        return b"\xfa" + body + struct.pack("B", 256 - sum(body) % 256 & 0xFF)

    def _told(self, data: bytes) -> list[bytes]:
        self._rest = (self._rest + data)[-LONGEST_COMMAND:]
        out = []
        while len(self._rest) >= 5:
            size = self._rest[3] + 5
            if self._rest[0] != 0xFA or self._rest[1] != 0xFF:
                self._rest = self._rest[1:]
                self._reject("noise")
                continue
            if len(self._rest) < size:
                break
            whole, self._rest = self._rest[:size], self._rest[size:]
            if sum(whole[1:]) % 256:
                self._reject("checksum")
                continue
            kind = whole[2]
            if kind == 0x30:
                self._talks = False
            elif kind == 0x10:
                self._talks = True
            elif kind != 0xC0:
                self._reject("unknown")
                continue
            self.accepted += 1
            out.append(self._message(kind + 1, whole[4:-1]))
        return out

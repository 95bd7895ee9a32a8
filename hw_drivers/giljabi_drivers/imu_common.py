"""What serial IMUs share: plausibility, axes, device time, lost packets, and heading out of an attitude."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field

from giljabi.clock import DeviceClock
from giljabi.frames import matrix_from_rpy
from giljabi.platform import Platform
from giljabi.types import NAN, Array, Heading, Imu, Sample
from giljabi.yaml_file import Strict
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.sensors import SensorWatch

RATE_MAX, FORCE_MAX = 60.0, 400.0  # rad/s, m/s^2; no device on a vehicle feels more
Vector = Sequence[float]


class ImuOptions(Strict):
    """Options that all serial IMUs have."""

    heading: Literal["none", "true_north", "magnetic_north"] = Field(
        default="none", description="what the device's yaw refers to; none: it is not used"
    )
    heading_std_deg: float = Field(default=2.0, gt=0)
    variation_deg: float = Field(default=0.0, description="magnetic, east positive; of a magnetic heading")
    configure: bool = Field(default=False, description="set the device's output when the driver starts")
    rate_hz: int = Field(default=100, ge=1, le=800, description="that is set then")


@dataclass(slots=True)
class ImuSamples:
    """Turns readings in FLU axes of the device into samples; its mounting is the estimator's affair."""

    platform: Platform
    driver: str
    options: ImuOptions
    stats: DriverStats
    watch: SensorWatch
    out: list[Sample] = field(default_factory=list)
    clock: DeviceClock = field(default_factory=DeviceClock)
    _mounting: Array = field(init=False)  # R_base_sensor

    def __post_init__(self) -> None:
        name = self.watch.names.get("imu")
        rpy = self.platform.model.sensors[name].rpy_deg if name else (0.0, 0.0, 0.0)
        self._mounting = matrix_from_rpy(*np.radians(rpy))

    def reading(self, received: float, stamp: float, rate: Vector | None, force: Vector | None) -> bool:
        """A sample from rate [rad/s] and specific force [m/s^2], each (3,) FLU or None; False when it is refused.

        stamp: device time [s], NaN where it has none.
        """
        known = [v for part in (rate, force) if part is not None for v in part]
        if not known:
            return False
        if not all(math.isfinite(v) for v in known):
            self.stats.reject("not_finite")
            return False
        if any(abs(v) > RATE_MAX for v in rate or ()) or any(abs(v) > FORCE_MAX for v in force or ()):
            self.stats.reject("implausible")
            return False
        w = np.array(rate) if rate is not None else np.full(3, NAN)
        f = np.array(force) if force is not None else np.full(3, NAN)
        self.give(Imu(self.clock.map(received, stamp), w, f, self.watch.source("imu", "imu")))
        return True

    def attitude(self, received: float, stamp: float, R_enu_sensor: Array) -> None:
        """A heading of base_link out of the device's attitude, when the platform file says what its yaw refers to."""
        o = self.options
        if o.heading == "none":
            return
        if not np.isfinite(R_enu_sensor).all():
            self.stats.reject("not_finite")
            return
        R_enu_base = R_enu_sensor @ self._mounting.T
        if math.hypot(R_enu_base[0, 0], R_enu_base[1, 0]) < 0.1:
            return  # the bow points up or down: there is no heading
        yaw = math.atan2(R_enu_base[1, 0], R_enu_base[0, 0])
        if o.heading == "magnetic_north":
            yaw -= math.radians(o.variation_deg)  # clockwise
        t, std = self.clock.map(received, stamp), math.radians(o.heading_std_deg)
        self.give(Heading(t, math.remainder(yaw, math.tau), std, self.watch.source("heading", "heading")))

    def give(self, sample: Sample) -> None:
        self.out.append(sample)
        self.watch.saw(sample)

    def take(self) -> tuple[Sample, ...]:
        """Samples since the last call."""
        out = tuple(self.out)
        self.out.clear()
        return out


class SerialImu(ABC):
    """One IMU on a serial line; a kind says how its packets look and what it is asked."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers` of the platform file; raises BadInputError with its line."""
        self.name = name
        self.stats = DriverStats()
        self._options = platform.options(ImuOptions, "drivers", name)
        self._watch = SensorWatch(platform, name)
        self._samples = ImuSamples(platform, name, self._options, self.stats, self._watch)
        self._buffer = b""
        self._line = 0
        self._heard_t = self._asked_t = -math.inf

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes bytes in any chunking; never raises on bad bytes, counts them instead."""
        for r in received:
            if r.can_id >= 0:
                self.stats.reject("not_a_stream")
                continue
            if r.bus != self._line:
                self._line, self._buffer = r.bus, b""
                self._begin_line()
            self._buffer = self._cut(self._buffer + r.data, r.t)
        to_send, deadline = self._configure(now)
        return StepResult(self._samples.take(), to_send, deadline)

    def encode_table(self) -> None:  # noqa: B027
        """It takes no commands."""

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent for longer than their timeout, by name."""
        return self._watch.problems(now)

    @abstractmethod
    def _begin_line(self) -> None:
        """The line was opened anew."""

    @abstractmethod
    def _cut(self, data: bytes, t: float) -> bytes:
        """Takes whole packets out of the front; returns what may still become one."""

    @abstractmethod
    def _configure(self, now: float) -> tuple[tuple[bytes, ...], float]:
        """What is sent to the device now, and when to look again [s]."""


def matrix_from_quaternion(w: float, x: float, y: float, z: float) -> Array:
    """Rotation matrix (3, 3) of a quaternion; NaN when it is none (its length is not 1 within 2 %)."""
    n = w * w + x * x + y * y + z * z
    if not 0.96 < n < 1.04:
        return np.full((3, 3), NAN)
    s = 2.0 / n
    return np.array([
        [1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
        [s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)],
        [s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)],
    ])  # fmt: skip

"""Where sensors sit: lever arms and IMU axes from the platform file."""

from __future__ import annotations

import numpy as np

from giljabi.frames import matrix_from_rpy
from giljabi.platform import Platform, Sensor
from giljabi.types import Array, Imu


class Mounting:
    """Sensors of a platform by the source name of a sample, or by kind when the name is unknown."""

    def __init__(self, platform: Platform) -> None:
        self._sensors = platform.model.sensors
        self._found: dict[tuple[str, str], Sensor | None] = {}
        self._rotation: dict[str, Array | None] = {}

    def sensor(self, kind: str, source: str) -> Sensor | None:
        """The sensor called `source`, else the first of its kind, else None."""
        key = (kind, source)
        if key not in self._found:
            named = self._sensors.get(source)
            same_kind = [s for s in self._sensors.values() if s.kind == kind]
            ok = named is not None and named.kind == kind
            self._found[key] = named if ok else (same_kind[0] if same_kind else None)
        return self._found[key]

    def place(self, kind: str, source: str) -> None:
        """A source that the platform file does not list and whose samples are in base_link already."""
        self._found[kind, source] = None

    def lever(self, kind: str, source: str) -> Array:
        """Position in base_link (3,) [m]; zero for a sensor that the file does not list."""
        s = self.sensor(kind, source)
        return np.array(s.position if s else (0.0, 0.0, 0.0))

    def timeout(self, kind: str, default: float) -> float:
        """Longest staleness limit of the sensors of a kind [s]."""
        return max((s.timeout_s for s in self._sensors.values() if s.kind == kind), default=default)

    def required(self, kind: str) -> bool:
        """True when arming waits for a sensor of this kind."""
        return any(s.kind == kind and s.required for s in self._sensors.values())

    def imu_in_base(self, imu: Imu) -> tuple[Array, Array]:
        """Rate and specific force (3,), (3,) in base_link axes at base_link; NaN where an axis cannot be known."""
        if imu.source not in self._rotation:
            s = self.sensor("imu", imu.source)
            rpy = np.radians(s.rpy_deg) if s else np.zeros(3)
            self._rotation[imu.source] = matrix_from_rpy(*rpy) if np.any(rpy) else None
        R_base_sensor = self._rotation[imu.source]
        rate, force = imu.angular_velocity, imu.linear_acceleration
        if R_base_sensor is not None:
            rate, force = _rotate(R_base_sensor, rate), _rotate(R_base_sensor, force)
        lever = self.lever("imu", imu.source)
        if lever.any():
            w = np.nan_to_num(rate)
            force = force - np.cross(w, np.cross(w, lever))
        return rate, force


def _rotate(R: Array, v: Array) -> Array:
    """R @ v where an unmeasured axis spoils only the axes that it reaches."""
    known = np.isfinite(v)
    reached = (np.abs(R) > 1e-6) & ~known
    return np.where(reached.any(axis=1), np.nan, R @ np.where(known, v, 0.0))

"""Ground truth of one moment; only the simulator and its judge see it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from giljabi.types import Array
from giljabi_sim.geometry import rectangle


@dataclass(frozen=True, slots=True)
class Body:
    """Rectangle that moves in map."""

    x: float  # m, reference point
    y: float
    yaw: float  # rad
    vx: float  # m/s over ground, body
    vy: float
    yaw_rate: float  # rad/s
    length: float  # m
    width: float
    centre_x: float = 0.0  # m, centre of the rectangle ahead of the reference point
    top: float = math.inf  # m, height of its upper end

    @property
    def corners(self) -> Array:
        """Corners (4, 2) in map [m]."""
        return rectangle(self.x, self.y, self.yaw, self.length, self.width, self.centre_x)

    @property
    def velocity(self) -> tuple[float, float]:
        """Velocity of the reference point in map [m/s]."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return c * self.vx - s * self.vy, s * self.vx + c * self.vy

    @property
    def speed(self) -> float:
        """Speed over ground [m/s]."""
        return math.hypot(self.vx, self.vy)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A body point in map [m]."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + c * x - s * y, self.y + s * x + c * y

    def velocity_at(self, x: float, y: float) -> tuple[float, float]:
        """Velocity of a body point in map [m/s]."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        vx, vy = self.vx - self.yaw_rate * y, self.vy + self.yaw_rate * x
        return c * vx - s * vy, s * vx + c * vy


@dataclass(frozen=True, slots=True)
class Own(Body):
    """The vehicle under test: body plus what its own sensors feel.

    For one that flies, yaw, yaw_rate, vx, vy, ax and ay are those of the level heading frame, and the rest is below.
    """

    ax: float = 0.0  # m/s^2, acceleration of base_link over ground in the body frame
    ay: float = 0.0
    feedback: Mapping[str, float] = field(default_factory=dict)  # actuators and wheels: rad, m, rad/s, m/s, N
    z: float = 0.0  # m map
    vz: float = 0.0  # m/s map, up
    roll: float = 0.0  # rad
    pitch: float = 0.0  # rad, nose down positive
    below: float = 0.0  # m from z down to its feet, standing
    climbs: float = 0.0  # m, height of things that it can stand on
    rates: tuple[float, float, float] = (0.0, 0.0, 0.0)  # rad/s body, of a vehicle that flies
    specific_force: tuple[float, float, float] = (0.0, 0.0, 9.81)  # m/s^2 body, of a vehicle that flies
    felt: bool = False  # rates and specific_force are those at the inertial sensor, in its axes
    fallen: bool = False  # lies on the ground and should not

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """Attitude, body to map, scalar first."""
        cr, sr = math.cos(0.5 * self.roll), math.sin(0.5 * self.roll)
        cp, sp = math.cos(0.5 * self.pitch), math.sin(0.5 * self.pitch)
        cy, sy = math.cos(0.5 * self.yaw), math.sin(0.5 * self.yaw)
        return (
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        )


@dataclass(frozen=True, slots=True)
class Other:
    """Another vehicle and what it tells about itself."""

    name: str
    kind: str  # vessel, car, pedestrian
    body: Body


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything at one moment."""

    t: float
    own: Own
    others: tuple[Other, ...]

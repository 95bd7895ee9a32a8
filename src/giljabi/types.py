"""Data that moves between steps: SI units, ENU map, FLU body (REP-103), time in seconds.

Every object is immutable by convention: a step reads its input and returns new objects. Arrays are
float64. A slot that does not apply is NaN; a NaN in a slot that applies is a fault and is refused by
`check_finite` where data enters the stack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
NAN = float("nan")


class GiljabiError(Exception):
    """An error with a message for the user: what is wrong, where, and what to do."""


class BadInputError(GiljabiError):
    """Bad arguments, file or configuration (exit code 2); the message is `file:line: what; what is expected`."""


def check_finite(what: str, value: Any) -> Array:
    """Returns `value` as a float array, or raises BadInputError naming `what` when it is not finite."""
    a = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(a)):
        raise BadInputError(f"{what}: {a.tolist()} is not finite; a finite number is expected")
    return a


# --- samples: what drivers give -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imu:
    """Inertial sample in the body frame; what the device does not measure is NaN."""

    t: float
    angular_velocity: Array  # (3,) rad/s, FLU
    linear_acceleration: Array  # (3,) m/s^2 specific force, FLU (at rest +9.81 on z)
    source: str = "imu"
    tilt: tuple[float, float, float] | None = None  # rad: roll, pitch (R_enu_base = Rz Ry Rx), their 1 sigma

    @property
    def inertial(self) -> bool:
        """Whether it measured a rate or a force at all; attitude sentences tell the tilt alone."""
        return not bool(np.isnan(self.angular_velocity).all() and np.isnan(self.linear_acceleration).all())


@dataclass(frozen=True, slots=True)
class GnssFix:
    """Satellite position, WGS-84; degrees as in NavSatFix."""

    t: float
    lat_deg: float
    lon_deg: float
    alt_m: float  # ellipsoid or mean sea level as the device gives it; NaN for a 2-D fix
    std_enu: Array  # (3,) m, 1 sigma
    quality: int = 1  # 0 none, 1 single, 2 differential, 4 RTK fixed, 5 RTK float, 6 dead reckoning
    satellites: int = 0
    utc_s: float = NAN  # UTC as data, epoch seconds; never used as the stack's time
    source: str = "gnss"


@dataclass(frozen=True, slots=True)
class GnssVelocity:
    """Velocity over ground in ENU; the vertical part is NaN when the device gives course and speed only."""

    t: float
    velocity_enu: Array  # (3,) m/s
    std: float  # m/s, 1 sigma per axis
    source: str = "gnss"


@dataclass(frozen=True, slots=True)
class Heading:
    """Yaw of base_link in ENU (0 = east, positive counter-clockwise), true not magnetic."""

    t: float
    yaw: float  # rad
    std: float  # rad
    source: str = "heading"


@dataclass(frozen=True, slots=True)
class JointState:
    """Feedback of named actuators and wheels; slots that do not apply are NaN or absent.

    Wheels are `wheel_<place>` (wheel_fl, wheel_fr, wheel_rl, wheel_rr) in `velocity`: speed at the rim [m/s].
    """

    t: float
    position: Mapping[str, float] = field(default_factory=dict)  # rad, m
    velocity: Mapping[str, float] = field(default_factory=dict)  # rad/s, m/s
    effort: Mapping[str, float] = field(default_factory=dict)  # N, N·m
    source: str = "joints"


@dataclass(frozen=True, slots=True)
class SpeedThroughWater:
    """Speed along base_link x relative to the medium (log, pitot)."""

    t: float
    speed: float  # m/s
    std: float
    source: str = "log"


@dataclass(frozen=True, slots=True)
class ExternalOdometry:
    """A device's own estimate (an autopilot's), in an ENU frame of its own whose place `LocalOrigin` tells."""

    t: float
    position: Array  # (3,) m, ENU from the device's origin
    quaternion: Array  # (4,) w x y z, R_enu_base, FLU body
    velocity: Array  # (3,) m/s, ENU
    angular_velocity: Array  # (3,) rad/s, base_link
    position_std: float  # m, 1 sigma per axis
    velocity_std: float  # m/s
    attitude_std: float  # rad
    source: str = "autopilot"


@dataclass(frozen=True, slots=True)
class LocalOrigin:
    """Where the frame of a device's own estimate begins, WGS-84."""

    t: float
    lat_deg: float
    lon_deg: float
    alt_m: float
    source: str = "autopilot"


@dataclass(frozen=True, slots=True)
class Battery:
    """State of a battery; what the device does not tell is NaN."""

    t: float
    voltage: float  # V
    current: float  # A, positive discharges
    share: float  # 0..1 of the charge that is left
    source: str = "battery"


@dataclass(frozen=True, slots=True)
class Wind:
    """Velocity (2,) of the air [m/s towards east, north]; std: of what one second tells about it, gusts included."""

    t: float
    velocity: Array
    std: float

    @property
    def speed(self) -> float:
        """m/s."""
        return float(np.hypot(*self.velocity))


DETECTION_FIELDS = ("x", "y", "z", "vx", "vy", "yaw", "length", "width", "id", "kind", "variance")


@dataclass(frozen=True, slots=True)
class Detections:
    """One scan of one sensor.

    data: (n, 11) in the order of DETECTION_FIELDS; x y z in `frame` [m], vx vy over ground in `frame` [m/s], yaw [rad],
    length width [m], id (MMSI, object id; NaN when the sensor gives none), kind (Kind value), variance [m^2 per
    axis]. What the sensor does not measure is NaN.
    """

    t: float
    source: str  # ais, radar, lidar, camera
    frame: str  # "map" or "base_link"
    data: Array


@dataclass(frozen=True, slots=True)
class GeoDetections:
    """Detections in geodetic coordinates (AIS); the estimator's origin turns them into `map`.

    data: (n, 11) as DETECTION_FIELDS, but x = lon_deg and y = lat_deg.
    """

    t: float
    source: str
    data: Array


class Kind(Enum):
    """What a detection or track is."""

    UNKNOWN = 0
    VESSEL = 1
    CAR = 2
    PEDESTRIAN = 3
    DRONE = 4
    STATIC = 5


@dataclass(frozen=True, slots=True)
class Scan:
    """One revolution of a scanner that measures distances in its own x-y plane.

    Ray k points angle_min + k angle_increment from x to y [rad] and was measured at t - duration + k duration / n.
    ranges: (n,) m; inf where nothing came back, NaN where nothing was measured.
    """

    t: float  # of the last ray
    angle_min: float
    angle_increment: float
    ranges: Array
    duration: float  # s
    range_min: float  # m
    range_max: float
    source: str = "lidar"


Sample: TypeAlias = (
    Imu
    | GnssFix
    | GnssVelocity
    | Heading
    | JointState
    | SpeedThroughWater
    | ExternalOdometry
    | LocalOrigin
    | Battery
    | Detections
    | GeoDetections
    | Scan
)

# --- estimate, world ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Origin:
    """Geodetic origin of `map`; fixed while armed, the same for a fleet."""

    lat_deg: float
    lon_deg: float
    alt_m: float


@dataclass(frozen=True, slots=True)
class Odometry:
    """Pose of base_link in map and twist in base_link."""

    t: float
    position: Array  # (3,) m, map
    quaternion: Array  # (4,) w x y z, R_map_base
    velocity: Array  # (3,) m/s, base_link
    angular_velocity: Array  # (3,) rad/s, base_link
    pose_cov: Array  # (6, 6) x y z roll pitch yaw
    twist_cov: Array  # (6, 6)

    @property
    def yaw(self) -> float:
        """Yaw in map [rad]."""
        w, x, y, z = self.quaternion
        return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))

    @property
    def velocity_map(self) -> Array:
        """Velocity in map (3,) [m/s]."""
        w, x, y, z = self.quaternion
        u = np.array([x, y, z])
        v = self.velocity
        return np.asarray(v + 2.0 * np.cross(u, np.cross(u, v) + w * v))


TRACK_FIELDS = ("x", "y", "z", "vx", "vy", "yaw", "length", "width", "id", "kind", "variance")


@dataclass(frozen=True, slots=True)
class Tracks:
    """Confirmed tracks in map: data (n, 11) in the order of TRACK_FIELDS; id is stable over a track's life."""

    t: float
    data: Array

    def predicted(self, t: float) -> Array:
        """Positions (n, 2) [m, map] at time t under constant velocity."""
        return np.asarray(self.data[:, :2] + (t - self.t) * self.data[:, 3:5])


FREE, OCCUPIED, UNKNOWN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class GridMap:
    """What stands about the vehicle at its height, in map.

    cells: (rows, columns) uint8, rows along y: FREE, OCCUPIED or UNKNOWN, from `corner` (x, y) [m] on; what lies
    outside is unknown. height: of the layer [m].
    """

    t: float
    resolution: float  # m, side of a cell
    corner: tuple[float, float]
    height: float
    cells: npt.NDArray[np.uint8]


# --- goal, plan, command --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Route:
    """Polyline to follow in map.

    points: (n, 3) m; speed: (n,) m/s wanted towards each point; half_width: (n, 2) m free to the left
    and to the right of the line (inf where open). A closed route repeats its first point. heading: rad wanted at the
    end, by what can turn there.
    """

    points: Array
    speed: Array
    half_width: Array
    closed: bool = False
    heading: float | None = None


@dataclass(frozen=True, slots=True)
class JointTrajectory:
    """Joints by name, and where they are when: times (t,) s from its start, positions (t, n) rad."""

    names: tuple[str, ...]
    times: Array
    positions: Array


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Timed plan in map; row k is due at t + times[k].

    times: (n,) s from 0; position: (n, 3) m; yaw: (n,) rad, unwrapped; velocity: (n, 3) m/s in map;
    yaw_rate: (n,) rad/s. status: solver's word (converged, feasible, infeasible, stop).
    """

    t: float
    times: Array
    position: Array
    yaw: Array
    velocity: Array
    yaw_rate: Array
    status: str = "converged"


LEFT, RIGHT = 0, 1


@dataclass(frozen=True, slots=True)
class FootPlan:
    """Footholds of a robot on two legs, in map, from where both of its feet stand beside each other.

    side: (n,) LEFT or RIGHT, in turns; feet: (n, 4) x, y, z [m] and yaw [rad] of the soles' middles; over: (n,) m,
    height of the highest ground that the foot passes on its way.
    """

    side: npt.NDArray[np.int64]
    feet: Array
    over: Array

    def same(self, other: FootPlan | None) -> bool:
        """Whether these are the same steps."""
        if other is None:
            return False
        pairs = ((self.side, other.side), (self.feet, other.feet), (self.over, other.over))
        return all(np.array_equal(a, b) for a, b in pairs)

    def __len__(self) -> int:
        return len(self.side)


@dataclass(frozen=True, slots=True)
class ActuatorCommand:
    """Named actuator values in SI (rad, m, rad/s, m/s, N, N·m as the platform file declares)."""

    t: float
    source: str  # auto, manual, policy
    values: Mapping[str, float]


class MissionPhase(Enum):
    """Where a mission stands."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    ARRIVED = "arrived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MissionState:
    """Progress along the route."""

    t: float
    phase: MissionPhase
    progress: float  # 0..1 of the route's length
    distance_to_go: float  # m
    cross_track: float  # m, positive to the left of the route
    note: str = ""  # what the planner is doing: following, avoiding track 12, stopping because ...
    step: int = 0  # of a mission, counted from 1; 0: there are no steps
    aside: bool = False  # it returns or lands in place of its steps
    asks: tuple[str, ...] | None = None  # what may be asked for now; None: it follows a route, to be paused and resumed


@dataclass(frozen=True, slots=True)
class Health:
    """Verdict of one part; `reasons` is empty when ready.

    degraded: the reasons forbid arming, but the planner can still bring the vehicle to its stop (the guard stays in
    auto); otherwise reasons while armed are a fault and the guard goes to minimum risk. guided: such a fault, but the
    controller is sound and may bring the vehicle to rest there.
    """

    t: float
    name: str
    reasons: Sequence[str] = ()
    degraded: bool = False
    guided: bool = False
    demand: str = ""  # what failsafes ask of the planner: hold, return, land, or nothing
    why: str = ""  # they ask for it


@dataclass(frozen=True, slots=True)
class StackState:
    """What the guard says of the vehicle."""

    t: float
    mode: str  # standby, auto, manual, minimum_risk, stopped
    armed: bool
    reasons: Sequence[str] = ()  # why it will not arm, or why it left auto

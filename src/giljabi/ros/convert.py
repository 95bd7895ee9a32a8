"""giljabi's types to and from standard ROS 2 messages: one pair of functions for each row of the topic table.

Samples, estimate and world are here; routes, plans and commands in giljabi.ros.goals.

Conventions, both ways:
- `header.stamp` is stack time. `header.frame_id` of a sample is its source: the sensor's name in the platform
  file, whose frame stands at the sensor's place with axes parallel to base_link; velocities of GNSS are along ENU.
- A slot that was not measured is NaN. In Imu messages element 0 of that part's covariance is -1 as well, so that
  consumers which do not know NaN leave the part alone; a foreign message with -1 and finite values reads as NaN.
- In 6x6 covariances of twists the variance of a part that was not measured is -1.
- What a message has no room for is lost: satellites and UTC of a fix (the covariance carries its quality), the
  free width of a route (routes with walls come from files), the status word of a trajectory.
Converters raise BadInputError for messages that do not make sense.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import (
    Quaternion,
    TransformStamped,
    TwistWithCovarianceStamped,
    Vector3,
)
from nav_msgs.msg import Odometry as OdometryMsg
from sensor_msgs.msg import Imu as ImuMsg
from sensor_msgs.msg import JointState as JointStateMsg
from sensor_msgs.msg import NavSatFix, NavSatStatus, PointCloud2
from std_msgs.msg import Header

from giljabi.clock import to_ros_ns
from giljabi.ros.cloud import from_cloud, layout, to_cloud
from giljabi.types import (
    DETECTION_FIELDS,
    NAN,
    TRACK_FIELDS,
    Array,
    BadInputError,
    Detections,
    GeoDetections,
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    Odometry,
    Origin,
    SpeedThroughWater,
    Tracks,
    Wind,
)

MAP = "map"
ODOM_FRAME = "odom"
BASE = "base_link"
UNKNOWN_VARIANCE = 1e6  # rad^2: an angle that the device does not measure, inside a covariance that is otherwise known
NOT_MEASURED = -1.0
# x y z are float32 as viewers expect them; ids (MMSI) and the rest keep float64. Degrees need float64.
CLOUD_ROW = layout(DETECTION_FIELDS, narrow=("x", "y", "z"))
GEO_ROW = layout(DETECTION_FIELDS)
QUALITY_OF_STATUS = {-1: 0, 0: 1, 1: 2, 2: 4}
STATUS_OF_QUALITY = {0: -1, 1: 0, 2: 1, 4: 2, 5: 2, 6: -1}


def stamp(t: float) -> Time:
    """Stack time [s] as a message stamp."""
    if not math.isfinite(t) or not 0.0 <= t < 2**31:
        raise BadInputError(f"time {t} s cannot be a stamp; seconds from 0 to 2^31 are expected")
    sec, nanosec = to_ros_ns(t)
    return Time(sec=sec, nanosec=nanosec)


def seconds(time: Time | Duration) -> float:
    """Message stamp or duration in seconds."""
    return float(time.sec + time.nanosec * 1e-9)


def header(t: float, frame: str) -> Header:
    """Header with a stack-time stamp."""
    return Header(stamp=stamp(t), frame_id=frame)


def header_of(data: bytes) -> tuple[str, float]:
    """(frame_id, stamp [s]) of a serialised message that begins with a Header (CDR, OMG DDSI-RTPS 10.2)."""
    if len(data) < 16 or data[0] != 0 or data[1] > 1:
        raise BadInputError("message: not plain CDR with a header")
    order = "<" if data[1] else ">"
    sec, nanosec, size = struct.unpack_from(order + "iII", data, 4)
    if not 1 <= size <= len(data) - 16:
        raise BadInputError(f"message: a frame name of {size} bytes does not fit")
    return data[16 : 16 + size - 1].decode("utf-8", "replace"), sec + nanosec * 1e-9


def vector(v: Array) -> Vector3:
    return Vector3(x=float(v[0]), y=float(v[1]), z=float(v[2]))


def array(v: Any) -> Array:
    return np.array([v.x, v.y, v.z], dtype=np.float64)


def yaw_quaternion(yaw: float) -> Quaternion:
    return Quaternion(x=0.0, y=0.0, z=math.sin(0.5 * yaw), w=math.cos(0.5 * yaw))


def _quaternion(q: Quaternion) -> Array:
    """(4,) w x y z of unit length; raises BadInputError for one that is no rotation."""
    a = np.array([q.w, q.x, q.y, q.z])
    norm = float(np.linalg.norm(a))
    if not 0.9 < norm < 1.1:  # also refuses NaN
        raise BadInputError(f"quaternion of length {norm}; length 1 is expected")
    return np.asarray(a / norm)


def yaw_of(q: Quaternion) -> float:
    """Yaw [rad] of a quaternion message."""
    w, x, y, z = _quaternion(q)
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def finite(what: str, *values: Any) -> None:
    """Raises BadInputError when a value that applies is not finite."""
    for v in values:
        if not np.all(np.isfinite(v)):
            raise BadInputError(f"{what}: {np.asarray(v).tolist()} is not finite; a finite number is expected")


# --- samples --------------------------------------------------------------------------------------


def _measured(covariance: Any, value: Array) -> Array:
    """NaN throughout when a foreign message marks finite values as not measured."""
    if covariance[0] == NOT_MEASURED and np.isfinite(value).all():
        return np.full(3, NAN)
    return value


def _mark(covariance: Any, value: Array) -> None:
    if not np.isfinite(value).all():
        covariance[0] = NOT_MEASURED


def imu_to_msg(s: Imu) -> ImuMsg:
    """Imu: orientation only where the tilt is told, its yaw 0 with an unknown variance; unmeasured axes are NaN."""
    msg = ImuMsg(header=header(s.t, s.source))
    msg.orientation_covariance[0] = NOT_MEASURED
    if s.tilt is not None:
        roll, pitch, std = s.tilt
        cr, sr, cp, sp = math.cos(0.5 * roll), math.sin(0.5 * roll), math.cos(0.5 * pitch), math.sin(0.5 * pitch)
        msg.orientation = Quaternion(x=sr * cp, y=cr * sp, z=-sr * sp, w=cr * cp)
        msg.orientation_covariance[0] = msg.orientation_covariance[4] = float(std**2)
        msg.orientation_covariance[8] = UNKNOWN_VARIANCE
    msg.angular_velocity = vector(s.angular_velocity)
    msg.linear_acceleration = vector(s.linear_acceleration)
    _mark(msg.angular_velocity_covariance, s.angular_velocity)
    _mark(msg.linear_acceleration_covariance, s.linear_acceleration)
    return msg


def imu_from_msg(msg: ImuMsg) -> Imu:
    """Inverse of imu_to_msg; infinities are refused."""
    w = _measured(msg.angular_velocity_covariance, array(msg.angular_velocity))
    a = _measured(msg.linear_acceleration_covariance, array(msg.linear_acceleration))
    if np.isinf(w).any() or np.isinf(a).any():
        raise BadInputError("imu: an infinite value; finite numbers, or NaN where nothing is measured, are expected")
    return Imu(seconds(msg.header.stamp), w, a, msg.header.frame_id, _tilt(msg))


def _tilt(msg: ImuMsg) -> tuple[float, float, float] | None:
    """Roll, pitch and their deviation; None where the message has no orientation."""
    variance = float(msg.orientation_covariance[0])
    if variance == NOT_MEASURED:
        return None
    q = np.array([msg.orientation.w, msg.orientation.x, msg.orientation.y, msg.orientation.z])
    norm = float(np.linalg.norm(q))
    if not (0.9 < norm < 1.1 and math.isfinite(variance)):
        return None  # many drivers leave it empty without saying so
    w, x, y, z = (q / norm).tolist()
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    return roll, pitch, math.sqrt(max(variance, 0.0))


def fix_to_msg(s: GnssFix) -> NavSatFix:
    """NavSatFix: covariance diagonal; quality becomes the augmentation status (5 float reads back as 4, 6 as 0)."""
    msg = NavSatFix(header=header(s.t, s.source), latitude=s.lat_deg, longitude=s.lon_deg, altitude=s.alt_m)
    msg.status.status = STATUS_OF_QUALITY.get(s.quality, NavSatStatus.STATUS_FIX)
    msg.status.service = NavSatStatus.SERVICE_GPS
    if np.isfinite(s.std_enu).all():
        msg.position_covariance[0], msg.position_covariance[4], msg.position_covariance[8] = (
            float(v) for v in s.std_enu**2
        )
        msg.position_covariance_type = NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN
    return msg


def fix_from_msg(msg: NavSatFix) -> GnssFix:
    """Inverse of fix_to_msg; an unknown covariance gives NaN deviations."""
    finite("gnss fix", msg.latitude, msg.longitude)
    if abs(msg.latitude) > 90.0 or abs(msg.longitude) > 360.0 or math.isinf(msg.altitude):
        raise BadInputError(f"gnss fix: {msg.latitude}, {msg.longitude}, {msg.altitude} is no place on Earth")
    std = np.full(3, NAN)
    if msg.position_covariance_type != NavSatFix.COVARIANCE_TYPE_UNKNOWN:
        variance = np.array([msg.position_covariance[i] for i in (0, 4, 8)])
        std = np.where(variance >= 0.0, np.sqrt(np.maximum(variance, 0.0)), NAN)
    quality = QUALITY_OF_STATUS.get(int(msg.status.status), 0)
    t = seconds(msg.header.stamp)
    return GnssFix(t, msg.latitude, msg.longitude, msg.altitude, std, quality, source=msg.header.frame_id)


def _twist(s_t: float, source: str, linear: Array, variances: Sequence[float]) -> TwistWithCovarianceStamped:
    msg = TwistWithCovarianceStamped(header=header(s_t, source))
    msg.twist.twist.linear = vector(linear)
    for i in range(6):
        msg.twist.covariance[7 * i] = float(variances[i]) if i < len(variances) else NOT_MEASURED
    return msg


def velocity_to_msg(s: GnssVelocity) -> TwistWithCovarianceStamped:
    """Velocity along ENU; the vertical part is NaN with variance -1 when it was not measured."""
    known = np.isfinite(s.velocity_enu)
    return _twist(s.t, s.source, s.velocity_enu, [s.std**2 if k else NOT_MEASURED for k in known])


def velocity_from_msg(msg: TwistWithCovarianceStamped) -> GnssVelocity:
    """Inverse of velocity_to_msg: the deviation of x stands for all axes."""
    v = array(msg.twist.twist.linear)
    finite("gnss velocity", v[:2], msg.twist.covariance[0])
    if msg.twist.covariance[14] < 0.0 or not math.isfinite(v[2]):
        v[2] = NAN
    std = math.sqrt(max(msg.twist.covariance[0], 0.0))
    return GnssVelocity(seconds(msg.header.stamp), v, std, msg.header.frame_id)


def wind_to_msg(s: Wind) -> TwistWithCovarianceStamped:
    """Velocity of the air in map; the vertical part is NaN with variance -1."""
    return _twist(s.t, MAP, np.array([*s.velocity, NAN]), [s.std**2, s.std**2, NOT_MEASURED])


def heading_to_msg(s: Heading) -> ImuMsg:
    """Imu that carries orientation alone; roll and pitch are level with an unknown variance."""
    msg = ImuMsg(header=header(s.t, s.source), orientation=yaw_quaternion(s.yaw))
    msg.orientation_covariance[0] = msg.orientation_covariance[4] = UNKNOWN_VARIANCE
    msg.orientation_covariance[8] = float(s.std**2)
    msg.angular_velocity_covariance[0] = msg.linear_acceleration_covariance[0] = NOT_MEASURED
    return msg


def heading_from_msg(msg: ImuMsg) -> Heading:
    """Inverse of heading_to_msg; yaw in (-pi, pi]."""
    if msg.orientation_covariance[0] == NOT_MEASURED:
        raise BadInputError("heading: the message says it has no orientation; a yaw is expected")
    finite("heading", msg.orientation_covariance[8])
    std = math.sqrt(max(msg.orientation_covariance[8], 0.0))
    return Heading(seconds(msg.header.stamp), yaw_of(msg.orientation), std, msg.header.frame_id)


def speed_to_msg(s: SpeedThroughWater) -> TwistWithCovarianceStamped:
    """Speed along base_link x; all other parts have variance -1."""
    return _twist(s.t, s.source, np.array([s.speed, 0.0, 0.0]), [s.std**2])


def speed_from_msg(msg: TwistWithCovarianceStamped) -> SpeedThroughWater:
    """Inverse of speed_to_msg."""
    speed, variance = msg.twist.twist.linear.x, msg.twist.covariance[0]
    finite("speed through water", speed, variance)
    return SpeedThroughWater(seconds(msg.header.stamp), speed, math.sqrt(max(variance, 0.0)), msg.header.frame_id)


def joints_to_msg(s: JointState) -> JointStateMsg:
    """Joint state: names in order of first mention, NaN where a name has no such slot, empty where none has."""
    slots = (s.position, s.velocity, s.effort)
    names = list(dict.fromkeys(name for slot in slots for name in slot))
    msg = JointStateMsg(header=header(s.t, s.source), name=names)
    msg.position, msg.velocity, msg.effort = (
        [float(slot.get(name, NAN)) for name in names] if slot else [] for slot in slots
    )
    return msg


def joints_from_msg(msg: JointStateMsg) -> JointState:
    """Inverse of joints_to_msg: NaN slots are left out; infinities and arrays of another length are refused."""
    slots: list[dict[str, float]] = []
    for label, values in (("position", msg.position), ("velocity", msg.velocity), ("effort", msg.effort)):
        if len(values) not in (0, len(msg.name)):
            raise BadInputError(
                f"joint state: {len(values)} {label} values for {len(msg.name)} names; one each is expected"
            )
        slot = {n: float(v) for n, v in zip(msg.name, values, strict=False) if not math.isnan(v)}
        finite(f"joint state {label}", *slot.values())
        slots.append(slot)
    position, velocity, effort = slots
    return JointState(seconds(msg.header.stamp), position, velocity, effort, msg.header.frame_id)


def detections_to_msg(s: Detections) -> PointCloud2:
    """Cloud with DETECTION_FIELDS in frame `map` or `base_link`; the source is the end of the topic's name."""
    msg = to_cloud(s.data, CLOUD_ROW)
    msg.header = header(s.t, s.frame)
    return msg


def detections_from_msg(msg: PointCloud2, source: str) -> Detections:
    """Inverse of detections_to_msg; rows without a finite place are dropped."""
    if msg.header.frame_id not in (MAP, BASE):
        raise BadInputError(f"detections in frame '{msg.header.frame_id}'; map or base_link is expected")
    return Detections(seconds(msg.header.stamp), source, msg.header.frame_id, _placed(msg))


def geo_detections_to_msg(s: GeoDetections) -> PointCloud2:
    """Cloud with DETECTION_FIELDS, x = longitude and y = latitude in degrees, frame `wgs84`."""
    msg = to_cloud(s.data, GEO_ROW)
    msg.header = header(s.t, "wgs84")
    return msg


def geo_detections_from_msg(msg: PointCloud2, source: str) -> GeoDetections:
    """Inverse of geo_detections_to_msg; rows without a finite place are dropped."""
    return GeoDetections(seconds(msg.header.stamp), source, _placed(msg))


def _placed(msg: PointCloud2) -> Array:
    data = from_cloud(msg, DETECTION_FIELDS)
    return np.asarray(data[np.isfinite(data[:, :2]).all(axis=1)])


# --- estimate, world ------------------------------------------------------------------------------


def odom_to_msg(s: Odometry) -> OdometryMsg:
    """Odometry of base_link in map."""
    msg = OdometryMsg(header=header(s.t, MAP), child_frame_id=BASE)
    pose, twist = msg.pose.pose, msg.twist.twist
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in s.position)
    q = pose.orientation
    q.w, q.x, q.y, q.z = (float(v) for v in s.quaternion)
    twist.linear = vector(s.velocity)
    twist.angular = vector(s.angular_velocity)
    msg.pose.covariance = np.ascontiguousarray(s.pose_cov, dtype=np.float64).reshape(36)
    msg.twist.covariance = np.ascontiguousarray(s.twist_cov, dtype=np.float64).reshape(36)
    return msg


def odom_from_msg(msg: OdometryMsg) -> Odometry:
    """Inverse of odom_to_msg; refuses what is not finite or in another frame."""
    if msg.header.frame_id != MAP:
        raise BadInputError(f"odometry in frame '{msg.header.frame_id}'; map is expected")
    p, v = array(msg.pose.pose.position), array(msg.twist.twist.linear)
    w = array(msg.twist.twist.angular)
    finite("odometry", p, v, w, msg.pose.covariance, msg.twist.covariance)
    return Odometry(
        seconds(msg.header.stamp),
        p,
        _quaternion(msg.pose.pose.orientation),
        v,
        w,
        np.array(msg.pose.covariance).reshape(6, 6),
        np.array(msg.twist.covariance).reshape(6, 6),
    )


def map_to_odom_to_msg(t: float) -> TransformStamped:
    """Identity from map to odom: the estimate is given in map already."""
    msg = TransformStamped(header=header(t, MAP), child_frame_id=ODOM_FRAME)
    msg.transform.rotation.w = 1.0
    return msg


def origin_to_msg(s: Origin, t: float) -> NavSatFix:
    """Origin of map as a fix in frame `map`."""
    msg = NavSatFix(header=header(t, MAP), latitude=s.lat_deg, longitude=s.lon_deg, altitude=s.alt_m)
    return msg


def origin_from_msg(msg: NavSatFix) -> Origin:
    """Inverse of origin_to_msg."""
    finite("origin", msg.latitude, msg.longitude, msg.altitude)
    if abs(msg.latitude) > 90.0 or abs(msg.longitude) > 360.0:
        raise BadInputError(f"origin: {msg.latitude}, {msg.longitude} is no place on Earth")
    return Origin(msg.latitude, msg.longitude, msg.altitude)


def tracks_to_msg(s: Tracks) -> PointCloud2:
    """Cloud with TRACK_FIELDS in map."""
    msg = to_cloud(s.data, CLOUD_ROW)
    msg.header = header(s.t, MAP)
    return msg


def tracks_from_msg(msg: PointCloud2) -> Tracks:
    """Inverse of tracks_to_msg; rows without a finite place or velocity are refused."""
    data = from_cloud(msg, TRACK_FIELDS, required=("x", "y", "vx", "vy"))
    finite("tracks", data[:, :2], data[:, 3:5])
    return Tracks(seconds(msg.header.stamp), data)

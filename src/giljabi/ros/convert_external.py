"""Samples of a device that estimates by itself (an autopilot), and its battery, to and from standard messages."""

from __future__ import annotations

import math

import numpy as np
from nav_msgs.msg import Odometry as OdometryMsg
from sensor_msgs.msg import BatteryState, NavSatFix

from giljabi.frames import quat_conjugate, quat_rotate
from giljabi.ros.convert import array, finite, header, seconds, vector
from giljabi.types import BadInputError, Battery, ExternalOdometry, LocalOrigin


def external_to_msg(s: ExternalOdometry) -> OdometryMsg:
    """Odometry in the device's own ENU frame, named by its source; twist in base_link."""
    msg = OdometryMsg(header=header(s.t, s.source), child_frame_id="base_link")
    pose = msg.pose.pose
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in s.position)
    q = pose.orientation
    q.w, q.x, q.y, q.z = (float(v) for v in s.quaternion)
    msg.twist.twist.linear = vector(quat_rotate(quat_conjugate(s.quaternion), s.velocity))
    msg.twist.twist.angular = vector(s.angular_velocity)
    for i in range(3):
        msg.pose.covariance[7 * i], msg.pose.covariance[7 * (i + 3)] = s.position_std**2, s.attitude_std**2
        msg.twist.covariance[7 * i] = s.velocity_std**2
    return msg


def external_from_msg(msg: OdometryMsg) -> ExternalOdometry:
    """Inverse of external_to_msg."""
    o = msg.pose.pose.orientation
    p, q = array(msg.pose.pose.position), np.array([o.w, o.x, o.y, o.z])
    v, w = array(msg.twist.twist.linear), array(msg.twist.twist.angular)
    variances = (msg.pose.covariance[0], msg.twist.covariance[0], msg.pose.covariance[21])
    finite("external odometry", p, q, v, w, variances)
    norm = float(np.linalg.norm(q))
    if not 0.9 < norm < 1.1:
        raise BadInputError(f"external odometry: quaternion of length {norm}; length 1 is expected")
    q /= norm
    stds = [math.sqrt(max(float(a), 1e-12)) for a in variances]
    t, source = seconds(msg.header.stamp), msg.header.frame_id
    return ExternalOdometry(t, p, q, quat_rotate(q, v), w, stds[0], stds[1], stds[2], source)


def local_origin_to_msg(s: LocalOrigin) -> NavSatFix:
    """Where a device's own frame begins."""
    return NavSatFix(header=header(s.t, s.source), latitude=s.lat_deg, longitude=s.lon_deg, altitude=s.alt_m)


def local_origin_from_msg(msg: NavSatFix) -> LocalOrigin:
    """Inverse of local_origin_to_msg."""
    finite("local origin", msg.latitude, msg.longitude, msg.altitude)
    if abs(msg.latitude) > 90.0 or abs(msg.longitude) > 360.0:
        raise BadInputError(f"local origin: {msg.latitude}, {msg.longitude} is no place on Earth")
    t = seconds(msg.header.stamp)
    return LocalOrigin(t, msg.latitude, msg.longitude, msg.altitude, msg.header.frame_id)


def battery_to_msg(s: Battery) -> BatteryState:
    """BatteryState; a discharging current is negative there."""
    msg = BatteryState(header=header(s.t, s.source), present=True)
    msg.voltage, msg.current, msg.percentage = float(s.voltage), -float(s.current), float(s.share)
    for name in ("temperature", "charge", "capacity", "design_capacity"):
        setattr(msg, name, math.nan)
    return msg


def battery_from_msg(msg: BatteryState) -> Battery:
    """Inverse of battery_to_msg."""
    if math.isinf(msg.voltage) or math.isinf(msg.current) or math.isinf(msg.percentage):
        raise BadInputError("battery: a value is not finite")
    return Battery(seconds(msg.header.stamp), msg.voltage, -msg.current, msg.percentage, msg.header.frame_id)

"""Progress along a line: predicted speed, giving way, and coming to a stop along a plan."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math

import numpy as np

from giljabi.planning.route import SmoothRoute
from giljabi.types import Array, Odometry, Trajectory


def predict_progress(
    line: SmoothRoute,
    s: float,
    speed: float,
    times: Array,
    acceleration: float,
    deceleration: float,
    stop_at: float,
    ceiling: Array | None = None,
    substeps: int = 3,
) -> tuple[Array, Array, Array]:
    """(s, v, a) at times (k,): from s and speed along the speed profile, at rest at `stop_at` [m].

    ceiling: (k,) m, s not to be passed at that time (inf where free), met by slowing down early.
    """
    k = len(times)
    out_s, out_v, out_a = np.empty(k), np.empty(k), np.zeros(k)
    v = max(speed, 0.0)
    limited = None if ceiling is None else np.flatnonzero(np.isfinite(ceiling))
    for i in range(k):
        out_s[i], out_v[i] = s, v
        if i == k - 1:
            break
        h = (times[i + 1] - times[i]) / substeps
        most = math.inf
        if ceiling is not None and limited is not None:
            later = limited[limited > i]
            if len(later):
                most = max(float(np.min((ceiling[later] - s) / (times[later] - times[i]))), 0.0)
        v0 = v
        for _ in range(substeps):
            left = max(stop_at - s, 0.0)
            wanted = min(line.speed_at(s + v * h), math.sqrt(2.0 * deceleration * left), most)
            v_next = min(max(wanted, v - 1.3 * deceleration * h), v + acceleration * h)
            v_next = max(v_next, 0.0)
            s += min(0.5 * (v + v_next) * h, left if v_next <= v else math.inf)
            v = v_next
        out_a[i] = (v - v0) / (h * substeps)
    return out_s, out_v, out_a


def give_way_ceiling(
    s: Array, offset: Array, along: Array, across: Array, s_now: float, reach: float, half_width: float
) -> Array:
    """(k,) m: highest s of base_link at each stage that stays behind every track lying across the line then.

    s, offset: (n, k) place of each track on the line; along, across: (n, k) half extents of its body and margin
    there; reach: m from base_link to the vehicle's front; half_width: m of the swath the vehicle sweeps.
    """
    blocks = (np.abs(offset) < across + half_width) & (s > s_now)
    limit = np.where(blocks, s - along - reach, math.inf)
    return np.asarray(np.maximum(np.min(limit, axis=0, initial=math.inf), s_now))


def speed_of(trajectory: Trajectory, t: float) -> float:
    """Speed [m/s] a trajectory asks for t seconds after its stamp."""
    vx, vy = (float(np.interp(t, trajectory.times, trajectory.velocity[:, i])) for i in range(2))
    return math.hypot(vx, vy)


def stop_along(path: Trajectory, now: float, speed: float, deceleration: float, step: float) -> Trajectory:
    """A trajectory stamped now that runs along `path` from where it is now and brakes from `speed` to rest.

    Beyond its end the path goes on straight. step: s between rows.
    """
    t0 = min(max(now - path.t, 0.0), float(path.times[-1]))
    keep = path.times > t0 + 1e-9
    start = np.array([[np.interp(t0, path.times, path.position[:, i]) for i in range(3)]])
    xyz = np.concatenate([start, path.position[keep]])
    yaw = np.concatenate([[np.interp(t0, path.times, path.yaw)], path.yaw[keep]])
    v_start = np.array([np.interp(t0, path.times, path.velocity[:, i]) for i in range(2)])
    e = np.array([math.cos(yaw[0]), math.sin(yaw[0])])
    sign = -1.0 if float(v_start @ e) < -0.05 else 1.0
    v0 = abs(speed)
    time_to_rest = v0 / deceleration
    # The path is extended straight so that it is always long enough.
    tail = sign * (0.5 * v0 * time_to_rest + 1.0)
    end = xyz[-1] + tail * np.array([math.cos(yaw[-1]), math.sin(yaw[-1]), 0.0])
    xyz, yaw = np.concatenate([xyz, [end]]), np.append(yaw, yaw[-1])
    pieces = np.hypot(*np.diff(xyz[:, :2], axis=0).T)
    s = np.concatenate([[0.0], np.cumsum(pieces)])
    fresh = np.concatenate([[True], np.diff(s) > 1e-6])
    s, xyz, yaw = s[fresh], xyz[fresh], yaw[fresh]
    times = np.asarray(step * np.arange(max(4, math.ceil(time_to_rest / step) + 3)), dtype=np.float64)
    braking = np.minimum(times, time_to_rest)
    q = v0 * braking - 0.5 * deceleration * braking**2
    v = np.maximum(v0 - deceleration * times, 0.0)
    position = np.stack([np.interp(q, s, xyz[:, i]) for i in range(3)], axis=1)
    turned = np.interp(q, s, yaw)
    slope = np.diff(yaw) / np.diff(s)
    i = np.clip(np.searchsorted(s, q, side="right") - 1, 0, len(slope) - 1)
    course = np.diff(xyz[:, :2], axis=0) / np.diff(s)[:, None]
    velocity = np.concatenate([v[:, None] * course[i], np.zeros((len(v), 1))], axis=1)
    return Trajectory(now, times, position, turned, velocity, slope[i] * v, "stop")


def straight_path(odom: Odometry, now: float, deceleration: float, step: float) -> Trajectory:
    """Where the vehicle goes when it only brakes: along the arc of its motion, straightening out; stamped now."""
    course = odom.velocity_map[:2]
    speed = float(np.hypot(course[0], course[1]))
    n = max(4, math.ceil(speed / deceleration / step) + 3)
    times = np.asarray(step * np.arange(n), dtype=np.float64)
    v = np.maximum(speed - deceleration * times, 0.0)
    rate = float(odom.angular_velocity[2]) * np.where(speed > 0.0, v / max(speed, 1e-9), 0.0) * np.exp(-times)
    turned = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * step)])
    heading = (math.atan2(course[1], course[0]) if speed > 0.05 else odom.yaw) + turned
    velocity = v[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    position = np.empty((n, 3))
    position[:, 2] = 0.0
    position[0, :2] = odom.position[:2]
    position[1:, :2] = odom.position[:2] + np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * step, axis=0)
    flat = np.concatenate([velocity, np.zeros((n, 1))], axis=1)
    return Trajectory(now, times, position, odom.yaw + turned, flat, rate, "stop")

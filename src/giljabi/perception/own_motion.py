"""Own pose at the stamp of a detection: takes detections from base_link to map."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from giljabi.frames import angle_difference, rotate_2d
from giljabi.types import DETECTION_FIELDS, Array, Odometry

X, Y, Z, VX, VY, YAW = range(6)
VARIANCE = DETECTION_FIELDS.index("variance")
KEEP_S = 6.0
AHEAD_S = 0.5  # a detection may be so much newer than the newest odometry


class OwnMotion:
    """Short history of odometry."""

    def __init__(self) -> None:
        self._history: deque[Odometry] = deque()

    def add(self, odometry: Sequence[Odometry]) -> None:
        """Appends what came; a step back in time is ignored."""
        for odom in odometry:
            if not self._history or odom.t > self._history[-1].t:
                self._history.append(odom)
        while self._history and self._history[0].t < self._history[-1].t - KEEP_S:
            self._history.popleft()

    def pose(self, t: float) -> tuple[Array, float, Odometry] | None:
        """Position (3,) [m, map], yaw [rad] at t, and the odometry nearest before; None when t is not covered."""
        if not self._history or not self._history[0].t - 0.1 <= t <= self._history[-1].t + AHEAD_S:
            return None
        before = self._history[0]
        for odom in self._history:  # a second or so of entries
            if odom.t > t:
                share = (t - before.t) / (odom.t - before.t) if odom.t > before.t else 0.0
                share = max(0.0, share)
                yaw = before.yaw + share * float(angle_difference(odom.yaw, before.yaw))
                return before.position + share * (odom.position - before.position), yaw, before
            before = odom
        dt = t - before.t
        yaw = before.yaw + dt * float(before.angular_velocity[2])
        return before.position + dt * before.velocity_map, yaw, before

    def to_map(self, t: float, rows: Array) -> Array | None:
        """Rows of a scan in base_link (k, 11) in map; own uncertainty adds to their variance. None without odometry."""
        found = self.pose(t)
        if found is None:
            return None
        position, yaw, odom = found
        out = rows.copy()
        out[:, [X, Y]] = position[:2] + rotate_2d(yaw, rows[:, [X, Y]])
        out[:, Z] = position[2] + np.nan_to_num(rows[:, Z])
        out[:, [VX, VY]] = rotate_2d(yaw, rows[:, [VX, VY]])
        out[:, YAW] = rows[:, YAW] + yaw
        # Yaw error moves a detection sideways by range; position error shifts all alike, like the map itself.
        yaw_variance = min(float(odom.pose_cov[5, 5]), 0.1)
        out[:, VARIANCE] = rows[:, VARIANCE] + 0.5 * yaw_variance * (rows[:, X] ** 2 + rows[:, Y] ** 2)
        return np.asarray(out)

"""The mapper step: scans and odometry in, a rolling map of what stands about the vehicle at its height out.

Each ray is placed by the pose at its own time. Something standing is taken for a column: as high as it was not seen to
end. Cells that were looked at from another height only are unknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from giljabi._core.perception import ScanGrid
from giljabi.frames import matrix_from_rpy
from giljabi.platform import Platform
from giljabi.types import Array, GridMap, Odometry, Scan
from giljabi.yaml_file import Strict

KEEP_S = 2.0  # of odometry
LATE_S = 1.0  # older scans are of no use
AHEAD_S = 0.05  # a scan may be so much newer than the newest odometry


class ScanGridOptions(Strict):
    """Options of `steps.mapper` when its kind is `scan_grid`."""

    cell_m: float = Field(default=0.2, gt=0.01, le=2.0)
    window_m: float = Field(default=40.0, gt=2.0, le=200.0, description="side of the map, about the vehicle")
    band_m: float = Field(default=1.5, gt=0, description="above and below the vehicle that counts as its height")
    open_m: float = Field(default=9.0, ge=0, description="how far a ray without an echo is taken to be free")


class ScanGridMapper:
    """steps.Mapper."""

    def __init__(self, platform: Platform) -> None:
        o = self._o = platform.options(ScanGridOptions, "steps", "mapper")
        self._grid = ScanGrid(round(o.window_m / o.cell_m), o.cell_m, {"band": o.band_m})
        sensors = {n: s for n, s in platform.model.sensors.items() if s.kind == "scan"}
        if not sensors:
            raise platform.error(("steps", "mapper"), "no sensor of kind scan; one is expected")
        self._mounting = {
            n: (np.array(s.position), matrix_from_rpy(*np.radians(s.rpy_deg))) for n, s in sensors.items()
        }
        self._poses: deque[Odometry] = deque()
        self._waiting: list[Scan] = []
        self._seen: float | None = None  # time of the newest scan that is in the map
        self.rejected: dict[str, int] = {}

    def step(self, now: float, scans: Sequence[Scan], odometry: Sequence[Odometry]) -> GridMap | None:
        """The map after all scans whose poses are known; its time is that of the newest of them."""
        for odom in odometry:
            if not self._poses or odom.t > self._poses[-1].t:
                self._poses.append(odom)
        while self._poses and self._poses[0].t < self._poses[-1].t - KEEP_S:
            self._poses.popleft()
        waiting, self._waiting = [*self._waiting, *scans], []
        for scan in waiting:
            self._take(now, scan)
        if self._seen is None:
            return None
        return GridMap(self._seen, self._grid.resolution, self._corner(), self._height(), self._grid.cells())

    def _corner(self) -> tuple[float, float]:
        x, y = self._grid.corner
        return x, y

    def _height(self) -> float:
        return float(self._poses[-1].position[2])

    def _take(self, now: float, scan: Scan) -> None:
        if not (np.isfinite(scan.t) and now - LATE_S <= scan.t <= now + AHEAD_S and scan.source in self._mounting):
            self._refuse("stamp or source")
        elif not self._poses or scan.t > self._poses[-1].t + AHEAD_S:
            self._waiting = [*self._waiting[-10:], scan]
        elif scan.t - scan.duration < self._poses[0].t:
            self._refuse("no pose so long ago")
        else:
            self._insert(scan)
            self._seen = scan.t

    def _refuse(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _insert(self, scan: Scan) -> None:
        n = len(scan.ranges)
        measured = ~np.isnan(scan.ranges)
        hit = np.isfinite(scan.ranges) & (scan.ranges >= scan.range_min) & (scan.ranges <= scan.range_max)
        length = np.where(hit, scan.ranges, self._o.open_m)
        angle = scan.angle_min + scan.angle_increment * np.arange(n)
        ray = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(n)])
        place, turn = self._mounting[scan.source]
        position, matrix = self._pose_at(scan.t - scan.duration + scan.duration * np.arange(n) / n)
        origin = position + matrix @ place
        end = origin + length[:, None] * np.einsum("nij,nj->ni", matrix, ray @ turn.T)
        newest = self._poses[-1].position
        self._grid.move_to(float(newest[0]), float(newest[1]), float(newest[2]))
        self._grid.insert(origin[measured], end[measured], hit[measured])

    def _pose_at(self, t: Array) -> tuple[Array, Array]:
        """Positions (n, 3) and rotations (n, 3, 3), body to map, at times (n,)."""
        times = np.array([p.t for p in self._poses])
        position = np.array([p.position for p in self._poses])
        q = np.array([p.quaternion for p in self._poses])
        same = np.cumprod(np.where(np.sum(q[1:] * q[:-1], axis=1) < 0.0, -1.0, 1.0))
        q[1:] *= same[:, None]
        at = np.column_stack([np.interp(t, times, c) for c in position.T])
        w, x, y, z = (np.interp(t, times, c) for c in q.T)
        s = 2.0 / (w * w + x * x + y * y + z * z)
        rows = [
            [1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
            [s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)],
            [s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)],
        ]
        return at, np.moveaxis(np.array(rows), 2, 0)

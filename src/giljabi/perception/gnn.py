"""The tracker step: constant-velocity Kalman tracks, global nearest neighbour, M-of-N confirmation.

Sources with identity (AIS: one row per report, 2 s to minutes apart) associate by identity and are never missed between
reports; scanning sources (radar, lidar) associate by one optimal assignment a scan (Jonker-Volgenant, of scipy).
After Bar-Shalom, Willett, Tian, "Tracking and Data Fusion" (2011), chapters 3 and 6. See docs/estimation.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaincinv  # scipy.stats takes a second to import

from giljabi.frames import LocalFrame
from giljabi.perception.options import GnnOptions
from giljabi.perception.own_motion import OwnMotion
from giljabi.platform import Platform
from giljabi.types import (
    DETECTION_FIELDS,
    TRACK_FIELDS,
    Array,
    Detections,
    GeoDetections,
    Kind,
    Odometry,
    Origin,
    Tracks,
)

X, Y, Z, VX, VY, YAW, LENGTH, WIDTH, ID, KIND, VARIANCE = range(len(DETECTION_FIELDS))
COLUMNS = len(TRACK_FIELDS)
LATE_S = 5.0  # older detections than this are of no use
FAR_M = 200e3  # farther from the origin is not this vehicle's business
POSITION_MAX = 1e7


@dataclass(slots=True)
class Target:
    """One track: planar state and what is carried along."""

    id: int
    x: Array  # (4,) x y vx vy in map
    P: Array  # (4, 4)
    last_t: float  # newest detection
    hits: list[bool] = field(default_factory=list)  # newest scans, True: detected
    confirmed: bool = False
    identity: float = math.nan  # MMSI
    sources: frozenset[str] = frozenset()
    interval: float = 0.0  # longest time between reports
    jumps: int = 0
    z: float = 0.0
    yaw: float = math.nan
    length: float = math.nan
    width: float = math.nan
    kind: int = Kind.UNKNOWN.value


class GnnTracker:
    """`steps.Tracker` by global nearest neighbour."""

    def __init__(self, platform: Platform) -> None:
        o = platform.options(GnnOptions, "steps", "tracker")
        limits = platform.model.limits
        self._options = o
        self._acceleration = o.acceleration_std or 0.5 * limits.acceleration_max
        self._speed_max = o.speed_max or 2.0 * limits.speed_max
        self._gate = 2.0 * float(gammaincinv(1.0, o.gate))  # quantile of chi squared, 2 degrees of freedom
        self._gate_moving = 2.0 * float(gammaincinv(2.0, o.gate))  # 4 degrees
        self._targets: list[Target] = []
        self._own = OwnMotion()
        self._t = -math.inf
        self._next_id = 1
        self._frame: LocalFrame | None = None
        self.rejected: dict[str, dict[str, int]] = {}  # source → reason → count

    def step(
        self,
        now: float,
        detections: Sequence[Detections | GeoDetections],
        odometry: Sequence[Odometry],
        origin: Origin | None,
    ) -> Tracks:
        """Confirmed tracks predicted to `now`; bad rows are refused and counted in `rejected`, never raised."""
        self._own.add(odometry)
        if origin is not None and (self._frame is None or self._frame.origin != origin):
            self._frame = LocalFrame(origin)
        for scan in sorted(detections, key=lambda d: d.t if math.isfinite(d.t) else -math.inf):
            rows = self._in_map(now, scan)
            if rows is None:
                continue
            t = max(scan.t, self._t)
            late = t - scan.t
            if late > 0.0 and len(rows):
                rows = rows.copy()
                rows[:, [X, Y]] += late * np.nan_to_num(rows[:, [VX, VY]])
            self._predict(t)
            if isinstance(scan, GeoDetections):
                rows = self._reports(t, scan.source, rows)
                self._assign(t, scan.source, rows, scanning=False)
            else:
                self._assign(t, scan.source, rows, scanning=True)
        self._drop(now)
        return self._output(now)

    # --- detections in map ---

    def _in_map(self, now: float, scan: Detections | GeoDetections) -> Array | None:
        """Good rows of a scan in map, (k, 11); None when the scan cannot be used at all."""
        data = np.asarray(scan.data, dtype=np.float64)
        reason = ""
        if data.ndim != 2 or data.shape[1] != COLUMNS:
            reason = "wrong shape"
        elif not math.isfinite(scan.t) or scan.t > now + 0.5 or scan.t < now - LATE_S:
            reason = "stamp not finite, too old or in the future"
        elif isinstance(scan, GeoDetections) and self._frame is None:
            reason = "no origin yet"
        elif isinstance(scan, Detections) and scan.frame not in ("base_link", "map"):
            reason = f"unknown frame {scan.frame}"
        if reason:
            self._refuse(scan.source, reason)
            return None
        good = np.isfinite(data[:, [X, Y]]).all(axis=1) & ~np.isinf(data).any(axis=1)
        good &= (np.abs(data[:, [X, Y]]) < POSITION_MAX).all(axis=1)
        rows: Array = data[good].copy()
        if isinstance(scan, GeoDetections):
            rows = self._from_geodetic(rows)
        elif scan.frame == "base_link":
            moved = self._own.to_map(scan.t, rows)
            if moved is None:
                self._refuse(scan.source, "no odometry at its stamp")
                return None
            rows = moved
        if len(rows) < len(data):
            self._refuse(scan.source, "row not finite or out of range", len(data) - len(rows))
        fast = np.nan_to_num(np.hypot(rows[:, VX], rows[:, VY])) > 5.0 * self._speed_max + 50.0
        rows[fast, VX] = rows[fast, VY] = math.nan
        rows[:, VARIANCE] = np.clip(np.where(np.isfinite(rows[:, VARIANCE]), rows[:, VARIANCE], 1.0), 1e-4, 1e4)
        return rows

    def _from_geodetic(self, rows: Array) -> Array:
        """Rows with x = lon_deg, y = lat_deg in map; those off the earth or far away are left out."""
        assert self._frame is not None
        rows = rows[(np.abs(rows[:, Y]) <= 90.0) & (np.abs(rows[:, X]) <= 180.0)]
        p = self._frame.map_from_geodetic(rows[:, Y], rows[:, X], self._frame.origin.alt_m)
        rows[:, [X, Y]] = p[:, :2]
        rows[:, Z] = 0.0
        return np.asarray(rows[np.hypot(rows[:, X], rows[:, Y]) < FAR_M])

    def _refuse(self, source: str, reason: str, n: int = 1) -> None:
        reasons = self.rejected.setdefault(source, {})
        reasons[reason] = reasons.get(reason, 0) + n

    # --- filter ---

    def _predict(self, t: float) -> None:
        """All targets to t: constant velocity, white acceleration noise."""
        dt = t - self._t
        self._t = t
        if not self._targets or not 0.0 < dt < math.inf:
            return
        q = self._acceleration**2
        F = np.eye(4)
        F[0, 2] = F[1, 3] = dt
        Q = np.zeros((4, 4))
        Q[[0, 1], [0, 1]] = q * dt**3 / 3.0
        Q[[0, 1, 2, 3], [2, 3, 0, 1]] = q * dt**2 / 2.0
        Q[[2, 3], [2, 3]] = q * dt
        for target in self._targets:
            target.x = F @ target.x
            target.P = F @ target.P @ F.T + Q

    def _measurement(self, row: Array) -> tuple[Array, Array, Array]:
        """z, H, R of a detection: position, and velocity where the sensor gives it."""
        moving = bool(np.isfinite(row[[VX, VY]]).all())
        n = 4 if moving else 2
        r = np.full(n, float(row[VARIANCE]))
        r[2:] = self._options.velocity_std**2
        return row[[X, Y, VX, VY]][:n], np.eye(4)[:n], np.diag(r)

    def _update(self, target: Target, t: float, source: str, row: Array) -> None:
        z, H, R = self._measurement(row)
        S = H @ target.P @ H.T + R
        K = np.linalg.solve(S, H @ target.P).T
        target.x = target.x + K @ (z - H @ target.x)
        A = np.eye(4) - K @ H
        P = A @ target.P @ A.T + K @ R @ K.T
        target.P = 0.5 * (P + P.T)
        target.interval = max(target.interval, t - target.last_t)
        target.last_t, target.jumps = t, 0
        self._carry(target, source, row)

    def _carry(self, target: Target, source: str, row: Array) -> None:
        target.sources = target.sources | {source}
        if math.isfinite(row[Z]):
            target.z = float(row[Z])
        if math.isfinite(row[YAW]):
            target.yaw = float(row[YAW])
        for name, column in (("length", LENGTH), ("width", WIDTH)):
            new, old = float(row[column]), getattr(target, name)
            if math.isfinite(new) and new >= 0.0:
                setattr(target, name, new if math.isnan(old) else old + 0.3 * (new - old))
        kind = float(row[KIND])
        if math.isfinite(kind) and int(kind) != Kind.UNKNOWN.value and int(kind) in Kind._value2member_map_:
            target.kind = int(kind)

    def _born(self, t: float, source: str, row: Array, identity: float = math.nan) -> Target:
        moving = bool(np.isfinite(row[[VX, VY]]).all())
        v_var = self._options.velocity_std**2 if moving else (self._speed_max / 2.0) ** 2
        x = np.array([row[X], row[Y], *(row[[VX, VY]] if moving else (0.0, 0.0))])
        if math.isfinite(identity):
            number = int(identity)
        else:
            number, self._next_id = self._next_id, self._next_id + 1
        target = Target(number, x, np.diag([row[VARIANCE], row[VARIANCE], v_var, v_var]), t, [True])
        target.identity = identity
        self._carry(target, source, row)
        self._targets.append(target)
        return target

    # --- association ---

    def _reports(self, t: float, source: str, rows: Array) -> Array:
        """Rows of targets that are known by identity; returns the others."""
        known = {target.identity: target for target in self._targets if math.isfinite(target.identity)}
        rest = []
        for row in rows:
            target = known.get(float(row[ID]))
            if target is None:
                rest.append(row)
                continue
            z, H, R = self._measurement(row)
            d = z[:2] - target.x[:2]
            S = (H @ target.P @ H.T + R)[:2, :2]
            # Identity says it is the same one; a single absurd place is still not believed, two in a row are.
            if float(d @ np.linalg.solve(S, d)) > 3.0 * self._gate and np.hypot(*d) > 50.0 and target.jumps < 1:
                target.jumps += 1
                self._refuse(source, "report jumps")
                continue
            if target.jumps:
                self._targets.remove(target)
                fresh = self._born(t, source, row, target.identity)
                fresh.id, fresh.confirmed = target.id, target.confirmed
            else:
                self._update(target, t, source, row)
                target.confirmed = True
        return np.array(rest).reshape(-1, COLUMNS)

    def _assign(self, t: float, source: str, rows: Array, *, scanning: bool) -> None:
        """One optimal assignment of rows to targets, then births and, for a scan, misses."""
        candidates = self._targets if scanning else [x for x in self._targets if math.isnan(x.identity)]
        pairs = self._pairs(candidates, rows)
        for i, j in pairs:
            target = candidates[i]
            self._update(target, t, source, rows[j])
            if scanning:
                self._scanned(target, True)
            else:
                target.identity, target.confirmed = float(rows[j, ID]), True
        taken = {j for _, j in pairs}
        if scanning:
            found = {i for i, _ in pairs}
            for i, target in enumerate(list(candidates)):
                if i not in found and source in target.sources:
                    self._scanned(target, False)
        for j, row in enumerate(rows):
            if j in taken:
                continue
            identity = math.nan if scanning else float(row[ID])
            target = self._born(t, source, row, identity)
            # A report that carries identity, checksum and velocity is no clutter.
            target.confirmed = not scanning and bool(np.isfinite(row[[ID, VX, VY]]).all())
            if scanning:
                self._scanned(target, None)

    def _pairs(self, targets: Sequence[Target], rows: Array) -> list[tuple[int, int]]:
        if not targets or not len(rows):
            return []
        x = np.array([target.x for target in targets])
        P = np.array([target.P for target in targets])
        moving = np.asarray(np.isfinite(rows[:, [VX, VY]]).all(axis=1))
        z = np.where(np.isfinite(rows[:, [X, Y, VX, VY]]), rows[:, [X, Y, VX, VY]], 0.0)
        R = np.zeros((len(rows), 4, 4))
        R[:, [0, 1], [0, 1]] = rows[:, [VARIANCE]]
        R[:, [2, 3], [2, 3]] = self._options.velocity_std**2
        r = z[None] - x[:, None]
        S = P[:, None] + R[None]
        d2 = np.einsum("ijk,ijk->ij", r, np.linalg.solve(S, r[..., None])[..., 0])
        r2, S2 = r[..., :2], S[..., :2, :2]
        d2_position = np.einsum("ijk,ijk->ij", r2, np.linalg.solve(S2, r2[..., None])[..., 0])
        inside = (d2_position < self._gate) & (~moving | (d2 < self._gate_moving))
        # Negative log-likelihood up to a constant: a vague track must not win over a sharp one.
        cost = np.where(moving, d2 - d2_position, 0.0) + d2_position + np.log(np.linalg.det(S2))
        none = 1e6
        chosen = linear_sum_assignment(np.where(inside, cost, none))
        return [(int(i), int(j)) for i, j in zip(*chosen, strict=True) if inside[i, j]]

    # --- life of a track ---

    def _scanned(self, target: Target, hit: bool | None) -> None:
        """Books a scan; `None` for the scan of birth, which is already booked."""
        o = self._options
        if hit is not None:
            target.hits = [*target.hits, hit][-o.confirm_scans :]
        target.confirmed = target.confirmed or sum(target.hits) >= o.confirm_hits
        if not target.confirmed and target.hits.count(False) > o.confirm_scans - o.confirm_hits:
            self._targets.remove(target)

    def _drop(self, now: float) -> None:
        self._targets = [x for x in self._targets if now - x.last_t <= self._lifetime(x) and self._certain(x)]

    def _lifetime(self, target: Target) -> float:
        o = self._options
        if math.isfinite(target.identity):
            return max(o.report_s, o.report_intervals * target.interval)
        return o.coast_s

    def _certain(self, target: Target) -> bool:
        return bool(np.isfinite(target.x).all() and target.P[0, 0] + target.P[1, 1] < 2.0 * self._options.std_max**2)

    def _output(self, now: float) -> Tracks:
        shown = sorted((x for x in self._targets if x.confirmed), key=lambda x: x.id)
        data: npt.NDArray[np.float64] = np.full((len(shown), COLUMNS), np.nan)
        dt = max(0.0, now - self._t) if math.isfinite(self._t) else 0.0
        for row, target in zip(data, shown, strict=True):
            vx, vy = target.x[2:]
            course = math.atan2(vy, vx) if math.hypot(vx, vy) > 0.5 else math.nan
            yaw = course if math.isnan(target.yaw) else target.yaw
            x, y = target.x[:2] + dt * target.x[2:]
            row[:] = (x, y, target.z, vx, vy, yaw, target.length, target.width, target.id, target.kind, 0.0)
            spread = target.P[:2, :2] + dt * (target.P[:2, 2:] + target.P[2:, :2]) + dt**2 * target.P[2:, 2:]
            row[VARIANCE] = 0.5 * np.trace(spread) + self._acceleration**2 * dt**3 / 3.0
        return Tracks(now, data)

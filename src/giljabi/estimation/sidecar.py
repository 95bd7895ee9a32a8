"""Recorder files beside a recording: inertial, satellite and truth tables (CSV, plain or gzip) as samples.

A recorder (a phone, a logger) is mounted somehow: `Levelling` finds its axes from the data, see docs/replay.md.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giljabi.clock import DeviceClock
from giljabi.frames import (
    GRAVITY,
    R_FLU_FRD,
    LocalFrame,
    matrix_from_quat,
    quat_normalize,
    wrap_angle,
    yaw_from_heading_deg,
)
from giljabi.types import NAN, Array, BadInputError, GnssFix, GnssVelocity, Imu

RECORDER = "recorder"  # source name of what a recorder measures
XYZ = ("t_s", "x", "y", "z")
GNSS = ("t_s", "lat_deg", "lon_deg", "speed_mps", "alt_m", "bearing_deg")
TRUTH = (
    "t_s", "ecef_x_m", "ecef_y_m", "ecef_z_m", "qw", "qx", "qy", "qz", "vecef_x", "vecef_y", "vecef_z",
)  # fmt: skip
# What a table without an accuracy column is taken for: a single-frequency receiver under open sky.
FIX_STD = (1.5, 1.5, 3.0)  # m, east north up
VELOCITY_STD = 0.15  # m/s
SMOOTH_S = 1.0  # accelerations are compared as means over this time
EXCITED = 0.3  # m/s^2 rms of horizontal acceleration from which it tells where forward is


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Array]:
    """Named columns (n,) of a CSV file with a header, sorted by t_s; `optional` ones where the header has them.

    Raises BadInputError `file:line: ...`.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadInputError(
            f"{path}:1: not a text file; CSV with the columns {', '.join(columns)} is expected"
        ) from None
    except OSError as e:
        what = e.strerror or "damaged gzip"
        raise BadInputError(f"{path}:1: cannot be read ({what}); a CSV file is expected") from None
    except (EOFError, ValueError) as e:
        raise BadInputError(f"{path}:1: cannot be unpacked ({e}); a whole gzip file is expected") from None
    reader = csv.reader(io.StringIO(text))
    header = [name.strip() for name in next(reader, [])]
    missing = [c for c in columns if c not in header]
    if missing:
        found = ", ".join(header)[:80] if header else "nothing"
        raise BadInputError(
            f"{path}:1: column {missing[0]} is missing (found: {found}); {','.join(columns)} is expected"
        )
    columns = [*columns, *(c for c in optional if c in header)]
    at = [header.index(c) for c in columns]
    rows = []
    for row in reader:
        if not row:
            continue
        try:
            values = [float(row[i]) for i in at]
        except (IndexError, ValueError):
            what = f"'{','.join(row)[:60]}' is not {len(header)} numbers"
            raise BadInputError(f"{path}:{reader.line_num}: {what}; one row a sample is expected") from None
        if not all(math.isfinite(v) for v in values):
            bad = next(c for c, v in zip(columns, values, strict=True) if not math.isfinite(v))
            raise BadInputError(f"{path}:{reader.line_num}: {bad} is not finite; a finite number is expected")
        rows.append(values)
    if not rows:
        raise BadInputError(f"{path}:1: no rows; one row a sample is expected")
    a = np.array(rows)
    a = a[np.argsort(a[:, 0], kind="stable")]
    return {c: a[:, k] for k, c in enumerate(columns)}


# --- GNSS -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GnssTable:
    """Fixes with speed and course over ground."""

    t: Array
    lat_deg: Array
    lon_deg: Array
    alt_m: Array
    speed: Array
    course: Array  # yaw in ENU [rad]
    utc_s: Array  # the receiver's own time of each fix; NaN where the table has none

    def samples(self, delay: float) -> list[tuple[float, GnssFix | GnssVelocity]]:
        """(time of arrival, fix or velocity) of every row; stamped by the receiver's clock, less `delay` [s]."""
        out: list[tuple[float, GnssFix | GnssVelocity]] = []
        std = np.array(FIX_STD)
        clock = DeviceClock()
        for received, utc, lat, lon, alt, v, a in zip(
            self.t, self.utc_s, self.lat_deg, self.lon_deg, self.alt_m, self.speed, self.course, strict=True
        ):
            t = clock.map(float(received), float(utc)) - delay
            velocity = np.array([v * math.cos(a), v * math.sin(a), NAN])
            fix = GnssFix(t, float(lat), float(lon), float(alt), std, utc_s=float(utc), source="gnss")
            out += [(float(received), fix), (float(received), GnssVelocity(t, velocity, VELOCITY_STD, "gnss"))]
        return out


def read_gnss(path: Path) -> GnssTable:
    """t_s, lat_deg, lon_deg, speed_mps, alt_m, bearing_deg (true course), and utc_ms where there is one."""
    c = read_table(path, GNSS, optional=("utc_ms",))
    for name, limit in (("lat_deg", 90.0), ("lon_deg", 180.0)):
        bad = np.flatnonzero(np.abs(c[name]) > limit)
        if bad.size:
            raise BadInputError(
                f"{path}: {name} is {c[name][bad[0]]:g} at t_s {c['t_s'][bad[0]]:g}; within ±{limit:g} is expected"
            )
    course = yaw_from_heading_deg(c["bearing_deg"])
    utc = 1e-3 * c["utc_ms"] if "utc_ms" in c else np.full(len(course), NAN)
    return GnssTable(c["t_s"], c["lat_deg"], c["lon_deg"], c["alt_m"], c["speed_mps"], course, utc)


# --- IMU ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImuTables:
    """Gyro and accelerometer of a recorder, in its own axes; either may be absent."""

    gyro: tuple[Array, Array] | None  # t (n,), rate (n, 3) rad/s
    accel: tuple[Array, Array] | None  # t (n,), specific force (n, 3) m/s^2


def read_imu(paths: Sequence[Path]) -> ImuTables:
    """Tables t_s, x, y, z; the one that holds gravity is the accelerometer. Raises BadInputError."""
    found: dict[str, tuple[Array, Array]] = {}
    for path in paths:
        c = read_table(path, XYZ)
        v = np.column_stack([c["x"], c["y"], c["z"]])
        size = float(np.median(np.linalg.norm(v, axis=1)))
        if 0.8 * GRAVITY < size < 1.2 * GRAVITY:
            kind = "accelerometer"
        elif size < 5.0:
            kind = "gyro"
        else:
            raise BadInputError(
                f"{path}: the median length of x, y, z is {size:.3g}; about 9.8 (accelerometer, m/s^2) or "
                "less than 5 (gyro, rad/s) is expected"
            )
        if kind in found:
            raise BadInputError(f"{path}: a second {kind}; one gyro and one accelerometer file are expected")
        found[kind] = (c["t_s"], v)
    return ImuTables(found.get("gyro"), found.get("accelerometer"))


def imu_samples(tables: ImuTables, R_base_sensor: Array) -> list[Imu]:
    """Samples in base_link axes at the gyro's stamps, specific force interpolated (gaps of up to 0.1 s)."""
    none = np.full(3, NAN)
    if tables.gyro is None:
        if tables.accel is None:
            return []
        t, f = tables.accel
        return [Imu(float(a), none, b, RECORDER) for a, b in zip(t, f @ R_base_sensor.T, strict=True)]
    t, w = tables.gyro
    rate = w @ R_base_sensor.T
    force = np.full_like(rate, NAN)
    if tables.accel is not None:
        ta, fa = tables.accel
        f_base = fa @ R_base_sensor.T
        for k in range(3):
            force[:, k] = np.interp(t, ta, f_base[:, k])
        after = np.clip(np.searchsorted(ta, t), 1, len(ta) - 1) if len(ta) > 1 else np.zeros(len(t), int)
        near = np.minimum(np.abs(t - ta[after]), np.abs(t - ta[after - 1])) < 0.1
        force[~near] = NAN
    return [Imu(float(a), b, c, RECORDER) for a, b, c in zip(t, rate, force, strict=True)]


@dataclass(frozen=True, slots=True)
class Levelling:
    """How a recorder sits: the rotation and what it was found from."""

    R_base_sensor: Array
    found_from: str


def level(tables: ImuTables, gnss: GnssTable | None) -> Levelling:
    """Axes of a recorder from its own data.

    Up is where gravity pushes. Forward is where the force points when the speed grows and where it turns in curves:
    the rotation that best maps measured force to (dv/dt, v dψ/dt, g) over the drive (Wahba's problem by SVD,
    Kabsch 1976). Where speed or course are unknown or hardly change, forward is the sensor's x axis, made level.
    Without accelerometer: x forward, y right, z down.
    """
    if tables.accel is None:
        return Levelling(R_FLU_FRD, "no accelerometer: x forward, y right, z down assumed")
    ta, fa = tables.accel
    model = _model_force(gnss, ta) if gnss is not None else None
    if model is not None:
        k, force = model
        measured = _smooth(ta, fa)[k]
        if float(np.sqrt(np.mean(force[:, :2] ** 2) * 2.0)) > EXCITED:
            u, _, vt = np.linalg.svd(force.T @ measured)
            R = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
            rest = force - measured @ R.T
            # Believed when it explains most of what happens in the horizontal.
            if np.sum(rest[:, :2] ** 2) < 0.5 * np.sum(force[:, :2] ** 2):
                return Levelling(R, "gravity and the accelerations of the drive")
    up = fa.mean(axis=0)
    if np.linalg.norm(up) < 0.5 * GRAVITY:
        return Levelling(R_FLU_FRD, "no steady gravity: x forward, y right, z down assumed")
    up = up / np.linalg.norm(up)
    ahead = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.8 else np.array([0.0, 0.0, -np.sign(up[0])])
    forward = ahead - (ahead @ up) * up
    forward /= np.linalg.norm(forward)
    return Levelling(np.array([forward, np.cross(up, forward), up]), "gravity; x axis forward assumed")


def _smooth(t: Array, v: Array) -> Array:
    """Mean over SMOOTH_S around every sample."""
    n = max(1, round(SMOOTH_S / max(1e-4, float(np.median(np.diff(t)))))) if len(t) > 2 else 1
    n = min(n, len(t))
    kernel = np.ones(n) / n
    return np.column_stack([np.convolve(v[:, k], kernel, mode="same") for k in range(v.shape[1])])


def _model_force(gnss: GnssTable, t: Array) -> tuple[Array, Array] | None:
    """Indices into t and the specific force (k, 3) in base_link that speed and course call for there."""
    if len(gnss.t) < 20 or gnss.t[-1] - gnss.t[0] < 10.0 or len(t) < 20:
        return None
    grid = np.arange(gnss.t[0], gnss.t[-1], 0.1)
    speed = np.interp(grid, gnss.t, gnss.speed)
    course = np.interp(grid, gnss.t, np.unwrap(gnss.course))
    n = round(SMOOTH_S / 0.1)
    along = (speed[n:] - speed[:-n]) / SMOOTH_S
    turn = (course[n:] - course[:-n]) / SMOOTH_S
    middle, v = 0.5 * (grid[n:] + grid[:-n]), 0.5 * (speed[n:] + speed[:-n])
    good = (v > 2.0) & (middle > t[0] + SMOOTH_S) & (middle < t[-1] - SMOOTH_S)
    if good.sum() < 50:
        return None
    k = np.clip(np.searchsorted(t, middle[good]), 0, len(t) - 1)
    force = np.column_stack([along[good], (v * turn)[good], np.full(int(good.sum()), GRAVITY)])
    return k, force


# --- truth ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """Reference pose of a recorder in map."""

    t: Array
    position: Array  # (n, 3) m
    yaw: Array  # (n,) rad, unwrapped
    velocity: Array  # (n, 3) m/s


def read_truth(path: Path, frame: LocalFrame) -> Truth:
    """ECEF position and velocity, scalar-first quaternion of the recorder (x forward) in ECEF; into map."""
    c = read_table(path, TRUTH)
    p = np.column_stack([c[n] for n in TRUTH[1:4]])
    radius = np.linalg.norm(p, axis=1)
    if np.any((radius < 6.2e6) | (radius > 7.0e6)):
        raise BadInputError(
            f"{path}: a position is {radius[np.argmax(np.abs(radius - 6.37e6))]:.4g} m from the earth's centre; "
            "ECEF metres near the surface are expected"
        )
    try:
        q = quat_normalize(np.column_stack([c[n] for n in TRUTH[4:8]]))
    except ValueError:
        raise BadInputError(f"{path}: a quaternion is zero; qw,qx,qy,qz of norm 1 is expected") from None
    R_map_ecef = frame.R_ecef_map.T
    forward = matrix_from_quat(q)[:, :, 0] @ R_map_ecef.T
    yaw = np.unwrap(wrap_angle(np.arctan2(forward[:, 1], forward[:, 0])))
    v = np.column_stack([c[n] for n in TRUTH[8:11]]) @ R_map_ecef.T
    return Truth(c["t_s"], frame.map_from_ecef(p), yaw, v)

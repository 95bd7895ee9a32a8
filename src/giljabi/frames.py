"""Frames: WGS-84 geodetic, ECEF, local ENU `map`, FLU body; quaternions w x y z; all vectorised.

Names read right to left: `R_map_base` takes base_link vectors to map, `quat_map_base` is the same rotation. Geodetic to
map goes through ECEF and is exact: a round trip returns within 1e-8 m for heights of -10 km to 100 km within 1000 km of
the origin. `map` is a tangent plane: the ellipsoid falls away from z = 0 by d²/2R (0.08 m at 1 km, 7.8 m at 10 km).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from giljabi.types import Array, Origin

# WGS-84 (NGA.STND.0036): semi-major axis [m], flattening.
WGS84_A = 6378137.0
WGS84_F = 1.0 / 298.257223563
WGS84_B = WGS84_A * (1.0 - WGS84_F)
WGS84_E2 = WGS84_F * (2.0 - WGS84_F)
_EP2 = WGS84_E2 / (1.0 - WGS84_E2)

GRAVITY = 9.80665  # m/s^2, standard gravity (CGPM 1901)

# ENU from NED and FLU from FRD; each is its own inverse.
R_ENU_NED: Array = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
R_FLU_FRD: Array = np.diag([1.0, -1.0, -1.0])


# --- angles ---------------------------------------------------------------------------------------


def wrap_angle(angle: npt.ArrayLike) -> Array:
    """Angle in (-pi, pi] [rad]."""
    a = np.asarray(angle, dtype=np.float64)
    wrapped = np.remainder(a + np.pi, 2.0 * np.pi) - np.pi
    return np.asarray(np.where(wrapped == -np.pi, np.pi, wrapped))


def angle_difference(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Shortest a - b in (-pi, pi] [rad]."""
    return wrap_angle(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64))


def yaw_from_heading_deg(heading_deg: npt.ArrayLike) -> Array:
    """Yaw in ENU (0 = east, counter-clockwise) [rad] of a true heading or course (0 = north, clockwise) [deg]."""
    return wrap_angle(np.radians(90.0 - np.asarray(heading_deg, dtype=np.float64)))


def heading_deg_from_yaw(yaw: npt.ArrayLike) -> Array:
    """True heading in [0, 360) [deg] of a yaw in ENU [rad]."""
    heading = np.remainder(90.0 - np.degrees(np.asarray(yaw, dtype=np.float64)), 360.0)
    return np.asarray(np.where(heading >= 360.0, 0.0, heading))


# --- WGS-84 ---------------------------------------------------------------------------------------


def ecef_from_geodetic(lat_deg: npt.ArrayLike, lon_deg: npt.ArrayLike, alt_m: npt.ArrayLike) -> Array:
    """ECEF position (..., 3) [m] of WGS-84 latitude, longitude [deg] and ellipsoid height [m]."""
    lat, lon = np.radians(np.asarray(lat_deg, dtype=np.float64)), np.radians(np.asarray(lon_deg, dtype=np.float64))
    alt = np.asarray(alt_m, dtype=np.float64)
    n = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    x, y = (n + alt) * np.cos(lat) * np.cos(lon), (n + alt) * np.cos(lat) * np.sin(lon)
    z = (n * (1.0 - WGS84_E2) + alt) * np.sin(lat)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def geodetic_from_ecef(p_ecef: npt.ArrayLike) -> Array:
    """(..., 3) latitude [deg], longitude [deg], ellipsoid height [m] of ECEF positions (..., 3) [m].

    Bowring's parametric latitude (1976), three rounds: within 1e-8 m for heights of -10 km to 40,000 km.
    """
    p = np.asarray(p_ecef, dtype=np.float64)
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    rho = np.hypot(x, y)
    beta = np.arctan2(z * WGS84_A, rho * WGS84_B)
    lat = beta
    for _ in range(3):
        lat = np.arctan2(z + _EP2 * WGS84_B * np.sin(beta) ** 3, rho - WGS84_E2 * WGS84_A * np.cos(beta) ** 3)
        beta = np.arctan2((1.0 - WGS84_F) * np.sin(lat), np.cos(lat))
    # Height along the normal; well-conditioned at the poles and at the equator.
    alt = rho * np.cos(lat) + z * np.sin(lat) - WGS84_A * np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    return np.stack([np.degrees(lat), np.degrees(np.arctan2(y, x)), alt], axis=-1)


def R_ecef_enu(lat_deg: npt.ArrayLike, lon_deg: npt.ArrayLike) -> Array:
    """Rotation (..., 3, 3) that takes local east-north-up vectors at a place to ECEF."""
    lat, lon = np.radians(np.asarray(lat_deg, dtype=np.float64)), np.radians(np.asarray(lon_deg, dtype=np.float64))
    sp, cp, sl, cl = np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)
    zero = np.zeros_like(sp * sl)
    east = np.stack([-sl + zero, cl + zero, zero], axis=-1)
    north = np.stack([-sp * cl, -sp * sl, cp + zero], axis=-1)
    up = np.stack([cp * cl, cp * sl, sp + zero], axis=-1)
    return np.stack([east, north, up], axis=-1)


class LocalFrame:
    """`map`: the ENU tangent frame at an origin."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._origin_ecef = ecef_from_geodetic(origin.lat_deg, origin.lon_deg, origin.alt_m)
        self.R_ecef_map = R_ecef_enu(origin.lat_deg, origin.lon_deg)

    def map_from_geodetic(self, lat_deg: npt.ArrayLike, lon_deg: npt.ArrayLike, alt_m: npt.ArrayLike) -> Array:
        """Position in map (..., 3) [m]."""
        return self.map_from_ecef(ecef_from_geodetic(lat_deg, lon_deg, alt_m))

    def map_from_ecef(self, p_ecef: npt.ArrayLike) -> Array:
        """Position in map (..., 3) [m] of ECEF positions (..., 3) [m]."""
        return np.asarray((np.asarray(p_ecef, dtype=np.float64) - self._origin_ecef) @ self.R_ecef_map)

    def geodetic_from_map(self, p_map: npt.ArrayLike) -> Array:
        """(..., 3) latitude [deg], longitude [deg], height [m] of positions in map (..., 3) [m]."""
        return geodetic_from_ecef(np.asarray(p_map, dtype=np.float64) @ self.R_ecef_map.T + self._origin_ecef)

    def R_map_enu(self, lat_deg: float, lon_deg: float) -> Array:
        """Rotation (3, 3) from the ENU frame at another place to map (1.6 mrad at 10 km)."""
        return np.asarray(self.R_ecef_map.T @ R_ecef_enu(lat_deg, lon_deg))


# --- rotations ------------------------------------------------------------------------------------


def skew(v: npt.ArrayLike) -> Array:
    """(..., 3, 3) matrix S with S @ u = v x u."""
    a = np.asarray(v, dtype=np.float64)
    out = np.zeros((*a.shape, 3))
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -a[..., 2], a[..., 1], -a[..., 0]
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = a[..., 2], -a[..., 1], a[..., 0]
    return out


def quat_normalize(q: npt.ArrayLike) -> Array:
    """Unit quaternion (..., 4) with w >= 0; raises ValueError for a zero or non-finite one."""
    a = np.asarray(q, dtype=np.float64)
    norm = np.linalg.norm(a, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norm)) or np.any(norm < 1e-12):
        raise ValueError(f"quaternion {a.tolist()} has no direction; w x y z with a norm near 1 is expected")
    a = a / norm
    return np.asarray(np.where(a[..., :1] < 0.0, -a, a))


def quat_multiply(q_a_b: npt.ArrayLike, q_b_c: npt.ArrayLike) -> Array:
    """quat_a_c (..., 4): Hamilton product, rotates by q_b_c first."""
    a, b = np.asarray(q_a_b, dtype=np.float64), np.asarray(q_b_c, dtype=np.float64)
    w = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1] - a[..., 2] * b[..., 2] - a[..., 3] * b[..., 3]
    x = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0] + a[..., 2] * b[..., 3] - a[..., 3] * b[..., 2]
    y = a[..., 0] * b[..., 2] - a[..., 1] * b[..., 3] + a[..., 2] * b[..., 0] + a[..., 3] * b[..., 1]
    z = a[..., 0] * b[..., 3] + a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1] + a[..., 3] * b[..., 0]
    return np.stack([w, x, y, z], axis=-1)


def quat_conjugate(q_a_b: npt.ArrayLike) -> Array:
    """quat_b_a (..., 4)."""
    return np.asarray(np.asarray(q_a_b, dtype=np.float64) * np.array([1.0, -1.0, -1.0, -1.0]))


def quat_rotate(q_a_b: npt.ArrayLike, v_b: npt.ArrayLike) -> Array:
    """v_a (..., 3): the vector in frame a."""
    q, v = np.asarray(q_a_b, dtype=np.float64), np.asarray(v_b, dtype=np.float64)
    u, w = q[..., 1:], q[..., :1]
    return np.asarray(v + 2.0 * np.cross(u, np.cross(u, v) + w * v))


def matrix_from_quat(q_a_b: npt.ArrayLike) -> Array:
    """R_a_b (..., 3, 3)."""
    q = np.asarray(q_a_b, dtype=np.float64)
    s = skew(q[..., 1:])
    return np.asarray(np.eye(3) + 2.0 * q[..., :1, None] * s + 2.0 * (s @ s))


def quat_from_matrix(R_a_b: npt.ArrayLike) -> Array:
    """quat_a_b (4,) with w >= 0 of a rotation matrix (3, 3) (Shepperd 1978: divides by the largest part)."""
    R = np.asarray(R_a_b, dtype=np.float64)
    t = float(np.trace(R))
    parts = np.array([t, R[0, 0], R[1, 1], R[2, 2]])
    k = int(np.argmax(parts))
    q = np.empty(4)
    q[k] = 1.0 + 2.0 * parts[k] - t if k else 1.0 + t
    if k == 0:
        q[1:] = R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]
    else:
        i, j, m = k - 1, k % 3, (k + 1) % 3
        q[0] = R[m, j] - R[j, m]
        q[j + 1] = R[j, i] + R[i, j]
        q[m + 1] = R[m, i] + R[i, m]
    return quat_normalize(q)


def quat_from_rpy(roll: npt.ArrayLike, pitch: npt.ArrayLike, yaw: npt.ArrayLike) -> Array:
    """quat_a_b (..., 4) of fixed-axis roll, pitch, yaw [rad] (REP-103: Rz(yaw) Ry(pitch) Rx(roll))."""
    r, p, y = (np.asarray(a, dtype=np.float64) / 2.0 for a in (roll, pitch, yaw))
    cr, sr, cp, sp, cy, sy = np.cos(r), np.sin(r), np.cos(p), np.sin(p), np.cos(y), np.sin(y)
    q = np.stack(
        np.broadcast_arrays(
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ),
        axis=-1,
    )
    return np.asarray(np.where(q[..., :1] < 0.0, -q, q))


def rpy_from_quat(q_a_b: npt.ArrayLike) -> Array:
    """(..., 3) roll, pitch, yaw [rad] of REP-103 fixed axes; pitch in [-pi/2, pi/2]."""
    q = np.asarray(q_a_b, dtype=np.float64)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=-1)


def quat_from_yaw(yaw: npt.ArrayLike) -> Array:
    """quat_map_base (..., 4) of a level body [rad]."""
    return quat_from_rpy(0.0, 0.0, yaw)


def yaw_from_quat(q_map_base: npt.ArrayLike) -> Array:
    """Yaw in map (...) [rad]."""
    return np.asarray(rpy_from_quat(q_map_base)[..., 2])


def matrix_from_rpy(roll: float, pitch: float, yaw: float) -> Array:
    """R_a_b (3, 3) of fixed-axis roll, pitch, yaw [rad]."""
    return matrix_from_quat(quat_from_rpy(roll, pitch, yaw))


def rotate_2d(yaw: npt.ArrayLike, v: npt.ArrayLike) -> Array:
    """Planar vectors (..., 2) turned counter-clockwise by yaw (...) [rad]."""
    a, u = np.asarray(yaw, dtype=np.float64), np.asarray(v, dtype=np.float64)
    c, s = np.cos(a), np.sin(a)
    return np.stack([c * u[..., 0] - s * u[..., 1], s * u[..., 0] + c * u[..., 1]], axis=-1)

"""What a replay leaves behind: odom table, picture of the track, error against truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from giljabi.estimation.sidecar import Truth
from giljabi.frames import angle_difference, quat_rotate
from giljabi.types import Array, BadInputError, Odometry

YAW_KNOWN_STD = 0.6  # rad, odometry with a larger yaw deviation has no heading to compare
PLOT_POINTS = 20_000


@dataclass(slots=True)
class OdomLog:
    """Odometry of a run, row by row."""

    rows: list[tuple[float, ...]] = field(
        default_factory=list
    )  # t x y z yaw speed; there: vx vy, yaw_std, there: x y z

    def add(self, odom: Odometry, lever: Array) -> None:
        """lever: the point in base_link (3,) [m] that the truth tells of."""
        v = odom.velocity_map
        at = odom.position + quat_rotate(odom.quaternion, lever)
        there = v + quat_rotate(odom.quaternion, np.cross(odom.angular_velocity, lever))
        yaw_std = math.sqrt(max(0.0, float(odom.pose_cov[5, 5])))
        speed = math.hypot(v[0], v[1])
        self.rows.append((odom.t, *odom.position, odom.yaw, speed, there[0], there[1], yaw_std, *at))

    def table(self) -> Array:
        """(n, 12)."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, 12)

    def write_csv(self, path: Path) -> None:
        """t_s, x_m, y_m, z_m, yaw_rad, speed_mps."""
        lines = ["t_s,x_m,y_m,z_m,yaw_rad,speed_mps\n"]
        lines += [f"{r[0]:.6f},{r[1]:.4f},{r[2]:.4f},{r[3]:.4f},{r[4]:.6f},{r[5]:.4f}\n" for r in self.rows]
        write(path, "".join(lines).encode())


def write(path: Path, data: bytes) -> None:
    """Writes a result; raises BadInputError when the place does not take it."""
    try:
        path.write_bytes(data)
    except OSError as e:
        raise BadInputError(f"{path}: cannot be written ({e.strerror}); a writable place is expected") from None


def path_length(table: Array) -> float:
    """Length of the track [m], from points at least 0.5 m apart, so that noise at rest adds nothing."""
    total, last = 0.0, None
    for p in table[:, 1:3]:
        if last is None:
            last = p
        step = float(math.hypot(p[0] - last[0], p[1] - last[1]))
        if step >= 0.5:
            total, last = total + step, p
    return total


def errors(table: Array, truth: Truth) -> dict[str, float]:
    """Errors over all odometry within the truth's time; empty when they share none.

    Position is horizontal, at the truth's reference point. `_offset_removed` is what remains once the mean error, a
    constant displacement in map such as that between antenna and reference point, is taken out.
    """
    inside = (table[:, 0] >= truth.t[0]) & (table[:, 0] <= truth.t[-1])
    if not inside.any():
        return {}
    o = table[inside]
    t = o[:, 0]
    true = np.column_stack([np.interp(t, truth.t, truth.position[:, k]) for k in range(3)])
    d = o[:, 9:12] - true
    flat = np.hypot(d[:, 0], d[:, 1])
    rest = d[:, :2] - d[:, :2].mean(axis=0)
    speed = np.hypot(*(np.interp(t, truth.t, truth.velocity[:, k]) for k in range(2)))
    out = {
        "position_rms_m": _rms(flat),
        "position_max_m": float(flat.max()),
        "position_rms_offset_removed_m": _rms(np.hypot(rest[:, 0], rest[:, 1])),
        "position_offset_east_m": float(d[:, 0].mean()),
        "position_offset_north_m": float(d[:, 1].mean()),
        "height_rms_m": _rms(d[:, 2]),
        "speed_rms_mps": _rms(np.hypot(o[:, 6], o[:, 7]) - speed),
    }
    known = o[:, 8] < YAW_KNOWN_STD
    if known.any():
        e = angle_difference(o[known, 4], np.interp(t[known], truth.t, truth.yaw))
        mean = math.atan2(float(np.sin(e).mean()), float(np.cos(e).mean()))
        out["heading_rms_deg"] = math.degrees(_rms(e))
        out["heading_rms_offset_removed_deg"] = math.degrees(_rms(angle_difference(e, mean)))
    return out


def _rms(v: Array) -> float:
    return float(np.sqrt(np.mean(np.square(v))))


def plot_track(path: Path, table: Array, fixes: Array, truth: Truth | None, title: str) -> None:
    """Picture of the track in map; fixes (n, 2) m; raises BadInputError when it cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(8, 8 if truth is None else 10), dpi=120, layout="constrained")
    axes, below = (figure.subplots(), None) if truth is None else figure.subplots(2, height_ratios=(4, 1))
    thin = max(1, len(table) // PLOT_POINTS)
    if len(fixes):
        some = fixes[:: max(1, len(fixes) // PLOT_POINTS)]
        axes.plot(some[:, 0], some[:, 1], ".", ms=3, color="0.65", label="GNSS fixes", zorder=1)
    if truth is not None:
        axes.plot(truth.position[:, 0], truth.position[:, 1], "--", lw=1.2, color="tab:green", label="truth", zorder=3)
    axes.plot(table[::thin, 1], table[::thin, 2], "-", lw=1.4, color="tab:blue", label="odom", zorder=2)
    axes.plot(*table[0, 1:3], "o", color="tab:blue", ms=6, label="start", zorder=4)
    axes.plot(*table[-1, 1:3], "s", color="tab:red", ms=6, label="end", zorder=4)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("east of the origin [m]")
    axes.set_ylabel("north of the origin [m]")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    if truth is not None and below is not None:
        inside = (table[:, 0] >= truth.t[0]) & (table[:, 0] <= truth.t[-1])
        o = table[inside][::thin]
        d = [o[:, 9 + k] - np.interp(o[:, 0], truth.t, truth.position[:, k]) for k in range(2)]
        below.plot(o[:, 0] - table[0, 0], np.hypot(*d), color="tab:red", lw=1.2)
        below.set_xlabel("time [s]")
        below.set_ylabel("position error [m]")
        below.set_ylim(bottom=0.0)
        below.grid(alpha=0.3)
    try:
        figure.savefig(path, metadata={"Software": None} if path.suffix.lower() == ".png" else None)
    except (OSError, ValueError) as e:
        raise BadInputError(f"{path}: cannot be written ({e}); a writable .png, .svg or .pdf is expected") from None
    finally:
        plt.close(figure)

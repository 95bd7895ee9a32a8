"""Joint trajectories: read from CSV or YAML, held against the joints' limits, slowed down where needed, played."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from giljabi.types import Array, BadInputError, JointTrajectory
from giljabi.walking.behaviours.motions import PEAK, SHARE, Status
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity
from giljabi.yaml_file import Strict, YamlFile

SLOWEST = 5.0  # times slower than it was made, at most
MAX_BYTES = 64_000_000
DENSE = 8  # samples of each piece when limits are checked


class TrajectoryRefused(ValueError):
    """A trajectory that this robot cannot play; says which joint and when."""


class _Stamp(Strict):
    sec: int = 0
    nanosec: int = Field(default=0, ge=0, lt=1_000_000_000)


class _Point(Strict):
    positions: list[float]
    velocities: list[float] = Field(default_factory=list)
    accelerations: list[float] = Field(default_factory=list)
    effort: list[float] = Field(default_factory=list)
    time_from_start: _Stamp | float

    @property
    def seconds(self) -> float:
        t = self.time_from_start
        return t if isinstance(t, float) else t.sec + 1e-9 * t.nanosec


class _File(Strict):
    header: dict[str, object] = Field(default_factory=dict)
    joint_names: list[str] = Field(min_length=1)
    points: list[_Point] = Field(min_length=1)

    @model_validator(mode="after")
    def _square(self) -> _File:
        for i, p in enumerate(self.points):
            if len(p.positions) != len(self.joint_names):
                what = f"points[{i}] has {len(p.positions)} positions for {len(self.joint_names)} joint_names"
                raise ValueError(f"{what}; as many are expected")
        return self


def read_trajectory(path: str | os.PathLike[str]) -> JointTrajectory:
    """A file's trajectory; raises BadInputError with file and line.

    `.csv`: a line `t,<joint>,<joint>...`, then numbers in s and rad. Else YAML with the message's keys: `joint_names`,
    `points` of `positions` and `time_from_start` (s, or sec and nanosec). Velocities and accelerations are not taken:
    they follow from the positions.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    file = YamlFile(path)
    read = file.validate(_File)
    out = JointTrajectory(
        tuple(read.joint_names),
        np.array([p.seconds for p in read.points]),
        np.array([p.positions for p in read.points]),
    )
    why = _disorder(out)
    if why is not None:
        at, what = why
        raise file.error(("points", at) if at >= 0 else ("joint_names",), what)
    return out


def _read_csv(path: Path) -> JointTrajectory:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInputError(f"{path}:1: larger than {MAX_BYTES} bytes; a CSV file of a trajectory is expected")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}:1: not a text file; a CSV file is expected") from None
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a CSV file is expected") from None
    except ValueError:
        raise BadInputError(f"{str(path)!r}: not a path; a CSV file is expected") from None
    rows: list[list[float]] = []
    lines: list[int] = []
    names: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [c.strip() for c in next(csv.reader([line]), [])]
        if not names:
            if len(cells) < 2 or cells[0] not in ("t", "t_s", "time"):
                raise BadInputError(f"{path}:{number}: no names of columns; 't,<joint>,<joint>...' is expected")
            names = tuple(cells[1:])
            continue
        try:
            row = [float(c) for c in cells]
        except ValueError:
            raise BadInputError(f"{path}:{number}: not a number; s and rad are expected") from None
        if len(row) != len(names) + 1:
            raise BadInputError(f"{path}:{number}: {len(row)} numbers; {len(names) + 1} are expected")
        rows.append(row)
        lines.append(number)
    if not rows:
        raise BadInputError(f"{path}:1: no numbers; 't,<joint>,<joint>...' and a line for each time are expected")
    table = np.array(rows)
    out = JointTrajectory(names, table[:, 0], table[:, 1:])
    why = _disorder(out)
    if why is not None:
        raise BadInputError(f"{path}:{lines[why[0]] if why[0] >= 0 else 1}: {why[1]}")
    return out


def _disorder(t: JointTrajectory) -> tuple[int, str] | None:
    """First point (or -1: the names) that makes no trajectory, and why."""
    if len(set(t.names)) != len(t.names):
        twice = next(n for n in t.names if t.names.count(n) > 1)
        return -1, f"'{twice}' stands twice; each joint once is expected"
    bad = ~(np.isfinite(t.times) & np.isfinite(t.positions).all(axis=1))
    if bad.any():
        return int(np.argmax(bad)), "not a finite number; s and rad are expected"
    if t.times[0] < 0.0:
        return 0, f"time {t.times[0]:g} s; 0 or later is expected"
    back = np.diff(t.times) <= 0.0
    if back.any():
        i = int(np.argmax(back)) + 1
        return i, f"time {t.times[i]:g} s does not come after {t.times[i - 1]:g} s; growing times are expected"
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a robot's joints."""

    names: Sequence[str]
    lower: Array  # (n,) rad
    upper: Array
    rate_max: float  # rad/s
    acceleration_max: float  # rad/s^2


class TrajectoryPlayer:
    """A trajectory inside the limits, from where the joints are; a behaviour for all joints, or `at` for some."""

    def __init__(self, trajectory: JointTrajectory, limits: Limits, begin: Array, name: str = "trajectory") -> None:
        """begin: (n,) rad, all joints now. Raises TrajectoryRefused with words."""
        t = trajectory
        why = _disorder(t)
        if why is not None:
            raise TrajectoryRefused(why[1] if why[0] < 0 else f"point {why[0]}: {why[1]}")
        index = {n: i for i, n in enumerate(limits.names)}
        unknown = [n for n in t.names if n not in index]
        if unknown:
            raise TrajectoryRefused(f"this robot has no joint '{unknown[0]}'; its joints are {', '.join(limits.names)}")
        self.name, self.status = name, Status.RUNNING
        self.joints = np.array([index[n] for n in t.names])
        self._begin = begin.copy()
        _check_positions(t, limits.lower[self.joints], limits.upper[self.joints])
        self._curve = None if len(t.times) < 2 else _curve(t)
        self._first = t.positions[0]
        self.slower = 1.0 if self._curve is None else self._pace(t, limits)  # 1: as it was made
        reach = float(np.abs(t.positions[0] - begin[self.joints]).max())
        self.approach_s = PEAK * reach / (SHARE * limits.rate_max)
        self.duration_s = self.approach_s + self.slower * float(t.times[-1] - t.times[0])
        self._from = float(t.times[0])
        self._start: float | None = None
        pace = f", {self.slower:.2f} times slower for the servos" if self.slower > 1.0 else ""
        self.words = f"'{name}' over {self.duration_s:.1f} s{pace}"

    @property
    def over(self) -> bool:
        """Whether the last point has been reached."""
        return self.status == Status.DONE

    def at(self, now: float) -> Array:
        """Positions (len(joints),) rad at time now [s]; the first call is its start."""
        self._start = now if self._start is None else self._start
        t = now - self._start
        if t >= self.duration_s:
            self.status = Status.DONE
        if t < self.approach_s:
            x = t / self.approach_s
            begin = self._begin[self.joints]
            return np.asarray(begin + x * x * (3.0 - 2.0 * x) * (self._first - begin))
        if self._curve is None:
            return np.asarray(self._first.copy())
        last = float(self._curve.x[-1])
        return np.asarray(self._curve(min(self._from + (t - self.approach_s) / self.slower, last)))

    def step(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Array:
        """Position targets (n,) rad of all joints: those not named stay where they were."""
        del senses, up, wanted
        out = self._begin.copy()
        out[self.joints] = self.at(now)
        return np.asarray(out)

    def _pace(self, t: JointTrajectory, limits: Limits) -> float:
        """How many times slower it must be; raises TrajectoryRefused above `SLOWEST`."""
        assert self._curve is not None
        inside = np.linspace(0.0, 1.0, DENSE, endpoint=False)
        times = np.concatenate([(t.times[:-1, None] + np.diff(t.times)[:, None] * inside).ravel(), t.times[-1:] - 1e-9])
        speed, acceleration = (np.abs(self._curve(times, order)) for order in (1, 2))
        needed = np.maximum(speed / limits.rate_max, np.sqrt(acceleration / limits.acceleration_max))
        k, j = np.unravel_index(int(np.argmax(needed)), needed.shape)
        worst = float(needed[k, j])
        if worst > SLOWEST:
            raise TrajectoryRefused(
                f"{t.names[j]} at {times[k]:.2f} s has {speed[k, j]:.3g} rad/s and {acceleration[k, j]:.3g} rad/s^2;"
                f" {limits.rate_max:g} and {limits.acceleration_max:g} are the limits, and it would have to be"
                f" {worst:.1f} times slower ({SLOWEST:g} at most)"
            )
        return float(max(1.0, worst))


def _check_positions(t: JointTrajectory, lower: Array, upper: Array) -> None:
    over = np.maximum(lower - t.positions, t.positions - upper)
    k, j = np.unravel_index(int(np.argmax(over)), over.shape)
    if over[k, j] > 1e-9:
        where = f"{t.names[j]} at {t.times[k]:.2f} s is {t.positions[k, j]:.3g} rad"
        raise TrajectoryRefused(f"{where}; {lower[j]:g} to {upper[j]:g} is its range")


def _curve(t: JointTrajectory) -> CubicHermiteSpline:
    """Through all points without overshoot (Fritsch and Carlson), at rest at both ends."""
    slopes = PchipInterpolator(t.times, t.positions).derivative()(t.times)
    slopes[[0, -1]] = 0.0
    return CubicHermiteSpline(t.times, t.positions, slopes)

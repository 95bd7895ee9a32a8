"""Motions by keyframes: postures of the robot's file, played one after the other inside the servos' limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from giljabi.types import Array
from giljabi.walking.behaviours.words import Word
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.postures import posture_at
from giljabi.walking.walker_file import Keyframe, WalkerFile

PEAK = 1.5  # greatest speed of the blend from 0 to 1 in 1 s
SHARE = 0.8  # of the servos' rate_max that a motion uses at most


class Status(Word):
    """How far a behaviour is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Behaviour(Protocol):
    """One thing that the robot does: `step` until `status` says that it is over; no clock, no I/O."""

    name: str
    status: Status
    words: str  # what it does, or why it failed

    def step(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Array:
        """Position targets (n,) rad. now: s; gyro in the base's axes; up: (3,) the world's z there; the command."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Keyframes with all joints filled in."""

    name: str
    joints: Array  # (k, n) rad
    seconds: Array  # (k,)


class KeyframePlayer:
    """Plays a motion from where the joints are; each keyframe begins and ends at rest."""

    def __init__(self, motion: Motion, begin: Array, rate_max: float) -> None:
        """begin: (n,) rad, where the joints are; rate_max: rad/s of the servos."""
        self.name, self.status, self.words = motion.name, Status.RUNNING, motion.name
        self._way = np.concatenate([begin[None], motion.joints])
        reach = np.abs(np.diff(self._way, axis=0)).max(axis=1)
        least = PEAK * reach / (SHARE * rate_max)
        self._ends = np.cumsum(np.maximum(motion.seconds, least))
        self._start: float | None = None

    @property
    def duration_s(self) -> float:
        """How long the whole motion takes."""
        return float(self._ends[-1])

    def step(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Array:
        """Position targets (n,) rad."""
        del senses, up, wanted
        self._start = now if self._start is None else self._start
        t = now - self._start
        k = int(np.searchsorted(self._ends, t, side="right"))
        if k >= len(self._ends):
            self.status = Status.DONE
            return np.asarray(self._way[-1].copy())
        begin = self._ends[k - 1] if k else 0.0
        x = (t - begin) / (self._ends[k] - begin)
        blend = x * x * (3.0 - 2.0 * x)
        return np.asarray(self._way[k] + blend * (self._way[k + 1] - self._way[k]))


class Motions:
    """All motions of a robot's file, checked against its joints."""

    def __init__(self, file: WalkerFile, kinematics: Kinematics) -> None:
        """Raises BadInputError with file and line of a joint that does not exist or a posture out of its limits."""
        b, g = file.walker.behaviours, file.walker.gait
        self._file, self._k = file, kinematics
        self.joint_names, self.rate_max = kinematics.joint_names, file.walker.servos.rate_max
        self.lower, self.upper = kinematics.lower, kinematics.upper
        self._index = {name: i for i, name in enumerate(kinematics.joint_names)}
        self._mirror = self._mirrored(b.mirror)
        self.stand = posture_at(file, g.height, "height")
        self.squat = posture_at(file, g.height_low, "height_low")
        self.stand_up: dict[str, Motion] = {}
        if b.stand_up is not None:
            for side in ("prone", "supine", "left", "right"):
                frames = getattr(b.stand_up, side)
                if frames:
                    self.stand_up[side] = self.compile(f"stand_up.{side}", frames, "stand_up", side)
        self.kneel = self.compile("kneel", b.kneel, "kneel") if b.kneel else None
        self.sit = self.compile("sit", b.sit, "sit") if b.sit else None
        self.look: dict[str, int] = {}
        for axis, joint in b.look.items():
            self.look[axis] = self._joint(joint, "look", axis)

    def compile(self, name: str, frames: Sequence[Keyframe], *key: str) -> Motion:
        """Keyframes as a motion; what none of them names stands as in the posture `stand`."""
        posture, rows = self.stand.copy(), []
        for i, frame in enumerate(frames):
            at: tuple[str | int, ...] = (*key, i)
            if frame.posture is not None:
                posture = (self.stand if frame.posture == "stand" else self.squat).copy()
            for joint, angle in frame.joints.items():
                self._put(posture, joint, angle, at)
            rows.append(posture.copy())
        return Motion(name, np.array(rows), np.array([f.seconds for f in frames]))

    def to_stand(self, seconds: float) -> Motion:
        """Straight to the posture `stand`."""
        return Motion("stand", self.stand[None], np.array([seconds]))

    def _put(self, posture: Array, joint: str, angle: float, at: tuple[str | int, ...]) -> None:
        i = self._joint(joint, *at, "joints", joint)
        moved = [(i, angle)]
        if i in self._mirror:
            other, sign = self._mirror[i]
            moved.append((other, sign * angle))
        for j, value in moved:
            low, high = float(self._k.lower[j]), float(self._k.upper[j])
            if not low - 1e-9 <= value <= high + 1e-9:
                name = self._k.joint_names[j]
                what = f"{name} at {value:g} rad is outside its range; {low:g} to {high:g} is expected"
                raise self._error(what, *at, "joints", joint)
            posture[j] = value

    def _mirrored(self, mirror: dict[str, str]) -> dict[int, tuple[int, float]]:
        out = {}
        for joint, other in mirror.items():
            sign = -1.0 if other.startswith("-") else 1.0
            out[self._joint(joint, "mirror", joint)] = (self._joint(other.removeprefix("-"), "mirror", joint), sign)
        return out

    def _joint(self, name: str, *at: str | int) -> int:
        if name not in self._index:
            raise self._error(f"no joint is called '{name}'; one of `joints` is expected", *at)
        return self._index[name]

    def _error(self, what: str, *at: str | int) -> Exception:
        return self._file.file.error(("behaviours", *at), what)

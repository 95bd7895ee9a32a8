"""The estimator step: samples in any order within a short window, odometry at `now`.

Error-state Kalman filter (C++, `giljabi._core.estimation`) over whatever the platform has: IMU, part of one or none,
GNSS, compass, wheels, log. See docs/estimation.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from giljabi._core import estimation as core
from giljabi.estimation.checks import fault
from giljabi.estimation.fusion import GIVE_UP_S, UNKNOWN_YAW_STD, Fusion, Memory
from giljabi.estimation.options import EskfOptions, speed_lost
from giljabi.frames import LocalFrame
from giljabi.platform import Platform
from giljabi.steps import LOST
from giljabi.types import Detections, GeoDetections, Imu, Odometry, Origin, Sample, Scan

FUTURE_S = 0.5  # a stamp further ahead than this is refused; a nearer one waits for its time


@dataclass(slots=True)
class _Done:
    """A fused sample and the state after it."""

    sample: Sample
    after: tuple[core.Eskf, Memory]
    reason: str


class EskfEstimator:
    """`steps.Estimator` by an error-state Kalman filter."""

    def __init__(self, platform: Platform) -> None:
        self._options = platform.options(EskfOptions, "steps", "estimator")
        self._fusion = Fusion(platform, self._options)
        self._required_imu = self._fusion.mounting.required("imu")
        self._fix_timeout = self._fusion.mounting.timeout("gnss", 2.0)
        self._speed_lost_s, self._speed_std_max = speed_lost(self._options, platform.model.limits)
        self._waiting: list[Sample] = []
        self._done: deque[_Done] = deque()
        self._before: tuple[core.Eskf, Memory] = self._fusion.save()
        self._scratch = core.Eskf()
        self._now = -math.inf
        self.accepted: dict[str, int] = {}
        self.rejected: dict[str, dict[str, int]] = {}  # source → reason → count

    @property
    def origin(self) -> Origin | None:
        """Origin of map: set by the first good fix, or given before it; fixed afterwards."""
        return self._fusion.frame.origin if self._fusion.frame else None

    @origin.setter
    def origin(self, origin: Origin | None) -> None:
        if origin == self.origin:
            return
        if self._fusion.frame is not None or origin is None:
            raise ValueError("the origin of map is set and cannot change")
        self._fusion.frame = LocalFrame(origin)

    def place(self, kind: str, source: str) -> None:
        """A source (a recorder) that the platform file does not list: its samples are in base_link."""
        self._fusion.mounting.place(kind, source)

    def step(self, now: float, samples: Sequence[Sample]) -> Odometry | None:
        """Fuses samples up to `now`; odometry predicted to `now`, None until the first good fix.

        Never raises on bad samples: they are refused and counted in `rejected`.
        """
        if not math.isfinite(now) or now < self._now:
            self._count("step", "now not finite or going back")
            return None
        self._now = now
        for s in samples:
            if isinstance(s, (Detections, GeoDetections, Scan)) or (isinstance(s, Imu) and s.tilt and not s.inertial):
                continue  # the filter levels itself by the specific force
            reason = fault(s)
            if not reason and s.t > now + FUTURE_S:
                reason = "stamp in the future"
            if reason:
                self._count(s.source, reason)
            else:
                self._waiting.append(s)
        self._waiting.sort(key=lambda s: s.t)  # stable: equal stamps keep the order of arrival
        due = [s for s in self._waiting if s.t <= now]
        self._waiting = self._waiting[len(due) :]
        for s in due:
            self._take(s)
        self._forget(now - self._options.window_s)
        return self._odometry(now)

    # --- order of stamps ---

    def _take(self, s: Sample) -> None:
        t = self._fusion.memory.t
        if s.t >= t:
            self._fuse(s)
            return
        if s.t < self._oldest():
            self._count(s.source, "too late")
            return
        # Roll back to the state before the stamp, fuse, and fuse again what came after.
        again: list[Sample] = []
        while self._done and self._done[-1].sample.t > s.t:
            done = self._done.pop()
            self._count(done.sample.source, done.reason, -1)
            again.append(done.sample)
        self._fusion.load(self._done[-1].after if self._done else self._before)
        for late in [s, *reversed(again)]:
            self._fuse(late)

    def _fuse(self, s: Sample) -> None:
        reason = self._fusion.apply(s)
        if not self._fusion.filter.finite():  # cannot happen with checked input; if it does, start anew
            self._fusion.memory = Memory(t=s.t)
            reason = "numerical failure"
        self._count(s.source, reason)
        self._done.append(_Done(s, self._fusion.save(), reason))

    def _oldest(self) -> float:
        return max(self._before[1].t, self._now - self._options.window_s)

    def _forget(self, before: float) -> None:
        while self._done and self._done[0].sample.t < before:
            self._before = self._done.popleft().after

    def _count(self, source: str, reason: str, n: int = 1) -> None:
        if not reason:
            self.accepted[source] = self.accepted.get(source, 0) + n
            return
        reasons = self.rejected.setdefault(source, {})
        reasons[reason] = reasons.get(reason, 0) + n
        if reasons[reason] == 0:
            del reasons[reason]

    # --- output ---

    def _odometry(self, now: float) -> Odometry | None:
        m = self._fusion.memory
        if not m.initialised or now - m.t > GIVE_UP_S:
            return None
        f, u = self._scratch, self._fusion.input()
        f.assign(self._fusion.filter)
        f.predict(now - m.t, u)
        pose_cov, twist_cov = f.pose_cov, f.twist_cov(u)
        place, speed = self._fusion.drift(now)
        pose_cov[[0, 1], [0, 1]] += place**2
        twist_cov[[0, 1], [0, 1]] += speed**2
        if not m.aligned:
            pose_cov[5, :5] = pose_cov[:5, 5] = 0.0
            pose_cov[5, 5] = UNKNOWN_YAW_STD**2
            # base_link is somewhere around the antenna.
            around = self._fusion.mounting.lever("gnss", "gnss")[:2]
            pose_cov[[0, 1], [0, 1]] += float(around @ around)
        return Odometry(now, f.position, f.quaternion, f.velocity_body, f.rate(u), pose_cov, twist_cov)

    def health(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when the estimate may be used."""
        return dict(self._problems(now))

    def _problems(self, now: float) -> Iterator[tuple[str, str]]:
        m, o = self._fusion.memory, self._options
        if not m.initialised or now - m.t > GIVE_UP_S:
            yield (
                "position",
                "no good fix yet" if self.origin is None or m.t == -math.inf else "lost; waiting for a good fix",
            )
            return
        if now - m.fix_t > self._fix_timeout:
            yield "gnss", f"no usable fix for {now - m.fix_t:.1f} s"
        f = self._fusion.filter
        yield from self._lost(now)
        std = math.hypot(math.sqrt(float(np.max(np.diag(f.covariance)[:2]))), self._fusion.drift(now)[0])
        if std > o.position_std_max:
            yield "position", f"uncertain by {std:.0f} m; {o.position_std_max:.0f} m is the limit"
        if not m.aligned:
            yield "heading", f"unknown; a compass, or moving at {o.course_speed_min:.1f} m/s or more, gives it"
        elif f.yaw_std > o.heading_std_max:
            yield (
                "heading",
                f"uncertain by {math.degrees(f.yaw_std):.0f} deg; {math.degrees(o.heading_std_max):.0f} is the limit",
            )
        for source, run in m.equal.items():
            if run.frozen:
                yield "compass", f"'{source}' is frozen: {run.words(now)}; restart it or repair it"
        if self._required_imu and (m.imu is None or now - m.imu_t > self._fusion.imu_timeout):
            yield "imu", "silent" if m.imu_t == -math.inf else f"silent for {now - m.imu_t:.1f} s"
        for kind, streak in m.streaks.items():
            if streak.count >= 3:
                yield f"{kind} rejected", f"{streak.count} in a row for {streak.last_t - streak.first_t:.1f} s"

    def _lost(self, now: float) -> Iterator[tuple[str, str]]:
        """A speed that is nobody's measurement any more is no speed to stop by."""
        silent = now - self._fusion.memory.speed_t
        ahead = float(self._fusion.filter.twist_cov(self._fusion.input())[0, 0])
        std = math.hypot(math.sqrt(ahead), self._fusion.drift(now)[1])
        if silent > self._speed_lost_s:
            yield LOST, f"nothing has told the speed for {silent:.1f} s; {self._speed_lost_s:.1f} s is the limit"
        elif std > self._speed_std_max:
            yield LOST, f"speed is uncertain by {std:.1f} m/s; {self._speed_std_max:.1f} m/s is the limit"

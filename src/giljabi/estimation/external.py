"""An estimator that passes on the estimate of a device that has one (an autopilot), in map and with its health."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import Field

from giljabi.frames import LocalFrame, matrix_from_quat, quat_from_matrix
from giljabi.platform import Platform
from giljabi.steps import LOST
from giljabi.types import Array, ExternalOdometry, LocalOrigin, Odometry, Origin, Sample
from giljabi.yaml_file import Strict

FUTURE_S = 0.05  # a stamp further ahead is refused
POSITION_MAX, SPEED_MAX, RATE_MAX = 1e6, 600.0, 40.0  # m, m/s, rad/s: beyond what any device means


class ExternalOptions(Strict):
    """Options of `steps.estimator` when its kind is `external`."""

    timeout_s: float = Field(default=0.3, gt=0, le=2.0, description="an older estimate of the device is not used")
    jump_m: float = Field(default=3.0, gt=0, description="a position that moves further than its speed explains")
    jump_hold_s: float = Field(default=1.0, ge=0, description="how long such a jump is a reason not to arm")


class ExternalEstimator:
    """`steps.Estimator`: the newest sample, moved on to `now` by its own velocity."""

    def __init__(self, platform: Platform) -> None:
        self._options = platform.options(ExternalOptions, "steps", "estimator")
        self._frame: LocalFrame | None = None
        self._place: LocalOrigin | None = None
        self._offset: Array = np.zeros(3)
        self._turn: Array = np.eye(3)
        self._newest: ExternalOdometry | None = None
        self._jumped = -math.inf
        self.rejected: dict[str, dict[str, int]] = {}  # source -> reason -> count

    @property
    def origin(self) -> Origin | None:
        """Origin of map: given, or where the device's own frame begins; fixed afterwards."""
        return self._frame.origin if self._frame else None

    @origin.setter
    def origin(self, origin: Origin | None) -> None:
        if origin == self.origin:
            return
        if self._frame is not None or origin is None:
            raise ValueError("the origin of map is set and cannot change")
        self._frame = LocalFrame(origin)
        self._replace()

    def step(self, now: float, samples: Sequence[Sample]) -> Odometry | None:
        """Takes estimates and origins; odometry at `now`, None while there is no fresh one."""
        for s in samples:
            if isinstance(s, LocalOrigin):
                self._take_origin(s)
            elif isinstance(s, ExternalOdometry):
                reason = self._take(now, s)
                if reason:
                    reasons = self.rejected.setdefault(s.source, {})
                    reasons[reason] = reasons.get(reason, 0) + 1
        newest = self._newest
        if newest is None or self._place is None or now - newest.t > self._options.timeout_s:
            return None
        return self._odometry(now, newest)

    def health(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when the estimate may be used."""
        return dict(self._problems(now))

    def _problems(self, now: float) -> Iterator[tuple[str, str]]:
        s = self._newest
        if s is None:
            yield "position", "the device has sent no estimate yet"
        elif self._place is None:
            yield "position", "the device has not told where its own frame begins"
        elif now - s.t > self._options.timeout_s:
            yield LOST, f"the device's own estimate is {now - s.t:.1f} s old"
        elif now - self._jumped < self._options.jump_hold_s:
            yield "position", "the device's own estimate has jumped"

    def _take_origin(self, s: LocalOrigin) -> None:
        if self._place is not None and (s.lat_deg, s.lon_deg, s.alt_m) == (
            self._place.lat_deg, self._place.lon_deg, self._place.alt_m,
        ):  # fmt: skip
            return
        self._place = s
        if self._frame is None:
            self._frame = LocalFrame(Origin(s.lat_deg, s.lon_deg, s.alt_m))
        self._replace()

    def _replace(self) -> None:
        """Where the device's frame stands in map."""
        if self._frame is None or self._place is None:
            return
        p = self._place
        self._offset = self._frame.map_from_geodetic(p.lat_deg, p.lon_deg, p.alt_m)
        self._turn = self._frame.R_map_enu(p.lat_deg, p.lon_deg)

    def _take(self, now: float, s: ExternalOdometry) -> str:
        """Keeps the newest; returns why not, or an empty text."""
        last = self._newest
        checks = (
            ("stamp in the future", not s.t <= now + FUTURE_S),
            ("not finite or absurd", not _sane(s)),
            ("older than the one before", last is not None and s.t < last.t),
        )
        for reason, bad in checks:
            if bad:
                return reason
        if last is not None and 0.0 < s.t - last.t < 1.0:
            gone = float(np.linalg.norm(s.position - last.position - last.velocity * (s.t - last.t)))
            if gone > self._options.jump_m:
                self._jumped = s.t
        self._newest = s
        return ""

    def _odometry(self, now: float, s: ExternalOdometry) -> Odometry:
        ahead = max(now - s.t, 0.0)
        position = self._offset + self._turn @ (s.position + ahead * s.velocity)
        R_enu_base = matrix_from_quat(s.quaternion)
        q = quat_from_matrix(self._turn @ R_enu_base)
        velocity = R_enu_base.T @ s.velocity
        pose_cov = np.diag([s.position_std**2] * 3 + [s.attitude_std**2] * 3)
        twist_cov = np.diag([s.velocity_std**2] * 3 + [s.attitude_std**2] * 3)
        return Odometry(max(now, s.t), position, q, velocity, s.angular_velocity, pose_cov, twist_cov)


def _sane(s: ExternalOdometry) -> bool:
    """Finite, a rotation, and within what any device means; NaN compares false."""
    stds = (s.position_std, s.velocity_std, s.attitude_std)
    return (
        all(0.0 < v < 1e3 for v in stds)
        and bool(np.all(np.abs(s.position) < POSITION_MAX))
        and bool(np.all(np.abs(s.velocity) < SPEED_MAX))
        and bool(np.all(np.abs(s.angular_velocity) < RATE_MAX))
        and 0.99 < float(np.linalg.norm(s.quaternion)) < 1.01
    )

"""One planning instant: the reference along the line, the corridor and the tracks, and the check of a plan."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.models import ModelAdapter, Motion
from giljabi.planning.obstacles import Obstacles, clearance
from giljabi.planning.options import Settings
from giljabi.planning.progress import give_way_ceiling, predict_progress
from giljabi.planning.route import LinePoints, SmoothRoute
from giljabi.platform import Footprint
from giljabi.types import Array

OPEN = 1.0e4  # m, half width of what has no edge


@dataclass(frozen=True, slots=True)
class Strip:
    """Corridor of the footprint's centre per stage (k,): point, normal to the left, room to both sides.

    outside: (k,) m by which the footprint leaves the corridor, negative where room is left; offset: (k,) m of
    base_link to the left of the line.
    """

    centre: Array  # (k, 2)
    normal: Array  # (k, 2)
    left: Array  # (k,) m
    right: Array  # (k,) m
    outside: Array
    offset: Array


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a plan may be sent, and what stands against it."""

    deficit: float  # m by which a margin is missed within the checked time; <= 0: safe
    reason: str  # track or corridor with the largest deficit
    total: float  # sum over the whole horizon of what is missed, in units of the margin


class Scene:
    """What all candidate plans of one instant share."""

    def __init__(
        self, line: SmoothRoute, model: ModelAdapter, footprint: Footprint, settings: Settings, times: Array, x0: Array
    ) -> None:
        self.line, self.model, self.footprint, self.settings, self.times, self.x0 = (
            line,
            model,
            footprint,
            settings,
            times,
            x0,
        )
        x = np.array([-0.5, 0.5, 0.5, -0.5]) * footprint.length + footprint.centre_x
        y = np.array([-0.5, -0.5, 0.5, 0.5]) * footprint.width
        self._corner_x, self._corner_y = x[:, None], y[:, None]

    def progress(self, s: float, stop_at: float, ceiling: Array | None = None) -> tuple[Array, Array, Array]:
        """(s, v, a) over the stages from the start state."""
        limits = self.settings.route
        return predict_progress(
            self.line, s, float(self.x0[3]), self.times, limits.acceleration, limits.deceleration, stop_at, ceiling
        )

    def stopping(self, s: float, deceleration: float) -> tuple[Array, Array, Array]:
        """(s, v, a) over the stages when braking at once."""
        v0 = max(float(self.x0[3]), 0.0)
        t = np.minimum(self.times, v0 / deceleration)
        v = v0 - deceleration * t
        return s + v0 * t - 0.5 * deceleration * t * t, v, np.where(v > 0.0, -deceleration, 0.0)

    def reference(
        self, progress: tuple[Array, Array, Array], offset: Array | None = None
    ) -> tuple[Array, LinePoints, Array]:
        """Solver states (k, nx), the line, and s there; `offset` (k,) m shifts them to the left."""
        s, v, a = progress
        p = self.line.at(s)
        xy, yaw = p.xy, p.yaw
        if offset is not None:
            normal = np.stack([-np.sin(p.yaw), np.cos(p.yaw)], axis=1)
            xy = xy + offset[:, None] * normal
            run = np.gradient(s)
            yaw = yaw + np.arctan2(np.gradient(offset), np.maximum(run, 0.1 * np.max(run, initial=0.0) + 1e-3))
        return self.model.reference(Motion(xy, yaw, v, a, p.curvature * v)), p, s

    def follow(self, x: Array, near: Array) -> tuple[Array, LinePoints, Array]:
        """s (k,), line and offset to the left (k,) of positions x (k, nx) whose s is near `near`."""
        s = near
        for _ in range(2):
            p = self.line.at(s)
            r = x[:, :2] - p.xy
            along = r[:, 0] * np.cos(p.yaw) + r[:, 1] * np.sin(p.yaw)
            across = -r[:, 0] * np.sin(p.yaw) + r[:, 1] * np.cos(p.yaw)
            s = s + along / np.maximum(1.0 - p.curvature * across, 0.5)
        p = self.line.at(s)
        r = x[:, :2] - p.xy
        return s, p, -r[:, 0] * np.sin(p.yaw) + r[:, 1] * np.cos(p.yaw)

    def strip(self, x: Array, near: Array) -> Strip:
        """The corridor around a plan x (k, nx)."""
        _, p, d = self.follow(x, near)
        turned = x[:, 2] - p.yaw
        c, s = np.cos(turned), np.sin(turned)
        along = c * self._corner_x - s * self._corner_y
        across = s * self._corner_x + c * self._corner_y - 0.5 * p.curvature * along**2
        high, low = np.max(across, axis=0), np.min(across, axis=0)
        outside = np.maximum(d + high - p.left, -d - low - p.right)
        # The solver's corridor is a straight band for the centre, laid along the line abreast of it.
        ahead = self.footprint.centre_x
        middle = s * ahead - 0.5 * p.curvature * (c * ahead) ** 2
        bend = 0.5 * p.curvature * (c * ahead) ** 2
        margin = self.settings.corridor_margin
        left = np.minimum(p.left - (high - middle) - margin, OPEN) + bend
        right = np.minimum(p.right - (middle - low) - margin, OPEN) - bend
        # Narrower than the vehicle: the middle is all that is left.
        shift, half = 0.5 * (left - right), np.maximum(0.5 * (left + right), 0.0)
        normal = np.stack([-np.sin(p.yaw), np.cos(p.yaw)], axis=1)
        return Strip(p.xy, normal, shift + half, half - shift, outside, d)

    def conflicts(self, x: Array, obstacles: Obstacles) -> Array:
        """(n, k) m: room between footprint and each track beyond the solver's margin; negative is a conflict."""
        return clearance(obstacles, x[:, :2], x[:, 2], self.footprint) - obstacles.margin

    def place(self, obstacles: Obstacles, near: Array) -> tuple[Array, Array, Array, Array]:
        """(s, offset, along, across), each (n, k): where tracks with their margin lie on the line."""
        n, k = obstacles.centre.shape[:2]
        s, d, along, across = (np.empty((n, k)) for _ in range(4))
        for j in range(n):
            # A track anywhere on the line ahead: coarse search over the horizon first.
            ahead = np.linspace(near[0], near[-1] + 2.0 * self.footprint.length, 40)
            p = self.line.at(ahead)
            gap = np.hypot(obstacles.centre[j, :, 0, None] - p.xy[:, 0], obstacles.centre[j, :, 1, None] - p.xy[:, 1])
            s[j], at, d[j] = self.follow(obstacles.centre[j], ahead[np.argmin(gap, axis=1)])
            turned = obstacles.yaw[j] - at.yaw
            c, t = np.abs(np.cos(turned)), np.abs(np.sin(turned))
            long, wide = obstacles.half[j]
            along[j] = long * c + wide * t + obstacles.radius[j] + obstacles.margin[j]
            across[j] = long * t + wide * c + obstacles.radius[j] + obstacles.margin[j]
        return s, d, along, across

    def ceiling(self, placed: tuple[Array, Array, Array, Array], s_now: float) -> Array:
        """(k,) m: where base_link must stay behind to give way to every track on the line ahead."""
        front = self.footprint.centre_x + 0.5 * self.footprint.length
        return give_way_ceiling(*placed, s_now, front, 0.5 * self.footprint.width)

    def check(self, x: Array, near: Array, obstacles: Obstacles, strip: Strip | None = None) -> Verdict:
        """Exact footprints against predicted tracks and corridor at the stages of a plan x (k, nx).

        What is already closer than its margin now may stay as close, not come closer.
        """
        soon = self.times <= self.settings.check_s
        worst, reason, total = -math.inf, "", 0.0
        room = clearance(obstacles, x[:, :2], x[:, 2], self.footprint)
        if len(room):
            keep = self.settings.margins.clearance + obstacles.sigma
            need = np.minimum(keep, room[:, 0] - 0.02 * keep)[:, None]
            missed = need - room
            total += float(np.sum(np.maximum(missed, 0.0) / np.maximum(keep[:, None], 0.1)))
            each = np.max(missed[:, soon], axis=1)
            j = int(np.argmax(each))
            worst, reason = float(each[j]) - 0.01 * float(keep[j]), f"track {obstacles.ids[j]}"
        outside = (strip or self.strip(x, near)).outside
        allowed = max(0.0, float(outside[0]) + 0.05)
        missed_edge = outside - allowed
        total += float(np.sum(np.maximum(missed_edge, 0.0) / self.footprint.width))
        edge = float(np.max(missed_edge[soon]))
        if edge > worst:
            worst, reason = edge, "the corridor's edge"
        return Verdict(worst, reason, total)

"""Tracks as the planner sees them: discs for the solver, exact clearance for the check, which side a plan passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from giljabi.platform import Footprint
from giljabi.types import TRACK_FIELDS, Array, Kind, Tracks

VX, YAW, LENGTH, ID, KIND, VARIANCE = (TRACK_FIELDS.index(n) for n in ("vx", "yaw", "length", "id", "kind", "variance"))
Mask: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.intp]

FAR = 1.0e4  # m, where unused discs are put
WASTE = 0.06  # share by which covering discs may be wider than the body they cover


@dataclass(frozen=True, slots=True)
class Margins:
    """How far to keep away; SI."""

    clearance: float  # m between footprints, checked on every plan
    extra: float  # m the solver aims beyond that
    growth: float  # m/s by which a moving track's margin grows over the horizon
    growth_max: float  # m
    sigmas: float  # how many standard deviations of a track's position are kept free
    sigma_max: float  # m, most that is kept free for them
    unknown_size: float  # m, length and width of a track that has none
    still: float  # m/s below which a track is taken to stand; its course is noise


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Predicted tracks over the stages: n tracks, k stages.

    centre: (n, k, 2) m map; yaw: (n,) rad; half: (n, 2) m half length and half width, to which `radius` (n,) m is
    added all around (a body of unknown heading is a point with a radius); velocity: (n, 2) m/s;
    margin: (n, k) m beyond the bodies, for the solver; sigma: (n,) m of position kept free in the check too.
    """

    ids: tuple[int, ...]
    centre: Array
    yaw: Array
    half: Array
    radius: Array
    velocity: Array
    margin: Array
    sigma: Array
    moving: Mask  # (n,)
    skipped: int = 0  # rows without a usable position


def predict(tracks: Tracks | None, now: float, times: Array, margins: Margins) -> Obstacles:
    """Constant-velocity prediction of tracks at now + times (k,); rows with a non-finite position are counted."""
    none = np.zeros((0, len(TRACK_FIELDS)))
    data = none if tracks is None else np.asarray(tracks.data, dtype=np.float64).reshape(-1, len(TRACK_FIELDS))
    usable = np.all(np.isfinite(data[:, :2]), axis=1)
    skipped = int(np.sum(~usable))
    data = data[usable]
    velocity = np.nan_to_num(data[:, VX : VX + 2], nan=0.0, posinf=0.0, neginf=0.0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    velocity[(speed < margins.still) | (data[:, KIND] == Kind.STATIC.value)] = 0.0
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    size = data[:, LENGTH : LENGTH + 2].copy()
    size[~np.isfinite(size) | (size <= 0.0)] = margins.unknown_size
    course = np.arctan2(velocity[:, 1], velocity[:, 0])
    blind = ~np.isfinite(data[:, YAW])
    yaw = np.where(blind, course, np.nan_to_num(data[:, YAW]))
    half = 0.5 * size
    # Neither heading nor course: round, as large as it may be whichever way it lies.
    lost = blind & (speed == 0.0)
    radius = np.where(lost, np.hypot(half[:, 0], half[:, 1]), 0.0)
    half[lost] = 0.0
    # Capped, or a track that coasts beside the vehicle would push it off the road.
    spread = np.sqrt(np.maximum(np.nan_to_num(data[:, VARIANCE], nan=0.0, posinf=np.inf), 0.0))
    sigma = np.minimum(margins.sigmas * spread, margins.sigma_max)
    ahead = (now - (tracks.t if tracks is not None else now)) + times
    centre = data[:, None, :2] + velocity[:, None, :] * ahead[None, :, None]
    grown = (
        np.minimum(margins.growth * np.maximum(ahead, 0.0), margins.growth_max)[None, :]
        * np.minimum(speed, 1.0)[:, None]
    )
    margin = margins.clearance + margins.extra + sigma[:, None] + grown
    ids = tuple(int(i) if math.isfinite(i) else -1 - k for k, i in enumerate(data[:, ID]))
    return Obstacles(ids, centre, yaw, half, radius, velocity, margin, sigma, speed > 0.0, skipped)


def discs(obstacles: Obstacles, yaw: Array, footprint: Footprint, most: int = 4) -> tuple[Array, Array]:
    """Discs (m, k, 2) and radii (m, k) which the footprint's centre, heading yaw (k,), must stay out of.

    Each track's rectangle is summed with the vehicle's (Minkowski) and covered along its longer axis by the
    fewest discs that waste little width, at most `most`.
    """
    k = len(yaw)
    centres, radii = [], []
    e = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    own = (0.5 * footprint.length, 0.5 * footprint.width)
    for j in range(len(obstacles.ids)):
        f = np.array([math.cos(obstacles.yaw[j]), math.sin(obstacles.yaw[j])])
        other = (float(obstacles.half[j, 0]), float(obstacles.half[j, 1]))
        margin = obstacles.margin[j] + obstacles.radius[j]
        # Along whichever axis the sum is slimmest: the track's, across it, or the vehicle's.
        best = np.full((3, k), np.inf)
        direction = np.zeros((k, 2))
        for axis in (np.tile(f, (k, 1)), np.tile([-f[1], f[0]], (k, 1)), e):
            length = _extent(axis, e, own) + _extent(axis, f[None], other)
            across = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
            width = _extent(across, e, own) + _extent(across, f[None], other)
            slim = np.hypot(width, length / most)
            better = slim < best[0]
            best[:, better] = np.stack([slim, length, width])[:, better]
            direction[better] = axis[better]
        _, length, width = best
        n = most
        for n in range(1, most + 1):
            tight = width + margin
            if np.max((np.hypot(width, length / n) + margin - tight) / tight) <= WASTE:
                break
        for i in range(n):
            centres.append(obstacles.centre[j] + ((2 * i + 1) / n - 1.0) * length[:, None] * direction)
            radii.append(np.hypot(width, length / n) + margin)
    if not centres:
        return np.zeros((0, k, 2)), np.zeros((0, k))
    return np.array(centres), np.array(radii)


def _extent(axis: Array, heading: Array, half: tuple[float, float]) -> Array:
    """Half extent (k,) along axis (k, 2) of a rectangle with a heading (k, 2) or (1, 2)."""
    c = np.abs(np.sum(axis * heading, axis=1))
    s = np.abs(axis[:, 0] * heading[:, 1] - axis[:, 1] * heading[:, 0])
    return np.asarray(half[0] * c + half[1] * s)


def nearest(centres: Array, radii: Array, guess: Array, slots: int) -> tuple[Array, Array]:
    """The `slots` discs nearest to guess (k, 2) at each stage: (slots, k, 2), (slots, k); unused ones are far away."""
    k = len(guess)
    out_c = np.empty((slots, k, 2))
    out_c[:] = guess + FAR
    out_r = np.ones((slots, k))
    m = len(centres)
    if m <= slots:
        out_c[:m], out_r[:m] = centres, radii
        return out_c, out_r
    gap = np.hypot(centres[..., 0] - guess[:, 0], centres[..., 1] - guess[:, 1]) - radii
    chosen = np.sort(np.argpartition(gap, slots - 1, axis=0)[:slots], axis=0)
    stage = np.arange(k)
    return centres[chosen, stage], radii[chosen, stage]


def clearance(obstacles: Obstacles, position: Array, yaw: Array, footprint: Footprint) -> Array:
    """Distance (n, k) m between the footprint at position (k, 2), yaw (k,) and each track; negative: overlap depth."""
    n = len(obstacles.ids)
    if n == 0:
        return np.full((0, len(yaw)), np.inf)
    e = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    own = np.array([0.5 * footprint.length, 0.5 * footprint.width])
    middle = position + footprint.centre_x * e
    f = np.stack([np.cos(obstacles.yaw), np.sin(obstacles.yaw)], axis=1)
    r = obstacles.centre - middle[None]
    own_xy = _turn(r, e[None], -1.0)  # track's centre in the vehicle's axes
    other_xy = _turn(-r, f[:, None], -1.0)  # vehicle's centre in the track's axes
    relative = _turn(f[:, None], e[None], -1.0)  # track's axis in the vehicle's axes
    c, s = np.abs(relative[..., 0]), np.abs(relative[..., 1])
    a, b = obstacles.half[:, 0, None], obstacles.half[:, 1, None]
    gaps = np.stack(
        [
            np.abs(own_xy[..., 0]) - own[0] - (a * c + b * s),
            np.abs(own_xy[..., 1]) - own[1] - (a * s + b * c),
            np.abs(other_xy[..., 0]) - a - (own[0] * c + own[1] * s),
            np.abs(other_xy[..., 1]) - b - (own[0] * s + own[1] * c),
        ]
    )
    separation = np.max(gaps, axis=0)
    flipped = relative * np.array([1.0, -1.0])  # vehicle's axis in the track's axes
    near = np.minimum(
        _corners(own_xy, relative, (a, b), (own[0], own[1])), _corners(other_xy, flipped, (own[0], own[1]), (a, b))
    )
    return np.asarray(np.where(separation > 0.0, near, separation) - obstacles.radius[:, None])


def _turn(v: Array, axis: Array, sign: float) -> Array:
    """v rotated by sign times the angle of the unit vector axis."""
    x = v[..., 0] * axis[..., 0] - sign * v[..., 1] * axis[..., 1]
    y = v[..., 1] * axis[..., 0] + sign * v[..., 0] * axis[..., 1]
    return np.stack([x, y], axis=-1)


def _corners(
    centre: Array, axis: Array, half: tuple[Array | float, Array | float], box: tuple[Array | float, Array | float]
) -> Array:
    """Least distance from the corners of a rectangle (centre, axis, half) to an upright box about the origin."""
    best = np.full(centre.shape[:-1], np.inf)
    for i in (-1.0, 1.0):
        for j in (-1.0, 1.0):
            x = centre[..., 0] + i * half[0] * axis[..., 0] - j * half[1] * axis[..., 1]
            y = centre[..., 1] + i * half[0] * axis[..., 1] + j * half[1] * axis[..., 0]
            dx = np.maximum(np.abs(x) - box[0], 0.0)
            dy = np.maximum(np.abs(y) - box[1], 0.0)
            best = np.minimum(best, np.hypot(dx, dy))
    return np.asarray(best)


def passing(obstacles: Obstacles, position: Array, times: Array) -> Array:
    """Miss distance (n,) [m] at the nearest stage of a plan (k, 2), signed by the way its bearing turns in map.

    Positive: the track goes by on the vehicle's port side, ahead to port to astern (or crosses ahead from starboard).
    """
    own = np.gradient(position, times, axis=0)
    r = obstacles.centre - position[None]
    nearest_stage = np.argmin(np.sum(r * r, axis=2), axis=1)
    j = np.arange(len(r))
    r, rate = r[j, nearest_stage], obstacles.velocity - own[nearest_stage]
    across = r[:, 0] * rate[:, 1] - r[:, 1] * rate[:, 0]
    return np.asarray(across / np.maximum(np.hypot(rate[:, 0], rate[:, 1]), 0.05))

"""The judge: outcome, figures and asserts of a run, from ground truth alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from giljabi.fence import Fence
from giljabi.types import Array
from giljabi_sim.expressions import Expression, Value
from giljabi_sim.geometry import disc, inside, polygon_distance
from giljabi_sim.truth import Body, Own
from giljabi_sim.world import World

TRUTH_SIGNALS = (
    "t", "x", "y", "height", "yaw_deg", "speed", "yaw_rate", "cross_track", "max_cross_track", "progress", "distance",
    "min_distance",
    "edge_margin", "min_edge_margin", "path", "outcome",
)  # fmt: skip
STACK_SIGNALS = ("armed", "mode", "phase", "doing", "step", "demand", "position_error", "heading_error_deg")
MOVING = 0.3  # m/s
STANDSTILL = 0.12  # m/s
MISSION_RADIUS = 1.5  # m, of the end of a mission
HEADING = 0.2  # rad, of a goal that has one
AT_HEIGHT = 0.3  # m from a route's last height, of a vehicle that flies
PATIENCE = 15.0  # s at standstill away from the goal until the outcome is `stopped`


@dataclass(slots=True)
class _AssertState:
    name: str
    expression: Expression
    by: float | None
    always: bool
    held: bool
    decided: bool = False
    evaluated: bool = False
    since: float = math.nan  # s, when it was decided
    seen: dict[str, Value] = field(default_factory=dict)  # signals then, else the newest

    @property
    def words(self) -> str:
        """What it asked for and what it saw."""
        text = self.expression.text
        if not self.evaluated:
            return f"{text}: never judged; nobody told its signals"
        seen = ", ".join(f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v!r}" for k, v in self.seen.items())
        if self.always:
            return f"{text}: true all the time" if self.held else f"{text}: false at {self.since:.2f} s ({seen})"
        if self.by is not None:
            if self.held:
                return f"{text}: true at {self.since:.2f} s, by {self.by:g} s expected"
            return f"{text}: not true by {self.by:g} s; last judged {seen}"
        return f"{text}: {'true' if self.held else 'false'} at the end ({seen})"


def edge_of(fence: Fence) -> Array | None:
    """Corners (n, 2) of a fence; None when only heights bound it."""
    if fence.centre is not None and fence.radius is not None:
        return disc(*fence.centre, fence.radius, 360)
    return np.array(fence.points) if fence.points else None


def beyond(fence: Fence, polygon: Array | None, corners: Array, height: float) -> bool:
    """Whether a body with these corners (n, 2) at a height above map's zero is where it must not be."""
    within = fence.height_min <= height <= fence.height_max
    if fence.keep_out:
        return within and polygon is not None and polygon_distance(corners, polygon) <= 0.0
    return not within or (polygon is not None and not all(inside(c, polygon) for c in corners))


@dataclass(slots=True)
class Judge:
    """Watches the world at its own rate and decides once."""

    world: World
    rate_hz: float = 20.0
    outcome: str = ""
    t_end: float = 0.0
    min_distance: float = math.inf
    min_edge_margin: float = math.inf
    max_cross_track: float = 0.0
    path: float = 0.0
    s: float = 0.0
    nearest: str = ""
    signals: dict[str, Value] = field(default_factory=dict)
    _square: float = 0.0
    _count: int = 0
    _last: tuple[float, float] | None = None
    _still_since: float | None = None
    _moved: bool = False
    _asserts: list[_AssertState] = field(default_factory=list)
    _radius: float = 0.0
    _flies: bool = False
    _moving: float = MOVING
    _still: float = STANDSTILL
    _floor: float = 0.0
    _top: float = 0.0  # m above it, the highest so far
    _lands: list[Any] = field(default_factory=list)
    _fences: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        scenario = self.world.scenario
        m = scenario.model
        known = frozenset({*TRUTH_SIGNALS, *STACK_SIGNALS, *self.world.own.feedback})
        for i, a in enumerate(m.asserts):
            e = Expression(a.expression)
            try:
                e.check_names(known)
            except ValueError as error:
                raise scenario.error(("asserts", i, "expression"), str(error)) from None
            self._asserts.append(_AssertState(a.name, e, a.by, a.always, a.always))
        own = self.world.own
        spec = m.route or m.goal or m.track
        default = 2.0 if self.world.route.closed else scenario.platform.model.footprint.length
        self._radius = (spec.arrival_radius if spec else MISSION_RADIUS) or default
        self.s = 0.0 if self.world.route.closed else self.world.line.project(own.x, own.y).s
        self._flies = bool(np.any(self.world.route.points[:, 2] != 0.0))
        self._floor = own.z  # where it stood, height 0 of the route
        top = scenario.platform.model.limits.speed_max
        self._moving, self._still = min(MOVING, 0.25 * top), min(STANDSTILL, 0.1 * top)
        self._lands = [np.array(p.points) for p in m.world.polygons if p.kind == "land"]
        self._fences = [(f, edge_of(f)) for f in (*scenario.platform.fences, *scenario.fences)]

    def look(self, stack: Mapping[str, Value] | None = None) -> str:
        """Judges the moment; returns the outcome, empty while the run goes on. stack: what it thinks, if known."""
        own, t = self.world.own, self.world.t
        place = self.world.line.project(own.x, own.y, self.s)
        self.s = place.s
        distance = self._distance(own)
        edge = self._edge_margin(own)
        self.min_distance = min(self.min_distance, distance)
        self.min_edge_margin = min(self.min_edge_margin, edge)
        self.max_cross_track = max(self.max_cross_track, abs(place.offset))
        if self._last is not None:
            self.path += math.hypot(own.x - self._last[0], own.y - self._last[1])
        self._last = (own.x, own.y)
        if own.speed > self._moving:
            self._moved = True
        if self._moved:
            self._square += place.offset**2
            self._count += 1
        outcome = self._outcome(t, own, distance, edge)
        self.signals = {
            "t": t, "x": own.x, "y": own.y, "height": own.z - self._floor,
            "yaw_deg": math.degrees(own.yaw), "speed": own.speed, "yaw_rate": own.yaw_rate,
            "cross_track": place.offset, "max_cross_track": self.max_cross_track,
            "progress": self.s / max(self.world.line.length, 1e-6), "distance": distance,
            "min_distance": self.min_distance,
            "edge_margin": edge, "min_edge_margin": self.min_edge_margin, "path": self.path, "outcome": outcome,
            **own.feedback, **(stack or {}),
        }  # fmt: skip
        self._evaluate(t, bool(outcome))
        if outcome:
            self.outcome, self.t_end = outcome, t
        return outcome

    def give_up(self) -> None:
        """The vehicle never departed."""
        self.outcome, self.t_end = "timeout", self.world.t

    def _outcome(self, t: float, own: Own, distance: float, edge: float) -> str:  # noqa: PLR0911
        if distance <= 0.0:
            return "collision"
        corners = own.corners
        if own.fallen:
            return "fall"
        if any(polygon_distance(corners, land) <= 0.0 for land in self._lands):
            return "aground"
        height = own.z - self._floor
        if edge < 0.0 or any(beyond(fence, polygon, corners, height) for fence, polygon in self._fences):
            return "fence"
        end = self.world.line.points[-1]
        to_go = self.world.line.length - self.s
        # A lap is over at the line, however far beside its middle; a goal is a place.
        there = 0.0 if self.world.route.closed else math.hypot(own.x - end[0], own.y - end[1])
        high = abs(own.z - self._floor - self.world.route.points[-1][2]) if self._flies else 0.0
        self._top = max(self._top, own.z - self._floor)
        if self._flies and self._top < 0.5 * float(np.max(self.world.route.points[:, 2])):
            high = math.inf  # it has not been up yet
        wanted = self.world.route.heading
        if wanted is not None and abs(math.remainder(own.yaw - wanted, 2.0 * math.pi)) > HEADING:
            there = math.inf
        if to_go <= self._radius and there <= self._radius and high <= AT_HEIGHT:
            return "arrived"
        if t >= self.world.scenario.model.duration_s - 1e-9:
            return "timeout"
        if self._moved and math.hypot(own.speed, own.vz) < self._still:
            self._still_since = t if self._still_since is None else self._still_since
            if t - self._still_since >= PATIENCE:
                return "stopped"
        else:
            self._still_since = None
        return ""

    def _distance(self, own: Own) -> float:
        """Least distance between our footprint and anything else's [m]."""
        best = math.inf
        bodies = [
            *((o.name, o.body) for o in self.world.others),
            *((f"obstacle {i}", b) for i, b in enumerate(self.world.obstacles)),
        ]
        reach = math.hypot(own.length, own.width) + abs(own.centre_x)
        for name, body in bodies:
            if body.top <= own.climbs:
                continue  # ground
            far = math.hypot(body.x - own.x, body.y - own.y) - reach - math.hypot(body.length, body.width)
            if far > best:
                continue
            d = math.hypot(polygon_distance(own.corners, body.corners), max(own.z - own.below - body.top, 0.0))
            if d < best:
                best, self.nearest = d, name
        return best

    def _edge_margin(self, own: Body) -> float:
        """Least room between our corners and the track's edges [m]; infinite without a track."""
        if not self.world.route.closed:
            return math.inf
        widths, margin = self.world.route.half_width, math.inf
        for corner in own.corners:
            p = self.world.line.project(float(corner[0]), float(corner[1]), self.s)
            w = widths[p.segment] * (1.0 - p.fraction) + widths[p.segment + 1] * p.fraction
            at_end = p.s <= 0.0 or p.s >= self.world.line.length
            if at_end:
                p = self.world.line.project(float(corner[0]), float(corner[1]))
                w = widths[p.segment]
            margin = min(margin, float(w[0]) - p.offset, float(w[1]) + p.offset)
        return margin

    def _evaluate(self, t: float, last: bool) -> None:
        for a in self._asserts:
            if a.decided or not all(n in self.signals for n in a.expression.names):
                continue
            a.evaluated = True
            true = a.expression(self.signals)
            a.since, a.seen = t, {n: self.signals[n] for n in sorted(a.expression.names)}
            if a.always:
                a.held = a.held and true
                a.decided = not true
            elif a.by is not None:
                a.held = t <= a.by and true
                a.decided = a.held or t > a.by
            elif last:
                a.held = true

    def words(self) -> list[str]:
        """Of each assert, what it saw."""
        return [a.words for a in self._asserts]

    def failures(self) -> list[tuple[float, str]]:
        """When each assert that does not hold was decided [s], and its name."""
        return [(min(a.since, self.t_end), a.name) for a in self._asserts if a.evaluated and not a.held]

    def report(self) -> dict[str, Any]:
        """The figures of `giljabi sim --json`; finite numbers or null."""
        m = self.world.scenario.model
        rms = math.sqrt(self._square / self._count) if self._count else 0.0
        out: dict[str, Any] = {
            "scenario": self.world.scenario.name,
            "platform": self.world.scenario.platform.name,
            "seed": m.seed,
            "outcome": self.outcome or "running",
            "t_end_s": round(self.t_end, 6),
            "min_distance_m": round(self.min_distance, 6) if math.isfinite(self.min_distance) else None,
            "cross_track_rms_m": round(rms, 6),
            "path_m": round(self.path, 6),
            "asserts": [{"name": a.name, "held": a.held if a.evaluated else None} for a in self._asserts],
        }
        if math.isfinite(self.min_edge_margin):
            out["min_edge_margin_m"] = round(self.min_edge_margin, 6)
        if m.faults:
            out["faults"] = self.world.faults.report()
        return out

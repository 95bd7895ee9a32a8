"""A mission in map: steps with their points, in the order in which they are passed. Pure data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from giljabi.fence import Fence
from giljabi.frames import LocalFrame, yaw_from_heading_deg
from giljabi.missions.expand import PATTERNS, expand, place_xy
from giljabi.missions.plan import Plan, PlanItem
from giljabi.types import Array, BadInputError, Origin, Route

NO_POINTS: Array = np.zeros((0, 3))
LOWEST = 0.5  # m above home of anything that is flown over
POINTS_MAX = 20_000  # of one mission; more is a spacing in the wrong unit


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step. points: (n, 3) m, height above home; x, y NaN: straight above the point before; none: in place.

    yaw: where the nose points while it holds [rad]; look: place (x, y) that the nose points to on the way.
    """

    kind: str
    points: Array
    speed: float  # m/s over ground
    hold_s: float = 0.0
    until_resumed: bool = False
    yaw: float | None = None
    look: tuple[float, float] | None = None

    @property
    def stops(self) -> bool:
        """Whether the vehicle rests at its end."""
        return self.hold_s > 0.0 or self.until_resumed or self.yaw is not None or self.kind in ("land", "return")

    def same(self, other: Step) -> bool:
        """Whether both ask for the same."""
        own = (self.kind, self.speed, self.hold_s, self.until_resumed, self.yaw, self.look)
        if own != (other.kind, other.speed, other.hold_s, other.until_resumed, other.yaw, other.look):
            return False
        return self.points.shape == other.points.shape and bool(
            np.allclose(self.points, other.points, atol=1e-3, equal_nan=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A whole mission in map.

    above_home: heights are above home, else above map's origin; rally: (k, 3) m.
    """

    steps: tuple[Step, ...]
    speed: float
    above_home: bool = True
    rally: Array = field(default_factory=lambda: NO_POINTS)
    fences: tuple[Fence, ...] = ()
    home: tuple[float, float] | None = None  # where the file says that it starts


def course_from(plan: Plan, origin: Origin) -> Course:
    """A mission file's plan about an origin of map; raises BadInputError that names the step."""
    frame = LocalFrame(origin)
    home = None if plan.home is None else place_xy(frame, plan.home.lat_deg, plan.home.lon_deg)
    steps: list[Step] = []
    last, alt = home or (0.0, 0.0), 0.0
    for i, item in enumerate(plan.items):
        try:
            step = _step(item, frame, last, alt, item.speed or plan.speed)
        except BadInputError as e:
            raise BadInputError(f"step {i + 1} ({item.kind}): {e}") from None
        steps.append(step)
        known = step.points[~np.isnan(step.points[:, 0])]
        if len(known):
            last = (float(known[-1][0]), float(known[-1][1]))
        alt = float(step.points[-1][2]) if len(step.points) else alt
    count = sum(len(s.points) for s in steps)
    if count > POINTS_MAX:
        raise BadInputError(f"mission: {count} points; at most {POINTS_MAX} are expected")
    rally = [(*place_xy(frame, r.lat_deg, r.lon_deg), r.alt_m) for r in plan.rally]
    fences = fences_of(plan, frame)
    return Course(tuple(steps), plan.speed, True, np.array(rally).reshape(-1, 3), fences, home)


def fences_of(plan: Plan, frame: LocalFrame) -> tuple[Fence, ...]:
    """Fences in map."""
    inside = [Fence(tuple(place_xy(frame, *c) for c in f)) for f in plan.fences]
    outside = [Fence(tuple(place_xy(frame, *c) for c in f), keep_out=True) for f in plan.keep_out]
    circles = [
        Fence(centre=place_xy(frame, c.lat_deg, c.lon_deg), radius=c.radius_m, keep_out=c.keep == "out")
        for c in plan.circles
    ]
    return (*inside, *outside, *circles)


def _step(item: PlanItem, frame: LocalFrame, last: tuple[float, float], alt: float, speed: float) -> Step:
    height = item.alt_m or alt
    yaw = None if item.yaw_deg is None else float(yaw_from_heading_deg(item.yaw_deg))
    if item.kind in PATTERNS:
        look = None
        if item.kind == "orbit":
            look = place_xy(frame, item.lat_deg or 0.0, item.lon_deg or 0.0)
        return Step(item.kind, expand(item, frame, last, alt), speed, look=look)
    if item.kind == "takeoff":
        return Step("takeoff", np.array([[math.nan, math.nan, height]]), speed, yaw=yaw)
    points = NO_POINTS
    if item.lat_deg is not None and item.lon_deg is not None:
        points = np.array([[*place_xy(frame, item.lat_deg, item.lon_deg), height]])
    return Step(item.kind, points, speed, item.hold_s, item.until_resumed, yaw)


def course_of_route(points: Array, speed: Array) -> Course:
    """A route in map (n, 3) with the speed towards each point (n,) as a mission of one step a point."""
    steps = [Step("waypoint", p[None, :], float(v)) for p, v in zip(points, speed, strict=True)]
    return Course(tuple(steps), float(np.max(speed)), above_home=False)


def check_flight(course: Course) -> None:
    """Raises BadInputError for what a vehicle in the air cannot do; names the step."""
    height = 0.0
    for i, step in enumerate(course.steps):
        name = f"step {i + 1} ({step.kind})"
        if len(step.points):
            height = float(np.min(step.points[:, 2]))
        if course.above_home and step.kind not in ("land", "return", "yaw") and height < LOWEST:
            raise BadInputError(f"{name}: {height:g} m above home; {LOWEST} m or more is expected")
        if step.kind == "takeoff" and i > 0:
            raise BadInputError(f"{name} is not the first; one flight, from take-off to landing, is expected")
        if step.kind in ("land", "return") and i + 1 < len(course.steps):
            raise BadInputError(f"{name} is not the last; one flight, from take-off to landing, is expected")


def route_of(course: Course) -> Route:
    """The same for planners that follow routes; raises BadInputError for steps that they cannot do."""
    points: list[Array] = []
    speed: list[float] = []
    for i, step in enumerate(course.steps):
        if step.kind in ("takeoff", "land", "return", "yaw") or step.stops:
            what = "holds" if step.kind in ("waypoint", "loiter") else step.kind
            raise BadInputError(f"step {i + 1} ({step.kind}): this planner follows routes and has no '{what}'")
        for p in step.points:
            if not points or float(np.hypot(*(p - points[-1])[:2])) > 0.1:
                points.append(p)
                speed.append(step.speed)
    if len(points) < 2:
        raise BadInputError(f"mission of {len(points)} points; two or more are expected by this planner")
    level = np.array(points)
    level[:, 2] = 0.0
    return Route(level, np.array(speed), np.full((len(points), 2), np.inf))

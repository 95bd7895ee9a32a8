"""Footsteps to a pose: weighted A* over a set of steps that the robot's legs reach, around walls, onto low surfaces.

A node is where both feet stand and which of them goes next. What is to come is estimated from the shortest way of a
disc among the walls. The steps have the form of those that the gait makes for a velocity (`walking/footsteps.py`).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from giljabi.frames import wrap_angle
from giljabi.planning.terrain import Terrain, Way
from giljabi.platform import Limits
from giljabi.types import LEFT, RIGHT, Array, BadInputError, FootPlan
from giljabi.walking.footsteps import SPEED_SLEW
from giljabi.walking.walker_file import Walker

ADVANCES = (1.0, 0.75, 0.5, 0.25, 0.0, -0.5)  # of the longest step
TURNS = (-1.0, 0.0, 1.0)  # of the most that one step turns
SIDEWAYS = 0.8  # of side_max
GREED = 3.0  # weight of what is to come
TURN_COST, SIDE_COST, BACK_COST, CLIMB_COST, PASS_COST = 0.2, 0.3, 0.4, 1.0, 0.5  # steps
SWING = 2.1  # longest steps that a swinging foot goes at most
PLACE, ANGLE = 0.03, 0.1  # m, rad: nodes nearer to each other count as the same one
EDGE_STEP = 0.004  # m, how near to an edge of a surface a sole is brought
EXPANSIONS = 2000  # nodes looked at, then there is no way
TURN_SHARE = 0.5  # of turning that costs steps of its own
NEAR = 0.3  # m of the way, from which the heading at the goal counts
SAMPLES = np.linspace(0.0, 1.0, 7)  # along a swinging foot's way


Pose = tuple[float, float, float]  # x, y [m], yaw [rad]
Foot = tuple[float, float, float, float]  # x, y, z [m], yaw [rad]


@dataclass(frozen=True, slots=True)
class Legs:
    """What a walker can step, m and rad; the first ones relative to the standing foot as in `walker_file.Gait`."""

    width: float
    width_min: float
    side_max: float
    length_max: float
    turn_max: float
    advance: float  # that the speed allows for a step, from the standing foot
    advance_change: float  # of it from step to step
    turn: float  # that the turn rate allows for a step, and its change
    step_height: float  # up or down
    half: tuple[float, float]  # of a sole
    margin: float  # from a sole to an edge
    body: tuple[float, float]  # length and width of all of it
    clearance: float  # from the body to walls


def legs_of(walker: Walker, limits: Limits, body: tuple[float, float], speed: float) -> Legs:
    """A walker's legs at a speed [m/s] inside a platform's limits; body: length and width of all of it."""
    g, foot = walker.gait, walker.left_foot
    return Legs(
        g.width, g.width_min, g.side_max, g.length_max, g.turn_max, min(speed * g.step_time, g.length_max),
        SPEED_SLEW * g.step_time**2,
        min(limits.yaw_rate_max * g.step_time, g.turn_max), g.step_height, (foot.half_length, foot.half_width),
        g.edge_margin, body, limits.clearance,
    )  # fmt: skip


@dataclass(slots=True)
class _Node:
    foot: Foot  # that came down last
    other: Foot
    side: int  # of `foot`
    cost: float
    over: float
    snapped: int  # feet at the goal
    before: int
    advance: float = 0.0  # m that `foot` came down ahead of the other
    bend: float = 0.0  # rad that it turned


class FootPlanner:
    """One `plan` for a goal; no state between two."""

    def __init__(self, legs: Legs) -> None:
        self.legs = legs
        self.steps = [self._table(side) for side in (LEFT, RIGHT)]
        self.expanded = 0  # of the last plan
        length, width = legs.body
        self._arm = max(width - length, 0.0) / 2
        self._ball = math.hypot(length / 2, length / 2)

    def _table(self, side: int) -> tuple[Array, Array]:
        """Steps (k, 3) of foot `side` from the other: x, y, yaw; their costs (k,)."""
        g, out, rows, costs = self.legs, 1.0 if side == LEFT else -1.0, [], []
        choices = [(a * g.advance, t * g.turn, 0.0) for a in ADVANCES for t in TURNS]
        choices += [(a * g.advance, 0.0, SIDEWAYS * g.side_max) for a in (0.5, 0.0)]
        for forward, bend, lateral in choices:
            middle = rotated(forward, out * (g.width / 2 + lateral), bend / 2)
            arm = rotated(0.0, out * g.width / 2, bend)
            x, y = middle[0] + arm[0], middle[1] + arm[1]
            y = out * max(g.width_min, min(g.width + g.side_max, out * y))
            rows.append((max(-g.length_max, min(g.length_max, x)), y, bend))
            costs.append(
                1.0 + TURN_COST * abs(bend) / g.turn + SIDE_COST * (lateral > 0.0) + BACK_COST * (forward < 0.0)
            )
        return np.array(rows), np.array(costs)

    def feet_at(self, pose: tuple[float, float, float], terrain: Terrain) -> Array:
        """Both feet (2, 4) of a robot that stands at x, y, yaw; z is NaN where one does not lie flat."""
        x, y, yaw = pose
        arm = rotated(0.0, self.legs.width / 2, yaw)
        xs, ys = np.array([x + arm[0], x - arm[0]]), np.array([y + arm[1], y - arm[1]])
        yaws = np.full(2, yaw)
        return np.stack([xs, ys, terrain.sole(xs, ys, yaws, self.sole), yaws], axis=1)

    @property
    def sole(self) -> Array:
        """Half sizes (2,) of a sole and what it keeps from edges."""
        return np.array(self.legs.half) + self.legs.margin

    def clear(self, x: Array, y: Array, yaw: Array, terrain: Terrain) -> Array:
        """m (n,) by which bodies at these poses are farther from walls than they must be; negative: too near."""
        ax, ay = -self._arm * np.sin(yaw), self._arm * np.cos(yaw)
        near = terrain.distance(np.stack([x + ax, x - ax, x]), np.stack([y + ay, y - ay, y])).min(axis=0)
        return np.asarray(near - self._ball - self.legs.clearance)

    def plan(
        self, start: Pose, goal: Pose, terrain: Terrain, first: int | None = None
    ) -> FootPlan:  # fmt: skip
        """Steps from standing at x, y, yaw to standing at another such pose; raises BadInputError when there are none.

        first: the foot that goes first; either when it is not given.
        """
        begin, end = self.feet_at(start, terrain), self.feet_at(goal, terrain)
        begin[:, 2] = np.where(np.isnan(begin[:, 2]), terrain.height(begin[:, 0], begin[:, 1]), begin[:, 2])
        if np.isnan(end[:, 2]).any() or abs(float(end[0, 2] - end[1, 2])) > 1e-6:
            raise BadInputError("the goal is across an edge; a place where both feet stand flat is expected")
        x, y, yaw = np.array([start, goal]).T
        here, there = self.clear(x, y, yaw, terrain)
        if there < 0.0:
            what = f"the goal is {-there:.2f} m too near to a wall"
            raise BadInputError(f"{what}; {self.legs.clearance} m free beside the body is expected")
        slack = min(0.0, float(here) - 1e-3)  # from too near a wall it may go away
        least = self._ball + self.legs.clearance + slack
        search = _Search(self, terrain, end, terrain.to_go(goal, least, least + self._arm), slack)
        plan = search.run(begin, (LEFT, RIGHT) if first is None else (first,))
        self.expanded = search.expanded
        if plan is None:
            raise BadInputError("there is no way to the goal on foot among the walls and edges that are known")
        return plan


class _Search:
    """One search; nodes in a list, the queue holds their numbers."""

    def __init__(self, planner: FootPlanner, terrain: Terrain, end: Array, way: Way, slack: float) -> None:
        self._p, self._g, self._terrain, self._slack = planner, planner.legs, terrain, slack
        self._end = foot_tuples(end)
        self._to_goal = way
        self._queue: list[tuple[float, int]] = []
        self._nodes: list[_Node] = []
        self._best: dict[tuple[int, ...], float] = {}
        self.expanded = 0

    def run(self, begin: Array, first: tuple[int, ...]) -> FootPlan | None:
        """From both feet (2, 4) where they stand; None when there is no way."""
        feet = foot_tuples(begin)
        for side in first:  # as if the other one had just come down
            self._nodes.append(_Node(feet[1 - side], feet[side], 1 - side, 0.0, 0.0, 0, -1))
            heapq.heappush(self._queue, (0.0, len(self._nodes) - 1))
        done: set[tuple[int, ...]] = set()
        while self._queue and self.expanded < EXPANSIONS:
            number = heapq.heappop(self._queue)[1]
            node = self._nodes[number]
            if node.snapped == 2:
                return self._way(number)
            key = self._key(node)
            if key in done:
                continue
            done.add(key)
            self.expanded += 1
            self._expand(number, node)
        return None

    def _key(self, node: _Node) -> tuple[int, ...]:
        """Nodes with the same key count as one; where there are edges, how fast it goes is a difference."""
        x, y, _, yaw = node.foot
        pace = 0 if self._terrain.flat else round(node.advance / self._g.advance_change)
        turned = round(math.remainder(yaw, 2.0 * math.pi) / ANGLE)
        return node.side, round(x / PLACE), round(y / PLACE), turned, node.snapped, pace

    def _expand(self, number: int, node: _Node) -> None:
        side = 1 - node.side
        feet, costs, ends = self._candidates(node, side)
        feet[:, 2] = self._terrain.sole(feet[:, 0], feet[:, 1], feet[:, 3], self._p.sole)
        x, y, z, yaw = node.foot
        ahead = math.cos(yaw) * (feet[:, 0] - x) + math.sin(yaw) * (feet[:, 1] - y)
        over = self._passed(np.array(node.other), feet)
        fits = np.abs(feet[:, 2] - z) <= self._g.step_height + 1e-9  # not with NaN
        fits &= over - np.minimum(feet[:, 2], node.other[2]) <= self._g.step_height + 1e-9
        rise = np.abs(feet[:, 2] - z) + np.abs(feet[:, 2] - node.other[2])
        fits &= (np.abs(ahead - node.advance) <= self._g.advance_change + 1e-9) | (rise > 1e-6)  # those take their time
        fits &= np.hypot(feet[:, 0] - node.other[0], feet[:, 1] - node.other[1]) <= SWING * self._g.advance
        fits &= np.abs(feet[:, 3] - yaw - node.bend) <= self._g.turn + 1e-9
        middle = 0.5 * (feet[:, :2] + (x, y))
        heading = yaw + 0.5 * (feet[:, 3] - yaw)
        fits &= self._p.clear(middle[:, 0], middle[:, 1], heading, self._terrain) >= self._slack
        costs = costs + CLIMB_COST * (rise > 1e-6) + PASS_COST * (over > np.maximum(feet[:, 2], node.other[2]) + 1e-6)
        to_come = self._to_come(middle, heading)
        fits &= np.isfinite(to_come)
        for k in np.flatnonzero(fits):
            snapped = node.snapped + 1 if ends and k == len(feet) - 1 else 0
            foot, cost = foot_tuples(feet[k : k + 1])[0], node.cost + float(costs[k])
            changed = (float(ahead[k]), foot[3] - yaw)
            self._push(_Node(foot, node.foot, side, cost, float(over[k]), snapped, number, *changed), float(to_come[k]))

    def _candidates(self, node: _Node, side: int) -> tuple[Array, Array, bool]:
        """Footholds (k, 4), z still to be found, and their costs (k,); whether the last one is the goal's."""
        table, costs = self._p.steps[side]
        x, y, _, yaw = node.foot
        if not self._terrain.flat:
            extra = self._to_edges(node, side)
            table, costs = np.concatenate([table, extra]), np.append(costs, np.ones(len(extra)))
        ends = self._snap(node, side)
        feet = np.zeros((len(table) + (ends is not None), 4))
        n, c, s = len(table), math.cos(yaw), math.sin(yaw)
        feet[:n, 0], feet[:n, 1] = x + c * table[:, 0] - s * table[:, 1], y + s * table[:, 0] + c * table[:, 1]
        feet[:n, 3] = yaw + table[:, 2]
        if ends is not None:
            feet[n, 0], feet[n, 1], feet[n, 3] = ends
            costs = np.append(costs, 1.0)
        return feet, costs, ends is not None

    def _to_edges(self, node: _Node, side: int) -> Array:
        """Straight steps (k, 3): as far as an edge, and just past it."""
        x, y, _, yaw = node.foot
        beside = self._g.width if side == LEFT else -self._g.width
        c, s = math.cos(yaw), math.sin(yaw)
        ahead = np.arange(0.0, self._g.length_max + 1e-9, EDGE_STEP)
        at = np.stack([x + c * ahead - s * beside, y + s * ahead + c * beside])
        height = self._terrain.sole(at[0], at[1], np.full(len(ahead), yaw), self._p.sole)
        across = np.isnan(height)
        if not across.any():
            return np.zeros((0, 3))
        first = int(np.argmax(across))
        past = np.flatnonzero(~across[first:])
        chosen = [first - 1] if first > 0 else []
        chosen += [min(first + int(past[0]) + k, len(ahead) - 1) for k in (0, 1)] if len(past) else []
        return np.array([(ahead[k], beside, 0.0) for k in chosen]).reshape(-1, 3)

    def _push(self, node: _Node, to_come: float) -> None:
        key = self._key(node)
        if node.cost >= self._best.get(key, math.inf):
            return
        self._best[key] = node.cost
        self._nodes.append(node)
        left = 2.0 - node.snapped if node.snapped else 2.0 + GREED * to_come
        heapq.heappush(self._queue, (node.cost + left, len(self._nodes) - 1))

    def _snap(self, node: _Node, side: int) -> tuple[float, float, float] | None:
        """The goal's own foothold for this foot, where the legs reach it."""
        g, (x, y, _, yaw) = self._g, node.foot
        gx, gy, _, gyaw = self._end[side]
        bend = math.remainder(gyaw - yaw, 2.0 * math.pi)
        ahead, beside = rotated(gx - x, gy - y, -yaw)
        beside *= 1.0 if side == LEFT else -1.0
        reached = abs(ahead) <= g.advance and g.width_min <= beside <= g.width + g.side_max and abs(bend) <= g.turn
        return (gx, gy, yaw + bend) if reached else None

    def _passed(self, start: Array, feet: Array) -> Array:
        """m, the highest ground under each swinging foot's way, its ends among it."""
        high = np.fmax(feet[:, 2], start[2])
        if self._terrain.flat:
            return np.asarray(high)
        yaw, toe = feet[:, 3], self._p.sole[0]
        for end in (-toe, 0.0, toe):
            x0, y0 = start[0] + end * math.cos(start[3]), start[1] + end * math.sin(start[3])
            x1, y1 = feet[:, 0] + end * np.cos(yaw), feet[:, 1] + end * np.sin(yaw)
            x, y = x0 + SAMPLES[:, None] * (x1 - x0), y0 + SAMPLES[:, None] * (y1 - y0)
            high = np.maximum(high, self._terrain.height(x, y).max(axis=0))
        return np.asarray(high)

    def _to_come(self, middle: Array, heading: Array) -> Array:
        """Steps (n,) that are about left from poses of the body."""
        cell = self._terrain.cell(middle[:, 0], middle[:, 1])
        way, direction, bend = self._to_goal.at(middle[:, 0], middle[:, 1], cell)
        far = np.minimum(way / NEAR, 1.0)  # near, it matters how it will stand, not where it looks
        first, last = np.abs(wrap_angle(np.stack([direction - heading, self._end[LEFT][3] - heading])))
        turning = far * (first + bend) + (1.0 - far) * last
        return np.asarray(way / self._g.advance + TURN_SHARE * turning / self._g.turn)

    def _way(self, number: int) -> FootPlan:
        sides, feet, over = [], [], []
        while self._nodes[number].before >= 0:
            node = self._nodes[number]
            sides.append(node.side)
            feet.append(node.foot)
            over.append(node.over)
            number = node.before
        back = slice(None, None, -1)
        return FootPlan(
            np.array(sides[back], dtype=np.int64), np.array(feet[back]).reshape(-1, 4), np.array(over[back])
        )


def foot_tuples(feet: Array) -> list[Foot]:
    """Rows (n, 4) as numbers."""
    return [(x, y, z, yaw) for x, y, z, yaw in feet.tolist()]


def rotated(x: float, y: float, yaw: float) -> tuple[float, float]:
    """A vector turned by yaw."""
    c, s = math.cos(yaw), math.sin(yaw)
    return c * x - s * y, s * x + c * y

"""The other vehicles: they do what the scenario says and know nothing of us."""

from __future__ import annotations

import math

import numpy as np

from giljabi_sim.geometry import Polyline
from giljabi_sim.scenario import Actor, Follow, Parked, Start, Straight
from giljabi_sim.truth import Body, Other


class ActorMotion:
    """Pose of one actor as a function of time alone."""

    def __init__(self, actor: Actor, route: Polyline) -> None:
        self.actor = actor
        self._route = route
        self._start = actor.start or self._on_route(actor, route)
        self._line: Polyline | None = None
        self._s0 = 0.0
        b = actor.behaviour
        if isinstance(b, Follow):
            start = (self._start.x, self._start.y)
            if b.points:
                self._line = Polyline(np.array([start, *b.points]))
            else:
                self._line = route
                self._s0 = actor.at_s if actor.at_s is not None else route.project(*start).s

    @staticmethod
    def _on_route(actor: Actor, route: Polyline) -> Start:
        x, y, yaw = route.at(actor.at_s or 0.0)
        x, y = x - actor.offset * math.sin(yaw), y + actor.offset * math.cos(yaw)
        return Start(x=x, y=y, yaw_deg=math.degrees(yaw), speed=actor.speed or 0.0)

    def at(self, t: float) -> Other:
        """The actor at time t [s]."""
        a, b, start = self.actor, self.actor.behaviour, self._start
        x, y, yaw, speed, rate = start.x, start.y, math.radians(start.yaw_deg), 0.0, 0.0
        if isinstance(b, Straight):
            run = max(t - b.begin, 0.0) * start.speed
            speed = start.speed if t >= b.begin else 0.0
            x, y = x + run * math.cos(yaw), y + run * math.sin(yaw)
        elif isinstance(b, Follow):
            x, y, yaw, speed, rate = self._follow(b, t)
        else:
            assert isinstance(b, Parked)
        return Other(a.name, a.kind, Body(x, y, yaw, speed, 0.0, rate, a.length, a.width))

    def _follow(self, b: Follow, t: float) -> tuple[float, float, float, float, float]:
        line, v = self._line, self._start.speed
        assert line is not None
        s = self._s0 + max(t - b.begin, 0.0) * v
        closed = bool(np.hypot(*(line.points[0] - line.points[-1])) < 1e-6)
        moving = t >= b.begin and (closed or s < line.length)

        def pose(at: float) -> tuple[float, float, float]:
            px, py, _ = line.at(at % line.length if closed else at)
            # Direction over a length of body, so that corners are rounded.
            near, far = at - 2.0, at + 2.0
            ax, ay, _ = line.at(near % line.length if closed else near)
            bx, by, _ = line.at(far % line.length if closed else far)
            heading = math.atan2(by - ay, bx - ax)
            return px - b.offset * math.sin(heading), py + b.offset * math.cos(heading), heading

        x, y, yaw = pose(s)
        rate = math.remainder(pose(s + 0.5)[2] - pose(s - 0.5)[2], 2.0 * math.pi) * v if moving else 0.0
        return x, y, yaw, v if moving else 0.0, rate

"""Where people hand a mission in and speak to whoever carries it out: checks, keeps what is in force, answers in words.

The ROS node and the lock-step stack hold one each; planners that only follow routes are told what they can do of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from giljabi.fence import Fence
from giljabi.missions.course import Course, course_from, route_of
from giljabi.missions.executor import Reaction
from giljabi.missions.files import parse_plan
from giljabi.missions.legs import drawn
from giljabi.missions.plan import Plan
from giljabi.steps import MissionPlanner, Planner
from giljabi.types import BadInputError, Health, Origin, Route

NO_ORIGIN = "the origin of map is not known yet; it comes with the first position"
ASKS = ("start", "pause", "resume", "skip", "return", "land")


class Desk:
    """One planner's missions."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.origin: Origin | None = None
        self.armed = False
        self.plan: Plan | None = None  # in force
        self.fences: tuple[Fence, ...] = ()  # of the mission in force
        self.route: Route | None = None  # in force, or what the mission looks like
        self.ready = False  # a route or a mission is there

    def take_armed(self, armed: bool) -> None:
        """Whether the guard is armed."""
        self.armed = armed
        if isinstance(self._planner, MissionPlanner):
            self._planner.armed(armed)

    def take_health(self, health: Health) -> None:
        """What failsafes ask for."""
        if isinstance(self._planner, MissionPlanner):
            self._planner.demand(Reaction[health.demand.upper() or "NONE"], health.why)

    def set_route(self, route: Route) -> None:
        """A route takes the mission's place."""
        self._planner.set_route(route)
        self.plan, self.route, self.ready = None, route, True

    def load(self, text: str, name: str = "mission") -> str:
        """A mission out of a text in any format; raises BadInputError `name:line: ...`, and the old one stays."""
        return self.load_plan(parse_plan(text, name))

    def load_plan(self, plan: Plan, again: bool = False) -> str:
        """A mission; says where it goes on. Raises BadInputError, and the old one stays.

        again: it was in force before this process was started, with its fences.
        """
        if self.origin is None:
            raise BadInputError(f"mission: {NO_ORIGIN}")
        course = course_from(plan, self.origin)
        if self.armed and not again and course.fences != self.fences:
            raise BadInputError("mission: its fences are not those in force; disarm before they are changed")
        words = self._hand_over(course)
        self.plan, self.fences, self.ready = plan, course.fences, True
        left = f"; left out: {', '.join(plan.left_out)}" if plan.left_out else ""
        return f"{words}{left}"

    def _hand_over(self, course: Course) -> str:
        if isinstance(self._planner, MissionPlanner):
            words = self._planner.set_mission(course)
            self.route = drawn(course, np.array([*(course.home or (0.0, 0.0)), 0.0]))
            return words
        self.route = route_of(course)
        self._planner.set_route(self.route)
        return f"loaded as a route of {len(self.route.points)} points"

    def ask(self, what: str, step: int | None = None) -> str:
        """One of ASKS; step: for skip, counted from 1. Answers in words; raises BadInputError saying why not."""
        planner = self._planner
        calls: Mapping[str, Callable[[], str | None]] = {
            "start": planner.start, "resume": planner.start, "pause": planner.pause,
        }  # fmt: skip
        if isinstance(planner, MissionPlanner):
            mission = planner
            calls = {
                **calls, "return": mission.return_home, "land": mission.land,
                "skip": lambda: mission.skip(None if step is None else step - 1),
            }  # fmt: skip
        if what not in ASKS:
            raise BadInputError(f"mission: '{what}' is nothing that can be asked for; {', '.join(ASKS)} are expected")
        if what not in calls:
            raise BadInputError(f"this planner follows routes; it cannot {what}")
        if not self.ready:
            raise BadInputError("there is no route; publish one on topic route, or load a mission")
        usual = "stopping; mission/resume goes on" if what == "pause" else "under way"
        return calls[what]() or usual

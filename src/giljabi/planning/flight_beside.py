"""What planners share that fly ways of their own to the line of `flight_route`: all that is asked of the mission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from giljabi.fence import Fence
from giljabi.missions.course import Course
from giljabi.missions.executor import Reaction
from giljabi.planning.fences import FenceMap
from giljabi.planning.flight_route import FlightRouteOptions, FlightRoutePlanner
from giljabi.platform import Platform
from giljabi.steps import Progress
from giljabi.types import Battery, Route, Wind


class BesideTheLine:
    """steps.MissionPlanner, steps.WatchesRange and steps.KeepsFences but for `step`."""

    def __init__(self, platform: Platform, options: FlightRouteOptions) -> None:
        self._route = FlightRoutePlanner(platform, options)
        self._fences = FenceMap(platform.fences)

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle."""
        self._route.set_route(route)

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces all fences: legs and ways of its own stay inside them."""
        self._fences = FenceMap(fences)
        self._route.set_fences(fences)

    def set_mission(self, course: Course) -> str:
        """Another mission, also in flight; says where it goes on. Raises BadInputError and flies the old one on."""
        return self._route.set_mission(course)

    def start(self) -> str:
        """Begins or goes on; raises BadInputError saying why not."""
        return self._route.start()

    def pause(self) -> str:
        """Brings the vehicle to a stop until start()."""
        return self._route.pause()

    def skip(self, step: int | None = None) -> str:
        """Goes to a step of the mission, counted from 0; None: the next one."""
        return self._route.skip(step)

    def return_home(self) -> str:
        """Flies to home or the nearest rally point, and lands there."""
        return self._route.return_home()

    def land(self) -> str:
        """Lands where it is."""
        return self._route.land()

    def progress(self) -> Progress:
        """How far it is."""
        return self._route.progress()

    def go_on_at(self, progress: Progress) -> str:
        """Paused where another planner was; raises BadInputError."""
        return self._route.go_on_at(progress)

    def demand(self, reaction: Reaction, why: str) -> None:
        """What failsafes ask for now."""
        self._route.demand(reaction, why)

    def armed(self, armed: bool) -> None:
        """Whether the guard is armed."""
        self._route.armed(armed)

    def take_battery(self, battery: Battery) -> None:
        """The newest word of the battery."""
        self._route.take_battery(battery)

    def wind(self) -> Wind | None:
        """As it was measured in flight."""
        return self._route.wind()

    def problems(self) -> Mapping[str, str]:
        """Why the mission cannot start, by name."""
        return self._route.problems()

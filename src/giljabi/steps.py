"""What the steps of the stack look like; ROS nodes, the lock-step loop and replay call the same objects.

A step reads no clock and does no I/O: same input, same output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from giljabi.fence import Fence
from giljabi.ground import Surface
from giljabi.types import (
    ActuatorCommand,
    Battery,
    Detections,
    FootPlan,
    GeoDetections,
    GridMap,
    JointState,
    JointTrajectory,
    MissionPhase,
    MissionState,
    Odometry,
    Origin,
    Route,
    Sample,
    Scan,
    StackState,
    Tracks,
    Trajectory,
    Wind,
)

if TYPE_CHECKING:
    from giljabi.fleet.intent import Intent
    from giljabi.missions.course import Course
    from giljabi.missions.executor import Reaction
    from giljabi.platform import Platform

LOST = "lost"  # name of a part's problem that is a fault: nothing of what it gives may be followed


class Estimator(Protocol):
    """Samples in, odometry out."""

    origin: Origin | None  # set by the first good fix, or given; never changes afterwards

    def step(self, now: float, samples: Sequence[Sample]) -> Odometry | None:
        """Consumes samples (any order of stamps within a short window); None until initialised."""

    def health(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when the estimate may be used. LOST: it may not even be used to stop by."""


class Tracker(Protocol):
    """Detections in, confirmed tracks out."""

    def step(
        self,
        now: float,
        detections: Sequence[Detections | GeoDetections],
        odometry: Sequence[Odometry],
        origin: Origin | None,
    ) -> Tracks:
        """odometry: what came since the last call, for detections given in base_link."""


class Mapper(Protocol):
    """Scans in, a map of what stands about the vehicle out."""

    def step(self, now: float, scans: Sequence[Scan], odometry: Sequence[Odometry]) -> GridMap | None:
        """odometry: what came since the last call; None before the first scan."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """One planner step: what to follow and where the mission stands."""

    trajectory: Trajectory | None  # None: nothing to follow (idle, arrived and stopped)
    mission: MissionState
    steps: FootPlan | None = None  # of what walks: each step, in place of the trajectory's velocity


@runtime_checkable
class KnowsGround(Protocol):
    """A planner that minds what is known of the ground; optional."""

    def set_ground(self, surfaces: Sequence[Surface]) -> None:
        """Replaces the mission's; also while a route is followed."""


@runtime_checkable
class MapFollower(Protocol):
    """A planner that wants to know what stands about the vehicle; optional."""

    def set_map(self, grid: GridMap) -> None:
        """Replaces the map."""


class Planner(Protocol):
    """Route following with avoidance through the solver."""

    def set_route(self, route: Route) -> None:
        """Replaces the route; the mission goes back to idle."""

    def start(self) -> str | None:
        """Begins or resumes the route; may answer in words, or raise BadInputError saying why not."""

    def pause(self) -> str | None:
        """Brings the vehicle to a stop on its route until start()."""

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """Plans from the newest estimate; always returns something usable or a stop plan."""


@runtime_checkable
class MissionPlanner(Planner, Protocol):
    """A planner that carries out missions, and can come home.

    What people ask for is answered in words; BadInputError says why not, and what was flown is flown on.
    """

    def set_mission(self, course: Course) -> str:
        """Another mission, also under way; says where it goes on."""

    def skip(self, step: int | None = None) -> str:
        """Goes to a step, counted from 0; None: the next one."""

    def return_home(self) -> str:
        """Goes home, or to the nearest rally point, and ends there."""

    def land(self) -> str:
        """Ends where it is."""

    def demand(self, reaction: Reaction, why: str) -> None:
        """What failsafes ask for now; a return or a landing goes on until a person resumes."""

    def armed(self, armed: bool) -> None:
        """Whether the guard is armed."""


@runtime_checkable
class FeelsWind(Protocol):
    """A planner that measures the wind as it flies; optional."""

    def wind(self) -> Wind | None:
        """The newest; None: it is not known."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mission was carried out, for a planner that goes on where another one ended."""

    phase: MissionPhase
    step: int  # counted from 0
    index: int  # of the step's point that comes next
    home: tuple[float, float, float] | None  # m map, where it stood when it was armed
    length: float  # m of the whole way


@runtime_checkable
class GoesOn(Protocol):
    """A planner that can go on where another one ended; optional."""

    def progress(self) -> Progress:
        """How far it is."""

    def go_on_at(self, progress: Progress) -> str:
        """Paused there, with the mission that it was given before; in words. Raises BadInputError."""


@runtime_checkable
class FleetMember(Protocol):
    """A planner that agrees with those of other vehicles; optional."""

    def join(self, vehicle: str) -> None:
        """Its own name among the members; raises BadInputError when it is none."""

    def hear(self, intent: Intent) -> None:
        """Another vehicle's message."""

    def say(self, now: float) -> Intent | None:
        """What the others must know, a few times a second; None: nothing yet."""


def fleet_name(system_id: int) -> str:
    """A vehicle's name among the members of a fleet, from its number."""
    return f"vehicle_{system_id}"


@runtime_checkable
class WatchesRange(Protocol):
    """A planner that knows what its way costs."""

    def take_battery(self, battery: Battery) -> None:
        """The newest word of the battery."""

    def problems(self) -> Mapping[str, str]:
        """Why it cannot start, by name; empty once it is under way."""


@runtime_checkable
class KeepsFences(Protocol):
    """A planner that keeps fences by itself; those that do not leave them to the guard."""

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces all fences; also while a route is followed."""


def plan_inside(planner: Planner, platform: Platform, fences: Sequence[Fence]) -> None:
    """Hands a planner that keeps fences the platform's and the mission's."""
    if isinstance(planner, KeepsFences):
        planner.set_fences((*platform.fences, *fences))


class Controller(Protocol):
    """Trajectory tracking through the solver, out to named actuators."""

    def step(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        trajectory: Trajectory | None,
        last_output: Mapping[str, float],
    ) -> ActuatorCommand | None:
        """last_output: what the guard put on the wire last; None when there is nothing safe to say."""


@dataclass(frozen=True, slots=True)
class BodyVelocity:
    """A velocity that somebody asks for: m/s forward and to the left, rad/s to the left."""

    forward: float
    left: float
    turn: float


@dataclass(frozen=True, slots=True)
class FastResult:
    """One run of a fast loop."""

    command: ActuatorCommand | None  # None when there is nothing safe to say
    odom: Odometry | None


@runtime_checkable
class FollowsSteps(Protocol):
    """A fast loop that walks planned steps; optional."""

    def follow_steps(self, plan: FootPlan | None) -> None:
        """The planner's newest; None: its trajectory alone counts."""


@runtime_checkable
class TakesTime(Protocol):
    """A fast loop in which something may answer too late; optional."""

    def use_clock(self, clock: Callable[[], float]) -> None:
        """s, to measure by where time is real; without one nothing is late."""


class FastLoop(Protocol):
    """Samples in, odometry and commands out, in one call, in the drivers' process: between two turns of a bus.

    Only `step` is called at each turn; plans and commands enter as the newest value.
    """

    origin: Origin | None  # of map; it begins where the vehicle is, so any will do

    def step(self, now: float, samples: Sequence[Sample], state: StackState) -> FastResult | None:
        """samples: all of the drivers' since the last call; None when the ones that run it are not among them."""

    def follow(self, trajectory: Trajectory | None) -> None:
        """The planner's newest; None: nothing to follow."""

    def steer(self, now: float, velocity: BodyVelocity) -> None:
        """A person's or another program's: it leads over the planner from now on, and is a stop when it grows old."""

    def ask(self, what: str) -> str:
        """Begins what it can do beside following: stand, stop, squat, kneel, sit, policy; why not, or an empty text."""

    def play(self, trajectory: JointTrajectory) -> None:
        """Plays a trajectory of joints inside their limits; raises BadInputError with why not."""

    def doing(self) -> str:
        """What it does now, in words."""

    def release(self) -> None:
        """Whoever steered gives the lead back to the planner."""

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """Why the guard must disarm, or an empty text."""

    def health(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when it may be armed."""

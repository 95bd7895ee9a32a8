"""All steps of one platform on one schedule, without clock, threads or I/O.

The lock-step simulator and replays call this; the ROS nodes hold the same steps one by one. One tick goes the
way data goes: bytes -> drivers -> estimate -> track -> plan -> control -> guard -> bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from giljabi import topics
from giljabi.fence import FenceLike, as_fences
from giljabi.ground import Surface
from giljabi.missions.desk import Desk
from giljabi.missions.plan import Plan
from giljabi.platform import Platform
from giljabi.registry import build_driver, build_fast_loop, build_step
from giljabi.safety.failsafes import FailsafeInputs, Failsafes
from giljabi.safety.guard import build_guard, feedback_slots, gives_back
from giljabi.safety.hold import DegradedHold
from giljabi.safety.supervisor import RATE_HZ, Supervisor, SupervisorInputs
from giljabi.steps import (
    Controller,
    Estimator,
    FastLoop,
    FleetMember,
    FollowsSteps,
    KnowsGround,
    MapFollower,
    Mapper,
    Planner,
    Tracker,
    WatchesRange,
    fleet_name,
    plan_inside,
)
from giljabi.types import (
    ActuatorCommand,
    BadInputError,
    Battery,
    Detections,
    GeoDetections,
    GridMap,
    Health,
    JointState,
    MissionState,
    Odometry,
    Route,
    Sample,
    Scan,
    StackState,
    Tracks,
    Trajectory,
)

if TYPE_CHECKING:
    from giljabi_drivers.contract import Driver, Received
    from giljabi_drivers.transport_base import Framing

BEHAVIOURS = frozenset(s.name.rpartition("/")[2] for s in topics.BEHAVIOURS)
FAST_TICKS = 4  # within a period of the guard: replies of a bus come, and are thought about, between two of its ticks


class Periodic:
    """Says when a part of a multi-rate schedule is due; counts periods, so rounding never drifts."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._start: float | None = None
        self._count = 0

    def due(self, now: float) -> bool:
        """True once per period; periods that were missed are skipped, not made up."""
        if self._start is None:
            self._start = now
        count = int((now - self._start) * self.rate_hz + 1e-6) + 1
        if count <= self._count:
            return False
        self._count = count
        return True


@dataclass(slots=True)
class Latest:
    """Newest value of everything that crosses a hop; what pages, logs and asserts read."""

    samples: list[Sample] = field(default_factory=list)  # of this tick
    joints: JointState | None = None
    odom: Odometry | None = None
    tracks: Tracks | None = None
    map: GridMap | None = None
    trajectory: Trajectory | None = None
    mission: MissionState | None = None
    command: ActuatorCommand | None = None
    health: Health | None = None


def merge_joints(old: JointState | None, new: JointState) -> JointState:
    """Newest value of every joint; devices report different joints at different times."""
    if old is None:
        return new
    return JointState(
        new.t,
        {**old.position, **new.position},
        {**old.velocity, **new.velocity},
        {**old.effort, **new.effort},
        new.source,
    )


class Stack:
    """Drivers, estimator, tracker, planner, controller, supervisor and guard of one platform."""

    def __init__(self, platform: Platform, framings: Mapping[str, Framing] | None = None) -> None:
        """Builds every part that the platform file names; raises BadInputError with file:line.

        framings: how frames look on a device's transport, by driver, where its table says otherwise.
        """
        self.platform = platform
        self.drivers: dict[str, Driver] = {name: build_driver(platform, name) for name in platform.model.drivers}
        tables = [table for d in self.drivers.values() if (table := d.encode_table()) is not None]
        tables = [replace(table, framing=(framings or {}).get(table.device, table.framing)) for table in tables]
        self._followers: list[Any] = [d for d in self.drivers.values() if hasattr(d, "guard_says")]
        self._commanded = frozenset(table.device for table in tables)
        self.guard = build_guard(platform, tables)
        self._slots = feedback_slots(platform)
        self._hold = DegradedHold()
        self.fast: FastLoop | None = build_fast_loop(platform)
        self.estimator: Estimator | FastLoop = self.fast or build_step(platform, "estimator")
        if self.fast is not None:
            self._followers.append(self.fast)
        self.tracker: Tracker = build_step(platform, "tracker")
        self.mapper: Mapper | None = build_step(platform, "mapper") if platform.model.steps.mapper else None
        self.planner: Planner = build_step(platform, "planner")
        plan_inside(self.planner, platform, ())
        if isinstance(self.planner, FleetMember):
            self.planner.join(fleet_name(1))
        self.desk = Desk(self.planner)
        self.controller: Controller | None = None if self.fast else build_step(platform, "controller")
        self.supervisor = Supervisor(platform)
        self.failsafes = Failsafes(platform)
        self._battery: Battery | None = None
        self._source: str | None = None  # of the fast loop's last command
        self._watched_t: float | None = None  # newest word of somebody who watches
        self.latest = Latest()
        self.runaway: Callable[[], Mapping[str, float]] = dict  # what takes a command's place: a controller gone mad
        self.stalled: frozenset[str] = frozenset()  # steps that are not called: what a dead process looks like
        steps = platform.model.steps
        self._rates = {name: Periodic(rate) for name, rate in steps.rates().items()}
        self._rates["supervisor"] = Periodic(RATE_HZ)
        self._samples: list[Sample] = []
        self._detections: list[Detections | GeoDetections] = []
        self._odometry: list[Odometry] = []  # since the tracker's last step
        self._scans: list[Scan] = []
        self._poses: list[Odometry] = []  # since the mapper's last step
        self._stamps: dict[str, float] = {}

    @property
    def base_rate_hz(self) -> float:
        """The rate `step` wants: the fastest of its parts; with a fast loop several ticks a turn of its bus."""
        m = self.platform.model
        turns = FAST_TICKS * m.guard.rate_hz if self.fast else m.guard.rate_hz
        return float(max(turns, *m.steps.rates().values()))

    # --- what an operator does ---

    def set_route(self, route: Route) -> None:
        """Hands the planner its route."""
        self.desk.set_route(route)

    def load_mission(self, plan: Plan) -> str:
        """Hands the planner a mission, and guard and planner its fences; says where it goes on, or BadInputError."""
        self.desk.origin = self.estimator.origin
        before = self.desk.fences
        words = self.desk.load_plan(plan)
        if self.desk.fences != before:
            self.set_fences(self.desk.fences)
        return words

    def ask(self, what: str, step: int | None = None) -> str:
        """What a person asks of the mission (start, pause, resume, skip, return, land) or of a walker.

        Raises BadInputError that says why not.
        """
        if what in BEHAVIOURS:
            why = self.fast.ask(what) if self.fast is not None else "this platform has no fast loop"
            if why:
                raise BadInputError(why)
            return what
        self._hold.forget()
        return self.desk.ask(what, step)

    def set_fences(self, fences: Sequence[FenceLike]) -> None:
        """Hands guard and planner the mission's fences; the platform's own hold beside them."""
        checked = as_fences(fences)
        self.guard.set_fences(checked)
        plan_inside(self.planner, self.platform, checked)

    def set_ground(self, surfaces: Sequence[Surface]) -> None:
        """Hands the planner what is known of the ground."""
        if isinstance(self.planner, KnowsGround):
            self.planner.set_ground(surfaces)

    def set_device(self, device: str, is_open: bool, now: float, why: str = "") -> None:
        """Says that a device is open or gone, and why; one that takes no commands is not the guard's affair."""
        if device in self._commanded:
            self.guard.set_device(device, is_open, now, why)

    def arm(self, now: float) -> Sequence[str]:
        """Arms the guard; returns the reasons against it, empty when armed."""
        return self.guard.arm(now)

    def start(self) -> None:
        """Starts the mission."""
        self.planner.start()

    def watched(self, now: float) -> None:
        """Somebody sees what happens: the operator's heartbeat."""
        self._watched_t = now

    def stop(self, now: float) -> None:
        """Stops at once, whatever else goes on."""
        self.guard.stop(now)

    def state(self, now: float) -> StackState:
        """Mode, armed, reasons."""
        return self.guard.state(now)

    # --- one tick ---

    def _due(self, step: str, now: float) -> bool:
        return self._rates[step].due(now) and step not in self.stalled

    def step(self, now: float, received: Mapping[str, Sequence[Received]]) -> list[tuple[str, bytes]]:
        """Bytes that arrived since the last tick, by driver, in; (driver, bytes) due on the wire out."""
        out: list[tuple[str, bytes]] = []
        self._decode(now, received, out)
        self._run_fast(now)
        self._estimate(now)
        self._track(now)
        self._map(now)
        self._plan(now)
        self._control(now)
        self._supervise(now)
        out.extend(self.guard.step(now))
        self._tell_drivers(now)
        return out

    def _tell_drivers(self, now: float) -> None:
        """Drivers whose device has an authority of its own follow the guard, or make it disarm."""
        if not self._followers:
            return
        state, output = self.guard.state(now), self.guard.output()
        for driver in self._followers:
            reason = driver.guard_says(state, output)
            if reason and state.armed:
                self.guard.disarm(now, reason)

    def _decode(self, now: float, received: Mapping[str, Sequence[Received]], out: list[tuple[str, bytes]]) -> None:
        self.latest.samples = []
        for name, driver in self.drivers.items():
            result = driver.step(now, received.get(name, ()))
            out.extend((name, data) for data in result.to_send)
            self.latest.samples.extend(result.samples)
        for sample in self.latest.samples:
            self._stamps[sample.source] = max(sample.t, self._stamps.get(sample.source, sample.t))
            if isinstance(sample, (Detections, GeoDetections)):
                self._detections.append(sample)
                continue
            if isinstance(sample, Scan):
                if self.mapper is not None:
                    self._scans.append(sample)
                continue
            if isinstance(sample, Battery):
                self._battery = sample
                if isinstance(self.planner, WatchesRange):
                    self.planner.take_battery(sample)
            if isinstance(sample, JointState):
                self.latest.joints = merge_joints(self.latest.joints, sample)
                self.guard.joints(now, sample, self._slots)
            self._samples.append(sample)

    def _run_fast(self, now: float) -> None:
        """Estimate and control in one, where the platform has a fast loop; it runs when its device has spoken."""
        if self.fast is None or not self._samples or self.stalled & {"estimator", "controller"}:
            return
        samples, self._samples = self._samples, []
        result = self.fast.step(now, samples, self.guard.state(now))
        if result is None:
            return
        if result.odom is not None:
            self._take_odom(now, result.odom)
        self.latest.command = result.command
        if result.command is not None:
            source, before = result.command.source, self._source
            self.guard.submit(source, result.command.t, now, result.command.values)
            if gives_back(before, source):
                self.guard.release(str(before), now)
            self._source = source

    def _estimate(self, now: float) -> None:
        if self.fast is not None or not self._due("estimator", now):
            return
        odom = cast(Estimator, self.estimator).step(now, self._samples)
        self._samples = []
        if odom is not None:
            self._take_odom(now, odom)

    def _take_odom(self, now: float, odom: Odometry) -> None:
        self.latest.odom = odom
        self._odometry.append(odom)
        if self.mapper is not None:
            self._poses.append(odom)
        self.guard.odometry(now, odom)

    def _track(self, now: float) -> None:
        if not self._due("tracker", now):
            return
        self.latest.tracks = self.tracker.step(now, self._detections, self._odometry, self.estimator.origin)
        self._detections, self._odometry = [], []

    def _map(self, now: float) -> None:
        if self.mapper is None or not self._due("mapper", now):
            return
        self.latest.map = self.mapper.step(now, self._scans, self._poses)
        self._scans, self._poses = [], []
        if self.latest.map is not None and isinstance(self.planner, MapFollower):
            self.planner.set_map(self.latest.map)

    def _plan(self, now: float) -> None:
        if self.latest.odom is None or not self._due("planner", now):
            return
        self.desk.take_armed(self.guard.state(now).armed)
        result = self.planner.step(now, self.latest.odom, self.latest.tracks)
        self.latest.trajectory, self.latest.mission = result.trajectory, result.mission
        if self.fast is not None:
            self.fast.follow(result.trajectory)
            if isinstance(self.fast, FollowsSteps):
                self.fast.follow_steps(result.steps)

    def _control(self, now: float) -> None:
        if self.controller is None or self.latest.odom is None or not self._due("controller", now):
            return
        command = self.controller.step(
            now, self.latest.odom, self.latest.joints, self.latest.trajectory, self.guard.output()
        )
        self.latest.command = command
        if command is not None:
            command = replace(command, values={**command.values, **self.runaway()})
            self.guard.submit(command.source, command.t, now, command.values)

    def _supervise(self, now: float) -> None:
        if not self._due("supervisor", now):
            return
        problems: dict[str, Mapping[str, str]] = {name: d.health(now) for name, d in self.drivers.items()}
        problems["fast_loop" if self.fast else "estimator"] = self.estimator.health(now)
        if isinstance(self.planner, WatchesRange):
            problems["planner"] = self.planner.problems()
        health = self.supervisor.step(
            now,
            SupervisorInputs(
                stamps=dict(self._stamps),
                odom_t=self.latest.odom.t if self.latest.odom else None,
                health=problems,
                mission=self.latest.mission,
                covered=self.latest.health is not None and self.latest.health.demand in ("return", "land"),
            ),
        )
        self.latest.health = self.failsafes.step(
            now,
            FailsafeInputs(
                self.guard.state(now).armed,
                health,
                self.supervisor.raised,
                self._battery,
                self.latest.odom,
                self._watched_t,
            ),
        )
        self.guard.health(now, self.latest.health)
        self.desk.take_health(self.latest.health)
        self._hold.step(self.latest.health, self.latest.mission.phase if self.latest.mission else None, self.planner)

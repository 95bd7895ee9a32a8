"""The guard: the only writer on the wire; logic and encoding run in C++ (`giljabi._core.guard`).

Sources submit named SI values; the guard checks freshness and limits, selects a source, owns `armed`, and turns what
is left into frames. docs/safety.md says what each mode does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from giljabi.fence import Fence, FenceLike, as_fences
from giljabi.platform import Platform
from giljabi.types import NAN, BadInputError, Health, JointState, Odometry, StackState
from giljabi.wire import EncodeTable

SOURCES = ("policy", "auto", "manual")  # ascending authority


def gives_back(before: str | None, source: str) -> bool:
    """Whether one that commands as `source` from now on must give back what it leads as `before`: a higher rank."""
    return before is not None and SOURCES.index(source) < SOURCES.index(before)


LOST_TIMEOUTS = 4.0  # command_lost_s in command_timeout_s, where the platform file does not say


@dataclass(frozen=True, slots=True)
class GuardActuator:
    """One actuator in its own SI unit: limits, greatest rate, and its safe output."""

    name: str
    min: float
    max: float
    rate_max: float  # per second
    safe_value: float
    safe_rate: float  # per second
    hold_s: float = 0.0  # the output is held that long before it ramps to safe_value
    safe_from_feedback: bool = False  # the safe output starts at the measured value, where there is a fresh one
    safe_release: bool = False  # the safe output is no torque, after hold_s
    follow: bool = False  # a joint: without torque its output is where it is; arming waits for its position
    wraps: bool = False  # an angle: it goes the short way, min and max are a turn apart, its safe output is where it is


@dataclass(frozen=True, slots=True)
class GuardFence:
    """What the vehicle needs to keep a fence, beside how it brakes and its body."""

    delay_s: float = 0.0  # from what a pose tells to what a command does, beyond the age of its stamp
    drift: float = 0.0  # m/s that wind and gusts move it while it holds a velocity or comes to rest
    position_error: float = 0.0  # m, of the pose
    vertical_deceleration: float = 0.0  # m/s^2; 0: as stop_deceleration
    velocity_inputs: tuple[str, ...] = ()  # of what hovers: actuators x, y, z in map [m/s], held back at a fence
    acceleration_inputs: tuple[str, ...] = ()  # of what takes accelerations beside them: let go near a fence
    climb_input: str = ""  # actuator: height that the vehicle climbs by itself [m]
    land_input: str = ""  # actuator: 1 lands straight below


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Everything the guard is told at configure."""

    actuators: tuple[GuardActuator, ...]
    tables: tuple[EncodeTable, ...]
    rate_hz: float
    command_timeout_s: float
    heartbeat_timeout_s: float
    pose_timeout_s: float
    sources: tuple[str, ...] = SOURCES
    command_lost_s: float = 0.0  # age of a command beyond which only arming helps; at least command_timeout_s
    stop_deceleration: float = 0.0  # m/s^2, mean of the safe output; 0: unknown, so no fence is taken
    front: float = 0.0  # m, body before, behind and beside base_link
    rear: float = 0.0
    half_width: float = 0.0
    fence: GuardFence = GuardFence()
    fences: tuple[Fence, ...] = ()  # of the platform, kept whatever the mission's are


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """One line of the guard's log."""

    number: int
    t: float
    what: str


class Guard:
    """The only writer on the wire, sans-I/O: commands, heartbeats and time in, frames due out.

    Times are stack time [s], values SI. What is refused returns the reason as text, '' when it was taken; nothing
    that arrives here raises after construction.
    """

    def __init__(self, config: GuardConfig) -> None:
        """Raises ValueError naming the value that is wrong."""
        from giljabi._core import guard as core

        self.config = config
        self._core = core.Guard(config)
        self.set_fences(())

    def submit(self, source: str, t_stamp: float, now: float, values: Mapping[str, float]) -> str:
        """Takes the command of a source (auto, manual, policy): every actuator by name, SI."""
        return self._core.submit(source, t_stamp, now, values)

    def release(self, source: str, now: float) -> None:
        """The source gives its lease back, so that a lower source with live commands goes on."""
        self._core.release(source, now)

    def heartbeat(
        self, now: float, t_stamp: float, reasons: Sequence[str] = (), degraded: bool = False, guided: bool = False
    ) -> str:
        """Takes the supervisor's verdict: reasons are a fault unless `degraded` (the planner stops by itself).

        guided: a fault, but the source that leads may bring the vehicle to rest.
        """
        return self._core.heartbeat(now, t_stamp, degraded or not reasons, degraded, reasons, guided)

    def health(self, now: float, health: Health) -> str:
        """The same from the supervisor's own object."""
        return self.heartbeat(now, health.t, health.reasons, health.degraded, health.guided)

    def pose(  # noqa: PLR0917
        self,
        now: float,
        t_stamp: float,
        x: float,
        y: float,
        yaw: float,
        speed: float,
        z: float = NAN,
        velocity: Sequence[float] = (NAN, NAN, NAN),
    ) -> str:
        """Takes base_link's pose in map [m, rad], speed along its nose and velocity in map [m/s]; NaN: not known."""
        return self._core.pose(now, t_stamp, x, y, yaw, speed, z, velocity)

    def odometry(self, now: float, odom: Odometry) -> str:
        """The same from the estimate."""
        return self.pose(now, *pose_of(odom))

    def feedback(self, now: float, name: str, value: float) -> str:
        """Takes an actuator's measured value in its SI unit; names of other joints are not an error."""
        return self._core.feedback(now, name, value)

    def set_fences(self, fences: Sequence[FenceLike]) -> None:
        """Fences in map [m], beside the platform's own; BadInputError for what is none, or while a source leads."""
        take_fences(self._core.set_fences, (*self.config.fences, *fences))

    def set_device(self, device: str, open_: bool, now: float, why: str = "") -> None:
        """Says that a device is open or gone, and why; KeyError when no encode table is for it."""
        self._core.set_device(device, open_, now, why)

    def arm(self, now: float) -> list[str]:
        """Arms and returns [], or returns every reason why not; also the way out of minimum_risk and stopped."""
        return self._core.arm(now)

    def disarm(self, now: float, reason: str = "") -> None:
        """Disarms: the armed field goes to 0, outputs ramp to their safe values."""
        self._core.disarm(now, reason)

    def stop(self, now: float) -> None:
        """Safe outputs from now on, whatever else goes on; ends by arm or disarm."""
        self._core.stop(now)

    def step(self, now: float) -> list[tuple[str, bytes]]:
        """Moves time and returns the frames due as (device, bytes)."""
        return self._core.step(now)

    def output(self) -> dict[str, float]:
        """What went to the wire last, by actuator [SI]."""
        return self._core.output()

    def state(self, now: float) -> StackState:
        """Mode, armed, and why it will not arm or why it left auto; judged at the time of the last step."""
        return state_of(now, self._core.state())

    def events(self, since: int = 0) -> tuple[int, list[GuardEvent]]:
        """(number of the next event, events from number `since` on); the last 256 are kept."""
        return events_of(self._core.events(since))

    def counters(self) -> dict[str, int]:
        """Inputs refused by reason, and values clamped to their limits."""
        return self._core.counters()

    def last_pose(self) -> tuple[float, float, float, float, float]:
        """(t_stamp, x, y, yaw, speed) of the newest pose that was taken; t_stamp is NaN before the first."""
        return self._core.last_pose()

    def last_feedback(self) -> dict[str, tuple[float, float]]:
        """(time of arrival, value) by actuator."""
        return self._core.last_feedback()

    def joints(self, now: float, joints: JointState, slots: Mapping[str, str]) -> None:
        """Feedback of the actuators in a JointState; slots: actuator -> position, velocity or effort."""
        for name, slot in slots.items():
            value = getattr(joints, slot).get(name)
            if value is not None:
                self.feedback(now, name, float(value))


def take_fences(give: Callable[[Sequence[Fence]], bool], fences: Sequence[FenceLike]) -> None:
    """Hands fences to a core guard; its refusals as BadInputError."""
    checked = as_fences(fences)
    try:
        taken = give(checked)
    except (TypeError, ValueError) as e:
        raise BadInputError(f"fence: {e}") from None
    if not taken:
        raise BadInputError("fence: a source leads; disarm before it is changed")


def pose_of(odom: Odometry) -> tuple[float, float, float, float, float, float, list[float]]:
    """What a guard takes of an estimate: stamp, x, y, yaw, speed along the nose, z, velocity in map."""
    x, y, z = (float(v) for v in odom.position)
    return odom.t, x, y, odom.yaw, float(odom.velocity[0]), z, [float(v) for v in odom.velocity_map]


def state_of(now: float, state: tuple[str, bool, list[str]]) -> StackState:
    """A StackState from the core's tuple."""
    mode, armed, reasons = state
    return StackState(now, mode, armed, tuple(reasons))


def events_of(log: tuple[int, list[tuple[int, float, str]]]) -> tuple[int, list[GuardEvent]]:
    """Events from the core's tuples."""
    total, events = log
    return total, [GuardEvent(*e) for e in events]


def feedback_slots(platform: Platform) -> dict[str, str]:
    """Slot of JointState that carries each actuator's unit."""
    return {name: a.slot for name, a in platform.model.actuators.items()}


def guard_config(platform: Platform, encode_tables: Iterable[EncodeTable]) -> GuardConfig:
    """The guard's configuration from a platform file and its drivers' tables; raises BadInputError with file:line."""
    tables = tuple(encode_tables)
    carried = {
        (table.device, field.actuator)
        for table in tables
        for message in table.messages
        for field in message.fields
        if field.source == "value"
    }
    # An input that only says when a message goes out is sent, too.
    carried |= {(t.device, m.gate.actuator) for t in tables for m in t.messages if m.gate.actuator}
    carried |= {(t.device, name) for t in tables for m in t.messages for name in m.attitude}
    for name, a in platform.model.actuators.items():
        if (a.driver, name) not in carried:
            raise platform.error(
                ("actuators", name, "driver"),
                f"driver '{a.driver}' does not send actuator '{name}'; name it in drivers.{a.driver}.options.commands",
            )
    for device, name in sorted(carried):
        if name in platform.model.actuators and platform.model.actuators[name].driver != device:
            owner = platform.model.actuators[name].driver
            raise platform.error(
                ("drivers", device, "options"),
                f"driver '{device}' sends actuator '{name}', which belongs to driver '{owner}'; one writer is expected",
            )
    joints = {t.device for t in tables if t.protocol == "servo"}
    for name, a in platform.model.actuators.items():
        if a.safe.action == "release" and a.driver not in joints:
            what = f"driver '{a.driver}' cannot take the torque of '{name}' away"
            raise platform.error(("actuators", name, "safe", "action"), f"{what}; ramp or hold is expected")
    g, body = platform.model.guard, platform.model.footprint
    if platform.fences and g.stop_deceleration is None:
        raise platform.error(("fences",), "fences need guard.stop_deceleration: how the safe output brakes")
    return GuardConfig(
        actuators=tuple(
            GuardActuator(
                n,
                a.min,
                a.max,
                a.rate_max,
                a.safe.value,
                a.safe.rate,
                a.safe.hold_s,
                a.safe.start == "feedback",
                a.safe.action == "release",
                a.driver in joints or a.wraps,
                a.wraps,
            )
            for n, a in platform.model.actuators.items()
        ),
        tables=tables,
        rate_hz=g.rate_hz,
        command_timeout_s=g.command_timeout_s,
        heartbeat_timeout_s=g.heartbeat_timeout_s,
        pose_timeout_s=g.pose_timeout_s,
        command_lost_s=g.command_lost_s if g.command_lost_s is not None else LOST_TIMEOUTS * g.command_timeout_s,
        stop_deceleration=g.stop_deceleration or 0.0,
        front=body.centre_x + 0.5 * body.length,
        rear=0.5 * body.length - body.centre_x,
        half_width=0.5 * body.width,
        fence=_fence_keeping(platform),
        fences=platform.fences,
    )


def _fence_keeping(platform: Platform) -> GuardFence:
    f, actuators = platform.model.guard.fence, platform.model.actuators
    units = {"velocity_inputs": "m/s", "acceleration_inputs": "m/s^2", "climb_input": "m", "land_input": "1"}
    for key, unit in units.items():
        given = getattr(f, key)
        for name in given if isinstance(given, tuple) else [given] if given else []:
            if name not in actuators or actuators[name].unit != unit:
                what = f"'{name}' is no actuator in {unit}; one of the file's is expected"
                raise platform.error(("guard", "fence", key), what)
    return GuardFence(
        f.delay_s,
        f.drift,
        f.position_error,
        f.vertical_deceleration or 0.0,
        f.velocity_inputs or (),
        f.acceleration_inputs or (),
        f.climb_input or "",
        f.land_input or "",
    )


def build_guard(platform: Platform, encode_tables: Iterable[EncodeTable]) -> Guard:
    """The guard of a platform; raises BadInputError with file:line when a table does not fit."""
    config = guard_config(platform, encode_tables)
    try:
        return Guard(config)
    except (ValueError, TypeError) as e:
        raise table_error(platform, config, e) from None


def table_error(platform: Platform, config: GuardConfig, error: Exception) -> Exception:
    """A BadInputError at the device, message or value that the C++ core named first in its text."""
    text = str(error)
    first = text.split(":", 1)[0].split(".", 1)[0]
    if any(t.device == first for t in config.tables):
        return platform.error(("drivers", first), f"encode table {text}; a table that fits its wire is expected")
    if first in platform.model.actuators:
        return platform.error(("actuators", first), text)
    return platform.error(("guard",), text)

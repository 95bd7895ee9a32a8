"""A platform is one file: model, limits, actuators, sensors, drivers, steps and rules of one vehicle.

The core never asks which platform it runs on; it reads what the file says. `options` of drivers and steps
are open here and checked by the part that is named (`Platform.options`), with the same file:line errors.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from giljabi.failsafe_table import Energy, FailsafeTable
from giljabi.fence import Fence, FenceModel
from giljabi.topics import TOPICS, Topic
from giljabi.types import BadInputError
from giljabi.yaml_file import Key, Strict, YamlFile

Slot = Literal["position", "velocity", "effort"]
SLOT_OF_UNIT: dict[str, Slot] = {
    "rad": "position", "m": "position", "1": "position", "rad/s": "velocity", "m/s": "velocity", "m/s^2": "effort",
    "N": "effort", "N*m": "effort",
}  # fmt: skip


def left_out(*names: str) -> Any:
    """A schema's extra: keys that a file may leave to its robot or its fast loop; `fill_in` puts them there."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [n for n in schema["required"] if n not in names]

    return change


def only_where(key: str, value: Any, *names: str) -> Any:
    """A schema's extra: names that may be missing only where key has that value."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [n for n in schema["required"] if n not in names]
        schema["if"] = {"properties": {key: {"const": value}}, "required": [key]}
        schema["else"] = {"required": list(names)}

    return change


class Model(Strict):
    """Dynamics the solver uses, by name, and its parameters in SI."""

    kind: str
    parameters: dict[str, float] = Field(default_factory=dict)


class Footprint(Strict):
    """Rectangle around base_link [m]."""

    length: float = Field(gt=0)
    width: float = Field(gt=0)
    centre_x: float = 0.0  # centre of the rectangle in base_link


class Limits(Strict):
    """What the vehicle may do; every value is required, nothing is guessed."""

    speed_max: float = Field(gt=0, description="m/s over ground")
    speed_min: float = Field(le=0, description="m/s, 0 when the vehicle must not go astern")
    acceleration_max: float = Field(gt=0, description="m/s^2")
    deceleration_max: float = Field(gt=0, description="m/s^2, comfortable stop")
    yaw_rate_max: float = Field(gt=0, description="rad/s")
    lateral_acceleration_max: float = Field(gt=0, description="m/s^2")
    clearance: float = Field(ge=0, description="m kept between footprint and anything else")


class SafeOutput(Strict):
    """What the guard sends when commands must not reach the wire: ramp to `value` at `rate`, or hold then ramp.

    release, for joints of servos: hold for hold_s, then no torque. keep, for angles that wrap: it stays where it is.
    """

    model_config = ConfigDict(json_schema_extra=only_where("action", "keep", "rate"))
    action: Literal["ramp", "hold", "release", "keep"] = "ramp"
    value: float = 0.0
    rate: float = Field(gt=0, description="unit of the actuator per second")
    hold_s: float = Field(default=0.0, ge=0, description="hold: seconds before the ramp begins")
    start: Literal["output", "feedback"] = Field(
        default="output", description="where it begins: the last output, or where the actuator is when it says so"
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_has_no_rate(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("action") == "keep":
            given = sorted({"value", "rate", "hold_s"} & data.keys())
            if given:
                raise ValueError(f"action is keep, but {', '.join(given)} is given; start alone is expected beside it")
            data = {**data, "rate": 1e-3}
        return data

    @model_validator(mode="after")
    def _hold_has_a_time(self) -> SafeOutput:
        if self.action == "hold" and self.hold_s == 0.0:
            raise ValueError("action is hold without hold_s; hold_s above 0 is expected")
        if self.action == "ramp" and self.hold_s > 0.0:
            raise ValueError("action is ramp, but hold_s is given; action: hold is expected")
        return self


class Actuator(Strict):
    """One named actuator: unit, limits, and its safe output.

    wraps: an angle without limits, such as an ordered heading; it goes the short way, and it begins where the compass
    of its driver says it is.
    """

    model_config = ConfigDict(json_schema_extra=only_where("wraps", True, "min", "max"))
    unit: Literal["rad", "m", "1", "rad/s", "m/s", "m/s^2", "N", "N*m"]
    wraps: bool = False
    min: float
    max: float
    rate_max: float = Field(gt=0, description="unit per second")
    driver: str
    safe: SafeOutput

    @model_validator(mode="before")
    @classmethod
    def _turn(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("wraps") is True:
            if data.get("unit") != "rad":
                raise ValueError(f"wraps is for an angle, but unit is {data.get('unit')}; rad is expected")
            if {"min", "max"} & data.keys():
                raise ValueError("an angle that wraps has no min and max; none are expected")
            data = {**data, "min": -math.pi, "max": math.pi}
        return data

    @model_validator(mode="after")
    def _keeps_what_wraps(self) -> Actuator:
        if self.wraps != (self.safe.action == "keep"):
            what = "wraps needs safe action keep" if self.wraps else "safe action keep is for angles that wrap"
            raise ValueError(f"{what}; {'keep' if self.wraps else 'ramp or hold'} is expected")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Actuator:
        if self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}; min < max is expected")
        if not self.min <= self.safe.value <= self.max:
            raise ValueError(
                f"safe.value {self.safe.value} is outside the limits; {self.min} to {self.max} is expected"
            )
        if self.safe.rate > self.rate_max and not self.wraps:
            raise ValueError(f"safe.rate {self.safe.rate} is above rate_max; at most {self.rate_max} is expected")
        return self

    @property
    def slot(self) -> Slot:
        """Slot of JointState that carries it."""
        return SLOT_OF_UNIT[self.unit]


class Sensor(Strict):
    """One source of samples: where it sits and how old it may get."""

    kind: Literal["gnss", "imu", "heading", "joints", "log", "odometry", "battery", "detections", "scan"]
    driver: str
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in base_link [m]
    rpy_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)  # R_base_sensor
    timeout_s: float = Field(gt=0)
    required: bool = True  # arming waits for it


class Device(Strict):
    """One device: the driver's name, where the real one is, and what the driver wants to know."""

    kind: str
    device: str = Field(description="URL, e.g. serial:/dev/ttyUSB0?baud=38400")
    options: dict[str, Any] = Field(default_factory=dict)


class Step(Strict):
    """One step by name, with its rate and options."""

    kind: str
    rate_hz: float = Field(gt=0, le=1000)
    options: dict[str, Any] = Field(default_factory=dict)


class Steps(Strict):
    """The steps of the stack; a mapper is for vehicles that see what stands about them."""

    model_config = ConfigDict(json_schema_extra=left_out("estimator", "controller"))
    estimator: Step
    tracker: Step
    mapper: Step | None = None
    planner: Step
    controller: Step

    def rates(self) -> dict[str, float]:
        """Rate [Hz] of every step that there is."""
        return {n: s.rate_hz for n in type(self).model_fields if (s := getattr(self, n)) is not None}


class FenceKeeping(Strict):
    """What the guard counts with at a fence, beside `stop_deceleration` and the footprint."""

    delay_s: float = Field(
        default=0.0, ge=0, le=5, description="from what a pose tells to what a command does, beyond its stamp's age"
    )
    drift: float = Field(default=0.0, ge=0, le=20, description="m/s that wind and gusts move it off what it was told")
    position_error: float = Field(default=0.0, ge=0, le=100, description="m, greatest error of the pose")
    vertical_deceleration: float | None = Field(
        default=None, gt=0, description="m/s^2 up and down; as stop_deceleration where it is not given"
    )
    velocity_inputs: tuple[str, str, str] | None = Field(
        default=None, description="actuators that are velocities x, y, z in map: held back at a fence instead of ended"
    )
    acceleration_inputs: tuple[str, str, str] | None = Field(
        default=None, description="actuators that are accelerations beside them: let go near a fence"
    )
    climb_input: str | None = Field(default=None, description="actuator: a height that the vehicle climbs by itself")
    land_input: str | None = Field(default=None, description="actuator: 1 lands straight below")


class Guard(Strict):
    """The only writer on the wire: rate and freshness limits."""

    rate_hz: float = Field(gt=0, le=1000)
    command_timeout_s: float = Field(gt=0, description="an older command is not followed: the safe output begins")
    command_lost_s: float | None = Field(
        default=None, gt=0, description="age of a command from which only arming leaves the safe output; 4 timeouts"
    )
    stop_deceleration: float | None = Field(
        default=None, gt=0, description="m/s^2, how the safe output brakes on average; fences need it"
    )
    heartbeat_timeout_s: float = Field(gt=0)
    pose_timeout_s: float = Field(gt=0)
    fence: FenceKeeping = Field(default_factory=FenceKeeping)


class MinimumRisk(Strict):
    """What the stack does when it must give up its goal."""

    manoeuvre: Literal["stop", "sit"]  # plan to standstill inside the limits, then hold; sit: then down, softly
    within_s: float = Field(gt=0, description="time until standstill that the platform promises")


class Robot(Strict):
    """A robot whose joints another file describes: they become actuators, and joints of the driver's servos."""

    file: str = Field(description="a name in config/robots, or a path relative to this file")
    driver: str = Field(description="that its servos hang on")
    sit_s: float = Field(default=1.5, gt=0, description="s that the safe output takes from standing to sitting")
    release_s: float | None = Field(
        default=None, gt=0, description="instead: the safe output holds so long, then takes the torque away"
    )


class FastLoop(Strict):
    """Estimate and control in one chain beside the guard, in place of `steps.estimator` and `steps.controller`."""

    model_config = ConfigDict(json_schema_extra=left_out("rate_hz"))
    kind: str
    trigger: str = Field(description="driver whose samples run it")
    rate_hz: float = Field(gt=0, le=1000, description="the robot file's when it is left out")
    options: dict[str, Any] = Field(default_factory=dict)


class TopicOverride(Strict):
    """Rate or staleness of one row of the topic table."""

    rate_hz: float | None = Field(default=None, gt=0)
    timeout_s: float | None = Field(default=None, gt=0)


class PlatformModel(Strict):
    """The whole file."""

    model_config = ConfigDict(json_schema_extra=left_out("actuators"))
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    model: Model
    footprint: Footprint
    limits: Limits
    actuators: dict[str, Actuator] = Field(min_length=1)
    sensors: dict[str, Sensor] = Field(min_length=1)
    drivers: dict[str, Device] = Field(min_length=1)
    robot: Robot | None = None
    steps: Steps = Field(description="with a fast_loop: tracker and planner only")
    fast_loop: FastLoop | None = None
    guard: Guard
    minimum_risk: MinimumRisk
    failsafes: FailsafeTable | None = None
    energy: Energy | None = None
    fences: list[FenceModel] = Field(
        default_factory=list, description="kept on every mission: a ceiling, a place to stay away from"
    )
    topics: dict[str, TopicOverride] = Field(default_factory=dict)
    simulation: dict[str, Any] = Field(default_factory=dict, description="plant and peers; read by the simulator only")
    scenario: str = Field(description="default scenario of `giljabi run`, relative to config/scenarios")


S = TypeVar("S", bound=Strict)


class Platform:
    """A validated platform file."""

    def __init__(self, file: YamlFile, model: PlatformModel) -> None:
        self.file = file
        self.model = model
        self._check()

    def _check(self) -> None:
        """Rules between parts of the file; raises BadInputError at the line of the part that breaks one."""
        m = self.model
        for group, parts in (("actuators", m.actuators), ("sensors", m.sensors)):
            for name, part in parts.items():
                if part.driver not in m.drivers:
                    known = ", ".join(m.drivers)
                    what = f"no driver is called '{part.driver}'; known are {known}"
                    raise self.error((group, name, "driver"), what)
        if m.fast_loop is not None and m.fast_loop.trigger not in m.drivers:
            what = f"no driver is called '{m.fast_loop.trigger}'; known are {', '.join(m.drivers)}"
            raise self.error(("fast_loop", "trigger"), what)
        known_topics = [t.name for t in TOPICS]
        for name in m.topics:
            if name not in known_topics:
                raise self.error(("topics", name), f"no topic is called '{name}'; known are {', '.join(known_topics)}")
        shortest = 2.0 / m.steps.controller.rate_hz
        if m.guard.command_timeout_s < shortest:
            what = f"command_timeout_s {m.guard.command_timeout_s} is shorter than two periods of the controller"
            raise self.error(("guard", "command_timeout_s"), f"{what}; at least {shortest:g} s is expected")
        if m.guard.command_lost_s is not None and m.guard.command_lost_s < m.guard.command_timeout_s:
            what = f"command_lost_s {m.guard.command_lost_s} is shorter than command_timeout_s"
            raise self.error(("guard", "command_lost_s"), f"{what}; {m.guard.command_timeout_s:g} or more is expected")
        if m.guard.command_timeout_s * m.guard.rate_hz < 1.0:
            what = f"rate_hz {m.guard.rate_hz} gives no tick within command_timeout_s"
            raise self.error(("guard", "rate_hz"), f"{what}; at least {1 / m.guard.command_timeout_s:g} is expected")

    @property
    def name(self) -> str:
        """The platform's name; for display, never for decisions."""
        return self.model.name

    @property
    def fences(self) -> tuple[Fence, ...]:
        """Fences that hold on every mission."""
        return tuple(f.fence() for f in self.model.fences)

    def timeout_s(self, topic: Topic) -> float:
        """Staleness limit of a topic: this platform's, else the table's."""
        override = self.model.topics.get(topic.name)
        return topic.timeout_s if override is None or override.timeout_s is None else override.timeout_s

    def options(self, schema: type[S], *key: str) -> S:
        """`options` at a key path such as ("steps", "planner") as `schema`; raises BadInputError with file:line."""
        data: Any = self.file.data
        for part in key:
            data = data[part]
        path: Key = (*key, "options")
        return self.file.validate(schema, data.get("options", {}), path)

    def error(self, key: Key, what: str) -> BadInputError:
        """An error at the line of a key path."""
        return self.file.error(key, what)


def share_dir() -> Path:
    """Folder that holds config/ and launch/: installed share, else the source tree."""
    here = Path(__file__).resolve()
    source = here.parents[2]
    candidates = [source] if (source / "config" / "platforms").is_dir() else []
    try:
        from ament_index_python.packages import get_package_share_directory

        candidates.append(Path(get_package_share_directory("giljabi")))
    except Exception:
        pass
    import sys

    candidates += [
        p / "share" / "giljabi" for p in (here.parents[4] if len(here.parents) > 4 else source, Path(sys.prefix))
    ]
    for c in candidates:
        if (c / "config" / "platforms").is_dir():
            return c
    raise BadInputError("giljabi's config folder was not found; reinstall the package")


def find_platform(name_or_path: str | os.PathLike[str]) -> Path:
    """Path of a platform file from a name (config/platforms/<name>.yaml) or a path; raises BadInputError."""
    text = os.fspath(name_or_path)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        return Path(text)
    path = share_dir() / "config" / "platforms" / f"{text}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise BadInputError(f"no platform '{text}'; known platforms are {', '.join(known)}, or give a file")
    return path


def load_platform(name_or_path: str | os.PathLike[str]) -> Platform:
    """Reads and validates a platform file; raises BadInputError `file:line: what; what is expected`."""
    file = YamlFile(find_platform(name_or_path))
    fill_in(file)
    return Platform(file, file.validate(PlatformModel))


def fill_in(file: YamlFile) -> None:
    """What the file leaves to a robot's file and to its fast loop; raises BadInputError with file:line."""
    data = file.data
    if not isinstance(data, dict):
        return
    if "robot" in data:
        from giljabi.walking.robot import fill_in_robot

        fill_in_robot(file, file.validate(Robot, data["robot"], ("robot",)))
    if "fast_loop" in data:
        loop = file.validate(FastLoop, data["fast_loop"], ("fast_loop",))
        steps: Any = data.get("steps")
        for step in ("estimator", "controller") if isinstance(steps, dict) else ():
            if step in steps:
                raise file.error(("steps", step), f"the fast loop is the {step}; one of the two is expected")
            steps[step] = {"kind": loop.kind, "rate_hz": loop.rate_hz}

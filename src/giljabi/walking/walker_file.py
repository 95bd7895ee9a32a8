"""A walker's file: its MJCF, servos, feet and gait; nothing about one robot stands in the code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from giljabi.platform import share_dir
from giljabi.types import BadInputError
from giljabi.yaml_file import Strict, YamlFile


class Foot(Strict):
    """One foot: its body in the MJCF and the rectangle of its sole, flat on the ground when the ankle is level."""

    body: str
    centre: tuple[float, float, float] = Field(description="m, middle of the sole in the body's frame")
    half_length: float = Field(gt=0, description="m")
    half_width: float = Field(gt=0, description="m")


class Servos(Strict):
    """What all servos have in common unless `gain` names a joint: the inside of a position servo."""

    gain: float = Field(gt=0, description="N*m/rad from position error to torque")
    gains: dict[str, float] = Field(default_factory=dict, description="other gains, by joint")
    model: str = Field(description="as its maker calls it, e.g. xm430-w350: the control table on the bus")
    baud: float = Field(gt=0)
    rate_max: float = Field(gt=0, description="rad/s, of targets")


class Imu(Strict):
    """Where the inertial sensor is: a site of the MJCF, whose axes are the sensor's."""

    site: str


class Gait(Strict):
    """How the robot walks; lengths in m, times in s."""

    height: float = Field(gt=0, description="m, centre of mass above the soles")
    height_low: float = Field(gt=0, description="m, as low as it goes standing")
    step_time: float = Field(gt=0.05, lt=3.0, description="s from one touchdown to the next")
    double_support: float = Field(ge=0.02, lt=0.5, description="share of step_time with both feet on the ground")
    width: float = Field(gt=0, description="m between the feet's middles")
    width_min: float = Field(gt=0, description="m, closest the feet may come in an adjusted step")
    lift: float = Field(gt=0, description="m, highest point of the swinging foot")
    length_max: float = Field(gt=0, description="m a step moves forward or backward at most")
    side_max: float = Field(gt=0, description="m a step moves outwards beyond `width` at most")
    turn_max: float = Field(gt=0, description="rad a step turns at most")
    speed: float = Field(gt=0, description="m/s it walks at when nothing else is asked")
    speed_max: float = Field(gt=0, description="m/s")
    weight_shift: float = Field(gt=0, description="s to bring the weight over one foot before the first step")
    margin: float = Field(ge=0, description="m the zero-moment point keeps from the sole's edge")
    feedback: float = Field(gt=0, description="1/s at which the plan follows the measured divergent component")
    step_height: float = Field(default=0.02, ge=0, description="m up or down from one known surface to another")
    edge_margin: float = Field(default=0.01, ge=0, description="m that a planned sole keeps from a surface's edge")
    zmp_inset: float = Field(
        default=0.0, description="m the zero-moment point's reference stands inwards of the sole's middle"
    )


class Keyframe(Strict):
    """One posture of a motion: what is not named stays as in the keyframe before."""

    seconds: float = Field(gt=0, le=20, description="s to get there; longer where a servo would be too fast")
    posture: Literal["stand", "squat"] | None = Field(
        default=None, description="all joints as the gait stands, at gait.height or gait.height_low"
    )
    joints: dict[str, float] = Field(default_factory=dict, description="rad")


class StandUp(Strict):
    """Motions from the ground to standing, by what the robot lies on; each ends in the posture `stand`."""

    prone: list[Keyframe] = Field(min_length=1, description="on its face")
    supine: list[Keyframe] = Field(min_length=1, description="on its back")
    left: list[Keyframe] = Field(default_factory=list, description="from its left side to its face or back")
    right: list[Keyframe] = Field(default_factory=list, description="from its right side to its face or back")


class Behaviours(Strict):
    """What it can do beside walking; a motion that is not in the file is refused."""

    mirror: dict[str, str] = Field(
        default_factory=dict, description="joint: other joint that a keyframe moves with it; '-' before it: opposite"
    )
    stand_up: StandUp | None = None
    attempts: int = Field(default=4, ge=1, le=20, description="motions from the ground, rolls too, before it gives up")
    kneel: list[Keyframe] = Field(default_factory=list, description="from standing to the knees")
    sit: list[Keyframe] = Field(default_factory=list, description="from standing to the ground")
    minimum_risk: Literal["kneel", "sit", "squat"] = Field(
        default="squat", description="what ends a walk that must end; squat: as low as the gait stands, then let go"
    )
    look: dict[Literal["pan", "tilt"], str] = Field(default_factory=dict, description="the head's joints")
    acceleration_max: float = Field(default=60.0, gt=0, description="rad/s^2, of joints in trajectories played")


class Walker(Strict):
    """The whole file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    model: str = Field(description="MJCF, relative to this file")
    base: str = Field(description="body of the free joint")
    imu: Imu
    left_foot: Foot
    right_foot: Foot
    servos: Servos
    joints: dict[str, float] = Field(description="joints in the order of their servos, and where each stands, rad")
    rate_hz: float = Field(gt=20, le=1000, description="of the control loop")
    gait: Gait
    behaviours: Behaviours = Behaviours()

    @model_validator(mode="after")
    def _fits(self) -> Walker:
        if self.gait.height_low > self.gait.height:
            raise ValueError("gait.height_low is above gait.height; height_low <= height is expected")
        if self.gait.width_min > self.gait.width:
            raise ValueError("gait.width_min is above gait.width; width_min <= width is expected")
        unknown = sorted(set(self.servos.gains) - set(self.joints))
        if unknown:
            raise ValueError(f"servos.gains names '{unknown[0]}', which is none of the joints; a joint is expected")
        return self


class WalkerFile:
    """A validated walker's file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises BadInputError `file:line: what; what is expected`."""
        self.file = YamlFile(Path(path))
        self.walker = self.file.validate(Walker)
        self.model_path = self.file.path.parent / self.walker.model
        if not self.model_path.is_file():
            raise self.file.error(("model",), f"no file '{self.model_path}'; an MJCF file is expected")

    def error(self, what: str, *key: str) -> BadInputError:
        """An error at the line of a key path."""
        return self.file.error(key, what)


def load_walker(name_or_path: str | os.PathLike[str]) -> WalkerFile:
    """The walker of config/robots/<name>.yaml, or of a file; raises BadInputError."""
    text = os.fspath(name_or_path)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        return WalkerFile(text)
    folder = share_dir() / "config" / "robots"
    path = folder / f"{text}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise BadInputError(f"no walker '{text}'; known walkers are {known}, or give a file")
    return WalkerFile(path)

"""A learned policy's file: which model, what it sees, and what its numbers mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from giljabi.types import BadInputError
from giljabi.yaml_file import Strict, YamlFile

SIZES = {"up": 3, "gyro": 3, "command": 3, "clock": 2}  # the others have one number a joint


class Observation(Strict):
    """One block of the observation."""

    name: Literal["up", "gyro", "command", "clock", "joint_positions", "joint_velocities", "last_action"] = Field(
        description="up: the world's z in the base's axes; gyro: rad/s, base; command: m/s forward, m/s left, rad/s;"
        " clock: sine and cosine since the policy's start; joints in the order of `joints`, rad from `action.offset`"
    )
    scale: float | list[float] = Field(default=1.0, description="factor, for all or for each number")
    period_s: float = Field(default=1.0, gt=0, description="of `clock`")


class Action(Strict):
    """targets = offset + scale * action."""

    scale: float | list[float] = Field(description="rad, for all or for each joint")
    offset: Literal["stand", "zero"] | dict[str, float] = Field(
        default="stand", description="rad: the posture `stand`, 0, or joints by name (others stand)"
    )
    clip: float = Field(default=10.0, gt=0, description="of the model's numbers, before they are scaled")


class PolicyFile(Strict):
    """The whole file."""

    model: str = Field(description="ONNX file beside this one: one input (1, observations), one output (1, joints)")
    rate_hz: float = Field(gt=0, le=1000)
    joints: list[str] = Field(min_length=1, description="in the order of the model's output")
    observations: list[Observation] = Field(min_length=1)
    history: int = Field(default=1, ge=1, le=100, description="observations given at once, the newest last")
    action: Action
    rate_max: float | None = Field(default=None, gt=0, description="rad/s of targets; the servos' when not given")
    late_s: float = Field(default=0.01, gt=0, description="an answer that took longer is not taken")
    misses: int = Field(default=5, ge=1, description="answers in a row that may be late, not finite or out of range")
    failed: Literal["minimum_risk", "stand"] = Field(
        default="minimum_risk", description="what the upright robot does after a policy that has failed"
    )
    seconds: float | None = Field(default=None, gt=0, description="after which it is over; never when not given")

    @model_validator(mode="after")
    def _fits(self) -> PolicyFile:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError("joints names one joint twice; each once is expected")
        for o in self.observations:
            if isinstance(o.scale, list) and len(o.scale) != self.size(o):
                raise ValueError(f"observation '{o.name}' has {self.size(o)} numbers and {len(o.scale)} scales")
        if isinstance(self.action.scale, list) and len(self.action.scale) != len(self.joints):
            raise ValueError(f"action.scale has {len(self.action.scale)} numbers for {len(self.joints)} joints")
        return self

    def size(self, observation: Observation) -> int:
        """How many numbers an observation has."""
        return SIZES.get(observation.name, len(self.joints))

    @property
    def observed(self) -> int:
        """Length of the model's input."""
        return self.history * sum(self.size(o) for o in self.observations)


class LoadedPolicyFile:
    """A validated policy's file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises BadInputError `file:line: what; what is expected`."""
        self.file = YamlFile(Path(path))
        self.policy = self.file.validate(PolicyFile)
        self.model_path = self.file.path.parent / self.policy.model
        if not self.model_path.is_file():
            raise self.error(f"no file '{self.model_path}'; an ONNX file is expected", "model")

    def error(self, what: str, *key: str | int) -> BadInputError:
        """An error at the line of a key path."""
        return self.file.error(key, what)

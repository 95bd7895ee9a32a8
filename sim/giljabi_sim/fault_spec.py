"""Faults as a scenario or a command line declares them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import yaml
from pydantic import Field, model_validator

from giljabi.types import BadInputError
from giljabi.yaml_file import Strict

Kind = Literal[
    "silent",
    "offset",
    "runaway",
    "drop",
    "delay",
    "reorder",
    "duplicate",
    "flip",
    "freeze",
    "garbage",
    "unplug",
    "bus_off",
]
WIRE_KINDS: tuple[str, ...] = get_args(Kind)[3:]
WHOLE_LINE = ("unplug", "bus_off")  # both directions, every byte
EXAMPLE = "what=flip where=bridge begin=20 end=25 share=0.1"
# Keys that belong to some kinds only.
_ONLY: dict[str, tuple[str, ...]] = {
    "value": ("offset",),
    "command": ("runaway",),
    "delay_s": ("delay",),
    "bits": ("flip",),
    "bytes": ("garbage",),
    **dict.fromkeys(("direction", "share", "every", "count", "message"), tuple(sorted({*WIRE_KINDS} - {*WHOLE_LINE}))),
}


class Fault(Strict):
    """Something that goes wrong for a while: of a sensor or a step, or on the wire of a driver."""

    what: Kind
    where: str = Field(
        description="a sensor, driver or step of the platform file, or `commands`; on the wire: a driver"
    )
    begin: float = Field(ge=0, description="s")
    end: float | None = Field(default=None, description="s; default to the end")
    value: float | None = Field(default=None, description="offset: m to the east (gnss), rad (heading)")
    command: dict[str, float] | None = Field(
        default=None, description="runaway: what the controller commands instead, by actuator, SI"
    )
    direction: Literal["from_device", "to_device", "both"] | None = Field(
        default=None, description="on the wire; default from_device"
    )
    share: float | None = Field(default=None, gt=0, le=1, description="probability of each message; default all")
    every: int | None = Field(default=None, ge=1, description="each n-th message only")
    count: int | None = Field(default=None, ge=1, description="so many messages at most")
    message: int | str | None = Field(default=None, description="a CAN identifier, or a type of sentence such as GGA")
    delay_s: float | None = Field(default=None, gt=0, le=600, description="delay: s")
    bits: int | None = Field(default=None, ge=1, le=64, description="flip: so many of a message; default 1")
    bytes: int | None = Field(default=None, ge=1, le=4096, description="garbage: so many random ones; default 16")

    @model_validator(mode="after")
    def _fits(self) -> Fault:
        if self.end is not None and self.end <= self.begin:
            raise ValueError(f"end {self.end} is not after begin {self.begin}")
        if (self.what == "offset") != (self.value is not None):
            raise ValueError("an offset has a value, nothing else has")
        if self.what == "runaway" and not self.command:
            raise ValueError("a runaway needs command")
        if self.what == "delay" and self.delay_s is None:
            raise ValueError("a delay needs delay_s")
        for key, kinds in _ONLY.items():
            if getattr(self, key) is not None and self.what not in kinds:
                raise ValueError(f"{self.what} takes no {key}; {key} goes with {', '.join(kinds)}")
        if self.share is not None and self.every is not None:
            raise ValueError("share and every are both given; one of them is expected")
        return self

    @property
    def on_wire(self) -> bool:
        """Whether it happens to bytes on their way, whatever they say."""
        return self.what in WIRE_KINDS

    @property
    def words(self) -> str:
        """What, where and when, for people."""
        until = f"{self.end:g} s" if self.end is not None else "the end"
        message = f" {hex(self.message) if isinstance(self.message, int) else self.message}" if self.message else ""
        way = f", {self.direction.replace('_', ' ')}" if self.direction in ("to_device", "both") else ""
        begin = f"{self.begin:g} to" if self.end is not None else f"{self.begin:g} s to"
        return f"{self.what}{message} on '{self.where}'{way} {begin} {until}"


def parse_fault(text: str) -> dict[str, Any]:
    """`key=value` pairs of one --fault as plain data; raises BadInputError."""
    out: dict[str, Any] = {}
    for pair in text.split():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise BadInputError(f"--fault '{text}': '{pair}' is no key=value; e.g. '{EXAMPLE}' is expected")
        if key in out:
            raise BadInputError(f"--fault '{text}': {key} is given twice; once is expected")
        try:
            out[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise BadInputError(f"--fault '{text}': {value!r} cannot be read; a YAML value is expected") from None
    return out

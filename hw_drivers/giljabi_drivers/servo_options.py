"""What a platform file says of a chain of servos, and the chain that comes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field as Option
from pydantic import model_validator

from giljabi.platform import Actuator, Platform
from giljabi.types import BadInputError
from giljabi.yaml_file import Strict
from giljabi_drivers.servo_layout import FAST, LOAD, ChainLayout, Extra, Joint, Mounting, make_joint
from giljabi_drivers.servo_tables import MODELS, Family, Model, Register, Table
from giljabi_drivers.transport_base import Url

MARGIN = 0.9  # of a period that a cycle may take on the wire


class RegisterOption(Strict):
    """A register that the model's table has elsewhere, or not at all."""

    address: int = Option(ge=0, le=0xFFFF)
    size: Literal[1, 2, 4]
    signed: bool = False
    scale: float = 1.0


class JointOption(Strict):
    """One servo: where it is on the line and how it sits in its joint."""

    id: int = Option(ge=0, le=253)
    model: str | None = Option(default=None, description="default is `model` of the driver")
    sign: Literal[1, -1] = Option(default=1, description="-1: the joint turns against the servo")
    zero_deg: float | None = Option(default=None, description="servo's angle where the joint is 0; default its middle")
    gear: float = Option(default=1.0, gt=0, description="turns of the servo for one turn of the joint")
    torque_constant: float | None = Option(default=None, gt=0, description="N*m/A at the joint; effort needs it")
    current_limit_a: float | None = Option(default=None, gt=0, description="written as goal_current every cycle")
    safe_current_a: float | None = Option(default=None, gt=0, description="the same in safe output: a softer joint")
    torque_limit: float | None = Option(default=None, gt=0, le=1, description="Feetech, share of its torque")
    gains: dict[str, int] = Option(
        default_factory=dict, description="registers set at start, raw, e.g. position_p: 800"
    )


class ServoOptions(Strict):
    """`options` of a dynamixel or feetech driver."""

    joints: dict[str, JointOption] = Option(min_length=1, description="by the name of the actuator")
    model: str | None = None
    baud: int | None = Option(
        default=None, ge=9600, le=10_000_000, description="of the servos; default is the device's"
    )
    fast: bool = Option(default=True, description="Dynamixel: one long reply of all servos (fast sync read)")
    indirect: bool = Option(default=False, description="Dynamixel: gather the registers by indirect addresses")
    rate_hz: float | None = Option(default=None, gt=0, description="of cycles; default is the guard's")
    slow_every: int = Option(default=50, ge=1, description="cycles between readings of voltage and temperature")
    housekeeping_s: float = Option(default=0.5, ge=0.02, description="between looks at one servo's torque and watchdog")
    return_delay_s: float = Option(default=0.0, ge=0, le=508e-6)
    watchdog_s: float = Option(default=0.2, ge=0.02, le=2.54, description="Dynamixel: bus silence that stops a servo")
    latency_s: float = Option(default=5e-3, gt=0, le=0.1, description="most that adapter and system add to a reply")
    temperature_max: float = Option(default=75.0, gt=0, description="degrees Celsius, a problem from there on")
    registers: dict[str, RegisterOption] = Option(default_factory=dict, description="instead of the table's")

    @model_validator(mode="after")
    def _ids_differ(self) -> ServoOptions:
        seen: dict[int, str] = {}
        for name, j in self.joints.items():
            if j.id in seen:
                raise ValueError(f"'{name}' and '{seen[j.id]}' have the same id {j.id}; different ids are expected")
            seen[j.id] = name
        return self


def driver_key(name: str, *rest: str) -> tuple[str, ...]:
    """Place of a driver's option in the platform file."""
    return ("drivers", name, "options", *rest)


def find_model(platform: Platform, driver: str, joint: str, o: ServoOptions) -> Model:
    """Raises BadInputError with the file's line."""
    text = o.joints[joint].model or o.model
    if text is None:
        raise platform.error(
            driver_key(driver, "joints", joint), f"'{joint}' has no model; one, or one for all, is expected"
        )
    model = MODELS.get(text.lower())
    if model is None:
        rest: tuple[str, ...] = ("joints", joint, "model") if o.joints[joint].model else ("model",)
        key = driver_key(driver, *rest)
        raise platform.error(key, f"no model '{text}'; known are {', '.join(sorted(MODELS))}")
    return model


def table_of(model: Model, o: ServoOptions) -> Table:
    """The model's table with the file's registers."""
    if not o.registers:
        return model.table
    own = {n: Register(r.address, r.size, -1 if r.signed else -2, r.scale) for n, r in o.registers.items()}
    return replace(model.table, registers=model.table.registers | own)


def mounting_of(j: JointOption, model: Model, table: Table, actuator: Actuator) -> Mounting:
    """Raises BadInputError when the limits lie beyond what a position register can say."""
    zero = table.zero if j.zero_deg is None else math.radians(j.zero_deg) / table.radians
    register = table.registers["goal_position"]
    bits = 8 * register.size
    floor, top = {-1: (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1), -2: (0.0, 2.0**bits - 1)}.get(
        register.sign, (-(2.0**register.sign) + 1, 2.0**register.sign - 1)
    )
    count = j.sign * j.gear / table.radians
    ends = sorted((actuator.min * count + zero, actuator.max * count + zero))
    if ends[0] < floor or ends[1] > top:
        what = f"{actuator.min} to {actuator.max} rad are {ends[0]:.0f} to {ends[1]:.0f} counts"
        raise BadInputError(f"{what}; {floor:.0f} to {top:.0f} are expected")
    return Mounting(j.sign, j.gear, zero, j.torque_constant or 1.0, floor, top)


def _extras(j: JointOption, table: Table) -> list[Extra]:
    """Goal registers beside the position."""
    out = []
    if j.current_limit_a is not None:
        r = table.registers.get("goal_current")
        if r is None:
            raise BadInputError("this servo has no goal_current; torque_limit is expected")
        safe = j.safe_current_a if j.safe_current_a is not None else j.current_limit_a
        out = [Extra("goal_current", round(j.current_limit_a / r.scale), round(safe / r.scale))]
    elif j.safe_current_a is not None:
        raise BadInputError("safe_current_a goes with current_limit_a; both are expected")
    return out


def build_joint(platform: Platform, driver: str, name: str, channel: int, o: ServoOptions) -> Joint:
    """One joint of the chain; raises BadInputError with the file's line."""
    j, model = o.joints[name], find_model(platform, driver, name, o)
    table, actuator = table_of(model, o), platform.model.actuators[name]
    reads: tuple[str, ...] = FAST if model.current and "present_current" in table.registers else LOAD
    if "present_load" not in table.registers and not model.current:
        reads = FAST[:2]
    if table.family != "dynamixel":
        reads = LOAD if j.torque_constant is None or "present_current" not in table.registers else FAST
    try:
        return make_joint(
            table, j.id, channel, mounting_of(j, model, table, actuator), reads=reads, extras=_extras(j, table),
            indirect=o.indirect,
        )  # fmt: skip
    except BadInputError as e:
        raise platform.error(driver_key(driver, "joints", name), str(e)) from None


def line_baud(platform: Platform, driver: str, o: ServoOptions) -> float:
    """Bits a second of the servos' line."""
    if o.baud is not None:
        return float(o.baud)
    url = Url.parse(platform.model.drivers[driver].device)
    text = url.options.get("baud", "")
    if not text.isdigit():
        raise platform.error(
            ("drivers", driver, "device"), f"'{url.text}' has no ?baud=; one, or options.baud, is expected"
        )
    return float(text)


def build_layout(platform: Platform, driver: str, families: tuple[Family, ...]) -> tuple[ServoOptions, ChainLayout]:
    """Options and chain of a driver; raises BadInputError with the file's line."""
    o = platform.options(ServoOptions, "drivers", driver)
    mine = [n for n, a in platform.model.actuators.items() if a.driver == driver]
    for n in mine:
        if n not in o.joints:
            raise platform.error(
                ("actuators", n), f"'{n}' is none of options.joints of driver '{driver}'; one is expected"
            )
        if platform.model.actuators[n].unit != "rad":
            raise platform.error(("actuators", n, "unit"), "a servo turns; rad is expected")
    for n in o.joints:
        if n not in mine:
            what = f"no actuator '{n}' goes through this driver; known are {', '.join(mine) or 'none'}"
            raise platform.error(driver_key(driver, "joints", n), what)
        family = find_model(platform, driver, n, o).table.family
        if family not in families:
            raise platform.error(
                driver_key(driver, "joints", n), f"its model is {family}; {' or '.join(families)} is expected"
            )
    found = {find_model(platform, driver, n, o).table.family for n in o.joints}
    if len(found) > 1:
        raise platform.error(driver_key(driver), f"{' and '.join(sorted(found))} on one line; one family is expected")
    joints = tuple(build_joint(platform, driver, n, k, o) for k, n in enumerate(o.joints))
    options: dict[str, Any] = {"return_delay_s": o.return_delay_s, "latency_s": o.latency_s, "fast": o.fast}
    family = found.pop()
    return o, ChainLayout(family, joints, line_baud(platform, driver, o), slow_every=o.slow_every, **options)


def check_rate(platform: Platform, driver: str, o: ServoOptions, wire_s: float) -> float:
    """Period of the cycles [s]; raises BadInputError when they do not fit on the wire."""
    guard_hz = platform.model.guard.rate_hz
    rate = o.rate_hz or guard_hz
    if rate > guard_hz * 1.001:
        raise platform.error(
            driver_key(driver, "rate_hz"), f"{rate:g} is above the guard's {guard_hz:g}; at most that is expected"
        )
    if wire_s > MARGIN / rate:
        what = f"a cycle takes {1e3 * wire_s:.2f} ms on the wire and its period is {1e3 / rate:.2f} ms"
        raise platform.error(
            driver_key(driver), f"{what}; a higher baud, fast: true, or rate_hz {0.9 * MARGIN / wire_s:.0f} is expected"
        )
    return 1.0 / rate

"""Steps and drivers by the name a platform file gives; other packages add theirs through entry points.

Entry point groups: `giljabi.estimators`, `giljabi.trackers`, `giljabi.mappers`, `giljabi.planners`,
`giljabi.controllers`, `giljabi.fast_loops` and `giljabi.drivers`.
An estimator, tracker, mapper, planner, controller or fast loop is a callable `(platform: Platform) -> step`; a driver
is `(platform: Platform, name: str) -> Driver`. A kind may also be `module:name`, or `file.py:name` with a file beside
the platform file; either runs that code.
"""

from __future__ import annotations

import sys
import zlib
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from giljabi.platform import Platform

BUILT_IN: dict[str, dict[str, str]] = {
    "estimators": {
        "eskf": "giljabi.estimation.eskf:EskfEstimator",
        "external": "giljabi.estimation.external:ExternalEstimator",
    },
    "trackers": {"gnn": "giljabi.perception.gnn:GnnTracker"},
    "mappers": {"scan_grid": "giljabi.perception.scan_grid:ScanGridMapper"},
    "planners": {
        "flight_avoid": "giljabi.planning.flight_avoid:FlightAvoidPlanner",
        "flight_fleet": "giljabi.planning.flight_fleet:FlightFleetPlanner",
        "flight_route": "giljabi.planning.flight_route:FlightRoutePlanner",
        "ocp_route": "giljabi.planning.ocp_route:OcpRoutePlanner",
        "walk_route": "giljabi.planning.walk_route:WalkRoutePlanner",
    },
    "fast_loops": {"walking": "giljabi.walking.fast_loop:WalkingLoop"},
    "controllers": {
        "flight_rotors": "giljabi.control.flight_rotors:RotorController",
        "flight_velocity": "giljabi.control.flight_velocity:FlightVelocityController",
        "heading_orders": "giljabi.control.heading_orders:HeadingOrderController",
        "ocp_tracking": "giljabi.control.ocp_tracking:OcpTrackingController",
    },
    "drivers": {
        "nmea0183": "giljabi_drivers.nmea0183:Nmea0183Driver",
        "can": "giljabi_drivers.can:CanDriver",
        "dynamixel": "giljabi_drivers.servo:DynamixelDriver",
        "feetech": "giljabi_drivers.servo:FeetechDriver",
        "nmea2000": "giljabi_drivers.nmea2000:Nmea2000Driver",
        "ld19": "giljabi_drivers.ld19:Ld19Driver",
        "mavlink": "giljabi_drivers.mavlink:MavlinkDriver",
        "vectornav": "giljabi_drivers.vectornav:VectorNavDriver",
        "xsens": "giljabi_drivers.xsens:XsensDriver",
    },
}


def names(group: str) -> list[str]:
    """Known names of a group."""
    return sorted({*BUILT_IN[group], *(e.name for e in entry_points(group=f"giljabi.{group}"))})


def factory(platform: Platform, group: str, kind: str, *key: str) -> Any:
    """The callable named `kind`; raises BadInputError at the file's line of `key` when nobody provides it."""
    for e in entry_points(group=f"giljabi.{group}"):
        if e.name == kind:
            return e.load()
    target = BUILT_IN[group].get(kind)
    if target is None and ":" in kind:
        return _own(platform, kind, (*key, "kind"))
    if target is None:
        known = ", ".join(names(group))
        what = f"no {group[:-1]} is called '{kind}'; known are {known}"
        raise platform.error((*key, "kind"), f"{what}, or module:name, or file.py:name beside this file")
    module, name = target.split(":")
    return getattr(import_module(module), name)


def _own(platform: Platform, kind: str, key: tuple[str, ...]) -> Any:
    """`module:name` or `file.py:name`; raises BadInputError at the line of `key`."""
    where, _, name = kind.rpartition(":")
    try:
        module = _from_file(platform.file.path.parent / where) if where.endswith(".py") else import_module(where)
        found = getattr(module, name)
    except Exception as e:  # whatever somebody else's module raises while it is imported
        reason = " ".join(str(e).split()) or type(e).__name__
        raise platform.error(key, f"'{kind}' cannot be loaded ({reason}); module:name is expected") from None
    if not callable(found):
        raise platform.error(key, f"'{kind}' is no class or function; one is expected")
    return found


def _from_file(path: Path) -> ModuleType:
    """The module in a file, loaded once."""
    name = f"giljabi_own_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def build_step(platform: Platform, step: str) -> Any:
    """The estimator, tracker, mapper, planner or controller that the platform file names."""
    kind = getattr(platform.model.steps, step).kind
    return factory(platform, step + "s", kind, "steps", step)(platform)


def build_fast_loop(platform: Platform) -> Any:
    """The fast loop that the platform file names; None where it has none."""
    loop = platform.model.fast_loop
    return None if loop is None else factory(platform, "fast_loops", loop.kind, "fast_loop")(platform)


def build_driver(platform: Platform, name: str) -> Any:
    """The driver that the platform file names for device `name`."""
    kind = platform.model.drivers[name].kind
    return factory(platform, "drivers", kind, "drivers", name)(platform, name)

"""Steps and drivers by the name a platform file gives; other packages add theirs through entry points.

Entry point groups: `giljabi.estimators`, `giljabi.trackers`, `giljabi.planners`, `giljabi.controllers` and
`giljabi.drivers`.
An estimator, tracker, planner or controller is a callable `(platform: Platform) -> step`; a driver is
`(platform: Platform, name: str) -> Driver`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from giljabi.platform import Platform

BUILT_IN: dict[str, dict[str, str]] = {
    "estimators": {"eskf": "giljabi.estimation.eskf:EskfEstimator"},
    "trackers": {"gnn": "giljabi.perception.gnn:GnnTracker"},
    "planners": {"ocp_route": "giljabi.planning.ocp_route:OcpRoutePlanner"},
    "controllers": {"ocp_tracking": "giljabi.control.ocp_tracking:OcpTrackingController"},
    "drivers": {
        "nmea0183": "giljabi_drivers.nmea0183:Nmea0183Driver",
        "can": "giljabi_drivers.can:CanDriver",
        "nmea2000": "giljabi_drivers.nmea2000:Nmea2000Driver",
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
    if target is None:
        known = ", ".join(names(group))
        raise platform.error((*key, "kind"), f"no {group[:-1]} is called '{kind}'; known are {known}")
    module, name = target.split(":")
    return getattr(import_module(module), name)


def build_step(platform: Platform, step: str) -> Any:
    """The estimator, tracker, planner or controller that the platform file names."""
    kind = getattr(platform.model.steps, step).kind
    return factory(platform, step + "s", kind, "steps", step)(platform)


def build_driver(platform: Platform, name: str) -> Any:
    """The driver that the platform file names for device `name`."""
    kind = platform.model.drivers[name].kind
    return factory(platform, "drivers", kind, "drivers", name)(platform, name)

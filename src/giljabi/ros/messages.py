"""Message classes, service classes and QoS profiles of the topic table's rows; the only place that maps them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from giljabi.topics import Qos

REPLAY_DEPTH = 1000  # messages of one topic between two turns
_PROFILES: dict[Qos, tuple[int, ReliabilityPolicy, DurabilityPolicy]] = {
    Qos.SENSOR: (5, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
    Qos.STREAM: (1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    Qos.EVENT: (50, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    Qos.LATCHED: (1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
}


def qos_profile(qos: Qos, replayed: bool = False) -> QoSProfile:
    """The rclpy profile of a delivery kind; in a replay nothing may be lost, however fast it goes."""
    depth, reliability, durability = _PROFILES[qos]
    if replayed and durability is DurabilityPolicy.VOLATILE:
        depth, reliability = REPLAY_DEPTH, ReliabilityPolicy.RELIABLE
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


@cache
def message_class(name: str) -> Any:
    """Class of `package/Message`."""
    package, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)


@cache
def service_class(name: str) -> Any:
    """Class of `package/Service`."""
    package, service = name.split("/")
    return getattr(import_module(f"{package}.srv"), service)

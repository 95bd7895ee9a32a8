"""What every vehicle of the simulator has: an environment, and a plant with the platform file's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from giljabi.platform import Platform


class Environment(Protocol):
    """What pushes a vehicle besides its own actuators."""

    wind: tuple[float, float]  # m/s towards east, north
    wind_up: float  # m/s
    current: tuple[float, float]  # m/s towards east, north
    friction: float
    push: tuple[float, float]  # N towards east, north, on the body


def build_plant(platform: Platform, cls: Callable[[dict[str, float]], Any]) -> Any:
    """A plant of `giljabi._core.plants` with the platform file's parameters; raises BadInputError with its line."""
    parameters = platform.model.simulation.get("parameters", {})
    try:
        return cls(dict(parameters))
    except (ValueError, TypeError) as e:
        raise platform.error(
            ("simulation", "parameters"), f"{e}; names and values of the plant's parameters are expected"
        ) from None

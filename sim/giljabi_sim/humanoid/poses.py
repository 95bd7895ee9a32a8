"""Poses of a walker, written while it moves and filmed when all is over: pictures cost its loop nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from giljabi.types import Array, BadInputError
from giljabi_sim.humanoid.vehicle import WalkerVehicle
from giljabi_sim.simulation import Simulation

RATE_HZ = 25


def walker_of(simulation: Simulation) -> WalkerVehicle:
    """The vehicle that can be filmed; raises BadInputError where there is none."""
    vehicle = simulation.world.vehicle
    if not isinstance(vehicle, WalkerVehicle):
        raise BadInputError("--video: only walkers are rendered; a scenario of one is expected")
    return vehicle


class PoseLog:
    """Rows of float64: simulated time [s], x, y [m, map], joint positions as MuJoCo has them."""

    def __init__(self, path: Path, simulation: Simulation) -> None:
        """Raises BadInputError when it is no walker, or the file cannot be written."""
        self._vehicle, self._world = walker_of(simulation), simulation.world
        self._due = 0.0
        try:
            self._file = path.open("wb")
        except OSError as e:
            raise BadInputError(f"{path}: cannot be written ({e.strerror}); a folder that exists is expected") from None

    def take(self) -> None:
        """Writes a row when one is due."""
        t = self._world.t
        if t < self._due - 1e-9:
            return
        self._due = t + 1.0 / RATE_HZ
        own = self._world.own
        self._file.write(np.array([t, own.x, own.y, *self._vehicle.data.qpos]).tobytes())

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def read_poses(path: Path, joints: int) -> Array:
    """Rows (n, 3 + joints) as they were written; a last row that was cut off is left out."""
    width = 3 + joints
    rows = np.fromfile(path) if path.is_file() else np.zeros(0)
    return rows[: len(rows) // width * width].reshape(-1, width)

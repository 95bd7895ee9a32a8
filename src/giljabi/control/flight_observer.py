"""What pushes and turns a multirotor besides its model: wind, a wrong mass, a weak rotor, drag that was left out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.control.airframe import Airframe
from giljabi.frames import matrix_from_quat
from giljabi.types import Array


@dataclass(frozen=True, slots=True)
class FlightState:
    """Rigid-body state of a multirotor; arrays as in the solver's quadrotor models."""

    t: float  # s
    position: Array  # (3,) m, map
    quaternion: Array  # (4,) w x y z, body to map
    velocity: Array  # (3,) m/s, map
    rates: Array  # (3,) rad/s, body


class WrenchObserver:
    """External acceleration [m/s^2, map] and angular acceleration [rad/s^2, body], low-passed.

    The difference between what was measured and what the model says of the thrusts in between. The acceleration is
    taken from an accelerometer where there is one, else from the change of velocity; turning always from the change of
    rates. Thrusts are those told, behind the motors' lag, or better those measured.
    """

    def __init__(
        self, airframe: Airframe, bandwidth: float, turn_bandwidth: float, push_max: float, turn_max: float
    ) -> None:
        """Bandwidths in rad/s; push_max [m/s^2] and turn_max [rad/s^2] limit what is believed."""
        self._airframe = airframe
        self._bandwidth, self._turn_bandwidth = bandwidth, turn_bandwidth
        self._push_max, self._turn_max = push_max, turn_max
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self.push: Array = np.zeros(3)
        self.turn: Array = np.zeros(3)
        self.thrust: Array | None = None  # (4,) N, as the motors turn now
        self._before: FlightState | None = None

    def step(self, state: FlightState, command: Array, specific_force: Array | None, measured: Array | None) -> None:
        """Consumes a new state and what was told since the last one.

        command: (4,) N on the wire since the last call; specific_force: (3,) m/s^2 body, mean since the last call, or
        None; measured: (4,) N from the rotors' speeds now, or None.
        """
        last, self._before = self._before, state
        begin = command if self.thrust is None else self.thrust
        if last is None or not 0.0 < state.t - last.t < 0.2:
            self.thrust = np.array(command if measured is None else measured)
            return
        h, lag = state.t - last.t, self._airframe.motor_lag
        keep = math.exp(-h / lag)
        mean = command + (begin - command) * (lag / h) * (1.0 - keep)
        self.thrust = np.array(command + (begin - command) * keep if measured is None else measured)
        a0, turn0 = self._airframe.accelerations(last.quaternion, last.velocity, last.rates, mean)
        a1, turn1 = self._airframe.accelerations(state.quaternion, state.velocity, state.rates, mean)
        if specific_force is None:
            felt = (state.velocity - last.velocity) / h
        else:
            R = 0.5 * (matrix_from_quat(last.quaternion) + matrix_from_quat(state.quaternion))
            felt = R @ specific_force - np.array([0.0, 0.0, self._airframe.gravity])
        gain = 1.0 - math.exp(-h * self._bandwidth)
        self.push = _limited(self.push + gain * (felt - 0.5 * (a0 + a1) - self.push), self._push_max)
        gain = 1.0 - math.exp(-h * self._turn_bandwidth)
        spun = (state.rates - last.rates) / h
        self.turn = _limited(self.turn + gain * (spun - 0.5 * (turn0 + turn1) - self.turn), self._turn_max)


def _limited(v: Array, most: float) -> Array:
    size = float(np.linalg.norm(v))
    return np.asarray(v if size <= most else v * (most / size))

"""A quadrotor that has lost a rotor: seen by its observer, and flown down on the other three.

Yaw is given up: the vehicle spins about the vertical, which leaves total thrust and the direction of the thrust axis to
be controlled by three rotors (Mueller, D'Andrea 2014; Sun et al. 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from giljabi.control.airframe import Airframe
from giljabi.control.flight_observer import FlightState, WrenchObserver
from giljabi.frames import matrix_from_quat
from giljabi.types import Array

_SHARE = 0.6  # of a rotor's thrust that must be missing
_EXPLAINED = 0.8  # of the disturbance that one rotor's loss must explain
_LASTS = 0.04  # s
_BANDWIDTH = 40.0  # rad/s


class RotorWatch:
    """Says which rotor is lost, from the lift and the moments that are missing; None as long as there is none."""

    def __init__(self, airframe: Airframe) -> None:
        self._observer = WrenchObserver(airframe, _BANDWIDTH, _BANDWIDTH, math.inf, math.inf)
        # Lift in m/s^2, roll and pitch in rad/s^2: what a newton of each rotor gives.
        scale = [1.0 / airframe.mass, 1.0 / airframe.inertia[0], 1.0 / airframe.inertia[1]]
        self._effect = airframe.allocation[:3] * np.array(scale)[:, None]
        self._weights = np.array([5.0, 1.0, 1.0])  # lift is the clearer sign, and the smaller number
        self._least = 0.3 * airframe.hover_thrust
        self._suspect, self._since = -1, math.inf

    def step(
        self, state: FlightState, command: Array, specific_force: Array | None = None, measured: Array | None = None
    ) -> int | None:
        """Index of the lost rotor, 0 to 3, or None; arguments as WrenchObserver.step()."""
        o = self._observer
        o.step(state, command, specific_force, measured)
        assert o.thrust is not None
        up = matrix_from_quat(state.quaternion)[:, 2]
        missing = -self._weights * np.array([float(o.push @ up), o.turn[0], o.turn[1]])
        size = float(missing @ missing)
        best, share = -1, 0.0
        for i in range(4):
            loss = self._weights * self._effect[:, i] * max(float(o.thrust[i]), self._least)
            part = float(missing @ loss) / float(loss @ loss)
            left = missing - part * loss
            if part > max(_SHARE, share) and float(left @ left) < (1.0 - _EXPLAINED) * size:
                best, share = i, part
        if best != self._suspect:
            self._suspect, self._since = best, state.t
        return best if best >= 0 and state.t - self._since >= _LASTS else None


@dataclass(frozen=True, slots=True)
class DescentGains:
    """How a vehicle on three rotors is held."""

    tilt: float = 25.0  # 1/s^2, of the thrust axis
    tilt_rate: float = 8.0  # 1/s
    velocity: float = 0.8  # 1/s
    position: float = 0.3  # 1/s
    tilt_max: float = 0.25  # rad
    speed_max: float = 2.0  # m/s, back to the place over ground


class ThreeRotors:
    """Thrusts of the rotors that are left, for a place over ground and a rate of descent."""

    def __init__(self, airframe: Airframe, lost: int, gains: DescentGains | None = None) -> None:
        """lost: index of the rotor without thrust, 0 to 3."""
        self.airframe, self.lost = airframe, lost
        self.gains = gains if gains is not None else DescentGains()
        self._rest = [i for i in range(4) if i != lost]
        self._solve = np.linalg.inv(airframe.allocation[np.ix_([0, 1, 2], self._rest)])
        self._opposite = int(np.argmin([airframe.rotor_x[i] * airframe.rotor_x[lost] +
                                        airframe.rotor_y[i] * airframe.rotor_y[lost] for i in self._rest]))  # fmt: skip

    def step(self, state: FlightState, observer: WrenchObserver, place: Array, sink: float) -> Array:
        """Thrusts (4,) [N]; place: (2,) m in map to come down at; sink: m/s downwards."""
        a, g = self.airframe, self.gains
        R = matrix_from_quat(state.quaternion)
        wanted = self._force(state, place, sink)
        d = wanted / np.linalg.norm(wanted)
        h = R.T @ d  # where the thrust axis shall be, seen from the body
        w = state.rates
        h_dot = np.cross(h, w)
        nu = -g.tilt * h[:2] - g.tilt_rate * h_dot[:2]
        up = max(float(h[2]), 0.3)
        spin = np.zeros(3)  # the yaw acceleration is left to itself
        spin[1] = -(nu[0] - h_dot[1] * w[2] + h_dot[2] * w[1]) / up
        spin[0] = (nu[1] - h_dot[2] * w[0] + h_dot[0] * w[2]) / up
        inertia = np.array(a.inertia)
        torque = inertia * (spin - observer.turn * [1.0, 1.0, 0.0]) + np.cross(w, inertia * w)
        total = a.mass * float(np.linalg.norm(wanted)) / max(float(h[2]), 0.8)
        return self._inside(total, torque[:2])

    def _force(self, state: FlightState, place: Array, sink: float) -> Array:
        """Force per mass (3,) [m/s^2] that the thrust shall give."""
        g = self.gains
        back = g.position * (place - state.position[:2])
        back *= min(1.0, g.speed_max / max(float(np.linalg.norm(back)), 1e-9))
        wanted = np.zeros(3)
        wanted[:2] = g.velocity * (back - state.velocity[:2])
        wanted[2] = self.airframe.gravity + np.clip(1.5 * (-sink - state.velocity[2]), -3.0, 3.0)
        most = math.tan(g.tilt_max) * wanted[2]
        size = float(np.linalg.norm(wanted[:2]))
        if size > most:
            wanted[:2] *= most / size
        return wanted

    def _inside(self, total: float, torque: Array) -> Array:
        """Thrusts (4,) inside the limits: the torque first, as far as the total can give way."""
        a = self.airframe
        low, high = a.thrust_min, a.thrust_max
        f = self._solve @ np.array([total, *torque])
        for _ in range(2):  # the two rotors beside the lost one carry; move them together into their limits
            beside = [i for i in range(3) if i != self._opposite]
            f[self._opposite] = np.clip(f[self._opposite], low, high)
            over = max(float(f[beside].max()) - high, 0.0) - max(low - float(f[beside].min()), 0.0)
            f[beside] -= over
        out = np.zeros(4)
        out[self._rest] = np.clip(f, low, high)
        return out

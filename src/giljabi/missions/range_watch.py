"""Whether it still gets home: before it starts, and while it flies, by what it really draws then; in words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from giljabi.failsafe_table import Energy
from giljabi.missions.energy import Craft, check_range
from giljabi.missions.legs import Homing
from giljabi.types import Array, Battery, Wind

STALE_S = 10.0  # an older word of the battery is none
SETTLE_S = 20.0  # time constant of the mean power
MOST = 3.0  # times the file's power that is believed
WIND_ERROR = 1.0  # m/s by which a measured wind may be wrong


class RangeWatch:
    """One vehicle's energy."""

    def __init__(self, energy: Energy | None, climb: float, sink: float) -> None:
        """climb, sink: m/s."""
        self._energy = energy
        self._battery: Battery | None = None
        self._wind: Wind | None = None  # measured
        self._power: float | None = None  # mean of what it draws in the air [W]
        if energy is not None:
            speed = max(energy.air_speed - energy.wind, 1e-3)
            joules = 3600.0 * energy.battery_wh
            self._craft = Craft(energy.hover_w, energy.cruise_w, speed, joules, energy.reserve, climb, sink)

    def take(self, battery: Battery, flies: bool) -> None:
        """The newest word of the battery."""
        last, self._battery = self._battery, battery
        power = battery.voltage * battery.current
        if not flies or not math.isfinite(power) or power <= 0.0:
            self._power = None if not flies else self._power
            return
        dt = 0.0 if last is None else min(max(battery.t - last.t, 0.0), SETTLE_S)
        if self._power is None and self._energy is not None:
            self._power = self._energy.cruise_w
        if self._power is not None:
            self._power += (power - self._power) * (1.0 - math.exp(-dt / SETTLE_S))

    def take_wind(self, wind: Wind | None) -> None:
        """What was measured in flight; None: the file's counts."""
        self._wind = wind

    def why_not(  # noqa: PLR0917
        self, now: float, points: Array, end: Array, speed: float, hold_s: float = 0.0, measured: bool = False
    ) -> str:
        """Why a way through points (n, 3) [m map], and from its end to `end`, cannot be flown; empty: it can.

        measured: in the wind that was measured, where it was; else against a head wind as the file says. Empty too
        where the platform file says nothing of energy, and where nothing ever told the charge.
        """
        battery = self._battery
        if self._energy is None or battery is None:
            return ""
        if now - battery.t > STALE_S or not math.isfinite(battery.share):
            return "no word of the battery's charge"
        wind = self._wind if measured else None
        if wind is None and self._energy.air_speed <= self._energy.wind:
            return f"a head wind of {self._energy.wind:g} m/s leaves no way"
        more = 1.0 if self._power is None else min(max(self._power / self._energy.cruise_w, 1.0), MOST)
        craft = replace(
            self._craft, hover_power=self._craft.hover_power * more, cruise_power=self._craft.cruise_power * more
        )
        share = battery.share - hold_s * craft.hover_power / craft.energy
        if wind is None:
            return check_range(points, end, craft, (0.0, 0.0), share, speed).why
        craft = replace(craft, air_speed=max(self._energy.air_speed - WIND_ERROR - wind.std, 1e-3))
        blows = (float(wind.velocity[0]), float(wind.velocity[1]))
        why = check_range(points, end, craft, blows, share, speed).why
        return f"{why}, in {wind.speed:.0f} m/s of wind" if why and "wind" not in why else why

    def must_return(self, now: float, place: Array, homing: Homing, speed: float) -> str:
        """Why it must turn back now; empty: it need not."""
        if self._energy is None or self._battery is None or now - self._battery.t > STALE_S:
            return ""
        way = np.array([place, *homing.way(place)])
        why = self.why_not(now, way, way[-1], speed, measured=True)
        return why.replace("it needs", "the way home needs") if why else ""

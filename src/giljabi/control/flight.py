"""Model-predictive control of a multirotor's rotor thrusts, with an observer for what the model leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from giljabi.control.airframe import Airframe, flat_reference
from giljabi.control.flight_observer import FlightState, WrenchObserver
from giljabi.control.flight_paths import FlatPath
from giljabi.solver import Ocp, Status
from giljabi.types import Array
from giljabi.yaml_file import Strict

_FASTEST = 2.0  # stage lengths a motor may lag before its thrust is a state of the model: half a stage
_LEAD = 2.0  # most that a motor is told beyond what is wanted of it, as a multiple of the change


class FlightOptions(Strict):
    """How hard a multirotor is held to its path; part of `steps.controller.options`."""

    stages: int = Field(default=20, ge=5, le=60)
    stage_s: float = Field(default=0.04, gt=0.005, le=0.2, description="length of a stage of the horizon")
    delay_s: float = Field(default=0.0, ge=0, le=0.2, description="from an estimate to its effect")
    position_tolerance: float = Field(default=0.05, gt=0, description="m, deviation that costs one unit")
    velocity_tolerance: float = Field(default=0.4, gt=0, description="m/s")
    tilt_tolerance: float = Field(default=0.3, gt=0, description="rad")
    yaw_tolerance: float = Field(default=0.3, gt=0, description="rad")
    rate_tolerance: float = Field(default=3.0, gt=0, description="rad/s")
    thrust_tolerance: float = Field(default=0.5, gt=0, description="of a rotor's thrust in hover")
    terminal: float = Field(default=5.0, gt=0, description="weight of the last stage over the others")
    push_bandwidth: float = Field(default=15.0, gt=0, description="rad/s, observer of the external acceleration")
    turn_bandwidth: float = Field(default=15.0, gt=0, description="rad/s, observer of the external moment")
    push_max: float = Field(default=8.0, gt=0, description="m/s^2, most that the observer believes")
    turn_max: float = Field(default=30.0, gt=0, description="rad/s^2")


@dataclass(frozen=True, slots=True)
class FlightCommand:
    """What to tell the rotors, or an autopilot that holds body rates, and how the solver found it."""

    thrust: Array  # (4,) N, each rotor, the motors' lag led
    rates: Array  # (3,) rad/s body, for an autopilot that closes the rate loop
    total: float  # N along body z, beside `rates`
    status: Status


class FlightController:
    """Follows a flat path: prepare() before the state is known, step() when it is.

    Not for two threads at once. Same calls, same answers.
    """

    def __init__(self, airframe: Airframe, period: float, options: FlightOptions | None = None) -> None:
        """period: of the calls [s]."""
        o = self.options = options if options is not None else FlightOptions()
        self.airframe, self.period = airframe, period
        self._lagging = airframe.motor_lag * _FASTEST >= o.stage_s
        self._ocp = Ocp("quadrotor_lag" if self._lagging else "quadrotor", o.stages, o.stage_s)
        self._times = np.asarray(o.stage_s * np.arange(o.stages + 1), dtype=np.float64)
        for name, value in airframe.constants.items():
            self._ocp.set(name, value)
        self._tilt_weights()
        self._ocp.set("input_lower", np.full(4, airframe.thrust_min))
        self._ocp.set("input_upper", np.full(4, airframe.thrust_max))
        if self._lagging:
            self._ocp.set("motor_lag", airframe.motor_lag)
        self.observer = WrenchObserver(airframe, o.push_bandwidth, o.turn_bandwidth, o.push_max, o.turn_max)
        self._prepared = False
        self._told = np.full(4, airframe.hover_thrust)
        self.note = ""  # why the answer is not the solver's

    def _tilt_weights(self) -> None:
        o = self.options
        tolerance = [
            *[o.position_tolerance] * 3,
            *[0.5 * o.tilt_tolerance] * 3, 0.5 * o.yaw_tolerance,  # half angles
            *[o.velocity_tolerance] * 3,
            *[o.rate_tolerance] * 3,
        ]  # fmt: skip
        if self._lagging:
            tolerance += [10.0 * o.thrust_tolerance * self.airframe.hover_thrust] * 4
        weights = 1.0 / np.square(tolerance)
        self._ocp.set("state_weights", weights)
        self._ocp.set("terminal_weights", o.terminal * weights)
        self._ocp.set("input_weights", np.full(4, (o.thrust_tolerance * self.airframe.hover_thrust) ** -2))

    def prepare(self, path: FlatPath, t: float, near: Array) -> None:
        """Sets references from path time t [s] on and linearizes; near: (4,) attitude that the vehicle has about."""
        o = self.observer
        ref = flat_reference(self.airframe, path, t + self.options.delay_s + self._times, o.push, o.turn)
        side = -1.0 if float(ref.quaternion[0] @ near) < 0.0 else 1.0
        columns = [ref.position, side * ref.quaternion, ref.velocity, ref.rates]
        if self._lagging:
            columns.append(ref.thrust)
        x_ref = np.hstack(columns)
        self._ocp.set_reference(x_ref, ref.thrust[:-1])
        for i, axis in enumerate("xyz"):
            self._ocp.set(f"push_{axis}", float(o.push[i]))
            self._ocp.set(f"turn_{axis}", float(o.turn[i]))
        if not self._prepared:
            self._ocp.set_guess(x_ref, ref.thrust[:-1])
        self._ocp.prepare()
        self._prepared = True

    def observe(
        self,
        state: FlightState,
        specific_force: Array | None = None,
        thrust: Array | None = None,
        told: Array | None = None,
    ) -> None:
        """Takes in a new state: call before prepare() of the same period.

        specific_force: (3,) m/s^2 body, mean since the last call; thrust: (4,) N from measured rotor speeds; told: (4,)
        N that went to the wire since the last call, where that is not what step() said.
        """
        self.observer.step(state, self._told if told is None else told, specific_force, thrust)

    def step(self, state: FlightState) -> FlightCommand:
        """Thrusts for the state, after prepare(); hover thrusts, with the reason in `note`, when there is no answer."""
        x = np.concatenate([state.position, state.quaternion, state.velocity, state.rates])
        now = self.observer.thrust if self.observer.thrust is not None else self._told
        if self._lagging:
            x = np.concatenate([x, now])
        if self.options.delay_s > 0.0:
            x = self._ocp.simulate(x, self._told, self.options.delay_s, 4)
        result = self._ocp.feedback(x)
        self.note = ""
        if not result.status.usable:
            self.note = f"no answer from the solver ({result.status}): hover thrust"
            self._prepared = False
            a = self.airframe
            self._told = np.full(4, a.hover_thrust)
            return FlightCommand(self._told, np.zeros(3), 4.0 * a.hover_thrust, result.status)
        wanted = result.u0
        if not self._lagging:
            wanted = now + min(1.0 / (1.0 - math.exp(-self.period / self.airframe.motor_lag)), _LEAD) * (wanted - now)
        self._told = np.clip(wanted, self.airframe.thrust_min, self.airframe.thrust_max)
        share = min(self.period / self.options.stage_s, 1.0)
        rates = self._ocp.x[0, 10:13] + share * (self._ocp.x[1, 10:13] - self._ocp.x[0, 10:13])
        total = float(np.sum(self._ocp.x[1, 13:17] if self._lagging else result.u0))
        return FlightCommand(self._told, rates, total, result.status)

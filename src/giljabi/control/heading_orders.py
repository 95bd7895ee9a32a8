"""Orders for a vessel's own heading control: thrust by the solver, heading as the trajectory has it a while later."""
# ruff: noqa: PLR0917

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from giljabi.control.ocp_tracking import OcpTrackingController, TrackingOptions
from giljabi.models import Bias, Motion
from giljabi.platform import Platform
from giljabi.types import JointState, Odometry

HEADING = "heading"  # the actuator: yaw [rad]


class HeadingOptions(TrackingOptions):
    """`steps.controller.options`."""

    lag_s: float = Field(default=5.0, gt=0, description="by which her heading follows an order that turns")
    approach_m: float | None = Field(default=None, gt=0, description="in which she comes back to the line; her length")
    drift_s: float = Field(default=10.0, gt=0, description="time constant of the drift angle that is steered against")


class HeadingOrderController(OcpTrackingController):
    """steps.Controller of a ship whose autopilot takes headings (model vessel_heading).

    The autopilot's loop is not known, so none is modelled but its lag: the order is the trajectory's course `lag_s`
    later, turned towards the line where she is beside it, and against the angle that wind and current set her off.
    """

    options = HeadingOptions

    def __init__(self, platform: Platform) -> None:
        """Raises BadInputError at the line of the actuator that is missing or does not wrap."""
        a = platform.model.actuators.get(HEADING)
        if a is None or not a.wraps:
            raise platform.error(
                ("actuators",), f"no '{HEADING}' that wraps; the controller heading_orders commands it"
            )
        super().__init__(platform)
        o = platform.options(HeadingOptions, "steps", "controller")
        self._lag, self._drift_s = min(o.lag_s, float(self._times[-1])), o.drift_s
        self._approach = o.approach_m if o.approach_m is not None else platform.model.footprint.length
        self._drift = 0.0  # course over ground minus heading [rad]
        self._drift_t = math.nan

    def _track(
        self,
        now: float,
        odom: Odometry,
        joints: JointState | None,
        motion: Motion,
        last_output: Mapping[str, float],
        bias: Bias,
    ) -> dict[str, float]:
        wanted = super()._track(now, odom, joints, motion, last_output, bias)
        self._learn_drift(now, odom)
        yaw = float(motion.yaw[0])
        east, north = odom.position[:2] - motion.xy[0]
        beside = math.cos(yaw) * north - math.sin(yaw) * east  # m, to the left of the line
        course = float(np.interp(self._lag, self._times, motion.yaw)) - math.atan2(beside, self._approach)
        return {**wanted, HEADING: math.remainder(course - self._drift, math.tau)}

    def _learn_drift(self, now: float, odom: Odometry) -> None:
        """A first-order mean; below a tenth of the greatest speed the angle says nothing."""
        dt = now - self._drift_t
        self._drift_t = now
        u, v = float(odom.velocity[0]), float(odom.velocity[1])
        if 0.0 < dt < self._drift_s and u > 0.1 * self.platform.model.limits.speed_max:
            self._drift += dt / self._drift_s * (math.atan2(v, u) - self._drift)

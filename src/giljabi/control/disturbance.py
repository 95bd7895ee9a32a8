"""Estimates what the solver's model leaves out: wind, current, slopes, a wrong mass, a crooked wheel."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from giljabi.models import Bias, ModelAdapter
from giljabi.types import Array, Odometry

DRIFT_SHARE = 0.15  # bandwidth of drift over that of the other biases, for models with sway dynamics


class DisturbanceObserver:
    """Luenberger observer of constant surge and yaw disturbances and of drift, from prediction errors.

    Each body velocity is predicted by the model from what the actuators were told; what remains is disturbance.
    Nothing is integrated from tracking errors, so there is no wind-up.
    """

    def __init__(self, model: ModelAdapter, bandwidth: float, least_speed: float, limit: Bias, lag: float) -> None:
        """bandwidth: rad/s; least_speed: m/s below which nothing is learnt; limit: of each bias; lag: actuators', s."""
        self._model = model
        self._w = bandwidth
        self._least_speed = least_speed
        self._limit = limit
        self._lag = lag
        self.bias = Bias()
        self._t = math.nan
        self._outputs: dict[str, float] = {}
        self._u = self._r = self._sway = 0.0

    def step(self, odom: Odometry, outputs: Mapping[str, float]) -> Bias:
        """Consumes one estimate and what was on the wire until then; returns the newest bias."""
        dt = odom.t - self._t
        if not dt > 0.0:
            if math.isnan(dt):
                self._begin(odom, outputs)
            return self.bias
        u, v, r = float(odom.velocity[0]), float(odom.velocity[1]), float(odom.angular_velocity[2])
        if dt > 1.0 / self._w or u < self._least_speed or not outputs:
            self._begin(odom, outputs)
            return self.bias
        share = 1.0 - math.exp(-dt / self._lag) if self._lag > 0.0 else 1.0
        for name, value in outputs.items():
            self._outputs[name] = self._outputs.get(name, value) * (1.0 - share) + share * value
        x = self._model.state(odom, self._outputs)
        rate = self._model.derivative(x)
        w, b = self._w, self.bias
        e = u - self._u
        self._u += dt * (rate[0] + b.surge + 2.0 * w * e)
        surge = b.surge + dt * w * w * e
        if self._model.kinematic:
            yaw = b.yaw + min(dt * w, 1.0) * (r / max(u, 0.1) - rate[2] - b.yaw)
            self._sway = 0.0
        else:
            e = r - self._r
            self._r += dt * (rate[2] + b.yaw + 2.0 * w * e)
            yaw = b.yaw + dt * w * w * e
            self._sway += dt * self._sway_rate(x)
        # Where sway has dynamics of its own, only what lasts is drift; the rest is the model's error in a turn.
        slow = w if self._model.kinematic else DRIFT_SHARE * w
        drift = b.drift + min(dt * slow, 1.0) * (v - self._sway - b.drift)
        most = self._limit
        self.bias = Bias(
            _clip(surge, most.surge, b.surge), _clip(yaw, most.yaw, b.yaw), _clip(drift, most.drift, b.drift)
        )
        self._t = odom.t
        return self.bias

    def _begin(self, odom: Odometry, outputs: Mapping[str, float]) -> None:
        self._t = odom.t
        self._outputs = dict(outputs)
        self._u, self._r = float(odom.velocity[0]), float(odom.angular_velocity[2])
        self._sway = float(odom.velocity[1]) - self.bias.drift

    def _sway_rate(self, x: Array) -> float:
        """Sway acceleration of the model alone, at its own sway."""
        y = x.copy()
        y[4] = self._sway
        return float(self._model.derivative(y)[1])


def _clip(value: float, limit: float, last: float) -> float:
    """Value inside +-limit; the last one when it is not finite."""
    return float(np.clip(value, -limit, limit)) if math.isfinite(value) else last

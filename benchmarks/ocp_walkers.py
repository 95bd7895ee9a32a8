"""Benchmark problems of walkers: a zero-moment point over footsteps, and contact forces of one rigid body.

Both are linear (the body's turns with the given heading), so one quadratic programme is the whole solution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ocp_base import COMMON, Problem, Settings

from giljabi.types import Array

LINEAR: Settings = {**COMMON, "steps": 200, "plant_substeps": 1, "terminal_factor": 1.0}

STEPS: Settings = {
    **LINEAR,
    "height": 0.8,
    "gravity": 9.81,
    "state_weights": [0.0, 0.0, 1.0, 1.0, 100.0, 100.0],
    "input_weights": [1e-4, 1e-4],
    "input_lower": [-1e6, -1e6],
    "input_upper": [1e6, 1e6],
    "start": [0.0, 0.05, 0.2, 0.0, 0.0, 0.05],
    "kick": [0.0, 0.0, 0.03, 0.02, 0.0, 0.0],
    "kick_every": 100,
    "stride_time": 0.8,
    "stride": 0.25,
    "foot_side": 0.1,
    "foot_half": [0.1, 0.05],
    "double_support": 0.1,  # s at the end of each stride
    "polygon": 0,  # 1: the support as a polygon's edges, 0: as bounds
}

BODY: Settings = {
    **LINEAR,
    "dt": 0.03,
    "mass": 43.0,
    "inertia": [0.41, 2.1, 2.1],
    "gravity": 9.81,
    "friction": 0.6,
    "hips": [[0.25, -0.15, -0.5], [0.25, 0.15, -0.5], [-0.25, -0.15, -0.5], [-0.25, 0.15, -0.5]],
    "state_weights": [0.25, 0.25, 10.0, 2.0, 2.0, 50.0, 0.0, 0.0, 0.3, 0.2, 0.2, 0.1],
    "input_weights": [4e-5] * 12,
    "force_side": 400.0,
    "force_up": 666.0,
    "gait_stages": 5,
    "speed": 1.0,
    "yaw_rate": 0.5,
    "height": 0.5,
    "start_sink": 0.02,
    "kick": [0.0] * 9 + [0.3, 0.3, 0.0],
    "kick_every": 50,
    "kick_at": 0,
}


class Steps(Problem):
    """D16, D100: x = (centre of mass, its velocity, zero-moment point), two axes each; u = jerk."""

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        self.model = "lipm" if settings["polygon"] else "lipm_box"
        self.edges = 4 if settings["polygon"] else 0

    @property
    def start(self) -> Array:
        """From the settings."""
        return np.array(self.settings["start"])

    def support(self, t: Array) -> tuple[Array, Array]:
        """Lower and upper corner (n, 2) of the support; in double support the box around both feet."""
        s = self.settings
        period, half = s["stride_time"], np.array(s["foot_half"])
        n = np.floor(t / period + 1e-9)

        def foot(i: Array) -> Array:
            return np.stack([s["stride"] * i, s["foot_side"] * (-1.0) ** i], axis=1)

        low, high = foot(n) - half, foot(n) + half
        double = (t - period * n > period - s["double_support"] - 1e-9)[:, None]
        low = np.where(double, np.minimum(low, foot(n + 1) - half), low)
        return low, np.where(double, np.maximum(high, foot(n + 1) + half), high)

    def reference(self, t: Array) -> Array:
        """The mean velocity, and the zero-moment point in the middle of the support."""
        low, high = self.support(t)
        out = np.zeros((len(t), 6))
        out[:, 2] = self.settings["stride"] / self.settings["stride_time"]
        out[:, 4:] = (low + high) / 2
        return out

    def state_bounds(self, t: Array) -> tuple[Array, Array]:
        """The support, as bounds of the zero-moment point."""
        lower, upper = super().state_bounds(t)
        if not self.edges:
            lower[:, 4:], upper[:, 4:] = self.support(t)
        return lower, upper

    def parameters(self, t: Array) -> Array:
        """The support, as edges: normal and offset of each."""
        if not self.edges:
            return np.zeros((len(t), 0))
        low, high = self.support(t)
        out = np.zeros((len(t), 8, 3))
        for i, (normal, offset) in enumerate((((1, 0), high[:, 0]), ((0, 1), high[:, 1]),
                                              ((-1, 0), -low[:, 0]), ((0, -1), -low[:, 1]))):  # fmt: skip
            out[:, i, :2], out[:, i, 2] = normal, offset
        out[:, 4:, 2] = 1e3
        return out.reshape(len(t), 24)

    def constants(self) -> Settings:
        """Height and gravity; the support is hard."""
        out: Settings = {name: self.settings[name] for name in ("height", "gravity")}
        return out | ({"penalty_l1": np.full(8, 1e5), "penalty_l2": np.zeros(8)} if self.edges else {})

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Linear inverted pendulum."""
        import casadi as ca

        stiffness = self.settings["gravity"] / self.settings["height"]
        acceleration = stiffness * (x[:2] - x[4:])
        return ca.vertcat(x[2:4], acceleration, x[2:4] - u / stiffness)


class Body(Problem):
    """SRBD10, SRBD20: x = (roll, pitch, yaw, position, angular velocity, velocity), u = forces of four feet."""

    model = "rigid_body"
    hard_count = 16

    def _phase(self, t: Array) -> Array:
        """Contacts (n, 4) of a trot: diagonal pairs take turns."""
        stage = np.round(t / self.dt).astype(int)
        even = ((stage // self.settings["gait_stages"]) % 2 == 0)[:, None]
        return np.where(even, np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]))

    @property
    def start(self) -> Array:
        """On the path, a little low."""
        x: Array = self.reference(np.zeros(1))[0]
        x[5] -= self.settings["start_sink"]
        return x

    def reference(self, t: Array) -> Array:
        """Round a circle at constant speed, level."""
        s = self.settings
        yaw, out = s["yaw_rate"] * t, np.zeros((len(t), 12))
        # speed * sin(yaw) / yaw_rate and its limit at yaw_rate 0
        half = yaw / 2
        along = s["speed"] * t * np.sinc(yaw / np.pi)
        out[:, 3], out[:, 4] = along, s["speed"] * t * np.sinc(half / np.pi) * np.sin(half)
        out[:, 2], out[:, 5], out[:, 8] = yaw, s["height"], s["yaw_rate"]
        out[:, 9], out[:, 10] = s["speed"] * np.cos(yaw), s["speed"] * np.sin(yaw)
        return out

    def parameters(self, t: Array) -> Array:
        """Heading, feet from the centre of mass in the map's axes, contacts."""
        yaw = self.settings["yaw_rate"] * t
        c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
        hips = np.array(self.settings["hips"])
        feet = np.stack([c * hips[:, 0] - s * hips[:, 1], s * hips[:, 0] + c * hips[:, 1], c * 0 + hips[:, 2]], axis=2)
        return np.concatenate([yaw[:, None], feet.reshape(len(t), 12), self._phase(t)], axis=1)

    def input_bounds(self, t: Array) -> tuple[Array, Array]:
        """Forces of feet on the ground; a foot in the air pushes nothing whatever its input is."""
        contact = np.repeat(self._phase(t), 3, axis=1) > 0
        s = self.settings
        low = np.tile([-s["force_side"], -s["force_side"], 0.0], 4)
        high = np.tile([s["force_side"], s["force_side"], s["force_up"]], 4)
        return np.where(contact, low, -1.0), np.where(contact, high, 1.0)

    def constants(self) -> Settings:
        """Mass, inertia, friction, gravity."""
        s = self.settings
        out: Settings = {name: s[name] for name in ("mass", "gravity", "friction")}
        return out | {f"inertia_{axis}": s["inertia"][i] for i, axis in enumerate("xyz")}

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Small roll and pitch, gyroscopic torque left out (Di Carlo 2018)."""
        import casadi as ca

        s, c, sn = self.settings, ca.cos(p[0]), ca.sin(p[0])
        turn = ca.vertcat(ca.horzcat(c, -sn, 0), ca.horzcat(sn, c, 0), ca.horzcat(0, 0, 1))
        forces = [u[3 * i : 3 * i + 3] * p[13 + i] for i in range(4)]
        torque = sum((ca.cross(p[1 + 3 * i : 4 + 3 * i], f) for i, f in enumerate(forces)), ca.SX(3, 1))
        spin = ca.mtimes(turn, ca.mtimes(turn.T, torque) / ca.DM(s["inertia"]))
        push = sum(forces, ca.SX(3, 1)) / s["mass"] - ca.DM([0, 0, s["gravity"]])
        return ca.vertcat(ca.mtimes(turn.T, x[6:9]), x[9:12], spin, push)

    def hard(self, u: Any, p: Any) -> Any:
        """Friction pyramids of the feet on the ground."""
        import casadi as ca

        rows = []
        for i in range(4):
            fx, fy = u[3 * i], u[3 * i + 1]
            most = self.settings["friction"] * u[3 * i + 2] + 1e3 * (1 - p[13 + i])
            rows += [most - fx, most + fx, most - fy, most + fy]
        return ca.vertcat(*rows)

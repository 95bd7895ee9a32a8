"""Benchmark problems of vehicles: A, B and C."""

from __future__ import annotations

from typing import Any

import numpy as np
from ocp_base import COMMON, Problem, Settings

from giljabi.types import Array

CAR: Settings = {
    **COMMON,
    "horizon": 40,
    "dt": 0.05,
    "wheelbase": 2.7,
    "state_weights": [1.0, 1.0, 5.0, 1.0, 1.0, 0.1],
    "input_weights": [1.0, 0.01],
    "input_lower": [-0.8, -10.0],
    "input_upper": [0.8, 10.0],
    "v_lower": 0.0,
    "v_upper": 15.0,
    "steering_lower": -0.5,
    "steering_upper": 0.5,
    "a_lower": -6.0,
    "a_upper": 3.0,
    "start_v": 8.0,
    "start_offset": [0.0] * 6,  # added to the start state
    "kick": [0.0] * 6,
    "speed": 10.0,
    "road_amplitude": 4.0,
    "road_length": 80.0,
    "disc_radius": 2.0,
    "disc_swing": 15.0,
    "disc_period": 10.0,
    "disc_side": 0.5,
}

HULL: Settings = {
    "m11": 25.8, "m22": 33.8, "m23": 1.0948, "m33": 2.76,
    "d11": 0.72253, "d11_abs": 1.32742, "d11_cub": 5.86643,
    "d22": 0.88965, "d22_abs": 36.47287, "d22_r": 0.805,
    "d23": 7.25, "d23_abs": 0.845, "d23_r": 3.45,
    "d32": -0.0313, "d32_abs": -3.95645, "d32_r": -0.13,
    "d33": 1.9, "d33_abs": -0.08, "d33_r": 0.75,
}  # fmt: skip

SHIP: Settings = {
    **COMMON,
    **HULL,
    "horizon": 60,
    "dt": 1.0,
    "state_weights": [1.0, 1.0, 1.0, 10.0, 1.0, 1.0, 0.1, 0.1],
    "input_weights": [1.0, 1.0],
    "input_lower": [-0.3, -0.2],
    "input_upper": [0.3, 0.2],
    "u_lower": -0.1,
    "u_upper": 0.6,
    "X_lower": -1.0,
    "X_upper": 2.0,
    "N_lower": -0.5,
    "N_upper": 0.5,
    "start": [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.3, 0.0],
    "start_offset": [0.0] * 8,
    "kick": [0.0] * 8,
    "speed": 0.3,
    "thrust": 0.494,
    "disc_radius": [1.2, 1.0, 1.5],
    "disc_swing": [6.0, 8.0, 5.0],
    "disc_period": [120.0, 150.0, 100.0],
    "disc_phase": [0.0, 2.0, 4.0],
    "disc_side_swing": [0.5, 2.0, 1.5],
    "disc_side_period": [200.0, 90.0, 130.0],
    "disc_side_phase": [0.0, 1.0, 2.0],
}

QUADROTOR: Settings = {
    **COMMON,
    "mass": 0.752,
    "inertia": [0.0025, 0.0021, 0.0043],
    "gravity": 9.81,
    "torque_ratio": 0.022,
    "rotor_x": [0.075, -0.075, -0.075, 0.075],
    "rotor_y": [-0.1, 0.1, -0.1, 0.1],
    "rotor_spin": [-1.0, -1.0, 1.0, 1.0],
    "drag": [0.0, 0.0, 0.0],
    "state_weights": [200.0] * 3 + [50.0] * 4 + [10.0] * 3 + [1.0] * 3,
    "input_weights": [6.0] * 4,
    "terminal_factor": 1.0,
    "input_lower": [0.0] * 4,
    "input_upper": [8.5] * 4,
    "start": [0.0, 0.0, 2.0, 1.0] + [0.0] * 9,
    "start_offset": [0.0] * 13,
    "amplitude_x": 6.0,
    "amplitude_y": 3.0,
    "altitude": 2.0,
    "rate": 1.2,  # rad/s
    "kick": [0.0] * 7 + [1.5, -1.0, 1.0, 2.0, -2.0, 1.0],
    "kick_every": 100,
}


class _Avoider(Problem):
    """A vehicle in the plane among discs, its parameters: x, y, radius of each."""

    states: tuple[str, ...]  # names in the settings of those that have bounds, "" for the others

    def state_bounds(self, t: Array) -> tuple[Array, Array]:
        """Bounds (n, nx) from the settings."""
        s, ones = self.settings, np.ones((len(t), 1))
        lower = np.array([s[f"{n}_lower"] if n else -np.inf for n in self.states])
        upper = np.array([s[f"{n}_upper"] if n else np.inf for n in self.states])
        return ones * lower, ones * upper

    def soft(self, x: Any, p: Any) -> Any:
        """Distances to the discs."""
        import casadi as ca

        parts = [(x[:2] - p[3 * j : 3 * j + 2]) / p[3 * j + 2] for j in range(self.soft_count)]
        return ca.vertcat(*[ca.dot(part, part) - 1 for part in parts])


class Car(_Avoider):
    """A."""

    model = "bicycle_disc"
    soft_count = 1
    states = ("", "", "", "v", "steering", "a")

    @property
    def start(self) -> Array:
        """On the road, slower than wanted."""
        s = self.settings
        slope = s["road_amplitude"] * 2 * np.pi / s["road_length"]
        x: Array = np.array([0, 0, np.arctan(slope), s["start_v"], 0, 0], dtype=np.float64)
        return x + np.array(s["start_offset"])

    def reference(self, t: Array) -> Array:
        """Along the sine road."""
        s = self.settings
        zero = np.zeros_like(t)
        k = 2 * np.pi / s["road_length"]
        along = s["speed"] * t
        slope = s["road_amplitude"] * k * np.cos(k * along)
        side = s["road_amplitude"] * np.sin(k * along)
        return np.stack([along, side, np.arctan(slope), s["speed"] * np.sqrt(1 + slope**2), zero, zero], axis=1)

    def parameters(self, t: Array) -> Array:
        """The disc that swings along the road."""
        s = self.settings
        x = s["speed"] * t + s["disc_swing"] * np.cos(2 * np.pi * t / s["disc_period"])
        y = s["road_amplitude"] * np.sin(2 * np.pi / s["road_length"] * x) + s["disc_side"]
        return np.stack([x, y, np.full_like(t, s["disc_radius"])], axis=1)

    def constants(self) -> Settings:
        """The wheelbase."""
        return {"wheelbase": self.settings["wheelbase"]}

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Kinematic bicycle on its rear axle."""
        import casadi as ca

        heading, v, steering, a = x[2], x[3], x[4], x[5]
        turn = v / self.settings["wheelbase"] * ca.tan(steering)
        return ca.vertcat(v * ca.cos(heading), v * ca.sin(heading), turn, a, u[0], u[1])


class Ship(_Avoider):
    """B."""

    model = "vessel"
    same_cost = 0.02  # several local minima: which side to pass
    soft_count = 3
    states = ("", "", "", "u", "", "", "X", "N")

    @property
    def start(self) -> Array:
        """From the settings."""
        return np.array(self.settings["start"]) + np.array(self.settings["start_offset"])

    def reference(self, t: Array) -> Array:
        """Straight on at constant speed."""
        s = self.settings
        out = np.zeros((len(t), 8))
        out[:, 0], out[:, 3], out[:, 6] = s["speed"] * t, s["speed"], s["thrust"]
        return out

    def parameters(self, t: Array) -> Array:
        """Three discs that swing across the course."""
        s, columns = self.settings, []
        for j in range(3):
            phase = 2 * np.pi * t / s["disc_period"][j] + s["disc_phase"][j]
            side = 2 * np.pi * t / s["disc_side_period"][j] + s["disc_side_phase"][j]
            columns.append(s["speed"] * t + s["disc_swing"][j] * np.cos(phase))
            columns.append(s["disc_side_swing"][j] * np.sin(side))
            columns.append(np.full_like(t, s["disc_radius"][j]))
        return np.stack(columns, axis=1)

    def constants(self) -> Settings:
        """The hull."""
        return {name: self.settings[name] for name in HULL}

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Rigid body with added mass, Coriolis from the momentum, and damping."""
        import casadi as ca

        def size(a: Any) -> Any:
            return ca.sqrt(a**2 + 1e-4)

        s, nu = self.settings, x[3:6]
        surge, sway, yaw = nu[0], nu[1], nu[2]
        mass = ca.DM([[s["m11"], 0, 0], [0, s["m22"], s["m23"]], [0, s["m23"], s["m33"]]])
        momentum = ca.mtimes(mass, nu)
        coriolis = ca.vertcat(-momentum[1] * yaw, momentum[0] * yaw, momentum[1] * surge - momentum[0] * sway)
        damping = ca.vertcat(
            (s["d11"] + s["d11_abs"] * size(surge) + s["d11_cub"] * surge**2) * surge,
            (s["d22"] + s["d22_abs"] * size(sway) + s["d22_r"] * size(yaw)) * sway
            + (s["d23"] + s["d23_abs"] * size(sway) + s["d23_r"] * size(yaw)) * yaw,
            (s["d32"] + s["d32_abs"] * size(sway) + s["d32_r"] * size(yaw)) * sway
            + (s["d33"] + s["d33_abs"] * size(sway) + s["d33_r"] * size(yaw)) * yaw,
        )
        force = ca.vertcat(x[6], 0, x[7])
        acceleration = ca.mtimes(ca.inv(mass), force - coriolis - damping)
        c, sn = ca.cos(x[2]), ca.sin(x[2])
        return ca.vertcat(surge * c - sway * sn, surge * sn + sway * c, yaw, acceleration, u[0], u[1])


class Quadrotor(Problem):
    """C."""

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        self.model = "quadrotor" if np.any(settings["drag"]) else "quadrotor_rigid"

    @property
    def start(self) -> Array:
        """Hovering."""
        return np.array(self.settings["start"]) + np.array(self.settings["start_offset"])

    @property
    def start_input(self) -> Array:
        """The thrusts that hover."""
        return np.full(4, self.settings["mass"] * self.settings["gravity"] / 4)

    def _acceleration(self, t: Array) -> Array:
        """Of the figure of eight, with gravity: what the thrust has to give (n, 3) [m/s^2]."""
        s, w = self.settings, self.settings["rate"]
        x = -s["amplitude_x"] * w**2 * np.sin(w * t)
        y = -4 * s["amplitude_y"] * w**2 * np.sin(2 * w * t)
        return np.stack([x, y, np.full_like(t, s["gravity"])], axis=1)

    def reference(self, t: Array) -> Array:
        """A figure of eight, the thrust axis along the acceleration that it needs."""
        s, w = self.settings, self.settings["rate"]
        out = np.zeros((len(t), 13))
        out[:, 0] = s["amplitude_x"] * np.sin(w * t)
        out[:, 1] = s["amplitude_y"] * np.sin(2 * w * t)
        out[:, 2] = s["altitude"]
        push = self._acceleration(t)
        axis = push / np.linalg.norm(push, axis=1, keepdims=True)
        q = np.stack([1 + axis[:, 2], -axis[:, 1], axis[:, 0], np.zeros_like(t)], axis=1)
        out[:, 3:7] = q / np.linalg.norm(q, axis=1, keepdims=True)
        out[:, 7] = s["amplitude_x"] * w * np.cos(w * t)
        out[:, 8] = 2 * s["amplitude_y"] * w * np.cos(2 * w * t)
        return out

    def input_reference(self, t: Array) -> Array:
        """Equal shares of the thrust."""
        size = np.linalg.norm(self._acceleration(t), axis=1, keepdims=True)
        return np.asarray(self.settings["mass"] * size / 4 * np.ones((1, 4)))

    def settle(self, x: Array) -> Array:
        """The quaternion has length 1."""
        x = x.copy()
        x[3:7] /= np.linalg.norm(x[3:7])
        return x

    def constants(self) -> Settings:
        """Mass, inertia, rotors and drag."""
        s = self.settings
        out = {name: s[name] for name in ("mass", "gravity", "torque_ratio")}
        for i, axis in enumerate("xyz"):
            out[f"inertia_{axis}"] = s["inertia"][i]
            if self.model == "quadrotor":
                out[f"drag_{axis}"] = s["drag"][i]
        for i in range(4):
            for what in ("x", "y", "spin"):
                out[f"rotor_{i + 1}_{what}"] = s[f"rotor_{what}"][i]
        return out

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Newton and Euler with a rotation matrix, and the quaternion's kinematics as a product."""
        import casadi as ca

        s = self.settings
        w, r, v, rate = x[3], x[4:7], x[7:10], x[10:13]
        turn = 2 * w * ca.skew(r) + 2 * ca.mtimes(ca.skew(r), ca.skew(r)) + ca.DM.eye(3)
        force = ca.vertcat(0, 0, ca.sum1(u)) - ca.DM(s["drag"]) * ca.mtimes(turn.T, v)
        arms = [ca.DM([s["rotor_x"][i], s["rotor_y"][i], 0]) for i in range(4)]
        torque = sum((ca.cross(arm, ca.vertcat(0, 0, u[i])) for i, arm in enumerate(arms)), ca.SX(3, 1))
        torque += ca.vertcat(0, 0, s["torque_ratio"] * ca.dot(ca.DM(s["rotor_spin"]), u))
        inertia = ca.DM(s["inertia"])
        spin = ca.vertcat(-ca.dot(r, rate), w * rate + ca.cross(r, rate)) / 2
        acceleration = ca.mtimes(turn, force) / s["mass"] - ca.DM([0, 0, s["gravity"]])
        return ca.vertcat(v, spin, acceleration, (torque - ca.cross(rate, inertia * rate)) / inertia)

"""What a controller knows of a multirotor with four rotors, and what follows from it: allocation and flatness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from giljabi.control.flight_paths import FlatPath
from giljabi.types import Array, BadInputError


@dataclass(frozen=True)
class Airframe:
    """Four rotors that push along body z; body x forward, y left. Arrays (4,) are in the order of the rotors."""

    mass: float  # kg
    inertia: tuple[float, float, float]  # kg m^2
    rotor_x: tuple[float, ...]  # m
    rotor_y: tuple[float, ...]  # m
    spin: tuple[float, ...]  # sign of each rotor's yaw torque
    torque_ratio: float  # m, yaw torque by thrust
    thrust_max: float  # N of one rotor
    thrust_min: float = 0.0  # N
    drag: tuple[float, float, float] = (0.0, 0.0, 0.0)  # N s/m along body axes
    motor_lag: float = 0.03  # s
    gravity: float = 9.81  # m/s^2

    def __post_init__(self) -> None:
        numbers = {
            "mass": self.mass, "torque_ratio": self.torque_ratio, "motor_lag": self.motor_lag,
            "thrust_max": self.thrust_max - max(self.thrust_min, 0.0),
            **{f"inertia_{axis}": value for axis, value in zip("xyz", self.inertia, strict=True)},
        }  # fmt: skip
        for name, value in numbers.items():
            if not (np.isfinite(value) and value > 0.0):
                raise BadInputError(f"airframe: {name} is {value}; a number above 0 is expected")
        if abs(np.linalg.det(self.allocation)) < 1e-12:
            raise BadInputError("airframe: these rotors cannot turn it about every axis; four apart are expected")

    @classmethod
    def from_parameters(cls, p: Mapping[str, float], thrust_max: float, thrust_min: float = 0.0) -> Airframe:
        """From the parameters of the solver's quadrotor models, by name; raises BadInputError for missing ones."""
        try:
            return cls(
                mass=p["mass"],
                inertia=(p["inertia_x"], p["inertia_y"], p["inertia_z"]),
                rotor_x=tuple(p[f"rotor_{i}_x"] for i in range(1, 5)),
                rotor_y=tuple(p[f"rotor_{i}_y"] for i in range(1, 5)),
                spin=tuple(p[f"rotor_{i}_spin"] for i in range(1, 5)),
                torque_ratio=p["torque_ratio"],
                thrust_max=thrust_max,
                thrust_min=thrust_min,
                drag=(p.get("drag_x", 0.0), p.get("drag_y", 0.0), p.get("drag_z", 0.0)),
                motor_lag=p.get("motor_lag", 0.03),
                gravity=p.get("gravity", 9.81),
            )
        except KeyError as e:
            raise BadInputError(f"model parameter {e} is missing; a quadrotor needs it") from None

    @property
    def constants(self) -> dict[str, float]:
        """Constants of the solver's models `quadrotor` and `quadrotor_lag`."""
        out = {"mass": self.mass, "gravity": self.gravity, "torque_ratio": self.torque_ratio}
        for axis, inertia, drag in zip("xyz", self.inertia, self.drag, strict=True):
            out[f"inertia_{axis}"], out[f"drag_{axis}"] = inertia, drag
        for i in range(4):
            out[f"rotor_{i + 1}_x"], out[f"rotor_{i + 1}_y"] = self.rotor_x[i], self.rotor_y[i]
            out[f"rotor_{i + 1}_spin"] = self.spin[i]
        return out

    @property
    def hover_thrust(self) -> float:
        """Thrust of one rotor that carries a quarter of the weight [N]."""
        return 0.25 * self.mass * self.gravity

    @property
    def allocation(self) -> Array:
        """Matrix (4, 4) from thrusts to total thrust [N] and moments about body x, y, z [N m]."""
        x, y = np.array(self.rotor_x), np.array(self.rotor_y)
        return np.array([np.ones(4), y, -x, self.torque_ratio * np.array(self.spin)])

    def accelerations(self, q: Array, v: Array, w: Array, thrust: Array) -> tuple[Array, Array]:
        """Acceleration in map (3,) [m/s^2] and angular acceleration in body (3,) [rad/s^2] without disturbances.

        q: (4,) body to map; v: (3,) m/s map; w: (3,) rad/s body; thrust: (4,) N.
        """
        R = _matrices(q[None])[0]
        push = self.allocation @ thrust
        drag = -np.array(self.drag) * (R.T @ v)
        drag[2] += push[0]
        inertia = np.array(self.inertia)
        a = R @ drag / self.mass
        a[2] -= self.gravity
        return a, (push[1:] - np.cross(w, inertia * w)) / inertia


@dataclass(frozen=True, slots=True)
class FlatReference:
    """What following a path means for a multirotor, one row a time: attitude, rates and thrusts included."""

    position: Array  # (n, 3) m
    velocity: Array  # (n, 3) m/s
    quaternion: Array  # (n, 4) body to map, scalar first, continuous in sign
    rates: Array  # (n, 3) rad/s body
    thrust: Array  # (n, 4) N, inside the rotors' limits


_STEP = 2e-3  # s, of the differences that give rates and angular accelerations


def flat_reference(airframe: Airframe, path: FlatPath, t: Array, push: Array, turn: Array) -> FlatReference:
    """States and thrusts (n rows) that keep a vehicle with drag on the path, disturbances counteracted.

    push: (3,) disturbance in map [m/s^2]; turn: (3,) in body [rad/s^2]. Faessler 2018 shows that drag along body axes
    keeps the position flat; here the attitude is found by iterating on the drag, rates by differences.
    """
    n = len(t)
    spread = np.concatenate([t - _STEP, t, t + _STEP])
    velocity = path.derivative(spread, 1)
    wanted = path.derivative(spread, 2) - push
    wanted[:, 2] += airframe.gravity
    yaw = path.yaw(spread)
    ahead = np.column_stack([np.cos(yaw), np.sin(yaw), np.zeros(3 * n)])
    drag = np.array(airframe.drag) / airframe.mass
    force = wanted
    for _ in range(3):
        R = _attitudes(force, ahead)
        along = np.einsum("nij,ni->nj", R, velocity) * drag
        along[:, 2] = 0.0
        force = wanted + np.einsum("nij,nj->ni", R, along)
    R = _attitudes(force, ahead)
    lift = np.einsum("ni,ni->n", force, R[:, :, 2]) + drag[2] * np.einsum("ni,ni->n", velocity, R[:, :, 2])
    before, now, after = R[:n], R[n : 2 * n], R[2 * n :]
    first, second = _rates(before, now) / _STEP, _rates(now, after) / _STEP
    rates = 0.5 * (first + second)
    inertia = np.array(airframe.inertia)
    torque = inertia * ((second - first) / _STEP - turn) + np.cross(rates, inertia * rates)
    wrench = np.column_stack([airframe.mass * lift[n : 2 * n], torque])
    thrust = wrench @ np.linalg.inv(airframe.allocation).T
    return FlatReference(
        path.derivative(t, 0),
        velocity[n : 2 * n],
        _quaternions(now),
        rates,
        np.clip(thrust, airframe.thrust_min, airframe.thrust_max),
    )


def _attitudes(force: Array, ahead: Array) -> Array:
    """Rotations (n, 3, 3) with z along the force and y square to where the nose shall point."""
    size = np.linalg.norm(force, axis=1, keepdims=True)
    z = np.where(size > 1e-6, force / np.maximum(size, 1e-6), [0.0, 0.0, 1.0])
    y = np.cross(z, ahead)
    y /= np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-9)
    return np.stack([np.cross(y, z), y, z], axis=2)


def _rates(a: Array, b: Array) -> Array:
    """Rotation vectors (n, 3) in body that turn a into b, for small angles."""
    d = np.einsum("nki,nkj->nij", a, b)
    return 0.5 * np.column_stack([d[:, 2, 1] - d[:, 1, 2], d[:, 0, 2] - d[:, 2, 0], d[:, 1, 0] - d[:, 0, 1]])


def _matrices(q: Array) -> Array:
    w, x, y, z = q.T
    rows = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.asarray(rows.transpose(2, 0, 1))


def _quaternions(R: Array) -> Array:
    """Unit quaternions (n, 4) of rotations, neighbours on the same side."""
    xx, yy, zz = R[:, 0, 0], R[:, 1, 1], R[:, 2, 2]
    squares = np.maximum(np.column_stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz]), 0.0)
    a, b, c = R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]
    d, e, f = R[:, 1, 0] + R[:, 0, 1], R[:, 0, 2] + R[:, 2, 0], R[:, 2, 1] + R[:, 1, 2]
    s = squares
    rows = np.stack(
        [
            np.column_stack([s[:, 0], a, b, c]),
            np.column_stack([a, s[:, 1], d, e]),
            np.column_stack([b, d, s[:, 2], f]),
            np.column_stack([c, e, f, s[:, 3]]),
        ],
        axis=1,
    )
    q = rows[np.arange(len(R)), np.argmax(squares, axis=1)]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    turns = np.cumprod(np.where(np.einsum("ni,ni->n", q[1:], q[:-1]) < 0.0, -1.0, 1.0))
    q[1:] *= turns[:, None]
    return np.asarray(q)

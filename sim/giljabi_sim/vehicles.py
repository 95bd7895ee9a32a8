"""The vehicle under test: a plant of `giljabi._core.plants` behind named actuators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from giljabi.platform import Platform
from giljabi.types import BadInputError
from giljabi_sim.plant import Environment, build_plant
from giljabi_sim.quadrotor import QuadrotorVehicle
from giljabi_sim.scenario import Start
from giljabi_sim.truth import Body, Own


class Vehicle(Protocol):
    """A plant with commands by name."""

    commands: dict[str, float]  # what the device asks of the actuators, in its own units

    def step(self, env: Environment, dt: float) -> None:
        """Advances by dt [s]."""

    def told_to_go(self) -> bool:
        """True when the propulsion is asked to push."""

    def own(self) -> Own:
        """Ground truth now."""


class ShipVehicle:
    """One propeller, one rudder. commands: rudder [rad, positive to port], lever [-1..1]."""

    def __init__(self, platform: Platform, start: Start) -> None:
        from giljabi._core.plants import ShipPlant

        self._plant = build_plant(platform, ShipPlant)
        self._footprint = platform.model.footprint
        self.commands = {"rudder": 0.0, "lever": 0.0}
        self._plant.state = [start.x, start.y, math.radians(start.yaw_deg), start.speed, 0.0, 0.0, 0.0, 0.0]
        self._env: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    def step(self, env: Environment, dt: float) -> None:
        """Advances by dt [s]."""
        self._env = (env.wind, env.current)
        self._plant.step(self.commands["rudder"], self.commands["lever"], env.wind, env.current, dt)

    def told_to_go(self) -> bool:
        """True when the lever is off zero."""
        return abs(self.commands["lever"]) > 0.005

    def own(self) -> Own:
        """Ground truth now; feedback: rudder [rad], propeller [rad/s], water_speed [m/s]."""
        x, y, psi, u, v, r, rudder, shaft = self._plant.state
        d = self._plant.derivative(self.commands["rudder"], self.commands["lever"], *self._env)
        f = self._footprint
        c_e, c_n = self._env[1]
        along = math.cos(psi) * c_e + math.sin(psi) * c_n
        feedback = {"rudder": rudder, "propeller": 2.0 * math.pi * shaft, "water_speed": u - along}
        return Own(
            x, y, psi, u, v, r, f.length, f.width, f.centre_x, ax=d[3] - r * v, ay=d[4] + r * u, feedback=feedback
        )  # fmt: skip


class CarVehicle:
    """Two-track car. commands: steering [rad, positive to the left], force [N, negative brakes]."""

    def __init__(self, platform: Platform, start: Start) -> None:
        from giljabi._core.plants import CarPlant

        self._plant = build_plant(platform, CarPlant)
        self._footprint = platform.model.footprint
        self.commands = {"steering": 0.0, "force": 0.0}
        self._plant.state = [start.x, start.y, math.radians(start.yaw_deg), start.speed, *[0.0] * 7]
        self._env: tuple[tuple[float, float], float] = ((0.0, 0.0), 1.0)

    def step(self, env: Environment, dt: float) -> None:
        """Advances by dt [s]."""
        self._env = (env.wind, env.friction)
        self._plant.step(self.commands["steering"], self.commands["force"], *self._env, dt)

    def told_to_go(self) -> bool:
        """True when there is force to drive."""
        return self.commands["force"] > 1.0

    def own(self) -> Own:
        """Ground truth now; feedback: steering, steering_rate, force and the four wheels' speeds over ground [m/s]."""
        x, y, psi, vx, vy_g, r, steering, drive, brake, _, _ = self._plant.state
        d = self._plant.derivative(self.commands["steering"], self.commands["force"], *self._env)
        p = self._plant.parameters
        b, half = p["cg_to_rear"], 0.5 * p["track"]
        vy = vy_g - b * r
        front = math.cos(steering) * 1.0
        lateral = math.sin(steering) * (vy + p["wheelbase"] * r)
        feedback = {
            "steering": steering,
            "steering_rate": d[6],
            "force": drive - brake,
            "wheel_rl": vx - half * r,
            "wheel_rr": vx + half * r,
            "wheel_fl": front * (vx - half * r) + lateral,
            "wheel_fr": front * (vx + half * r) + lateral,
        }
        f = self._footprint
        return Own(
            x, y, psi, vx, vy, r, f.length, f.width, f.centre_x, ax=d[3] - r * vy, ay=d[4] - b * d[5] + r * vx,
            feedback=feedback,
        )  # fmt: skip


def _walker(platform: Platform, start: Start, obstacles: Sequence[Body]) -> Vehicle:
    try:
        from giljabi_sim.humanoid.vehicle import WalkerVehicle
    except ImportError:
        what = "MuJoCo cannot be imported; pip install 'giljabi[humanoid]'"
        raise platform.error(("simulation", "plant"), what) from None
    return WalkerVehicle(platform, start, obstacles)


VEHICLES: dict[str, Callable[[Platform, Start, Sequence[Body]], Vehicle]] = {
    "ship": lambda platform, start, _: ShipVehicle(platform, start),
    "car": lambda platform, start, _: CarVehicle(platform, start),
    "quadrotor": lambda platform, start, _: QuadrotorVehicle(platform, start),
    "walker": _walker,  # it touches what it meets
}


def build_vehicle(platform: Platform, start: Start, obstacles: Sequence[Body] = ()) -> Vehicle:
    """The plant that the platform file names under `simulation`; raises BadInputError with its line."""
    kind = platform.model.simulation.get("plant")
    if kind is None:
        raise BadInputError(
            f"{platform.file.path}:1: 'simulation.plant' is missing; one of {', '.join(VEHICLES)} is expected"
        )
    cls = VEHICLES.get(kind)
    if cls is None:
        raise platform.error(("simulation", "plant"), f"no plant is called '{kind}'; known are {', '.join(VEHICLES)}")
    return cls(platform, start, obstacles)

"""A multirotor under test: the plant behind named rotors, and its place in the world."""

from __future__ import annotations

import math
from typing import Any

from giljabi.platform import Platform
from giljabi_sim.plant import Environment, build_plant
from giljabi_sim.scenario import Start
from giljabi_sim.truth import Own

ROTORS = ("rotor_1", "rotor_2", "rotor_3", "rotor_4")


def euler(q: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Roll, pitch, yaw [rad] of a unit quaternion, body to map, scalar first."""
    w, x, y, z = q
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    return roll, pitch, math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


class QuadrotorVehicle:
    """Four rotors. commands: rotor_1 .. rotor_4, thrust wanted [N]; numbered as the plant does.

    effectiveness: of each rotor 0..1, for whoever breaks one. It begins on the ground; `simulation.airframe` names
    one of the plant's parameter sets.
    """

    def __init__(self, platform: Platform, start: Start) -> None:
        from giljabi._core.plants import QuadrotorPlant

        airframe = str(platform.model.simulation.get("airframe", "x500"))
        self._plant: Any = build_plant(platform, lambda changes: QuadrotorPlant(changes, airframe))
        self._footprint = platform.model.footprint
        self.commands = dict.fromkeys(ROTORS, 0.0)
        self.effectiveness = [1.0, 1.0, 1.0, 1.0]
        x = list(self._plant.state)
        yaw = math.radians(start.yaw_deg)
        x[:2] = start.x, start.y
        x[3:7] = math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw)
        x[7:9] = start.speed * math.cos(yaw), start.speed * math.sin(yaw)
        x[17] = x[17] if start.charge is None else start.charge
        self._plant.state = x
        self._wind = (0.0, 0.0, 0.0)

    def _thrust(self) -> list[float]:
        return [self.commands[name] for name in ROTORS]

    def step(self, env: Environment, dt: float) -> None:
        """Advances by dt [s]; the ground is at height 0."""
        self._wind = (*env.wind, env.wind_up)
        self._plant.step(self._thrust(), dt, self._wind, self.effectiveness)

    def told_to_go(self) -> bool:
        """True when a rotor is asked to push."""
        return max(self._thrust()) > 0.0

    @property
    def parameters(self) -> dict[str, float]:
        """The plant's parameters, as somebody who set the vehicle up knows them."""
        return dict(self._plant.parameters)

    @property
    def battery(self) -> tuple[float, float, float]:
        """Voltage under load [V], current [A], charge 0..1."""
        voltage, current = self._plant.battery
        return voltage, current, self._plant.state[17]

    def own(self) -> Own:
        """Ground truth now; feedback: rotor_1 .. rotor_4 [rad/s]. vx, vy are those of the level heading frame."""
        s = self._plant.state
        d = self._plant.derivative(self._thrust(), self._wind, self.effectiveness)
        roll, pitch, yaw = euler((s[3], s[4], s[5], s[6]))
        c, n = math.cos(yaw), math.sin(yaw)
        vx, vy = c * s[7] + n * s[8], -n * s[7] + c * s[8]
        level = max(math.cos(pitch), 1e-3)
        yaw_rate = (math.sin(roll) * s[11] + math.cos(roll) * s[12]) / level
        force = self._plant.specific_force(self._thrust(), self._wind, self.effectiveness)
        f = self._footprint
        return Own(
            s[0], s[1], yaw, vx, vy, yaw_rate, f.length, f.width, f.centre_x,
            ax=c * d[7] + n * d[8], ay=-n * d[7] + c * d[8], feedback=dict(zip(ROTORS, s[13:17], strict=True)),
            z=s[2], vz=s[9], roll=roll, pitch=pitch, rates=(s[10], s[11], s[12]),
            specific_force=(force[0], force[1], force[2]),
        )  # fmt: skip

"""
vehicles that the simulator integrates
"""

from __future__ import annotations

import collections.abc
import typing

__all__: list[str] = ["CarPlant", "QuadrotorPlant", "ShipPlant"]

_Number = typing.SupportsFloat | typing.SupportsIndex
_Vector3 = typing.Annotated[collections.abc.Sequence[_Number], "FixedSize(3)"]
_Vector4 = typing.Annotated[collections.abc.Sequence[_Number], "FixedSize(4)"]

class ShipPlant:
    """
    Ship with one propeller and one rudder.

    State (8,): x y [m map], psi [rad], u v [m/s over ground, body], r [rad/s], rudder [rad],
    shaft rate [1/s]. Frames ENU and FLU; a positive rudder turns the bow to port.
    """
    def __init__(
        self, parameters: collections.abc.Mapping[str, typing.SupportsFloat | typing.SupportsIndex] = {}
    ) -> None:
        """
        parameters: changed values by name; raises ValueError for unknown names.
        """
    def derivative(
        self,
        rudder: typing.SupportsFloat | typing.SupportsIndex,
        lever: typing.SupportsFloat | typing.SupportsIndex,
        wind: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"],
        current: typing.Annotated[
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"
        ],
    ) -> typing.Annotated[list[float], "FixedSize(8)"]:
        """
        Rate of the state (8,).
        """
    def resistance(self, u: typing.SupportsFloat | typing.SupportsIndex) -> float:
        """
        Hull drag [N] at u [m/s] through the water.
        """
    def step(
        self,
        rudder: typing.SupportsFloat | typing.SupportsIndex,
        lever: typing.SupportsFloat | typing.SupportsIndex,
        wind: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"],
        current: typing.Annotated[
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"
        ],
        dt: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None:
        """
        Advances by dt [s]; rudder [rad], lever -1..1, wind and current [m/s towards east, north].
        """
    def thrust(
        self,
        shaft_rate: typing.SupportsFloat | typing.SupportsIndex,
        advance_speed: typing.SupportsFloat | typing.SupportsIndex,
    ) -> float:
        """
        Open-water thrust [N] at a shaft rate [1/s] and advance speed [m/s].
        """
    @property
    def parameters(self) -> dict[str, float]: ...
    @property
    def state(self) -> typing.Annotated[list[float], "FixedSize(8)"]: ...
    @state.setter
    def state(
        self,
        arg1: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(8)"],
    ) -> None: ...

class CarPlant:
    """
    Two-track car.

    State (11,): rear axle x y [m map], psi [rad], vx vy at the centre of gravity [m/s body],
    r [rad/s], steering [rad], drive and brake force [N], ax ay filtered [m/s^2 body].
    """
    def __init__(
        self, parameters: collections.abc.Mapping[str, typing.SupportsFloat | typing.SupportsIndex] = {}
    ) -> None:
        """
        parameters: changed values by name; raises ValueError for unknown names.
        """
    def derivative(
        self,
        steering: typing.SupportsFloat | typing.SupportsIndex,
        force: typing.SupportsFloat | typing.SupportsIndex,
        wind: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"],
        friction_scale: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Annotated[list[float], "FixedSize(11)"]:
        """
        Rate of the state (11,).
        """
    def step(
        self,
        steering: typing.SupportsFloat | typing.SupportsIndex,
        force: typing.SupportsFloat | typing.SupportsIndex,
        wind: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"],
        friction_scale: typing.SupportsFloat | typing.SupportsIndex,
        dt: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None:
        """
        Advances by dt [s]; steering [rad], force [N], wind [m/s towards east, north].
        """
    @property
    def parameters(self) -> dict[str, float]: ...
    @property
    def state(self) -> typing.Annotated[list[float], "FixedSize(11)"]: ...
    @state.setter
    def state(
        self,
        arg1: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(11)"],
    ) -> None: ...

class QuadrotorPlant:
    """
    Multirotor with four rotors over flat ground, with motors, air and battery.

    State (18,): x y z [m map], quaternion w x y z (body to map), velocity [m/s map], rates [rad/s body],
    rotor speeds (4) [rad/s], charge 0..1. Frames ENU and FLU; rotors: 1 front right, 2 rear left, 3 front
    left, 4 rear right. At first it stands on ground of height 0.
    """
    def __init__(self, parameters: collections.abc.Mapping[str, _Number] = {}, airframe: str = "x500") -> None:
        """
        parameters: changed values by name; airframe: 'x500' (2 kg) or 'small' (0.5 kg). Raises ValueError.
        """
    def derivative(
        self,
        thrust: _Vector4,
        wind: _Vector3 = [0.0, 0.0, 0.0],
        effectiveness: _Vector4 = [1.0, 1.0, 1.0, 1.0],
        ground: _Number = 0.0,
    ) -> typing.Annotated[list[float], "FixedSize(18)"]:
        """
        Rate of the state (18,).
        """
    def specific_force(
        self,
        thrust: _Vector4,
        wind: _Vector3 = [0.0, 0.0, 0.0],
        effectiveness: _Vector4 = [1.0, 1.0, 1.0, 1.0],
        ground: _Number = 0.0,
    ) -> typing.Annotated[list[float], "FixedSize(3)"]:
        """
        What an accelerometer at the centre of gravity feels (3,) [m/s^2 body].
        """
    def speed_wanted(self, thrust: _Number) -> float:
        """
        Rotor speed [rad/s] that a wanted thrust [N] asks for.
        """
    def step(
        self,
        thrust: _Vector4,
        dt: _Number,
        wind: _Vector3 = [0.0, 0.0, 0.0],
        effectiveness: _Vector4 = [1.0, 1.0, 1.0, 1.0],
        ground: _Number = 0.0,
    ) -> None:
        """
        Advances by dt [s]; thrust wanted of each rotor [N], wind [m/s towards east, north, up],
        effectiveness of each rotor 0..1, height of the ground [m].
        """
    @property
    def battery(self) -> typing.Annotated[list[float], "FixedSize(2)"]:
        """
        Voltage under load [V] and current [A].
        """
    @property
    def parameters(self) -> dict[str, float]: ...
    @property
    def state(self) -> typing.Annotated[list[float], "FixedSize(18)"]: ...
    @state.setter
    def state(
        self,
        arg1: typing.Annotated[collections.abc.Sequence[_Number], "FixedSize(18)"],
    ) -> None: ...

"""
kinematics, dynamics and whole-body control of walkers
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = ["Body"]

_Array = numpy.typing.NDArray[numpy.float64]
_Like = typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
_Int = typing.SupportsInt | typing.SupportsIndex

class Body:
    """
    A floating tree of hinges and its whole-body control; velocities are base linear in the world, base
    angular in its own axes, joints. Arrays of joints (n,) are in the order of the hinges.
    """
    def __init__(
        self,
        parents: collections.abc.Sequence[_Int],
        links: _Like,
        bodies: collections.abc.Sequence[_Int],
        hinges: _Like,
        sole_bodies: collections.abc.Sequence[_Int],
        soles: _Like,
        legs: collections.abc.Sequence[_Int],
        lower: _Like,
        upper: _Like,
    ) -> None:
        """
        links (bodies, 20): position, quaternion, mass, centre of mass, inertia by rows; hinges (n, 7): axis, anchor,
        zero; soles (2, 5): centre, half length and width; legs: hinges that the feet's tasks move. ValueError says what
        is wrong.
        """
    def com_jacobian(self) -> _Array:
        """
        Jacobian (3, 6 + n) of the centre of mass.
        """
    def inverse_dynamics(self, velocity: _Like, acceleration: _Like) -> _Array:
        """
        Generalised force (6 + n,), gravity included.
        """
    def jacobian(self, side: _Int, point: _Like) -> tuple[_Array, _Array]:
        """
        Jacobians (3, 6 + n) of a point (3,) that moves with a foot, and of its orientation.
        """
    def position(self, body: _Int) -> _Array:
        """
        Origin (3,) of a body's frame.
        """
    def rotation(self, body: _Int) -> _Array:
        """
        R (3, 3) of a body.
        """
    def set(self, position: _Like, quaternion: _Like, joints: _Like) -> None:
        """
        Takes a posture: base position (3,), orientation (4,) w first, joints (n,).
        """
    def sole(self, side: _Int) -> _Array:
        """
        Middle (3,) of a sole: 0 left, 1 right.
        """
    def solve(
        self,
        com: _Like,
        feet: _Like,
        foot_rotations: _Like,
        torso: _Like,
        rates: _Like,
        posture: _Like,
        iterations: _Int = 1,
    ) -> float:
        """
        Newton steps towards com (3,), soles (2, 3) and (2, 3, 3), torso (3, 3), moving with rates (2, 18); the largest
        error before the last step.
        """
    def fix(self, hinges: _Like) -> None:
        """
        Hinges (n,) bool that stay where they are in every solve; the others do their part.
        """
    def torque(self, share_left: typing.SupportsFloat | typing.SupportsIndex) -> _Array:
        """
        Torques (n,) that make `rates` on the ground, with that share of the weight on the left foot.
        """
    def update(self) -> None:
        """
        Places of all bodies after a change of `q`.
        """
    @property
    def com(self) -> _Array:
        """
        Centre of mass (3,).
        """
    @property
    def limited(self) -> int:
        """
        Rounds in which a joint's limit was met.
        """
    @property
    def mass(self) -> float:
        """
        kg
        """
    @property
    def q(self) -> _Array:
        """
        Base position, quaternion w first, joints (7 + n,): the body's own memory.
        """
    @property
    def rates(self) -> _Array:
        """
        Velocity and acceleration (6 + n, 2): the body's own memory.
        """
    @property
    def zmp(self) -> _Array:
        """
        Zero-moment point (2,) of the last `torque`.
        """

"""
local plans on an occupancy grid
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = ["LatticePlanner"]

_Number = typing.SupportsFloat | typing.SupportsIndex
_Place = typing.Annotated[collections.abc.Sequence[_Number], "FixedSize(2)"]

class LatticePlanner:
    """
    Plans at one height through an occupancy grid: pieces of constant acceleration, time-optimal within limits
    up to the lattice, and from each of them a straight stop in known free space.
    """
    def __init__(
        self,
        width: typing.SupportsInt | typing.SupportsIndex,
        height: typing.SupportsInt | typing.SupportsIndex,
        resolution: _Number,
        options: collections.abc.Mapping[str, _Number] = {},
        expansions: typing.SupportsInt | typing.SupportsIndex = 3000,
    ) -> None:
        """
        Cells along x and y, their size [m], options by name, and how many states one plan may look at.
        """
    def clearance(self, x: _Number, y: _Number) -> float:
        """
        Distance [m] from a place to what is not known to be free; 0 outside the grid.
        """
    def cost_to_go(self, x: _Number, y: _Number) -> float:
        """
        Length [m] of the way to the goal, narrow places counted longer.
        """
    def limit_speed(self, speed: _Number) -> None:
        """
        Another speed_max [m/s] for the plans that follow.
        """
    def plan(self, position: _Place, velocity: _Place) -> numpy.typing.NDArray[numpy.float64]:
        """
        Pieces (n, 7) from a state: duration [s], x y [m], vx vy [m/s] at its begin, ax ay [m/s^2]; the last one
        brakes to a stop. No rows: there is no plan.
        """
    def room(self, x: _Number, y: _Number) -> float:
        """
        Distance [m] from a place to what is occupied; 0 outside the grid.
        """
    def set_map(
        self, cells: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8], corner: _Place, goal: _Place
    ) -> None:
        """
        Takes in cells (height, width), rows along y: 0 free, 1 occupied, else unknown; corner (x, y) [m map]
        of the first one, goal (x, y) [m map], which may lie outside.
        """
    def set_movers(self, movers: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> None:
        """
        What moves, (n, 6), from the begin of the next plan on: x y [m map], vx vy [m/s], the distance between
        centres that is kept [m], and by how much it grows [m/s]; at most 64.
        """
    @property
    def expanded(self) -> int:
        """
        States that the last plan looked at.
        """

"""
a rolling occupancy grid of scans
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = ["ScanGrid"]

_Number = typing.SupportsFloat | typing.SupportsIndex

class ScanGrid:
    """
    A rolling grid of what a scanner has seen at about the vehicle's height: log-odds by rays.
    """
    def __init__(
        self,
        size: typing.SupportsInt | typing.SupportsIndex,
        resolution: _Number,
        options: collections.abc.Mapping[str, _Number] = {},
    ) -> None:
        """
        Cells along each side, their size [m], options by name.
        """
    def cells(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        Cells (size, size), rows along y: 0 free, 1 occupied, 2 unknown.
        """
    def insert(
        self,
        from_: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        to: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        hit: typing.Annotated[numpy.typing.ArrayLike, numpy.bool_],
    ) -> None:
        """
        One scan: rays (n, 3) from and to places [m map], and whether each ended in something. Rays that are not
        finite are left out.
        """
    def move_to(self, x: _Number, y: _Number, z: _Number) -> None:
        """
        The window has its middle at (x, y) [m map] and its layer at height z; what falls out is forgotten.
        """
    @property
    def corner(self) -> typing.Annotated[list[float], "FixedSize(2)"]:
        """
        x, y [m map] of the first cell's corner.
        """
    @property
    def resolution(self) -> float:
        """
        Side of a cell [m].
        """

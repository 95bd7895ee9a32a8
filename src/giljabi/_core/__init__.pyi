"""
C++ core of giljabi: what runs every control tick
"""

from __future__ import annotations

from . import can, estimation, guard, nmea, perception, planning, plants, servo, solver

__all__: list[str] = ["can", "estimation", "guard", "nmea", "perception", "planning", "plants", "servo", "solver"]
__version__: str = "0.1.0"

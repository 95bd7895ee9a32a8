"""
C++ core of giljabi: what runs every control tick
"""

from __future__ import annotations

from . import nmea, plants

__all__: list[str] = ["nmea", "plants"]
__version__: str = "0.1.0"

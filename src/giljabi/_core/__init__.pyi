"""
C++ core of giljabi: what runs every control tick
"""

from __future__ import annotations

__all__: list[str] = list()
__version__: str = "0.1.0"

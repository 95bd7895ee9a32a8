"""
CAN frames: checksums by name
"""

from __future__ import annotations

from giljabi.wire import WireChecksum, WireCounter

__all__: list[str] = ["Checksum", "checksum_kinds", "counter_max"]

class Checksum:
    """
    Checksum of one CAN message; ValueError when it is wrongly described.
    """
    def __init__(
        self,
        spec: WireChecksum,
        counter: WireCounter | None,
        can_id: int,
        extended: bool,
        size: int,
        what: str = "checksum",
    ) -> None: ...
    def ok(self, data: bytes) -> bool:
        """
        Whether checksum and header of a payload are right.
        """
    def put(self, data: bytes) -> bytes:
        """
        The payload with its checksum and header.
        """
    def value(self, data: bytes) -> int:
        """
        Checksum of a payload whose counter is in place.
        """

def checksum_kinds() -> list[str]:
    """
    Names of all kinds of checksums.
    """

def counter_max(kind: str) -> int:
    """
    Highest value of the counter that a kind of checksum prescribes, -1 for none.
    """

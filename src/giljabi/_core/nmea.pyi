"""
NMEA 0183 framing and fields
"""

from __future__ import annotations

import typing

import typing_extensions

__all__: list[str] = ["KNOWN", "Framer", "Sentence", "checksum"]

KNOWN: tuple[str, ...]

class Sentence:
    """
    One sentence with a right checksum; field 0 is the first behind the address.
    """
    def __repr__(self) -> str: ...
    def clock(self, i: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Field i (hhmmss.ss) as seconds of the day, below 86401; NaN when empty, ValueError when malformed.
        """
    def coordinate(self, i: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Fields i (ddmm.mmm) and i+1 (hemisphere) in signed degrees; NaN when empty, ValueError when malformed.
        """
    def field(self, i: typing.SupportsInt | typing.SupportsIndex) -> str:
        """
        Field i as text; empty when absent.
        """
    def number(self, i: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Field i as a number; NaN when empty or absent, ValueError else.
        """
    def values(self) -> dict[str, typing.Any] | None:
        """
        What the sentence says, named and in SI (keys end in a unit where not); None when its type is not known,
        ValueError when a field is malformed. Empty fields are left out.
        """
    @property
    def address(self) -> str:
        """
        GPGGA, PUBX ...
        """
    @property
    def fields(self) -> tuple[str, ...]:
        """
        All fields behind the address, as text.
        """
    @property
    def tag(self) -> str:
        """
        Inside of the TAG block, without its checksum; empty when there is none.
        """
    @property
    def talker(self) -> str:
        """
        GP, II ...; P for proprietary sentences.
        """
    @property
    def text(self) -> str:
        """
        From the start character up to, without, `*hh`.
        """
    @property
    def type(self) -> str:
        """
        GGA, VDM ...; maker and kind for proprietary sentences.
        """

class Framer:
    """
    Bytes in any chunking to sentences (IEC 61162-1); counts what it drops.
    """
    def __init__(
        self, checksum: str = "required", max_length: typing.SupportsInt | typing.SupportsIndex = 1024
    ) -> None: ...
    def feed(self, data: typing_extensions.Buffer) -> list[Sentence]:
        """
        Sentences completed by these bytes.
        """
    def finish(self) -> None:
        """
        End of the stream or of a datagram: drops what is incomplete.
        """
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> dict[str, int]:
        """
        Dropped sentences by reason.
        """
    @property
    def skipped_bytes(self) -> int:
        """
        Bytes outside of any sentence.
        """

def checksum(body: str) -> int:
    """
    Exclusive or of the characters between the start character and `*`.
    """

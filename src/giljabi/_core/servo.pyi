"""
Dynamixel and Feetech servos
"""

from __future__ import annotations

import typing
from collections.abc import Sequence

__all__: list[str] = ["Chain", "Codec", "Parser", "crc16"]

class Codec:
    """
    Instruction packets of one family: dynamixel, feetech_sts or feetech_scs.
    """
    def __init__(self, family: str) -> None: ...
    def bulk_read(self, spans: Sequence[tuple[int, int, int]], fast: bool = False) -> bytes:
        """
        spans: (id, address, size) each.
        """
    def bulk_write(self, data: Sequence[tuple[int, int, bytes]]) -> bytes:
        """
        data: (id, address, bytes) each.
        """
    def plain(self, id: int, instruction: int, data: bytes = b"") -> bytes:
        """
        Any instruction with its parameters as they are.
        """
    def read(self, id: int, address: int, size: int) -> bytes: ...
    def sync_read(self, address: int, size: int, ids: Sequence[int], fast: bool = False) -> bytes: ...
    def sync_write(self, address: int, data: Sequence[tuple[int, bytes]]) -> bytes:
        """
        data: (id, bytes) each.
        """
    def write(self, id: int, address: int, data: bytes, wait: bool = False) -> bytes:
        """
        wait: a reg write, which an action carries out.
        """

class Parser:
    """
    Status packets out of bytes in any chunking; counts what it drops.
    """
    def __init__(self, family: str) -> None: ...
    def counts(self) -> dict[str, int]:
        """
        Packets by what became of them.
        """
    def expect_fast(self, parts: Sequence[tuple[int, int]]) -> None:
        """
        (id, size) of fast replies from here on, in order.
        """
    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """
        Replies with a right checksum: (id, error, data).
        """
    def sent(self, data: bytes) -> None:
        """
        Feetech: what an adapter with echo gives back first.
        """

class Chain:
    """
    Cycles of a chain of servos; sent by the guard's thread, fed by the driver's.
    """
    def __init__(self, config: typing.Any) -> None:
        """
        config: giljabi_drivers.servo_layout.ChainLayout; ValueError says what is wrong.
        """
    def began(self) -> float:
        """
        Time of the newest cycle [s].
        """
    def cycle(self, now: float, goals: Sequence[float] | None = None, orders: bytes | None = None) -> bytes:
        """
        Bytes of one cycle; empty while replies are due. goals by channel, SI; orders by joint: 0 released, 1 driven, 2
        safe.
        """
    def deadline(self) -> float:
        """
        Time from which there is no use in waiting [s].
        """
    def done(self) -> bool:
        """
        Everybody who was asked answered.
        """
    def exchange(self, fd: int, goals: Sequence[float] | None = None, orders: bytes | None = None) -> bool:
        """
        One whole cycle on a descriptor that the caller owns, without the GIL; True when everybody answered.
        """
    def feed(self, now: float, data: bytes) -> None:
        """
        Bytes that came, in any chunking.
        """
    def follow_up(self, now: float) -> bytes:
        """
        After a gap in a fast reply: a request for those behind it.
        """
    def idle(self, now: float) -> bool:
        """
        No request waits for its turn or its reply.
        """
    def joint(self, i: int) -> dict[str, typing.Any]:
        """
        t, errors, missed, silent, status, torque of one joint.
        """
    def polling(self, on: bool) -> None:
        """
        Whether cycles read the joints.
        """
    def replies(self) -> list[tuple[int, int, bytes]]:
        """
        Replies to requests: (id, error, data).
        """
    def request(self, packet: bytes, replies: int, reply_size: int) -> bool:
        """
        A packet that goes out instead of the next read; False while another waits, and for what may move a joint.
        """
    def reset(self) -> None:
        """
        The line was opened anew.
        """
    def stats(self) -> dict[str, int]:
        """
        Cycles, and packets by what became of them.
        """
    def take_fresh(self) -> list[int]:
        """
        Joints read since the last call.
        """
    def values(self, quantity: int) -> list[float]:
        """
        By joint; 0 position, 1 velocity, 2 effort, 3 voltage, 4 temperature, 5 hardware error. NaN until read.
        """
    def wire_time(self, goals: bool = True, slow: bool = False) -> float:
        """
        Seconds of one cycle on the wire.
        """

def crc16(data: str) -> int:
    """
    CRC of Dynamixel Protocol 2.0.
    """

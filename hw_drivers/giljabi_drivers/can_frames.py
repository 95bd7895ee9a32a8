"""CAN frames as bytes: the kernel's struct can_frame, and python-can's udp_multicast datagram."""

from __future__ import annotations

import struct

from giljabi._core.can import Reader
from giljabi_drivers.contract import Received

EXTENDED, REMOTE, ERROR, FD = 1, 2, 4, 8  # Received.flags
CLASSIC = struct.Struct("=IB3x8s")  # linux/can.h struct can_frame
FLEXIBLE = struct.Struct("=IBB2x64s")  # struct canfd_frame
ID_BITS = 0x1FFFFFFF
SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)  # by length code


def unpack_socketcan(data: bytes, t: float, bus: int = 0) -> Received | None:
    """A frame as a SocketCAN socket gives it; None when it is no frame."""
    return _only(Reader(Received, "socketcan", bus).parse(data, t))


def pack_socketcan(frame: Received) -> bytes:
    """The bytes that a SocketCAN socket takes."""
    flags = frame.flags
    can_id = frame.can_id | (flags & EXTENDED) << 31 | (flags >> 1 & 1) << 30 | (flags >> 2 & 1) << 29
    if flags & FD or len(frame.data) > 8:
        return FLEXIBLE.pack(can_id, len(frame.data), 0, frame.data)
    return CLASSIC.pack(can_id, len(frame.data), frame.data)


def unpack_msgpack(data: bytes, t: float, bus: int = 0) -> Received | None:
    """A frame out of a udp_multicast datagram; None when it is none. The sender's time stamp is not ours."""
    return _only(Reader(Received, "can_msgpack", bus).parse(data, t))


def _only(frames: list[Received]) -> Received | None:
    return frames[0] if frames else None


def pack_msgpack(frame: Received) -> bytes:
    """A udp_multicast datagram, as python-can packs a Message."""
    import msgpack

    fields = {
        "timestamp": frame.t,
        "arbitration_id": frame.can_id,
        "is_extended_id": bool(frame.flags & EXTENDED),
        "is_remote_frame": bool(frame.flags & REMOTE),
        "is_error_frame": bool(frame.flags & ERROR),
        "channel": None,
        "dlc": len(frame.data),
        "data": frame.data,
        "is_fd": bool(frame.flags & FD),
        "bitrate_switch": False,
        "error_state_indicator": False,
    }
    return bytes(msgpack.packb(fields, use_bin_type=True))


def pack_frame(frame: Received, framing: str) -> bytes:
    """One frame as bytes for a transport of this framing."""
    if framing == "slcan":
        return pack_slcan(frame)
    return pack_msgpack(frame) if framing == "can_msgpack" else pack_socketcan(frame)


def pack_slcan(frame: Received) -> bytes:
    """A line of Lawicel's ASCII protocol; d and D for CAN FD, r and R for remote frames."""
    fd, remote = bool(frame.flags & FD) or len(frame.data) > 8, bool(frame.flags & REMOTE)
    kind = "r" if remote else "d" if fd else "t"
    code = len(frame.data) if len(frame.data) <= 8 else SIZES.index(len(frame.data))
    head = f"{kind.upper()}{frame.can_id:08X}" if frame.flags & EXTENDED else f"{kind}{frame.can_id:03X}"
    return f"{head}{code:X}{'' if remote else frame.data.hex().upper()}\r".encode()


def reframed(data: bytes, framing: str) -> bytes:
    """What a driver gave out to send, as its transport writes it: CAN drivers give struct can_frame, others bytes."""
    frame = unpack_socketcan(data, 0.0) if framing not in ("raw", "socketcan") else None
    return data if frame is None else pack_frame(frame, framing)

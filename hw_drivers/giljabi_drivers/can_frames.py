"""CAN frames as bytes: the kernel's struct can_frame, and python-can's udp_multicast datagram."""

from __future__ import annotations

import struct
from typing import Any

from giljabi_drivers.contract import Received

EXTENDED, REMOTE, ERROR, FD = 1, 2, 4, 8  # Received.flags
CLASSIC = struct.Struct("=IB3x8s")  # linux/can.h struct can_frame
FLEXIBLE = struct.Struct("=IBB2x64s")  # struct canfd_frame
ID_BITS = 0x1FFFFFFF


def unpack_socketcan(data: bytes, t: float, bus: int = 0) -> Received | None:
    """A frame as a SocketCAN socket gives it; None when it is no frame."""
    if len(data) == CLASSIC.size:
        can_id, length, payload = CLASSIC.unpack(data)
        flags = 0
    elif len(data) == FLEXIBLE.size:
        can_id, length, _, payload = FLEXIBLE.unpack(data)
        flags = FD
    else:
        return None
    if length > len(payload):
        return None
    flags |= (can_id >> 31 & 1) | (can_id >> 30 & 1) << 1 | (can_id >> 29 & 1) << 2
    return Received(t, payload[: 0 if flags & REMOTE else length], can_id & ID_BITS, bus, flags)


def pack_socketcan(frame: Received) -> bytes:
    """The bytes that a SocketCAN socket takes."""
    flags = frame.flags
    can_id = frame.can_id | (flags & EXTENDED) << 31 | (flags >> 1 & 1) << 30 | (flags >> 2 & 1) << 29
    if flags & FD or len(frame.data) > 8:
        return FLEXIBLE.pack(can_id, len(frame.data), 0, frame.data)
    return CLASSIC.pack(can_id, len(frame.data), frame.data)


def unpack_msgpack(data: bytes, t: float, bus: int = 0) -> Received | None:
    """A frame out of a udp_multicast datagram; None when it is none. The sender's time stamp is not ours."""
    import msgpack

    try:
        d: Any = msgpack.unpackb(data, raw=False, strict_map_key=True, max_map_len=32)
        can_id, payload = d["arbitration_id"], d["data"]
        names = ("is_extended_id", "is_remote_frame", "is_error_frame", "is_fd")
        flags = sum(bool(d.get(n)) << i for i, n in enumerate(names))
    except Exception:  # msgpack raises many kinds on bytes that are not its own
        return None
    if type(can_id) is not int or type(payload) is not bytes:
        return None
    if not 0 <= can_id <= (ID_BITS if flags & EXTENDED else 0x7FF) or len(payload) > (64 if flags & FD else 8):
        return None
    return Received(t, payload, can_id, bus, flags)


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

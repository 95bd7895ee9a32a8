"""Restarts a CAN controller that is off the bus, by rtnetlink; needs CAP_NET_ADMIN."""

from __future__ import annotations

import errno
import os
import socket
import struct

RTM_NEWLINK, NLMSG_ERROR = 16, 2
REQUEST, ACK = 0x1, 0x4
IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 18, 1, 2  # linux/if_link.h
IFLA_CAN_RESTART = 7  # linux/can/netlink.h
TIMEOUT_S = 0.2  # the kernel answers at once


def attribute(kind: int, payload: bytes) -> bytes:
    """One rtnetlink attribute, padded to four bytes (rtnetlink(7))."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def restart_message(index: int) -> bytes:
    """The request: RTM_NEWLINK for the interface `index` with IFLA_CAN_RESTART = 1."""
    data = attribute(IFLA_CAN_RESTART, struct.pack("=I", 1))
    info = attribute(IFLA_INFO_KIND, b"can") + attribute(IFLA_INFO_DATA, data)
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + attribute(IFLA_LINKINFO, info)
    return struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, REQUEST | ACK, 1, 0) + body


def answer(data: bytes) -> int:
    """errno in the kernel's answer, 0: it was done; EPROTO for what is no answer."""
    if len(data) < 20 or struct.unpack_from("=H", data, 4)[0] != NLMSG_ERROR:
        return errno.EPROTO
    return -int(struct.unpack_from("=i", data, 16)[0])


def restart(interface: str) -> None:
    """Restarts the controller; OSError when it cannot be: EPERM without the right, EBUSY when it is not off the bus."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as s:
        s.settimeout(TIMEOUT_S)
        s.bind((0, 0))
        s.send(restart_message(socket.if_nametoindex(interface)))
        code = answer(s.recv(4096))
    if code:
        raise OSError(code, os.strerror(code))

"""Where bytes come from: serial lines, TCP, UDP and CAN, behind one small face.

A transport never raises while it runs: a device that vanishes or a peer that hangs up is closed, told in `problem`,
and opened again with back-off. Everything is bound to the loopback interface unless the URL says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from giljabi_drivers.can_adapters import PythonCanTransport, SlcanTransport
from giljabi_drivers.can_frames import pack_frame
from giljabi_drivers.can_transports import MulticastCanTransport, SocketCanTransport, VirtualCanTransport
from giljabi_drivers.contract import Received
from giljabi_drivers.multicast_transport import UdpMulticastTransport
from giljabi_drivers.stream_transports import SerialTransport, TcpListenTransport, TcpTransport, UdpTransport
from giljabi_drivers.transport_base import EXAMPLES, Framing, Transport, Url

CAN_KINDS: dict[str, Callable[[Url, str], Transport]] = {
    "socketcan": SocketCanTransport,
    "udp_multicast": MulticastCanTransport,
    "slcan": SlcanTransport,
    "python-can": PythonCanTransport,
    "virtual": VirtualCanTransport,
}


def _open_can(url: Url) -> Transport:
    kind, slash, channel = url.rest.partition("/")
    if kind not in CAN_KINDS or not slash or not channel:
        raise url.error(f"'{url.rest}' is no CAN bus; {', '.join(f'{k}/CHANNEL' for k in CAN_KINDS)} is expected")
    return CAN_KINDS[kind](url, channel)


SCHEMES: dict[str, Callable[[Url], Transport]] = {
    "serial": SerialTransport,
    "tcp": TcpTransport,
    "tcp-listen": TcpListenTransport,
    "udp": UdpTransport,
    "udp-listen": UdpTransport,
    "udp-multicast": UdpMulticastTransport,
    "can": _open_can,
}


def parse_url(url: str) -> Url:
    """A device URL of a kind that is known, taken apart; nothing is opened. Raises BadInputError."""
    parts = Url.parse(url)
    if parts.scheme not in SCHEMES:
        raise parts.error(f"no kind '{parts.scheme}' of device; {EXAMPLES} is expected")
    return parts


def open_transport(url: str) -> Transport:
    """The transport of a device URL; raises BadInputError for a wrong URL only, never for a missing device."""
    parts = parse_url(url)
    return SCHEMES[parts.scheme](parts)


def pack_can(frame: Received, framing: Framing) -> bytes:
    """One CAN frame as bytes for `Transport.write`."""
    return pack_frame(frame, framing)

"""What every device peer looks like; sans-I/O, like the drivers at the other end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from giljabi_sim.world import World


class Wire(Enum):
    """What the peer is connected by."""

    SERIAL = "serial"  # a byte stream
    CAN = "can"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a stream, or one CAN frame when can_id is not negative."""

    data: bytes
    can_id: int = -1
    is_error: bool = False  # CAN: what the controller tells of itself (linux/can/error.h), on no wire
    datagram: bool = False  # bytes that stay together


@dataclass(frozen=True, slots=True)
class PeerResult:
    """What one peer step gives."""

    to_send: Sequence[Chunk] = ()
    next_deadline: float = float("inf")  # s


class Peer(Protocol):
    """A device with its sensors and actuators."""

    wire: Wire
    accepted: int  # valid commands
    rejected: dict[str, int]  # dropped bytes by reason

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Takes commands, sets `world.vehicle.commands`, and says what its sensors saw."""

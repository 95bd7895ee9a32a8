"""Device peers: the other end of every wire; they speak the real bytes, encoded by libraries of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from giljabi.platform import Platform
from giljabi_sim.peers.contract import Chunk, Peer, Wire
from giljabi_sim.peers.multicast import MulticastPeer
from giljabi_sim.scenario import Actor

if TYPE_CHECKING:
    from giljabi_sim.world import World

MULTICAST_450 = "multicast-450"
__all__ = ["Chunk", "Peer", "Wire", "build_peers"]


def _kinds() -> dict[str, Callable[..., Peer]]:
    from giljabi_sim.peers.ais import AisPeer
    from giljabi_sim.peers.autopilot import AutopilotPeer
    from giljabi_sim.peers.can import CanPeer
    from giljabi_sim.peers.imu import VectorNavPeer, XsensPeer
    from giljabi_sim.peers.ld19 import Ld19Peer
    from giljabi_sim.peers.nmea import NmeaPeer
    from giljabi_sim.peers.nmea2000 import Nmea2000Peer
    from giljabi_sim.peers.servo import ServoPeer

    return {
        "nmea": NmeaPeer,
        "ais": AisPeer,
        "can": CanPeer,
        "nmea2000": Nmea2000Peer,
        "vectornav": VectorNavPeer,
        "xsens": XsensPeer,
        "servo": ServoPeer,
        "autopilot": AutopilotPeer,
        "ld19": Ld19Peer,
    }


def build_peers(platform: Platform, world: World, actors: Sequence[Actor], seed: int) -> dict[str, Peer]:
    """One peer for every driver, as `simulation.peers` says; raises BadInputError with the platform file's line."""
    spec: Any = platform.model.simulation.get("peers", {})
    kinds = _kinds()
    if not isinstance(spec, dict):
        raise platform.error(
            ("simulation", "peers"), "'simulation.peers' is no mapping; driver: {kind, options} is expected"
        )
    for name in spec:
        if name not in platform.model.drivers:
            known = ", ".join(platform.model.drivers)
            raise platform.error(("simulation", "peers", name), f"no driver is called '{name}'; known are {known}")
    out: dict[str, Peer] = {}
    for name in platform.model.drivers:
        if name not in spec:
            raise platform.error(
                ("simulation", "peers"), f"driver '{name}' has no peer; one under simulation.peers is expected"
            )
        entry = spec[name]
        key = ("simulation", "peers", name)
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in kinds:
            raise platform.error(key, f"no peer is called '{kind}'; known are {', '.join(kinds)}")
        out[name] = kinds[kind](platform, name, world, actors, seed)
        if entry.get("wire") == MULTICAST_450:
            if out[name].wire is not Wire.SERIAL:
                raise platform.error((*key, "wire"), f"peer '{kind}' speaks no sentences; pty, tcp or udp is expected")
            out[name] = MulticastPeer(out[name], f"SI{len(out):04d}")
    return out

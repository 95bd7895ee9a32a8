"""World, device peers and judge of one scenario; what the lock-step loop and the real-time shell both run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from giljabi.fence import Fence
from giljabi.ground import Surface, make_surface, surface_data
from giljabi.missions.files import plain
from giljabi_sim.faults import check_wires
from giljabi_sim.judge import Judge
from giljabi_sim.peers import build_peers
from giljabi_sim.peers.contract import Chunk, Wire
from giljabi_sim.scenario import Scenario
from giljabi_sim.world import World


class Simulation:
    """The vehicle's end of every wire."""

    def __init__(self, scenario: Scenario) -> None:
        """Raises BadInputError with file:line."""
        self.scenario = scenario
        self.world = World(scenario)
        self.peers = build_peers(scenario.platform, self.world, scenario.model.actors, scenario.model.seed)
        check_wires(scenario, {name: peer.wire is Wire.CAN for name, peer in self.peers.items()})
        self.judge = Judge(self.world)
        rate = scenario.platform.model.simulation.get("rate_hz")  # in real time; None: the shell's own
        if rate is not None and not (isinstance(rate, (int, float)) and 10 <= rate <= 5000):
            raise scenario.platform.error(("simulation", "rate_hz"), f"{rate!r} is no rate; 10 to 5000 is expected")
        self.rate_hz = None if rate is None else float(rate)
        self.next_deadline = math.inf  # s, when a peer wants to be stepped again

    def step(self, now: float, received: Mapping[str, Sequence[Chunk]]) -> dict[str, list[Chunk]]:
        """Moves the world to `now`, gives every peer what arrived for it; returns what they send, by driver."""
        self.world.advance(now)
        faults, t = self.world.faults, self.world.t
        received = faults.wire.to_devices(now, t, received)
        commands_lost = any(received.values()) and faults.silent("commands")
        out: dict[str, list[Chunk]] = {}
        self.next_deadline = math.inf
        for name, peer in self.peers.items():
            arrived = () if commands_lost else received.get(name, ())
            result = peer.step(now, arrived, self.world)
            self.next_deadline = min(self.next_deadline, result.next_deadline)
            if result.to_send and not faults.silent(name):
                out[name] = list(result.to_send)
        return faults.wire.from_devices(now, t, out)

    @property
    def unplugged(self) -> frozenset[str]:
        """Drivers whose line is not there now."""
        return self.world.faults.wire.gone(self.world.t)

    @property
    def fences(self) -> tuple[Fence, ...]:
        """Where the mission lets the vehicle be."""
        return self.scenario.fences

    @property
    def actions(self) -> list[dict[str, Any]]:
        """What people ask of the mission on the way: at, do, step, plan; by time."""
        out = []
        for i, a in enumerate(self.scenario.model.actions):
            plan = plain(self.scenario.loads[i]) if i in self.scenario.loads else None
            out.append({"at": a.at, "do": a.do, "step": a.step, "plan": plan, "refused": a.refused})
        return sorted(out, key=lambda a: float(a["at"]))

    @property
    def ground(self) -> tuple[Surface, ...]:
        """What the stack is told of the ground: obstacles that it knows."""
        bodies = zip(self.scenario.model.world.obstacles, self.world.obstacles, strict=True)
        return tuple(make_surface(b.corners, b.top) for o, b in bodies if o.known)

    def mission(self) -> dict[str, Any]:
        """What the stack may know of the scenario: origin, route and fences; infinite widths are null."""
        o, r = self.scenario.model.origin, self.world.route
        origin = {"lat_deg": o.lat_deg, "lon_deg": o.lon_deg, "alt_m": o.alt_m}
        if self.scenario.plan is not None:
            return {"origin": origin, "plan": plain(self.scenario.plan), "actions": self.actions}
        return {
            "origin": origin,
            "actions": self.actions,
            "route": {
                "points": r.points.tolist(),
                "speed": r.speed.tolist(),
                "half_width": [[v if math.isfinite(v) else None for v in row] for row in r.half_width.tolist()],
                "closed": r.closed,
                "heading": r.heading,
            },
            "ground": [surface_data(s) for s in self.ground],
            "fences": [fence.data() for fence in self.fences],
        }

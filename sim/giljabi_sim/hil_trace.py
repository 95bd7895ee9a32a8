"""What a report shows of a run: a table at 10 Hz, when the guard changed its mind, and the other vehicles' ways."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from giljabi.safety.guard import feedback_slots
from giljabi.stack import Stack
from giljabi_sim.geometry import Polyline
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.simulation import Simulation

RATE_HZ = 10.0
MODES_MAX = 500


@dataclass(slots=True)
class Trace:
    """A recorder of the lock-step loop that keeps everything in memory."""

    rows: list[dict[str, float]] = field(default_factory=list)
    modes: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)  # t, mode, reasons
    others: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """Bytes are counted where they go, not here."""

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        """One row at its own rate; every change of mode."""
        t, world, latest = simulation.world.t, simulation.world, stack.latest
        state = stack.state(now)
        if len(self.modes) < MODES_MAX and (not self.modes or self.modes[-1][1] != state.mode):
            self.modes.append((t, state.mode, tuple(state.reasons)))
        if now < len(self.rows) / RATE_HZ - 1e-9:
            return
        own = world.own
        row = {"t": t, "x": own.x, "y": own.y, "speed": own.speed}
        row["cross_track"] = float(simulation.judge.signals.get("cross_track", math.nan))
        if latest.odom is not None:
            row["odom_x"], row["odom_y"] = float(latest.odom.position[0]), float(latest.odom.position[1])
        for name, value in stack.guard.output().items():
            row[f"command {name}"] = value
        for name, slot in feedback_slots(stack.platform).items():
            measured = getattr(latest.joints, slot).get(name) if latest.joints else None
            if measured is not None:
                row[f"feedback {name}"] = measured
        self.rows.append(row)
        for o in world.others:
            self.others.setdefault(o.name, []).append((o.body.x, o.body.y))


def column(rows: Sequence[dict[str, float]], name: str) -> list[float]:
    """One column; NaN where a row does not have it."""
    return [row.get(name, math.nan) for row in rows]


def trace_of_truth(path: Path, line: Polyline) -> Trace:
    """What a real-time run leaves behind: truth, and what the stack told. A half written last line is left out."""
    trace = Trace()
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    s: float | None = None
    for written in text.split("\n")[:-1]:
        d: dict[str, Any] = json.loads(written)
        place = line.project(d["x"], d["y"], s) if s is not None else line.project(d["x"], d["y"])
        s = place.s
        row = {
            "t": d["t"],
            "x": d["x"],
            "y": d["y"],
            "speed": math.hypot(d["vx"], d["vy"]),
            "cross_track": place.offset,
        }
        known = ("now", "t", "x", "y", "yaw", "vx", "vy")
        stack = d.get("stack", {})
        if stack and len(trace.modes) < MODES_MAX and (not trace.modes or trace.modes[-1][1] != stack["mode"]):
            trace.modes.append((d["t"], stack["mode"], tuple(stack["reasons"])))
        if "odom" in stack:
            row["odom_x"], row["odom_y"] = stack["odom"]["x"], stack["odom"]["y"]
        row |= {f"command {k}": v for k, v in stack.get("output", {}).items()}
        row |= {f"feedback {k}": v for k, v in d.items() if k not in known and isinstance(v, (int, float))}
        trace.rows.append(row)
    return trace

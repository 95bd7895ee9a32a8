"""What `giljabi sim --out` leaves behind: a table, the bytes of every wire, a picture. No wall clock in any of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from giljabi.stack import Stack
from giljabi.types import BadInputError
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.simulation import Simulation

TABLE_RATE = 10.0  # Hz


class FileRecorder:
    """Writes into one folder; same run, same bytes."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder; raises BadInputError when that fails."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._table: IO[str] = (folder / "run.csv").open("w", encoding="utf-8", newline="\n")
        except OSError as e:
            raise BadInputError(f"{folder}: cannot be written ({e.strerror}); a folder is expected") from None
        self._wires: dict[tuple[str, bool, bool], IO[bytes]] = {}
        self._columns: list[str] = []
        self._rows = 0
        self.path: list[tuple[float, float]] = []
        self.estimate: list[tuple[float, float]] = []
        self.others: dict[str, list[tuple[float, float]]] = {}

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """Streams are kept as they are, CAN frames in candump's log format."""
        is_can = chunk.can_id >= 0
        key = (device, outward, is_can)
        if key not in self._wires:
            name = f"{device}{'.sent' if outward else ''}.{'candump' if is_can else 'log'}"
            self._wires[key] = (self.folder / name).open("wb")
        if is_can:
            line = f"({now:017.6f}) {device} {chunk.can_id:03X}#{chunk.data.hex().upper()}\n"
            self._wires[key].write(line.encode("ascii"))
        else:
            self._wires[key].write(chunk.data)

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        """One row of the table at its own rate."""
        if now < self._rows / TABLE_RATE - 1e-9:
            return
        self._rows += 1
        world, latest, state = simulation.world, stack.latest, stack.state(now)
        own, odom, mission = world.own, latest.odom, latest.mission
        row: dict[str, float | str] = {
            "now_s": now, "t_s": world.t, "x_m": own.x, "y_m": own.y, "yaw_rad": own.yaw,
            "vx_mps": own.vx, "vy_mps": own.vy, "yaw_rate_radps": own.yaw_rate,
        }  # fmt: skip
        for name in sorted(own.feedback):
            row[f"true_{name}"] = own.feedback[name]
        row["odom_x_m"] = float(odom.position[0]) if odom else math.nan
        row["odom_y_m"] = float(odom.position[1]) if odom else math.nan
        row["odom_yaw_rad"] = odom.yaw if odom else math.nan
        row["odom_vx_mps"] = float(odom.velocity[0]) if odom else math.nan
        for name, value in stack.guard.output().items():
            row[f"command_{name}"] = value
        row["tracks"] = float(len(latest.tracks.data)) if latest.tracks else 0.0
        row["cross_track_m"] = mission.cross_track if mission else math.nan
        row["mode"] = state.mode
        row["phase"] = mission.phase.value if mission else ""
        row["note"] = mission.note if mission else ""
        self._write(row)
        self.path.append((own.x, own.y))
        if odom:
            self.estimate.append((float(odom.position[0]), float(odom.position[1])))
        for o in world.others:
            self.others.setdefault(o.name, []).append((o.body.x, o.body.y))

    def _write(self, row: dict[str, float | str]) -> None:
        if not self._columns:
            self._columns = list(row)
            self._table.write(",".join(self._columns) + "\n")
        self._table.write(",".join(_cell(row.get(c, "")) for c in self._columns) + "\n")

    def close(self, simulation: Simulation, report: dict[str, Any]) -> None:
        """Ends all files, writes the figures and the picture."""
        self._table.close()
        for f in self._wires.values():
            f.close()
        text = json.dumps(report, indent=2) + "\n"
        (self.folder / "result.json").write_text(text, encoding="utf-8", newline="\n")
        self._picture(simulation, report)

    def _picture(self, simulation: Simulation, report: dict[str, Any]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.0, 6.0), dpi=110)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        world = simulation.world
        route = world.route.points
        axes.plot(route[:, 0], route[:, 1], "--", color="0.6", linewidth=1.0, label="route")
        for p in world.scenario.model.world.polygons:
            color = "tab:brown" if p.kind == "land" else "none"
            axes.fill(*zip(*p.points, strict=True), color=color, alpha=0.3)
        for body in world.obstacles:
            axes.fill(body.corners[:, 0], body.corners[:, 1], color="0.3")
        for name, line in self.others.items():
            _line(axes, line, color="tab:red", label=name, linewidth=1.0)
        for o in world.others:
            axes.fill(o.body.corners[:, 0], o.body.corners[:, 1], color="tab:red", alpha=0.6)
        _line(axes, self.estimate, color="tab:orange", linewidth=0.8, label="estimate")
        _line(axes, self.path, color="tab:blue", linewidth=1.6, label=world.scenario.platform.name)
        axes.fill(world.own.corners[:, 0], world.own.corners[:, 1], color="tab:blue", alpha=0.6)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("east [m]")
        axes.set_ylabel("north [m]")
        end = f"{report['outcome']} after {report['t_end_s']:.1f} s"
        axes.set_title(f"{report['scenario']}, seed {report['seed']}: {end}")
        axes.grid(alpha=0.3)
        axes.legend(loc="best", fontsize=8)
        figure.tight_layout()
        # Without the library's own version, so that the bytes depend on the run alone.
        figure.savefig(self.folder / "picture.png", metadata={"Software": None})


def _line(axes: Any, points: Sequence[tuple[float, float]], **style: Any) -> None:
    if points:
        axes.plot([p[0] for p in points], [p[1] for p in points], **style)


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', "'") + '"' if "," in value or '"' in value else value
    return f"{value:.6f}" if math.isfinite(value) else ""

"""The one process table: what runs, in which process, what it needs, and what happens when it dies.

`giljabi run` and the launch files both read it; neither lists nodes by hand. No platform is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from giljabi.types import BadInputError


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One lifecycle node: name, `module:class`."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: why it is its own, its nodes, and what happens when it ends by itself.

    restart: `never` ends the stack (the vehicle is already in its safe state by the guard), `always` starts it
    again with back-off; a restarted process never arms or changes mode.
    only: `simulated` processes run without hardware only, `page` and `conducted` ones when asked for.
    stops: processes of a lower number end first, so that the guard brings the actuators to rest before its wire goes.
    """

    name: str
    reason: str
    nodes: tuple[NodeSpec, ...]
    restart: Literal["never", "always"] = "always"
    only: Literal["", "simulated", "page", "conducted"] = ""
    executable: str = "giljabi-process"  # console script; gets the process's name as first argument
    stops: int = 0
    in_fast_loop: bool = False  # what it does is done beside the guard where a platform has a fast loop
    nice: int = 0  # CPU priority asked for (Linux: -20 first, 19 last); refused without the right to it, then 0


PROCESSES: tuple[ProcessSpec, ...] = (
    ProcessSpec(
        "simulation",
        "stands for the vehicle: plant and device peers that speak the real bytes",
        (),
        restart="never",
        only="simulated",
        executable="giljabi-sim-peers",
        stops=2,
        nice=-10,  # a late plant is no plant
    ),
    ProcessSpec(
        "drivers",
        "owns the descriptors and the guard, the only writer on the wire",
        (NodeSpec("drivers", "giljabi.ros.drivers:DriversNode"),),
        restart="never",
        stops=1,
        nice=-10,
    ),
    ProcessSpec(
        "autonomy",
        "estimate and control: the tick that must not wait for anything",
        (
            NodeSpec("estimator", "giljabi.ros.estimator:EstimatorNode"),
            NodeSpec("controller", "giljabi.ros.controller:ControllerNode"),
        ),
        in_fast_loop=True,
        nice=-10,
    ),
    ProcessSpec(
        "perception",
        "heavy data must not delay control",
        (
            NodeSpec("tracker", "giljabi.ros.tracker:TrackerNode"),
            NodeSpec("mapper", "giljabi.ros.mapper:MapperNode"),
        ),
        nice=-5,
    ),
    ProcessSpec(
        "planning",
        "long solves must not delay control",
        (NodeSpec("planner", "giljabi.ros.planner:PlannerNode"),),
        nice=-5,
    ),
    ProcessSpec(
        "supervisor",
        "must outlive what it watches; its heartbeat feeds the guard",
        (NodeSpec("supervisor", "giljabi.ros.supervisor:SupervisorNode"),),
        nice=-5,
    ),
    ProcessSpec(
        "operator",
        "people's traffic must not touch the vehicle's",
        (NodeSpec("page", "giljabi.ros.page:PageNode"),),
        only="page",
    ),
    ProcessSpec(
        "conductor",
        "does what a person would: waits, arms, starts the mission, tells how it goes",
        (NodeSpec("conductor", "giljabi.ros.conductor:ConductorNode"),),
        restart="never",
        only="conducted",
    ),
)

# `python -m` of each executable: works from a source tree too, and always with the same interpreter.
MODULES: dict[str, str] = {
    "giljabi-process": "giljabi.ros.process",
    "giljabi-sim-peers": "giljabi_sim.realtime",
}


def processes(simulated: bool, page: bool, conducted: bool = True, fast_loop: bool = False) -> tuple[ProcessSpec, ...]:
    """The processes of one run, in starting order; fast_loop: whether the platform has one."""
    flags = {"simulated": simulated, "page": page, "conducted": conducted}
    return tuple(p for p in PROCESSES if flags.get(p.only, True) and not (fast_loop and p.in_fast_loop))


def find_nodes(name: str) -> tuple[NodeSpec, ...]:
    """The nodes of a process, or one node alone; raises BadInputError for a name that is neither."""
    named = {p.name: p.nodes for p in PROCESSES if p.nodes}
    alone = {n.name: (n,) for p in PROCESSES for n in p.nodes}
    nodes = named.get(name, alone.get(name))
    if nodes is None:
        raise BadInputError(f"no process or node is called '{name}'; known are {', '.join({**named, **alone})}")
    return nodes


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What all processes of one run are told; plain data for `giljabi run` and the launch files."""

    platform_file: Path
    run_dir: Path  # devices.json, mission.json and outcome.json appear here
    simulated: bool = True
    scenario: Path | None = None
    track: Path | None = None
    mission: Path | None = None
    devices: Mapping[str, str] = field(default_factory=dict)  # driver name: URL, before those of the platform file
    system_id: int = 1
    namespace: str = ""
    page_port: int = 0
    replayed: bool = False  # samples and time come from a recording
    simulator: tuple[str, ...] = ()  # more arguments of the simulator: other values, faults, a seed
    judged: bool = False  # the drivers' process tells the simulator's judge what the stack thinks
    in_base_link: tuple[str, ...] = ()  # inertial sources whose axes are those of base_link: a recorder's

    @property
    def mission_file(self) -> Path:
        """Origin and route of the run."""
        return self.run_dir / "mission.json"

    @property
    def told_file(self) -> Path:
        """What the stack thinks, for a judge."""
        return self.run_dir / "told.jsonl"

    @property
    def memory_file(self) -> Path:
        """The mission in force and how far it came, for a planner that is started anew."""
        return self.run_dir / "planner.json"

    def parameters(self) -> dict[str, bool | str | int | list[str]]:
        """ROS parameters, the same for every node."""
        replay = {"in_base_link": [*self.in_base_link] or [""]} if self.replayed else {}
        return {
            **replay,
            "replayed": self.replayed,
            "platform_file": str(self.platform_file),
            "mission_file": str(self.mission_file) if self.scenario or self.mission else "",
            "devices_file": str(self.run_dir / "devices.json") if self.simulated else "",
            "stalls_file": str(self.run_dir / "stalls.json") if self.simulated else "",
            "memory_file": "" if self.replayed else str(self.memory_file),
            "told_file": str(self.told_file) if self.judged else "",
            "devices": [f"{name}={url}" for name, url in self.devices.items()] or [""],
            "system_id": self.system_id,
            "page_port": self.page_port,
        }

    def arguments(self, process: ProcessSpec) -> list[str]:
        """Arguments of the executable, without ROS's own."""
        if process.nodes:
            return [process.name]
        out = ["--platform", str(self.platform_file), "--run-dir", str(self.run_dir)]
        for name, path in (("--scenario", self.scenario), ("--track", self.track), ("--mission", self.mission)):
            out += [name, str(path)] if path else []
        return [*out, *self.simulator]

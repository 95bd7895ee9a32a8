"""The one process table: what runs, in which process, what it needs, and what happens when it dies.

`giljabi run` and the launch files both read it; neither lists nodes by hand. No platform is named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    only: `simulated` processes run without hardware only.
    """

    name: str
    reason: str
    nodes: tuple[NodeSpec, ...]
    restart: Literal["never", "always"] = "always"
    only: Literal["", "simulated", "page"] = ""
    executable: str = "giljabi-process"  # console script; gets the process's name as first argument


PROCESSES: tuple[ProcessSpec, ...] = (
    ProcessSpec(
        "simulation",
        "stands for the vehicle: plant and device peers that speak the real bytes",
        (),
        restart="never",
        only="simulated",
        executable="giljabi-sim-peers",
    ),
    ProcessSpec(
        "drivers",
        "owns the descriptors and the guard, the only writer on the wire",
        (NodeSpec("drivers", "giljabi.ros.drivers:DriversNode"),),
        restart="never",
    ),
    ProcessSpec(
        "autonomy",
        "estimate and control: the tick that must not wait for anything",
        (
            NodeSpec("estimator", "giljabi.ros.estimator:EstimatorNode"),
            NodeSpec("controller", "giljabi.ros.controller:ControllerNode"),
        ),
    ),
    ProcessSpec(
        "perception",
        "heavy data must not delay control",
        (NodeSpec("tracker", "giljabi.ros.tracker:TrackerNode"),),
    ),
    ProcessSpec(
        "planning",
        "long solves must not delay control",
        (NodeSpec("planner", "giljabi.ros.planner:PlannerNode"),),
    ),
    ProcessSpec(
        "supervisor",
        "must outlive what it watches; its heartbeat feeds the guard",
        (NodeSpec("supervisor", "giljabi.ros.supervisor:SupervisorNode"),),
    ),
    ProcessSpec(
        "operator",
        "people's traffic must not touch the vehicle's",
        (NodeSpec("page", "giljabi.ros.page:PageNode"),),
        only="page",
    ),
)


def processes(simulated: bool, page: bool) -> tuple[ProcessSpec, ...]:
    """The processes of one run, in starting order."""
    wanted = {"", *(["simulated"] if simulated else []), *(["page"] if page else [])}
    return tuple(p for p in PROCESSES if p.only in wanted)

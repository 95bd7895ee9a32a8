"""One HIL run and its verdict: every assert, every fault and the outcome is a case of its own."""

from __future__ import annotations

import math
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

import giljabi
from giljabi.types import BadInputError, GiljabiError
from giljabi_sim.fault_spec import Fault
from giljabi_sim.hil_lockstep import HilLockStep
from giljabi_sim.hil_trace import Trace
from giljabi_sim.peers.contract import Wire
from giljabi_sim.scenario import Scenario, load_scenario

UNSAFE = ("collision", "aground", "fence", "fall")
LIBRARIES = ("numpy", "pyserial", "python-can", "cantools", "pynmea2", "pyais")
Status = Literal["passed", "failed", "error"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that must hold, how it went, and why in words."""

    group: Literal["outcome", "assert", "fault"]
    name: str
    status: Status
    words: str

    @property
    def bad(self) -> bool:
        """Whether it fails the run."""
        return self.status in ("failed", "error")


@dataclass(slots=True)
class Request:
    """What the command line asked for."""

    scenario: str
    seed: int | None = None
    overrides: Sequence[str] = ()
    track: str | None = None
    faults: Sequence[str] = ()
    realtime: bool = False

    def load(self, seed: int | None = None) -> Scenario:
        """The scenario with all that; raises BadInputError."""
        seed = self.seed if seed is None else seed
        return load_scenario(self.scenario, self.overrides, self.track, seed, faults=self.faults)

    def command(self, seed: int) -> str:
        """The command line that makes this run again."""
        words = ["giljabi", "hil", self.scenario, "--seed", str(seed)]
        for option, values in (("--set", self.overrides), ("--fault", self.faults)):
            for v in values:
                words += [option, v]
        words += ["--track", self.track] if self.track else []
        return shlex.join([*words, *(["--realtime"] if self.realtime else [])])


@dataclass(slots=True)
class HilRun:
    """One run: figures, verdict, and what the report draws."""

    scenario: Scenario
    command: str
    realtime: bool
    report: dict[str, Any]
    cases: list[Case]
    trace: Trace
    wires: dict[str, dict[str, Any]]  # by driver
    wall_s: float
    marks: list[tuple[float, str]] = field(default_factory=list)  # t, what failed then

    @property
    def passed(self) -> bool:
        """No case failed."""
        return not any(c.bad for c in self.cases)

    @property
    def faults(self) -> Sequence[Fault]:
        """As declared."""
        return self.scenario.model.faults

    def json(self) -> dict[str, Any]:
        """sim's keys, the verdict and the wires."""
        return {
            **self.report,
            "passed": self.passed,
            "cases": [{"group": c.group, "name": c.name, "status": c.status, "words": c.words} for c in self.cases],
            "wires": self.wires,
            "realtime": self.realtime,
            "command": self.command,
            "wall_s": round(self.wall_s, 3),
        }


def verdict(scenario: Scenario, report: dict[str, Any], words: Sequence[str], problems: Sequence[str]) -> list[Case]:
    """All cases of a run; words and problems: of each assert and each fault, empty for a consumed fault."""
    m = scenario.model
    cases = [_outcome(scenario, report)]
    for i, (row, text) in enumerate(zip(report["asserts"], words, strict=True)):
        held = row["held"]
        status: Status = "passed" if held else "failed"  # an assert that was never judged did not hold
        limit = m.asserts[i].by
        cases.append(Case("assert", row["name"] + (f" (by {limit:g} s)" if limit is not None else ""), status, text))
    for f, problem, row in zip(m.faults, problems, report.get("faults", ()), strict=True):
        # The name says what and where already: what is left is why.
        why = problem.removeprefix(f"{f.words}: ") or _met(row)
        cases.append(Case("fault", f"consumed: {f.words}", "failed" if problem else "passed", why))
    return cases


def _met(row: Mapping[str, Any]) -> str:
    return f"changed {row['changed']} of {row['met']} messages that it could hit" if "changed" in row else "met"


def _outcome(scenario: Scenario, report: dict[str, Any]) -> Case:
    """Arrived is good, unsafe is not; standing still is good where faults were declared, or an assert judges it."""
    outcome = str(report["outcome"])
    words = f"{outcome} after {report['t_end_s']:.1f} s"
    judged = any("outcome" in a.expression for a in scenario.model.asserts)
    if outcome == "arrived":
        status: Status = "passed"
    elif outcome in UNSAFE:
        status = "failed"
    else:
        status = "passed" if outcome != "running" and (judged or scenario.model.faults) else "failed"
    if status == "failed":
        words += "; arrived is expected" + (", or stopped" if scenario.model.faults else "")
    return Case("outcome", "outcome", status, words)


def run_lockstep(request: Request, seed: int | None, progress: Callable[[float], None] | None = None) -> HilRun:
    """One run in lock-step over real bytes; raises BadInputError, and GiljabiError when a line fails."""
    scenario = request.load(seed)
    trace, began = Trace(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="giljabi-hil-") as folder:
        loop = HilLockStep(scenario, Path(folder), trace)
        try:
            result = loop.run(progress)
            wires = _wires(loop)
        finally:
            loop.close()
    judge = loop.simulation.judge
    cases = verdict(scenario, result.report, judge.words(), loop.simulation.world.faults.problems())
    if result.reasons:
        c = cases[0]
        cases[0] = Case(c.group, c.name, c.status, f"{c.words}; did not arm: {'; '.join(result.reasons)}")
    run = HilRun(scenario, request.command(scenario.model.seed), False, result.report, cases, trace, wires, 0.0)
    run.marks = judge.failures()
    run.wall_s = time.monotonic() - began
    return run


def run_seed(request: Request, seed: int | None, progress: Callable[[float], None] | None = None) -> HilRun:
    """One run of one seed, whatever happens to it: a line that fails is a case; raises BadInputError only."""
    began = time.monotonic()
    try:
        if request.realtime:
            from giljabi_sim.hil_realtime import run_realtime

            return run_realtime(request, seed)
        return run_lockstep(request, seed, progress)
    except BadInputError:
        raise
    except GiljabiError as e:
        scenario = request.load(seed)
        m = scenario.model
        report = {"scenario": scenario.name, "platform": scenario.platform.name, "seed": m.seed, "outcome": "error"}
        report |= {"t_end_s": 0.0, "min_distance_m": None, "cross_track_rms_m": None, "path_m": None}
        report["asserts"] = [{"name": a.name, "held": None} for a in m.asserts]
        cases = [Case("outcome", "outcome", "error", str(e))]
        command = request.command(m.seed)
        return HilRun(scenario, command, request.realtime, report, cases, Trace(), {}, time.monotonic() - began)


def _wires(loop: HilLockStep) -> dict[str, dict[str, Any]]:
    """What went over each wire, and what each end made of it."""
    out: dict[str, dict[str, Any]] = {}
    for name, peer in loop.simulation.peers.items():
        stats, transport = loop.stack.drivers[name].stats, loop.transports[name]
        out[name] = {
            "url": transport.url.text.replace(str(loop.lines_dir), "RUN"),
            "wire": "CAN" if peer.wire is Wire.CAN else "stream",
            **asdict(loop.carried[name]),
            "driver_accepted": stats.accepted,
            "driver_rejected": {**transport.rejected, **stats.rejected},
            "driver_flagged": dict(stats.flagged),
            "device_accepted": peer.accepted,
            "device_rejected": dict(peer.rejected),
        }
    return out


def versions() -> dict[str, str]:
    """Of everything that had a hand in the bytes."""
    out = {"giljabi": giljabi.__version__, "Python": python_version()}
    for name in LIBRARIES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def finite(value: float | None, digits: int = 2) -> str:
    """A number for people; a dash where there is none."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "–"

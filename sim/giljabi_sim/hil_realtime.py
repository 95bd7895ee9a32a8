"""The same scenario through the real stack, as `giljabi run` starts it; the verdict is the simulator's outcome.json."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

from giljabi.nodes import RunSpec, processes
from giljabi.run import DONE, INTERRUPTED, RUNNING, Stage
from giljabi.rundir import RunDir
from giljabi.types import BadInputError, GiljabiError
from giljabi_sim.geometry import Polyline
from giljabi_sim.hil_run import HilRun, Request, verdict
from giljabi_sim.hil_trace import trace_of_truth
from giljabi_sim.lockstep import DEPARTURE_LIMIT
from giljabi_sim.scenario import Scenario
from giljabi_sim.world import build_route

START_LIMIT_S = 60.0  # for the processes to come up on a busy machine
MISSING = "ROS 2 cannot be imported; pip install 'giljabi[ros]' or source a ROS 2 installation, or leave out --realtime"


class _HilStage(Stage):
    """Ends with the simulator's own outcome, whatever the stack thinks of it."""

    def _check(self) -> None:
        super()._check()
        truth = str(self._truth.get("outcome", RUNNING))
        if truth != RUNNING:
            self._end(DONE, truth)

    @property
    def truth(self) -> dict[str, Any]:
        """What the simulator said last."""
        return self._truth


def run_realtime(request: Request, seed: int | None) -> HilRun:
    """One run in real time; raises BadInputError, and GiljabiError when the simulator said nothing."""
    if find_spec("rclpy") is None:
        raise BadInputError(MISSING)
    scenario, began = request.load(seed), time.monotonic()
    m = scenario.model
    where = RunDir(scenario.platform.name)
    try:
        truth_file = where.path / "truth.jsonl"
        spec = RunSpec(
            platform_file=scenario.platform.file.path.resolve(),
            run_dir=where.path,
            scenario=scenario.file.path.resolve(),
            simulator=_arguments(request, m.seed, str(truth_file)),
            judged=True,
        )
        limit = m.duration_s + DEPARTURE_LIMIT + START_LIMIT_S
        stage = _HilStage(spec, where, scenario.platform.name, False, limit, sys.stderr)
        code = stage.play(processes(True, False, fast_loop=scenario.platform.model.fast_loop is not None))
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        trace = trace_of_truth(truth_file, Polyline(build_route(scenario)[0].points))
        logs = str(where.log_dir)
    finally:
        where.close()
    return _verdict(request, scenario, stage, trace, time.monotonic() - began, logs)


def _arguments(request: Request, seed: int, truth: str) -> tuple[str, ...]:
    """What the simulator is told beside the scenario's file."""
    out = ["--seed", str(seed), "--truth", truth]
    for option, values in (("--set", request.overrides), ("--fault", request.faults)):
        out += [f"{option}={v}" for v in values]
    return tuple([*out, *(["--track", request.track] if request.track else [])])


def _verdict(  # noqa: PLR0917
    request: Request, scenario: Scenario, stage: _HilStage, trace: Any, wall_s: float, logs: str
) -> HilRun:
    truth = dict(stage.truth)
    if "words" not in truth:
        raise GiljabiError(f"hil: the stack ended before the simulator told anything ({stage.outcome}); logs in {logs}")
    words, problems = truth.pop("words"), truth.pop("fault_problems")
    wires = truth.pop("wires")
    if truth["outcome"] == RUNNING:
        truth["outcome"] = stage.outcome
    truth["realtime"] = True
    cases = verdict(scenario, truth, words, problems)
    truth |= {"phases": stage.phases, "log_dir": logs}
    return HilRun(scenario, request.command(scenario.model.seed), True, truth, cases, trace, wires, wall_s)

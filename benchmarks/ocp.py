#!/usr/bin/env python3
"""The solver against its peers, in closed loop and from a cold start.

usage: benchmarks/ocp.py --problem A|B|C20|C50|D16|D100|SRBD10|SRBD20 [--set key=value]... [--params F.json]
                         [--peers fatrop,hpipm] [--own F.hpp] [--list] [--json]
example: benchmarks/ocp.py --problem A --set disc_radius=2.5 --peers fatrop

Method. Closed loop: the guess is the start state at every stage; `warm_iterations` real-time iterations at t = 0; then
`steps` steps of prepare, feedback with the measured state, the first input clipped to its box, the plant (the model by
`plant_substeps` Runge-Kutta steps), a kick where one is set, and the guess shifted by one stage. The cost sums the
stage costs and penalties at the plant's states. Each peer has a closed loop of its own; ours and the peers take turns
within each step. Peers of `one QP a step` (acados, hpipm, qrqp, osqp, piqp) do the same work as ours: linearize, one
quadratic programme. Those `converged at every step` (fatrop, ipopt) do more, and their loop is another one. `same`: the
peer's closed loop costs what ours costs (to 1e-4, B to 2 %). Times are thread CPU time of one call as users make it,
setting references excluded; in the linear problems (D16 to SRBD20) the peers get their matrices for nothing. Per step
the least of the repeats, then percentiles over the steps. Ratios are ours divided by the peer's. `acados` is found when
its Python template can be imported; `acados:N` condenses its QP to N stages. `--own`: our solver with a user's model in
place of the built-in one, with constants and parameters of the same names; benchmarks/models has those of A and C.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import atexit
import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import ocp_peers
from ocp_base import Problem
from ocp_peers import Horizon, timed
from ocp_problems import DEFAULTS, load_problem

from giljabi import build_model
from giljabi.solver import Ocp, Status
from giljabi.types import Array, BadInputError, GiljabiError


class Loop:
    """A closed loop: the plant's state, and what it has cost."""

    def __init__(self, problem: Problem, plant: Ocp) -> None:
        self.problem = problem
        self.plant = plant
        self.x = problem.start
        self.i = 0
        self.cost = 0.0
        self.violation = 0.0

    def apply(self, u: Array) -> None:
        """One step of the plant under the input, clipped to its box."""
        s, problem = self.problem.settings, self.problem
        q, r, _ = problem.weights
        now = np.array([self.i * problem.dt])
        lower, upper = problem.input_bounds(now)
        u = np.clip(u, lower[0], upper[0])
        e, w = self.x - problem.reference(now)[0], u - problem.input_reference(now)[0]
        self.plant.set_parameters(problem.parameters(now)[0])
        self.cost += 0.5 * float(e @ (q * e) + w @ (r * w))
        outside = np.maximum(-self.plant.constraint_values(self.x, u=u), 0.0)
        if problem.soft_count:
            self.cost += float(np.sum(s["penalty_l1"] * outside + 0.5 * s["penalty_l2"] * outside**2))
        low, high = problem.state_bounds(now)
        beyond = np.maximum(low[0] - self.x, self.x - high[0]) if self.i else np.zeros(1)
        self.violation = max(self.violation, float(outside.max(initial=0.0)), float(beyond.max()))
        self.x = problem.settle(self.plant.simulate(self.x, u, problem.dt, s["plant_substeps"]))
        self.i += 1
        self.x = problem.kick(self.i, self.x)

    def horizon(self) -> Horizon:
        """What is known from now on."""
        problem = self.problem
        t: Array = np.arange(self.i, self.i + problem.horizon + 1, dtype=np.float64) * problem.dt
        lower, upper = problem.input_bounds(t[:-1])
        parameters = problem.parameters(t)
        references = problem.reference(t), problem.input_reference(t[:-1])
        return Horizon(self.x, *references, parameters, *problem.state_bounds(t), lower, upper)


class Ours:
    """Our solver in a closed loop."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.ocp = problem.build()
        self.plant = problem.build()
        self.times: list[list[tuple[float, float]]] = []
        self.unusable = 0

    def cold(self) -> tuple[float, Any]:
        """Time and result of a full solve from the cold start."""
        self._start()
        return timed(lambda: self.ocp.solve(self.problem.start, 1000))

    def begin(self) -> None:
        """A new repeat of the closed loop."""
        self._start()
        for _ in range(self.problem.settings["warm_iterations"]):
            self.ocp.prepare()
            self.ocp.feedback(self.loop.x)
        self.times.append([])
        self.unusable = 0

    def step(self) -> None:
        """One step of the closed loop."""
        self._set()
        prepare, _ = timed(self.ocp.prepare)
        feedback, result = timed(lambda: self.ocp.feedback(self.loop.x))
        self.times[-1].append((prepare, feedback))
        self.unusable += not result.status.usable
        self.loop.apply(result.u0)
        self.ocp.shift()

    def _set(self) -> None:
        now = self.loop.horizon()
        self.ocp.set_reference(now.x_ref, now.u_ref)
        self.ocp.set_parameters(now.parameters)
        for name, value in (("state_lower", now.x_lower), ("state_upper", now.x_upper),
                            ("input_lower", now.u_lower), ("input_upper", now.u_upper)):  # fmt: skip
            self.ocp.set(name, value)

    def _start(self) -> None:
        self.loop = Loop(self.problem, self.plant)
        self._set()
        self.ocp.set_guess(self.problem.start, self.problem.start_input)


class Theirs:
    """A peer in a closed loop."""

    def __init__(self, problem: Problem, name: str, jit: bool) -> None:
        self.problem = problem
        self.plant = problem.build()
        self.peer = ocp_peers.build(name, problem, jit)
        self.times: list[list[float]] = []
        self.feedbacks: list[list[float]] = []
        self.failed = 0

    def cold(self) -> tuple[float, bool]:
        """Time of a solve from the cold start, and whether it converged."""
        self._start()
        return self.peer.solve_cold(self.loop.horizon())

    def begin(self) -> None:
        """A new repeat of the closed loop."""
        self._start()
        self.peer.warm(self.loop.horizon(), self.problem.settings["warm_iterations"])
        self.times.append([])
        self.feedbacks.append([])
        self.failed = 0

    def step(self) -> None:
        """One step of the closed loop."""
        spent, good = self.peer.solve(self.loop.horizon())
        self.times[-1].append(spent)
        self.feedbacks[-1].append(self.peer.feedback or 0.0)
        self.failed += not good
        u = self.peer.u0
        self.loop.apply(u if np.all(np.isfinite(u)) else self.problem.start_input)
        self.peer.shift()

    def _start(self) -> None:
        self.loop = Loop(self.problem, self.plant)
        self.peer.guess(self.problem.start, self.problem.start_input)


def percentiles(times: Array) -> dict[str, float]:
    """Percentiles [µs] of times [s] (repeats, steps): the least over the repeats first."""
    us = times.min(axis=0) * 1e6
    return {
        "p50_us": float(np.percentile(us, 50)),
        "p99_us": float(np.percentile(us, 99)),
        "max_us": float(us.max()),
    }


def measure(problem: Problem, names: list[str], repeats: int, jit: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Runs everything and returns the benchmark's JSON object."""
    ours = Ours(problem)
    theirs = {name: Theirs(problem, name, jit) for name in names}
    tell("cold starts")
    cold: list[tuple[float, Any]] = []
    colds: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    for _ in range(repeats):
        cold.append(ours.cold())
        for name, peer in theirs.items():
            if peer.peer.cold_offered:
                colds[name].append(peer.cold())
    cold_costs = {name: peer.peer.cost for name, peer in theirs.items()}
    runners: list[Ours | Theirs] = [ours, *theirs.values()]
    steps = problem.settings["steps"]
    for repeat in range(repeats):
        for runner in runners:
            runner.begin()
        for i in range(steps):
            for runner in runners:
                runner.step()
            if i % 20 == 0:
                tell(f"repeat {repeat + 1}/{repeats}, step {i}/{steps}")
    tell("")
    both = np.array(ours.times)  # repeats, steps, (prepare, feedback)
    total = percentiles(both.sum(axis=2))
    first = cold[0][1]
    out: dict[str, Any] = {
        "problem": problem.name,
        "model": problem.model,
        "ours": {
            **total,
            "prepare_p50_us": percentiles(both[:, :, 0])["p50_us"],
            "feedback_p50_us": percentiles(both[:, :, 1])["p50_us"],
            "cost": ours.loop.cost,
            "violation": ours.loop.violation,
            "unusable": ours.unusable,
            "cold_ms": min(t for t, _ in cold) * 1e3,
            "cold_status": str(first.status),
            "cold_cost": first.cost,
            "cold_iterations": first.iterations,
        },
        "peers": {},
        "steps": steps,
        "repeats": repeats,
        "changed": {k: v for k, v in problem.settings.items() if v != DEFAULTS[problem.name][k]},
    }
    for name, peer in theirs.items():
        spent = percentiles(np.array(peer.times))
        difference = abs(peer.loop.cost - ours.loop.cost) / max(abs(ours.loop.cost), 1e-9)
        out["peers"][name] = {
            "same": bool(difference <= problem.same_cost),
            "method": peer.peer.method,
            "ratio_p50": total["p50_us"] / spent["p50_us"],
            "ratio_p99": total["p99_us"] / spent["p99_us"],
            **spent,
            "cost": peer.loop.cost,
            "violation": peer.loop.violation,
            "failed": peer.failed,
            "jit": jit,
        }
        if peer.peer.feedback is not None:
            feedback = percentiles(np.array(peer.feedbacks))["p50_us"]
            out["peers"][name]["feedback_p50_us"] = feedback
            out["peers"][name]["ratio_feedback_p50"] = out["ours"]["feedback_p50_us"] / feedback
        if colds[name]:
            out["peers"][name] |= {
                "cold_ms": min(t for t, _ in colds[name]) * 1e3,
                "cold_cost": cold_costs[name],
                "cold_status": "converged" if colds[name][0][1] else "failed",
            }
    return out


def report(out: dict[str, Any]) -> str:
    """The result for people."""
    o = out["ours"]
    lines = [
        f"problem {out['problem']}: {out['steps']} steps, least of {out['repeats']} repeats, thread CPU time",
        f"{'':10}{'p50 µs':>10}{'p99 µs':>10}{'max µs':>10}{'cost':>14}{'cold ms':>10}  cold",
        f"{'giljabi':10}{o['p50_us']:10.1f}{o['p99_us']:10.1f}{o['max_us']:10.1f}{o['cost']:14.4f}{o['cold_ms']:10.2f}"
        f"  {o['cold_status']}",
    ]
    for name, p in out["peers"].items():
        cold = f"{p['cold_ms']:10.2f}  {p['cold_status']}" if "cold_ms" in p else f"{'-':>10}  not offered"
        lines.append(
            f"{name:10}{p['p50_us']:10.1f}{p['p99_us']:10.1f}{p['max_us']:10.1f}{p['cost']:14.4f}{cold}; "
            f"ours/theirs p50 {p['ratio_p50']:.4f}, p99 {p['ratio_p99']:.4f}; {p['method']}, "
            f"{'same' if p['same'] else 'another'} closed loop" + (f", {p['failed']} failed" if p["failed"] else "")
        )
    lines.append(f"prepare p50 {o['prepare_p50_us']:.1f} µs, feedback p50 {o['feedback_p50_us']:.1f} µs, "
                 f"violation {o['violation']:.2g}")  # fmt: skip
    return "\n".join(lines)


def use_own(problem: Problem, file: Path) -> None:
    """Builds a user's model, as `giljabi build-model` does, and lets the problem use it."""
    folder = tempfile.mkdtemp(prefix="giljabi_own_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    problem.model = f"own_{file.stem}"
    build_model.build(file, build_model.find_struct(file), problem.model, Path(folder))
    sys.path.append(folder)
    importlib.import_module(problem.model)


def results_only() -> TextIO:
    """Standard output for the results alone: what the peers' libraries write there goes to standard error."""
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for good: C's own buffers are written out when the process ends
    return own


def run(args: argparse.Namespace) -> int:
    """Measures as the arguments say; returns the exit code."""
    problem = load_problem(args.problem, args.set, args.params)
    if args.list:
        print(json.dumps(problem.settings, indent=2))
        return 0
    known = ocp_peers.installed(problem.name)
    names = known if args.peers is None else [n for n in args.peers.split(",") if n not in ("", "none")]
    for name in names:
        if name.partition(":")[0] not in known or (":" in name and not name.startswith("acados:")):
            raise BadInputError(f"--peers {name}: not installed; {', '.join(known) or 'none'} are")
    if args.own is not None:
        use_own(problem, args.own)
    if args.repeats < 1:
        raise BadInputError(f"--repeats {args.repeats}: 1 or more is expected")

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    with results_only() as results:
        out = measure(problem, names, args.repeats, args.jit, tell)
        print(json.dumps(out, allow_nan=False) if args.json else report(out), file=results)
    return 0 if out["ours"]["cold_status"] == str(Status.CONVERGED) and not out["ours"]["unusable"] else 1


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", required=True, choices=list(DEFAULTS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting (JSON value)")
    parser.add_argument("--params", metavar="F", help="JSON file of settings")
    parser.add_argument("--list", action="store_true", help="print every setting and stop")
    parser.add_argument("--peers", help="comma-separated; default: all that are installed; none: ours alone")
    parser.add_argument("--own", type=Path, metavar="F.hpp", help="our solver with the model in a user's C++ file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jit", action="store_true", help="let CasADi compile the peers' functions with gcc")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    try:
        return run(parser.parse_args())
    except GiljabiError as e:
        print(e, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Full solves from many perturbed cold starts: how many converge, and to which minimum.

usage: benchmarks/ocp_cold.py [--problem A,B,...] [--count 200] [--seed 0] [--range 0.2] [--others 3]
                             [--set KEY=VALUE]... [--params F.json] [--json]
example: benchmarks/ocp_cold.py --problem A --count 1000

Method. The start state and every state of the guess (the start state at each stage) are shifted by a uniform share,
up to +-RANGE, of the range that the reference has over the horizon; of a state whose reference stands still, of the
range between its bounds where it has any. Default settings otherwise. `converged`: every first-order residual is below
`tolerance` (1e-6). `poor`: it costs more than twice the best minimum known for the same start state, the least of what
this solve, one from the start state at every stage, one from the reference, and OTHERS from other guesses end in; of
the unperturbed start, the figure in the source counts too. Seeds that fail are named; `--seed S --count 1` repeats one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ocp_base import Problem
from ocp_problems import DEFAULTS, load_problem

from giljabi.solver import Ocp, Status, variant
from giljabi.types import Array, BadInputError

# Cost of the best minimum known from the unperturbed start.
BEST = {"A": 65.5665, "B": 74.86, "C20": 6822.29, "C50": 16183.42}


def spread(problem: Problem) -> Array:
    """Range (nx,) that a share of is added to the states."""
    t = np.arange(problem.horizon + 1) * problem.dt
    moves = np.ptp(problem.reference(t), axis=0)
    lower, upper = problem.state_bounds(t)
    between = upper[-1] - lower[-1]
    return np.where(moves > 0, moves, np.where(np.isfinite(between), between, 0.0))


def pose(problem: Problem) -> Ocp:
    """The problem at t = 0."""
    t = np.arange(problem.horizon + 1) * problem.dt
    ocp = problem.build()
    for kind, (lower, upper) in (("state", problem.state_bounds(t)), ("input", problem.input_bounds(t[:-1]))):
        ocp.set(f"{kind}_lower", lower)
        ocp.set(f"{kind}_upper", upper)
    ocp.set_reference(problem.reference(t), problem.input_reference(t[:-1]))
    ocp.set_parameters(problem.parameters(t))
    return ocp


def solve(problem: Problem, seed: int, share: float, others: int) -> dict[str, Any]:
    """One cold solve from the start and the guess of this seed, and the best cost known for that start."""
    random = np.random.default_rng(seed)
    ocp = pose(problem)
    n = problem.horizon + 1
    reach = share * spread(problem)
    x0 = problem.settle(problem.start + random.uniform(-1, 1, len(reach)) * reach)

    def guess(around: Array) -> Array:
        return np.array([problem.settle(x) for x in around + random.uniform(-1, 1, (n, len(reach))) * reach])

    ocp.set_guess(guess(problem.start), problem.start_input)
    begin = time.thread_time()
    result = ocp.solve(x0)
    spent = time.thread_time() - begin
    best = result.cost if result.status is Status.CONVERGED else np.inf
    reference = problem.reference(np.arange(n) * problem.dt)
    for first in (x0, reference, *(guess(reference if i % 2 else x0) for i in range(others))):
        ocp.set_guess(first, problem.start_input)
        other = ocp.solve(x0, starts=1)
        if other.status is Status.CONVERGED:
            best = min(best, other.cost)
    return {
        "seed": seed,
        "status": str(result.status),
        "cost": result.cost,
        "ratio": result.cost / best,
        "worst": result.worst,
        "iterations": result.iterations,
        "ms": spent * 1e3,
    }


def summary(problem: Problem, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What people and scripts want to know of many solves."""
    good = [r for r in runs if r["status"] == str(Status.CONVERGED)]
    ocp = pose(problem)
    ocp.set_guess(problem.start, problem.start_input)
    plain = ocp.solve(problem.start)
    ratios = [r["ratio"] for r in good] or [np.inf]
    return {
        "problem": problem.name,
        "variant": variant(),
        "count": len(runs),
        "converged": len(good),
        "share": len(good) / len(runs),
        "unperturbed_cost": plain.cost,
        "unperturbed_ratio": plain.cost / BEST.get(problem.name, plain.cost),
        "ratio": [float(v) for v in np.percentile(ratios, [50, 99, 100])],
        "poor": [{"seed": r["seed"], "ratio": r["ratio"]} for r in good if r["ratio"] > 2],
        "failed": [r for r in runs if r["status"] != str(Status.CONVERGED)],
        "iterations": [float(v) for v in np.percentile([r["iterations"] for r in runs], [50, 99, 100])],
        "ms": [float(v) for v in np.percentile([r["ms"] for r in runs], [50, 99, 100])],
    }


def report(out: dict[str, Any]) -> str:
    """The summary for people."""
    lines = [
        f"problem {out['problem']} ({out['variant']}): {out['converged']} of {out['count']} starts converge, "
        f"{len(out['poor'])} to a minimum that costs more than twice the best known",
        f"unperturbed: cost {out['unperturbed_cost']:.6g}, {out['unperturbed_ratio']:.4f} of the best known",
        "p50, p99, most: cost over best known " + ", ".join(f"{v:.3f}" for v in out["ratio"])
        + "; iterations " + ", ".join(f"{v:.0f}" for v in out["iterations"])
        + "; ms " + ", ".join(f"{v:.2f}" for v in out["ms"]),
    ]  # fmt: skip
    lines += [f"  seed {r['seed']}: {r['status']}, cost {r['cost']:.6g}, {r['worst'] or 'nothing violated'}, "
              f"{r['iterations']} iterations" for r in out["failed"]]  # fmt: skip
    if out["poor"]:
        poor = ", ".join(f"{r['seed']} ({r['ratio']:.1f})" for r in out["poor"])
        lines.append(f"  seeds in a poor minimum (times the best known): {poor}")
    return "\n".join(lines)


def main() -> int:
    """Command line; exit code 0 when at least 99.9 % converge and none to a poor minimum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", default="A,B", help=f"comma-separated, of {', '.join(sorted(DEFAULTS))}")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--range", type=float, default=0.2, metavar="SHARE")
    parser.add_argument("--others", type=int, default=3, help="more guesses for the best known cost")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting (JSON value)")
    parser.add_argument("--params", metavar="F", help="JSON file of settings")
    parser.add_argument("--json", action="store_true", help="one JSON object a problem")
    args = parser.parse_args()
    good = True
    try:
        for name, value, least in (("count", args.count, 1), ("seed", args.seed, 0), ("others", args.others, 0)):
            if value < least:
                raise BadInputError(f"--{name} {value}: {least} or more is expected")
        for name in args.problem.split(","):
            problem = load_problem(name, args.set, args.params)
            out = summary(problem, [solve(problem, args.seed + i, args.range, args.others) for i in range(args.count)])
            print(json.dumps(out) if args.json else report(out), flush=True)
            good = good and out["share"] >= 0.999 and not out["poor"] and out["unperturbed_ratio"] <= 2
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

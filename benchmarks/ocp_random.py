#!/usr/bin/env python3
"""Random problems for the solver, sane and absurd: every call must give a status and finite numbers, in its time.

usage: benchmarks/ocp_random.py [--count 1000] [--seed 0] [--json]
example: benchmarks/ocp_random.py --seed 1234 --count 1     (one case again)

Each case draws a model, a horizon from 1 up, a stage length from 1e-6 to 100 s and some of: bounds that cross the
reference or leave no room, a start outside them, an obstacle on the vehicle, weights of zero or far apart, numbers of
1e160 and 1e300, states that are NaN or infinite, a time budget. Then real-time iterations, a shift, a full solve.
Refused inputs (BadInputError) count as answers. A case is bad when something raises, a number is not finite, u0 leaves
its bounds, or a call takes more than twice its time budget and 5 ms.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from typing import Any

import numpy as np

from giljabi.solver import Ocp, Result, Status, models, variant
from giljabi.types import Array, BadInputError

Random = np.random.Generator
HUGE = (1e160, -1e160, 1e300, -1e300)
SLACK_US = 5000.0  # above twice the budget: the first iteration always runs


class Case:
    """One random problem: `run` returns what came of each call, or raises AssertionError."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        r = self.random
        self.model = str(r.choice(models()))
        horizon = int(r.choice([1, 1, 2, 3, 5, 10, 20, 40]))
        dt = float(r.choice([1e-6, 1e-3, 0.05, 0.05, 0.05, 0.5, 1.0, 10.0, 100.0]))
        self.ocp = Ocp(self.model, horizon, dt)
        self.nx, self.nu = len(self.ocp.names.states), len(self.ocp.names.inputs)
        self.scale = float(r.choice([1e-3, 1.0, 1.0, 1.0, 10.0, 1e3]))
        self.x0 = self.draw(self.nx)
        self.budget = float(r.choice([np.inf, np.inf, 50.0, 500.0, 5000.0]))
        self.counts: collections.Counter[str] = collections.Counter()
        self.overshoot = 0.0  # us above the budget
        self.ocp.set("time_budget", self.budget)

    def draw(self, *shape: int) -> Array:
        """Normal numbers of the case's scale."""
        return np.asarray(self.random.normal(0.0, self.scale, shape))

    def attempt(self, name: str, *values: Any) -> None:
        """Calls a setter of the problem; a refusal is an answer too."""
        try:
            getattr(self.ocp, name)(*values)
        except BadInputError:
            self.counts["refused"] += 1

    def pose(self) -> None:
        """Draws the problem."""
        r, n = self.random, self.ocp.horizon
        reference = self.draw(n + 1, self.nx)
        if r.random() < 0.1:
            reference[r.integers(n + 1), r.integers(self.nx)] = r.choice(HUGE)
        self.attempt("set_reference", reference, self.draw(n, self.nu))
        self.attempt("set_guess", self.x0 if r.random() < 0.5 else self.draw(n + 1, self.nx), self.draw(self.nu))
        for name in ("state_weights", "terminal_weights", "input_weights"):
            size = self.nu if name.startswith("input") else self.nx
            weights = 10.0 ** r.uniform(-8, 8, size) if r.random() < 0.3 else np.abs(r.normal(1, 1, size))
            self.attempt("set", name, weights * (r.random(size) > r.choice([0.0, 0.0, 0.3, 1.0])))
        for kind, size in (("state", self.nx), ("input", self.nu)):
            self.bounds(kind, size)
        self.places()
        for name in ("penalty_l1", "penalty_l2"):
            if self.ocp.names.constraints and r.random() < 0.3:
                self.attempt("set", name, 10.0 ** r.uniform(-6, 9, len(self.ocp.names.constraints)))

    def bounds(self, kind: str, size: int) -> None:
        """Bounds of states or inputs: none, around the start, across it, without room, or one-sided."""
        r = self.random
        middle, room = self.draw(size), np.abs(self.draw(size)) * r.choice([1e-9, 1.0, 10.0])
        there = r.random(size) < r.choice([0.0, 0.3, 1.0])
        lower, upper = np.where(there, middle - room, -np.inf), np.where(there, middle + room, np.inf)
        if r.random() < 0.2:
            (lower if r.random() < 0.5 else upper)[:] = -np.inf if r.random() < 0.5 else np.inf
        self.attempt("set", f"{kind}_lower", lower)
        self.attempt("set", f"{kind}_upper", upper)

    def places(self) -> None:
        """Per-stage parameters: as they are, near the start, on it, or absurd."""
        r = self.random
        for name in self.ocp.names.parameters:
            if r.random() < 0.5:
                value = self.draw(self.ocp.horizon + 1) + (self.x0[0] if name.endswith("x") else 0.0)
                if r.random() < 0.02:
                    value[r.integers(len(value))] = r.choice(HUGE)
                self.attempt("set", name, np.abs(value) if "radius" in name else value)

    def state(self) -> Array:
        """A measured state, now and then not a number."""
        x = self.x0 + self.draw(self.nx) * self.random.choice([0.0, 0.1, 10.0])
        if self.random.random() < 0.05:
            x[self.random.integers(self.nx)] = self.random.choice([np.nan, np.inf, -np.inf, *HUGE])
        return np.asarray(x)

    def call(self, call: Any, x: Array) -> None:
        """One solve and what must hold after it."""
        begin = time.thread_time_ns()
        try:
            result: Result = call(x)
        except BadInputError:
            self.counts["refused"] += 1
            return
        spent = (time.thread_time_ns() - begin) * 1e-3
        self.counts[str(result.status)] += 1
        assert isinstance(result.status, Status)
        for name, values in (("x", self.ocp.x), ("u", self.ocp.u), ("u0", result.u0), ("cost", result.cost),
                             ("violation", result.violation)):  # fmt: skip
            assert np.all(np.isfinite(values)), f"{name} is not finite, status {result.status}"
        lower, upper = self.ocp.get("input_lower"), self.ocp.get("input_upper")
        assert isinstance(lower, np.ndarray)
        assert isinstance(upper, np.ndarray)
        assert np.all((result.u0 >= lower[0]) & (result.u0 <= upper[0])), "u0 leaves its bounds"
        assert np.all(np.isfinite(x)) or result.status is Status.BAD_INPUT, "a state that is not finite was taken"
        self.overshoot = max(self.overshoot, spent - self.budget)
        assert spent <= 2 * self.budget + SLACK_US, f"{spent:.0f} us for a budget of {self.budget:.0f}"

    def run(self) -> None:
        """Poses the problem and solves it in several ways."""
        self.pose()
        for _ in range(3):
            if self.random.random() < 0.5:
                self.attempt("prepare")
            self.call(self.ocp.feedback, self.state())
            self.ocp.shift()
        self.call(lambda x: self.ocp.solve(x, 30), self.state())


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Runs the cases seed .. seed + count - 1."""
    counts: collections.Counter[str] = collections.Counter()
    bad: list[dict[str, Any]] = []
    overshoot = 0.0
    for i in range(seed, seed + count):
        case = Case(i)
        try:
            case.run()
        except Exception as e:
            bad.append({"seed": i, "model": case.model, "why": f"{type(e).__name__}: {e}"})
        counts += case.counts
        overshoot = max(overshoot, case.overshoot)
    return {
        "variant": variant(), "cases": count, "calls": dict(sorted(counts.items())), "overshoot_us": overshoot,
        "bad": bad,
    }  # fmt: skip


def main() -> int:
    """Command line; exit code 1 when a case is bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    if args.count < 1 or args.seed < 0:
        print("--count and --seed: 1 or more and 0 or more are expected", file=sys.stderr)
        return 2
    try:
        with np.errstate(all="ignore"):
            out = campaign(args.count, args.seed)
    except KeyboardInterrupt:
        return 130
    if args.json:
        print(json.dumps(out))
    else:
        print(f"{out['cases']} problems ({out['variant']}), answers: {out['calls']}, most above a budget: "
              f"{out['overshoot_us']:.0f} us, bad: {len(out['bad'])}")  # fmt: skip
        for case in out["bad"]:
            print(f"  seed {case['seed']}, {case['model']}: {case['why']}")
    return 1 if out["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())

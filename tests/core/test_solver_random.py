"""Random and absurd problems, and cold starts far off: the benchmarks' campaigns, short."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.solver import Ocp


@pytest.fixture(scope="module")
def random_problems(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ocp_random", root / "benchmarks/ocp_random.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_problems_give_a_status_and_finite_numbers(random_problems: ModuleType, seed: int) -> None:
    with np.errstate(all="ignore"):
        random_problems.Case(seed).run()


def test_a_campaign_meets_every_kind_of_answer(random_problems: ModuleType) -> None:
    with np.errstate(all="ignore"):
        out = random_problems.campaign(200, 10_000)
    assert out["bad"] == []
    assert {"converged", "feasible", "infeasible", "bad_input", "refused"} <= set(out["calls"])


def test_a_campaign_names_the_cases_that_are_bad(random_problems: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Ocp, x: object) -> object:
        raise RuntimeError("thrown")

    monkeypatch.setattr(Ocp, "feedback", broken)
    out = random_problems.campaign(2, 5)
    assert [(case["seed"], case["why"]) for case in out["bad"]] == [
        (5, "RuntimeError: thrown"),
        (6, "RuntimeError: thrown"),
    ]


@pytest.mark.parametrize("problem", ["A", "B"])
def test_perturbed_cold_starts_converge(root: Path, problem: str) -> None:
    command = [
        sys.executable,
        str(root / "benchmarks/ocp_cold.py"),
        "--problem",
        problem,
        "--count",
        "8",
        "--others",
        "0",
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=120)
    out = json.loads(done.stdout)
    assert (out["converged"], out["failed"]) == (8, [])
    assert out["unperturbed_ratio"] < 1.02


def test_a_cold_start_that_may_not_iterate_is_named(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks/ocp_cold.py"), "--problem", "A", "--count", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--count 0: 1 or more is expected" in done.stderr

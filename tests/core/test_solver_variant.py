"""Builds of the solver for several instruction sets: which one runs, and that they agree."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys

import pytest

from giljabi import solver
from giljabi._core import solver as core
from giljabi.solver_variant import SIMD_ENV, VARIANTS, built, choose
from giljabi.types import BadInputError

PROGRAM = """
import hashlib, json
import numpy as np
from giljabi.solver import Ocp, variant

ocp = Ocp("bicycle", 30, 0.05)
ocp.set("input_lower", [-0.8, -10])
ocp.set("input_upper", [0.8, 10])
ocp.set("state_upper.v", 12.0)
ocp.set("disc_1_x", 9.0)
ocp.set("disc_1_y", -0.4)
ocp.set("disc_1_radius", 2.0)
reference = np.zeros((31, 6))
reference[:, 0], reference[:, 3] = 0.5 * np.arange(31), 10.0
ocp.set_reference(reference)
x = np.array([0, 0, 0, 8.0, 0, 0])
ocp.set_guess(x)
cold = ocp.solve(x)
for _ in range(30):
    ocp.prepare()
    x = ocp.simulate(x, ocp.feedback(x).u0, 0.05)
    ocp.shift()
    reference[:, 0] += 0.5
    ocp.set_reference(reference)
print(json.dumps([variant(), str(cold.status), cold.cost, x.tolist(), hashlib.sha256(ocp.x.tobytes()).hexdigest()]))
"""


def run(name: str) -> list[object]:
    """What the programme prints under one variant."""
    env = {**os.environ, SIMD_ENV: name}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    out = json.loads(done.stdout)
    assert isinstance(out, list)
    return out


def test_every_variant_gives_the_same_trajectory_to_rounding_and_the_same_bytes_again() -> None:
    names = [v for v in built() if v in core.supported()]
    baseline = run("baseline")
    for name in names:
        one, two = run(name), run(name)
        assert one == two
        assert one[:2] == [name, "converged"]
        assert one[2] == pytest.approx(baseline[2], rel=1e-9)
        assert one[3] == pytest.approx(baseline[3], abs=1e-6)


def test_the_best_variant_of_the_processor_runs() -> None:
    assert solver.variant() == choose(os.environ, built(), core.supported())
    assert choose({}, VARIANTS, ("avx2", "baseline")) == "avx2"
    assert choose({}, ("baseline",), VARIANTS) == "baseline"
    assert choose({SIMD_ENV: "baseline"}, VARIANTS, VARIANTS) == "baseline"


@pytest.mark.parametrize(
    ("wanted", "available", "supported", "message"),
    [
        ("sse", VARIANTS, VARIANTS, "GILJABI_SIMD is 'sse'; avx512, avx2 or baseline is expected"),
        ("avx512", VARIANTS, ("avx2", "baseline"), "this processor cannot run it; possible here: avx2, baseline"),
        ("avx2", ("baseline",), VARIANTS, "it was not built; possible here: baseline"),
    ],
)
def test_a_variant_that_cannot_run_is_refused(
    wanted: str, available: tuple[str, ...], supported: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        choose({SIMD_ENV: wanted}, available, supported)


def test_a_variant_of_another_build_is_refused() -> None:
    stranger = datetime.datetime_CAPI  # type: ignore[attr-defined]  # a capsule with another name
    assert core.use(stranger) is False

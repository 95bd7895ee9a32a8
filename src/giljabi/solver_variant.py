"""Which build of the solver's models runs: the widest instruction set that the processor has, or the one named in
the environment variable GILJABI_SIMD. Within one variant the same input gives the same bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec

from giljabi._core import solver as _solver
from giljabi.types import BadInputError

SIMD_ENV = "GILJABI_SIMD"
VARIANTS = ("avx512", "avx2", "baseline")  # the best first


def built() -> list[str]:
    """Variants in this installation, the best first."""
    return [v for v in VARIANTS if v == "baseline" or find_spec(f"giljabi._core_{v}") is not None]


def choose(env: Mapping[str, str], available: Sequence[str], supported: Sequence[str]) -> str:
    """Name of the variant to run; `available` and `supported` are ordered, the best first. Raises BadInputError."""
    wanted = env.get(SIMD_ENV, "")
    if not wanted:
        return next(v for v in available if v in supported)
    if wanted not in VARIANTS:
        raise BadInputError(f"{SIMD_ENV} is '{wanted}'; {', '.join(VARIANTS[:-1])} or {VARIANTS[-1]} is expected")
    for names, reason in ((supported, "this processor cannot run it"), (available, "it was not built")):
        if wanted not in names:
            raise BadInputError(f"{SIMD_ENV} is '{wanted}', but {reason}; possible here: {', '.join(names)}")
    return wanted


def load() -> str:
    """Hands the chosen variant's models to the solver; returns its name."""
    name = choose(os.environ, built(), _solver.supported())
    if name != "baseline" and not _solver.use(import_module(f"giljabi._core_{name}").models):
        raise ImportError(f"giljabi._core_{name} belongs to another build than giljabi._core; build or install again")
    return name

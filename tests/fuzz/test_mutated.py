"""Every Python fuzz target on mutated real inputs; a fixed seed, so that a failure comes again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutate import mutations
from seeds import seeds
from targets import TARGETS

COUNT = {"platform_file": 1000, "scenario_file": 1000, "dbc": 1000, "nmea_driver": 1500, "can_driver": 1500}
COUNT |= {"mavlink_driver": 1000, "mavlink_orders": 1500}
RECORDINGS = Path(os.environ.get("GILJABI_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_break_no_promise(name: str) -> None:
    start = seeds(name, RECORDINGS if RECORDINGS.is_dir() else None)
    target = TARGETS[name]()
    for data in (*start[:40], *mutations(start, COUNT.get(name, 4000), seed=1)):
        try:
            target(data)
        except Exception as e:
            raise AssertionError(f"{name} on {data[:400]!r}: {type(e).__name__}: {e}") from e

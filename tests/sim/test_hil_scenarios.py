"""The scenarios for rigs, over real bytes: what the stack must survive, and what must stop it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from giljabi._core import nmea
from giljabi.cli import main
from giljabi.platform import share_dir
from giljabi_sim.hil_run import Request, run_seed

NAMES = sorted(p.stem for p in (share_dir() / "config" / "scenarios").glob("*_hil_*.yaml"))


def test_they_are_found() -> None:
    assert len(NAMES) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_assert_holds_and_every_fault_is_consumed(name: str, seed: int) -> None:
    run = run_seed(Request(name), seed)
    assert run.passed, [f"{c.name}: {c.words}" for c in run.cases if c.bad]


def test_a_noise_that_the_driver_believed_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scenario fails when corrupted sentences are taken: it can tell a good driver from a bad one."""
    framer = nmea.Framer

    class Gullible:
        """A framer that mends every checksum before it looks."""

        def __init__(self, checksum: str) -> None:
            self._framer, self._half = framer("none"), b""

        def feed(self, data: bytes) -> list[nmea.Sentence]:
            *lines, self._half = (self._half + data).split(b"\n")
            return self._framer.feed(b"".join(line.split(b"*")[0].strip() + b"\r\n" for line in lines))

        @property
        def rejected(self) -> dict[str, int]:
            return self._framer.rejected

    good = run_seed(Request("ship_hil_noise", overrides=["duration_s=40", "asserts=[]"]), 1)
    monkeypatch.setattr(nmea, "Framer", Gullible)
    bad = run_seed(Request("ship_hil_noise", overrides=["duration_s=40", "asserts=[]"]), 1)
    rejected = [r.wires["bridge"]["driver_rejected"].get("checksum", 0) for r in (good, bad)]
    assert rejected[0] > 50
    assert rejected[1] == 0
    assert good.report["cross_track_rms_m"] != bad.report["cross_track_rms_m"]


def test_the_command_in_a_report_makes_the_same_run(tmp_path: Path) -> None:
    first = run_seed(Request("ship_hil_unplug", overrides=["duration_s=5"]), 2)
    words = shlex.split(first.command)
    assert words[:2] == ["giljabi", "hil"]
    out = tmp_path / "o.json"
    main([*words[1:], "--json", str(out)])
    again = json.loads(out.read_text())["runs"][0]
    assert {k: again[k] for k in first.report} == first.report

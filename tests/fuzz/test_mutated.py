"""Every Python fuzz target on mutated real inputs; a fixed seed, so that a failure comes again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutate import mutations
from mutated import BrokenPromise, again, campaign, run_block
from seeds import seeds
from streams import streams
from targets import TARGETS

COUNT = {"platform_file": 1000, "scenario_file": 1000, "dbc": 1000, "mavlink_orders": 1500}
COUNT |= dict.fromkeys(("nmea_driver", "can_driver", "mavlink_driver", "nmea2000_driver"), 500)
RECORDINGS = Path(os.environ.get("GILJABI_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
DATA = RECORDINGS if RECORDINGS.is_dir() else None


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_break_no_promise(name: str) -> None:
    start = seeds(name, DATA)
    target = TARGETS[name]()
    for data in (*start[:40], *mutations(start, COUNT.get(name, 4000), seed=1)):
        try:
            target(data)
        except Exception as e:
            raise AssertionError(f"{name} on {data[:400]!r}: {type(e).__name__}: {e}") from e


@pytest.mark.parametrize("name", streams())
def test_drivers_live_through_mutated_messages(name: str) -> None:
    stream = streams()[name](DATA)
    for number in (0, 3):  # anything, and flipped bits alone
        assert run_block(stream, seed=1, number=number, size=2500) == 2500


@pytest.mark.parametrize("name", streams())
def test_whole_messages_are_taken(name: str) -> None:
    """Else nothing behind the checksums would be reached."""
    stream = streams()[name](DATA)
    driver = stream.make()
    messages = [stream.wrap(b) for b in stream.bodies[:300]]
    for k, message in enumerate(messages):
        driver.step(0.01 * k, list(stream.receive(message, 0.01 * k, 0)))
    assert driver.stats.accepted >= 0.8 * len(messages), driver.stats
    assert stream.right is None or 0 < driver.stats.accepted <= stream.right(b"".join(messages))


def test_a_driver_that_checks_nothing_is_found_and_its_inputs_break_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = streams()["vectornav"](None)
    monkeypatch.setattr("giljabi_drivers.vectornav.binascii", SimpleNamespace(crc_hqx=lambda data, crc: 0))
    assert campaign("vectornav", stream, 10**5, 60.0, 1, f"{tmp_path}/") == 1
    assert "have a right checksum" in capsys.readouterr().out
    (kept,) = tmp_path.glob("*.jsonl")
    with pytest.raises(AssertionError, match="have a right checksum"):
        again(stream, kept)
    monkeypatch.undo()
    again(stream, kept)


def test_a_driver_that_keeps_everything_is_found() -> None:
    stream = streams()["ld19"](None)

    def make() -> Any:
        driver = stream.make()
        driver.kept = kept = []  # type: ignore[var-annotated]
        step = driver.step
        driver.step = lambda now, received: (kept.append(bytearray(2000)), step(now, received))[1]
        return driver

    with pytest.raises(BrokenPromise, match="more than after its first inputs"):
        run_block(replace(stream, make=make), seed=1, number=0, size=4000)

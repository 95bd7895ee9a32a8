"""NMEA 2000 frames a second, on one core: to samples, and to named values beside the package nmea2000, in turns.

usage: python benchmarks/n2k.py [FILE] [--frames N] [--rounds N] [--json]

The package decodes by canboat's compiled codec and is given python-can messages, made beforehand; ours gets what a
transport gives. A saturated NMEA 2000 bus carries at most about 2000 frames a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from giljabi.platform import load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.decode_n2k import N2kDecoder
from giljabi_drivers.nmea2000 import Nmea2000Driver
from giljabi_drivers.recordings import read_recording

ROOT = Path(__file__).resolve().parents[1]
BATCH = 20  # frames a step


def repeated(path: Path, count: int) -> list[Received]:
    """Frames of a recording, again and again, their time going on."""
    once = list(read_recording(path))
    span = once[-1].t - once[0].t + 0.1
    turns = -(-count // len(once))
    return [replace(r, t=r.t + k * span) for k in range(turns) for r in once][:count]


def to_samples(frames: list[Received]) -> int:
    """Driver: samples that come out."""
    driver = Nmea2000Driver(load_platform("ship_n2k"), "backbone")
    count = 0
    for k in range(0, len(frames), BATCH):
        batch = frames[k : k + BATCH]
        count += len(driver.step(batch[-1].t, batch).samples)
    assert driver.stats.rejected == {}, driver.stats.rejected
    return count


def to_values(frames: list[Received]) -> int:
    """`giljabi decode n2k` without printing: groups that come out."""
    return sum(1 for _ in N2kDecoder().frames("", frames))


def peer(frames: list[Received]) -> Callable[[], int]:
    """The package nmea2000; its groups that come out."""
    from can import Message
    from nmea2000 import NMEA2000Decoder
    from nmea2000.input_formats import N2KFormat

    messages = [Message(r.t, r.can_id, is_extended_id=True, data=r.data) for r in frames]

    def run() -> int:
        decoder = NMEA2000Decoder(bound_format=N2KFormat.PYTHON_CAN, units="si")
        return sum(1 for m in messages if decoder.decode(m) is not None)

    return run


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "examples/data/backbone.candump.gz")
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    frames = repeated(args.file, args.frames)
    runs: dict[str, Callable[[], int]] = {
        "samples": lambda: to_samples(frames), "values": lambda: to_values(frames), "nmea2000": peer(frames),
    }  # fmt: skip
    best: dict[str, float] = dict.fromkeys(runs, float("inf"))
    out: dict[str, Any] = {"frames": len(frames)}
    for _ in range(args.rounds):
        for name, run in runs.items():
            start = time.process_time()
            out[f"{name}_out"] = run()
            best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        out[f"{name}_frames_per_s"] = round(len(frames) / seconds)
    out["samples_ratio"] = round(best["nmea2000"] / best["samples"], 2)
    out["values_ratio"] = round(best["nmea2000"] / best["values"], 2)
    print(json.dumps(out) if args.json else "\n".join(f"{k:24} {v}" for k, v in out.items()))


if __name__ == "__main__":
    main()

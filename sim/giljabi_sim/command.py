"""`giljabi sim`: one scenario in lock-step."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from giljabi.types import BadInputError
from giljabi_sim.fault_spec import EXAMPLE
from giljabi_sim.scenario import load_scenario

SAFE = ("arrived",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `giljabi sim`."""
    parser.add_argument("scenario", metavar="SCENARIO", help="scenario file, or the name of one in config/scenarios")
    parser.add_argument("--seed", type=seed_number, metavar="N", help="instead of the file's seed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value")
    parser.add_argument("--fault", action="append", default=[], metavar="F", help=f"another fault, e.g. '{EXAMPLE}'")
    parser.add_argument("--track", metavar="FILE", help="track CSV instead of the file's")
    parser.add_argument("--mission", metavar="FILE", help="a mission file instead of the file's way")
    parser.add_argument("--json", metavar="F", help="write the figures as one JSON object; - is standard output")
    parser.add_argument("--video", metavar="F.mp4", help="a film of a walker, rendered off screen")
    parser.add_argument("--out", metavar="DIR", help="write table, bytes and picture of the run")
    parser.epilog = "example: giljabi sim ship_crossing --seed 3 --set world.wind.speed=8 --out run3"


def run(args: argparse.Namespace) -> int:
    """Runs the scenario; 0 when it arrived, every assert held and every fault met something, else 1."""
    from giljabi_sim.humanoid.video import VideoRecorder, check_video, choose_backend
    from giljabi_sim.lockstep import LockStep
    from giljabi_sim.record import FileRecorder

    if args.video:
        choose_backend()
        film = check_video(args.video)
    scenario = load_scenario(args.scenario, args.set, args.track, args.seed, faults=args.fault, mission=args.mission)
    recorder = FileRecorder(Path(args.out)) if args.out else None
    loop = LockStep(scenario, recorder)
    video = VideoRecorder(film, loop.simulation) if args.video else None
    loop.use(*(r for r in (recorder, video) if r is not None))
    result = loop.run(progress_bar(scenario.model.duration_s))
    report = result.report
    if video is not None:
        video.close()
    if recorder is not None:
        recorder.close(loop.simulation, report)
    if args.json:
        write_json(args.json, report)
    if args.json != "-":
        print(_summary(report))
    for reason in result.reasons:
        print(f"did not arm: {reason}", file=sys.stderr)
    unconsumed = loop.simulation.world.faults.unconsumed()
    for problem in unconsumed:
        print(f"fault not consumed: {problem}", file=sys.stderr)
    held = all(a["held"] for a in report["asserts"])
    return 0 if report["outcome"] in SAFE and held and not unconsumed else 1


def seed_number(text: str) -> int:
    """argparse type: a seed from 0 to 2^31 - 1."""
    if not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"'{text}' is no seed; a whole number from 0 to {2**31 - 1} is expected")
    return int(text)


def progress_bar(duration: float) -> Callable[[float], None] | None:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None

    def show(t: float) -> None:
        part = min(t / duration, 1.0)
        bar = "#" * round(30 * part)
        print(f"\r[{bar:<30}] {t:6.1f} s of at most {duration:.0f} s", end="", file=sys.stderr, flush=True)

    return show


def write_json(target: str, report: dict[str, Any]) -> None:
    text = json.dumps(report, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as e:
        raise BadInputError(f"--json {target}: cannot be written ({e.strerror}); a file name is expected") from None


def _summary(report: dict[str, Any]) -> str:
    distance = report["min_distance_m"]
    parts = [
        f"{report['scenario']} (seed {report['seed']}): {report['outcome']} after {report['t_end_s']:.1f} s",
        f"path {report['path_m']:.0f} m",
        f"cross track {report['cross_track_rms_m']:.2f} m RMS",
    ]
    if distance is not None:
        parts.append(f"nearest {distance:.2f} m")
    failed = [a["name"] for a in report["asserts"] if not a["held"]]
    if failed:
        parts.append(f"not held: {'; '.join(failed)}")
    return ", ".join(parts)

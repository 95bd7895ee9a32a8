"""`giljabi hil`: a scenario over real bytes, with faults, a verdict, JUnit XML and a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from giljabi.types import BadInputError
from giljabi_sim.command import progress_bar, seed_number, write_json
from giljabi_sim.fault_spec import EXAMPLE
from giljabi_sim.hil_run import HilRun, Request, finite, run_seed

SEEDS_MAX = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `giljabi hil`."""
    add = parser.add_argument
    add("scenario", metavar="SCENARIO", help="scenario file, or the name of one in config/scenarios")
    add("--realtime", action="store_true", help="the whole stack as `giljabi run` starts it; needs ROS 2")
    add("--fault", action="append", default=[], metavar="F", help=f"another fault, e.g. '{EXAMPLE}'; repeatable")
    add("--seed", type=seed_number, metavar="N", help="instead of the file's seed")
    add(
        "--seeds", type=_count, default=1, metavar="N", help="so many runs, one after the other, from the first seed on"
    )
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="another value")
    add("--track", metavar="FILE", help="track CSV instead of the file's")
    add("--junit", metavar="F", help="write JUnit XML; - is standard output")
    add("--report", metavar="F.html", help="write one self-contained page with plots")
    add("--json", metavar="F", help="write figures and verdict as one JSON object; - is standard output")
    parser.epilog = f"example: giljabi hil ship_straight --fault '{EXAMPLE}' --junit hil.xml --report hil.html"


def run(args: argparse.Namespace) -> int:
    """Runs every seed; 0 when all asserts held, every fault was consumed and no outcome was unsafe, else 1."""
    if args.json == "-" and args.junit == "-":
        raise BadInputError("--json - and --junit -: both on standard output; one of them is expected")
    request = Request(args.scenario, args.seed, args.set, args.track, args.fault, args.realtime)
    scenario = request.load()
    first, out = scenario.model.seed, sys.stderr if "-" in (args.json, args.junit) else sys.stdout
    if first + args.seeds > 2**31:
        raise BadInputError(f"--seeds {args.seeds}: the last seed would be above {2**31 - 1}; fewer are expected")
    for option, path in (("--junit", args.junit), ("--report", args.report), ("--json", args.json)):
        _check_writable(option, path)
    progress = progress_bar(scenario.model.duration_s)
    runs = []
    for seed in range(first, first + args.seeds):
        runs.append(run_seed(request, seed, progress))
        print(_summary(runs[-1]), file=out, flush=True)
    _write(args, runs)
    return 0 if all(r.passed for r in runs) else 1


def figures(runs: list[HilRun]) -> dict[str, Any]:
    """What --json writes."""
    return {
        "scenario": runs[0].report["scenario"],
        "platform": runs[0].report["platform"],
        "passed": all(r.passed for r in runs),
        "failed": sum(not r.passed for r in runs),
        "runs": [r.json() for r in runs],
    }


def _write(args: argparse.Namespace, runs: list[HilRun]) -> None:
    if args.junit:
        from giljabi_sim.hil_junit import junit

        _write_text("--junit", args.junit, junit(runs))
    if args.report:
        from giljabi_sim.hil_report import page

        _write_text("--report", args.report, page(runs))
    if args.json:
        write_json(args.json, figures(runs))


def _summary(run: HilRun) -> str:
    """One line, and one more for each thing that failed."""
    r = run.report
    parts = [f"{'passed' if run.passed else 'FAILED'} {r['scenario']} (seed {r['seed']})", run.cases[0].words]
    if r.get("cross_track_rms_m") is not None:
        parts.append(f"cross track {finite(r['cross_track_rms_m'])} m RMS")
    lines = [
        f"  {c.group} {'error' if c.status == 'error' else 'failed'}: {c.name}: {c.words}" for c in run.cases if c.bad
    ]
    return "\n".join([", ".join(parts), *lines])


def _check_writable(option: str, path: str | None) -> None:
    """Before minutes of running; raises BadInputError."""
    if path and path != "-" and not Path(path).resolve().parent.is_dir():
        raise BadInputError(f"{option} {path}: no such folder; a file in an existing one is expected")


def _write_text(option: str, target: str, text: str) -> None:
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as e:
        raise BadInputError(f"{option} {target}: cannot be written ({e.strerror}); a file name is expected") from None


def _count(text: str) -> int:
    """argparse type: how many runs."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of runs; 1 to {SEEDS_MAX} is expected")
    return int(text)

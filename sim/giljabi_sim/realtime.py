"""The simulated vehicle in real time: the same plant and peers behind pseudo-terminals, sockets and a CAN multicast.

Everything stays on 127.0.0.1. Ends on SIGINT and SIGTERM, and when its parent dies.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from giljabi.arguments import Parser
from giljabi.children import ask_realtime
from giljabi.clock import StackClock
from giljabi.platform import Platform
from giljabi.types import BadInputError, GiljabiError
from giljabi_sim.fault_spec import EXAMPLE
from giljabi_sim.faults import STEPS
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation
from giljabi_sim.stack_words import StackWords
from giljabi_sim.wires import Line, open_lines, plug_lines

if TYPE_CHECKING:
    from giljabi_sim.humanoid.poses import PoseLog

RATE_HZ = 100.0
PRIORITY = 30  # of SCHED_FIFO, where a bus is answered: below the stack's fast loop
BUS_TICKS = 10.0  # of `simulation.rate_hz`, cut out likewise: a walker cannot stand still blindly
LONGEST_STEP = 0.25  # s; a longer pause (a suspended machine) is cut out of the simulated time
OUTCOME_PERIOD = 1.0  # s
TRUTH_RATE = 10.0  # Hz
RUNNING = "running"
STALLS = "stalls.json"  # names of the nodes that a fault wants dead


def device_urls(platform: Platform, run_dir: Path) -> dict[str, str]:
    """Device URL of every driver, as the simulator in `run_dir` wrote them; raises BadInputError before that."""
    path = run_dir / "devices.json"
    try:
        urls = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInputError(f"{path}:1: no device URLs; a running simulator is expected") from None
    missing = [n for n in platform.model.drivers if n not in urls]
    if missing:
        raise BadInputError(f"{path}:1: no URL for driver '{missing[0]}'; one for every driver is expected")
    return {str(k): str(v) for k, v in urls.items()}


class RealTime:
    """Simulation, lines and files; one call of `step` is one tick."""

    def __init__(self, simulation: Simulation, run_dir: Path, truth: Path | None, poses: Path | None = None) -> None:
        """Opens every line; raises BadInputError when the folder cannot be written, or `poses` asked of no walker."""
        self.simulation = simulation
        self._poses = _pose_log(poses, simulation) if poses is not None else None
        self._dir = run_dir
        _write(run_dir / "mission.json", simulation.mission())
        self.lines: dict[str, Line] = open_lines(simulation.scenario.platform, simulation.peers, run_dir)
        self._truth = truth.open("w", encoding="utf-8", buffering=1) if truth is not None else None
        self._outcome_due = self._truth_due = self._judge_due = 0.0
        self._final = False
        self._stalls: list[str] = []
        self._stack = StackWords(run_dir / "told.jsonl")
        self._gone: set[str] = set()  # lines that a fault has unplugged
        self._carried = {name: {"bytes_in": 0, "bytes_out": 0} for name in self.lines}  # from and to the device
        self._words = {step: run_dir / f"stalled.{step}" for step in STEPS}
        for path in (run_dir / STALLS, *self._words.values()):
            path.unlink(missing_ok=True)
        _write(run_dir / "devices.json", self.urls)

    @property
    def urls(self) -> dict[str, str]:
        """Device URL by driver."""
        return {name: line.url for name, line in self.lines.items()}

    def step(self, now: float) -> None:
        """Reads every line, moves the world to `now` [s since the start], writes every line."""
        received = {name: chunks for name, line in self.lines.items() if (chunks := line.read())}
        for name, chunks in received.items():
            self._carried[name]["bytes_out"] += sum(len(c.data) for c in chunks)
        sent = self.simulation.step(now, received)
        if self._poses is not None:
            self._poses.take()
        plug_lines(self.lines, self.simulation.unplugged, self._gone)
        for name, chunks in sent.items():
            if self.lines[name].write(chunks):
                self._carried[name]["bytes_in"] += sum(len(c.data) for c in chunks)
        self._stall()
        changed = self._stack.read(now) and not self._final  # what the end of the stack looks like is not the run's
        if now >= self._judge_due and not self._final:
            self._judge_due = now + 1.0 / self.simulation.judge.rate_hz
            stack = self._stack.signals(now, self.simulation.world.own)
            self._final = bool(self.simulation.judge.look(stack))
            if self._final:
                self.report()
        if now >= self._outcome_due:
            self._outcome_due = now + OUTCOME_PERIOD
            self.report()
        if self._truth is not None and (changed or now >= self._truth_due):
            if now >= self._truth_due:
                self._truth_due = now + 1.0 / TRUTH_RATE
            self._truth.write(json.dumps(self._row(now)) + "\n")

    def _row(self, now: float) -> dict[str, Any]:
        """Ground truth, and what the stack said last where it tells."""
        own = self.simulation.world.own
        row: dict[str, Any] = {"now": now, "t": self.simulation.world.t}
        row |= {"x": own.x, "y": own.y, "yaw": own.yaw, "vx": own.vx, "vy": own.vy, **own.feedback}
        row |= {"outcome": self.simulation.judge.outcome or RUNNING}
        return row | ({"stack": self._stack.newest} if self._stack.newest and not self._final else {})

    def wait(self, seconds: float) -> None:
        """Until something is there to read, or so long."""
        fds = [fd for line in self.lines.values() if (fd := getattr(line, "fileno", lambda: -1)()) >= 0]
        select.select(fds, [], [], max(seconds, 0.0))

    def _stall(self) -> None:
        """Tells the stack's nodes which of them a fault wants dead; one that obeys leaves a file: it met the fault."""
        faults = self.simulation.world.faults
        stalls = faults.stalls()
        if stalls != self._stalls:
            self._stalls = stalls
            _write(self._dir / STALLS, stalls)
        for step in stalls:
            if self._words[step].exists():
                faults.silent(step)

    def report(self) -> None:
        """Writes outcome.json in one piece."""
        figures = self.simulation.judge.report()
        if not self._final:
            figures["t_end_s"] = round(self.simulation.world.t, 3)
        figures["words"] = self.simulation.judge.words()
        figures["fault_problems"] = self.simulation.world.faults.problems()
        counts = self._stack.counts
        drivers = counts.get("drivers", {})
        figures["wires"] = {
            name: {
                **self._carried[name],
                "device_accepted": p.accepted,
                "device_rejected": dict(p.rejected),
                **{f"driver_{k}": v for k, v in drivers.get(name, {}).items()},
            }
            for name, p in self.simulation.peers.items()
        }
        if "guard" in counts:
            figures["guard"] = counts["guard"]
        _write(self._dir / "outcome.json", figures)

    def close(self) -> None:
        """Writes the outcome, closes everything, takes the links away."""
        self._stack.read(math.inf)
        self._stack.close()
        self.report()
        for line in self.lines.values():
            line.close()
        for path in (self._dir / STALLS, *self._words.values()):
            path.unlink(missing_ok=True)
        for log in (self._truth, self._poses):
            if log is not None:
                log.close()


def _pose_log(path: Path, simulation: Simulation) -> PoseLog:
    from giljabi_sim.humanoid.poses import PoseLog  # MuJoCo is there for walkers only

    return PoseLog(path, simulation)


def _write(path: Path, data: Mapping[str, Any] | Sequence[str]) -> None:
    """A JSON file that is there whole or not at all."""
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
        part.replace(path)
    except OSError as e:
        raise BadInputError(f"{path}: cannot be written ({e.strerror}); a folder that exists is expected") from None


def _die_with_parent() -> None:
    """Asks Linux for SIGTERM when the parent dies."""
    import ctypes

    pr_set_pdeathsig = 1
    # Where there is no prctl the parent's identifier, which is watched as well, has to do.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="giljabi-sim-peers",
        description="The simulated vehicle in real time, behind the devices' real bytes.",
        epilog="example: giljabi-sim-peers --scenario ship_crossing --run-dir /tmp/run",
    )
    parser.add_argument("--scenario", required=True, metavar="F", help="scenario file or name")
    parser.add_argument("--platform", metavar="P", help="instead of the scenario's platform")
    parser.add_argument("--track", metavar="F", help="instead of the scenario's track")
    parser.add_argument("--mission", metavar="F", help="a mission file instead of the scenario's way")
    parser.add_argument("--seed", type=int, metavar="N", help="instead of the scenario's seed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value in the scenario")
    parser.add_argument("--fault", action="append", default=[], metavar="F", help=f"another fault, e.g. '{EXAMPLE}'")
    parser.add_argument("--run-dir", required=True, type=Path, metavar="DIR", help="for links, device URLs and outcome")
    parser.add_argument("--truth", type=Path, metavar="F", help="write the ground truth as JSON lines")
    parser.add_argument("--poses", type=Path, metavar="F", help="write a walker's poses, to film them afterwards")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `giljabi-sim-peers`."""
    parent = os.getppid()
    stop: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    _die_with_parent()
    try:
        args = _arguments(argv)
        given, overrides = args.mission, args.set
        scenario = load_scenario(
            args.scenario, overrides, args.track, args.seed, args.platform, faults=args.fault, mission=given
        )
        shell = RealTime(Simulation(scenario), args.run_dir, args.truth, args.poses)
    except GiljabiError as e:
        print(str(e).replace("\n", " "), file=sys.stderr)
        return 2 if isinstance(e, BadInputError) else 1
    print(json.dumps(shell.urls), flush=True)
    try:
        _loop(shell, lambda: bool(stop) or os.getppid() != parent)
    finally:
        shell.close()
    return 0


def _loop(shell: RealTime, ended: Callable[[], bool]) -> None:
    """Ticks on the stack's monotonic clock; a bus with a master is answered when it speaks, not at the next tick."""
    clock = StackClock()
    start, tick = clock.now(), 0
    last = 0.0
    rate = shell.simulation.rate_hz
    if rate is not None:
        ask_realtime(PRIORITY)
    longest = LONGEST_STEP if rate is None else BUS_TICKS / rate
    while not ended():
        now = clock.now() - start
        if now - last > longest:
            start += now - last - longest
            now = last + longest
        shell.step(now)
        last = now
        tick = int(now * (rate or RATE_HZ)) + 1
        if rate is None:
            time.sleep(max(tick / RATE_HZ - (clock.now() - start), 0.0))
        else:
            shell.wait(min(tick / rate, shell.simulation.next_deadline) - (clock.now() - start))


if __name__ == "__main__":
    sys.exit(main())

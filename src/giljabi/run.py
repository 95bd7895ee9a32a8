"""`giljabi run`: starts the process table, tells how it goes, and leaves nothing behind. No ROS in this process."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from giljabi.children import Child, Children, exit_words
from giljabi.clock import OFFSET_ENV, make_offset_ns
from giljabi.missions.files import plain, read_plan
from giljabi.nodes import MODULES, ProcessSpec, RunSpec, processes
from giljabi.platform import Platform, find_platform, load_platform, share_dir
from giljabi.ros_env import ros_environment
from giljabi.rundir import DOMAIN_ENV, RUN_ENV, RunDir
from giljabi.tell import heard
from giljabi.types import BadInputError

DONE, MISSED, INTERRUPTED = 0, 1, 130
UNTIL_DONE_TIMEOUT_S = 600.0
OUTCOME_WAIT_S = 15.0  # after arrival, for the simulator to agree
FAST_FAILURES = 5  # a child that ends that often in a row ends the run
RUNNING = "running"
GOOD = ("arrived",)
PAGE_PORT = 8642
POSES = "poses.bin"  # of a walker, in the run's directory

# --- arguments ------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giljabi run`."""
    parser.epilog = "example: giljabi run ship --until-done"
    add = parser.add_argument
    add("platform", metavar="P", help="a platform's name (config/platforms) or file")
    add("--scenario", metavar="F", help="scenario file; default: the platform file's")
    add("--track", metavar="F", help="track file (CSV) whose lap replaces the scenario's route")
    add("--mission", metavar="FILE", help="fly this mission (.plan, .geojson, .yaml) instead of the scenario's way")
    add("--hardware", action="store_true", help="use the platform file's devices; default: simulated ones")
    add("--device", metavar="NAME=URL", action="append", default=[], help="another device for driver NAME; repeatable")
    add("--until-done", action="store_true", help="end when the goal is reached; exit code 1 when it is not")
    add(
        "--timeout",
        metavar="S",
        type=float,
        help="give up after S seconds (--until-done: when the scenario ends)",
    )
    add("--no-page", action="store_true", help="without the page")
    add("--video", metavar="F.mp4", help="a film of a simulated walker, rendered when the run is over")
    add("--json", metavar="F", help="write the result as JSON; - is standard output")


def run(args: argparse.Namespace) -> int:
    """Runs the stack; returns the exit code."""
    platform = load_platform(args.platform)
    if find_spec("rclpy") is None:
        raise BadInputError("ROS 2 cannot be imported; pip install 'giljabi[ros]' or source a ROS 2 installation")
    if args.timeout is not None and not args.timeout > 0.0:
        raise BadInputError(f"--timeout {args.timeout}; a number of seconds above 0 is expected")
    devices = check_devices(args.device, platform)
    scenario = find_scenario(platform, args.scenario or "", args.hardware)
    track = _file("--track", args.track) if args.track else None
    if track is not None and args.hardware:
        raise BadInputError("--track goes with a simulated run; give a scenario with a route to --hardware")
    mission = _file("--mission", args.mission) if args.mission else None
    plan = read_plan(mission) if mission is not None else None
    if mission is not None and track is not None:
        raise BadInputError("--mission and --track are given; one of them is expected")
    film = _film_path(args.video, platform, args.hardware) if args.video else None
    timeout = _timeout(args, scenario, track, mission)
    with_page = not args.no_page and find_spec("giljabi.ros.page") is not None
    out = sys.stderr if args.json == "-" else sys.stdout
    where = RunDir(platform.name)
    spec = RunSpec(
        platform_file=find_platform(args.platform).resolve(),
        run_dir=where.path,
        simulated=not args.hardware,
        scenario=scenario,
        track=track,
        mission=mission,
        devices=devices,
        page_port=PAGE_PORT,
        simulator=("--poses", str(where.path / POSES)) if film is not None else (),
    )
    if args.hardware and plan is not None:
        spec.mission_file.write_text(json.dumps({"plan": plain(plan)}), encoding="utf-8")
    elif args.hardware and scenario is not None:
        from giljabi_sim.scenario import load_scenario
        from giljabi_sim.simulation import Simulation

        # Only origin, route and fences: the rest of a scenario is about the simulated world.
        told = Simulation(load_scenario(str(scenario), platform=str(spec.platform_file))).mission()
        spec.mission_file.write_text(json.dumps(told), encoding="utf-8")
    stage = Stage(spec, where, platform.name, bool(args.until_done), timeout, out)
    try:
        code = stage.play(processes(spec.simulated, with_page, fast_loop=platform.model.fast_loop is not None))
        if film is not None:
            stage.film(film)
    finally:
        where.close()
    if args.json:
        _write_json(args.json, stage.result())
    return code


def _timeout(args: argparse.Namespace, scenario: Path | None, track: Path | None, mission: Path | None = None) -> float:
    """Seconds until `run` gives up: as asked, else longer than the scenario lasts, else never."""
    if args.timeout is not None or not args.until_done:
        return math.inf if args.timeout is None else float(args.timeout)
    if mission is not None:
        return math.inf  # as long as it takes
    if scenario is None or args.hardware:
        return UNTIL_DONE_TIMEOUT_S
    from giljabi_sim.scenario import load_scenario

    return max(UNTIL_DONE_TIMEOUT_S, load_scenario(scenario, track=str(track) if track else None).model.duration_s + 60)


def check_devices(pairs: list[str], platform: Platform) -> dict[str, str]:
    """NAME=URL pairs as a dict; raises BadInputError for one that is none or for no driver of the platform."""
    from giljabi_drivers.transport import parse_url

    devices = {}
    for pair in pairs:
        name, equals, url = pair.partition("=")
        if not equals or not url:
            raise BadInputError(f"--device {pair}: no URL; NAME=URL is expected, e.g. bridge=serial:/dev/ttyUSB0")
        if name not in platform.model.drivers:
            known = ", ".join(platform.model.drivers)
            raise BadInputError(f"--device {pair}: the platform has no driver '{name}'; its drivers are {known}")
        parse_url(url)
        devices[name] = url
    return devices


def _film_path(target: str, platform: Platform, hardware: bool) -> Path:
    """What --video names, with all that filming takes; raises BadInputError before anything has started."""
    if hardware or platform.model.robot is None:
        what = "--hardware" if hardware else f"'{platform.name}'"
        raise BadInputError(f"--video does not go with {what}; a simulated walker is expected")
    from giljabi_sim.humanoid.video import check_video, choose_backend

    choose_backend()
    return check_video(target)


def _file(option: str, name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise BadInputError(f"{option} {name}: no such file; a readable file is expected")
    return path.resolve()


def find_scenario(platform: Platform, asked: str, hardware: bool) -> Path | None:
    """Scenario file: the one asked for (also by its name in config/scenarios), else the platform's; hardware: none."""
    folder = share_dir() / "config" / "scenarios"
    if asked:
        named = [Path(asked), folder / asked, folder / f"{asked}.yaml"]
        return _file("--scenario", str(next((p for p in named if p.is_file()), asked)))
    if hardware:
        return None
    name = platform.model.scenario
    found = [p for p in (platform.file.path.parent / name, folder / name) if p.is_file()]
    if not found:
        raise platform.error(("scenario",), f"no scenario file '{name}' in {folder}; an existing one is expected")
    return found[0].resolve()


def _write_json(target: str, result: dict[str, Any]) -> None:
    text = json.dumps(result, allow_nan=False)
    if target == "-":
        print(text, flush=True)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as e:
        raise BadInputError(f"--json {target}: {e.strerror}; a writable file is expected") from None


# --- what children are told -----------------------------------------------------------------------


def process_environment(env: Mapping[str, str], run_id: str) -> dict[str, str]:
    """What all processes of a run find in their environment beside `env`."""
    one_thread = {n: "1" for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if n not in env}
    return {RUN_ENV: run_id, "PYTHONUNBUFFERED": "1"} | one_thread | ros_environment(env)


def environment(where: RunDir, offset_ns: int) -> dict[str, str]:
    """Environment of all children: one clock, one DDS domain on this machine only, one thread for linear algebra."""
    env = dict(os.environ)
    # The ROS wheels mark a bootstrapped interpreter; libraries of another environment must not be taken for ours.
    if sys.prefix not in env.get("LD_LIBRARY_PATH", ""):
        env.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    env |= process_environment(env, where.id)
    return env | {OFFSET_ENV: str(offset_ns), DOMAIN_ENV: str(where.domain)}


def program(process: ProcessSpec, python: str) -> list[str]:
    """argv that starts a row's executable: as a module of this interpreter where it is one of ours."""
    module = MODULES.get(process.executable)
    return [python, "-m", module] if module else [process.executable]


def command_line(process: ProcessSpec, spec: RunSpec) -> list[str]:
    """argv of a process; ROS parameters come from the file that `write_parameters` made."""
    argv = [*program(process, sys.executable), *spec.arguments(process)]
    if process.nodes:
        argv += ["--ros-args", "--params-file", str(spec.run_dir / "parameters.yaml")]
        argv += ["-r", f"__ns:=/{spec.namespace.strip('/')}"] if spec.namespace else []
    return argv


def write_parameters(spec: RunSpec) -> None:
    """One parameter file for all nodes."""
    text = yaml.safe_dump({"/**": {"ros__parameters": spec.parameters()}})
    (spec.run_dir / "parameters.yaml").write_text(text, encoding="utf-8")


# --- one run --------------------------------------------------------------------------------------


class Stage:
    """One run: children, what they tell, and how it ends."""

    def __init__(  # noqa: PLR0917
        self, spec: RunSpec, where: RunDir, name: str, until_done: bool, timeout_s: float, out: Any
    ) -> None:
        self.spec, self.where, self.name = spec, where, name
        self.until_done, self.timeout_s, self.out = until_done, timeout_s, out
        self.signals = 0
        self.outcome = RUNNING
        self.phases: list[dict[str, Any]] = []
        self._code: int | None = None
        self._began = time.monotonic()
        self._arrived_at: float | None = None
        self._truth: dict[str, Any] = {}
        self._truth_mtime = 0
        self._offset_ns = make_offset_ns()

    def play(self, table: tuple[ProcessSpec, ...]) -> int:
        """Starts everything, waits for the end, ends everything; returns the exit code."""
        old = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        children = Children(environment(self.where, self._offset_ns), self.where.log_dir, self._on_line, self._on_end)
        try:
            self._open()
            write_parameters(self.spec)
            for process in table:
                if self.signals == 0:
                    argv = command_line(process, self.spec)
                    children.add(process.name, argv, process.restart == "always", process.stops, process.nice)
            while self._code is None:
                children.poll(0.2)
                self._check()
        finally:
            first = self.signals
            left = children.end(lambda: self.signals > max(first, 1))
            children.close()
            self._read_truth()
            for s, handler in old.items():
                signal.signal(s, handler)
        if left:
            self._say(f"could not end: {', '.join(left)}")
        return self._code

    def film(self, path: Path) -> None:
        """Renders what the simulated walker did, in a process where MuJoCo has been told how."""
        self._say("rendering the film")
        spec = self.spec
        files = [spec.run_dir / POSES, path, spec.scenario, spec.platform_file]
        argv = [sys.executable, "-m", "giljabi_sim.humanoid.video", *map(str, files)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self._say((done.stdout.strip().splitlines() or ["no film"])[-1])

    def result(self) -> dict[str, Any]:
        """What --json writes: the simulator's figures, the outcome of the whole stack, phases and times."""
        truth = {k: v for k, v in self._truth.items() if k != "outcome"}
        return {
            **truth,
            "platform": self.name,
            "scenario": self.spec.scenario.name if self.spec.scenario else None,
            "outcome": "stopped" if self.outcome == RUNNING else self.outcome,
            "phases": self.phases,
            "wall_s": round(time.monotonic() - self._began, 3),
            "log_dir": str(self.where.log_dir),
        }

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1

    def _open(self) -> None:
        way = self.spec.mission or self.spec.scenario
        kind = f"simulated, {way.name if way else ''}" if self.spec.simulated and self.spec.scenario else "hardware"
        self._say(f"{self.name}: {kind}; ROS_DOMAIN_ID={self.where.domain}; logs in {self.where.log_dir}")
        self._phase("starting")

    def _say(self, text: str) -> None:
        try:
            print(text, file=self.out, flush=True)
        except (BrokenPipeError, OSError):
            self._end(MISSED, self.outcome)

    def _phase(self, text: str) -> None:
        if not self.phases or self.phases[-1]["phase"] != text:
            self.phases.append({"phase": text, "wall_s": round(time.monotonic() - self._began, 2)})
            self._say(text)

    def _end(self, code: int, outcome: str) -> None:
        if self._code is None:
            self._code, self.outcome = code, outcome

    # --- what happens ---

    def _on_line(self, child: Child, line: str) -> None:
        event = heard(line)
        if event is None or self._code is not None:
            return
        kind = event["event"]
        if kind == "page":
            self._say(f"page: {event.get('url')}")
        elif kind == "phase":
            self._phase(str(event.get("text")))
        elif kind == "arrived":
            self._phase("arrived")
            self._arrived_at = time.monotonic()
        elif kind in ("failed", "left"):
            self._phase(str(event.get("text")))
            if self.until_done and self._arrived_at is None:
                self._end(MISSED, "stopped")

    def _on_end(self, child: Child, code: int) -> None:
        if self._code is not None:
            return
        again = child.restart and code != 2 and child.failures < FAST_FAILURES
        words = f"{child.name} ended ({exit_words(code)})"
        tail = [line for line in child.tail if heard(line) is None]
        for line in tail if code else []:
            self._say(f"  {child.name}: {line}")
        self._say(f"{words}; it starts again" if again else f"{words}; this ends the run")
        if not again:
            child.again_at = None
            self._end(2 if code == 2 else MISSED, "stopped")

    def _check(self) -> None:
        now = time.monotonic()
        if self.signals:
            self._say("ending")
            self._end(INTERRUPTED, "stopped")
        elif now - self._began > self.timeout_s:
            self._phase(f"not done after {self.timeout_s:g} s")
            self._end(MISSED, "timeout")
        self._read_truth()
        truth = str(self._truth.get("outcome", RUNNING))
        if self.spec.simulated and truth not in (RUNNING, *GOOD):
            self._phase(f"simulation: {truth}")
            if self.until_done:
                self._end(MISSED, truth)
        if self._arrived_at is None or not self.until_done:
            return
        if not self.spec.simulated or truth in GOOD:
            self._end(DONE, "arrived")
        elif now - self._arrived_at > OUTCOME_WAIT_S:
            self._phase("the stack says arrived, the simulator does not")
            self._end(MISSED, "timeout")

    def _read_truth(self) -> None:
        """The simulator's outcome, when it wrote a new one."""
        path = self.spec.run_dir / "outcome.json"
        try:
            mtime = path.stat().st_mtime_ns
            if mtime != self._truth_mtime:
                self._truth_mtime = mtime
                data = json.loads(path.read_text(encoding="utf-8"))
                self._truth = data if isinstance(data, dict) else {}
        except (OSError, ValueError):
            pass

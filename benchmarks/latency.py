#!/usr/bin/env python3
"""Sensor-to-actuator latency and CPU use of the running ROS graph.

usage: benchmarks/latency.py [--platform car] [--scenario F] [--seconds S] [--json F|-]

Method. The whole stack runs as users run it (`giljabi run`, simulated, real bytes). Each node writes which stamp its
result was computed from (GILJABI_TRACE): the estimator the time at which the newest inertial sample's bytes were
received, and the odometry; the controller the odometry and the command. The other end is the wire itself: this script
joins the vehicle's CAN multicast as one more listener and decodes the guard's command frames. A frame whose value
differs from the one before is matched to the earliest command that rounds to this value and was made after the last
match; of the frames that rest on the same sample only the first counts. So a latency counts from the arrival of the
sensor's bytes in the driver to the arrival, in a third process, of the first command bytes that were computed from
them; waiting for the next tick of the guard is in it. Frames that match no command (the guard was limiting a rate) are
left out and counted.

CPU use is user and system time of each process from /proc over the same seconds, in percent of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from giljabi.children import prioritise
from giljabi.clock import OFFSET_ENV, StackClock
from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.types import BadInputError
from giljabi.wire import WireField, WireMessage
from giljabi_drivers.transport import open_transport

START_S = 60.0
COMMAND_AGE_S = 0.3  # an older command is not what a frame shows


def environment_of(pid: int) -> dict[str, str]:
    """Environment of a process."""
    text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def descendants(pid: int) -> dict[int, str]:
    """Children of a process: pid -> what it runs."""
    out = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        after = words[words.index("-m") + 1 :] if "-m" in words else words
        name = after[1] if after[0].endswith("process") else after[0].rsplit(".", 1)[-1]
        out[int(child)] = "simulation" if name == "realtime" else name
    return out


def cpu_s(pid: int) -> float:
    """User and system time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Tap:
    """One more listener on the vehicle's bus: values of one actuator's frames with their time of arrival."""

    def __init__(self, platform: str, run_dir: Path, actuator: str, offset_ns: int) -> None:
        p = load_platform(platform)
        name = p.model.actuators[actuator].driver
        self._clock = StackClock(offset_ns)
        self.transport = open_transport(json.loads((run_dir / "devices.json").read_text())[name])
        table = build_driver(p, name).encode_table()
        self.message, self.field = self._find(table.messages, actuator)
        self.frames: list[tuple[float, int]] = []  # (arrival, raw value)

    @staticmethod
    def _find(messages: tuple[WireMessage, ...], actuator: str) -> tuple[WireMessage, WireField]:
        for m in messages:
            for f in m.fields:
                if f.actuator == actuator and f.source == "value" and m.can_id >= 0:
                    return m, f
        raise BadInputError(f"no CAN message carries '{actuator}'; a platform whose actuator goes by CAN is expected")

    def raw(self, value: float) -> int:
        """What the guard writes for an SI value."""
        f = self.field
        return round(min(max(value * f.scale + f.offset, f.raw_min), f.raw_max))

    def _decode(self, data: bytes) -> int:
        """The field of a frame, with DBC bit numbering."""
        f = self.field
        if f.big_endian:
            at = 8 * (f.start_bit // 8) + 7 - f.start_bit % 8  # bits counted from the first byte's most significant one
            value = int.from_bytes(data, "big") >> (8 * len(data) - at - f.length)
        else:
            value = int.from_bytes(data, "little") >> f.start_bit
        value &= (1 << f.length) - 1
        return value - (1 << f.length) if f.signed and value >> (f.length - 1) else value

    def listen(self, seconds: float) -> None:
        """Collects frames."""
        selector = selectors.DefaultSelector()
        self.transport.read(self._clock.now())
        selector.register(self.transport.fileno(), selectors.EVENT_READ)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            selector.select(0.05)
            now = self._clock.now()
            for r in self.transport.read(now):
                if r.can_id == self.message.can_id:
                    self.frames.append((now, self._decode(r.data)))


def _first_of_all() -> None:
    os.setsid()
    prioritise(-15)


def listen(platform: str, run_dir: Path, actuator: str, offset_ns: int, seconds: float) -> list[tuple[float, int]]:
    """Frames of one actuator: (arrival, raw value)."""
    tap = Tap(platform, run_dir, actuator, offset_ns)
    tap.listen(seconds)
    tap.transport.close()
    return tap.frames


def read_trace(folder: Path, what: str) -> np.ndarray[Any, Any]:
    """Rows of one kind from all trace files."""
    rows = []
    for path in folder.glob("*.trace"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0] == what:
                rows.append([float(w) for w in words[1:]])
    return np.array(sorted(rows))


def follow(tap: Tap, trace: Path, actuator: str) -> dict[str, np.ndarray[Any, Any]]:
    """Seconds from bytes to odometry, to command, to bytes, for every new value on the wire; NaN: no match."""
    odom = read_trace(trace, "odom")  # t, newest sample's t, time of publishing
    command = read_trace(trace, f"command.{actuator}")  # t, odometry's t, time of publishing, value
    sample_of = {round(t, 6): (sample, done) for t, sample, done in odom}
    raws = [tap.raw(v) for v in command[:, 3]]
    rows: list[list[float]] = []
    at, last, newest = 0, None, 0.0
    for arrival, raw in tap.frames:
        if raw == last:
            continue
        first, last = last is None, raw
        if first:
            continue
        k = next(
            (k for k in range(at, len(command)) if raws[k] == raw and 0.0 < arrival - command[k, 2] < COMMAND_AGE_S),
            None,
        )
        if k is None or round(command[k, 1], 6) not in sample_of:
            rows.append([np.nan] * 4)
            continue
        at = k
        sample, odom_done = sample_of[round(command[k, 1], 6)]
        if sample == newest:
            continue
        newest = sample
        rows.append([odom_done - sample, command[k, 2] - odom_done, arrival - command[k, 2], arrival - sample])
    table = np.array(rows).reshape(-1, 4)
    return dict(zip(("bytes_to_odom", "odom_to_command", "command_to_bytes", "total"), table.T, strict=True))


def quantiles(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """p50, p99 and greatest of the finite values, in milliseconds."""
    ms = 1e3 * values[np.isfinite(values)]
    if not len(ms):
        return {"n": 0}
    p50, p99 = np.percentile(ms, [50, 99])
    return {"n": len(ms), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "max_ms": round(float(ms.max()), 2)}


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Waits, at most START_S."""
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            raise BadInputError(f"not within {START_S:g} s: {what}")
        time.sleep(0.1)


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Runs the stack and measures."""
    trace, runtime = folder / "trace", folder / "runtime"
    trace.mkdir()
    runtime.mkdir()
    env = dict(os.environ, GILJABI_TRACE=str(trace), XDG_RUNTIME_DIR=str(runtime), XDG_STATE_HOME=str(folder / "state"))
    argv = [sys.executable, "-m", "giljabi.cli", "run", args.platform, "--no-page"]
    argv += ["--scenario", args.scenario] if args.scenario else []
    output = (folder / "output").open("w")
    stack = subprocess.Popen(argv, env=env, stdout=output, stderr=output)
    try:
        said = (folder / "output").read_text
        wait_for("the vehicle under way", lambda: "under way" in said() or stack.poll() is not None)
        if stack.poll() is not None:
            raise BadInputError(f"the stack ended: {said()}")
        run_dir = next(p for p in (runtime / "giljabi").iterdir() if p.is_dir())
        children = descendants(stack.pid)
        offset = int(environment_of(next(iter(children)))[OFFSET_ENV])
        tap = Tap(args.platform, run_dir, args.actuator, offset)
        tap.transport.close()
        pids = {**children, stack.pid: "run"}
        before, began = {pid: cpu_s(pid) for pid in pids}, time.monotonic()
        # In a session of its own with a high priority, so that the measuring end adds no wait.
        with ProcessPoolExecutor(1, initializer=_first_of_all) as pool:
            tap.frames = pool.submit(listen, args.platform, run_dir, args.actuator, offset, args.seconds).result()
        passed = time.monotonic() - began
        cpu = {pids[pid]: round(100.0 * (cpu_s(pid) - s) / passed, 1) for pid, s in before.items()}
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait(30.0)
        output.close()
    stages = follow(tap, trace, args.actuator)
    commands = read_trace(trace, f"command.{args.actuator}")
    total = stages["total"]
    return {
        "platform": args.platform,
        "actuator": args.actuator,
        "seconds": round(passed, 1),
        "command_hz": round(1.0 / float(np.median(np.diff(commands[:, 0]))), 1),
        "wire_hz": round(len(tap.frames) / passed, 1),
        "latency": quantiles(total),
        "unmatched": int(np.isnan(total).sum()),
        "stages": {name: quantiles(v) for name, v in stages.items() if name != "total"},
        "cpu_percent": dict(sorted(cpu.items(), key=lambda item: -item[1])),
        "cpu_percent_stack": round(sum(v for k, v in cpu.items() if k not in ("simulation", "run", "conductor")), 1),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "cores": os.cpu_count(),
    }


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="sensor-to-actuator latency and CPU use of the ROS graph")
    parser.add_argument("--platform", default="car")
    parser.add_argument("--scenario", default="")
    parser.add_argument("--actuator", default="steering")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", metavar="F")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="giljabi-latency-") as folder:
            result = measure(args, Path(folder))
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    text = json.dumps(result, indent=2)
    if args.json and args.json != "-":
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

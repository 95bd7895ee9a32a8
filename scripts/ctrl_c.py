#!/usr/bin/env python3
"""Starts `giljabi run` and ends it at random moments, many times; checks that nothing is left.

usage: scripts/ctrl_c.py [--count N] [--platform P] [--seed K] [--longest S]

Left behind means: a process with the run's mark in its environment, a segment in /dev/shm, a run directory, or a
lock that is still held. Signals alternate: SIGINT to the foreground group as a terminal sends it, SIGINT, SIGTERM and
SIGHUP to the parent alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN_ENV = "GILJABI_RUN"
MARK_ENV = "GILJABI_CTRL_C"  # finds processes of this script's runs before they have a run's own mark
END_WITHIN_S = 20.0
WAYS = ("group SIGINT", "SIGINT", "SIGTERM", "SIGHUP")
INTERRUPTED = 130


def marked(mark: str) -> list[str]:
    """Processes that carry `mark` in their environment, as `pid command`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"{MARK_ENV}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                found.append(f"{entry.name} {command.strip()}")
        except OSError:
            continue  # ended, or somebody else's
    return found


def segments() -> set[str]:
    """Shared memory of DDS on this machine."""
    return {p.name for p in Path("/dev/shm").iterdir() if "fastdds" in p.name or "fastrtps" in p.name}


class Trial:
    """One start and one end."""

    def __init__(self, platform: str, way: str, delay_s: float) -> None:
        self.way, self.delay_s = way, delay_s
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.runtime = Path(tempfile.mkdtemp(prefix="giljabi-ctrl-c-"))
        self.before = segments()
        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.runtime), XDG_STATE_HOME=str(self.runtime / "state"))
        env[MARK_ENV] = self.mark
        env.pop(RUN_ENV, None)
        argv = [sys.executable, "-m", "giljabi.cli", "run", platform]
        self.process = subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def play(self) -> list[str]:
        """Waits for the first line, then a random time, then ends it; returns what is wrong."""
        assert self.process.stdout is not None
        first = self.process.stdout.readline()  # from here on the command has its own handlers
        time.sleep(self.delay_s)
        wrong = [] if first else ["it printed nothing"]
        if self.process.poll() is not None:
            wrong.append(f"it ended by itself with exit code {self.process.returncode}")
        number = getattr(signal, self.way.split()[-1])
        try:
            if self.way.startswith("group"):
                os.killpg(self.process.pid, number)
            else:
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            pass
        began = time.monotonic()
        try:
            text = first + self.process.communicate(timeout=END_WITHIN_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            text = first + self.process.communicate()[0]
            wrong.append(f"it did not end within {END_WITHIN_S:g} s")
        self.took_s = time.monotonic() - began
        if self.process.returncode != INTERRUPTED:
            wrong.append(f"exit code {self.process.returncode}, {INTERRUPTED} is expected")
        if "Traceback" in text:
            wrong.append("a traceback")
        wrong += self.left()
        if wrong:
            wrong.append("output: " + " | ".join(text.splitlines()[-8:]))
        return wrong

    def left(self) -> list[str]:
        """What is left behind."""
        out = [f"process {p}" for p in marked(self.mark)]
        out += [f"/dev/shm/{name}" for name in sorted(segments() - self.before) if self._mine(name)]
        runs = self.runtime / "giljabi"
        out += [f"run directory {p}" for p in runs.iterdir() if p.is_dir()] if runs.is_dir() else []
        return out

    @staticmethod
    def _mine(name: str) -> bool:
        """True unless a living process (of another graph) maps the segment."""
        needle = f"/dev/shm/{name}".encode()
        for maps in Path("/proc").glob("[0-9]*/maps"):
            try:
                if needle in maps.read_bytes():
                    return False
            except OSError:
                continue
        return True

    def clean(self) -> None:
        """Ends and removes what a failed trial left."""
        for line in marked(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(self.runtime)], check=False)


def main() -> int:
    """Runs the trials; exit code 1 when one left something."""
    parser = argparse.ArgumentParser(description="ends `giljabi run` at random moments and looks for leftovers")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--platform", default="ship")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=8.0, help="s after the first line, at most")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    failed, took = 0, []
    for k in range(args.count):
        trial = Trial(args.platform, WAYS[k % len(WAYS)], rng.uniform(0.0, args.longest))
        try:
            wrong = trial.play()
        finally:
            trial.clean()
        took.append(trial.took_s)
        failed += bool(wrong)
        verdict = "; ".join(wrong) or "nothing left"
        when = f"after {trial.delay_s:4.1f} s, ended in {trial.took_s:4.1f} s"
        print(f"{k + 1:4d}/{args.count} {trial.way:12s} {when}: {verdict}", flush=True)
    took.sort()
    print(
        f"{args.count - failed} of {args.count} left nothing; "
        f"ends took {took[len(took) // 2]:.1f} s in the middle, {took[-1]:.1f} s at most"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

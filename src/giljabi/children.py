"""Child processes of one run: started in sessions of their own, heard, restarted, and ended without a rest.

A child gets SIGTERM from the kernel when this process dies, so even `kill -9` of the parent leaves nothing.
Everything here runs in one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LOG_BYTES = 5_000_000  # a log file is turned over at this size; one older file is kept
TAIL_LINES = 12
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
WELL_AFTER_S = 30.0  # a child that ran this long starts again with the shortest wait
ESCALATE_S = ((signal.SIGINT, 3.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
LINE_BYTES = 4000  # longer lines are cut
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def prioritise(nice: int) -> None:
    """Asks for a CPU priority for this process; without the right to it everything stays as it is."""
    with contextlib.suppress(OSError):
        if nice:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            if os.getsid(0) == os.getpid():
                # Linux weighs whole sessions against each other (sched(7), autogroup): there only this counts.
                Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")


def ask_realtime(priority: int) -> bool:
    """Asks for SCHED_FIFO for this thread and those that it starts; without the right to it everything stays as it is.

    For a loop that has milliseconds: beside it Python hands the interpreter over within half of one.
    """
    sys.setswitchinterval(5e-4)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return True
    return False


def _before_exec(parent: int, nice: int) -> Callable[[], None]:
    """To run in the child before exec: priority, and SIGTERM when the parent dies, also if it died a moment ago."""

    def prepare() -> None:
        prioritise(nice)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class RotatingLog:
    """A log file that is turned over at LOG_BYTES; a full disk loses lines, nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Appends one line."""
        with contextlib.suppress(OSError):
            if self._file is not None and self._size + len(line) > LOG_BYTES:
                self.close()
                os.replace(self.path, self.path.with_suffix(".log.1"))
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
                self._size = self._file.tell()
            self._file.write(line + b"\n")
            self._size += len(line) + 1

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(slots=True)
class Child:
    """One process to keep: what to run and what happened to it."""

    name: str
    argv: Sequence[str]
    restart: bool
    stops: int  # children of a lower number end first
    nice: int
    log: RotatingLog
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    again_at: float | None = None  # when it shall be started again
    ended: int | None = None  # exit code of the last run
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    partial: bytes = b""

    @property
    def running(self) -> bool:
        """True until it was seen to have ended."""
        return self.process is not None


def exit_words(code: int) -> str:
    """An exit code of Popen in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class Children:
    """All children of a run; `poll` moves everything."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log_dir: Path,
        on_line: Callable[[Child, str], None],
        on_end: Callable[[Child, int], None],
    ) -> None:
        """on_line: each line a child prints; on_end: a child ended by itself, with its exit code."""
        self.environment = dict(environment)
        self.log_dir = log_dir
        self.children: list[Child] = []
        self._on_line, self._on_end = on_line, on_end
        self._selector = selectors.DefaultSelector()
        self._groups: dict[int, str] = {}  # process groups that may still have members
        self.ending = False
        # Signals only set flags; the pipe wakes `poll` so that they are seen at once.
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._old_wake = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def add(self, name: str, argv: Sequence[str], restart: bool, stops: int = 0, nice: int = 0) -> Child:
        """Starts a child; nice: CPU priority asked for."""
        child = Child(name, argv, restart, stops, nice, RotatingLog(self.log_dir / f"{name}.log"))
        self.children.append(child)
        self._start(child)
        return child

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(
            child.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
            preexec_fn=_before_exec(os.getpid(), child.nice),  # noqa: PLW1509  (one thread only)
        )
        assert child.process.stdout is not None
        self._groups[child.process.pid] = child.name
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        child.started, child.again_at, child.partial = time.monotonic(), None, b""

    def poll(self, timeout_s: float) -> None:
        """Waits for output, ends and signals at most `timeout_s`; restarts what is due."""
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._read(key.data)
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._reap(child, now)
            elif child.again_at is not None and now >= child.again_at and not self.ending:
                self._start(child)

    def _read(self, child: Child) -> bool:
        """Takes what the child printed; true when there was something."""
        if child.process is None or child.process.stdout is None:
            return False
        try:
            data = os.read(child.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.process.stdout)
            return False
        *lines, child.partial = (child.partial + data).split(b"\n")
        if len(child.partial) > LINE_BYTES:
            lines.append(child.partial)
            child.partial = b""
        for line in lines:
            self._line(child, line)
        return True

    def _line(self, child: Child, line: bytes) -> None:
        line = line[:LINE_BYTES].rstrip(b"\r")
        child.log.write(line)
        text = line.decode("utf-8", "replace")
        child.tail.append(text)
        self._on_line(child, text)

    def _reap(self, child: Child, now: float) -> None:
        process = child.process
        assert process is not None
        assert process.stdout is not None
        while self._read(child):
            pass
        if child.partial:
            self._line(child, child.partial)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(process.stdout)
        process.stdout.close()
        child.process, child.partial = None, b""
        child.ended = code = process.returncode
        child.log.close()
        if self.ending:
            return
        self._kill_rest(process.pid)
        if child.restart:
            child.failures = 1 if now - child.started > WELL_AFTER_S else child.failures + 1
            child.again_at = now + BACKOFF_S[min(child.failures, len(BACKOFF_S)) - 1]
        self._on_end(child, code)

    def _kill_rest(self, group: int) -> bool:
        """Kills what is left of an ended child's group; true when the group is gone."""
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._groups.pop(group, None)
            return True
        return False

    def end(self, hurry: Callable[[], bool] = lambda: False) -> list[str]:
        """Ends all children, group by group of `stops`, from SIGINT to SIGKILL; returns the names of any that stay.

        hurry: true when the user asked a second time; the waits are then cut short.
        """
        self.ending = True
        for stops in sorted({c.stops for c in self.children}):
            wave = [c for c in self.children if c.stops == stops]
            for number, wait in ESCALATE_S:
                for child in wave:
                    if child.process is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(child.process.pid, number)
                deadline = time.monotonic() + wait
                while any(c.running for c in wave) and time.monotonic() < deadline:
                    if hurry():
                        deadline = min(deadline, time.monotonic() + 0.3)
                    self.poll(0.05)
                if not any(c.running for c in wave):
                    break
        deadline = time.monotonic() + 2.0
        for group in list(self._groups):
            while not self._kill_rest(group) and time.monotonic() < deadline:
                time.sleep(0.01)
        return [c.name for c in self.children if c.running] + list(self._groups.values())

    def close(self) -> None:
        """Gives the wake-up pipe back."""
        signal.set_wakeup_fd(self._old_wake)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

"""Child processes: heard, restarted with back-off, ended in order, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from giljabi import children as module
from giljabi.children import Child, Children, RotatingLog
from giljabi.tell import MARK, heard

Started = Callable[..., Child]


class Heard:
    """What the children told."""

    def __init__(self, log_dir: Path) -> None:
        self.lines: list[tuple[str, str]] = []
        self.ends: list[tuple[str, int]] = []
        self.all = Children(dict(os.environ), log_dir, lambda c, line: self.lines.append((c.name, line)), self._on_end)

    def _on_end(self, child: Child, code: int) -> None:
        self.ends.append((child.name, code))

    def start(self, name: str, code: str, restart: bool = False, stops: int = 0) -> Child:
        """A Python child that runs `code`."""
        return self.all.add(name, [sys.executable, "-S", "-c", code], restart, stops)

    def until(self, condition: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Polls until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {self.lines} {self.ends}"
            self.all.poll(0.05)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Heard]:
    heard = Heard(tmp_path)
    try:
        yield heard
    finally:
        heard.all.end(lambda: True)
        heard.all.close()


def alive(pid: int) -> bool:
    """True while a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


READY = "import signal, time, sys, os; os.write(1, b'ready %d\\n' % os.getpid())\n"


def test_lines_are_heard_and_kept_also_the_last_one_without_an_end(stage: Heard, tmp_path: Path) -> None:
    stage.start("talker", "import sys; print('one'); sys.stderr.write('two'); sys.exit(3)")
    stage.until(lambda: stage.ends)
    assert sorted(stage.lines) == [("talker", "one"), ("talker", "two")]
    assert stage.ends == [("talker", 3)]
    assert sorted((tmp_path / "talker.log").read_text().split()) == ["one", "two"]


def test_a_child_that_dies_starts_again_after_a_growing_wait(stage: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", (0.1, 0.5))
    started = time.monotonic()
    stage.start("phoenix", "import os; os.kill(os.getpid(), 9)", restart=True)
    stage.until(lambda: len(stage.ends) == 4)
    assert stage.ends == [("phoenix", -9)] * 4
    assert time.monotonic() - started >= 0.1 + 0.5 + 0.5


def test_a_child_of_policy_never_stays_ended(stage: Heard) -> None:
    stage.start("once", "pass")
    stage.until(lambda: stage.ends)
    for _ in range(10):
        stage.all.poll(0.05)
    assert stage.ends == [("once", 0)]


def test_the_end_comes_in_order_and_without_a_rest(stage: Heard) -> None:
    code = "import signal, sys; signal.signal(2, lambda *a: (print('end', flush=True), sys.exit(0)))\n" + READY
    code += "while True: time.sleep(0.1)"
    stage.start("wire", code, stops=1)
    stage.start("mind", code)
    stage.until(lambda: len(stage.lines) == 2)
    pids = [int(line.split()[1]) for _, line in stage.lines]
    assert stage.all.end() == []
    assert [name for name, line in stage.lines if line == "end"] == ["mind", "wire"]
    assert not any(alive(pid) for pid in pids)


def test_a_deaf_child_and_its_own_children_are_killed(stage: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ESCALATE_S", ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 2.0)))
    deaf = "import signal; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN)\n"
    code = deaf + "import os; os.fork()\n" + READY + "while True: time.sleep(1)"
    stage.start("deaf", code)
    stage.until(lambda: len(stage.lines) == 2)
    pids = [int(line.split()[1]) for _, line in stage.lines]
    assert len(set(pids)) == 2
    assert stage.all.end() == []
    deadline = time.monotonic() + 2.0
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(alive(pid) for pid in pids)


def test_grandchildren_of_a_child_that_died_are_killed(stage: Heard) -> None:
    code = (
        "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(60)\ntime.sleep(0.5)"
    )
    stage.start("parent", code)
    stage.until(lambda: stage.ends)
    pid = int(stage.lines[0][1])
    deadline = time.monotonic() + 2.0
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def test_children_of_a_killed_parent_end(tmp_path: Path) -> None:
    code = f"""
import sys, os
from pathlib import Path
from giljabi.children import Children
c = Children(dict(os.environ), Path({str(tmp_path)!r}), lambda child, line: print(line, flush=True), lambda *a: None)
c.add("child", [sys.executable, "-S", "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(9)"], False, 0)
while True: c.poll(0.1)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 5.0
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def test_a_priority_counts_in_the_session_too_where_it_is_granted(stage: Heard) -> None:
    code = READY + "print(os.getpriority(os.PRIO_PROCESS, 0), open('/proc/self/autogroup').read())\ntime.sleep(9)"
    stage.all.add("calm", [sys.executable, "-S", "-c", code], False, 0, 7)  # to be nicer is always granted
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel has no autogroups")
    stage.until(lambda: len(stage.lines) >= 2)
    words = stage.lines[1][1].split()
    assert words[0] == "7"
    assert words[-2:] == ["nice", "7"]


def test_a_log_turns_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 1000)
    log = RotatingLog(tmp_path / "x.log")
    for i in range(100):
        log.write(b"line %d" % i + b"." * 20)
    log.close()
    sizes = {p.name: p.stat().st_size for p in tmp_path.iterdir()}
    assert set(sizes) == {"x.log", "x.log.1"}
    assert all(size <= 1000 for size in sizes.values())
    assert (tmp_path / "x.log").read_text().splitlines()[-1].startswith("line 99")


def test_endless_lines_do_not_fill_memory(stage: Heard) -> None:
    child = stage.start("flood", "import sys\nfor _ in range(100): sys.stdout.write('x' * 65536)")
    stage.until(lambda: stage.ends)
    assert len(child.partial) <= module.LINE_BYTES
    assert all(len(line) <= module.LINE_BYTES for _, line in stage.lines)


@pytest.mark.parametrize("line", ["", "@giljabi", MARK + "{", MARK + "[]", MARK + '{"event": 3}', "x" + MARK])
def test_other_lines_are_no_events(line: str) -> None:
    assert heard(line) is None


def test_an_event_is_heard() -> None:
    assert heard(MARK + '{"event": "phase", "text": "armed"}') == {"event": "phase", "text": "armed"}

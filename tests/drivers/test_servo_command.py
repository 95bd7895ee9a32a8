"""`giljabi servo` and whole cycles against simulated servos behind a pseudo-terminal, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from giljabi.cli import main

Chain = Callable[..., str]


@pytest.fixture
def chain() -> Iterator[Chain]:
    """Starts a chain and gives the path of its terminal."""
    running: list[subprocess.Popen[str]] = []

    def start(*more: str) -> str:
        argv = [sys.executable, "-m", "giljabi_sim.servo_pty", "--n", "3", "--baud", "1000000", "--still", *more]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20.0)


def ask(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, Any]:
    """(exit code, JSON of standard output or None)."""
    code = main(["servo", *argv, "--json", "-"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, json.loads(out) if out else err


@pytest.mark.parametrize(("family", "model"), [("dynamixel", "xm430-w350"), ("feetech_sts", "sts3215")])
def test_scan_finds_all(chain: Chain, capsys: pytest.CaptureFixture[str], family: str, model: str) -> None:
    port = chain("--family", family)
    code, found = ask(capsys, "scan", "--port", port, "--baud", "1000000", "--protocol", family, "--ids", "0-20")
    assert code == 0
    assert [(s["id"], s["model"], s["voltage"], s["temperature_degc"]) for s in found["servos"]] == [
        (i, model, 12.0, 35) for i in (1, 2, 3)
    ]
    assert found["servos"][0]["errors"] == []


def test_read_write_and_a_new_id(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--port", chain(), "--baud", "1000000", "--protocol", "dynamixel"]
    assert ask(capsys, "read", "2", "model_number", *at) == (
        0, {"id": 2, "register": "model_number", "raw": 1020, "value": 1020.0},
    )  # fmt: skip
    assert ask(capsys, "write", "2", "98:1", "5", "--yes", *at)[0] == 0
    assert ask(capsys, "read", "2", "bus_watchdog", *at)[1]["raw"] == 5
    code, words = ask(capsys, "write", "2", "model_number", "5", "--yes", *at)
    assert code == 1
    assert "refuses: access refused" in words
    assert ask(capsys, "id", "2", "9", "--yes", *at) == (0, {"id": 9, "was": 2})
    assert ask(capsys, "id", "1", "9", "--yes", *at)[0] == 1, "that id is taken"
    code, words = ask(capsys, "ping", "2", *at)
    assert code == 1
    assert "servo 2 does not answer" in words


def test_monitor_reads_all_and_tells_who_is_silent(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--port", chain("--silent", "2"), "--baud", "1000000", "--protocol", "dynamixel"]
    code, seen = ask(capsys, "monitor", "1", "3", "--seconds", "0.5", *at)
    assert code == 0
    assert [s["silent"] for s in seen["servos"]] == [False, False]
    assert seen["servos"][0]["position_rad"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["scan", "--port", "/dev/not-there", "--baud", "1000000"], 1, "No such file"),
        (["scan", "--port", "udp:1.2.3.4:5"], 2, "servos are on a serial line"),
        (["scan", "--port", "x"], 2, "not a device URL"),
        (["ping", "300", "--port", "/dev/null"], 2, "0 to 253 is expected"),
        (["write", "1", "torque_enable", "1", "--port", "/dev/null"], 2, "--yes is expected"),
        (["scan", "--port", "/dev/null", "--baud", "12"], 2, "9600 to 4000000"),
        (["monitor", "--port", "/dev/null", "--seconds", "nan"], 2, "number of seconds"),
        ([], 2, "WHAT"),
    ],
)
def test_wrong_arguments_are_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], code: int, words: str
) -> None:
    assert main(["servo", *argv]) == code
    out, err = capsys.readouterr()
    assert not out
    assert words in err
    assert len(err.strip().splitlines()) == 1

"""`giljabi check` asks the joints of a chain, and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from servo_rig import leg_file

from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.safety.check import check_devices


@pytest.fixture
def port() -> Iterator[str]:
    argv = [sys.executable, "-m", "giljabi_sim.servo_pty", "--n", "4", "--baud", "1000000", "--still"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(timeout=20.0)


def test_check_hears_the_joints(port: str, tmp_path: Path) -> None:
    platform = load_platform(leg_file(tmp_path))
    drivers = {"leg": build_driver(platform, "leg")}
    findings = check_devices(platform, drivers, {"leg": f"serial:{port}?baud=1000000"}, 2.0)
    found = {f.what: f for f in findings}
    assert found["device leg"].ok, found["device leg"].words
    assert found["sensor joints"].ok, found["sensor joints"].words

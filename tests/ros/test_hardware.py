"""`giljabi run ship --hardware` as a crew starts it: devices that were there before and that outlive the stack."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
from command import Command
from harness import wait

pytestmark = pytest.mark.slow


class Bridge:
    """The devices: a simulated ship's bridge and AIS on pseudo-terminals, started by hand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.file = folder, folder / "truth.jsonl"
        argv = [sys.executable, "-m", "giljabi_sim.realtime", "--scenario", "ship_straight", "--run-dir", str(folder)]
        self.process = subprocess.Popen([*argv, "--truth", str(self.file)], stdout=subprocess.DEVNULL)
        wait("the devices", (folder / "devices.json").exists)

    def devices(self) -> list[str]:
        """--device arguments."""
        return [f"--device={name}=serial:{self.folder / name}?baud=38400" for name in ("bridge", "ais")]

    def now(self) -> dict[str, Any]:
        """The newest ground truth."""
        lines = wait("ground truth", lambda: self.file.exists() and self.file.read_text().split("\n")[:-1])
        out: dict[str, Any] = json.loads(lines[-1])
        return out


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    b = Bridge(tmp_path / "devices")
    yield b
    b.process.send_signal(signal.SIGINT)
    b.process.wait(10.0)


def test_a_crew_starts_ends_and_starts_again(bridge: Bridge, tmp_path: Path) -> None:
    args = ("ship", "--hardware", *bridge.devices(), "--scenario", "ship_straight", "--no-page")
    for attempt in ("first", "second"):
        (tmp_path / attempt).mkdir()
        c = Command(tmp_path / attempt, *args)
        try:
            c.wait_for("under way")
            assert "ship: hardware" in c.said()
            before = bridge.now()["x"]
            wait("motion", lambda: bridge.now()["x"] > before + 3.0, 60.0)  # noqa: B023
        finally:
            c.process.send_signal(signal.SIGINT)
            code = c.process.wait(20.0)
        assert code == 130, c.said()
        assert c.left() == []
        assert bridge.process.poll() is None, "the devices are not ours to end"
        # The guard's last word, then the device's own watchdog: rudder amidships, no thrust.
        wait("rudder amidships", lambda: abs(bridge.now()["rudder"]) < 0.02, 10.0)
        assert (bridge.folder / "bridge").is_symlink()


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ttyUSB7"
    c = Command(tmp_path, "ship", "--hardware", f"--device=bridge=serial:{missing}", "--no-page", "--timeout", "60")
    try:
        c.wait_for(f"bridge: serial:{missing}: No such file or directory", 60.0)
    finally:
        c.process.send_signal(signal.SIGINT)
        c.process.wait(20.0)
    assert "armed" not in c.said()


def test_a_wrong_device_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    for url in ("nonsense", "usb:/dev/x"):
        argv = [sys.executable, "-m", "giljabi.cli", "run", "ship", "--hardware", "--device", f"bridge={url}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert url in done.stderr
        assert "is expected" in done.stderr

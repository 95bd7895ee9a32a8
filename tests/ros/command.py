"""`giljabi` as users call it: a process in a folder of its own, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness import wait


class Command:
    """One `giljabi COMMAND ...` in a folder of its own; default: `giljabi run`."""

    def __init__(self, folder: Path, *argv: str, domain: int | None = None, command: str = "run") -> None:
        (folder / "runtime").mkdir(exist_ok=True)
        env = dict(os.environ, XDG_RUNTIME_DIR=str(folder / "runtime"), XDG_STATE_HOME=str(folder / "state"))
        env.pop("ROS_DOMAIN_ID", None)
        env |= {"ROS_DOMAIN_ID": str(domain)} if domain is not None else {}
        self.folder, self.output = folder, folder / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "giljabi.cli", command, *argv],
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """Everything printed so far."""
        return self.output.read_text()

    def wait_for(self, text: str, timeout_s: float = 90.0) -> None:
        """Waits until it prints `text`; fails when it ends before."""
        wait(f"{text!r} in {self.output}", lambda: text in self.said() or self.process.poll() is not None, timeout_s)
        assert text in self.said(), self.said()

    def pid_of(self, process: str) -> int:
        """Process of the table that belongs to this run."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if process.encode() in words:
                return int(child)
        raise AssertionError(f"no process {process}")

    def left(self) -> list[str]:
        """Processes of this run that live, and its directory."""
        mark = f"XDG_RUNTIME_DIR={self.folder / 'runtime'}".encode()
        out = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    out.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return out + [str(p) for p in (self.folder / "runtime").glob("giljabi/*") if p.is_dir()]

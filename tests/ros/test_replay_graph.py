"""`giljabi replay --ros`: the same bytes, drivers and estimator, with the graph between them."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
from command import Command
from harness import graph

from giljabi import topics
from giljabi.ros import convert
from giljabi.ros.messages import message_class, qos_profile


@pytest.fixture
def data(root: Path) -> Path:
    return root / "examples" / "data"


class Replay(Command):
    """One `giljabi replay`, its files in the folder."""

    def __init__(self, folder: Path, *argv: str, domain: int | None = None) -> None:
        self.odom, self.json = folder / "odom.csv", folder / "out.json"
        files = ["--odom", str(self.odom), "--plot", str(folder / "track.png"), "--json", str(self.json)]
        super().__init__(folder, *argv, *files, domain=domain, command="replay")

    def table(self) -> Any:
        """(n, 6) of the odometry."""
        with self.odom.open() as f:
            return np.array([[float(v) for v in row.values()] for row in csv.DictReader(f)])

    def result(self) -> dict[str, Any]:
        """What --json wrote."""
        out: dict[str, Any] = json.loads(self.json.read_text())
        return out


@pytest.fixture
def started() -> Iterator[list[Command]]:
    commands: list[Command] = []
    yield commands
    for c in commands:
        if c.process.poll() is None:
            c.process.kill()
            c.process.wait(10.0)


def block(data: Path, *tables: str) -> list[str]:
    """The car's drive with the recorder's tables, which the estimator's node has to be told of."""
    args = [str(data / "block.candump.gz"), "--platform", "car"]
    for name in tables:
        args += [
            "--gnss" if name == "gnss" else "--truth" if name == "truth" else "--imu",
            str(data / f"block_{name}.csv.gz"),
        ]
    return args


def both(folder: Path, started: list[Command], args: list[str]) -> tuple[Replay, Replay]:
    """The same replay without and with ROS, to the end."""
    out = []
    for name, more in (("alone", ()), ("graph", ("--ros",))):
        (folder / name).mkdir()
        c = Replay(folder / name, *args, *more)
        started.append(c)
        assert c.process.wait(200.0) == 0, c.said()
        assert c.left() == []
        out.append(c)
    return out[0], out[1]


@pytest.mark.parametrize("which", ["boat", "car"])
def test_it_is_the_same_odometry_and_nothing_is_lost(
    which: str, data: Path, tmp_path: Path, started: list[Command]
) -> None:
    tables = ("gyro", "accelerometer", "gnss", "truth")
    args = [str(data / "harbour.nmea.gz")] if which == "boat" else block(data, *tables)
    alone, in_graph = both(tmp_path, started, args)
    a, b = alone.table(), in_graph.table()
    assert a.shape == b.shape
    # Stamps are whole nanoseconds, so samples of almost one moment may change places: centimetres for a moment.
    assert np.abs(a - b).max() < 0.02
    assert np.abs(a - b).mean() < 1e-3
    assert (in_graph.folder / "track.png").stat().st_size > 10_000
    one, two = alone.result(), in_graph.result()
    ros = two.pop("ros")
    assert ros["published"] == ros["arrived"] == sum(two["samples"].values())
    assert "ros" not in one
    for key in ("samples", "drivers", "rejected", "odom", "origin", "duration_s", "platform"):
        assert one[key] == two[key], key
    if which == "car":
        assert two["position_rms_m"] == pytest.approx(one["position_rms_m"], abs=1e-3)
        assert two["imu_from"] == one["imu_from"]


def test_recorded_pace_is_kept_and_others_can_listen(data: Path, tmp_path: Path, started: list[Command]) -> None:
    lines = gzip.decompress((data / "harbour.nmea.gz").read_bytes()).splitlines(keepends=True)
    short = tmp_path / "short.nmea"
    short.write_bytes(b"".join(lines[: 41 * 13]))  # 13 sentences a second
    seen: dict[str, list[tuple[float, float]]] = {"fix": [], "odom": []}
    domain = 90
    with graph(domain) as node:
        for name, row in (("fix", topics.GNSS_FIX), ("odom", topics.ODOM)):

            def take(msg: Any, name: str = name) -> None:
                seen[name].append((time.monotonic(), convert.seconds(msg.header.stamp)))

            node.create_subscription(message_class(row.message), row.name, take, qos_profile(row.qos))
        c = Replay(tmp_path, str(short), "--ros", "--speed", "5", domain=domain)
        started.append(c)
        assert c.process.wait(60.0) == 0, c.said()
    assert c.result()["duration_s"] == pytest.approx(40.0, abs=0.1)
    fixes, odom = seen["fix"], seen["odom"]
    assert len(fixes) > 10  # DDS finds a listener within seconds
    assert len(odom) > 10
    assert fixes[-1][1] == pytest.approx(1767348040.0, abs=1.0)  # stamps are the recording's
    wall, recorded = odom[-1][0] - odom[0][0], odom[-1][1] - odom[0][1]
    assert recorded >= 10.0
    assert recorded / 5.0 - 0.5 < wall < recorded / 5.0 + 3.0


def test_a_recording_whose_clock_begins_at_zero(data: Path, tmp_path: Path, started: list[Command]) -> None:
    frames = gzip.decompress((data / "block.candump.gz").read_bytes()).decode().splitlines()[:2000]
    fixes = gzip.decompress((data / "block_gnss.csv.gz").read_bytes()).decode().splitlines()[:200]
    begin = 1767348000.0
    can, gnss = tmp_path / "zero.candump", tmp_path / "zero.csv"
    can.write_text("".join(f"({float(f[1:18]) - begin:.6f}{f[18:]}\n" for f in frames))
    rows = [f"{float(r.split(',')[0]) - begin:.3f},{r.split(',', 1)[1]}\n" for r in fixes[1:]]
    gnss.write_text(fixes[0] + "\n" + "".join(rows))
    alone, in_graph = both(tmp_path, started, [str(can), "--platform", "car", "--gnss", str(gnss)])
    assert in_graph.table()[0, 0] < 1.0
    assert np.abs(alone.table() - in_graph.table()).max() < 0.02


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("pause", [0.0, 1.5])
def test_ctrl_c_leaves_nothing(number: int, pause: float, data: Path, tmp_path: Path, started: list[Command]) -> None:
    c = Replay(tmp_path, str(data / "harbour.nmea.gz"), "--ros", "--speed", "1")
    started.append(c)
    c.wait_for("ROS_DOMAIN_ID")
    time.sleep(pause)
    c.process.send_signal(number)
    assert c.process.wait(20.0) == 130, c.said()
    assert c.left() == []
    assert "Traceback" not in c.said()
    assert not c.odom.exists()


def test_a_dead_estimator_ends_the_replay_with_one_line(data: Path, tmp_path: Path, started: list[Command]) -> None:
    c = Replay(tmp_path, str(data / "harbour.nmea.gz"), "--ros", "--speed", "2")
    started.append(c)
    c.wait_for("ROS_DOMAIN_ID")
    time.sleep(0.5)
    os.kill(c.pid_of("estimator"), signal.SIGKILL)
    assert c.process.wait(30.0) == 1, c.said()
    assert c.said().splitlines()[1:] == ["the estimator's process ended (SIGKILL)"]
    assert c.left() == []


def test_a_recording_without_position_fails_as_it_does_without_ros(tmp_path: Path, started: list[Command]) -> None:
    (tmp_path / "ais.nmea").write_bytes(b"$HEHDT,335.2,T*28\r\n!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n" * 3)
    c = Replay(tmp_path, str(tmp_path / "ais.nmea"), "--ros")
    started.append(c)
    assert c.process.wait(60.0) == 1
    assert "no good position fix" in c.said()
    assert c.left() == []


def test_bad_input_is_found_before_anything_starts(data: Path, tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "giljabi.cli",
        "replay",
        str(data / "harbour.nmea.gz"),
        "--ros",
        "--imu",
        "missing.csv",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "missing.csv" in done.stderr

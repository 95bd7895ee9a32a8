"""`giljabi run` as users call it: it arrives, it survives a dead planner, and it leaves nothing behind."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
from command import Command
from harness import graph, wait

from giljabi import topics
from giljabi.platform import load_platform
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import message_class, qos_profile

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("platform", ["ship", "car"])
def test_it_arrives(platform: str, tmp_path: Path, started: list[Command]) -> None:
    c = Command(
        tmp_path, platform, "--until-done", "--no-page", "--timeout", "240", "--json", str(tmp_path / "out.json")
    )
    started.append(c)
    code = c.process.wait(280.0)
    assert code == 0, c.said()
    assert "Traceback" not in c.said()
    phases = c.said()
    for word in ("starting", "armed", "under way", "arrived"):
        assert word in phases, phases
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["outcome"] == "arrived"
    assert result["min_distance_m"] > 0.0
    assert c.left() == []


@pytest.mark.alone
def test_ctrl_c_leaves_nothing(root: Path) -> None:
    argv = [sys.executable, str(root / "scripts" / "ctrl_c.py"), "--count", "5", "--longest", "6"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_parent_leaves_no_process(tmp_path: Path, started: list[Command]) -> None:
    c = Command(tmp_path, "ship", "--no-page")
    started.append(c)
    c.wait_for("armed")
    c.process.kill()
    c.process.wait(10.0)
    wait("all processes gone", lambda: not [p for p in c.left() if "python" in p], 20.0)


def test_a_killed_planner_stops_the_vehicle_inside_its_limits(tmp_path: Path, started: list[Command]) -> None:
    domain = 89
    platform = load_platform("ship").model
    c = Command(tmp_path, "ship", "--no-page", domain=domain)
    started.append(c)
    wire: list[tuple[float, dict[str, float]]] = []
    speed: list[tuple[float, float]] = []
    state: list[Any] = []
    missions: list[Any] = []
    slots = {name: a.slot for name, a in platform.actuators.items()}

    def take_wire(msg: Any) -> None:
        command = goals.command_from_msg(msg, slots, topics.WIRE)
        wire.append((command.t, dict(command.values)))

    def take_odom(msg: Any) -> None:
        odom = convert.odom_from_msg(msg)
        speed.append((odom.t, float(odom.velocity[0])))

    with graph(domain) as node:
        for row, use in (
            (topics.ACTUATOR_COMMANDS.at(topics.WIRE), take_wire),
            (topics.ODOM, take_odom),
            (topics.STATE, lambda m: state.append(status.state_from_msg(m))),
            (topics.MISSION_STATE, lambda m: missions.append(status.mission_from_msg(m))),
        ):
            node.create_subscription(message_class(row.message), row.name, use, qos_profile(row.qos))
        c.wait_for("under way")
        wait("some speed", lambda: speed and speed[-1][1] > 1.0, 60.0)
        os.kill(c.pid_of("planning"), signal.SIGKILL)
        wait("standstill", lambda: speed[-1][1] < 0.3, platform.minimum_risk.within_s + 10.0)
        time.sleep(3.0)
        assert speed[-1][1] < 0.5, "it moves again although nobody started the mission"
        assert missions[-1].phase.value == "idle", "the restarted planner goes on by itself"
    # What was written never left the limits, nor changed faster than they allow.
    for (t0, a), (t1, b) in itertools.pairwise(wire):
        for name, actuator in platform.actuators.items():
            assert actuator.min <= b[name] <= actuator.max
            assert abs(b[name] - a[name]) <= actuator.rate_max * (max(t1 - t0, 0.0) + 0.15) + 1e-6
    assert "planning ended (SIGKILL); it starts again" in c.said()
    assert "planner" in c.said()


def test_a_scenarios_dead_planner_is_dead_in_real_time_too(root: Path, tmp_path: Path, started: list[Command]) -> None:
    text = (
        (root / "config" / "scenarios" / "ship_planner_silent.yaml").read_text().replace("begin: 40.0", "begin: 15.0")
    )
    scenario = tmp_path / "dead.yaml"
    scenario.write_text(text[: text.index("asserts:")])
    result = tmp_path / "out.json"
    c = Command(tmp_path, "ship", "--no-page", "--scenario", str(scenario), "--until-done", "--json", str(result))
    started.append(c)
    assert c.process.wait(200.0) == 1, c.said()
    out = json.loads(result.read_text())
    assert out["faults"] == [{"what": "silent", "where": "planner", "consumed": True}]
    assert "planner" in c.said(), "nobody said why"
    assert out["outcome"] == "stopped", c.said()
    assert c.left() == []

"""The launch files with launch and launch_testing: what they start, and that it runs and ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from giljabi.nodes import processes

WHY = "launch is part of a ROS 2 installation and on no package index; source one to run this"
pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
launch = pytest.importorskip("launch", reason=WHY)
if not hasattr(launch, "LaunchService"):
    pytest.skip(WHY, allow_module_level=True)
pytest.importorskip("launch_ros", reason=WHY)
ROOT = Path(__file__).resolve().parents[2]


def entities(name: str, **arguments: str) -> list[object]:
    """Actions that a launch file gives for these arguments."""
    from launch import LaunchContext
    from launch.actions import OpaqueFunction
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / name))
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    out: list[object] = []
    for entity in description.entities:
        if isinstance(entity, OpaqueFunction):
            out += entity.visit(context) or []
        else:
            entity.visit(context)
    return out


def commands(actions: list[object]) -> list[list[str]]:
    """Command lines of the processes among actions, ROS's own arguments left out."""
    from launch import LaunchContext
    from launch.actions import ExecuteProcess
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    out = []
    for a in actions:
        if isinstance(a, ExecuteProcess):
            words = [perform_substitutions(context, part) if not isinstance(part, str) else part for part in a.cmd]
            out.append(words[: words.index("--ros-args")] if "--ros-args" in words else words)
    return out


@pytest.fixture(autouse=True)
def own_dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("name", ["ship.launch.py", "car.launch.py", "drone.launch.py"])
def test_a_launch_file_starts_what_the_table_says(name: str) -> None:
    started = commands(entities(name))
    table = processes(True, True, True)
    assert [words[2:4] for words in started] == [
        ["giljabi.ros.process", p.name] if p.nodes else ["giljabi_sim.realtime", "--platform"] for p in table
    ]
    assert {words[0] for words in started} == {sys.executable}


def test_on_hardware_nothing_is_simulated_and_nobody_arms() -> None:
    started = commands(entities("ship.launch.py", sim="false", page="false"))
    assert [words[3] for words in started] == [p.name for p in processes(False, False, False)]


def test_devices_and_namespace_are_arguments() -> None:
    from launch import LaunchContext
    from launch_ros.actions import Node
    from launch_ros.utilities import evaluate_parameters

    actions = entities("ship.launch.py", sim="false", namespace="ship2", device_bridge="tcp:127.0.0.1:2000")
    nodes = [a for a in actions if isinstance(a, Node)]
    assert len(nodes) == len(processes(False, True, False))
    for node in nodes:
        parameters = evaluate_parameters(LaunchContext(), node._Node__parameters)
        assert parameters[0]["devices"] == ("bridge=tcp:127.0.0.1:2000",)
        assert node.expanded_node_namespace == "ship2" or vars(node)["_Node__node_namespace"] == "ship2"


@pytest.mark.parametrize(
    "arguments", [{"sim": "perhaps"}, {"device_wing": "tcp:127.0.0.1:1"}, {"platform_file": "sub"}, {"system_id": "x"}]
)
def test_bad_arguments_are_refused(arguments: dict[str, str]) -> None:
    from giljabi.types import BadInputError

    with pytest.raises(BadInputError, match=r"expected|known|drivers are"):
        entities("ship.launch.py", **arguments)


@pytest.mark.slow
def test_the_stack_runs_arms_and_ends(tmp_path: Path) -> None:
    """launch_testing itself, in a process of its own: its test file is beside this one."""
    import subprocess

    pytest.importorskip("launch_testing", reason=WHY)
    env = dict(os.environ, ROS_DOMAIN_ID="88", XDG_RUNTIME_DIR=str(tmp_path / "runtime"))
    argv = [sys.executable, "-m", "launch_testing.launch_test", str(Path(__file__).with_name("ship_stack.py"))]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]

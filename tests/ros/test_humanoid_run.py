"""A walker on the real graph: the fast loop in the drivers' process, servos and inertial sensor on terminals."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")
sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from command import Command
from harness import call, graph, wait

from giljabi import topics
from giljabi.platform import load_platform
from giljabi.ros import convert, goals, status
from giljabi.ros.messages import message_class, qos_profile

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_it_walks_its_route_in_real_time(tmp_path: Path, started: list[Command]) -> None:
    out = tmp_path / "out.json"
    c = Command(tmp_path, "humanoid", "--until-done", "--no-page", "--timeout", "120", "--json", str(out))
    started.append(c)
    assert c.process.wait(150.0) == 0, c.said()
    result = json.loads(out.read_text())
    assert result["outcome"] == "arrived"
    assert all(a["held"] is not False for a in result["asserts"])
    assert result["wires"]["servos"]["device_accepted"] > 5000
    assert c.left() == []


def test_what_it_did_is_filmed_when_the_run_is_over_also_by_ctrl_c(tmp_path: Path, started: list[Command]) -> None:
    av = pytest.importorskip("av", reason="films: pip install 'giljabi[humanoid]'")
    film = tmp_path / "walk.mp4"
    c = Command(tmp_path, "humanoid", "--no-page", "--video", str(film))
    started.append(c)
    wait("it walks, or nothing renders here", lambda: "under way" in c.said() or c.process.poll() is not None, 60.0)
    if "nothing renders without a screen" in c.said():
        pytest.skip(c.said().strip())
    time.sleep(2.0)
    c.process.send_signal(signal.SIGINT)
    assert c.process.wait(120.0) == 130, c.said()
    assert f"film: {film}, " in c.said()
    with av.open(str(film)) as container:
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in container.decode(video=0)]
    assert len(frames) > 50  # 25 a second, and 2 s were walked
    shell = [(f[..., 2] > 60) & (f[..., 2] > 1.8 * f[..., 0]) for f in (frames[0], frames[-1])]  # pelvis, chest, head
    assert all(1000 < s.sum() < 60000 for s in shell)
    assert np.abs(frames[0] - frames[-1]).mean() > 1.0  # it moved
    assert c.left() == []


def test_it_steps_to_a_pose_around_a_box_that_the_planner_was_told_of(tmp_path: Path, started: list[Command]) -> None:
    out = tmp_path / "out.json"
    argv = ("--scenario", "humanoid_obstacles", "--until-done", "--no-page", "--timeout", "120", "--json", str(out))
    c = Command(tmp_path, "humanoid", *argv)
    started.append(c)
    assert c.process.wait(150.0) == 0, c.said()
    result = json.loads(out.read_text())
    assert result["outcome"] == "arrived"
    assert all(a["held"] is not False for a in result["asserts"])


def test_a_service_starts_the_policy_of_the_platform_file_and_the_guard_says_that_it_leads(
    tmp_path: Path, started: list[Command]
) -> None:
    pytest.importorskip("onnx", reason="writes the models: pip install onnx")
    pytest.importorskip("onnxruntime", reason="runs the models: pip install 'giljabi[policy]'")
    sys.path.insert(0, str(Path(__file__).parents[1] / "sim"))
    from policy_rig import TEXT, write_policy

    platform, domain = write_policy(tmp_path, (-1.0, -0.9), TEXT + "seconds: 2.0\n"), 92
    c = Command(tmp_path, str(platform), "--no-page", domain=domain)
    started.append(c)
    states: list[Any] = []
    by_name = {s.name: s for s in (*topics.SERVICES, *topics.BEHAVIOURS)}
    with graph(domain) as node:
        listen(node, topics.STATE, lambda msg: states.append(status.state_from_msg(msg)))
        c.wait_for("armed")
        assert not call(node, by_name["behaviour/policy"]).success  # it has not begun, or walks
        assert call(node, by_name["mission/pause"]).success
        wait("it stands still and begins", lambda: bool(call(node, by_name["behaviour/policy"]).success), 15.0)
        wait("the policy leads", lambda: states[-1].mode == "policy", 3.0)
        wait("it is over", lambda: states[-1].mode == "auto", 10.0)


def listen(node: Any, row: topics.Topic, use: Any) -> None:
    node.create_subscription(message_class(row.message), row.name, use, qos_profile(row.qos))


def test_a_velocity_on_its_topic_moves_it_and_the_copies_are_decimated(tmp_path: Path, started: list[Command]) -> None:
    domain = 91
    c = Command(tmp_path, "humanoid", "--no-page", domain=domain)
    started.append(c)
    odometry: list[Any] = []
    counts: dict[str, list[float]] = {"joint_states": [], "imu/data": [], "odom": []}
    parts: list[Any] = []
    wire: list[dict[str, float]] = []
    model = load_platform("humanoid").model
    slots = {name: a.slot for name, a in model.actuators.items()}
    with graph(domain) as node:
        for row in (topics.JOINT_STATES, topics.IMU, topics.ODOM):
            listen(node, row, lambda msg, name=row.name: counts[name].append(time.monotonic()))
        listen(node, topics.ODOM, lambda msg: odometry.append(convert.odom_from_msg(msg)))
        listen(node, topics.DIAGNOSTICS, lambda msg: parts.extend(status.diagnostics_from_msg(msg)))
        listen(
            node,
            topics.ACTUATOR_COMMANDS.at(topics.WIRE),
            lambda msg: wire.append(dict(goals.command_from_msg(msg, slots, topics.WIRE).values)),
        )
        row = topics.CMD_VEL
        cls = message_class(row.message)
        out = node.create_publisher(cls, row.name, qos_profile(row.qos))
        c.wait_for("armed")
        backward = cls()
        backward.linear.x = -0.12
        end = time.monotonic() + 9.0
        while time.monotonic() < end:
            out.publish(backward)
            time.sleep(0.1)
        assert odometry[-1].position[0] < -0.25, odometry[-1]
        assert abs(odometry[-1].position[1]) < 0.15
        time.sleep(2.0)  # nothing is said any more: it stands, though the planner's route is under way
        there = odometry[-1].position[0]
        time.sleep(1.0)
        assert odometry[-1].position[0] == pytest.approx(there, abs=0.02)
        squat = next(s for s in topics.BEHAVIOURS if s.name == "behaviour/squat")
        stand = next(s for s in topics.BEHAVIOURS if s.name == "behaviour/stand")
        standing = odometry[-1].position[2]
        assert call(node, squat).success
        wait("it squats", lambda: odometry[-1].position[2] < standing - 0.03, 10.0)
        assert call(node, stand).success
        wait("it stands", lambda: odometry[-1].position[2] > standing - 0.01, 10.0)
        goal = message_class(topics.GOAL_POSE.message)()
        goal.header.frame_id, goal.pose.position.x = "map", there + 1.0
        to = node.create_publisher(type(goal), topics.GOAL_POSE.name, qos_profile(topics.GOAL_POSE.qos))
        wait("the planner listens", lambda: to.get_subscription_count() > 0, 10.0)
        to.publish(goal)
        time.sleep(0.5)
        assert call(node, topics.MISSION_START).success
        answer = call(node, topics.RELEASE)
        assert (answer.success, answer.message) == (True, "the planner leads")
        wait("it walks towards the goal", lambda: odometry[-1].position[0] > there + 0.1, 20.0)
    for name, times in counts.items():
        span = times[-1] - times[0]
        assert len(times) / span < 60.0, name
        assert len(times) / span > 20.0, name
    assert {p.part.rsplit("/", 1)[-1] for p in parts} >= {"fast_loop", "servos", "imu"}
    for values in wire:
        for name, actuator in model.actuators.items():
            assert actuator.min - 1e-3 <= values[name] <= actuator.max + 1e-3

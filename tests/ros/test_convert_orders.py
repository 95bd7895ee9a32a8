"""What a robot is asked to do survives its message: joint trajectories, velocities, goals, footsteps."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
sys.path.insert(0, str(Path(__file__).parent))
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from wire import wire

from giljabi.ros import goals
from giljabi.types import BadInputError, FootPlan

settings.load_profile("ros")

REAL = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 999_999_999), REAL, REAL), min_size=1, max_size=5))
def test_joint_trajectory(rows: list[tuple[int, int, float, float]]) -> None:
    msg = JointTrajectory(joint_names=["knee", "elbow"])
    for s, ns, knee, elbow in rows:
        point = JointTrajectoryPoint(positions=[knee, elbow])
        point.time_from_start.sec, point.time_from_start.nanosec = s, ns
        msg.points.append(point)
    back = goals.joint_trajectory_from_msg(wire(msg))
    assert back.names == ("knee", "elbow")
    assert back.times == pytest.approx([s + 1e-9 * ns for s, ns, _, _ in rows])
    assert (back.positions == np.array([[a, b] for _, _, a, b in rows])).all()
    for spoil in ([1.0], [1.0, math.nan]):
        msg.points[0].positions = spoil
        with pytest.raises(BadInputError, match="joint_trajectory"):
            goals.joint_trajectory_from_msg(msg)
    with pytest.raises(BadInputError, match="no joints or no points"):
        goals.joint_trajectory_from_msg(JointTrajectory())


def test_a_velocity_asked_for_comes_through_and_one_that_is_none_is_refused() -> None:
    from geometry_msgs.msg import Twist

    twist = Twist()
    twist.linear.x, twist.linear.y, twist.angular.z = 0.2, -0.1, 0.3
    velocity = goals.velocity_from_msg(wire(twist))
    assert (velocity.forward, velocity.left, velocity.turn) == (0.2, -0.1, 0.3)
    twist.angular.z = math.nan
    with pytest.raises(BadInputError, match="cmd_vel"):
        goals.velocity_from_msg(wire(twist))


def test_a_goal_becomes_a_straight_route_and_nonsense_is_refused() -> None:
    from geometry_msgs.msg import PoseStamped

    msg = PoseStamped()
    msg.header.frame_id = "map"
    msg.pose.position.x, msg.pose.position.y = 3.0, -4.0
    msg.pose.orientation.w, msg.pose.orientation.z = math.cos(0.6), math.sin(0.6)
    goal, heading = goals.goal_from_msg(wire(msg))
    route = goals.straight_to(np.array([1.0, 2.0, 0.5]), goal, 0.3, heading)
    assert route.heading == pytest.approx(1.2)
    msg.pose.orientation.w = msg.pose.orientation.z = 0.0
    assert goals.goal_from_msg(wire(msg))[1] is None
    assert route.points == pytest.approx(np.array([[1.0, 2.0, 0.5], [3.0, -4.0, 0.0]]))
    assert (route.speed == 0.3).all()
    with pytest.raises(BadInputError, match="there already"):
        goals.straight_to(goal, goal, 0.3)
    msg.pose.position.x = math.inf
    with pytest.raises(BadInputError, match="goal_pose"):
        goals.goal_from_msg(msg)
    msg.header.frame_id, msg.pose.position.x = "odom", 0.0
    with pytest.raises(BadInputError, match="map is expected"):
        goals.goal_from_msg(msg)


def test_footsteps_go_there_and_back_and_nonsense_is_refused() -> None:
    plan = FootPlan(np.array([1, 0, 1]), np.arange(12.0).reshape(3, 4) / 7.0, np.array([0.0, 0.01, 0.02]))
    back = goals.steps_from_msg(wire(goals.steps_to_msg(plan)))
    assert back.same(plan)
    none = FootPlan(plan.side[:0], plan.feet[:0], plan.over[:0])
    assert len(goals.steps_from_msg(wire(goals.steps_to_msg(none)))) == 0
    for bad in (
        replace(plan, side=np.array([1, 1, 0])), replace(plan, side=np.array([1, 2, 1])),
        replace(plan, over=np.array([0.0, math.nan, 0.0])),
    ):  # fmt: skip
        with pytest.raises(BadInputError, match="footsteps"):
            goals.steps_from_msg(wire(goals.steps_to_msg(bad)))

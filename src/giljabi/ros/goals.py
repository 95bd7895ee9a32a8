"""Routes, plans and commands to and from standard ROS 2 messages; conventions as in giljabi.ros.convert."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import (
    PoseStamped,
    Transform,
    Twist,
    Vector3,
)
from nav_msgs.msg import Path as PathMsg
from sensor_msgs.msg import JointState as JointStateMsg
from sensor_msgs.msg import PointCloud2
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import MultiDOFJointTrajectory, MultiDOFJointTrajectoryPoint

from giljabi.clock import to_ros_ns
from giljabi.ros.cloud import from_cloud, layout, to_cloud
from giljabi.ros.convert import BASE, MAP, array, finite, header, seconds, vector, yaw_of, yaw_quaternion
from giljabi.steps import BodyVelocity
from giljabi.types import (
    LEFT,
    NAN,
    RIGHT,
    ActuatorCommand,
    Array,
    BadInputError,
    FootPlan,
    JointTrajectory,
    Route,
    Trajectory,
)

STEP_FIELDS = ("side", "x", "y", "z", "yaw", "over")
STEP_ROW = layout(STEP_FIELDS)
STEPS_MAX = 10_000


def _pose(t: float, position: Array, yaw: float) -> PoseStamped:
    msg = PoseStamped(header=header(t, MAP))
    msg.pose.position.x, msg.pose.position.y, msg.pose.position.z = (float(v) for v in position)
    msg.pose.orientation = yaw_quaternion(yaw)
    return msg


def route_to_msg(s: Route, t: float) -> PathMsg:
    """Path whose stamps are the times at which the route's own speeds pass its points, beginning at `t`."""
    path = PathMsg(header=header(t, MAP))
    step = np.diff(s.points, axis=0)
    length = np.linalg.norm(step, axis=1)
    times = t + np.concatenate([[0.0], np.cumsum(length / np.maximum(s.speed[1:], 1e-3))])
    yaw = np.arctan2(step[:, 1], step[:, 0])
    yaw = np.append(yaw, yaw[-1:]) if len(yaw) else np.zeros(len(s.points))
    path.poses = [_pose(float(a), p, float(h)) for a, p, h in zip(times, s.points, yaw, strict=True)]
    return path


def route_from_msg(msg: PathMsg, default_speed: float) -> Route:
    """Inverse of route_to_msg: open to both sides; `default_speed` [m/s] where the stamps tell none.

    A path whose first and last point are the same place is closed.
    """
    if msg.header.frame_id not in ("", MAP):
        raise BadInputError(f"route in frame '{msg.header.frame_id}'; map is expected")
    if len(msg.poses) < 2:
        raise BadInputError(f"route of {len(msg.poses)} points; two or more are expected")
    points = np.array([[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in msg.poses])
    finite("route", points)
    times = np.array([seconds(p.header.stamp) for p in msg.poses])
    length, dt = np.linalg.norm(np.diff(points, axis=0), axis=1), np.diff(times)
    told = dt > 1e-6
    speed = np.where(told, length / np.where(told, dt, 1.0), default_speed)
    closed = len(points) > 3 and float(np.linalg.norm(points[0] - points[-1])) < 1e-6
    half_width = np.full((len(points), 2), np.inf)
    return Route(points, np.concatenate([speed[:1], speed]), half_width, closed)


def goal_from_msg(msg: PoseStamped) -> tuple[Array, float | None]:
    """Place (3,) in map [m] and heading [rad]; None where the orientation is all zeros."""
    if msg.header.frame_id not in ("", MAP):
        raise BadInputError(f"goal_pose in frame '{msg.header.frame_id}'; map is expected")
    place = array(msg.pose.position)
    finite("goal_pose", place)
    q = msg.pose.orientation
    return place, yaw_of(q) if any((q.w, q.x, q.y, q.z)) else None


def straight_to(start: Array, goal: Array, speed: float, heading: float | None = None) -> Route:
    """The straight route from one place (3,) to another and a heading there; BadInputError where there is none."""
    if float(np.hypot(*(goal - start)[:2])) < 0.05:
        raise BadInputError("goal_pose: the vehicle is there already; another place is expected")
    return Route(np.array([start, goal]), np.full(2, speed), np.full((2, 2), np.inf), heading=heading)


def plan_to_msg(s: Trajectory | None) -> PathMsg:
    """The trajectory's poses as a path, for maps and viewers; stamps are the times at which they are due."""
    if s is None:
        return PathMsg(header=header(0.0, MAP))
    path = PathMsg(header=header(s.t, MAP))
    path.poses = [_pose(s.t + float(dt), p, float(h)) for dt, p, h in zip(s.times, s.position, s.yaw, strict=True)]
    return path


def plan_from_msg(msg: PathMsg) -> tuple[Array, Array]:
    """Times (n,) [s] from the header stamp and poses (n, 4) x y z yaw of a path."""
    t0 = seconds(msg.header.stamp)
    times = np.array([seconds(p.header.stamp) - t0 for p in msg.poses])
    rows = [(p.pose.position.x, p.pose.position.y, p.pose.position.z, yaw_of(p.pose.orientation)) for p in msg.poses]
    poses = np.array(rows, dtype=np.float64).reshape(-1, 4)
    finite("plan", times, poses)
    return times, poses


def trajectory_to_msg(s: Trajectory | None) -> MultiDOFJointTrajectory:
    """Trajectory of base_link in map, velocities in map axes; None, nothing to follow, has no points."""
    if s is None:
        return MultiDOFJointTrajectory(header=header(0.0, MAP), joint_names=[BASE])
    msg = MultiDOFJointTrajectory(header=header(s.t, MAP), joint_names=[BASE])
    for i, dt in enumerate(s.times):
        sec, nanosec = to_ros_ns(float(dt))
        point = MultiDOFJointTrajectoryPoint(time_from_start=Duration(sec=sec, nanosec=nanosec))
        point.transforms = [Transform(translation=vector(s.position[i]), rotation=yaw_quaternion(float(s.yaw[i])))]
        turn = Vector3(x=0.0, y=0.0, z=float(s.yaw_rate[i]))
        point.velocities = [Twist(linear=vector(s.velocity[i]), angular=turn)]
        msg.points.append(point)
    return msg


def trajectory_from_msg(msg: MultiDOFJointTrajectory) -> Trajectory | None:
    """Inverse of trajectory_to_msg; yaw is unwrapped from the first row's (-pi, pi]."""
    if msg.header.frame_id != MAP:
        raise BadInputError(f"trajectory in frame '{msg.header.frame_id}'; map is expected")
    if not msg.points:
        return None
    if any(len(p.transforms) != 1 or len(p.velocities) != 1 for p in msg.points):
        raise BadInputError("trajectory: one transform and one velocity a point are expected")
    times = np.array([seconds(p.time_from_start) for p in msg.points])
    position = np.array([array(p.transforms[0].translation) for p in msg.points])
    yaw = np.unwrap([yaw_of(p.transforms[0].rotation) for p in msg.points])
    velocity = np.array([array(p.velocities[0].linear) for p in msg.points])
    yaw_rate = np.array([p.velocities[0].angular.z for p in msg.points])
    finite("trajectory", position, velocity, yaw_rate)
    if (np.diff(times) <= 0.0).any():
        raise BadInputError("trajectory: times do not rise; later points must be due later")
    return Trajectory(seconds(msg.header.stamp), times, position, yaw, velocity, yaw_rate)


def steps_to_msg(plan: FootPlan) -> PointCloud2:
    """Cloud with STEP_FIELDS in map, a row a step."""
    msg = to_cloud(np.column_stack([plan.side, plan.feet, plan.over]), STEP_ROW)
    msg.header = header(0.0, MAP)
    return msg


def steps_from_msg(msg: PointCloud2) -> FootPlan:
    """Inverse of steps_to_msg; refuses rows that are not finite, and feet that do not go in turns."""
    if msg.header.frame_id != MAP:
        raise BadInputError(f"footsteps in frame '{msg.header.frame_id}'; map is expected")
    data = from_cloud(msg, STEP_FIELDS, required=STEP_FIELDS)
    finite("footsteps", data)
    side = data[:, 0].astype(np.int64)
    if len(data) > STEPS_MAX or not np.isin(data[:, 0], (LEFT, RIGHT)).all() or (np.diff(side) == 0).any():
        raise BadInputError(f"footsteps: at most {STEPS_MAX} of sides {LEFT} and {RIGHT} in turns are expected")
    return FootPlan(side, data[:, 1:5], data[:, 5])


def joint_trajectory_from_msg(msg: JointTrajectoryMsg) -> JointTrajectory:
    """Joints of a robot over time from its arrival on; velocities follow from the positions and are not taken."""
    names = tuple(msg.joint_names)
    if not names or not msg.points:
        raise BadInputError("joint_trajectory: no joints or no points; at least one of each is expected")
    if any(len(p.positions) != len(names) for p in msg.points):
        raise BadInputError(f"joint_trajectory: {len(names)} joints; as many positions in each point are expected")
    times = np.array([seconds(p.time_from_start) for p in msg.points])
    positions = np.array([list(p.positions) for p in msg.points])
    finite("joint_trajectory", positions)
    return JointTrajectory(names, times, positions)


def velocity_from_msg(msg: Twist) -> BodyVelocity:
    """A velocity asked for, in base_link: m/s forward and to the left, rad/s to the left."""
    finite("cmd_vel", msg.linear.x, msg.linear.y, msg.angular.z)
    return BodyVelocity(msg.linear.x, msg.linear.y, msg.angular.z)


def command_to_msg(s: ActuatorCommand, slot_of: Mapping[str, str]) -> JointStateMsg:
    """Joint state with each value in the slot of its unit; `slot_of` names it for every actuator."""
    names = list(s.values)
    slots = {slot: [NAN] * len(names) for slot in ("position", "velocity", "effort")}
    for i, name in enumerate(names):
        slots[slot_of[name]][i] = float(s.values[name])
    used = {slot_of[name] for name in names}
    msg = JointStateMsg(header=header(s.t, s.source), name=names)
    msg.position, msg.velocity, msg.effort = (
        slots[slot] if slot in used else [] for slot in ("position", "velocity", "effort")
    )
    return msg


def command_from_msg(msg: JointStateMsg, slot_of: Mapping[str, str], source: str) -> ActuatorCommand:
    """Inverse of command_to_msg; refuses names that are no actuators and values that are missing or not finite."""
    slots = {"position": msg.position, "velocity": msg.velocity, "effort": msg.effort}
    values = {}
    for i, name in enumerate(msg.name):
        slot = slot_of.get(name)
        if slot is None:
            raise BadInputError(f"command for '{name}'; actuators are {', '.join(slot_of)}")
        value = slots[slot][i] if i < len(slots[slot]) else NAN
        finite(f"command for '{name}' ({slot})", value)
        values[name] = float(value)
    return ActuatorCommand(seconds(msg.header.stamp), source, values)

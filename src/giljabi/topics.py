"""The one table of topics: a node names no topic, message, QoS, rate or timeout anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Qos(Enum):
    """Delivery of a topic; the ROS layer maps these to rclpy profiles."""

    SENSOR = "sensor"  # best effort, keep last 5
    STREAM = "stream"  # reliable, keep last 1: newest value wins, nothing queues
    EVENT = "event"  # reliable, keep last 50
    LATCHED = "latched"  # reliable, transient local, keep last 1


@dataclass(frozen=True, slots=True)
class Topic:
    """One row: relative name, `package/Message`, QoS, usual rate and staleness limit (0 = not periodic)."""

    name: str
    message: str
    qos: Qos
    rate_hz: float = 0.0
    timeout_s: float = 0.0

    def at(self, suffix: str) -> Topic:
        """The row for one source of a per-source topic, e.g. `detections/ais`."""
        return Topic(f"{self.name}/{suffix}", self.message, self.qos, self.rate_hz, self.timeout_s)


IMU = Topic("imu/data", "sensor_msgs/Imu", Qos.SENSOR, 50.0, 0.3)
GNSS_FIX = Topic("gnss/fix", "sensor_msgs/NavSatFix", Qos.SENSOR, 5.0, 2.0)
GNSS_VELOCITY = Topic("gnss/velocity", "geometry_msgs/TwistWithCovarianceStamped", Qos.SENSOR, 5.0, 2.0)
HEADING = Topic("heading", "sensor_msgs/Imu", Qos.SENSOR, 10.0, 1.0)
SPEED = Topic("speed_through_water", "geometry_msgs/TwistWithCovarianceStamped", Qos.SENSOR, 1.0, 5.0)
JOINT_STATES = Topic("joint_states", "sensor_msgs/JointState", Qos.SENSOR, 50.0, 0.5)
EXTERNAL_ODOM = Topic("external/odom", "nav_msgs/Odometry", Qos.SENSOR, 50.0, 0.5)
EXTERNAL_ORIGIN = Topic("external/origin", "sensor_msgs/NavSatFix", Qos.LATCHED)
BATTERY = Topic("battery", "sensor_msgs/BatteryState", Qos.SENSOR, 1.0, 5.0)
WIND = Topic("wind", "geometry_msgs/TwistWithCovarianceStamped", Qos.SENSOR, 1.0, 5.0)  # of the air, in map
DETECTIONS = Topic("detections", "sensor_msgs/PointCloud2", Qos.SENSOR, 10.0, 0.0)
SCAN = Topic("scan", "sensor_msgs/LaserScan", Qos.SENSOR, 10.0, 0.0)
GEO_DETECTIONS = Topic("geo_detections", "sensor_msgs/PointCloud2", Qos.SENSOR, 1.0, 0.0)
ODOM = Topic("odom", "nav_msgs/Odometry", Qos.STREAM, 50.0, 0.2)
MAP_TO_ODOM = Topic("map_to_odom", "geometry_msgs/TransformStamped", Qos.LATCHED)
ORIGIN = Topic("origin", "sensor_msgs/NavSatFix", Qos.LATCHED)
TRACKS = Topic("tracks", "sensor_msgs/PointCloud2", Qos.STREAM, 5.0, 1.0)
MAP = Topic("map", "nav_msgs/OccupancyGrid", Qos.STREAM, 10.0, 0.5)
GOAL_POSE = Topic("goal_pose", "geometry_msgs/PoseStamped", Qos.EVENT)
ROUTE = Topic("route", "nav_msgs/Path", Qos.LATCHED)
CMD_VEL = Topic("cmd_vel", "geometry_msgs/Twist", Qos.STREAM, 10.0, 0.5)
PLAN = Topic("plan", "nav_msgs/Path", Qos.STREAM, 5.0, 1.0)
TRAJECTORY = Topic("trajectory", "trajectory_msgs/MultiDOFJointTrajectory", Qos.STREAM, 5.0, 1.0)
FOOTSTEPS = Topic("footsteps", "sensor_msgs/PointCloud2", Qos.LATCHED)  # a row a step: side, x, y, z, yaw, over
JOINT_TRAJECTORY = Topic("joint_trajectory", "trajectory_msgs/JointTrajectory", Qos.EVENT)
ACTUATOR_COMMANDS = Topic("actuator_commands", "sensor_msgs/JointState", Qos.STREAM, 50.0, 0.2)
AUTO, MANUAL, WIRE = "auto", "manual", "wire"  # actuator_commands/<source>; wire: what the guard sent last
MISSION_STATE = Topic("mission/state", "diagnostic_msgs/DiagnosticStatus", Qos.LATCHED, 2.0, 2.0)
MISSION_PLAN = Topic("mission/plan", "std_msgs/String", Qos.LATCHED)  # the mission in force, YAML; empty: a route is
OPERATOR = Topic("operator/heartbeat", "std_msgs/Header", Qos.STREAM, 1.0, 3.0)  # a person sees what happens
HEARTBEAT = Topic("supervisor/heartbeat", "diagnostic_msgs/DiagnosticStatus", Qos.STREAM, 10.0, 0.5)
STATE = Topic("state", "diagnostic_msgs/DiagnosticStatus", Qos.LATCHED, 5.0, 1.0)
REPLAY_TURN = Topic("replay/turn", "diagnostic_msgs/DiagnosticStatus", Qos.EVENT)  # recorded time, samples before it
REPLAY_TAKEN = Topic("replay/taken", "diagnostic_msgs/DiagnosticStatus", Qos.EVENT)  # the estimator's answer
FLEET_INTENT = Topic("/fleet/intent", "std_msgs/String", Qos.EVENT, 10.0, 1.0)
DIAGNOSTICS = Topic("/diagnostics", "diagnostic_msgs/DiagnosticArray", Qos.EVENT, 2.0, 3.0)

TOPICS: tuple[Topic, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Topic))


@dataclass(frozen=True, slots=True)
class Service:
    """One service: relative name and `package/Type`."""

    name: str
    type: str


ARM = Service("arm", "std_srvs/SetBool")
STOP = Service("stop", "std_srvs/Trigger")
RELEASE = Service("release", "std_srvs/Trigger")  # the person at the joystick gives the lead back
BEHAVIOURS: tuple[Service, ...] = tuple(
    Service(f"behaviour/{what}", "std_srvs/Trigger") for what in ("stand", "stop", "squat", "kneel", "sit", "policy")
)  # of platforms with a fast loop
MISSION_START = Service("mission/start", "std_srvs/Trigger")
MISSION_PAUSE = Service("mission/pause", "std_srvs/Trigger")
MISSION_RESUME = Service("mission/resume", "std_srvs/Trigger")
MISSION_SKIP = Service("mission/skip", "std_srvs/Trigger")  # to the next step
MISSION_RETURN = Service("mission/return", "std_srvs/Trigger")
MISSION_LAND = Service("mission/land", "std_srvs/Trigger")
# One parameter each: `mission`, a text in any of the formats; `step`, counted from 1. The result says why not.
MISSION_LOAD = Service("mission/load", "rcl_interfaces/SetParameters")
MISSION_SKIP_TO = Service("mission/skip_to", "rcl_interfaces/SetParameters")

SERVICES: tuple[Service, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Service))

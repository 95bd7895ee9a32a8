"""ROS tests: real rclpy and DDS on a domain of this test process, on the loopback interface only."""

from __future__ import annotations

import os

from giljabi.ros_env import ros_environment

# Wrong field types are refused; everything stays on the loopback interface and out of /dev/shm, as in a run.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.pop("ROS_AUTOMATIC_DISCOVERY_RANGE", None)
os.environ.update(ros_environment(os.environ))

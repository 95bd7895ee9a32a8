"""ROS tests: real rclpy and DDS on a domain of this test process, on the loopback interface only."""

from __future__ import annotations

import os

# Wrong field types are refused; nobody else's graph is on this domain.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

"""ROS tests: real rclpy and DDS on a domain of this test process, on the loopback interface only."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from giljabi.ros_env import ros_environment

# Wrong field types are refused; everything stays on the loopback interface and out of /dev/shm, as in a run.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.pop("ROS_AUTOMATIC_DISCOVERY_RANGE", None)
os.environ.update(ros_environment(os.environ))

if TYPE_CHECKING:
    from command import Command


@pytest.fixture
def started() -> Iterator[list[Command]]:
    """Commands that are put in here are ended after the test."""
    commands: list[Command] = []
    yield commands
    for c in commands:
        if c.process.poll() is None:
            c.process.send_signal(signal.SIGINT)
            c.process.wait(30.0)

"""The stack for the ship steered by headings: ros2 launch giljabi ship_autopilot.launch.py [sim:=true|false] ..."""

from launch import LaunchDescription

from giljabi.ros.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """The process table as launch actions."""
    return describe("ship_autopilot")

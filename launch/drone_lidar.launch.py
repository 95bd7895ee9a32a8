"""The stack for the drone with a scanner: ros2 launch giljabi drone_lidar.launch.py [sim:=true|false] ..."""

from launch import LaunchDescription

from giljabi.ros.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """The process table as launch actions."""
    return describe("drone_lidar")

"""The humanoid's stack: ros2 launch giljabi humanoid.launch.py [sim:=true|false] [scenario:=F] [device_NAME:=URL]"""

from launch import LaunchDescription

from giljabi.ros.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """The process table as launch actions."""
    return describe("humanoid")

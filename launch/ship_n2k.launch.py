"""The stack for the ship on NMEA 2000: ros2 launch giljabi ship_n2k.launch.py [sim:=true|false] [scenario:=F] ..."""

from launch import LaunchDescription

from giljabi.ros.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    """The process table as launch actions."""
    return describe("ship_n2k")

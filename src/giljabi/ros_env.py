"""Environment in which ROS 2 stays on this machine; plain data, read by rclpy when it starts."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from giljabi.platform import share_dir

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
RMW = "RMW_IMPLEMENTATION"


def ros_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What to add to `env`; what the user chose stays.

    Nothing leaves this machine unless ROS_AUTOMATIC_DISCOVERY_RANGE asks for a network. With Fast DDS a profile does
    it: rclpy's own LOCALHOST still binds to all interfaces and leaves shared memory of killed processes in /dev/shm.
    SYSTEM_DEFAULT is what makes rclpy keep the profile.
    """
    out = {}
    if not env.get("AMENT_PREFIX_PATH"):
        out["AMENT_PREFIX_PATH"] = sys.prefix
    if env.get(RANGE, "LOCALHOST") != "LOCALHOST":
        return out
    profile = share_dir() / "config" / "dds" / "loopback.xml"
    own_profile = any(env.get(name, "") not in ("", str(profile)) for name in PROFILES)  # ours may be inherited
    if own_profile or "fastrtps" not in env.get(RMW, "rmw_fastrtps_cpp") or not profile.is_file():
        return out | {RANGE: "LOCALHOST"}
    name = PROFILES[1] if env.get("ROS_DISTRO") == "jazzy" else PROFILES[0]  # Fast DDS 2 knows the older name only
    return out | {RANGE: "SYSTEM_DEFAULT", name: str(profile)}

"""The process table as a launch description for `ros2 launch`; the launch files only name a platform."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    Shutdown,
)
from launch_ros.actions import Node

from giljabi.clock import OFFSET_ENV, make_offset_ns
from giljabi.nodes import ProcessSpec, RunSpec, processes
from giljabi.platform import find_platform, load_platform
from giljabi.run import check_devices, find_scenario, process_environment, program
from giljabi.rundir import RunDir
from giljabi.types import BadInputError

DEVICE = "device_"
RESPAWN_S = 1.0


def describe(platform: str) -> LaunchDescription:
    """Launch description of a platform; arguments as `ros2 launch --show-args` tells.

    Beside those declared, `device_NAME:=URL` gives driver NAME another device.
    """
    return LaunchDescription(
        [
            DeclareLaunchArgument("platform_file", default_value=platform, description="a platform's name or file"),
            DeclareLaunchArgument("sim", default_value="true", description="false: the platform file's devices"),
            DeclareLaunchArgument("scenario", default_value="", description="scenario; default: the platform's"),
            DeclareLaunchArgument("track", default_value="", description="track file whose lap replaces the route"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of all nodes"),
            DeclareLaunchArgument("system_id", default_value="1", description="number of this vehicle in a fleet"),
            DeclareLaunchArgument("page", default_value="true", description="false: without the page"),
            DeclareLaunchArgument("start", default_value="", description="arm and start the mission; default: sim's"),
            OpaqueFunction(function=_setup),
        ]
    )


def _flag(context: LaunchContext, name: str, default: bool) -> bool:
    text = context.launch_configurations.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise BadInputError(f"{name}:={text}; true or false is expected")
    return text in ("true", "1") if text else default


def _setup(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Actions for the arguments of this launch."""
    given = context.launch_configurations
    platform = load_platform(given["platform_file"])
    simulated = _flag(context, "sim", True)
    where = RunDir(platform.name, own_domain=False)
    number = given["system_id"]
    if not number.isdigit():
        where.close()
        raise BadInputError(f"system_id:={number}; a number is expected")
    spec = RunSpec(
        platform_file=find_platform(given["platform_file"]).resolve(),
        run_dir=where.path,
        simulated=simulated,
        scenario=find_scenario(platform, given["scenario"], hardware=not simulated),
        track=Path(given["track"]).resolve() if given["track"] else None,
        devices=check_devices(
            [f"{k.removeprefix(DEVICE)}={v}" for k, v in given.items() if k.startswith(DEVICE)], platform
        ),
        namespace=given["namespace"],
        system_id=int(number),
    )
    env = process_environment(os.environ, where.id) | {OFFSET_ENV: str(make_offset_ns())}
    fast = platform.model.fast_loop is not None
    table = processes(simulated, _flag(context, "page", True), _flag(context, "start", simulated), fast)
    # Not at launch's own shutdown event: the processes still write into the run's folder then.
    atexit.register(where.close)
    return [action(process, spec, env) for process in table]


def action(process: ProcessSpec, spec: RunSpec, env: dict[str, str]) -> ExecuteProcess:
    """One row of the process table; the same interpreter, so that it works from a source tree too."""
    argv = program(process, sys.executable)
    common = {
        "additional_env": env,
        "output": "screen",
        "respawn": process.restart == "always",
        "respawn_delay": RESPAWN_S,
        "sigterm_timeout": "10",  # a loaded machine ends slowly
        "on_exit": Shutdown(reason=f"{process.name} ended") if process.restart == "never" else None,
    }
    if not process.nodes:
        return ExecuteProcess(cmd=[*argv, *spec.arguments(process)], name=process.name, **common)
    return Node(
        executable=argv[0],
        exec_name=process.name,  # `name` would rename every node of the process
        arguments=[*argv[1:], *spec.arguments(process)],
        namespace=spec.namespace or None,
        parameters=[spec.parameters()],
        **common,
    )

"""Console script `giljabi-process NAME`: the lifecycle nodes of one process of the table, or one node alone.

The process configures and activates its nodes itself, ends on SIGINT, SIGTERM and SIGHUP and when its parent
dies, and never hangs: rclpy's own signal handling is off because it sometimes leaves an idle node waiting.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from giljabi.children import prioritise
from giljabi.nodes import PROCESSES, NodeSpec, find_nodes
from giljabi.ros_env import ros_environment
from giljabi.types import BadInputError

SPIN_S = 0.1  # longest wait before a signal or the parent's death is seen
END_WITHIN_S = 4.0  # after that the process leaves without waiting for the middleware
PREFIX = "giljabi-"
ROS_ARGUMENTS = "--ros-args"


def need_rclpy() -> Any:
    """The rclpy module; raises BadInputError with what to do when ROS 2 is missing."""
    os.environ.update(ros_environment(os.environ))
    try:
        import rclpy
    except ImportError as e:
        raise BadInputError(
            f"ROS 2 cannot be imported ({e}); pip install 'giljabi[ros]' or source a ROS 2 installation"
        ) from None
    return rclpy


def executor(context: Any = None) -> Any:
    """The events executor where it exists (half the CPU), else the single-threaded one; None: the default context."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor

        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


class Shell:
    """Signals, parent's death and the end of one process."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.parent = os.getppid()
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, self._on_signal)
        threading.Thread(target=self._leave_in_any_case, daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _leave_in_any_case(self) -> None:
        self.stop.wait()
        time.sleep(END_WITHIN_S)
        os._exit(1)

    @property
    def running(self) -> bool:
        """False once a signal came or the parent died."""
        if os.getppid() != self.parent:
            self.stop.set()
        return not self.stop.is_set()


def build(spec: NodeSpec) -> Any:
    """The node object of a row."""
    module, name = spec.target.split(":")
    return getattr(import_module(module), name)(spec.name)


def start(node: Any) -> bool:
    """Configures and activates; false when a transition fails (the node has logged why)."""
    from rclpy.lifecycle import TransitionCallbackReturn

    ok = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == ok and node.trigger_activate() == ok)


def spin(specs: Sequence[NodeSpec], ros_arguments: Sequence[str]) -> int:
    """Runs the nodes until the end; 0 after a signal, 2 when a node could not be configured."""
    shell = Shell()
    rclpy = need_rclpy()
    from rclpy.signals import SignalHandlerOptions

    # Log files of rcl would pile up in ~/.ros/log without rotation; standard error is what we keep.
    arguments = [*ros_arguments, "--ros-args", "--disable-external-lib-logs"]
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    loop = executor()
    nodes = []
    code = 0
    try:
        for spec in specs:
            node = build(spec)
            nodes.append(node)
            loop.add_node(node)
            if not start(node):
                code = 2
                return code
        while shell.running:
            loop.spin_once(timeout_sec=SPIN_S)
    finally:
        shell.stop.set()  # from here on the clock runs for a hanging middleware
        for node in reversed(nodes):
            node.trigger_shutdown()
            loop.remove_node(node)
            node.destroy_node()
        rclpy.try_shutdown()
    return code


def _names(program: str, arguments: list[str]) -> tuple[str, list[str], list[str]]:
    """Name of the process or node, other arguments of ours, those of ROS."""
    cut = arguments.index(ROS_ARGUMENTS) if ROS_ARGUMENTS in arguments else len(arguments)
    own, ros = arguments[:cut], arguments[cut:]
    name = program.removeprefix(PREFIX)
    if program.startswith(PREFIX) and name != "process":
        return name, own, ros
    if own and not own[0].startswith("-"):
        return own[0], own[1:], ros
    return "", own, ros


def _help(name: str) -> str:
    parameters = "--ros-args -p platform_file:=ship"
    if name:
        return f"usage: {PREFIX}{name} [--ros-args ...]\nexample: {PREFIX}{name} {parameters}"
    known = ", ".join(p.name for p in PROCESSES if p.nodes)
    usage = f"usage: giljabi-process NAME [--ros-args ...]\nNAME: {known}, or one of their nodes"
    return f"{usage}\nexample: giljabi-process planning {parameters}"


def main(argv: Sequence[str] | None = None) -> int:
    """`giljabi-process NAME [--ros-args ...]`, or `giljabi-<node> [--ros-args ...]` for one node."""
    argv = list(sys.argv if argv is None else argv)
    program = Path(argv[0]).name
    arguments = argv[1:]
    try:
        name, own, arguments = _names(program, arguments)
        if "-h" in own or "--help" in own:
            print(_help(name))
            return 0
        if not name:
            raise BadInputError("no name is given; see `giljabi-process --help`")
        if own:
            raise BadInputError(f"unknown argument '{own[0]}'; ROS arguments are expected after --ros-args")
        prioritise(next((p.nice for p in PROCESSES if p.name == name), 0))  # `ros2 launch` does not
        return spin(find_nodes(name), arguments)
    except KeyboardInterrupt:
        return 130
    except BadInputError as e:
        print(f"{program}: {e}", file=sys.stderr)
        return 2
    except Exception as e:
        if os.environ.get("GILJABI_DEBUG"):
            raise
        print(f"{program}: {type(e).__name__}: {e}; GILJABI_DEBUG=1 shows where", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Asks the planner of a running stack: one service call, for `giljabi mission load|start|pause|...`."""

from __future__ import annotations

import time
from typing import Any

from giljabi import topics
from giljabi.ros.messages import service_class
from giljabi.ros.process import executor, need_rclpy
from giljabi.topics import Service
from giljabi.types import BadInputError

FOUND_S, ANSWER_S = 5.0, 5.0
ASKS: dict[str, Service] = {
    "start": topics.MISSION_START, "pause": topics.MISSION_PAUSE, "resume": topics.MISSION_RESUME,
    "skip": topics.MISSION_SKIP, "return": topics.MISSION_RETURN, "land": topics.MISSION_LAND,
}  # fmt: skip


def ask(what: str, value: str | int | None = None, namespace: str = "", domain: int | None = None) -> tuple[bool, str]:
    """Calls `mission/<what>`; value: the text of a mission to load, or the step to skip to.

    Returns whether it was done, and the answer. Raises BadInputError when nobody answers.
    """
    rclpy = need_rclpy()
    from rclpy.signals import SignalHandlerOptions

    row = topics.MISSION_LOAD if what == "load" else topics.MISSION_SKIP_TO if value is not None else ASKS[what]
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("mission_client", namespace=namespace, context=context)
        kind = service_class(row.type)
        client = node.create_client(kind, row.name)
        spinner = executor(context)
        spinner.add_node(node)
        _wait(
            spinner,
            client.service_is_ready,
            FOUND_S,
            f"nobody serves {row.name}; is the stack running, in this domain?",
        )
        future = client.call_async(_request(kind, what, value))
        _wait(spinner, future.done, ANSWER_S, f"{row.name} gave no answer within {ANSWER_S:g} s")
        response = future.result()
        node.destroy_node()
        if value is None:
            return bool(response.success), str(response.message)
        result = response.results[0]
        return bool(result.successful), str(result.reason)
    finally:
        rclpy.shutdown(context=context)


def _request(kind: Any, what: str, value: str | int | None) -> Any:
    request = kind.Request()
    if value is not None:
        from rclpy.parameter import Parameter

        request.parameters = [Parameter("mission" if what == "load" else "step", value=value).to_parameter_msg()]
    return request


def _wait(spinner: Any, ready: Any, seconds: float, words: str) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise BadInputError(words)
        spinner.spin_once(timeout_sec=0.1)

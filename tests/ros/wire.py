"""What the tests of messages share."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from rclpy.serialization import deserialize_message, serialize_message

settings.register_profile("ros", max_examples=40, deadline=None)


def wire(msg: Any) -> Any:
    """The message as another process receives it."""
    return deserialize_message(serialize_message(msg), type(msg))

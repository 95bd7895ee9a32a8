"""Events that a child process tells `giljabi run` on its standard output: one marked JSON line each."""

from __future__ import annotations

import json
import sys
from typing import Any

MARK = "@giljabi "


def tell(event: str, **values: Any) -> None:
    """Prints one event; nobody listening is no error."""
    try:
        sys.stdout.write(MARK + json.dumps({"event": event, **values}, allow_nan=False) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


def heard(line: str) -> dict[str, Any] | None:
    """The event of a line, or None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        data = json.loads(line[len(MARK) :])
    except ValueError:
        return None
    return data if isinstance(data, dict) and isinstance(data.get("event"), str) else None

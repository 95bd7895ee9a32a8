"""What the stack thinks, as lines of JSON for a judge outside of ROS (`giljabi hil --realtime`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from giljabi.types import MissionState, Odometry, StackState

RATE_HZ = 20.0
COUNT_PERIOD_S = 1.0


class Told:
    """One line at each call of `tick`; what guard and drivers have counted once a second, and at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._odom: Odometry | None = None
        self._phase = ""
        self._counted = -math.inf

    def odometry(self, odom: Odometry) -> None:
        """The newest estimate."""
        self._odom = odom

    def mission(self, mission: MissionState) -> None:
        """What the planner says."""
        self._phase = mission.phase.value

    def tick(
        self, now: float, state: StackState, output: Mapping[str, float], counts: Callable[[], dict[str, Any]]
    ) -> None:
        """Writes a line; counts: called when it is time for them."""
        row: dict[str, Any] = {"t": now, "mode": state.mode, "armed": state.armed, "reasons": list(state.reasons)}
        row |= {"phase": self._phase, "output": dict(output)}
        if self._odom is not None:
            x, y = (float(v) for v in self._odom.position[:2])
            row["odom"] = {"x": x, "y": y, "yaw": float(self._odom.yaw)}
        if now - self._counted >= COUNT_PERIOD_S:
            self._counted = now
            row["counts"] = counts()
        self._file.write(json.dumps(row) + "\n")

    def close(self, counts: dict[str, Any]) -> None:
        """The last counts."""
        self._file.write(json.dumps({"counts": counts}) + "\n")
        self._file.close()

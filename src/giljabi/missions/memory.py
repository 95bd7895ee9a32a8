"""What a planner's process leaves for the next one: the mission or route in force, and how far it came. One file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from giljabi.mission import RouteModel
from giljabi.missions.plan import Plan
from giljabi.steps import Progress
from giljabi.types import MissionPhase, Route
from giljabi.yaml_file import Strict, YamlFile


class ProgressModel(Strict):
    """steps.Progress."""

    phase: MissionPhase
    step: int = Field(ge=0)
    index: int = Field(ge=0)
    home: tuple[float, float, float] | None = None
    length: float = Field(ge=0)

    def progress(self) -> Progress:
        """The same as plain data."""
        return Progress(self.phase, self.step, self.index, self.home, self.length)


class MemoryModel(Strict):
    """The whole file; neither plan nor route: nothing was to be done."""

    plan: Plan | None = None
    route: RouteModel | None = None
    progress: ProgressModel | None = None

    def way(self) -> Route | None:
        """The route in map."""
        r = self.route
        if r is None:
            return None
        width = np.array([[math.inf if v is None else v for v in pair] for pair in r.half_width])
        return Route(np.array(r.points), np.array(r.speed), width, r.closed)


class Memory:
    """The file of one run: read once by a process that is started, written by it whenever something has changed."""

    def __init__(self, path: Path | None) -> None:
        """path: None remembers nothing."""
        self._path = path
        self._mission: dict[str, Any] = {}
        self._progress: Progress | None = None

    def read(self) -> MemoryModel:
        """What the last process left; raises BadInputError `file:line: ...` for what is none."""
        if self._path is None or not self._path.is_file():
            return MemoryModel()
        file = YamlFile(self._path)
        model = file.validate(MemoryModel)
        self._mission = {k: v for k, v in file.data.items() if k != "progress"}
        self._progress = model.progress.progress() if model.progress is not None else None
        return model

    def keep_plan(self, plan: Plan) -> None:
        """Another mission is in force."""
        self._mission, self._progress = {"plan": plan.model_dump(mode="json", exclude_none=True)}, None
        self._write()

    def keep_route(self, route: Route) -> None:
        """A route is in force."""
        width = [[v if math.isfinite(v) else None for v in row] for row in np.asarray(route.half_width).tolist()]
        out = {"points": np.asarray(route.points).tolist(), "speed": np.asarray(route.speed).tolist()}
        self._mission, self._progress = {"route": {**out, "half_width": width, "closed": bool(route.closed)}}, None
        self._write()

    def keep_progress(self, progress: Progress) -> None:
        """How far it came; written when it is news."""
        if progress != self._progress:
            self._progress = progress
            self._write()

    def _write(self) -> None:
        """At once: who reads sees the whole file, the old or the new one."""
        if self._path is None:
            return
        p = self._progress
        told: dict[str, Any] = {}
        if p is not None:
            told = {"phase": p.phase.value, "step": p.step, "index": p.index, "home": p.home, "length": p.length}
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({**self._mission, **({"progress": told} if told else {})}), encoding="utf-8")
        os.replace(partial, self._path)

"""Mapper node: scans and odometry in, map out; where the platform file names no mapper it has nothing to do."""

from __future__ import annotations

from collections.abc import Mapping

from giljabi import topics
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert, convert_map
from giljabi.ros.node import StackNode
from giljabi.ros.sensors import scan_topic, scanners
from giljabi.steps import Mapper
from giljabi.types import Odometry, Scan

ODOMETRY_MAX, SCANS_MAX = 1000, 100  # more than any rate brings between two steps


class MapperNode(StackNode):
    """Holds one mapper."""

    def build(self, platform: Platform) -> None:
        self.mapper: Mapper | None = None
        step = platform.model.steps.mapper
        if step is None:
            return
        self.mapper = build_step(platform, "mapper")
        self._scans: list[Scan] = []
        self._odometry: list[Odometry] = []
        self._told: float | None = None
        self._map = self.publisher(topics.MAP, convert_map.map_to_msg)
        for source in scanners(platform):
            topic = scan_topic(source)
            self.subscribe(topic.row, convert_map.scan_from_msg, self._take_scan)
        self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_odom)
        self.every(step.rate_hz, self._step)

    def _take_scan(self, scan: Scan) -> None:
        self._scans.append(scan)
        del self._scans[:-SCANS_MAX]

    def _take_odom(self, odom: Odometry) -> None:
        self._odometry.append(odom)
        del self._odometry[:-ODOMETRY_MAX]

    def _step(self, now: float) -> None:
        assert self.mapper is not None
        scans, self._scans = self._scans, []
        odometry, self._odometry = self._odometry, []
        grid = self.mapper.step(now, scans, odometry)
        if grid is not None and grid.t != self._told:
            self._told = grid.t
            self._map(grid)

    def problems(self, now: float) -> Mapping[str, str]:
        if self.mapper is None:
            return {}
        return {} if self._told is not None else {"map": "no scan with a known pose yet"}

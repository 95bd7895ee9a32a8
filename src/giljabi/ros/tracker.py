"""Tracker node: detections and odometry in, tracks out."""

from __future__ import annotations

from typing import Any

from giljabi import topics
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert
from giljabi.ros.node import StackNode
from giljabi.ros.sensors import detection_topics, detectors
from giljabi.steps import Tracker
from giljabi.types import Detections, GeoDetections, Odometry, Origin

ODOMETRY_MAX = 1000  # more than any rate brings between two steps


class TrackerNode(StackNode):
    """Holds one tracker; steps at its rate, so that tracks grow old when detections stop."""

    def build(self, platform: Platform) -> None:
        self.tracker: Tracker = build_step(platform, "tracker")
        self._detections: list[Detections | GeoDetections] = []
        self._odometry: list[Odometry] = []
        self._origin: Origin | None = None
        self._tracks = self.publisher(topics.TRACKS, convert.tracks_to_msg)
        for source in detectors(platform):
            for topic in detection_topics(source):
                self.subscribe(topic.row, topic.from_msg, self._take_detections)
        self.subscribe(topics.ODOM, convert.odom_from_msg, self._take_odom)
        self.subscribe(topics.ORIGIN, convert.origin_from_msg, self._take_origin)
        self.every(platform.model.steps.tracker.rate_hz, self._step)

    def _take_detections(self, sample: Any) -> None:
        self._detections.append(sample)

    def _take_odom(self, odom: Odometry) -> None:
        self._odometry.append(odom)
        del self._odometry[:-ODOMETRY_MAX]

    def _take_origin(self, origin: Origin) -> None:
        self._origin = origin

    def _step(self, now: float) -> None:
        detections, self._detections = self._detections, []
        odometry, self._odometry = self._odometry, []
        self._tracks(self.tracker.step(now, detections, odometry, self._origin))

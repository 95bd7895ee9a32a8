"""Estimator node: samples in; odometry, origin and map_to_odom out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sensor_msgs.msg import NavSatFix

from giljabi import topics
from giljabi.estimation.eskf import EskfEstimator
from giljabi.mission import Mission
from giljabi.platform import Platform
from giljabi.registry import build_step
from giljabi.ros import convert
from giljabi.ros.node import StackNode
from giljabi.ros.sensors import STATE_TOPICS
from giljabi.ros.turns import TurnTaker
from giljabi.steps import Estimator
from giljabi.types import Imu, Odometry, Origin, Sample

SAMPLES_MAX = 2000  # kept while waiting for a mission file; then the oldest go


class EstimatorNode(StackNode):
    """Holds one estimator; its step follows the arrival of samples, in a replay the recording's turns."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("in_base_link", [""])

    def build(self, platform: Platform) -> None:
        self.estimator: Estimator = build_step(platform, "estimator")
        self._samples: list[Sample] = []
        self._take: Callable[[int, Sample | None], None]
        self._told_origin: Origin | None = None
        self._newest = 0.0  # inertial sample, for the trace
        self._odom = self.publisher(topics.ODOM, convert.odom_to_msg)
        self._origin = self.publisher(topics.ORIGIN, self._origin_to_msg)
        self._frame = self.publisher(topics.MAP_TO_ODOM, convert.map_to_odom_to_msg)
        self.on_mission(self._take_mission)
        if self.replayed:
            self._place()
            taker = TurnTaker(self, self._estimate, self._odom, self._rejected)
            self._take = taker.arrived
        else:
            self._arrived = self.paced(platform.model.steps.estimator.rate_hz, self._step)
            self._take = self._keep
        for kind, topic in enumerate(STATE_TOPICS):
            self.subscribe(topic.row, lambda msg: msg, partial(self._convert, kind, topic.from_msg))

    def _origin_to_msg(self, origin: Origin) -> NavSatFix:
        return convert.origin_to_msg(origin, self.clock.now())

    def _take_mission(self, mission: Mission) -> None:
        if mission.origin is not None:
            self.estimator.origin = mission.origin

    def _place(self) -> None:
        """Tells the estimator which inertial sources have the axes of base_link."""
        for source in filter(None, self.get_parameter("in_base_link").value):
            assert isinstance(self.estimator, EskfEstimator)
            self.estimator.place("imu", source)

    def _rejected(self) -> Mapping[str, int]:
        rejected = getattr(self.estimator, "rejected", {})
        return {source: sum(reasons.values()) for source, reasons in rejected.items() if reasons}

    def _convert(self, kind: int, from_msg: Callable[[Any], Sample], msg: Any) -> None:
        sample = None
        try:
            sample = from_msg(msg)
        finally:
            self._take(kind, sample)  # a message that makes no sense has arrived, too: a replay counts them

    def _keep(self, kind: int, sample: Sample | None) -> None:
        if sample is not None:
            self._samples.append(sample)
            del self._samples[:-SAMPLES_MAX]
            self._arrived()

    def _step(self, now: float) -> None:
        if self.mission_awaited:
            return  # the origin is not known yet
        samples, self._samples = self._samples, []
        self._estimate(now, samples)

    def _estimate(self, now: float, samples: Sequence[Sample]) -> Odometry | None:
        odom = self.estimator.step(now, samples)
        if odom is None:
            return None
        self._odom(odom)
        if self.trace.on:
            self._newest = max([self._newest, *(s.t for s in samples if isinstance(s, Imu))])
            self.trace("odom", odom.t, self._newest, self.clock.now())
        if self.estimator.origin is not None and self.estimator.origin != self._told_origin:
            self._told_origin = self.estimator.origin
            self._origin(self._told_origin)
            self._frame(now)
        return odom

    def problems(self, now: float) -> Mapping[str, str]:
        if self.mission_awaited:
            return {"origin": f"waits for {self.get_parameter('mission_file').value}"}
        return self.estimator.health(now)

"""Which topics carry the samples of a platform's sensors, and the converters of each; the only list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from giljabi import topics
from giljabi.platform import Platform
from giljabi.ros import convert, convert_external, convert_map
from giljabi.ros.node import StackNode
from giljabi.topics import Topic
from giljabi.types import (
    Battery,
    Detections,
    ExternalOdometry,
    GeoDetections,
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    LocalOrigin,
    Sample,
    Scan,
    SpeedThroughWater,
)


@dataclass(frozen=True, slots=True)
class SampleTopic:
    """One topic of samples: its row, the type it carries, and the converters."""

    row: Topic
    type: type
    to_msg: Callable[[Any], Any]
    from_msg: Callable[[Any], Sample]


_FIX = SampleTopic(topics.GNSS_FIX, GnssFix, convert.fix_to_msg, convert.fix_from_msg)
_VELOCITY = SampleTopic(topics.GNSS_VELOCITY, GnssVelocity, convert.velocity_to_msg, convert.velocity_from_msg)
_IMU = SampleTopic(topics.IMU, Imu, convert.imu_to_msg, convert.imu_from_msg)
_HEADING = SampleTopic(topics.HEADING, Heading, convert.heading_to_msg, convert.heading_from_msg)
_JOINTS = SampleTopic(topics.JOINT_STATES, JointState, convert.joints_to_msg, convert.joints_from_msg)
_SPEED = SampleTopic(topics.SPEED, SpeedThroughWater, convert.speed_to_msg, convert.speed_from_msg)
_EXTERNAL = SampleTopic(
    topics.EXTERNAL_ODOM, ExternalOdometry, convert_external.external_to_msg, convert_external.external_from_msg
)
_PLACE = SampleTopic(
    topics.EXTERNAL_ORIGIN, LocalOrigin, convert_external.local_origin_to_msg, convert_external.local_origin_from_msg
)
_BATTERY = SampleTopic(topics.BATTERY, Battery, convert_external.battery_to_msg, convert_external.battery_from_msg)

# By kind of sensor in the platform file. A device may give more than its kind says (a compass that knows its speed).
STATE_TOPICS: tuple[SampleTopic, ...] = (
    _FIX, _VELOCITY, _IMU, _HEADING, _JOINTS, _SPEED, _EXTERNAL, _PLACE, _BATTERY,
)  # fmt: skip


def detection_topics(source: str) -> tuple[SampleTopic, ...]:
    """The two topics on which a detecting sensor may speak: in map or base_link, and geodetic."""
    return (
        SampleTopic(
            topics.DETECTIONS.at(source),
            Detections,
            convert.detections_to_msg,
            lambda msg: convert.detections_from_msg(msg, source),
        ),
        SampleTopic(
            topics.GEO_DETECTIONS.at(source),
            GeoDetections,
            convert.geo_detections_to_msg,
            lambda msg: convert.geo_detections_from_msg(msg, source),
        ),
    )


def scan_topic(source: str) -> SampleTopic:
    """The topic of one scanner."""
    return SampleTopic(topics.SCAN.at(source), Scan, convert_map.scan_to_msg, convert_map.scan_from_msg)


def scanners(platform: Platform) -> list[str]:
    """Names of the platform's scanners."""
    return [name for name, sensor in platform.model.sensors.items() if sensor.kind == "scan"]


def detectors(platform: Platform) -> list[str]:
    """Names of the platform's detecting sensors."""
    return [name for name, sensor in platform.model.sensors.items() if sensor.kind == "detections"]


def sample_publisher(node: StackNode, platform: Platform) -> Callable[[Sample], None]:
    """A function that publishes any sample of the platform's devices on its topic; it may be called from any thread.

    It raises ValueError for detections and scans of a source that is no sensor of the platform file.
    """
    by_type = {t.type: node.publisher(t.row, t.to_msg) for t in STATE_TOPICS}
    by_source = {
        (t.type, source): node.publisher(t.row, t.to_msg)
        for source in detectors(platform)
        for t in detection_topics(source)
    }
    by_source |= {(Scan, n): node.publisher(t.row, t.to_msg) for n in scanners(platform) for t in [scan_topic(n)]}

    def publish(sample: Sample) -> None:
        if isinstance(sample, (Detections, GeoDetections, Scan)):
            out = by_source.get((type(sample), sample.source))
        else:
            out = by_type.get(type(sample))
        if out is None:
            raise ValueError(f"{type(sample).__name__} from '{sample.source}', which is no sensor of the platform file")
        out(sample)

    return publish

"""The topic table holds together."""

from __future__ import annotations

import re

from giljabi import topics
from giljabi.platform import load_platform
from giljabi.topics import SERVICES, TOPICS, Qos


def test_names_are_unique_and_relative() -> None:
    names = [t.name for t in TOPICS] + [s.name for s in SERVICES]
    assert len(names) == len(set(names))
    for name in names:
        # Only the diagnostics of the whole graph and what a fleet agrees on are absolute.
        assert re.fullmatch(r"[a-z][a-z_]*(/[a-z][a-z_]*)*", name) or name in ("/diagnostics", "/fleet/intent")


def test_messages_are_standard() -> None:
    standard = {
        "sensor_msgs", "geometry_msgs", "nav_msgs", "trajectory_msgs", "diagnostic_msgs", "std_msgs", "std_srvs",
        "rcl_interfaces", "tf2_msgs",
    }  # fmt: skip
    for kind in [t.message for t in TOPICS] + [s.type for s in SERVICES]:
        package, _, name = kind.partition("/")
        assert package in standard
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)


def test_timeouts_leave_room_for_lost_messages() -> None:
    for t in TOPICS:
        assert t.rate_hz >= 0.0
        if t.timeout_s:
            assert t.rate_hz > 0.0, t.name
            assert t.timeout_s * t.rate_hz >= 2.0, t.name


def test_state_is_latched_and_commands_never_queue() -> None:
    assert topics.STATE.qos is Qos.LATCHED
    assert topics.ACTUATOR_COMMANDS.qos is Qos.STREAM
    assert topics.HEARTBEAT.qos is Qos.STREAM


def test_sources_of_a_topic_keep_its_row() -> None:
    auto = topics.ACTUATOR_COMMANDS.at("auto")
    assert auto.name == "actuator_commands/auto"
    assert (auto.message, auto.qos, auto.rate_hz) == ("sensor_msgs/JointState", Qos.STREAM, 50.0)


def test_services_of_the_contract() -> None:
    kinds = {s.name: s.type for s in SERVICES}
    assert kinds["arm"] == "std_srvs/SetBool"
    assert kinds["stop"] == kinds["release"] == "std_srvs/Trigger"
    assert {"mission/start", "mission/pause", "mission/resume"} <= set(kinds)


def test_platforms_override_rows_that_exist() -> None:
    names = {t.name for t in TOPICS}
    for platform in ("ship", "car"):
        assert set(load_platform(platform).model.topics) <= names

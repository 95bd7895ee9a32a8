"""The fence: a source may lead while the vehicle can come to rest inside."""

from __future__ import annotations

import dataclasses
import math

import pytest
from guard_rig import COMMAND, CONFIG, DT, Rig

from giljabi.types import BadInputError

BODY = dataclasses.replace(CONFIG, stop_deceleration=2.0, front=3.5, rear=1.0, half_width=0.9)
SQUARE = [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0)]


def rig_at(x: float, y: float, yaw: float = 0.0, speed: float = 0.0) -> Rig:
    rig = Rig(BODY)
    rig.guard.set_fences([SQUARE])
    drive(rig, 0.05, x, y, yaw, speed)
    return rig


def drive(rig: Rig, seconds: float, x: float, y: float, yaw: float = 0.0, speed: float = 0.0) -> None:
    """Steps with commands, heartbeats and a pose that moves straight on."""
    for k in range(round(seconds / DT)):
        rig.n += 1
        way = speed * (k + 1) * DT
        rig.guard.pose(rig.now, rig.now, x + way * math.cos(yaw), y + way * math.sin(yaw), yaw, speed)
        rig.guard.submit("auto", rig.now, rig.now, COMMAND)
        rig.guard.heartbeat(rig.now, rig.now)
        rig.step()


@pytest.mark.parametrize(
    ("x", "y", "yaw", "speed", "room"),
    [
        (50.0, 50.0, 0.0, 10.0, 50.0 - 3.5 - 0.9),
        (50.0, 50.0, math.pi / 2, 10.0, 50.0 - 3.5 - 0.9),
        (50.0, 50.0, math.pi, 10.0, 50.0 - 3.5 - 0.9),
        (50.0, 50.0, 0.0, -10.0, 50.0 - 1.0 - 0.9),  # astern: towards x = 0
        (20.0, 50.0, 0.0, 10.0, 80.0 - 3.5 - 0.9),
    ],
)
def test_it_brakes_when_the_way_to_rest_just_fits(x: float, y: float, yaw: float, speed: float, room: float) -> None:
    rig = rig_at(x, y, yaw)
    assert rig.guard.arm(rig.now) == []
    start = rig.now
    drive(rig, 8.0, x, y, yaw, speed)
    assert rig.mode == "minimum_risk"
    assert rig.reasons.startswith("fence: it would be left within the 25.")
    ended = next(e.t for e in rig.guard.events()[1] if "minimum risk" in e.what)
    to_rest = speed**2 / (2.0 * 2.0) + 10.0 * DT
    assert abs(speed) * (ended - start) == pytest.approx(room - to_rest, abs=0.3)


def test_beside_the_edge_the_width_counts() -> None:
    rig = rig_at(50.0, 1.0)
    assert rig.guard.arm(rig.now) == []
    drive(rig, 0.5, 50.0, 0.95)
    assert rig.mode == "auto"
    drive(rig, 0.02, 50.0, 0.85)
    assert rig.mode == "minimum_risk"


def test_outside_nobody_arms_and_a_person_brings_it_back() -> None:
    rig = rig_at(150.0, 50.0)
    assert [r for r in rig.guard.arm(rig.now) if r.startswith("fence")]
    for _ in range(5):
        rig.n += 1
        rig.guard.submit("manual", rig.now, rig.now, COMMAND)
        rig.guard.heartbeat(rig.now, rig.now)
        rig.step()
    assert rig.guard.arm(rig.now) == []
    assert rig.mode == "manual"
    rig.run(0.5, source="manual")
    assert rig.mode == "manual"
    rig.run(0.05)
    rig.guard.release("manual", rig.now)
    rig.run(0.05)
    assert rig.mode == "minimum_risk"


def test_an_old_or_missing_pose_keeps_no_fence() -> None:
    rig = Rig(BODY)
    rig.guard.set_fences([SQUARE])
    rig.run(0.05)
    assert "fence: no pose" in rig.guard.arm(rig.now)
    drive(rig, 0.05, 50.0, 50.0)
    assert rig.guard.arm(rig.now) == []
    rig.run(0.25)
    assert rig.mode == "auto"
    rig.run(0.1)
    assert rig.mode == "minimum_risk"
    assert rig.reasons.startswith("fence: no pose for 0.3")


def test_age_of_the_pose_adds_to_the_way() -> None:
    rig = rig_at(50.0, 50.0)
    assert rig.guard.arm(rig.now) == []
    # 25 m to rest at 10 m/s, 3.5 m of bow, half a width, one tick: 29.5 m; 1.5 m more is 0.15 s.
    rig.guard.pose(rig.now, rig.now, 100.0 - 31.0, 50.0, 0.0, 10.0)
    rig.run(0.12)
    assert rig.mode == "auto"
    rig.run(0.05)
    assert rig.mode == "minimum_risk"


def test_every_fence_counts_and_none_changes_while_a_source_leads() -> None:
    rig = rig_at(50.0, 50.0)
    rig.guard.set_fences([SQUARE, [(40.0, 40.0), (60.0, 40.0), (50.0, 45.0)]])
    assert rig.guard.arm(rig.now)
    rig.guard.set_fences([SQUARE])
    assert rig.guard.arm(rig.now) == []
    with pytest.raises(BadInputError, match="disarm"):
        rig.guard.set_fences([])


@pytest.mark.parametrize(
    "fence", [[(0.0, 0.0), (1.0, 0.0)], [(0.0, 0.0), (1.0, 0.0), (math.nan, 1.0)], [(0.0, 0.0), (1.0, 0.0), (1.0,)]]
)
def test_what_is_no_polygon_is_refused(fence: list[tuple[float, float]]) -> None:
    with pytest.raises(BadInputError, match="fence"):
        Rig(BODY).guard.set_fences([fence])


def test_a_fence_needs_to_know_how_the_safe_output_brakes() -> None:
    with pytest.raises(BadInputError, match="stop_deceleration"):
        Rig(CONFIG).guard.set_fences([SQUARE])
    Rig(CONFIG).guard.set_fences([])

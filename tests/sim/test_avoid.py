"""The drone with a scanner in lock-step: a wood, a yard with one way out, places that nobody can reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from giljabi.stack import Stack
from giljabi.types import MissionPhase
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation


@dataclass
class Trace:
    """Ground truth and what the planner says, ten times a second."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        if round(now * 100) % 10 == 0:
            own, mission = simulation.world.own, stack.latest.mission
            self.rows.append({"t": simulation.world.t, "x": own.x, "y": own.y, "z": own.z, "speed": own.speed,
                              "phase": mission.phase if mission else None, "note": mission.note if mission else "",
                              "mode": stack.state(now).mode})  # fmt: skip

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        pass


def fly(name: str, *overrides: str, faults: tuple[str, ...] = ()) -> tuple[dict[str, Any], Trace]:
    trace = Trace()
    return LockStep(load_scenario(name, overrides, faults=faults), trace).run().report, trace


def test_it_flies_through_a_wood_and_lands_behind_it() -> None:
    report, trace = fly("drone_forest")
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    assert report["cross_track_rms_m"] > 0.1  # the line itself leads through trunks
    assert {"following"} < {r["note"].split(":")[0] for r in trace.rows}
    assert max(r["speed"] for r in trace.rows) < 4.8
    assert trace.rows[-1]["z"] < 0.8


def test_out_of_a_dead_end_and_around_it() -> None:
    report, trace = fly("drone_dead_end")
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    furthest = [max(r["x"] for r in trace.rows[: i + 1]) for i in range(len(trace.rows))]
    assert max(f - r["x"] for f, r in zip(furthest, trace.rows, strict=True)) > 2.0  # it went back


def test_same_seed_same_flight() -> None:
    first, second = fly("drone_dead_end", "duration_s=25"), fly("drone_dead_end", "duration_s=25")
    assert first[0] == second[0]
    assert first[1].rows == second[1].rows


def test_a_blind_scanner_stops_it_before_anything_it_has_not_seen() -> None:
    report, trace = fly("drone_forest", "asserts=[]", faults=("what=silent where=lidar begin=12",))
    last = [r for r in trace.rows if r["t"] > 12.0]
    assert report["outcome"] in ("stopped", "timeout")
    assert report["min_distance_m"] > 0.2
    begin = last[0]
    assert max(math.hypot(r["x"] - begin["x"], r["y"] - begin["y"]) for r in last) < 8.0


def test_a_place_that_cannot_be_reached_is_said_to_be_so_and_it_comes_home() -> None:
    ring = [(30.0, 5.0, 10.4, 0.4), (30.0, -5.0, 10.4, 0.4), (25.0, 0.0, 0.4, 10.0), (35.0, 0.0, 0.4, 10.0)]
    walls = ",".join(f"{{position: [{x}, {y}], length: {a}, width: {b}}}" for x, y, a, b in ring)
    report, trace = fly(
        "drone_dead_end", "route.points=[[0,0,0],[5,0,5],[30,0,0]]", f"world.obstacles=[{walls}]", "asserts=[]",
        "duration_s=300",
    )  # fmt: skip
    failed = [r for r in trace.rows if r["phase"] is MissionPhase.FAILED]
    assert failed
    assert "no way" in failed[0]["note"]
    assert report["outcome"] != "collision"
    assert math.hypot(trace.rows[-1]["x"], trace.rows[-1]["y"]) < 2.0  # nobody helped it: it went home
    assert report["min_distance_m"] > 0.2


@pytest.mark.parametrize("part", ["mapper", "planner"])
def test_whoever_dies_it_comes_to_rest_in_what_it_has_seen(part: str) -> None:
    report, trace = fly("drone_forest", "asserts=[]", "duration_s=60", faults=(f"what=silent where={part} begin=12",))
    after = [r for r in trace.rows if 20.0 < r["t"] < 22.0]
    assert max(r["speed"] for r in after) < 0.5
    assert report["outcome"] != "collision"


def test_three_drones_on_its_way_are_passed_with_room() -> None:
    report, trace = fly("drone_crossing_traffic")
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    assert any("a track comes" in r["note"] for r in trace.rows)


def test_without_the_receiver_they_would_be_hit_or_nearly() -> None:
    """The same flight along the line: that the others are passed is not the scenario's doing."""
    report, _ = fly("drone_crossing_traffic", "platform=drone", "asserts=[]")
    assert report["min_distance_m"] < 1.0


def test_a_low_wall_is_flown_over_as_if_it_were_not_there() -> None:
    wall = "{position: [15.0, 0.0], length: 0.4, width: 30.0, top: 3.0}"
    report, trace = fly("drone_dead_end", "route.points=[[0,0,0],[10,0,6],[30,0,0]]", f"world.obstacles=[{wall}]")
    assert report["outcome"] == "arrived"
    assert 2.0 < report["min_distance_m"] < 4.0
    assert report["cross_track_rms_m"] < 0.5
    assert not any("something stands" in r["note"] for r in trace.rows)

"""The drone over MAVLink in lock-step: mission, faults, and the autopilot's own failsafes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from giljabi.stack import Stack
from giljabi.types import BadInputError
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation


@dataclass
class Trace:
    """Ground truth and the state of both sides, ten times a second."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    bytes_out: int = 0

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        own, pilot = simulation.world.own, simulation.peers["autopilot"].pilot
        if round(now * 100) % 10 == 0:
            row = {"t": simulation.world.t, "x": own.x, "y": own.y, "z": own.z, "speed": own.speed, "vz": own.vz}
            self.rows.append({**row, "mode": pilot.mode, "armed": pilot.armed, "landed": pilot.landed,
                              "guard": stack.state(now).mode, "tilt": max(abs(own.roll), abs(own.pitch))})  # fmt: skip

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        self.bytes_out += len(chunk.data) if outward else 0


def fly(name: str, *overrides: str, faults: tuple[str, ...] = ()) -> tuple[dict[str, Any], Trace]:
    trace = Trace()
    report = LockStep(load_scenario(name, overrides, faults=faults), trace).run().report
    return report, trace


def test_the_square_is_flown_and_ends_on_the_ground_where_it_began() -> None:
    report, trace = fly("drone_square")
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    heights = [r["z"] for r in trace.rows]
    assert 11.5 < max(heights) < 13.0
    assert heights[-1] < 0.5
    assert math.hypot(trace.rows[-1]["x"], trace.rows[-1]["y"]) < 1.5
    assert max(r["speed"] for r in trace.rows) == pytest.approx(5.0, abs=0.8)
    assert trace.rows[-1]["mode"] == 9  # LAND did the last metres


def test_same_seed_same_flight_another_seed_another() -> None:
    short = ("route.points=[[0,0,0],[20,0,8],[0,0,0]]",)
    first, second = fly("drone_square", *short), fly("drone_square", *short)
    assert first[0] == second[0]
    assert first[1].rows == second[1].rows
    assert fly("drone_square", *short, "seed=2")[1].rows != first[1].rows


@pytest.mark.parametrize("part", ["planner", "controller"])
def test_whoever_dies_at_4_mps_the_vehicle_stops_within_3_m(part: str) -> None:
    begin = 25.0
    report, trace = fly(
        "drone_planner_silent", "faults=[]", "asserts=[]", faults=(f"what=silent where={part} begin={begin}",)
    )
    before = next(r for r in trace.rows if r["t"] >= begin)
    assert before["speed"] > 3.8
    after = [r for r in trace.rows if begin <= r["t"] <= begin + 8.0]
    assert max(math.hypot(r["x"] - before["x"], r["y"] - before["y"]) for r in after) < 3.0
    assert all(abs(r["z"] - before["z"]) < 1.0 for r in after)
    assert after[-1]["armed"]  # never motors off in the air
    assert report["outcome"] in ("stopped", "timeout")  # timeout: the autopilot has begun to return


def test_the_ladder_and_home() -> None:
    report, trace = fly("drone_controller_silent")
    assert all(a["held"] for a in report["asserts"])
    modes = [r["mode"] for r in trace.rows]
    order = [m for i, m in enumerate(modes) if i == 0 or modes[i - 1] != m]
    assert order == [0, 4, 17, 6]  # STABILIZE, GUIDED, BRAKE, RTL
    last = trace.rows[-1]
    assert (last["landed"], last["armed"]) == (True, False)
    assert last["z"] < 0.5


def test_an_unplugged_link_lets_the_autopilot_come_home_by_itself() -> None:
    """The companion's heartbeat is gone with it: its own failsafe is RTL after 5 s."""
    report, trace = fly(
        "drone_controller_silent", "faults=[]", "asserts=[]", faults=("what=unplug where=autopilot begin=20",)
    )
    last = trace.rows[-1]
    assert 6 in {r["mode"] for r in trace.rows}
    assert math.hypot(last["x"], last["y"]) < 2.0
    assert not last["armed"]
    assert report["outcome"] == "stopped"


def test_wind_beyond_the_forecast_is_flown_with_no_great_tilt() -> None:
    report, trace = fly("drone_square", "world.wind.speed=6", "world.wind.gust=2", "asserts=[]")
    assert report["outcome"] == "arrived"
    assert max(r["tilt"] for r in trace.rows) < math.radians(40)


def test_wind_that_leaves_no_sure_way_home_brings_it_home_at_once() -> None:
    report, trace = fly("drone_square", "world.wind.speed=9", "world.wind.gust=2", "asserts=[]")
    assert report["outcome"] == "stopped"  # the route was not flown to its end
    assert max(r["tilt"] for r in trace.rows) < math.radians(40)
    last = trace.rows[-1]
    assert math.hypot(last["x"], last["y"]) < 2.0
    assert not last["armed"]


def test_a_controller_that_runs_away_is_held_inside_the_fence_and_the_flight_goes_on() -> None:
    report, trace = fly("drone_fence")
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    assert report["faults"] == [{"what": "runaway", "where": "controller", "consumed": True}]
    mad = [r for r in trace.rows if 30.0 <= r["t"] <= 60.0]
    assert max(r["speed"] for r in mad) > 6.0  # no fence is kept by never flying
    assert max(r["x"] for r in mad) > 60.0  # beyond the fence's first corners, towards the third
    assert 20.0 < max(r["z"] for r in mad) < 25.0


def test_without_its_fences_the_runaway_flies_off() -> None:
    report, trace = fly("drone_fence", "world.fences=[]", "asserts=[]", "duration_s=70")
    assert report["outcome"] == "timeout"
    assert max(r["x"] for r in trace.rows) > 150.0


def test_a_runaway_names_what_it_commands() -> None:
    for fault, words in (
        ("what=runaway where=controller begin=1", "a runaway needs command"),
        ('what=runaway where=controller begin=1 command={"rudder":1}', "'rudder' is no actuator"),
        ('what=runaway where=planner begin=1 command={"velocity_x":1}', "'planner' cannot be runaway"),
        ('what=silent where=planner begin=1 command={"velocity_x":1}', "silent takes no command"),
    ):
        with pytest.raises(BadInputError, match=words):
            LockStep(load_scenario("drone_square", faults=(fault,)))

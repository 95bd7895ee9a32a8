"""The supervisor: what it says, when it says it, and what it forgives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.platform import load_platform
from giljabi.safety.supervisor import Supervisor, SupervisorInputs
from giljabi.types import Health, MissionPhase, MissionState

DT = 0.1
REQUIRED = tuple(name for name, sensor in load_platform("ship").model.sensors.items() if sensor.required)


@dataclasses.dataclass
class Rig:
    """A ship's supervisor and a world whose sensors can fall silent."""

    supervisor: Supervisor
    n: int = 0
    silent: dict[str, float] = dataclasses.field(default_factory=dict)  # name -> stamp it stopped at
    health: dict[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    mission: MissionState | None = None

    @property
    def now(self) -> float:
        return 1000.0 + self.n * DT

    def inputs(self) -> SupervisorInputs:
        stamps = {name: self.silent.get(name, self.now - 0.01) for name in (*REQUIRED, "ais")}
        return SupervisorInputs(stamps, self.silent.get("odom", self.now - 0.01), self.health, self.mission)

    def step(self, steps: int = 1) -> Health:
        for _ in range(steps):
            self.n += 1
            verdict = self.supervisor.step(self.now, self.inputs())
        return verdict

    def silence(self, name: str) -> None:
        self.silent[name] = self.now

    def until(self, wanted: Callable[[Health], bool], most: float = 120.0) -> float:
        """Steps until the verdict is as wanted; returns the seconds it took."""
        start = self.now
        while not wanted(self.step()):
            assert self.now - start < most
        return self.now - start


@pytest.fixture
def rig() -> Rig:
    return Rig(Supervisor(load_platform("ship")))


def test_ready_when_everything_is_there(rig: Rig) -> None:
    verdict = rig.step(10)
    assert verdict == Health(rig.now, "supervisor", ())
    assert not verdict.degraded


def test_at_start_everything_that_is_missing_is_named_at_once() -> None:
    verdict = Supervisor(load_platform("ship")).step(5.0, SupervisorInputs())
    text = "\n".join(verdict.reasons)
    for name in (*REQUIRED, "odom"):
        assert f"{name}: " in text
    assert "ais" not in text  # not required
    assert "gnss: no fix yet; check the antenna or the cable of 'bridge'" in verdict.reasons
    assert not verdict.degraded
    assert verdict.reasons[0].startswith("odom")  # what is a fault comes first


@pytest.mark.parametrize(("name", "timeout"), [("gnss", 3.0), ("compass", 1.0), ("gyro", 1.0), ("steering_gear", 1.0)])
def test_silent_sensor_is_named_after_its_timeout(rig: Rig, name: str, timeout: float) -> None:
    rig.step(10)
    rig.silence(name)
    took = rig.until(lambda v: bool(v.reasons))
    assert timeout < took <= timeout + 0.4  # confirmed over two further steps
    verdict = rig.step()
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(f"{name}: ")
    assert f"for {rig.now - rig.silent[name]:.1f} s" in verdict.reasons[0]
    assert "'bridge'" in verdict.reasons[0]
    assert verdict.degraded  # the planner can still stop


def test_sensor_that_arming_does_not_wait_for_may_be_silent(rig: Rig) -> None:
    rig.silence("ais")
    assert rig.step(600).reasons == ()


def test_lost_estimate_is_a_fault(rig: Rig) -> None:
    rig.step(10)
    rig.silence("odom")
    took = rig.until(lambda v: bool(v.reasons))
    assert took <= 0.7
    verdict = rig.step()
    assert verdict.reasons[0].startswith("odom: no estimate for")
    assert not verdict.degraded


def test_timeout_of_odom_can_be_overridden(tmp_path: Path) -> None:
    data = yaml.safe_load(load_platform("ship").file.path.read_text())
    data["topics"] = {"odom": {"timeout_s": 5.0}}
    path = tmp_path / "slow.yaml"
    path.write_text(yaml.safe_dump(data))
    rig = Rig(Supervisor(load_platform(path)))
    rig.step(10)
    rig.silence("odom")
    assert 5.0 < rig.until(lambda v: bool(v.reasons)) < 5.5


def test_problem_must_be_gone_for_a_while(rig: Rig) -> None:
    rig.step(10)
    rig.silence("compass")
    rig.until(lambda v: bool(v.reasons))
    del rig.silent["compass"]
    assert rig.step(3).reasons
    assert rig.step(4).reasons == ()


def test_flicker_keeps_the_reason(rig: Rig) -> None:
    rig.step(10)
    rig.silence("compass")
    rig.until(lambda v: bool(v.reasons))
    silent = rig.silent["compass"]
    for _ in range(20):
        rig.silent.pop("compass", None)
        assert rig.step(2).reasons
        rig.silent["compass"] = silent
        assert rig.step().reasons


def test_its_own_sleep_is_not_a_problem_of_others(rig: Rig) -> None:
    """After 5 s without processor time all inputs look old for a step or two, until they are read."""
    rig.step(10)
    old = rig.inputs()
    rig.n += 50
    assert rig.supervisor.step(rig.now, old).reasons == ()
    assert rig.step(20).reasons == ()


def test_one_late_step_does_not_trip(rig: Rig) -> None:
    rig.step(10)
    for _ in range(10):
        rig.silence("compass")
        rig.silent["compass"] -= 1.05
        assert rig.step().reasons == ()
        del rig.silent["compass"]
        assert rig.step(9).reasons == ()


def test_words_of_the_driver_are_used_once(rig: Rig) -> None:
    rig.step(10)
    rig.silence("gnss")
    rig.health["bridge"] = {"gnss": "no gnss sample for 3.1 s (the receiver reports no fix)"}
    verdict = rig.step(60)
    assert verdict.reasons == (
        "gnss: no gnss sample for 3.1 s (the receiver reports no fix); check the antenna or the cable of 'bridge'",
    )


def test_reports_of_parts_are_passed_on_with_their_name(rig: Rig) -> None:
    rig.step(10)
    rig.health["estimator"] = {"position": "uncertain by 40 m"}
    verdict = rig.step(5)
    assert verdict.reasons == ("estimator: position: uncertain by 40 m",)
    assert verdict.degraded


def test_report_of_a_fresh_sensor_counts_too(rig: Rig) -> None:
    rig.step(10)
    rig.health["bridge"] = {"gnss": "receives velocities only"}
    assert rig.step(5).reasons == ("bridge: gnss: receives velocities only",)


def test_failed_mission_is_a_reason(rig: Rig) -> None:
    rig.step(10)
    rig.mission = MissionState(rig.now, MissionPhase.FAILED, 0.4, 100.0, 0.0, "the channel is blocked")
    verdict = rig.step(5)
    assert "the channel is blocked" in verdict.reasons[0]
    assert verdict.degraded


def test_silent_planner_is_a_fault_that_the_controller_can_handle(rig: Rig) -> None:
    """At 2 Hz three plans are 1.5 s: twice that, and what is confirmed."""
    rig.step(10)
    rig.mission = MissionState(rig.now, MissionPhase.RUNNING, 0.4, 100.0, 0.0, "following")
    took = rig.until(lambda v: bool(v.reasons))
    assert 3.0 < took <= 3.4
    verdict = rig.step()
    assert verdict.reasons[0].startswith("planner: no word for 3.")
    assert (verdict.degraded, verdict.guided) == (False, True)
    rig.silence("gnss")
    assert rig.step(50).guided  # and a sensor beside it does not change that
    rig.silence("odom")
    verdict = rig.step(10)
    assert (verdict.degraded, verdict.guided) == (False, False)


def test_planner_that_comes_back_does_not_leave_the_vehicle_half_way_to_rest(rig: Rig) -> None:
    rig.mission = MissionState(rig.now, MissionPhase.RUNNING, 0.4, 100.0, 0.0, "following")
    rig.until(lambda v: v.guided)
    back, verdict = rig.now, rig.step()
    while verdict.guided and rig.now - back < 60.0:
        rig.mission = MissionState(rig.now, MissionPhase.IDLE, 0.0, 100.0, 0.0, "waiting for start")
        verdict = rig.step()
    limits = load_platform("ship").model.limits
    assert rig.now - back == pytest.approx(limits.speed_max / limits.deceleration_max, abs=0.5)
    assert not verdict.reasons


def test_controller_that_does_not_stop_in_the_promised_time_is_relieved(rig: Rig) -> None:
    rig.mission = MissionState(rig.now, MissionPhase.RUNNING, 0.4, 100.0, 0.0, "following")
    rig.until(lambda v: v.guided)
    took = rig.until(lambda v: not v.guided)
    assert took == pytest.approx(60.0, abs=0.5)
    assert rig.step().reasons


def test_what_a_part_calls_lost_is_a_fault(rig: Rig) -> None:
    rig.step(10)
    rig.health["estimator"] = {"lost": "nothing has told the speed for 6.8 s", "gnss": "no usable fix for 6.8 s"}
    verdict = rig.step(5)
    assert verdict.reasons[0] == "estimator: nothing has told the speed for 6.8 s"
    assert (verdict.degraded, verdict.guided) == (False, False)


def test_degraded_for_longer_than_the_promised_stop_is_a_fault(rig: Rig) -> None:
    """The planner had its time to stop; if the vehicle is still waiting, the guard takes over."""
    rig.step(10)
    rig.silence("gnss")
    rig.until(lambda v: v.degraded)
    took = rig.until(lambda v: not v.degraded)
    assert took == pytest.approx(60.0, abs=0.5)
    assert rig.step().reasons


def test_fault_beside_degraded_is_a_fault(rig: Rig) -> None:
    rig.step(10)
    rig.silence("compass")
    rig.silence("odom")
    verdict = rig.step(30)
    assert len(verdict.reasons) == 2
    assert not verdict.degraded
    assert verdict.reasons[0].startswith("odom")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_stamps_that_are_no_numbers_are_not_fresh(rig: Rig, bad: float) -> None:
    rig.step(10)
    rig.silent["compass"] = rig.silent["odom"] = bad
    reasons = rig.step(30).reasons
    assert [r.split(":")[0] for r in reasons] == ["odom", "compass"]


def test_stamps_from_the_future_are_not_fresh(rig: Rig) -> None:
    rig.step(10)
    rig.silent["compass"] = rig.silent["odom"] = rig.now + 1e6
    reasons = rig.step(30).reasons
    assert [r.split(":")[0] for r in reasons] == ["odom", "compass"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True), st.text(max_size=5)), max_size=30))
def test_never_raises_and_repeats_itself(steps: list[tuple[float, float, str]]) -> None:
    platform = load_platform("ship")

    def once() -> list[Health]:
        s = Supervisor(platform)
        return [
            s.step(now, SupervisorInputs({"gnss": stamp, words: now}, stamp, {words: {words: words}}))
            for now, stamp, words in steps
        ]

    assert repr(once()) == repr(once())

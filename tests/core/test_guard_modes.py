"""The guard's modes: what ends auto, what goes out then, and how it is left; a test for each rule."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping

import pytest
from guard_rig import COMMAND, CONFIG, DT, PATIENT, STEERING, T0, THROTTLE, Rig

from giljabi.safety.guard import Guard


@pytest.fixture
def rig() -> Rig:
    return Rig()


# --- what ends auto --------------------------------------------------------------------------------


def test_missing_commands_end_auto_after_the_timeout_and_not_before(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.run(0.14, None)
    assert rig.mode == "auto"
    rig.run(0.02, None)
    assert rig.mode == "minimum_risk"
    assert "no command from 'auto'" in rig.reasons


def test_commands_with_old_stamps_end_auto_though_they_arrive(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    stamp = rig.now
    for _ in range(16):
        rig.n += 1
        rig.guard.submit("auto", stamp, rig.now, COMMAND)
        rig.guard.heartbeat(rig.now, rig.now)
        rig.step()
    assert rig.mode == "minimum_risk"


def test_missing_heartbeat_ends_auto(rig: Rig) -> None:
    rig.arm()
    rig.run(0.2)
    for k in range(52):
        assert rig.mode == "auto", k
        rig.n += 1
        rig.guard.submit("auto", rig.now, rig.now, COMMAND)
        rig.step()
        if rig.mode != "auto":
            break
    assert k in (50, 51)
    assert "heartbeat" in rig.reasons


def test_fault_of_the_supervisor_ends_auto_at_once(rig: Rig) -> None:
    rig.arm()
    rig.run(0.2)
    rig.guard.heartbeat(rig.now, rig.now, ["odom: no estimate for 1.0 s"])
    rig.n += 1
    rig.step()
    assert rig.mode == "minimum_risk"
    assert rig.reasons == "supervisor: odom: no estimate for 1.0 s"  # said once


def test_degraded_supervisor_leaves_auto_to_the_planners_stop(rig: Rig) -> None:
    rig.arm()
    for _ in range(100):
        rig.n += 1
        rig.guard.submit("auto", rig.now, rig.now, COMMAND)
        rig.guard.heartbeat(rig.now, rig.now, ["gnss: no fix for 3.1 s"], degraded=True)
        rig.step()
    assert rig.mode == "auto"
    assert rig.guard.output()["throttle"] == pytest.approx(1000.0)
    assert rig.reasons == "gnss: no fix for 3.1 s"


def test_device_that_goes_ends_auto(rig: Rig) -> None:
    rig.arm()
    rig.run(0.2)
    rig.guard.set_device("vehicle", False, rig.now)
    rig.run(0.01)
    assert rig.mode == "minimum_risk"
    assert "vehicle" in rig.reasons


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, T0 - 100.0, 0.0])
def test_clock_that_fails_ends_auto_and_the_safe_output_goes_on(rig: Rig, wrong: float) -> None:
    rig.arm()
    rig.run(0.5)
    before = rig.guard.output()["throttle"]
    sent = 0
    for _ in range(100):
        sent += len(rig.guard.step(wrong))
    assert rig.mode == "minimum_risk"
    assert "clock" in rig.reasons
    assert before > -4500.0
    assert rig.guard.output()["throttle"] == -4500.0
    assert sent >= 50  # 50 Hz and 20 Hz over one second of ticks


def test_clock_that_jumps_ahead_ends_auto(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.guard.step(rig.now + 1e6)
    assert rig.mode == "minimum_risk"


def test_no_time_before_the_first_step_gives_no_frames() -> None:
    guard = Guard(CONFIG)
    assert guard.step(math.nan) == []
    assert len(guard.step(1.0)) == 2


def test_tiny_step_back_is_no_fault(rig: Rig) -> None:
    rig.arm()
    rig.run(0.2)
    rig.guard.step(rig.now - 0.5 * DT)
    rig.run(0.1)
    assert rig.mode == "auto"


# --- late commands --------------------------------------------------------------------------------


def test_a_late_command_starts_the_safe_output_and_the_next_one_ends_it() -> None:
    rig = Rig(PATIENT)
    rig.arm()
    rig.run(0.5)
    rig.run(0.14, None)
    assert rig.guard.output()["throttle"] == pytest.approx(1000.0)
    rig.run(0.26, None)
    assert rig.mode == "auto"
    assert "no command from 'auto' for 0.40 s" in rig.reasons
    assert rig.guard.output()["throttle"] == pytest.approx(1000.0 - 10000.0 * 0.25, abs=200.0)
    assert rig.guard.output()["steering"] == pytest.approx(0.1)  # its hold has begun
    before = rig.guard.output()["throttle"]
    rig.run(DT)
    assert (rig.mode, rig.reasons) == ("auto", "")
    assert 0.0 < rig.guard.output()["throttle"] - before <= 20000.0 * DT + 1e-6  # no jump back
    rig.run(0.5)
    assert rig.guard.output()["throttle"] == pytest.approx(1000.0)
    assert any("commands again" in e.what for e in rig.guard.events()[1])


def test_lost_commands_end_auto_for_good_and_do_not_begin_the_hold_again() -> None:
    rig = Rig(PATIENT)
    rig.arm()
    rig.run(0.5)
    rig.run(0.59, None)
    assert rig.mode == "auto"
    rig.run(0.02, None)
    assert rig.mode == "minimum_risk"
    rig.run(0.5)  # commands are back
    assert rig.mode == "minimum_risk"
    assert rig.guard.output()["steering"] == pytest.approx(0.1)  # late for 0.16 s, held until 1.16 s
    rig.run(0.3)
    assert rig.guard.output()["steering"] < 0.09


def test_a_fault_ends_auto_while_a_command_is_late() -> None:
    rig = Rig(PATIENT)
    rig.arm()
    rig.run(0.5)
    rig.run(0.3, None)
    rig.guard.heartbeat(rig.now, rig.now, ["odom: no estimate"], guided=True)
    rig.n += 1
    rig.step()
    assert rig.mode == "minimum_risk"
    rig.run(0.5, COMMAND)
    assert rig.guard.output()["throttle"] == -4500.0  # a source that was late is not sound


# --- minimum risk by a sound source ---------------------------------------------------------------


BRAKE = {"steering": -0.2, "throttle": -2000.0}


def guided(rig: Rig, seconds: float, command: Mapping[str, float] | None = BRAKE, level: str = "guided") -> None:
    """Steps with the planner's silence in the heartbeat."""
    reasons = [] if level == "ok" else ["planner: no word for 2.1 s"]
    for _ in range(round(seconds / DT)):
        rig.n += 1
        if command is not None:
            rig.guard.submit("auto", rig.now, rig.now, command)
        rig.guard.heartbeat(rig.now, rig.now, reasons, level == "degraded", level == "guided")
        rig.step()


def test_a_sound_source_brings_the_vehicle_to_rest_in_minimum_risk(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    guided(rig, 1.0)
    assert rig.mode == "minimum_risk"
    assert rig.reasons.startswith("supervisor: planner: no word")
    assert rig.guard.output() == pytest.approx(BRAKE)
    assert rig.last("throttle").enable


@pytest.mark.parametrize("level", ["ok", "degraded", "fault"])
def test_it_ends_for_good_when_the_supervisor_says_anything_else(rig: Rig, level: str) -> None:
    rig.arm()
    rig.run(0.5)
    guided(rig, 1.0)
    guided(rig, 0.02, level=level)
    guided(rig, 3.0)
    assert rig.mode == "minimum_risk"
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}
    assert any("no longer stops the vehicle" in e.what for e in rig.guard.events()[1])


def test_it_ends_when_its_commands_or_the_heartbeat_stop(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    guided(rig, 0.5)
    guided(rig, 2.6, None)
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}
    other = Rig()
    other.arm()
    other.run(0.5)
    guided(other, 0.5)
    for _ in range(300):
        other.n += 1
        other.guard.submit("auto", other.now, other.now, BRAKE)
        other.step()
    assert other.guard.output() == {"steering": 0.0, "throttle": -4500.0}


def test_stop_and_disarm_end_it(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    guided(rig, 0.5)
    rig.guard.stop(rig.now)
    guided(rig, 3.0)
    assert (rig.mode, rig.guard.output()["throttle"]) == ("stopped", -4500.0)
    other = Rig()
    other.arm()
    guided(other, 0.5)
    other.guard.disarm(other.now)
    guided(other, 3.0)
    assert (other.mode, other.guard.output()["throttle"]) == ("standby", -4500.0)


# --- safe output -----------------------------------------------------------------------------------


def test_safe_output_holds_then_ramps(rig: Rig) -> None:
    rig.arm()
    rig.run(1.0)
    while rig.mode == "auto":
        rig.run(DT, None)
    since = rig.now
    assert rig.guard.output()["throttle"] == pytest.approx(900.0, abs=0.1)  # the ramp begins at once
    rig.run(0.98, None)
    assert rig.guard.output()["steering"] == pytest.approx(0.1)  # held for 1 s
    rig.run(0.5, None)
    held = 1.0
    expected = 0.1 - 0.2 * (rig.now - since - held)
    assert rig.guard.output()["steering"] == pytest.approx(expected, abs=0.2 * 1.01 * DT)
    rig.run(1.0, None)
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}
    assert rig.last("throttle").enable  # brakes need power


def test_safe_output_ramps_at_its_own_rate(rig: Rig) -> None:
    rig.arm()
    rig.run(1.0)
    rig.guard.stop(rig.now)
    rig.run(0.1, None)
    assert rig.guard.output()["throttle"] == pytest.approx(0.0, abs=0.1)  # 1000 N - 10000 N/s * 0.1 s


def test_safe_output_is_never_a_frozen_frame(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.run(0.5, None)
    counters = [f.counter for f in rig.frames if f.name == "steering"]
    assert all((b - a) % 16 == 1 for a, b in itertools.pairwise(counters))


def test_safe_output_starts_where_the_actuator_is_when_the_file_says_so() -> None:
    steering = dataclasses.replace(STEERING, safe_from_feedback=True)
    rig = Rig(dataclasses.replace(CONFIG, actuators=(steering, THROTTLE)))
    rig.arm()
    rig.run(1.0)
    rig.guard.feedback(rig.now, "steering", 0.04)
    rig.guard.feedback(rig.now, "throttle", -3000.0)
    rig.guard.stop(rig.now)
    rig.run(0.1, None)
    assert rig.guard.output()["steering"] == pytest.approx(0.04)  # held there, not at the 0.1 that was asked for
    assert rig.guard.output()["throttle"] == pytest.approx(0.0, abs=0.1)  # from the last output
    rig.run(0.1)
    assert rig.guard.arm(rig.now) == []
    rig.run(1.0)
    rig.guard.stop(rig.now)  # its feedback is old
    rig.run(0.1, None)
    assert rig.guard.output()["steering"] == pytest.approx(0.1)
    rig.guard.feedback(rig.now, "steering", 9.0)  # nonsense stays inside the limits
    rig.guard.arm(rig.now)
    rig.run(0.1, None)
    assert abs(rig.guard.output()["steering"]) <= 0.5


# --- stop, disarm, arming again --------------------------------------------------------------------


def test_stop_works_whatever_comes(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.guard.stop(rig.now)
    assert rig.mode == "stopped"
    rig.run(2.5)
    assert rig.mode == "stopped"
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}
    assert "stop" in rig.reasons
    assert rig.guard.arm(rig.now) == []
    rig.run(0.1)
    assert rig.mode == "auto"


@pytest.mark.parametrize("now", [math.nan, -1.0, 1e15])
def test_stop_works_without_a_clock(rig: Rig, now: float) -> None:
    rig.arm()
    rig.run(0.5)
    rig.guard.stop(now)
    rig.run(2.5)
    assert rig.mode == "stopped"
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}


def test_stop_works_in_standby_and_never_enables(rig: Rig) -> None:
    rig.run(0.1)
    rig.guard.stop(rig.now)
    rig.run(0.5)
    assert rig.mode == "stopped"
    assert not any(f.enable for f in rig.frames)


def test_second_stop_does_not_begin_the_hold_again(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    for _ in range(25):
        rig.guard.stop(rig.now)
        rig.run(0.1)
    assert rig.guard.output()["steering"] == 0.0


def test_stop_in_minimum_risk_does_not_begin_the_hold_again(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.run(0.95, None)
    rig.guard.stop(rig.now)
    rig.run(0.8, None)
    assert rig.guard.output()["steering"] == 0.0


def test_nothing_arms_by_itself_after_a_fault(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.run(0.3, None)
    rig.run(3.0)  # commands are back
    assert rig.mode == "minimum_risk"
    assert rig.guard.output()["throttle"] == -4500.0
    assert rig.guard.arm(rig.now) == []
    assert rig.mode == "auto"


def test_arming_again_needs_healthy_inputs(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.run(0.3, None)
    why = rig.guard.arm(rig.now)
    assert any("command" in r for r in why)
    assert rig.mode == "minimum_risk"


def test_disarm_sends_enable_off_and_ramps_without_hold(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.guard.disarm(rig.now, "operator")
    n = len(rig.frames)
    rig.run(0.6)
    assert rig.mode == "standby"
    assert not any(f.enable for f in rig.frames[n:])
    assert rig.guard.output()["steering"] == 0.0
    assert any("operator" in e.what for e in rig.guard.events()[1])


def test_disarm_ends_a_hold_that_goes_on(rig: Rig) -> None:
    rig.arm()
    rig.run(0.5)
    rig.guard.stop(rig.now)
    rig.run(0.1)
    assert rig.guard.output()["steering"] == pytest.approx(0.1)
    rig.guard.disarm(rig.now)
    rig.run(0.6)
    assert rig.guard.output()["steering"] == 0.0

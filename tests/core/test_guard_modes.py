"""The guard's modes: what ends auto, what goes out then, and how it is left; a test for each rule."""

from __future__ import annotations

import itertools
import math

import pytest
from guard_rig import COMMAND, CONFIG, DT, T0, Rig

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
    assert rig.reasons.startswith("supervisor: odom")


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

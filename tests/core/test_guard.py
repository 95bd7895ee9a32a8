"""The guard's rules, one by one: arming, what is refused, limits, sources; a test for each."""

from __future__ import annotations

import math

import pytest
from guard_rig import COMMAND, DT, Rig

from giljabi.types import JointState


@pytest.fixture
def rig() -> Rig:
    return Rig()


# --- arming ----------------------------------------------------------------------------------------


def test_starts_in_standby_with_safe_values_and_enable_off(rig: Rig) -> None:
    rig.run(0.5)
    assert (rig.mode, rig.guard.state(rig.now).armed) == ("standby", False)
    assert not any(f.enable for f in rig.frames)
    assert rig.last("throttle").value == -4500
    assert rig.guard.output() == {"steering": 0.0, "throttle": -4500.0}


def test_commands_reach_the_wire_after_arming(rig: Rig) -> None:
    rig.arm()
    rig.run(1.0)
    assert rig.mode == "auto"
    assert rig.last("steering").value == pytest.approx(0.1)
    assert rig.last("throttle").value == 1000
    assert rig.last("throttle").enable
    assert rig.reasons == ""


def test_arming_says_everything_that_is_missing(rig: Rig) -> None:
    why = rig.guard.arm(rig.now)
    assert any("commands" in r for r in why)
    assert any("heartbeat" in r for r in why)
    assert (rig.mode, rig.reasons) == ("standby", "; ".join(why))


def test_arming_needs_commands(rig: Rig) -> None:
    rig.run(0.3, None)
    assert [r for r in rig.guard.arm(rig.now) if "command" in r]
    assert rig.mode == "standby"


def test_what_came_since_the_last_tick_is_no_reason_against_arming(rig: Rig) -> None:
    rig.run(0.05)
    later = rig.now + 0.009  # between two ticks
    assert rig.guard.submit("auto", later, later, COMMAND) == ""
    assert rig.guard.heartbeat(later, later) == ""
    assert rig.reasons == ""


def test_a_command_whose_source_died_is_a_reason_although_heartbeats_come_between_ticks(rig: Rig) -> None:
    rig.run(0.05)
    later = rig.now + 0.2
    assert rig.guard.heartbeat(later, later) == ""
    assert "no source sends commands" in rig.reasons


def test_arming_needs_a_heartbeat_that_is_still_fresh(rig: Rig) -> None:
    rig.run(0.05)
    rig.n += 60
    rig.guard.submit("auto", rig.now, rig.now, COMMAND)
    rig.step()
    assert [r for r in rig.guard.arm(rig.now) if "heartbeat" in r]


@pytest.mark.parametrize("degraded", [False, True])
def test_arming_gives_the_supervisors_reasons(rig: Rig, degraded: bool) -> None:
    rig.run(0.05)
    rig.guard.heartbeat(rig.now, rig.now, ["gnss: no fix yet", "compass: no heading yet"], degraded)
    assert rig.guard.arm(rig.now) == ["gnss: no fix yet", "compass: no heading yet"]
    assert not rig.guard.state(rig.now).armed


def test_arming_needs_every_device(rig: Rig) -> None:
    rig.run(0.05)
    rig.guard.set_device("vehicle", False, rig.now)
    assert [r for r in rig.guard.arm(rig.now) if "vehicle" in r]
    rig.guard.set_device("vehicle", True, rig.now)
    assert rig.guard.arm(rig.now) == []
    with pytest.raises(KeyError):
        rig.guard.set_device("tower", True, rig.now)


def test_arming_without_time_is_refused(rig: Rig) -> None:
    rig.run(0.05)
    assert rig.guard.arm(math.nan)
    assert rig.mode == "standby"


def test_arming_twice_changes_nothing(rig: Rig) -> None:
    rig.arm()
    rig.run(0.1)
    assert rig.guard.arm(rig.now) == []
    assert sum("armed" in e.what for e in rig.guard.events()[1]) == 1


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"steering": math.nan, "throttle": 0.0}, "not finite"),
        ({"steering": 0.0, "throttle": math.inf}, "not finite"),
        ({"steering": 0.0, "throttle": -math.inf}, "not finite"),
        ({"steering": 0.0}, "missing"),
        ({}, "missing"),
        ({"steering": 0.0, "throttle": 0.0, "rudder": 0.0}, "unknown name"),
    ],
)
def test_bad_values_are_refused_as_a_whole(rig: Rig, values: dict[str, float], why: str) -> None:
    rig.arm()
    rig.run(0.5)
    rig.n += 1
    assert why in rig.guard.submit("auto", rig.now, rig.now, values)
    rig.step()
    assert rig.guard.output()["throttle"] == pytest.approx(1000.0)
    assert sum(rig.guard.counters().values()) == 1
    assert any(why in e.what for e in rig.guard.events()[1])


@pytest.mark.parametrize(
    ("age", "why"), [(0.2, "too old"), (-0.02, "future"), (math.nan, "not finite"), (-math.inf, "not finite")]
)
def test_bad_stamps_are_refused(rig: Rig, age: float, why: str) -> None:
    rig.run(0.05)
    assert why in rig.guard.submit("auto", rig.now - age, rig.now, COMMAND)
    assert why in rig.guard.heartbeat(rig.now, rig.now - (age if age != 0.2 else 0.6))
    assert why in rig.guard.pose(rig.now, rig.now - (age if age != 0.2 else 0.4), 0.0, 0.0, 0.0, 0.0)


def test_older_than_the_one_before_is_refused(rig: Rig) -> None:
    rig.run(0.05)
    assert "older" in rig.guard.submit("auto", rig.now - 0.02, rig.now, COMMAND)
    assert "older" in rig.guard.heartbeat(rig.now, rig.now - 0.02)
    assert rig.guard.submit("auto", rig.now, rig.now, COMMAND) == ""


def test_a_stamp_from_a_wrong_clock_does_not_stay_fresh_for_ever(rig: Rig) -> None:
    rig.arm()
    assert rig.guard.submit("auto", 1e12, 1e12, COMMAND) == ""  # its own clock agrees with itself
    rig.n += 1
    rig.guard.heartbeat(rig.now, rig.now)
    rig.step()
    assert rig.mode == "minimum_risk"
    rig.run(0.05)  # and right ones are taken again
    assert rig.guard.arm(rig.now) == []


def test_unknown_source_is_refused(rig: Rig) -> None:
    assert "source" in rig.guard.submit("nobody", rig.now, rig.now, COMMAND)


def test_arrival_time_that_is_no_number_is_refused(rig: Rig) -> None:
    assert "not a number" in rig.guard.submit("auto", rig.now, math.nan, COMMAND)
    assert "not a number" in rig.guard.heartbeat(math.inf, rig.now)
    assert "not a number" in rig.guard.feedback(math.nan, "steering", 0.0)


def test_pose_and_feedback_are_kept_and_checked(rig: Rig) -> None:
    assert rig.guard.pose(rig.now, rig.now, 1.0, 2.0, 0.5, 3.0) == ""
    assert "finite" in rig.guard.pose(rig.now, rig.now, math.nan, 2.0, 0.5, 3.0)
    assert rig.guard.feedback(rig.now, "steering", 0.25) == ""
    assert "finite" in rig.guard.feedback(rig.now, "steering", math.nan)
    assert rig.guard.last_pose() == (rig.now, 1.0, 2.0, 0.5, 3.0)
    rig.guard.joints(
        rig.now,
        JointState(rig.now, {"steering": 0.3, "wheel": 1.0}, {"steering": 9.0}),
        {"steering": "position", "throttle": "effort"},
    )
    assert rig.guard.last_feedback() == {"steering": (rig.now, 0.3)}
    assert set(rig.guard.counters()) == {"a value is not finite"}


# --- limits ----------------------------------------------------------------------------------------


def test_values_are_clamped(rig: Rig) -> None:
    rig.arm()
    rig.run(1.5, {"steering": 3.0, "throttle": -1e6})
    assert rig.guard.output() == {"steering": 0.5, "throttle": -9000.0}
    assert rig.guard.counters()["clamped to limits"] == 300


def test_rates_are_limited_from_the_last_output(rig: Rig) -> None:
    rig.arm({"steering": 0.0, "throttle": 0.0})
    rig.run(1.0, {"steering": 0.0, "throttle": 0.0})
    rig.run(0.1, {"steering": 0.5, "throttle": 0.0})
    assert rig.guard.output()["steering"] == pytest.approx(0.08, abs=1e-6)
    rig.run(0.05, {"steering": -0.5, "throttle": 0.0})
    assert rig.guard.output()["steering"] == pytest.approx(0.04, abs=1e-6)


def test_a_late_tick_does_not_let_an_actuator_jump(rig: Rig) -> None:
    rig.arm({"steering": 0.0, "throttle": 0.0})
    rig.run(1.0, {"steering": 0.0, "throttle": 0.0})
    rig.n += 14  # within the timeout; 0.14 s at 0.8 rad/s would be 0.112 rad
    rig.guard.submit("auto", rig.now, rig.now, {"steering": 0.5, "throttle": 0.0})
    rig.guard.heartbeat(rig.now, rig.now)
    rig.step()
    assert rig.guard.output()["steering"] == pytest.approx(0.08)


# --- sources ---------------------------------------------------------------------------------------


def both(rig: Rig, seconds: float, manual: float | None, auto: float | None) -> None:
    for _ in range(round(seconds / DT)):
        rig.n += 1
        for source, value in (("manual", manual), ("auto", auto)):
            if value is not None:
                rig.guard.submit(source, rig.now, rig.now, {"steering": value, "throttle": 0.0})
        rig.guard.heartbeat(rig.now, rig.now)
        rig.step()


def test_manual_takes_over_and_gives_back(rig: Rig) -> None:
    rig.arm()
    both(rig, 1.0, 0.3, -0.3)
    assert rig.mode == "manual"
    assert rig.guard.output()["steering"] == pytest.approx(0.3)
    rig.guard.release("manual", rig.now)
    both(rig, 1.0, None, -0.3)
    assert rig.mode == "auto"
    assert rig.guard.output()["steering"] == pytest.approx(-0.3)


def test_manual_that_falls_silent_does_not_give_back_to_auto(rig: Rig) -> None:
    rig.arm()
    both(rig, 0.5, 0.3, -0.3)
    both(rig, 0.3, None, -0.3)
    assert rig.mode == "minimum_risk"
    assert "manual" in rig.reasons


def test_lower_source_does_not_take_over(rig: Rig) -> None:
    rig.arm()
    for _ in range(50):
        rig.n += 1
        rig.guard.submit("policy", rig.now, rig.now, {"steering": 0.4, "throttle": 0.0})
        rig.guard.submit("auto", rig.now, rig.now, COMMAND)
        rig.guard.heartbeat(rig.now, rig.now)
        rig.step()
    assert rig.mode == "auto"


def test_release_with_nobody_else_is_minimum_risk(rig: Rig) -> None:
    rig.arm()
    rig.guard.release("auto", rig.now)
    rig.run(0.01, None)
    assert rig.mode == "minimum_risk"


def test_release_of_a_source_that_does_not_lead_changes_nothing(rig: Rig) -> None:
    rig.arm()
    rig.guard.release("manual", rig.now)
    rig.guard.release("nobody", rig.now)
    rig.run(0.1)
    assert rig.mode == "auto"

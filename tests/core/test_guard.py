"""The guard's rules, one by one; every test fails when its rule is removed."""

from __future__ import annotations

import dataclasses
import itertools
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from giljabi.platform import load_platform
from giljabi.safety.guard import Guard, GuardActuator, GuardConfig, build_guard
from giljabi.types import BadInputError, JointState
from giljabi.wire import EncodeTable, WireCounter, WireField, WireMessage

DT = 0.01
T0 = 1.7e9  # stack time reads like UTC
STEERING = GuardActuator("steering", -0.5, 0.5, 0.8, safe_value=0.0, safe_rate=0.2, hold_s=1.0)
THROTTLE = GuardActuator("throttle", -9000.0, 4500.0, 20000.0, safe_value=-4500.0, safe_rate=10000.0)


def can_message(name: str, actuator: str, scale: float, can_id: int, period_s: float) -> WireMessage:
    return WireMessage(
        name,
        period_s,
        (
            WireField(actuator, scale, start_bit=0, length=16, signed=True),
            WireField("enable", source="armed", start_bit=16, length=1),
        ),
        can_id=can_id,
        size=4,
        counter=WireCounter(24, 4, big_endian=False),
    )


TABLE = EncodeTable(
    "vehicle",
    "can",
    (can_message("steer", "steering", 10000.0, 1, 0.02), can_message("drive", "throttle", 1.0, 2, 0.05)),
    "socketcan",
)
CONFIG = GuardConfig((STEERING, THROTTLE), (TABLE,), 100.0, 0.15, 0.5, 0.3)
COMMAND = {"steering": 0.1, "throttle": 1000.0}


@dataclasses.dataclass
class Frame:
    t: float
    name: str
    value: float  # SI
    enable: bool
    counter: int


class Rig:
    """A guard, its time, and what it wrote, decoded independently of the codec."""

    def __init__(self, config: GuardConfig = CONFIG) -> None:
        self.guard = Guard(config)
        self.n = 0
        self.frames: list[Frame] = []
        self.step()

    @property
    def now(self) -> float:
        return T0 + self.n * DT

    def step(self) -> list[Frame]:
        new = []
        for device, data in self.guard.step(self.now):
            assert device == "vehicle"
            can_id, raw, enable, counter = struct.unpack("=IxxxxhBBxxxx", data)
            name, scale = {1: ("steering", 1e-4), 2: ("throttle", 1.0)}[can_id]
            new.append(Frame(self.now, name, raw * scale, bool(enable), counter))
        self.frames += new
        return new

    def run(self, seconds: float, command: Mapping[str, float] | None = COMMAND, *, source: str = "auto") -> None:
        """Steps with commands (None: none come) and heartbeats."""
        for _ in range(round(seconds / DT)):
            self.n += 1
            if command is not None:
                assert self.guard.submit(source, self.now, self.now, command) == ""
            assert self.guard.heartbeat(self.now, self.now) == ""
            self.step()

    def arm(self, command: Mapping[str, float] = COMMAND) -> None:
        self.run(0.05, command)
        assert self.guard.arm(self.now) == []

    @property
    def mode(self) -> str:
        return self.guard.state(self.now).mode

    @property
    def reasons(self) -> str:
        return "; ".join(self.guard.state(self.now).reasons)

    def last(self, name: str) -> Frame:
        return next(f for f in reversed(self.frames) if f.name == name)


@pytest.fixture
def rig() -> Rig:
    return Rig()


# --- arming ---------------------------------------------------------------------------------------


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


# --- what is refused ------------------------------------------------------------------------------


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


# --- limits ---------------------------------------------------------------------------------------


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


# --- what ends auto -------------------------------------------------------------------------------


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


# --- safe output ----------------------------------------------------------------------------------


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


# --- stop, disarm, arming again -------------------------------------------------------------------


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


# --- sources --------------------------------------------------------------------------------------


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


# --- messages -------------------------------------------------------------------------------------


def test_messages_keep_their_periods_and_counters(rig: Rig) -> None:
    rig.run(10.0)
    for name, period in (("steering", 0.02), ("throttle", 0.05)):
        frames = [f for f in rig.frames if f.name == name]
        gaps = [b.t - a.t for a, b in itertools.pairwise(frames)]
        assert len(frames) == pytest.approx(10.0 / period, abs=1)
        assert min(gaps) == pytest.approx(period, abs=1e-6)
        assert max(gaps) == pytest.approx(period, abs=1e-6)
        assert [f.counter for f in frames] == [k % 16 for k in range(len(frames))]


def test_jitter_of_the_ticks_does_not_shift_messages() -> None:
    guard = Guard(CONFIG)
    ticks: dict[int, list[int]] = {1: [], 2: []}
    for k in range(1000):
        for _, data in guard.step(T0 + k * DT + 0.004 * math.sin(1.7 * k)):
            ticks[struct.unpack_from("=I", data)[0]].append(k)
    assert ticks == {1: list(range(0, 1000, 2)), 2: list(range(0, 1000, 5))}


def test_a_gap_is_not_made_up_by_a_burst(rig: Rig) -> None:
    rig.run(0.5)
    rig.n += 500
    assert len(rig.step()) == 2
    rig.n += 1
    assert len(rig.step()) == 0


def test_same_inputs_same_bytes() -> None:
    def once() -> list[tuple[str, bytes]]:
        rig = Rig()
        out = []
        for k in range(400):
            rig.n += 1
            rig.guard.submit("auto", rig.now, rig.now, {"steering": math.sin(k), "throttle": 100.0 * k})
            rig.guard.heartbeat(rig.now, rig.now)
            if k == 20:
                rig.guard.arm(rig.now)
            if k == 300:
                rig.guard.stop(rig.now)
            out += rig.guard.step(rig.now)
        return out

    assert once() == once()


# --- log ------------------------------------------------------------------------------------------


def test_log_is_bounded_and_numbered(rig: Rig) -> None:
    for k in range(400):
        rig.guard.submit("auto", rig.now, rig.now, {"steering": math.nan} if k % 2 else {})
    total, events = rig.guard.events()
    assert total >= 400
    assert len(events) == 256
    assert [e.number for e in events] == list(range(total - 256, total))
    assert rig.guard.events(total) == (total, [])
    assert [e.number for e in rig.guard.events(total - 2)[1]] == [total - 2, total - 1]


def test_equal_refusals_are_one_line(rig: Rig) -> None:
    for _ in range(50):
        rig.guard.submit("auto", rig.now, rig.now, {})
    assert rig.guard.events()[0] == 1
    assert rig.guard.counters() == {"an actuator is missing": 50}


def test_long_and_strange_reasons_are_cut_not_broken(rig: Rig) -> None:
    rig.run(0.05)
    rig.guard.heartbeat(rig.now, rig.now, ["길" * 500, "\ud800", *(f"reason {k}" for k in range(40))])
    why = rig.guard.arm(rig.now)
    assert why[0] == "길" * 64
    assert len(why) == 17
    assert why[-1].endswith("more")


# --- configure ------------------------------------------------------------------------------------


def changed(**values: object) -> GuardConfig:
    return dataclasses.replace(CONFIG, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (changed(rate_hz=0.0), "rate_hz"),
        (changed(rate_hz=math.nan), "rate_hz"),
        (changed(command_timeout_s=-1.0), "command_timeout_s"),
        (changed(command_timeout_s=0.001), "tick"),
        (changed(heartbeat_timeout_s=math.inf), "heartbeat_timeout_s"),
        (changed(pose_timeout_s=0.0), "pose_timeout_s"),
        (changed(actuators=()), "actuator"),
        (changed(sources=()), "source"),
        (changed(actuators=(STEERING, STEERING)), "twice"),
        (changed(tables=()), "steering"),
        (changed(tables=(TABLE, TABLE)), "two encode tables"),
        (changed(actuators=(dataclasses.replace(STEERING, min=1.0), THROTTLE)), "min"),
        (changed(actuators=(dataclasses.replace(STEERING, safe_value=1.0), THROTTLE)), "safe value"),
        (changed(actuators=(dataclasses.replace(STEERING, safe_rate=0.0), THROTTLE)), "safe rate"),
        (changed(actuators=(dataclasses.replace(STEERING, rate_max=math.nan), THROTTLE)), "rate_max"),
        (changed(actuators=(dataclasses.replace(STEERING, hold_s=-1.0), THROTTLE)), "hold_s"),
        (changed(rate_hz=10.0), "tick"),
    ],
)
def test_wrong_configuration_is_refused(config: GuardConfig, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Guard(config)


def ship_table(**changes: object) -> EncodeTable:
    fields = {
        "rudder": WireMessage("ror", 0.1, (WireField("rudder", -57.3),), "$AGROR,{rudder},{A|V},,,B"),
        "throttle": WireMessage("prc", 0.1, (WireField("throttle", 0.00625),), "$AGPRC,{throttle},A,,,,,B,0"),
    }
    table = EncodeTable("bridge", "nmea", tuple(fields.values()))
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


def test_guard_of_a_platform_file() -> None:
    platform = load_platform("ship")
    guard = build_guard(platform, [ship_table()])
    assert {a.name for a in guard.config.actuators} == set(platform.model.actuators)
    assert [device for device, _ in guard.step(0.0)] == ["bridge", "bridge"]


def test_platform_errors_name_file_and_line(tmp_path: Path) -> None:
    platform = load_platform("ship")
    lines = platform.file.path.read_text().splitlines()
    with pytest.raises(BadInputError, match=r"ship\.yaml:\d+: driver 'bridge' does not send actuator 'rudder'") as e:
        build_guard(platform, [])
    assert "driver: bridge" in lines[int(str(e.value).split(":")[1]) - 1]
    with pytest.raises(BadInputError, match=r"belongs to driver 'bridge'"):
        build_guard(platform, [ship_table(), ship_table(device="ais")])
    wrong = ship_table(messages=(*ship_table().messages, WireMessage("x", 0.001, (), "$AGXXX,1")))
    with pytest.raises(BadInputError, match=r"ship\.yaml:\d+: encode table bridge\.x: period_s") as e:
        build_guard(platform, [wrong])
    assert "bridge:" in lines[int(str(e.value).split(":")[1]) - 1]
    data = yaml.safe_load(platform.file.path.read_text())
    data["guard"]["command_timeout_s"] = 0.001
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: .*command_timeout_s"):
        build_guard(load_platform(path), [ship_table()])

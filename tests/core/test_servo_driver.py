"""Servos behind guard and driver: start without moving, arming, safe output, watchdog, faults in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from servo_rig import JOINTS, START, Leg, leg_file

from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.safety.guard import build_guard
from giljabi.types import BadInputError


@pytest.fixture
def leg(tmp_path: Path) -> Leg:
    out = Leg(leg_file(tmp_path))
    out.run(1.0)
    return out


def near(angles: dict[str, float], wanted: dict[str, float], tolerance: float = 0.01) -> bool:
    return all(abs(angles[n] - wanted[n]) < tolerance for n in JOINTS)


@pytest.mark.parametrize("kind", ["dynamixel", "feetech"])
def test_start_moves_nothing_and_gives_no_torque(tmp_path: Path, kind: str) -> None:
    leg = Leg(leg_file(tmp_path, kind))
    leg.run(1.5)
    assert leg.torque() == dict.fromkeys(JOINTS, False)
    assert near(leg.angles(), START)
    assert all(j.servo.writes == 0 for j in leg.peer.joints.values())
    assert leg.driver.health(leg.t) == {}
    assert near(dict(leg.samples[-1].position), START)
    assert leg.peer.bus.collisions == 0
    assert leg.peer.rejected == {}
    assert leg.driver.stats.rejected == {}


def test_the_start_sequence_sets_what_must_be_set(leg: Leg) -> None:
    for joint in leg.peer.joints.values():
        table = joint.servo.table
        assert table[68] == 1, "only reads are answered"
        assert table[9] == 0, "no return delay"
        assert table[11] == 3, "position mode"
        assert table[98] == 10, "the bus watchdog waits for 0.2 s"


@pytest.mark.parametrize("kind", ["dynamixel", "feetech"])
def test_arming_begins_where_the_joints_are(tmp_path: Path, kind: str) -> None:
    """The command is elsewhere: the joints go there at their rate, from where they are."""
    leg = Leg(leg_file(tmp_path, kind))
    leg.run(1.5)
    wanted = {"hip": -0.4, "knee": 0.3, "ankle": 0.5, "toe": -0.2}
    leg.command = wanted
    assert leg.arm() == []
    before = leg.angles()
    leg.run(0.02)
    assert leg.torque() == dict.fromkeys(JOINTS, True)
    assert near(leg.angles(), before, 0.1)
    leg.run(1.5)
    assert near(leg.angles(), wanted, 0.02)
    last = leg.samples[-1]
    assert near(dict(last.position), wanted, 0.02)
    assert set(last.velocity) == set(last.effort) == set(JOINTS)
    assert leg.peer.bus.collisions == 0


def test_no_arming_before_every_joint_says_where_it_is(tmp_path: Path) -> None:
    leg = Leg(leg_file(tmp_path))
    leg.peer.joints["toe"].servo.silent = True
    leg.run(2.5)
    reasons = leg.arm()
    assert any("joint 'toe' does not say where it is" in r for r in reasons)
    assert "servo 4 does not answer a ping" in leg.driver.health(leg.t)["toe"]
    assert leg.torque() == dict.fromkeys(JOINTS, False)
    leg.peer.joints["toe"].servo.silent = False
    leg.command = None
    leg.run(3.0)
    assert leg.driver.health(leg.t) == {}
    assert leg.arm() == []


def test_disarming_takes_the_torque_away(leg: Leg) -> None:
    assert leg.arm() == []
    leg.run(0.5)
    leg.guard.disarm(leg.t)
    writes = {n: j.servo.writes for n, j in leg.peer.joints.items()}
    leg.run(0.1)
    assert leg.torque() == dict.fromkeys(JOINTS, False)
    assert {n: j.servo.writes for n, j in leg.peer.joints.items()} == writes, "no goals without torque"
    # Somebody moves the limp leg: arming again begins there.
    leg.peer.joints["hip"].place(1.2)
    leg.command = None
    leg.run(0.1)
    assert leg.arm() == []
    leg.run(0.05)
    assert leg.angles()["hip"] == pytest.approx(1.2, abs=0.03)


def test_a_restarted_process_changes_neither_torque_nor_place(leg: Leg) -> None:
    assert leg.arm() == []
    leg.command = dict.fromkeys(JOINTS, 0.3)
    leg.run(1.0)
    before = leg.angles()
    leg.restart()
    leg.run(2.0)
    assert leg.torque() == dict.fromkeys(JOINTS, True)
    assert near(leg.angles(), before, 0.005)
    assert leg.driver.health(leg.t) == {}
    assert not leg.guard.state(leg.t).armed
    assert leg.arm() == []
    leg.run(0.1)
    assert near(leg.angles(), before, 0.01)


def test_safe_output_by_joint(tmp_path: Path) -> None:
    """hold, ramp and release, each as the platform file says."""
    safe: dict[str, Any] = {
        "hip": {"action": "ramp", "value": 0.0, "rate": 1.0, "hold_s": 0.0},
        "toe": {"action": "release", "hold_s": 0.3},
    }
    leg = Leg(leg_file(tmp_path, safe=safe))
    leg.run(1.0)
    assert leg.arm() == []
    leg.command = dict.fromkeys(JOINTS, 0.8)
    leg.run(1.5)
    leg.guard.stop(leg.t)
    leg.run(0.2)
    assert leg.torque() == dict.fromkeys(JOINTS, True)
    assert leg.angles()["hip"] == pytest.approx(0.6, abs=0.1)
    assert leg.angles()["knee"] == pytest.approx(0.8, abs=0.02)
    leg.run(0.3)
    assert leg.torque() == {"hip": True, "knee": True, "ankle": True, "toe": False}
    leg.run(3.0)
    assert leg.angles()["knee"] == pytest.approx(0.0, abs=0.02)


def test_safe_current_makes_a_joint_softer(tmp_path: Path) -> None:
    """Goal current of each cycle by indirect addresses: one value while driven, another in safe output."""
    joint = {"hip": {"current_limit_a": 2.0, "safe_current_a": 0.5}}
    for n in JOINTS[1:]:
        joint[n] = {"current_limit_a": 2.0}
    leg = Leg(leg_file(tmp_path, joint=joint, indirect=True))
    leg.run(2.5)
    assert leg.driver.health(leg.t) == {}
    assert leg.arm() == []
    leg.run(0.3)
    hip, knee = leg.peer.joints["hip"].servo, leg.peer.joints["knee"].servo
    assert hip.table[11] == 5, "current-based position"
    assert hip.get(102, 2) == knee.get(102, 2) == round(2.0 / 2.69e-3)
    leg.guard.stop(leg.t)
    leg.run(0.1)
    assert hip.get(102, 2) == round(0.5 / 2.69e-3)
    assert knee.get(102, 2) == round(2.0 / 2.69e-3)
    assert near(leg.angles(), START, 0.02)


def test_current_without_indirect_addresses_is_refused(tmp_path: Path) -> None:
    path = leg_file(tmp_path, joint={"hip": {"current_limit_a": 2.0}})
    with pytest.raises(BadInputError, match=r"leg.yaml:\d+: .*indirect: true is expected"):
        build_driver(load_platform(path), "leg")


def test_a_dead_process_leaves_it_to_the_bus_watchdog(leg: Leg) -> None:
    assert leg.arm() == []
    leg.command = dict.fromkeys(JOINTS, 1.4)
    leg.run(0.1)  # on the way
    leg.run(1.0, guard=False, driver=False)
    assert all(j.servo.tripped for j in leg.peer.joints.values())
    stopped = leg.angles()
    leg.run(1.0, guard=False, driver=False)
    assert near(leg.angles(), stopped, 0.005)
    assert all(a < 1.0 for a in stopped.values())
    # The process comes back: the watchdog is set again, nothing moves, and arming starts from here.
    leg.restart()
    leg.run(2.0)
    assert near(leg.angles(), stopped, 0.01)
    assert not any(j.servo.tripped for j in leg.peer.joints.values())
    assert leg.arm() == []
    leg.command = dict.fromkeys(JOINTS, 0.2)
    leg.run(1.5)
    assert near(leg.angles(), leg.command, 0.02)


def test_one_silent_servo_is_told_and_the_others_go_on(leg: Leg) -> None:
    assert leg.arm() == []
    leg.run(0.2)
    leg.peer.joints["knee"].servo.silent = True
    leg.run(0.5)
    count = len(leg.samples)
    leg.run(0.4)
    newest = leg.samples[count:]
    assert len(newest) >= 90, "100 cycles, two of them for the housekeeping"
    assert all(set(s.position) == {"hip", "ankle", "toe"} for s in newest)
    assert "servo 2 has not answered for" in leg.driver.health(leg.t)["knee"]
    assert leg.driver.joint("knee", leg.t)["age_s"] == pytest.approx(0.9, abs=0.05)
    leg.peer.joints["knee"].servo.silent = False
    leg.run(2.0)
    assert leg.driver.health(leg.t) == {}


def test_corrupt_replies_are_counted_and_cost_one_value(leg: Leg) -> None:
    count = len(leg.samples)
    leg.peer.joints["hip"].servo.corrupt = 20
    leg.run(0.1)
    newest = leg.samples[count:]
    assert all({"knee", "ankle", "toe"} <= set(s.position) for s in newest if len(s.position) > 1)
    assert sum("hip" not in s.position for s in newest) >= 18
    assert leg.driver.stats.rejected["checksum"] == 20
    leg.run(1.0)
    assert leg.driver.health(leg.t) == {}


@pytest.mark.parametrize(("bit", "words"), [(5, "overload"), (2, "overheating")])
def test_hardware_errors_in_words(leg: Leg, bit: int, words: str) -> None:
    leg.peer.joints["ankle"].servo.table[70] = 1 << bit
    leg.run(1.5)
    assert leg.driver.health(leg.t) == {"ankle": f"servo 3 reports {words}"}


def test_heat_and_lost_torque_are_told(leg: Leg) -> None:
    assert leg.arm() == []
    leg.run(3.0)
    assert leg.driver.health(leg.t) == {}
    leg.peer.joints["hip"].servo.table[146] = 80
    leg.peer.joints["toe"].servo.table[64] = 0
    leg.run(3.0)
    found = leg.driver.health(leg.t)
    assert found == {
        "hip": "servo 1 has 80 degrees Celsius",
        "toe": "servo 4 has lost its torque; overload, its power?",
    }
    assert not leg.torque()["toe"], "torque is given by arming only"


def test_a_servo_that_lost_its_power_is_set_again_but_gets_no_torque(leg: Leg) -> None:
    assert leg.arm() == []
    leg.run(0.3)
    servo = leg.peer.joints["hip"].servo
    servo.silent = True
    leg.run(0.5)
    servo.reboot()
    servo.silent = False
    leg.run(4.0)
    assert servo.table[98] == 10
    assert not servo.torque
    assert "lost its torque" in leg.driver.health(leg.t)["hip"]


def test_the_wrong_servo_is_told(tmp_path: Path) -> None:
    leg = Leg(leg_file(tmp_path))
    leg.peer.joints["hip"].servo.put(0, 2, 1060)
    leg.run(1.5)
    assert leg.driver.health(leg.t)["hip"] == "servo 1 is a xl430-w250; a xm430-w350 is expected"


def test_a_mode_that_torque_locks_is_told(tmp_path: Path) -> None:
    leg = Leg(leg_file(tmp_path))
    servo = leg.peer.joints["hip"].servo
    servo.table[9], servo.table[11], servo.table[64] = 0, 1, 1
    leg.run(1.5)
    words = leg.driver.health(leg.t)["hip"]
    assert "operating_mode of servo 1 is 1, 3 is expected" in words
    assert servo.torque


def test_limits_of_the_servo_itself_are_told(tmp_path: Path) -> None:
    leg = Leg(leg_file(tmp_path))
    leg.peer.joints["toe"].servo.put(48, 4, 2500)
    leg.run(1.5)
    assert "servo 4 goes from 0 to 2500 itself" in leg.driver.health(leg.t)["toe"]


def test_a_line_that_was_opened_anew_is_started_again(leg: Leg) -> None:
    for j in leg.peer.joints.values():
        j.servo.reboot()
    leg.line = 2
    leg.run(2.0)
    assert leg.driver.health(leg.t) == {}
    assert all(j.servo.table[98] == 10 for j in leg.peer.joints.values())


def test_noise_moves_nothing(leg: Leg) -> None:
    assert leg.arm() == []
    leg.run(0.2)
    before = leg.angles()
    for k in range(200):
        leg._driver(leg.t, [bytes((k * 31 + i * i) % 256 for i in range(40))])
        leg.run(0.004)
    assert near(leg.angles(), before, 0.01)
    assert all(math.isfinite(v) for s in leg.samples for v in s.position.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "xq999"}, "no model 'xq999'; known are"),
        ({"rate_hz": 1000, "baud": 57600}, "a cycle takes"),
        ({"joint": {"toe": {"id": 1}}}, "have the same id 1"),
        ({"model": "sts3215"}, "its model is feetech_sts; dynamixel is expected"),
        ({"joint": {"toe": {"current_limit_a": 1.0}}, "model": "xl430-w250"}, "indirect: true"),
        ({"fats": True}, "fats"),
        ({"safe": {"hip": {"action": "release", "hold_s": 0.0, "rate": 9.0}}}, "above rate_max"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError, match=r"leg.yaml:\d+: ") as e:
        build_driver(load_platform(leg_file(tmp_path, **changes)), "leg")
    assert words in str(e.value)


def test_release_needs_a_servo(tmp_path: Path) -> None:
    path = leg_file(tmp_path)
    text = path.read_text()
    platform = load_platform(path)
    guard = build_guard(platform, [build_driver(platform, "leg").encode_table()])
    assert all(a.follow for a in guard.config.actuators)
    assert "release" not in text

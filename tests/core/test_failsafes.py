"""The table of failsafes: what is asked for when, the ladder, and what the range check says in flight."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.failsafe_table import Energy
from giljabi.frames import quat_from_rpy
from giljabi.missions.legs import Homing
from giljabi.missions.range_watch import RangeWatch
from giljabi.platform import load_platform
from giljabi.safety.failsafes import LADDER, FailsafeInputs, Failsafes, tilt_deg
from giljabi.safety.hold import DegradedHold
from giljabi.types import BadInputError, Battery, Health, MissionPhase, Odometry

WELL = Health(0.0, "supervisor")
PLATFORM = load_platform("drone")


def odom(t: float = 0.0, roll: float = 0.0, pitch: float = 0.0) -> Odometry:
    zeros = np.zeros(3)
    q = np.asarray(quat_from_rpy(roll, pitch, 1.0))
    return Odometry(t, zeros, q, zeros, zeros, np.eye(6), np.eye(6))


def asked(*inputs: tuple[float, FailsafeInputs]) -> Health:
    """The last verdict of a fresh table."""
    failsafes = Failsafes(PLATFORM)
    return [failsafes.step(now, seen) for now, seen in inputs][-1]


def seen(share: float = 0.9, t: float = 0.0, **more: object) -> FailsafeInputs:
    return replace(FailsafeInputs(True, WELL, battery=Battery(t, 15.0, 20.0, share)), **more)  # type: ignore[arg-type]


GNSS, EKF, OTHER = ("sensor", "gnss"), ("estimator", "position"), ("controller", "controller")


@pytest.mark.parametrize(
    ("inputs", "demand", "word"),
    [
        (seen(), "", ""),
        (seen(0.29), "return", "battery: 29% left"),
        (seen(0.14), "land", "battery: 14% left"),
        (seen(raised={GNSS: "gnss: no fix"}), "land", "gnss: no fix"),
        (seen(raised={OTHER: "controller: away"}), "hold", "controller: away"),
        (seen(0.29, raised={GNSS: "gnss: no fix"}), "land", "gnss: no fix"),  # the most conservative wins
        (seen(0.14, raised={OTHER: "controller: away"}), "land", "battery: 14% left"),
        (seen(math.nan), "", ""),
        (replace(seen(0.14), armed=False), "", "battery: 14% left"),  # a reason not to arm, nothing to fly
    ],
)
def test_each_row(inputs: FailsafeInputs, demand: str, word: str) -> None:
    health = asked((0.0, inputs))
    assert health.demand == demand
    assert word in health.why
    assert health.degraded == bool(word)
    assert any(word in r for r in health.reasons) or not word


def test_a_reason_must_last_and_a_link_must_have_been_there() -> None:
    away = seen(operator_t=0.0)
    assert asked((3.1, away), (7.9, replace(away, battery=None))).demand == ""
    assert asked((3.1, away), (8.2, replace(away, battery=None))).demand == "return"
    assert asked((1000.0, seen(t=1000.0))).demand == ""
    tilted = seen(odom=odom(roll=1.2))
    assert asked((0.0, tilted), (0.2, tilted)).demand == ""
    assert asked((0.0, tilted), (0.4, tilted)).demand == "land"
    assert asked((0.0, tilted), (0.2, seen(odom=odom())), (0.4, tilted)).demand == ""  # it was well in between


def test_the_ladder_goes_on_when_a_step_does_not_help() -> None:
    away = seen(raised={OTHER: "controller: away"})
    assert asked((0.0, away), (19.9, away)).demand == "hold"
    assert asked((0.0, away), (20.1, away)).demand == "return"
    assert asked((0.0, away), (620.1, away)).demand == "land"
    lost = seen(raised={EKF: "estimator: no position"})
    assert asked((0.0, lost), (0.6, lost)).demand == "hold"
    assert asked((0.0, lost), (21.0, lost)).demand == "land"  # nobody finds home without a position


@given(
    share=st.floats(0, 1), roll=st.floats(-3.1, 3.1), raised=st.sets(st.sampled_from([GNSS, EKF, OTHER])),
    later=st.floats(0, 700), worse=st.sampled_from([GNSS, EKF, OTHER]),
)  # fmt: skip
def test_more_trouble_never_asks_for_less(
    share: float, roll: float, raised: set[tuple[str, str]], later: float, worse: tuple[str, str]
) -> None:
    def level(keys: set[tuple[str, str]], charge: float) -> int:
        inputs = seen(charge, raised=dict.fromkeys(keys, "x"), odom=odom(roll=roll))
        inputs = replace(inputs, battery=Battery(later, 15.0, 1.0, charge))
        demand = asked((0.0, replace(inputs, battery=Battery(0.0, 15.0, 1.0, charge))), (later, inputs)).demand
        return -1 if not demand else LADDER.index(demand)  # type: ignore[arg-type]

    now = level(raised, share)
    assert level(raised | {worse}, share) >= now
    assert level(raised, 0.5 * share) >= now
    assert 0.0 <= tilt_deg(odom(roll=roll)) <= 180.0


def test_a_return_is_no_hold_and_a_platform_without_a_table_has_none() -> None:
    class Planner:
        paused = 0

        def pause(self) -> None:
            self.paused += 1

    planner, hold = Planner(), DegradedHold()
    low = asked((0.0, seen(0.29)))
    assert not hold.step(low, MissionPhase.RUNNING, planner)  # type: ignore[arg-type]
    assert planner.paused == 0
    ship = Failsafes(load_platform("ship"))
    assert ship.step(0.0, seen(0.01, raised={GNSS: "gnss: no fix"})) == WELL


def test_a_fault_stays_one_whatever_is_asked_for() -> None:
    fault = Health(0.0, "supervisor", ("odom: no estimate",))
    health = asked((0.0, seen(0.29, health=fault)))
    assert not health.degraded
    assert health.demand == "return"


def test_a_table_in_the_wrong_order_is_refused_with_its_line(tmp_path: Path) -> None:
    text = PLATFORM.file.path.read_text().replace("battery_critical: {at: 0.15", "battery_critical: {at: 0.35")
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(BadInputError, match=r"d.yaml:\d+: .*battery_critical.at 0.35 is not below"):
        load_platform(tmp_path / "d.yaml")


ENERGY = Energy(battery_wh=74, hover_w=300, cruise_w=300, air_speed=10, reserve=0.2, wind=2.0)
HOMING = Homing(np.zeros(3), np.array([[1000.0, 0.0, 10.0]]), 15.0)


def watch(share: float, power: float = 300.0) -> RangeWatch:
    out = RangeWatch(ENERGY, 2.0, 1.5)
    for t in range(60):
        out.take(Battery(float(t), 15.0, power / 15.0, share), flies=True)
    return out


def test_it_turns_back_while_it_still_can() -> None:
    place = np.array([0.0, 800.0, 20.0])  # 800 m at 8 m/s and down: 113 s, 34 kJ of 266 kJ
    assert watch(0.40).must_return(60.0, place, HOMING, 10.0) == ""
    assert "the way home needs 13% of the battery, 12% may be used" in watch(0.32).must_return(
        60.0, place, HOMING, 10.0
    )
    assert watch(0.32).must_return(60.0, np.array([900.0, 0.0, 20.0]), HOMING, 10.0) == ""  # the rally point is near
    assert watch(0.40, power=600.0).must_return(60.0, place, HOMING, 10.0)  # it draws more than the file says
    assert watch(0.40, power=50.0).must_return(60.0, place, HOMING, 10.0) == ""
    assert watch(0.10).must_return(80.0, place, HOMING, 10.0) == ""  # an old word of the battery is none


def test_nothing_starts_that_cannot_be_flown() -> None:
    way, home = np.array([[0.0, 0.0, 0.0], [2000.0, 0.0, 20.0]]), np.zeros(3)
    fresh = RangeWatch(ENERGY, 2.0, 1.5)
    assert fresh.why_not(0.0, way, home, 8.0) == ""  # the supervisor asks for the battery's sensor
    fresh.take(Battery(0.0, 15.0, 0.1, 1.0), flies=False)
    assert fresh.why_not(0.0, way, home, 8.0) == ""
    assert "short" in fresh.why_not(0.0, way, home, 8.0, hold_s=400.0)
    assert "no word of the battery" in fresh.why_not(11.0, way, home, 8.0)
    assert RangeWatch(None, 2.0, 1.5).why_not(0.0, way, home, 8.0) == ""

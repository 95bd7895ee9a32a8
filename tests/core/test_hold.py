"""Degraded health pauses the mission, and only what was paused by it goes on by itself."""

from __future__ import annotations

from giljabi.safety.hold import DegradedHold
from giljabi.types import Health, MissionPhase

WELL = Health(0.0, "supervisor")
DEGRADED = Health(0.0, "supervisor", ("gnss: no fix for 3.1 s",), degraded=True)
FAULT = Health(0.0, "supervisor", ("odom: no estimate",))


class Planner:
    """Writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self) -> None:
        self.told.append("start")

    def pause(self) -> None:
        self.told.append("pause")


def told(*steps: tuple[Health, MissionPhase | None]) -> list[str]:
    hold, planner = DegradedHold(), Planner()
    for health, phase in steps:
        hold.step(health, phase, planner)  # type: ignore[arg-type]
    return planner.told


GUIDED = Health(0.0, "supervisor", ("planner: no word for 3.1 s",), guided=True)
RUNNING, PAUSED = MissionPhase.RUNNING, MissionPhase.PAUSED


def test_pauses_once_and_goes_on_when_all_is_well() -> None:
    assert told((WELL, RUNNING), (DEGRADED, RUNNING), (DEGRADED, RUNNING), (DEGRADED, PAUSED)) == ["pause"]
    assert told((DEGRADED, RUNNING), (DEGRADED, PAUSED), (WELL, PAUSED), (WELL, RUNNING)) == ["pause", "start"]


def test_does_not_go_on_into_a_fault() -> None:
    assert told((DEGRADED, RUNNING), (FAULT, PAUSED)) == ["pause"]
    assert told((FAULT, RUNNING)) == []  # the guard handles faults


def test_missions_that_do_not_run_are_left_alone() -> None:
    for phase in (None, MissionPhase.IDLE, PAUSED, MissionPhase.ARRIVED, MissionPhase.FAILED):
        assert told((DEGRADED, phase), (WELL, phase)) == []


def test_a_mission_that_ended_meanwhile_is_not_started() -> None:
    assert told((DEGRADED, RUNNING), (DEGRADED, MissionPhase.ARRIVED), (WELL, MissionPhase.ARRIVED)) == ["pause"]


def test_a_persons_word_counts() -> None:
    hold, planner = DegradedHold(), Planner()
    hold.step(DEGRADED, RUNNING, planner)  # type: ignore[arg-type]
    hold.forget()  # somebody paused it too
    hold.step(WELL, PAUSED, planner)  # type: ignore[arg-type]
    assert planner.told == ["pause"]


def test_after_a_fault_nothing_goes_on_by_itself() -> None:
    assert told((DEGRADED, RUNNING), (FAULT, PAUSED), (WELL, PAUSED)) == ["pause"]
    assert told((GUIDED, RUNNING), (GUIDED, PAUSED), (WELL, PAUSED)) == ["pause"]

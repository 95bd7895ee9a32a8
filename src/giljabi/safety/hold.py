"""While the supervisor has something against going on, the planner stops; after a degraded state it goes on."""

from __future__ import annotations

from giljabi.steps import Planner
from giljabi.types import Health, MissionPhase


class DegradedHold:
    """Pauses a running mission while the vehicle is not healthy, and resumes only what it paused itself.

    After a fault nothing is resumed: the guard is in minimum risk, and a person arms and starts the mission again.
    """

    def __init__(self) -> None:
        self.holding = False

    def step(self, health: Health, phase: MissionPhase | None, planner: Planner) -> bool:
        """True when it paused or resumed the planner; phase: where the mission stands."""
        if health.demand in ("return", "land"):  # more than a hold is done
            self.holding = False
            return False
        if not self.holding:
            if (health.degraded or health.guided) and phase is MissionPhase.RUNNING:
                planner.pause()
                self.holding = health.degraded
                return True
            return False
        fault = bool(health.reasons) and not health.degraded
        if fault or phase in (MissionPhase.IDLE, MissionPhase.ARRIVED, MissionPhase.FAILED):
            self.holding = False
        elif not health.reasons:
            self.holding = False
            planner.start()
            return True
        return False

    def forget(self) -> None:
        """Somebody paused or started the mission: their word counts, so nothing is resumed here."""
        self.holding = False

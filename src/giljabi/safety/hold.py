"""While the supervisor says degraded, the planner stops by itself; it goes on when the cause is gone."""

from __future__ import annotations

from giljabi.steps import Planner
from giljabi.types import Health, MissionPhase


class DegradedHold:
    """Pauses a running mission while the health is degraded, and resumes only what it paused itself."""

    def __init__(self) -> None:
        self.holding = False

    def step(self, health: Health, phase: MissionPhase | None, planner: Planner) -> bool:
        """True when it paused or resumed the planner; phase: where the mission stands."""
        if not self.holding:
            if health.degraded and phase is MissionPhase.RUNNING:
                planner.pause()
                self.holding = True
                return True
            return False
        if phase in (MissionPhase.IDLE, MissionPhase.ARRIVED, MissionPhase.FAILED):
            self.holding = False
        elif not health.reasons:
            self.holding = False
            planner.start()
            return True
        return False

    def forget(self) -> None:
        """Somebody paused or started the mission: their word counts, so nothing is resumed here."""
        self.holding = False

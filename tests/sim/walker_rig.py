"""A walker in lock-step with the whole stack, moved on by seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from giljabi.platform import share_dir
from giljabi.types import StackState
from giljabi.walking.fast_loop import WalkingLoop
from giljabi_sim.humanoid.vehicle import WalkerVehicle
from giljabi_sim.lockstep import LockStep
from giljabi_sim.scenario import load_scenario
from giljabi_sim.truth import Own


class WalkerRun:
    """One scenario; `after(s)` moves on."""

    def __init__(
        self, *overrides: str, platform: Path | None = None, seed: int = 1, faults: tuple[str, ...] = ()
    ) -> None:
        scenario = load_scenario(
            "humanoid_walk", list(overrides), platform=str(platform) if platform else None, faults=faults
        )
        self.loop = LockStep(scenario)
        self.ticks = 0
        fast, vehicle = self.loop.stack.fast, self.loop.simulation.world.vehicle
        assert isinstance(fast, WalkingLoop)
        assert isinstance(vehicle, WalkerVehicle)
        self.fast, self.vehicle = fast, vehicle

    @property
    def now(self) -> float:
        return self.ticks / 1000.0

    @property
    def own(self) -> Own:
        return self.loop.simulation.world.own

    @property
    def state(self) -> StackState:
        return self.loop.stack.state(self.now)

    def after(self, seconds: float, each: Callable[[float], None] | None = None) -> WalkerRun:
        """Moves on; each: called before every tick."""
        for _ in range(round(seconds * 1000)):
            if each is not None:
                each(self.now)
            self.loop._tick(self.now)
            self.ticks += 1
        return self

    def until_armed(self) -> WalkerRun:
        """As an operator: arms when the stack lets him."""
        while not self.state.armed:
            self.after(0.1)
            assert self.now < 10.0, self.state.reasons
        return self


def platform_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """The shipped platform with lines changed."""
    text = (share_dir() / "config" / "platforms" / "humanoid.yaml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "walker.yaml"
    path.write_text(text)
    return path

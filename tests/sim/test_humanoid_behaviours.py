"""A walker in contact dynamics, through servo packets: gets up from each side."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.walking.behaviours.manager import Mode
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.behave import Behave, stand_up
from giljabi_sim.humanoid.body import Ground, World

SMALL = load_walker("small")


@pytest.mark.parametrize("side", ["prone", "supine"])
def test_it_gets_up_from_its_face_and_from_its_back(side: str) -> None:
    row = stand_up(SMALL, World(Ground(friction=0.7)), 0, side)
    assert row.stood, row
    assert row.words == f"stand_up.{side} done"
    assert row.seconds < 10.0


def test_it_falls_lies_gets_up_when_asked_and_walks_on() -> None:
    run = Behave(SMALL, World(), 3)
    run.until(Mode.STANDING, 1.0)
    run.drop("prone", np.random.default_rng(4))
    assert run.until(Mode.LYING, 6.0)
    run.manager.ask("stand")
    assert run.until(Mode.STANDING, 10.0)
    end = run.body.now + 6.0
    start = run.body.pose[0]
    while run.body.now < end:
        run.tick(Velocity(0.2))
    assert run.stands
    assert float(np.hypot(*(run.body.pose[0] - start)[:2])) > 0.5

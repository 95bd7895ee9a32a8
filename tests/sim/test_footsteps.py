"""A walker in MuJoCo follows planned footsteps to a pose."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.ground import rectangle
from giljabi.planning.foot_planner import FootPlanner, legs_of
from giljabi.planning.terrain import Terrain
from giljabi.platform import load_platform
from giljabi.walking.footsteps import Velocity
from giljabi.walking.planned import steps_of
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.body import Ground, World
from giljabi_sim.humanoid.walk import Walk

BEGIN_S = 1.5


@pytest.mark.parametrize(("goal", "seed"), [((1.2, 0.4, math.pi / 2), 1), ((0.9, 0.0, 0.0), 2)])
def test_it_walks_around_a_box_to_a_pose_step_by_step(goal: tuple[float, float, float], seed: int) -> None:
    file = load_walker("small")
    legs = legs_of(file.walker, load_platform("humanoid").model.limits, (0.16, 0.3), 0.28)
    box = rectangle(0.5, -0.35, 0.0, (0.2, 0.3), math.inf)
    plan = FootPlanner(legs).plan((0.0, 0.0, 0.0), goal, Terrain(np.array([-1.0, -2.0]), np.array([3.0, 2.0]), (box,)))
    steps, walk = steps_of(plan, (0.0, 0.0, 0.0), legs.advance), Walk(file, World(), seed)
    landed: list[int] = []
    while walk.body.now < 20.0 and not walk.fallen:
        walk.tick(Velocity(steps=steps) if walk.body.now >= BEGIN_S else Velocity())
        gait = walk.chain.gait
        if gait is None or walk.body.now < BEGIN_S + 0.1:
            continue
        if gait.landed is not None:
            landed.append(gait.landed)
        if gait.stride is None and not gait.planned.leads:
            break
    assert not walk.fallen
    assert landed[: len(plan)] == plan.side.tolist()
    assert len(landed) <= len(plan) + 2  # feet beside each other at the end
    (x, y, _), yaw, _ = walk.body.pose
    assert math.hypot(x - goal[0], y - goal[1]) < 0.1
    assert abs(math.remainder(yaw - goal[2], 2.0 * math.pi)) < 0.1


def test_it_steps_onto_a_terrace_that_it_knows_of_and_down_again_soles_wholly_on_it() -> None:
    file, goal, height = load_walker("small"), (1.4, 0.0, 0.0), 0.015
    legs = legs_of(file.walker, load_platform("humanoid").model.limits, (0.16, 0.3), 0.28)
    terrace = rectangle(0.75, 0.0, 0.0, (0.5, 4.0), height)
    plan = FootPlanner(legs).plan(
        (0.0, 0.0, 0.0), goal, Terrain(np.array([-1.0, -2.0]), np.array([3.0, 2.0]), (terrace,))
    )
    assert set(plan.feet[:, 2]) == {0.0, height}
    steps = steps_of(plan, (0.0, 0.0, 0.0), legs.advance)
    walk = Walk(file, World(ground=Ground(steps=((0.5, 1.0, height),))), 1)
    highest = 0.0
    while walk.body.now < 20.0 and not walk.fallen:
        walk.tick(Velocity(steps=steps) if walk.body.now >= BEGIN_S else Velocity())
        gait = walk.chain.gait
        highest = max(highest, float(walk.body.pose[0][2]))
        if gait is not None and walk.body.now > 3.0 and gait.stride is None and not gait.planned.leads:
            break
    assert not walk.fallen
    (x, y, z), _, _ = walk.body.pose
    assert math.hypot(x - goal[0], y - goal[1]) < 0.1
    assert highest > z + 0.8 * height, "the body rises with the ground"

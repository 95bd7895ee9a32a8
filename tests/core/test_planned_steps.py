"""Planned footsteps in the gait: taken once, in turns, only where the legs reach them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from giljabi.types import FootPlan
from giljabi.walking.footsteps import LEFT, RIGHT, Foothold, Footsteps, Velocity
from giljabi.walking.planned import Planned, Steps, steps_of
from giljabi.walking.walker_file import load_walker

GAIT = load_walker("small").walker.gait


def plan(*rows: tuple[int, float, float, float, float]) -> FootPlan:
    a = np.array(rows)
    return FootPlan(a[:, 0].astype(np.int64), a[:, 1:], a[:, 3])


AHEAD = plan(
    (LEFT, 0.05, 0.0475, 0.0, 0.0), (RIGHT, 0.15, -0.0475, 0.0, 0.0), (LEFT, 0.25, 0.0475, 0.02, 0.0),
    (RIGHT, 0.25, -0.0475, 0.02, 0.0),
)  # fmt: skip


def steps(p: FootPlan = AHEAD, pose: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Steps:
    return steps_of(p, pose, 0.1)


def test_a_plan_comes_into_the_frame_of_the_odometry() -> None:
    turned = steps(pose=(1.0, 2.0, math.pi / 2))
    assert turned.feet[0].xy == pytest.approx([0.0475 - 2.0, 0.95])
    assert turned.feet[0].yaw == pytest.approx(-math.pi / 2)
    assert turned.feet[2].z == 0.02


def test_a_step_up_takes_longer_and_a_usual_one_does_not() -> None:
    assert steps().slow == pytest.approx([1.0, 1.0, 1.24, 1.24])


def test_steps_follow_each_other_and_a_plan_that_is_done_is_not_begun_again() -> None:
    planned, p = Planned(Footsteps(GAIT)), steps()
    planned.take(p)
    feet = [Foothold(np.array([0.0, 0.0475]), 0.0), Foothold(np.array([0.0, -0.0475]), 0.0)]
    for k in range(4):
        planned.take(p)
        assert planned.leads
        assert planned.side == AHEAD.side[k]
        side = planned.side
        step = planned.next(side, feet[1 - side])
        assert step is not None
        assert step.xy == pytest.approx(AHEAD.feet[k, :2])
        assert [f.z for f, _ in planned.following(9)] == AHEAD.feet[k + 1 :, 2].tolist()
        feet[side] = step
        planned.landed(p)
    planned.take(p)
    assert not planned.leads
    planned.take(steps())  # the same steps anew: somebody wants them
    assert planned.leads


def test_what_the_legs_do_not_reach_ends_the_plan() -> None:
    for stance, side in ((Foothold(np.array([0.6, -0.0475]), 0.0), LEFT), (Foothold(np.zeros(2), 0.0), RIGHT)):
        planned = Planned(Footsteps(GAIT))
        planned.take(steps())
        assert planned.next(side, stance) is None
        assert not planned.leads


def test_near_misses_are_drawn_to_what_the_legs_reach() -> None:
    planned = Planned(Footsteps(GAIT))
    planned.take(steps(plan((LEFT, 0.2, 0.05, 0.0, 0.5), *((RIGHT, 0.2, -0.05, 0.0, 0.5),) * 1)))
    step = planned.next(LEFT, Foothold(np.array([0.0, -0.0475]), 0.0))
    assert step is not None
    assert step.xy[0] == pytest.approx(GAIT.length_max)
    assert step.yaw == pytest.approx(GAIT.turn_max)


def test_leaving_a_plan_is_for_good_and_a_step_of_another_one_does_not_count() -> None:
    planned, p = Planned(Footsteps(GAIT)), steps()
    planned.take(p)
    planned.landed(None)
    planned.landed(steps())
    assert planned.side == LEFT
    planned.take(None)
    planned.take(p)
    assert not planned.leads
    assert not Velocity(steps=p).still
    assert Velocity().still

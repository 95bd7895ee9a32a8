"""A walker in MuJoCo's contact dynamics: it stands, walks, turns, is pushed, and its seed decides everything."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.types import BadInputError
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.body import Push, World
from giljabi_sim.humanoid.servos import ServoBank, ServoFaults
from giljabi_sim.humanoid.walk import START_S, Walk, steady, straight

SMALL = load_walker("small")


def test_it_stands_and_stays() -> None:
    walk = Walk(SMALL, World(), 1)
    row = walk.run(straight(0.0), 5.0)
    assert not row.fell
    assert row.distance_m < 0.03
    assert np.abs(walk.chain.estimator.tilt).max() < 0.03


def test_it_is_pushed_and_walks_on() -> None:
    push = World(pushes=(Push(4.0, 0.1, (0.0, 3.5 * 0.2 / 0.1, 0.0)),))
    walk = Walk(SMALL, push, 2)
    row = walk.run(straight(0.2), 8.0)
    assert not row.fell
    assert row.x_m > 0.8


def test_it_walks_forward_at_the_commanded_speed() -> None:
    row = Walk(SMALL, World(), 3).run(straight(0.28), 20.0, distance=2.5)
    assert not row.fell
    assert row.distance_m > 2.4
    assert row.speed_mps == pytest.approx(0.28, rel=0.1)
    assert row.heading_error_rad < 0.1


@pytest.mark.parametrize(
    ("command", "sign"),
    [(Velocity(-0.15), (-1, 0, 0)), (Velocity(0.0, 0.08), (0, 1, 0)), (Velocity(0, 0, 0.3), (0, 0, 1))],
)
def test_it_goes_where_it_is_told(command: Velocity, sign: tuple[int, int, int]) -> None:
    row = Walk(SMALL, World(), 4).run(steady(command), START_S + 5.0)
    gone = np.array([row.x_m, row.y_m, row.turned_rad])
    assert not row.fell
    assert gone @ np.array(sign) > 0.6 * 4.0 * np.abs([command.forward, command.side, command.turn]).max()


def test_it_stops_with_its_feet_beside_each_other() -> None:
    walk = Walk(SMALL, World(), 5)
    row = walk.run(lambda t: Velocity(0.2 if START_S < t < 4.0 else 0.0), 7.0)
    assert not row.fell
    assert walk.chain.gait is not None
    assert walk.chain.gait.stride is None
    before = row.x_m
    assert walk.run(straight(0.0), 8.0).x_m == pytest.approx(before, abs=0.01)


def test_the_same_seed_gives_the_same_way() -> None:
    rows = [Walk(SMALL, World(), seed).run(straight(0.2), 3.0) for seed in (7, 7, 8)]
    assert rows[0] == rows[1]
    assert rows[0].x_m != rows[2].x_m


def test_servos_quantise_delay_lose_and_fall_silent() -> None:
    rng = np.random.default_rng(0)
    bank = ServoBank(2, 4096, rng, ServoFaults(silent=(1, 0.5, 1.0)), delay_s=0.01, noise_rad=0.0)
    bank.command(0.0, np.array([0.1, 0.2]))
    assert bank.at(0.009) is None
    first = bank.at(0.01)
    assert first is not None
    assert first == pytest.approx([0.1, 0.2], abs=np.pi / 4096)
    assert np.abs(first / (2 * np.pi / 4096) - np.round(first / (2 * np.pi / 4096))).max() < 1e-9
    assert bank.tell(0.4, np.array([0.0, 0.0]))[1] == 0.0
    assert list(bank.tell(0.6, np.array([0.3, 0.3])) > 0.2) == [True, False]
    bank.command(0.6, np.array([0.5, 0.5]))
    second = bank.at(0.7)
    assert second is not None
    assert second == pytest.approx([0.5, first[1]], abs=np.pi / 4096)
    lossy = ServoBank(1000, 4096, rng, ServoFaults(lost_share=0.3), delay_s=0.0)
    lossy.command(0.0, np.zeros(1000))
    lossy.at(0.0)
    lossy.command(0.1, np.ones(1000))
    held = lossy.at(0.1)
    assert held is not None
    assert 600 < np.count_nonzero(held > 0.5) < 800


def test_an_unknown_walker_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"known walkers are .*small"):
        load_walker("giant")

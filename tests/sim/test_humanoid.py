"""A walker in MuJoCo's contact dynamics: it stands, walks, turns, is pushed, and its seed decides everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.types import BadInputError
from giljabi.walking.footsteps import Velocity
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.body import Ground, Push, World
from giljabi_sim.humanoid.servo_line import ServoFaults, ServoLine
from giljabi_sim.humanoid.walk import START_S, Walk, steady, straight

SMALL = load_walker("small")
ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("seed", [3, 8, 11])
def test_it_goes_over_a_board_of_one_centimetre(seed: int) -> None:
    ground = Ground(steps=((0.6, 1.2, 0.01),))
    row = Walk(SMALL, World(ground), seed).run(straight(0.28), 14.0, distance=1.7)
    assert not row.fell
    assert row.x_m > 1.6


def test_on_flat_ground_it_believes_in_no_stairs() -> None:
    walk = Walk(SMALL, World(), 16)  # its joints are off so that the left foot feels the ground early at every step
    assert not walk.run(straight(0.28), 16.0, distance=3.0).fell
    gait = walk.chain.gait
    assert gait is not None
    assert max(abs(sole.z) for sole in gait.soles) < 0.015


@pytest.mark.parametrize(("joint", "seed"), [("left_hip_pitch", 3), ("left_hip_roll", 4)])
def test_it_walks_on_while_a_servo_of_a_leg_is_silent(joint: str, seed: int) -> None:
    number = list(SMALL.walker.joints).index(joint)
    since = np.random.default_rng([number, seed]).uniform(4.0, 4.5)
    walk = Walk(SMALL, World(servos=ServoFaults(silent=(number, since, since + 0.2))), seed)
    assert not walk.run(straight(0.28), since + 3.5).fell


def test_a_robot_of_thirty_kilograms_walks_by_its_file_alone() -> None:
    row = Walk(load_walker("large"), World(), 0).run(straight(0.4), 9.0)
    assert not row.fell
    assert row.speed_mps == pytest.approx(0.4, rel=0.1)
    assert row.x_m > 2.0


def test_a_servo_that_is_not_simulated_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "config/robots/small.yaml").read_text()
    for model, says in (("ph54-200-s500", "another control table"), ("xm999", "no servo is called")):
        file = tmp_path / "robot.yaml"
        file.write_text(text.replace("xm430-w350", model))
        (tmp_path / "small.xml").write_text((ROOT / "config/robots/small.xml").read_text())
        with pytest.raises(BadInputError, match=rf"robot.yaml:\d+: .*{says}"):
            Walk(load_walker(file), World(), 0)


@pytest.mark.parametrize(
    ("command", "sign"),
    [(Velocity(-0.15), (-1, 0, 0)), (Velocity(0.0, 0.08), (0, 1, 0)), (Velocity(0, 0, 0.3), (0, 0, 1))],
)
def test_it_goes_where_it_is_told(command: Velocity, sign: tuple[int, int, int]) -> None:
    row = Walk(SMALL, World(), 4).run(steady(command), START_S + 5.0)
    gone = np.array([row.x_m, row.y_m, row.turned_rad])
    assert not row.fell
    assert gone @ np.array(sign) > 0.6 * 4.0 * np.abs([command.forward, command.side, command.turn]).max()


def test_it_squats_and_rises_before_it_walks() -> None:
    walk = Walk(SMALL, World(), 6)
    walk.run(lambda t: Velocity(height=0.19), 4.0)
    squatting = walk.body.pose[0][2]
    row = walk.run(lambda t: Velocity(0.15), 8.0)
    assert not row.fell
    assert walk.body.pose[0][2] > squatting + 0.03
    assert row.x_m > 0.2


def test_minimum_risk_stops_sits_down_and_lets_go() -> None:
    walk = Walk(SMALL, World(), 6)
    walk.run(straight(0.2), 4.0)
    standing = walk.body.pose[0][2]
    walk.chain.give_up()
    while not walk.chain.limp and walk.body.now < 9.0:
        walk.tick(Velocity(0.2))
    position, _, tilt = walk.body.pose
    assert walk.chain.limp
    assert tilt < 0.1
    assert position[2] < standing - 0.04


@pytest.mark.parametrize("direction", [(1.0, 0.0), (-1.0, 0.0), (0.0, -1.0)])
def test_a_fall_is_seen_before_the_body_touches_the_ground(direction: tuple[float, float]) -> None:
    force = 3.5 * 1.2 / 0.1
    push = Push(3.0, 0.1, (force * direction[0], force * direction[1], 0.0))
    walk = Walk(SMALL, World(pushes=(push,)), 1)
    while not walk.chain.limp and walk.body.now < 6.0:
        walk.tick(Velocity(0.2 if walk.body.now > START_S else 0.0))
    seen = walk.body.now
    assert walk.chain.limp
    assert not walk.body.touching
    while not walk.body.touching and walk.body.now < 8.0:
        walk.tick(Velocity())
    assert walk.body.touching
    assert walk.body.now - seen > 0.15


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


def _line(faults: ServoFaults, noise: float = 0.0) -> ServoLine:
    line = ServoLine(SMALL, np.random.default_rng(0), faults, noise)
    line.hold(np.zeros(20))
    return line


def test_goals_and_positions_go_over_the_servo_bus_in_steps_of_the_encoder() -> None:
    line, q = _line(ServoFaults(delay_s=0.01)), np.linspace(-1.0, 1.0, 20)
    end = line.read(0.0, q)
    assert 0.0 < end < 2e-3
    step = 2 * np.pi / 4096
    assert line.positions == pytest.approx(q, abs=step / 2 + 1e-9)
    assert line.positions / step == pytest.approx(np.round(line.positions / step), abs=1e-6)
    line.write(0.002, -q)
    assert line.goals(0.011) == pytest.approx(np.zeros(20))
    assert line.goals(0.0135) == pytest.approx(-q, abs=step / 2 + 1e-9)
    assert line.bus.collisions == 0
    assert not line.bus.rejected


def test_a_silent_servo_keeps_its_goal_and_its_last_position_the_others_go_on() -> None:
    line, step = _line(ServoFaults(silent=(3, 0.5, 1.0))), 2 * np.pi / 4096
    for k in range(12):
        now = 0.45 + 0.01 * k
        line.read(now, np.full(20, 0.1 * (now >= 0.5)))
        line.write(now + 0.003, np.full(20, 0.2 * (now >= 0.5)))
    others = np.arange(20) != 3
    goals = line.goals(0.6)
    assert goals[3] == pytest.approx(0.0, abs=step)
    assert goals[others] == pytest.approx(np.full(19, 0.2), abs=step)
    assert line.positions[3] == pytest.approx(0.0, abs=step)
    assert line.positions[others] == pytest.approx(np.full(19, 0.1), abs=step)


def test_a_corrupted_packet_moves_nothing_and_is_counted() -> None:
    line = _line(ServoFaults(corrupt_share=1.0))
    for k in range(20):
        line.read(0.01 * k, np.full(20, 0.3))
        line.write(0.01 * k + 0.003, np.full(20, 0.3))
    assert sum(line.bus.rejected.values()) > 10
    assert np.abs(line.goals(1.0)).max() < 1e-2
    step = 2 * np.pi / 4096  # parts of a fast reply in front of the flipped bit are right, those behind stay away
    assert np.all((np.abs(line.positions) < step) | (np.abs(line.positions - 0.3) < step))
    assert sum(v for k, v in line.chain.stats().items() if "crc" in k or "checksum" in k) > 5


def test_an_unknown_walker_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"known walkers are .*small"):
        load_walker("giant")

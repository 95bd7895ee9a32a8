"""Joint trajectories: files, limits, pace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mujoco", reason="kinematics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.types import Array, BadInputError
from giljabi.walking.behaviours.trajectory import (
    SLOWEST,
    JointTrajectory,
    Limits,
    TrajectoryPlayer,
    TrajectoryRefused,
    read_trajectory,
)

LIMITS = Limits(("a", "b", "c"), np.full(3, -1.5), np.full(3, 1.5), rate_max=4.0, acceleration_max=40.0)
ROOT = Path(__file__).resolve().parents[2]


def played(trajectory: JointTrajectory, begin: Array, dt: float = 0.002) -> tuple[TrajectoryPlayer, Array]:
    """All positions of the joints named, tick by tick."""
    player = TrajectoryPlayer(trajectory, LIMITS, begin)
    out = []
    for k in range(200_000):
        out.append(player.at(k * dt))
        if player.over:
            break
    return player, np.array(out)


@given(
    st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), min_size=1, max_size=8),
    st.floats(-1.0, 1.0),
)
def test_it_goes_through_all_points_inside_the_limits_or_is_refused(
    points: list[tuple[float, float, float]], begin: float
) -> None:
    table = np.array(points)
    t = JointTrajectory(("b", "a"), np.cumsum(table[:, 0]), table[:, 1:])
    try:
        player, way = played(t, np.full(3, begin))
    except TrajectoryRefused as e:
        assert "times slower" in str(e)  # noqa: PT017
        return
    speed = np.diff(way, axis=0, prepend=way[:1]) / 0.002
    assert 1.0 <= player.slower <= SLOWEST
    assert np.abs(way).max() <= 1.5 + 1e-9
    assert np.abs(speed).max() <= LIMITS.rate_max * 1.02
    assert way[0] == pytest.approx(np.full(2, begin), abs=0.02)
    assert way[-1] == pytest.approx(t.positions[-1])
    for point in t.positions:
        assert np.abs(way - point).max(axis=1).min() < 0.01


def test_a_slow_one_keeps_its_own_time_and_a_fast_one_is_slowed_by_the_factor_it_needs() -> None:
    times = np.linspace(0.0, 2.0, 201)
    slow = np.stack([0.5 * np.cos(np.pi * times)], axis=1)
    player, way = played(JointTrajectory(("c",), times, slow), np.full(3, 0.5))
    assert player.slower == 1.0
    assert way[500, 0] == pytest.approx(-0.5, abs=1e-3)  # 1 s
    times = np.linspace(0.0, 0.5, 201)
    player, _ = played(JointTrajectory(("c",), times, np.stack([np.cos(4 * np.pi * times)], axis=1)), np.full(3, 1.0))
    assert player.slower == pytest.approx(4 * np.pi / 4.0, rel=0.02)  # its greatest speed over rate_max
    assert player.duration_s == pytest.approx(0.5 * player.slower)


@pytest.mark.parametrize(
    ("names", "times", "positions", "says"),
    [
        (("d",), [0.0, 1.0], [[0], [1]], "no joint 'd'"),
        (("a",), [0.0, 1.0], [[0], [1.6]], "a at 1.00 s is 1.6 rad; -1.5 to 1.5 is its range"),
        (("a",), [0.0, 0.01], [[0], [1.0]], "times slower"),
        (("a",), [0.0, 0.0], [[0], [1.0]], "growing times"),
        (("a",), [0.0, np.nan], [[0], [1.0]], "not a finite number"),
        (("a", "a"), [0.0, 1.0], [[0, 0], [1, 1]], "stands twice"),
        (("a",), [-1.0, 1.0], [[0], [1.0]], "0 or later"),
    ],
)
def test_what_the_robot_cannot_do_is_refused_with_words(
    names: tuple[str, ...], times: list[float], positions: list[list[float]], says: str
) -> None:
    t = JointTrajectory(names, np.array(times), np.array(positions, dtype=np.float64))
    with pytest.raises(TrajectoryRefused, match=says):
        TrajectoryPlayer(t, LIMITS, np.zeros(3))


def test_csv_and_the_messages_yaml_say_the_same(tmp_path: Path) -> None:
    table, message = tmp_path / "t.csv", tmp_path / "t.yaml"
    table.write_text("# captured\nt,a,b\n0,0.1,0.2\n\n0.5,0.3,-0.4\n")
    message.write_text(
        "joint_names: [a, b]\npoints:\n- {positions: [0.1, 0.2], time_from_start: {sec: 0, nanosec: 0}}\n"
        "- {positions: [0.3, -0.4], velocities: [0, 0], time_from_start: 0.5}\n"
    )
    one, other = read_trajectory(table), read_trajectory(message)
    assert one.names == other.names == ("a", "b")
    assert one.times == pytest.approx(other.times)
    assert one.positions == pytest.approx(other.positions)
    assert read_trajectory(ROOT / "examples/humanoid/wave.csv").positions.shape == (7, 4)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "0,1\n", "t.csv:1: no names of columns"),
        ("t.csv", "t,a\n0,x\n", "t.csv:2: not a number"),
        ("t.csv", "t,a\n0,1\n\n1,2,3\n", "t.csv:4: 3 numbers; 2 are expected"),
        ("t.csv", "t,a\n0,nan\n", "t.csv:2: not a finite number"),
        ("t.csv", "t,a\n1,0\n0.5,0\n", "t.csv:3: time 0.5 s does not come after 1 s"),
        ("t.csv", "", "no numbers"),
        ("t.yaml", "joint_names: [a]\npoints: [{positions: [1, 2], time_from_start: 0.0}]\n", "2 positions for 1"),
        ("t.yaml", "joint_names: [a]\npoints: [{positions: [1]}]\n", "'points.0.time_from_start' is missing"),
        ("t.yaml", "joint_names: [a]\npoint: []\n", "did you mean 'points'"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInputError, match=says):
        read_trajectory(path)


@given(st.binary(max_size=200), st.sampled_from(["csv", "yaml"]))
def test_any_bytes_are_a_trajectory_or_bad_input(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_bytes(data)
    try:
        read = read_trajectory(path)
    except BadInputError:
        return
    assert np.isfinite(read.positions).all()

"""What a walker does beside walking, each part alone: motions, posture, manager, upper body."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mujoco", reason="kinematics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.types import Array, BadInputError
from giljabi.walking.base_estimation import GRAVITY, rotation_of
from giljabi.walking.behaviours.lying import Posture, Side
from giljabi.walking.behaviours.manager import Manager, Mode
from giljabi.walking.behaviours.motions import PEAK, SHARE, KeyframePlayer, Motion, Motions, Status
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import load_walker

ROOT = Path(__file__).resolve().parents[2]
SMALL = load_walker("small")
N = len(SMALL.walker.joints)
REST = Senses(np.zeros(3), np.array([0.0, 0.0, GRAVITY]), np.zeros(N))
UP = np.array([0.0, 0.0, 1.0])
DT = 1.0 / SMALL.walker.rate_hz
ANGLE = st.floats(-2.0, 2.0)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """A copy of the small robot's files with another line."""
    text = (ROOT / "config/robots/small.yaml").read_text()
    assert old in text
    (tmp_path / "small.xml").write_text((ROOT / "config/robots/small.xml").read_text())
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


# --- motions --------------------------------------------------------------------------------------------


@given(st.lists(st.lists(ANGLE, min_size=3, max_size=3), min_size=1, max_size=4), st.floats(0.05, 2.0))
def test_a_motion_reaches_every_keyframe_and_stays_below_the_servos_rate(frames: list[list[float]], s: float) -> None:
    motion = Motion("m", np.array(frames), np.full(len(frames), s))
    player = KeyframePlayer(motion, np.zeros(3), 6.0)
    seen = [np.zeros(3)]
    for k in range(2000):
        seen.append(player.step(0.01 * k, REST, UP, Velocity()))
        if player.status == Status.DONE:
            break
    way = np.array(seen)
    assert player.status == Status.DONE
    assert way[-1] == pytest.approx(motion.joints[-1])
    for frame in motion.joints:
        assert np.abs(way - frame).max(axis=1).min() < 0.01 * 6.0
    assert np.abs(np.diff(way, axis=0)).max() / 0.01 <= SHARE * 6.0 * (1.0 + 1e-6) * max(1.0, PEAK / 1.5)


def test_keyframes_keep_what_they_do_not_name_and_move_the_mirrored_joint() -> None:
    m = Motions(SMALL, Kinematics(SMALL))
    index = {n: i for i, n in enumerate(SMALL.walker.joints)}
    frames = SMALL.walker.behaviours.stand_up.prone if SMALL.walker.behaviours.stand_up else []
    prone = m.stand_up["prone"]
    first = frames[0].joints
    assert prone.joints[0, index["left_elbow"]] == first["left_elbow"]
    assert prone.joints[0, index["right_elbow"]] == first["left_elbow"]
    assert prone.joints[0, index["right_shoulder_roll"]] == -first["left_shoulder_roll"]
    assert prone.joints[0, index["head_pan"]] == m.stand[index["head_pan"]]
    assert prone.joints[-1] == pytest.approx(m.stand)


@pytest.mark.parametrize("name", ["stand", "squat"])
def test_standing_postures_come_from_the_robots_geometry(name: str) -> None:
    k, g = Kinematics(SMALL), SMALL.walker.gait
    k.set(np.zeros(3), np.array([1.0, 0, 0, 0]), getattr(Motions(SMALL, k), name))
    left, right = k.sole(0)[0], k.sole(1)[0]
    assert k.com[2] - left[2] == pytest.approx(g.height if name == "stand" else g.height_low, abs=1e-3)
    assert k.com[:2] == pytest.approx((left[:2] + right[:2]) / 2, abs=1e-3)
    assert left[1] - right[1] == pytest.approx(g.width, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("joints: {left_hip_pitch: 0,", "joints: {left_hip: 0,", "no joint is called 'left_hip'"),
        ("joints: {left_hip_pitch: 0,", "joints: {left_hip_pitch: -3.1,", "left_hip_pitch at -3.1 rad is outside"),
        ("left_knee: right_knee", "left_knee: right_elbow", "right_elbow at .* rad is outside its range"),
        ("left_knee: right_knee", "left_knee: knee", "no joint is called 'knee'"),
        ("look: {pan: head_pan", "look: {pan: head", "no joint is called 'head'"),
        ("posture: stand", "posture: lie", "'lie'"),
        ("seconds: 1.2, posture", "seconds: 0, posture", "greater than 0"),
    ],
)
def test_a_motion_that_the_robot_cannot_do_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(BadInputError, match=rf"robot.yaml:\d+: .*{says}"):
        Motions(load_walker(path), Kinematics(load_walker(path)))


# --- posture --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "side"),
    [
        ([0.0, 0.3, 0.0], Side.UPRIGHT),
        ([0.0, 1.5, 0.0], Side.PRONE),
        ([0.0, -1.5, 0.0], Side.SUPINE),
        ([-1.5, 0.0, 0.0], Side.LEFT),
        ([1.5, 0.0, 0.0], Side.RIGHT),
        ([3.0, 0.0, 0.0], Side.OVERHEAD),
    ],
)
def test_the_accelerometer_says_on_which_side_it_lies(turn: list[float], side: Side) -> None:
    posture = Posture(np.eye(3))
    force = rotation_of(np.array(turn)).T @ np.array([0.0, 0.0, GRAVITY])
    for _ in range(round(0.5 / DT)):
        posture.step(DT, np.zeros(3), force)
    assert posture.side == side
    assert posture.still


@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3))
def test_the_gyro_carries_up_through_a_turn_that_the_accelerometer_does_not_see(rate: list[float]) -> None:
    posture = Posture(np.eye(3))
    posture.step(DT, np.zeros(3), np.array([0.0, 0.0, GRAVITY]))
    for _ in range(50):
        posture.step(DT, np.array(rate), np.zeros(3))  # in free fall
    turned = rotation_of(np.array(rate) * 50 * DT)
    assert posture.up == pytest.approx(turned[2], abs=1e-6)


def test_a_tilted_start_is_corrected_by_the_accelerometer() -> None:
    posture = Posture(np.eye(3))
    posture.step(DT, np.zeros(3), np.array([GRAVITY, 0.0, 0.0]))
    for _ in range(round(4.0 / DT)):
        posture.step(DT, np.zeros(3), np.array([0.0, 0.0, GRAVITY]))
    assert posture.tilt < 0.1


# --- manager --------------------------------------------------------------------------------------------


def senses(turn: list[float], joints: Array) -> Senses:
    """At rest with the base turned."""
    return Senses(np.zeros(3), rotation_of(np.array(turn)).T @ np.array([0.0, 0.0, GRAVITY]), joints)


def run(manager: Manager, s: Senses, seconds: float, begin: float = 0.0) -> list[Array]:
    """Targets while the measurements stay the same."""
    return [manager.step(begin + k * DT, s, Velocity()) for k in range(round(seconds / DT))]


def test_a_robot_in_its_standing_posture_stands_at_once_and_one_on_the_ground_does_not() -> None:
    m = Manager(SMALL)
    run(m, senses([0, 0, 0], m.motions.stand), 0.1)
    assert m.mode == Mode.STANDING
    lying, other = np.full(N, 0.05), Manager(SMALL)
    targets = run(other, senses([0, math.pi / 2, 0], lying), 2.0)
    assert other.mode == Mode.LYING
    assert "prone" in other.words
    assert targets[-1] == pytest.approx(lying)


def test_lying_it_waits_until_it_is_asked_and_then_gets_up_by_the_motion_of_its_side() -> None:
    m = Manager(SMALL)
    s = senses([0, -math.pi / 2, 0], np.zeros(N))
    run(m, s, 3.0)
    assert m.mode == Mode.LYING
    assert m.ask("stand") is None
    targets = run(m, s, 1.0, 3.0)
    assert (m.mode, m.words) == (Mode.GETTING_UP, "stand_up.supine")
    jumps = np.abs(np.diff(targets, axis=0)).max() / DT
    assert 0.5 < jumps <= SMALL.walker.servos.rate_max * (1 + 1e-9)


def test_it_gives_up_after_the_files_number_of_tries_and_says_so() -> None:
    m = Manager(SMALL)
    s = senses([0, math.pi / 2, 0], np.zeros(N))  # whatever it does, it lies on its face
    m.ask("stand")
    run(m, s, 60.0)
    assert m.attempts == SMALL.walker.behaviours.attempts
    assert m.mode == Mode.LYING
    assert "did not stand after 4 tries" in m.words


@pytest.mark.parametrize("what", ["damp", "minimum_risk"])
def test_getting_up_ends_in_damped_joints_when_it_is_told_so(what: str) -> None:
    m = Manager(SMALL)
    s = senses([0, math.pi / 2, 0], np.full(N, -0.03))
    m.ask("stand")
    run(m, s, 2.0)
    assert m.mode == Mode.GETTING_UP
    assert m.ask(what) is None
    targets = run(m, s, 3.0, 2.0)
    assert m.mode == Mode.LYING
    assert targets[0] == pytest.approx(np.full(N, -0.03))


def test_what_cannot_be_done_now_is_refused_with_words() -> None:
    m = Manager(SMALL)
    run(m, senses([0, math.pi / 2, 0], np.zeros(N)), 2.0)
    assert "must stand" in str(m.ask("squat"))
    assert "known" in str(m.ask("somersault"))
    assert m.mode == Mode.LYING


def test_a_number_that_is_not_finite_is_counted_and_the_last_measurement_stands_in() -> None:
    m = Manager(SMALL)
    good = senses([0, math.pi / 2, 0], np.full(N, 0.1))
    with pytest.raises(ValueError, match="not finite"):
        m.step(0.0, Senses(np.full(3, np.nan), good.acceleration, good.joints), Velocity())
    run(m, good, 2.0)
    out = m.step(2.0, Senses(good.gyro, good.acceleration, np.full(N, np.inf)), Velocity())
    assert out == pytest.approx(np.full(N, 0.1))
    assert m.rejected == 2


def test_a_command_squats_and_the_head_turns_while_it_stands() -> None:
    m = Manager(SMALL)
    s = senses([0, 0, 0], m.motions.stand)
    pan, knee = (list(SMALL.walker.joints).index(j) for j in ("head_pan", "left_knee"))
    run(m, s, 2.0)
    assert m.look(0.7, 0.0) is None
    assert "out of range" in str(m.look(3.0, 0.0))
    assert run(m, s, 1.0, 2.0)[-1][pan] == pytest.approx(0.7, abs=0.02)
    before = run(m, s, 0.01, 3.0)[-1][knee]
    m.ask("squat")
    assert run(m, s, 1.0, 3.1)[-1][knee] > before + 0.2

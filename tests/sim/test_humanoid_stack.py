"""A walker through the whole stack in lock-step: servo packets, bytes of the inertial sensor, fast loop, guard."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="dynamics of walkers: pip install 'giljabi[humanoid]'")

from walker_rig import WalkerRun, platform_file

from giljabi.steps import BodyVelocity
from giljabi.types import BadInputError, JointTrajectory
from giljabi_sim.lockstep import LockStep, run_scenario
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario

SHORT = ("route.points=[[0, 0], [0.8, 0]]", "asserts=[]", "duration_s=20", "route.arrival_radius=0.25")


class Bytes:
    """Every byte of every wire, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, bool, bytes]] = []

    def tick(self, now: float, simulation: object, stack: object) -> None:
        """Nothing beside the wires."""

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """Keeps one chunk."""
        self.seen.append((now, device, outward, chunk.data))


def test_it_walks_its_route_and_the_same_seed_gives_the_same_bytes() -> None:
    reports, wires = [], []
    for seed in (4, 4, 5):
        scenario = load_scenario("humanoid_walk", SHORT, seed=seed)
        record = Bytes()
        reports.append(run_scenario(scenario, record).report)
        wires.append(record.seen)
    assert [r["outcome"] for r in reports] == ["arrived"] * 3
    assert json.dumps(reports[0]) == json.dumps(reports[1])
    assert wires[0] == wires[1]
    assert wires[0] != wires[2]
    devices = {(device, outward) for _, device, outward, _ in wires[0]}
    assert {("servos", True), ("servos", False), ("imu", False)} <= devices
    assert reports[0]["t_end_s"] < 9.0


def test_it_steps_around_a_box_that_it_knows_of_to_a_pose_and_into_one_that_it_does_not() -> None:
    report = run_scenario(load_scenario("humanoid_obstacles")).report
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    unknown = ["world.obstacles.0.known=false", "asserts=[]"]
    assert run_scenario(load_scenario("humanoid_obstacles", unknown)).report["outcome"] == "collision"


def test_it_walks_onto_a_terrace_that_it_was_told_of_and_off_it() -> None:
    report = run_scenario(load_scenario("humanoid_terrace")).report
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])


@pytest.mark.parametrize("later", [0.0, 0.12])
def test_a_loop_that_dies_while_it_walks_ends_at_rest_in_the_sitting_posture(later: float) -> None:
    run = WalkerRun("asserts=[]", "world.pushes=[]").until_armed()
    run.after(4.0 + later)
    assert run.own.speed > 0.1
    run.loop.simulation.world.faults.silent = lambda what: what == "controller"  # type: ignore[method-assign]
    rates, before = [], dict(run.loop.stack.guard.output())
    for _ in range(500):
        run.after(0.01)
        now = dict(run.loop.stack.guard.output())
        rates.append(max(abs(now[n] - before[n]) for n in now) / 0.01)
        before = now
    assert run.state.mode == "minimum_risk"
    actuators = run.loop.scenario.platform.model.actuators
    assert all(before[n] == pytest.approx(a.safe.value, abs=1e-6) for n, a in actuators.items())
    assert max(rates[10:]) <= 1.05 * max(a.safe.rate for a in actuators.values() if a.safe.rate is not None)
    assert run.own.z < 0.7 * run.vehicle.height
    assert max(abs(v) for n, v in run.own.feedback.items() if n.endswith("_rate")) < 0.2


def test_every_servo_and_the_inertial_sensor_are_heard_every_turn() -> None:
    run = WalkerRun(*SHORT).until_armed()
    before = run.fast.ticks
    run.after(1.0)
    assert run.fast.ticks - before == pytest.approx(250, abs=2)
    servos = run.loop.stack.drivers["servos"]
    assert not servos.stats.rejected
    assert run.loop.simulation.peers["servos"].rejected == {}
    assert not run.loop.stack.guard.counters()


def test_a_velocity_leads_over_the_planner_stops_when_it_is_old_and_is_given_back() -> None:
    run = WalkerRun().until_armed()
    run.after(6.0, lambda t: run.fast.steer(t, BodyVelocity(0.2, 0.0, 0.0)))
    there = run.own.x
    assert there > 0.4
    run.after(2.5)  # nothing more is said; the planner's route would lead on
    stopped = run.own.x
    run.after(1.0)
    assert run.own.x == pytest.approx(stopped, abs=0.01)
    assert run.own.x < there + 0.35
    run.fast.release()
    run.after(2.5)
    assert run.own.x > stopped + 0.2
    with pytest.raises(BadInputError, match="finite"):
        run.fast.steer(run.now, BodyVelocity(float("nan"), 0.0, 0.0))


def test_stop_sits_it_down_and_arming_again_makes_it_rise_and_walk_on() -> None:
    run = WalkerRun().until_armed().after(4.0)
    standing, way = run.own.z, run.own.x
    assert way > 0.3
    run.loop.stack.stop(run.now)
    run.after(2.5)
    assert run.state.mode == "stopped"
    assert run.own.z < standing - 0.05
    assert run.own.feedback["tilt"] < 0.4
    assert run.loop.stack.arm(run.now) == []
    run.after(7.5)
    assert run.own.z == pytest.approx(standing, abs=0.01)
    assert run.own.x > way + 0.4
    odom = run.loop.stack.latest.odom
    assert odom is not None
    assert odom.position[:2] == pytest.approx([run.own.x, run.own.y], abs=0.15)  # the map has not begun anew


def test_without_a_planner_it_stops_sits_down_and_loses_its_torque() -> None:
    run = WalkerRun(faults=("what=silent where=planner begin=3 end=40",)).until_armed()
    run.after(5.0)
    low: list[float] = []
    did: list[str] = []
    while run.state.armed and run.now < 16.0:
        run.after(0.1)
        low.append(run.own.z)
        did.append(run.fast.doing())
    assert not run.state.armed
    assert low[-1] < 0.15
    assert any(d.startswith("going down: minimum risk") for d in did)
    assert did[-2].startswith("down: ")
    assert not any("falling" in d for d in did)
    assert all(np.isnan(v) for v in run.vehicle.commands.values())


def test_without_inertial_samples_the_guard_sits_it_down_and_only_arming_ends_that() -> None:
    run = WalkerRun(faults=("what=silent where=imu begin=1 end=40",)).until_armed().after(1.2)
    standing = run.own.z  # it has not begun to walk
    run.after(1.6)
    assert run.state.mode == "minimum_risk"
    assert "no command from 'auto'" in run.state.reasons[0]
    assert run.own.z < standing - 0.04
    assert any("imu" in r for r in run.loop.stack.arm(run.now))


def test_a_fall_ends_the_run_and_the_torque_goes() -> None:
    scenario = load_scenario("humanoid_walk", ["world.pushes=[{at: 1.0, force: [0, 60]}]", "asserts=[]"])
    loop = LockStep(scenario)
    report = loop.run().report
    assert report["outcome"] == "fall"
    assert report["t_end_s"] < 3.0
    assert loop.stack.fast is not None
    now = report["t_end_s"] + 10.0
    assert "fell" in loop.stack.fast.health(now)["balance"]


def test_it_falls_is_armed_lying_and_gets_up_when_asked() -> None:
    run = WalkerRun("world.pushes=[{at: 1.0, force: [40, 0]}]", "asserts=[]").until_armed()
    standing = run.own.z
    assert run.fast.ask("stand") == ""  # it stands already
    run.after(3.5)
    assert not run.state.armed
    assert run.own.feedback["tilt"] > 1.0
    assert "arm it first" in run.fast.ask("stand")
    assert run.loop.stack.arm(run.now) == []
    run.after(1.5)
    assert run.own.feedback["tilt"] > 1.0  # armed, it does nothing by itself
    assert run.state.reasons == ()
    assert "are known" in run.fast.ask("fly")
    assert run.fast.ask("stand") == ""
    run.after(8.0)
    assert run.own.z > standing - 0.03, run.fast.doing()
    assert run.state.mode == "auto"
    odom = run.loop.stack.latest.odom
    assert odom is not None
    assert odom.position[2] == pytest.approx(run.own.z, abs=0.02)


def test_a_trajectory_of_an_arm_plays_through_guard_and_servos_and_others_are_refused_with_words() -> None:
    run = WalkerRun("asserts=[]")
    wave = JointTrajectory(("right_elbow",), np.array([0.0, 0.8, 2.0]), np.array([[-0.6], [-1.4], [-1.4]]))
    with pytest.raises(BadInputError, match="arm it first"):
        run.fast.play(wave)
    run.until_armed().after(3.0)
    run.fast.play(wave)
    run.after(1.8)
    joint = run.vehicle.data.joint("right_elbow")
    assert float(joint.qpos[0]) == pytest.approx(-1.4, abs=0.1)
    run.after(2.0)
    assert float(joint.qpos[0]) == pytest.approx(-0.6, abs=0.1)
    assert not run.own.fallen
    with pytest.raises(BadInputError, match="no joint 'tail'"):
        run.fast.play(JointTrajectory(("tail",), np.array([0.0]), np.zeros((1, 1))))
    with pytest.raises(BadInputError, match=r"right_elbow at 1\.00 s is 3 rad"):
        run.fast.play(JointTrajectory(("right_elbow",), np.array([0.0, 1.0]), np.array([[0.0], [3.0]])))


def test_a_robot_of_thirty_kilograms_walks_by_its_file_alone(tmp_path: Path) -> None:
    file = platform_file(tmp_path, ("file: small", "file: large"), ("speed_max: 0.3", "speed_max: 0.5"))
    run = WalkerRun("route.speed=0.4", platform=file).until_armed().after(6.5)
    assert not run.own.fallen
    assert run.own.x > 0.7
    assert run.own.z > 0.42


def words(error: pytest.ExceptionInfo[BadInputError]) -> Sequence[str]:
    return str(error.value).split(": ", 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("file: small", "file: giant", "no walker 'giant'"),
        ("driver: servos  ", "driver: legs  ", "no driver is called 'legs'"),
        ("speed_max: 0.3", "speed_max: 0.9", "above the gait's speed_max"),
        ("trigger: servos", "trigger: arms", "no driver is called 'arms'"),
        ("  tracker:", "  estimator: {kind: eskf, rate_hz: 100}\n  tracker:", "the fast loop is the estimator"),
        ("sit_s: 1.5", "sit_s: -1", "greater than 0"),
    ],
)
def test_a_platform_of_a_walker_says_what_is_wrong_and_where(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = platform_file(tmp_path, (old, new))
    with pytest.raises(BadInputError, match=says) as e:
        WalkerRun(platform=file)
    where = words(e)[0]
    assert where.startswith(str(file))
    line = file.read_text().splitlines()[int(where.rsplit(":", 1)[1]) - 1]
    assert new.splitlines()[0].split(":")[0].strip() in line


def test_a_film_of_the_walk_shows_the_robot_on_its_way(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="films: pip install 'giljabi[humanoid]'")
    film, figures = tmp_path / "walk.mp4", tmp_path / "walk.json"
    argv = [sys.executable, "-m", "giljabi.cli", "sim", "humanoid_walk", "--set", "duration_s=1.0"]
    done = subprocess.run(
        [*argv, "--video", str(film), "--json", str(figures)], capture_output=True, text=True, check=False
    )
    if "nothing renders without a screen" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 1, done.stderr  # the route's end is further away
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert (stream.width, stream.height) == (960, 540)
    assert 60 < len(frames) < 90  # 25 a second, with the time before it was armed
    blue = frames[-1].astype(int)
    shell = (blue[..., 2] > 60) & (blue[..., 2] > 1.8 * blue[..., 0])  # pelvis, chest and head
    assert 1000 < shell.sum() < 60000


def test_a_film_of_what_is_no_walker_or_under_no_name_is_refused(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "giljabi.cli", "sim"]
    for scenario, name, says in (
        ("humanoid_walk", "walk.txt", "ends in .mp4"),
        ("humanoid_walk", "nowhere/walk.mp4", "no folder"),
        ("ship_straight", "ship.mp4", "only walkers"),
    ):
        argv = [*base, scenario, "--video", str(tmp_path / name)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if "nothing renders without a screen" in done.stderr:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 2, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr

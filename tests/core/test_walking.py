"""Steps of a walker, each alone: footholds, pendulum, swing, whole body, estimator, the file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mujoco", reason="kinematics of walkers: pip install 'giljabi[humanoid]'")

from giljabi.types import BadInputError
from giljabi.walking.base_estimation import BaseEstimator, quaternion_of, rotation_of
from giljabi.walking.chain import Chain, Senses
from giljabi.walking.contact import Touch
from giljabi.walking.falls import FallWatch, StepReach
from giljabi.walking.footsteps import LEFT, RIGHT, Foothold, Footsteps, Velocity, turn
from giljabi.walking.gait import Gait, Measured, Stride
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.pendulum import Pendulum, Support
from giljabi.walking.stepping import StepAdjustment
from giljabi.walking.swing import Swing
from giljabi.walking.walker_file import load_walker
from giljabi.walking.wholebody import Targets, WholeBody, yaw_rotation

ROOT = Path(__file__).resolve().parents[2]
SMALL = load_walker("small")
GAIT = SMALL.walker.gait
KINEMATICS = {name: Kinematics(load_walker(name)) for name in ("small", "large")}
FAR = st.floats(-2.0, 2.0)


@given(FAR, FAR, FAR, st.sampled_from([LEFT, RIGHT]), st.floats(-3.0, 3.0))
def test_a_foothold_is_always_within_reach_and_clear_of_the_other_foot(
    forward: float, side: float, spin: float, foot: int, yaw: float
) -> None:
    stance = Foothold(np.array([0.3, -0.2]), yaw)
    got = Footsteps(GAIT).next(stance, foot, Velocity(forward, side, spin))
    x, y = stance.seen(got.xy)
    out = y if foot == LEFT else -y
    assert abs(x) <= GAIT.length_max + 1e-9
    assert GAIT.width_min - 1e-9 <= out <= GAIT.width + GAIT.side_max + 1e-9
    assert abs(got.yaw - yaw) <= GAIT.turn_max + 1e-9


@pytest.mark.parametrize("command", [Velocity(0.2), Velocity(-0.1), Velocity(0.0, 0.1), Velocity(0.1, 0.0, 0.3)])
def test_two_steps_go_where_the_command_says(command: Velocity) -> None:
    steps = Footsteps(GAIT)
    stance = Foothold(np.array([0.0, -GAIT.width / 2]), 0.0)
    first = steps.next(stance, LEFT, command)
    second = steps.next(first, RIGHT, command)
    middle = second.at(np.array([0.0, GAIT.width / 2]))
    t, w = 2 * GAIT.step_time, command.turn
    turned = t * w
    along = turn(np.array([command.forward, command.side]) * t, turned / 2)
    assert second.yaw == pytest.approx(turned)
    assert middle == pytest.approx(along, abs=0.002 + 0.02 * abs(w))


def test_divergent_component_ends_over_the_last_knot() -> None:
    support = Support(
        np.array([0.0, 0.2, 0.5, 0.6]), np.array([[0, 0.04], [0, 0.04], [0.1, -0.04], [0.1, 0.0]]), np.zeros(4)
    )
    omega = 6.0
    xi, dt = support.divergent(omega), 1e-5
    for k in range(60000):
        zmp = support.at(np.array([(k + 0.5) * dt]))[0][0]
        xi = xi + omega * (xi - zmp) * dt
    assert xi == pytest.approx([0.1, 0.0], abs=2e-4)


def test_the_pendulum_keeps_its_zero_moment_point_inside_the_sole_and_comes_to_rest() -> None:
    half = np.array([0.06, 0.03])
    p = Pendulum(0.25, half, 0.005)
    p.rest(np.zeros(2))
    p.velocity = np.array([0.2, -0.1])
    support = Support(np.zeros(1), np.zeros((1, 2)), np.zeros(1))
    for _ in range(400):
        p.step(0.008, support, np.zeros(2))
        assert np.all(np.abs(p.zmp) <= half - 0.005 + 2e-3)
    assert np.abs(p.divergent).max() < 1e-3
    assert np.abs(p.velocity).max() < 5e-3


def test_the_plan_follows_the_measured_divergent_component() -> None:
    p = Pendulum(0.25, np.array([0.06, 0.03]), 0.0)
    p.rest(np.zeros(2))
    p.follow(np.array([0.02, -0.01]), 0.25)
    assert p.divergent == pytest.approx([0.005, -0.0025])


def test_a_push_moves_the_step_to_where_it_went() -> None:
    steps, omega, speed = Footsteps(GAIT), 6.3, 1.2
    adjust = StepAdjustment(steps, omega, np.array([0.05, 0.03]), speed).adjust
    stance = Foothold(np.array([0.0, -GAIT.width / 2]), 0.0)
    nominal = steps.next(stance, LEFT, Velocity())
    zmp, left, end = stance.xy, 0.2, np.array([0.0, 0.0])
    foot = nominal.xy
    calm = zmp + (end - zmp) * math.exp(-omega * left)
    same, when = adjust(
        stance, LEFT, nominal, zmp=zmp, measured=calm, end=end, left=left, foot=foot, least=0.1
    )  # fmt: skip
    assert same.xy == pytest.approx(nominal.xy)
    assert when == pytest.approx(left, abs=1e-9)
    for push in (np.array([0.06, 0.0]), np.array([-0.06, 0.0]), np.array([0.0, 0.04])):
        for least in (0.1, 0.18):
            moved, when = adjust(
                stance, LEFT, nominal, zmp=zmp, measured=calm + push, end=end, left=left, foot=foot, least=least
            )
            assert when >= least
            assert (moved.xy - nominal.xy) @ push > 0.01 * np.linalg.norm(push)
            assert np.linalg.norm(moved.xy - foot) < speed * when
            assert left - 0.16 - 1e-9 <= when <= left + 0.1 + 1e-9


def test_a_foot_in_the_air_is_placed_for_the_body_as_it_leans_and_waits_for_the_ground() -> None:
    chain = Chain(SMALL)
    soles = [Foothold(np.array([0.0, s * GAIT.width / 2]), 0.0) for s in (1, -1)]
    gait, dt, tilt, touched = Gait(chain.file.walker, soles), 0.008, 0.12, 0
    for _ in range(120):
        p = gait.pendulum.divergent
        targets = gait.step(dt, Velocity(0.1), Measured(p, (gait.soles[0], gait.soles[1]), (0.02, 0.02), (tilt, 0.0)))
        s = gait.stride
        if s is not None and s.swing is not None and 0.2 < s.swing.left < 0.6 and touched == 0:
            touched += 1
            flying, standing = targets.feet[s.side], targets.feet[1 - s.side]
            lower = -(tilt - 0.02) * (flying - standing)[1]
            assert flying[2] - s.swing.z == pytest.approx(lower, abs=2e-3)
            assert targets.foot_rotation[s.side][2, 1] == pytest.approx(-(tilt - 0.02), abs=5e-3)
        if s is not None and s.swing is not None and s.t > s.duration:
            assert s.swing.z < 0.0
            touched += 1
        if touched > 4:
            break
    assert touched > 4


def test_the_swing_is_smooth_arrives_and_its_derivatives_are_right() -> None:
    target = Foothold(np.array([0.1, 0.02]), 0.2)
    swing, dt, duration = Swing(Foothold(np.zeros(2), 0.0), 0.03, 0.07), 0.001, 0.3
    last, velocity, highest = swing.xy.copy(), np.zeros(2), 0.0
    for k in range(1, 301):
        if k == 150:
            target = Foothold(np.array([0.12, 0.0]), 0.2)
        swing.step(dt, duration - k * dt, target)
        assert np.abs((swing.xy - last) / dt - (swing.velocity + velocity) / 2).max() < 5e-3
        last, velocity, highest = swing.xy.copy(), swing.velocity.copy(), max(highest, swing.z)
    assert swing.xy == pytest.approx([0.12, 0.0])
    assert swing.yaw == pytest.approx(0.2)
    assert swing.z == pytest.approx(0.0, abs=1e-9)
    assert swing.z_velocity == pytest.approx(-0.07, rel=1e-3)
    assert highest == pytest.approx(0.03, rel=1e-3)


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.01), (0.01, 0.0), (0.02, 0.02)])
def test_a_swing_clears_the_higher_ground_and_comes_down_onto_the_other(start: float, end: float) -> None:
    swing, dt = Swing(Foothold(np.zeros(2), 0.0, start), 0.03, 0.07), 0.001
    heights, speed = [start], 0.0
    for k in range(1, 301):
        swing.step(dt, 0.3 - k * dt, Foothold(np.array([0.1, 0.0]), 0.0, end))
        assert k == 1 or (swing.z - heights[-1]) / dt == pytest.approx((swing.z_velocity + speed) / 2, abs=1e-3)
        heights.append(swing.z)
        speed = swing.z_velocity
    assert heights[-1] == pytest.approx(end, abs=1e-9)
    assert max(heights) == pytest.approx(max(start, end) + 0.03, rel=1e-3)
    swing.reach(0.01)
    assert swing.z == pytest.approx(end - 0.01 * 0.07)


def _touched_at(ground: float, late: int, noise: float = 0.0) -> int | None:
    """Tick of the touch of a foot that comes down to z = 0 in 40 ticks of 8 ms, `late` ticks behind its plan."""
    rng = np.random.default_rng(1)
    dt, lift = 0.008, 0.03
    touch, swing = Touch(dt, 0.07), Swing(Foothold(np.zeros(2), 0.0), lift, 0.07)
    plan = [0.0] * late
    for k in range(1, 90):
        if k <= 40:
            swing.step(dt, (40 - k) * dt, Foothold(np.zeros(2), 0.0))
        else:
            swing.reach(dt)
        plan.append(swing.z)
        if touch.step(swing.z_velocity, max(plan[-1 - late], ground) + noise * rng.normal()):
            return k
    return None


@pytest.mark.parametrize("late", [0, 2, 4])
@pytest.mark.parametrize("ground", [-0.01, -0.003, 0.01])
def test_a_foot_that_no_longer_falls_stands(ground: float, late: int) -> None:
    plan, swing = [0.0], Swing(Foothold(np.zeros(2), 0.0), 0.03, 0.07)
    for k in range(1, 90):
        if k <= 40:
            swing.step(0.008, (40 - k) * 0.008, Foothold(np.zeros(2), 0.0))
        else:
            swing.reach(0.008)
        plan.append(swing.z)
    there = next(k for k in range(20, 90) if plan[k] < ground) + late
    at = _touched_at(ground, late, 1e-4)
    assert at is not None
    assert there <= at <= there + 4


def test_a_foot_in_the_air_touches_nothing() -> None:
    assert _touched_at(-1.0, 4, 2e-4) is None


def _targets(com: list[float], left: list[float], right: list[float], yaw: float = 0.0) -> Targets:
    level = yaw_rotation(0.0)
    feet = [np.array(left), np.array(right)]
    posture = np.array(list(SMALL.walker.joints.values()))
    return Targets(np.array(com), feet, [yaw_rotation(yaw), level], level, posture, np.zeros((2, 18)))


def test_the_body_reaches_what_legs_can_and_stops_at_joint_limits() -> None:
    body = WholeBody(Kinematics(SMALL))
    height_m = GAIT.height
    wanted = _targets([0.02, -0.03, height_m], [0.05, 0.05, 0.02], [0.0, -0.05, 0.0], 0.2)
    body.solve(wanted, 20)
    k = body.kinematics
    assert k.com == pytest.approx(wanted.com, abs=1e-4)
    for side in (LEFT, RIGHT):
        place, rotation = k.sole(side)
        assert place == pytest.approx(wanted.feet[side], abs=1e-4)
        assert rotation == pytest.approx(wanted.foot_rotation[side], abs=1e-3)
    body.solve(_targets([0.0, 0.0, height_m + 0.2], [0.0, 0.05, 0.0], [0.0, -0.05, 0.0]), 30)
    assert np.all(k.q >= k.lower - 1e-9)
    assert np.all(k.q <= k.upper + 1e-9)
    assert body.limited > 0


def test_rates_are_those_of_the_posture() -> None:
    body, dt = WholeBody(Kinematics(SMALL)), 1e-3
    first = _targets([0.0, 0.0, GAIT.height], [0.0, 0.05, 0.01], [0.0, -0.05, 0.0])
    first.rates[0, 0], first.rates[0, 13] = 0.3, 0.1
    body.solve(first, 30)
    before, rates = body.kinematics.q.copy(), body.rates[0].copy()
    second = _targets([0.0, 0.1 * dt, GAIT.height], [0.3 * dt, 0.05, 0.01], [0.0, -0.05, 0.0])
    body.solve(second, 10)
    assert (body.kinematics.q - before) / dt == pytest.approx(rates, abs=0.02)


@pytest.mark.parametrize("share", [1.0, 0.0, 0.5])
def test_standing_still_the_ground_carries_the_weight_under_the_centre_of_mass(share: float) -> None:
    body = WholeBody(Kinematics(SMALL))
    k = body.kinematics
    body.solve(_targets([0.01, 0.02, GAIT.height], [0.0, 0.05, 0.0], [0.0, -0.05, 0.0]), 30)
    torque = body.torque(share)
    assert body.zmp == pytest.approx([0.01, 0.02], abs=1e-3)
    names = k.joint_names
    left, right = (abs(torque[names.index(f"{s}_knee")]) for s in ("left", "right"))
    carried = k.mass * 9.81
    assert left + right > 0.01 * carried
    if share == 1.0:
        assert left > 5 * right
    elif share == 0.0:
        assert right > 5 * left


@pytest.mark.parametrize("name", ["small", "large"])
@given(seed=st.integers(0, 2**32 - 1))
def test_kinematics_and_inverse_dynamics_are_mujocos(name: str, seed: int) -> None:
    import mujoco

    k, rng = KINEMATICS[name], np.random.default_rng(seed)
    m, d = k.model, mujoco.MjData(k.model)
    nv = m.nv
    d.qpos[:3], d.qpos[3:7], d.qpos[k.qpos] = rng.normal(size=3), rng.normal(size=4), rng.uniform(k.lower, k.upper)
    d.qpos[3:7] /= np.linalg.norm(d.qpos[3:7])
    k.set(d.qpos[:3], d.qpos[3:7], d.qpos[k.qpos])
    d.qvel[:], d.qacc[:] = rng.normal(size=nv), rng.normal(size=nv)
    mujoco.mj_kinematics(m, d)
    mujoco.mj_comPos(m, d)
    mujoco.mj_comVel(m, d)
    same = {"rel": 1e-9, "abs": 1e-9}
    assert k.com == pytest.approx(d.subtree_com[k.base], **same)
    assert k.mass == pytest.approx(k.core.mass)
    linear, angular = np.zeros((3, nv)), np.zeros((3, nv))
    for side, foot in enumerate(k.soles):
        place, rotation = k.sole(side)
        assert rotation == pytest.approx(d.xmat[foot.body].reshape(3, 3), **same)
        assert place == pytest.approx(d.xpos[foot.body] + rotation @ foot.centre, **same)
        mujoco.mj_jac(m, d, linear, angular, place, foot.body)
        ours = k.core.jacobian(side, place)
        order = np.argsort(np.concatenate([np.arange(6), 6 + k._hinges]))
        dofs = np.concatenate([np.arange(6), k.dof])[order]
        assert ours[0] == pytest.approx(linear[:, dofs], **same)
        assert ours[1] == pytest.approx(angular[:, dofs], **same)
    mujoco.mj_jacSubtreeCom(m, d, linear, k.base)
    assert k.core.com_jacobian() == pytest.approx(linear[:, dofs], **same)
    force = np.zeros(nv)
    mujoco.mj_rne(m, d, 1, force)
    assert k.core.inverse_dynamics(d.qvel[dofs], d.qacc[dofs]) == pytest.approx(force[dofs], **same)


def test_joints_of_a_file_may_stand_in_any_order(tmp_path: Path) -> None:
    text = (ROOT / "config/robots/small.yaml").read_text().splitlines(keepends=True)
    first = next(i for i, line in enumerate(text) if "right_hip_yaw: 0.0" in line)
    text[first : first + 20] = text[first + 19 : first - 1 : -1]
    (tmp_path / "robot.yaml").write_text("".join(text))
    (tmp_path / "small.xml").write_text((ROOT / "config/robots/small.xml").read_text())
    one, other = Chain(SMALL), Chain(load_walker(tmp_path / "robot.yaml"))
    assert other.joint_names == one.joint_names[::-1]
    assert other.start_joints == pytest.approx(one.start_joints[::-1])
    for _ in range(300):
        targets = [
            c.step(Senses(np.zeros(3), np.array([0.0, 0.0, 9.81]), c.start_joints), Velocity(0.1)) for c in (one, other)
        ]
        assert targets[1] == pytest.approx(targets[0][::-1], abs=1e-9)


def test_a_robot_that_is_no_tree_of_hinges_is_refused(tmp_path: Path) -> None:
    xml = (ROOT / "config/robots/small.xml").read_text()
    joint = '<joint name="head_pan" '
    assert joint in xml
    (tmp_path / "small.xml").write_text(xml.replace(joint, joint + 'type="slide" '))
    (tmp_path / "robot.yaml").write_text((ROOT / "config/robots/small.yaml").read_text())
    with pytest.raises(BadInputError, match=r"robot.yaml:\d+: .*'head_pan' is no hinge"):
        Kinematics(load_walker(tmp_path / "robot.yaml"))


@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3))
def test_rotations_and_quaternions_agree_with_mujoco(v: list[float]) -> None:
    import mujoco

    r = rotation_of(np.array(v))
    assert r @ r.T == pytest.approx(np.eye(3), abs=1e-9)
    out = np.zeros(9)
    mujoco.mju_quat2Mat(out, quaternion_of(r))
    assert out.reshape(3, 3) == pytest.approx(r, abs=1e-6)


def test_the_estimator_finds_up_learns_the_gyro_and_turns() -> None:
    e = BaseEstimator(Kinematics(SMALL))
    q = Chain(SMALL).start_joints
    pitch = 0.05
    up = np.array([-math.sin(pitch), 0.0, math.cos(pitch)]) * 9.81
    bias = np.array([0.01, -0.02, 0.015])
    e.start(bias, up, q)
    assert e.tilt == pytest.approx([0.0, pitch], abs=1e-6)
    for _ in range(100):
        e.step(0.01, bias + e.rotation.T @ [0.0, 0.0, 0.3], e.rotation.T @ [0.0, 0.0, 9.81], q, 0.5)
    assert e.yaw == pytest.approx(0.3, abs=0.01)
    assert np.abs(e.gyro - e.rotation.T @ [0, 0, 0.3]).max() < 1e-3


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("width_min: 0.08", "width_min: 0.2", "width_min"),
        ("imu: {site: imu}", "imu: {site: nose}", "no site 'nose'"),
        ("  left_knee: 1.0", "  left_kneee: 1.0", "no joint 'left_kneee'"),
        ("model: small.xml", "model: none.xml", "no file"),
        ("  height: 0.235", "  height: 0.4", "cannot be reached"),
        ("  lift: 0.03", "  lift: high", "gait.lift"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (ROOT / "config/robots/small.yaml").read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    file = tmp_path / "robot.yaml"
    file.write_text(text.replace(old, new))
    (tmp_path / "small.xml").write_text((ROOT / "config/robots/small.xml").read_text())
    with pytest.raises(BadInputError, match=says) as caught:
        Chain(load_walker(file))
    assert f"robot.yaml:{line}:" in str(caught.value) or "width_min" in says


def test_a_fall_is_told_before_the_robot_lies_and_a_shake_is_none() -> None:
    for axis in (0, 1):
        watch, angle, t = FallWatch(), 0.0, 0.0
        rate = np.zeros(3)
        rate[axis] = 2.0
        while not watch.step(0.008, rotation_of(rate / 2.0 * angle), rate):
            t += 0.008
            angle = 2.0 * t
        assert 0.15 < angle < 0.4
        shaken = FallWatch()
        for k in range(500):
            turned = np.zeros(3)
            turned[axis] = 0.08 * math.sin(0.3 * k)
            speed = np.zeros(3)
            speed[axis] = 0.08 * 0.3 / 0.008 * math.cos(0.3 * k)
            assert not shaken.step(0.008, rotation_of(turned), speed)
        rising = FallWatch()
        tilted = np.zeros(3)
        tilted[axis] = 0.5
        assert not any(rising.step(0.008, rotation_of(tilted), -rate) for _ in range(50))


def test_a_body_that_no_step_catches_falls_and_one_that_a_step_catches_does_not() -> None:
    half, g = SMALL.walker.left_foot, GAIT
    soles = [Foothold(np.array([1.0, 0.5 * s * g.width]), 0.0) for s in (1, -1)]
    reach = StepReach(SMALL.walker, 6.4)
    stride = Stride(LEFT, 0.0, 0.3, np.zeros(2), soles[0], soles[0], t=0.2)  # the left foot comes down in 0.1 s
    growth = math.exp(6.4 * 0.1)
    for direction, sole, edge in (
        ((1.0, 0.0), half.half_length, g.length_max + half.half_length),
        ((-1.0, 0.0), half.half_length, g.length_max + half.half_length),
        ((0.0, 1.0), half.half_width, g.width + g.side_max + half.half_width),
        ((0.0, -1.0), half.half_width, half.half_width + 0.02),
    ):
        last = sole + (edge - sole) / growth
        at = soles[RIGHT].xy + np.array(direction) * last
        assert reach.beyond(at - 1e-3 * np.array(direction), soles, stride) == 0.0
        assert reach.beyond(at + 1e-3 * np.array(direction), soles, stride) == pytest.approx(1e-3 * growth, rel=1e-6)
    middle = (soles[LEFT].xy + soles[RIGHT].xy) / 2
    assert reach.beyond(middle, soles, None) == 0.0
    assert reach.beyond(middle + np.array([0.3, 0.0]), soles, None) > 0.0
    watch = FallWatch()
    assert not any(watch.step(0.008, np.eye(3), np.zeros(3), 0.0) for _ in range(9))
    assert [watch.step(0.008, np.eye(3), np.zeros(3), 0.01) for _ in range(2)] == [False, True]


def test_measurements_that_are_not_finite_are_counted_and_never_passed_on() -> None:
    chain = Chain(SMALL)
    bad = Senses(np.full(3, math.nan), np.array([0.0, 0.0, 9.81]), chain.start_joints)
    with pytest.raises(ValueError, match="not finite"):
        chain.step(bad, Velocity())
    good = Senses(np.zeros(3), np.array([0.0, 0.0, 9.81]), chain.start_joints)
    for k in range(200):
        assert np.isfinite(chain.step(bad if k % 3 == 2 else good, Velocity())).all()
    assert chain.rejected == 1 + 66


@pytest.mark.parametrize("joint", ["left_knee", "left_ankle_pitch"])
def test_a_servo_that_does_not_answer_is_where_the_plan_has_it_and_then_the_plan_holds_it(joint: str) -> None:
    chain, up = Chain(SMALL), np.array([0.0, 0.0, 9.81])
    heard, all_heard = np.ones(20, dtype=bool), np.ones(20, dtype=bool)
    silent, k = chain.joint_names.index(joint), chain.body.kinematics
    heard[silent] = False
    for _ in range(300):
        chain.step(Senses(np.zeros(3), up, k.q if chain.gait else chain.start_joints, all_heard), Velocity(0.2))
    stale, goal, planned = k.q.copy(), float(k.q[silent]), [float(k.q[silent])]
    for tick in range(40):
        true, before = k.q.copy(), float(k.q[silent])
        chain.step(Senses(np.zeros(3), up, np.where(heard, true, stale), heard), Velocity(0.2))
        taken, held = chain.estimator.kinematics.q, joint == "left_knee" and tick >= 12
        assert taken[heard] == pytest.approx(true[heard])
        assert taken[silent] == pytest.approx(goal if held else before, abs=1e-6)
        assert not held or k.q[silent] == goal
        planned.append(float(k.q[silent]))
    assert max(planned[:13]) - min(planned[:13]) > 0.005 or joint != "left_knee"
    now = k.q.copy()
    chain.step(Senses(np.zeros(3), up, now, all_heard), Velocity(0.2))
    assert abs(k.q[silent] - now[silent]) > 1e-6  # heard again, it moves with the plan

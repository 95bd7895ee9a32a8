"""The fast loop of walkers: servos' places and inertial samples in, joint commands and odometry out, at each turn.

The manager behind it (`behaviours/manager.py`) walks by the chain (`chain.py`), gets up and goes down. Here is what
stands between it and the stack: when it begins, what it is told, and when it gives up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import Field

from giljabi.frames import quat_from_matrix
from giljabi.platform import Platform
from giljabi.steps import BodyVelocity, FastResult
from giljabi.topics import CMD_VEL, TRAJECTORY
from giljabi.types import (
    ActuatorCommand,
    Array,
    BadInputError,
    FootPlan,
    Imu,
    JointState,
    JointTrajectory,
    Odometry,
    Origin,
    Sample,
    StackState,
    Trajectory,
)
from giljabi.walking.behaviours.manager import Manager, Mode
from giljabi.walking.behaviours.policy import Policy
from giljabi.walking.behaviours.policy_file import LoadedPolicyFile
from giljabi.walking.chain import Chain, Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.planned import Steps, steps_of
from giljabi.walking.robot import robot_file
from giljabi.yaml_file import Strict

DRIVEN = ("auto", "manual", "policy")
LIMP = (Mode.DAMPED, Mode.LYING, Mode.DOWN)
ASKED = ("stand", "stop", "squat", "kneel", "sit", "policy")
IMU_TICKS = 6.0  # periods without inertial samples after which there is nothing safe to say
UP_GAIN = 0.05  # share of a sample by which a robot at rest learns which way is up
STD = (0.05, 0.05, 0.01, 0.01, 0.01, 0.05)  # 1 sigma of the pose: m, rad; dead reckoning over the feet
TWIST_STD = (0.03, 0.03, 0.03, 0.02, 0.02, 0.02)


class WalkingOptions(Strict):
    """`fast_loop.options` of `walking`."""

    rise_rate: float = Field(default=1.2, gt=0, description="rad/s of the fastest joint on the way into the posture")
    upright: float = Field(
        default=0.4, gt=0, lt=1.5, description="rad of lean from which it lies: armed, it waits to be asked to stand"
    )
    policy: str | None = Field(
        default=None, description="file of a learned policy, beside the platform file: what `behaviour/policy` starts"
    )
    limp_s: float = Field(default=1.0, gt=0, description="s between going limp and losing the torque")


class WalkingLoop:
    """`steps.FastLoop`. Armed, it brings the joints into the chain's first posture, then lets the chain begin."""

    def __init__(self, platform: Platform) -> None:
        self._o = platform.options(WalkingOptions, "fast_loop")
        loop, robot = platform.model.fast_loop, platform.model.robot
        if loop is None or robot is None:
            raise platform.error(("fast_loop",), "it walks a robot, and the file has none; `robot` is expected")
        self._file = robot_file(platform.file, robot)
        self._file.walker = self._file.walker.model_copy(update={"rate_hz": loop.rate_hz})
        limits, gait = platform.model.limits, self._file.walker.gait
        if limits.speed_max > gait.speed_max + 1e-9:
            what = f"{limits.speed_max} m/s is above the gait's speed_max; at most {gait.speed_max} is expected"
            raise platform.error(("limits", "speed_max"), what)
        self._limits = limits
        self._period = 1.0 / loop.rate_hz
        self._actuators = platform.model.actuators
        self._joint_sensor = _sensor(platform, "joints", loop.trigger)
        self._trajectory_timeout = platform.timeout_s(TRAJECTORY)
        self._steer_timeout = platform.timeout_s(CMD_VEL)
        self.origin: Origin | None = None
        self.manager = Manager(self._file)
        self._clock: Callable[[], float] | None = None  # measures a policy's answers
        self._policy = self._named_policy(platform)
        self._chain = self.manager.chain  # that the odometry comes from
        self._names = self.manager.joint_names
        missing = [n for n in self._names if n not in self._actuators]
        if missing:
            raise platform.error(("actuators",), f"joint '{missing[0]}' of the robot is no actuator; all are expected")
        self._used = False  # the chain has been stepped
        self._from: Array | None = None  # joints when it was armed, on the way into the posture
        self._since = 0.0  # s of that way
        self._joints = np.full(len(self._names), np.nan)
        self._heard = np.zeros(len(self._names), dtype=bool)  # since the last run
        self._joints_t = -math.inf
        self._next = -math.inf  # earliest time of the next run
        self._gyro, self._force, self._count = np.zeros(3), np.zeros(3), 0
        self._imu_t = -math.inf
        self._up = np.array([0.0, 0.0, 1.0])  # in the sensor's axes, at rest
        self._R_base_imu = self.chain.estimator.kinematics.R_base_imu
        self._trajectory: Trajectory | None = None
        self._plan: FootPlan | None = None
        self._steps: tuple[tuple[float, float, float], Steps] | None = (
            None  # the plan in the chain's frame, and that one
        )
        self._steered: tuple[float, BodyVelocity] | None = None
        self._pose = (0.0, 0.0, 0.0)  # x, y, yaw of the chain's own frame in map
        self._bias: Array | None = None  # rad/s of the gyro, base axes, as the last chain knew it
        self._last: Odometry | None = None
        self._stood = self._giving_up = False  # since it was armed
        self._limp_since: float | None = None
        self.ticks = 0

    @property
    def chain(self) -> Chain:
        """What walks; another one after each fall."""
        return self.manager.chain

    # --- what enters ---

    def follow(self, trajectory: Trajectory | None) -> None:
        """See FastLoop."""
        self._trajectory = trajectory

    def follow_steps(self, plan: FootPlan | None) -> None:
        """See steps.FollowsSteps."""
        if plan is None or not plan.same(self._plan):
            self._plan, self._steps = plan, None

    def steer(self, now: float, velocity: BodyVelocity) -> None:
        """See FastLoop; raises BadInputError for what is not finite."""
        if not all(math.isfinite(v) for v in (velocity.forward, velocity.left, velocity.turn)):
            raise BadInputError(f"{velocity} is not finite; finite numbers are expected")
        self._steered = (now, velocity)

    def release(self) -> None:
        """See FastLoop."""
        self._steered = None

    def ask(self, what: str) -> str:
        """See FastLoop."""
        if what not in ASKED:
            return f"nothing is called '{what}'; {', '.join(ASKED)} are known"
        if not self._used:
            return "it is not armed, or has not begun yet; arm it first"
        if what == "policy":
            return self._perform_policy()
        return self.manager.ask(what) or ""

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See steps.TakesTime."""
        self._clock = clock

    def _named_policy(self, platform: Platform) -> Policy | None:
        """The policy of the platform file, its model loaded and held against it; raises BadInputError."""
        if self._o.policy is None:
            return None
        path = platform.file.path.parent / self._o.policy
        if not path.is_file():
            key = ("fast_loop", "options", "policy")
            raise platform.error(key, f"no file '{path}'; a policy's file is expected")
        return Policy(LoadedPolicyFile(path), self.manager.motions)

    def _perform_policy(self) -> str:
        """Begins the policy; why not, or an empty text."""
        if self._policy is None:
            return "the platform file names no policy; `fast_loop.options.policy` is expected"
        p = self._policy
        return self.manager.perform(Policy(p.file, self.manager.motions, self._clock, p.model)) or ""

    def play(self, trajectory: JointTrajectory) -> None:
        """See FastLoop."""
        if not self._used:
            raise BadInputError("joint_trajectory: it is not armed, or has not begun yet; arm it first")
        why = self.manager.play(trajectory)
        if why is not None:
            raise BadInputError(f"joint_trajectory: {why}")

    # --- one run ---

    def step(self, now: float, samples: Sequence[Sample], state: StackState) -> FastResult | None:
        """See FastLoop. A turn of the servos runs it; inertial samples since the last run are averaged."""
        came = False
        for s in samples:
            if isinstance(s, Imu) and s.inertial:
                self._take_imu(s)
            elif isinstance(s, JointState) and s.source == self._joint_sensor:
                came = self._take_joints(s) or came
        if not came or now < self._next - 0.25 * self._period or not np.isfinite(self._joints).all():
            return None
        self._next = max(self._next + self._period, now + 0.5 * self._period)
        if self._count == 0 and now - self._imu_t > IMU_TICKS * self._period:
            return FastResult(None, None)  # blind: the guard's safe output is better than a guess
        self.ticks += 1
        senses = Senses(self._gyro.copy(), self._force.copy(), self._joints.copy(), self._heard.copy())
        self._heard[:] = False
        self._count = 0
        targets = self._driven(now, senses, state) if state.mode in DRIVEN else self._idle(now, senses, state)
        values = {n: float(v) for n, v in zip(self._names, targets, strict=True)}
        source = self.manager.source if state.mode in DRIVEN else "auto"
        command = ActuatorCommand(now, source, values)
        self._last = self._odometry(now)
        return FastResult(command, self._last)

    def _take_imu(self, s: Imu) -> None:
        n = self._count = self._count + 1
        self._gyro += (s.angular_velocity - self._gyro) / n
        self._force += (s.linear_acceleration - self._force) / n
        self._imu_t = s.t

    def _take_joints(self, s: JointState) -> bool:
        """Servos that are silent keep their last place."""
        for i, name in enumerate(self._names):
            value = s.position.get(name)
            if value is not None:
                self._joints[i] = value
                self._heard[i] = True
        new = s.t > self._joints_t
        self._joints_t = max(s.t, self._joints_t)
        return new

    def _idle(self, now: float, senses: Senses, state: StackState) -> Array:
        """Nobody drives, or the guard sits it down: the posture to begin with is what it will be told."""
        self._from = None
        if state.mode == "minimum_risk" and self._used:
            if not self._giving_up:
                self._giving_up = True
                self.manager.ask("minimum_risk")  # followed or not: sat down it is limp
            return self._walk(now, senses, Velocity())
        if self._used:
            self._renew()
        self._turn(senses)
        size = float(np.linalg.norm(senses.acceleration))
        if size > 1.0:
            self._up += UP_GAIN * (senses.acceleration / size - self._up)
        return senses.joints if self._lean() > self._o.upright else self.chain.start_joints

    def _driven(self, now: float, senses: Senses, state: StackState) -> Array:
        if self._from is None:
            if self._used:
                self._renew()
            self._from, self._since = senses.joints.copy(), 0.0
            if self._lean() > self._o.upright:
                self._since = math.inf  # it lies: no way into the posture, the manager lets it lie
        way = self.chain.start_joints - self._from
        length = max(1.5 * float(np.abs(way).max()) / self._o.rise_rate, self._period)
        if self._since < length:
            self._turn(senses)
            self._since += self._period
            x = min(self._since / length, 1.0)
            return np.asarray(self._from + (3.0 - 2.0 * x) * x * x * way)
        return self._walk(now, senses, self._wanted(now))

    def _turn(self, senses: Senses) -> None:
        """While no chain estimates, the heading follows the gyro, from the first chain on: it knew the bias."""
        if self._bias is None:
            return
        rate = self._R_base_imu @ senses.gyro - self._bias
        up = self.manager.posture.up if self._used else self._R_base_imu @ self._up
        x, y, yaw = self._pose
        self._pose = (x, y, yaw + float(rate @ up) / max(float(np.linalg.norm(up)), 1e-6) * self._period)

    def _walk(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        self._used = True
        if self.chain.gait is None:
            self._turn(senses)
        targets = self.manager.step(now, senses, wanted)
        self._stood = self._stood or self.manager.mode == Mode.STANDING
        if self.chain is not self._chain:
            self._hand_over()
        if self._stood and self.manager.mode in LIMP:
            self._limp_since = 0.0 if self._limp_since is None else self._limp_since + self._period
        return targets

    def _lean(self) -> float:
        """Angle of the base from upright [rad], at rest."""
        up = self._R_base_imu @ self._up
        return math.acos(max(-1.0, min(1.0, float(up[2]) / max(float(np.linalg.norm(up)), 1e-6))))

    def _hand_over(self) -> None:
        """A chain that begins anew, where the last one ended in map."""
        if self._last is not None and self._chain.gait is not None:
            self._bias = self._chain.estimator.gyro_bias.copy()
            self._pose = (float(self._last.position[0]), float(self._last.position[1]), self._last.yaw)
        self._chain = self.chain

    def _renew(self) -> None:
        """A manager that begins anew, where the last one ended."""
        self.manager, self._used, self._limp_since = Manager(self._file), False, None
        self._hand_over()
        self._trajectory = self._steered = self._plan = None
        self._stood = self._giving_up = False

    # --- what it shall do ---

    def _wanted(self, now: float) -> Velocity:
        """The velocity asked for, inside the platform's limits; nothing fresh: stand."""
        m = self._limits
        if self._steered is not None:
            t, v = self._steered
            if now - t > self._steer_timeout:
                return Velocity()
            forward, left, turn = v.forward, v.left, v.turn
        elif self._plan is not None and self._goes(now):
            return Velocity(steps=self._stepped(self._plan))
        else:
            forward, left, turn = self._planned(now)
        forward = min(max(forward, m.speed_min), m.speed_max)
        left = min(max(left, -m.speed_max), m.speed_max)
        return Velocity(forward, left, min(max(turn, -m.yaw_rate_max), m.yaw_rate_max))

    def _planned(self, now: float) -> tuple[float, float, float]:
        """Of the plan's row that is due."""
        p = self._trajectory
        if p is None or not 0.0 <= now - p.t <= self._trajectory_timeout or self._last is None:
            return 0.0, 0.0, 0.0
        at = now - p.t
        vx, vy = (float(np.interp(at, p.times, p.velocity[:, i])) for i in (0, 1))
        yaw = self._last.yaw
        c, s = math.cos(yaw), math.sin(yaw)
        return c * vx + s * vy, c * vy - s * vx, float(np.interp(at, p.times, p.yaw_rate))

    def _goes(self, now: float) -> bool:
        """Whether a fresh plan moves."""
        p = self._trajectory
        fresh = p is not None and 0.0 <= now - p.t <= self._trajectory_timeout
        return p is not None and fresh and bool(p.velocity.any() or p.yaw_rate.any())

    def _stepped(self, plan: FootPlan) -> Steps:
        """The plan in the frame that the chain walks in."""
        if self._steps is None or self._steps[0] != self._pose:
            gait = self._file.walker.gait
            self._steps = self._pose, steps_of(plan, self._pose, gait.speed * gait.step_time)
        return self._steps[1]

    # --- what leaves ---

    def _odometry(self, now: float) -> Odometry:
        """Base in map. Before it has been armed once it is where map begins, upright as the accelerometer says."""
        e, (x, y, yaw) = self.chain.estimator, self._pose
        c, s = math.cos(yaw), math.sin(yaw)
        R_map_odom = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        if self.chain.gait is None:
            rotation = level(self.manager.posture.up if self._used else self._R_base_imu @ self._up)
            k = e.kinematics
            k.set(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), self._joints)
            position, velocity = np.array([0.0, 0.0, -min(k.sole(i)[0][2] for i in (0, 1))]), np.zeros(3)
        else:
            rotation = e.rotation
            position = e.kinematics.place
            velocity = rotation.T @ e.velocity
        return Odometry(
            now, R_map_odom @ position + np.array([x, y, 0.0]), quat_from_matrix(R_map_odom @ rotation), velocity,
            e.gyro.copy(), np.diag(np.square(STD)), np.diag(np.square(TWIST_STD)),
        )  # fmt: skip

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """See FastLoop: a robot that lies, or has sat down, needs no torque."""
        if self._limp_since is None or self._limp_since < self._o.limp_s:
            return ""
        return "the robot fell" if self.manager.mode is not Mode.DOWN else "the robot has sat down"

    def doing(self) -> str:
        """See FastLoop."""
        return f"{self.manager.mode}: {self.manager.words}" if self._used else "waits"

    def health(self, now: float) -> Mapping[str, str]:
        """See FastLoop."""
        out: dict[str, str] = {}
        silent = [n for n, v in zip(self._names, self._joints, strict=True) if not math.isfinite(v)]
        if silent:
            out["joints"] = f"{len(silent)} of {len(self._names)} have not been heard of, '{silent[0]}' among them"
        if self._stood and self.manager.mode in LIMP:  # where it lay when it was armed it waits to be asked
            out["balance"] = "it has sat down" if self.manager.mode == Mode.DOWN else "it fell"
        elif not self._used and self._lean() > self._o.upright and not self.manager.motions.stand_up:
            out["balance"] = f"it leans by {math.degrees(self._lean()):.0f} degrees; stand it upright first"
        return out


def level(up: Array) -> Array:
    """R_odom_base (3, 3) of yaw 0 from odom's z in the base (3,)."""
    z = up / np.linalg.norm(up)
    x = np.array([1.0, 0.0, 0.0]) - z * z[0]
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _sensor(platform: Platform, kind: str, driver: str) -> str:
    for name, s in platform.model.sensors.items():
        if s.kind == kind and s.driver == driver:
            return name
    raise platform.error(("sensors",), f"no sensor of kind {kind} of driver '{driver}'; one is expected")

"""What the robot does now: lying, getting up, standing and walking, squatting, kneeling, sitting, playing, a policy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from giljabi.types import Array, JointTrajectory
from giljabi.walking.behaviours.lying import Posture, Side
from giljabi.walking.behaviours.motions import Behaviour, KeyframePlayer, Motion, Motions, Status
from giljabi.walking.behaviours.policy import Policy
from giljabi.walking.behaviours.trajectory import Limits, TrajectoryPlayer, TrajectoryRefused
from giljabi.walking.behaviours.upper_body import UpperBody
from giljabi.walking.behaviours.words import Word
from giljabi.walking.chain import Chain, Senses
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import WalkerFile

NEAR_STAND = 0.35  # rad, of every joint: so near to its standing posture the robot may start by standing
STAND_TILT = 0.3  # rad, of the base after standing up; more is a try that failed
FALLEN_TILT = 0.9  # rad, while a motion plays that should keep the robot upright
RISE_S = 1.2  # s to the standing posture from where something else ended


class Mode(Word):
    """What the robot does."""

    STANDING = "standing"  # and walking: the chain leads
    DAMPED = "damped"  # targets are where the joints are: servos only damp
    LYING = "lying"  # damped, on the ground, at rest
    GETTING_UP = "getting up"
    STEADYING = "steadying"  # on its way into the standing posture; then the chain takes over
    GOING_DOWN = "going down"  # the walk ends, then the motion to the ground
    DOWN = "down"  # damped, on its knees or sitting
    PERFORMING = "performing"  # a trajectory or a policy moves all joints


class Manager:
    """One `step` a tick: measurements and commanded velocity in, position targets out; no clock, no I/O.

    `ask` begins behaviours; `mode` and `words` say what the robot does and why. A fall at any time leads to DAMPED and,
    at rest, to LYING; there it stays until it is asked to stand, or gets up alone when `gets_up` is set.
    """

    def __init__(self, file: WalkerFile, make_chain: Callable[[WalkerFile], Chain] = Chain) -> None:
        """Raises BadInputError with file and line."""
        k = Kinematics(file)
        self.file, self.dt = file, 1.0 / file.walker.rate_hz
        self.motions = Motions(file, k)
        self.joint_names = k.joint_names
        self.lower, self.upper = self.motions.lower, self.motions.upper
        self.posture = Posture(k.rotation(k.base).T @ k.data.site_xmat[k.imu].reshape(3, 3))
        self._make_chain = make_chain
        self.chain = make_chain(file)
        self.upper_body = UpperBody(k, self.motions.look)
        self.mode, self.words = Mode.DAMPED, "starting"
        self.gets_up = False
        self.attempts = 0
        self.rejected = 0  # ticks whose measurements held a number that is not finite: the last ones were taken
        self._began, self._now = -1.0, 0.0  # s
        self._want_stand = False
        self._risk_next = False  # goes down as soon as it stands
        self._height: float | None = None  # of a squat
        self._stopped = False
        self._down: Motion | None = None
        self._playing: Behaviour | None = None
        self._senses: Senses | None = None
        self._command = self.motions.stand.copy()

    @property
    def source(self) -> str:
        """Whose commands the targets are, as the guard names sources: `policy` while one leads, else `auto`."""
        return "policy" if self.mode == Mode.PERFORMING and isinstance(self._playing, Policy) else "auto"

    @property
    def measured(self) -> tuple[Senses, Array]:
        """The last tick's whole measurements with the gyro in the base's axes, and up (3,) there."""
        assert self._senses is not None
        return self._based(self._senses), self.posture.up

    # --- what it is told ----------------------------------------------------------------------------------

    def ask(self, what: str) -> str | None:
        """Begins `stand`, `stop`, `squat`, `kneel`, `sit`, `damp` or `minimum_risk`; why not, or None when it does."""
        asked = {
            "stand": self._ask_stand, "stop": self._ask_stop, "squat": self._ask_squat, "kneel": self._ask_kneel,
            "sit": self._ask_sit, "damp": self._ask_damp, "minimum_risk": self._ask_minimum_risk,
        }  # fmt: skip
        if what not in asked:
            return f"nothing is called '{what}'; {', '.join(asked)} are known"
        return asked[what]()

    def look(self, pan: float, tilt: float) -> str | None:
        """Turns the head to pan and tilt [rad], at once or when the robot stands; why not, or None."""
        if not self.motions.look:
            return "the file names no joints for 'behaviours.look'"
        return self.upper_body.look(pan, tilt)

    def play(self, trajectory: JointTrajectory, name: str = "trajectory") -> str | None:
        """Plays a trajectory: arms and head while it stands and walks, legs when it stands still; why not, or None."""
        if self.mode != Mode.STANDING:
            return f"the robot is {self.mode}; it must stand before '{name}'"
        b, s = self.file.walker.behaviours, self.file.walker.servos
        limits = Limits(self.joint_names, self.lower, self.upper, s.rate_max, b.acceleration_max)
        try:
            player = TrajectoryPlayer(trajectory, limits, self._command, name)
        except TrajectoryRefused as e:
            return str(e)
        if np.isin(player.joints, self.upper_body.joints).all():
            self.upper_body.playing = player
            return None
        return self.perform(player)

    def perform(self, behaviour: Behaviour) -> str | None:
        """Gives all joints to a behaviour; afterwards the robot stands. Why not, or None."""
        self._risk_next = False
        if self.mode != Mode.STANDING or not self._at_rest():
            return f"the robot is {self.mode}; it must stand still before '{behaviour.name}'"
        self._enter(Mode.PERFORMING, behaviour.name, behaviour)
        return None

    def _ask_stand(self) -> str | None:
        self._height, self._stopped, self._risk_next = None, False, False
        if self.mode in (Mode.STANDING, Mode.STEADYING, Mode.GETTING_UP):
            return None
        if self.mode == Mode.PERFORMING:
            self._steady(f"{self.words} was ended")
            return None
        if self.mode == Mode.GOING_DOWN:
            return f"it is {self.words}; it can stand up afterwards"
        self._want_stand, self.attempts = True, 0
        return None

    def _ask_stop(self) -> str | None:
        self._stopped = True
        return None

    def _ask_squat(self) -> str | None:
        if self.mode != Mode.STANDING:
            return f"the robot is {self.mode}; it must stand to squat"
        self._height = self.file.walker.gait.height_low
        return None

    def _ask_kneel(self) -> str | None:
        return self._go_down("kneel", self.motions.kneel)

    def _ask_sit(self) -> str | None:
        return self._go_down("sit", self.motions.sit)

    def _ask_damp(self) -> str | None:
        self._want_stand = self.gets_up = False
        self._enter(Mode.DAMPED, "asked to damp")
        return None

    def _ask_minimum_risk(self) -> str | None:
        """From wherever it is; never refused."""
        self._want_stand = self.gets_up = False
        risk = self.file.walker.behaviours.minimum_risk
        motion = {"kneel": self.motions.kneel, "sit": self.motions.sit, "squat": None}[risk]
        if self.mode == Mode.STANDING:
            self._down = motion
            if motion is None:
                self.chain.give_up()
            self._enter(Mode.GOING_DOWN, f"minimum risk: {risk}")
        elif self.mode in (Mode.GETTING_UP, Mode.STEADYING, Mode.PERFORMING):
            self._enter(Mode.DAMPED, "minimum risk: joints only damp")
        return None

    def _go_down(self, name: str, motion: Motion | None) -> str | None:
        if motion is None:
            return f"the file has no motion 'behaviours.{name}'"
        if self.mode != Mode.STANDING:
            return f"the robot is {self.mode}; it must stand or walk before it can {name}"
        self._down = motion
        self._enter(Mode.GOING_DOWN, name)
        return None

    # --- one tick -----------------------------------------------------------------------------------------

    def step(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        """Position targets (n,) rad at time now [s], within the joints' limits and the servos' rate."""
        first = self._senses is None
        senses = self._finite(senses)
        self._now = now
        self.posture.step(self.dt, senses.gyro, senses.acceleration)
        if first:
            self._start(senses)
        does = {
            Mode.STANDING: self._stand, Mode.DAMPED: self._damp, Mode.LYING: self._lie, Mode.DOWN: self._lie,
            Mode.GETTING_UP: self._get_up, Mode.STEADYING: self._steady_on, Mode.GOING_DOWN: self._sink,
            Mode.PERFORMING: self._perform,
        }  # fmt: skip
        targets = does[self.mode](now, senses, wanted)
        step = self.file.walker.servos.rate_max * self.dt
        if self.mode not in (Mode.DAMPED, Mode.LYING, Mode.DOWN, Mode.STANDING):
            targets = np.clip(targets, self._command - step, self._command + step)
        self._command = np.clip(targets, self.lower, self.upper)
        return np.asarray(self._command.copy())

    def _start(self, senses: Senses) -> None:
        near = bool(np.abs(senses.joints - self.motions.stand).max() < NEAR_STAND)
        if near and self.posture.side == Side.UPRIGHT:
            self._enter(Mode.STANDING, "standing")
        else:
            self._enter(Mode.DAMPED, "not standing at the start")

    def _stand(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        self.chain.pose(self.upper_body.step(now, self.dt, self.motions.stand))
        if self._stopped:
            wanted = Velocity()
        if self._height is not None:
            wanted = Velocity(height=self._height)
        targets = self.chain.step(senses, wanted)
        if self.chain.limp:
            self._enter(Mode.DAMPED, "falling")
        return targets

    def _damp(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        if self.posture.still and now - self._began > 0.5:
            self._enter(Mode.LYING, f"lying: {self.posture.side}")
            self.chain = self._make_chain(self.file)  # while nothing hurries
            self._want_stand = self._want_stand or self.gets_up
        return np.asarray(senses.joints)

    def _lie(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        if not self._want_stand:
            return np.asarray(senses.joints)
        side = self.posture.side
        motion = self._way_up(side)
        if motion is None:
            self._want_stand = False
            self._enter(Mode.LYING, f"lying: {side}; the file has no motion 'behaviours.stand_up' from there")
        elif self.attempts >= self.file.walker.behaviours.attempts:
            self._want_stand = False
            self._enter(Mode.LYING, f"lying: {side}; it did not stand after {self.attempts} tries")
        else:
            self.attempts += 1
            self._command = senses.joints.copy()
            self._enter(Mode.GETTING_UP, motion.name, self._player(motion))
        return np.asarray(self._command)

    def _way_up(self, side: Side) -> Motion | None:
        """The motion for what it lies on; one that sits or kneels lies back or on its face first."""
        ways = self.motions.stand_up
        if side in (Side.UPRIGHT, Side.OVERHEAD):
            return ways.get("supine" if self.posture.up[0] >= 0.0 else "prone")
        return ways.get(str(side))

    def _get_up(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        assert self._playing is not None
        targets = self._playing.step(now, self._based(senses), self.posture.up, wanted)
        if self._playing.status == Status.RUNNING:
            return targets
        if self.posture.tilt < STAND_TILT and np.abs(targets - self.motions.stand).max() < 1e-6:
            self._take_over(f"{self._playing.name} done")
        else:
            self._enter(Mode.DAMPED, f"{self._playing.name} left it {self.posture.side}")
        return targets

    def _steady(self, words: str) -> None:
        """Into the standing posture."""
        self._enter(Mode.STEADYING, words, self._player(self.motions.to_stand(RISE_S)))

    def _steady_on(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        assert self._playing is not None
        targets = self._playing.step(now, self._based(senses), self.posture.up, wanted)
        if self.posture.tilt > FALLEN_TILT:
            self._enter(Mode.DAMPED, "falling")
        elif self._playing.status == Status.DONE:
            self._take_over("standing")
            if self._risk_next:
                self._ask_minimum_risk()
        return targets

    def _sink(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        """Ends the walk, then plays the motion down; `squat` is the chain's own."""
        if self._playing is None:
            targets = self._stand(now, senses, Velocity())
            if self.mode == Mode.GOING_DOWN and self._down is not None and self._at_rest():
                self._command = targets
                self._playing = self._player(self._down)
            elif self.mode == Mode.DAMPED and not self.chain.falls.falling:
                self._enter(Mode.DOWN, "squatting, joints only damp")
            return targets
        targets = self._playing.step(now, self._based(senses), self.posture.up, wanted)
        if self._playing.status != Status.RUNNING:
            self.chain = self._make_chain(self.file)
            self._enter(Mode.DOWN, f"{self._playing.name} done, joints only damp")
        return targets

    def _perform(self, now: float, senses: Senses, wanted: Velocity) -> Array:
        assert self._playing is not None
        targets = self._playing.step(now, self._based(senses), self.posture.up, wanted)
        if self.posture.tilt > FALLEN_TILT:
            self._enter(Mode.DAMPED, f"falling while '{self._playing.name}'")
        elif self._playing.status == Status.FAILED and self.posture.tilt > STAND_TILT:
            self._enter(Mode.DAMPED, self._playing.words)
        elif self._playing.status != Status.RUNNING:
            p = self._playing
            if isinstance(p, Policy) and p.status == Status.FAILED:
                self._risk_next = p.policy.failed == "minimum_risk"
            self._steady(p.words)
        return targets

    # --- transitions --------------------------------------------------------------------------------------

    def _enter(self, mode: Mode, words: str, playing: Behaviour | None = None) -> None:
        self.mode, self.words, self._playing = mode, words, playing
        self._began = self._now

    def _take_over(self, words: str) -> None:
        """The chain leads from the next tick on."""
        if self.chain.gait is not None or self.chain.limp:
            self.chain = self._make_chain(self.file)
        self._want_stand, self._height, self._stopped = False, None, False
        self._enter(Mode.STANDING, words)

    def _player(self, motion: Motion) -> KeyframePlayer:
        return KeyframePlayer(motion, self._command, self.file.walker.servos.rate_max)

    def _based(self, senses: Senses) -> Senses:
        """The measurements with the gyro in the base's axes."""
        return Senses(self.posture.rate, senses.acceleration, senses.joints)

    def _at_rest(self) -> bool:
        gait = self.chain.gait
        return gait is not None and gait.stride is None and gait.command.still

    def _finite(self, senses: Senses) -> Senses:
        """The measurements, or the last whole ones; raises ValueError when there were none yet."""
        if all(np.isfinite(a).all() for a in (senses.gyro, senses.acceleration, senses.joints)):
            self._senses = senses
            return senses
        self.rejected += 1
        if self._senses is None:
            raise ValueError("the first measurements hold a number that is not finite; a whole set is expected")
        return self._senses

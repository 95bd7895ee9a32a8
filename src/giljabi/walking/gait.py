"""The gait: which foot stands, where the other goes, and what the body should do at each tick."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from giljabi.types import Array
from giljabi.walking.base_estimation import rotation_of
from giljabi.walking.contact import Touch
from giljabi.walking.footsteps import LEFT, RIGHT, SPEED_SLEW, Foothold, Footsteps, Velocity, turn, wrap
from giljabi.walking.pendulum import Pendulum, Support
from giljabi.walking.planned import Planned, Steps, past_edge
from giljabi.walking.stepping import LAST, StepAdjustment
from giljabi.walking.swing import Swing
from giljabi.walking.walker_file import Walker
from giljabi.walking.wholebody import Targets, yaw_rotation

FOOT_SPEED = 0.85  # of what a leg of the centre of mass' height does at the servos' greatest rate
QUICKEST = 0.5  # of the nominal swing
REACHING = 0.8  # lifts in the time of a swing: speed at which a foot meets the ground, or looks for it
EARLY = 0.5  # of the lift above what was expected: a foot that stops higher than that has not met the ground
LEVEL = 0.2  # of the lift: ground that differs less from what was expected counts as expected
USUAL = 0.6  # of that, at most: what a foot feels at every landing and is no ground
LEARNED = 0.2  # share of a landing in what a foot usually feels
LATE = 0.06  # s that a touchdown is waited for
DEEP = 0.6  # of the lift: so far below what was expected a foot feels for the ground
FLOOR = 2.0  # of the pendulum's omega: how fast the body follows the ground up and down
LEANED = 40.0  # 1/s at which the foot in the air follows the body's tilt
GIVING = 1.9  # of the pendulum's omega: how fast a standing foot comes to be planned as it lies
SLANT, SLANT_MOST = 0.01, 0.2  # rad that a foot lies off the level: so little is none, so much at most
UPRIGHT = 0.02  # rad of tilt that a walk has by itself
AHEAD = 4  # footholds planned
STANDING = 4.0  # of what a planned step takes longer, on both feet before it
SETTLE = 0.5  # s in which the plan forgets where a foot came down beside its target
HEIGHT_SPEED = 0.06  # m/s at which the standing robot sinks and rises
ALIGNED = 0.2  # of the longest step: so far one foot may be ahead of the other when the robot stops
UNDER_WAY = 4  # strides after which the commanded way counts
TRACK_GAIN = 1.0  # 1/s, of the distance between where the command would have led and the feet
TRACK_SPEED, TRACK_SHARE = 0.02, 0.3  # m/s and share of the commanded speed that this adds at most


@dataclass(slots=True)
class Stride:
    """From one touchdown to the next: both feet stand for `double`, then `side` swings to `target`."""

    side: int
    double: float
    duration: float
    zmp_from: Array
    nominal: Foothold
    target: Foothold
    number: int = 0  # since it stood
    planned: float = 0.0  # s, duration without adjustment
    plan: Steps | None = None  # that it is of
    t: float = 0.0
    swing: Swing | None = None
    end: Array = field(
        default_factory=lambda: np.zeros(2)
    )  # divergent component at touchdown that belongs to `nominal`


@dataclass(frozen=True, slots=True)
class Measured:
    """What the gait takes from the estimator."""

    divergent: Array  # (2,) m
    soles: tuple[Foothold, Foothold]  # where the feet are, in odom
    heights: tuple[float, float] = (0.0, 0.0)  # m, of the soles in odom
    tilt: tuple[float, float] = (0.0, 0.0)  # rad about odom's x and y: of the base
    slants: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))  # the same of the soles


class Gait:
    """One `step` a tick: measured state in, targets of the body out."""

    def __init__(self, walker: Walker, soles: list[Foothold]) -> None:
        g = walker.gait
        self.walker, self.gait = walker, g
        self.steps = Footsteps(g)
        half = np.array([walker.left_foot.half_length, walker.left_foot.half_width])
        self.pendulum = Pendulum(g.height, half, g.margin)
        self.adjustment = StepAdjustment(
            self.steps, self.pendulum.omega, half - g.margin, FOOT_SPEED * walker.servos.rate_max * g.height
        )
        self.planned = Planned(self.steps)
        self.soles = list(soles)
        self._offset = [np.zeros(4), np.zeros(4)]  # x, y, yaw, z by which the plan differs from where a foot stands
        self._lean = [np.zeros(2), np.zeros(2)]  # rad about x and y by which a foot is turned against the body's tilt
        self._slant = [np.zeros(2), np.zeros(2)]  # rad about x and y of a sole on its ground
        self.stride: Stride | None = None
        self.command = Velocity()  # as it is followed: slewed
        self.stepped = Velocity()  # with what brings the feet back to the commanded way
        self.heading = soles[LEFT].yaw
        self.height, self._rising = self.gait.height, 0.0
        self.floor = np.zeros(3)  # m, m/s, m/s^2: height of the ground as the body follows it
        self._down = REACHING * g.lift / (g.step_time * (1.0 - g.double_support))  # m/s
        self.feeling: int | None = None  # foot that has come down by the plan and has not felt the ground yet
        self._deeper, self._touch = 0.0, Touch(0.01, 1.0)  # m that it is below the plan
        self._usual = [0.0, 0.0]  # m above the plan at which each foot has felt the ground, in the mean
        self.landed: int | None = None  # foot that came down at this tick
        self.seated: int | None = None  # foot whose place was measured anew at this tick
        self.posture = np.array(list(walker.joints.values()))
        self.pendulum.rest(self._middle())
        self.way = self._middle()  # (2,) where the command leads

    # --- one tick ---------------------------------------------------------------------------------------

    def step(self, dt: float, wanted: Velocity, measured: Measured) -> Targets:
        """Moves on by dt."""
        self.landed = self.seated = None
        low = self.height < self.gait.height
        if self.stride is None and (low or wanted.height < self.gait.height):
            self._sink(dt, self.gait.height if not wanted.still else wanted.height)
            wanted = Velocity()  # first up, then off
        else:
            self.planned.take(wanted.steps)
        self.command = self._by_plan() if self.planned.leads else self._slew(wanted, dt)
        self.heading += self.command.turn * dt
        self._track(dt)
        if self.stride is None and (self.planned.leads or not self.command.still):
            self._start(measured)
        if self.feeling is not None:
            self._feel(dt, self.feeling, measured)
        if self.stride is not None:
            self._stride(dt, self.stride, measured)
        support = self._support()
        self.pendulum.follow(measured.divergent, min(1.0, self.gait.feedback * dt))
        self._straighten(dt, measured)
        yaw = self._yaw()
        c, s = math.cos(yaw), math.sin(yaw)
        v = self.command
        self.pendulum.step(dt, support, np.array([c * v.forward - s * v.side, s * v.forward + c * v.side]))
        self._follow_ground(dt)
        self._offset = [offset * math.exp(-4.0 * dt / SETTLE) for offset in self._offset]
        return self._targets(yaw)

    def _straighten(self, dt: float, measured: Measured) -> None:
        """A foot in the air is placed for the body as it really leans; on the ground that is forgotten slowly."""
        for side in (LEFT, RIGHT):
            s, lean = self.stride, self._lean[side]
            flying = s is not None and s.side == side and s.swing is not None
            rate = LEANED if flying else 4.0 / SETTLE
            goal = np.array(measured.tilt) if flying else np.zeros(2)
            goal = goal * max(0.0, 1.0 - UPRIGHT / max(float(np.hypot(*goal)), 1e-9))
            self._lean[side] = lean + (goal - lean) * (1.0 - math.exp(-rate * dt))
            self._give(dt, side, np.zeros(2) if flying else np.array(measured.slants[side]))

    def _give(self, dt: float, side: int, seen: Array) -> None:
        """A foot that stands on an edge or a slope is planned as it lies there, and the body upright over it."""
        size = max(float(np.hypot(*seen)), 1e-9)
        goal = seen * max(0.0, min(size, SLANT_MOST) - SLANT) / size
        share = 1.0 - math.exp(-GIVING * self.pendulum.omega * dt)
        self._slant[side] = self._slant[side] + (goal - self._slant[side]) * share

    @property
    def share_left(self) -> float:
        """Share of the weight on the left foot that the plan asks for."""
        s = self.stride
        if s is not None and s.t >= s.double:
            return 0.0 if s.side == LEFT else 1.0
        left, right = self.soles[LEFT].xy, self.soles[RIGHT].xy
        across = left - right
        return float(np.clip((self.pendulum.zmp - right) @ across / max(float(across @ across), 1e-9), 0.0, 1.0))

    def _sink(self, dt: float, wanted: float) -> None:
        goal = max(self.gait.height_low, min(self.gait.height, wanted))
        step = max(-HEIGHT_SPEED * dt, min(HEIGHT_SPEED * dt, goal - self.height))
        self.height, self._rising = self.height + step, step / dt

    def _slew(self, wanted: Velocity, dt: float) -> Velocity:
        g, now, step = self.gait, self.command, SPEED_SLEW * dt
        size = math.hypot(wanted.forward, wanted.side)
        cut = min(1.0, g.speed_max / size) if size > 0 else 1.0

        def towards(a: float, b: float) -> float:
            return a + max(-step, min(step, b - a))

        return Velocity(
            towards(now.forward, cut * wanted.forward),
            towards(now.side, cut * wanted.side),
            towards(now.turn, wanted.turn),
        )

    def _by_plan(self) -> Velocity:
        """The velocity that the plan has about now."""
        v = turn(self.planned.velocity(self.gait.step_time), -self._yaw())
        return Velocity(float(v[0]), float(v[1]))

    def _track(self, dt: float) -> None:
        """Moves the commanded way on, and sets what the next steps do about the feet's distance from it."""
        if self.planned.leads:
            self.heading = self._yaw()
        if self.planned.leads or self.stride is None or self.command.still or self.stride.number < UNDER_WAY:
            self.way, self.stepped = self.pendulum.com.copy(), self.command
            return
        v = self.command
        most = (TRACK_SPEED + TRACK_SHARE * math.hypot(v.forward, v.side)) / TRACK_GAIN
        self.way = self.way + turn(np.array([v.forward, v.side]), self.heading) * dt
        off = self.way - self.pendulum.com
        far = float(np.linalg.norm(off))
        if far > most:  # pushed: the way comes along
            off = off * (most / far)
            self.way = self.pendulum.com + off
        ahead = turn(off, -self.heading) * TRACK_GAIN
        self.stepped = Velocity(v.forward + float(ahead[0]), v.side + float(ahead[1]), v.turn)

    def _follow_ground(self, dt: float) -> None:
        """The body's height goes after the ground under the foot that stands, without a jump of its speed."""
        s, rate = self.stride, FLOOR * self.pendulum.omega
        left, right = self.soles[LEFT].z, self.soles[RIGHT].z
        flying = s is not None and s.swing is not None
        goal = (left + right) / 2 if s is None or not flying else (right if s.side == LEFT else left)
        z, v, _ = self.floor
        a = rate * (rate * (goal - z) - 2.0 * v)
        self.floor[:] = z + dt * v, v + dt * a, a

    # --- strides ----------------------------------------------------------------------------------------

    def _start(self, measured: Measured) -> None:
        side = LEFT if self.command.side + self.command.turn > 0.0 else RIGHT
        if self.planned.leads:
            side = self.planned.side
            if self.planned.next(side, self.soles[1 - side]) is None:
                return  # it begins elsewhere
        self._begin(side, self.gait.weight_shift, 0)

    def _begin(self, side: int, double: float, number: int) -> None:
        """The next stride: `side` swings after `double` seconds."""
        g = self.gait
        stance = self.soles[1 - side]
        planned = self.planned.next(side, stance)
        nominal = planned or self.steps.next(stance, side, self.stepped, self.heading)
        duration = double + g.step_time * (1.0 - g.double_support) * self.planned.slow
        plan, zmp = None if planned is None else self.planned.plan, self.pendulum.zmp.copy()
        self.stride = Stride(side, double, duration, zmp, nominal, nominal, number, duration, plan)

    def _stride(self, dt: float, s: Stride, measured: Measured) -> None:
        s.t += dt
        if s.t < s.double:
            return
        if s.swing is not None:
            height = measured.heights[s.side]
            if self._touch.step(s.swing.z_velocity, height) and height - s.target.z < EARLY * self.gait.lift:
                return self._land(s, measured, self._ground(s.side, height, s.target.z))
            if s.t >= s.duration:
                if height - s.target.z < LEVEL * self.gait.lift or s.t >= s.duration + LATE:
                    self.feeling = s.side
                    return self._land(s, measured, s.target.z)
                s.swing.reach(dt)
                self.soles[s.side] = replace(self.soles[s.side], z=s.swing.z)
                return
        stance = self.soles[1 - s.side]
        if s.swing is None:
            start = self.soles[s.side]
            past = 0.0 if s.plan is None else past_edge(start.z - s.nominal.z, self.gait.lift)
            s.swing = Swing(start, self.gait.lift, self._down, past)
            self._touch = Touch(dt, self._down)
            s.end = self._after(s, s.nominal).divergent(self.pendulum.omega)
        left = s.duration - s.t
        if left > LAST:
            s.target, left = self.adjustment.adjust(
                stance, s.side, s.nominal, zmp=self._pressed(1 - s.side), measured=measured.divergent, end=s.end,
                left=s.planned - s.t, foot=s.swing.xy, least=s.swing.left * QUICKEST * (s.planned - s.double),
            )  # fmt: skip
            s.duration = s.t + left
        s.swing.step(dt, left, s.target)
        self.soles[s.side] = Foothold(s.swing.xy.copy(), s.swing.yaw, s.swing.z)

    def _land(self, s: Stride, measured: Measured, ground: float) -> None:
        """The swinging foot stands at a height."""
        self._seat(s.side, measured, ground)
        self.landed = s.side
        g = self.gait
        apart = self.soles[1 - s.side].seen(self.soles[s.side].xy)
        self.planned.landed(s.plan)
        if not self.planned.leads and self.command.still and abs(apart[0]) < ALIGNED * g.length_max:
            self.stride = None
        else:
            self._begin(1 - s.side, self._standing(self.planned.slow), s.number + 1)

    def _ground(self, side: int, height: float, expected: float) -> float:
        """Height of the ground under a foot that feels it at a measured height [m].

        What a foot always feels is no ground: the mean of what it has felt is taken off, or a robot whose joints or
        sensor are a little off would climb without end.
        """
        usual = self._usual[side]
        level, off = LEVEL * self.gait.lift, height - expected
        self._usual[side] = max(-USUAL * level, min(USUAL * level, usual + LEARNED * (off - usual)))
        return expected if abs(off - usual) < level else height - usual

    def _seat(self, side: int, measured: Measured, ground: float) -> None:
        """A foot stands where it was measured, at a height; the plan comes to it in `SETTLE`."""
        seen, planned, offset = replace(measured.soles[side], z=ground), self.soles[side], self._offset[side]
        self.soles[side], self.seated = seen, side
        offset[:] = (
            *(planned.xy - seen.xy + offset[:2]), wrap(planned.yaw - seen.yaw + offset[2]),
            measured.heights[side] - ground,
        )  # fmt: skip

    def _feel(self, dt: float, side: int, measured: Measured) -> None:
        """A foot that came down by the plan goes on down until it feels the ground; the next one waits for it."""
        s, speed = self.stride, self._down
        height, expected = measured.heights[side], self.soles[side].z
        touched = self._touch.step(-speed, height)
        if touched or self._deeper > DEEP * self.gait.lift:
            self.feeling, self._deeper = None, 0.0
            self._seat(side, measured, self._ground(side, height, expected))
            return
        self._deeper += speed * dt
        if s is not None and s.t + dt >= s.double:
            s.double, s.duration, s.planned = s.double + dt, s.duration + dt, s.planned + dt

    # --- support ----------------------------------------------------------------------------------------

    def _middle(self) -> Array:
        return np.asarray((self._pressed(LEFT) + self._pressed(RIGHT)) / 2)

    def _pressed(self, side: int, foothold: Foothold | None = None) -> Array:
        """Where the zero-moment point stands on a foot (2,)."""
        f = self.soles[side] if foothold is None else foothold
        return f.at(np.array([0.0, -self.gait.zmp_inset if side == LEFT else self.gait.zmp_inset]))

    def _support(self) -> Support:
        s = self.stride
        if s is None:
            apart = self.soles[RIGHT].seen(self.soles[LEFT].xy)
            return Support(np.zeros(1), self._middle()[None], np.array([self._yaw()]), abs(float(apart[1])) / 2)
        stance = self._pressed(1 - s.side)
        part = min(s.t / s.double, 1.0)
        now = s.zmp_from + part * (stance - s.zmp_from)
        after = self._after(s, s.target)
        yaw = self.soles[1 - s.side].yaw
        left = max(s.duration - s.t, 0.0)
        times = np.concatenate([[0.0, max(s.double - s.t, 0.0)], left + after.times])
        return Support(times, np.concatenate([[now, stance], after.middle]), np.concatenate([[yaw, yaw], after.yaw]))

    def _after(self, s: Stride, target: Foothold) -> Support:
        """The support from the end of this stride on."""
        g = self.gait
        side, times, middle, yaw = s.side, [0.0], [self._pressed(1 - s.side)], [self.soles[1 - s.side].yaw]
        for foothold, slow in self._ahead(s, target):
            standing = self._standing(slow)
            times += [times[-1] + standing, times[-1] + standing + g.step_time * (1.0 - g.double_support) * slow]
            middle += [self._pressed(side, foothold)] * 2
            yaw += [yaw[-1] + wrap(foothold.yaw - yaw[-1])] * 2
            side = 1 - side
        times.append(times[-1] + g.step_time * g.double_support)
        middle.append((middle[-1] + middle[-3]) / 2)
        yaw.append(yaw[-1])
        return Support(np.array(times), np.array(middle), np.array(yaw))

    def _standing(self, slow: float) -> float:
        """s on both feet before a step; a slow one, up or down, needs more for its weight to come over."""
        return self.gait.step_time * self.gait.double_support * (1.0 + STANDING * (slow - 1.0))

    def _ahead(self, s: Stride, target: Foothold) -> list[tuple[Foothold, float]]:
        """Where this stride ends and the footholds after it; how much longer each one stands than the gait says."""
        if self.planned.leads:
            rest = self.planned.following(AHEAD - 1)
            return list(zip([target, *(f for f, _ in rest)], [*(slow for _, slow in rest), 1.0], strict=True))
        return [(f, 1.0) for f in self.steps.chain(self.soles[1 - s.side], target, s.side, self.stepped, AHEAD)]

    # --- targets ----------------------------------------------------------------------------------------

    def _yaw(self) -> float:
        return self.soles[RIGHT].yaw + wrap(self.soles[LEFT].yaw - self.soles[RIGHT].yaw) / 2

    def _targets(self, yaw: float) -> Targets:
        feet, rotations, rates = [], [], np.zeros((2, 18))
        swing = None if self.stride is None else self.stride.swing
        for side in (LEFT, RIGHT):
            sole, offset = self.soles[side], self._offset[side]
            if swing is not None and self.stride is not None and self.stride.side == side:
                at = 6 * side
                rates[0, at : at + 3] = *swing.velocity, swing.z_velocity
                rates[1, at : at + 3] = *swing.acceleration, swing.z_acceleration
            x, y = sole.xy[0] + offset[0], sole.xy[1] + offset[1]
            roll, pitch = self._lean[side]
            arm = sole.xy - self.soles[1 - side].xy
            up, z = sole.z - self.soles[1 - side].z, sole.z + offset[3]
            if self.feeling == side:
                z, rates[0, 6 * side + 2] = z - self._deeper, -self._down
            feet.append(np.array([x - pitch * up, y + roll * up, z + pitch * arm[0] - roll * arm[1]]))
            tipped = self._slant[side] - self._lean[side]
            rotations.append(rotation_of(np.array([*tipped, 0.0])) @ yaw_rotation(sole.yaw + offset[2]))
        p = self.pendulum
        rates[0, 12:14], rates[1, 12:14] = p.velocity, p.acceleration
        rates[0, 14], rates[1, 14] = self._rising + self.floor[1], self.floor[2]
        com = np.array([*p.com, self.floor[0] + self.height])
        return Targets(com, feet, rotations, yaw_rotation(yaw), self.posture, rates)

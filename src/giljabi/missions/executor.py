"""Carries out a mission: which leg is to be flown now, holding, pause, skip, another mission, return and landing.

Pure: the planner tells where the vehicle is and what lies behind, and turns the leg into a trajectory; when `version`
changes it brings the vehicle to rest and asks for the new leg.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from giljabi.missions.course import Course, Step
from giljabi.missions.legs import GROUND, Homing, Leg, ahead, downward, homeward, leg_from
from giljabi.types import Array, BadInputError, MissionPhase

IDLE, RUNNING, PAUSED, ARRIVED = MissionPhase.IDLE, MissionPhase.RUNNING, MissionPhase.PAUSED, MissionPhase.ARRIVED


ANEW = "the planner was started anew"


class Reaction(IntEnum):
    """What may be asked for against the mission, in rising order."""

    NONE = 0
    HOLD = 1
    RETURN = 2
    LAND = 3


WORDS = {Reaction.HOLD: "holds", Reaction.RETURN: "returns", Reaction.LAND: "lands"}


class Executor:
    """One mission of one vehicle that hovers."""

    def __init__(self, return_height: float) -> None:
        """return_height: least height above home of a return [m]."""
        self._return_height = return_height
        self.course: Course | None = None
        self.phase = IDLE
        self.version = 0  # of the way ahead
        self.step, self._index = 0, 0  # the point of the mission that comes next
        self.home: Array | None = None  # (3,) m map, where it stood when it was started
        self.flies: Reaction = Reaction.NONE  # RETURN or LAND instead of the mission
        self.why = ""  # of that
        self.anew = False  # paused, as another planner's mission was taken over
        self.grounded: bool | None = None  # it stands for certain, as it is not armed; None: nobody has told
        self._asked: tuple[Reaction, str] = (Reaction.NONE, "")  # by failsafes, now
        self._leg: Leg | None = None
        self._held = 0.0
        self._resumed = False  # a loiter was told to go on
        self._place: Array | None = None

    # --- what people ask for; each answers in words, or raises BadInputError ---

    def replace(self, course: Course) -> None:
        """Another mission that begins anew, whatever is flown."""
        self.phase, self.flies, self.why = IDLE, Reaction.NONE, ""
        self.load(course)
        self.version += 1

    def load(self, course: Course) -> str:
        """Another mission: goes on where both are the same up to the present step, else joins where they part."""
        old, self.course = self.course, course
        if self.phase in (IDLE, ARRIVED) or old is None:
            self.phase, self.step, self._index, self._leg, self.flies = IDLE, 0, 0, None, Reaction.NONE
            return f"loaded, {len(course.steps)} steps"
        pairs = zip(old.steps, course.steps, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if not a.same(b)), min(len(old.steps), len(course.steps)))
        if same > self.step:
            self._changed_ahead(old)
            return f"goes on at step {self.step + 1} of {len(course.steps)}"
        if same >= len(course.steps):
            self.course = old
            raise BadInputError(f"it ends before step {self.step + 1}, which is flown; more steps are expected")
        self._go_to(same)
        return f"joins at step {same + 1} of {len(course.steps)} ({course.steps[same].kind})"

    def go_on_at(self, step: int, index: int, home: Array | None) -> str:
        """Paused at a step that another executor had come to, with its home (3,) m."""
        if self.course is None or not 0 <= step < len(self.course.steps):
            raise BadInputError(f"the mission has no step {step + 1}, where it was")
        self._go_to(step)
        self._index, self.phase, self.anew = index, PAUSED, True
        self.home = None if home is None else np.array(home, dtype=np.float64)
        return self.note()

    @property
    def index(self) -> int:
        """The step's point that comes next."""
        return max(self._index, 0)

    def start(self) -> str:
        """Begins, or goes on after a pause, a hold, a return or a landing whose reason is gone."""
        if self.course is None:
            raise BadInputError("there is no mission; load one")
        self._refuse_against_failsafes()
        self.anew = False
        if self.flies is not Reaction.NONE:
            self._fly(Reaction.NONE, "")
        if self.phase is ARRIVED:
            self.step, self._index, self._leg = 0, 0, None
        if self.phase is not RUNNING:
            self.phase = RUNNING
            return f"under way, step {self.step + 1} of {len(self.course.steps)}"
        if self._leg is not None and self._leg.holds is not None:
            self._resumed = True
        return "goes on"

    def pause(self) -> str:
        """Stops on the way until start()."""
        if self.flies is not Reaction.NONE and self._asked[0] is not Reaction.NONE:
            raise BadInputError(f"it {WORDS[self.flies]}: {self.why}")
        if self.phase is RUNNING:
            self.phase, self.anew = PAUSED, False
        return "stopping; mission/resume goes on"

    def skip(self, step: int | None = None) -> str:
        """Goes to a step, counted from 0; None: the next one."""
        if self.course is None:
            raise BadInputError("there is no mission; load one")
        self._refuse_against_failsafes()
        wanted = self.step + 1 if step is None else step
        if not 0 <= wanted < len(self.course.steps):
            raise BadInputError(f"step {wanted + 1} of {len(self.course.steps)}; another one is expected")
        self._go_to(wanted)
        return f"goes to step {wanted + 1} of {len(self.course.steps)} ({self.course.steps[wanted].kind})"

    def return_home(self, why: str = "asked for") -> str:
        """Flies to home or the nearest rally point, and lands there."""
        return self._instead(Reaction.RETURN, why)

    def land(self, why: str = "asked for") -> str:
        """Lands where it is."""
        return self._instead(Reaction.LAND, why)

    def _instead(self, what: Reaction, why: str) -> str:
        if self.phase in (IDLE, ARRIVED):
            raise BadInputError("nothing is flown; start a mission first")
        if self._kept_by(what):
            raise BadInputError(f"it {WORDS[self.flies]}: {self.why}")
        self._fly(what, why)
        return WORDS[what]

    @property
    def asks(self) -> tuple[str, ...]:
        """What a person may ask for now and it would do: of pause, resume, skip, return, land."""
        if self.course is None or self.phase not in (RUNNING, PAUSED):
            return ()
        asked, runs, aside = self._asked[0], self.phase is RUNNING, self.flies is not Reaction.NONE
        overruled = asked >= Reaction.RETURN or (asked is Reaction.HOLD and not runs)
        holds = self._leg is not None and self._leg.holds is not None
        flies = not self.grounded
        can = {
            "pause": runs and not (aside and asked is not Reaction.NONE),
            "resume": (not runs or aside or holds) and not overruled,
            "skip": self.step + 1 < len(self.course.steps) and not overruled,
            "return": flies and (self.flies is not Reaction.RETURN or not runs) and not self._kept_by(Reaction.RETURN),
            "land": flies and (self.flies is not Reaction.LAND or not runs),
        }
        return tuple(name for name, may in can.items() if may)

    def _kept_by(self, what: Reaction) -> bool:
        """Whether failsafes keep it from flying less than they ask for."""
        return self.flies > what and self._asked[0] >= self.flies

    def _refuse_against_failsafes(self) -> None:
        asked, why = self._asked
        if asked >= Reaction.RETURN or (asked is Reaction.HOLD and self.phase is PAUSED):
            raise BadInputError(f"it {WORDS[asked]}: {why}")

    # --- what failsafes ask for ---

    def demand(self, reaction: Reaction, why: str) -> None:
        """What is asked for now; a return or a landing goes on when nobody asks any more, until a person resumes."""
        self._asked = (reaction, why)
        if self.phase not in (RUNNING, PAUSED):
            return
        if reaction >= Reaction.RETURN and reaction > self.flies:
            self._fly(reaction, why)

    def _fly(self, what: Reaction, why: str) -> None:
        if what is not self.flies or self.phase is PAUSED:
            self.version += 1
        self.flies, self.why, self.phase = what, why, RUNNING
        self._leg, self._held, self._resumed = None, 0.0, False

    def _go_to(self, step: int) -> None:
        self.step, self._index, self._held, self._resumed = step, 0, 0.0, False
        if self.flies is Reaction.NONE or self._asked[0] < Reaction.RETURN:
            self.flies, self.why, self._leg = Reaction.NONE, "", None
            self.version += 1

    def _changed_ahead(self, old: Course) -> None:
        """The present leg is flown on where it stays the same."""
        if self._leg is None or self._place is None or self.flies is not Reaction.NONE:
            return
        assert self.course is not None
        a = leg_from(old, self.step, self._index, self._place, self.homing)
        b = leg_from(self.course, self.step, self._index, self._place, self.homing)
        if (
            a.points.shape == b.points.shape
            and np.allclose(a.points, b.points, atol=1e-3)
            and np.allclose(a.speed, b.speed)
        ):
            self._leg = Leg(
                self._leg.points, self._leg.speed, self._leg.look, self._leg.passed, b.holds, b.ground, b.left
            )
            return
        self.version += 1
        self._leg = None

    # --- what the planner asks ---

    @property
    def homing(self) -> Homing:
        """Where a return goes."""
        home = self.home if self.home is not None else np.zeros(3)
        rally = self.course.rally if self.course is not None else np.zeros((0, 3))
        return Homing(home, rally, self._return_height)

    def seen(self, place: Array) -> None:
        """Where the vehicle is (3,) [m map]: home is where it stands when it is started."""
        self._place = np.array(place, dtype=np.float64)
        stands = abs(float(place[2])) < GROUND if self.grounded is None else self.grounded
        if stands and (self.phase in (IDLE, ARRIVED) or self.home is None):
            self.home = self._place
        if self.home is None and self.phase is RUNNING:  # started in the air: what the file says, or where map begins
            file = self.course.home if self.course is not None else None
            self.home = np.array([*(file or (0.0, 0.0)), 0.0])

    def leg(self, place: Array) -> Leg:
        """The leg to fly now, from rest at a place (3,) [m map]."""
        assert self.course is not None
        if self.flies is Reaction.RETURN:
            self._leg = homeward(place, self.homing, self.course.speed)
        elif self.flies is Reaction.LAND:
            self._leg = downward(place, self.homing.home, self.course.speed)
        else:
            self._leg = leg_from(self.course, self.step, self._index, place, self.homing)
        return self._leg

    def passed(self, count: int) -> None:
        """So many points of the leg lie behind, its first included."""
        if self._leg is None or self.flies is not Reaction.NONE or count < 1:
            return
        step, index = self._leg.passed[min(count, len(self._leg.passed)) - 1]
        if self._leg.holds is not None and (step, index) > (self._last, 0):
            step, index = self._last, max(self._index, 0)  # it is over when it has been held
        self.step, self._index = step, index

    @property
    def _last(self) -> int:
        """The step at whose end the leg holds."""
        assert self._leg is not None
        return self._leg.passed[-1][0] - 1

    def rests(self, dt: float, aligned: bool) -> None:
        """The vehicle rests at the end of the leg for another dt [s]; aligned: its nose points where it shall."""
        if self._leg is None or self.phase is not RUNNING:
            return
        if self._leg.ground:
            self.phase, self._leg = ARRIVED, None
            return
        holds = self._leg.holds
        if holds is not None:
            self._held += dt if aligned else 0.0
            waits = holds.until_resumed or self._held < holds.hold_s or not aligned
            if waits and not (self._resumed and (aligned or holds.until_resumed)):
                return
        assert self.course is not None
        self.step, self._index = self._leg.passed[-1]
        self._held, self._resumed, self._leg = 0.0, False, None
        if self.step >= len(self.course.steps):
            self.phase, self.step = ARRIVED, len(self.course.steps) - 1
            return
        self.version += 1

    @property
    def holds(self) -> Step | None:
        """What holds at the end of the present leg."""
        return None if self._leg is None else self._leg.holds

    @property
    def lands(self) -> bool:
        """Whether the present leg ends on the ground."""
        return self._leg is not None and self._leg.ground

    @property
    def place(self) -> Array | None:
        """Where the vehicle was seen last (3,) [m map]."""
        return self._place

    @property
    def ends_down(self) -> bool:
        """Whether the mission's last step ends on the ground."""
        return self.course is not None and self.course.steps[-1].kind in ("land", "return")

    def whole_way(self) -> tuple[Array, float]:
        """Points (n, 3) [m map] from where it is through the whole mission, and the time of holding [s]."""
        assert self.course is not None
        assert self._place is not None
        hold = sum(s.hold_s for s in self.course.steps)
        points = [p.p for p in ahead(self.course, 0, 0, self._place, self.homing)]
        return np.vstack([self._place[None, :], *(p[None, :] for p in points)]), hold

    def note(self) -> str:
        """What is done now, in words."""
        if self.phase is PAUSED and self.anew and self.course is not None:
            return f"{ANEW}, paused at step {self.step + 1} of {len(self.course.steps)}; mission/resume goes on"
        if self.flies is not Reaction.NONE:
            return f"{WORDS[self.flies]}: {self.why}"
        count = len(self.course.steps) if self.course is not None else 0
        if count <= 1 or self.course is None or not self.course.above_home:
            return "following"
        return f"step {self.step + 1} of {count} ({self.course.steps[self.step].kind})"

    def holding(self, aligned: bool) -> str:
        """The same at the end of a leg."""
        holds = self.holds
        if holds is None:
            return self.note()
        if holds.until_resumed:
            return f"{self.note()}: holds until mission/resume"
        return f"{self.note()}: {'holds' if aligned else 'turns'}"

    @property
    def left_beyond(self) -> float:
        """Way beyond the present leg [m]."""
        return self._leg.left if self._leg is not None else math.nan

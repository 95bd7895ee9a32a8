"""The supervisor: why the vehicle is not ready, in words a field crew can act on.

It sees stamps and the parts' own reports, never message rates, and its verdict does not trip on load: only the time
it was itself awake counts, and a problem must last before it is raised and be gone for a while before it is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from giljabi.platform import Platform, Sensor
from giljabi.steps import LOST
from giljabi.topics import ODOM, TRAJECTORY
from giljabi.types import Health, MissionPhase, MissionState

RATE_HZ = 10.0
AWAKE_STEP = 0.2  # s of a step that count at most; a longer gap means that the supervisor itself was asleep
CONFIRM_S = 0.15  # s a new problem must last, awake
CLEAR_S = 0.5  # s a raised problem must be gone, awake

PLANNER_PERIODS = 3.0  # of silence that a controller forgives a planner, as for its trajectories
PLANNER_GONE = 2.0  # times that silence: the planner is gone, not late

FUTURE_S = 0.1  # s a stamp may lie ahead; a clock that is wrong must not look fresh

# What is missing, and what to look at, by kind of sensor.
SENSOR_WORDS = {
    "gnss": ("no fix", "check the antenna or the cable of '{}'"),
    "imu": ("no inertial data", "check the cable of '{}'"),
    "heading": ("no heading", "check the compass or the cable of '{}'"),
    "joints": ("no feedback", "check the actuators' power or the cable of '{}'"),
    "log": ("no speed through water", "check the log or the cable of '{}'"),
    "odometry": ("no estimate of the device", "check the power or the cable of '{}'"),
    "battery": ("no word of the battery", "check the cable of '{}'"),
    "scan": ("no scan", "check the scanner or the cable of '{}'"),
    "detections": ("no detections", "check the sensor or the cable of '{}'"),
}


@dataclass(frozen=True, slots=True)
class SupervisorInputs:
    """What the supervisor looks at.

    stamps: newest stamp by sensor name [s]; odom_t: stamp of the newest odometry; health: problem name -> words, by
    part; mission: the planner's newest word.
    """

    stamps: Mapping[str, float] = field(default_factory=dict)
    odom_t: float | None = None
    health: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mission: MissionState | None = None
    covered: bool = False  # failsafes have something done that takes longer than a stop


class Grade(IntEnum):
    """Who can still bring the vehicle to rest; the gravest comes first."""

    FAULT = 0  # the guard alone
    GUIDED = 1  # the controller, along the last plan
    DEGRADED = 2  # the planner


@dataclass(frozen=True, slots=True)
class _Problem:
    """One finding: its words, who can still stop the vehicle, and whether others follow from it (a lost device)."""

    words: str
    grade: Grade
    cause: bool = False


@dataclass(slots=True)
class _Watched:
    """A finding over time; times are seconds awake."""

    problem: _Problem
    first: float
    last: float
    raised: bool


class Supervisor:
    """Stamps and reports in, verdict out; step it at RATE_HZ."""

    def __init__(self, platform: Platform) -> None:
        self._sensors = platform.model.sensors
        self._give_up_s = platform.model.minimum_risk.within_s
        self._odom_timeout = platform.timeout_s(ODOM)
        late = max(platform.timeout_s(TRAJECTORY), PLANNER_PERIODS / platform.model.steps.planner.rate_hz)
        self._planner_timeout = PLANNER_GONE * late
        limits = platform.model.limits
        self._rest_s = limits.speed_max / limits.deceleration_max  # from full speed
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._last_now: float | None = None
        self._awake = 0.0
        self._stopping_since: float | None = None

    def step(self, now: float, inputs: SupervisorInputs) -> Health:
        """Verdict at stack time `now` [s]: every reason why the vehicle is not ready, graded as Health says.

        Degraded or guided for longer than the platform's minimum_risk.within_s is a fault for the guard alone: planner
        and controller had their time to stop.
        """
        first_step = self._last_now is None
        if self._last_now is not None:
            self._awake += min(max(now - self._last_now, 0.0), AWAKE_STEP)
        self._last_now = now
        self._update(self._findings(now, inputs), first_step)
        raised = [w.problem for w in self._watched.values() if w.raised]
        reasons = [p.words for p in sorted(raised, key=lambda p: (p.grade, not p.cause))]  # faults first
        grade = min((p.grade for p in raised), default=None)
        if grade is None or grade is Grade.FAULT or inputs.covered:
            self._stopping_since = None
        elif self._stopping_since is None:
            self._stopping_since = self._awake
        elif self._awake - self._stopping_since > self._give_up_s:
            grade = Grade.FAULT
        return Health(now, "supervisor", tuple(reasons), grade is Grade.DEGRADED, grade is Grade.GUIDED)

    @property
    def raised(self) -> dict[tuple[str, str], str]:
        """Words of every problem that stands, by (part, name)."""
        return {key: w.problem.words for key, w in self._watched.items() if w.raised}

    def _update(self, findings: Mapping[tuple[str, str], _Problem], at_once: bool) -> None:
        for key, problem in findings.items():
            w = self._watched.get(key)
            if w is None:
                self._watched[key] = _Watched(problem, self._awake, self._awake, at_once)
                continue
            w.problem, w.last = problem, self._awake
            w.raised = w.raised or self._awake - w.first >= CONFIRM_S
        for key, w in list(self._watched.items()):
            if key in findings:
                continue
            guided = w.problem.grade is Grade.GUIDED
            if not w.raised or self._awake - w.last >= (self._rest_s if guided else CLEAR_S):
                del self._watched[key]
            elif guided:  # a planner that is back has no plan: the controller is not left half way to rest
                w.problem = replace(w.problem, words=f"{key[0]}: it was silent; the vehicle is brought to rest first")

    def _findings(self, now: float, inputs: SupervisorInputs) -> dict[tuple[str, str], _Problem]:
        found: dict[tuple[str, str], _Problem] = {}
        for name, sensor in self._sensors.items():
            said = next((h[name] for h in inputs.health.values() if name in h), "")
            words = sensor_words(now, name, sensor, inputs.stamps.get(name), said)
            if words and sensor.required:
                found["sensor", name] = _Problem(words, Grade.DEGRADED)
        if inputs.odom_t is None:
            found["odom", ""] = _Problem(
                "odom: no estimate yet; it waits for its sensors, or the estimator is not running", Grade.FAULT
            )
        elif not -FUTURE_S <= now - inputs.odom_t <= self._odom_timeout:  # NaN is neither
            missing = _age_words("no estimate", now - inputs.odom_t)
            found["odom", ""] = _Problem(f"odom: {missing}; is the estimator running?", Grade.FAULT)
        for part, problems in inputs.health.items():
            for name, words in problems.items():
                if ("sensor", name) not in found:
                    label = part if name in (part, LOST) else f"{part}: {name}"
                    grade = Grade.FAULT if name == LOST else Grade.DEGRADED
                    found[part, name] = _Problem(f"{label}: {words}", grade, cause=name == part)
        if inputs.mission is not None:
            found |= self._of_mission(now, inputs.mission)
        return found

    def _of_mission(self, now: float, mission: MissionState) -> dict[tuple[str, str], _Problem]:
        """A planner that says nothing, or nothing good."""
        age = now - mission.t
        if not -FUTURE_S <= age <= self._planner_timeout:
            words = f"planner: {_age_words('no word', age)}; is its process running?"
            return {("planner", "silent"): _Problem(words, Grade.GUIDED)}
        if mission.phase is MissionPhase.FAILED:
            note = mission.note or "no way on was found"
            return {("mission", ""): _Problem(f"mission failed: {note}; give a new route", Grade.DEGRADED)}
        return {}


def sensor_words(now: float, name: str, sensor: Sensor, stamp: float | None, said: str) -> str:
    """Why a sensor is not good enough, in its driver's words when `said` has some; empty when it is."""
    age = math.inf if stamp is None else now - stamp
    if -FUTURE_S <= age <= sensor.timeout_s:
        return ""
    missing, look = SENSOR_WORDS[sensor.kind]
    words = said or (f"{missing} yet" if stamp is None else _age_words(missing, age))
    return f"{name}: {words}; {look.format(sensor.driver)}"


def _age_words(missing: str, age: float) -> str:
    if not math.isfinite(age):
        return "its stamp is not a number"
    return f"{missing} for {age:.1f} s" if age >= 0 else f"its stamp lies {-age:.1f} s ahead"

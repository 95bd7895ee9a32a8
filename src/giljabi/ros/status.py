"""State, mission and health to and from diagnostic_msgs: the message is for people, the values are exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from giljabi.ros.convert import header
from giljabi.types import BadInputError, Health, MissionPhase, MissionState, StackState


def keyed_status(level: bytes, name: str, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    """A status with keyed values."""
    pairs = [KeyValue(key=k, value=v) for k, v in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)


def values_of(msg: DiagnosticStatus) -> dict[str, str]:
    """The keyed values of a status."""
    return {v.key: v.value for v in msg.values}


def number_in(values: Mapping[str, str], key: str) -> float:
    """A value as a number; raises BadInputError naming the key."""
    try:
        return float(values[key])
    except (KeyError, ValueError):
        raise BadInputError(f"status: '{key}' is {values.get(key)!r}; a number is expected") from None


def _reasons(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(v for k, v in values.items() if k.startswith("reason."))


def _numbered(reasons: Iterable[str]) -> dict[str, str]:
    return {f"reason.{i}": r for i, r in enumerate(reasons)}


def mission_to_msg(s: MissionState) -> DiagnosticStatus:
    """MissionState: message is the planner's note, or the phase."""
    level = DiagnosticStatus.ERROR if s.phase is MissionPhase.FAILED else DiagnosticStatus.OK
    values = {
        "t_s": repr(float(s.t)),
        "phase": s.phase.value,
        "progress": repr(float(s.progress)),
        "distance_to_go_m": repr(float(s.distance_to_go)),
        "cross_track_m": repr(float(s.cross_track)),
        "note": s.note,
        "step": str(s.step),
        "aside": str(s.aside).lower(),
        **({} if s.asks is None else {"asks": " ".join(s.asks)}),
    }
    return keyed_status(level, "mission", s.note or s.phase.value, values)


def mission_from_msg(msg: DiagnosticStatus) -> MissionState:
    """Inverse of mission_to_msg."""
    v = values_of(msg)
    try:
        phase = MissionPhase(v.get("phase"))
    except ValueError:
        raise BadInputError(f"mission state: phase is {v.get('phase')!r}; idle, running, ... is expected") from None
    progress, to_go, cross = (number_in(v, k) for k in ("progress", "distance_to_go_m", "cross_track_m"))
    step = int(number_in(v, "step")) if "step" in v else 0
    asks = tuple(v["asks"].split()) if "asks" in v else None
    t, note, aside = number_in(v, "t_s"), v.get("note", ""), v.get("aside") == "true"
    return MissionState(t, phase, progress, to_go, cross, note, step, aside, asks)


def state_to_msg(s: StackState) -> DiagnosticStatus:
    """StackState: warns while there are reasons."""
    level = DiagnosticStatus.WARN if s.reasons else DiagnosticStatus.OK
    message = "; ".join(s.reasons) or s.mode
    values = {"t_s": repr(float(s.t)), "mode": s.mode, "armed": str(s.armed).lower(), **_numbered(s.reasons)}
    return keyed_status(level, "state", message, values)


def state_from_msg(msg: DiagnosticStatus) -> StackState:
    """Inverse of state_to_msg."""
    v = values_of(msg)
    if v.get("armed") not in ("true", "false") or not v.get("mode"):
        raise BadInputError("state: mode or armed is missing; mode and armed (true or false) are expected")
    return StackState(number_in(v, "t_s"), v["mode"], v["armed"] == "true", _reasons(v))


def health_to_msg(s: Health) -> DiagnosticStatus:
    """Health: error while there are reasons, warning while the vehicle can still stop by itself."""
    bad = DiagnosticStatus.WARN if s.degraded else DiagnosticStatus.ERROR
    level = bad if s.reasons else DiagnosticStatus.OK
    values = {
        "t_s": repr(float(s.t)),
        "degraded": str(s.degraded).lower(),
        "guided": str(s.guided).lower(),
        "demand": s.demand,
        "why": s.why,
        **_numbered(s.reasons),
    }
    return keyed_status(level, s.name, "; ".join(s.reasons) or "ok", values)


def health_from_msg(msg: DiagnosticStatus) -> Health:
    """Inverse of health_to_msg."""
    v = values_of(msg)
    asked = (v.get("demand", ""), v.get("why", ""))
    degraded, guided = v.get("degraded") == "true", v.get("guided") == "true"
    return Health(number_in(v, "t_s"), msg.name, _reasons(v), degraded, guided, *asked)


@dataclass(frozen=True, slots=True)
class PartHealth:
    """Open problems of one part, by name; `part` is its node's full name, a driver's stands below its node's.

    `values` are for people and their tools: rates, counts, states, by key.
    """

    t: float
    part: str
    problems: Mapping[str, str]
    values: Mapping[str, str] = field(default_factory=dict)

    def health(self) -> Health:
        """The same in words."""
        label = self.part.rsplit("/", 1)[-1]
        words = (what if name == label else f"{name}: {what}" for name, what in self.problems.items())
        return Health(self.t, label, tuple(words))


def diagnostics_to_msg(parts: Sequence[PartHealth]) -> DiagnosticArray:
    """The health of several parts, stamped with the newest."""
    msg = DiagnosticArray(header=header(max((p.t for p in parts), default=0.0), ""))
    for p in parts:
        level = DiagnosticStatus.ERROR if p.problems else DiagnosticStatus.OK
        values = {**p.values, "t_s": repr(float(p.t)), **{f"problem.{k}": v for k, v in p.problems.items()}}
        msg.status.append(keyed_status(level, p.part, "; ".join(p.health().reasons) or "ok", values))
    return msg


def diagnostics_from_msg(msg: DiagnosticArray) -> list[PartHealth]:
    """Inverse of diagnostics_to_msg; entries of other programs, which carry no `t_s`, are left out."""
    out = []
    for s in msg.status:
        v = values_of(s)
        if "t_s" in v:
            problems = {k.removeprefix("problem."): text for k, text in v.items() if k.startswith("problem.")}
            rest = {k: text for k, text in v.items() if k != "t_s" and not k.startswith("problem.")}
            out.append(PartHealth(number_in(v, "t_s"), s.name, problems, rest))
    return out

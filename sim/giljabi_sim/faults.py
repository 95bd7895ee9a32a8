"""Faults of a scenario: what is wrong when, and whether anything met it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from giljabi_sim.scenario import Fault, Scenario

STEPS = ("estimator", "tracker", "planner", "controller", "supervisor")


@dataclass(slots=True)
class _Active:
    fault: Fault
    consumed: int = 0

    def now(self, t: float) -> bool:
        return self.fault.begin <= t and (self.fault.end is None or t < self.fault.end)


class Faults:
    """Asked by everything that can fail; counts who asked while a fault was on."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = [_Active(f) for f in faults]
        self.t = 0.0  # s on the scenario's clock

    def _met(self, where: str, what: str) -> Fault | None:
        found = None
        for a in self._faults:
            if a.fault.where == where and a.fault.what == what and a.now(self.t):
                a.consumed += 1
                found = a.fault
        return found

    def offset(self, sensor: str) -> float:
        """What to add to one reading of a sensor; call it once for each reading."""
        met = self._met(sensor, "offset")
        return met.value or 0.0 if met else 0.0

    def silent(self, name: str) -> bool:
        """A sensor, a driver's line, a step, or `commands` is dead; call it where the bytes or the call would go."""
        return self._met(name, "silent") is not None

    def stalls(self) -> list[str]:
        """Steps that a fault wants still now, whether or not anything obeys; `silent` says that it did."""
        wanted = {a.fault.where for a in self._faults if a.fault.what == "silent" and a.now(self.t)}
        return [s for s in STEPS if s in wanted]

    def report(self) -> list[dict[str, object]]:
        """What, where, and whether something consumed it."""
        return [{"what": a.fault.what, "where": a.fault.where, "consumed": a.consumed > 0} for a in self._faults]


def build_faults(scenario: Scenario) -> Faults:
    """Raises BadInputError at the fault's line when it names nothing that can fail so."""
    m = scenario.platform.model
    silent = {*m.sensors, *m.drivers, *STEPS, "commands"}
    offset = {n for n, s in m.sensors.items() if s.kind in ("gnss", "heading")}
    for i, f in enumerate(scenario.model.faults):
        known = silent if f.what == "silent" else offset
        if f.where not in known:
            what = f"'{f.where}' cannot be {f.what}"
            raise scenario.error(("faults", i, "where"), f"{what}; one of {', '.join(sorted(known))} is expected")
    return Faults(scenario.model.faults)

"""Faults of a scenario: what is wrong when, and whether anything met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from giljabi_sim.fault_spec import Fault
from giljabi_sim.scenario import Scenario
from giljabi_sim.wire_faults import WireFaults

STEPS = ("estimator", "tracker", "mapper", "planner", "controller", "supervisor")


@dataclass(slots=True)
class _Active:
    fault: Fault
    consumed: int = 0

    def now(self, t: float) -> bool:
        return self.fault.begin <= t and (self.fault.end is None or t < self.fault.end)


class Faults:
    """Asked by everything that can fail; counts who asked while a fault was on."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 1) -> None:
        self._faults = [_Active(f) for f in faults]
        self.wire = WireFaults(faults, seed)
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

    def runaway(self) -> Mapping[str, float]:
        """What the controller commands against its will, by actuator; call it where a command goes out."""
        met = self._met("controller", "runaway")
        return (met.command or {}) if met else {}

    def stalls(self) -> list[str]:
        """Steps that a fault wants still now, whether or not anything obeys; `silent` says that it did."""
        wanted = {a.fault.where for a in self._faults if a.fault.what == "silent" and a.now(self.t)}
        return [s for s in STEPS if s in wanted]

    def report(self) -> list[dict[str, object]]:
        """What, where, and whether something consumed it; of the wire also what it met, and why nothing."""
        return [
            self.wire.row(i, self.t)
            if a.fault.on_wire
            else {"what": a.fault.what, "where": a.fault.where, "consumed": a.consumed > 0}
            for i, a in enumerate(self._faults)
        ]

    def problems(self) -> list[str]:
        """Of each fault, in words, why nothing consumed it; empty where something did."""
        return [self._problem(i, a) for i, a in enumerate(self._faults)]

    def unconsumed(self) -> list[str]:
        """In words, every fault that nothing consumed."""
        return [p for p in self.problems() if p]

    def _problem(self, i: int, a: _Active) -> str:
        if a.fault.on_wire:
            return str(self.wire.row(i, self.t).get("problem", ""))
        if a.consumed:
            return ""
        if self.t < a.fault.begin:
            return f"{a.fault.words}: the run ended at {self.t:.1f} s, before it began"
        return f"{a.fault.words}: nothing met it; nothing was read, sent or called there then"


def build_faults(scenario: Scenario) -> Faults:
    """Raises BadInputError at the fault's line when it names nothing that can fail so."""
    m = scenario.platform.model
    silent = {*m.sensors, *m.drivers, *STEPS, "commands", "operator"}
    offset = {n for n, s in m.sensors.items() if s.kind in ("gnss", "heading")}
    for i, f in enumerate(scenario.model.faults):
        known = {"silent": silent, "offset": offset, "runaway": {"controller"}}.get(f.what, {*m.drivers})
        if f.where not in known:
            what = f"{f.words}: '{f.where}' cannot be {f.what}"
            if f.on_wire:
                what = f"{f.words}: '{f.where}' is no driver"
            raise scenario.error(("faults", i, "where"), f"{what}; one of {', '.join(sorted(known))} is expected")
        for name in f.command or {}:
            if name not in m.actuators:
                what = f"'{name}' is no actuator; one of {', '.join(m.actuators)} is expected"
                raise scenario.error(("faults", i, "command"), what)
    return Faults(scenario.model.faults, scenario.model.seed)


def check_wires(scenario: Scenario, can: Mapping[str, bool]) -> None:
    """Raises BadInputError at the line of a fault that does not fit its wire; can: by driver."""
    for i, f in enumerate(scenario.model.faults):
        if not f.on_wire:
            continue
        wire = "a CAN bus" if can[f.where] else "a byte stream"
        if f.what == "bus_off" and not can[f.where]:
            raise scenario.error(("faults", i, "what"), f"{f.words}: '{f.where}' is {wire}; a CAN bus is expected")
        if f.message is not None and isinstance(f.message, int) != can[f.where]:
            wanted = "an identifier such as 0x25" if can[f.where] else "a type of sentence such as GGA"
            raise scenario.error(("faults", i, "message"), f"{f.words}: '{f.where}' is {wire}; {wanted} is expected")

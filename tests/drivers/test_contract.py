"""The contract suite over every driver of ours: each module cases_*.py beside this file lists its CASES."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from giljabi.registry import BUILT_IN
from giljabi.types import Heading, Sample
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.contract_case import Answer
from giljabi_drivers.contract_suite import DriverCase, DriverContract

sys.path.insert(0, str(Path(__file__).parent))
CASES: list[DriverCase] = [
    case for path in sorted(Path(__file__).parent.glob("cases_*.py")) for case in import_module(path.stem).CASES
]
for _case in CASES:
    _name = f"Test_{_case.name}"
    globals()[_name] = type(_name, (DriverContract,), {"case": _case, "__module__": __name__})


def test_every_driver_of_ours_has_a_case() -> None:
    kinds = {c.loaded.model.drivers[c.driver].kind for c in CASES}
    assert set(BUILT_IN["drivers"]) - kinds == set()


# --- the suite itself: each rule finds the driver that breaks it ----------------------------------


class Sounder:
    """Two bytes `H` and yaw in degrees from -128 on: a good driver, until a subclass breaks it."""

    def __init__(self, platform: Any, name: str) -> None:
        self.name, self.stats = name, DriverStats()
        self.half = b""
        self.t = -math.inf

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        out: list[Sample] = []
        for r in received:
            for byte in r.data:
                self._take(byte, r.t, out)
        return StepResult(out)

    def _take(self, byte: int, t: float, out: list[Sample]) -> None:
        if not self.half:
            self.half = b"H" if byte == ord("H") else b""
            if not self.half:
                self.stats.reject("sync")
            return
        self.half = b""
        self.stats.accepted += 1
        self.t = t
        out.append(self.sample(byte, t))

    def sample(self, byte: int, t: float) -> Sample:
        return Heading(t, math.radians(byte - 128), 0.02, "compass")

    def encode_table(self) -> None:
        return None

    def health(self, now: float) -> Mapping[str, str]:
        return {"compass": "silent"} if now - self.t > 1.0 else {}


class Raises(Sounder):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        if any(r.data[:1] not in {b"H", b""} for r in received):
            raise ValueError("bad byte")
        return super().step(now, received)


class WantsWholeMessages(Sounder):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        self.half = b""
        return super().step(now, received)


class Remembers(Sounder):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        self.log = [*getattr(self, "log", []), *(bytes(bytearray(r.data)) for r in received)]
        return super().step(now, received)


class LooksBack(Sounder):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        self.seen = [*getattr(self, "seen", []), now]
        for t in self.seen:
            math.sqrt(abs(t))
        return super().step(now, received)


class ReadsAClock(Sounder):
    def sample(self, byte: int, t: float) -> Sample:
        import time

        return Heading(t + 0.0 * time.monotonic(), math.radians(byte - 128), 0.02, "compass")


class OpensAFile(Sounder):
    def sample(self, byte: int, t: float) -> Sample:
        Path("/dev/null").read_bytes()
        return super().sample(byte, t)


class ForgetsRadians(Sounder):
    def sample(self, byte: int, t: float) -> Sample:
        return Heading(t, float(byte - 128), 0.02, "compass")


class StampsItself(Sounder):
    def sample(self, byte: int, t: float) -> Sample:
        return replace(super().sample(byte, t), t=t + 0.5)


class IsSilentlyHappy(Sounder):
    def health(self, now: float) -> Mapping[str, str]:
        return {}


class CountsNothing(Sounder):
    def _take(self, byte: int, t: float, out: list[Sample]) -> None:
        super()._take(byte, t, out)
        self.stats.rejected, self.stats.accepted = {}, 1


class Spins(Sounder):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        return replace(super().step(now, received), next_deadline=now)


class Dices(Sounder):
    throws = itertools.count()

    def sample(self, byte: int, t: float) -> Sample:
        return Heading(t, math.radians(byte - 128), 0.02 + 1e-6 * next(self.throws), "compass")


class Asks(Sounder):
    """The same for a device that answers `?` and else is silent; a good driver, until a subclass breaks it."""

    until = -math.inf  # s, an answer is due

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        if received:
            self.until = -math.inf
        return super().step(now, received)

    def ask(self, now: float) -> bytes:
        if now < self.until:
            return b""
        self.until = now + 0.05
        return b"?"


class AsksOnce(Asks):
    def ask(self, now: float) -> bytes:
        return b"" if self.until > -math.inf else super().ask(now)

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        before = self.until
        result = super().step(now, received)
        self.until = before
        return result


class Interrupts(Asks):
    def ask(self, now: float) -> bytes:
        return b"?"


class AsksWrongly(Asks):
    def ask(self, now: float) -> bytes:
        return super().ask(now).replace(b"?", b"!")


class Imagines(Asks):
    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        result = super().step(now, received)
        return result if received or not math.isfinite(self.t) else StepResult([self.sample(0, self.t)])


class GivesUp(Asks):
    """After an answer that it did not like."""

    def ask(self, now: float) -> bytes:
        return b"" if self.stats.rejected else super().ask(now)


def sounder(kind: type[Sounder]) -> DriverContract:
    """The suite for one of these."""
    golden = () if issubclass(kind, Asks) else [Received(1.0, b"H\xb0")]
    times = (1.01, 1.11) if issubclass(kind, Asks) else (1.0,)

    def peer() -> Answer:
        return lambda t, question: [Received(t + 0.01, b"H\xb0")] if question == b"?" else []

    class Suite(DriverContract):
        case: ClassVar[DriverCase] = DriverCase(
            "sounder", "ship", "sonar", golden, [Heading(t, math.radians(48.0), 0.02, "compass") for t in times],
            extra={
                "drivers": {"sonar": {"kind": f"{__name__}:{kind.__name__}", "device": "udp-listen:10110"}},
                "sensors": {"compass": {"driver": "sonar"}},
            },
            settle_s=0.5, peer=peer if issubclass(kind, Asks) else None,
        )  # fmt: skip

    return Suite()


RULES = sorted(n for n in vars(DriverContract) if n.startswith("test_"))


@pytest.mark.parametrize("kind", [Sounder, Asks])
@pytest.mark.parametrize("rule", RULES)
def test_a_good_driver_of_somebody_else_keeps_every_rule(rule: str, kind: type[Sounder]) -> None:
    getattr(sounder(kind), rule)()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Raises, "test_garbage_is_counted_and_what_follows_is_read"),
        (Raises, "test_any_chunking_gives_the_same_samples"),
        (WantsWholeMessages, "test_any_chunking_gives_the_same_samples"),
        (Remembers, "test_memory_is_bounded_under_endless_garbage"),
        (LooksBack, "test_the_cost_of_a_step_grows_with_its_bytes_and_not_with_the_past"),
        (ReadsAClock, "test_a_step_reads_no_clock_and_opens_nothing"),
        (OpensAFile, "test_a_step_reads_no_clock_and_opens_nothing"),
        (ForgetsRadians, "test_samples_are_finite_and_in_si"),
        (StampsItself, "test_stamps_are_receive_times_and_do_not_go_back"),
        (IsSilentlyHappy, "test_health_names_a_silent_required_sensor"),
        (CountsNothing, "test_counters_add_up"),
        (Spins, "test_the_next_deadline_moves_on"),
        (Dices, "test_same_bytes_same_samples"),
        (AsksOnce, "test_questions_are_answered_and_the_answers_read"),
        (AsksWrongly, "test_questions_are_answered_and_the_answers_read"),
        (Interrupts, "test_a_device_that_must_be_asked_has_a_peer"),
        (Imagines, "test_a_device_that_falls_silent_is_asked_on_and_heard_again"),
        (GivesUp, "test_bent_answers_never_raise_and_the_next_are_read"),
    ],
)
def test_a_driver_that_breaks_a_rule_is_found(kind: type[Sounder], rule: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        getattr(sounder(kind), rule)()

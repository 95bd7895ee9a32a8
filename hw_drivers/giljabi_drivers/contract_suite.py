"""The contract every driver must keep, as tests: derive a class, name a case, and let pytest collect it.

    class TestMyDriver(DriverContract):
        case = DriverCase("mine", "ship", "sonar", golden=[...], expected=[...])

Nothing here knows a device. docs/add_a_driver.md has a whole example.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from random import Random
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

from giljabi.registry import build_driver
from giljabi.safety.guard import build_guard
from giljabi.types import Sample
from giljabi_drivers.contract import Asked, Driver, DriverStats, Received
from giljabi_drivers.contract_case import Answer, DriverCase, converse, differences, insane, play, same

SIZES = (0, 1, 2, 3, 7, 64)
FLIPS_MAX, PREFIXES_MAX = 600, 200
GARBAGE_BYTES, MEMORY_MAX = 1 << 20, 256 << 10
RELEASED, DRIVEN = 0, 1  # orders of a chain's joints
REASONS_MAX = 100  # names in each of the counters: a flood of odd messages must not grow them
CLOCKS = ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "process_time", "sleep")
FORBIDDEN_EVENTS = ("open", "os.system", "subprocess.Popen", "socket.connect", "socket.__new__", "os.listdir")


class _Watch:
    """Notes what a step opens, while it is on; an audit hook cannot be taken away again."""

    on = False
    seen: ClassVar[list[str]] = []
    hooked = False

    @classmethod
    def audit(cls, event: str, args: tuple[Any, ...]) -> None:
        if cls.on and event in FORBIDDEN_EVENTS:
            cls.seen.append(f"{event} {args[:1]}")

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[list[str]]:
        if not cls.hooked:
            cls.hooked = True
            sys.addaudithook(cls.audit)
        cls.seen.clear()
        cls.on = True
        try:
            yield cls.seen
        finally:
            cls.on = False


class DriverContract:
    """Derive, set `case`, done."""

    case: ClassVar[DriverCase]

    # --- golden bytes -------------------------------------------------------------------------------

    def test_golden_bytes_give_the_expected_samples(self) -> None:
        case, driver = self.case, self.case.build()
        got = play(case, driver, case.golden)
        assert case.expected, "a case without expected samples shows nothing"
        assert not differences(got, case.expected, case.tolerance), differences(got, case.expected, case.tolerance)
        assert driver.stats.accepted > 0
        assert driver.stats.rejected == {}

    def test_any_chunking_gives_the_same_samples(self) -> None:
        case = self.case
        sizes: list[int | Random] = [*SIZES, *(Random(seed) for seed in range(20))]
        for size in sizes:
            driver = case.build()
            wrong = differences(play(case, driver, case.golden, size), case.expected, case.tolerance)
            assert not wrong, f"in chunks of {size}: {wrong}"
            assert driver.stats.rejected == {}, f"in chunks of {size}"

    def test_same_bytes_same_samples(self) -> None:
        """Two drivers in one process, one after the other: no hidden state, no randomness."""
        noisy = _mutated(self.case, Random(5))
        first, second = (play(self.case, self.case.build(), noisy) for _ in range(2))
        assert [repr(s) for s in first] == [repr(s) for s in second]

    def test_stamps_are_receive_times_and_do_not_go_back(self) -> None:
        case, driver = self.case, self.case.build()
        times = {r.t for dt in (0.0, case.end + 1.0) for r in case.later(dt)}
        newest: dict[tuple[type, str], float] = {}
        for k, dt in enumerate((0.0, case.end + 1.0)):
            for s in play(case, driver, case.later(dt, k)):
                assert any(abs(s.t - t) < 1e-9 for t in times), f"{s} has a stamp at which nothing was received"
                assert s.t >= newest.get((type(s), s.source), -1e18), f"{s} is older than the one before"
                newest[type(s), s.source] = s.t
        for message, t in driver.stats.last_t.items():
            assert any(abs(t - x) < 1e-9 for x in times), f"stats.last_t[{message!r}]"

    def test_samples_are_finite_and_in_si(self) -> None:
        _sane(play(self.case, self.case.build(), self.case.golden), True, "golden bytes")

    # --- bad bytes ----------------------------------------------------------------------------------

    def test_garbage_is_counted_and_what_follows_is_read(self) -> None:
        case = self.case
        for seed in range(10):
            driver, rng = case.build(), Random(seed)
            garbage = _garbage(case, rng, 0.0, 4096)
            _sane(play(case, driver, garbage), case.checked, f"garbage (seed {seed})")
            counted = sum(driver.stats.rejected.values()) + driver.stats.accepted
            assert counted > 0, "4096 bytes of garbage, and nothing was counted"
            # What garbage left half open may cost the first message after it, not the second.
            dt = case.end + 10.0
            play(case, driver, case.later(dt, 1))
            again = play(case, driver, case.later(2 * dt, 2))
            wanted = _at(case, 2 * dt)
            missing = [e for e in wanted if not any(type(g) is type(e) and g.source == e.source for g in again)]
            assert not missing, f"after garbage (seed {seed}) these no longer come: {missing}"

    def test_truncated_messages_never_raise(self) -> None:
        case = self.case
        for r in case.golden:
            for n in _some(range(len(r.data)), PREFIXES_MAX):
                driver = case.build()
                got = play(case, driver, [replace(r, data=r.data[:n]), *case.later(r.t + case.end, 1)])
                _sane(got, case.checked, f"{n} bytes of {r.data!r}")

    def test_flipped_bits_never_raise_and_give_nothing_insane(self) -> None:
        case = self.case
        for k, r in enumerate(case.golden):
            for bit in _some(range(8 * len(r.data)), max(FLIPS_MAX // len(case.golden), 40)):
                data = bytearray(r.data)
                data[bit // 8] ^= 1 << bit % 8
                bent = [*case.golden[:k], replace(r, data=bytes(data)), *case.golden[k + 1 :]]
                _sane(play(case, case.build(), bent), case.checked, f"chunk {k} with bit {bit} flipped")

    def test_counters_add_up(self) -> None:
        """Every message is accepted or rejected once; counters never go back; what is ignored was accepted."""
        case, driver = self.case, self.case.build()
        play(case, driver, case.golden)
        one = driver.stats.accepted
        play(case, driver, case.later(case.end + 1.0, 1))
        stats = driver.stats
        assert stats.accepted == 2 * one, f"{one} messages the first time, {stats.accepted - one} the second"
        last = _counts(stats)
        rng = Random(3)
        for k in range(20):
            chunk = _garbage(case, rng, 3 * case.end + k, 512)
            play(case, driver, chunk)
            now = _counts(stats)
            assert all(now[key] >= n for key, n in last.items()), "a counter went back"
            if case.is_can:
                added = sum(v for key, v in now.items() if key[0] in ("accepted", "rejected"))
                added -= sum(v for key, v in last.items() if key[0] in ("accepted", "rejected"))
                assert added == len(chunk), f"{len(chunk)} frames, {added} counted"
            last = now
        assert sum(stats.ignored.values()) <= stats.accepted
        assert all(isinstance(n, int) and n > 0 for _, n in _counts(stats).items() if n)

    def test_memory_is_bounded_under_endless_garbage(self) -> None:
        case, driver, rng = self.case, self.case.build(), Random(11)
        self._flood(driver, rng, GARBAGE_BYTES // 4, 0.0)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            self._flood(driver, rng, GARBAGE_BYTES, 1000.0)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < MEMORY_MAX, f"{grown} bytes more after {GARBAGE_BYTES} bytes of garbage"
        for counter in (driver.stats.rejected, driver.stats.ignored, driver.stats.flagged, driver.stats.last_t):
            assert len(counter) <= REASONS_MAX, f"{len(counter)} names in a counter of {case.name}"

    def _flood(self, driver: Driver, rng: Random, size: int, t: float) -> None:
        """Random bytes and bent golden ones in turn."""
        case, fed, k = self.case, 0, 0
        while fed < size:
            t += 0.01
            k += 1
            chunks = _garbage(case, rng, t, 2048) if k % 2 else [replace(r, t=t) for r in _mutated(case, rng)]
            driver.step(t, chunks)
            fed += max(sum(len(r.data) for r in chunks), 1)

    # --- time ---------------------------------------------------------------------------------------

    def test_the_next_deadline_moves_on(self) -> None:
        """A step at its deadline, a moment late as in real life, must not ask for the same moment again."""
        case, driver = self.case, self.case.build()
        for r in case.golden:
            result = driver.step(r.t, (r,) if r.data else ())
            assert result.next_deadline == result.next_deadline, "next_deadline is NaN"
        now = case.golden[-1].t
        for _ in range(50):
            deadline = driver.step(now, ()).next_deadline
            assert deadline > now, f"at {now} s it wants to be stepped at {deadline} s: a busy loop"
            if deadline == float("inf"):
                break
            now = deadline + 1e-3

    def test_a_step_reads_no_clock_and_opens_nothing(self) -> None:
        case = self.case
        play(case, case.build(), case.golden)  # what is imported late is imported now
        driver = case.build()
        with _no_clocks(driver), _Watch.opened() as seen:
            play(case, driver, case.golden)
            driver.health(case.end)
        assert seen == []

    def test_the_cost_of_a_step_grows_with_its_bytes_and_not_with_the_past(self) -> None:
        """Counted in calls, so that it does not depend on the machine; inside C++ it sees nothing."""
        case = self.case
        costs = []
        for n in (20, 40):
            driver, t = case.build(), 0.0
            play(case, driver, case.golden)
            chunks = [replace(r, t=case.end + k) for k in range(n) for r in case.golden]
            costs.append(_calls(driver, case.end + n, chunks))
        assert costs[1] <= 2.5 * costs[0] + 200, f"{costs[0]} calls for 20 messages, {costs[1]} for 40"
        driver, rng, t = case.build(), Random(1), 0.0
        early = late = 0
        for k in range(400):
            t += 0.05
            driver.step(t, _garbage(case, rng, t, 256))
            if k in (20, 399):
                t += case.settle_s
                driver.step(t, ())
                early, late = late, _calls(driver, t + 0.01, ())
        assert late <= 1.5 * early + 50, f"an empty step: {early} calls at first, {late} later"

    # --- commands -----------------------------------------------------------------------------------

    def test_the_encode_table_is_one_that_the_guard_takes(self) -> None:
        table = self.case.build().encode_table()
        if table is None:
            return
        assert table.device == self.case.driver
        platform = self.case.loaded
        tables = [t for n in platform.model.drivers if (t := build_driver(platform, n).encode_table()) is not None]
        assert build_guard(platform, tables).step(0.0) is not None
        assert self.case.build().encode_table() == table, "two drivers of one file give two tables"

    def test_frames_change_with_value_and_counter(self) -> None:
        from giljabi._core.guard import WireEncoder

        table = self.case.build().encode_table()
        if table is None or table.chain is not None:
            return
        actuators = self.case.loaded.model.actuators
        limits = {n: (a.min, a.max) for n, a in actuators.items()}

        def encode(name: str, values: dict[str, float], k: int = 0) -> bytes:
            return WireEncoder(table, limits).encode(
                name, values, True, k
            )  # a fresh one: some links count by themselves

        for message in table.messages:
            low, high = ({n: limit[i] for n, limit in limits.items()} for i in (0, 1))
            high |= {n: 0.0 for n, a in actuators.items() if a.wraps}  # its ends are one angle
            if any(f.source == "value" for f in message.fields):
                assert encode(message.name, low) != encode(message.name, high), message.name
            if message.counter is not None:
                frames = [encode(message.name, high, k) for k in range(2**message.counter.length)]
                assert len(set(frames)) == len(frames), f"{message.name} repeats a frame within its counter"

    def test_goals_of_a_chain_go_out_only_when_it_is_driven(self) -> None:
        table = self.case.build().encode_table()
        if table is None or table.chain is None:
            return
        actuators = self.case.loaded.model.actuators
        limits = [(actuators[f.actuator].min, actuators[f.actuator].max) for f in table.messages[0].fields]

        def cycle(end: int, order: int) -> bytes:
            driver = self.case.build()
            play(self.case, driver, self.case.golden)
            mine = driver.encode_table()
            assert mine is not None
            assert mine.chain is not None
            return mine.chain.cycle(self.case.end + 1.0, [x[end] for x in limits], bytes([order] * len(limits)))

        assert cycle(0, DRIVEN) != cycle(1, DRIVEN), "goals do not reach the wire"
        assert cycle(0, RELEASED) == cycle(1, RELEASED), "a goal goes out although nobody drives"

    # --- devices that must be asked -----------------------------------------------------------------

    def test_a_device_that_must_be_asked_has_a_peer(self) -> None:
        driver = self.case.build()
        if not isinstance(driver, Asked):
            return
        assert self.case.peer is not None, "a driver that asks first needs `peer` in its case"
        assert driver.ask(1.0), "nothing is asked"
        assert not driver.ask(1.0 + 1e-5), "asked again while the answer is due"

    def test_questions_are_answered_and_the_answers_read(self) -> None:
        case = self.case
        if case.peer is None:
            return
        driver = case.build()
        samples, asked = converse(driver, case.peer(), 1.0, 1.0)
        assert len(asked) >= 2, "asked once and never again"
        _says(samples, case)
        assert driver.stats.rejected == {}

    def test_a_device_that_falls_silent_is_asked_on_and_heard_again(self) -> None:
        case = self.case
        if case.peer is None:
            return
        driver, answer = case.build(), case.peer()
        converse(driver, answer, 1.0, 0.5)
        converse(driver, _silent, 1.5, case.settle_s)
        samples, asked = converse(driver, _silent, 1.5 + case.settle_s, 3.0)
        assert not samples, f"nobody answers, and there is {samples[0]}"
        assert len(asked) >= 2, "a silent device is not asked any more"
        _says(converse(driver, answer, 5.0 + case.settle_s, 3.0)[0], case)

    def test_bent_answers_never_raise_and_the_next_are_read(self) -> None:
        case = self.case
        if case.peer is None:
            return
        driver, answer, rng = case.build(), case.peer(), Random(7)
        samples, _ = converse(driver, _bending(answer, rng), 1.0, 3.0)
        _sane(samples, case.checked, "bent answers")
        assert sum(driver.stats.rejected.values()) > 0, "bent answers, and none was counted"
        _says(converse(driver, answer, 5.0, 3.0)[0], case)

    # --- health -------------------------------------------------------------------------------------

    def test_health_names_a_silent_required_sensor(self) -> None:
        case = self.case
        required = {n: s for n, s in case.loaded.model.sensors.items() if s.driver == case.driver and s.required}
        for name, sensor in required.items():
            driver = case.build()
            driver.step(0.0, ())
            problems = driver.health(sensor.timeout_s + 0.01)
            assert _names(problems, name), f"'{name}' never spoke, and health says {dict(problems)}"
            last = max((s.t for s in play(case, driver, case.golden) if s.source == name), default=None)
            if last is not None and case.end - last < sensor.timeout_s:
                assert not _names(driver.health(case.end), name), f"'{name}' speaks, and health names it"
            if last is not None:
                now = max(last + sensor.timeout_s + 0.01, case.end)
                driver.step(now, ())
                assert _names(driver.health(now), name), f"'{name}' fell silent, and health says nothing"


def _says(samples: Sequence[Sample], case: DriverCase) -> None:
    """The newest sample of each kind is the newest expected one, but for the time."""
    for e in {(type(e), e.source): e for e in case.expected}.values():
        newest = next((s for s in reversed(samples) if type(s) is type(e) and s.source == e.source), None)
        assert newest is not None, f"the device answers, and there is no {type(e).__name__} of '{e.source}'"
        assert same(replace(newest, t=e.t), e, case.tolerance), f"{newest}, expected was {e}"


def _silent(now: float, question: bytes) -> Sequence[Received]:
    return ()


def _bending(answer: Answer, rng: Random) -> Answer:
    """Flips a bit in about half of the answers, and loses the end of some."""

    def bent(now: float, question: bytes) -> list[Received]:
        out = []
        for r in answer(now, question):
            data = bytearray(r.data)
            if data and rng.random() < 0.5:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            if rng.random() < 0.1:
                del data[len(data) // 2 :]
            out.append(replace(r, data=bytes(data)))
        return out

    return bent


def _sane(samples: Sequence[Sample], ranges: bool, what: str) -> None:
    wrong = [w for s in samples if (w := insane(s, ranges))]
    assert not wrong, f"after {what}: {wrong[0]}"


def _names(problems: Any, name: str) -> bool:
    return any(name in key or name in text for key, text in problems.items())


def _at(case: DriverCase, dt: float) -> list[Sample]:
    return [replace(e, t=e.t + dt) for e in case.expected]


def _garbage(case: DriverCase, rng: Random, t: float, size: int) -> list[Received]:
    """Random bytes, or frames with random identifiers (half of them of the golden ones) and data."""
    if not case.is_can:
        return [Received(t, rng.randbytes(size))]
    ids = [(r.can_id, r.flags) for r in case.golden]
    out = []
    for _ in range(max(size // 8, 1)):
        can_id, flags = rng.choice(ids) if rng.random() < 0.5 else (rng.randrange(0x800), 0)
        out.append(Received(t, rng.randbytes(rng.randint(0, 8)), can_id, flags=flags))
    return out


def _mutated(case: DriverCase, rng: Random) -> list[Received]:
    """The golden chunks with bytes changed, lost and repeated."""
    out = []
    for r in case.golden:
        data = bytearray(r.data)
        for _ in range(rng.randint(0, 3) if data else 0):
            k = rng.randrange(len(data)) if data else 0
            how = rng.randrange(3)
            if how == 0 and data:
                data[k] = rng.randrange(256)
            elif how == 1 and data:
                del data[k]
            else:
                data[k:k] = rng.randbytes(1)
        out.append(replace(r, data=bytes(data[:64] if r.can_id >= 0 else data)))
    return out


def _some(values: Sequence[int], most: int) -> list[int]:
    """All of a few, evenly spread ones of many."""
    n = len(values)
    return list(values) if n <= most else [values[k * n // most] for k in range(most)]


def _counts(stats: DriverStats) -> dict[tuple[str, str], int]:
    out = {("accepted", ""): stats.accepted}
    for name in ("rejected", "ignored", "flagged"):
        out |= {(name, reason): n for reason, n in getattr(stats, name).items()}
    return out


def _calls(driver: Driver, now: float, received: Sequence[Received]) -> int:
    """Function calls of one step, of Python and of C."""
    count = 0

    def look(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(look)
    try:
        driver.step(now, received)
    finally:
        sys.setprofile(None)
    return count


@contextmanager
def _no_clocks(driver: Driver) -> Iterator[None]:
    """Clocks raise: those of module time, and those that the driver's own modules imported by name."""

    def forbidden(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a step reads a clock")

    clocks = {getattr(time, name) for name in CLOCKS}
    packages = {cls.__module__.split(".")[0] for cls in type(driver).__mro__} - {"builtins"}
    modules = [m for n, m in sys.modules.items() if isinstance(m, ModuleType) and n.split(".")[0] in packages]
    with ExitStack() as stack:
        for name in CLOCKS:
            stack.enter_context(mock.patch.object(time, name, forbidden))
        for module in modules:
            for name, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__module__", None) == "time" and value in clocks:
                    stack.enter_context(mock.patch.object(module, name, forbidden))
        yield


__all__ = ["DriverCase", "DriverContract"]

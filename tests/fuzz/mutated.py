"""usage: python tests/fuzz/mutated.py TARGET [-runs=N] [-max_total_time=S] [-seed=N] [-artifact_prefix=P] [RECORDINGS]

Mutation of real recordings, without looking at coverage: many more inputs in the same time than guided.py. An input is
one step of the driver (or one call of the target) with one mutated buffer: 1 to 3 messages. A driver lives for a block
of 20,000 inputs. In every fourth block bits of whole messages are flipped and no checksum is mended: what the driver
accepts must be right by another implementation. Inputs that broke a promise are kept; `-again=FILE` steps them again.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from mutate import flipped, mutated
from seeds import seeds
from streams import Stream, streams
from targets import TARGETS, Target, look_into

from giljabi_drivers.contract import DriverStats, Received, StepResult

EPISODE = 64  # inputs that one driver sees where only bits are flipped
GROWS_MOST = 4 << 20  # bytes that a driver may hold after a block more than after its first inputs
Input = list[Received]


class BrokenPromise(Exception):
    """What does not hold, and the inputs since the driver was made."""

    def __init__(self, what: str, inputs: Sequence[Input]) -> None:
        super().__init__(what)
        self.inputs = inputs


def held(thing: Any) -> int:
    """Bytes of all objects that can be reached from it, code left out."""
    seen, todo, total = set(), [thing], 0
    while todo:
        x = todo.pop()
        if id(x) in seen or isinstance(x, (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)):
            continue
        seen.add(id(x))
        total += sys.getsizeof(x)
        todo.extend(gc.get_referents(x))
    return total


def inputs_of(stream: Stream, rng: random.Random, count: int, wrong: bool) -> Iterator[Input]:
    """count inputs with receive times that go on; wrong: whole messages with flipped bits, nothing else."""
    t, bodies = 0.0, stream.bodies
    for _ in range(count):
        parts = [rng.choice(bodies) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        if wrong:
            whole = [flipped(rng, stream.wrap(p)) for p in parts]
        else:
            mended = [stream.wrap(mutated(rng, p, bodies) if rng.random() < 0.7 else p) for p in parts]
            whole = [mutated(rng, p, mended) if rng.random() < 0.3 else p for p in mended]
            if rng.random() < 0.1:  # the same again, or the last one first
                whole = whole * 2 if rng.random() < 0.5 else whole[::-1]
        t += 0.01 if rng.random() < 0.9 else rng.choice((0.0, 0.3, 1.0, 6.0, 30.0))
        data, bus = b"".join(whole), rng.randrange(stream.lines)
        cut = rng.randrange(len(data) + 1) if rng.random() < 0.3 else len(data)
        yield [r for part in (data[:cut], data[cut:]) if part for r in stream.receive(part, t, bus)]


def give(driver: Any, received: Input, before: int) -> int:
    """Steps the driver; returns what it has counted, which never goes back."""
    now = received[-1].t if received else 0.0
    for sample in driver.step(now, received).samples:
        look_into(sample)
    counted: int = driver.stats.accepted + sum(driver.stats.rejected.values())
    assert counted >= before, "a count went back"
    return counted


def run_block(stream: Stream, seed: int, number: int, size: int) -> int:
    """Inputs of one block, always the same for seed and number; raises BrokenPromise. Returns how many."""
    rng = random.Random(f"{seed} {number}")
    wrong = stream.right is not None and number % 4 == 3
    done: list[Input] = []
    driver, counted, bytes_held = stream.make(), 0, 0
    try:
        for k, received in enumerate(inputs_of(stream, rng, size, wrong)):
            if wrong and k % EPISODE == 0:
                check_accepted(stream, driver, done)
                done, driver, counted = [], stream.make(), 0
            done.append(received)
            counted = give(driver, received, counted)
            if k == min(1000, size // 2):
                bytes_held = held(driver)
        driver.health(done[-1][-1].t + 100.0 if done[-1] else 100.0)
        grown = 0 if wrong else held(driver) - bytes_held
        assert grown <= GROWS_MOST, f"the driver holds {grown} bytes more than after its first inputs"
        if wrong:
            check_accepted(stream, driver, done)
    except Exception as e:
        raise BrokenPromise(f"{type(e).__name__}: {e}", done) from e
    return size


def check_accepted(stream: Stream, driver: Any, done: Sequence[Input]) -> None:
    """The driver has accepted no more than what is right by another implementation."""
    if driver.stats.accepted == 0 or stream.right is None:
        return
    lines = [b"".join(r.data for received in done for r in received if r.bus == n) for n in range(stream.lines)]
    right = sum(stream.right(line) for line in lines)
    assert driver.stats.accepted <= right, f"{driver.stats.accepted} messages accepted, {right} have a right checksum"


def shortened(stream: Stream, inputs: Sequence[Input]) -> Sequence[Input]:
    """The shortest end of the inputs, by doubling, that still raises in a fresh driver."""
    n = 1
    while n < len(inputs):
        driver = stream.make()
        try:
            for received in inputs[-n:]:
                give(driver, received, 0)
        except Exception:
            return inputs[-n:]
        n *= 2
    return inputs


def keep(prefix: str, seed: int, number: int, inputs: Sequence[Input]) -> Path:
    """Writes inputs as JSON, one step a line."""
    path = Path(f"{prefix}mutated-{seed}-{number}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as f:
        for received in inputs:
            f.write(json.dumps([[r.t, r.data.hex(), r.can_id, r.bus, r.flags] for r in received]) + "\n")
    return path


def again(stream: Stream, path: Path) -> None:
    """Steps kept inputs; raises what they break."""
    driver, done = stream.make(), []
    for line in path.read_text(encoding="utf-8").splitlines():
        received = [
            Received(t, bytes.fromhex(data), can_id, bus, flags) for t, data, can_id, bus, flags in json.loads(line)
        ]
        done.append(received)
        give(driver, received, 0)
    check_accepted(stream, driver, done)


class Call:
    """A target that is one function of bytes, as a driver."""

    def __init__(self, target: Target) -> None:
        self.stats = DriverStats()
        self._target = target

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Calls it with all that came."""
        self._target(b"".join(r.data for r in received))
        return StepResult(())

    def health(self, now: float) -> dict[str, str]:
        """Nothing to tell."""
        return {}


def stream_of(name: str, data_dir: Path | None) -> Stream:
    """A driver that lives on, or the target's function."""
    known = streams()
    if name in known:
        return known[name](data_dir)
    target = TARGETS[name]()
    return Stream(lambda: Call(target), seeds(name, data_dir), block=1000)


def campaign(name: str, stream: Stream, runs: int, seconds: float, seed: int, prefix: str) -> int:
    """Blocks until runs or seconds are over; prints what libFuzzer prints of its runs. Returns the exit code."""
    begin, done, number = time.monotonic(), 0, 0
    code = 0
    while done < runs and time.monotonic() - begin < seconds:
        try:
            done += run_block(stream, seed, number, min(stream.block, runs - done))
        except BrokenPromise as e:
            path = keep(prefix, seed, number, shortened(stream, e.inputs))
            print(f"{name}: broken promise: {e}; -again={path}")
            code = 1
            break
        number += 1
    print(f"stat::number_of_executed_units: {done}")
    print(f"stat::average_exec_per_sec: {done / max(time.monotonic() - begin, 1e-3):.0f}")
    print(f"stat::peak_rss_mb: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    return code


def main() -> int:
    """Options are those of libFuzzer that fuzz.sh gives; the ones that mean nothing here are passed over."""
    name, *rest = sys.argv[1:]
    options = dict(x[1:].split("=", 1) for x in rest if x.startswith("-") and "=" in x)
    folders = [Path(x) for x in rest if not x.startswith("-")]
    stream = stream_of(name, next((f for f in folders if (f / "nmea").is_dir()), None))
    if "again" in options:
        again(stream, Path(options["again"]))
        return 0
    runs, seconds = int(options.get("runs", "1000000")), float(options.get("max_total_time", "1e9"))
    return campaign(name, stream, runs, seconds, int(options.get("seed", "1")), options.get("artifact_prefix", "./"))


if __name__ == "__main__":
    sys.exit(main())

"""`giljabi check`: what a platform still lacks, before anybody tries to arm it. Nothing is written to any wire."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from giljabi.clock import StackClock
from giljabi.platform import Platform, load_platform
from giljabi.registry import build_driver, build_fast_loop, build_step
from giljabi.run import check_devices as device_urls
from giljabi.safety.guard import build_guard
from giljabi.safety.supervisor import sensor_words
from giljabi.steps import Estimator, FastLoop
from giljabi.types import BadInputError, Sample, StackState

if TYPE_CHECKING:
    from giljabi_drivers.contract import Driver
    from giljabi_drivers.transport_base import Transport

LISTEN_S = 3.0
PERIOD_S = 0.02
IN_FAST_LOOP = ("estimator", "controller")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    words: str
    required: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `giljabi check`."""
    parser.add_argument("platform", metavar="P", help="platform name or file")
    parser.add_argument(
        "--device", metavar="NAME=URL", action="append", default=[], help="another device for driver NAME"
    )
    parser.add_argument("--listen", metavar="S", type=_seconds, default=LISTEN_S, help="time for sensors to speak [s]")
    parser.add_argument("--no-devices", action="store_true", help="the file and what it names only; open nothing")
    parser.add_argument("--json", metavar="F", help="write the findings as JSON; - is standard output")
    parser.epilog = "example: giljabi check ship --device bridge=serial:/dev/ttyUSB2?baud=38400"


def run(args: argparse.Namespace) -> int:
    """Prints one line per finding; 0 when nothing that is required is missing, else 1."""
    platform = load_platform(args.platform)
    devices = {name: d.device for name, d in platform.model.drivers.items()} | device_urls(args.device, platform)
    findings, drivers = check_file(platform)
    if not args.no_devices:
        findings += check_devices(platform, drivers, devices, args.listen)
    findings.append(check_realtime())
    ready = all(f.ok for f in findings if f.required)
    if args.json:
        _write_json(args.json, {"platform": platform.name, "ready": ready, "findings": [asdict(f) for f in findings]})
    if args.json != "-":
        for f in findings:
            print(f"{'ok  ' if f.ok else 'MISS' if f.required else 'note'}  {f.what}: {f.words}")
        print("ready to arm as far as this can see" if ready else "not ready; what is marked MISS is missing")
    return 0 if ready else 1


def check_file(platform: Platform) -> tuple[list[Finding], dict[str, Driver]]:
    """Builds everything that the file names; raises BadInputError with file:line at the first part that is wrong."""
    m = platform.model
    drivers: dict[str, Driver] = {name: build_driver(platform, name) for name in m.drivers}
    tables = [t for d in drivers.values() if (t := d.encode_table()) is not None]
    build_guard(platform, tables)
    build_fast_loop(platform)
    steps = m.steps.rates()
    for step in steps:
        if m.fast_loop is None or step not in IN_FAST_LOOP:
            build_step(platform, step)
    count = sum(len(t.messages) for t in tables)
    sent = f"{len(m.actuators)} actuators in {count} messages"
    return [
        Finding("platform file", True, str(platform.file.path)),
        Finding("guard", True, sent),
        Finding("steps", True, ", ".join(dict.fromkeys(getattr(m.steps, s).kind for s in steps))),
    ], drivers


def check_devices(
    platform: Platform, drivers: Mapping[str, Driver], devices: Mapping[str, str], listen_s: float
) -> list[Finding]:
    """Opens every device, listens, and says which sensors were heard and whether there is an estimate."""
    from giljabi_drivers.contract import Asked
    from giljabi_drivers.transport import open_transport

    clock = StackClock()
    fast: FastLoop | None = build_fast_loop(platform)
    estimator: Estimator | None = None if fast else build_step(platform, "estimator")
    stamps: dict[str, float] = {}
    with ExitStack() as stack:
        transports = {n: stack.enter_context(closing(open_transport(url))) for n, url in devices.items()}
        received = dict.fromkeys(transports, 0)
        end = time.monotonic() + listen_s
        while True:
            now = clock.now()
            samples: list[Sample] = []
            for name, transport in transports.items():
                chunks = transport.read(now)
                received[name] += sum(len(c.data) for c in chunks)
                driver = drivers[name]
                samples.extend(driver.step(now, chunks).samples)
                if isinstance(driver, Asked) and (question := driver.ask(now)):
                    transport.write(question)
            for s in samples:
                stamps[s.source] = max(s.t, stamps.get(s.source, -math.inf))
            if fast is not None:
                fast.step(now, samples, StackState(now, "standby", False))
            elif estimator is not None:
                estimator.step(now, samples)
            if time.monotonic() >= end:
                break
            time.sleep(PERIOD_S)
        out = [_device(n, t, received[n], drivers[n], platform) for n, t in transports.items()]
        out += _sensors(platform, drivers, stamps, clock.now())
    problems = (fast or estimator).health(clock.now())  # type: ignore[union-attr]
    words = "; ".join(f"{k}: {v}" for k, v in problems.items())
    out.append(Finding("estimate", not problems, words or "there is one"))
    return out


def _device(name: str, transport: Transport, received: int, driver: Driver, platform: Platform) -> Finding:
    sends = driver.encode_table() is not None
    needed = sends or any(s.driver == name and s.required for s in platform.model.sensors.values())
    if transport.problem:
        return Finding(f"device {name}", False, f"{transport.url.text}: {transport.problem}", needed)
    rejected = sum(driver.stats.rejected.values())
    bad = "" if not rejected else "; refused " + ", ".join(f"{n} {r}" for r, n in driver.stats.rejected.items())
    words = f"{transport.url.text} is open, {received} bytes, {driver.stats.accepted} messages{bad}"
    return Finding(f"device {name}", True, words, needed)


def _sensors(
    platform: Platform, drivers: Mapping[str, Driver], stamps: Mapping[str, float], now: float
) -> list[Finding]:
    out = []
    for name, sensor in platform.model.sensors.items():
        said = drivers[sensor.driver].health(now).get(name, "")
        words = sensor_words(now, name, sensor, stamps.get(name), said)
        out.append(Finding(f"sensor {name}", not words, words.removeprefix(f"{name}: ") or "heard", sensor.required))
    return out


def check_realtime() -> Finding:
    """Whether the guard's thread may ask for SCHED_FIFO; it works without."""
    try:
        policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, policy, parameters)
    except OSError as e:
        return Finding("real time", False, f"no SCHED_FIFO ({e.strerror}); see docs/safety.md", required=False)
    return Finding("real time", True, "the guard's thread may run under SCHED_FIFO", required=False)


def _seconds(text: str) -> float:
    """argparse type: 0 to 600 s."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 600.0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; 0 to 600 s is expected")
    return value


def _write_json(target: str, result: dict[str, Any]) -> None:
    text = json.dumps(result, allow_nan=False)
    if target == "-":
        print(text)
        return
    try:
        with open(target, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    except OSError as e:
        raise BadInputError(f"--json {target}: {e.strerror}; a writable file is expected") from None

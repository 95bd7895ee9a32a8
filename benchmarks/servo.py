#!/usr/bin/env python3
"""Cycles of a chain of servos: goals of four bytes written, positions of four bytes read, beside other libraries.

usage: benchmarks/servo.py [--port TTY] [--baud B] [--n 20] [--seconds S] [--rounds N] [--json]

Method. The servos are simulated by a process of their own behind a pseudo-terminal (giljabi_sim.servo_pty); CPU is
that of this process alone, user and system, for each cycle. `ours` and `peers`: the terminal answers as fast as it can,
every library runs on the same one, in turns; best of N rounds. `paced_...`: bytes take their time on the wire; best of
N rounds, and its share of the wire's limit, which counts ten bits a byte and no return delay: instruction packets, then
all status packets. With --port a real chain (ids 1 to n; torque is not touched, goals are what the servos measured).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from giljabi._core.servo import Chain
from giljabi_drivers.servo_layout import position_chain
from giljabi_drivers.servo_tables import MODELS

TABLE = MODELS["xm430-w350"].table
COUNT = TABLE.radians
SILENT = -1
PATIENCE_S = 0.1  # of every library: the simulated chain shares the processors with everything else
Cycle = Callable[[Sequence[int]], Sequence[int]]  # goals to positions, raw


def cpu_s() -> float:
    """CPU of this process, its threads included."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


@contextmanager
def simulated(n: int, baud: int, paced: bool, *more: str) -> Iterator[str]:
    """A chain in a process of its own; gives the path of its terminal."""
    argv = [sys.executable, "-m", "giljabi_sim.servo_pty", "--n", str(n), "--baud", str(baud), "--still", *more]
    argv += [] if paced else ["--unpaced"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=10.0)


# --- libraries ------------------------------------------------------------------------------------


@contextmanager
def ours(port: str, baud: int, n: int, fast: bool = False) -> Iterator[Cycle]:
    """giljabi: one call a cycle."""
    from giljabi_drivers.transport import open_transport

    transport = open_transport(f"serial:{port}?baud={baud}")
    if transport.problem:
        raise OSError(f"{port}: {transport.problem}")
    chain = Chain(position_chain("dynamixel", TABLE, range(1, n + 1), baud, fast=fast, latency_s=PATIENCE_S))
    fd = transport.fileno()
    chain.exchange(fd)

    def cycle(goals: Sequence[int]) -> Sequence[int]:
        chain.exchange(fd, [(g - 2048) * COUNT for g in goals] or None)
        return [round(p / COUNT) + 2048 if p == p else SILENT for p in chain.values(0)]  # noqa: PLR0124

    yield cycle
    transport.close()


@contextmanager
def rustypot(port: str, baud: int, n: int) -> Iterator[Cycle]:
    """rustypot's controller of X-series servos."""
    from rustypot import Xl430PyController

    controller = Xl430PyController(serial_port=port, baudrate=baud, timeout=PATIENCE_S)
    ids = list(range(1, n + 1))

    def cycle(goals: Sequence[int]) -> Sequence[int]:
        controller.sync_write_goal_position(ids, list(goals))
        return list(controller.sync_read_present_position(ids))

    yield cycle
    if hasattr(controller, "close"):
        controller.close()


@contextmanager
def dynamixel_sdk(port: str, baud: int, n: int) -> Iterator[Cycle]:
    """The maker's library."""
    import dynamixel_sdk as sdk

    handler, packets = sdk.PortHandler(port), sdk.PacketHandler(2.0)
    handler.setBaudRate(baud) or handler.openPort()
    write, read = sdk.GroupSyncWrite(handler, packets, 116, 4), sdk.GroupSyncRead(handler, packets, 132, 4)
    for i in range(1, n + 1):
        read.addParam(i)

    def cycle(goals: Sequence[int]) -> Sequence[int]:
        write.clearParam()
        for i, goal in enumerate(goals):
            write.addParam(i + 1, list(goal.to_bytes(4, "little")))
        write.txPacket()
        read.txRxPacket()
        return [read.getData(i + 1, 132, 4) for i in range(len(goals))]

    yield cycle
    handler.closePort()


LIBRARIES: dict[str, Callable[[str, int, int], Any]] = {
    "ours": ours, "rustypot": rustypot, "dynamixel-sdk": dynamixel_sdk,
}  # fmt: skip


# --- measuring ------------------------------------------------------------------------------------


def same(got: Sequence[int], goals: Sequence[int]) -> bool:
    """Whether those that answered are at their goals."""
    return all(g in (goal, SILENT) for g, goal in zip(got, goals, strict=True))


def run(cycle: Cycle, n: int, seconds: float, start: Sequence[int] = ()) -> tuple[float, float]:
    """(cycles a second, CPU ms a cycle); (0, inf) when what comes back is wrong. start: goals that are kept."""
    base = list(start) if start else [2048] * n
    for _ in range(20):  # the other process wakes up
        cycle(base)
    k, begun, used = 0, time.monotonic(), cpu_s()
    goals, wrong = base, 0
    while time.monotonic() - begun < seconds:
        expected, goals = goals, base if start else [2048 + (k * 7 + i) % 500 for i in range(n)]
        got = cycle(goals)
        # A simulated servo is at its goal when it is read in the same cycle.
        wrong += not start and not (same(got, goals) or same(got, expected))
        k += 1
    took, used = time.monotonic() - begun, cpu_s() - used
    if wrong > 0.05 * k:  # the other process was held up: the answers are those of the cycles before
        return 0.0, float("inf")
    return k / took, 1e3 * used / k


def compare(n: int, baud: int, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """All libraries on one unpaced chain, in turns."""
    out: dict[str, dict[str, float]] = {}
    with simulated(n, baud, False) as port:
        for _ in range(rounds):
            for name, library in LIBRARIES.items():
                try:
                    with library(port, baud, n) as cycle:
                        rate, cpu = run(cycle, n, seconds)
                except ImportError:
                    continue
                best = out.setdefault(name, {"cycles_per_s": 0.0, "cpu_ms_per_cycle": float("inf")})
                best["cycles_per_s"] = max(best["cycles_per_s"], rate)
                best["cpu_ms_per_cycle"] = min(best["cpu_ms_per_cycle"], cpu)
    return out


def paced(n: int, baud: int, fast: bool, seconds: float, rounds: int, *more: str) -> dict[str, float]:
    """Ours against the wire's limit."""
    limit = 1.0 / Chain(position_chain("dynamixel", TABLE, range(1, n + 1), baud, fast=fast)).wire_time()
    best, least = 0.0, float("inf")
    with simulated(n, baud, True, *more) as port, ours(port, baud, n, fast) as cycle:
        for _ in range(rounds):
            rate, cpu = run(cycle, n, seconds)
            best, least = max(best, rate), min(least, cpu)
    return {"cycles_per_s": best, "wire_limit_hz": limit, "share": best / limit, "cpu_ms_per_cycle": least}


def main() -> int:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="servo.py", description="cycles of a chain of servos")
    parser.add_argument("--port", help="a real chain instead of the simulated one")
    parser.add_argument("--baud", type=int, default=1_000_000)
    parser.add_argument("--n", type=int, default=20, help="servos, ids 1 to n")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result: dict[str, Any] = {"n": args.n}
    if args.port:
        with ours(args.port, args.baud, args.n) as cycle:
            rate, cpu = run(cycle, args.n, args.seconds * args.rounds, cycle(()))
        result["port"] = {"cycles_per_s": rate, "cpu_ms_per_cycle": cpu}
    else:
        rows = compare(args.n, args.baud, args.seconds, args.rounds)
        result["ours"], result["peers"] = rows.pop("ours"), rows
        for row in rows.values():
            row["cpu_ratio"] = result["ours"]["cpu_ms_per_cycle"] / row["cpu_ms_per_cycle"]
        result["paced_1M_sync"] = paced(args.n, 1_000_000, False, args.seconds, args.rounds)
        result["paced_4M_fast_sync"] = paced(args.n, 4_000_000, True, args.seconds, args.rounds)
        result["paced_1M_one_silent"] = paced(args.n, 1_000_000, False, args.seconds, 2, "--silent", "5")
    result["load_average"] = os.getloadavg()[0]
    rows = [result[k] for k in result if isinstance(result[k], dict) and k != "peers"]
    if not all(math.isfinite(v) for row in (*rows, *result.get("peers", {}).values()) for v in row.values()):
        print("servo.py: no round without wrong answers; the machine is too busy to measure", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    rows = {k: v for k, v in result.items() if isinstance(v, dict) and k != "peers"} | result.get("peers", {})
    for key, row in rows.items():
        print(f"{key:22s} " + "  ".join(f"{n} {v:.4g}" for n, v in row.items()))
    print(f"load average {result['load_average']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

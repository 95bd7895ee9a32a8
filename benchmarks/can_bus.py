#!/usr/bin/env python3
"""CAN frames received, checked, decoded and counted, beside python-can and cantools in the same run.

usage: benchmarks/can_bus.py [--seconds S] [--rate N] [--json F|-]

Method. The traffic is a car's: 63 messages with checksum and counter, three of which are taken to samples. `virtual`:
one process, python-can's virtual bus is filled with frames, then emptied by each reader in turns; the peer is a
Notifier whose listener decodes with cantools and counts by identifier, and checks nothing. `socket`: a process sends
datagrams of python-can's udp_multicast on the loopback at --rate for --seconds; loss, order, wrong checksums and the
reader's share of a core; the peer gets the same for a quarter of the time. `afcan` is the same over vcan0 where there
is one. `jitter`: how far the interval of a 10 ms message is from 10 ms, by the kernel's stamps, out of the guard's
thread and out of python-can's send_periodic, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import multiprocessing
import os
import random
import select
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from giljabi.platform import load_platform, share_dir
from giljabi_drivers.can import CanDriver
from giljabi_drivers.contract import Received
from giljabi_drivers.transport import open_transport, pack_can

GROUP = "239.74.163.79"
OTHERS = 60  # messages that are checked, decoded and counted, and not taken
TAKEN = ("KINEMATICS", "WHEEL_SPEEDS", "STEER_ANGLE_SENSOR")
ROUND = 3072  # frames before the traffic begins again: every counter has gone round
BURST_S = 0.002  # frames go out in bursts of this length


# --- the traffic ------------------------------------------------------------------------------------


def car(folder: Path) -> CanDriver:
    """The car, with more messages in its database, all watched."""
    dbc = (share_dir() / "config/dbc/car.dbc").read_text()
    more = "".join(
        f"BO_ {1024 + i} X_{i}: 8 VEHICLE\n"
        ' SG_ A : 7|16@0- (0.01,0) [0|0] "m" AUTONOMY\n SG_ B : 23|16@0- (0.1,5) [0|0] "" AUTONOMY\n'
        ' SG_ C : 39|8@0+ (1,0) [0|0] "" AUTONOMY\n SG_ COUNTER : 51|4@0+ (1,0) [0|15] "" AUTONOMY\n'
        ' SG_ CHECKSUM : 63|8@0+ (1,0) [0|255] "" AUTONOMY\n\n'
        for i in range(OTHERS)
    )
    (folder / "bench.dbc").write_text(dbc.replace("BO_ 36 ", more + "BO_ 36 ", 1))
    text = (share_dir() / "config/platforms/car.yaml").read_text().replace("dbc: car.dbc", "dbc: bench.dbc")
    names = "".join(f"        X_{i}: {{period_s: 0.01}}\n" for i in range(OTHERS))
    (folder / "bench.yaml").write_text(
        text.replace("      commands:\n", f"      messages:\n{names}      commands:\n", 1)
    )
    return CanDriver(load_platform(folder / "bench.yaml"), "vehicle")


def traffic(driver: CanDriver) -> list[Received]:
    """A round of frames with right checksums and counters, numbered in their first two bytes."""
    rng = random.Random(1)
    by_name = driver.database.by_name
    others = [f"X_{i}" for i in range(OTHERS)]
    counters: dict[str, int] = {}
    out = []
    for n in range(ROUND):
        name = TAKEN[n // 16 % 3] if n % 16 == 0 else others[(n - n // 16 - 1) % OTHERS]
        m = by_name[name]
        data = bytearray(n.to_bytes(2, "big") + rng.randbytes(6))
        if name == "WHEEL_SPEEDS":
            data[2::2] = bytes(b & 0x7F for b in data[2::2])  # no wheel is faulty
        if m.counter is not None:
            data[6] = (data[6] & 0xF0) | counters.get(name, 0)
            counters[name] = (counters.get(name, 0) + 1) % 16
        out.append(Received(0.0, m.checker.put(bytes(data)) if m.checker is not None else bytes(data), m.can_id))
    return out


def send(fd_of: Callable[[], socket.socket], frames: list[bytes], rate: float, seconds: float, done: Any) -> None:
    """A process: sends at a steady rate, tells how many went out and how late the worst burst was."""
    s = fd_of()
    time.sleep(0.5)
    start, sent, late = time.monotonic(), 0, 0.0
    while (now := time.monotonic() - start) < seconds:
        due = min(int(now * rate), int(seconds * rate))
        late = max(late, now - sent / rate) if sent else late
        while sent < due:
            s.send(frames[sent % len(frames)])
            sent += 1
        time.sleep(max(0.0, BURST_S - (time.monotonic() - start - now)))
    done.put((sent, late))


def multicast_sender(port: int) -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    s.connect((GROUP, port))
    return s


def can_sender(channel: str) -> socket.socket:
    s = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    s.bind((channel,))
    return s


@contextlib.contextmanager
def sending(
    open_socket: Callable[[], socket.socket], frames: list[bytes], rate: float, seconds: float
) -> Iterator[Any]:
    """A sender process, from its start to its end; gives the queue with its word."""
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    p = context.Process(target=send, args=(open_socket, frames, rate, seconds, done), daemon=True)
    p.start()
    try:
        yield done
    finally:
        p.join(10.0)
        p.kill()


# --- readers ----------------------------------------------------------------------------------------


class Ours:
    """Transport and driver, as the drivers' process runs them; follows the numbers of the frames."""

    def __init__(self, driver: CanDriver, url: str) -> None:
        self.driver, self.transport = driver, open_transport(url)
        self.frames = self.disorder = self.samples = 0
        self.next: int | None = None
        self.follow = True

    def read(self) -> int:
        now = time.monotonic()
        got = self.transport.read(now)
        self.samples += len(self.driver.step(now, got).samples)
        for r in got if self.follow else ():
            number = r.data[0] << 8 | r.data[1]
            if self.next is not None and number != self.next:
                self.disorder += 1
            self.next = (number + 1) % ROUND
        self.frames += len(got)
        return len(got)


class Peer:
    """python-can's Notifier, decoding with cantools and counting by identifier."""

    def __init__(self, folder: Path, bus: Any) -> None:
        import can
        import cantools

        self.bus, self.frames = bus, 0
        self.counts: dict[int, int] = {}
        self._database: Any = cantools.database.load_file(folder / "bench.dbc", strict=False)
        self._can = can
        self.notifier: Any = None

    def start(self) -> None:
        self.notifier = self._can.Notifier(self.bus, [self._take], timeout=0.05)

    def _take(self, m: Any) -> None:
        self._database.decode_message(m.arbitration_id, m.data, decode_choices=False)
        self.counts[m.arbitration_id] = self.counts.get(m.arbitration_id, 0) + 1
        self.frames += 1

    def stop(self) -> None:
        self.notifier.stop()
        self.bus.shutdown()


# --- measurements -----------------------------------------------------------------------------------


def virtual(folder: Path, rounds: int = 3) -> dict[str, Any]:
    """Frames a second out of python-can's virtual bus, best of some rounds in turns."""
    import can

    driver = car(folder)
    frames = [can.Message(arbitration_id=r.can_id, data=r.data, is_extended_id=False) for r in traffic(driver)]
    best = {"ours": 0.0, "peer": 0.0}
    for k in range(rounds):
        sender = can.Bus(interface="virtual", channel=f"bench{k}")
        ours, peer = (
            Ours(driver, f"can:virtual/bench{k}"),
            Peer(folder, can.Bus(interface="virtual", channel=f"bench{k}")),
        )
        ours.follow = False  # the peer does not look at the order
        for m in frames:
            sender.send(m)
        start = time.perf_counter()
        while ours.frames < len(frames):
            ours.read()
        best["ours"] = max(best["ours"], len(frames) / (time.perf_counter() - start))
        start = time.perf_counter()
        peer.start()
        while peer.frames < len(frames):
            time.sleep(0.001)
        best["peer"] = max(best["peer"], len(frames) / (time.perf_counter() - start))
        peer.stop()
        ours.transport.close()
        sender.shutdown()
    out = {"ours_frames_per_s": best["ours"], "peer_frames_per_s": best["peer"], "ratio": best["ours"] / best["peer"]}
    return out | {"rejected": dict(driver.stats.rejected)}


def wire(
    folder: Path, url: str, open_socket: Callable[[], socket.socket], rate: float, seconds: float
) -> dict[str, Any]:
    """A paced sender process against our transport and driver: loss, order, wrong frames, share of a core."""
    driver = car(folder)
    ours = Ours(driver, url)
    packed = [pack_can(r, ours.transport.framing) for r in traffic(driver)]
    with sending(open_socket, packed, rate, seconds) as done:
        cpu, start, told, quiet = time.process_time(), time.monotonic(), None, 0
        while told is None or quiet < 5:
            select.select([ours.transport.fileno()], [], [], 0.05)
            quiet = 0 if ours.read() else quiet + 1
            if told is None and not done.empty():
                told = done.get()
        cpu, wall = time.process_time() - cpu, time.monotonic() - start
    sent, late = told
    ours.transport.close()
    return {
        "sent": sent,
        "received": ours.frames,
        "lost": sent - ours.frames,
        "out_of_order": ours.disorder,
        "dropped_by_kernel": ours.transport.rejected.get("kernel_overflow", 0),
        "rejected": dict(driver.stats.rejected),
        "counter_skipped": driver.stats.flagged.get("counter_skipped", 0),
        "samples": ours.samples,
        "cpu_share": cpu / wall,
        "cpu_us_per_frame": 1e6 * cpu / max(ours.frames, 1),
        "sender_late_max_ms": 1e3 * late,
        "seconds": seconds,
    }


def wire_peer(folder: Path, port: int, rate: float, seconds: float) -> dict[str, Any]:
    """The same for the peer, over the same datagrams."""
    import can

    driver = car(folder)
    packed = [pack_can(r, "can_msgpack") for r in traffic(driver)]
    bus: Any = can.Bus(interface="udp_multicast", channel=GROUP, port=port)
    member = struct.pack("=4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
    bus._multicast._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)  # it joins elsewhere only
    peer = Peer(folder, bus)
    with sending(partial(multicast_sender, port), packed, rate, seconds) as done:
        cpu, start = time.process_time(), time.monotonic()
        peer.start()
        sent, _ = done.get(timeout=seconds + 30.0)
        time.sleep(0.5)
        cpu, wall = time.process_time() - cpu, time.monotonic() - start
    peer.stop()
    return {
        "sent": sent,
        "received": peer.frames,
        "lost": sent - peer.frames,
        "cpu_share": cpu / wall,
        "cpu_us_per_frame": 1e6 * cpu / max(peer.frames, 1),
    }


def intervals(port: int, seconds: float, begin: Callable[[int], Callable[[], None]]) -> dict[str, float]:
    """How far intervals are from 10 ms [ms], by the kernel's receive stamps."""
    listener = open_transport(f"can:udp_multicast/{GROUP}?port={port}")
    stop = begin(port)
    stamps: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        select.select([listener.fileno()], [], [], 0.05)
        stamps += [r.t for r in listener.read(time.monotonic())]
    stop()
    listener.close()
    off = sorted(abs(b - a - 0.01) * 1e3 for a, b in itertools.pairwise(stamps[5:]))
    if len(off) < 10:
        return {"p50_ms": math.nan, "p99_ms": math.nan, "max_ms": math.nan, "n": len(off)}
    return {"p50_ms": statistics.median(off), "p99_ms": off[int(0.99 * len(off))], "max_ms": off[-1], "n": len(off)}


def guard_sends(port: int) -> Callable[[], None]:
    """A guard's thread with one message every 10 ms; returns what ends it."""
    from giljabi.safety.guard import GuardActuator, GuardConfig
    from giljabi.safety.guard_thread import GuardThread
    from giljabi.wire import EncodeTable, WireCounter, WireField, WireMessage

    message = WireMessage(
        "m", 0.01, (WireField("a", 100.0, length=16, signed=True),), can_id=0x300, counter=WireCounter(51, 4)
    )
    table = replace(EncodeTable("d", "can", (message,)), framing="can_msgpack")
    config = GuardConfig((GuardActuator("a", -1, 1, 9.0, 0.0, 9.0),), (table,), 100.0, 0.2, 0.4, 0.3)
    guard, s = GuardThread(config, 0), multicast_sender(port)
    guard.set_descriptor("d", s.fileno())

    def stop() -> None:
        guard.close()
        s.close()

    return stop


def peer_sends(port: int) -> Callable[[], None]:
    """python-can's send_periodic; returns what ends it."""
    import can

    bus = can.Bus(interface="udp_multicast", channel=GROUP, port=port)
    task = bus.send_periodic(can.Message(arbitration_id=0x300, data=bytes(8), is_extended_id=False), 0.01)

    def stop() -> None:
        task.stop()
        bus.shutdown()

    return stop


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def measure(seconds: float, rate: float) -> dict[str, Any]:
    """All figures of one run."""
    out: dict[str, Any] = {"load_1min": os.getloadavg()[0], "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out["virtual"] = virtual(folder)
        port = free_port()
        url = f"can:udp_multicast/{GROUP}?port={port}"
        out["socket"] = wire(folder, url, partial(multicast_sender, port), rate, seconds)
        out["socket_peer"] = wire_peer(folder, free_port(), rate, max(1.0, seconds / 4))
        out["socket_ratio_cpu"] = out["socket_peer"]["cpu_us_per_frame"] / out["socket"]["cpu_us_per_frame"]
        if Path("/sys/class/net/vcan0").exists() and hasattr(socket, "AF_CAN"):
            out["afcan"] = wire(folder, "can:socketcan/vcan0", partial(can_sender, "vcan0"), rate, seconds)
        else:
            out["afcan"] = None  # no vcan0 on this machine
        span = min(10.0, seconds)
        out["jitter"] = {
            "guard": intervals(free_port(), span, guard_sends),
            "send_periodic": intervals(free_port(), span, peer_sends),
        }
    out["load_1min_end"] = os.getloadavg()[0]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of the paced runs")
    parser.add_argument("--rate", type=float, default=16000.0, help="frames/s of the paced runs")
    parser.add_argument("--json", metavar="F", help="write one JSON object, - for standard output")
    args = parser.parse_args()
    if not 1.0 <= args.seconds <= 3600.0 or not 100.0 <= args.rate <= 1e6:
        print("--seconds 1 to 3600 and --rate 100 to 1000000 are expected", file=sys.stderr)
        return 2
    result = measure(args.seconds, args.rate)
    text = json.dumps(result)
    if args.json and args.json != "-":
        Path(args.json).write_text(text + "\n")
    print(text if args.json == "-" else json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

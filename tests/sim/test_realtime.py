"""`giljabi-sim-peers` as its own process: real bytes on real descriptors, in real time, and nothing left afterwards."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cantools
import pynmea2
import pytest

from giljabi_drivers.contract import Received
from giljabi_drivers.transport import Transport, open_transport, pack_can
from giljabi_sim.peers.can import crc8_j1850

Orders = Callable[[], dict[str, list[bytes]]]  # what to send, by device


class Peers:
    """The simulator's process in a folder of its own, and transports to its devices."""

    def __init__(self, folder: Path, scenario: str, *overrides: str) -> None:
        self.folder, self.truth_file = folder, folder / "truth.jsonl"
        argv = [sys.executable, "-m", "giljabi_sim.realtime", "--scenario", scenario, "--run-dir", str(folder)]
        argv += ["--truth", str(self.truth_file), *(f"--set={o}" for o in overrides)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.urls: dict[str, str] = json.loads(first) if first else {}
        self.lines: dict[str, Transport] = {name: open_transport(url) for name, url in self.urls.items()}
        self.received: dict[str, list[Received]] = {name: [] for name in self.urls}

    def play(
        self, until: Callable[[], Any], orders: Callable[[], dict[str, list[bytes]]] = dict, limit_s: float = 20.0
    ) -> Any:
        """Reads every device, sends orders ten times a second, until something is true; fails after a while."""
        deadline, due = time.monotonic() + limit_s, 0.0
        while not (value := until()):
            now = time.monotonic()
            assert now < deadline, "it does not happen"
            assert self.process.poll() is None, self.process.communicate()[1]
            if now >= due:
                due = now + 0.1
                for name, data in orders().items():
                    for chunk in data:
                        self.lines[name].write(chunk)
            for name, line in self.lines.items():
                self.received[name] += line.read(now)
            time.sleep(0.01)
        return value

    def truth(self) -> list[dict[str, Any]]:
        """Ground truth so far; the last line may be half written."""
        text = self.truth_file.read_text() if self.truth_file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def outcome(self) -> dict[str, Any]:
        """outcome.json."""
        out: dict[str, Any] = json.loads((self.folder / "outcome.json").read_text())
        return out

    def end(self, number: int = signal.SIGINT) -> int:
        """Signals and waits; returns the exit code."""
        for line in self.lines.values():
            line.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(10.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Peers]]:
    made: list[Peers] = []

    def make(scenario: str, *overrides: str) -> Peers:
        made.append(Peers(tmp_path, scenario, *overrides))
        return made[-1]

    yield make
    for p in made:
        p.end(signal.SIGKILL)
        for pipe in (p.process.stdout, p.process.stderr):
            if pipe is not None:
                pipe.close()


def sentence(body: str) -> bytes:
    total = 0
    for c in body.encode():
        total ^= c
    return f"${body}*{total:02X}\r\n".encode()


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_ship_speaks_and_obeys_on_its_terminals(start: Callable[..., Peers], side: float) -> None:
    p = start("ship_straight")
    orders = {"bridge": [sentence("AGPRC,100.0,A,,,,,B,0"), sentence(f"AGROR,{20.0 * side},A,,,B")]}
    p.play(lambda: p.truth() and p.truth()[-1]["t"] > 6.0, lambda: orders)
    lines = b"".join(r.data for r in p.received["bridge"]).decode().split("\r\n")
    said = [pynmea2.parse(line, check=True) for line in lines[1:-1]]  # the first and the last may be cut
    kinds = {s.sentence_type for s in said}
    assert {"GGA", "RMC", "HDT", "ROT", "RSA", "RPM", "VHW"} <= kinds
    rate = sum(s.sentence_type == "HDT" for s in said) / p.truth()[-1]["now"]
    assert 6.0 < rate < 11.0  # ten a second in real time, on a busy machine a little fewer
    # A starboard order is positive on the wire, negative about z (up), and the sensor reads it back.
    assert p.truth()[-1]["rudder"] == pytest.approx(-math.radians(20.0 * side), abs=0.03)
    rudder = float([s for s in said if s.sentence_type == "RSA"][-1].rsa_starboard)
    assert rudder == pytest.approx(20.0 * side, abs=1.5)
    assert p.truth()[-1]["x"] > p.truth()[0]["x"] + 0.5
    assert side * (p.truth()[-1]["yaw"] - p.truth()[0]["yaw"]) < -0.01


def test_without_orders_nothing_moves_and_the_scenarios_clock_stands(start: Callable[..., Peers]) -> None:
    p = start("ship_straight")
    p.play(lambda: p.truth() and p.truth()[-1]["now"] > 1.5)
    first, last = p.truth()[0], p.truth()[-1]
    assert last["t"] == 0.0
    assert (last["x"], last["y"], last["yaw"]) == (first["x"], first["y"], first["yaw"])
    assert p.outcome()["outcome"] == "running"


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_car_speaks_and_obeys_on_can(root: Path, start: Callable[..., Peers], side: float) -> None:
    db: Any = cantools.database.load_file(root / "config" / "dbc" / "car.dbc")
    p = start("car_straight")
    counter = 0

    def frame(name: str, **values: float) -> bytes:
        message = db.get_message_by_name(name)
        all_values = {s.name: 0 for s in message.signals} | values | {"COUNTER": counter % 16, "ENABLE": 1}
        data = bytearray(message.encode(all_values, strict=False))
        data[-1] = crc8_j1850(message.frame_id, bytes(data))
        return pack_can(Received(0.0, bytes(data), message.frame_id), p.lines["vehicle"].framing)

    def orders() -> dict[str, list[bytes]]:
        nonlocal counter
        counter += 1
        steering, drive = (
            frame("STEERING_COMMAND", ANGLE_REQUEST=5.0 * side),
            frame("DRIVE_COMMAND", FORCE_REQUEST=2500.0),
        )
        return {"vehicle": [steering, drive]}

    p.play(lambda: p.truth() and p.truth()[-1]["t"] > 3.0, orders)
    frames = p.received["vehicle"]
    ids = {r.can_id for r in frames}
    known = {m.frame_id: m for m in db.messages}
    assert ids <= set(known)
    assert len(ids) >= 3
    last = p.truth()[-1]
    assert last["steering"] == pytest.approx(math.radians(5.0 * side), abs=0.01)  # positive to the left, both sides
    assert side * (last["yaw"] - p.truth()[0]["yaw"]) > 0.02
    assert math.hypot(last["vx"], last["vy"]) > 1.5
    assert p.received["receiver"], "no GNSS on the terminal"
    # What came over the bus is the plant's speed.
    wheels = db.get_message_by_name("WHEEL_SPEEDS")
    values = wheels.decode([r for r in frames if r.can_id == wheels.frame_id][-1].data)
    for wheel in ("FL", "FR", "RL", "RR"):
        assert float(values[f"WHEEL_SPEED_{wheel}"]) / 3.6 == pytest.approx(math.hypot(last["vx"], last["vy"]), abs=0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_the_outcome_alone(
    start: Callable[..., Peers], tmp_path: Path, number: int
) -> None:
    p = start("ship_straight")
    terminals = [os.readlink(tmp_path / name) for name in ("bridge", "ais")]
    p.play(p.truth)
    assert p.end(number) == 0
    assert sorted(f.name for f in tmp_path.iterdir()) == ["devices.json", "mission.json", "outcome.json", "truth.jsonl"]
    assert p.outcome()["outcome"]
    held = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink() and fd.exists()]
    assert not [t for t in terminals if t in held]
    assert p.process.stderr is not None
    assert p.process.stderr.read() == ""


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "giljabi_sim.realtime", "--scenario", "ship_straight", "--run-dir", str(tmp_path)]
    code = f"import subprocess, time; p = subprocess.Popen({argv!r}); print(p.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    deadline = time.monotonic() + 20.0
    while not (tmp_path / "devices.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait(5.0)
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z":
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.05)
    assert not (tmp_path / "bridge").is_symlink()
    parent.stdout.close()


def test_a_step_is_asked_to_stall_and_a_node_that_obeys_has_met_the_fault(
    start: Callable[..., Peers], tmp_path: Path
) -> None:
    fault = "faults=[{what: silent, where: planner, begin: 0.5, end: 2.5}]"
    p = start("ship_planner_silent", fault, "start={x: 0.0, y: 0.0, speed: 2.0}")
    stalls = tmp_path / "stalls.json"
    p.play(stalls.exists)
    assert json.loads(stalls.read_text()) == ["planner"]
    assert p.play(lambda: p.outcome().get("faults"))[0]["consumed"] is False  # nobody has obeyed yet
    (tmp_path / "stalled.planner").touch()
    p.play(lambda: p.outcome()["faults"][0]["consumed"])
    p.play(lambda: json.loads(stalls.read_text()) == [])
    assert p.truth()[-1]["t"] == pytest.approx(2.5, abs=0.5)
    assert p.end() == 0
    assert not stalls.exists()
    assert not (tmp_path / "stalled.planner").exists()


def test_a_silent_line_and_lost_commands_are_met_in_real_time(start: Callable[..., Peers]) -> None:
    faults = "faults=[{what: silent, where: ais, begin: 0.0}, {what: silent, where: gnss, begin: 1.5}]"
    p = start("ship_crossing", faults, "start={x: 0.0, y: 0.0, speed: 2.0}")
    p.play(lambda: p.truth() and p.truth()[-1]["t"] > 4.0)
    assert p.received["ais"] == []
    lines = b"".join(r.data for r in p.received["bridge"]).decode().split("\r\n")
    fixes = [pynmea2.parse(line, check=True) for line in lines[1:-1] if line[3:6] == "GGA"]
    assert int(fixes[0].gps_qual) > 0
    assert int(fixes[-1].gps_qual) == 0  # the receiver speaks on, without a position
    p.play(lambda: all(f["consumed"] for f in p.outcome()["faults"]))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--scenario", "nowhere"], "nowhere"),
        (["--scenario", "ship_straight", "--set", "seed=x"], "seed"),
        (["--scenario", "ship_straight", "--no-such-option"], "--no-such-option"),
        ([], "--scenario"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(tmp_path: Path, args: list[str], said: str) -> None:
    argv = [sys.executable, "-m", "giljabi_sim.realtime", *args, "--run-dir", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr

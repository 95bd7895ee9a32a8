"""Inputs to begin with: real recordings where there are any, else our own files, in each target's own form."""

from __future__ import annotations

import gzip
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import can
import marine_targets
import mavlink_targets
import numpy as np

from giljabi._core.servo import Codec
from giljabi.platform import share_dir
from giljabi_drivers.can_frames import pack_msgpack, pack_socketcan
from giljabi_drivers.contract import Received
from giljabi_drivers.recordings import read_recording
from giljabi_sim.peers.servo_bus import Family, ServoBus

ROOT = Path(__file__).resolve().parents[2]
HARBOUR, BLOCK = ROOT / "examples/data/harbour.nmea.gz", ROOT / "examples/data/block.candump.gz"
NMEA_HEAD = b"\x01\x10"  # options of the nmea targets; of `recording`, a .log


def nmea(data_dir: Path | None) -> Iterator[bytes]:
    """Pieces of logs."""
    for path in sorted((data_dir / "nmea").glob("*.log")) if data_dir else ():
        content = path.read_bytes()
        for at in range(0, min(len(content), 20000), 1000):
            yield NMEA_HEAD + content[at : at + 1000]
    yield NMEA_HEAD + gzip.decompress(HARBOUR.read_bytes())[:1500]


def ais(data_dir: Path | None) -> Iterator[bytes]:
    """Payloads, one a line, moved so that the target's mapping gives them back."""
    paths = sorted((data_dir / "nmea").glob("*ais*.log")) if data_dir else []
    text = b"".join(p.read_bytes() for p in paths) + gzip.decompress(HARBOUR.read_bytes())
    lines = [m.group(1) for m in re.finditer(rb"VDM,\d,\d,\d?,[AB]?,([^,]+),", text)]
    for at in range(0, min(len(lines), 400), 4):
        yield b"\n".join(bytes((b - 48) % 72 for b in x) for x in lines[at : at + 4])


def trace(count: int) -> list[Received]:
    """The first frames of our own CAN trace."""
    return [r for r, _ in zip(read_recording(BLOCK), range(count), strict=False)]


def can_driver(data_dir: Path | None) -> Iterator[bytes]:
    """Frames with right checksums."""
    for at in range(0, 400, 40):
        part = trace(at + 40)[at:]
        yield b"".join(r.can_id.to_bytes(2, "big") + bytes([len(r.data)]) + r.data for r in part)


def can_datagram(data_dir: Path | None) -> Iterator[bytes]:
    """The two kinds of datagrams."""
    for r in trace(3):
        yield from (pack_msgpack(r), pack_socketcan(r))


def recording(data_dir: Path | None) -> Iterator[bytes]:
    """Logs, and one trace in each format, written by python-can."""
    for data in list(nmea(data_dir))[::40]:
        yield bytes([0]) + data[2:]
    yield bytes([1]) + gzip.decompress(BLOCK.read_bytes())[:1500]
    with tempfile.TemporaryDirectory() as folder:
        for k, suffix in ((2, ".asc"), (3, ".trc"), (4, ".blf")):
            path = Path(folder) / f"seed{suffix}"
            with can.Logger(path) as log:
                for r in trace(30):
                    log(
                        can.Message(
                            timestamp=r.t, arbitration_id=r.can_id, data=r.data, is_extended_id=False, channel=1
                        )
                    )
            yield bytes([k]) + path.read_bytes()


def dbc(data_dir: Path | None) -> Iterator[bytes]:
    """Messages one by one behind a head of their own, and the attributes."""
    head = b'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: XXX VEHICLE COMPUTER\n\n'
    for path in sorted((share_dir() / "config/dbc").glob("*.dbc")):
        blocks = re.split(rb"\n(?=BO_ |CM_ |BA_|VAL_ )", path.read_bytes())
        messages = [b for b in blocks if b.startswith(b"BO_ ")]
        for m in messages:
            yield b"\x00" + head + m + b"\n"
        rest = b"\n".join(b for b in blocks[1:] if not b.startswith(b"BO_ "))
        yield b"\x00" + head + messages[0] + b"\n" + rest[:3000] + b"\n"


def servo() -> Iterator[bytes]:
    """What simulated servos answer; in front, as the target wants it, family and chunking."""
    families: tuple[Family, ...] = ("dynamixel", "feetech_sts", "feetech_scs")
    for kind in range(6):
        family = families[kind // 2]
        bus, ask = ServoBus(family, [1, 2, 3], 1e6), Codec(family)
        asked = ask.sync_read(132 if kind < 2 else 56, 4, [1, 2, 3], fast=kind == 1)
        answers = b""
        for k, question in enumerate((asked, ask.plain(1, 1), ask.read(2, 0, 8), asked)):
            bus.receive(0.1 * k, question)
            answers += b"".join(bus.take(0.1 * k + 0.09))
        yield bytes([kind, len(answers) // 3]) + answers


def files(pattern: str) -> Iterator[bytes]:
    """Our own files, whole."""
    for path in sorted((share_dir() / "config").glob(pattern)):
        yield b"\x00" + path.read_bytes()


def joint_trajectory() -> Iterator[bytes]:
    """One of each kind of file."""
    yield b"\x00t,a,b\n0,0.1,0.2\n0.5,0.3,-0.4\n2.0,0,0\n"
    yield b"\x01joint_names: [a]\npoints:\n- {positions: [0.1], time_from_start: {sec: 0, nanosec: 5}}\n"
    yield b"\x01joint_names: [a]\npoints: [{positions: [1], time_from_start: 1}]\n"


def noise(count: int, least: int, more: int = 0) -> list[bytes]:
    """Long enough for targets that make their inputs out of any bytes."""
    return [np.random.default_rng(i).bytes(least + more * i) for i in range(count)]


def seeds(name: str, data_dir: Path | None) -> list[bytes]:
    """Seeds of one target; unknown targets begin with nothing."""
    own: dict[str, Callable[[], Iterable[bytes]]] = {
        "nmea": lambda: nmea(data_dir), "nmea_driver": lambda: nmea(data_dir), "nmea_decode": lambda: nmea(data_dir),
        "ais": lambda: ais(data_dir), "can_driver": lambda: can_driver(data_dir),
        "can_datagram": lambda: can_datagram(data_dir), "can": lambda: can_datagram(data_dir), "servo": servo,
        "recording": lambda: recording(data_dir), "dbc": lambda: dbc(data_dir),
        "platform_file": lambda: files("platforms/*.yaml"), "scenario_file": lambda: files("scenarios/*.yaml"),
        "joint_trajectory": joint_trajectory,
        "mission_file": lambda: files("missions/*.yaml"),
        "guard": lambda: noise(20, 300), "velocity_fence": lambda: noise(20, 300), "mavlink": lambda: noise(20, 300),
        "solver": lambda: noise(60, 100, 20), "solver_outside": lambda: noise(60, 100, 20),
    }  # fmt: skip
    return list(own[name]()) if name in own else marine_targets.seeds(name) or mavlink_targets.seeds(name)


if __name__ == "__main__":  # usage: python tests/fuzz/seeds.py TARGET FOLDER [RECORDINGS]
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(seeds(target, Path(sys.argv[3]) if len(sys.argv) > 3 else None)):
        (folder / f"seed-{i:04d}").write_bytes(data)

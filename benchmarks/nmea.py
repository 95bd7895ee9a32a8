#!/usr/bin/env python3
"""NMEA and AIS sentences a second, beside pynmea2 and pyais in the same run.

usage: benchmarks/nmea.py [FILE] [--rounds N] [--json F|-]        FILE: NMEA log, plain or gzip; default: a made one

Method. All readers get the same bytes, in turns, on one core; the figure is the best of N rounds each, and a ratio
compares figures of one run. `framed`: checked sentences; `fields`: with talker, type and all fields as text; `values`:
every field checked, named and in SI; `samples`: through the driver to SI. pynmea2 gets the lines already split, checks
the checksums, and gives its field list. For AIS both ends are the same: from bytes to position, speed and course,
checksums enforced (pyais decodes first and tells afterwards whether the checksum was right).
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from giljabi._core import nmea
from giljabi.platform import load_platform
from giljabi.types import BadInputError, GeoDetections
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver

CHUNK = 4096
PLATFORM = load_platform("ship")
EPOCHS = 2000


def made() -> bytes:
    """A bridge's line: two thousand epochs of eight sentences."""
    out = []
    for i in range(EPOCHS):
        clock = f"{i // 3600:02d}{i // 60 % 60:02d}{i % 60:02d}.00"
        lat, lon = f"{5954.1 + i * 1e-4:.5f}", f"0{1044.2 + i * 1e-4:.5f}"
        for body in (
            f"GPGGA,{clock},{lat},N,{lon},E,2,12,0.9,5.30,M,39.1,M,,",
            f"GPRMC,{clock},A,{lat},N,{lon},E,6.1,{i * 0.1 % 360:.1f},010626,,,D",
            "GPVTG,54.7,T,,M,6.1,N,11.3,K,D",
            "GPGSV,3,1,10,02,10,039,41,05,15,069,38,10,05,017,33,13,05,348,29",
            f"HEHDT,{i * 0.1 % 360:.1f},T",
            "TIROT,-3.2,A",
            "AGRSA,1.5,A,,V",
            "IIVHW,,T,,M,6.0,N,11.1,K",
        ):
            out.append(b"$%s*%02X\r\n" % (body.encode(), nmea.checksum(body)))
    return b"".join(out)


def made_ais() -> bytes:
    """Position reports, one in five a two-part static message."""
    position = b"!AIVDM,1,1,,B,13nUgBWP01PkHvDU7<kC4wvJ2>`<,0*27\r\n"
    static = (
        b"!AIVDM,2,1,7,A,53aGulD0000000c7?0918Tq<E>0<Q8U=@Tp400155P:22uG`002ShTj0,0*05\r\n"
        b"!AIVDM,2,2,7,A,EQC`4Sm51A0C@08,2*50\r\n"
    )
    return (position * 4 + static) * 2000


def chunks(data: bytes) -> list[bytes]:
    """As a serial line or a socket gives them."""
    return [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]


def framed(data: bytes) -> int:
    framer = nmea.Framer()
    return sum(len(framer.feed(c)) for c in chunks(data))


def with_fields(data: bytes) -> int:
    framer, n = nmea.Framer(), 0
    for c in chunks(data):
        for s in framer.feed(c):
            n += bool((s.talker, s.type, s.fields))
    return n


def to_values(data: bytes) -> int:
    framer, n = nmea.Framer(), 0
    for c in chunks(data):
        for s in framer.feed(c):
            n += s.values() is not None
    return n


def to_samples(data: bytes, driver: str = "bridge") -> int:
    """Sentences that went through the driver, the whole data arriving over 1000 s."""
    d = Nmea0183Driver(PLATFORM, driver)
    parts = chunks(data)
    for i, c in enumerate(parts):
        t = 1000.0 * i / len(parts)
        d.step(t, [Received(t, c)])
    return d.stats.accepted


def pynmea2_fields(data: bytes) -> int:
    import pynmea2

    n = 0
    for line in data.decode("ascii", "replace").splitlines():
        try:
            m = pynmea2.parse(line, check=True)
        except pynmea2.ParseError:
            continue
        n += bool((m.data, getattr(m, "talker", ""), m.identifier()))
    return n


def ais_ours(data: bytes) -> int:
    d = Nmea0183Driver(PLATFORM, "ais")
    n = 0
    for i, c in enumerate(chunks(data)):
        for s in d.step(float(i), [Received(float(i), c)]).samples:
            n += len(s.data) if isinstance(s, GeoDetections) else 0
    return d.stats.accepted if n else 0


def ais_pyais(data: bytes) -> int:
    from pyais import IterMessages

    n = 0
    for m in IterMessages(data.splitlines()):
        message: Any = m.decode()
        if not m.is_valid:
            continue
        if hasattr(message, "lat"):
            _ = message.lat, message.lon, message.speed, message.course, message.heading, message.mmsi
        n += 2 if message.msg_type == 5 else 1
    return n


def rate(work: Callable[[bytes], int], data: bytes, rounds: int) -> float:
    """Sentences a second, the best of some rounds; NaN when the peer is not installed."""
    best = math.inf
    n = 0
    for _ in range(rounds):
        start = time.perf_counter()
        try:
            n = work(data)
        except ImportError:
            return math.nan
        best = min(best, time.perf_counter() - start)
    return n / best


def measure(data: bytes, rounds: int) -> dict[str, Any]:
    """All figures of one run."""
    ours = {
        "framed": rate(framed, data, rounds),
        "fields": rate(with_fields, data, rounds),
        "values": rate(to_values, data, rounds),
        "samples": rate(to_samples, data, rounds),
    }
    peer = rate(pynmea2_fields, data, rounds)
    ais = made_ais()
    ais_rate, ais_peer = rate(ais_ours, ais, rounds), rate(ais_pyais, ais, rounds)
    out: dict[str, Any] = {f"{name}_per_s": value for name, value in ours.items()}
    out["ais_per_s"] = ais_rate
    if not math.isnan(peer):
        out["pynmea2_fields_per_s"] = peer
        out["ratio_fields_to_pynmea2"] = ours["fields"] / peer
        out["ratio_values_to_pynmea2"] = ours["values"] / peer
    if not math.isnan(ais_peer):
        out["pyais_per_s"] = ais_peer
        out["ratio_ais_to_pyais"] = ais_rate / ais_peer
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", help="NMEA log, plain or gzip")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="F", help="write one JSON object, - for standard output")
    args = parser.parse_args()
    try:
        raw = Path(args.file).read_bytes() if args.file else made()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        if args.rounds < 1 or framed(data) == 0:
            raise BadInputError(f"{args.file}:1: no sentence in it, or no rounds; an NMEA log is expected")
    except (OSError, EOFError, BadInputError) as e:
        print(e if isinstance(e, BadInputError) else f"{args.file}:1: {e}; an NMEA log is expected", file=sys.stderr)
        return 2
    result = measure(data, args.rounds)
    if args.json == "-":
        print(json.dumps(result))
        return 0
    if args.json:
        Path(args.json).write_text(json.dumps(result) + "\n")
    for name, value in result.items():
        print(f"{name:26s} {value:12.2f}" if name.startswith("ratio") else f"{name:26s} {value:12,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`giljabi decode`: recorded or live bytes as one JSON object a line."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from giljabi.types import BadInputError

EXAMPLE = """example: giljabi decode nmea examples/data/harbour.nmea.gz | head -3
         giljabi decode can examples/data/block.candump.gz --dbc car.dbc"""
STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giljabi decode`."""
    parser.epilog = EXAMPLE
    kinds = parser.add_subparsers(dest="kind", metavar="nmea|ais|can|n2k", required=True)
    for kind, what in (("nmea", "every NMEA 0183 sentence, AIS included"), ("ais", "AIS messages only")):
        p = kinds.add_parser(kind, help=what, description=f"{what[0].upper()}{what[1:]}, one JSON object a line.")
        p.add_argument("file", metavar="FILE|-", help="log, plain or gzip; - is standard input")
        p.add_argument("--checksum", choices=("required", "none"), default="required", help="none: may be missing")
        p.epilog = f"example: giljabi decode {kind} examples/data/harbour.nmea.gz"
    p = kinds.add_parser("can", help="CAN frames by a DBC", description="CAN frames by a DBC, one JSON object a line.")
    p.add_argument("file", metavar="FILE", help="candump, ASC, BLF, TRC or MF4, plain or gzip")
    p.add_argument("--dbc", metavar="F", required=True, help="database: a path, or a file of config/dbc")
    p.add_argument("--bus", metavar="N", type=_bus, help="frames of this bus only")
    p.add_argument("--checksum", metavar="KIND", help="of CHECKSUM signals (default: the DBC's, or its maker's)")
    p.epilog = "example: giljabi decode can examples/data/block.candump.gz --dbc car.dbc --bus 0"
    p = kinds.add_parser("n2k", help="NMEA 2000", description="NMEA 2000 groups, one JSON object a line.")
    p.add_argument("file", metavar="FILE|-", help="CAN trace, or canboat's plain lines; - is standard input (lines)")
    p.add_argument("--bus", metavar="N", type=_bus, help="frames of this bus only")
    p.epilog = "example: giljabi decode n2k examples/data/backbone.candump.gz"


def run(args: argparse.Namespace) -> int:
    """Prints; 0 unless the file cannot be read."""
    from giljabi_drivers import decode_can, decode_n2k, decode_nmea

    if args.kind == "can":
        reader: Any = decode_can.CanDecoder(args.dbc, args.bus, args.checksum)
        rows = reader.rows(Path(args.file))
    elif args.kind == "n2k":
        reader = decode_n2k.N2kDecoder(args.bus)
        stdin = args.file == STDIN
        rows = reader.rows("standard input" if stdin else args.file, _lines(STDIN) if stdin else None)
    else:
        reader = decode_nmea.NmeaDecoder(args.checksum, ais_only=args.kind == "ais")
        rows = reader.rows(args.file, _lines(args.file))
    try:
        _print(rows, sys.stdout)
    except KeyboardInterrupt:  # how a live line is left: what came until now counts
        _tell(reader.summary())
        raise
    _tell(reader.summary())
    return 0


def _tell(summary: dict[str, Any]) -> None:
    print(json.dumps(summary, sort_keys=True), file=sys.stderr, flush=True)


def _print(rows: Iterator[dict[str, Any]], out: TextIO) -> None:
    live = out.isatty()
    for row in rows:
        out.write(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n")
        if live:
            out.flush()
    out.flush()


def _lines(file: str) -> Iterator[bytes]:
    """Lines with their ends; a line of standard input as soon as it is there."""
    if file != STDIN:
        from giljabi_drivers.recordings import read_lines

        yield from read_lines(Path(file))
        return
    while line := sys.stdin.buffer.readline(1 << 16):
        yield line


def _bus(text: str) -> int:
    """argparse type: a bus number."""
    if not text.isascii() or not text.isdigit() or int(text) > 255:
        raise argparse.ArgumentTypeError(f"'{text}' is no bus; a whole number from 0 to 255 is expected")
    return int(text)


def finite(value: float) -> float | None:
    """The value, None when it is not finite."""
    return value if math.isfinite(value) else None


def nothing_found(file: str, what: str) -> BadInputError:
    """The file was read and is not what it should be."""
    return BadInputError(f"{'standard input' if file == STDIN else file}:1: {what}")

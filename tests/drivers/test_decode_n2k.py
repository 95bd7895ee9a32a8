"""`giljabi decode n2k`: CAN traces, canboat's lines, standard input, and what is neither."""

from __future__ import annotations

import gzip
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.cli import main
from giljabi.types import BadInputError
from giljabi_drivers.decode_n2k import N2kDecoder

ROOT = Path(__file__).resolve().parents[2]
# github.com/canboat/canboat, analyzer/tests/pgn-test.in and samples/candump-fast.txt (Apache-2.0).
PLAIN = (
    b"2011-04-25-06:25:03.603,3,129029,36,255,43,e6,f1,3a,80,9c,c6,0d,00,12,38,aa,49,eb,51,07,00,0c,44,95,fb,15,b8,00,"
    b"40,e1,33,00,00,00,00,00,13,fc,09,5a,00,8c,00,ff,ff,ff,7f,00\n"
)
TURN = b"2022-11-14T01:47:30.890Z,2,127251,14,255,8,ff,51,bf,ff,ff,ff,ff,ff\n"
CANDUMP = (
    b"(0000000000.352000) vcan0 09F20101#601A00B706670D0B\n(0000000000.353000) vcan0 09F20101#6186BA042600105F\n"
    b"(0000000000.354000) vcan0 09F20101#62090000008F027F\n(0000000000.355000) vcan0 09F20101#63000000007F7FFF\n"
)


def decode(
    *args: str, capsys: pytest.CaptureFixture[str], expect: int = 0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert main(["decode", "n2k", *args]) == expect
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], json.loads(err.splitlines()[-1])


def test_canboat_s_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.raw"
    path.write_bytes(b"# a remark\n\n" + PLAIN + b"garbage\n" + TURN + TURN.replace(b"127251", b"130999"))
    (fix, turn), summary = decode(str(path), capsys=capsys)
    assert fix == {
        "line": 3, "t": 1303712703.603, "pgn": 129029, "name": "gnss_position", "source": 36, "destination": 255,
        "priority": 3, "utc_of_day_s": 23112.0, "utc_s": 15089 * 86400 + 23112.0, "system": "gps+sbas",
        "lat_deg": pytest.approx(52.7461333), "lon_deg": pytest.approx(5.1815566), "alt_m": pytest.approx(3.4),
        "method": "gnss", "integrity": "not checked", "satellites_in_use": 9, "hdop": pytest.approx(0.9),
        "pdop": pytest.approx(1.4),
    }  # fmt: skip
    assert turn["line"] == 5
    assert math.degrees(turn["rate_of_turn_radps"]) == pytest.approx(-0.029649, abs=1e-6)
    assert summary == {"accepted": 2, "rejected": {"malformed": 1, "unknown_pgn": 1}}


@pytest.mark.parametrize("packed", [False, True])
def test_a_candump_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool) -> None:
    path = tmp_path / "log"
    data = CANDUMP + b"(0000000000.356000) vcan0 123#00\n(0000000000.357000) vcan0 09F20101#63000000007F7FFF\n"
    path.write_bytes(gzip.compress(data) if packed else data)
    (engine,), summary = decode(str(path), capsys=capsys)
    assert (engine["t"], engine["bus"], engine["pgn"], engine["source"]) == (0.355, 0, 127489, 1)
    assert engine["oil_pressure_pa"] == pytest.approx(171900.0)
    assert summary == {"accepted": 1, "rejected": {"standard_id": 1, "fast_orphan": 1}}


@pytest.mark.parametrize("text", [CANDUMP, PLAIN, b"# first\n" + PLAIN])
def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    rows, summary = decode("-", capsys=capsys)
    assert len(rows) == summary["accepted"] == 1


def test_the_example_and_its_other_bus(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "examples" / "data" / "backbone.candump.gz")
    rows, summary = decode(path, capsys=capsys)
    assert summary["rejected"] == {}
    assert {r["name"] for r in rows} >= {
        "gnss_position",
        "vessel_heading",
        "rudder",
        "ais_class_a",
        "ais_class_a_static",
    }
    _, summary = decode(path, "--bus", "1", capsys=capsys)
    assert summary["accepted"] == 0


def test_frames_that_canboat_did_not_assemble() -> None:
    frames = [
        ("0", "c0,2b,e6,f1,3a,80,9c,c6"), ("1", "c1,0d,00,12,38,aa,49,eb"), ("2", "c2,51,07,00,0c,44,95,fb"),
        ("3", "c3,15,b8,00,40,e1,33,00"), ("4", "c4,00,00,00,00,13,fc,09"), ("5", "c5,5a,00,8c,00,ff,ff,ff"),
        ("6", "c6,7f,00,ff,ff,ff,ff,ff"),
    ]  # fmt: skip
    lines = [f"2011-04-25-06:25:03.60{k},3,129029,36,255,8,{d}\n".encode() for k, d in frames]
    decoder = N2kDecoder()
    (row,) = decoder.lines("x", lines)
    assert row["lat_deg"] == pytest.approx(52.7461333)
    assert decoder.summary() == {"accepted": 1, "rejected": {}}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\n", "no CAN frame in it"),
        (bytes(range(256)), "log:1: "),
        (b"(1.0) can0 123#zz\n(1.1) can0 00\n", "log:1: "),
    ],
)
def test_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, what: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    assert main(["decode", "n2k", str(path)]) == 2
    assert what in capsys.readouterr().err


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_lines(lines: list[bytes]) -> None:
    decoder = N2kDecoder()
    try:
        rows = list(decoder.lines("x", [*lines, PLAIN]))
    except BadInputError:
        return
    assert all(json.dumps(r, allow_nan=False) for r in rows)

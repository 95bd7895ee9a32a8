"""Recordings: times, formats, and files that are no recordings."""

from __future__ import annotations

import gzip
import itertools
import math
from importlib.util import find_spec
from pathlib import Path

import can
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from giljabi._core import nmea
from giljabi.types import BadInputError
from giljabi_drivers.contract import Received
from giljabi_drivers.recordings import LineClock, read_can_log, read_candump, read_nmea, read_recording, time_base


def line(body: str) -> bytes:
    return b"$%s*%02X\r\n" % (body.encode(), nmea.checksum(body))


def times(tmp_path: Path, *lines: bytes) -> list[float]:
    path = tmp_path / "x.nmea"
    path.write_bytes(b"".join(lines))
    got = list(read_recording(path))
    assert b"".join(r.data for r in got) == b"".join(lines)  # nothing is lost, not even between sentences
    assert all(r.can_id == -1 for r in got)
    return [r.t for r in got]


RMC = "GPRMC,{},A,4807.038,N,01131.000,E,022.4,084.4,{},003.1,W,A"


def test_a_loggers_stamp_in_front_of_the_sentence(tmp_path: Path) -> None:
    gll = line("GPGLL,4807.038,N,01131.000,E,120000,A,A")
    assert times(tmp_path, b"2024-03-01T12:00:01.250Z;A;" + gll, b"x\n", b"2024-03-01 14:00:02,5;" + gll) == [
        1709294401.25,
        1709294401.25,
        1709301602.0,
    ]
    assert times(tmp_path, b"1709294401.5 " + gll, b"1709294402250;B;" + gll) == [1709294401.5, 1709294402.25]
    assert times(tmp_path, b"2024-03-01T12:00:01+02:00 " + gll) == [1709287201.0]
    assert time_base(tmp_path / "x.nmea") == "logger"


def test_the_stamp_of_a_tag_block(tmp_path: Path) -> None:
    tag = "s:r1,c:1428621738"
    tagged = b"\\%s*%02X\\" % (tag.encode(), nmea.checksum(tag)) + line("GPGLL,4807.038,N,01131.000,E,120000,A,A")
    assert times(tmp_path, tagged) == [1428621738.0]


def test_utc_of_the_sentences_over_midnight_and_before_the_first_one(tmp_path: Path) -> None:
    got = times(
        tmp_path,
        line("GPGSV,1,1,00"),
        line(RMC.format("235959.50", "311219")),
        line("GPGSV,1,1,00"),
        line("GPGGA,000000.50,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"),
        line(RMC.format("000001.50", "010120")),
    )
    new_year = 1577836800.0
    assert got == pytest.approx([new_year - 0.5, new_year - 0.5, new_year - 0.5, new_year + 0.5, new_year + 1.5])
    assert time_base(tmp_path / "x.nmea") == "utc"


def test_what_a_receiver_says_before_its_first_fix_is_no_time(tmp_path: Path) -> None:
    cold = line("GPRMC,000010,V,,,,,,,060180,,,N")
    assert times(tmp_path, cold, line(RMC.format("120000", "010324"))) == [1709294400.0, 1709294400.0]


def test_time_of_day_without_a_date_counts_on_over_midnight(tmp_path: Path) -> None:
    got = times(tmp_path, line("GPZDA,235958,,,,00,"), line("IIHDT,1.0,T"), line("GPZDA,000003,,,,00,"))
    assert got == [86398.0, 86398.0, 86403.0]
    assert time_base(tmp_path / "x.nmea") == "clock"


def test_nominal_cadence_without_any_time(tmp_path: Path) -> None:
    assert times(tmp_path, *[line("IIHDT,1.0,T")] * 3) == pytest.approx([0.0, 0.1, 0.2])
    assert time_base(tmp_path / "x.nmea") == "nominal"


def test_time_never_goes_back(tmp_path: Path) -> None:
    clocks = ["120010", "120009", "120011", "110000", "110001"]  # one step out of order, then a clock that was set
    got = times(tmp_path, *(line(RMC.format(c, "010324")) for c in clocks))
    start = got[0]
    assert [t - start for t in got] == pytest.approx([0.0, 0.0, 1.0, 1.1, 2.1])


def test_binary_between_the_lines_is_kept(tmp_path: Path) -> None:
    ubx = b"\xb5\x62\x01\x07\x04\x00$\x00\n\x01\x10\x3a"
    times(tmp_path, line(RMC.format("120000", "010324")), ubx, line(RMC.format("120001", "010324")))


def test_candump_formats(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(
        "# a comment\n\n"
        "(1.5) can0 123#0102\n"
        "(1.6) can1 1ABCDEF0#\n"
        "(1.7) vcan2 123#R\n"
        "(1.8) can0 20000004#0000000000000000\n"
        "(1.9) can0 123##1000102030405060708\n"
        "(1.8) can0 7FF#11.22.33\n"
        " (2.0)  can1  456   [3]  01 02 FF\n"
        "(2.1) can0 123#0102 R\n"
    )
    assert list(read_recording(path)) == [
        Received(1.5, b"\x01\x02", 0x123, 0, 0),
        Received(1.6, b"", 0x1ABCDEF0, 1, 1),
        Received(1.7, b"", 0x123, 2, 2),
        Received(1.8, bytes(8), 4, 0, 4),
        Received(1.9, bytes(range(9)), 0x123, 0, 8),
        Received(1.9, b"\x11\x22\x33", 0x7FF, 0, 0),
        Received(2.0, b"\x01\x02\xff", 0x456, 1, 0),
        Received(2.1, b"\x01\x02", 0x123, 0, 0),
    ]


MF4 = pytest.param(
    ".mf4", marks=pytest.mark.skipif(find_spec("asammdf") is None, reason="asammdf is not installed (the extra mf4)")
)


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".trc", ".log", MF4])
def test_what_python_can_writes_is_read_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    sent = [can.Message(i * 0.01 + 100.0, 0x100 + i, i % 2 == 1, data=bytes([i]), channel=0) for i in range(20)]
    with can.Logger(path) as logger:
        for m in sent:
            logger.on_message_received(m)
    got = list(read_recording(path))
    assert [(r.can_id, r.data, r.flags) for r in got] == [
        (m.arbitration_id, bytes(m.data), int(m.is_extended_id)) for m in sent
    ]
    assert [r.t - got[0].t for r in got] == pytest.approx([i * 0.01 for i in range(20)], abs=2e-3)


@pytest.mark.skipif(find_spec("asammdf") is not None, reason="asammdf is installed")
def test_mf4_without_its_reader_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "x.mf4").write_bytes(b"MDF     4.10")
    with pytest.raises(BadInputError, match=r"x\.mf4:1: MF4 needs asammdf; `pip install 'giljabi\[mf4\]'`"):
        list(read_recording(tmp_path / "x.mf4"))


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\x00\x01\x02" * 5000, b"hello\nworld\n", b"$PATH\n", gzip.compress(b"")]
)
@pytest.mark.parametrize("suffix", [".nmea", ".log", ".asc", ".blf", ".trc", ".gz"])
def test_what_is_no_recording_is_an_error_with_its_place(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"x\.\w+:\d+: .* is expected"):
        list(read_recording(path))


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.log", tmp_path, tmp_path / "none.blf"):
        with pytest.raises(BadInputError, match="cannot be read"):
            list(read_recording(path))


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_gzip_is_an_error_with_its_line(damage: str, tmp_path: Path) -> None:
    data = gzip.compress(b"".join(b"(%d.0) can0 123#%04X\n" % (i, i * 7919 % 65536) for i in range(5000)))
    path = tmp_path / "x.gz"
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:3000] + b"\xff" * 64 + data[3064:])
    with pytest.raises(BadInputError, match=r"x\.gz:\d+: "):
        list(read_recording(path))


def test_a_bad_line_of_a_candump_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for bad in (
        "(1.6) can0 123#010",
        "(1.6) can0 123",
        "(x) can0 123#01",
        "(1.6) can0 123#01xx",
        "(1.6) can0 123 [2] 01",
    ):
        path.write_text(f"(1.5) can0 123#0102\n{bad}\n(1.7) can0 123#01\n")
        with pytest.raises(BadInputError, match=r"x\.log:2: .*\(1\.5\) can0 123#0102 is expected"):
            list(read_candump(path))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([line(RMC.format("120000", "010324")), line("GPZDA,1,2,3,4"), b"2024-99-99T12:00:00Z;\n"]),
            st.tuples(st.integers(0, 999999), st.integers(0, 999999)).map(
                lambda x: line(RMC.format(f"{x[0]:06d}", f"{x[1]:06d}"))
            ),
        ),
        max_size=20,
    ).map(b"".join)
)
def test_no_bytes_raise_anything_but_bad_input(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fuzz.log"
    path.write_bytes(content)
    try:
        got = list(read_recording(path))
    except BadInputError:
        return
    assert b"".join(r.data for r in got) == content
    assert all(a.t <= b.t for a, b in itertools.pairwise(got))
    assert all(math.isfinite(r.t) for r in got)


def test_real_logs_have_the_times_they_tell(data_dir: Path) -> None:
    plaka = list(read_nmea(data_dir / "nmea" / "plaka.log.gz"))
    assert len(plaka) == 116_000
    assert plaka[0].t == 9 * 3600 + 55 * 60 + 59
    assert plaka[-1].t - plaka[0].t == pytest.approx(4.1 * 3600, abs=600)
    with gzip.open(data_dir / "nmea" / "plaka.log.gz") as f:
        assert LineClock(f.readlines(1 << 18)).base == "clock"
    frames = list(read_recording(data_dir / "can" / "rav4_60s.candump.gz"))
    assert len(frames) == 98_800
    assert frames[-1].t - frames[0].t == pytest.approx(59.9927, abs=1e-4)
    assert {r.bus for r in frames} == {0, 1}
    with pytest.raises(BadInputError, match="CAN trace"):
        list(read_can_log(data_dir / "can" / "rav4_gyro.csv"))

"""`giljabi decode` against gpsd, pynmea2, pyais, cantools's readings of a recorder, and garbage."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyais
import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core import nmea
from giljabi.cli import main
from giljabi.types import BadInputError
from giljabi_drivers.decode_can import CanDecoder
from giljabi_drivers.decode_nmea import NmeaDecoder

KNOT = 1852.0 / 3600.0
PASHR_SUM = int(pynmea2.NMEASentence.checksum("PASHR,085335.000,224.19,T,-01.26,+00.83,+00.10,0.101,0.113,0.267,1,0"))


def line(kind: str, fields: str, talker: str = "GP") -> bytes:
    """As an independent encoder writes it."""
    return (str(pynmea2.TalkerSentence(talker, kind, tuple(fields.split(",")))) + "\r\n").encode()


def decoded(*lines: bytes, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    decoder = NmeaDecoder(**options)
    return list(decoder.rows("x", lines)), decoder.summary()


def values(kind: str, fields: str) -> dict[str, Any]:
    ((row,), summary) = decoded(line(kind, fields))
    assert summary == {"accepted": 1, "rejected": {}}
    head = {"line", "time", "talker", "type"}
    assert head <= row.keys()
    assert row["type"] == kind
    return {k: v for k, v in row.items() if k not in head}


# --- every sentence -------------------------------------------------------------------------------

# Fields as a device sends them, and what they say.
SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "GGA": (
        "123519.50,4807.038,S,01131.000,W,2,08,0.9,545.4,M,46.9,M,1.5,0120",
        {
            "utc_of_day_s": 45319.5, "lat_deg": -48.1173, "lon_deg": -(11 + 31 / 60), "quality": 2,
            "satellites_in_use": 8, "hdop": 0.9, "alt_m": 545.4, "geoid_separation_m": 46.9, "dgnss_age_s": 1.5,
            "dgnss_station": "0120",
        },
    ),
    "GNS": (
        "000000,0000.0000,N,18000.0000,E,AN,12,1.1,5.0,-3.0,,",
        {"utc_of_day_s": 0.0, "lat_deg": 0.0, "lon_deg": 180.0, "mode": "AN", "satellites_in_use": 12, "hdop": 1.1,
         "alt_m": 5.0, "geoid_separation_m": -3.0},
    ),
    "RMC": (
        "123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W,A",
        {"utc_of_day_s": 45319.0, "valid": True, "lat_deg": 48.1173, "lon_deg": 11 + 31 / 60, "sog_mps": 22.4 * KNOT,
         "cog_deg": 84.4, "day": 23, "month": 3, "year": 94, "variation_deg": -3.1, "mode": "A"},
    ),
    "GLL": ("4916.45,N,12311.12,W,225444,V", {"lat_deg": 49 + 16.45 / 60, "lon_deg": -(123 + 11.12 / 60),
                                             "utc_of_day_s": 82484.0, "valid": False}),
    "VTG": ("054.7,T,034.4,M,005.5,N,010.2,K,D", {"cog_deg": 54.7, "cog_magnetic_deg": 34.4, "sog_mps": 5.5 * KNOT,
                                                  "mode": "D"}),
    "ZDA": ("160012.71,11,03,2004,-1,00", {"utc_of_day_s": 57612.71, "day": 11, "month": 3, "year": 2004}),
    "GST": ("172814.0,0.006,0.023,0.020,273.6,0.023,0.020,0.031",
            {"utc_of_day_s": 62894.0, "range_rms_m": 0.006, "std_major_m": 0.023, "std_minor_m": 0.020,
             "std_major_direction_deg": 273.6, "std_north_m": 0.023, "std_east_m": 0.020, "std_up_m": 0.031}),
    "GSA": ("A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1", {"selection": "A", "fix_dimensions": 3,
            "satellites_used": [4, 5, 9, 12, 24], "pdop": 2.5, "hdop": 1.3, "vdop": 2.1}),
    "GSV": ("2,1,08,01,40,083,46,02,17,308,",
            {"sentences": 2, "sentence": 1, "satellites_in_view": 8,
             "satellites": [{"id": 1, "elevation_deg": 40.0, "azimuth_deg": 83.0, "cn0_dbhz": 46.0},
                            {"id": 2, "elevation_deg": 17.0, "azimuth_deg": 308.0}]}),
    "HDT": ("123.4,T", {"heading_deg": 123.4}),
    "THS": ("77.5,A", {"heading_deg": 77.5, "mode": "A"}),
    "HDG": ("98.3,0.5,W,12.6,E", {"heading_magnetic_deg": 98.3, "deviation_deg": -0.5, "variation_deg": 12.6}),
    "HDM": ("98.3,M", {"heading_magnetic_deg": 98.3}),
    "ROT": ("-60.0,A", {"rate_of_turn_radps": -math.radians(1.0), "valid": True}),
    "VHW": ("10.0,T,8.0,M,6.0,N,11.1,K", {"heading_deg": 10.0, "heading_magnetic_deg": 8.0,
                                         "water_speed_mps": 6.0 * KNOT}),
    "VBW": ("10.0,-1.0,A,9.0,0.5,V", {"water_speed_mps": 10 * KNOT, "water_speed_across_mps": -KNOT,
            "water_valid": True, "ground_speed_mps": 9 * KNOT, "ground_speed_across_mps": 0.5 * KNOT,
            "ground_valid": False}),
    "DBT": ("30.0,f,,M,5.0,F", {"depth_m": 9.144}),
    "DPT": ("9.1,-0.5,100", {"depth_m": 9.1, "transducer_offset_m": -0.5, "range_m": 100.0}),
    "MWV": ("214.8,R,10.0,K,A", {"wind_angle_apparent_deg": 214.8, "wind_speed_mps": 10 / 3.6, "valid": True}),
    "MWD": ("270.0,T,268.0,M,10.0,N,5.2,M", {"wind_direction_deg": 270.0, "wind_direction_magnetic_deg": 268.0,
                                            "wind_speed_mps": 5.2}),
    "RSA": ("10.5,A,-3.0,V", {"rudder_deg": 10.5, "valid": True, "rudder_port_deg": -3.0, "port_valid": False}),
    "RPM": ("S,1,120.0,50.0,A", {"source": "S", "number": 1, "speed_radps": 4 * math.pi, "pitch_percent": 50.0,
                                 "valid": True}),
    "XTE": ("A,A,0.5,L,N", {"valid": True, "cycle_lock": True, "cross_track_m": 926.0, "steer": "L"}),
    "APB": ("A,A,0.10,R,N,V,V,011,M,DEST,012,T,013,M",
            {"valid": True, "cycle_lock": True, "cross_track_m": 185.2, "steer": "R", "arrived": False,
             "passed": False, "bearing_of_leg_magnetic_deg": 11.0, "waypoint": "DEST", "bearing_deg": 12.0,
             "heading_to_steer_magnetic_deg": 13.0}),
    "HTC": ("V,2.5,R,M,N,28.0,3.0,0.50,30.0,123.4,0.20,121.0,T,C",
            {"override": False, "rudder_order_deg": 2.5, "rudder_side": "R", "steering_mode": "M", "turn_mode": "N",
             "rudder_limit_deg": 28.0, "off_heading_limit_deg": 3.0, "turn_radius_m": 926.0,
             "turn_rate_radps": math.radians(0.5), "heading_to_steer_deg": 123.4, "off_track_limit_m": 370.4,
             "track_deg": 121.0, "status": "C"}),
    "HTD": ("A,,,H,T,,,,90.0,123.4,,,M,A,V,A,120.5",
            {"override": True, "steering_mode": "H", "turn_mode": "T", "turn_rate_radps": math.radians(1.5),
             "heading_to_steer_magnetic_deg": 123.4, "rudder_within_limit": True, "heading_within_limit": False,
             "track_within_limit": True, "heading_magnetic_deg": 120.5}),
    "TTM": ("03,1.0,045.0,R,12.0,270.0,T,0.5,6.0,N,FERRY,T,R,120000,A",
            {"target": 3, "distance_m": 1852.0, "bearing_relative_deg": 45.0, "target_speed_mps": 12 * KNOT,
             "target_course_deg": 270.0, "cpa_m": 926.0, "tcpa_s": 360.0, "name": "FERRY", "status": "T",
             "reference_target": True, "utc_of_day_s": 43200.0, "acquisition": "A"}),
    "TLL": ("07,3747.0,N,12225.0,W,BUOY,100000,T,", {"target": 7, "lat_deg": 37 + 47 / 60,
            "lon_deg": -(122 + 25 / 60), "name": "BUOY", "utc_of_day_s": 36000.0, "status": "T"}),
    "OSD": ("179.0,A,179.5,M,12.0,M,15.0,1.0,N", {"heading_deg": 179.0, "heading_valid": True, "cog_deg": 179.5,
            "course_reference": "M", "sog_mps": 12 * KNOT, "speed_reference": "M", "set_deg": 15.0,
            "drift_mps": KNOT}),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(set(nmea.KNOWN) - {"ASHR"}))
def test_sentence(kind: str) -> None:
    fields, wanted = SAID[kind]
    assert values(kind, fields) == {k: pytest.approx(v, abs=1e-9) if isinstance(v, float) else v
                                    for k, v in wanted.items()}  # fmt: skip


def test_pashr() -> None:
    rows, _ = decoded(b"$PASHR,085335.000,224.19,T,-01.26,+00.83,+00.10,0.101,0.113,0.267,1,0*%02X\r\n" % PASHR_SUM)
    assert rows[0] | {"line": 0} == {
        "line": 0, "time": None, "talker": "P", "type": "ASHR", "utc_of_day_s": pytest.approx(32015.0),
        "heading_deg": 224.19, "roll_deg": -1.26, "pitch_deg": 0.83, "heave_m": 0.1, "roll_std_deg": 0.101,
        "pitch_std_deg": 0.113, "heading_std_deg": 0.267, "quality": 1,
    }  # fmt: skip


def test_time_needs_a_date_and_goes_over_midnight() -> None:
    gga = "{},4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    rows, _ = decoded(
        line("GGA", gga.format("235958")),
        line("RMC", "235959,A,4807.038,N,01131.000,E,022.4,084.4,310720,,,A"),
        line("GGA", gga.format("000000")),
        line("HDT", "1.0,T"),
        b"\\c:1600000000*55\\" + line("HDT", "1.0,T"),
    )
    midnight = datetime.fromisoformat("2020-08-01T00:00:00+00:00").timestamp()
    assert [r["time"] for r in rows] == [None, midnight - 1.0, midnight, None, 1.6e9]
    assert [r["line"] for r in rows] == [1, 2, 3, 4, 5]


def test_what_is_dropped_is_counted() -> None:
    good = line("HDT", "123.4,T")
    rows, summary = decoded(
        good, good.replace(b"123", b"124"), line("HDT", "1e5,T"), line("HDT", "999,T"), b"$GPHDT,1.0,T\r\n",
        line("XYZ", "a,b"), line("GGA", "12,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"),
    )  # fmt: skip
    assert [r["type"] for r in rows] == ["HDT", "XYZ"]
    assert rows[1]["fields"] == ["a", "b"]
    assert summary == {"accepted": 2, "rejected": {"checksum": 1, "no_checksum": 1, "bad_field": 3}}
    assert decoded(b"$GPHDT,1.0,T\r\n", checksum="none")[1]["accepted"] == 1


def test_agrees_with_gpsd(data_dir: Path) -> None:
    same: Counter[str] = Counter()
    compared: Counter[str] = Counter()

    def tally(what: str, ok: bool) -> None:
        compared[what] += 1
        same[what] += ok

    for path in sorted((data_dir / "nmea").glob("*.log")):
        reports = Path(f"{path}.chk")
        if not reports.exists():
            continue
        try:
            rows, _ = decoded(*path.read_bytes().splitlines(keepends=True))
        except BadInputError:
            continue  # a binary log
        fixes = {round(r["time"], 3): r for r in rows if r["time"] is not None and "lat_deg" in r}
        told = {round(r["utc_of_day_s"], 3) for r in rows if "lat_deg" in r and "utc_of_day_s" in r}
        moves = {round(r["time"], 3): r for r in rows if r["time"] is not None and r["type"] == "RMC"}
        for text in reports.read_bytes().splitlines():
            tpv = json.loads(text) if text.startswith(b'{"class":"TPV"') else {}
            if tpv.get("mode", 0) < 2 or not {"time", "lat"} <= tpv.keys() or tpv.get("status") in (7, 8):
                continue
            utc = round(datetime.fromisoformat(tpv["time"].replace("Z", "+00:00")).timestamp(), 3)
            if round(utc % 86400.0, 3) not in told:
                continue
            fix, move = fixes.get(utc), moves.get(utc)
            tally("time", fix is not None)
            if fix is not None:
                tally("position", max(abs(fix["lat_deg"] - tpv["lat"]), abs(fix["lon_deg"] - tpv["lon"])) < 2e-8)
            # Before the RMC of an epoch gpsd reports the speed that follows from two positions.
            if move is not None and "sog_mps" in move and "speed" in tpv and "track" in tpv and tpv["speed"] > 0.05:
                tally("speed", abs(move["sog_mps"] - tpv["speed"]) < 1.1e-3)
                if "cog_deg" in move:
                    tally("course", abs(math.remainder(move["cog_deg"] - tpv["track"], 360.0)) < 6e-3)
    least = {"time": 1500, "position": 1500, "speed": 100, "course": 100}
    for what, n in least.items():
        assert compared[what] >= n, compared
        assert same[what] >= 0.99 * compared[what], (what, same, compared)


# --- AIS ------------------------------------------------------------------------------------------


def test_ais_says_what_pyais_says(data_dir: Path) -> None:
    for name in ("ait250.log", "ais-nmea-type6-fid55.log", "pyais_sample.ais"):
        lines = (data_dir / "nmea" / name).read_bytes().splitlines(keepends=True)
        rows, summary = decoded(*lines, ais_only=True)
        assert summary["accepted"] > 10
        for row in rows:
            whole = [x for x in lines[: row["line"]][-1:] if b",1,1,," in x]
            if not whole:
                continue
            message: Any = pyais.decode(whole[0].strip().split(b"\\")[-1])
            assert row["mmsi"] == message.mmsi
            assert row["message"] == message.msg_type
            if "sog_mps" in row:
                assert row["sog_mps"] == pytest.approx(message.speed * KNOT)
            if "lat_deg" in row:
                assert (row["lat_deg"], row["lon_deg"]) == (message.lat, message.lon)
            heading = getattr(message, "heading", 511)
            assert row.get("heading_deg", 511) == (heading if heading <= 360 else 511)


def test_the_time_of_a_message_in_parts_is_that_of_its_first_sentence() -> None:
    """Loggers give a TAG block to the first sentence of a group only."""
    first = (
        b"\\g:1-2-7,c:1700000000*52\\!AIVDM,2,1,7,A,53aGulD0000000c7?0918Tq<E>0<Q8U=@Tp400155P:22uG`002ShTj0,0*05\r\n"
    )
    second = b"!AIVDM,2,2,7,A,EQC`4Sm51A0C@08,2*50\r\n"
    body = first.split(b"\\")[1].split(b"*")[0].decode()
    first = first.replace(b"*52\\", f"*{pynmea2.NMEASentence.checksum(body):02X}\\".encode())
    assert [r["time"] for r in decoded(first, second)[0]] == [1700000000.0]
    later = b"2023-11-14T22:13:21Z " + second
    assert [r["time"] for r in decoded(first, later)[0]] == [1700000000.0]
    assert [r["time"] for r in decoded(first.split(b"\\")[2], second)[0]] == [None]


def test_ais_fragments_give_one_message() -> None:
    first = b"!AIVDM,2,1,7,A,53aGulD0000000c7?0918Tq<E>0<Q8U=@Tp400155P:22uG`002ShTj0,0*05\r\n"
    second = b"!AIVDM,2,2,7,A,EQC`4Sm51A0C@08,2*50\r\n"
    rows, summary = decoded(first, second)
    assert [(r["line"], r["message"], r["mmsi"]) for r in rows] == [(2, 5, pyais.decode(first, second).mmsi)]
    assert summary == {"accepted": 2, "rejected": {}}
    assert decoded(first)[1] == {"accepted": 1, "rejected": {"ais_incomplete": 1}}


# --- CAN ------------------------------------------------------------------------------------------


def test_real_car(data_dir: Path) -> None:
    can = data_dir / "can"
    decoder = CanDecoder(str(can / "toyota.dbc"), bus=0)
    rows = list(decoder.rows(can / "rav4_60s.candump.gz"))
    assert not any(r["checksum_ok"] is False for r in rows)
    with (can / "rav4_wheel_speed.csv").open() as f:
        wanted = [[float(v) for v in r] for r in list(csv.reader(f))[1:]]
    wheels = [r for r in rows if r["id"] == 0xAA]
    assert len(wheels) == len(wanted)
    names = ("WHEEL_SPEED_FL", "WHEEL_SPEED_FR", "WHEEL_SPEED_RL", "WHEEL_SPEED_RR")
    for row, (_, *speeds) in zip(wheels, wanted, strict=True):
        assert [row["signals"][n] / 3.6 for n in names] == pytest.approx(speeds, abs=1e-7)
    both = list(CanDecoder(str(can / "toyota.dbc")).rows(can / "rav4_60s.candump.gz"))
    assert sum(r["checksum_ok"] is True for r in both) == 12_656


def test_can_checks_are_seen(root: Path, tmp_path: Path) -> None:
    lines = "".join(
        f"({1 + 0.01 * k:.6f}) can0 {text}\n"
        for k, text in enumerate(
            # STEERING_STATUS of config/dbc/car.dbc by its own encoder, below
            frames(root, counters=(0, 1, 1, 3), flip=1)
        )
    )
    trace = tmp_path / "x.candump"
    trace.write_text(lines)
    rows = list(CanDecoder("car.dbc").rows(trace))
    assert [r["checksum_ok"] for r in rows] == [True, False, True, True]
    assert [r["counter_ok"] for r in rows] == [True, True, False, False]
    assert rows[0]["signals"]["ANGLE"] == pytest.approx(0.1, abs=1e-9)


def frames(root: Path, counters: tuple[int, ...], flip: int) -> list[str]:
    import cantools

    dbc: Any = cantools.database.load_file(root / "config/dbc/car.dbc")
    m = dbc.get_message_by_name("STEERING_STATUS")
    out = []
    for k, counter in enumerate(counters):
        signals = {s.name: 0 for s in m.signals} | {"ANGLE": 0.1, "COUNTER": counter}
        data = bytearray(m.encode(signals, strict=False))
        at = next(s.start // 8 for s in m.signals if s.name == "CHECKSUM")
        data[at] = crc8_sae_j1850(bytes(data[:at] + data[at + 1 :]))
        if k == flip:
            data[0] ^= 1
        out.append(f"{m.frame_id:03X}#{data.hex().upper()}")
    return out


def crc8_sae_j1850(data: bytes) -> int:
    import crccheck

    return int(crccheck.crc.Crc8SaeJ1850.calc(data))


# --- the command ----------------------------------------------------------------------------------


def test_command(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["decode", "nmea", str(root / "examples/data/harbour.nmea.gz")]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(text) for text in out.splitlines()]
    assert json.loads(err.splitlines()[-1]) == {"accepted": len(rows), "rejected": {}}
    assert {"line", "time", "talker", "type"} <= rows[0].keys()

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line("HDT", "5.0,T"))))
    assert main(["decode", "nmea", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["heading_deg"] == 5.0

    assert main(["decode", "can", str(root / "examples/data/block.candump.gz"), "--dbc", "car.dbc", "--bus", "0"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert set(row) == {"t", "bus", "id", "name", "signals", "checksum_ok", "counter_ok"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nmea", "/nowhere"], "/nowhere:1: cannot be read"),
        (["nmea", "/bin/sh"], "no NMEA sentence"),
        (["can", "{log}", "--dbc", "car.dbc"], "these are NMEA sentences"),
        (["can", "{can}", "--dbc", "nothing.dbc"], "no database"),
        (["can", "{can}", "--dbc", "car.dbc", "--bus", "x"], "'x' is no bus"),
        (["can", "{can}", "--dbc", "car.dbc", "--checksum", "x"], "no such kind"),
        (["can", "{can}"], "--dbc"),
        (["nonsense"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_arguments(root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str) -> None:
    data = root / "examples" / "data"
    places = {"{log}": str(data / "harbour.nmea.gz"), "{can}": str(data / "block.candump.gz")}
    assert main(["decode", *(places.get(a, a) for a in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert what in err


PIECES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([line(kind, fields) for kind, (fields, _) in SAID.items()]),
    st.builds(
        lambda kind, fields: line(kind, ",".join(fields)),
        st.sampled_from(sorted(nmea.KNOWN)),
        st.lists(st.text("0123456789.-ANSEWTMRK", max_size=12), max_size=20),
    ),
    st.builds(lambda p, n: line("VDM", f"1,1,,A,{p},{n}", "AI"), st.text("0123456789:;<=>?@ABCDEFW`aw", max_size=70),
              st.integers(0, 5)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=6))
def test_fuzz(pieces: list[bytes]) -> None:
    decoder = NmeaDecoder()
    try:
        for row in decoder.rows("x", b"".join(pieces).splitlines(keepends=True)):
            json.dumps(row, allow_nan=False)
    except BadInputError:
        assert decoder.accepted == 0
    assert all(n > 0 for n in decoder.summary()["rejected"].values())

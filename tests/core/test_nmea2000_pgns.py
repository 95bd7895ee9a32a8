"""NMEA 2000 payloads: recorded bytes against canboat's reading of them, and what is no value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from n2k_bus import canboat

from giljabi_drivers.nmea2000_frames import Header
from giljabi_drivers.nmea2000_pgns import PGNS

# Bytes: samples of the CANboat project (github.com/canboat/canboat, Apache-2.0), analyzer/tests and samples; values:
# its analyzer's, in SI.
RECORDED = {
    126992: ("10 f0 f1 3a 21 47 0f 16", {"source_of_time": "gps", "days": 15089, "utc_of_day_s": 37010.0001}),
    127245: ("ff ff ff 7f fc 15 ff ff", {"rudder_deg": math.degrees(0.5628)}),
    127250: (
        "ff 51 9c ff 7f 55 06 fc",
        {"heading_deg": math.degrees(4.0017), "variation_deg": math.degrees(0.1621), "reference": "true"},
    ),
    127251: ("34 9f d3 00 00 ff ff ff", {"rate_of_turn_radps": 0.00169296875}),
    127257: (
        "ff e1 a6 4c 00 a2 fe ff",
        {k: math.degrees(v) for k, v in (("yaw_deg", -2.2815), ("pitch_deg", 0.0076), ("roll_deg", -0.035))},
    ),
    127258: ("ff f7 55 47 55 06 ff ff", {"variation_deg": math.degrees(0.1621)}),
    127488: ("00 92 0c ff ff 7f ff ff", {"instance": 0, "speed_radps": 804.5 * math.tau / 60.0}),
    127489: (
        "00 2f 06 10 20 e3 73 65 05 65 04 72 10 00 00 10 20 30 40 ff 06 00 ff 00 30 18",
        {
            "instance": 0, "oil_pressure_pa": 158300.0, "oil_temperature_k": 820.8, "coolant_temperature_k": 296.67,
            "alternator_v": 13.81, "fuel_rate_m3ps": 0.1125 / 3600.0, "running_s": 4210,
            "coolant_pressure_pa": 820800.0, "fuel_pressure_pa": 16432000.0, "load_percent": 48, "torque_percent": 24,
        },
    ),
    128259: ("00 00 00 ff ff 00 ff ff", {"water_speed_mps": 0.0, "sensor": "paddle wheel"}),
    128267: ("16 a1 00 00 00 1e 05 ff", {"depth_m": 1.61, "transducer_offset_m": 1.31}),
    129025: ("cb 9a af 0c ba 15 eb a1", {"lat_deg": 21.2835019, "lon_deg": -157.8428998}),
    129026: ("ff fc c3 64 07 00 ff ff", {"reference": "true", "cog_deg": math.degrees(2.5795), "sog_mps": 0.07}),
    129029: (
        "e6 f1 3a 80 9c c6 0d 00 12 38 aa 49 eb 51 07 00 0c 44 95 fb 15 b8 00 40 e1 33 00 00 00 00 00 13 fc 09 5a 00 "
        "8c 00 ff ff ff 7f 00",
        {
            "days": 15089, "utc_of_day_s": 23112.0, "lat_deg": 52.7461333, "lon_deg": 5.1815566, "alt_m": 3.4,
            "system": "gps+sbas", "method": "gnss", "integrity": "not checked", "satellites_in_use": 9, "hdop": 0.9,
            "pdop": 1.4,
        },
    ),
    129033: ("ff ff ff ff ff ff ff 7f", {}),
    129038: (
        "01 c8 37 95 0e 34 54 3d 03 d5 24 4e 1f 1b d6 4c 00 00 ba 08 08 ff ff ff 7f c0 f8",
        {
            "message": 1, "mmsi": 244660168, "lon_deg": 5.43509, "lat_deg": 52.5214933, "accuracy": True,
            "cog_deg": math.degrees(1.967), "sog_mps": 0.0, "reception": "channel B", "navigation_status": 0,
        },
    ),
    129039: (
        "12 e9 9b 2c 14 69 eb 08 b7 34 36 98 16 bf 66 87 06 01 00 00 20 ff ff 00 70 fe ff",
        {
            "message": 18, "mmsi": 338467817, "lon_deg": -122.4152215, "lat_deg": 37.90741, "accuracy": True,
            "cog_deg": math.degrees(3.4662), "sog_mps": 2.62, "reception": "own, not broadcast",
        },
    ),
    129539: ("ff d3 32 00 32 00 ff 7f", {"mode": "3d", "hdop": 0.5, "vdop": 0.5}),
    129793: (
        "04 28 43 25 00 a5 f1 09 03 c3 dc 60 1f fd ff ff ff ff 67 c1 0b ff ff 7f ff ff",
        {"message": 4, "mmsi": 2442024, "lon_deg": 5.0983333, "lat_deg": 52.6441667, "accuracy": True,
         "reception": "channel B"},
    ),
    129810: (
        "18 19 ae 8c 0e 25 54 48 41 46 58 45 46 50 45 35 37 33 38 40 6e 00 28 00 1e 00 32 00 ff ff ff ff 03 e1",
        {
            "message": 24, "mmsi": 244100633, "ship_type": 37, "callsign": "PE5738", "length_m": 11.0, "width_m": 4.0,
            "from_starboard_m": 3.0, "from_bow_m": 5.0, "reception": "channel B",
        },
    ),
    130306: (
        "e6 d1 00 08 78 fa ff ff",
        {"wind_speed_mps": 2.09, "wind_angle_deg": math.degrees(3.0728), "reference": "apparent"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("pgn", RECORDED)
def test_recorded_bytes_say_what_canboat_reads_in_them(pgn: int) -> None:
    text, expected = RECORDED[pgn]
    got = PGNS[pgn].read(bytes.fromhex(text))
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        assert got[key] == (pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value), key


@pytest.mark.parametrize("pgn", [p for p in PGNS if p not in (60928, 59904)])
def test_not_available_is_never_a_number(pgn: int) -> None:
    """canboat encodes a field that is not given as not available; single bits and some codes have no such value."""
    database = canboat().Database("si")
    info = database.pgn_variants(pgn)[0]
    # Without a value canboat 2026.10 leaves these 19 bits out and shifts what follows.
    radio = {"communicationState": bytes(3)} if any(f.id == "communicationState" for f in info.fields) else {}
    data = database.encode(info.id, radio)
    got = PGNS[pgn].read(data.ljust(60, b"\xff"))
    assert not {k: v for k, v in got.items() if not isinstance(v, (bool, str)) and k != "aid_type"}


@pytest.mark.parametrize(("raw", "known"), [(0xFFFF, False), (0xFFFE, False), (0xFFFD, False), (0xFFFC, True)])
def test_out_of_range_and_reserved_are_absent_too(raw: int, known: bool) -> None:
    data = b"\xff" + raw.to_bytes(2, "little") + b"\xff" * 5
    assert ("water_speed_mps" in PGNS[128259].read(data)) == known


@pytest.mark.parametrize(("raw", "known"), [(0x7FFF, False), (0x7FFE, False), (0x7FFD, False), (-0x8000, False)])
def test_signed_sentinels(raw: int, known: bool) -> None:
    data = b"\xff" * 4 + raw.to_bytes(2, "little", signed=raw < 0) + b"\xff" * 2
    assert ("rudder_deg" in PGNS[127245].read(data)) == known


@pytest.mark.parametrize(
    ("pgn", "text"),
    [
        (129025, "80 e9 a4 35 00 00 00 00"),  # latitude 90.0000128
        (129025, "00 00 00 00 01 d2 49 6b"),  # longitude 180.0000001
        (127250, "ff 00 f8 ff 7f ff 7f fc"),  # heading 6.3488 rad
        (127245, "00 f8 ff 7f ff 7e ff ff"),  # rudder 3.2511 rad
        (126992, "10 f0 f1 3a 00 c1 7f 33"),  # a day of more than 86401 s
    ],
)
def test_what_cannot_be_is_refused(pgn: int, text: str) -> None:
    with pytest.raises(ValueError, match=r"_deg|_s|dop"):
        PGNS[pgn].read(bytes.fromhex(text))


def test_a_dilution_of_all_ones_is_not_available() -> None:
    """Recorded from a Garmin GPSMAP (CANboat, samples/sample3_PCAN-View.trc)."""
    assert PGNS[129539].read(bytes.fromhex("ff df ff ff ff ff ff ff")) == {"mode": "auto"}


def test_a_short_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="short"):
        PGNS[129029].read(bytes(42))


@given(st.sampled_from(sorted(PGNS)), st.binary(max_size=230))
def test_any_payload_gives_finite_numbers_or_a_reason(pgn: int, data: bytes) -> None:
    try:
        got = PGNS[pgn].read(data)
    except ValueError:
        return
    assert all(math.isfinite(v) for v in got.values() if isinstance(v, (int, float)))
    assert all(v.isascii() or "\ufffd" in v for v in got.values() if isinstance(v, str))


@given(st.integers(0, (1 << 29) - 1))
def test_identifiers_come_apart_as_canboat_takes_them_apart(can_id: int) -> None:
    can_id &= ~(1 << 25)  # reserved bit
    h = Header.of(can_id)
    assert canboat().can_id_decompose(can_id) == (h.priority, h.pgn, h.source, h.destination)
    assert h.can_id == can_id == canboat().can_id_compose(h.priority, h.pgn, h.source, h.destination)


@given(
    st.floats(-90, 90), st.floats(-180, 180), st.floats(-500, 5000), st.integers(0, 40000), st.floats(0, 86399),
    st.floats(0, 99), st.integers(0, 60),
)  # fmt: skip
def test_what_canboat_encodes_is_read_back(
    lat: float, lon: float, alt: float, days: int, clock: float, hdop: float, satellites: int
) -> None:
    data = canboat().Database("si").encode(
        "gnssPositionData",
        {"latitude": lat, "longitude": lon, "altitude": alt, "date": days, "time": clock, "hdop": hdop,
         "numberOfSvs": satellites, "method": "RTK float"},
    )  # fmt: skip
    got = PGNS[129029].read(data)
    assert (got["lat_deg"], got["lon_deg"]) == pytest.approx((lat, lon), abs=1e-12)
    assert got["alt_m"] == pytest.approx(alt, abs=1e-6)
    assert (got["days"], got["satellites_in_use"], got["method"]) == (days, satellites, "rtk float")
    assert got["utc_of_day_s"] == pytest.approx(clock, abs=1e-4)
    assert got["hdop"] == pytest.approx(hdop, abs=0.0051)

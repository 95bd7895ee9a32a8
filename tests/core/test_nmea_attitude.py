"""Attitude sentences: PASHR, PSXN and XDR to headings and to what `giljabi decode` tells."""

from __future__ import annotations

import math
from typing import Any

import pynmea2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nmea_lines import give as give_all
from nmea_lines import sentence, ship

from giljabi.types import Heading, Imu
from giljabi_drivers.decode_nmea import NmeaDecoder


def give(*args: Any, **options: Any) -> list[Any]:
    """What comes besides the tilt."""
    return [s for s in give_all(*args, **options) if not isinstance(s, Imu)]


def tilts(*args: Any, **options: Any) -> list[tuple[float, ...]]:
    """Roll and pitch about the axes of base_link and their error [deg]."""
    samples = [s for s in give_all(*args, **options) if isinstance(s, Imu)]
    assert not any(s.inertial for s in samples)
    return [tuple(math.degrees(v) for v in s.tilt or ()) for s in samples]


def line(body: str) -> bytes:
    return f"${body}*{pynmea2.NMEASentence.checksum(body):02X}\r\n".encode()


def told(body: str) -> dict[str, Any]:
    (row,) = NmeaDecoder().rows("x", [line(body)])
    return {k: v for k, v in row.items() if k not in ("line", "time", "talker", "type")}


PASHR = "PASHR,085335.000,224.19,T,-01.26,+00.83,+00.10,0.101,0.113,{},{},0"


def test_a_heading_of_pashr_with_its_own_error() -> None:
    (h,) = give(ship(), line(PASHR.format("0.267", 1)))
    assert isinstance(h, Heading)
    assert h.yaw == pytest.approx(math.remainder(math.radians(90.0 - 224.19), math.tau))
    assert h.std == pytest.approx(math.radians(0.267))
    (h,) = give(ship(), line(PASHR.format("", 2)))
    assert h.std == pytest.approx(math.radians(1.0))
    assert give(ship(), line(PASHR.format("0.267", 0))) == []


def test_the_other_kinds_of_pashr_are_passed_on() -> None:
    d = ship()
    assert give(d, line("PASHR,ATT,310095.0,254.87,+000.15,-000.44,0.0012,0.0147,0")) == []
    assert (d.stats.rejected, d.stats.ignored) == ({}, {"ASHR": 1})
    assert told("PASHR,POS,1,2") == {"fields": ["POS", "1", "2"]}


def test_a_seapath() -> None:
    """Roll is positive with the port side up, pitch with the bow up, heave down on the wire."""
    assert told("PSXN,23,0.30,-0.97,298.57,0.13") == {
        "roll_deg": 0.30, "pitch_deg": -0.97, "heading_deg": 298.57, "heave_m": -0.13,
    }  # fmt: skip
    assert told("PSXN,20,0,0,1,0")["heading_quality"] == 1
    assert told("PSXN,22,0.43,0.43") == {"fields": ["22", "0.43", "0.43"]}
    d = ship()
    good, attitude = line("PSXN,20,0,0,1,0"), line("PSXN,23,0.30,-0.97,298.57,0.13")
    (h,) = give(d, good, attitude)
    assert h.yaw == pytest.approx(math.remainder(math.radians(90.0 - 298.57), math.tau))
    assert give(d, line("PSXN,20,0,0,2,0"), attitude, t=11.0) == []
    assert len(give(d, attitude, t=17.0)) == 1  # nothing has been said of its quality for five seconds
    assert d.stats.rejected == {}


def test_without_a_heading_there_is_none() -> None:
    assert give(ship(), line("PSXN,23,0.30,-0.97,,0.13")) == []


def test_tilt_about_the_axes_of_base_link() -> None:
    """Port side up is positive about x forward; bow up is negative about y to port."""
    assert tilts(ship(), line("PSXN,23,0.30,-0.97,,0.13")) == [pytest.approx((0.30, 0.97, 0.5))]
    assert tilts(ship(), line(PASHR.format("0.267", 1))) == [pytest.approx((-1.26, -0.83, 0.5))]
    assert tilts(ship(), line("IIXDR,A,5.2,D,PTCH,A,-1.1,D,ROLL")) == [pytest.approx((-1.1, -5.2, 0.5))]
    assert tilts(ship(), line("IIXDR,A,5.2,D,PTCH")) == []
    assert tilts(ship(), line("IIXDR,A,95,D,PTCH,A,0,D,ROLL")) == []
    invalid = line("PSXN,20,0,0,0,2")
    assert tilts(ship(), invalid, line("PSXN,23,0.30,-0.97,,0.13")) == []


def test_a_tilt_keeps_no_gyro_alive() -> None:
    d = ship()
    give_all(d, line("PSXN,23,0.30,-0.97,,0.13"), t=10.0)
    assert "gyro" in d.health(10.1)


def test_the_best_heading_of_an_epoch() -> None:
    d = ship()
    for k in range(3):
        give(d, line(PASHR.format("0.2", 1)), sentence("HDT", "100.0,T", "HE"), t=10.0 + k)
    got = give(d, line(PASHR.format("0.2", 1)), t=13.0) + give(d, sentence("HDT", "100.0,T", "HE"), t=13.01)
    assert [math.degrees(h.std) for h in got] == pytest.approx([0.2])


def test_transducers() -> None:
    got = told("IIXDR,A,5.2,D,PTCH,A,-1.1,D,ROLL,D,0.4,M,HEAVE,C,19.5,C,AIRTEMP,A,,D,YAW")
    assert (got["pitch_deg"], got["roll_deg"], got["heave_m"]) == (5.2, -1.1, 0.4)
    assert [t["name"] for t in got["transducers"]] == ["PTCH", "ROLL", "HEAVE", "AIRTEMP"]
    assert got["transducers"][3] == {"kind": "C", "value": 19.5, "unit": "C", "name": "AIRTEMP"}
    assert told("IIXDR,A,5.2")["transducers"] == []


@pytest.mark.parametrize(
    "body", ["PSXN,23,x,0,1,0", "PSXN,23,nan,0,1,0", "PSXN,23,0,0,-1,0", "PSXN,23,0,0,400,0", "IIXDR,A,inf,D,PTCH"]
)
def test_malformed_fields(body: str) -> None:
    decoder = NmeaDecoder()
    assert list(decoder.rows("x", [line(body)])) == []
    assert decoder.summary()["rejected"] == {"bad_field": 1}
    if body.startswith("P"):
        d = ship()
        assert give(d, line(body)) == []
        assert d.stats.rejected == {"bad_field": 1}


FIELD = st.text("0123456789.-naif,ADMPTCHROL", max_size=30)


@given(st.sampled_from(["PSXN,23,", "PSXN,20,", "IIXDR,", "PASHR,"]), FIELD)
def test_any_fields(head: str, fields: str) -> None:
    decoder = NmeaDecoder()
    for row in decoder.rows("x", [line(head + fields), line("PSXN,20,0,0,0,0")]):
        assert all(math.isfinite(v) for v in row.values() if isinstance(v, float))
    for h in give(ship(), line(head + fields)):
        assert math.isfinite(h.yaw)
    for tilt in tilts(ship(), line(head + fields)):
        assert all(abs(v) <= 180.0 for v in tilt)

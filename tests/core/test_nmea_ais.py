"""AIS: fragments, positions, sizes, and everything a transponder says when it does not know."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core import nmea
from giljabi.platform import load_platform
from giljabi.types import GeoDetections, Kind
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver

PLATFORM = load_platform("ship")
KNOT = 1852.0 / 3600.0
ME = 257_123_456


def bits(*fields: tuple[int, int]) -> str:
    """Fields (value, width) one behind the other, negative ones in two's complement (ITU-R M.1371)."""
    return "".join(format(value % (1 << width), f"0{width}b") for value, width in fields)


def sentences(
    payload: str, parts: int = 1, talker: str = "AIVDM", sequence: str = "3", channel: str = "A"
) -> list[bytes]:
    """Six-bit armour of IEC 61162-1, written out here."""
    fill = -len(payload) % 6
    payload += "0" * fill
    values = [int(payload[i : i + 6], 2) for i in range(0, len(payload), 6)]
    armour = "".join(chr(v + 48 if v < 40 else v + 56) for v in values)
    size = math.ceil(len(armour) / parts)
    out = []
    for i in range(parts):
        body = (
            f"{talker},{parts},{i + 1},{sequence if parts > 1 else ''},{channel},{armour[i * size : (i + 1) * size]},"
        )
        body += str(fill if i == parts - 1 else 0)
        out.append(b"!%s*%02X\r\n" % (body.encode(), nmea.checksum(body)))
    return out


def position(
    lat: float = 59.5,
    lon: float = 10.5,
    *,
    sog: int = 120,
    cog: int = 900,
    heading: int = 90,
    mmsi: int = ME,
) -> str:
    """Message 1: speed in 0.1 kn, course in 0.1 deg."""
    return bits(
        (1, 6), (0, 2), (mmsi, 30), (0, 4), (0, 8), (sog, 10), (1, 1), (round(lon * 600000), 28),
        (round(lat * 600000), 27), (cog, 12), (heading, 9), (30, 6), (0, 2), (0, 3), (0, 1), (0, 19),
    )  # fmt: skip


def static(bow: int, stern: int, port: int, starboard: int, mmsi: int = ME) -> str:
    """Message 5, as two sentences."""
    return bits(
        (5, 6), (0, 2), (mmsi, 30), (0, 2), (9074729, 30), (0, 42), (0, 120), (70, 8), (bow, 9), (stern, 9), (port, 6),
        (starboard, 6), (1, 4), (0, 20), (50, 8), (0, 120), (0, 1), (0, 1),
    )  # fmt: skip


def driver() -> Nmea0183Driver:
    return Nmea0183Driver(PLATFORM, "ais")


def give(d: Nmea0183Driver, *lines: bytes, t: float = 10.0) -> list[Any]:
    return [s for line in lines for s in d.step(t, [Received(t, line)]).samples]


def row(payload: str, *before: bytes) -> Any:
    d = driver()
    give(d, *before)
    (got,) = give(d, *sentences(payload))
    assert isinstance(got, GeoDetections)
    assert (got.source, got.t, got.data.shape) == ("ais", 10.0, (1, 11))
    return got.data[0]


def test_a_position_report() -> None:
    lon, lat, z, vx, vy, yaw, length, width, number, kind, variance = row(position())
    assert (lon, lat) == pytest.approx((10.5, 59.5), abs=1e-6)
    assert (vx, vy) == pytest.approx((12.0 * KNOT, 0.0), abs=1e-9)  # course 90 is east
    assert yaw == pytest.approx(0.0, abs=1e-12)
    assert np.isnan([z, length, width]).all()
    assert (number, kind, variance) == (ME, Kind.VESSEL.value, 25.0)
    north = row(position(lat=-33.25, lon=-70.125, cog=0, heading=0))
    assert north[:2] == pytest.approx([-70.125, -33.25], abs=1e-6)
    assert north[3:6] == pytest.approx([0.0, 12.0 * KNOT, math.pi / 2], abs=1e-9)


def test_what_a_transponder_does_not_know_is_nan_or_no_detection() -> None:
    assert np.isnan(row(position(sog=1023))[3:5]).all()
    assert np.isnan(row(position(cog=3600))[3:5]).all()
    assert row(position(sog=0, cog=3600))[3:5] == pytest.approx([0.0, 0.0])
    assert math.isnan(row(position(heading=511))[5])
    assert give(driver(), *sentences(position(lat=91.0, lon=181.0))) == []


def test_size_is_remembered_and_the_position_moves_to_the_middle_of_the_hull() -> None:
    about = sentences(static(80, 20, 5, 15), parts=2)
    got = row(position(), *about)
    assert got[6:8] == pytest.approx([100.0, 20.0])
    # The antenna is 30 m ahead of the middle and 5 m to port of it; the ship heads east.
    east = math.radians(got[0] - 10.5) * 6378137.0 * math.cos(math.radians(59.5))
    north = math.radians(got[1] - 59.5) * 6371000.0
    assert (east, north) == pytest.approx((30.0, -5.0), abs=0.1)
    unknown_point = row(position(), *sentences(static(0, 100, 0, 20), parts=2))
    assert unknown_point[:2] == pytest.approx([10.5, 59.5], abs=1e-6)
    assert unknown_point[6:8] == pytest.approx([100.0, 20.0])
    no_heading = row(position(heading=511), *about)
    assert no_heading[:2] == pytest.approx([10.5, 59.5], abs=1e-6)
    other_ship = row(position(mmsi=ME + 1), *about)
    assert np.isnan(other_ship[6:8]).all()


def test_class_b_base_station_and_aid_to_navigation() -> None:
    class_b = bits(
        (18, 6), (0, 2), (ME, 30), (0, 8), (55, 10), (0, 1), (6300000, 28), (35700000, 27), (1800, 12), (511, 9),
        (10, 6), (0, 2), (0, 8), (0, 20),
    )  # fmt: skip
    got = row(class_b)
    assert got[:2] == pytest.approx([10.5, 59.5], abs=1e-6)
    assert got[3:5] == pytest.approx([0.0, -5.5 * KNOT], abs=1e-9)
    assert got[10] == 100.0
    aid = bits(
        (21, 6), (0, 2), (992576000, 30), (14, 5), (0, 120), (0, 1), (6300000, 28), (35700000, 27), (2, 9), (2, 9),
        (1, 6), (1, 6), (1, 4), (60, 6), (0, 13),
    )  # fmt: skip
    fixed = row(aid)
    assert fixed[9] == Kind.STATIC.value
    assert fixed[3:5] == pytest.approx([0.0, 0.0])
    assert fixed[6:8] == pytest.approx([4.0, 2.0])


def test_own_ship_is_no_target() -> None:
    d = driver()
    assert give(d, *sentences(position(), talker="AIVDO")) == []
    assert d.stats.ignored == {"VDO": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_fragments_in_any_order(order: tuple[int, ...]) -> None:
    parts = sentences(static(80, 20, 5, 15), parts=3)
    d = driver()
    give(d, *(parts[i] for i in order))
    assert give(d, *sentences(position()))[0].data[0, 6] == 100.0


def test_fragments_of_different_messages_lines_and_channels_are_never_glued() -> None:
    a, b = sentences(static(80, 20, 5, 15), parts=2), sentences(static(10, 5, 2, 3), parts=2)
    for other in (
        sentences(static(10, 5, 2, 3), parts=2, sequence="4"),
        sentences(static(10, 5, 2, 3), parts=2, channel="B"),
        sentences(static(10, 5, 2, 3), parts=2, talker="BSVDM"),
    ):
        d = driver()
        assert give(d, a[0], other[1], *sentences(position()))[0].data[0, 6] != 100.0
        assert math.isnan(give(d, *sentences(position()))[0].data[0, 6])
    d = driver()
    d.step(0.0, [Received(0.0, a[0], bus=0), Received(0.0, a[1], bus=1)])
    assert math.isnan(give(d, *sentences(position()))[0].data[0, 6])
    d = driver()
    b = sentences(static(10, 5, 2, 3, mmsi=ME + 7), parts=2)
    give(d, a[0], b[0], b[1])  # the sequence number came round again
    assert math.isnan(give(d, *sentences(position()))[0].data[0, 6])
    assert give(d, *sentences(position(mmsi=ME + 7)))[0].data[0, 6] == 15.0
    assert d.stats.rejected == {"ais_incomplete": 1}


def test_fragments_time_out() -> None:
    a = sentences(static(80, 20, 5, 15), parts=2)
    d = driver()
    give(d, a[0], t=10.0)
    give(d, a[1], t=15.5)
    assert math.isnan(give(d, *sentences(position()), t=15.6)[0].data[0, 6])
    d.step(30.0, [])
    assert d.stats.rejected == {"ais_incomplete": 2}


def test_memory_is_bounded() -> None:
    d = driver()
    for i in range(500):
        give(d, sentences(static(80, 20, 5, 15), parts=2, sequence=str(i))[0])
    assert len(d._ais.groups) <= 64
    for i in range(5000):
        d._ais._decode(_armour(static(80, 20, 5, 15, mmsi=100_000_000 + i)), 2)
    assert len(d._ais.hulls.by_mmsi) <= 4096


def _armour(payload: str) -> str:
    return b"".join(line.split(b",")[5] for line in sentences(payload, parts=2)).decode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("AIVDM,1,1,,A,,0", "ais_malformed"),
        ("AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip", "ais_malformed"),
        ("AIVDM,1,2,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0", "ais_malformed"),
        ("AIVDM,0,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0", "ais_malformed"),
        ("AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,9", "ais_malformed"),
        ("AIVDM,1,1,,A,13HOI:0P0000VOHLCnH{|}~L05Ip,0", "ais_malformed"),
        ("AIVDM,x,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0", "ais_malformed"),
        ("AIVDM,1,1,,A,13HOI:0P0000,0", "ais_short"),
        ("AIVDM,1,1,,A,100000000000VOHLCnHQKwvL05Ip,0", "ais_no_mmsi"),
    ],
)
def test_malformed_messages_are_counted(body: str, reason: str) -> None:
    d = driver()
    assert give(d, b"!%s*%02X\r\n" % (body.encode(), nmea.checksum(body))) == []
    assert d.stats.rejected == {reason: 1}


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "1", "2"]), st.sampled_from("AB"),
            st.text("".join(chr(c) for c in [*range(48, 88), *range(96, 120)]), max_size=75), st.integers(0, 6),
        ),
        max_size=10,
    )
)  # fmt: skip
def test_no_payload_raises_and_no_detection_is_out_of_range(parts: list[tuple[Any, ...]]) -> None:
    d = driver()
    for part in parts:
        body = "AIVDM," + ",".join(map(str, part))
        for got in give(d, b"!%s*%02X\r\n" % (body.encode(), nmea.checksum(body))):
            lon, lat, _, vx, vy, yaw, length, width, number, _, variance = got.data[0]
            assert abs(lon) <= 180.0
            assert abs(lat) <= 90.1
            assert not math.hypot(vx, vy) > 1023.0 * KNOT
            assert not abs(yaw) > math.pi
            assert not length < 1.0
            assert not width < 1.0
            assert number > 0
            assert variance > 0.0

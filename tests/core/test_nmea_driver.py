"""NMEA driver: signs and units of every sentence, bad bytes, and what is silent."""

from __future__ import annotations

import calendar
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nmea_lines import GGA, KNOT, PLATFORM, RMC, give, one, sentence, ship

from giljabi.types import GnssFix, GnssVelocity, Heading, Imu, JointState, SpeedThroughWater
from giljabi_drivers.contract import Received

# --- position and velocity --------------------------------------------------------------------------


def test_gga() -> None:
    fix = one("GGA", GGA.format(2))
    assert isinstance(fix, GnssFix)
    assert (fix.t, fix.source, fix.quality, fix.satellites, fix.alt_m) == (10.0, "gnss", 2, 8, 545.4)
    assert (fix.lat_deg, fix.lon_deg) == pytest.approx((48.0 + 7.038 / 60.0, 11.0 + 31.0 / 60.0), abs=1e-12)
    assert fix.std_enu == pytest.approx(0.9 * 1.5 * np.array([math.sqrt(0.5), math.sqrt(0.5), 1.5]))
    assert math.isnan(fix.utc_s)
    south_west = one("GGA", GGA.format(4).replace(",N,", ",S,").replace(",E,", ",W,"))
    assert (south_west.lat_deg, south_west.lon_deg) == (-fix.lat_deg, -fix.lon_deg)
    assert south_west.std_enu[0] < 0.05


@pytest.mark.parametrize("quality", ["0", "7", "8", ""])
def test_a_fix_that_is_none_or_simulated_is_not_given_out(quality: str) -> None:
    d = ship()
    assert give(d, sentence("GGA", GGA.format(quality))) == []
    assert "reports no fix" in d.health(10.0)["gnss"]


def test_gns_takes_the_best_of_its_systems() -> None:
    fields = "112257.00,3844.24011,N,00908.43828,W,{},03,10.5,,,,"
    assert one("GNS", fields.format("AN")).quality == 1
    assert one("GNS", fields.format("NRA")).quality == 4
    assert give(ship(), sentence("GNS", fields.format("NN"))) == []


def test_rmc_gives_position_velocity_and_date() -> None:
    fix, velocity = give(ship(), sentence("RMC", RMC.format("123519.50")))
    assert isinstance(fix, GnssFix)
    assert isinstance(velocity, GnssVelocity)
    assert fix.utc_s == calendar.timegm((1994, 3, 23, 12, 35, 19)) + 0.5
    course = math.radians(84.4)
    wanted = 22.4 * KNOT * np.array([math.sin(course), math.cos(course)])
    assert velocity.velocity_enu[:2] == pytest.approx(wanted, abs=1e-9)
    assert math.isnan(velocity.velocity_enu[2])
    assert give(ship(), sentence("RMC", RMC.format("123519").replace(",A,4807", ",V,4807"))) == []
    assert give(ship(), sentence("RMC", RMC.format("123519")[:-1] + "S")) == []


def test_rmc_without_a_course() -> None:
    slow = RMC.format("123519").replace("022.4,084.4", "0.4,")
    fix, velocity = give(ship(), sentence("RMC", slow))
    assert isinstance(fix, GnssFix)
    assert velocity.velocity_enu[:2] == pytest.approx([0.0, 0.0])
    assert velocity.std == pytest.approx(0.4 * KNOT)
    assert len(give(ship(), sentence("RMC", RMC.format("123519").replace("022.4,084.4", "5.0,")))) == 1


def test_vtg_in_both_forms_and_units() -> None:
    for fields in ("090.0,T,,M,10.0,N,18.52,K,A", "090.0,T,,M,,N,18.52,K,A", "090.0,,10.0,18.52"):
        assert one("VTG", fields).velocity_enu[:2] == pytest.approx([10.0 * KNOT, 0.0], abs=1e-9), fields
    assert give(ship(), sentence("VTG", "090.0,T,,M,10.0,N,18.52,K,N")) == []


def test_gll() -> None:
    fix = one("GLL", "4916.45,N,12311.12,W,225444,A,D")
    assert (fix.lat_deg, fix.lon_deg, fix.quality) == pytest.approx((49.27416667, -123.18533333, 2))
    assert math.isnan(fix.alt_m)
    assert give(ship(), sentence("GLL", "4916.45,N,12311.12,W,225444,V,N")) == []


def test_gst_and_gsa_set_the_error() -> None:
    d = ship()
    give(d, sentence("GST", "123519,,,,,1.5,0.7,3.0"))
    (fix,) = give(d, sentence("GGA", GGA.format(1)))
    assert fix.std_enu == pytest.approx([0.7, 1.5, 3.0])  # the sentence has latitude first
    (late,) = give(d, sentence("GGA", GGA.format(1).replace("123519", "123530")), t=21.0)
    assert late.std_enu[0] == pytest.approx(0.9 * 3.0 * math.sqrt(0.5))
    d = ship()
    give(d, sentence("GSA", "A,3,,,,,,,,,,,,,2.5,1.3,2.1"))
    (fix,) = give(d, sentence("GLL", "4916.45,N,12311.12,W,225444,A,A"))
    assert fix.std_enu == pytest.approx([1.3 * 3.0 * math.sqrt(0.5)] * 2 + [2.1 * 3.0])


# --- heading, turn, log, feedback -------------------------------------------------------------------


@pytest.mark.parametrize(("heading", "yaw_deg"), [(0, 90), (90, 0), (180, -90), (270, 180), (45, 45), (360, 90)])
def test_true_heading(heading: float, yaw_deg: float) -> None:
    for kind, fields in (("HDT", f"{heading},T"), ("THS", f"{heading},A")):
        sample = one(kind, fields)
        assert isinstance(sample, Heading)
        assert sample.source == "compass"
        off = math.remainder(sample.yaw - math.radians(yaw_deg), math.tau)
        assert off == pytest.approx(0.0, abs=1e-12)


def test_headings_that_are_none() -> None:
    for kind, fields in (("HDT", ",T"), ("THS", "90.0,V"), ("THS", "90.0,S"), ("HDM", "90.0,M"), ("HDG", "90,,,,")):
        assert give(ship(), sentence(kind, fields)) == [], (kind, fields)


def test_magnetic_heading_with_deviation_and_variation(tmp_path: Path) -> None:
    yaw = math.radians(90.0 - (98.0 - 1.0 + 5.0))
    assert one("HDG", "98.0,1.0,W,5.0,E").yaw == pytest.approx(yaw)
    d = ship()
    give(d, sentence("HDG", "98.0,,,4.0,E"))
    assert give(d, sentence("HDM", "98.0,M"), t=20.0)[0].yaw == pytest.approx(math.radians(90.0 - 102.0))
    d = ship()
    give(d, sentence("RMC", RMC.format("123519")))  # variation 3.1 W
    assert give(d, sentence("HDM", "98.0,M"))[0].yaw == pytest.approx(math.radians(90.0 - 94.9))
    d = ship(tmp_path, "      variation_deg: -3.0\n")
    assert give(d, sentence("HDM", "98.0,M"))[0].yaw == pytest.approx(math.radians(90.0 - 95.0))


def test_a_gyro_compass_goes_before_a_magnetic_one_until_it_is_silent() -> None:
    d = ship()
    kinds = []
    for i in range(60):
        lines = [sentence("HDG", "98.0,,,4.0,E")] + [sentence("HDT", "100.0,T")] * (i < 20)
        samples = d.step(i * 0.1, [Received(i * 0.1, line) for line in lines]).samples
        kinds.append([round(90.0 - math.degrees(s.yaw)) for s in samples if isinstance(s, Heading)])
    assert kinds[5:20] == [[100]] * 15
    assert kinds[-5:] == [[102]] * 5
    assert sum(map(len, kinds[20:])) >= 38  # nothing is lost while it changes over


def test_rate_of_turn_is_positive_to_port_for_us() -> None:
    sample = one("ROT", "60.0,A")
    assert isinstance(sample, Imu)
    assert sample.source == "gyro"
    assert sample.angular_velocity[2] == pytest.approx(-math.radians(1.0))
    assert np.isnan(sample.angular_velocity[:2]).all()
    assert np.isnan(sample.linear_acceleration).all()
    assert give(ship(), sentence("ROT", "60.0,V")) == []


def test_speed_through_water() -> None:
    for kind, fields in (
        ("VHW", ",T,,M,10.0,N,,K"), ("VHW", ",T,,M,,N,18.52,K"), ("VBW", "10.0,0.1,A,9.0,0.2,A"),
    ):  # fmt: skip
        sample = one(kind, fields)
        assert isinstance(sample, SpeedThroughWater)
        assert sample.speed == pytest.approx(10.0 * KNOT)
    assert give(ship(), sentence("VBW", "10.0,0.1,V,9.0,0.2,A")) == []


def test_rudder_and_propeller() -> None:
    sample = one("RSA", "10.0,A,,V")
    assert isinstance(sample, JointState)
    assert sample.source == "steering_gear"
    assert sample.position == {
        "rudder": pytest.approx(-math.radians(10.0))
    }  # starboard rudder turns the bow to starboard
    assert one("RSA", "10.0,A,-5.0,A").position["rudder_port"] == pytest.approx(math.radians(5.0))
    assert give(ship(), sentence("RSA", "10.0,V,,")) == []
    assert one("RPM", "S,1,120.0,50.0,A").velocity == {"propeller": pytest.approx(4.0 * math.pi)}
    assert one("RPM", "E,2,-60.0,,A").velocity == {"engine_2": pytest.approx(-math.tau)}
    assert give(ship(), sentence("RPM", "S,1,120.0,50.0,V")) == []


# --- robustness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("GGA", GGA.format(1).replace("4807.038", "9107.038")),
        ("GGA", GGA.format(1).replace("4807.038", "nan")),
        ("GGA", GGA.format(1).replace(",N,", ",E,")),
        ("GGA", GGA.format(1).replace("0.9", "-1")),
        ("RMC", RMC.format("256000")),
        ("RMC", RMC.format("123519").replace("230394", "320394")),
        ("RMC", RMC.format("123519").replace("022.4", "1e9")),
        ("HDT", "361.0,T"),
        ("HDT", "inf,T"),
        ("ROT", "99999,A"),
        ("RSA", "1000,A,,"),
        ("VHW", ",T,,M,1_0,N,,K"),
    ],
)
def test_bad_fields_are_counted_and_not_passed_on(kind: str, fields: str) -> None:
    d = ship()
    assert give(d, sentence(kind, fields)) == []
    assert d.stats.rejected == {"bad_field": 1}


def test_a_value_the_sample_can_do_without_costs_only_itself() -> None:
    fix = one("GGA", GGA.format(1).replace("545.4", "9999999"))
    assert math.isnan(fix.alt_m)
    assert len(give(ship(), sentence("RMC", RMC.format("123519").replace("003.1", "999.9")))) == 2


def test_unknown_sentences_are_counted_in_bounded_memory() -> None:
    d = ship()
    for i in range(1000):
        give(d, sentence(f"{chr(65 + i % 26)}{chr(65 + i // 26 % 26)}Z", "1,2"))
    assert sum(d.stats.ignored.values()) == 1000
    assert len(d.stats.ignored) <= 65
    assert len(d.stats.last_t) < 30


def test_two_lines_do_not_share_half_sentences() -> None:
    d = ship()
    line = sentence("HDT", "90.0,T")
    d.step(0.0, [Received(0.0, line[:8], bus=0), Received(0.0, line, bus=1)])
    assert d.step(0.0, [Received(0.0, line[8:], bus=0)]).samples != ()
    assert d.stats.accepted == 2


def test_checksum_may_be_declared_absent(tmp_path: Path) -> None:
    assert give(ship(), b"$HEHDT,90.0,T\r\n") == []
    d = ship(tmp_path, "      checksum: none\n")
    assert len(give(d, b"$HEHDT,90.0,T\r\n")) == 1
    assert give(d, b"$HEHDT,91.0,T*00\r\n") == []
    assert d.stats.rejected == {"checksum": 1}


kinds = st.sampled_from(
    ["GGA", "GNS", "RMC", "GLL", "VTG", "ZDA", "GST", "GSA", "HDT", "THS", "HDG", "HDM", "ROT", "VHW", "VBW", "RSA"]
    + ["RPM", "VDM"]
)
fields = st.one_of(
    st.sampled_from(
        ["", "A", "V", "N", "S", "E", "W", "T", "M", "K", "4807.038", "01131.000", "123519", "230394", "1", "2"]
    ),
    st.text("0123456789.-+eEnaif", max_size=10),
    st.integers(-400, 400).map(str),
)
good_or_bad = st.builds(
    lambda k, f: sentence(k, ",".join(f)), kinds, st.lists(fields, min_size=1, max_size=20)
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(good_or_bad, st.binary(max_size=20)), max_size=15), st.lists(st.integers(0, 500), max_size=6))
def test_no_bytes_raise_no_sample_is_out_of_range_and_chunking_changes_nothing(
    lines: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(lines)
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    whole, parts = ship(), ship()
    a = list(whole.step(5.0, [Received(5.0, data)]).samples)
    b = [s for i, j in itertools.pairwise(edges) for s in parts.step(5.0, [Received(5.0, data[i:j])]).samples]
    a += whole.step(99.0, []).samples
    b += parts.step(99.0, []).samples
    assert sorted(map(repr, a)) == sorted(map(repr, b))
    assert (whole.stats.rejected, whole.stats.ignored) == (parts.stats.rejected, parts.stats.ignored)
    for s in a:
        if isinstance(s, GnssFix):
            assert abs(s.lat_deg) <= 90.0
            assert abs(s.lon_deg) <= 180.0
            assert np.isfinite(s.std_enu).all()
            assert (s.std_enu > 0.0).all()
        elif isinstance(s, GnssVelocity):
            assert np.isfinite(s.velocity_enu[:2]).all()
        elif isinstance(s, Heading):
            assert abs(s.yaw) <= math.pi
        elif isinstance(s, SpeedThroughWater):
            assert math.isfinite(s.speed)


def test_health_names_what_is_silent() -> None:
    d = ship()
    assert set(d.health(0.0)) == {n for n, s in PLATFORM.model.sensors.items() if s.driver == "bridge"}
    lines = [("GGA", GGA.format(1)), ("HDT", "1,T"), ("ROT", "1,A"), ("RSA", "1,A,,"), ("VHW", ",T,,M,1.0,N,,K")]
    give(d, *(sentence(k, f) for k, f in lines), t=50.0)
    assert d.health(50.5) == {}
    assert d.health(52.0) == {
        "compass": "no compass sample for 2.0 s",
        "gyro": "no gyro sample for 2.0 s",
        "steering_gear": "no steering_gear sample for 2.0 s",
    }

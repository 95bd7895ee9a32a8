"""NMEA driver: signs and units of every sentence, epochs, time, and the orders it has the guard send."""

from __future__ import annotations

import calendar
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core.guard import WireEncoder
from giljabi.platform import load_platform
from giljabi.types import BadInputError, GnssFix, GnssVelocity, Heading, Imu, JointState, SpeedThroughWater
from giljabi_drivers.contract import Received
from giljabi_drivers.epoch import GPS_ROLLOVER, EpochFilter, UtcTracker
from giljabi_drivers.nmea0183 import Nmea0183Driver

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = load_platform("ship")
SHIP = (ROOT / "config" / "platforms" / "ship.yaml").read_text()
KNOT = 1852.0 / 3600.0
GGA = "123519.00,4807.038,N,01131.000,E,{},08,0.9,545.4,M,46.9,M,,"
RMC = "{},A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W,A"


def ship(tmp_path: Path | None = None, options: str = "") -> Nmea0183Driver:
    """The ship's bridge; options: lines added to those of the driver."""
    if tmp_path is None:
        return Nmea0183Driver(PLATFORM, "bridge")
    path = tmp_path / "ship.yaml"
    path.write_text(SHIP.replace("      talker: AG\n", f"      talker: AG\n{options}", 1))
    return Nmea0183Driver(load_platform(path), "bridge")


def sentence(kind: str, fields: str, talker: str = "GP") -> bytes:
    """A sentence as an independent encoder writes it."""
    return (str(pynmea2.TalkerSentence(talker, kind, tuple(fields.split(",")))) + "\r\n").encode()


def give(driver: Nmea0183Driver, *lines: bytes, t: float = 10.0) -> list[Any]:
    return [s for line in lines for s in driver.step(t, [Received(t, line)]).samples]


def one(kind: str, fields: str) -> Any:
    (sample,) = give(ship(), sentence(kind, fields))
    return sample


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


# --- epochs -----------------------------------------------------------------------------------------


def epoch(clock: str, order: str) -> list[bytes]:
    lines = {
        "G": sentence("GGA", GGA.format(1).replace("123519.00", clock)),
        "R": sentence("RMC", RMC.format(clock)),
        "L": sentence("GLL", f"4807.038,N,01131.000,E,{clock},A,A"),
        "V": sentence("VTG", "084.4,T,,M,22.4,N,,K,A"),
    }
    return [lines[c] for c in order]


def drive(
    order: str, lost: dict[int, str], together: bool, count: int = 30, rate: float = 5.0
) -> tuple[list[Any], Any]:
    """Epochs of one second's parts, with the sentences of `lost` missing in some of them."""
    d = ship()
    out: list[Any] = []
    for i in range(count):
        clock = f"1235{i * 1.0 / rate:05.2f}"
        for k, line in enumerate(epoch(clock, "".join(c for c in order if c not in lost.get(i, "")))):
            t = i / rate + (0.0 if together else 0.01 * k)
            idle = d.step(max(t - 0.005, 0.0), [])
            out += idle.samples
            if idle.next_deadline < t:
                out += d.step(idle.next_deadline, []).samples
            out += d.step(t, [Received(t, line)]).samples
    out += d.step(1e3, []).samples
    return out


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("GRLV")] + ["RV", "VR", "GL", "L", "R"])
@pytest.mark.parametrize("together", [True, False])
def test_one_fix_and_one_velocity_an_epoch_in_any_order(order: str, together: bool) -> None:
    samples = drive(order, {}, together)
    fixes = [s for s in samples if isinstance(s, GnssFix)]
    velocities = [s for s in samples if isinstance(s, GnssVelocity)]
    # Only the first epoch can bring a second one: nobody knows yet what follows.
    assert 30 <= len(fixes) <= 30 + 2 * ("L" in order or "R" in order)
    assert len(velocities) in (30, 31) if {"R", "V"} & set(order) else not velocities
    if "G" in order:
        assert all(not math.isnan(f.alt_m) for f in fixes[3:])


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("GRV")])
def test_a_lost_line_costs_no_fix_and_no_velocity(order: str) -> None:
    lost = {10: "G", 14: "R", 18: "GV", 22: "RV"}
    samples = drive(order, lost, together=False)
    fix_epochs = {round(s.t * 5.0 - 0.1) for s in samples if isinstance(s, GnssFix)}
    velocity_epochs = {round(s.t * 5.0 - 0.1) for s in samples if isinstance(s, GnssVelocity)}
    assert fix_epochs == set(range(30))
    assert velocity_epochs == set(range(30)) - {22}  # that epoch has no line with a velocity


def test_a_lesser_sentence_waits_only_a_moment() -> None:
    d = ship()
    for i in range(5):
        give(d, *epoch(f"12350{i}.00", "RG"), t=float(i))
    result = d.step(6.0, [Received(6.0, epoch("123506.00", "R")[0])])
    assert [type(s) for s in result.samples] == [GnssVelocity]
    assert 6.0 < result.next_deadline < 6.3
    (late,) = d.step(result.next_deadline, []).samples
    assert isinstance(late, GnssFix)
    assert late.t == 6.0


def test_a_receiver_that_repeats_itself_gives_no_new_fix() -> None:
    d = ship()
    line = sentence("GGA", GGA.format(1))
    assert len(give(d, line)) == 1
    assert give(d, line, line, t=11.0) == []
    assert d.health(15.0)["gnss"].startswith("no gnss sample for 5.0 s")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from([math.nan, 1.0, 2.0, 3.0]), st.integers(0, 3)), max_size=30)
)
def test_an_epoch_filter_never_gives_a_sample_twice(offers: list[tuple[float, float, int]]) -> None:
    f: EpochFilter[int] = EpochFilter()
    out: list[int] = []
    for i, (t, key, rank) in enumerate(offers):
        out += f.offer(t, key, rank, i, i)
        out += f.flush(t)
    out += f.flush(math.inf)
    assert len(out) == len(set(out))
    assert f.pending is None
    best = max((rank for _, _, rank in offers), default=0)
    assert {i for i, o in enumerate(offers) if o[2] == best} <= set(out)  # the best sentence always passes


# --- time -------------------------------------------------------------------------------------------


def test_time_of_day_gets_its_date_over_midnight_and_leap_second() -> None:
    d = ship()
    zda = sentence("ZDA", "235958.00,31,12,2016,00,00")
    lines = [sentence("GGA", GGA.format(1).replace("123519", c)) for c in ("235959", "235960", "000000", "000001")]
    fixes = [s for i, line in enumerate([zda, *lines]) for s in give(d, line, t=100.0 + i)]
    new_year = calendar.timegm((2017, 1, 1, 0, 0, 0))
    assert [f.utc_s for f in fixes] == [new_year - 1, new_year, new_year, new_year + 1]
    assert len(fixes) == 4


def test_dates_without_times_and_times_without_dates() -> None:
    d = ship()
    give(d, sentence("ZDA", ",31,12,2016,00,00"), sentence("ZDA", "120000,,,,00,"), sentence("RMC", RMC.format("")))
    (fix,) = give(d, sentence("GGA", GGA.format(1)), t=12.0)
    assert math.isnan(fix.utc_s)
    assert give(d, sentence("ZDA", "120000,31,02,2016,00,00")) == []
    assert d.stats.rejected == {"bad_field": 1}


def test_gps_week_rollover() -> None:
    today = float(calendar.timegm((2026, 4, 7, 12, 0, 0)))
    utc = UtcTracker()
    utc.set_date(today + 3.0, 2006, 8, 22, 43200.0)  # 1024 weeks before, and the receive clock knows better
    assert utc.resolve(today + 4.0, 43201.0) == today + 1.0
    utc = UtcTracker()
    utc.set_date(today, 2006, 8, 22, 43200.0)
    assert utc.utc == today
    utc = UtcTracker()
    utc.set_date(5.0, 2006, 8, 22, 43200.0)  # a replay that counts from 0 knows nothing
    assert utc.utc == today - GPS_ROLLOVER
    utc = UtcTracker()
    utc.set_date(0.0, 2019, 4, 6, 86398.0)
    utc.set_date(3.0, 1999, 8, 22, 1.0)  # it happens while we listen
    assert utc.utc == calendar.timegm((2019, 4, 7, 0, 0, 1))


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


# --- orders -----------------------------------------------------------------------------------------


def encoder(driver: Nmea0183Driver) -> WireEncoder:
    limits = {n: (a.min, a.max) for n, a in PLATFORM.model.actuators.items()}
    return WireEncoder(driver.encode_table(), limits)


def order(data: bytes) -> list[str]:
    """Fields of a sentence on the wire, read without our own code."""
    text = data.decode("ascii")
    assert text.startswith("$")
    assert text.endswith("\r\n")
    assert len(text) <= 82
    body, checksum = text[1:-2].split("*")
    assert int(checksum, 16) == pynmea2.NMEASentence.checksum(body)
    return body.split(",")


@pytest.mark.parametrize(("rudder", "degrees"), [(0.1, -5.73), (-0.35, 20.05), (0.0, 0.0), (2.0, -34.95)])
def test_rudder_order_on_the_wire(rudder: float, degrees: float) -> None:
    address, value, *rest = order(encoder(ship()).encode("ROR rudder", {"rudder": rudder, "throttle": 0.0}))
    assert (address, rest) == ("AGROR", ["A", "", "", "B"])
    assert float(value) == pytest.approx(degrees, abs=0.006)


@pytest.mark.parametrize(("newton", "percent"), [(8000.0, 50.0), (-6000.0, -37.5), (99999.0, 100.0), (0.0, 0.0)])
def test_lever_order_on_the_wire(newton: float, percent: float) -> None:
    address, value, *rest = order(encoder(ship()).encode("PRC throttle", {"rudder": 0.0, "throttle": newton}))
    assert (address, rest) == ("AGPRC", ["A", "", "", "", "", "B", "0"])
    assert float(value) == pytest.approx(percent, abs=0.006)


def test_a_device_without_actuators_takes_no_commands() -> None:
    assert Nmea0183Driver(PLATFORM, "ais").encode_table() is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rudder: {sentence: ROR", "ruder: {sentence: ROR", ["'rudder'", "no command"]),
        ("sentence: PRC", "sentence: ROR", ["ROR carries an actuator in rad", "'throttle' is in N"]),
        (", full_scale: 16000.0", "", ["PRC needs full_scale"]),
        ("talker: AG", "talker: agx", ["talker"]),
        ("sentence: ROR", "sentence: XYZ", ["XYZ", "ROR"]),
        ("talker: AG", "talkr: AG", ["unknown key", "talker"]),
    ],
)
def test_a_wrong_platform_file_is_an_error_with_its_line(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    assert old in SHIP
    path = tmp_path / "ship.yaml"
    path.write_text(SHIP.replace(old, new, 1))
    with pytest.raises(BadInputError) as e:
        Nmea0183Driver(load_platform(path), "bridge")
    assert str(e.value).startswith(f"{path}:")
    for word in words:
        assert word in str(e.value)


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

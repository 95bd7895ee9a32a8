"""Headings that a ship's autopilot is told: an angle that wraps through the guard, HTC on the wire, HTD back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import pynmea2
import pytest
from guard_rig import CONFIG, TABLE
from hypothesis import given
from hypothesis import strategies as st

from giljabi._core.guard import WireEncoder
from giljabi.platform import find_platform, load_platform
from giljabi.safety.guard import Guard, GuardActuator, GuardConfig, build_guard
from giljabi.types import BadInputError, JointState, StackState
from giljabi.wire import EncodeTable, WireField, WireMessage
from giljabi_drivers.contract import Received
from giljabi_drivers.decode_nmea import NmeaDecoder
from giljabi_drivers.nmea0183 import Nmea0183Driver

PLATFORM = load_platform("ship_autopilot")
FILE = find_platform("ship_autopilot").read_text(encoding="utf-8")
RATE = 0.5  # rad/s
ANGLES = st.floats(-100.0, 100.0)


def order(data: bytes) -> list[str]:
    """Fields of a sentence on the wire, read without our own code."""
    text = data.decode("ascii")
    body, checksum = text[1:-2].split("*")
    assert text[0] == "$"
    assert text.endswith("\r\n")
    assert len(text) <= 82
    assert int(checksum, 16) == pynmea2.NMEASentence.checksum(body)
    return body.split(",")


def driver() -> Nmea0183Driver:
    return Nmea0183Driver(PLATFORM, "bridge")


def encoder() -> WireEncoder:
    return WireEncoder(driver().encode_table(), {n: (a.min, a.max) for n, a in PLATFORM.model.actuators.items()})


def heard(d: Nmea0183Driver, t: float, body: str) -> list[JointState]:
    line = f"${body}*{pynmea2.NMEASentence.checksum(body):02X}\r\n".encode()
    return [s for s in d.step(t, [Received(t, line)]).samples if isinstance(s, JointState)]


# --- the angle in the guard -------------------------------------------------------------------------


def turning_guard(at: float, **changes: object) -> Guard:
    """A guard with one angle that wraps, armed at `at` and told so ever since."""
    angle = GuardActuator("heading", -math.pi, math.pi, RATE, 0.0, 1.0, follow=True, wraps=True)
    angle = dataclasses.replace(angle, **changes)  # type: ignore[arg-type]
    table = EncodeTable(
        "bridge", "nmea", (WireMessage("h", 0.1, (WireField("heading"),), template="$AGHTC,{heading}"),)
    )
    g = Guard(GuardConfig((angle,), (table,), 100.0, 0.15, 0.5, 0.3))
    g.step(0.0)
    g.feedback(0.0, "heading", at)
    g.step(0.01)
    for give in (g.heartbeat(0.01, 0.01), g.submit("auto", 0.01, 0.01, {"heading": at})):
        assert not give
    assert g.arm(0.01) == []
    return g


def driven(g: Guard, wanted: float, ticks: int) -> Iterator[float]:
    for k in range(2, ticks + 2):
        t = 0.01 * k
        g.heartbeat(t, t)
        assert not g.submit("auto", t, t, {"heading": wanted})
        g.step(t)
        yield g.output()["heading"]


@given(start=ANGLES, wanted=ANGLES)
def test_it_goes_the_short_way_at_its_rate_and_arrives(start: float, wanted: float) -> None:
    g = turning_guard(start)
    before = g.output()["heading"]
    assert math.remainder(before - start, math.tau) == pytest.approx(0.0, abs=1e-9)
    left = math.remainder(wanted - start, math.tau)
    for value in driven(g, wanted, 700):  # half a turn takes 628
        step = math.remainder(value - before, math.tau)
        assert -math.pi <= value <= math.pi
        assert abs(step) <= RATE * 0.01 + 1e-9
        assert step * left >= -1e-12 or abs(left) > math.pi - 1e-6  # never away from it; half a turn: either way
        before = value
    assert math.remainder(before - wanted, math.tau) == pytest.approx(0.0, abs=1e-9)
    assert not any(g.counters().values())


def test_it_begins_where_the_compass_says_and_does_not_arm_without_one() -> None:
    guard = build_guard(PLATFORM, [t for t in (driver().encode_table(),) if t])
    guard.step(0.0)
    assert any("nobody says where 'heading' is; is its compass heard" in r for r in guard.arm(0.0))
    guard.feedback(0.0, "heading", 2.5)
    guard.step(0.02)
    assert guard.output()["heading"] == 2.5
    assert not any("heading" in r for r in guard.arm(0.02))


@pytest.mark.parametrize(("start", "kept"), [(False, 2.0), (True, 2.4)])
def test_the_safe_output_keeps_where_it_is_for_good(start: bool, kept: float) -> None:
    g = turning_guard(2.0, safe_from_feedback=start)
    g.feedback(0.01, "heading", 2.4)
    g.stop(0.02)
    for k in range(2, 3000):
        g.step(0.01 * k)
        assert g.output()["heading"] == pytest.approx(kept)


def test_an_angle_whose_ends_are_no_turn_apart_is_refused() -> None:
    bad = dataclasses.replace(CONFIG.actuators[0], wraps=True)
    with pytest.raises(ValueError, match=r"steering: an angle that wraps needs min and max a turn apart"):
        Guard(GuardConfig((bad, CONFIG.actuators[1]), (TABLE,), 100.0, 0.15, 0.5, 0.3))


# --- on the wire ------------------------------------------------------------------------------------


@given(st.floats(-math.pi, math.pi))
def test_the_heading_on_the_wire_is_from_north_and_below_360(yaw: float) -> None:
    fields = order(encoder().encode("HTC heading", {"heading": yaw, "throttle": 0.0}))
    assert fields[:10] == ["AGHTC", "V", "", "", "H", "N", "", "", "", ""]
    assert fields[11:] == ["", "", "T", "C"]
    degrees = float(fields[10])
    assert 0.0 <= degrees < 360.0
    assert math.remainder(degrees - (90.0 - math.degrees(yaw)), 360.0) == pytest.approx(0.0, abs=0.0501)


@pytest.mark.parametrize(
    ("yaw_deg", "text"), [(90.0, "0.0"), (90.04, "0.0"), (90.06, "359.9"), (-90.0, "180.0"), (180.0, "270.0")]
)
def test_north_is_never_360(yaw_deg: float, text: str) -> None:
    assert order(encoder().encode("HTC heading", {"heading": math.radians(yaw_deg), "throttle": 0.0}))[10] == text


@given(value=st.floats(-1e6, 1e6), bits=st.integers(9, 16))
def test_an_angle_on_can_wraps_before_it_is_rounded(value: float, bits: int) -> None:
    field = WireField("a", 10.0, turn=3600.0 if bits >= 12 else 360.0, length=bits)
    table = EncodeTable("x", "can", (WireMessage("m", 0.1, (field,), can_id=1),), "socketcan")
    raw = int.from_bytes(WireEncoder(table, {"a": (-math.pi, math.pi)}).encode("m", {"a": value})[8:16], "little")
    assert 0 <= raw < field.turn
    assert abs(math.remainder(raw - 10.0 * value, field.turn)) <= 0.5 + 1e-6


def test_rate_of_turn_and_an_older_edition(tmp_path: Path) -> None:
    path = tmp_path / "ship.yaml"
    path.write_text(FILE.replace("period_s: 0.2}", "period_s: 0.2, rate_of_turn_dpm: 30, status_flag: false}"))
    d = Nmea0183Driver(load_platform(path), "bridge")
    e = WireEncoder(d.encode_table(), {"heading": (-math.pi, math.pi), "throttle": (0.0, 1.0)})
    fields = order(e.encode("HTC heading", {"heading": 0.0, "throttle": 0.0}))
    assert fields == ["AGHTC", "V", "", "", "H", "T", "", "", "", "30.0", "90.0", "", "", "T"]


def test_nothing_is_ordered_before_arming() -> None:
    d = driver()
    guard = build_guard(PLATFORM, [t for t in (d.encode_table(),) if t])
    for k in range(200):
        t = 0.02 * k
        for s in heard(d, t, "HEHDT,45.0,T"):
            guard.feedback(t, "heading", s.position["heading"])
        assert not [f for _, f in guard.step(t) if b"HTC" in f]
    guard.heartbeat(4.0, 4.0)
    guard.submit("auto", 4.0, 4.0, {"heading": 0.0, "throttle": 0.0})
    assert guard.arm(4.0) == []
    (first,) = [f for _, f in guard.step(4.0) if b"HTC" in f]
    assert float(order(first)[10]) == pytest.approx(45.0, abs=math.degrees(0.25 * 0.02) + 0.06)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    wraps: true\n", "    wraps: true\n    min: -1.0\n", "has no min and max"),
        ("    unit: rad\n", "    unit: N\n", "wraps is for an angle, but unit is N"),
        ("    wraps: true\n", "    min: -1.0\n    max: 1.0\n", "safe action keep is for angles that wrap"),
        ("safe: {action: keep, start: feedback}", "safe: {action: ramp, rate: 0.1}", "wraps needs safe action keep"),
        ("{action: keep, start", "{action: keep, rate: 0.1, start", "action is keep, but rate is given"),
        ("sentence: HTC", "sentence: ROR", "'heading' wraps, which ROR cannot carry; HTC is expected"),
    ],
)
def test_a_wrong_platform_file_is_an_error_with_its_line(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in FILE
    path = tmp_path / "ship.yaml"
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(BadInputError) as e:
        Nmea0183Driver(load_platform(path), "bridge")
    assert str(e.value).startswith(f"{path}:")
    assert words in str(e.value)


def test_a_rudder_cannot_go_out_as_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "ship.yaml"
    path.write_text(find_platform("ship").read_text().replace("sentence: ROR", "sentence: HTC"))
    with pytest.raises(BadInputError, match=r"HTC carries a heading, but 'rudder' does not wrap"):
        Nmea0183Driver(load_platform(path), "bridge")


# --- what the autopilot says ------------------------------------------------------------------------

HTD = "AGHTD,{},2.5,R,{},N,28.0,,,,123.4,,,T,A,A,A,121.0"


def test_htd_is_decoded() -> None:
    body = HTD.format("V", "H")
    line = f"${body}*{pynmea2.NMEASentence.checksum(body):02X}\r\n".encode()
    (row,) = NmeaDecoder().rows("x", [line])
    assert row["type"] == "HTD"
    told = {k: row[k] for k in ("override", "steering_mode", "rudder_order_deg", "rudder_side", "heading_to_steer_deg")}
    assert told == {
        "override": False, "steering_mode": "H", "rudder_order_deg": 2.5, "rudder_side": "R",
        "heading_to_steer_deg": 123.4,
    }  # fmt: skip
    assert (row["heading_deg"], row["rudder_within_limit"]) == (121.0, True)


@pytest.mark.parametrize(
    ("override", "mode", "how"),
    [("A", "H", "by override"), ("V", "M", "by hand"), ("V", "T", "a track"), ("V", "Q", "in mode 'Q'")],
)
def test_somebody_who_takes_the_wheel_disarms(override: str, mode: str, how: str) -> None:
    d = driver()
    heard(d, 0.5, HTD.format("V", "M"))
    assert d.guard_says(StackState(0.6, "standby", False), {}) == ""
    assert d.guard_says(StackState(1.0, "auto", True), {}) == ""  # it may still take over
    heard(d, 2.0, HTD.format("V", "H"))
    assert d.guard_says(StackState(2.1, "auto", True), {}) == ""
    heard(d, 3.0, HTD.format(override, mode))
    assert (
        d.guard_says(StackState(3.1, "auto", True), {}) == f"the heading control steers {how}, not by our orders (HTD)"
    )
    assert d.guard_says(StackState(3.2, "standby", False), {}) == ""


def test_an_autopilot_that_never_follows_disarms_and_one_that_says_nothing_does_not() -> None:
    d, silent = driver(), driver()
    said = []
    for k in range(100):
        t = 0.1 * k
        heard(d, t, HTD.format("V", "S"))
        said.append(d.guard_says(StackState(t, "auto", True), {}))
        assert silent.guard_says(StackState(t, "auto", True), {}) == ""
    assert said[:50] == [""] * 50
    assert said[-1] == "the heading control steers its own heading, not by our orders (HTD)"

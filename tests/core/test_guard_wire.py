"""The wire codec against independent encoders: cantools for bits, pynmea2 for sentences, python-can for datagrams."""

from __future__ import annotations

import math
import struct
from typing import Any

import can
import can.interfaces.udp_multicast.utils as multicast
import cantools.database.can as dbc
import pynmea2
import pytest
from cantools.database.can.signal import Signal
from cantools.database.conversion import LinearConversion
from crccheck.crc import Crc8SaeJ1850
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from giljabi._core.guard import WireEncoder
from giljabi.wire import EncodeTable, WireChecksum, WireCounter, WireField, WireMessage

LIMITS = {"steering": (-0.5, 0.5), "throttle": (-9000.0, 4500.0)}


def can_table(message: WireMessage, framing: str = "socketcan") -> EncodeTable:
    return EncodeTable("vehicle", "can", (message,), framing)  # type: ignore[arg-type]


def payload(frame: bytes) -> bytes:
    """Data bytes of a struct can_frame."""
    return frame[8 : 8 + frame[4]]


# --- bits, against cantools -----------------------------------------------------------------------


@st.composite
def signals(draw: st.DrawFn) -> tuple[WireField, int, float]:
    """A field that fits its message, the message's size, and a value."""
    size = draw(st.integers(1, 8))
    length = draw(st.integers(1, min(32, 8 * size)))
    big = draw(st.booleans())
    signed = draw(st.booleans()) and length > 1
    start = draw(st.integers(0, 8 * size - 1))
    if big:
        # Motorola: count how many bits are left from the most significant one.
        assume((8 * size - 1) - (8 * (start // 8) + 7 - start % 8) >= length - 1)
    else:
        assume(start + length <= 8 * size)
    scale = draw(st.sampled_from([1.0, 10.0, -25.0, 200.0, 0.01]))
    offset = draw(st.sampled_from([0.0, 40.0, -7.0]))
    value = draw(st.floats(-0.5, 0.5))
    return (
        WireField("steering", scale, offset, start_bit=start, length=length, signed=signed, big_endian=big),
        size,
        value,
    )


@settings(max_examples=400, deadline=None)
@given(signals())
def test_bits_are_those_of_cantools(case: tuple[WireField, int, float]) -> None:
    field, size, value = case
    low, high = (-(2 ** (field.length - 1)), 2 ** (field.length - 1) - 1) if field.signed else (0, 2**field.length - 1)
    raw = min(max(value * field.scale + field.offset, low), high)
    signal = Signal(
        "steering",
        field.start_bit,
        field.length,
        "big_endian" if field.big_endian else "little_endian",
        field.signed,
        conversion=LinearConversion(1, 0, False),
    )
    expected = dbc.Message(0x123, "m", size, [signal], strict=False).encode({"steering": round(raw)}, strict=False)
    encoder = WireEncoder(can_table(WireMessage("m", 0.1, (field,), can_id=0x123, size=size)), LIMITS)
    assert payload(encoder.encode("m", {"steering": value, "throttle": 0.0})) == expected


def test_two_signals_and_counter_share_a_message() -> None:
    message = WireMessage(
        "m",
        0.1,
        (
            WireField("steering", 1000.0, start_bit=7, length=16, signed=True, big_endian=True),
            WireField("throttle", 0.5, 5000.0, start_bit=16, length=16),
            WireField("ready", source="armed", start_bit=32, length=1),
            WireField("mode", offset=5.0, source="constant", start_bit=36, length=4),
        ),
        can_id=0x321,
        counter=WireCounter(51, 4),
        checksum=WireChecksum("xor8", 63),
    )
    db = dbc.Message(
        0x321,
        "m",
        8,
        [
            Signal("steering", 7, 16, "big_endian", True),
            Signal("throttle", 16, 16),
            Signal("ready", 32, 1),
            Signal("mode", 36, 4),
            Signal("counter", 51, 4, "big_endian"),
            Signal("sum", 63, 8, "big_endian"),
        ],
    )
    encoder = WireEncoder(can_table(message), LIMITS)
    values = {"steering": -0.25, "throttle": -1000.0}
    for counter, armed in ((0, True), (7, False), (15, True), (16, True)):
        data = payload(encoder.encode("m", values, armed, counter))
        got = db.decode(data)
        parity = 0
        for b in data[:7]:
            parity ^= b
        assert got == {
            "steering": -250,
            "throttle": 4500,
            "ready": int(armed),
            "mode": 5,
            "counter": counter % 16,
            "sum": parity,
        }


@pytest.mark.parametrize(("value", "raw"), [(0.5, 10), (-0.5, -20), (0.0, 0)])
def test_raw_values_are_clipped(value: float, raw: int) -> None:
    field = WireField("steering", 1000.0, raw_min=-20, raw_max=10, start_bit=0, length=16, signed=True)
    encoder = WireEncoder(can_table(WireMessage("m", 0.1, (field,), can_id=1, size=2)), LIMITS)
    assert struct.unpack("<h", payload(encoder.encode("m", {"steering": value, "throttle": 0.0})))[0] == raw


# --- checksums ------------------------------------------------------------------------------------


def checksum_of(kind: str, data: bytes, can_id: int = 0x2E4) -> int:
    """Encodes `data` as constants beside a checksum in the last byte, and returns that byte."""
    fields = [WireField(f"b{i}", offset=b, source="constant", start_bit=8 * i, length=8) for i, b in enumerate(data)]
    message = WireMessage(
        "m",
        0.1,
        tuple(fields),
        can_id=can_id,
        extended=can_id > 0x7FF,
        size=len(data) + 1,
        checksum=WireChecksum(kind, 8 * len(data) + 7),  # type: ignore[arg-type]
    )
    return payload(WireEncoder(can_table(message), LIMITS).encode("m", {"steering": 0.0, "throttle": 0.0}))[-1]


@given(st.binary(min_size=1, max_size=7))
@settings(deadline=None)
def test_crc8_is_that_of_crccheck(data: bytes) -> None:
    assert checksum_of("crc8_j1850", data) == Crc8SaeJ1850.calc(data)


def test_toyota_checksum_by_hand() -> None:
    # 0x2E4: 8 bytes + 0x02 + 0xE4 + payload 0x80 0x00 0x00 0x00 0x00 0x00 0x00 = 0x16E
    assert checksum_of("toyota", bytes([0x80, 0, 0, 0, 0, 0, 0])) == 0x6E
    assert checksum_of("toyota", bytes([0xFF, 1]), can_id=0x18FF1234) == (3 + 0x18 + 0xFF + 0x12 + 0x34 + 0x100) & 0xFF


# --- framings -------------------------------------------------------------------------------------

IDS = st.one_of(st.tuples(st.integers(0, 0x7FF), st.just(False)), st.tuples(st.integers(0, 0x1FFFFFFF), st.just(True)))


@settings(deadline=None)
@given(IDS, st.binary(min_size=1, max_size=8))
def test_datagram_is_that_of_python_can(identifier: tuple[int, bool], data: bytes) -> None:
    can_id, extended = identifier
    fields = [WireField(f"b{i}", offset=b, source="constant", start_bit=8 * i, length=8) for i, b in enumerate(data)]
    message = WireMessage("m", 0.1, tuple(fields), can_id=can_id, extended=extended, size=len(data))
    values = {"steering": 0.0, "throttle": 0.0}
    ours = WireEncoder(can_table(message, "can_msgpack"), LIMITS).encode("m", values)
    theirs = can.Message(arbitration_id=can_id, is_extended_id=extended, data=data)
    assert ours == multicast.pack_message(theirs)
    assert multicast.unpack_message(ours, check=True).equals(theirs, timestamp_delta=None)
    frame = WireEncoder(can_table(message), LIMITS).encode("m", values)
    got_id, size, got = struct.unpack("=IB3x8s", frame)
    assert (got_id, got[:size]) == (can_id | (0x80000000 if extended else 0), data)
    assert got[size:] == bytes(8 - size)


# --- NMEA, against pynmea2 ------------------------------------------------------------------------


def nmea(template: str, *fields: WireField) -> WireEncoder:
    table = EncodeTable("bridge", "nmea", (WireMessage("m", 0.1, fields, template),))
    return WireEncoder(table, {"steering": LIMITS["steering"]})


@settings(deadline=None)
@given(st.floats(-0.5, 0.5), st.booleans(), st.integers(0, 4))
def test_sentence_is_read_by_pynmea2(value: float, armed: bool, decimals: int) -> None:
    scale = -180.0 / math.pi
    encoder = nmea("$AGRSA,{steering},{A|V},,V", WireField("steering", scale, decimals=decimals))
    text = encoder.encode("m", {"steering": value}, armed).decode()
    assert text.endswith("\r\n")
    sentence: Any = pynmea2.parse(text, check=True)
    assert (sentence.talker, sentence.sentence_type, sentence.data[1]) == ("AG", "RSA", "A" if armed else "V")
    digits = sentence.data[0]
    assert abs(float(digits) - value * scale) <= 0.5 * 10.0**-decimals + 1e-9
    assert len(digits.partition(".")[2]) == decimals
    assert digits.strip("-0.") or not digits.startswith("-")  # never -0.0


def test_sentence_by_hand() -> None:
    # XOR of the characters between $ and *, by hand: HDT example of IEC 61162-1 style.
    encoder = nmea("$HEHDT,{steering},T", WireField("steering", 100.0, offset=250.0, decimals=1))
    expected = "HEHDT,274.1,T"
    parity = 0
    for c in expected:
        parity ^= ord(c)
    assert encoder.encode("m", {"steering": 0.241}) == f"${expected}*{parity:02X}\r\n".encode()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_bytes_for_a_value_that_is_not_finite(bad: float) -> None:
    encoder = nmea("$AGROR,{steering},A", WireField("steering"))
    with pytest.raises(ValueError, match="not finite"):
        encoder.encode("m", {"steering": bad})


# --- wrong tables ---------------------------------------------------------------------------------

GOOD = WireField("steering", 100.0, start_bit=0, length=16, signed=True)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (WireMessage("m", 0.0, (GOOD,), can_id=1), "period_s"),
        (WireMessage("m", math.nan, (GOOD,), can_id=1), "period_s"),
        (WireMessage("m", 0.1, (WireField("rudder", length=8),), can_id=1), "no actuator"),
        (WireMessage("m", 0.1, (WireField("steering", 0.0, length=8),), can_id=1), "scale is 0"),
        (WireMessage("m", 0.1, (WireField("steering", math.inf, length=8),), can_id=1), "finite"),
        (WireMessage("m", 0.1, (WireField("steering", length=0),), can_id=1), "length 0"),
        (WireMessage("m", 0.1, (WireField("steering", start_bit=60, length=8),), can_id=1), "do not fit"),
        (WireMessage("m", 0.1, (WireField("steering", start_bit=-1, length=8),), can_id=1), "do not fit"),
        (
            WireMessage("m", 0.1, (WireField("steering", start_bit=56, length=8, big_endian=True),), can_id=1),
            "do not fit",
        ),
        (WireMessage("m", 0.1, (GOOD, WireField("throttle", start_bit=15, length=8)), can_id=1), "overlap"),
        (WireMessage("m", 0.1, (GOOD,), can_id=1, counter=WireCounter(15, 4)), "overlap"),
        (WireMessage("m", 0.1, (GOOD,), can_id=1, checksum=WireChecksum("xor8", 15)), "overlap"),
        (WireMessage("m", 0.1, (GOOD,), can_id=1, checksum=WireChecksum("xor8", 60, 4)), "8 bits"),
        (WireMessage("m", 0.1, (GOOD,), can_id=1, checksum=WireChecksum("crc99", 63)), "crc99"),
        (WireMessage("m", 0.1, (GOOD,), can_id=0x800), "can_id"),
        (WireMessage("m", 0.1, (GOOD,)), "can_id"),
        (WireMessage("m", 0.1, (GOOD,), can_id=1, size=9), "size"),
        (WireMessage("m", 0.1, (GOOD,), "$AGROR,{steering}", can_id=1), "template"),
        (WireMessage("m", 0.1, (WireField("steering", raw_min=5, raw_max=4, length=8),), can_id=1), "raw_min"),
    ],
)
def test_wrong_can_tables_are_refused(message: WireMessage, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        WireEncoder(can_table(message), LIMITS)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("", "begin"),
        ("AGROR,{steering}", "begin"),
        ("$AGROR,{rudder}", "rudder"),
        ("$AGROR,{steering", "without"),
        ("$AGROR,{steering}*00", "character"),
        ("$AGROR,{steering}\r\n", "character"),
        ("$AGROR,steering}", "character"),
        ("$AGROR,A,B", "no place"),
        ("$AGROR,{steering},{A|V,W}", "armed"),
        ("$AGROR,{steering}" + ",12345678" * 9, "82"),
    ],
)
def test_wrong_templates_are_refused(template: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        nmea(template, WireField("steering"))


def test_wrong_framing_is_refused() -> None:
    message = WireMessage("m", 0.1, (GOOD,), can_id=1)
    with pytest.raises(ValueError, match="framing"):
        WireEncoder(can_table(message, "raw"), LIMITS)
    with pytest.raises(ValueError, match="no message"):
        WireEncoder(EncodeTable("vehicle", "can", (), "socketcan"), LIMITS)
    with pytest.raises(ValueError, match="two messages"):
        WireEncoder(EncodeTable("vehicle", "can", (message, message), "socketcan"), LIMITS)

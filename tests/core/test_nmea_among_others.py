"""NMEA 0183 among the bytes of other protocols on one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nmea_lines import GGA, give, sentence, ship

# UBX NAV-PVT head with a body of counting bytes; SiRF with a dollar sign inside; RTCM 3 message 1005 of the standard's
# example (RTCM 10403.1, section 4.2).
UBX = bytes.fromhex("b56201071c00") + bytes(range(28)) + b"\x12\x34"
SIRF = bytes.fromhex("a0a20012") + b"$GP" + bytes(15) + bytes.fromhex("0123b0b3")
RTCM = bytes.fromhex("d300133ed7d30202980edeef34b4bd62ac0941986f33360b98")
FIX, HEADING = sentence("GGA", GGA.format(1)), sentence("HDT", "100.0,T", "HE")


@pytest.mark.parametrize("other", [UBX, SIRF, RTCM], ids=["ubx", "sirf", "rtcm"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_no_sentence_is_lost(other: bytes, size: int) -> None:
    stream = other + FIX + other + HEADING + other[:5] + sentence("ROT", "1.0,A", "HE") + other
    d = ship()
    got = give(d, *(stream[k : k + size] for k in range(0, len(stream), size)))
    assert [type(s).__name__ for s in got] == ["GnssFix", "Heading", "Imu"]
    assert d.stats.accepted == 3


def test_a_sentence_that_was_cut_off_by_the_next() -> None:
    d = ship()
    got = give(d, FIX[:20] + HEADING + HEADING.strip() + sentence("ROT", "1.0,A", "HE"))
    assert [type(s).__name__ for s in got] == ["Heading", "Heading", "Imu"]
    assert d.stats.rejected == {"truncated": 1}


@given(st.binary(max_size=200).filter(lambda b: not set(b) & set(b"$!\\")))
def test_any_other_bytes(other: bytes) -> None:
    got = give(ship(), other + FIX + other + HEADING)
    assert [type(s).__name__ for s in got] == ["GnssFix", "Heading"]

"""The Python face of the NMEA framer, with pynmea2 as an independent reader."""

from __future__ import annotations

import itertools
import math

import pynmea2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from giljabi._core import nmea

GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
VDM = b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\r\n"
TAGGED = b"\\g:1-2-27300,n:636994,s:b003669710,c:1428621738*5F\\" + VDM


def sentences(data: bytes, **options: object) -> list[nmea.Sentence]:
    return nmea.Framer(**options).feed(data)  # type: ignore[arg-type]


def test_a_sentence_in_parts() -> None:
    s = sentences(GGA)[0]
    assert (s.talker, s.type, s.address, s.tag) == ("GP", "GGA", "GPGGA", "")
    assert s.text == GGA.decode().split("*")[0]
    assert s.fields == tuple(GGA.decode().split("*")[0].split(",")[1:])
    assert s.coordinate(1) == pytest.approx(48.1173, abs=1e-12)
    assert s.clock(0) == 12 * 3600 + 35 * 60 + 19
    assert s.number(8) == 545.4
    assert math.isnan(s.number(12))
    assert math.isnan(s.number(99))
    assert s.field(99) == ""


def test_proprietary_sentences_name_their_maker() -> None:
    s = sentences(b"$PUBX,00,1*%02X\n" % nmea.checksum("PUBX,00,1"))[0]
    assert (s.talker, s.type) == ("P", "UBX")
    s = sentences(b"$PSRFTXTVersion 1.2*%02X\n" % nmea.checksum("PSRFTXTVersion 1.2"))[0]
    assert (s.talker, s.type, s.fields) == ("P", "SRFTXTVersion 1.2", ())


def test_tag_block_is_kept() -> None:
    assert sentences(TAGGED)[0].tag == "g:1-2-27300,n:636994,s:b003669710,c:1428621738"


def test_malformed_fields_are_errors_with_a_place() -> None:
    s = sentences(b"$GPGLL,48x7.038,N,,,2460,*%02X" % nmea.checksum("GPGLL,48x7.038,N,,,2460,"))[0]
    with pytest.raises(ValueError, match=r"GPGLL field 0 is '48x7.038'"):
        s.coordinate(0)
    with pytest.raises(ValueError, match="hhmmss"):
        s.clock(4)


@pytest.mark.parametrize(("options", "word"), [({"checksum": "maybe"}, "required"), ({"max_length": 3}, "65536")])
def test_wrong_options_are_errors(options: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        nmea.Framer(**options)  # type: ignore[arg-type]


def test_anything_with_bytes_may_be_fed_and_nothing_else() -> None:
    for data in (GGA, bytearray(GGA), memoryview(GGA)):
        assert len(sentences(data)) == 1  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        nmea.Framer().feed("text")  # type: ignore[arg-type]


noise = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([GGA, VDM, TAGGED, GGA[:20], GGA[:-2], b"$", b"!", b"\\", b"*", b"\r\n", b"\xb5\x62\x01\x07"]),
)


def everything(data: bytes, cuts: list[int]) -> tuple[object, ...]:
    framer = nmea.Framer(max_length=128)
    out = []
    edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    for a, b in itertools.pairwise(edges):
        out += [(s.text, s.tag, s.talker, s.type, s.fields) for s in framer.feed(data[a:b])]
    framer.finish()
    return out, framer.accepted, framer.rejected, framer.skipped_bytes


@settings(max_examples=300, deadline=None)
@given(st.lists(noise, max_size=12).map(b"".join), st.lists(st.integers(0, 10_000), max_size=10))
@example(GGA + TAGGED + GGA[:30] + GGA, [1, 2, 60, 70])
def test_no_bytes_raise_and_chunking_never_changes_the_result(data: bytes, cuts: list[int]) -> None:
    whole = everything(data, [])
    assert whole == everything(data, cuts)
    assert whole == everything(data, list(range(len(data))))
    for text, *_ in whole[0]:  # type: ignore[attr-defined]
        body = text.encode()[1:]
        wanted = 0
        for c in body:
            wanted ^= c
        assert b"%s*%02X" % (text.encode(), wanted) in data or b"%s*%02x" % (text.encode(), wanted) in data


field = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$!*,\\^"), max_size=12)
letters = st.text("ABCDEFGHIJKLMNOQRSTUVWXYZ", min_size=1, max_size=1)


@settings(max_examples=200, deadline=None)
@given(letters, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4), st.lists(field, min_size=1, max_size=20))
def test_every_sentence_comes_back_from_an_independent_encoder(first: str, rest: str, fields: list[str]) -> None:
    address = first + rest
    text = str(pynmea2.TalkerSentence(address[:2], address[2:], tuple(fields)))
    got = sentences(text.encode() + b"\r\n")
    assert [(s.talker, s.type, s.fields) for s in got] == [(address[:2], address[2:], tuple(fields))]


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e9, 1e9), st.integers(0, 9))
def test_numbers_are_read_as_python_reads_them(value: float, decimals: int) -> None:
    text = f"{value:.{decimals}f}"
    s = sentences(b"$GPXXX,%s*%02X" % (text.encode(), nmea.checksum(f"GPXXX,{text}")))[0]
    assert s.number(0) == float(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$!*,"), max_size=12))
def test_what_is_no_decimal_number_is_an_error(text: str) -> None:
    s = sentences(b"$GPXXX,%s*%02X" % (text.encode(), nmea.checksum(f"GPXXX,{text}")))[0]
    try:
        value = s.number(0)
    except ValueError:
        return
    assert math.isnan(value) == (text.strip() == "")
    if text.strip():
        assert value == float(text)
        assert set(text.strip()) <= set("+-.0123456789")

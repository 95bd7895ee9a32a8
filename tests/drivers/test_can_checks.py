"""Checksums of CAN messages against captured frames and other implementations: opendbc's, crccheck, autosar-e2e."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import can.interfaces.udp_multicast.utils as multicast
import cantools
import crccheck.crc
import pytest
from e2e import p01, p02, p04, p05, p06, p07, p11
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core.can import Checksum, checksum_kinds
from giljabi._core.guard import WireEncoder
from giljabi.platform import load_platform
from giljabi.types import BadInputError
from giljabi.wire import EncodeTable, WireChecksum, WireCounter, WireCrc, WireField, WireMessage
from giljabi_drivers.can import CanDriver
from giljabi_drivers.can_checks import MessageOptions, set_options
from giljabi_drivers.can_data_ids import VW_MQB
from giljabi_drivers.can_watch import MessageWatch
from giljabi_drivers.contract import DriverStats, Received
from giljabi_drivers.dbc import load_dbc

ROOT = Path(__file__).resolve().parents[2]
BYTE0, NIBBLE1 = {"start_bit": 7}, WireCounter(8, 4, big_endian=False)


def checksum(kind: str, size: int = 8, can_id: int = 0x123, counter: WireCounter | None = None, **how: Any) -> Checksum:
    return Checksum(WireChecksum(kind, **how), counter, can_id, can_id > 0x7FF, size)


# --- captured frames and published values -----------------------------------------------------------

# Volkswagen: frames of cars, one for each counter, as collected in opendbc/can/tests.
VW = {
    0x9F: "11302e00051c8030 5b318e0305530030 cb32d30605730030 f233280005260030 0b344400055b8030 ed35800003340030"
    " f0368800053d8030 9e37440305410030 6838060105188030 8739510005118030 8c3a290005ac0030 083bbd00058e0030"
    " d43c190005058030 293d5400055b0030 a13e490103048030 e23f0500050a0030",
    0xFD: "66d01f8045050000 87d11f8052050000 cdd21f8050060000 fdd31f8035020000 fad41f8022050000 fdd51f8084040000"
    " 2ed61f80f0030000 9fd71f8000000000 1ed81f80b3030000 61d91f806d050000 44da1f8047020000 86db1f803a020000"
    " 39dc1f80cb010000 19dd1f8000000000 8cde1f80ba040000 fbdf1f8046000000",
    0x126: "00300dc005fe0700 3e3154c005fe0700 a732bb4005fe0700 963329c005fe0700 5f34000003fe0700 3b35ae4005fe0700"
    " c7367a4005fe0700 6f37764005fe0700 b138000003fe0700 d539000003fe0700 ba3a69c005fe0700 653b104005fe0700"
    " 493c72c005fe0700 c63ddf4005fe0700 1d3e2cc105fe0700 9b3f204005fe0700",
}


@pytest.mark.parametrize("can_id", VW)
def test_volkswagen_frames_of_cars(can_id: int) -> None:
    frames = [bytes.fromhex(f) for f in VW[can_id].split()]
    assert [f[1] & 15 for f in frames] == list(range(16))
    for kind in ("vw_mqb", "e2e_p02"):
        c = checksum(kind, can_id=can_id, counter=NIBBLE1, data_id=VW_MQB[can_id], **BYTE0)
        assert all(c.ok(f) for f in frames)
        assert [c.put(b"\xff" + f[1:]) for f in frames] == frames


def test_honda_values_of_opendbc() -> None:
    """LKAS_HUD of a Civic, standard and extended identifier, counters 0 to 3."""
    for can_id, wanted in ((0x33D, [11, 10, 9, 8]), (0x33DA, [4, 3, 2, 1])):
        c = checksum("honda", 5, can_id, start_bit=35, length=4)
        assert [c.value(bytes([0x41, 0x05, 0, 0, count << 4])) for count in range(4)] == wanted


def test_toyota_frame_of_a_car() -> None:
    assert checksum("toyota", can_id=0xB4, start_bit=63).ok(bytes.fromhex("000000001D0B7A5E"))


def test_j1939_by_hand() -> None:
    """TSC1 (SPN 4207) from 0x0C000003: S = 0x20 + 2 + 0xFF * 4 + counter 5 + 0x0C + 0x03 = 0x432; 2 + 0x86 + S, & 7."""
    data = bytes([0x20, 2, 0, 0xFF, 0xFF, 0xFF, 0xFF, 5])
    s = 0x20 + 2 + 4 * 0xFF + 5 + 0x0C + 0x03
    assert s == 0x432
    for length in (3, 4):
        c = checksum("j1939_tsc1", can_id=0x0C000003, start_bit=60, length=length, big_endian=False)
        assert c.value(data) == (0 + 0x86 + 0x432) & 7 == 0
    # XBR (SPN 3188) from 0x0C040B2A: S = 3 * 0x11 + 4 * 0xFF + 9 + 0x0C + 4 + 0x0B + 0x2A = 0x47D
    data = bytes([0x11, 0x11, 0x11, 0xFF, 0xFF, 0xFF, 0xFF, 9])
    c = checksum("j1939", can_id=0x0C040B2A, start_bit=60, length=4, big_endian=False)
    assert c.value(data) == (0x47 + 0x47D) & 15 == 4


@pytest.mark.parametrize("size", [8, 16, 24, 32])
def test_hyundai_canfd_is_xmodem_with_identifier_and_a_rest_by_length(size: int) -> None:
    rest = {8: 0x5F29, 16: 0x041D, 24: 0x819D, 32: 0x9F5B}[size]
    data = random.Random(size).randbytes(size)
    wanted = crccheck.crc.Crc16Xmodem.calc(data[2:] + b"\x50\x00") ^ rest
    c = checksum("hyundai_canfd", size, 0x50, start_bit=0, length=16, big_endian=False)
    assert c.put(data)[:2] == wanted.to_bytes(2, "little")


def test_hyundai_classic_kinds() -> None:
    data = bytes(range(0x30, 0x38))
    other = crccheck.crc.Crc(8, 0x1D, 0xFD, xor_output=0xDF)
    other.process(data[:6] + data[7:])
    for kind, wanted in (
        ("hyundai_sum6", sum(data[:6]) % 256),
        ("hyundai_sum7", (sum(data[:6]) + data[7]) % 256),
        ("hyundai_crc8", other.final()),
        ("xor8", reduce(xor, data[:6]) ^ data[7]),
    ):
        assert checksum(kind, start_bit=55).value(data) == wanted, kind


def catalogue() -> list[Any]:
    """CRCs of crccheck that our parameters can tell: same reflection both ways, 4 to 64 bits."""
    found: dict[str, Any] = {}
    everything: list[Any] = list(vars(crccheck.crc).values())
    for c in everything:
        if getattr(c, "_check_result", None) is None or not 4 <= (c._width or 0) <= 64:
            continue
        if c._reflect_input == c._reflect_output and c._check_data == b"123456789":
            found[c.__name__] = c
    return list(found.values())


def test_any_crc_of_the_catalogue_can_be_declared() -> None:
    """The check values of the catalogue of parametrised CRC algorithms, through the platform file's parameters."""
    everything = catalogue()
    assert len(everything) > 70
    for c in everything:
        form = WireCrc(c._width, c._poly, c._initvalue, c._xor_output, bool(c._reflect_input), skip=tuple(range(9, 20)))
        ours = checksum("crc", 20, crc=form, start_bit=72, length=c._width, big_endian=False)
        assert ours.value(b"123456789" + bytes(11)) == c._check_result, c.__name__


# --- AUTOSAR, against autosar-e2e -------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["both", "low", "alternating", "nibble"])
def test_profile_1_and_11(mode: str) -> None:
    theirs = {"both": "BOTH", "low": "LOW", "alternating": "ALT", "nibble": "NIBBLE"}[mode]
    data_id = 0xA3C if mode == "nibble" else 0xBA3C
    rng = random.Random(1)
    for kind, module, prefix in (("e2e_p01", p01, "E2E_P01"), ("e2e_p11", p11, "E2E_P11")):
        if kind == "e2e_p11" and mode not in ("both", "nibble"):
            continue
        c = checksum(kind, counter=NIBBLE1, data_id=(data_id,), mode=mode, **BYTE0)
        for n in range(300):
            frame = bytearray(rng.randbytes(8))
            frame[1] = (frame[1] & 0xF0) | n % 15
            if mode == "nibble":
                frame[1] = (frame[1] & 0x0F) | 0xA0
            protect = getattr(module, f"{kind}_protect")
            protect(frame, data_id, data_id_mode=getattr(module, f"{prefix}_DATAID_{theirs}"), increment_counter=False)
            assert c.ok(bytes(frame)), (kind, mode, n)
            assert c.put(b"\0" + bytes(frame[1:])) == bytes(frame)


def test_profile_2() -> None:
    ids = random.Random(3).randbytes(16)
    c = checksum("e2e_p02", 16, counter=NIBBLE1, data_id=tuple(ids), **BYTE0)
    rng = random.Random(2)
    for n in range(300):
        frame = bytearray(rng.randbytes(16))
        frame[1] = (frame[1] & 0xF0) | n % 16
        p02.e2e_p02_protect(frame, ids, length=16, increment_counter=False)
        assert c.ok(bytes(frame))
        assert c.put(b"\0" + bytes(frame[1:])) == bytes(frame)


@pytest.mark.parametrize(
    ("kind", "module", "size", "data_id", "start", "length", "big"),
    [
        ("e2e_p05", p05, 8, 0xBEEF, 0, 16, False),
        ("e2e_p05", p05, 32, 0x1234, 0, 16, False),
        ("e2e_p06", p06, 16, 0xBEEF, 7, 16, True),
        ("e2e_p04", p04, 24, 0x0A0B0C0D, 71, 32, True),
        ("e2e_p07", p07, 64, 0x0A0B0C0D, 7, 64, True),
    ],
)
def test_profiles_4_5_6_7(kind: str, module: Any, size: int, data_id: int, start: int, length: int, big: bool) -> None:
    c = checksum(kind, size, data_id=(data_id,), start_bit=start, length=length, big_endian=big)
    rng = random.Random(size)
    for _ in range(300):
        raw = rng.randbytes(size)
        frame = bytearray(raw)
        getattr(module, f"{kind}_protect")(frame, data_id, length=size, increment_counter=False)
        assert c.ok(bytes(frame))
        assert c.put(raw) == bytes(frame)
        for byte in range(size):
            flipped = bytearray(frame)
            flipped[byte] ^= 1 << rng.randrange(8)
            assert not c.ok(bytes(flipped))


# --- every kind: one wrong bit ----------------------------------------------------------------------

# How a message of each kind may look: size and the description.
LOOKS: dict[str, tuple[int, dict[str, Any]]] = {
    "toyota": (8, {"start_bit": 63}),
    "honda": (8, {"start_bit": 59, "length": 4}),
    "hyundai_sum6": (8, {"start_bit": 55}),
    "hyundai_sum7": (8, {"start_bit": 55}),
    "hyundai_crc8": (8, {"start_bit": 55}),
    "hyundai_canfd": (32, {"start_bit": 0, "length": 16, "big_endian": False}),
    "xor8": (8, {"start_bit": 63}),
    "sum8": (8, {"start_bit": 63}),
    "crc8_j1850": (8, {"start_bit": 63}),
    "vw_mqb": (8, {"start_bit": 7, "data_id": (0x86,)}),
    "j1939_tsc1": (8, {"start_bit": 60, "length": 4, "big_endian": False}),
    "j1939": (8, {"start_bit": 60, "length": 4, "big_endian": False}),
    "e2e_p01": (8, {"start_bit": 7, "data_id": (0x123,)}),
    "e2e_p02": (8, {"start_bit": 7, "data_id": (0xC3,)}),
    "e2e_p04": (20, {"start_bit": 71, "length": 32, "data_id": (0xA0B0C0D,)}),
    "e2e_p05": (8, {"start_bit": 0, "length": 16, "big_endian": False, "data_id": (0x123,)}),
    "e2e_p06": (8, {"start_bit": 7, "length": 16, "data_id": (0x123,)}),
    "e2e_p07": (32, {"start_bit": 7, "length": 64, "data_id": (0x123,)}),
    "e2e_p11": (8, {"start_bit": 7, "data_id": (0x123,)}),
    "crc": (12, {"start_bit": 47, "length": 12, "crc": WireCrc(12, 0x80F, id_bytes=2, id_at="end"), "data_id": (7,)}),
}


def test_no_kind_is_left_out() -> None:
    assert set(LOOKS) == set(checksum_kinds()) - {"none"}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(LOOKS)), st.randoms(use_true_random=False))
def test_any_single_bit_flip_is_rejected(kind: str, rng: random.Random) -> None:
    size, how = LOOKS[kind]
    can_id = rng.choice([0x123, 0x7FF, 0x18FF50E5])
    c = checksum(kind, size, can_id, counter=WireCounter(11, 4), **how)
    frame = c.put(rng.randbytes(size))
    assert c.ok(frame)
    for bit in range(8 * size):
        if kind == "hyundai_sum6" and bit >= 56:
            continue  # the kind does not cover the last byte
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        if kind == "j1939_tsc1" and tsc1_is_blind(can_id, frame, bytes(flipped)):
            continue
        assert not c.ok(bytes(flipped)), (kind, bit)


def tsc1_is_blind(can_id: int, one: bytes, other: bytes) -> bool:
    """SAE's three bits cannot tell 254 from 256 (and the like): the standard's own formula, written out."""
    if one[7] >> 4 != other[7] >> 4:
        return False

    def formula(data: bytes) -> int:
        s = sum(data[:7]) + (data[7] & 15) + sum(can_id.to_bytes(4, "big"))
        return ((s >> 6 & 3) + (s >> 3) + s) & 7

    return formula(one) == formula(other)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(LOOKS)), st.integers(0, 40), st.booleans(), st.binary(min_size=64, max_size=64))
def test_the_guards_encoder_makes_frames_that_the_driver_accepts(kind: str, count: int, fd: bool, noise: bytes) -> None:
    """The same description on both ends, the frame in between; at what is free stands noise."""
    size, how = LOOKS[kind]
    spec, encoder, counter = WireChecksum(kind, **how), None, WireCounter(0, 4)
    for start, at in itertools.product((8, 16, 32, 64, 96, 136), (24, 8 * size - 8)):  # the first places that are free
        counter = WireCounter(start, 4, big_endian=False)
        value = WireField("a", offset=noise[0], source="constant", start_bit=at, length=8)
        message = WireMessage("m", 0.1, (value,), can_id=0x123, size=size, fd=fd, counter=counter, checksum=spec)
        try:
            encoder = WireEncoder(EncodeTable("d", "can", (message,), "can_msgpack"), {})
        except ValueError:
            continue
        break
    assert encoder is not None
    sent = multicast.unpack_message(encoder.encode("m", {}, True, count), check=True)
    assert sent.is_fd == (fd or size > 8)
    assert Checksum(spec, counter, 0x123, False, size).ok(bytes(sent.data))


# --- the platform file ------------------------------------------------------------------------------

DBC = """VERSION ""
BO_ 291 EPS: 8 X
 SG_ CRC : 7|8@0+ (1,0) [0|255] "" Y
 SG_ ALIVE : 8|4@1+ (1,0) [0|15] "" Y
 SG_ ANGLE : 16|16@1- (0.1,0) [0|0] "deg" Y
BO_ 292 OTHER: 8 X
 SG_ SUM : 59|4@0+ (1,0) [0|15] "" Y
 SG_ COUNTER : 61|2@0+ (1,0) [0|3] "" Y
"""


def car(tmp_path: Path, messages: str, dbc: str = "") -> CanDriver:
    """The car with messages of one more database's."""
    ours = (ROOT / "config" / "dbc" / "car.dbc").read_text()
    (tmp_path / "mine.dbc").write_text(ours + (dbc or DBC.split("\n", 1)[1]))
    text = (ROOT / "config" / "platforms" / "car.yaml").read_text()
    text = text.replace("dbc: car.dbc", "dbc: mine.dbc").replace("      commands:\n", f"{messages}      commands:\n", 1)
    (tmp_path / "car.yaml").write_text(text)
    return CanDriver(load_platform(tmp_path / "car.yaml"), "vehicle")


EPS = "      messages:\n        EPS: {checksum: e2e_p01, checksum_signal: CRC, data_id: 0x123, counter: ALIVE}\n"


def eps_frame(count: int) -> Received:
    frame = bytearray(8)
    frame[1] = count
    p01.e2e_p01_protect(frame, 0x123, data_id_mode=p01.E2E_P01_DATAID_BOTH, increment_counter=False)
    return Received(0.0, bytes(frame), 291)


def test_a_platform_file_names_checksum_and_counter(tmp_path: Path) -> None:
    d = car(tmp_path, EPS)
    for count in (13, 14, 0, 1):  # the profile's counter ends at 14
        d.step(0.0, [eps_frame(count)])
    assert d.stats.rejected == {}
    assert d.stats.flagged == {}
    d.step(0.0, [eps_frame(1)])
    assert d.stats.rejected == {"counter_repeated": 1}
    d.step(0.0, [eps_frame(5)])
    assert d.stats.flagged == {"counter_skipped": 1}
    d.step(0.0, [Received(0.0, bytes(8), 291)])
    assert d.stats.rejected == {"counter_repeated": 1, "checksum": 1}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=40), st.sampled_from([14, 15, 7]))
def test_each_frame_is_judged_by_its_counter(counts: list[int], highest: int) -> None:
    """Stuck and skipped counters are told with the very frame; a value that the counter does not have is dropped."""
    m = load_dbc(ROOT / "config" / "dbc" / "car.dbc").by_name["STEERING_STATUS"]
    set_options(m, MessageOptions(checksum="none", counter_max=highest), "none")
    watch = MessageWatch({}, None)
    watch.add(m, wanted=True, counted=True)
    last: int | None = None
    for c in counts:
        stats = DriverStats()
        got = watch.feed([Received(0.0, bytes([0, 0, 0, 0, 0, 0, c, 0]), m.can_id)], stats)
        told, skipped = stats.rejected, stats.flagged.get("counter_skipped", 0)
        if c > highest:
            assert (got, told, skipped) == ([], {"counter_invalid": 1}, 0)
            continue
        if c == last:
            assert (got, told, skipped) == ([], {"counter_repeated": 1}, 0)
        else:
            assert len(got) == 1
            assert told == {}
            assert skipped == int(last is not None and c != (last + 1) % (highest + 1))
        last = c


def test_a_wrong_kind_in_a_database_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    attribute = (
        'BA_DEF_ BO_ "ChecksumKind" STRING ;\nBA_DEF_DEF_ "ChecksumKind" "";\nBA_ "ChecksumKind" BO_ 292 "crc99";\n'
    )
    path.write_text(DBC + attribute)
    with pytest.raises(
        BadInputError, match=r"x\.dbc:6: OTHER: the checksum kind 'crc99' is not known; one of none, toyota"
    ):
        load_dbc(path)


def test_a_crc_of_ones_own(tmp_path: Path) -> None:
    crc = "{width: 8, polynomial: 0x9B, init: 0xFF, id_bytes: 2, id_order: high_first, skip: [7]}"
    d = car(
        tmp_path,
        f"      messages:\n        EPS: {{checksum: crc, checksum_signal: CRC, data_id: 0xABCD, crc: {crc}}}\n",
    )
    other = crccheck.crc.Crc(8, 0x9B, 0xFF)
    other.process(b"\xab\xcd" + b"234567")
    d.step(0.0, [Received(0.0, bytes([other.final()]) + b"2345678", 291)])
    assert d.stats.rejected == {}
    d.step(0.0, [Received(0.0, bytes([other.final() ^ 1]) + b"2345678", 291)])
    assert d.stats.rejected == {"checksum": 1}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("EPS: {checksum: e2e_p99}", ["'e2e_p99' is not known", "e2e_p01", "toyota"]),
        ("EPS: {checksum: toyota}", ["no signal 'CHECKSUM'", "CRC, ALIVE, ANGLE"]),
        ("EPS: {checksum: e2e_p01, checksum_signal: CRC}", ["e2e_p01 needs a data_id"]),
        ("EPS: {checksum: toyota, checksum_signal: CRC, data_id: 5}", ["toyota takes no data_id"]),
        ("EPS: {checksum: e2e_p01, checksum_signal: CRC, data_id: [1, 2]}", ["has 2 numbers; one is expected"]),
        ("EPS: {checksum: e2e_p02, checksum_signal: CRC, data_id: [1, 2]}", ["has 2 numbers; one or 16"]),
        ("EPS: {checksum: e2e_p01, checksum_signal: CRC, data_id: 65536}", ["65536 has more than 16 bits"]),
        ("EPS: {checksum: e2e_p01, checksum_signal: ALIVE, data_id: 1}", ["e2e_p01 has 8 bits; its signal has 4"]),
        ("EPS: {checksum: vw_mqb, checksum_signal: CRC}", ["vw_mqb needs a data_id"]),
        ("EPS: {checksum: crc, checksum_signal: CRC}", ["needs its parameters under crc"]),
        (
            "EPS: {checksum: xor8, checksum_signal: CRC, crc: {width: 8, polynomial: 7}}",
            ["crc goes with checksum: crc"],
        ),
        ("EPS: {checksum: crc, checksum_signal: CRC, crc: {width: 8, polynomial: 6}}", ["polynomial", "odd"]),
        ("EPS: {checksum: crc, checksum_signal: CRC, crc: {width: 8, polynomial: 0x107}}", ["at most 8 bits"]),
        ("EPS: {counter: COUNT}", ["no signal 'COUNT' for the counter"]),
        ("EPS: {counter: ALIVE, counter_max: 16}", ["counter_max 16 does not fit the 4 bits of 'ALIVE'"]),
        ("EPS: {period: 0.1}", ["unknown key", "period_s"]),
        ("EPS: {period_s: 0}", ["period_s"]),
        ("EBS: {counter: none}", ["mine.dbc has no message 'EBS'"]),
    ],
)
def test_a_wrong_description_is_an_error_with_its_line(messages: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as e:
        car(tmp_path, f"      messages:\n        {messages}\n")
    lines = (tmp_path / "car.yaml").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if messages in line) + 1
    assert str(e.value).startswith(f"{tmp_path}/car.yaml:{at}: ")
    for word in words:
        assert word in str(e.value)


def test_a_database_names_them_by_attributes(tmp_path: Path) -> None:
    attributes = (
        'BA_DEF_ BO_ "ChecksumKind" STRING ;\nBA_DEF_ BO_ "ChecksumDataId" STRING ;\nBA_DEF_DEF_ "ChecksumKind" "";\n'
        'BA_DEF_DEF_ "ChecksumDataId" "";\nBA_ "ChecksumKind" BO_ 291 "e2e_p01";\n'
        'BA_ "ChecksumDataId" BO_ 291 "0x123";\n'
    )
    path = tmp_path / "x.dbc"
    path.write_text(DBC.replace("SG_ CRC", "SG_ CHECKSUM").replace("ALIVE", "COUNTER") + attributes)
    m = load_dbc(path).by_name["EPS"]
    assert m.check == WireChecksum("e2e_p01", 7, 8, True, (0x123,))
    assert m.counter == WireCounter(8, 4, False, 14)
    assert m.checksum_ok(eps_frame(3).data)


def test_a_command_that_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    """A default kind that does not fit is a note for what we hear, and an error for what we send."""
    text = (ROOT / "config" / "platforms" / "car.yaml").read_text().replace("checksum: toyota", "checksum: honda")
    dbc = (ROOT / "config" / "dbc" / "car.dbc").read_text()
    (tmp_path / "mine.dbc").write_text("\n".join(line for line in dbc.splitlines() if "ChecksumKind" not in line))
    (tmp_path / "car.yaml").write_text(text.replace("dbc: car.dbc", "dbc: mine.dbc"))
    with pytest.raises(BadInputError, match=r"car\.yaml:\d+: .*honda has 4 bits; its signal has 8"):
        CanDriver(load_platform(tmp_path / "car.yaml"), "vehicle")


FD_DBC = """VERSION ""
BU_: X
BO_ 500 STEER_FD: 24 X
 SG_ CRC : 0|16@1+ (1,0) [0|65535] "" X
 SG_ ALIVE : 16|8@1+ (1,0) [0|255] "" X
 SG_ ANGLE_REQUEST : 160|16@1- (0.005,0) [-163.84|163.835] "deg" X
BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","","J1939PG","","","","","","","","","","","StandardCAN_FD";
BA_DEF_ BO_ "CANFD_BRS" INT 0 1;
BA_DEF_DEF_ "VFrameFormat" "StandardCAN";
BA_DEF_DEF_ "CANFD_BRS" 0;
BA_ "VFrameFormat" BO_ 500 14;
BA_ "CANFD_BRS" BO_ 500 1;
"""


def test_a_flexible_command_with_an_autosar_header_from_platform_file_to_wire(tmp_path: Path) -> None:
    """24 bytes, CAN FD, E2E profile 5: read by python-can, cantools and autosar-e2e."""
    (tmp_path / "mine.dbc").write_text(
        FD_DBC + (ROOT / "config" / "dbc" / "car.dbc").read_text().split("BU_:", 1)[1].split("\n", 1)[1]
    )
    text = (ROOT / "config" / "platforms" / "car.yaml").read_text().replace("dbc: car.dbc", "dbc: mine.dbc")
    more = "{checksum: e2e_p05, checksum_signal: CRC, data_id: 0xBEEF, counter: ALIVE, period_s: 0.01}"
    text = text.replace("      commands:\n", f"      messages: {{STEER_FD: {more}}}\n      commands:\n", 1)
    (tmp_path / "car.yaml").write_text(text.replace("message: STEERING_COMMAND", "message: STEER_FD"))
    table = CanDriver(load_platform(tmp_path / "car.yaml"), "vehicle").encode_table()
    assert table is not None
    limits = {"steering": (-0.5, 0.5), "throttle": (-9000.0, 4500.0)}
    encoder = WireEncoder(replace(table, framing="can_msgpack"), limits)
    database: Any = cantools.database.load_string(FD_DBC, "dbc")
    for count in (0, 7, 255, 256):
        values = {"steering": math.radians(-12.5), "throttle": 0.0}
        sent = multicast.unpack_message(encoder.encode("STEER_FD", values, True, count), check=True)
        assert (sent.is_fd, sent.bitrate_switch, len(sent.data), sent.arbitration_id) == (True, True, 24, 500)
        assert p05.e2e_p05_check(bytes(sent.data), 0xBEEF, length=24)
        got = database.decode_message(500, sent.data)
        assert got["ANGLE_REQUEST"] == pytest.approx(-12.5)
        assert got["ALIVE"] == count % 256

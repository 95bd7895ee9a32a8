"""Servo packets: the makers' own libraries at the other end, captured packets, and streams with anything in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core.servo import Codec, Parser, crc16
from giljabi_sim.peers.servo_bus import crc16 as other_crc16

FAMILIES = ("dynamixel", "feetech_sts", "feetech_scs")
GOLDEN = [  # instruction and status packets as recorded; see the maker's manual for each
    ("plain", (1, 0x01), "FFFFFD00010300 01 194E"),
    ("plain", (254, 0x01), "FFFFFD00FE0300 01 3142"),
    ("read", (1, 132, 4), "FFFFFD00010700 02 84000400 1D15"),
    ("write", (1, 116, b"\x00\x02\x00\x00"), "FFFFFD00010900 03 740000020000 CA89"),
    ("write", (1, 104, b"\xc8\x00\x00\x00", True), "FFFFFD00010900 04 6800C8000000 AE8E"),
    ("plain", (1, 0x05), "FFFFFD00010300 05 02CE"),
    ("plain", (1, 0x06, b"\x01"), "FFFFFD00010400 06 01 A1E6"),
    ("plain", (1, 0x08), "FFFFFD00010300 08 2F4E"),
    ("plain", (1, 0x10, b"\x01DXL\x22"), "FFFFFD00010800 10 0144584C22 B1DC"),
]
FAST = bytes.fromhex("FFFFFD00FE1900550003A6000000840800071F08000016CA0004FF030000D19E")

STUFFED = b"\xff\xff\xfd"
ids = st.integers(0, 252)
payloads = st.binary(min_size=1, max_size=40) | st.lists(
    st.sampled_from([0xFF, 0xFD, 0x00, 0x01, 0x55, 0xFE]), min_size=1, max_size=40
).map(bytes)


def status(family: str, servo: int, error: int, data: bytes) -> bytes:
    """A reply by hand."""
    if family != "dynamixel":
        body = bytes([servo, len(data) + 2, error]) + data
        return b"\xff\xff" + body + bytes([~sum(body) & 0xFF])
    body = (bytes([0x55, error]) + data).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
    head = b"\xff\xff\xfd\x00" + bytes([servo]) + (len(body) + 2).to_bytes(2, "little") + body
    return head + other_crc16(head).to_bytes(2, "little")


@pytest.mark.parametrize(("how", "arguments", "expected"), GOLDEN)
def test_packets_of_the_manual(how: str, arguments: tuple[object, ...], expected: str) -> None:
    assert getattr(Codec("dynamixel"), how)(*arguments) == bytes.fromhex(expected.replace(" ", ""))


def test_replies_of_the_manual() -> None:
    p = Parser("dynamixel")
    assert p.feed(bytes.fromhex("FFFFFD000107005500060426655D")) == [(1, 0, b"\x06\x04\x26")]
    p.expect_fast([(3, 4), (7, 4), (4, 4)])
    assert p.feed(FAST) == [(3, 0, b"\xa6\0\0\0"), (7, 0, b"\x1f\x08\0\0"), (4, 0, b"\xff\x03\0\0")]


@given(st.binary(max_size=300))
def test_crc_of_another_implementation(data: bytes) -> None:
    assert crc16(data) == other_crc16(data)


# --- the makers' libraries as encoders ------------------------------------------------------------


class Wire:
    """A port of the makers' libraries that keeps what is written."""

    def __init__(self) -> None:
        self.out, self.is_using = b"", False

    def clearPort(self) -> None:
        self.out = b""

    def writePort(self, data: list[int]) -> int:
        self.out += bytes(data)
        return len(data)

    def __getattr__(self, name: str) -> object:
        return lambda *a: 0


@settings(max_examples=60)
@given(servo=ids, address=st.integers(0, 600), data=payloads)
def test_dynamixel_sdk_writes_the_same_bytes(servo: int, address: int, data: bytes) -> None:
    sdk = pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed; captured packets cover it")
    handler, port, c = sdk.PacketHandler(2.0), Wire(), Codec("dynamixel")
    if STUFFED in bytes([servo]) + data:  # this package takes stuffing away, but forgets to put it in
        packet = list(c.write(servo, address, data))
        handler.removeStuffing(packet)
        assert bytes(packet[10 : 10 + len(data)]) == data
        return
    handler.writeTxOnly(port, servo, address, len(data), list(data))
    assert port.out == c.write(servo, address, data)
    handler, port = sdk.PacketHandler(2.0), Wire()
    handler.syncWriteTxOnly(port, address, len(data), [servo, *data], 1 + len(data))
    assert port.out == c.sync_write(address, [(servo, data)])
    handler, port = sdk.PacketHandler(2.0), Wire()
    handler.syncReadTx(port, address, len(data), [servo, 1], 2, True)
    assert port.out == c.sync_read(address, len(data), [servo, 1], fast=True)
    handler, port = sdk.PacketHandler(2.0), Wire()
    word = [address & 0xFF, address >> 8, len(data), 0]
    handler.bulkWriteTxOnly(port, [servo, *word, *data], 5 + len(data))
    assert port.out == c.bulk_write([(servo, address, data)])


@settings(max_examples=40)
@given(servo=ids, address=st.integers(0, 80), data=st.binary(min_size=1, max_size=30))
def test_feetech_sdk_writes_the_same_bytes(servo: int, address: int, data: bytes) -> None:
    sdk = pytest.importorskip("scservo_sdk", reason="feetech-servo-sdk is not installed; captured packets cover it")
    handler, port, c = sdk.PacketHandler(0), Wire(), Codec("feetech_sts")
    handler.writeTxOnly(port, servo, address, len(data), list(data))
    assert port.out == c.write(servo, address, data)
    handler, port = sdk.PacketHandler(0), Wire()
    handler.syncWriteTxOnly(port, address, len(data), [servo, *data], 1 + len(data))
    assert port.out == c.sync_write(address, [(servo, data)])


# --- streams --------------------------------------------------------------------------------------


def fed(p: Parser, data: bytes, cuts: list[int]) -> list[tuple[int, int, bytes]]:
    out, last = [], 0
    for cut in sorted(c % (len(data) + 1) for c in cuts):
        out += p.feed(data[last:cut])
        last = cut
    return out + p.feed(data[last:])


@pytest.mark.parametrize("family", FAMILIES)
@given(
    replies=st.lists(st.tuples(ids, st.integers(0, 255), payloads), max_size=8),
    cuts=st.lists(st.integers(0), max_size=12),
)
def test_any_chunking(family: str, replies: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    p = Parser(family)
    assert fed(p, b"".join(status(family, *r) for r in replies), cuts) == replies
    assert p.counts()["accepted"] == len(replies)


@pytest.mark.parametrize("family", FAMILIES)
@given(junk=st.binary(max_size=60), cuts=st.lists(st.integers(0), max_size=6), data=payloads)
def test_garbage_is_survived(family: str, junk: bytes, cuts: list[int], data: bytes) -> None:
    """After any garbage the line is understood again: at the latest when the length that the garbage claims is over."""
    p = Parser(family)
    good = status(family, 7, 0, data)
    out = fed(p, junk + good * 400, cuts)
    assert out[-100:] == [(7, 0, data)] * 100


@pytest.mark.parametrize("family", FAMILIES)
@given(data=payloads, place=st.integers(0), bit=st.integers(0, 7))
def test_no_flipped_bit_is_accepted(family: str, data: bytes, place: int, bit: int) -> None:
    good = bytearray(status(family, 7, 0, data))
    good[place % len(good)] ^= 1 << bit
    p = Parser(family)
    assert (7, 0, data) not in p.feed(bytes(good))
    assert p.feed(status(family, 8, 0, b"\x01\x02") * 60)[-1] == (8, 0, b"\x01\x02")


@given(cut=st.integers(1, 20))
def test_half_a_packet_does_not_swallow_the_next(cut: int) -> None:
    whole = status("dynamixel", 7, 0, b"0123456789")
    p = Parser("dynamixel")
    assert p.feed(whole[: min(cut, len(whole) - 1)] + status("dynamixel", 8, 0, b"ab")) == [(8, 0, b"ab")]


def test_echo_is_no_reply() -> None:
    c, p = Codec("dynamixel"), Parser("dynamixel")
    assert p.feed(c.read(1, 132, 4) + status("dynamixel", 1, 0, b"abcd")) == [(1, 0, b"abcd")]
    assert p.counts()["echo"] == 1
    c, p = Codec("feetech_sts"), Parser("feetech_sts")
    p.sent(c.read(1, 56, 2))
    assert p.feed(c.read(1, 56, 2)[:3]) == []
    assert p.feed(c.read(1, 56, 2)[3:] + status("feetech_sts", 1, 0, b"ab")) == [(1, 0, b"ab")]
    assert p.counts()["echo"] == 1
    p.sent(c.read(1, 56, 2))  # an adapter without echo
    assert p.feed(status("feetech_sts", 1, 0, b"ab")) == [(1, 0, b"ab")]


def test_bad_arguments_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="known are dynamixel"):
        Codec("hobby")
    with pytest.raises(ValueError, match="id 255"):
        Codec("dynamixel").read(255, 0, 1)
    with pytest.raises(ValueError, match="Dynamixel only"):
        Codec("feetech_sts").bulk_read([(1, 0, 1)])
    with pytest.raises(ValueError, match="too long"):
        Codec("feetech_sts").plain(1, 3, bytes(300))

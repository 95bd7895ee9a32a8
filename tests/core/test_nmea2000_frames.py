"""Fast packets: what is lost, repeated, late, out of order or a lie never becomes a message."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from n2k_bus import canboat

from giljabi_drivers.nmea2000_frames import FastPackets, Header

ID = Header(3, 129029, 36, 255).can_id


class Assembly:
    """A packet assembler with its counts."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.packets = FastPackets(lambda r: self.rejected.update([r]), lambda r: self.flagged.update([r]))

    def feed(self, *frames: bytes, t: float = 0.0, gap: float = 0.001, bus: int = 0, can_id: int = ID) -> list[bytes]:
        out = [self.packets.feed(t + i * gap, bus, can_id, f) for i, f in enumerate(frames)]
        return [p for p in out if p is not None]


def cut(data: bytes, sequence: int) -> list[bytes]:
    """As the standard cuts it: 6 bytes, then 7 in each frame, the last one filled with 0xFF."""
    parts = [bytes([sequence << 5, len(data)]) + data[:6]]
    parts += [bytes([sequence << 5 | i + 1]) + data[6 + 7 * i : 13 + 7 * i] for i in range(-(-(len(data) - 6) // 7))]
    return [p.ljust(8, b"\xff") for p in parts]


DATA = bytes(range(43))
OTHER = bytes(range(100, 143))


def test_a_packet_comes_out_whole() -> None:
    a = Assembly()
    assert a.feed(*cut(DATA, 5)) == [DATA]
    assert (a.rejected, a.flagged, a.packets.packets) == ({}, {}, {})


# A recorded stream of the CANboat project (samples/candump-fast.txt, Apache-2.0): two engines take turns, their
# counters run beside each other. 127489 = 0x1F201.
STREAM = [
    "601A00B706670D0B", "6186BA042600105F", "62090000008F027F", "63000000007F7FFF", "001A017F07670D43",
    "0185B00423003CC9", "02090000008F027F", "03000000007F7FFF", "801A00B706670D0B", "8186BA042400105F",
    "82090000008F027F", "83000000007F7FFF",
]  # fmt: skip


def test_a_recorded_stream() -> None:
    a = Assembly()
    got = a.feed(*(bytes.fromhex(f) for f in STREAM), can_id=0x09F20101)
    assert [p.hex() for p in got] == [
        "00b706670d0b86ba042600105f090000008f027f000000007f7f"[:52],
        "017f07670d4385b00423003cc9090000008f027f000000007f7f"[:52],
        "00b706670d0b86ba042400105f090000008f027f000000007f7f"[:52],
    ]
    assert not a.rejected


def test_a_lost_frame_costs_its_packet_only() -> None:
    for lost in range(7):
        a = Assembly()
        frames = cut(DATA, 1)
        del frames[lost]
        assert a.feed(*frames, *cut(OTHER, 2)) == [OTHER]
        a.packets.expire(10.0)
        assert sum(a.rejected.values()) == (6 if lost == 0 else 1 if lost == 6 else 6 - lost), lost


def test_a_duplicate_frame_does_no_harm() -> None:
    a = Assembly()
    frames = cut(DATA, 1)
    assert a.feed(frames[0], frames[0], *frames[1:3], frames[2], *frames[3:]) == [DATA]
    assert a.flagged == {"duplicate_frame": 2}


def test_wrong_order_is_no_packet() -> None:
    f = cut(DATA, 1)
    a = Assembly()
    assert a.feed(f[0], f[2], f[1], *f[3:]) == []
    assert a.rejected == {"fast_order": 1, "fast_orphan": 5}


def test_late_frames_do_not_meet_the_beginning() -> None:
    f, a = cut(DATA, 1), Assembly()
    assert a.feed(*f[:3], t=0.0) + a.feed(*f[3:], t=0.8) == []
    assert a.rejected == {"fast_timeout": 1, "fast_orphan": 4}


def test_time_that_goes_back_ends_a_packet() -> None:
    f, a = cut(DATA, 1), Assembly()
    assert a.feed(*f[:3], t=5.0) + a.feed(*f[3:], t=4.0) == []


def test_a_sequence_number_that_comes_round_glues_nothing() -> None:
    """The end of a packet was lost, and the beginning of the one with the same number, eight later."""
    a = Assembly()
    old, new = cut(DATA, 0), cut(OTHER, 0)
    got = a.feed(*old[:4], gap=0.0001)
    for sequence in range(1, 8):
        got += a.feed(*cut(bytes([sequence]) * 43, sequence), t=0.01 * sequence, gap=0.0001)
    got += a.feed(*new[4:], t=0.1, gap=0.0001)
    assert got == [bytes([s]) * 43 for s in range(1, 8)]
    assert a.rejected["fast_stale"] == 1


def test_a_new_beginning_under_the_same_number_drops_the_old() -> None:
    a = Assembly()
    assert a.feed(*cut(DATA, 3)[:4], *cut(OTHER, 3)) == [OTHER]
    assert a.rejected == {"fast_restarted": 1}


@pytest.mark.parametrize("total", [0, 224, 255])
def test_a_length_that_cannot_be(total: int) -> None:
    a = Assembly()
    assert a.feed(bytes([0x20, total]) + bytes(6)) == []
    assert a.rejected == {"fast_length": 1}


def test_a_length_that_lies_glues_nothing() -> None:
    a = Assembly()
    f = cut(DATA, 1)
    f[0] = bytes([f[0][0], 60]) + f[0][2:]
    assert a.feed(*f, *cut(OTHER, 1)) == [OTHER]
    assert a.rejected == {"fast_restarted": 1}


def test_a_frame_that_is_cut_off_inside_a_packet() -> None:
    a = Assembly()
    f = cut(DATA, 1)
    assert a.feed(f[0], f[1][:5], f[2]) == []
    assert a.rejected == {"fast_short": 1, "fast_orphan": 1}
    assert a.feed(b"", b"\x20") == []


def test_senders_buses_and_groups_are_kept_apart() -> None:
    a = Assembly()
    streams = [(0, ID), (1, ID), (0, ID + 1), (0, Header(3, 129038, 36, 255).can_id)]
    packets = [bytes([n]) * 43 for n in range(4)]
    got = []
    for parts in zip(*(cut(p, 1) for p in packets), strict=True):
        for (bus, can_id), frame in zip(streams, parts, strict=True):
            got += a.feed(frame, bus=bus, can_id=can_id)
    assert got == packets


def test_the_same_packet_with_another_priority_goes_on() -> None:
    f, a = cut(DATA, 1), Assembly()
    assert a.feed(*f[:3]) + a.feed(*f[3:], t=0.01, can_id=ID ^ (1 << 26)) == [DATA]


def test_memory_is_bounded() -> None:
    a = Assembly()
    for source in range(200):
        a.feed(cut(DATA, 0)[0], can_id=(ID & ~0xFF) | source)
    assert len(a.packets.packets) == 64
    assert a.rejected == {"fast_evicted": 136}


def test_an_address_that_changed_hands_keeps_nothing() -> None:
    f, a = cut(DATA, 1), Assembly()
    a.feed(*f[:3])
    a.packets.forget(0, 36)
    assert a.feed(*f[3:], t=0.01) == []


@given(st.binary(min_size=1, max_size=223), st.integers(0, 7))
def test_what_canboat_cuts_is_put_together(data: bytes, sequence: int) -> None:
    a = Assembly()
    assert a.feed(*canboat().fast_packet_fragment(sequence, data)) == [data]


@given(st.data())
def test_whatever_is_lost_or_repeated_only_whole_packets_come_out(data: st.DataObject) -> None:
    """Random losses and repetitions on an otherwise orderly bus."""
    sent = [bytes([n]) * data.draw(st.integers(7, 60)) for n in range(12)]
    frames = [f for n, p in enumerate(sent) for f in cut(p, n % 8)]
    kept = data.draw(st.lists(st.sampled_from([0, 1, 1, 1, 1, 2]), min_size=len(frames), max_size=len(frames)))
    a = Assembly()
    got = a.feed(*(f for f, n in zip(frames, kept, strict=True) for _ in range(n)))
    assert all(p in sent for p in got)
    assert len(got) == len(set(got))


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 3)), max_size=80))
def test_any_frames_leave_the_memory_bounded(frames: list[tuple[bytes, int]]) -> None:
    a = Assembly()
    for i, (frame, source) in enumerate(frames):
        got = a.packets.feed(i * 0.01, 0, ID + source, frame)
        assert got is None or len(got) <= 223
    assert len(a.packets.packets) <= 64

"""UDP multicast and IEC 61162-450, on real sockets of the loopback interface and sans-I/O."""

from __future__ import annotations

import math
import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynmea2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyais.messages import TagBlock

from giljabi._core.guard import WireEncoder
from giljabi.clock import StackClock
from giljabi.platform import Platform, load_platform
from giljabi.registry import build_driver
from giljabi.safety.guard_thread import build_guard_thread
from giljabi.types import BadInputError, GnssFix
from giljabi.wire import EncodeTable
from giljabi_drivers.contract import Received
from giljabi_drivers.iec61162_450 import Sequencer
from giljabi_drivers.multicast_transport import UdpMulticastTransport
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.transport import open_transport

HEADER = bytes.fromhex("556450624300")  # UdPbC and a zero


def checksum(text: str) -> str:
    return f"{pynmea2.NMEASentence.checksum(text):02X}"


def tagged(sentence: str, source: str = "GP0001", number: int | None = 0, extra: str = "") -> bytes:
    body = ",".join(x for x in (extra, f"s:{source}", "" if number is None else f"n:{number}") if x)
    return f"\\{body}*{checksum(body)}\\{sentence}\r\n".encode()


def hdt(heading: float) -> str:
    return str(pynmea2.HDT("HE", "HDT", (f"{heading:.1f}", "T")))


class Feed:
    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.sequencer = Sequencer(lambda r: self.rejected.update([r]), self.flag)

    def flag(self, remark: str, n: int) -> None:
        self.flagged[remark] += n

    def datagram(self, *lines: bytes, t: float = 0.0, sender: str = "127.0.0.1:1") -> list[tuple[int, bytes]]:
        return self.sequencer.feed(t, sender, HEADER + b"".join(lines))

    def numbers(self, *numbers: int, t: float = 0.0, source: str = "GP0001") -> list[int]:
        """Which of these line numbers are given on."""
        return [n for n in numbers if self.datagram(tagged(hdt(n % 360), source, n), t=t)]


def test_several_sentences_in_a_datagram() -> None:
    f = Feed()
    lines = [tagged(hdt(k), number=k) for k in range(3)]
    assert f.datagram(*lines) == [(0, line) for line in lines]
    assert (f.rejected, f.flagged) == ({}, {})


def test_duplicates_gaps_and_late_lines() -> None:
    f = Feed()
    assert f.numbers(5, 6, 6, 5, 9, 7, 10) == [5, 6, 9, 10]
    assert f.rejected == {"450_duplicate": 2, "450_late": 1}
    assert f.flagged == {"450_missing": 2}
    assert f.numbers(7) == []
    assert f.rejected["450_duplicate"] == 3


def test_the_counter_comes_round() -> None:
    f = Feed()
    assert f.numbers(998, 999, 0, 999, 2) == [998, 999, 0, 2]
    assert f.rejected == {"450_duplicate": 1}
    assert f.flagged == {"450_missing": 1}


def test_a_source_that_starts_anew() -> None:
    f = Feed()
    assert f.numbers(700, t=0.0) == [700]
    assert f.numbers(0, 1, t=0.5) == [0, 1]  # 300 on: a jump forward
    assert f.numbers(20, t=1.0) == [20]
    assert f.numbers(0, 1, t=4.0) == [0, 1]  # after silence
    assert f.numbers(300, 0, t=4.1) == [300, 0]  # far back
    assert f.flagged["450_restarted"] == 1


def test_sources_are_counted_and_numbered_apart() -> None:
    f = Feed()
    got = [f.datagram(tagged(hdt(1), s, 0)) for s in ("GP0001", "HE0001", "GP0001", "HE0002")]
    assert [[n for n, _ in g] for g in got] == [[0], [1], [], [2]]
    # Without s: it is the sender, without n: nothing can be known of its order.
    plain = b"\\n:0*64\\" + hdt(1).encode() + b"\r\n"
    assert f.datagram(plain, sender="a")[0][0] == 3
    assert f.datagram(plain, sender="b")[0][0] == 4
    assert len(f.datagram(*[tagged(hdt(1), "XX0001", None)] * 2)) == 2


def test_groups_in_front_of_the_source() -> None:
    f = Feed()
    two = b"\\g:1-2-34*" + checksum("g:1-2-34").encode() + b"\\" + tagged(hdt(1))
    assert len(f.datagram(two, tagged(hdt(2), number=1, extra="g:2-2-34,d:II0001"))) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"RaUdP\0" + bytes(40), "450_binary"),
        (b"RrUdP\0" + bytes(40), "450_binary"),
        (b"NkPgN\0" + bytes(40), "450_nmea2000"),
        (b"$HEHDT,1.0,T*11\r\n", "450_header"),
        (b"UdPbC" + tagged(hdt(1)), "450_header"),
        (b"", "450_header"),
        (HEADER + tagged(hdt(1))[:-2], "450_truncated"),
        (HEADER + hdt(1).encode() + b"\r\n", "450_no_tag"),
        (HEADER + tagged(hdt(1)).replace(b"GP0001", b"GP0002"), "450_tag"),
        (HEADER + tagged(hdt(1), number=1000), "450_counter"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    f = Feed()
    assert f.sequencer.feed(0.0, "x", data) == []
    assert f.rejected == {reason: 1}


def test_a_sentence_that_is_cut_off_costs_itself_only() -> None:
    f = Feed()
    assert len(f.datagram(tagged(hdt(1), number=1), tagged(hdt(2), number=2)[:-9])) == 1


def test_memory_is_bounded() -> None:
    f = Feed()
    lines = {f.datagram(tagged(hdt(1), f"AA{k:04d}"))[0][0] for k in range(300)}
    assert (len(f.sequencer.sources), lines) == (64, set(range(64)))


@given(st.integers(0, 999), st.integers(1, 200), st.randoms(use_true_random=False))
def test_every_line_at_most_once_and_never_back(start: int, count: int, r: random.Random) -> None:
    """A network that repeats and reorders within ten lines."""
    order = sorted((k + r.uniform(0, 10), k) for k in range(count) for _ in range(r.choice((0, 1, 1, 2))))
    f = Feed()
    given_on = [k for _, k in order if f.numbers((start + k) % 1000)]
    assert given_on == sorted(set(given_on))
    assert len(order) == len(given_on) + f.rejected["450_duplicate"] + f.rejected["450_late"]


@given(st.binary(max_size=300), st.booleans())
def test_any_datagram(data: bytes, headed: bool) -> None:
    for _, line in Feed().sequencer.feed(0.0, "x", (HEADER if headed else b"") + data):
        assert line.endswith(b"\r\n")


# --- sockets --------------------------------------------------------------------------------------


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        s.bind(("127.0.0.1", 0))
        yield s


def opened(url: str) -> UdpMulticastTransport:
    t = open_transport(url)
    assert isinstance(t, UdpMulticastTransport)
    if "No such device" in t.problem:
        pytest.skip("no multicast on the loopback interface here")
    assert t.problem == ""
    return t


def received(t: Any, n: int) -> list[Received]:
    out: list[Received] = []
    end = time.monotonic() + 5.0
    while len(out) < n and time.monotonic() < end:
        out += t.read(1.0)
        time.sleep(0.002)
    return out + list(t.read(1.0))


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_a_fix_over_multicast(sender: socket.socket) -> None:
    port = free_port()
    t = opened(f"udp-multicast:239.192.0.4:{port}?framing=61162-450&interface=127.0.0.1")
    fields = "123519.00,4807.038,N,01131.000,E,1,08,0.9,5.4,M,,M,,"
    gga = str(pynmea2.TalkerSentence("GP", "GGA", tuple(fields.split(","))))
    for datagram in (HEADER + tagged(gga, number=7), HEADER + tagged(gga, number=7), b"RaUdP\0" + bytes(9)):
        sender.sendto(datagram, ("239.192.0.4", port))
    got = received(t, 1)
    driver = Nmea0183Driver(load_platform("ship"), "bridge")
    (fix,) = driver.step(1.0, got).samples
    assert isinstance(fix, GnssFix)
    assert driver.stats.rejected == {}
    assert t.rejected == {"450_duplicate": 1, "450_binary": 1}
    t.close()


@pytest.mark.parametrize("interface", ["127.0.0.1", "lo"])
def test_plain_multicast_keeps_senders_apart(sender: socket.socket, interface: str) -> None:
    port = free_port()
    t = opened(f"udp-multicast:239.1.2.3:{port}?interface={interface}")
    sender.sendto(b"$HEHDT,1", ("239.1.2.3", port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        other.sendto(b".0,T*11\r\n", ("239.1.2.3", port))
        got = received(t, 2)
    assert [r.data for r in got] == [b"$HEHDT,1", b".0,T*11\r\n"]
    assert len({r.bus for r in got}) == 2
    t.close()


def test_the_framing_goes_with_the_standard_s_groups(sender: socket.socket) -> None:
    t = opened("udp-multicast:239.192.0.9:60009")
    sender.sendto(b"$HEHDT,1.0,T*11\r\n", ("239.192.0.9", 60009))
    for _ in range(200):
        assert t.read(1.0) == []
        if t.rejected:
            break
        time.sleep(0.005)
    assert t.rejected == {"450_header": 1}
    t.close()


def test_an_interface_that_is_not_there_is_told_and_tried_again() -> None:
    t = open_transport("udp-multicast:239.1.2.3:60100?interface=nosuch0")
    assert "no" in t.problem.lower()
    assert t.read(0.0) == []
    t.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("udp-multicast:127.0.0.1:60001", "no IPv4 multicast group"),
        ("udp-multicast:239.192.0.1", "HOST:PORT"),
        ("udp-multicast:239.192.0.1:60001?framing=x", "61162-450 or none"),
        ("udp-multicast:239.192.0.1:60001?local=3", "unknown option"),
        ("udp-multicast:239.192.0.1:60001?interface=300.1.1.1", "IPv4 address"),
    ],
)
def test_wrong_urls(url: str, what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        open_transport(url)


# --- orders ---------------------------------------------------------------------------------------

ORDER = re.compile(rb"UdPbC\0\\(?P<tag>[^\\]+)\\(?P<sentence>[^\r]+)\r\n")


def ship_on(device: str, folder: Path, source_id: str = "AG0007") -> Platform:
    """The ship whose bridge is at this device."""
    data = yaml.safe_load((Path(__file__).resolve().parents[2] / "config/platforms/ship.yaml").read_text())
    data["drivers"]["bridge"]["device"] = device
    data["drivers"]["bridge"]["options"]["source_id"] = source_id
    path = folder / "ship.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_platform(path)


@pytest.fixture(scope="module")
def on_group(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return ship_on("udp-multicast:239.192.0.4:60004", tmp_path_factory.mktemp("group"))


def order_table(platform: Platform) -> EncodeTable:
    table = Nmea0183Driver(platform, "bridge").encode_table()
    assert table is not None
    return replace(table, framing="iec61162_450")


def fields_of(sentence: str) -> list[str]:
    body, _, given_sum = sentence.removeprefix("$").partition("*")
    assert checksum(body) == given_sum
    return body.split(",")


def read_datagram(data: bytes) -> tuple[str, int, list[str]]:
    """Source, line number and fields, by two other libraries; both checksums must be right."""
    m = ORDER.fullmatch(data)
    assert m is not None, data
    tag = TagBlock(m["tag"])
    tag.init()
    assert tag.is_valid
    assert tag.source_station is not None
    assert tag.line_count is not None
    return str(tag.source_station), int(tag.line_count), fields_of(m["sentence"].decode())


@given(rudder=st.floats(-0.61, 0.61), throttle=st.floats(-9000, 4500), count=st.integers(1, 30))
def test_orders_carry_header_source_and_counter(on_group: Platform, rudder: float, throttle: float, count: int) -> None:
    limits = {n: (a.min, a.max) for n, a in on_group.model.actuators.items()}
    encoder, feed = WireEncoder(order_table(on_group), limits), Feed()
    values = {"rudder": rudder, "throttle": throttle}
    for k in range(count):
        name = ("ROR rudder", "PRC throttle")[k % 2]
        data = encoder.encode(name, values, True)
        source, number, fields = read_datagram(data)
        assert (source, number, fields[0]) == ("AG0007", k, ("AGROR", "AGPRC")[k % 2])
        if k % 2 == 0:
            assert float(fields[1]) == pytest.approx(-math.degrees(rudder), abs=0.0051)
        assert len(feed.sequencer.feed(0.0, "x", data)) == 1
    assert (feed.rejected, feed.flagged) == ({}, {})


def test_the_line_counter_of_orders_comes_round(on_group: Platform) -> None:
    limits = {n: (a.min, a.max) for n, a in on_group.model.actuators.items()}
    encoder = WireEncoder(order_table(on_group), limits)
    frames = [encoder.encode("ROR rudder", {"rudder": 0.0, "throttle": 0.0}, False) for _ in range(1002)]
    assert [read_datagram(f)[1] for f in frames[-4:]] == [998, 999, 0, 1]


def test_a_source_id_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"ship\.yaml:\d+: .*source_id"):
        Nmea0183Driver(ship_on("udp-multicast:239.192.0.4:60004", tmp_path, "AG1"), "bridge")
    table = replace(order_table(ship_on("udp-multicast:239.192.0.4:60004", tmp_path)), source_id="bridge")
    with pytest.raises(ValueError, match=r"source_id is 'bridge'.*AG0001"):
        WireEncoder(table, {"rudder": (-1.0, 1.0), "throttle": (-1.0, 1.0)})


def listener(group: str, port: int) -> socket.socket:
    """A plain socket of somebody else in the group."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((group, port))
    s.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    )  # fmt: skip
    s.settimeout(10.0)
    return s


@pytest.mark.parametrize("interface", ["127.0.0.1", "lo"])
def test_the_guard_s_thread_sends_orders_to_the_group(sender: socket.socket, tmp_path: Path, interface: str) -> None:
    """Real sockets: the guard's C++ thread writes, somebody else in the group reads, nothing of it comes back to us."""
    port = free_port()
    platform = ship_on(f"udp-multicast:239.192.0.4:{port}?framing=61162-450&interface={interface}", tmp_path)
    t = opened(platform.model.drivers["bridge"].device)
    assert t.framing == "iec61162_450"
    others = [d.encode_table() for n in platform.model.drivers if (d := build_driver(platform, n)) and n != "bridge"]
    tables = [order_table(platform), *(x for x in others if x is not None)]
    with listener("239.192.0.4", port) as other, build_guard_thread(platform, tables, StackClock().offset_ns) as guard:
        guard.set_descriptor("bridge", t.command_fd())
        heard = [read_datagram(other.recv(2048)) for _ in range(12)]
        assert guard.devices()["bridge"]["errors"] == 0
        guard.set_descriptor("bridge", -1)
    first = heard[0][1]  # the guard numbers what it says, also while nobody takes it
    assert [number for _, number, _ in heard] == list(range(first, first + 12))
    assert {source for source, _, _ in heard} == {"AG0007"}
    assert {fields[0] for _, _, fields in heard} == {"AGROR", "AGPRC"}
    sender.sendto(HEADER + tagged(hdt(90.0)), ("239.192.0.4", port))
    (got,) = received(t, 1)
    assert hdt(90.0).encode() in got.data
    assert (t.rejected, t.flagged) == ({}, {})
    t.close()
    assert t.command_fd() == -1


def test_orders_stay_on_the_interface(tmp_path: Path) -> None:
    t = opened(f"udp-multicast:239.192.0.4:{free_port()}")
    with socket.socket(fileno=os.dup(t.command_fd())) as s:
        assert s.getsockname()[0] == "127.0.0.1"
        assert s.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF) != 0
        assert s.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 1
    t.close()

"""Transports on real pseudo-terminals and sockets, with peers that vanish and come back."""

from __future__ import annotations

import os
import pty
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import can
import pytest
from can.interfaces.udp_multicast.utils import pack_message, unpack_message
from hypothesis import given
from hypothesis import strategies as st

from giljabi._core.nmea import checksum
from giljabi.platform import load_platform
from giljabi.types import BadInputError
from giljabi_drivers import stream_transports
from giljabi_drivers.can_frames import pack_msgpack, pack_socketcan, unpack_msgpack, unpack_socketcan
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.transport import open_transport, pack_can
from giljabi_drivers.transport_base import Transport

GROUP = "239.74.163.77"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Bench:
    """Steps a transport with a time of its own, in real waits of a millisecond."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.now = 100.0
        self.got: list[Received] = []

    def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.got += self.transport.read(self.now)
            if condition():
                return True
            time.sleep(0.001)
            self.now += 0.02
        return False

    @property
    def data(self) -> bytes:
        return b"".join(r.data for r in self.got)


@pytest.fixture
def opened() -> Iterator[Callable[[str], Bench]]:
    made: list[Transport] = []

    def make(url: str) -> Bench:
        made.append(open_transport(url))
        return Bench(made[-1])

    yield make
    for t in made:
        t.close()
        t.close()
        assert t.fileno() == -1
        assert t.read(1e9) == []
        assert t.write(b"x") == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing", ["device URL", "serial:/dev/ttyUSB0"]),
        ("serial:", ["device URL"]),
        ("ftp:host:1", ["no kind 'ftp'", "tcp:HOST:PORT"]),
        ("serial:/dev/x?baud=fast", ["baud is 'fast'", "50 to 4000000"]),
        ("serial:/dev/x?speed=9600", ["unknown option 'speed'", "baud"]),
        ("serial:/dev/x?baud", ["key=value"]),
        ("tcp:host", ["no HOST:PORT"]),
        ("tcp:host:0", ["port is '0'", "1 to 65535"]),
        ("tcp-listen:70000", ["port is '70000'"]),
        ("udp-listen:here", ["port is 'here'"]),
        ("udp-listen:5000?interface=eth0", ["interface is 'eth0'", "IPv4"]),
        ("can:can0", ["no CAN bus", "socketcan/CHANNEL"]),
        ("can:slow/can0", ["no CAN bus"]),
        ("can:udp_multicast/127.0.0.1", ["multicast group"]),
        ("can:socketcan/can0?bitrate=5", ["unknown option"]),
    ],
)
def test_a_wrong_url_is_an_error_that_says_what_is_expected(url: str, words: list[str]) -> None:
    with pytest.raises(BadInputError) as e:
        open_transport(url)
    for word in [f"device '{url}'", *words, "expected"]:
        assert word in str(e.value)


@given(st.text(max_size=40))
def test_no_url_raises_anything_else(text: str) -> None:
    # A colon behind a known kind would open something real.
    with pytest.raises(BadInputError):
        open_transport(text.replace(":", ""))


def test_serial_line_carries_bytes_both_ways(opened: Callable[[str], Bench]) -> None:
    master, slave = pty.openpty()
    try:
        b = opened(f"serial:{os.ttyname(slave)}?baud=115200")
        assert b.transport.problem == ""
        assert b.transport.framing == "raw"
        assert b.transport.command_fd() == b.transport.fileno()
        payload = bytes(range(256))  # raw: no byte means anything to the line
        os.write(master, payload)
        assert b.until(lambda: len(b.data) >= 256)
        assert b.data == payload
        assert all(r.can_id == -1 and r.t >= 100.0 for r in b.got)
        assert b.transport.write(payload) == 256
        assert os.read(master, 4096) == payload
        assert b.transport.read(b.now) == []
    finally:
        os.close(master)
        os.close(slave)


def test_a_serial_line_that_vanishes_is_told_and_opened_again(opened: Callable[[str], Bench], tmp_path: Path) -> None:
    link = tmp_path / "tty"  # as a stable name under /dev/serial/by-id
    master, slave = pty.openpty()
    link.symlink_to(os.ttyname(slave))
    b = opened(f"serial:{link}")
    first = b.transport.generation
    os.close(slave)
    os.close(master)  # the adapter is pulled out
    assert b.until(lambda: b.transport.fileno() == -1)
    assert b.transport.problem != ""
    assert b.transport.write(b"x") == 0
    link.unlink()
    assert not b.until(lambda: b.transport.fileno() != -1, 0.2)
    master, slave = pty.openpty()
    try:
        link.symlink_to(os.ttyname(slave))
        assert b.until(lambda: b.transport.generation == first + 1)
        assert b.transport.problem == ""
        os.write(master, b"again")
        assert b.until(lambda: b.data == b"again")
    finally:
        os.close(master)
        os.close(slave)


def test_a_missing_device_is_tried_with_back_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = open_transport(f"serial:{tmp_path}/none")
    assert "No such file" in t.problem
    tries: list[float] = []
    now = 0.0
    monkeypatch.setattr(t, "_open", lambda: (_ for _ in ()).throw(FileNotFoundError(2, "No such file")))
    original = t._attempt

    def attempt() -> bool:
        tries.append(now)
        return original()

    monkeypatch.setattr(t, "_attempt", attempt)
    for i in range(6001):
        now = i * 0.01
        assert t.read(now) == []
    gaps = [b - a for a, b in zip(tries, tries[1:])]  # noqa: B905, RUF007
    assert gaps[0] == pytest.approx(0.1, abs=0.011)
    assert max(gaps) == pytest.approx(1.0, abs=0.011)
    assert len(tries) < 70
    t.close()


def test_tcp_client_survives_refusal_hang_up_and_half_lines(opened: Callable[[str], Bench]) -> None:
    port = free_port()
    b = opened(f"tcp:127.0.0.1:{port}")
    b.until(lambda: False, 0.05)
    assert b.transport.problem
    assert b.transport.command_fd() == -1
    with socket.create_server(("127.0.0.1", port)) as server:
        for generation in (1, 2):
            server.settimeout(0.01)
            peers: list[socket.socket] = []

            def accepted(peers: list[socket.socket] = peers) -> bool:
                try:
                    peers.append(server.accept()[0])
                except TimeoutError:
                    return False
                return True

            assert b.until(accepted)
            assert b.until(lambda: b.transport.problem == "")
            assert b.transport.generation == generation
            peers[0].sendall(b"$HEHDT,09")
            assert b.until(lambda g=generation: len(b.data) == 9 * g)  # type: ignore[misc]
            assert b.transport.write(b"order") == 5
            assert peers[0].recv(100) == b"order"
            peers[0].close()
            assert b.until(lambda: b.transport.problem != "")
            assert b.transport.command_fd() == -1


def test_half_a_sentence_does_not_meet_the_next_connection(opened: Callable[[str], Bench]) -> None:
    port = free_port()
    b = opened(f"tcp-listen:{port}")
    whole = b"$HEHDT,123.4,T*%02X\r\n" % checksum("HEHDT,123.4,T")
    for part in (whole[:8], whole[8:]):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            n = len(b.data) + len(part)
            peer.sendall(part)
            assert b.until(lambda n=n: len(b.data) == n)  # type: ignore[misc]
    driver = Nmea0183Driver(load_platform("ship"), "bridge")
    assert driver.step(b.now, b.got).samples == ()
    assert driver.step(b.now, [Received(b.now, whole)]).samples != ()


def test_tcp_server_takes_the_newest_peer(opened: Callable[[str], Bench]) -> None:
    port = free_port()
    b = opened(f"tcp-listen:{port}")
    assert b.transport.command_fd() == -1
    first = socket.create_connection(("127.0.0.1", port))
    first.sendall(b"one")
    assert select.select([b.transport.fileno()], [], [], 2.0)[0]
    assert b.until(lambda: b.data == b"one")
    with socket.create_connection(("127.0.0.1", port)) as second:
        second.sendall(b"two")
        assert b.until(lambda: b.data == b"onetwo")
        assert b.transport.generation == 2
        first.settimeout(2.0)
        assert first.recv(10) == b""  # the old one was hung up on
        assert b.transport.write(b"back") == 4
        assert second.recv(10) == b"back"
    first.close()
    assert b.until(lambda: b.transport.command_fd() == -1)
    assert b.transport.problem == "the peer hung up"


def test_udp_both_ways(opened: Callable[[str], Bench]) -> None:
    port = free_port(socket.SOCK_DGRAM)
    listener = opened(f"udp-listen:{port}")
    assert listener.transport.command_fd() == -1
    sender = opened(f"udp:127.0.0.1:{port}")
    for i in range(10):
        assert sender.transport.write(b"datagram %d" % i) == 10
    assert listener.until(lambda: len(listener.got) == 10)
    assert [r.data for r in listener.got] == [b"datagram %d" % i for i in range(10)]


def test_udp_to_nobody_is_told_and_goes_on(opened: Callable[[str], Bench]) -> None:
    port, mine = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    b = opened(f"udp:127.0.0.1:{port}?local={mine}")
    b.transport.write(b"anybody?")
    assert b.until(lambda: b.transport.problem == "nobody listens at the peer")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", port))
        peer.sendto(b"here", ("127.0.0.1", mine))
        assert b.until(lambda: b.data == b"here")
        assert b.transport.problem == ""
        b.transport.write(b"hello")
        peer.settimeout(2.0)
        assert peer.recv(100) == b"hello"


def test_listening_is_on_the_loopback_only(opened: Callable[[str], Bench]) -> None:
    tcp, udp, group = free_port(), free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    opened(f"tcp-listen:{tcp}")
    opened(f"udp-listen:{udp}")
    opened(f"can:udp_multicast/{GROUP}?port={group}")
    bound = {}
    for name in ("tcp", "udp"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            bound.setdefault(int(port, 16), set()).add(socket.inet_ntoa(struct.pack("=I", int(address, 16))))
    assert bound[tcp] == {"127.0.0.1"}
    assert bound[udp] == {"127.0.0.1"}
    assert bound[group] == {GROUP}


def test_can_over_multicast_speaks_python_cans_format(opened: Callable[[str], Bench]) -> None:
    port = free_port(socket.SOCK_DGRAM)
    a = opened(f"can:udp_multicast/{GROUP}?port={port}")
    b = opened(f"can:udp_multicast/{GROUP}?port={port}&bus=1")
    assert a.transport.framing == "can_msgpack"
    assert a.transport.command_fd() != a.transport.fileno()
    frames = [Received(0.0, bytes([i] * (i % 9)), 0x100 + i, 0, i % 2) for i in range(200)]
    for i, f in enumerate(frames):
        data = pack_can(f, a.transport.framing)
        assert (os.write(a.transport.command_fd(), data) if i % 2 else a.transport.write(data)) == len(data)
    assert b.until(lambda: len(b.got) == 200)
    assert [(r.data, r.can_id, r.flags, r.bus) for r in b.got] == [(f.data, f.can_id, f.flags, 1) for f in frames]
    assert a.transport.read(a.now) == []  # what it sent itself does not come back
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        peer.sendto(b"\xffgarbage", (GROUP, port))
        peer.sendto(pack_message(can.Message(arbitration_id=0x25, data=b"12", is_extended_id=False)), (GROUP, port))
        assert a.until(lambda: len(a.got) == 1)
    assert (a.got[0].can_id, a.got[0].data, a.got[0].flags) == (0x25, b"12", 0)
    assert a.transport.rejected == {"malformed": 1}


def test_virtual_can(opened: Callable[[str], Bench]) -> None:
    a, b = opened("can:virtual/test_transport"), opened("can:virtual/test_transport?bus=3")
    assert a.transport.fileno() == -1
    f = Received(0.0, b"\x01\x02", 0x1ABCDEF0, 0, 1)
    assert a.transport.write(pack_can(f, a.transport.framing)) == 16
    assert b.until(lambda: len(b.got) == 1)
    assert (b.got[0].data, b.got[0].can_id, b.got[0].bus, b.got[0].flags) == (f.data, f.can_id, 3, 1)
    assert b.got[0].t == pytest.approx(b.now)


def test_a_kernel_without_can_or_interface_is_told(opened: Callable[[str], Bench]) -> None:
    b = opened("can:socketcan/nosuchcan9")
    b.until(lambda: False, 0.05)
    assert b.transport.problem
    assert b.transport.fileno() == -1


flexible = st.sampled_from([0, 3, 8, 12, 16, 48, 64]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
frames = st.one_of(
    st.builds(Received, st.just(1.0), st.binary(max_size=8), st.integers(0, 0x7FF), st.just(0), st.just(0)),
    st.builds(Received, st.just(1.0), st.binary(max_size=8), st.integers(0, 0x1FFFFFFF), st.just(0), st.just(1)),
    st.builds(Received, st.just(1.0), flexible, st.integers(0, 0x1FFFFFFF), st.just(0), st.just(9)),
)


@given(frames)
def test_frames_come_back_from_both_framings_and_from_python_can(frame: Received) -> None:
    assert unpack_msgpack(pack_msgpack(frame), 1.0) == frame
    peer = unpack_message(pack_msgpack(frame), check=False)
    assert (peer.arbitration_id, bytes(peer.data), peer.is_extended_id, peer.is_fd) == (
        frame.can_id,
        frame.data,
        bool(frame.flags & 1),
        bool(frame.flags & 8),
    )
    message = can.Message(
        arbitration_id=frame.can_id, data=frame.data, is_extended_id=bool(frame.flags & 1), is_fd=bool(frame.flags & 8)
    )
    assert unpack_msgpack(pack_message(message), 1.0) == frame
    assert unpack_socketcan(pack_socketcan(frame), 1.0) == frame
    from can.interfaces.socketcan.socketcan import build_can_frame, dissect_can_frame

    assert unpack_socketcan(bytes(build_can_frame(message)), 1.0) == frame
    can_id, _, _, data = dissect_can_frame(pack_socketcan(frame))
    assert (can_id & 0x1FFFFFFF, bytes(data), can_id >> 31) == (frame.can_id, frame.data, frame.flags & 1)


@given(st.binary(max_size=100))
def test_no_datagram_raises(data: bytes) -> None:
    assert unpack_msgpack(data, 0.0) is None
    got = unpack_socketcan(data, 0.0)
    assert got is None or len(data) in (16, 72)


def test_remote_and_error_frames_are_marked() -> None:
    remote = unpack_socketcan(struct.pack("=IB3x8s", 0x40000123, 4, b"abcdefgh"), 0.0)
    error = unpack_socketcan(struct.pack("=IB3x8s", 0x20000004, 8, bytes(8)), 0.0)
    assert remote is not None
    assert error is not None
    assert (remote.flags, remote.data, remote.can_id) == (2, b"", 0x123)
    assert (error.flags, error.can_id) == (4, 4)
    assert unpack_socketcan(struct.pack("=IB3x8s", 1, 9, bytes(8)), 0.0) is None


def test_a_serial_adapter_is_asked_for_low_latency_at_every_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's end is played here: struct serial_struct in and out, flags at byte 16 (linux/serial.h)."""
    asked: list[int] = []
    master, slave = pty.openpty()

    def ioctl(fd: int, request: int, data: bytearray) -> int:
        if request == 0x541E:  # TIOCGSERIAL: flags that must stay as they are
            data[16:20] = (0x1010).to_bytes(4, "little")
        else:
            assert request == 0x541F
            asked.append(int.from_bytes(data[16:20], "little"))
        return 0

    monkeypatch.setattr(stream_transports, "fcntl", SimpleNamespace(ioctl=ioctl))
    t = open_transport(f"serial:{os.ttyname(slave)}?baud=115200")
    assert asked == [0x1010 | 1 << 13]
    assert "latency" not in t.diagnostics()
    t.close()
    os.close(master)
    os.close(slave)


def test_an_adapter_that_stays_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda p, **k: "/dev/ttyUSB3" if "pts" in str(p) else real(p, **k))
    t = open_transport(f"serial:{os.ttyname(slave)}?baud=115200")  # a pseudo-terminal knows no such request
    assert "ttyUSB3/latency_timer" in t.diagnostics()["latency"]
    t.close()
    os.close(master)
    os.close(slave)

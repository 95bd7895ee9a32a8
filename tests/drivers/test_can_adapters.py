"""CAN adapters with python-can at the other end: Lawicel's protocol on pseudo-terminals, and any bus of python-can."""

from __future__ import annotations

import os
import pty
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import can
import pytest
from can.interfaces.slcan import slcanBus
from can.interfaces.socketcan.socketcan import dissect_can_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi._core.can import Reader
from giljabi._core.guard import WireEncoder
from giljabi.clock import DeviceClock
from giljabi.safety.guard import GuardActuator, GuardConfig
from giljabi.safety.guard_thread import GuardThread
from giljabi.types import BadInputError
from giljabi.wire import EncodeTable, WireField, WireMessage
from giljabi_drivers.can_frames import pack_socketcan
from giljabi_drivers.contract import Received
from giljabi_drivers.transport import open_transport, pack_can

SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
flexible = st.sampled_from(SIZES).flatmap(lambda n: st.binary(min_size=n, max_size=n))
frames = st.one_of(
    st.builds(Received, st.just(1.0), st.binary(max_size=8), st.integers(0, 0x7FF), st.just(0), st.just(0)),
    st.builds(Received, st.just(1.0), st.binary(max_size=8), st.integers(0, 0x1FFFFFFF), st.just(0), st.just(1)),
    st.builds(Received, st.just(1.0), flexible, st.integers(0, 0x7FF), st.just(0), st.just(8)),
    st.builds(Received, st.just(1.0), flexible, st.integers(0, 0x1FFFFFFF), st.just(0), st.just(9)),
)


def to_message(r: Received) -> can.Message:
    return can.Message(arbitration_id=r.can_id, data=r.data, is_extended_id=bool(r.flags & 1), is_fd=bool(r.flags & 8))


def same(m: can.Message | None, r: Received) -> bool:
    return m is not None and (m.arbitration_id, bytes(m.data), m.is_extended_id, m.is_fd) == (
        r.can_id,
        r.data,
        bool(r.flags & 1),
        bool(r.flags & 8),
    )


def until(condition: Callable[[], Any], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False


# --- Lawicel's protocol -----------------------------------------------------------------------------


class Cable:
    """Two pseudo-terminals whose far ends are joined; what passes from the first to the second is kept."""

    def __init__(self) -> None:
        self.masters, self.slaves = zip(*(pty.openpty() for _ in range(2)), strict=True)
        for s in self.slaves:
            settings_ = termios.tcgetattr(s)
            settings_[0] = settings_[1] = settings_[3] = 0
            termios.tcsetattr(s, termios.TCSANOW, settings_)
        self.passed = bytearray()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            for fd in select.select(self.masters, [], [], 0.05)[0]:
                data = os.read(fd, 4096)
                first = fd == self.masters[0]
                if first:
                    self.passed += data
                os.write(self.masters[1 if first else 0], data)

    def name(self, i: int) -> str:
        return os.ttyname(self.slaves[i])

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for fd in (*self.masters, *self.slaves):
            os.close(fd)


@pytest.fixture
def cable() -> Iterator[Cable]:
    c = Cable()
    yield c
    c.close()


def test_slcan_speaks_with_python_can(cable: Cable) -> None:
    t = open_transport(f"can:slcan/{cable.name(0)}?bitrate=250000&bus=3")
    assert t.problem == ""
    assert t.framing == "slcan"
    assert until(lambda: cable.passed == b"\rC\rS5\rO\r")
    peer = slcanBus(cable.name(1), sleep_after_open=0.0)
    try:
        sent = [
            Received(0.0, b"\x01\xff", 0x123, 3, 0),
            Received(0.0, b"", 0x7FF, 3, 0),
            Received(0.0, bytes(range(8)), 0x18FF50E5, 3, 1),
            Received(0.0, bytes(range(64)), 0x321, 3, 8),
            Received(0.0, bytes(12), 0x1ABCDEF0, 3, 9),
        ]
        got: list[Received] = []
        for r in sent:
            peer.send(to_message(r))
        assert until(lambda: got.extend(t.read(50.0)) or len(got) == len(sent))  # type: ignore[func-returns-value]
        assert [(r.can_id, r.data, r.bus, r.flags) for r in got] == [(r.can_id, r.data, r.bus, r.flags) for r in sent]
        assert t.rejected == {}
        for r in sent:
            data = pack_can(r, t.framing)
            assert t.write(data) == len(data)
        heard = [m for _ in range(40) if (m := peer.recv(0.1)) is not None][: len(sent)]
        assert all(same(m, r) for m, r in zip(heard, sent, strict=True))
    finally:
        peer.shutdown()
    t.close()
    assert until(lambda: cable.passed.endswith(b"C\r"))


def test_the_guard_writes_to_an_slcan_adapter(cable: Cable) -> None:
    t = open_transport(f"can:slcan/{cable.name(0)}")
    message = WireMessage("rudder", 0.02, (WireField("rudder", 100.0, length=16, signed=True),), can_id=0x2A, size=4)
    table = EncodeTable("adapter", "can", (message,), "slcan")
    config = GuardConfig((GuardActuator("rudder", -1, 1, 9.0, -0.5, 9.0),), (table,), 100.0, 0.2, 0.4, 0.3)
    peer = slcanBus(cable.name(1), sleep_after_open=0.0)
    with GuardThread(config, 0, realtime=False) as guard:
        guard.set_descriptor("adapter", t.command_fd())
        heard: list[can.Message] = []
        assert until(lambda: (m := peer.recv(0.1)) is not None and (heard.append(m) or len(heard) >= 5))  # type: ignore[func-returns-value]
    peer.shutdown()
    t.close()
    assert all((m.arbitration_id, bytes(m.data)) == (0x2A, struct.pack("<h2x", -50)) for m in heard)


@settings(max_examples=300, deadline=None)
@given(frames, st.booleans())
def test_slcan_lines_are_those_of_python_can(frame: Received, stamped: bool) -> None:
    class Port:
        line = b""
        write_timeout = None

        def write(self, data: bytes) -> None:
            Port.line = data

        def flush(self) -> None:
            pass

    bus = slcanBus.__new__(slcanBus)
    bus.serialPortOrig = Port()
    bus.send(to_message(frame))
    assert pack_can(frame, "slcan") == Port.line
    line = Port.line[:-1] + b"1F3A\r" if stamped else Port.line  # some adapters add their clock
    assert Reader(Received, "slcan", 0).parse(line, 1.0) == [frame]
    halves = Reader(Received, "slcan", 0)
    assert [r for b in line for r in halves.parse(bytes([b]), 1.0)] == [frame]
    if not frame.data:
        return
    fields = tuple(
        WireField(f"b{i}", offset=b, source="constant", start_bit=8 * i, length=8) for i, b in enumerate(frame.data)
    )
    message = WireMessage(
        "m", 0.1, fields, can_id=frame.can_id, extended=bool(frame.flags & 1), fd=bool(frame.flags & 8),
        size=len(frame.data),
    )  # fmt: skip
    assert WireEncoder(EncodeTable("d", "can", (message,), "slcan"), {}).encode("m", {}) == Port.line


@given(st.binary(max_size=400))
def test_no_line_raises_and_a_good_one_is_found_after_it(noise: bytes) -> None:
    reader = Reader(Received, "slcan", 0)
    reader.parse(noise, 0.0)
    assert [r.can_id for r in reader.parse(b"\rt1230\r", 0.0)][-1:] == [0x123]


@pytest.mark.parametrize(
    "line", [b"t12\r", b"t1239\r", b"t800" + b"0\r", b"tXYZ0\r", b"t1231A\r", b"t12310G\r", b"t" * 200 + b"\r"]
)
def test_lines_that_are_no_frame_are_counted(line: bytes) -> None:
    reader = Reader(Received, "slcan", 0)
    assert reader.parse(line, 0.0) == []
    assert reader.malformed == 1
    reader.parse(b"\a", 0.0)
    assert reader.refused == 1


# --- CAN FD out of the guard ------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(flexible.filter(len), st.integers(0, 0x1FFFFFFF), st.booleans())
def test_fd_frames_of_the_guard_are_those_of_the_kernel(data: bytes, can_id: int, switch: bool) -> None:
    """struct canfd_frame, read by python-can."""
    fields = tuple(
        WireField(f"b{i}", offset=b, source="constant", start_bit=8 * i, length=8) for i, b in enumerate(data)
    )
    message = WireMessage(
        "m", 0.1, fields, can_id=can_id, extended=True, fd=True, bitrate_switch=switch, size=len(data)
    )
    frame = WireEncoder(EncodeTable("d", "can", (message,), "socketcan"), {}).encode("m", {})
    assert len(frame) == 72
    got_id, length, flags, payload = dissect_can_frame(frame)
    assert (got_id, length, flags & 1, bytes(payload[:length])) == (can_id | 1 << 31, len(data), int(switch), data)


# --- python-can -------------------------------------------------------------------------------------


def test_any_bus_of_python_can_carries_frames_both_ways() -> None:
    t = open_transport("can:python-can/virtual/adapters?bus=4&receive_own_messages=0")
    peer = can.Bus(interface="virtual", channel="adapters")
    try:
        assert t.problem == ""
        assert t.fileno() >= 0
        sent = [Received(0.0, bytes([i % 256]), i, 4, 0) for i in range(1000)]
        sent.append(Received(0.0, bytes(64), 0x18FF50E5, 4, 9))
        for r in sent:
            peer.send(to_message(r))
        got: list[Received] = []
        assert select.select([t.fileno()], [], [], 2.0)[0]
        assert until(lambda: got.extend(t.read(50.0)) or len(got) == len(sent))  # type: ignore[func-returns-value]
        assert [(r.can_id, r.data, r.bus, r.flags) for r in got] == [(r.can_id, r.data, r.bus, r.flags) for r in sent]
        assert all(45.0 < r.t <= 50.0 for r in got)
        for r in sent[-3:]:  # as the guard does: a frame a call, on a duplicate of the descriptor
            assert os.write(t.command_fd(), pack_socketcan(r)) in (16, 72)
        assert all(same(peer.recv(1.0), r) for r in sent[-3:])
        peer.send(can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8)))
        assert until(lambda: t.read(51.0) and t.command_fd() == -1)
        assert "bus-off" in t.problem
        peer.send(can.Message(arbitration_id=0x100, is_error_frame=True, data=bytes(8)))
        assert until(lambda: t.read(52.0) and t.command_fd() >= 0)
    finally:
        peer.shutdown()
        threads = threading.active_count()
        t.close()
        assert threading.active_count() == threads - 2


def test_a_bus_that_python_can_does_not_open_is_told_and_tried_again() -> None:
    t = open_transport("can:python-can/nosuch/x?bitrate=500000")
    assert "python-can cannot open it" in t.problem
    assert (t.fileno(), t.command_fd(), t.read(0.0)) == (-1, -1, [])
    t.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("can:slcan/ttyACM0", "no path of a serial line"),
        ("can:slcan//dev/ttyACM0?bitrate=42", "bitrate is '42'; one of 10000"),
        ("can:slcan//dev/ttyACM0?data_bitrate=42", "data_bitrate is '42'; one of 2000000"),
        ("can:slcan//dev/ttyACM0?speed=1", "unknown option 'speed'"),
        ("can:python-can/pcan", "INTERFACE/CHANNEL"),
        ("can:socketcan/can0?filters=maybe", "on or off"),
    ],
)
def test_wrong_urls_say_what_is_expected(url: str, words: str) -> None:
    with pytest.raises(BadInputError, match="expected") as e:
        open_transport(url)
    assert words in str(e.value)


# --- stamps -----------------------------------------------------------------------------------------


def test_hardware_stamps_are_mapped_onto_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter whose clock runs by itself: intervals are the hardware's, no stamp lies in the future."""
    t: Any = open_transport("can:virtual/stamps")

    class Hardware:
        malformed = overflow = refused = 0
        stamps = "hardware"
        n = 0

        def drain(self, fd: int, now: float, limit: int, *own: int) -> tuple[list[Received], list[float]]:
            Hardware.n += 1
            return [Received(now, b"", 1)], [5000.0 + 0.01 * Hardware.n]

    t._reader, t._clock = Hardware(), DeviceClock()
    stamps = []
    for i in range(1, 20):
        now = 100.0 + 0.01 * i + (0.004 if i % 3 else 0.0)  # two of three are read late
        (frame,) = t._drain(0, now)
        assert frame.t <= now
        stamps.append(frame.t)
    assert stamps[5:] == pytest.approx([100.0 + 0.01 * i for i in range(6, 20)], abs=1e-4)
    t.close()

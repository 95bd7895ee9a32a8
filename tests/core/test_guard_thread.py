"""The guard's thread on real descriptors: pseudo-terminals, sockets, pipes; and Python stuck."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pty
import select
import socket
import termios
import threading
import time
from collections.abc import Iterator

import pynmea2
import pytest

from giljabi.clock import StackClock
from giljabi.safety.guard import GuardActuator, GuardConfig
from giljabi.safety.guard_thread import GuardThread
from giljabi.wire import EncodeTable, WireField, WireMessage

OFFSET_NS = 1_700_000_000_000_000_000
COMMAND_TIMEOUT = 0.2


def config(period_s: float = 0.02, rate_hz: float = 100.0) -> GuardConfig:
    message = WireMessage("rsa", period_s, (WireField("rudder", 100.0),), "$AGRSA,{rudder},{A|V},,V")
    return GuardConfig(
        (GuardActuator("rudder", -0.6, 0.6, 50.0, safe_value=0.1, safe_rate=50.0),),
        (EncodeTable("bridge", "nmea", (message,)),),
        rate_hz=rate_hz,
        command_timeout_s=COMMAND_TIMEOUT,
        heartbeat_timeout_s=0.4,
        pose_timeout_s=1.0,
    )


@contextlib.contextmanager
def running(c: GuardConfig) -> Iterator[GuardThread]:
    with GuardThread(c, OFFSET_NS, realtime=False) as thread:
        yield thread


@pytest.fixture
def line() -> Iterator[tuple[int, int]]:
    """(our end, the guard's end) of a raw pseudo-terminal."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[0] = settings[1] = settings[3] = 0
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    os.set_blocking(ours, False)
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def read(fd: int, seconds: float = 0.0, until: str = "") -> list[pynmea2.NMEASentence]:
    """Sentences that come within `seconds`, or until one holds `until`; every checksum must hold."""
    end = time.monotonic() + seconds
    data = b""
    while True:
        left = end - time.monotonic()
        if select.select([fd], [], [], max(left, 0.0))[0]:
            data += os.read(fd, 65536)
        if left <= 0 or (until and until.encode() in data and data.endswith(b"\n")):
            break
    return [pynmea2.parse(s, check=True) for s in data.decode().split("\r\n") if s]


def feed(thread: GuardThread, value: float) -> None:
    now = thread.now()
    assert thread.submit("auto", now, {"rudder": value}) == ""
    assert thread.heartbeat(now) == ""


def arm(thread: GuardThread) -> None:
    feed(thread, 0.5)
    assert thread.arm() == []


def test_time_is_monotonic_plus_offset() -> None:
    with running(config()) as thread:
        clock = StackClock(OFFSET_NS)
        before = clock.now()
        now = thread.now()
        assert before <= now <= clock.now()


def test_writes_to_a_pseudo_terminal_at_its_period(line: tuple[int, int]) -> None:
    ours, theirs = line
    with running(config()) as thread:
        thread.set_descriptor("bridge", theirs)
        read(ours, 0.1)
        start = time.monotonic()
        got = read(ours, 1.0)
        rate = len(got) / (time.monotonic() - start)
        assert 35 <= rate <= 51  # 50 Hz; a loaded machine may skip some, none may be added
        assert {(s.data[0], s.data[1]) for s in got} == {("10.0", "V")}
        arm(thread)
        feed(thread, 0.5)
        assert read(ours, 0.5, until=",A,")[-1].data[:2] == ["50.0", "A"]
        counts = thread.devices()["bridge"]
        assert counts["frames"] > 0
        assert counts["errors"] == counts["partial"] == 0


def test_python_that_holds_the_gil_does_not_hold_the_guard(line: tuple[int, int]) -> None:
    """One C call that keeps the GIL for a second, while armed: the wire shows the safe output within the timeout."""
    ours, theirs = line
    libc = ctypes.PyDLL(None)  # PyDLL keeps the GIL during the call
    libc.usleep.argtypes = [ctypes.c_uint]
    seen: list[tuple[float, bytes]] = []
    with running(config()) as thread:
        thread.set_descriptor("bridge", theirs)
        arm(thread)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            feed(thread, 0.5)
            time.sleep(0.02)
        assert thread.state().mode == "auto"
        while select.select([ours], [], [], 0)[0]:
            os.read(ours, 65536)
        # A process of its own reads and stamps the bytes, for this one is stuck.
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            end = time.monotonic() + 0.9
            while time.monotonic() < end:
                if select.select([ours], [], [], 0.01)[0]:
                    os.write(writer, f"{time.monotonic()} {os.read(ours, 4096).hex()}\n".encode())
            os._exit(0)
        os.close(writer)
        feed(thread, 0.5)
        stuck = time.monotonic()
        libc.usleep(1_000_000)
        assert time.monotonic() - stuck >= 0.99
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as f:
            for row in f.read().splitlines():
                t, data = row.split()
                seen.append((float(t) - stuck, bytes.fromhex(data.decode())))
        assert thread.state().mode == "minimum_risk"
        assert thread.arm() != []
    unsafe = [t for t, data in seen if b",50.0,A" in b"," + data.split(b"RSA")[-1] or b"RSA,50.0" in data]
    safe = [t for t, data in seen if b"RSA,10.0,A" in data]
    assert unsafe, "commands went out before the timeout"
    assert max(unsafe) <= COMMAND_TIMEOUT + 0.06  # a tick, a period and the reader's own delay
    assert min(safe) <= COMMAND_TIMEOUT + 0.08
    assert max(safe) > 0.7, "the safe output goes on"


def test_heartbeat_that_stops_ends_auto(line: tuple[int, int]) -> None:
    ours, theirs = line
    with running(config()) as thread:
        thread.set_descriptor("bridge", theirs)
        arm(thread)
        end = time.monotonic() + 0.8
        while time.monotonic() < end and thread.state().mode == "auto":
            thread.submit("auto", thread.now(), {"rudder": 0.5})
            time.sleep(0.01)
        state = thread.state()
        assert state.mode == "minimum_risk"
        assert "heartbeat" in state.reasons[0]
        read(ours)


def test_full_buffer_is_counted_and_never_blocks() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs, running(config(0.01)) as thread:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        thread.set_descriptor("bridge", theirs.fileno())
        time.sleep(0.1)
        arm(thread)
        mode, ticks = "auto", thread.loop()["ticks"]
        end = time.monotonic() + 3.0
        while time.monotonic() < end and mode == "auto":
            feed(thread, 0.5)
            time.sleep(0.02)
            mode = thread.state().mode
        counts = thread.devices()["bridge"]
        assert counts["would_block"] > 5
        assert thread.loop()["ticks"] - ticks > 10  # the thread went on all the time
        assert mode == "minimum_risk"  # nothing got out for longer than a command may be old
        assert "bridge" in thread.state().reasons[0]
        assert theirs.getblocking()  # the driver's socket stays as it was


def test_partial_write_is_counted() -> None:
    sentence = b"$AGRSA,10.0,V,,V*hh\r\n"
    partial = 0
    for prefill in range(15_000, 15_000 + len(sentence), 4):  # one of these leaves room for a part of a sentence
        ours, theirs = pty.openpty()
        settings = termios.tcgetattr(theirs)
        settings[0] = settings[1] = settings[3] = 0
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
        os.set_blocking(theirs, False)
        wrote = 0
        while wrote < prefill:
            wrote += os.write(theirs, b"x" * min(1000, prefill - wrote))
        with running(config(0.001, 1000.0)) as thread:
            thread.set_descriptor("bridge", theirs)
            end = time.monotonic() + 3.0
            while time.monotonic() < end and thread.devices()["bridge"]["would_block"] < 3:
                time.sleep(0.01)
            counts = thread.devices()["bridge"]
        assert counts["would_block"] >= 3
        assert counts["last_errno"] == errno.EAGAIN
        data = b""
        while select.select([ours], [], [], 0.05)[0]:
            data += os.read(ours, 65536)
        os.close(ours)
        os.close(theirs)
        partial += counts["partial"]
        assert counts["partial"] == (1 if counts["bytes"] % len(sentence) else 0)
        assert counts["frames"] == counts["bytes"] // len(sentence)
        assert len(data) >= prefill + counts["bytes"]
        assert data[prefill:].startswith(b"$AGRSA,10.0,V")
    assert partial >= 1


def test_unplugged_device_ends_auto_and_needs_an_explicit_arm(line: tuple[int, int]) -> None:
    _, theirs = line
    with running(config()) as thread:
        assert any("bridge" in r for r in thread.arm())
        thread.set_descriptor("bridge", theirs)
        arm(thread)
        thread.set_descriptor("bridge", -1)
        time.sleep(0.05)
        feed(thread, 0.5)
        state = thread.state()
        assert state.mode == "minimum_risk"
        assert "bridge" in state.reasons[0]
        assert thread.devices()["bridge"]["no_device"] > 0
        thread.set_descriptor("bridge", theirs)
        time.sleep(0.05)
        feed(thread, 0.5)
        assert thread.state().mode == "minimum_risk"  # nothing arms by itself
        assert thread.arm() == []
        assert thread.state().mode == "auto"


def test_hang_up_is_counted(line: tuple[int, int]) -> None:
    ours, theirs = pty.openpty()
    with running(config()) as thread:
        thread.set_descriptor("bridge", theirs)
        os.close(ours)
        time.sleep(0.15)
        counts = thread.devices()["bridge"]
        assert counts["errors"] > 0
        assert counts["last_errno"] == errno.EIO
    os.close(theirs)


def test_number_of_a_closed_descriptor_gets_nothing(line: tuple[int, int]) -> None:
    """A driver that closes its descriptor without a word must not make the guard write into another file."""
    ours, theirs = line
    mine = os.dup(theirs)
    with running(config()) as thread:
        thread.set_descriptor("bridge", mine)
        reader, writer = os.pipe()
        os.close(mine)
        spare = os.dup2(writer, mine)
        read(ours, 0.1)
        assert read(ours, 0.2)
        assert not select.select([reader], [], [], 0)[0]
        for fd in (reader, writer, spare):
            os.close(fd)


def test_descriptor_that_is_not_open_is_refused() -> None:
    with running(config()) as thread:
        with pytest.raises(ValueError, match="bridge"):
            thread.set_descriptor("bridge", 987_654)
        with pytest.raises(KeyError, match="tower"):
            thread.set_descriptor("tower", -1)
        assert any("bridge" in r for r in thread.arm())


def test_datagrams_keep_their_borders() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
        running(config()) as thread,
    ):
        ours.bind(("127.0.0.1", 0))
        ours.settimeout(2.0)
        theirs.connect(ours.getsockname())
        thread.set_descriptor("bridge", theirs.fileno())
        for _ in range(3):
            data = ours.recv(4096)
            assert data.startswith(b"$AGRSA,10.0,V")
            assert data.count(b"$") == 1


def test_close_sends_a_last_disarmed_frame_and_ends_the_thread(line: tuple[int, int]) -> None:
    ours, theirs = line
    before = threading.active_count(), len(os.listdir("/proc/self/task"))
    thread = GuardThread(config(), OFFSET_NS, realtime=False)
    thread.set_descriptor("bridge", theirs)
    arm(thread)
    assert read(ours, 0.5, until=",A,")
    thread.close()
    assert read(ours, 0.05)[-1].data[1] == "V"
    assert read(ours, 0.1) == []
    assert (threading.active_count(), len(os.listdir("/proc/self/task"))) == before
    thread.close()  # again is harmless
    assert not thread.state().armed


def test_many_threads_may_call(line: tuple[int, int]) -> None:
    ours, theirs = line
    errors: list[Exception] = []

    def hammer(source: str) -> None:
        try:
            for _ in range(300):
                thread.submit(source, thread.now(), {"rudder": 0.2})
                thread.heartbeat(thread.now(), ["because"], degraded=True)
                thread.state()
                thread.events()
                thread.counters()
                thread.set_descriptor("bridge", theirs)
        except Exception as e:
            errors.append(e)

    with running(config()) as thread:
        workers = [threading.Thread(target=hammer, args=(s,)) for s in ("auto", "manual", "policy")]
        for w in workers:
            w.start()
        for w in workers:
            w.join(20)
        assert not errors
        assert read(ours, 0.1)

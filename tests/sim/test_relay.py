"""The relay that loses MAVLink frames, against pymavlink's encoder and parser and over real sockets."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import BadInputError
from giljabi_sim.relay import LossyFrames, Relay, main, parse_target

KEY = bytes(range(32))


def frames(count: int, signed: bool = False, old: bool = False) -> list[bytes]:
    """Heartbeats and positions; old: as MAVLink 1."""
    mav = dialect.MAVLink(None, srcSystem=1, srcComponent=1)
    if signed:
        mav.signing.secret_key, mav.signing.sign_outgoing, mav.signing.timestamp = KEY, True, 1
    out = []
    for i in range(count):
        m = dialect.MAVLink_heartbeat_message(2, 3, 0, i, 4, 3)
        if i % 3:
            m = dialect.MAVLink_local_position_ned_message(i, 1.0, 2.0, 3.0, 0.1, 253.0, 254.0)
        out.append(bytes(m.pack(mav, force_mavlink1=old)))
        mav.seq = (mav.seq + 1) % 256
    return out


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_frames_come_out_whole_whatever_the_chunks(sizes: list[int], signed: bool, old: bool) -> None:
    sent = frames(20, signed and not old, old)
    data, line, at, out = b"".join(sent), LossyFrames(0.0, 1), 0, []
    for size in itertools.cycle(sizes):
        out.append(line.feed(data[at : at + size]))
        at += size
        if at >= len(data):
            break
    assert b"".join(out) == data
    assert (line.passed, line.lost) == (20, 0)
    ends = set(itertools.accumulate(len(f) for f in sent))
    assert {0, *itertools.accumulate(len(o) for o in out)} <= {0, *ends}


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_pass_in_order(chunks: list[bytes]) -> None:
    line = LossyFrames(0.0, 1)
    out = b"".join(line.feed(c) for c in chunks)
    assert b"".join(chunks).startswith(out)


def test_the_share_is_lost_and_the_rest_is_sound() -> None:
    sent = frames(4000)
    line = LossyFrames(0.05, 7)
    left = line.feed(b"".join(sent))
    assert 150 < line.lost < 250
    assert line.lost + line.passed == 4000
    heard = dialect.MAVLink(None).parse_buffer(left)
    assert heard is not None
    assert len(heard) == line.passed
    assert "BAD_DATA" not in {m.get_type() for m in heard}
    assert LossyFrames(0.05, 7).feed(b"".join(sent)) == left
    assert LossyFrames(0.05, 8).feed(b"".join(sent)) != left


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(BadInputError, match="less than 1"):
        LossyFrames(share, 1)


@pytest.mark.parametrize("text", ["tcp:1.2.3.4", "serial:/dev/x", "tcp::1", "udp:h:0", "udp:h:99999", ""])
def test_a_target_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="is expected"):
        parse_target(text)
    assert main([text, "--listen", "1"]) == 2


class Running:
    """A relay in a thread."""

    def __init__(self, target: str) -> None:
        self.relay, self._end = Relay(target, 0, 0.0, 1), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self.relay.step(0.02)

    def close(self) -> None:
        self._end.set()
        self._thread.join(5.0)
        self.relay.close()


@pytest.fixture
def far() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5.0)
        yield server


def test_tcp_both_ways_and_a_new_peer_after_the_old(far: socket.socket) -> None:
    running = Running(f"tcp:127.0.0.1:{far.getsockname()[1]}")
    ping, pong = frames(2)
    try:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", running.relay.port), 5.0) as near:
                autopilot, _ = far.accept()
                with autopilot:
                    near.sendall(ping)
                    assert autopilot.recv(100) == ping
                    autopilot.sendall(pong)
                    assert near.recv(100) == pong
    finally:
        running.close()


def test_a_tcp_target_that_is_gone_ends_the_peer(far: socket.socket) -> None:
    port = far.getsockname()[1]
    far.close()
    running = Running(f"tcp:127.0.0.1:{port}")
    try:
        with socket.create_connection(("127.0.0.1", running.relay.port), 5.0) as near:
            near.settimeout(5.0)
            assert near.recv(10) == b""
    finally:
        running.close()


def test_udp_both_ways() -> None:
    ping, pong = frames(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as autopilot:
        autopilot.bind(("127.0.0.1", 0))
        autopilot.settimeout(5.0)
        running = Running(f"udp:127.0.0.1:{autopilot.getsockname()[1]}")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
                near.settimeout(5.0)
                near.sendto(ping, ("127.0.0.1", running.relay.port))
                data, relay = autopilot.recvfrom(100)
                assert data == ping
                autopilot.sendto(pong, relay)
                assert near.recv(100) == pong
        finally:
            running.close()

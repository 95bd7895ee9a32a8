"""The state of a bus: error frames, silence of messages, and the guard when the controller goes off the bus."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import cantools
import pytest
from can.interfaces.udp_multicast.utils import pack_message, unpack_message
from hypothesis import given
from hypothesis import strategies as st

from giljabi.clock import StackClock
from giljabi.platform import load_platform
from giljabi.ros.wires import Wires
from giljabi.safety.guard_thread import GuardThread, build_guard_thread
from giljabi.types import Health
from giljabi_drivers import can_netlink, can_transports
from giljabi_drivers.can import CanDriver
from giljabi_drivers.can_state import BusState
from giljabi_drivers.contract import Received, diagnostics_of
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.transport import open_transport
from giljabi_drivers.transport_base import Transport

ROOT = Path(__file__).resolve().parents[2]
GROUP = "239.74.163.78"
# Error frames as linux/can/error.h gives them: class in the identifier, details in the data.
BUS_OFF = (0x40, bytes(8))
RESTARTED = (0x100, bytes(8))
WARNING = (0x204, bytes([0, 0x08, 0, 0, 0, 0, 97, 3]))
PASSIVE = (0x204, bytes([0, 0x20, 0, 0, 0, 0, 130, 4]))
ACTIVE = (0x204, bytes([0, 0x40, 0, 0, 0, 0, 12, 0]))


def error(kind: int, data: bytes) -> Received:
    return Received(0.0, data, kind, flags=4)


# --- the state, sans-I/O ----------------------------------------------------------------------------


def test_states_follow_the_controllers_words() -> None:
    bus = BusState()
    assert not bus.take([error(*WARNING)])
    assert (bus.state, bus.tx_errors, bus.rx_errors) == ("error-warning", 97, 3)
    assert not bus.take([error(*PASSIVE)])
    assert bus.state == "error-passive"
    assert bus.problem() == ""
    assert bus.take([error(*BUS_OFF)])
    assert bus.off
    assert "bus-off after 130 transmit errors" in bus.problem()
    assert not bus.take([error(*PASSIVE)])
    assert bus.off  # only a restart ends it
    assert bus.take([error(*RESTARTED)])
    assert bus.state == "error-active"
    assert not bus.take([error(*WARNING), error(*ACTIVE)])
    assert bus.state == "error-active"
    told = bus.diagnostics()
    assert told["bus_state"] == "error-active"
    assert told["bus_errors"] == "12 sending, 0 receiving"
    assert told["bus_events"] == "1 bus_off, 1 restarted"


def test_off_and_back_in_one_reading_is_a_turn() -> None:
    bus = BusState()
    assert bus.take([error(*BUS_OFF), error(*RESTARTED)]) or not bus.off
    assert bus.counts == {"bus_off": 1, "restarted": 1}


@given(st.lists(st.builds(error, st.integers(0, 0x1FFFFFFF), st.binary(max_size=64))))
def test_no_error_frame_raises(frames: list[Received]) -> None:
    bus = BusState()
    bus.take(frames)
    assert bus.state in ("error-active", "error-warning", "error-passive", "bus-off")
    assert bool(bus.problem()) == bus.off


# --- a kernel's socket, faked at its seam -----------------------------------------------------------


class FakeCan:
    """A datagram socket that carries struct can_frame; remembers what was asked of it."""

    def __init__(self) -> None:
        self.ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.options: dict[tuple[int, int], Any] = {}
        self.bound: Any = None

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self.options[level, option] = value
        if level == socket.SOL_SOCKET and option != socket.SO_RCVBUF:
            self.ours.setsockopt(level, option, value)

    def bind(self, address: Any) -> None:
        self.bound = address

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ours, name)

    def says(self, kind: int, data: bytes, flags: int = 1 << 29) -> None:
        """A frame as the kernel hands it out; by default an error frame."""
        layout = "=IB3x64s" if len(data) > 8 else "=IB3x8s"
        self.kernel.send(struct.pack(layout, kind | flags, len(data), data))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCan]:
    s = FakeCan()
    monkeypatch.setattr(can_transports, "make_can_socket", lambda: s)
    yield s
    s.kernel.close()
    s.ours.close()


def test_bus_off_takes_the_descriptor_away_and_restart_gives_it_back(
    fake: FakeCan, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    monkeypatch.setattr(can_netlink, "restart", tries.append)
    t = open_transport("can:socketcan/can0")
    assert fake.bound == ("can0",)
    assert t.read(0.0) == []
    assert t.command_fd() == t.fileno() >= 0
    fake.says(*PASSIVE)
    t.read(1.0)
    assert (t.problem, t.diagnostics()["bus_state"]) == ("", "error-passive")
    assert t.command_fd() >= 0
    fake.says(*BUS_OFF)
    (frame,) = t.read(2.0)
    assert frame.flags == 4
    assert t.command_fd() == -1
    assert t.fileno() >= 0  # it goes on listening
    assert t.problem.startswith("bus-off")
    assert "arm again" in t.problem
    assert tries == []
    for i in range(1, 1000):
        t.read(2.0 + 0.01 * i)
    assert 5 <= len(tries) <= 8  # after 0.1 s, then doubling to 5 s
    assert tries[0] == "can0"
    assert t.command_fd() == -1  # asked for is not done
    fake.says(*RESTARTED)
    t.read(20.0)
    assert (t.problem, t.diagnostics()["bus_state"]) == ("", "error-active")
    assert t.command_fd() >= 0
    t.close()


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EPERM, "no right to restart it"), (errno.EOPNOTSUPP, "not supported")]
)
def test_a_restart_that_is_refused_is_told(
    fake: FakeCan, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(_: str) -> None:
        raise OSError(code, "Operation not supported")

    monkeypatch.setattr(can_netlink, "restart", refuse)
    t = open_transport("can:socketcan/can0")
    fake.says(*BUS_OFF)
    t.read(0.0)
    t.read(0.2)
    assert words in t.problem
    fake.says(0x123, b"early", 0)
    t.read(0.5)
    assert t.command_fd() == -1  # it may have been on its way before
    fake.says(0x123, b"late", 0)
    t.read(1.5)
    assert t.command_fd() >= 0  # who hears frames is not off the bus
    t.close()


def test_a_lost_restart_frame_is_noticed(fake: FakeCan, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(can_netlink, "restart", busy)
    t = open_transport("can:socketcan/can0")
    fake.says(*BUS_OFF)
    t.read(0.0)
    assert t.command_fd() == -1
    t.read(0.2)
    assert t.command_fd() >= 0
    t.close()


def test_filters_are_what_the_driver_listens_to(fake: FakeCan) -> None:
    t = open_transport("can:socketcan/can0")
    key = 101, 1  # SOL_CAN_RAW, CAN_RAW_FILTER
    assert fake.options[key] == struct.pack("=II", 0, 0)
    assert isinstance(t, can_transports.CanTransport)
    t.listen(CanDriver(load_platform("car"), "vehicle").listens())
    rows = [struct.unpack_from("=II", fake.options[key], i) for i in range(0, len(fake.options[key]), 8)]
    wanted = {m.frame_id for m in cantools.database.load_file(ROOT / "config/dbc/car.dbc").messages} - {768, 769}
    assert {i for i, _ in rows} == wanted  # all but our own commands
    assert {m for _, m in rows} == {0xC00007FF}
    t.listen([0x98FF5022])
    assert struct.unpack("=II", fake.options[key]) == (0x98FF5022, 0xDFFFFFFF)
    t.listen(range(513))
    assert fake.options[key] == struct.pack("=II", 0, 0)  # more than the kernel takes
    off = open_transport("can:socketcan/can0?filters=off")
    assert isinstance(off, can_transports.CanTransport)
    off.listen([1])
    assert fake.options[key] == struct.pack("=II", 0, 0)
    assert fake.options[101, 5] == 1
    assert fake.options[101, 2] == 0x1FFFFFFF


def test_everything_is_drained_in_order_and_stamped_by_the_kernel(fake: FakeCan) -> None:
    t = open_transport("can:socketcan/can0?bus=2")
    fake.says(0x7FF, bytes(range(64)), 0)
    fake.says(0x18FF5022, b"\x01\x02", 1 << 31)
    for i in range(200):
        fake.says(i, b"", 0)
        if i == 99:
            time.sleep(0.05)
    got = t.read(1000.0)
    assert [r.can_id for r in got] == [0x7FF, 0x18FF5022, *range(200)]
    assert (got[0].data, got[0].flags, got[1].flags, got[1].bus) == (bytes(range(64)), 8, 1, 2)
    if t.diagnostics()["stamps"] == "kernel":  # a unix socket of this kernel is stamped
        assert got[-1].t - got[0].t >= 0.049  # what they waited is told apart, however late they are read
        assert 999.0 < got[0].t < got[-1].t <= 1000.0
    t.close()


def test_netlink_speaks_rtnetlink() -> None:
    """The request against the layout of rtnetlink(7), and the kernel's own answer for an interface without CAN."""
    assert can_netlink.restart_message(7) == bytes.fromhex(
        "38000000 1000 0500 01000000 00000000 00000000 07000000 00000000 00000000"  # header, ifinfomsg
        "1800 1200 0700 0100 63616e00 0c00 0200 0800 0700 01000000"
    )
    assert can_netlink.answer(b"junk") == errno.EPROTO
    with pytest.raises(OSError, match=r"not supported|not permitted"):
        can_netlink.restart("lo")
    with pytest.raises(OSError, match=r"nosuchcan9|no interface|No such"):
        can_netlink.restart("nosuchcan9")


# --- silence and rates ------------------------------------------------------------------------------

DBC = (ROOT / "config" / "dbc" / "car.dbc").read_text()
PEER: Any = cantools.database.load_file(ROOT / "config" / "dbc" / "car.dbc")


def wheels(t: float) -> Received:
    m = PEER.get_message_by_name("WHEEL_SPEEDS")
    return Received(t, bytes(m.encode({s.name: 0 for s in m.signals}, strict=False)), m.frame_id)


def car(tmp_path: Path, messages: str) -> CanDriver:
    text = (ROOT / "config" / "platforms" / "car.yaml").read_text()
    text = text.replace("      commands:\n", f"{messages}      commands:\n", 1)
    (tmp_path / "mine.dbc").write_text(DBC.replace('BA_ "GenMsgCycleTime" BO_ 170 ', 'BA_ "GenMsgCycleTime" BO_ 171 '))
    (tmp_path / "car.yaml").write_text(text.replace("dbc: car.dbc", "dbc: mine.dbc"))
    return CanDriver(load_platform(tmp_path / "car.yaml"), "vehicle")


@pytest.mark.parametrize("declared", [True, False])
def test_a_silent_message_is_flagged_within_three_periods(declared: bool, tmp_path: Path) -> None:
    """Period of the platform file, and one that was learnt; at every phase of the last frame."""
    period = 0.02
    what = f"period_s: {period}, required: true" if declared else "required: true"
    d = car(tmp_path, f"      messages:\n        WHEEL_SPEEDS: {{{what}}}\n")
    assert "no frame of WHEEL_SPEEDS yet" in d.health(0.0)["WHEEL_SPEEDS"]
    t = 0.0
    for i in range(40):
        t = i * period
        result = d.step(t, [wheels(t)])
        assert "WHEEL_SPEEDS" not in d.health(t)
    assert d.messages.told("WHEEL_SPEEDS")["period_s"] == pytest.approx(period)
    assert t + 2.0 * period < result.next_deadline < t + 3.0 * period
    d.step(t + 2.4 * period, [])
    assert "WHEEL_SPEEDS" not in d.health(t + 2.4 * period)
    d.step(result.next_deadline, [])
    assert "no frame of WHEEL_SPEEDS for 0.05 s" in d.health(result.next_deadline)["WHEEL_SPEEDS"]
    assert "silent for 0.05 s" in d.diagnostics(result.next_deadline)["WHEEL_SPEEDS"]
    d.step(t + 1.0, [wheels(t + 1.0)])
    assert "WHEEL_SPEEDS" not in d.health(t + 1.0)
    assert "1 silences" in d.diagnostics(t + 1.0)["WHEEL_SPEEDS"]
    assert d.messages.told("WHEEL_SPEEDS")["interval_s"] == pytest.approx(period)  # the gap is no interval


def test_diagnostics_tell_rate_and_errors() -> None:
    d = CanDriver(load_platform("car"), "vehicle")
    for i in range(101):
        d.step(i * 0.01, [wheels(i * 0.01)])
    d.step(1.0, [Received(1.0, bytes(8), 36), Received(1.0, b"\x01", 170)])
    told = diagnostics_of(d, 1.0)
    assert told["WHEEL_SPEEDS"] == "100.0 Hz, 101 taken, 1 short"
    assert told["KINEMATICS"] == "0.0 Hz, 0 taken, 1 checksum"
    assert "STEER_ANGLE_SENSOR" not in told  # never heard
    assert d.messages.values("WHEEL_SPEEDS")["WHEEL_SPEED_FL"] == pytest.approx(0.0, abs=0.01)


def test_other_drivers_tell_their_counts() -> None:
    d = Nmea0183Driver(load_platform("ship"), "bridge")
    d.step(0.0, [Received(0.0, b"$HEHDT,123.4,T*00\r\n$HEHDT,123.4,T*25\r\n")])
    told = diagnostics_of(d, 0.0)
    assert int(told["taken"]) + int(told["dropped.checksum"]) == 2


# --- the guard's own thread -------------------------------------------------------------------------


class Rig:
    """A car's guard thread behind a real socket, a vehicle's bus at the other end, and a person who arms."""

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        platform = load_platform("car")
        self.clock = StackClock()
        self.driver = CanDriver(platform, "vehicle")
        self.transport: Transport = open_transport(f"can:udp_multicast/{GROUP}?port={self.port}")
        table = self.driver.encode_table()
        assert table is not None
        from dataclasses import replace

        tables = [replace(table, framing=self.transport.framing)]
        self.guard: GuardThread = build_guard_thread(platform, tables, self.clock.offset_ns)
        self.errors: list[Exception] = []
        self.wires = Wires(
            {"vehicle": (self.driver, self.transport)},
            self.clock,
            lambda _: None,
            self.guard.set_descriptor,
            lambda _, e: self.errors.append(e),
        )
        self.vehicle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.vehicle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        self.ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.ear.bind((GROUP, self.port))
        member = struct.pack("=4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
        self.ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self.ear.setblocking(False)
        self._end = threading.Event()
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self.wires.start()
        self._feeder.start()

    def _feed(self) -> None:
        while not self._end.wait(0.01):
            now = self.guard.now()
            self.guard.submit("auto", now, {"steering": 0.1, "throttle": 500.0})
            self.guard.health(Health(now, "supervisor", ()))

    def says(self, kind: int, data: bytes) -> None:
        """An error frame as python-can packs it."""
        frame = can.Message(arbitration_id=kind, is_error_frame=True, data=data, is_extended_id=False)
        self.vehicle.sendto(pack_message(frame), (GROUP, self.port))

    def heard(self) -> list[int]:
        """Identifiers of the data frames that were on the bus since last time."""
        out = []
        while True:
            try:
                m = unpack_message(self.ear.recv(4096), check=True)
            except BlockingIOError:
                return out
            if not m.is_error_frame:
                out.append(m.arbitration_id)

    def until(self, condition: Callable[[], bool], seconds: float = 3.0) -> float:
        """Seconds until the condition holds; fails when it does not."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, self.guard.state()
            time.sleep(0.001)
        return time.monotonic() - start

    def close(self) -> None:
        self._end.set()
        self._feeder.join()
        self.wires.end()
        self.guard.close()
        self.wires.close()
        self.vehicle.close()
        self.ear.close()
        assert self.errors == []


@pytest.fixture
def rig() -> Iterator[Rig]:
    r = Rig()
    yield r
    r.close()


def test_bus_off_is_safe_within_100_ms_and_only_a_person_arms_again(rig: Rig) -> None:
    rig.until(lambda: rig.guard.arm() == [])
    rig.until(lambda: 768 in rig.heard())
    assert rig.guard.state().mode == "auto"
    rig.says(*BUS_OFF)
    took = rig.until(lambda: rig.guard.state().mode == "minimum_risk")
    assert took <= 0.1
    rig.until(lambda: rig.guard.devices()["vehicle"]["no_device"] > 0)
    rig.heard()
    time.sleep(0.1)
    assert rig.heard() == []  # nothing is written to a bus that is off
    state = rig.guard.state()
    assert state.reasons[0].startswith("device 'vehicle' is gone: bus-off")
    assert rig.guard.arm()[0].startswith("device 'vehicle' is not open: bus-off")
    assert "bus-off" in rig.wires.problems(rig.clock.now())["vehicle"]["vehicle"]
    assert rig.wires.diagnostics(rig.clock.now())["vehicle"]["bus_state"] == "bus-off"
    rig.says(*RESTARTED)
    rig.until(lambda: 768 in rig.heard())  # the safe output goes out again
    assert rig.wires.problems(rig.clock.now())["vehicle"].get("vehicle") is None
    time.sleep(0.2)
    assert rig.guard.state().mode == "minimum_risk"  # nothing arms by itself
    assert rig.guard.arm() == []
    assert rig.guard.state().mode == "auto"


def test_error_passive_is_told_and_ends_nothing(rig: Rig) -> None:
    rig.until(lambda: rig.guard.arm() == [])
    rig.says(*PASSIVE)
    rig.until(lambda: rig.wires.diagnostics(rig.clock.now())["vehicle"]["bus_state"] == "error-passive")
    assert rig.guard.state().mode == "auto"
    assert rig.transport.problem == ""

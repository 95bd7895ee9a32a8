"""What the guard writes to an autopilot, read by pymavlink: frames, signatures, and when they go out."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mavlink_rig import T0, Autopilot, drone_platform
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi._core.guard import WireEncoder
from giljabi.safety.guard import build_guard
from giljabi.types import BadInputError
from giljabi.wire import EncodeTable
from giljabi_drivers.mavlink import MavlinkDriver

REST = {"velocity_x": 0.0, "velocity_y": 0.0, "velocity_z": 0.0, "yaw_rate": 0.0, "takeoff_height": 0.0, "land": 0.0}
KEY = bytes(range(32))


def table_of(
    folder: Path, options: str = "{autopilot: ardupilot}"
) -> tuple[EncodeTable, dict[str, tuple[float, float]]]:
    platform = drone_platform(folder, options)
    table = MavlinkDriver(platform, "autopilot").encode_table()
    assert table is not None
    return table, {n: (a.min, a.max) for n, a in platform.model.actuators.items()}


@given(
    vx=st.floats(-10, 10), vy=st.floats(-10, 10), vz=st.floats(-3, 4), rate=st.floats(-1.5, 1.5),
    t=st.floats(0, 4e9),
)  # fmt: skip
def test_setpoint_reads_back_in_ned(
    tmp_path_factory: pytest.TempPathFactory, vx: float, vy: float, vz: float, rate: float, t: float
) -> None:
    table, limits = table_of(tmp_path_factory.getbasetemp())
    values = {**REST, "velocity_x": vx, "velocity_y": vy, "velocity_z": vz, "yaw_rate": rate}
    data = WireEncoder(table, limits).encode("setpoint", values, t=t)
    (m,) = Autopilot().parse(data)
    assert m.get_type() == "SET_POSITION_TARGET_LOCAL_NED"
    # NED from ENU, clockwise from counter-clockwise: written out here, not taken from the driver.
    assert (m.vx, m.vy, m.vz, m.yaw_rate) == pytest.approx((vy, vx, -vz, -rate), rel=1e-6, abs=1e-6)
    assert m.coordinate_frame == dialect.MAV_FRAME_LOCAL_NED
    assert m.type_mask == 0b0000_0101_1100_0111  # position, acceleration and yaw are ignored
    assert (m.target_system, m.target_component) == (1, 1)
    assert m.time_boot_ms == int(t * 1e3) % 2**32
    assert (m.get_srcSystem(), m.get_srcComponent()) == (255, 191)


def test_the_sequence_goes_on_over_all_messages(tmp_path: Path) -> None:
    table, limits = table_of(tmp_path)
    encoder = WireEncoder(table, limits)
    names = [m.name for m in table.messages]
    frames = [Autopilot().parse(encoder.encode(n, REST))[0] for n in names * 60]
    assert [f.get_seq() for f in frames] == [i % 256 for i in range(len(frames))]


def test_signed_frames_pass_pymavlink_and_a_wrong_key_does_not(tmp_path: Path) -> None:
    (tmp_path / "key.hex").write_text(KEY.hex())
    table, limits = table_of(tmp_path, "{signing_key_file: key.hex}")
    encoder = WireEncoder(table, limits)
    data = [encoder.encode("setpoint", {**REST, "velocity_x": 1.0}, t=T0) for _ in range(3)]
    good, bad = Autopilot(key=KEY), Autopilot(key=bytes(32))
    assert [m.get_type() for d in data for m in good.parse(d)] == ["SET_POSITION_TARGET_LOCAL_NED"] * 3
    assert [m.get_type() for d in data for m in bad.parse(d)] == ["BAD_DATA"] * 3
    assert good.parse(data[1])[0].get_type() == "BAD_DATA"  # a replay: every stamp is a new one


def test_what_no_message_carries_is_an_error_with_its_line(tmp_path: Path) -> None:
    platform = drone_platform(tmp_path)
    text = platform.file.path.read_text().replace("velocity_x:", "rudder:")
    platform.file.path.write_text(text)
    from giljabi.platform import load_platform

    with pytest.raises(BadInputError, match=r"test_drone.yaml:10: no setpoint carries 'rudder'"):
        MavlinkDriver(load_platform(platform.file.path), "autopilot")


def test_a_ladder_before_a_late_command_is_lost_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"the first step comes 0\.2 s after a late command"):
        table_of(tmp_path, "{ladder: [{mode: hold, after_s: 0.2}]}")


class Flight:
    """A guard with the drone's table on a clock of 10 ms; what it writes is read by pymavlink."""

    def __init__(self, folder: Path) -> None:
        platform = drone_platform(folder)
        table = MavlinkDriver(platform, "autopilot").encode_table()
        assert table is not None
        self.guard = build_guard(platform, [table])
        self.other = Autopilot()
        self.n = 0
        self.heard: list[tuple[float, Any]] = []

    @property
    def now(self) -> float:
        return T0 + 0.01 * self.n

    def run(self, seconds: float, command: dict[str, float] | None, beats: bool = True) -> None:
        for _ in range(round(seconds / 0.01)):
            self.n += 1
            if command is not None:
                assert self.guard.submit("auto", self.now, self.now, command) == ""
            if beats:
                self.guard.heartbeat(self.now, self.now)
            for _, data in self.guard.step(self.now):
                self.heard += [(self.now, m) for m in self.other.parse(data)]

    def since(self, t: float, kind: str) -> list[tuple[float, Any]]:
        return [(round(at - t, 6), m) for at, m in self.heard if at > t and m.get_type() == kind]


FLY = {**REST, "velocity_x": 4.0}


def test_setpoints_go_out_only_while_armed_and_driven(tmp_path: Path) -> None:
    f = Flight(tmp_path)
    f.run(1.0, FLY)
    assert not f.since(T0, "SET_POSITION_TARGET_LOCAL_NED")
    assert f.since(T0, "HEARTBEAT")
    assert f.guard.arm(f.now) == []
    t = f.now
    f.run(1.0, FLY)
    assert len(f.since(t, "SET_POSITION_TARGET_LOCAL_NED")) in (50, 51)  # the first at once
    t = f.now
    f.guard.disarm(t)
    f.run(1.0, FLY)
    assert not f.since(t, "SET_POSITION_TARGET_LOCAL_NED")


def test_a_dead_controller_means_stop_within_200_ms_then_hold_return_land(tmp_path: Path) -> None:
    f = Flight(tmp_path)
    f.run(0.1, FLY)
    f.guard.arm(f.now)
    f.run(2.0, FLY)
    t = f.now
    f.run(200.0, None)
    setpoints = f.since(t, "SET_POSITION_TARGET_LOCAL_NED")
    old = [at for at, m in setpoints if m.vy > 3.9]
    assert max(old) <= 0.2  # never the old setpoint after that
    speeds = [m.vy for at, m in setpoints if at > 0.2]
    assert all(b <= a for a, b in itertools.pairwise(speeds))
    assert speeds[-1] == 0.0
    assert next(at for at, m in setpoints if m.vy == 0.0) < 0.7
    modes = [(at, m.param2) for at, m in f.since(t, "COMMAND_LONG") if m.command == dialect.MAV_CMD_DO_SET_MODE]
    for mode, begin in ((17.0, 1.1), (6.0, 15.1), (9.0, 180.1)):  # BRAKE, RTL, LAND
        times = [at for at, number in modes if number == mode]
        assert len(times) == 5
        assert times[0] == pytest.approx(begin, abs=0.03)
    assert setpoints[-1][0] < 2.2  # the autopilot's own mode holds from there on


def test_the_heartbeat_stops_with_the_supervisor_so_that_the_autopilots_own_failsafe_works(tmp_path: Path) -> None:
    f = Flight(tmp_path)
    f.run(3.0, FLY)
    assert len(f.since(T0, "HEARTBEAT")) == 6
    t = f.now
    f.run(5.0, FLY, beats=False)
    assert all(at <= 1.0 for at, _ in f.since(t, "HEARTBEAT"))
    f.run(0.1, FLY)
    f.guard.heartbeat(f.now, f.now, ("estimator lost",))
    t = f.now
    for _ in range(100):
        f.n += 1
        f.guard.heartbeat(f.now, f.now, ("estimator lost",))
        for _, data in f.guard.step(f.now):
            f.heard += [(f.now, m) for m in f.other.parse(data)]
    assert not f.since(t, "HEARTBEAT")


def test_take_off_is_a_command_of_its_own_and_setpoints_wait_for_it(tmp_path: Path) -> None:
    f = Flight(tmp_path)
    f.run(0.1, REST)
    f.guard.arm(f.now)
    t = f.now
    f.run(2.0, {**REST, "takeoff_height": 12.0, "velocity_z": 1.0})
    takeoffs = [m for _, m in f.since(t, "COMMAND_LONG") if m.command == dialect.MAV_CMD_NAV_TAKEOFF]
    assert len(takeoffs) in (2, 3)
    assert takeoffs[0].param7 == 12.0
    assert not f.since(t, "SET_POSITION_TARGET_LOCAL_NED")
    t = f.now
    f.run(1.0, {**REST, "velocity_z": 1.0})
    assert len(f.since(t, "SET_POSITION_TARGET_LOCAL_NED")) >= 49
    assert f.since(t, "SET_POSITION_TARGET_LOCAL_NED")[-1][1].vz == pytest.approx(-1.0)
    t = f.now
    f.run(2.0, {**REST, "land": 1.0})
    lands = [m for _, m in f.since(t, "COMMAND_LONG")]
    assert lands
    assert [(m.command, m.param2) for m in lands] == [(dialect.MAV_CMD_DO_SET_MODE, 9.0)] * len(lands)


def test_px4_takes_off_by_setpoints_and_has_modes_of_two_numbers(tmp_path: Path) -> None:
    table, limits = table_of(tmp_path, "{autopilot: px4}")
    by_name = {m.name: m for m in table.messages}
    assert by_name["takeoff"].gate.low == math.inf
    assert by_name["setpoint"].gate.actuator == ""
    (m,) = Autopilot().parse(WireEncoder(table, limits).encode("ladder_return", REST))
    assert (m.param1, m.param2, m.param3) == (1.0, 4.0, 5.0)

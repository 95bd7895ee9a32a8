"""What the MAVLink driver asks of an autopilot over a line that loses: lists, parameters, rates, modes, arming."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from mavlink_rig import ITEMS, T0, Autopilot, drone_platform, feed
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import StackState
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_requests import FENCE, MISSION, RALLY, Download, Parameter, Upload


@pytest.fixture
def driver(tmp_path: Path) -> MavlinkDriver:
    return MavlinkDriver(drone_platform(tmp_path), "autopilot")


class Server:
    """An autopilot's end of mission, parameter and command protocol, by pymavlink; it may lose frames either way."""

    def __init__(self, driver: MavlinkDriver, loss: float = 0.0, seed: int = 1) -> None:
        self.driver, self.a, self.rng, self.loss = driver, Autopilot(), random.Random(seed), loss
        self.now = T0
        self.lists: dict[int, list[Any]] = {0: [], 1: [], 2: []}
        self.parameters = {"RTL_ALT": 1500.0}
        self.modes: list[tuple[float, float]] = []
        self.mode, self.armed, self.result = 0, False, dialect.MAV_RESULT_ACCEPTED
        self.commands: list[int] = []
        self.out: list[bytes] = []
        self._expected: tuple[int, int] | None = None
        self._beat = -1.0
        self.boot = T0 - 50.0

    def run(self, seconds: float, guard: StackState | None = None) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += 0.02
            if guard is not None:
                self.driver.guard_says(guard, {})
            if self.now >= self._beat:
                self._beat = self.now + 0.5
                self.out.append(self.a.heartbeat(self.mode, self.armed))
            data, self.out = [d for d in self.out if self.rng.random() >= self.loss], []
            for frame in feed(self.driver, self.now, b"".join(data)).to_send:
                if self.rng.random() >= self.loss:
                    for m in self.a.parse(frame):
                        self.take(m)

    def say(self, message: Any) -> None:
        self.out.append(self.a.bytes(message))

    def take(self, m: Any) -> None:
        name = m.get_type()
        if name == "COMMAND_LONG":
            self.commands.append(m.command)
            if self.result == dialect.MAV_RESULT_ACCEPTED and m.command == dialect.MAV_CMD_DO_SET_MODE:
                self.mode = int(m.param2)
            if self.result == dialect.MAV_RESULT_ACCEPTED and m.command == dialect.MAV_CMD_COMPONENT_ARM_DISARM:
                self.armed = m.param1 == 1.0
            self.say(dialect.MAVLink_command_ack_message(m.command, self.result))
        elif name == "TIMESYNC" and m.tc1 == 0:
            self.say(dialect.MAVLink_timesync_message(round((self.now - self.boot) * 1e9), m.ts1))
        elif name == "MISSION_COUNT":
            self.lists[m.mission_type], self._expected = [], (m.mission_type, m.count)
            self.ask()
        elif name == "MISSION_ITEM_INT" and self._expected and m.seq == len(self.lists[m.mission_type]):
            self.lists[m.mission_type].append(m)
            self.ask()
        elif name == "MISSION_ITEM_INT":
            self.ask()
        elif name == "MISSION_REQUEST_LIST":
            self.say(dialect.MAVLink_mission_count_message(255, 192, len(self.lists[m.mission_type]), m.mission_type))
        elif name == "MISSION_REQUEST_INT":
            i = self.lists[m.mission_type][m.seq]
            self.say(i)
        elif name == "PARAM_SET":
            self.parameters[m.param_id] = m.param_value
            self.parameter(m.param_id)
        elif name == "PARAM_REQUEST_READ":
            self.parameter(m.param_id)

    def ask(self) -> None:
        assert self._expected is not None
        kind, count = self._expected
        n = len(self.lists[kind])
        if n == count:
            self.say(dialect.MAVLink_mission_ack_message(255, 192, dialect.MAV_MISSION_ACCEPTED, kind))
        else:
            self.say(dialect.MAVLink_mission_request_int_message(255, 192, n, kind))

    def tick_requests(self) -> None:
        """Autopilots ask again for an item that does not come."""
        if self._expected and len(self.lists[self._expected[0]]) < self._expected[1]:
            self.ask()

    def parameter(self, name: str) -> None:
        self.say(dialect.MAVLink_param_value_message(name.encode(), self.parameters[name], 9, 1000, 5))


@pytest.mark.parametrize("kind", [MISSION, FENCE, RALLY])
def test_lists_go_up_and_come_down_over_a_line_that_loses_a_fifth(driver: MavlinkDriver, kind: int) -> None:
    s = Server(driver, loss=0.2, seed=kind + 5)
    s.run(3.0)
    up = Upload(driver.target, ITEMS, kind)
    driver.begin(up)
    for _ in range(200):
        s.run(0.25)
        if up.done:
            break
        s.tick_requests()
    assert (up.done, up.error) == (True, "")
    assert [(i.x, i.y, i.z, i.param2) for i in s.lists[kind]] == [(i.x, i.y, i.z, 1.5) for i in ITEMS]
    down = Download(driver.target, kind)
    driver.begin(down)
    s.run(20.0)
    assert (down.done, down.error) == (True, "")
    assert down.items == ITEMS


def test_parameters_are_read_written_and_compared(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.3)
    s.run(1.0)
    read, write = Parameter(driver.target, "RTL_ALT"), Parameter(driver.target, "WPNAV_SPEED", 500.0)
    driver.begin(read)
    driver.begin(write)
    s.run(8.0)
    assert (read.value, read.error) == (1500.0, "")
    assert (s.parameters["WPNAV_SPEED"], write.error) == (500.0, "")
    missing = Parameter(driver.target, "NO_SUCH")
    s.parameters["NO_SUCH"] = math.nan
    s.loss = 1.0
    driver.begin(missing)
    s.run(1.0)
    assert not missing.done


def test_message_rates_are_asked_for_again_after_a_reconnection(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.1)
    s.run(10.0)
    rates = s.commands.count(dialect.MAV_CMD_SET_MESSAGE_INTERVAL)
    assert rates >= len(driver.autopilot.intervals_hz)
    s.loss = 1.0
    s.run(3.0)
    assert "no heartbeat" in driver.health(s.now)["autopilot"]
    s.loss, s.commands = 0.0, []
    s.run(2.0)
    assert "autopilot" not in driver.health(s.now)
    assert s.commands.count(dialect.MAV_CMD_SET_MESSAGE_INTERVAL) == len(driver.autopilot.intervals_hz)
    assert dialect.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN not in s.commands


# --- who flies --------------------------------------------------------------------------------------

AUTO = StackState(T0, "auto", True)
STANDBY = StackState(T0, "standby", False)


def test_an_armed_guard_brings_guided_mode_and_arming_over_a_line_that_loses(driver: MavlinkDriver) -> None:
    s = Server(driver, loss=0.2)
    s.run(3.0, STANDBY)
    assert (s.mode, s.armed) == (0, False)
    s.run(15.0, AUTO)
    assert (s.mode, s.armed) == (4, True)
    assert driver.guard_says(AUTO, {}) == ""


def test_a_pilot_who_takes_over_makes_the_guard_disarm_and_is_left_alone(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    assert s.armed
    s.mode, s.commands = 5, []
    s.run(1.0, AUTO)
    assert driver.guard_says(AUTO, {}) == "the autopilot has left GUIDED for LOITER: somebody else has taken over"
    s.run(5.0, STANDBY)
    assert (s.mode, s.armed) == (5, True)
    assert s.commands == []


def test_a_guard_that_disarms_in_the_air_leaves_the_vehicle_holding_not_falling(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    s.say(dialect.MAVLink_extended_sys_state_message(0, dialect.MAV_LANDED_STATE_IN_AIR))
    s.run(0.1, AUTO)
    s.run(5.0, STANDBY)
    assert (s.mode, s.armed) == (17, True)


def test_a_guard_that_disarms_on_the_ground_stops_the_motors(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.run(10.0, AUTO)
    s.say(dialect.MAVLink_extended_sys_state_message(0, dialect.MAV_LANDED_STATE_ON_GROUND))
    s.run(0.1, AUTO)
    s.run(5.0, STANDBY)
    assert not s.armed


def test_a_refusal_is_told_and_in_the_end_disarms_the_guard(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0, STANDBY)
    s.result = dialect.MAV_RESULT_DENIED
    s.run(3.0, AUTO)
    assert driver.health(s.now)["request"] == "DO_SET_MODE: denied"
    s.run(15.0, AUTO)
    assert driver.guard_says(AUTO, {}) == "the autopilot refuses: DO_SET_MODE: denied"


def test_what_the_autopilot_says_against_arming_is_a_reason_in_its_words(driver: MavlinkDriver) -> None:
    s = Server(driver)
    s.run(2.0)
    s.say(dialect.MAVLink_statustext_message(2, b"PreArm: Compass not calibrated"))
    bit = dialect.MAV_SYS_STATUS_PREARM_CHECK
    s.say(dialect.MAVLink_sys_status_message(bit, bit, 0, 100, 12000, 100, 15, 0, 0, 0, 0, 0, 0))
    s.say(dialect.MAVLink_ekf_status_report_message(dialect.ESTIMATOR_ATTITUDE, 0.1, 0.1, 0.1, 0.1, 0.1))
    s.run(0.1)
    health = driver.health(s.now)
    assert health["prearm"] == "PreArm: Compass not calibrated"
    assert health["battery"] == "15% left; 20% is the least"
    assert "no horizontal velocity, vertical velocity, horizontal position" in health["ekf"]
    s.say(dialect.MAVLink_sys_status_message(bit, bit, bit, 100, 12000, 100, 80, 0, 0, 0, 0, 0, 0))
    s.run(0.1)
    assert "prearm" not in driver.health(s.now)


def test_another_family_than_the_file_says_is_a_reason(tmp_path: Path) -> None:
    driver = MavlinkDriver(drone_platform(tmp_path, "{autopilot: px4}"), "autopilot")
    Server(driver).run(2.0)
    words = driver.health(T0 + 2.0)["autopilot"]
    assert words == "it says it is ardupilotmega; options.autopilot says px4"

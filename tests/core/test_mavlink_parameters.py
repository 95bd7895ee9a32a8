"""Parameters that the platform file wants of an autopilot, against pymavlink's own messages."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from mavlink_rig import T0, Autopilot, drone_platform, feed
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.types import BadInputError
from giljabi_drivers.mavlink import MavlinkDriver

REAL, INT32 = dialect.MAV_PARAM_TYPE_REAL32, dialect.MAV_PARAM_TYPE_INT32


class Store:
    """An autopilot that keeps parameters; (type, value) by name."""

    def __init__(self, family: int, **values: tuple[int, float]) -> None:
        self.a, self.family, self.values, self.written = Autopilot(), family, dict(values), []  # type: ignore[var-annotated]
        self.px4 = family == dialect.MAV_AUTOPILOT_PX4

    def heartbeat(self, armed: bool) -> bytes:
        base = 1 | (dialect.MAV_MODE_FLAG_SAFETY_ARMED if armed else 0)
        return self.a.bytes(dialect.MAVLink_heartbeat_message(2, self.family, base, 0, 3, 3))

    def answers(self, sent: tuple[bytes, ...]) -> bytes:
        out = b""
        for m in (m for data in sent for m in self.a.parse(data)):
            kind = m.get_type()
            if kind == "COMMAND_LONG":
                out += self.a.bytes(dialect.MAVLink_command_ack_message(m.command, 0))
            if kind not in ("PARAM_SET", "PARAM_REQUEST_READ") or m.param_id not in self.values:
                continue
            whole = self.px4 and self.values[m.param_id][0] == INT32
            if kind == "PARAM_SET":
                value: Any = m.param_value
                value = struct.unpack("<i", struct.pack("<f", value))[0] if whole else value
                self.values[m.param_id] = (m.param_type if self.px4 else self.values[m.param_id][0], value)
                self.written.append(m.param_id)
            form, value = self.values[m.param_id]
            value = struct.unpack("<f", struct.pack("<i", int(value)))[0] if whole else value
            out += self.a.bytes(dialect.MAVLink_param_value_message(m.param_id.encode(), value, form, 9, 0))
        return out


def talk(driver: MavlinkDriver, store: Store, seconds: float, armed: bool = False, begin: float = 0.0) -> None:
    data = store.heartbeat(armed)
    for i in range(round(seconds * 10)):
        sent = feed(driver, T0 + begin + 0.1 * i, data).to_send
        data = store.answers(sent) + (store.heartbeat(armed) if i % 10 == 0 else b"")


def built(folder: Path, family: str, parameters: str) -> MavlinkDriver:
    return MavlinkDriver(drone_platform(folder, f"{{autopilot: {family}, parameters: {parameters}}}"), "autopilot")


@pytest.mark.parametrize(
    ("family", "number"), [("ardupilot", dialect.MAV_AUTOPILOT_ARDUPILOTMEGA), ("px4", dialect.MAV_AUTOPILOT_PX4)]
)
def test_what_differs_is_written_and_nothing_else(tmp_path: Path, family: str, number: int) -> None:
    driver = built(tmp_path, family, "{JERK: 20, ANGLE: 4500, SAME: -3}")
    store = Store(number, JERK=(REAL, 5.0), ANGLE=(INT32, 3000.0), SAME=(INT32, -3.0), OTHER=(REAL, 1.0))
    assert "not read yet" in (talk(driver, store, 0.1), driver.health(T0 + 0.1))[1]["parameters"]
    talk(driver, store, 3.0, begin=0.1)
    assert {n: v for n, (_, v) in store.values.items()} == {"JERK": 20, "ANGLE": 4500, "SAME": -3, "OTHER": 1}
    assert store.written == ["JERK", "ANGLE"]
    assert "parameters" not in driver.health(T0 + 3.1)


def test_an_armed_autopilot_is_not_written_to(tmp_path: Path) -> None:
    driver = built(tmp_path, "ardupilot", "{JERK: 20}")
    store = Store(dialect.MAV_AUTOPILOT_ARDUPILOTMEGA, JERK=(REAL, 5.0))
    talk(driver, store, 3.0, armed=True)
    assert store.written == []
    talk(driver, store, 15.0, begin=3.0)
    assert store.values["JERK"] == (REAL, 20.0)


def test_a_parameter_that_is_not_there_keeps_it_from_arming(tmp_path: Path) -> None:
    driver = built(tmp_path, "ardupilot", "{NOT_THERE: 1, JERK: 20}")
    store = Store(dialect.MAV_AUTOPILOT_ARDUPILOTMEGA, JERK=(REAL, 5.0))
    talk(driver, store, 8.0)
    assert driver.health(T0 + 8.0)["parameters"] == "parameter NOT_THERE: no answer"
    talk(driver, store, 10.0, begin=8.0)
    assert store.written == ["JERK"]


@pytest.mark.parametrize(
    ("parameters", "words"), [("{A_NAME_THAT_IS_LONG: 1}", "1 to 16 letters"), ("{A: .nan}", "finite")]
)
def test_bad_ones_are_refused_with_their_line(tmp_path: Path, parameters: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words) as e:
        built(tmp_path, "ardupilot", parameters)
    assert "test_drone.yaml:" in str(e.value)

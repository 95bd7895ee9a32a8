"""Where ArduPilot and PX4 differ, as tables: modes by name, and how each is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pymavlink.dialects.v20 import ardupilotmega as dialect

CUSTOM_MODE = 1.0  # MAV_MODE_FLAG_CUSTOM_MODE_ENABLED, first parameter of DO_SET_MODE


@dataclass(frozen=True, slots=True)
class Autopilot:
    """One family of autopilots.

    modes: custom_mode of HEARTBEAT by name. guided: takes setpoints; hold, land, return_: what the words mean here.
    takes_off_by_command: climbing setpoints do not lift it off the ground, NAV_TAKEOFF does.
    """

    name: str
    number: int  # MAV_AUTOPILOT
    modes: Mapping[str, int]
    guided: str
    hold: str
    land: str
    return_: str
    takes_off_by_command: bool
    intervals_hz: Mapping[str, float] = field(default_factory=dict)  # message rates that it is asked for

    def mode_name(self, custom_mode: int) -> str:
        """Name of a custom_mode, or its number as text."""
        return next((n for n, v in self.modes.items() if v == custom_mode), f"mode {custom_mode}")

    def mode_command(self, name: str) -> tuple[float, float, float]:
        """First three parameters of MAV_CMD_DO_SET_MODE."""
        mode = self.modes[name]
        if self.number == dialect.MAV_AUTOPILOT_PX4:
            return CUSTOM_MODE, float(mode >> 16 & 0xFF), float(mode >> 24 & 0xFF)
        return CUSTOM_MODE, float(mode), 0.0

    def word(self, what: str) -> str:
        """Mode of one of the words guided, hold, land, return."""
        return {"guided": self.guided, "hold": self.hold, "land": self.land, "return": self.return_}[what]


def _px4(main: int, sub: int = 0) -> int:
    return main << 16 | sub << 24


_RATES = {
    "ATTITUDE_QUATERNION": 50.0, "LOCAL_POSITION_NED": 50.0, "SYS_STATUS": 2.0, "BATTERY_STATUS": 1.0,
    "GPS_RAW_INT": 5.0, "EXTENDED_SYS_STATE": 5.0, "GPS_GLOBAL_ORIGIN": 1.0,
}  # fmt: skip

ARDUPILOT = Autopilot(
    "ardupilot",
    dialect.MAV_AUTOPILOT_ARDUPILOTMEGA,
    # ArduCopter/mode.h, Mode::Number
    {
        "STABILIZE": 0, "ACRO": 1, "ALT_HOLD": 2, "AUTO": 3, "GUIDED": 4, "LOITER": 5, "RTL": 6, "CIRCLE": 7, "LAND": 9,
        "DRIFT": 11, "SPORT": 13, "FLIP": 14, "AUTOTUNE": 15, "POSHOLD": 16, "BRAKE": 17, "THROW": 18, "AVOID_ADSB": 19,
        "GUIDED_NOGPS": 20, "SMART_RTL": 21, "FLOWHOLD": 22, "FOLLOW": 23, "ZIGZAG": 24, "SYSTEMID": 25,
        "AUTOROTATE": 26, "AUTO_RTL": 27, "TURTLE": 28,
    },
    guided="GUIDED", hold="BRAKE", land="LAND", return_="RTL", takes_off_by_command=True,
    intervals_hz={**_RATES, "RAW_IMU": 50.0, "EKF_STATUS_REPORT": 2.0},
)  # fmt: skip

PX4 = Autopilot(
    "px4",
    dialect.MAV_AUTOPILOT_PX4,
    # PX4 src/modules/commander/px4_custom_mode.h
    {
        "MANUAL": _px4(1), "ALTCTL": _px4(2), "POSCTL": _px4(3), "AUTO.READY": _px4(4, 1), "AUTO.TAKEOFF": _px4(4, 2),
        "AUTO.LOITER": _px4(4, 3), "AUTO.MISSION": _px4(4, 4), "AUTO.RTL": _px4(4, 5), "AUTO.LAND": _px4(4, 6),
        "AUTO.FOLLOW": _px4(4, 8), "AUTO.PRECLAND": _px4(4, 9), "ACRO": _px4(5), "OFFBOARD": _px4(6),
        "STABILIZED": _px4(7),
    },
    guided="OFFBOARD", hold="AUTO.LOITER", land="AUTO.LAND", return_="AUTO.RTL", takes_off_by_command=False,
    intervals_hz={**_RATES, "HIGHRES_IMU": 50.0, "ESTIMATOR_STATUS": 2.0},
)  # fmt: skip

AUTOPILOTS: Mapping[str, Autopilot] = {a.name: a for a in (ARDUPILOT, PX4)}

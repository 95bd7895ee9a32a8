"""Control tables of servos: where a register is, how it is read, what a model is called.

Sources: ROBOTIS e-Manual, control tables of the X series (XL330, XC330, XL430, XM, XH, XD, XW, MX with protocol 2.0)
and of the P series, compared address by address with the maker's dynamixel_hardware_interface (model files) and, for
units of currents, Dynamixel2Arduino; Feetech, memory tables of STS/SMS and SCS, with the maker's SMS_STS.h and SCSCL.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Family = Literal["dynamixel", "feetech_sts", "feetech_scs"]
TWOS, UNSIGNED = -1, -2  # Register.sign; else the bit that is the sign of a magnitude


@dataclass(frozen=True, slots=True)
class Register:
    """A number in the control table; value in SI = raw * scale."""

    address: int
    size: int
    sign: int = UNSIGNED
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of control table."""

    family: Family
    registers: dict[str, Register]
    counts_per_turn: float
    zero: float  # count of the middle position
    bauds: dict[int, int]  # baud by code
    return_delay_s: float = 2e-6  # of one count of return_delay
    housekeeping: tuple[str, str] = (
        "torque_enable",
        "bus_watchdog",
    )  # first and last register that are looked at in turn
    modes: dict[str, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)  # bit of hardware_error: words

    @property
    def radians(self) -> float:
        """Radians of one count."""
        return 2.0 * math.pi / self.counts_per_turn


@dataclass(frozen=True, slots=True)
class Model:
    """A servo as its maker sells it."""

    name: str
    number: int
    table: Table
    current: bool = True  # present_current is a current, not a share of the load
    amperes: float = 0.0  # of one count of current; 0: the table's


RPM = 2.0 * math.pi / 60.0
_DXL_BAUDS = {0: 9600, 1: 57600, 2: 115200, 3: 1_000_000, 4: 2_000_000, 5: 3_000_000, 6: 4_000_000, 7: 4_500_000}
_DXL_ERRORS = {
    0: "input voltage", 2: "overheating", 3: "motor encoder", 4: "electrical shock, or too little power", 5: "overload",
}  # fmt: skip
_DXL_MODES = {"current": 0, "velocity": 1, "position": 3, "extended_position": 4, "current_position": 5, "pwm": 16}


def _x_registers(amperes: float) -> dict[str, Register]:
    r = Register
    return {
        "model_number": r(0, 2), "firmware": r(6, 1), "id": r(7, 1), "baud": r(8, 1), "return_delay": r(9, 1),
        "drive_mode": r(10, 1), "operating_mode": r(11, 1), "homing_offset": r(20, 4, TWOS),
        "temperature_limit": r(31, 1), "current_limit": r(38, 2, scale=amperes), "max_position": r(48, 4, TWOS),
        "min_position": r(52, 4, TWOS), "shutdown": r(63, 1), "torque_enable": r(64, 1), "led": r(65, 1),
        "status_return_level": r(68, 1), "hardware_error": r(70, 1), "velocity_i": r(76, 2), "velocity_p": r(78, 2),
        "position_d": r(80, 2), "position_i": r(82, 2), "position_p": r(84, 2), "feedforward_2": r(88, 2),
        "feedforward_1": r(90, 2), "bus_watchdog": r(98, 1, scale=0.02), "goal_pwm": r(100, 2, TWOS),
        "goal_current": r(102, 2, TWOS, amperes), "goal_velocity": r(104, 4, TWOS, 0.229 * RPM),
        "profile_acceleration": r(108, 4), "profile_velocity": r(112, 4), "goal_position": r(116, 4, TWOS),
        "moving": r(122, 1), "present_pwm": r(124, 2, TWOS), "present_current": r(126, 2, TWOS, amperes),
        "present_velocity": r(128, 4, TWOS, 0.229 * RPM), "present_position": r(132, 4, TWOS),
        "present_voltage": r(144, 2, scale=0.1), "present_temperature": r(146, 1),
        "indirect_address": r(168, 2), "indirect_data": r(224, 1),
    }  # fmt: skip


def _p_registers() -> dict[str, Register]:
    r = Register
    return {
        "model_number": r(0, 2), "firmware": r(6, 1), "id": r(7, 1), "baud": r(8, 1), "return_delay": r(9, 1),
        "drive_mode": r(10, 1), "operating_mode": r(11, 1), "homing_offset": r(20, 4, TWOS),
        "temperature_limit": r(31, 1), "current_limit": r(38, 2, scale=1e-3), "max_position": r(48, 4, TWOS),
        "min_position": r(52, 4, TWOS), "shutdown": r(63, 1), "indirect_address": r(168, 2), "torque_enable": r(512, 1),
        "status_return_level": r(516, 1), "hardware_error": r(518, 1), "velocity_i": r(524, 2), "velocity_p": r(526, 2),
        "position_d": r(528, 2), "position_i": r(530, 2), "position_p": r(532, 2), "feedforward_2": r(536, 2),
        "feedforward_1": r(538, 2), "bus_watchdog": r(546, 1, scale=0.02), "goal_pwm": r(548, 2, TWOS),
        "goal_current": r(550, 2, TWOS, 1e-3), "goal_velocity": r(552, 4, TWOS, 0.01 * RPM),
        "profile_acceleration": r(556, 4), "profile_velocity": r(560, 4), "goal_position": r(564, 4, TWOS),
        "moving": r(570, 1), "present_pwm": r(572, 2, TWOS), "present_current": r(574, 2, TWOS, 1e-3),
        "present_velocity": r(576, 4, TWOS, 0.01 * RPM), "present_position": r(580, 4, TWOS),
        "present_voltage": r(592, 2, scale=0.1), "present_temperature": r(594, 1), "indirect_data": r(634, 1),
    }  # fmt: skip


def _x(amperes: float) -> Table:
    return Table("dynamixel", _x_registers(amperes), 4096.0, 2048.0, _DXL_BAUDS, modes=_DXL_MODES, errors=_DXL_ERRORS)


def _p(counts: float) -> Table:
    return Table("dynamixel", _p_registers(), counts, 0.0, _DXL_BAUDS, modes=_DXL_MODES, errors=_DXL_ERRORS)


_FEETECH_ERRORS = {0: "input voltage", 1: "sensor", 2: "overheating", 3: "overcurrent", 4: "angle", 5: "overload"}
_STS_STEP = 2.0 * math.pi / 4096.0
_SCS_STEP = math.radians(300.0) / 1024.0


def _feetech_registers(step: float, sign: int) -> dict[str, Register]:
    r = Register
    return {
        "firmware": r(0, 1), "model_number": r(3, 2), "id": r(5, 1), "baud": r(6, 1), "return_delay": r(7, 1),
        "status_return_level": r(8, 1), "min_position": r(9, 2), "max_position": r(11, 2),
        "temperature_limit": r(13, 1), "torque_enable": r(40, 1), "goal_position": r(42, 2, sign),
        "goal_time": r(44, 2),
        "goal_velocity": r(46, 2, sign, step), "present_position": r(56, 2, sign),
        "present_velocity": r(58, 2, 15, step),
        "present_load": r(60, 2, 10, 1e-3), "present_voltage": r(62, 1, scale=0.1), "present_temperature": r(63, 1),
        "hardware_error": r(65, 1), "moving": r(66, 1),
    }  # fmt: skip


STS = Table(
    "feetech_sts",
    _feetech_registers(_STS_STEP, 15)
    | {
        "operating_mode": Register(33, 1), "acceleration": Register(41, 1), "torque_limit": Register(48, 2, scale=1e-3),
        "lock": Register(55, 1), "present_current": Register(69, 2, 15, 6.5e-3),
    },
    4096.0, 2048.0, {0: 1_000_000, 1: 500_000, 2: 250_000, 3: 128_000, 4: 115_200, 5: 76_800, 6: 57_600, 7: 38_400},
    housekeeping=("torque_enable", "torque_enable"), modes={"position": 0, "velocity": 1, "pwm": 2},
    errors=_FEETECH_ERRORS,
)  # fmt: skip
SCS = Table(
    "feetech_scs", _feetech_registers(_SCS_STEP, UNSIGNED) | {"lock": Register(48, 1)}, 1024.0 * 360.0 / 300.0, 511.0,
    STS.bauds, housekeeping=("torque_enable", "torque_enable"), errors=_FEETECH_ERRORS,
)  # fmt: skip

_X_CURRENT, _X_FINE = _x(2.69e-3), _x(1e-3)
_X430H, _MX = _x(1.34e-3), _x(3.36e-3)
MODELS: dict[str, Model] = {
    m.name: m
    for m in (
        Model("mx-28", 30, _X_CURRENT, current=False), Model("mx-64", 311, _MX), Model("mx-106", 321, _MX),
        Model("xh430-w350", 1000, _X_CURRENT), Model("xd430-t350", 1001, _X_CURRENT),
        Model("xh430-w210", 1010, _X_CURRENT), Model("xd430-t210", 1011, _X_CURRENT),
        Model("xm430-w350", 1020, _X_CURRENT), Model("xm430-w210", 1030, _X_CURRENT),
        Model("xh430-v350", 1040, _X430H), Model("xh430-v210", 1050, _X430H),
        Model("xl430-w250", 1060, _X_CURRENT, current=False), Model("xc430-w150", 1070, _X_CURRENT, current=False),
        Model("xc430-w240", 1080, _X_CURRENT, current=False), Model("2xl430-w250", 1090, _X_CURRENT, current=False),
        Model("xh540-w270", 1100, _X_CURRENT), Model("xh540-w150", 1110, _X_CURRENT),
        Model("xm540-w270", 1120, _X_CURRENT), Model("xm540-w150", 1130, _X_CURRENT),
        Model("xh540-v270", 1140, _X_CURRENT), Model("xh540-v150", 1150, _X_CURRENT),
        Model("xd540-t270", 1101, _X_CURRENT), Model("xd540-t150", 1111, _X_CURRENT),
        Model("xw430-t333", 1270, _X_CURRENT), Model("xw430-t200", 1280, _X_CURRENT),
        Model("2xc430-w250", 1160, _X_CURRENT, current=False), Model("xw540-t260", 1170, _X_CURRENT),
        Model("xw540-t140", 1180, _X_CURRENT), Model("xl330-m077", 1190, _X_FINE), Model("xl330-m288", 1200, _X_FINE),
        Model("xc330-t181", 1210, _X_FINE), Model("xc330-t288", 1220, _X_FINE), Model("xc330-m181", 1230, _X_FINE),
        Model("xc330-m288", 1240, _X_FINE), Model("pm42-010-s260", 2100, _p(526_374.0)),
        Model("pm54-040-s250", 2110, _p(502_834.0)), Model("pm54-060-s250", 2120, _p(502_834.0)),
        Model("ph42-020-s300", 2000, _p(607_500.0)), Model("ph54-100-s500", 2010, _p(1_003_846.0)),
        Model("ph54-200-s500", 2020, _p(1_003_846.0)), Model("sts3215", 777, STS), Model("sts3250", 2825, STS),
        Model("sm8512bl", 11272, STS),
        Model("scs0009", 1284, SCS, current=False),
    )
}  # fmt: skip


def model_of(family: Family, number: int) -> Model | None:
    """The model with a number."""
    return next((m for m in MODELS.values() if m.number == number and m.table.family == family), None)


def default_table(family: Family) -> Table:
    """The table to try where the model is not known."""
    return {"dynamixel": _X_CURRENT, "feetech_sts": STS, "feetech_scs": SCS}[family]

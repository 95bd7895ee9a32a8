"""Control tables against facts of the makers' own software: model files of dynamixel_hardware_interface, SMS_STS.h."""

from __future__ import annotations

import math

import pytest

from giljabi_drivers.servo_tables import MODELS, STS, model_of

MILLIAMPERES = {  # of one count, as Dynamixel2Arduino has them
    "mx-64": 3.36, "mx-106": 3.36, "xl330-m077": 1.0, "xl330-m288": 1.0, "xc330-t181": 1.0, "xc330-m288": 1.0,
    "xm430-w350": 2.69, "xh430-w210": 2.69, "xd430-t350": 2.69, "xw430-t200": 2.69, "xw430-t333": 2.69,
    "xh430-v210": 1.34, "xh430-v350": 1.34, "xm540-w270": 2.69, "xh540-w150": 2.69, "xd540-t270": 2.69,
    "xw540-t140": 2.69, "xh540-v150": 2.69, "xh540-v270": 2.69, "ph54-200-s500": 1.0, "pm42-010-s260": 1.0,
}  # fmt: skip
NUMBERS = {
    30: "mx-28", 311: "mx-64", 1001: "xd430-t350", 1040: "xh430-v350", 1101: "xd540-t270", 1111: "xd540-t150",
    1140: "xh540-v270", 1150: "xh540-v150", 1170: "xw540-t260", 1210: "xc330-t181", 1270: "xw430-t333",
    1280: "xw430-t200", 2000: "ph42-020-s300", 2120: "pm54-060-s250",
}  # fmt: skip
COUNTS = {"pm42-010-s260": 526374, "pm54-040-s250": 502834, "ph42-020-s300": 607500, "ph54-200-s500": 1003846}


@pytest.mark.parametrize("name", MILLIAMPERES)
def test_unit_of_currents(name: str) -> None:
    for register in ("present_current", "goal_current", "current_limit"):
        assert MODELS[name].table.registers[register].scale == pytest.approx(MILLIAMPERES[name] * 1e-3)


def test_model_numbers() -> None:
    assert {n: m.name for n in NUMBERS if (m := model_of("dynamixel", n)) is not None} == NUMBERS
    numbers = [(m.table.family, m.number) for m in MODELS.values()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_one_turn(name: str) -> None:
    table = MODELS[name].table
    assert table.counts_per_turn == COUNTS[name]
    assert table.registers["present_velocity"].scale == pytest.approx(0.0010471976)
    assert table.registers["present_position"].address == 580


def test_x_series() -> None:
    r = MODELS["xm430-w350"].table.registers
    assert r["present_velocity"].scale == pytest.approx(0.0239808, rel=1e-3)  # 0.229 turns a minute
    assert (r["goal_position"].address, r["present_position"].address, r["bus_watchdog"].address) == (116, 132, 98)
    assert MODELS["xm430-w350"].table.radians == pytest.approx(math.pi / 2048)


def test_feetech_speeds_of_the_line() -> None:
    assert [STS.bauds[k] for k in (0, 4, 5, 6, 7)] == [1_000_000, 115_200, 76_800, 57_600, 38_400]

"""Places, attitudes and body rates as setpoints: what pymavlink reads, and what stops them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mavlink_rig import T0, Autopilot, drone_platform
from pymavlink.dialects.v20 import ardupilotmega as dialect
from pymavlink.quaternion import QuaternionBase

from giljabi._core.guard import WireEncoder
from giljabi.safety.guard import build_guard
from giljabi.types import Array, BadInputError
from giljabi_drivers.mavlink import MavlinkDriver

POSITION = {f"position_{x}": ("m", 500.0) for x in "xyz"}
VELOCITY = {f"velocity_{x}": ("m/s", 10.0) for x in "xyz"}
ACCELERATION = {f"acceleration_{x}": ("m/s^2", 10.0) for x in "xyz"}
ATTITUDE = {"roll": ("rad", 3.2), "pitch": ("rad", 1.5), "yaw": ("rad", 3.2)}
RATES = {"roll_rate": ("rad/s", 5.0), "pitch_rate": ("rad/s", 5.0), "yaw_rate": ("rad/s", 5.0)}
THRUST = {"thrust": ("1", 1.0)}
Inputs = dict[str, tuple[str, float]]


def said(folder: Path, inputs: Inputs, values: dict[str, float], name: str = "setpoint") -> Any:
    """What pymavlink reads of a message of the guard."""
    platform = drone_platform(folder, inputs=inputs)
    table = MavlinkDriver(platform, "autopilot").encode_table()
    assert table is not None
    limits = {n: (a.min, a.max) for n, a in platform.model.actuators.items()}
    (m,) = Autopilot().parse(WireEncoder(table, limits).encode(name, dict.fromkeys(inputs, 0.0) | values, t=T0))
    return m


def turned(axis: int, angle: float) -> Array:
    """Rotation (3, 3) about one axis."""
    c, s = math.cos(angle), math.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R = np.eye(3)
    R[i, i], R[i, j], R[j, i], R[j, j] = c, -s, s, c
    return R


@given(roll=st.floats(-3.1, 3.1), pitch=st.floats(-1.5, 1.5), yaw=st.floats(-3.1, 3.1), thrust=st.floats(0, 1))
def test_an_attitude_is_a_quaternion_of_ned_and_frd(
    tmp_path_factory: pytest.TempPathFactory, roll: float, pitch: float, yaw: float, thrust: float
) -> None:
    values = {"roll": roll, "pitch": pitch, "yaw": yaw, "thrust": thrust}
    m = said(tmp_path_factory.getbasetemp(), ATTITUDE | THRUST, values)
    assert m.get_type() == "SET_ATTITUDE_TARGET"
    assert m.type_mask == 0b0000_0111  # body rates are ignored
    assert (m.target_system, m.target_component) == (1, 1)
    assert float(np.linalg.norm(m.q)) == pytest.approx(1.0, abs=1e-3)
    assert m.thrust == pytest.approx(thrust, abs=1e-6)
    R_enu_flu = turned(2, yaw) @ turned(1, pitch) @ turned(0, roll)
    R_ned_enu, R_flu_frd = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]), np.diag([1, -1, -1])
    (w, x, y, z) = m.q
    v = np.array([x, y, z])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R = (w * w - v @ v) * np.eye(3) + 2.0 * np.outer(v, v) + 2.0 * w * cross
    assert pytest.approx(R_ned_enu @ R_enu_flu @ R_flu_frd, abs=1e-5) == R


def test_nose_down_to_the_east_reads_as_pymavlink_has_it(tmp_path: Path) -> None:
    m = said(tmp_path, ATTITUDE | THRUST, {"pitch": 0.2, "roll": 0.1, "thrust": 0.5})
    roll, pitch, yaw = QuaternionBase(m.q).euler
    assert (roll, pitch, yaw) == pytest.approx((0.1, -0.2, math.pi / 2.0), abs=1e-6)


def test_body_rates_alone_and_beside_an_attitude(tmp_path: Path) -> None:
    rates = {"roll_rate": 0.3, "pitch_rate": 0.2, "yaw_rate": -0.7, "thrust": 0.4}
    for inputs, mask in ((RATES | THRUST, 0b1000_0000), (ATTITUDE | RATES | THRUST, 0)):
        m = said(tmp_path, inputs, rates)
        assert m.type_mask == mask
        got = (m.body_roll_rate, m.body_pitch_rate, m.body_yaw_rate, m.thrust)
        assert got == pytest.approx((0.3, -0.2, 0.7, 0.4), abs=1e-6)


def test_a_place_with_its_velocity_and_acceleration_and_a_yaw(tmp_path: Path) -> None:
    inputs = POSITION | VELOCITY | ACCELERATION | {"yaw": ("rad", 3.2)}
    values = {n: float(i + 1) for i, n in enumerate(inputs)} | {"yaw": 0.25}
    m = said(tmp_path, inputs, values)
    assert (m.x, m.y, m.z, m.vx, m.vy, m.vz) == pytest.approx((2, 1, -3, 5, 4, -6))
    assert (m.afx, m.afy, m.afz, m.yaw) == pytest.approx((8, 7, -9, math.pi / 2.0 - 0.25))
    assert m.type_mask == 0b1000_0000_0000  # only the rate of yaw is ignored
    assert m.coordinate_frame == dialect.MAV_FRAME_LOCAL_NED


@pytest.mark.parametrize("inputs", [POSITION, POSITION | VELOCITY, POSITION | ACCELERATION])
def test_the_stop_beside_places_is_a_velocity_of_none(tmp_path: Path, inputs: Inputs) -> None:
    m = said(tmp_path, inputs, dict.fromkeys(POSITION, 40.0), "stop")
    assert m.type_mask & 0b111 == 0b111  # no place
    assert m.type_mask & 0b11_1000 == 0  # but a velocity
    assert (m.x, m.y, m.z, m.vx, m.vy, m.vz) == (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "inputs", [POSITION | VELOCITY, ATTITUDE | THRUST, RATES | THRUST], ids=["place", "attitude", "rates"]
)
def test_a_setpoint_expires_within_200_ms_and_is_not_repeated(tmp_path: Path, inputs: Inputs) -> None:
    platform = drone_platform(tmp_path, inputs=inputs)
    table = MavlinkDriver(platform, "autopilot").encode_table()
    assert table is not None
    guard, peer = build_guard(platform, [table]), Autopilot()
    values = dict.fromkeys(inputs, 0.4)
    kinds = ("SET_ATTITUDE_TARGET", "SET_POSITION_TARGET_LOCAL_NED")
    heard: list[tuple[float, Any]] = []
    now, died = T0, T0 + 2.0
    for i in range(250):
        now = T0 + 0.01 * i
        guard.heartbeat(now, now)
        if now <= died:
            assert guard.submit("auto", now, now, values) == ""
        if i == 50:
            assert guard.arm(now) == []
        for _, data in guard.step(now):
            heard += [(now, m) for m in peer.parse(data) if m.get_type() in kinds]
    before, after = ([m for t, m in heard if a < t <= b] for a, b in ((T0 + 1.0, died), (died + 0.2, now)))
    moving = (lambda m: m.thrust > 0.3) if "thrust" in inputs else (lambda m: m.x > 0.3)
    assert len(before) >= 30
    assert all(moving(m) for m in before)
    assert len(after) >= 10
    assert not any(moving(m) for m in after)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [(THRUST, "needs an attitude"), (THRUST | {"roll": ("rad", 1.0)}, "'roll' does not go"),
     (ATTITUDE | THRUST | {"yaw_rate": ("rad/s", 1.0)}, "'yaw_rate' does not go"), ({"yaw": ("rad", 3.0)}, "no place"),
     ({"rudder": ("rad", 1.0)}, "no setpoint carries 'rudder'")],
)  # fmt: skip
def test_inputs_that_make_no_setpoint_are_errors_with_their_line(tmp_path: Path, inputs: Inputs, word: str) -> None:
    with pytest.raises(BadInputError, match=rf"test_drone.yaml:\d+: .*{word}"):
        MavlinkDriver(drone_platform(tmp_path, inputs=inputs), "autopilot")

"""VectorNav: the manual's packet, packets packed by hand, chunking, losses and settings."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crccheck.crc import CrcXmodem
from hypothesis import given
from hypothesis import strategies as st
from imu_rig import imu_driver

from giljabi.types import Heading, Imu
from giljabi_drivers.contract import Received
from giljabi_drivers.vectornav import VectorNavDriver

# VN-100 user manual UM001, section 4.3.7, example case 1: yaw 43.578686, pitch 1.8847202, roll -0.0020249654 deg.
MANUAL = bytes.fromhex("fa 01 08 00 93 50 2e 42 83 3e f1 3f 48 b5 04 bb 92 88")
LEVEL = (0.5, -0.25, -9.75)  # in its axes, z down


def packet(groups: int, fields: list[int], payload: bytes) -> bytes:
    """Another implementation of the CRC (crccheck)."""
    body = struct.pack(f"<B{len(fields)}H", groups, *fields) + payload
    return b"\xfa" + body + CrcXmodem.calc(body).to_bytes(2, "big")


def common(t: float, rate: tuple[float, ...] = (0.01, 0.02, 0.03), force: tuple[float, ...] = LEVEL) -> bytes:
    """TimeStartup, AngularRate, Accel."""
    return packet(1, [0x0121], struct.pack("<Q3f3f", round(t * 1e9), *rate, *force))


def driver(tmp_path: Path, options: str = "{}", rpy: str = "[0, 0, 0]") -> VectorNavDriver:
    d = imu_driver(tmp_path, "vectornav", options, rpy)
    assert isinstance(d, VectorNavDriver)
    return d


def give(d: VectorNavDriver, *chunks: bytes, t: float = 10.0) -> list[Any]:
    return [s for c in chunks for s in d.step(t, [Received(t, c)]).samples]


def test_the_manual_s_packet_is_a_heading(tmp_path: Path) -> None:
    (h,) = give(driver(tmp_path, "{heading: true_north}"), MANUAL)
    assert isinstance(h, Heading)
    # True within the tilt: 1.9 deg of pitch do not move the nose sideways.
    assert h.yaw == pytest.approx(math.radians(90.0 - 43.578686), abs=1e-6)
    assert give(driver(tmp_path), MANUAL) == []


def test_a_reading_in_our_axes(tmp_path: Path) -> None:
    d = driver(tmp_path)
    (imu,) = give(d, common(1.0))
    assert isinstance(imu, Imu)
    assert imu.angular_velocity == pytest.approx([0.01, -0.02, -0.03], abs=1e-7)
    assert imu.linear_acceleration == pytest.approx([0.5, 0.25, 9.75])
    assert (imu.t, imu.source) == (10.0, "gyro")
    assert (d.stats.accepted, d.stats.rejected) == (1, {})


@pytest.mark.parametrize(
    ("groups", "fields", "before"),
    [
        (0x04, [0x0600], b""),  # IMU group: Accel, AngularRate
        (0x04, [0x0003 | 0x0600], bytes(14)),  # behind status and magnetic field
        (0x05, [0x0008, 0x0600], bytes(12)),  # behind yaw, pitch, roll of the common group
        (0x14, [0x0600, 0x0001], b""),  # before the VPE status of the attitude group
    ],
)
def test_other_layouts(tmp_path: Path, groups: int, fields: list[int], before: bytes) -> None:
    after = bytes(2) if groups == 0x14 else b""
    data = packet(groups, fields, before + struct.pack("<6f", *LEVEL, 0.01, 0.02, 0.03) + after)
    (imu,) = give(driver(tmp_path), data)
    assert imu.angular_velocity == pytest.approx([0.01, -0.02, -0.03], abs=1e-7)
    assert imu.linear_acceleration == pytest.approx([0.5, 0.25, 9.75])


def test_the_compensated_reading_counts_before_the_raw_one(tmp_path: Path) -> None:
    raw = struct.pack("<6f", 9.0, 9.0, 9.0, 1.0, 1.0, 1.0)
    (imu,) = give(
        driver(tmp_path), packet(1, [0x0320], struct.pack("<3f", 0.01, 0.02, 0.03) + struct.pack("<3f", *LEVEL) + raw)
    )
    assert imu.linear_acceleration == pytest.approx([0.5, 0.25, 9.75])
    (imu,) = give(driver(tmp_path), packet(1, [0x0200], raw))
    assert imu.linear_acceleration == pytest.approx([9.0, -9.0, -9.0])
    assert imu.angular_velocity == pytest.approx([1.0, -1.0, -1.0])


@pytest.mark.parametrize("yaw", [0.0, 45.0, 200.0])
def test_quaternion_and_angles_agree(tmp_path: Path, yaw: float) -> None:
    a = math.radians(yaw) / 2.0
    quaternion = packet(1, [0x0010], struct.pack("<4f", 0.0, 0.0, math.sin(a), math.cos(a)))
    angles = packet(1, [0x0008], struct.pack("<3f", yaw, 0.0, 0.0))
    for data in (quaternion, angles):
        (h,) = give(driver(tmp_path, "{heading: true_north}"), data)
        assert math.remainder(h.yaw - math.radians(90.0 - yaw), math.tau) == pytest.approx(0.0, abs=1e-6)


def test_a_magnetic_heading_and_a_device_that_is_mounted_turned(tmp_path: Path) -> None:
    data = packet(1, [0x0008], struct.pack("<3f", 30.0, 0.0, 0.0))
    (h,) = give(driver(tmp_path, "{heading: magnetic_north, variation_deg: 8.0}"), data)
    assert h.yaw == pytest.approx(math.radians(90.0 - 38.0), abs=1e-6)
    # Turned to port by 90 degrees: its nose points to 30, the ship's to 120.
    (h,) = give(driver(tmp_path, "{heading: true_north}", "[0, 0, 90]"), data)
    assert h.yaw == pytest.approx(math.radians(90.0 - 120.0), abs=1e-6)
    (h,) = give(
        driver(tmp_path, "{heading: true_north}", "[180, 0, 0]"),
        packet(1, [0x0008], struct.pack("<3f", 30.0, 0.0, 180.0)),
    )
    assert h.yaw == pytest.approx(math.radians(60.0), abs=1e-6)


def test_any_chunking_and_noise_between(tmp_path: Path) -> None:
    stream = b"\xfa\x00noise" + b"".join(b"\x00\xfa" * (k % 3) + common(1.0 + 0.01 * k) for k in range(20))
    for size in (1, 2, 7, 53, 4096):
        d = driver(tmp_path)
        got = give(d, *(stream[k : k + size] for k in range(0, len(stream), size)))
        assert len(got) == 20
        assert d.stats.rejected.keys() <= {"noise", "checksum"}


@pytest.mark.parametrize("at", range(len(common(1.0))))
def test_no_flipped_bit_passes(tmp_path: Path, at: int) -> None:
    for bit in range(8):
        d = driver(tmp_path)
        data = bytearray(common(1.0))
        data[at] ^= 1 << bit
        got = give(d, bytes(data) + common(1.01) * 1 + bytes(600))
        assert len(got) == 1
        assert sum(d.stats.rejected.values()) > 0


def test_lost_and_repeated_packets_are_counted(tmp_path: Path) -> None:
    d = driver(tmp_path)
    for k in (0, 1, 2, 3, 3, 6, 7, 8):
        give(d, common(5.0 + 0.01 * k), t=20.0 + 0.01 * k)
    assert d.stats.flagged == {"lost_packets": 2}
    assert d.stats.rejected == {"repeated": 1}


def test_stamps_are_the_device_s_not_those_of_reception(tmp_path: Path) -> None:
    d = driver(tmp_path)
    late = (0.0, 0.004, 0.001, 0.0, 0.003)
    got = [give(d, common(5.0 + 0.01 * k), t=20.0 + 0.01 * k + x)[0].t for k, x in enumerate(late)]
    assert np.diff(got) == pytest.approx([0.01] * 4, abs=1e-5)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [((math.nan, 0, 0), "not_finite"), ((0, math.inf, 0), "not_finite"), ((200, 0, 0), "implausible")],
)
def test_what_cannot_be_is_refused(tmp_path: Path, rate: tuple[float, ...], reason: str) -> None:
    d = driver(tmp_path)
    assert give(d, common(1.0, rate)) == []
    assert d.stats.rejected == {reason: 1}


def ascii_line(body: str, crc: bool = False) -> bytes:
    total = 0
    for c in body.encode():
        total ^= c
    check = f"{CrcXmodem.calc(body.encode()):04X}" if crc else f"{total:02X}"
    return f"${body}*{check}\r\n".encode()


@pytest.mark.parametrize("crc", [False, True])
def test_ascii_messages(tmp_path: Path, crc: bool) -> None:
    d = driver(tmp_path, "{heading: true_north}")
    numbers = "+00.5000,-00.2500,-09.7500,+00.010000,+00.020000,+00.030000"
    (imu,) = give(d, ascii_line(f"VNIMU,-0.1,0.2,0.3,{numbers},+20.1,+99.7", crc))
    assert imu.linear_acceleration == pytest.approx([0.5, 0.25, 9.75])
    assert imu.angular_velocity == pytest.approx([0.01, -0.02, -0.03])
    imu, heading = give(d, ascii_line(f"VNYMR,+030.000,+000.000,+000.000,-0.1,0.2,0.3,{numbers}", crc))
    assert imu.linear_acceleration == pytest.approx([0.5, 0.25, 9.75])
    assert heading.yaw == pytest.approx(math.radians(60.0))
    assert give(d, ascii_line("VNRRG,01,VN-100S", crc), ascii_line("VNERR,03", crc), b"$VNIMU,1*00\r\n") == []
    assert d.stats.ignored == {"VNRRG": 1}
    assert d.stats.rejected == {"device_error": 1, "checksum": 1}


def test_settings_are_sent_when_asked_for(tmp_path: Path) -> None:
    assert driver(tmp_path).step(0.0, []).to_send == ()
    d = driver(tmp_path, "{configure: true, rate_hz: 50}")
    first = d.step(0.0, [])
    assert list(first.to_send) == [ascii_line("VNWRG,06,0"), ascii_line("VNWRG,75,3,16,01,0131")]
    assert first.next_deadline == 5.0
    assert d.step(4.9, []).to_send == ()
    assert len(d.step(5.0, []).to_send) == 2  # still silent
    give(d, common(1.0), t=9.0)
    assert d.step(13.9, []).to_send == ()


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.just(common(1.0)), st.just(ascii_line("VNIMU,1,2,3,4,5,6,7,8,9"))),
        max_size=12,
    )
)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    d = driver(tmp_path_factory.mktemp("any"), "{heading: true_north}")
    for s in give(d, *chunks):
        assert np.isfinite(s.angular_velocity).all() if isinstance(s, Imu) else math.isfinite(s.yaw)
    assert len(d._buffer) <= 1024

"""Xsens: packets recorded by MT Manager, packets packed by hand, chunking, losses and settings."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imu_rig import imu_driver
from scipy.spatial.transform import Rotation

from giljabi.types import Heading, Imu
from giljabi_drivers.contract import Received
from giljabi_drivers.xsens import XsensDriver

# Payloads of an MTi-300 with MT Manager's reading of them: github.com/Scottapotamas/xsens-mti (Apache-2.0),
# docs/mtmanager_packets.md, the first two examples.
RECORDED = [
    bytes.fromhex(
        "10 20 02 A6 55 10 60 04 00 57 47 2E 20 10 10 3F 7F 7D C4 BC 10 10 7D 3B A1 57 70 BD 7E C6 56 40 20 0C BD A2 "
        "1A F8 BE 2A 8E 96 41 1D 27 A2 40 10 0C B9 4F C8 00 B9 DA 24 00 3C C9 28 80 40 30 0C 3C 02 C8 9C 3C 35 F6 C8 "
        "3C DB 0C 00 80 20 0C BB B1 7D 81 BB 96 32 00 3C 01 E8 41 80 30 10 3F 80 00 00 B6 E3 30 01 B6 C0 40 00 37 26 "
        "48 00 C0 20 0C BE 99 9C 24 3F B6 1B 56 3F 16 6A EB 30 10 04 00 01 86 DE E0 20 04 00 40 00 03 "
    ),
    bytes.fromhex(
        "10 20 02 A6 51 10 60 04 00 57 46 CA 20 10 10 3F 7F 7D AF BC 10 17 8D 3B A1 5D 51 BD 7E DC 78 40 20 0C BD 9A "
        "97 A6 BE 26 F9 BF 41 1C B2 E4 40 10 0C B9 46 44 00 B9 D5 9C 00 3C C8 93 10 40 30 0C 3C 3F EE 14 3C 5F 69 B0 "
        "BA F2 80 00 80 20 0C BB 70 6E 03 BB C2 3D 00 BB D4 99 03 80 30 10 3F 80 00 00 B6 99 E0 01 B6 F8 A0 00 B7 08 "
        "10 00 C0 20 0C BE 91 DC FF 3F B6 6C 36 3F 18 71 68 E0 20 04 00 40 00 03 "
    ),
]
READ = [
    ((-0.00541657, -0.00458360, 0.00792891), (-0.07915300, -0.16655955, 9.82217598), -0.06220087),
    ((-0.00366867, -0.00592768, -0.00648797), (-0.07548456, -0.16306208, 9.79367447), -0.06222197),
]


def frame(kind: int, data: bytes, *, extended: bool = False) -> bytes:
    size = b"\xff" + struct.pack(">H", len(data)) if extended else bytes([len(data)])
    body = b"\xff" + bytes([kind]) + size + data
    return b"\xfa" + body + bytes([(256 - sum(body) % 256) % 256])


def item(identifier: int, data: bytes) -> bytes:
    return struct.pack(">HB", identifier, len(data)) + data


def reading(n: int, rate: tuple[float, ...] = (0.1, 0.2, 0.3), status: int = 3, ticks: int | None = None) -> bytes:
    data = item(0x1020, struct.pack(">H", n & 0xFFFF))
    data += item(0x1060, struct.pack(">I", (100 * n if ticks is None else ticks) & 0xFFFFFFFF))
    data += item(0x4020, struct.pack(">3f", 0.5, 0.25, 9.75)) + item(0x8020, struct.pack(">3f", *rate))
    return frame(0x36, data + item(0xE020, struct.pack(">I", status)))


def driver(tmp_path: Path, options: str = "{}", rpy: str = "[0, 0, 0]") -> XsensDriver:
    d = imu_driver(tmp_path, "xsens", options, rpy)
    assert isinstance(d, XsensDriver)
    return d


def give(d: XsensDriver, *chunks: bytes, t: float = 10.0) -> list[Any]:
    return [s for c in chunks for s in d.step(t, [Received(t, c)]).samples]


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("extended", [False, True])
def test_recorded_packets_say_what_the_maker_s_program_reads(tmp_path: Path, k: int, extended: bool) -> None:
    imu, heading = give(driver(tmp_path, "{heading: true_north}"), frame(0x36, RECORDED[k], extended=extended))
    rate, force, q3 = READ[k]
    assert isinstance(imu, Imu)
    assert imu.angular_velocity == pytest.approx(rate, abs=1e-8)
    assert imu.linear_acceleration == pytest.approx(force, abs=1e-8)
    assert isinstance(heading, Heading)
    assert heading.yaw == pytest.approx(2.0 * math.asin(q3), abs=3e-4)  # almost level


@pytest.mark.parametrize(("reference", "turn"), [(0x2010, 0.0), (0x2018, 90.0), (0x2013, 0.0)])
@pytest.mark.parametrize("yaw", [0.0, 50.0, -170.0])
def test_orientation_by_its_frame_of_reference(tmp_path: Path, reference: int, turn: float, yaw: float) -> None:
    """East-north-up, or north-west-up, whose x axis is our north; as floats or doubles."""
    x, y, z, w = Rotation.from_euler("ZYX", [yaw, 10.0, -5.0], degrees=True).as_quat()
    data = frame(0x36, item(reference, struct.pack(">4d" if reference & 3 else ">4f", w, x, y, z)))
    (h,) = give(driver(tmp_path, "{heading: true_north}"), data)
    assert math.remainder(h.yaw - math.radians(yaw + turn), math.tau) == pytest.approx(0.0, abs=1e-6)


def test_an_orientation_that_is_not_read_is_flagged(tmp_path: Path) -> None:
    d = driver(tmp_path, "{heading: true_north}")
    assert give(d, frame(0x36, item(0x2014, struct.pack(">4f", 1, 0, 0, 0)))) == []
    assert d.stats.flagged == {"orientation_ned": 1}


def test_a_device_that_is_mounted_turned(tmp_path: Path) -> None:
    x, y, z, w = (
        Rotation.from_euler("z", 40.0, degrees=True) * Rotation.from_euler("ZYX", [90, 0, 180], degrees=True)
    ).as_quat()
    data = frame(0x36, item(0x2010, struct.pack(">4f", w, x, y, z)))
    (h,) = give(driver(tmp_path, "{heading: true_north}", "[180, 0, 90]"), data)
    assert h.yaw == pytest.approx(math.radians(40.0), abs=1e-6)


def test_any_chunking_and_noise_between(tmp_path: Path) -> None:
    stream = b"\xfa\xfenoise" + b"".join(b"\x00\xfa" * (k % 3) + reading(k) for k in range(20))
    for size in (1, 3, 50, 4096):
        d = driver(tmp_path)
        got = give(d, *(stream[k : k + size] for k in range(0, len(stream), size)))
        assert len(got) == 20
        assert d.stats.rejected.keys() <= {"noise", "checksum"}
        assert d.stats.flagged == {}


@pytest.mark.parametrize("at", range(len(reading(1))))
def test_no_flipped_bit_passes(tmp_path: Path, at: int) -> None:
    d = driver(tmp_path)
    for bit in range(8):
        data = bytearray(reading(1))
        data[at] ^= 1 << bit
        before = d.stats.accepted
        assert give(d, bytes(data) + bytes(1100)) == []
        assert d.stats.accepted == before


def test_lost_repeated_and_restarted(tmp_path: Path) -> None:
    d = driver(tmp_path)
    give(d, *(reading(n) for n in (65534, 65535, 0, 1, 1, 4, 5)))
    assert (d.stats.flagged, d.stats.rejected) == ({"lost_packets": 2}, {"repeated": 1})
    give(d, reading(60000))
    assert d.stats.flagged == {"lost_packets": 2, "restarted": 1}


def test_device_time_goes_on_where_its_bits_end(tmp_path: Path) -> None:
    d = driver(tmp_path)
    got = [give(d, reading(k, ticks=2**32 - 250 + 100 * k), t=20.0 + 0.01 * k + x)[0].t
           for k, x in enumerate((0.0, 0.003, 0.001, 0.002, 0.0))]  # fmt: skip
    assert np.diff(got) == pytest.approx([0.01] * 4, abs=1e-5)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [((math.nan, 0, 0), "not_finite"), ((0, -math.inf, 0), "not_finite"), ((0, 0, 61), "implausible")],
)
def test_what_cannot_be_is_refused(tmp_path: Path, rate: tuple[float, ...], reason: str) -> None:
    d = driver(tmp_path)
    assert give(d, reading(1, rate)) == []
    assert d.stats.rejected == {reason: 1}


def test_items_that_do_not_fit_their_message(tmp_path: Path) -> None:
    d = driver(tmp_path)
    bad = [item(0x8020, bytes(8)), item(0x8020, bytes(12))[:-1], struct.pack(">HB", 0x8020, 200), b"\x80\x20"]
    assert give(d, *(frame(0x36, b) for b in bad)) == []
    assert d.stats.rejected == {"bad_item": 4}


def test_status(tmp_path: Path) -> None:
    d = driver(tmp_path)
    give(d, reading(1), reading(2, status=3 | 1 << 9), reading(3, status=2))
    assert d.stats.flagged == {"clipped": 1, "self_test_failed": 1}
    give(d, frame(0x42, b"\x04"))
    assert d.stats.rejected == {"device_error": 1}
    assert "reports error 4" in d.health(100.0)["gyro"]


def test_settings_one_after_the_other(tmp_path: Path) -> None:
    assert driver(tmp_path).step(0.0, []).to_send == ()
    d = driver(tmp_path, "{configure: true, rate_hz: 50}")

    def step(t: float, data: bytes = b"") -> list[bytes]:
        return list(d.step(t, [Received(t, data)] if data else []).to_send)

    assert step(0.0) == [frame(0x30, b"")]
    assert step(0.5, reading(1)) == []
    assert step(1.0) == [frame(0x30, b"")]  # no answer yet
    outputs = ((0x1020, 0xFFFF), (0x1060, 0xFFFF), (0x2010, 50), (0x4020, 50), (0x8020, 50), (0xE020, 0xFFFF))
    assert step(1.1, frame(0x31, b"")) == [frame(0xC0, b"".join(struct.pack(">HH", *o) for o in outputs))]
    assert step(1.2, frame(0xC1, bytes(24))) == [frame(0x10, b"")]
    assert step(1.3, frame(0x11, b"")) == []
    assert step(9.0) == []


PIECES = st.one_of(
    st.binary(max_size=80), st.just(reading(1)), st.builds(frame, st.integers(0, 255), st.binary(max_size=60)),
    st.builds(lambda i, d: frame(0x36, item(i, d)), st.sampled_from([0x2010, 0x8020, 0x4023, 0x1020]),
              st.binary(max_size=32)),
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    d = driver(tmp_path_factory.mktemp("any"), "{heading: true_north, configure: true}")
    for s in give(d, *chunks):
        if isinstance(s, Imu):
            known = [v for v in (*s.angular_velocity, *s.linear_acceleration) if not math.isnan(v)]
            assert len(known) >= 3
            assert np.isfinite(known).all()
        else:
            assert math.isfinite(s.yaw)
    assert len(d._buffer) <= 1024

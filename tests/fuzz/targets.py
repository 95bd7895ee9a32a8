"""Fuzz targets in Python: what anybody may hand us. Each takes bytes and raises when a promise does not hold.

Only BadInputError may come out of files, nothing at all out of bytes from a wire.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import marine_targets
import mavlink_targets
import numpy as np

from giljabi.missions.course import course_from
from giljabi.missions.files import parse_plan, plan_text, read_plan
from giljabi.platform import load_platform
from giljabi.types import BadInputError, Detections, GeoDetections, Imu, JointState, Origin, Scan
from giljabi_drivers import can
from giljabi_drivers.can_frames import unpack_msgpack, unpack_socketcan
from giljabi_drivers.contract import Received
from giljabi_drivers.dbc import load_dbc
from giljabi_drivers.decode_nmea import NmeaDecoder
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.recordings import read_recording
from giljabi_sim.scenario import load_scenario

Target = Callable[[bytes], None]
MAY_BE_NAN = {"alt_m", "utc_s", "voltage", "current", "share"}  # and vectors whose components a device may not measure


@functools.cache
def names_of(kind: type) -> tuple[str, ...]:
    """Fields of a sample's type."""
    return tuple(f.name for f in dataclasses.fields(kind))


def look_into(sample: Any) -> None:
    """Times and scalars are finite, or not told; vectors may leave slots open, but nothing is infinite."""
    for name in names_of(type(sample)):
        value = getattr(sample, name)
        if isinstance(value, float):
            assert math.isfinite(value) or (name in MAY_BE_NAN and math.isnan(value)), sample
            assert name != "share" or not (value < 0.0 or value > 1.0), sample
        elif isinstance(value, np.ndarray):
            if isinstance(sample, Scan):  # inf: nothing came back, NaN: nothing was measured
                assert (value[np.isfinite(value)] >= 0.0).all(), sample
                continue
            assert not np.isinf(value).any(), sample
            assert not np.isnan(value).any() or isinstance(sample, (Imu, Detections, GeoDetections)) or value.size == 3
        elif isinstance(value, Mapping) and isinstance(sample, JointState):
            assert all(math.isfinite(v) for v in value.values()), sample


def drive(driver: Any, chunks: Iterator[Received]) -> None:
    """Steps a driver; its counts never go down and its samples hold what they promise."""
    t, before = 0.0, 0
    for r in chunks:
        result = driver.step(r.t, [r])
        for sample in result.samples:
            look_into(sample)
        counted = driver.stats.accepted + sum(driver.stats.rejected.values())
        assert counted >= before
        t, before = r.t, counted
    driver.step(t + 10.0, [])
    driver.health(t + 10.0)


def with_checksum(body: bytes) -> bytes:
    """A sentence that passes the framer, so that the fields behind it are reached."""
    parity = 0
    for b in body[1:]:
        parity ^= b
    return body + b"*%02X\r\n" % parity


def nmea_driver() -> Target:
    """Lines in chunks, half of them with a right checksum whatever stands in them."""
    platform = load_platform("ship")

    def target(data: bytes) -> None:
        driver = Nmea0183Driver(platform, "bridge")
        size = 1 + data[0] % 90 if data else 1
        lines = data[1:].split(b"\n")
        stream = b"".join(with_checksum(x.split(b"*")[0]) if i % 2 else x + b"\n" for i, x in enumerate(lines))
        drive(driver, (Received(0.1 * i, stream[k : k + size]) for i, k in enumerate(range(0, len(stream), size))))

    return target


def nmea_decode() -> Target:
    """Whole lines through `giljabi decode nmea`."""

    def target(data: bytes) -> None:
        lines = [with_checksum(x.split(b"*")[0]) if i % 2 else x + b"\n" for i, x in enumerate(data.split(b"\n"))]
        decoder = NmeaDecoder()
        try:
            for row in decoder.rows("fuzz", lines):
                for key, value in row.items():
                    assert not isinstance(value, float) or math.isfinite(value), (key, row)
        except BadInputError:
            pass

    return target


def ais() -> Target:
    """AIS parts with right checksums and any payload."""
    platform = load_platform("ship")

    def target(data: bytes) -> None:
        driver = Nmea0183Driver(platform, "ais")
        out = []
        for k, part in enumerate(data.split(b"\n")):
            payload = bytes(48 + b % 72 for b in part if 48 + b % 72 not in (0x21, 0x24, 0x2A, 0x5C))[:120]
            total, number = 1 + len(part) % 3, 1 + k % 3
            head = b"!AIVDM,%d,%d,%s,A," % (total, number, b"7" if total > 1 else b"")
            out.append(Received(0.2 * k, with_checksum(head + payload + b",%d" % (len(part) % 7))))
        drive(driver, iter(out))

    return target


def frames(data: bytes) -> Iterator[Received]:
    """Frames out of bytes: 2 of identifier, 1 of flags and length, then the payload."""
    at, t = 0, 0.0
    while at + 3 <= len(data):
        can_id, kind = int.from_bytes(data[at : at + 2], "big"), data[at + 2]
        size = kind & 0x0F
        yield Received(t, data[at + 3 : at + 3 + size], can_id & 0x7FF, kind >> 7, kind >> 4 & 0x07)
        at, t = at + 3 + size, t + 0.001 * (kind & 0x7F)


def can_driver() -> Target:
    """Frames of any identifier, length and flag."""
    platform = load_platform("car")
    can.load_dbc = functools.cache(load_dbc)  # read once, not for every input

    def target(data: bytes) -> None:
        drive(can.CanDriver(platform, "vehicle"), frames(data))

    return target


def can_datagram() -> Target:
    """What a multicast group or a socket may bring."""

    def target(data: bytes) -> None:
        for unpack in (unpack_msgpack, unpack_socketcan):
            r = unpack(data, 1.0)
            assert r is None or (0 <= r.can_id < 1 << 29 and len(r.data) <= 64)

    return target


def file_target(read: Callable[[Path], Any], suffixes: tuple[str, ...]) -> Target:
    """A file of any content; only BadInputError, and its text names a place."""
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    paths = [Path(folder) / f"fuzz{s}" for s in suffixes]

    def target(data: bytes) -> None:
        path = paths[data[0] % len(paths)] if data else paths[0]
        content = data[1:]
        path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" and len(content) % 2 else content)
        try:
            read(path)
        except BadInputError as e:
            if str(path.parent) not in str(e):
                raise AssertionError(f"the error does not say where: {e}") from e
        finally:
            path.unlink()

    return target


def recording() -> Target:
    """NMEA logs and CAN traces."""

    def read(path: Path) -> None:
        last = -math.inf
        for r in read_recording(path):
            assert math.isfinite(r.t)
            assert r.t >= last
            last = r.t

    return file_target(read, (".log", ".gz", ".asc", ".trc", ".blf"))


def dbc() -> Target:
    """Databases; what can be read decodes eight bytes to finite numbers or says that it cannot."""

    def read(path: Path) -> None:
        for m in load_dbc(path).by_key.values():
            if m.size <= 64:
                with contextlib.suppress(ValueError):
                    m.signals(bytes(m.size))

    return file_target(read, (".dbc",))


def platform_file() -> Target:
    """Platform files."""
    return file_target(load_platform, (".yaml",))


def scenario_file() -> Target:
    """Scenario files."""
    return file_target(load_scenario, (".yaml",))


def joint_trajectory() -> Target:
    """Trajectories of joints in CSV and YAML; what is read is finite and plays inside the limits or is refused."""
    from giljabi.walking.behaviours.trajectory import Limits, TrajectoryPlayer, TrajectoryRefused, read_trajectory

    def read(path: Path) -> None:
        t = read_trajectory(path)
        assert np.isfinite(t.positions).all()
        n = len(t.names)
        limits = Limits(t.names, np.full(n, -3.0), np.full(n, 3.0), 6.0, 60.0)
        with contextlib.suppress(TrajectoryRefused):
            player = TrajectoryPlayer(t, limits, np.zeros(n))
            assert math.isfinite(player.duration_s)
            for share in (0.0, 0.3, 0.6, 1.0):
                assert (np.abs(player.at(share * player.duration_s)) <= 3.0 + 1e-6).all()

    return file_target(read, (".csv", ".yaml"))


def mission_file() -> Target:
    """Mission files; what can be read comes back the same from our own format, and is laid out in map."""

    def read(path: Path) -> None:
        plan = read_plan(path)
        assert parse_plan(plan_text(plan)) == plan
        with contextlib.suppress(BadInputError):  # a pattern of no size
            for step in course_from(plan, Origin(35.0, 129.0, 0.0)).steps:
                assert not np.any(np.isnan(step.points[:, 2]))

    return file_target(read, (".yaml", ".plan", ".geojson"))


TARGETS: dict[str, Callable[[], Target]] = {
    "nmea_driver": nmea_driver,
    "nmea_decode": nmea_decode,
    "ais": ais,
    "can_driver": can_driver,
    "can_datagram": can_datagram,
    "recording": recording,
    "dbc": dbc,
    "platform_file": platform_file,
    "scenario_file": scenario_file,
    "joint_trajectory": joint_trajectory,
    "mission_file": mission_file,
    **marine_targets.targets(drive),
    **mavlink_targets.targets(drive),
}

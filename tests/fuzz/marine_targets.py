"""Fuzz targets of NMEA 2000, IEC 61162-450, serial IMUs and scanners, with their seeds."""

from __future__ import annotations

import binascii
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from giljabi.platform import Platform, find_platform, load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.iec61162_450 import HEADER, Sequencer
from giljabi_drivers.ld19 import Ld19Driver, crc8
from giljabi_drivers.nmea2000 import Nmea2000Driver
from giljabi_drivers.recordings import read_recording
from giljabi_drivers.vectornav import VectorNavDriver
from giljabi_drivers.xsens import XsensDriver

Target = Callable[[bytes], None]
Drive = Callable[[Any, Iterator[Received]], None]
BACKBONE = Path(__file__).resolve().parents[2] / "examples/data/backbone.candump.gz"


def wide_frames(data: bytes) -> Iterator[Received]:
    """Frames out of bytes: 4 of identifier, 1 of length and time, then the payload."""
    at, t = 0, 0.0
    while at + 5 <= len(data):
        size = data[at + 4] & 0x0F
        yield Received(t, data[at + 5 : at + 5 + size], int.from_bytes(data[at : at + 4], "big") & 0x1FFFFFFF, 0, 1)
        at, t = at + 5 + size, t + 0.01 * (data[at + 4] >> 4)


def records(data: bytes) -> Iterator[bytes]:
    """Pieces of up to 255 bytes, their length in front."""
    at = 0
    while at < len(data):
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]


def vectornav_packet(body: bytes) -> bytes:
    """With a right CRC, so that the fields are reached."""
    return b"\xfa" + body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def xsens_message(data: bytes) -> bytes:
    """MTData2 with a right sum."""
    body = bytes([0xFF, 0x36, len(data[:254])]) + data[:254]
    return b"\xfa" + body + bytes([-sum(body) & 0xFF])


def ld19_packet(data: bytes) -> bytes:
    """With a right CRC."""
    body = b"\x54\x2c" + data[:44].ljust(44, b"\x00")
    return body + bytes([crc8(body)])


def imu_platform(kind: str) -> Platform:
    """A ship with such an IMU, whose heading is used."""
    source = find_platform("ship")
    data = yaml.safe_load(source.read_text(encoding="utf-8"))
    options = {"heading": "true_north", "configure": True}
    data["drivers"]["ahrs"] = {"kind": kind, "device": "serial:/dev/ttyUSB2", "options": options}
    data["sensors"]["gyro"]["driver"] = "ahrs"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ship.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return load_platform(path)


def targets(drive: Drive) -> dict[str, Callable[[], Target]]:
    """By name; drive steps a driver through chunks and looks into what comes out."""

    def nmea2000_driver() -> Target:
        platform = load_platform("ship_n2k")
        return lambda data: drive(Nmea2000Driver(platform, "backbone"), wide_frames(data))

    def serial_imu(kind: str, make: Callable[[Platform, str], Any], wrap: Callable[[bytes], bytes]) -> Target:
        platform = imu_platform(kind)

        def target(data: bytes) -> None:
            """Every second piece is a valid packet, whatever stands in it."""
            size = 1 + data[0] % 90 if data else 1
            stream = b"".join(wrap(p) if i % 2 else p for i, p in enumerate(records(data[1:])))
            drive(
                make(platform, "ahrs"), (Received(0.01 * k, stream[k : k + size]) for k in range(0, len(stream), size))
            )

        return target

    def ld19() -> Target:
        platform = load_platform("drone_lidar")

        def target(data: bytes) -> None:
            size = 1 + data[0] % 90 if data else 1
            stream = b"".join(ld19_packet(p) if i % 3 else p for i, p in enumerate(records(data[1:])))
            chunks = (Received(0.01 * k, stream[k : k + size]) for k in range(0, len(stream), size))
            drive(Ld19Driver(platform, "scanner"), chunks)

        return target

    def datagrams_450() -> Target:
        def target(data: bytes) -> None:
            counts = [0]

            def count(reason: str, n: int = 1) -> None:
                counts[0] += n

            sequencer = Sequencer(count, count)
            for i, p in enumerate(records(data)):
                for line, text in sequencer.feed(0.1 * i, str(i % 3), HEADER + p if i % 2 else p):
                    assert text.endswith(b"\r\n")
                    assert 0 <= line < 64
            assert len(sequencer.sources) <= 64

        return target

    return {
        "nmea2000_driver": nmea2000_driver,
        "vectornav": lambda: serial_imu("vectornav", VectorNavDriver, vectornav_packet),
        "xsens": lambda: serial_imu("xsens", XsensDriver, xsens_message),
        "datagrams_450": datagrams_450,
        "ld19": ld19,
    }


def seeds(name: str) -> list[bytes]:
    """What the targets of this file begin with."""
    if name == "nmea2000_driver":
        frames = list(read_recording(BACKBONE))[:600]
        packed = [r.can_id.to_bytes(4, "big") + bytes([len(r.data)]) + r.data for r in frames]
        return [b"".join(packed[k : k + 40]) for k in range(0, len(packed), 40)]
    if name == "vectornav":
        manual = bytes.fromhex("01 08 00 93 50 2e 42 83 3e f1 3f 48 b5 04 bb")  # UM001, 4.3.7, without sync and CRC
        text = b"$VNIMU,1,2,3,4,5,6,7,8,9,10,11*58\r\n"
        common = bytes.fromhex("01 31 01") + bytes(8) + bytes.fromhex("0000803f") * 10
        return [b"\x20" + b"".join(bytes([len(p)]) + p for p in (text, manual, b"", common))]
    if name == "xsens":
        item = bytes.fromhex("10200200011060040000000020 10103f800000 000000000000000000000000".replace(" ", ""))
        rate = bytes.fromhex("40200c000000000000000041200000 80200c3c23d70a0000000000000000 e0200400000003")
        return [b"\x20" + b"".join(bytes([len(p)]) + p for p in (b"\xfa\xff", item, b"", item + rate))]
    if name == "ld19":
        turn = [struct.pack("<HH36sHH", 3600, k, b"\xe8\x03\xc8" * 12, k + 900, 0) for k in range(0, 36000, 1000)]
        return [b"\x20" + b"".join(bytes([len(p)]) + p for p in turn)]
    if name == "datagrams_450":
        line = b"\\s:GP0001,n:7*15\\$HEHDT,1.0,T*11\r\n"
        return [b"".join(bytes([len(p)]) + p for p in (b"RaUdP\0", line, b"", line * 2))]
    return []

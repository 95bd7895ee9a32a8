"""Drivers that live on while mutated messages come in; and which checksums are right, told by independent code."""

from __future__ import annotations

import binascii
import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np
from marine_targets import BACKBONE, imu_platform, ld19_packet, vectornav_packet, wide_frames, xsens_message
from mavlink_targets import NUMBERS, dialect, framed, x25crc
from mavlink_targets import seeds as mavlink_seeds
from seeds import HARBOUR, trace
from targets import frames, with_checksum

from giljabi.platform import load_platform
from giljabi_drivers.can import CanDriver
from giljabi_drivers.contract import Received
from giljabi_drivers.ld19 import Ld19Driver
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.nmea0183 import Nmea0183Driver
from giljabi_drivers.nmea2000 import Nmea2000Driver
from giljabi_drivers.recordings import read_recording
from giljabi_drivers.vectornav import VectorNavDriver
from giljabi_drivers.xsens import XsensDriver

SENTENCE = re.compile(rb"[$!][A-Z][^\r\n*]*(?=\*[0-9A-F]{2})")
ATTITUDE = (
    b"$PASHR,085335.000,224.19,T,-01.26,+00.83,+00.10,0.101,0.113,0.267,1,0", b"$PSXN,20,0,0,1,0",
    b"$PSXN,23,0.30,-0.97,298.57,0.13", b"$IIXDR,A,5.2,D,PTCH,A,-1.1,D,ROLL", b"$HEROT,-12.3,A", b"$HETHS,298.5,A",
    b"$PASHR,ATT,310095.0,254.87,+000.15,-000.44,0.0012,0.0147,0", b"$HEHDT,298.57,T", b"$HCHDG,101.1,0.5,E,7.1,W",
)  # fmt: skip


def one(data: bytes, t: float, bus: int) -> Iterator[Received]:
    """Bytes of a line, as they came."""
    yield Received(t, data, bus=bus)


def shifted(unpack: Callable[[bytes], Iterator[Received]]) -> Callable[[bytes, float, int], Iterator[Received]]:
    """Frames that `unpack` finds in bytes, from t on."""

    def receive(data: bytes, t: float, bus: int) -> Iterator[Received]:
        for r in unpack(data):
            yield Received(t + r.t, r.data, r.can_id, r.bus, r.flags)

    return receive


@dataclass(frozen=True)
class Stream:
    """A driver and what it is given."""

    make: Callable[[], Any]
    bodies: Sequence[bytes]  # of real messages, without their checksums
    wrap: Callable[[bytes], bytes] = bytes  # a whole message with a right checksum
    right: Callable[[bytes], int] | None = None  # messages with a right checksum anywhere in a line's bytes, at most
    receive: Callable[[bytes, float, int], Iterator[Received]] = one
    lines: int = 3
    block: int = 20_000  # inputs that one driver sees


# --- right checksums, by code that shares nothing with the drivers ----------------------------------


def right_sentences(data: bytes) -> int:
    """Ends of sentences (`*hh`) whose sum is right from any `$` or `!` in front of them."""
    count = 0
    for m in re.finditer(rb"\*([0-9A-Fa-f]{2})", data):
        part = data[max(0, m.start() - 1100) : m.start()]
        wanted = int(m.group(1), 16)
        count += any(reduce(xor, part[s.end() :], 0) == wanted for s in re.finditer(rb"[$!]", part))
    return count


def right_vectornav(data: bytes) -> int:
    """Sync bytes behind which some length has a right CRC, and the sentences."""
    count = 0
    for m in re.finditer(b"\xfa", data):
        crc = 0
        for k in range(m.end(), min(len(data), m.end() + 520)):
            crc = binascii.crc_hqx(data[k : k + 1], crc)
            if crc == 0 and k - m.end() >= 4:
                count += 1
                break
    for m in re.finditer(rb"\$(VN[^*\r\n]*)\*([0-9A-Fa-f]{4})", data):
        count += binascii.crc_hqx(m.group(1), 0) == int(m.group(2), 16)
    return count + right_sentences(data)


def right_xsens(data: bytes) -> int:
    """Preambles whose length leads to a sum of zero."""
    count = 0
    for m in re.finditer(b"\xfa", data):
        at = m.start()
        if at + 5 > len(data):
            break
        size = 5 + data[at + 3] if data[at + 3] != 255 else 7 + int.from_bytes(data[at + 4 : at + 6], "big")
        count += at + size <= len(data) and sum(data[at + 1 : at + size]) % 256 == 0
    return count


def right_ld19(data: bytes) -> int:
    """Heads 0x54 0x2C behind which 46 bytes have a right CRC-8 (polynomial 0x4D)."""
    count = 0
    for m in re.finditer(b"\x54\x2c", data):
        packet, crc = data[m.start() : m.start() + 47], 0
        for b in packet:
            crc ^= b
            for _ in range(8):
                crc = (crc << 1 ^ (0x4D if crc & 0x80 else 0)) & 0xFF
        count += len(packet) == 47 and crc == 0
    return count


def right_mavlink(data: bytes) -> int:
    """Magic bytes at which a frame stands whose CRC is right by pymavlink's tables."""
    count = 0
    for m in re.finditer(b"[\xfd\xfe]", data):
        at, v2 = m.start(), data[m.start()] == 0xFD
        head = 10 if v2 else 6
        if len(data) < at + head or len(data) < at + head + 2 + data[at + 1]:
            continue
        number = int.from_bytes(data[at + 7 : at + 10], "little") if v2 else data[at + 5]
        kind = dialect.mavlink_map.get(number)
        if kind is not None:
            end = at + head + data[at + 1]
            crc = x25crc(data[at + 1 : end])
            crc.accumulate(bytes([kind.crc_extra]))
            count += int(crc.crc) == int.from_bytes(data[end : end + 2], "little")
    return count


# --- messages out of recordings ---------------------------------------------------------------------


def sentences(data_dir: Path | None, pattern: str) -> list[bytes]:
    """Sentences without their checksums; fragments of one AIS message stay together."""
    text = gzip.decompress(HARBOUR.read_bytes())
    for path in sorted((data_dir / "nmea").glob(pattern)) if data_dir else ():
        text += path.read_bytes()[:60000]
    return list(dict.fromkeys(m.group() for m in SENTENCE.finditer(text)))


def vdm(data_dir: Path | None) -> list[bytes]:
    """AIS messages, one or more sentences each."""
    out: list[bytes] = []
    for s in sentences(data_dir, "*ais*"):
        if b"VDM," in s[:8]:
            part = s.split(b",")[2]
            out.append(s if part == b"1" or not out else out.pop() + b"\n" + s)
    return out


def runs(records: Sequence[bytes], most: int) -> list[bytes]:
    """1 to `most` records in a row, as pieces that overlap."""
    return [b"".join(records[k : k + 1 + k % most]) for k in range(len(records))]


def checksummed(body: bytes) -> bytes:
    """Each line a sentence with a right checksum."""
    return b"".join(with_checksum(x.split(b"*")[0].replace(b"\r", b"")) for x in body.split(b"\n"))


def vectornav_message(body: bytes) -> bytes:
    """A sentence or a binary packet."""
    return with_checksum(body) if body.startswith(b"$") else vectornav_packet(body)


def simulated(kind: str) -> list[bytes]:
    """Bodies of packets whose bytes are written down here field by field."""
    rng = np.random.default_rng(1)
    out = []
    for _ in range(40):
        vector = rng.normal(size=10).astype("<f4")
        vector[:4] /= np.linalg.norm(vector[:4])
        if kind == "vectornav":
            out += [b"$VNIMU," + b",".join(b"%+.3f" % x for x in (*vector, 20.5))]
            out += [bytes.fromhex("013101") + rng.bytes(6) + b"\0\0" + vector.tobytes()]
            out += [bytes.fromhex("010800") + vector[:3].tobytes()]
        elif kind == "xsens":
            fields = [(0x1020, rng.bytes(2)), (0x1060, rng.bytes(4)), (0x8020, vector[4:7].astype(">f4").tobytes())]
            fields += [(0x4020, vector[7:].astype(">f4").tobytes()), (0x2010, vector[:4].astype(">f4").tobytes())]
            fields += [(0xE020, b"\0\0\0\x03")]
            out += [b"".join(k.to_bytes(2, "big") + bytes([len(v)]) + v for k, v in fields[: rng.integers(1, 7)])]
        else:
            start = int(rng.integers(0, 36000))
            points = b"".join(int(d).to_bytes(2, "little") + b"\xc8" for d in rng.integers(0, 12000, 12))
            words = (3600, start), ((start + 900) % 36000, int(rng.integers(0, 30000)))
            first, last = (b"".join(x.to_bytes(2, "little") for x in w) for w in words)
            out += [first + points + last]
    return out


def mavlink_bodies() -> list[bytes]:
    """Records of the frames that an autopilot sends."""
    out = []
    for data in mavlink_seeds("mavlink_driver"):
        at = 1
        while at < len(data):
            out.append(data[at + 1 : at + 1 + data[at] % 201])
            at += 1 + data[at] % 201
    return [r for r in out if r] + [
        bytes([n >> 7 & 0xFF, n << 1 & 0xFE, n & 0xFF]) + bytes(30) for n in range(len(NUMBERS))
    ]


def streams() -> dict[str, Callable[[Path | None], Stream]]:
    """By the name of the fuzz target whose place they take."""

    def nmea(device: str, bodies: Callable[[Path | None], list[bytes]]) -> Callable[[Path | None], Stream]:
        def build(data_dir: Path | None) -> Stream:
            platform = load_platform("ship")
            return Stream(lambda: Nmea0183Driver(platform, device), bodies(data_dir), checksummed, right_sentences)

        return build

    def imu(kind: str, driver: Any, wrap: Callable[[bytes], bytes], right: Callable[[bytes], int]) -> Any:
        def build(data_dir: Path | None) -> Stream:
            platform = imu_platform(kind)
            return Stream(lambda: driver(platform, "ahrs"), simulated(kind), wrap, right)

        return build

    def ld19(data_dir: Path | None) -> Stream:
        platform = load_platform("drone_lidar")
        return Stream(lambda: Ld19Driver(platform, "scanner"), simulated("ld19"), ld19_packet, right_ld19)

    def mavlink(data_dir: Path | None) -> Stream:
        platform = load_platform("drone")
        return Stream(lambda: MavlinkDriver(platform, "autopilot"), mavlink_bodies(), framed, right_mavlink)

    def nmea2000(data_dir: Path | None) -> Stream:
        platform = load_platform("ship_n2k")
        heard = [r for r, _ in zip(read_recording(BACKBONE), range(3000), strict=False)]
        packed = [r.can_id.to_bytes(4, "big") + bytes([len(r.data) | 0x10]) + r.data for r in heard]
        return Stream(lambda: Nmea2000Driver(platform, "backbone"), runs(packed, 6), receive=shifted(wide_frames))

    def can(data_dir: Path | None) -> Stream:
        platform = load_platform("car")
        packed = [r.can_id.to_bytes(2, "big") + bytes([len(r.data)]) + r.data for r in trace(2000)]
        return Stream(lambda: CanDriver(platform, "vehicle"), runs(packed, 6), receive=shifted(frames))

    return {
        "ais": nmea("ais", vdm),
        "attitude": nmea("bridge", lambda _: list(ATTITUDE)),
        "nmea_driver": nmea("bridge", lambda d: sentences(d, "*.log")),
        "nmea2000_driver": nmea2000,
        "can_driver": can,
        "vectornav": imu("vectornav", VectorNavDriver, vectornav_message, right_vectornav),
        "xsens": imu("xsens", XsensDriver, xsens_message, right_xsens),
        "ld19": ld19,
        "mavlink_driver": mavlink,
    }

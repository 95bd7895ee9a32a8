"""Fuzz targets of MAVLink, with their seeds: any bytes into the driver, any orders out to pymavlink's parser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect
from pymavlink.generator.mavcrc import x25crc

from giljabi._core.guard import WireEncoder
from giljabi.platform import load_platform
from giljabi_drivers.contract import Received
from giljabi_drivers.mavlink import MavlinkDriver

Target = Callable[[bytes], None]
Drive = Callable[[Any, Iterator[Received]], None]
NUMBERS = sorted(dialect.mavlink_map)
HEARD = (
    "HEARTBEAT",
    "ATTITUDE_QUATERNION",
    "LOCAL_POSITION_NED",
    "GPS_RAW_INT",
    "TIMESYNC",
    "STATUSTEXT",
    "SYS_STATUS",
)


def framed(record: bytes) -> bytes:
    """A frame with a right CRC: 2 bytes choose the message and the version, 1 the sequence, the rest is payload."""
    choice = int.from_bytes(record[:2].ljust(2, b"\0"), "big")
    number, payload = NUMBERS[(choice >> 1) % len(NUMBERS)], record[3:]
    sequence = record[2] if len(record) > 2 else 0
    head = bytes([len(payload), 0, 0, sequence, 1, 1]) + number.to_bytes(3, "little")
    magic = b"\xfd"
    if choice & 1 and number < 256:
        magic, head = b"\xfe", bytes([len(payload), sequence, 1, 1, number])
    crc = x25crc(head + payload)
    crc.accumulate(bytes([dialect.mavlink_map[number].crc_extra]))
    return magic + head + payload + int(crc.crc).to_bytes(2, "little")


def records(data: bytes) -> Iterator[bytes]:
    """Pieces of up to 200 bytes, their length in front."""
    at = 0
    while at < len(data):
        size = data[at] % 201
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


def targets(drive: Drive) -> dict[str, Callable[[], Target]]:
    """By name; drive steps a driver through chunks and looks into what comes out."""

    def mavlink_driver() -> Target:
        platform = load_platform("drone")

        def target(data: bytes) -> None:
            """Every second piece is a valid frame, whatever stands in it."""
            size = 1 + data[0] % 90 if data else 1
            stream = b"".join(framed(p) if i % 2 else p for i, p in enumerate(records(data[1:])))
            chunks = (Received(0.05 * k, stream[at : at + size]) for k, at in enumerate(range(0, len(stream), size)))
            drive(MavlinkDriver(platform, "autopilot"), chunks)

        return target

    def mavlink_orders() -> Target:
        platform = load_platform("drone")
        table = MavlinkDriver(platform, "autopilot").encode_table()
        assert table is not None
        limits = {n: (a.min, a.max) for n, a in platform.model.actuators.items()}

        def target(data: bytes) -> None:
            """16 bits for each input, from its least to its most; all ones is no number."""
            encoder, other = WireEncoder(table, limits), dialect.MAVLink(None)
            for at in range(0, len(data), 2 * len(limits) + 2):
                part = data[at : at + 2 * len(limits) + 2].ljust(2 * len(limits) + 2, b"\0")
                raw = [int.from_bytes(part[k : k + 2], "big") for k in range(0, len(part), 2)]
                values = {
                    n: math.nan if r == 0xFFFF else low + (high - low) * r / 0xFFFE
                    for (n, (low, high)), r in zip(limits.items(), raw, strict=False)
                }
                message = table.messages[raw[-1] % len(table.messages)]
                whole = all(f.source != "value" or math.isfinite(values[f.actuator]) for f in message.fields)
                try:
                    frame = encoder.encode(message.name, values, t=at * 1e3)
                except ValueError:
                    assert not whole, (message.name, values)
                    continue
                assert whole, (message.name, values)
                read = [m.get_msgId() for m in other.parse_buffer(frame) or ()]
                assert read == [message.mavlink_id], (message.name, values)

        return target

    return {"mavlink_driver": mavlink_driver, "mavlink_orders": mavlink_orders}


def seeds(name: str) -> list[bytes]:
    """What the targets of this file begin with."""
    if name == "mavlink_orders":
        return [bytes(range(256)), bytes(64), b"\xff" * 14 + bytes(30)]
    if name != "mavlink_driver":
        return []
    out = []
    for version in (0, 1):
        data = b"\x20"
        for k, heard in enumerate(HEARD):
            kind = dialect.mavlink_map[getattr(dialect, f"MAVLINK_MSG_ID_{heard}")]
            choice = 2 * NUMBERS.index(kind.id) + version
            for piece in (b"", choice.to_bytes(2, "big") + bytes([k]) + bytes(range(1, 1 + kind.unpacker.size))):
                data += bytes([len(piece)]) + piece
        out.append(data)
    return out

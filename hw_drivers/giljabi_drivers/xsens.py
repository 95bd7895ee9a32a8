"""Xsens IMUs: MTData2 over Xbus (MT Low Level Communication Protocol, document MT0101P).

The device's axes are ours: x forward, y left, z up.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import numpy as np

from giljabi.platform import Platform
from giljabi.types import NAN
from giljabi_drivers.imu_common import SerialImu, matrix_from_quaternion

SYNC, MASTER, EXTENDED = 0xFA, 0xFF, 0xFF
MT_DATA2, ERROR = 0x36, 0x42
GO_TO_CONFIG, SET_OUTPUT, GO_TO_MEASUREMENT = 0x30, 0xC0, 0x10  # the acknowledgement has the next number
COUNTER, TIME_FINE, QUATERNION, FORCE, RATE, STATUS = 0x1020, 0x1060, 0x2010, 0x4020, 0x8020, 0xE020
LONGEST = 512  # bytes of data in a message; the protocol allows 2048, no set of outputs has so many
TICK_S = 1e-4  # of SampleTimeFine
CLIPPED = 0x3F00  # status word, bits 8 to 13: an accelerometer or a gyro is at its end
SELF_TEST = 1
FORMATS = {0: ("f", 4), 3: ("d", 8)}  # low bits of an identifier; the fixed-point ones are not read
ASK_AGAIN_S = 1.0
R_ENU_NWU = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


class XsensDriver(SerialImu):
    """One Xsens device on a serial line."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(platform, name)
        self._counter = -1
        self._ticks = 0.0  # unwrapped SampleTimeFine
        self._last_ticks = -1
        self._stage = GO_TO_CONFIG  # what is to be sent or was not acknowledged yet

    def _begin_line(self) -> None:
        self._counter, self._stage, self._asked_t = -1, GO_TO_CONFIG, -math.inf

    # --- framing ------------------------------------------------------------------------------------

    def _cut(self, data: bytes, t: float) -> bytes:
        at = noise = 0
        while at < len(data):
            size = self._message(data, at, t) if data[at] == SYNC else 0
            if size < 0:
                break
            noise += size == 0
            at += size or 1
        self.stats.reject("noise", noise)
        return data[at:]

    def _message(self, data: bytes, at: int, t: float) -> int:
        """Bytes of the message that begins at `at`; 0: it is none, -1: it is not whole yet."""
        head = data[at : at + 6]
        if len(head) > 1 and head[1] not in (MASTER, 1):
            return 0
        if len(head) < 4 or (head[3] == EXTENDED and len(head) < 6):
            return -1
        first, size = (6, head[4] << 8 | head[5]) if head[3] == EXTENDED else (4, head[3])
        if size > LONGEST:
            return 0
        if len(data) < at + first + size + 1:
            return -1
        whole = data[at : at + first + size + 1]
        if sum(whole[1:]) & 0xFF:
            self.stats.reject("checksum")
            return 0
        self._take(whole[2], whole[first:-1], t)
        return len(whole)

    def _take(self, kind: int, data: bytes, t: float) -> None:
        if kind == MT_DATA2:
            self._heard_t = t
            self._data(data, t)
        elif kind == ERROR:
            self.stats.reject("device_error")
            self._watch.note("imu", f"the device reports error {data[0] if data else '?'}")
        else:
            if self._stage and kind == self._stage + 1:
                self._stage = {GO_TO_CONFIG: SET_OUTPUT, SET_OUTPUT: GO_TO_MEASUREMENT}.get(self._stage, 0)
                self._asked_t = -math.inf  # the next one goes out at once
            name = f"mid_{kind:02x}"
            self.stats.accepted += 1
            self.stats.ignored[name] = self.stats.ignored.get(name, 0) + 1

    # --- contents -----------------------------------------------------------------------------------

    def _data(self, data: bytes, t: float) -> None:
        items: dict[int, tuple[int, bytes]] = {}  # by type: format and data
        at = 0
        while at + 3 <= len(data):
            identifier, size = data[at] << 8 | data[at + 1], data[at + 2]
            items[identifier & 0xFFF0] = (identifier & 0xF, data[at + 3 : at + 3 + size])
            at += 3 + size
        if at != len(data):
            self.stats.reject("bad_item")
            return
        if not self._in_order(items):
            return
        stamp = self._stamp(items)
        try:
            rate, force = _floats(items.get(RATE), 3), _floats(items.get(FORCE), 3)
            turned = _floats(items.get(QUATERNION), 4)
        except (ValueError, struct.error):
            self.stats.reject("bad_item")
            return
        status = items.get(STATUS)
        if status is not None and len(status[1]) == 4:
            self._status(int.from_bytes(status[1], "big"))
        if (rate or force) and not self._samples.reading(t, stamp, rate, force):
            return
        if turned is not None:
            frame = items[QUATERNION][0] >> 2  # of reference: 0 ENU, 1 NED, 2 NWU
            matrix = matrix_from_quaternion(*turned)
            if frame == 1:
                self.stats.flag("orientation_ned")
            else:
                self._samples.attitude(t, stamp, R_ENU_NWU @ matrix if frame == 2 else matrix)
        self.stats.accepted += 1
        self.stats.last_t["MTData2"] = t

    def _in_order(self, items: Mapping[int, tuple[int, bytes]]) -> bool:
        """Counts packets that are missing before this one; False when it came already."""
        item = items.get(COUNTER)
        if item is None or len(item[1]) != 2:
            return True
        counter = int.from_bytes(item[1], "big")
        ahead = (counter - self._counter) & 0xFFFF if self._counter >= 0 else 1
        if ahead == 0:
            self.stats.reject("repeated")
            return False
        self._counter = counter
        if 1 < ahead < 0x8000:
            self.stats.flag("lost_packets", ahead - 1)
        elif ahead >= 0x8000:
            self.stats.flag("restarted")
        return True

    def _stamp(self, items: Mapping[int, tuple[int, bytes]]) -> float:
        """Device time [s], going on where its 32 bits end; NaN when the message has none."""
        item = items.get(TIME_FINE)
        if item is None or len(item[1]) != 4:
            return NAN
        ticks = int.from_bytes(item[1], "big")
        self._ticks += (ticks - self._last_ticks) & 0xFFFFFFFF if self._last_ticks >= 0 else ticks
        self._last_ticks = ticks
        return self._ticks * TICK_S

    def _status(self, word: int) -> None:
        if word & CLIPPED:
            self.stats.flag("clipped")
        if not word & SELF_TEST:
            self.stats.flag("self_test_failed")

    # --- settings -----------------------------------------------------------------------------------

    def _configure(self, now: float) -> tuple[tuple[bytes, ...], float]:
        """The next message to the device, and when to ask again; each waits for the one before to be acknowledged."""
        if not self._options.configure or not self._stage:
            return (), math.inf
        if now < self._asked_t + ASK_AGAIN_S:
            return (), self._asked_t + ASK_AGAIN_S
        self._asked_t = now
        data = b""
        if self._stage == SET_OUTPUT:
            rate = min(self._options.rate_hz, 400)
            outputs = [(COUNTER, 0xFFFF), (TIME_FINE, 0xFFFF), (QUATERNION, rate), (FORCE, rate), (RATE, rate)]
            data = b"".join(struct.pack(">HH", *o) for o in (*outputs, (STATUS, 0xFFFF)))
        return (message(self._stage, data),), now + ASK_AGAIN_S


def message(kind: int, data: bytes = b"") -> bytes:
    """An Xbus message of up to 254 bytes of data."""
    body = bytes([MASTER, kind, len(data)]) + data
    return bytes([SYNC]) + body + bytes([-sum(body) & 0xFF])


def _floats(item: tuple[int, bytes] | None, count: int) -> tuple[float, ...] | None:
    """Numbers of an item; None when it is not there or in a format that is not read."""
    if item is None or item[0] & 3 not in FORMATS:
        return None
    letter, size = FORMATS[item[0] & 3]
    if len(item[1]) != count * size:
        raise ValueError("length")
    return struct.unpack(f">{count}{letter}", item[1])

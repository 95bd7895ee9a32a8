"""
The only writer on the wire: limits, freshness, arming, safe output, encoding
"""

from __future__ import annotations

import typing

__all__: list[str] = ["Guard", "GuardThread", "WireEncoder"]

class WireEncoder:
    """
    An encode table compiled to bytes; ValueError when it is wrong.
    """
    def __init__(self, table: typing.Any, limits: typing.Any) -> None: ...
    def encode(
        self,
        message: str,
        values: typing.Any,
        armed: bool = True,
        counter: typing.SupportsInt | typing.SupportsIndex = 0,
        t: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    ) -> bytes:
        """
        Bytes of one message from SI values by name; t [s].
        """

class Guard:
    """
    The only writer on the wire, sans-I/O; times in s of one clock, values in SI.
    """
    def __init__(self, config: typing.Any) -> None: ...
    def arm(self, now: typing.SupportsFloat | typing.SupportsIndex) -> list[str]:
        """
        Arms and returns [], or returns why not.
        """
    def counters(self) -> dict[str, int]:
        """
        Commands refused by reason, and values clamped.
        """
    def disarm(self, now: typing.SupportsFloat | typing.SupportsIndex, reason: str = "") -> None:
        """
        Disarms: safe values, armed field 0.
        """
    def events(self, since: typing.SupportsInt | typing.SupportsIndex = 0) -> tuple[int, list[tuple[int, float, str]]]:
        """
        (total, [(number, t, what)]) of the events numbered from `since`; the last 256 are kept.
        """
    def feedback(
        self,
        now: typing.SupportsFloat | typing.SupportsIndex,
        name: str,
        value: typing.SupportsFloat | typing.SupportsIndex,
    ) -> str:
        """
        Takes an actuator's measured value [SI]; returns '' or why it was refused.
        """
    def heartbeat(
        self,
        now: typing.SupportsFloat | typing.SupportsIndex,
        t_stamp: typing.SupportsFloat | typing.SupportsIndex,
        ok: bool,
        degraded: bool = False,
        reasons: typing.Any = (),
        guided: bool = False,
    ) -> str:
        """
        Takes the supervisor's verdict; returns '' or why it was refused.
        """
    def last_feedback(self) -> dict[str, tuple[float, float]]:
        """
        Actuator: (t, value) of the newest feedback taken.
        """
    def last_pose(self) -> tuple[float, float, float, float, float]:
        """
        (t_stamp, x, y, yaw, speed) of the newest pose taken; t_stamp NaN before.
        """
    def output(self) -> dict[str, float]:
        """
        Values on the wire last, by actuator.
        """
    def pose(
        self,
        now: typing.SupportsFloat | typing.SupportsIndex,
        t_stamp: typing.SupportsFloat | typing.SupportsIndex,
        x: typing.SupportsFloat | typing.SupportsIndex,
        y: typing.SupportsFloat | typing.SupportsIndex,
        yaw: typing.SupportsFloat | typing.SupportsIndex,
        speed: typing.SupportsFloat | typing.SupportsIndex,
        z: typing.SupportsFloat | typing.SupportsIndex = ...,
        velocity: typing.Sequence[float] = ...,
    ) -> str:
        """
        Takes base_link's pose in map [m, rad], speed along its nose and velocity in map [m/s]; NaN: not known. Returns
        '' or why it was refused.
        """
    def release(self, source: str, now: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        The source gives its lease back.
        """
    def set_device(
        self, device: str, open: bool, now: typing.SupportsFloat | typing.SupportsIndex, why: str = ""
    ) -> None:
        """
        Says that a device is open or gone, and why.
        """
    def state(self) -> tuple[str, bool, list[str]]:
        """
        mode, armed and reasons.
        """
    def step(self, now: typing.SupportsFloat | typing.SupportsIndex) -> list[tuple[str, bytes]]:
        """
        Moves time; returns the frames due as [(device, bytes)].
        """
    def set_fences(self, fences: typing.Any) -> bool:
        """
        Fences in map to keep; False while a source leads.
        """
    def stop(self, now: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Safe outputs from now on, at any time, until armed again.
        """
    def submit(
        self,
        source: str,
        t_stamp: typing.SupportsFloat | typing.SupportsIndex,
        now: typing.SupportsFloat | typing.SupportsIndex,
        values: typing.Any,
    ) -> str:
        """
        Takes a command; returns '' or why it was refused.
        """

class GuardThread:
    """
    A guard on its own thread, which ticks and writes whatever Python does; s of CLOCK_MONOTONIC plus offset_ns.
    """
    def __init__(
        self, config: typing.Any, offset_ns: typing.SupportsInt | typing.SupportsIndex, realtime: bool = True
    ) -> None: ...
    def arm(self) -> list[str]: ...
    def close(self) -> None:
        """
        Stops the thread; every device gets one last, disarmed frame of each message.
        """
    def counters(self) -> dict[str, int]: ...
    def devices(self) -> dict[str, dict[str, int]]:
        """
        What was written and what was dropped, by device.
        """
    def disarm(self, reason: str = "") -> None: ...
    def events(
        self, since: typing.SupportsInt | typing.SupportsIndex = 0
    ) -> tuple[int, list[tuple[int, float, str]]]: ...
    def feedback(self, name: str, value: typing.SupportsFloat | typing.SupportsIndex) -> str: ...
    def heartbeat(
        self,
        t_stamp: typing.SupportsFloat | typing.SupportsIndex,
        ok: bool,
        degraded: bool = False,
        reasons: typing.Any = (),
        guided: bool = False,
    ) -> str: ...
    def loop(self) -> dict[str, float]:
        """
        ticks, missed, late_max_s, realtime (1 when SCHED_FIFO was granted).
        """
    def now(self) -> float:
        """
        Stack time [s].
        """
    def output(self) -> dict[str, float]: ...
    def pose(
        self,
        t_stamp: typing.SupportsFloat | typing.SupportsIndex,
        x: typing.SupportsFloat | typing.SupportsIndex,
        y: typing.SupportsFloat | typing.SupportsIndex,
        yaw: typing.SupportsFloat | typing.SupportsIndex,
        speed: typing.SupportsFloat | typing.SupportsIndex,
        z: typing.SupportsFloat | typing.SupportsIndex = ...,
        velocity: typing.Sequence[float] = ...,
    ) -> str: ...
    def release(self, source: str) -> None: ...
    def set_descriptor(self, device: str, fd: typing.SupportsInt | typing.SupportsIndex, why: str = "") -> None:
        """
        Hands over a descriptor (sockets connected; the guard keeps a duplicate), or -1: the device is gone.
        """
    def set_fences(self, fences: typing.Any) -> bool: ...
    def state(self) -> tuple[str, bool, list[str]]: ...
    def stop(self) -> None: ...
    def submit(self, source: str, t_stamp: typing.SupportsFloat | typing.SupportsIndex, values: typing.Any) -> str: ...

"""The guard on its own C++ thread: it ticks and writes to its descriptors, whatever Python does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from giljabi.fence import FenceLike
from giljabi.platform import Platform
from giljabi.safety.guard import (
    GuardConfig,
    GuardEvent,
    events_of,
    guard_config,
    pose_of,
    state_of,
    table_error,
    take_fences,
)
from giljabi.types import Health, JointState, Odometry, StackState
from giljabi.wire import EncodeTable


class GuardThread:
    """The same inputs as `Guard`, without `now`: the thread takes the time of arrival itself.

    It starts at once, with every device gone: hand over descriptors with `set_descriptor`. All calls may come from
    any thread.
    """

    def __init__(self, config: GuardConfig, offset_ns: int, realtime: bool = True) -> None:
        """offset_ns: stack time minus CLOCK_MONOTONIC; realtime: ask for SCHED_FIFO, and go on without it."""
        from giljabi._core import guard as core

        self.config = config
        self._core = core.GuardThread(config, offset_ns, realtime)
        self.set_fences(())

    def __enter__(self) -> GuardThread:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def set_descriptor(self, device: str, fd: int, why: str = "") -> None:
        """Hands over a device's descriptor, again after each reopen; -1: it is gone, and `why` says so.

        Sockets must be connected. The guard writes to a duplicate of its own, so hand over -1 before a device is
        opened again exclusively. What is not a socket becomes non-blocking for its readers too. KeyError: unknown
        device; ValueError: not an open descriptor.
        """
        self._core.set_descriptor(device, fd, why)

    def set_fences(self, fences: Sequence[FenceLike]) -> None:
        """Fences in map [m], beside the platform's own; BadInputError for what is none, or while a source leads."""
        take_fences(self._core.set_fences, (*self.config.fences, *fences))

    def now(self) -> float:
        """Stack time [s]."""
        return self._core.now()

    def submit(self, source: str, t_stamp: float, values: Mapping[str, float]) -> str:
        """Takes the command of a source (auto, manual, policy): every actuator by name, SI."""
        return self._core.submit(source, t_stamp, values)

    def release(self, source: str) -> None:
        """The source gives its lease back, so that a lower source with live commands goes on."""
        self._core.release(source)

    def heartbeat(
        self, t_stamp: float, reasons: Sequence[str] = (), degraded: bool = False, guided: bool = False
    ) -> str:
        """Takes the supervisor's verdict: reasons are a fault unless `degraded` (the planner stops by itself).

        guided: a fault, but the source that leads may bring the vehicle to rest.
        """
        return self._core.heartbeat(t_stamp, degraded or not reasons, degraded, reasons, guided)

    def health(self, health: Health) -> str:
        """The same from the supervisor's own object."""
        return self.heartbeat(health.t, health.reasons, health.degraded, health.guided)

    def odometry(self, odom: Odometry) -> str:
        """Takes base_link's pose in map and its velocity."""
        return self._core.pose(*pose_of(odom))

    def joints(self, joints: JointState, slots: Mapping[str, str]) -> None:
        """Feedback of the actuators in a JointState; slots: actuator -> position, velocity or effort."""
        for name, slot in slots.items():
            value = getattr(joints, slot).get(name)
            if value is not None:
                self._core.feedback(name, float(value))

    def arm(self) -> list[str]:
        """Arms and returns [], or returns every reason why not; also the way out of minimum_risk and stopped."""
        return self._core.arm()

    def disarm(self, reason: str = "") -> None:
        """Disarms: the armed field goes to 0, outputs ramp to their safe values."""
        self._core.disarm(reason)

    def stop(self) -> None:
        """Safe outputs from now on, whatever else goes on; ends by arm or disarm."""
        self._core.stop()

    def output(self) -> dict[str, float]:
        """What went to the wire last, by actuator [SI]."""
        return self._core.output()

    def state(self) -> StackState:
        """Mode, armed, and why it will not arm or why it left auto."""
        return state_of(self.now(), self._core.state())

    def events(self, since: int = 0) -> tuple[int, list[GuardEvent]]:
        """(number of the next event, events from number `since` on); the last 256 are kept."""
        return events_of(self._core.events(since))

    def counters(self) -> dict[str, int]:
        """Inputs refused by reason, and values clamped to their limits."""
        return self._core.counters()

    def devices(self) -> dict[str, dict[str, int]]:
        """frames and bytes written, frames dropped by reason, by device."""
        return self._core.devices()

    def loop(self) -> dict[str, float]:
        """ticks, missed, late_max_s, realtime (1 when SCHED_FIFO was granted)."""
        return self._core.loop()

    def close(self) -> None:
        """Stops the thread; every device gets one last, disarmed frame of each message."""
        self._core.close()


def build_guard_thread(
    platform: Platform, encode_tables: Iterable[EncodeTable], offset_ns: int, realtime: bool = True
) -> GuardThread:
    """The guard of a platform on its thread; raises BadInputError with file:line when a table does not fit."""
    config = guard_config(platform, encode_tables)
    try:
        return GuardThread(config, offset_ns, realtime)
    except (ValueError, TypeError) as e:
        raise table_error(platform, config, e) from None

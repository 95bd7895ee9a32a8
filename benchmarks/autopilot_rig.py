"""The stack on an autopilot's line, outside ROS: clock, bytes, what a pymavlink of its own hears, flights."""

from __future__ import annotations

import copy
import math
import select
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.control.flight_paths import FlatPath
from giljabi.frames import LocalFrame
from giljabi.platform import Platform, find_platform, load_platform
from giljabi.stack import Stack
from giljabi.steps import PlanResult
from giljabi.types import (
    Array,
    ExternalOdometry,
    LocalOrigin,
    MissionPhase,
    MissionState,
    Odometry,
    Origin,
    Route,
    Tracks,
    Trajectory,
)
from giljabi_drivers.contract import Received
from giljabi_drivers.mavlink import MavlinkDriver
from giljabi_drivers.mavlink_requests import Parameter
from giljabi_drivers.transport import open_transport
from giljabi_sim.relay import LossyFrames

T0 = float(round(time.time()))  # where stack time begins; signatures need one that reads like UTC
LATE_S = 0.06  # s that the vehicle's clock is carried on without a word of it
DEVICE = "autopilot"
LAST_LEG = 0.95  # of the way: it comes down at its end


class VehicleClock:
    """Stack time that follows the autopilot's own clock, however fast its simulator runs; ours until it is heard."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begin = self._heard = time.monotonic()
        self._stamp = math.nan
        self._newest = self._offset = 0.0  # s since the begin; s from the vehicle's clock to that

    def heard(self, boot_s: float) -> None:
        """A message of the autopilot with its time since boot."""
        if not self._stamp - 5.0 < boot_s:  # the first one, or another boot
            self._offset = self.now() - T0 - boot_s
        elif boot_s <= self._stamp:
            return
        self._stamp, self._heard = boot_s, time.monotonic()

    def now(self) -> float:
        """Stack time [s]; never goes back."""
        if math.isnan(self._stamp):
            self._newest = time.monotonic() - self._begin
        else:
            late = min(time.monotonic() - self._heard, LATE_S) * self._speed
            self._newest = max(self._newest, self._stamp + self._offset + late)
        return T0 + self._newest


class WallClock:
    """Real time."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def heard(self, boot_s: float) -> None:
        """It does not matter."""

    def now(self) -> float:
        """Stack time [s]."""
        return T0 + time.monotonic() - self._begin


@dataclass(slots=True)
class Ear:
    """What the autopilot says, heard by pymavlink beside the driver."""

    system: int
    clock: VehicleClock | WallClock
    truth: list[tuple[float, float, float, float]] = field(default_factory=list)  # s, 1e-7 deg, 1e-7 deg, m
    texts: list[tuple[float, str]] = field(default_factory=list)
    modes: list[tuple[float, int, bool]] = field(default_factory=list)
    bad: int = 0
    _mav: Any = None

    def __post_init__(self) -> None:
        self._mav = dialect.MAVLink(None)
        self._mav.robust_parsing = True

    def hear(self, now: float, data: bytes) -> None:
        """Bytes from the autopilot."""
        for m in self._mav.parse_buffer(data) or ():
            name = m.get_type()
            if name == "BAD_DATA":
                self.bad += 1
                continue
            if m.get_srcSystem() != self.system or m.get_srcComponent() != 1:
                continue
            boot = getattr(m, "time_boot_ms", None)
            if boot is not None:
                self.clock.heard(boot * 1e-3)
            if name == "SIM_STATE":
                self.truth.append((now, m.lat_int, m.lon_int, m.alt))
            elif name == "STATUSTEXT":
                text = m.text if isinstance(m.text, str) else m.text.split(b"\0")[0].decode("ascii", "replace")
                self.texts.append((now, text))
            elif name == "HEARTBEAT":
                armed = bool(m.base_mode & dialect.MAV_MODE_FLAG_SAFETY_ARMED)
                if not self.modes or self.modes[-1][1:] != (m.custom_mode, armed):
                    self.modes.append((now, m.custom_mode, armed))


class PathPlanner:
    """steps.Planner: a path by time, begun from rest within `ramp` seconds."""

    def __init__(self, path: FlatPath, ramp: float = 8.0) -> None:
        self._path, self._ramp = path, ramp
        self._times: Array = np.asarray(np.arange(0.0, 2.01, 0.05), dtype=np.float64)
        self.begun: float | None = None  # stack time

    def set_route(self, route: Route) -> None:
        """It has its path."""

    def start(self) -> None:
        """It goes on by time."""

    def pause(self) -> None:
        """It does not."""

    def phase(self, t: Array) -> tuple[Array, Array]:
        """Path time (n,) [s] and its rate (n,) at stack times (n,)."""
        assert self.begun is not None
        since = np.maximum(t - self.begun, 0.0)
        s = np.minimum(since / self._ramp, 1.0)
        rate = s * s * (3.0 - 2.0 * s)
        return self._ramp * (s**3 - 0.5 * s**4) + np.maximum(since - self._ramp, 0.0), rate

    def reference(self, t: Array) -> Array:
        """Where to be (n, 3) at stack times (n,)."""
        return self._path.derivative(self.phase(t)[0], 0)

    def step(self, now: float, odom: Odometry, tracks: Tracks | None) -> PlanResult:
        """The plan from now on."""
        if self.begun is None:
            self.begun = now
        clock, rate = self.phase(now + self._times)
        position = self._path.derivative(clock, 0)
        velocity = self._path.derivative(clock, 1) * rate[:, None]
        yaw = self._path.yaw(clock)
        plan = Trajectory(now, self._times, position, yaw, velocity, np.zeros(len(clock)))
        return PlanResult(plan, MissionState(now, MissionPhase.RUNNING, 0.0, 0.0, 0.0, "following"))


def changed(platform: str, changes: Mapping[str, Any]) -> Platform:
    """A platform file with some of its values changed: {'limits.speed_max': 12.0}."""
    data = yaml.safe_load(Path(find_platform(platform)).read_text(encoding="utf-8"))
    for key, value in changes.items():
        at = data
        *way, last = key.split(".")
        for name in way:
            at = at.setdefault(name, {})
        at[last] = copy.deepcopy(value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{data['name']}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return load_platform(path)


class Missed(Exception):
    """A flight that did not come to what it was for."""


class Rig:
    """One line to one autopilot; stacks come and go on it."""

    def __init__(self, device: str, speed: float, loss: float = 0.0, seed: int = 1) -> None:
        """speed: of the simulator's clock; 0: real time by our own clock."""
        self.clock: VehicleClock | WallClock = VehicleClock(speed) if speed > 0.0 else WallClock()
        self.transport = open_transport(device)
        self.ear = Ear(1, self.clock)
        self.inwards, self.outwards = LossyFrames(loss, seed, "in"), LossyFrames(loss, seed, "out")
        self.stack: Stack | None = None
        self.estimates: list[tuple[float, Array, Array]] = []  # stack time, position, velocity: the autopilot's own
        self.origin: LocalOrigin | None = None
        self.late = 0  # ticks that began a period late
        self.gap = 0.0  # s, longest that a tick was late
        self._next = -math.inf

    def use(self, platform: Platform) -> MavlinkDriver:
        """A new stack on the line."""
        self.stack = Stack(platform)
        self.stack.set_device(DEVICE, True, self.clock.now())
        driver = self.stack.drivers[DEVICE]
        assert isinstance(driver, MavlinkDriver)
        return driver

    def tick(self) -> float:
        """Waits for the next tick and does it; its time."""
        assert self.stack is not None
        period = 1.0 / self.stack.base_rate_hz
        received: list[Received] = []
        while True:
            # What is heard moves the clock: nothing is stamped later than the tick that takes it.
            for r in self.transport.read(self.clock.now()):
                self.ear.hear(r.t, r.data)
                received.append(r)
            now = self.clock.now()
            if now >= self._next:
                break
            fd = self.transport.fileno()
            select.select([fd] if fd >= 0 else [], [], [], min(self._next - now, 0.005))
        self.late += now > self._next + period
        self.gap = max(self.gap, now - self._next) if self._next > 0.0 else 0.0
        self._next = max(self._next + period, now)
        got = [Received(now, r.data, bus=r.bus) for r in received if r.data]
        if self.inwards.share > 0.0:
            got = [Received(now, data, bus=r.bus) for r in got if (data := self.inwards.feed(r.data))]
        for _, data in self.stack.step(now, {DEVICE: got}):
            self.transport.write(self.outwards.feed(data))
        self._keep()
        return now

    def _keep(self) -> None:
        assert self.stack is not None
        for sample in self.stack.latest.samples:
            if isinstance(sample, ExternalOdometry):
                self.estimates.append((sample.t, sample.position, sample.velocity))
            elif isinstance(sample, LocalOrigin):
                self.origin = sample

    def run(self, limit_s: float, until: Callable[[float], bool], what: str) -> float:
        """Ticks until `until(now)`; raises Missed with what the stack says when that takes too long."""
        end = None
        while True:
            now = self.tick()
            end = now + limit_s if end is None else end
            if until(now):
                return now
            if now > end:
                assert self.stack is not None
                state, latest = self.stack.state(now), self.stack.latest
                said = [*state.reasons, *(latest.health.reasons if latest.health else ())]
                texts = [text for _, text in self.ear.texts[-3:]]
                raise Missed(f"{what}: not within {limit_s:g} s; {state.mode}; {'; '.join(said)}; {texts}")

    def arm(self) -> None:
        """What an operator does: arms when the stack lets him, starts the mission."""
        stack = self.stack
        assert stack is not None
        asked = -math.inf

        def armed(now: float) -> bool:
            nonlocal asked
            if now - asked < 0.5:
                return False
            asked = now
            return not stack.arm(now)

        self.run(120.0, armed, "arming")
        stack.start()

    def fly_route(self, points: list[tuple[float, float, float]], speed: float, limit_s: float = 300.0) -> None:
        """Flies a route to its end, arming first where nobody has."""
        assert self.stack is not None
        self.stack.set_route(route(points, speed))
        if self.stack.state(self.clock.now()).armed:
            self.stack.start()
        else:
            self.arm()
        self.run(limit_s, self.arrived, "arriving")

    def arrived(self, now: float) -> bool:
        """Whether the mission is over; raises Missed when the guard gave up before."""
        assert self.stack is not None
        mission, state = self.stack.latest.mission, self.stack.state(now)
        if mission is not None and mission.phase is MissionPhase.ARRIVED:
            return True
        if not state.armed or state.mode not in ("auto",):
            last = [e.what for e in self.stack.guard.events()[1][-2:]]
            over = mission is not None and mission.progress > LAST_LEG  # the planner's word may come after the guard's
            if any("landed" in r for r in [*state.reasons, *(last[-1:] if over else [])]):
                return True
            why = "; ".join([*state.reasons, *last])
            raise Missed(f"the guard left auto: {state.mode}; {why}")
        return False

    def disarm(self) -> None:
        """Waits for the autopilot to be disarmed, after a landing."""
        assert self.stack is not None
        self.run(60.0, lambda now: bool(self.ear.modes) and not self.ear.modes[-1][2], "disarming")
        self.stack.guard.disarm(self.clock.now(), "flight is over")
        end = self.clock.now() + 1.0
        self.run(30.0, lambda now: now > end, "settling")

    def set_parameters(self, values: Mapping[str, float]) -> None:
        """Writes parameters of the autopilot and reads them back; raises Missed for one that does not take."""
        driver = self.stack.drivers[DEVICE] if self.stack is not None else None
        assert isinstance(driver, MavlinkDriver)
        for name, value in values.items():
            p = Parameter(driver.target, name, value)
            driver.begin(p)
            self.run(30.0, lambda now: p.done, f"parameter {name}")  # noqa: B023
            if p.error:
                raise Missed(p.error)

    def recharge(self) -> None:
        """A full battery, where the autopilot counts its own down (ArduPilot)."""
        driver = self.stack.drivers[DEVICE] if self.stack is not None else None
        assert isinstance(driver, MavlinkDriver)
        self.run(30.0, lambda now: "HEARTBEAT" in driver.stats.last_t, "hearing a heartbeat")
        c = driver.exchanges.command(driver.target, dialect.MAV_CMD_BATTERY_RESET, 255.0, 100.0)
        self.run(30.0, lambda now: c.done, "a full battery")

    def estimated(self, since: float) -> tuple[Array, Array, Array]:
        """Times (n,), positions (n, 3), velocities (n, 3) of the autopilot's estimate."""
        rows = [e for e in self.estimates if e[0] >= since]
        if not rows:
            raise Missed("the autopilot sent no estimate")
        return np.array([e[0] for e in rows]), np.array([e[1] for e in rows]), np.array([e[2] for e in rows])

    def true(self, since: float) -> tuple[Array, Array] | None:
        """Times (n,) and true positions (n, 3) in the autopilot's frame, where its simulator tells them."""
        rows = [r for r in self.ear.truth if r[0] >= since]
        if len(rows) < 10 or self.origin is None:
            return None
        o = self.origin
        frame = LocalFrame(Origin(o.lat_deg, o.lon_deg, o.alt_m))
        places = [frame.map_from_geodetic(lat * 1e-7, lon * 1e-7, alt) for _, lat, lon, alt in rows]
        return np.array([r[0] for r in rows]), np.array(places)


def route(points: list[tuple[float, float, float]], speed: float) -> Route:
    """A route at one speed; height 0 at its ends means the ground."""
    p = np.array(points, dtype=np.float64)
    return Route(p, np.full(len(p), speed), np.full((len(p), 2), np.inf))

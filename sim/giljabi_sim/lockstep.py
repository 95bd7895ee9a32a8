"""The lock-step loop: plant, peers and stack take turns on one clock; all bytes pass driver and guard codecs."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from giljabi.missions.plan import Plan
from giljabi.stack import Stack
from giljabi.types import BadInputError, GiljabiError, Origin
from giljabi_drivers.can_frames import ERROR, EXTENDED
from giljabi_drivers.can_state import BusState
from giljabi_drivers.contract import Received
from giljabi_drivers.iec61162_450 import Sequencer
from giljabi_drivers.transport_base import FIRST_RETRY_S, LAST_RETRY_S
from giljabi_sim.expressions import Value
from giljabi_sim.faults import STEPS
from giljabi_sim.peers.contract import Chunk, Wire
from giljabi_sim.scenario import Scenario
from giljabi_sim.simulation import Simulation

ARM_PERIOD = 0.5  # s between attempts
DEPARTURE_LIMIT = 60.0  # s until a stack that does not get the vehicle to move has failed
CAN_FRAME = struct.Struct("<IB3x8s")  # Linux struct can_frame, little-endian hosts
CAN_ID_MASK = 0x1FFFFFFF
STANDARD_ID = 0x7FF  # a larger one is a 29-bit identifier


class Recorder(Protocol):
    """Takes what happens; the loop itself writes nothing."""

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        """Called once a tick, after everything."""

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """One chunk; outward: from the stack to the device."""


@dataclass(slots=True)
class Result:
    """What a run gave: the figures, and why it would not arm if it did not."""

    report: dict[str, Any]
    reasons: Sequence[str] = ()


@dataclass(slots=True)
class _Wires:
    """Bytes under way, each due at a time; latency is simulated, not suffered."""

    latency: float
    queue: deque[tuple[float, str, Chunk]] = field(default_factory=deque)

    def put(self, now: float, device: str, chunk: Chunk) -> None:
        self.queue.append((now + self.latency, device, chunk))

    def take(self, now: float) -> dict[str, list[Chunk]]:
        out: dict[str, list[Chunk]] = {}
        while self.queue and self.queue[0][0] <= now + 1e-9:
            _, device, chunk = self.queue.popleft()
            out.setdefault(device, []).append(chunk)
        return out


@dataclass(slots=True)
class _Plug:
    """When a driver would have its device again: its transport tries with back-off, on the stack's clock."""

    retry: float = FIRST_RETRY_S
    next_try: float = math.inf
    is_open: bool = True

    def step(self, now: float, gone: bool) -> bool:
        """Whether the device is open at `now`; the moment of opening itself carries nothing inwards yet."""
        if self.is_open and gone:
            self.is_open = False
            self._later(now)
        elif not self.is_open and now >= self.next_try:
            self.is_open = not gone
            self._later(now)
        return self.is_open

    def _later(self, now: float) -> None:
        self.next_try = now + self.retry
        self.retry = FIRST_RETRY_S if self.is_open else min(2.0 * self.retry, LAST_RETRY_S)


class LockStep:
    """One scenario against one stack; same scenario and seed, same bytes."""

    def __init__(self, scenario: Scenario, recorder: Recorder | None = None, latency: float = 0.0) -> None:
        """latency: seconds each way beyond the tick that a command takes anyway."""
        self.scenario = scenario
        self.simulation = Simulation(scenario)
        self.stack = self._build_stack()
        o = scenario.model.origin
        self.stack.estimator.origin = Origin(o.lat_deg, o.lon_deg, o.alt_m)
        if scenario.plan is not None:
            self.stack.load_mission(scenario.plan)
        else:
            self.stack.set_route(self.simulation.world.route)
        self.stack.set_fences(self.simulation.fences)
        self.stack.set_ground(self.simulation.ground)
        self._recorders: tuple[Recorder, ...] = () if recorder is None else (recorder,)
        self._actions = deque(self.simulation.actions)
        self.answers: list[tuple[float, str, str]] = []  # of actions: s, what was asked for, in words
        self._rate = max(self.stack.base_rate_hz, 20.0)
        self._to_stack, self._to_devices = _Wires(latency), _Wires(latency)
        self._plugs = {name: _Plug() for name, peer in self.simulation.peers.items() if peer.wire is not Wire.CAN}
        self._sequencers: dict[str, Sequencer] = {}
        self._buses = {name: BusState() for name, p in self.simulation.peers.items() if p.wire is Wire.CAN}
        self._armed_once = False
        self._arm_tick = 0
        self._reasons: Sequence[str] = ()

    def use(self, *recorders: Recorder) -> None:
        """Records with these; before `run`."""
        self._recorders = recorders

    def _build_stack(self) -> Stack:
        """The stack; the simulation is there already."""
        return Stack(self.scenario.platform)

    def run(self, progress: Callable[[float], None] | None = None) -> Result:
        """Runs until there is an outcome."""
        judge_every = max(1, round(self._rate / self.simulation.judge.rate_hz))
        tick = 0
        while True:
            now = tick / self._rate
            self._tick(now)
            if tick % judge_every == 0 and self.simulation.judge.look(self._signals(now)):
                break
            if not self.simulation.world.departed and now >= DEPARTURE_LIMIT:
                self.simulation.judge.give_up()
                break
            if progress is not None and tick % 100 == 0:
                progress(now)
            tick += 1
        return Result(self.simulation.judge.report(), () if self._armed_once else self._reasons)

    def _tick(self, now: float) -> None:
        simulation, stack = self.simulation, self.stack
        received = self._inwards(now, simulation.step(now, self._at_devices(now)))
        stack.stalled = frozenset(n for n in STEPS if simulation.world.faults.silent(n))
        stack.runaway = simulation.world.faults.runaway
        self._outwards(now, stack.step(now, received))
        self._arm(now)
        self._act()
        if not simulation.world.faults.silent("operator"):
            stack.watched(now)
        for recorder in self._recorders:
            recorder.tick(now, simulation, stack)

    def _at_devices(self, now: float) -> Mapping[str, Sequence[Chunk]]:
        """What has reached the devices by now."""
        return self._to_devices.take(now)

    def _inwards(self, now: float, sent: Mapping[str, Sequence[Chunk]]) -> dict[str, list[Received]]:
        """What the devices sent, as the drivers get it."""
        closed = self._closed(now)
        for device, chunks in sent.items():
            for chunk in chunks if device not in closed else ():
                self._to_stack.put(now, device, chunk)
        received: dict[str, list[Received]] = {}
        for device, chunks in self._to_stack.take(now).items():
            received[device] = self._as_received(now, device, chunks)
            bus = self._buses.get(device)
            if bus is not None and bus.take(received[device]):
                self.stack.set_device(device, not bus.off, now, bus.problem())
            self._note(now, device, False, chunks)
        return received

    def _as_received(self, now: float, device: str, chunks: Sequence[Chunk]) -> list[Received]:
        """Frames and bytes as they are; datagrams through what a transport does with them."""
        if not any(c.datagram for c in chunks):
            return [Received(now, c.data, c.can_id, flags=_flags(c)) for c in chunks]
        sequencer = self._sequencers.setdefault(device, Sequencer(lambda reason: None, lambda remark, n: None))
        lines = [line for c in chunks for line in sequencer.feed(now, device, c.data)]
        return [Received(now, data, bus=n) for n, data in lines]

    def _outwards(self, now: float, frames: Sequence[tuple[str, bytes]]) -> None:
        """What drivers and guard sent, on its way to the devices."""
        for device, data in frames:
            plug, bus = self._plugs.get(device), self._buses.get(device)
            if (plug is not None and not plug.is_open) or (bus is not None and bus.off):
                continue
            chunk = self._unframe(device, data)
            self._to_devices.put(now, device, chunk)
            self._note(now, device, True, (chunk,))

    def _closed(self, now: float) -> set[str]:
        """Devices that are unplugged, or not opened again yet; the guard is told, as by the thread that owns them."""
        gone = self.simulation.unplugged
        closed = set()
        for name, plug in self._plugs.items():
            before = plug.is_open
            if plug.step(now, name in gone) != before:
                self.stack.set_device(name, plug.is_open, now)
            if not (before and plug.is_open):
                closed.add(name)
        return closed

    def _unframe(self, device: str, data: bytes) -> Chunk:
        """A CAN frame out of struct can_frame; a byte stream as it is."""
        if self.simulation.peers[device].wire is Wire.SERIAL:
            return Chunk(data)
        can_id, size, payload = CAN_FRAME.unpack(data)
        return Chunk(payload[:size], can_id & CAN_ID_MASK)

    def _note(self, now: float, device: str, outward: bool, chunks: Sequence[Chunk]) -> None:
        for recorder in self._recorders:
            for chunk in chunks:
                recorder.wire(now, device, outward, chunk)

    def _arm(self, now: float) -> None:
        """What an operator does: arms as soon as the stack lets him, then starts the mission; once."""
        if self._armed_once or now < self._arm_tick * ARM_PERIOD:
            return
        self._arm_tick += 1
        self._reasons = self.stack.arm(now)
        if not self._reasons:
            self._armed_once = True
            self.stack.start()

    def _act(self) -> None:
        """What people ask of the mission on the way."""
        while self._actions and self.simulation.world.t >= self._actions[0]["at"] and self._armed_once:
            action = self._actions.popleft()
            try:
                if action["do"] == "load":
                    words = self.stack.load_mission(Plan.model_validate(action["plan"]))
                else:
                    words = self.stack.ask(action["do"], action["step"])
                refused = False
            except BadInputError as e:
                words, refused = str(e), True
            self.answers.append((self.simulation.world.t, action["do"], words))
            if refused != action["refused"]:
                answer = f"'{action['do']}' was {'refused' if refused else 'done'}: {words}"
                raise GiljabiError(f"{self.scenario.name}: at {action['at']:g} s {answer}")

    def _signals(self, now: float) -> Mapping[str, Value]:
        state, latest, own = self.stack.state(now), self.stack.latest, self.simulation.world.own
        out: dict[str, Value] = {
            "armed": state.armed,
            "mode": state.mode,
            "phase": latest.mission.phase.value if latest.mission else "",
            "doing": latest.mission.note if latest.mission else "",
            "demand": latest.health.demand if latest.health else "",
            "step": float(latest.mission.step) if latest.mission else 0.0,
            "position_error": math.inf,
            "heading_error_deg": math.inf,
        }
        if latest.odom is not None:
            out["position_error"] = math.hypot(latest.odom.position[0] - own.x, latest.odom.position[1] - own.y)
            out["heading_error_deg"] = abs(math.degrees(math.remainder(latest.odom.yaw - own.yaw, 2.0 * math.pi)))
        return out


def _flags(c: Chunk) -> int:
    """Received.flags of a chunk."""
    return EXTENDED * (c.can_id > STANDARD_ID) | ERROR * c.is_error


def run_scenario(scenario: Scenario, recorder: Recorder | None = None) -> Result:
    """Builds and runs; the shortest way from a scenario to its figures."""
    return LockStep(scenario, recorder).run()

"""Random lives of a guard: whatever comes in, what goes out stays safe."""

from __future__ import annotations

import math
import struct

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from giljabi.safety.guard import Guard, GuardActuator, GuardConfig
from giljabi.wire import EncodeTable, WireChecksum, WireCounter, WireField, WireMessage

RUNNING = ("auto", "manual", "policy")
TICK = 0.01
COMMAND_TIMEOUT, COMMAND_LOST, HEARTBEAT_TIMEOUT = 0.15, 0.4, 0.5
ACTUATORS = (
    GuardActuator("steering", -0.5, 0.5, 0.8, safe_value=0.0, safe_rate=0.2, hold_s=0.3),
    GuardActuator("throttle", -9000.0, 4500.0, 20000.0, safe_value=-4500.0, safe_rate=10000.0),
)
CAN = EncodeTable(
    "vehicle",
    "can",
    (
        WireMessage(
            "drive",
            0.02,
            (
                WireField("steering", 10000.0, start_bit=0, length=16, signed=True),
                WireField("throttle", 1.0, start_bit=16, length=16, signed=True),
                WireField("enable", source="armed", start_bit=32, length=1),
            ),
            can_id=0x100,
            counter=WireCounter(40, 8, big_endian=False),
            checksum=WireChecksum("crc8_j1850", 63),
        ),
    ),
    "socketcan",
)
NMEA = EncodeTable(
    "bridge",
    "nmea",
    (WireMessage("rsa", 0.03, (WireField("steering", 57.3, decimals=3),), "$AGRSA,{steering},{A|V},,V"),),
)
CONFIG = GuardConfig(
    ACTUATORS, (CAN, NMEA), 1 / TICK, COMMAND_TIMEOUT, HEARTBEAT_TIMEOUT, 0.3, command_lost_s=COMMAND_LOST
)

anything = st.floats(allow_nan=True, allow_infinity=True)
usual = st.floats(-1e5, 1e5) | st.floats(-0.5, 0.5)
age = st.sampled_from([0.0, 0.001, 0.1, 0.2, 1.0, -0.004, -0.1, math.nan]) | anything


class GuardMachine(RuleBasedStateMachine):
    """Random commands, heartbeats, devices, clocks and people."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = Guard(CONFIG)
        self.now = 1000.0
        self.guard.step(self.now)
        self.armed = False
        self.may_run = False  # armed by request, and since then neither stopped nor in minimum risk
        self.accepted: dict[str, float] = {}  # stamp of the newest command taken, by source
        self.beat = -math.inf
        self.guided = False  # what the newest heartbeat says
        self.counter: int | None = None
        self.output = self.guard.output()

    # --- what comes in ---

    @rule(source=st.sampled_from([*RUNNING, "nobody"]), value=usual | anything, force=usual | anything, age=age)
    def submit(self, source: str, value: float, force: float, age: float) -> None:
        if self.guard.submit(source, self.now - age, self.now, {"steering": value, "throttle": force}) == "":
            assert math.isfinite(value)
            assert math.isfinite(force)
            assert -0.0051 <= age <= COMMAND_TIMEOUT + 1e-9
            self.accepted[source] = self.now - age

    @rule(names=st.dictionaries(st.sampled_from(["steering", "throttle", "x", ""]), anything, max_size=4))
    def submit_odd(self, names: dict[str, float]) -> None:
        if self.guard.submit("auto", self.now, self.now, names) == "":
            assert set(names) == {"steering", "throttle"}
            self.accepted["auto"] = self.now

    @rule(age=age, bad=st.sampled_from([(), (), (), ("x: broken",)]), degraded=st.booleans(), guided=st.booleans())
    def heartbeat(self, age: float, bad: tuple[str, ...], degraded: bool, guided: bool) -> None:
        if self.guard.heartbeat(self.now, self.now - age, bad, degraded, guided) == "":
            self.beat = self.now - age
            self.guided = bool(bad) and guided and not degraded

    @rule(device=st.sampled_from(["vehicle", "bridge"]), is_open=st.booleans())
    def device(self, device: str, is_open: bool) -> None:
        self.guard.set_device(device, is_open, self.now)

    @rule(source=st.sampled_from(RUNNING))
    def release(self, source: str) -> None:
        self.guard.release(source, self.now)

    @rule(x=anything, age=age)
    def pose(self, x: float, age: float) -> None:
        self.guard.pose(self.now, self.now - age, x, 0.0, 0.0, 0.0)
        self.guard.feedback(self.now, "steering", x)

    # --- people ---

    @rule()
    def stop(self) -> None:
        self.guard.stop(self.now)
        self.may_run = False
        assert self.guard.state(self.now).mode == "stopped"

    @rule()
    def disarm(self) -> None:
        self.guard.disarm(self.now)
        self.armed = self.may_run = False

    @rule()
    def arm(self) -> None:
        if self.guard.arm(self.now) == []:
            self.armed = self.may_run = True

    @rule(value=usual)
    def arm_with_healthy_inputs(self, value: float) -> None:
        """The usual way into auto, so that the machine is there often."""
        self.step(TICK)
        self.guard.set_device("vehicle", True, self.now)
        self.guard.set_device("bridge", True, self.now)
        assert self.guard.heartbeat(self.now, self.now) == ""
        self.beat, self.guided = self.now, False
        assert self.guard.submit("auto", self.now, self.now, {"steering": value, "throttle": value}) == ""
        self.accepted["auto"] = self.now
        assert self.guard.arm(self.now) == []
        self.armed = self.may_run = True

    # --- time ---

    @rule(dt=st.sampled_from([TICK, TICK, TICK, 0.0, 0.003, 0.05, 0.14, 0.3, 10.0]))
    def step(self, dt: float) -> None:
        self.now += dt
        self._check(self.guard.step(self.now), dt)
        if self.guard.state(self.now).mode in RUNNING:
            source = self.guard.state(self.now).mode
            assert self.now - self.accepted[source] <= COMMAND_LOST + 1e-9
            assert self.now - self.beat <= HEARTBEAT_TIMEOUT + 1e-9

    @rule(seconds=st.floats(0.02, 0.5), value=usual)
    def drive(self, seconds: float, value: float) -> None:
        """Healthy ticks for a while."""
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.guard.submit("auto", self.now, self.now, {"steering": value, "throttle": -value})
            self.accepted["auto"] = self.now
            self.guard.heartbeat(self.now, self.now)
            self.beat, self.guided = self.now, False
            self._check(self.guard.step(self.now), TICK)

    @rule(wrong=st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1e300]), n=st.integers(1, 30))
    def broken_clock(self, wrong: float, n: int) -> None:
        for _ in range(n):
            self._check(self.guard.step(wrong), TICK)
            assert self.guard.state(self.now).mode not in RUNNING
        self.now += n * TICK  # the guard's own time went on by ticks

    @precondition(lambda self: self.guard.state(self.now).mode == "minimum_risk")
    @rule()
    def wait_for_the_safe_output(self) -> None:
        for _ in range(300):
            self.now += TICK
            self._check(self.guard.step(self.now), TICK)
        assert self.guard.output() == {"steering": 0.0, "throttle": -4500.0}

    # --- what must hold ---

    def _check(self, frames: list[tuple[str, bytes]], dt: float) -> None:
        state = self.guard.state(self.now)
        output = self.guard.output()
        for a in ACTUATORS:
            assert math.isfinite(output[a.name])
            assert a.min <= output[a.name] <= a.max
            driven = self.guided if state.mode == "minimum_risk" else self._followed(state.mode)
            rate = a.rate_max if driven else a.safe_rate
            assert abs(output[a.name] - self.output[a.name]) <= rate * (dt + 1e-9) + 1e-9  # 1e-9 s: sums of ticks
            if not driven:  # never away from the safe value
                before, after = (abs(v[a.name] - a.safe_value) for v in (self.output, output))
                assert after <= before + 1e-9
        self.output = output
        for device, data in frames:
            if device == "bridge":
                fields = data.decode().split(",")
                assert abs(float(fields[1]) - 57.3 * output["steering"]) <= 0.0006
                assert (fields[2] == "A") == state.armed
                continue
            steering, throttle, enable, counter = struct.unpack("=8xhhBBxx", data)
            assert -5000 <= steering <= 5000
            assert -9000 <= throttle <= 4500
            assert abs(steering - 1e4 * output["steering"]) <= 0.5 + 1e-6
            assert abs(throttle - output["throttle"]) <= 0.5 + 1e-6
            assert bool(enable) == self.armed
            assert self.counter is None or counter == (self.counter + 1) % 256
            self.counter = counter

    def _followed(self, mode: str) -> bool:
        """A source leads and its newest command is young enough to go out."""
        return mode in RUNNING and self.now - self.accepted[mode] <= COMMAND_TIMEOUT + 1e-9

    @invariant()
    def armed_only_by_request(self) -> None:
        state = self.guard.state(self.now)
        assert state.armed == self.armed
        if state.mode == "minimum_risk":
            self.may_run = False
        assert state.mode not in RUNNING or self.may_run
        assert state.mode in RUNNING or state.mode == "standby" or state.reasons

    @invariant()
    def log_is_bounded(self) -> None:
        assert len(self.guard.events()[1]) <= 256


TestGuardMachine = GuardMachine.TestCase
TestGuardMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)

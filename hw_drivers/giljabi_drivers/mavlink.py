"""An autopilot on a MAVLink line (ArduPilot, PX4): telemetry to samples; what it shall fly goes through the guard.

mavlink.io/en/messages/common.html. Stamps are the autopilot's, mapped by TIMESYNC. Frames of other systems on the same
line are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.platform import Platform
from giljabi.types import Sample, StackState
from giljabi.wire import EncodeTable, WireMavlinkLink
from giljabi.yaml_file import Strict
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.mavlink_authority import Authority
from giljabi_drivers.mavlink_autopilots import AUTOPILOTS
from giljabi_drivers.mavlink_commands import Rung, TableBuilder
from giljabi_drivers.mavlink_frames import Heard, Parser, Speaker
from giljabi_drivers.mavlink_parameters import Wanted
from giljabi_drivers.mavlink_requests import Exchange, Exchanges, text_of
from giljabi_drivers.mavlink_samples import Noise, Telemetry
from giljabi_drivers.mavlink_time import TimeSync
from giljabi_drivers.mavlink_traffic import MESSAGE, RATE_HZ, Traffic
from giljabi_drivers.sensors import SensorWatch

MAX_LINES = 32
SILENT_S = 2.0  # without any message the autopilot is gone ...
BEAT_SILENT_S = 5.0  # ... and without HEARTBEAT (1 Hz), of which a line may lose some
TEXT_S = 10.0  # how long a warning of the autopilot is shown
TEXTS = 50  # that are kept
UNSIGNED = frozenset({"RADIO_STATUS"})  # radios cannot sign
EKF_NEEDS = {
    dialect.ESTIMATOR_ATTITUDE: "attitude", dialect.ESTIMATOR_VELOCITY_HORIZ: "horizontal velocity",
    dialect.ESTIMATOR_VELOCITY_VERT: "vertical velocity", dialect.ESTIMATOR_POS_HORIZ_ABS: "horizontal position",
}  # fmt: skip


class MavlinkOptions(Strict):
    """`options` of a mavlink driver."""

    autopilot: Literal["ardupilot", "px4"] = "ardupilot"
    system_id: int = Field(default=1, ge=1, le=255, description="of the vehicle; several may share a line")
    component_id: int = Field(default=1, ge=1, le=255)
    source_system: int = Field(default=255, ge=1, le=255, description="ours: the autopilot's ground station id")
    signing_key_file: str | None = Field(default=None, description="64 hex digits, or 32 bytes")
    period_s: float = Field(default=0.02, gt=0, le=0.5, description="of setpoints")
    ladder: list[Rung] = Field(
        default_factory=lambda: [
            Rung(mode="hold", after_s=1.0), Rung(mode="return", after_s=15.0), Rung(mode="land", after_s=180.0)
        ],
        description="what the autopilot is told after the safe output has begun",
    )  # fmt: skip
    rates_hz: dict[str, float] = Field(default_factory=dict, description="of messages, instead of the usual ones")
    parameters: dict[str, float] = Field(
        default_factory=dict, description="of the autopilot: written while it is disarmed, else it does not arm"
    )
    battery_low: float = Field(default=0.2, ge=0, lt=1, description="share of charge below which it does not arm")
    position_std_m: float = Field(default=0.5, gt=0)
    velocity_std_mps: float = Field(default=0.1, gt=0)
    attitude_std_rad: float = Field(default=0.02, gt=0)
    traffic_std_m: float = Field(default=2.0, gt=0, description="of where other aircraft say they are")


class MavlinkDriver:
    """One vehicle on a MAVLink line."""

    def __init__(self, platform: Platform, name: str) -> None:
        """name: the device's key under `drivers` of the platform file; raises BadInputError with its line."""
        self.name = name
        self.stats = DriverStats()
        self._platform = platform
        o = self._options = platform.options(MavlinkOptions, "drivers", name)
        self.autopilot = AUTOPILOTS[o.autopilot]
        self.target = (o.system_id, o.component_id)
        self._key = self._read_key(o.signing_key_file)
        link = WireMavlinkLink(o.source_system, dialect.MAV_COMP_ID_ONBOARD_COMPUTER, 0, self._key)
        self._table = TableBuilder(platform, name, self.autopilot, self.target).build(link, o.period_s, o.ladder)
        # Guard and driver are two writers: each is a component with a sequence of its own.
        self._speaker = Speaker(o.source_system, dialect.MAV_COMP_ID_ONBOARD_COMPUTER2, self._key)
        self._watch = SensorWatch(platform, name)
        self.time = TimeSync()
        noise = Noise(o.position_std_m, o.velocity_std_mps, o.attitude_std_rad)
        self._traffic = Traffic(self._watch.names.get("detections", ""), o.traffic_std_m)
        self._telemetry = Telemetry(self.time.map, self._watch.source, noise, self._traffic)
        self.exchanges = Exchanges()
        self.authority = Authority(self.autopilot, self.target, self.exchanges)
        self._parsers: dict[int, Parser] = {}
        self._wanted = Wanted(self.target, self._wanted_parameters(), o.autopilot == "px4")
        self._rates = self._wanted_rates()
        self._connected = False
        self.texts: list[tuple[float, int, str]] = []  # receive time, severity, words
        self._problem = ""  # of what HEARTBEAT says
        self._prearm = ""
        self._ekf = ""
        self._seen = -math.inf  # newest message of the autopilot [s]
        self._boot = -math.inf  # newest time since boot [s]

    # --- contract ---

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes bytes in any chunking; never raises on bad bytes, counts them instead."""
        samples: list[Sample] = []
        send: list[Any] = []
        for r in received:
            if r.can_id >= 0:
                self.stats.reject("not_a_stream")
                continue
            for heard in self._parser(r.bus).feed(r.t, r.data):
                self._hear(heard, samples, send)
        for sample in samples:
            self._watch.saw(sample)
        self._look(now)
        if self._connected:
            question = self.time.ask(now)
            send += [question] if question is not None else []
            self.authority.update(now)
            self._wanted.update(now, self.authority.armed, self.exchanges)
        send += self.exchanges.due(now) if self._connected else []
        return StepResult(tuple(samples), tuple(self._speaker.encode(now, m) for m in send), now + 0.05)

    def encode_table(self) -> EncodeTable | None:
        """Setpoints, heartbeat and the ladder for the guard; None when the platform gives no inputs."""
        return self._table

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors that are silent, and what the autopilot says against flying."""
        out = dict(self._watch.problems(now))
        if not self._connected:
            out[self.name] = f"no heartbeat of system {self.target[0]}; are its power, the baud rate and the ids right?"
            return out
        for name, words in (("autopilot", self._problem), ("ekf", self._ekf), ("request", self.authority.words)):
            if words:
                out[name] = words
        if self._wanted.words and not self.authority.armed:
            out["parameters"] = self._wanted.words
        if self._prearm and not self.authority.armed:
            out["prearm"] = self._prearm
        share = self._telemetry.battery_share
        if share < self._options.battery_low:
            out["battery"] = f"{share:.0%} left; {self._options.battery_low:.0%} is the least"
        return out

    # --- beside the contract ---

    def guard_says(self, state: StackState, output: Mapping[str, float]) -> str:
        """Takes the guard's state and outputs; returns why the guard must disarm, or an empty text."""
        return self.authority.guard_says(state, output)

    def begin(self, exchange: Exchange) -> None:
        """Begins a transfer of a mission, fence or rally points, or of a parameter."""
        self.exchanges.add(exchange)

    @property
    def lost(self) -> int:
        """Messages that gaps in the senders' sequences stand for."""
        return sum(p.lost for p in self._parsers.values())

    # --- hearing ---

    def _parser(self, line: int) -> Parser:
        parser = self._parsers.get(line)
        if parser is None:
            if len(self._parsers) >= MAX_LINES:
                self._parsers.pop(next(iter(self._parsers)))
            parser = self._parsers[line] = Parser(self._key, UNSIGNED, self.stats.reject)
        return parser

    def _hear(self, heard: Heard, samples: list[Sample], send: list[Any]) -> None:
        if (heard.system, heard.component) != self.target:
            self._ignore("other_system" if heard.system != self.target[0] else "other_component")
            return
        try:
            known = self._handle(heard, samples, send)
        except (ValueError, OverflowError, TypeError):
            self.stats.reject("bad_field")
            return
        self._seen = heard.t
        self.stats.accepted += 1
        self.stats.last_t[heard.name] = heard.t
        if not known:
            self._ignore(heard.name)

    def _ignore(self, name: str) -> None:
        self.stats.ignored[name] = self.stats.ignored.get(name, 0) + 1

    def _handle(self, heard: Heard, samples: list[Sample], send: list[Any]) -> bool:
        name, m = heard.name, heard.message
        boot = getattr(m, "time_boot_ms", None)
        if boot is not None:
            self._booted(boot * 1e-3)
        if name == "HEARTBEAT":
            self._heartbeat(heard)
        elif name == "TIMESYNC":
            answer = self.time.hear(heard.t, m)
            send += [answer] if answer is not None else []
        elif name == "STATUSTEXT":
            self._text(heard)
        elif name in ("EKF_STATUS_REPORT", "ESTIMATOR_STATUS"):
            missing = [words for bit, words in EKF_NEEDS.items() if not m.flags & bit]
            self._ekf = f"the estimate has no {', '.join(missing)}" if missing else ""
        elif name in ("COMMAND_ACK", "PARAM_VALUE") or name.startswith("MISSION_"):
            self.exchanges.hear(heard)
        elif name in self._telemetry.known:
            if name == "SYS_STATUS":
                self._sys_status(m)
            samples += self._telemetry.take(heard)
            self.authority.landed = self._telemetry.landed
            if self._telemetry.no_fix:
                self._watch.note("gnss", "the receiver reports no fix")
        else:
            return False
        return True

    def _booted(self, boot: float) -> None:
        """A clock that has gone back by more than messages overtake each other is another boot."""
        if boot < self._boot - 5.0:
            self.stats.flag("autopilot_restarted")
            self._connected = False
            self.exchanges.clear()
            self.time = TimeSync()
            self._telemetry.stamp = self.time.map
        self._boot = boot if not self._connected else max(boot, self._boot)

    def _heartbeat(self, heard: Heard) -> None:
        m = heard.message
        if m.autopilot == dialect.MAV_AUTOPILOT_INVALID:
            return  # a camera or a radio under the vehicle's number
        self.authority.heartbeat(heard.t, m)
        wrong = m.autopilot != self.autopilot.number
        known = dialect.enums["MAV_AUTOPILOT"].get(m.autopilot)
        said = known.name.removeprefix("MAV_AUTOPILOT_").lower() if known else str(m.autopilot)
        self._problem = f"it says it is {said}; options.autopilot says {self.autopilot.name}" if wrong else ""
        if m.system_status >= dialect.MAV_STATE_CRITICAL:
            state = dialect.enums["MAV_STATE"].get(m.system_status)
            self._problem = f"it reports {state.name.removeprefix('MAV_STATE_').lower() if state else 'trouble'}"
        if not self._connected:
            self._connected = True
            self._greet()

    def _greet(self) -> None:
        """After every (re)connection: asks for the messages that the stack lives on; the autopilot is not restarted."""
        self.exchanges.forget(dialect.MAV_CMD_SET_MESSAGE_INTERVAL)
        self.authority.lost()
        self._wanted.anew()
        for name, rate in self._rates.items():
            number = float(getattr(dialect, f"MAVLINK_MSG_ID_{name}"))
            interval = 1e6 / rate if rate > 0.0 else -1.0
            self.exchanges.command(self.target, dialect.MAV_CMD_SET_MESSAGE_INTERVAL, number, interval)

    def _look(self, now: float) -> None:
        silent = now - self._seen > SILENT_S or now - self.authority.seen > BEAT_SILENT_S
        if self._connected and silent:
            self._connected = False
            self.stats.flag("autopilot_silent")

    def _text(self, heard: Heard) -> None:
        text = text_of(heard.message.text)
        self.texts = [*self.texts[1 - TEXTS :], (heard.t, heard.message.severity, text)]
        if text.lower().startswith(("prearm", "preflight fail", "arm:")):
            self._prearm = text

    def _sys_status(self, m: Any) -> None:
        bit = dialect.MAV_SYS_STATUS_PREARM_CHECK
        if not m.onboard_control_sensors_enabled & bit:
            return
        if m.onboard_control_sensors_health & bit:
            self._prearm = ""
        elif not self._prearm:
            self._prearm = "its checks before arming are not passed"

    # --- configuration ---

    def _wanted_parameters(self) -> dict[str, float]:
        wanted = self._options.parameters
        for name, value in wanted.items():
            key = ("drivers", self.name, "options", "parameters", name)
            if not (name.isascii() and 0 < len(name) <= 16):
                raise self._platform.error(key, f"'{name}' is no parameter's name; 1 to 16 letters are expected")
            if not math.isfinite(value):
                raise self._platform.error(key, f"{value} is no value; a finite number is expected")
        return wanted

    def _wanted_rates(self) -> dict[str, float]:
        traffic = {MESSAGE: RATE_HZ} if self._traffic.wanted else {}
        rates = {**self.autopilot.intervals_hz, **traffic, **self._options.rates_hz}
        for name, rate in self._options.rates_hz.items():
            key = ("drivers", self.name, "options", "rates_hz", name)
            if not hasattr(dialect, f"MAVLINK_MSG_ID_{name}"):
                raise self._platform.error(key, f"no message is called '{name}'; a name of the dialect is expected")
            if not 0.0 <= rate <= 1000.0:
                raise self._platform.error(key, f"{rate} is no rate; 0 to 1000 Hz is expected")
        return rates

    def _read_key(self, file: str | None) -> bytes:
        if file is None:
            return b""
        path = self._platform.file.path.parent / file
        key = ("drivers", self.name, "options", "signing_key_file")
        try:
            data = Path(path).read_bytes()
        except OSError as e:
            raise self._platform.error(key, f"{path} cannot be read ({e.strerror}); a key is expected") from None
        if len(data) != 32:
            try:
                data = bytes.fromhex(data.decode("ascii").strip())
            except ValueError:
                data = b""
        if len(data) != 32:
            raise self._platform.error(key, f"{path} holds no key; 64 hex digits, or 32 bytes are expected")
        return data

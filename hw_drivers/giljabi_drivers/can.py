"""Vehicles on CAN: frames to samples by the names of a DBC, actuators to command messages.

The names are those of public databases (opendbc) and of config/dbc/car.dbc; a message that the database does not
have is not expected. Stamps are receive times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field as Option

from giljabi.platform import Platform
from giljabi.types import NAN, Array, BadInputError, Detections, Imu, JointState, Kind, Sample
from giljabi.wire import EncodeTable
from giljabi.yaml_file import Strict
from giljabi_drivers.can_checks import KINDS, MessageOptions, known_kind, set_options
from giljabi_drivers.can_commands import SignalCommand, build_table
from giljabi_drivers.can_imu import CanImu, ImuSignals, build_imu
from giljabi_drivers.can_watch import MessageWatch
from giljabi_drivers.contract import DriverStats, Received, StepResult
from giljabi_drivers.dbc import Database, Message, find_dbc, load_dbc
from giljabi_drivers.sensors import SensorWatch

WHEELS = ("FL", "FR", "RL", "RR")
OWN_MOTION_MAX_AGE = 0.3  # s, how long wheel speed and yaw rate serve the radar
SCAN_MAX_AGE = 0.1  # s, radar objects wait that long for the end of their scan


class CanOptions(Strict):
    """`options` of a can driver."""

    dbc: str
    checksum: str = Option(
        default="none",
        description=f"of messages with a CHECKSUM signal, unless the DBC says otherwise: {', '.join(KINDS)}",
    )
    messages: dict[str, MessageOptions] = Option(
        default_factory=dict, description="by name: checksum, counter, period; what is not named is the DBC's"
    )
    bus: int | None = Option(default=None, ge=0, description="listen to this bus only")
    steering_ratio: float = Option(default=1.0, gt=0, description="steering wheel to road wheel")
    acceleration_sign: Literal[-1, 1] | None = Option(
        default=None, description="KINEMATICS: -1 when ACCEL_X is positive under braking, as in opendbc's Toyota files"
    )
    radar_std_m: float = Option(default=0.5, gt=0, description="of a radar position, per axis")
    commands: dict[str, SignalCommand] = Option(default_factory=dict)
    imu: ImuSignals | None = Option(default=None, description="signals of an IMU; else KINEMATICS is one")


Take = Callable[[bytes, float], None]


class CanDriver:
    """One CAN device (a vehicle's bus), whatever carries its frames."""

    def __init__(self, platform: Platform, name: str, dbc: str | Path | None = None) -> None:
        """dbc: takes the place of the platform file's; raises BadInputError with file and line."""
        self.name = name
        self.stats = DriverStats()
        self._platform = platform
        self._options = platform.options(CanOptions, "drivers", name)
        try:
            path = find_dbc(dbc or self._options.dbc, platform.file.path.parent)
        except BadInputError as e:
            if dbc is not None:
                raise
            raise platform.error(("drivers", name, "options", "dbc"), str(e)) from None
        self.database: Database = self._load(path, strict=dbc is None)
        self._watch = SensorWatch(platform, name)
        self._table = build_table(platform, name, self._options.commands, self.database, strict=dbc is None)
        actuator_of = {c.message: n for n, c in self._options.commands.items()}
        self._steering = actuator_of.get("STEERING_COMMAND", "steering")
        self._throttle = actuator_of.get("DRIVE_COMMAND", "throttle")
        self._faults: dict[str, str] = {}
        self._speed: tuple[float, float] = (-math.inf, 0.0)  # receive time, m/s
        self._yaw_rate: tuple[float, float] = (-math.inf, 0.0)  # receive time, rad/s
        self._scan: dict[int, tuple[float, ...]] = {}
        self._scan_t = -math.inf
        self._mount = _mount(platform, self._watch.names.get("detections"))
        self._out: list[Sample] = []
        self._missing: dict[str, str] = {}
        self.messages = MessageWatch(self._options.messages, self._options.bus)
        self._imu = self._build_imu(strict=dbc is None)
        self._takers = self._listen()

    def _load(self, path: Path, strict: bool) -> Database:
        """The database with what the platform file says of its messages; BadInputError with file and line.

        strict: False lets messages be absent, as in the database of a recording.
        """
        options, key = self._options, ("drivers", self.name, "options")
        try:
            known_kind(options.checksum)
        except BadInputError as e:
            raise self._platform.error((*key, "checksum"), str(e)) from None
        database = load_dbc(path, options.checksum)
        for name, o in options.messages.items():
            m = database.by_name.get(name)
            try:
                if m is not None:
                    set_options(m, o, options.checksum)
                elif strict:
                    raise BadInputError(f"{database.path.name} has no message '{name}'")
            except BadInputError as e:
                raise self._platform.error((*key, "messages", name), f"{name}: {e}") from None
        return database

    # --- contract -----------------------------------------------------------------------------------

    def step(self, now: float, received: Sequence[Received]) -> StepResult:
        """Consumes frames; never raises on bad frames, counts them instead."""
        self._out = []
        for index, r in self.messages.feed(received, self.stats):
            take = self._takers[index]
            if take is not None:
                take(r.data, r.t)
        if self._scan and now - self._scan_t > SCAN_MAX_AGE:
            self._end_scan()
        deadline = min(self.messages.expire(now), self._scan_t + SCAN_MAX_AGE if self._scan else math.inf)
        return StepResult(tuple(self._out), (), deadline)

    def encode_table(self) -> EncodeTable | None:
        """Command messages for the guard; None when the device takes no commands."""
        return self._table

    def health(self, now: float) -> Mapping[str, str]:
        """Required sensors and messages that are silent too long or not there, and actuators that report a fault."""
        problems = {**self._watch.problems(now), **self.messages.problems(now), **self._faults}
        for name, what in self._missing.items():
            if name in problems:
                problems[name] = what
        return problems

    def diagnostics(self, now: float) -> Mapping[str, str]:
        """Rate, counts and silence of each message, as text."""
        return self.messages.diagnostics(now)

    def listens(self) -> Collection[int]:
        """Identifiers that are of interest, bit 31 set for the extended format."""
        return self.messages.keys

    # --- messages by name ---------------------------------------------------------------------------

    def _listen(self) -> list[Take | None]:
        """Everything of interest, and everything that has a checksum."""
        takers: dict[str, Take] = {}
        by_name = self.database.by_name
        for name, make in (
            ("WHEEL_SPEEDS", self._wheel_speeds), ("STEER_ANGLE_SENSOR", self._steer_angle),
            ("KINEMATICS", self._kinematics), ("STEERING_STATUS", self._steering_status),
            ("DRIVE_STATUS", self._drive_status), ("RADAR_STATUS", self._radar_status),
        ):  # fmt: skip
            if name in by_name:
                takers[name] = make(by_name[name])
        for name, m in by_name.items():
            head, _, number = name.rpartition("_")
            if head == "RADAR_OBJECT" and number.isdigit():
                takers[name] = self._radar_object(m, int(number))
        for name, take in (self._imu.takers() if self._imu else {}).items():
            takers[name] = _both(takers.get(name), take)
        imu = tuple(self._imu.readers) if self._imu else ("KINEMATICS",)
        kinds = {"imu": imu, "joints": ("WHEEL_SPEEDS", "STEER_ANGLE_SENSOR", "STEERING_STATUS")}
        kinds["detections"] = ("RADAR_OBJECT_0",)
        for kind, sensor in self._watch.names.items():
            if not any(n in takers for n in kinds.get(kind, ())):
                wanted = ", ".join(kinds.get(kind, ())) or "nothing this driver knows"
                self._missing[sensor] = f"{self.database.path.name} has no message for {sensor} ({wanted})"
        out: list[Take | None] = []
        commands = {c.message for c in self._options.commands.values()}
        for m in self.database.by_key.values():
            named = m.name in takers or m.name in self._options.messages
            if not named and (m.checker is None or m.name in commands):
                continue
            self.messages.add(m, wanted=m.name in takers, counted=named)
            out.append(takers.get(m.name))
        return out

    def _give(self, sample: Sample) -> None:
        self._out.append(sample)
        self._watch.saw(sample)

    def _give_joints(self, t: float, **slots: Mapping[str, float]) -> None:
        self._give(JointState(t, source=self._watch.source("joints", "joints"), **slots))

    def _wheel_speeds(self, m: Message) -> Take:
        """wheel_fl, wheel_fr, wheel_rl, wheel_rr in m/s over ground (not rad/s: the radius is the vehicle's affair)."""
        readers = []
        for w in WHEELS:
            read = m.si(f"WHEEL_SPEED_{w}", "speed", "km/h")
            if read is not None:
                readers.append((f"wheel_{w.lower()}", read, m.fields.get(f"WHEEL_SPEED_{w}_FAULT")))

        def take(data: bytes, t: float) -> None:
            velocity = {n: read(data) for n, read, fault in readers if fault is None or not fault.raw(data)}
            if velocity:
                rear = [velocity[n] for n in ("wheel_rl", "wheel_rr") if n in velocity] or list(velocity.values())
                self._speed = (t, sum(rear) / len(rear))
                self._give_joints(t, velocity=velocity)

        return take

    def _steer_angle(self, m: Message) -> Take:
        angle, fraction = m.si("STEER_ANGLE", "angle", "deg"), m.si("STEER_FRACTION", "angle", "deg")
        ratio, name = self._options.steering_ratio, self._steering

        def take(data: bytes, t: float) -> None:
            if angle is not None:
                wheel = angle(data) + (fraction(data) if fraction is not None else 0.0)
                self._give_joints(t, position={name: wheel / ratio})

        return take

    def _kinematics(self, m: Message) -> Take:
        rate = m.si("YAW_RATE", "angular rate", "deg/s")
        ax, ay = m.si("ACCEL_X", "acceleration", "m/s^2"), m.si("ACCEL_Y", "acceleration", "m/s^2")
        # Measured on a recorded drive: opendbc's Toyota YAW_RATE is positive to the left, ACCEL_X and ACCEL_Y are
        # inertial forces, opposite to specific force in FLU. A DBC with the attribute Axes "FLU" needs no turn.
        sign = self._options.acceleration_sign or (1 if m.axes == "FLU" else -1)

        def take(data: bytes, t: float) -> None:
            omega, force = np.full(3, NAN), np.full(3, NAN)
            if rate is not None:
                omega[2] = rate(data)
                self._yaw_rate = (t, float(omega[2]))
            if ax is not None and ay is not None:
                force[:2] = sign * ax(data), sign * ay(data)
            if self._imu is None:
                self._give(Imu(t, omega, force, self._watch.source("imu", "imu")))

        return take

    def _build_imu(self, strict: bool) -> CanImu | None:
        def give(t: float, reading: Array) -> None:
            self._give(Imu(t, reading[:3], reading[3:], self._watch.source("imu", "imu")))

        signals = self._options.imu
        return build_imu(self._platform, self.name, signals, self.database, give, strict=strict) if signals else None

    def _steering_status(self, m: Message) -> Take:
        return self._status(m, m.si("ANGLE", "angle", "deg"), "position", self._steering)

    def _drive_status(self, m: Message) -> Take:
        return self._status(m, m.si("FORCE", "force", "N"), "effort", self._throttle)

    def _status(self, m: Message, read: Callable[[bytes], float] | None, slot: str, name: str) -> Take:
        fault = m.fields.get("FAULT")

        def take(data: bytes, t: float) -> None:
            faulty = fault is not None and bool(fault.raw(data))
            if faulty:
                self._faults[name] = f"the vehicle reports a fault of {name}"
            else:
                self._faults.pop(name, None)
            if read is not None and not faulty:
                self._give_joints(t, **{slot: {name: read(data)}})

        return take

    # --- radar --------------------------------------------------------------------------------------

    def _radar_object(self, m: Message, index: int) -> Take:
        x, y = m.si("LONG_DIST", "length", "m"), m.si("LAT_DIST", "length", "m")
        vx, vy = m.si("LONG_REL_SPEED", "speed", "m/s"), m.si("LAT_REL_SPEED", "speed", "m/s")
        length, width = m.si("LENGTH", "length", "m"), m.si("WIDTH", "length", "m")
        number, valid = m.fields.get("OBJECT_ID"), m.fields.get("VALID")

        def take(data: bytes, t: float) -> None:
            if index in self._scan:  # the end of the last scan was lost
                self._end_scan()
            self._scan_t = t
            if x is None or y is None or (valid is not None and not valid.raw(data)):
                return
            self._scan[index] = (
                x(data), y(data), vx(data) if vx else NAN, vy(data) if vy else NAN,
                (length(data) if length else 0.0) or NAN, (width(data) if width else 0.0) or NAN,
                float(number.raw(data)) if number is not None else float(index),
            )  # fmt: skip

        return take

    def _radar_status(self, m: Message) -> Take:
        count, fault = m.fields.get("OBJECT_COUNT"), m.fields.get("FAULT")

        def take(data: bytes, t: float) -> None:
            if fault is not None and fault.raw(data):
                self._scan = {}
                self._watch.note("detections", "the radar reports a fault")
                return
            if count is not None and count.raw(data) != len(self._scan):
                self.stats.flag("radar_object_missing")
            self._scan_t = t
            self._end_scan()

        return take

    def _end_scan(self) -> None:
        """Gives the scan in base_link; velocity over ground needs the car's own motion and is NaN without it."""
        rotation, position = self._mount
        t = self._scan_t
        own: Array = np.full(2, NAN)
        if t - self._speed[0] <= OWN_MOTION_MAX_AGE and t - self._yaw_rate[0] <= OWN_MOTION_MAX_AGE:
            v, w = self._speed[1], self._yaw_rate[1]
            own = np.array([v - w * position[1], w * position[0]])  # of the radar, over ground, along base_link
        rows = np.full((len(self._scan), 11), NAN)
        for row, (x, y, vx, vy, length, width, number) in zip(rows, self._scan.values(), strict=True):
            row[:3] = rotation @ np.array([x, y, 0.0]) + position
            row[3:5] = (rotation @ np.array([vx, vy, 0.0]))[:2] + own
            row[6:] = length, width, number, Kind.UNKNOWN.value, self._options.radar_std_m**2
        self._scan = {}
        self._give(Detections(t, self._watch.source("detections", "radar"), "base_link", rows))


def _both(first: Take | None, second: Take) -> Take:
    """Two parts that want the same message."""
    if first is None:
        return second

    def take(data: bytes, t: float) -> None:
        first(data, t)
        second(data, t)

    return take


def _mount(platform: Platform, sensor: str | None) -> tuple[Array, Array]:
    """R_base_sensor (3, 3) and the sensor's position in base_link (3,) [m] from the platform file."""
    if sensor is None:
        return np.eye(3), np.zeros(3)
    s = platform.model.sensors[sensor]
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a), math.sin(a)) for a in np.radians(s.rpy_deg))
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return np.asarray(yaw @ pitch @ roll), np.array(s.position)

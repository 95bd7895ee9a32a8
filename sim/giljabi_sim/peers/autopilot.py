"""An autopilot on a MAVLink line, flying the plant: telemetry, commands, missions, parameters, TIMESYNC.

Encoded and parsed by pymavlink alone. Signs on the wire are MAVLink's: NED, FRD, headings clockwise from north.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from pymavlink.dialects.v20 import ardupilotmega as dialect

from giljabi.platform import Platform
from giljabi.types import Array
from giljabi.yaml_file import Strict
from giljabi_sim.noise import Drift, Schedule, generator
from giljabi_sim.peers.autopilot_flight import GUIDED, READY_S, Estimate, Loops, Pilot, rotation_of
from giljabi_sim.peers.autopilot_lists import Lists
from giljabi_sim.peers.autopilot_traffic import Receiver
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.scenario import Actor

if TYPE_CHECKING:
    from giljabi_sim.world import World

BOOTED_S = 17.3  # s that the autopilot has been on at the scenario's 0
NOT_FORCED, FORCE = 0.0, 21196.0  # second parameter of disarming
# Bits of a setpoint's type_mask that say: not given.
USES_YAW_RATE, USES_ACCELERATION, USES_VELOCITY = 0b1000_0000_0000, 0b1_1100_0000, 0b11_1000


class AutopilotOptions(Strict):
    """`options` of an autopilot peer."""

    system_id: int = Field(default=1, ge=1, le=255)
    position_m: float = Field(default=0.15, ge=0, description="1 sigma of the estimate, drifting")
    velocity_mps: float = Field(default=0.03, ge=0, description="1 sigma of the estimate")
    gyro_radps: float = Field(default=0.01, ge=0)
    accel_mps2: float = Field(default=0.15, ge=0)
    traffic_m: float = Field(default=1.0, ge=0, description="1 sigma of where other drones say they are")
    clock_ppm: float = Field(default=20.0, description="by which its clock is fast")
    key_file: str | None = Field(default=None, description="signs with this key, and takes signed frames only")


class AutopilotPeer:
    """A multirotor's autopilot, as ArduCopter shows itself on the wire."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        o = self._o = platform.options(AutopilotOptions, "simulation", "peers", name)
        self._name = name
        vehicle: Any = world.vehicle
        if not hasattr(vehicle, "battery"):
            key = ("simulation", "plant")
            raise platform.error(key, "an autopilot flies a multirotor; plant: quadrotor is expected")
        self._mav = dialect.MAVLink(None, srcSystem=o.system_id, srcComponent=1)
        self._mav.robust_parsing = True
        if o.key_file is not None:
            self._sign((platform.file.path.parent / o.key_file).read_text().strip())
        self._rng = generator(seed, f"{name}.autopilot")
        self._drift = Drift(generator(seed, f"{name}.position"), o.position_m, 30.0, 3)
        self._wobble = Drift(generator(seed, f"{name}.velocity"), o.velocity_mps, 2.0, 3)
        self._ground = world.own.z
        self._gnss = next((n for n, s in platform.model.sensors.items() if s.kind == "gnss"), "gnss")
        self.pilot = Pilot(Loops(vehicle.parameters))
        self.lists = Lists(o.system_id, parameters=self.pilot.parameters)
        self._last: float | None = None
        self._no_fix_since: float | None = None
        self._estimate = self._believe(0.0, world)
        self._traffic = Receiver(generator(seed, f"{name}.traffic"), o.traffic_m)
        self._tasks: dict[int, tuple[Schedule, Callable[[float, World], Any]]] = {}
        self._known = self._messages()
        self._set_interval(dialect.MAVLINK_MSG_ID_HEARTBEAT, 1.0)
        self._out: list[Any] = []

    def step(self, now: float, received: Sequence[Chunk], world: World) -> PeerResult:
        """Frames in; the vehicle's rotors moved, telemetry out."""
        dt = 0.0 if self._last is None else now - self._last
        self._last = now
        self._estimate = self._believe(now, world)
        for chunk in received:
            for m in self._mav.parse_buffer(chunk.data) or ():
                self._take(now, m)
        vehicle: Any = world.vehicle
        self.pilot.step(now, dt, self._estimate, vehicle.commands, vehicle.battery[2])
        for severity, text in self.pilot.texts:
            self._out.append(dialect.MAVLink_statustext_message(severity, text.encode()[:50]))
        self.pilot.texts.clear()
        for schedule, make in list(self._tasks.values()):
            if schedule.due(now):
                self._out.append(make(now, world))
        data = b"".join(self._pack(m) for m in self._out if m is not None)
        self._out.clear()
        deadline = min((s.next for s, _ in self._tasks.values()), default=math.inf)
        return PeerResult((Chunk(data),) if data else (), deadline)

    def _sign(self, key: str) -> None:
        self._mav.signing.secret_key = bytes.fromhex(key)
        self._mav.signing.sign_outgoing = True
        self._mav.signing.timestamp = 1

    def _pack(self, message: Any) -> bytes:
        data = bytes(message.pack(self._mav))
        self._mav.seq = (self._mav.seq + 1) % 256
        return data

    def _believe(self, now: float, world: World) -> Estimate:
        own = world.own
        c, s = math.cos(own.yaw), math.sin(own.yaw)
        velocity = np.array([c * own.vx - s * own.vy, s * own.vx + c * own.vy, own.vz]) + self._wobble.at(now)
        position = np.array([own.x, own.y, own.z - self._ground]) + self._drift.at(now) * np.array([1.0, 1.0, 0.5])
        return Estimate(position, velocity, rotation_of(own), own.yaw, np.array(own.rates))

    def _boot_ms(self, now: float) -> int:
        return int((now + BOOTED_S) * (1.0 + 1e-6 * self._o.clock_ppm) * 1e3)

    # --- commands ---

    def _take(self, now: float, m: Any) -> None:
        name = m.get_type()
        if name == "BAD_DATA":
            self.rejected["framing"] = self.rejected.get("framing", 0) + 1
            return
        if getattr(m, "target_system", self._o.system_id) not in (0, self._o.system_id):
            self.rejected["other_target"] = self.rejected.get("other_target", 0) + 1
            return
        self.accepted += 1
        if name == "HEARTBEAT":
            self.pilot.beat_t = now
        elif name == "TIMESYNC" and m.tc1 == 0:
            self._out.append(dialect.MAVLink_timesync_message(self._boot_ms(now) * 1_000_000, m.ts1))
        elif name == "SET_POSITION_TARGET_LOCAL_NED":
            self._setpoint(now, m)
        elif name == "COMMAND_LONG":
            result = self._command(now, m)
            sender = (m.get_srcSystem(), m.get_srcComponent())
            self._out.append(dialect.MAVLink_command_ack_message(m.command, result, 0, 0, *sender))
        else:
            self._out += self.lists.take(m)

    def _setpoint(self, now: float, m: Any) -> None:
        if m.coordinate_frame != dialect.MAV_FRAME_LOCAL_NED or m.type_mask & USES_VELOCITY:
            self.rejected["setpoint"] = self.rejected.get("setpoint", 0) + 1
            return
        rate = 0.0 if m.type_mask & USES_YAW_RATE else -m.yaw_rate
        given = not m.type_mask & USES_ACCELERATION
        acceleration = np.array([m.afy, m.afx, -m.afz]) if given else np.zeros(3)
        self.pilot.setpoint(now, np.array([m.vy, m.vx, -m.vz]), acceleration, rate)

    def _command(self, now: float, m: Any) -> int:
        """MAV_RESULT as ArduCopter gives it: what it will not do now has failed, what it does not know is denied."""
        p, no = self.pilot, dialect.MAV_RESULT_FAILED
        done: bool
        if m.command == dialect.MAV_CMD_DO_SET_MODE:
            done = p.set_mode(int(m.param2))
        elif m.command == dialect.MAV_CMD_COMPONENT_ARM_DISARM:
            arms = m.param1 == 1.0
            done = p.arm(now, self._estimate, self._trouble(now)) if arms else p.disarm(m.param2 == FORCE)
        elif m.command == dialect.MAV_CMD_NAV_TAKEOFF:
            done = p.take_off(m.param7)
        elif m.command == dialect.MAV_CMD_SET_MESSAGE_INTERVAL:
            done = self._set_interval(int(m.param1), 1e6 / m.param2 if m.param2 > 0.0 else 0.0)
            no = dialect.MAV_RESULT_DENIED
        else:
            return int(dialect.MAV_RESULT_UNSUPPORTED)
        return int(dialect.MAV_RESULT_ACCEPTED if done else no)

    def _trouble(self, now: float) -> str:
        if now < READY_S:
            return "AHRS: waiting for home"
        return "Need Position Estimate" if self._no_fix_since is not None else ""

    def _set_interval(self, number: int, rate_hz: float) -> bool:
        make = self._known.get(number)
        if make is None:
            return False
        if rate_hz > 0.0:
            self._tasks[number] = (Schedule(min(rate_hz, 200.0)), make)
        else:
            self._tasks.pop(number, None)
        return True

    # --- telemetry ---

    def _messages(self) -> dict[int, Callable[[float, World], Any]]:
        d = dialect
        return {
            d.MAVLINK_MSG_ID_HEARTBEAT: self._heartbeat, d.MAVLINK_MSG_ID_ATTITUDE_QUATERNION: self._attitude,
            d.MAVLINK_MSG_ID_LOCAL_POSITION_NED: self._position, d.MAVLINK_MSG_ID_RAW_IMU: self._imu,
            d.MAVLINK_MSG_ID_GPS_RAW_INT: self._gps, d.MAVLINK_MSG_ID_SYS_STATUS: self._sys_status,
            d.MAVLINK_MSG_ID_BATTERY_STATUS: self._battery, d.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN: self._origin,
            d.MAVLINK_MSG_ID_EXTENDED_SYS_STATE: self._extended, d.MAVLINK_MSG_ID_EKF_STATUS_REPORT: self._ekf,
            d.MAVLINK_MSG_ID_ADSB_VEHICLE: self._traffic.report,
        }  # fmt: skip

    def _heartbeat(self, now: float, world: World) -> Any:
        base = dialect.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
        base |= dialect.MAV_MODE_FLAG_SAFETY_ARMED if self.pilot.armed else 0
        base |= dialect.MAV_MODE_FLAG_GUIDED_ENABLED if self.pilot.mode == GUIDED else 0
        state = dialect.MAV_STATE_ACTIVE if self.pilot.armed else dialect.MAV_STATE_STANDBY
        kind, family = dialect.MAV_TYPE_QUADROTOR, dialect.MAV_AUTOPILOT_ARDUPILOTMEGA
        return dialect.MAVLink_heartbeat_message(kind, family, base, self.pilot.mode, state, 3)

    def _attitude(self, now: float, world: World) -> Any:
        w, x, y, z = world.own.quaternion
        # NED from ENU: swap x and y, turn z; FRD from FLU: turn y and z. As quaternions, h = sqrt(1/2).
        h = math.sqrt(0.5)
        q = (-h * (w + z), -h * (x + y), h * (y - x), h * (z - w))
        p, r, s = self._estimate.rates + self._o.gyro_radps * self._rng.standard_normal(3)
        sign = 1.0 if q[0] >= 0.0 else -1.0
        q1, q2, q3, q4 = (sign * v for v in q)
        return dialect.MAVLink_attitude_quaternion_message(self._boot_ms(now), q1, q2, q3, q4, p, -r, -s)

    def _position(self, now: float, world: World) -> Any:
        (e, n, u), (ve, vn, vu) = self._estimate.position, self._estimate.velocity
        return dialect.MAVLink_local_position_ned_message(self._boot_ms(now), n, e, -u, vn, ve, -vu)

    def _imu(self, now: float, world: World) -> Any:
        force = np.array(world.own.specific_force) + self._o.accel_mps2 * self._rng.standard_normal(3)
        x, y, z = _int16(force * np.array([1.0, -1.0, -1.0]) / 9.80665 * 1e3)
        rates = np.array(world.own.rates) + self._o.gyro_radps * self._rng.standard_normal(3)
        p, q, r = _int16(rates * np.array([1.0, -1.0, -1.0]) * 1e3)
        return dialect.MAVLink_raw_imu_message(self._boot_ms(now) * 1000, x, y, z, p, q, r, 0, 0, 0)

    def _gps(self, now: float, world: World) -> Any:
        own = world.own
        silent = world.faults.silent(self._gnss)
        self._no_fix_since = (self._no_fix_since or now) if silent else None
        stamp = self._boot_ms(now) * 1000
        if silent:
            return dialect.MAVLink_gps_raw_int_message(stamp, 1, 0, 0, 0, 9999, 9999, 65535, 65535, 0)
        off = world.faults.offset(self._gnss)
        e = 0.4 * self._rng.standard_normal(3)
        place = world.frame.geodetic(own.x + e[0] + off, own.y + e[1] + off, own.z - self._ground + e[2])
        ve, vn, _ = self._estimate.velocity
        course = round(math.degrees(math.atan2(ve, vn)) % 360.0 * 100) % 36000
        lat, lon, alt = round(place.lat_deg * 1e7), round(place.lon_deg * 1e7), round(place.alt_m * 1e3)
        speed = round(math.hypot(ve, vn) * 100)
        return dialect.MAVLink_gps_raw_int_message(
            stamp, 3, lat, lon, alt, 80, 120, speed, course, 14, alt, 600, 900, 150, 0, 0
        )

    def _sys_status(self, now: float, world: World) -> Any:
        vehicle: Any = world.vehicle
        voltage, current, charge = vehicle.battery
        bit = dialect.MAV_SYS_STATUS_PREARM_CHECK
        good = 0 if self._trouble(now) else bit
        volts, amps, left = round(voltage * 1e3), round(current * 100), round(100 * charge)
        return dialect.MAVLink_sys_status_message(bit, bit, good, 200, volts, amps, left, 0, 0, 0, 0, 0, 0)

    def _battery(self, now: float, world: World) -> Any:
        vehicle: Any = world.vehicle
        voltage, current, charge = vehicle.battery
        cells = [round(voltage * 1e3), *[65535] * 9]
        return dialect.MAVLink_battery_status_message(
            0, 0, 3, 32767, cells, round(current * 100), -1, -1, round(100 * charge)
        )

    def _origin(self, now: float, world: World) -> Any:
        o = world.frame.geodetic(0.0, 0.0, 0.0)
        return dialect.MAVLink_gps_global_origin_message(
            round(o.lat_deg * 1e7), round(o.lon_deg * 1e7), round(o.alt_m * 1e3), self._boot_ms(now) * 1000
        )

    def _extended(self, now: float, world: World) -> Any:
        on, air = dialect.MAV_LANDED_STATE_ON_GROUND, dialect.MAV_LANDED_STATE_IN_AIR
        return dialect.MAVLink_extended_sys_state_message(0, on if self.pilot.landed else air)

    def _ekf(self, now: float, world: World) -> Any:
        d = dialect
        flags = d.ESTIMATOR_ATTITUDE | d.ESTIMATOR_VELOCITY_HORIZ | d.ESTIMATOR_VELOCITY_VERT
        if now >= READY_S and (self._no_fix_since is None or now - self._no_fix_since < 5.0):
            flags |= d.ESTIMATOR_POS_HORIZ_REL | d.ESTIMATOR_POS_HORIZ_ABS | d.ESTIMATOR_POS_VERT_ABS
        return d.MAVLink_ekf_status_report_message(flags, 0.1, 0.1, 0.1, 0.05, 0.0)


def _int16(v: Array) -> list[int]:
    return [int(np.clip(round(float(a)), -32767, 32767)) for a in v]

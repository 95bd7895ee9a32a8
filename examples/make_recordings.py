"""Makes the recordings in examples/data: boats in harbours (NMEA 0183, NMEA 2000) and a car (CAN, GNSS, IMU, truth).

usage: python examples/make_recordings.py [DIR]

Everything is computed; the same seed gives the same bytes. Sentences and frames are encoded here, not by giljabi.
"""

from __future__ import annotations

import gzip
import math
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import cantools
import numpy as np

from giljabi import frames as fr
from giljabi.types import Array, Origin
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation

ROOT = Path(__file__).resolve().parents[1]
T0 = 1767348000.0  # 2026-01-02 10:00:00 UTC
KNOT = 1852.0 / 3600.0


def path(t: Array, speed: Array, yaw_rate: Array, yaw0: float) -> tuple[Array, Array]:
    """Position (n, 2) [m, east north] and yaw (n,) [rad] from speed and yaw rate on a fine time grid."""
    dt = np.diff(t, prepend=t[0])
    yaw = yaw0 + np.cumsum(yaw_rate * dt)
    return np.column_stack([np.cumsum(speed * np.cos(yaw) * dt), np.cumsum(speed * np.sin(yaw) * dt)]), yaw


def nmea(body: str) -> str:
    """A sentence with its checksum."""
    value = 0
    for c in body:
        value ^= ord(c)
    return f"${body}*{value:02X}\r\n"


def degrees(value: float, digits: int, names: str) -> str:
    """ddmm.mmmmm,N as NMEA 0183 writes angles."""
    whole = int(abs(value))
    minutes = (abs(value) - whole) * 60.0
    return f"{whole:0{digits}d}{minutes:08.5f},{names[int(value < 0)]}"


def clock(t: float) -> str:
    """hhmmss.ss of seconds since midnight + T0's time of day."""
    s = (T0 + t) % 86400.0
    return f"{int(s // 3600):02d}{int(s // 60 % 60):02d}{s % 60:05.2f}"


def harbour(folder: Path) -> None:
    """Five minutes of a boat: GGA, RMC at 1 Hz, HDT and ROT at 5 Hz, VHW at 1 Hz."""
    rng = np.random.default_rng(1)
    frame = fr.LocalFrame(Origin(35.0960, 129.0400, 30.0))
    t = np.arange(0.0, 300.0, 0.02)
    speed = 3.0 * np.clip(t / 20.0, 0.0, 1.0) + 0.3 * np.sin(0.05 * t)
    p, yaw = path(t, speed, 0.04 * np.sin(0.03 * t) + 0.01, 2.0)
    lines = []
    for k in range(0, len(t), 10):
        heading = float(fr.heading_deg_from_yaw(yaw[k] + 0.01 * rng.standard_normal()))
        turn = -math.degrees((yaw[k + 5] - yaw[k]) / 0.1) * 60.0 + 0.5 * rng.standard_normal()
        lines += [nmea(f"HEHDT,{heading:.1f},T"), nmea(f"TIROT,{turn:.1f},A")]
        if k % 50:
            continue
        antenna = [*(p[k] + [math.cos(yaw[k]), math.sin(yaw[k])] + 0.8 * rng.standard_normal(2)), 3.0]
        lat, lon, alt = frame.geodetic_from_map(antenna)
        where = f"{degrees(lat, 2, 'NS')},{degrees(lon, 3, 'EW')}"
        v = (p[k + 10] - p[k]) / 0.2 + 0.05 * rng.standard_normal(2)
        course = float(fr.heading_deg_from_yaw(math.atan2(v[1], v[0])))
        knots = float(np.hypot(*v)) / KNOT
        lines.append(nmea(f"GPGGA,{clock(t[k])},{where},1,10,0.9,{alt:.1f},M,27.0,M,,"))
        lines.append(nmea(f"GPRMC,{clock(t[k])},A,{where},{knots:.2f},{course:.1f},020126,,,A"))
        water = (speed[k] - 0.4) / KNOT
        lines.append(nmea(f"VWVHW,{heading:.1f},T,,M,{water:.2f},N,{water * 1.852:.2f},K"))
    save(folder / "harbour.nmea.gz", "".join(lines))


def backbone(folder: Path) -> None:
    """Half a minute of the simulated workboat's NMEA 2000 bus: she turns to starboard, a ferry sends AIS."""
    simulation = Simulation(load_scenario("ship_crossing", ["start.speed=3"], platform="ship_n2k"))
    order = Chunk(struct.pack("<BBhhH", 0, 0xF8, 1000, 0x7FFF, 0xFFFF), 0x09F10D1E)  # 127245 from 30: 0.1 rad
    lines = []
    for k in range(1500):
        orders = [order] if k % 5 == 0 else []
        chunks = [*orders, *simulation.step(k / 50, {"backbone": orders}).get("backbone", ())]
        lines += [f"({T0 + k / 50:.6f}) can0 {c.can_id:08X}#{c.data.hex().upper()}\n" for c in chunks]
    save(folder / "backbone.candump.gz", "".join(lines))


def block(folder: Path) -> None:
    """A minute of a car: KINEMATICS and WHEEL_SPEEDS at 50 Hz on CAN, and tables of a recorder on the same clock."""
    rng = np.random.default_rng(2)
    frame = fr.LocalFrame(Origin(37.5100, 127.0600, 20.0))
    dbc = cantools.database.load_file(ROOT / "config/dbc/car.dbc")
    t = np.arange(0.0, 60.0, 0.01)
    speed = 9.0 + 3.0 * np.sin(0.3 * t)
    rate = 0.35 * np.clip(np.sin(0.25 * t), -0.5, 0.9)
    p, yaw = path(t, speed, rate, 0.4)
    along = np.gradient(speed, 0.01)
    frames = []
    for n, k in enumerate(range(0, len(t), 2)):
        kinematics = {
            "YAW_RATE": math.degrees(rate[k]) + 0.1 * rng.standard_normal(),
            "ACCEL_X": along[k] + 0.05 * rng.standard_normal(),
            "ACCEL_Y": speed[k] * rate[k] + 0.05 * rng.standard_normal(),
            "COUNTER": n % 16,
            "CHECKSUM": 0,
        }
        half = 0.75 * rate[k]
        wheels = {
            f"WHEEL_SPEED_{w}": 3.6 * (1.01 * speed[k] + s * half)
            for w, s in zip(("FL", "FR", "RL", "RR"), (-1, 1, -1, 1), strict=True)
        }
        wheels |= {f"{w}_FAULT": 0 for w in list(wheels)}
        for message, values in (("KINEMATICS", kinematics), ("WHEEL_SPEEDS", wheels)):
            m = dbc.get_message_by_name(message)
            data = bytearray(m.encode(values, strict=False))
            if "CHECKSUM" in values:  # Toyota: sum of length, address and the bytes before
                data[-1] = (len(data) + (m.frame_id >> 8) + (m.frame_id & 0xFF) + sum(data[:-1])) & 0xFF
            frames.append(f"({T0 + t[k]:.6f}) can0 {m.frame_id:03X}#{data.hex().upper()}\n")
    save(folder / "block.candump.gz", "".join(frames))

    force = np.column_stack([along, speed * rate, np.full_like(t, fr.GRAVITY)])
    gyro = np.column_stack([0 * t, 0 * t, rate])
    # The recorder lies in the car with its x axis forward, y right, z down, tilted a little.
    R = fr.R_FLU_FRD @ fr.matrix_from_rpy(0.03, -0.06, 0.05)
    for name, v, noise, bias in (("accelerometer", force, 0.08, 0.05), ("gyro", gyro, 0.003, 0.002)):
        table(folder / f"block_{name}.csv.gz", "t_s,x,y,z", t, v @ R.T + bias + noise * rng.standard_normal(v.shape))

    k = np.arange(10, len(t), 10)  # 10 Hz
    ahead = np.column_stack([np.cos(yaw), np.sin(yaw)])
    # The antenna of config/platforms/car.yaml; a fix needs 40 to 90 ms to arrive, and its clock tells its true time.
    antenna = np.column_stack([p + ahead, np.full(len(t), 1.5)])
    late = k - 4 - np.random.default_rng(3).integers(0, 6, len(k))
    wander = np.cumsum(0.02 * rng.standard_normal((len(k), 3)), axis=0) + 0.2 * rng.standard_normal((len(k), 3))
    g = frame.geodetic_from_map(antenna[late] + wander)
    v = speed[:, None] * ahead + rate[:, None] * np.column_stack([-ahead[:, 1], ahead[:, 0]])  # 1 m ahead of the axle
    course = fr.heading_deg_from_yaw(np.arctan2(v[late, 1], v[late, 0]))
    over_ground = np.hypot(v[late, 0], v[late, 1]) + 0.05 * rng.standard_normal(len(k))
    columns = [g[:, 0], g[:, 1], over_ground, (T0 + t[late]) * 1e3, g[:, 2], course]
    header = "t_s,lat_deg,lon_deg,speed_mps,utc_ms,alt_m,bearing_deg"
    table(folder / "block_gnss.csv.gz", header, t[k], np.column_stack(columns))

    q = [truth_quaternion(frame, a) for a in yaw[k]]
    ecef = fr.ecef_from_geodetic(*frame.geodetic_from_map(antenna[k]).T)
    velocity = np.column_stack([v[k], np.zeros(len(k))]) @ frame.R_ecef_map.T
    header = "t_s,ecef_x_m,ecef_y_m,ecef_z_m,qw,qx,qy,qz,vecef_x,vecef_y,vecef_z"
    table(folder / "block_truth.csv.gz", header, t[k], np.column_stack([ecef, q, velocity]))


def truth_quaternion(frame: fr.LocalFrame, yaw: float) -> Array:
    """Of a recorder (x forward, y right, z down) in ECEF."""
    return fr.quat_from_matrix(frame.R_ecef_map @ fr.matrix_from_rpy(0.0, 0.0, yaw) @ fr.R_FLU_FRD)


def table(file: Path, header: str, t: Array, columns: Array) -> None:
    """A CSV file, times since the epoch."""
    rows = (
        f"{T0 + a:.3f}," + ",".join(f"{v:.9g}" if abs(v) < 1e4 else f"{v:.4f}" for v in row)
        for a, row in zip(t, columns, strict=True)
    )
    save(file, header + "\n" + "\n".join(rows) + "\n")


def save(file: Path, text: str) -> None:
    """Gzip without a time stamp, so that the same data give the same bytes."""
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def main(argv: Sequence[str]) -> None:
    """Writes everything into DIR (default: examples/data)."""
    folder = Path(argv[0]) if argv else ROOT / "examples" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    harbour(folder)
    block(folder)
    backbone(folder)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Our flight controller over the simulator's multirotor: a fast figure of eight, a wrong mass, wind, a lost rotor.

usage: python benchmarks/flight.py [--case eight|heavy|light|wind|rotor]... [--seeds N] [--speed V] [--radius R]
           [--json]

Each case flies `seeds` times. The controller never sees the truth: it gets an estimate as a filter would give it with
RTK or a motion-capture system, one control period old. Errors of the estimate (1 sigma): position 1 cm that wanders
within 5 s and 3 mm of noise, velocity 2 cm/s that wanders within 1 s and 2 cm/s of noise, attitude 0.3 degrees within
2 s and 0.1 of noise, rates 0.02 rad/s of noise; accelerometer 0.05 m/s2 of bias and 0.5 m/s2 of vibration. It knows
the data sheet's airframe; `heavy` and `light` fly 30 % more and less mass than it believes. Distances are those of the
truth from the path.

rotor: from a hover and from a circle at 3 m/s each rotor is lost in turn; `tilt_max_rad` is the steepest tilt until the
ground, `sink_mps` the speed of touching it, `found` how many losses were told right. Exit 1 where a figure is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.airframe import Airframe, flat_reference
from giljabi.control.flight import FlightController, FlightOptions
from giljabi.control.flight_observer import FlightState
from giljabi.control.flight_paths import Circle, FlatPath, Hover, Lemniscate
from giljabi.control.flight_three import RotorWatch, ThreeRotors
from giljabi.frames import quat_multiply, quat_rotate
from giljabi.types import Array
from giljabi_sim.dryden import Dryden
from giljabi_sim.noise import Drift, generator

PERIOD = 0.01  # s
LIMIT = {"eight": 0.10, "heavy": 0.15, "light": 0.15, "wind": 0.15}  # m, of rmse


def data_sheet() -> Airframe:
    """What the maker of the plant's airframe would print, drag from a flight at constant speed."""
    p = QuadrotorPlant().parameters
    return Airframe(
        mass=p["mass"],
        inertia=(p["inertia_x"], p["inertia_y"], p["inertia_z"]),
        rotor_x=tuple(p[f"rotor_{i}_x"] for i in range(1, 5)),
        rotor_y=tuple(p[f"rotor_{i}_y"] for i in range(1, 5)),
        spin=tuple(p[f"rotor_{i}_spin"] for i in range(1, 5)),
        torque_ratio=p["torque_coefficient"] / p["thrust_coefficient"],
        thrust_max=10.5,
        thrust_min=0.1,
        drag=(0.3, 0.3, 0.0),
        motor_lag=0.035,
    )


class Sensed:
    """An estimate with the errors that the head of this file names."""

    def __init__(self, seed: int) -> None:
        def drift(name: str, std: float, seconds: float) -> Drift:
            return Drift(generator(seed, name), std, seconds, 3)

        self._position, self._velocity = drift("position", 0.01, 5.0), drift("velocity", 0.02, 1.0)
        self._attitude = drift("attitude", math.radians(0.3), 2.0)
        self._rng = generator(seed, "white")
        self._bias = 0.05 * generator(seed, "bias").standard_normal(3)

    def __call__(self, t: float, x: Array) -> FlightState:
        """Estimate of the plant's state (18,)."""
        white = self._rng.standard_normal((4, 3))
        turn = self._attitude.at(t) + math.radians(0.1) * white[2]
        q = quat_multiply(x[3:7], np.array([1.0, *(0.5 * turn)]))
        return FlightState(
            t,
            x[:3] + self._position.at(t) + 0.003 * white[0],
            q / np.linalg.norm(q),
            x[7:10] + self._velocity.at(t) + 0.02 * white[1],
            x[10:13] + 0.02 * white[3],
        )

    def force(self, felt: Array) -> Array:
        """What the accelerometer says (3,)."""
        return felt + self._bias + 0.5 * self._rng.standard_normal(3)


@dataclass
class Flight:
    """What one flight showed."""

    distance: Array  # (n,) m
    tilt_max: float  # rad, after the loss of a rotor
    sink: float  # m/s at the end
    found: int | None  # rotor that was said to be lost
    low: float  # m, height at the end
    solve: Array  # (n,) s of the thread


class Rig:
    """Plant, wind, estimate and controller of one flight."""

    def __init__(self, path: FlatPath, seed: int, mass: float, wind: float, lost: int | None) -> None:
        self.path, self.wind, self.lost = path, wind, lost
        self.airframe = data_sheet()
        self.plant = QuadrotorPlant({"mass": mass * self.airframe.mass})
        self.controller = FlightController(self.airframe, PERIOD, FlightOptions(delay_s=PERIOD))
        self.sensed, self.watch = Sensed(seed), RotorWatch(self.airframe)
        self.three: ThreeRotors | None = None
        self.found: int | None = None
        self.gusts = Dryden(generator(seed, "gusts"), wind, 0.6)
        ref = flat_reference(self.airframe, path, np.zeros(1), np.zeros(3), np.zeros(3))
        spin = [self.plant.speed_wanted(float(f)) for f in ref.thrust[0] * mass]
        start = [*ref.position[0], *ref.quaternion[0], *ref.velocity[0], *ref.rates[0], *spin, 1.0]
        self.plant.state = start
        self.told = np.array(ref.thrust[0])

    def fly(self, seconds: float) -> Flight:
        """Until the time is over, or the ground reached after a rotor was lost at 2 s."""
        rows, times, tilt_max = [], [], 0.0
        late: list[FlightState] = []
        whole, broken = [1.0] * 4, [float(i != self.lost) for i in range(4)]
        for k in range(round(seconds / PERIOD)):
            t = k * PERIOD
            x = np.array(self.plant.state)
            rows.append(float(np.linalg.norm(x[:3] - self.path.derivative(np.array([t]), 0)[0])))
            gust = self.gusts.at(t, x[2], float(np.linalg.norm(x[7:10])) + self.wind) if self.wind else np.zeros(3)
            air = gust + self.wind * np.array([math.cos(0.6), math.sin(0.6), 0.0])
            effect = broken if self.lost is not None and t >= 2.0 else whole
            felt = np.array(self.plant.specific_force(self.told.tolist(), air.tolist(), effect))
            late.append(self.sensed(t, x))
            now = late[-2] if k > 0 else late[-1]
            begin = time.thread_time()
            self.told = self.command(t, now, self.sensed.force(felt))
            times.append(time.thread_time() - begin)
            self.plant.step(self.told.tolist(), PERIOD, air.tolist(), effect)
            if effect is broken:
                up = quat_rotate(x[3:7], np.array([0.0, 0.0, 1.0]))[2]
                tilt_max = max(tilt_max, math.acos(min(max(float(up), -1.0), 1.0)))
                if x[2] < 0.3:
                    break
        end = self.plant.state
        return Flight(np.array(rows), tilt_max, -end[9], self.found, end[2], np.array(times))

    def command(self, t: float, now: FlightState, felt: Array) -> Array:
        """Thrusts (4,) [N] for an estimate that is one period old."""
        c = self.controller
        c.observe(now, specific_force=felt, told=self.told)
        if self.lost is not None and self.three is None:
            self.found = self.watch.step(now, self.told)
            if self.found is not None:
                self.three, self.place = ThreeRotors(self.airframe, self.found), now.position[:2].copy()
        if self.three is not None:
            return self.three.step(now, c.observer, self.place, 1.0)
        c.prepare(self.path, now.t, now.quaternion)
        return c.step(now).thrust


def tracking(case: str, args: argparse.Namespace) -> dict[str, Any]:
    """A figure of eight, `seeds` times."""
    path = Lemniscate(args.radius, args.speed, 4.0)
    mass = {"heavy": 1.3, "light": 0.7}.get(case, 1.0)
    flights = [
        Rig(path, seed, mass, args.wind if case == "wind" else 0.0, None).fly(args.seconds)
        for seed in range(args.first_seed, args.first_seed + args.seeds)
    ]
    rmse = [float(np.sqrt(np.mean(f.distance**2))) for f in flights]
    solve = 1e6 * np.concatenate([f.solve[5:] for f in flights])
    return {
        "case": case, "rmse_m": max(rmse), "max_m": max(float(f.distance.max()) for f in flights),
        "solve_p50_us": float(np.percentile(solve, 50)), "solve_p99_us": float(np.percentile(solve, 99)),
        "ok": max(rmse) <= LIMIT[case],
    }  # fmt: skip


def rotor_loss(args: argparse.Namespace) -> dict[str, Any]:
    """Each rotor lost in a hover and in a turn, `seeds` times."""
    flights, right = [], 0
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for lost in range(4):
            for path in (Hover((0.0, 0.0, 25.0)), Circle(8.0, 3.0, 25.0)):
                flight = Rig(path, seed, 1.0, 0.0, lost).fly(60.0)
                right += flight.found == lost
                flights.append(flight)
    tilt, sink = max(f.tilt_max for f in flights), max(f.sink for f in flights)
    landed = sum(f.low < 0.4 for f in flights)
    return {
        "case": "rotor", "flights": len(flights), "found": right, "landed": landed, "tilt_max_rad": tilt,
        "sink_mps": sink,
        "ok": right == landed == len(flights) and tilt < 0.5 * math.pi and sink < 2.0,
    }  # fmt: skip


def main() -> int:
    """Flies the cases and prints what they showed."""
    cases = [*LIMIT, "rotor"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=cases, help="all when not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=10.0, help="m/s, peak")
    parser.add_argument("--radius", type=float, default=10.0, help="m")
    parser.add_argument("--wind", type=float, default=6.0, help="m/s, mean of the case `wind`, with Dryden gusts")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [rotor_loss(args) if case == "rotor" else tracking(case, args) for case in args.case or cases]
    if args.json:
        print(json.dumps({"speed_mps": args.speed, "radius_m": args.radius, "rows": rows}))
    for row in [] if args.json else rows:
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())

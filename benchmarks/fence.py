"""Random fences, commands that want out, wind and latency: does the guard keep the drone inside, and how much is left?

usage: python benchmarks/fence.py [--runs N] [--first-seed K] [--speed V] [--latency S] [--wind V] [--seconds S]
           [--json] [--rows]

Each run draws fences (a polygon with notches or a circle to stay in, 0 to 4 keep-outs, bands of heights) and a pilot
who wants out at up to `speed`: straight at a fence, at a corner, along a fence and into it, to places outside, up and
down, or anything; half of them with accelerations beside the velocities. Commands pass the guard as
config/platforms/drone.yaml configures it (with `speed` as the limit of its inputs) and reach, `latency` later in all
(half of it to the guard, half back), the simulated autopilot's loops, with the parameters that the drone's file sets,
on the simulator's multirotor, in wind of up to `wind` with Dryden gusts. The estimate has errors as the simulated
autopilot's: position 0.15 m (1 sigma, drifting), velocity 0.03 m/s.

breaches: runs in which the body (0.6 m square) was beyond a fence, by the simulator's own geometry, or the guard gave
up. least_m: least distance of base_link to a fence. kept_m: mean distance from body to fence over the last 5 s of the
runs that push straight at one, in wind below 3 m/s and above; slide_mps: mean speed over the last 10 s of those that
push slanted (at 53 degrees to the fence). Exit 1 when there is a breach.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from giljabi._core.plants import QuadrotorPlant
from giljabi.fence import Fence
from giljabi.frames import matrix_from_quat
from giljabi.planning.fences import FenceMap
from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.safety.guard import Guard, GuardConfig, guard_config
from giljabi.types import Array
from giljabi_sim.dryden import Dryden
from giljabi_sim.geometry import rectangle
from giljabi_sim.judge import beyond, edge_of
from giljabi_sim.noise import Drift, generator
from giljabi_sim.peers.autopilot_flight import PARAMETERS, Estimate, Loops, Shaper

TICK = 0.01  # s
SETTLE_S = 4.0  # s of hovering before the guard is armed: the loops learn the wind
BODY = 0.3 * math.sqrt(2.0)  # m, half a diagonal
INPUTS = tuple(f"{what}_{axis}" for what in ("velocity", "acceleration") for axis in "xyz")
PILOTS = ("push", "corner", "slide", "outside", "updown", "anything")


def configuration(speed: float) -> GuardConfig:
    """The drone's guard, with inputs of velocity up to speed [m/s]."""
    platform = load_platform("drone")
    table = build_driver(platform, "autopilot").encode_table()
    assert table is not None
    config = guard_config(platform, [table])
    level = ("velocity_x", "velocity_y")
    actuators = [dataclasses.replace(a, min=-speed, max=speed) if a.name in level else a for a in config.actuators]
    return dataclasses.replace(config, actuators=tuple(actuators))


def random_polygon(rng: np.random.Generator, centre: Array, low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Corners seen from the centre in order: it does not cross itself, but has notches."""
    n = int(rng.integers(4, 13))
    angles = 2.0 * math.pi * (np.arange(n) + rng.uniform(0.1, 0.9, n)) / n
    radii = rng.uniform(low, high, n)
    return tuple(
        (float(centre[0] + r * math.cos(a)), float(centre[1] + r * math.sin(a)))
        for r, a in zip(radii, angles, strict=True)
    )


def random_fences(rng: np.random.Generator) -> list[Fence]:
    """One to stay in, perhaps a ceiling or a floor, and keep-outs."""
    band = {"height_max": float(rng.uniform(30.0, 60.0))}
    if rng.random() < 0.3:
        band["height_min"] = float(rng.uniform(2.0, 8.0))
    if rng.random() < 0.3:
        fences = [Fence(centre=(0.0, 0.0), radius=float(rng.uniform(35.0, 100.0)), **band)]
    else:
        fences = [Fence(random_polygon(rng, np.zeros(2), 25.0, 110.0), **band)]
    for _ in range(int(rng.integers(0, 5))):
        place = rng.uniform(-60.0, 60.0, 2)
        heights: dict[str, float] = {}
        if rng.random() < 0.5:
            heights["height_max"] = float(rng.uniform(8.0, 25.0))
        if rng.random() < 0.2:
            heights["height_min"] = float(rng.uniform(2.0, 7.0))
        if rng.random() < 0.5:
            radius = float(rng.uniform(2.0, 15.0))
            fences.append(Fence(centre=(float(place[0]), float(place[1])), radius=radius, keep_out=True, **heights))
        else:
            fences.append(Fence(random_polygon(rng, place, 3.0, 15.0), keep_out=True, **heights))
    return fences


def start_inside(rng: np.random.Generator, fences: FenceMap) -> Array | None:
    """A place (3,) with room around it; None where none was found."""
    for _ in range(200):
        p = np.array([*rng.uniform(-60.0, 60.0, 2), rng.uniform(6.0, 28.0)])
        if fences.distance(p[None])[0] > 7.0:
            return p
    return None


class Pilot:
    """Wants out: the velocity (3,) [m/s] that it commands."""

    def __init__(self, kind: str, rng: np.random.Generator, fences: FenceMap, speed: float) -> None:
        self.kind, self._rng, self._fences, self._speed = kind, rng, fences, speed
        self._until, self._way = -1.0, np.zeros(3)
        self._side = float(rng.choice([-1.0, 1.0]))
        angle = rng.uniform(-math.pi, math.pi)
        self._push = np.array([math.cos(angle), math.sin(angle), 0.0])

    def __call__(self, t: float, p: Array) -> Array:
        if self.kind == "push":
            return np.asarray(self._speed * self._push)
        if self.kind == "slide":
            out = self._outward(p)
            along = self._side * np.array([-out[1], out[0], 0.0])
            return np.asarray(self._speed * (0.8 * along + 0.6 * out))
        if t >= self._until:
            self._until = t + float(self._rng.uniform(0.5, 8.0 if self.kind != "anything" else 2.0))
            self._way = self._next(p)
        if self.kind in ("corner", "outside"):
            gone = self._way - p
            return np.asarray(self._speed * gone / max(float(np.linalg.norm(gone)), 1e-6))
        return self._way

    def _next(self, p: Array) -> Array:
        rng = self._rng
        if self.kind == "corner":
            fence = self._fences.fences[int(rng.integers(len(self._fences)))]
            place = fence.points[int(rng.integers(len(fence.points)))] if fence.points else fence.centre
            assert place is not None
            return np.array([*place, p[2]])
        if self.kind == "outside":
            return np.array([*rng.uniform(-150.0, 150.0, 2), rng.uniform(-20.0, 80.0)])
        angle = rng.uniform(-math.pi, math.pi)
        level = self._speed * math.sqrt(rng.random())
        up = rng.choice([-2.0, 3.0]) if self.kind == "updown" else rng.uniform(-2.0, 3.0)
        return np.array([level * math.cos(angle), level * math.sin(angle), up])

    def _outward(self, p: Array) -> Array:
        """Unit vector to where the distance to the fences falls."""
        h = 0.1
        around = p + h * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0.0]])
        d = self._fences.distance(around)
        g = np.array([d[1] - d[0], d[3] - d[2], 0.0])
        size = float(np.linalg.norm(g))
        return g / size if size > 1e-9 else self._push


class Flight:
    """Plant, autopilot, wind, estimate and guard of one run."""

    def __init__(self, config: GuardConfig, fences: list[Fence], start: Array, seed: int, a: argparse.Namespace):
        rng = generator(seed, "flight")
        self.guard = Guard(config)
        self.guard.set_fences(fences)
        self.plant = QuadrotorPlant()
        self.loops, self._way = Loops(dict(self.plant.parameters)), Shaper()
        own = PARAMETERS | load_platform("drone").model.drivers["autopilot"].options["parameters"]
        self._most = 0.01 * np.array([own["WPNAV_ACCEL"], own["WPNAV_ACCEL_Z"]])
        self._jerk = np.array([own["PSC_JERK_XY"], own["PSC_JERK_Z"]])
        self._tilt = math.radians(0.01 * own["ANGLE_MAX"])
        x = list(self.plant.state)
        x[:3] = start
        x[13:17] = [self.plant.speed_wanted(self.plant.parameters["mass"] * 9.81 / 4.0)] * 4
        self.plant.state = x
        self.wind = float(rng.uniform(0.0, a.wind))
        self.towards = float(rng.uniform(-math.pi, math.pi))
        self.gusts = Dryden(generator(seed, "gusts"), self.wind, self.towards)
        self._drift = Drift(generator(seed, "position"), 0.15, 30.0, 3)
        self._wobble = Drift(generator(seed, "velocity"), 0.03, 2.0, 3)
        n = round(0.5 * a.latency / TICK)
        self._up: deque[tuple[float, Array, Array, float]] = deque(maxlen=n + 1)
        self._down: deque[Array] = deque([np.zeros(6)] * (n + 1), maxlen=n + 1)
        self.mode = ""
        self.pushes = bool(seed // len(PILOTS) % 2)
        self._begun = False

    def tick(self, t: float, wanted: Callable[[float, Array], Array], settled: bool) -> None:
        """One period: estimate, guard, loops, plant."""
        x = np.array(self.plant.state)
        p, v = x[:3] + self._drift.at(t), x[7:10] + self._wobble.at(t)
        R = matrix_from_quat(x[3:7])
        yaw = math.atan2(R[1, 0], R[0, 0])
        self._up.append((t, p, v, yaw))
        self._fly(t, settled, wanted)
        told = self._down[0]
        e = Estimate(p, v, R, yaw, x[10:13])
        if not self._begun:
            self._way.begin(e)
            self._begun = True
        self._way.step(told[:3], told[3:], self._most, self._jerk, TICK)
        thrust = self.loops.thrusts(e, self._way, 0.0, 0.0, self._tilt, TICK)
        air = self.gusts.at(t, x[2], float(np.linalg.norm(x[7:10])) + self.wind)
        air = air + self.wind * np.array([math.cos(self.towards), math.sin(self.towards), 0.0])
        self.plant.step(thrust.tolist(), TICK, air.tolist())

    def _fly(self, t: float, settled: bool, wanted: Callable[[float, Array], Array]) -> None:
        """As the stack does: the estimate is moved on to now by its velocity, and stamped so."""
        t0, p, v, yaw = self._up[0]
        now = p + (t - t0) * v
        level = math.cos(yaw) * v[0] + math.sin(yaw) * v[1]
        self.guard.pose(t, t, float(now[0]), float(now[1]), yaw, float(level), float(now[2]), v.tolist())
        u = wanted(t, now) if settled else np.zeros(3)
        command = dict.fromkeys(self.guard.output(), 0.0)
        command |= dict(zip(INPUTS, (*u.tolist(), *self._pushed(u).tolist()), strict=True))
        self.guard.submit("auto", t, t, command)
        self.guard.heartbeat(t, t)
        if settled and not self.mode:
            reasons = self.guard.arm(t)
            self.mode = "; ".join(reasons)
        self.guard.step(t)
        out = self.guard.output()
        self._down.append(np.array([out[name] for name in INPUTS]))
        if settled and not self.mode:
            self.mode = self.guard.state(t).mode

    def _pushed(self, u: Array) -> Array:
        """Accelerations beside the velocity: every other run adds them, along it."""
        return 0.5 * u if self.pushes else np.zeros(3)


def run(seed: int, config: GuardConfig, a: argparse.Namespace) -> dict[str, Any] | None:
    """One run's figures; None when the fences leave no place to start from."""
    rng = generator(seed, "fences")
    fences = random_fences(rng)
    ways = FenceMap(fences)
    start = start_inside(rng, ways)
    if start is None:
        return None
    kind = PILOTS[seed % len(PILOTS)]
    pilot = Pilot(kind, rng, ways, a.speed)
    flight = Flight(config, fences, start, seed, a)
    edges = [(f, edge_of(f)) for f in fences]
    places, speeds, beyond_at = [], [], None
    settle = round(SETTLE_S / TICK)
    for k in range(settle + round(a.seconds / TICK)):
        t = 1000.0 + k * TICK
        flight.tick(t, pilot, k >= settle)
        x = flight.plant.state
        if k < settle:
            continue
        if k == settle and flight.mode != "auto":
            return None  # the wind took it too near to a fence before it was armed
        places.append(x[:3])
        speeds.append(math.hypot(x[7], x[8]))
        if k % 5 == 0 and beyond_at is None:
            R = matrix_from_quat(np.array(x[3:7]))
            body = rectangle(x[0], x[1], math.atan2(R[1, 0], R[0, 0]), 0.6, 0.6)
            if any(beyond(f, e, body, x[2]) for f, e in edges):
                beyond_at = t - 1000.0
    p = np.array(places)
    room = ways.distance(p)
    held = flight.guard.counters().get("ticks held back by a fence", 0)
    end = flight.guard.state(t)
    last = round(5.0 / TICK)
    return {
        "seed": seed, "pilot": kind, "wind_mps": flight.wind, "breach": beyond_at is not None or end.mode != "auto",
        "beyond_at_s": beyond_at, "mode": end.mode, "reasons": list(end.reasons),
        "least_m": float(np.min(room)) , "kept_m": float(np.mean(room[-last:]) - BODY),
        "speed_max_mps": float(np.max(speeds)), "speed_mean_mps": float(np.mean(speeds[-2 * last:])),
        "held": held / len(places),
    }  # fmt: skip


def summary(rows: list[dict[str, Any]], a: argparse.Namespace) -> dict[str, Any]:
    """The figures of all runs."""
    out: dict[str, Any] = {
        "runs": len(rows), "breaches": sum(r["breach"] for r in rows), "speed_mps": a.speed, "latency_s": a.latency,
        "wind_max_mps": max((r["wind_mps"] for r in rows), default=0.0),
        "speed_max_mps": max((r["speed_max_mps"] for r in rows), default=0.0),
        "least_m": min((r["least_m"] for r in rows), default=0.0),
    }  # fmt: skip
    push = [r for r in rows if r["pilot"] == "push"]
    for name, low, high in (("calm", 0.0, 3.0), ("windy", 3.0, 1e9)):
        kept = [r["kept_m"] for r in push if low <= r["wind_mps"] < high]
        out[f"kept_{name}_m"] = float(np.mean(kept)) if kept else None
    slide = [r["speed_mean_mps"] for r in rows if r["pilot"] == "slide"]
    out["slide_mps"] = float(np.mean(slide)) if slide else None
    return out


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=10.0, help="m/s")
    parser.add_argument("--latency", type=float, default=0.2, help="s, to the guard and back")
    parser.add_argument("--wind", type=float, default=8.0, help="m/s, at most, 6 m above ground")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", action="store_true", help="also of each run")
    a = parser.parse_args()
    config, rows, seed = configuration(a.speed), [], a.first_seed
    while len(rows) < a.runs:
        row = run(seed, config, a)
        if row is not None:
            rows.append(row)
            if row["breach"]:
                print(json.dumps(row), file=sys.stderr, flush=True)
            elif sys.stderr.isatty() or len(rows) % 50 == 0:
                print(f"{len(rows)} of {a.runs}", file=sys.stderr, flush=True)
        seed += 1
    out = summary(rows, a) | ({"rows": rows} if a.rows else {})
    if a.json:
        print(json.dumps(out))
    else:
        for key, value in out.items():
            print(f"{key}: {value}")
    return 1 if out["breaches"] else 0


if __name__ == "__main__":
    sys.exit(main())

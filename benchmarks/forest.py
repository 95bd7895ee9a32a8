"""Flights through random forests with what a lidar has seen: collisions, arrivals, time of a replan.

usage: python benchmarks/forest.py [--forests N] [--first-seed K] [--density 0.1..0.3] [--speed V] [--json]

Trunks of radius 0.15 m stand at random over 26 m by 20 m, 0.1 to 0.3 a square metre (by seed, unless --density); the
vehicle (radius 0.25 m) starts before them at rest and wants to the other side, 30 m on. The map is what a lidar of
10 m, 20 Hz, half a degree and 2 cm of noise has seen from places known as benchmarks/flight.py's estimate knows them:
trees hide what is behind them, and unknown stays unknown. Plans 20 times a second, flown by the rotor controller over
the simulator's plant. A collision is the truth's centre nearer to a trunk's than 0.4 m; arrived is within 1 m of the
goal in 60 s. Exit 1 where something collides or less than 98 % arrive.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from flight import PERIOD, Sensed, data_sheet

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.flight import FlightController, FlightOptions
from giljabi.frames import quat_rotate
from giljabi.planning.corridor import FREE, OCCUPIED, UNKNOWN, CorridorOptions, CorridorPlanner, SmoothPlan
from giljabi.types import Array
from giljabi_sim.noise import generator

TRUNK, VEHICLE = 0.15, 0.25  # m
GOAL = np.array([30.0, 0.0])
CELL, RANGE = 0.1, 10.0  # m
CORNER, SHAPE = (-5.0, -15.0), (300, 400)


def forest(seed: int, density: float | None) -> tuple[Array, float]:
    """Trunks (n, 2), none within 1.5 m of start and goal, and their density."""
    rng = generator(seed, "forest")
    wanted = density if density is not None else rng.uniform(0.1, 0.3)
    count = rng.poisson(wanted * 26.0 * 20.0)
    trunks = rng.uniform([2.0, -10.0], [28.0, 10.0], (count, 2))
    near = np.minimum(np.hypot(*trunks.T), np.hypot(*(trunks - GOAL).T))
    return trunks[near > 1.5], wanted


class Map:
    """What a lidar has seen so far."""

    _RAYS = 720

    def __init__(self, seed: int) -> None:
        self.cells = np.full(SHAPE, UNKNOWN, dtype=np.uint8)
        self._rng = generator(seed, "lidar")
        self._angles = (np.arange(self._RAYS) + 0.5) * (2.0 * np.pi / self._RAYS) - np.pi

    def look(self, truth: Array, believed: Array, trunks: Array) -> None:
        """One scan from a true place (2,), entered at the believed one."""
        distance = self._scan(truth, trunks)
        hit = distance < RANGE
        distance = distance + 0.02 * self._rng.standard_normal(self._RAYS) * hit
        low = np.maximum(((believed - RANGE - CORNER) / CELL).astype(int), 0)
        high = np.minimum(((believed + RANGE - CORNER) / CELL).astype(int) + 1, [SHAPE[1], SHAPE[0]])
        part = self.cells[low[1] : high[1], low[0] : high[0]]
        x = CORNER[0] + (np.arange(low[0], high[0]) + 0.5) * CELL - believed[0]
        y = CORNER[1] + (np.arange(low[1], high[1]) + 0.5) * CELL - believed[1]
        away = np.hypot(x[None, :], y[:, None])
        ray = ((np.arctan2(y[:, None], x[None, :]) + np.pi) * (self._RAYS / (2.0 * np.pi))).astype(int) % self._RAYS
        least = np.minimum(np.minimum(np.roll(distance, 1), np.roll(distance, -1)), distance)
        part[(away + 0.07 < least[ray]) & (part != OCCUPIED)] = FREE
        ends = believed + distance[hit, None] * np.column_stack([np.cos(self._angles[hit]), np.sin(self._angles[hit])])
        i, j = ((ends - CORNER) / CELL).astype(int).T
        inside = (i >= 0) & (j >= 0) & (i < SHAPE[1]) & (j < SHAPE[0])
        self.cells[j[inside], i[inside]] = OCCUPIED

    def _scan(self, place: Array, trunks: Array) -> Array:
        """Distance (rays,) to the first trunk of each ray, or the range."""
        to = trunks - place
        near = to[np.hypot(*to.T) < RANGE + TRUNK]
        if not len(near):
            return np.full(self._RAYS, RANGE)
        ray = np.column_stack([np.cos(self._angles), np.sin(self._angles)])
        along = ray @ near.T
        across = np.square(near).sum(axis=1)[None, :] - along**2
        reach = np.where(
            (across < TRUNK**2) & (along > 0.0), along - np.sqrt(np.maximum(TRUNK**2 - across, 0.0)), RANGE
        )
        return np.asarray(np.minimum(reach.min(axis=1), RANGE))


def fly(seed: int, density: float | None, options: dict[str, Any]) -> dict[str, Any]:
    """One flight: what happened, and how long replans took."""
    trunks, wanted = forest(seed, density)
    airframe, height = data_sheet(), 2.0
    plant, sensed = QuadrotorPlant(), Sensed(seed)
    plant.state = [0.0, 0.0, height, 1.0, *[0.0] * 9, *[plant.speed_wanted(airframe.hover_thrust)] * 4, 1.0]
    controller = FlightController(airframe, PERIOD, FlightOptions(delay_s=PERIOD))
    planner, plan = CorridorPlanner(CELL, CorridorOptions(**options)), SmoothPlan(0.0, (0.0, 0.0), height, 0.1)
    seen, told = Map(seed), np.full(4, airframe.hover_thrust)
    nearest, fastest, replans = np.inf, 0.0, []
    now = sensed(0.0, np.array(plant.state))
    row = {"seed": seed, "density": wanted, "outcome": "timeout"}
    for k in range(6000):
        t = k * PERIOD
        x = np.array(plant.state)
        gap = float(np.min(np.hypot(*(trunks - x[:2]).T))) if len(trunks) else np.inf
        nearest, fastest = min(nearest, gap), max(fastest, float(np.hypot(x[7], x[8])))
        if gap < TRUNK + VEHICLE or quat_rotate(x[3:7], np.array([0.0, 0.0, 1.0]))[2] < 0.2:
            row["outcome"] = "collision"
            break
        if np.hypot(*(x[:2] - GOAL)) < 1.0:
            row["outcome"] = "arrived"
            break
        late, now = now, sensed(t, x)
        if k % 5 == 0:
            seen.look(x[:2], now.position[:2], trunks)
            begin = time.thread_time()
            planner.step(t, plan, seen.cells, CORNER, GOAL)
            replans.append(time.thread_time() - begin)
        force = sensed.force(np.array(plant.specific_force(told.tolist())))
        controller.observe(late, specific_force=force, told=told)
        controller.prepare(plan, late.t, late.quaternion)
        told = controller.step(late).thrust
        plant.step(told.tolist(), PERIOD)
    return {**row, "t_end_s": t, "clearance_m": nearest - TRUNK - VEHICLE, "speed_max_mps": fastest, "replans": replans}


def main() -> int:
    """Flies the forests and prints what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forests", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--density", type=float, help="trunks a square metre; 0.1 to 0.3 by seed when not given")
    parser.add_argument("--speed", type=float, default=5.0, help="m/s, limit")
    parser.add_argument("--options", default="{}", help="JSON of CorridorOptions")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    options = {"speed_max": args.speed, **json.loads(args.options)}
    seeds = range(args.first_seed, args.first_seed + args.forests)
    with ProcessPoolExecutor(args.workers) as pool:
        rows = list(pool.map(fly, seeds, [args.density] * len(seeds), [options] * len(seeds)))
    replan = 1e3 * np.concatenate([row.pop("replans") for row in rows])
    count = {name: sum(row["outcome"] == name for row in rows) for name in ("collision", "arrived", "timeout")}
    out = {
        "runs": len(rows), "collisions": count["collision"], "arrived": count["arrived"],
        "replan_p50_ms": float(np.percentile(replan, 50)), "replan_p99_ms": float(np.percentile(replan, 99)),
        "clearance_min_m": min(row["clearance_m"] for row in rows),
    }  # fmt: skip
    if args.json:
        print(json.dumps({**out, "rows": rows}))
    else:
        print("  ".join(f"{k} {v:.4g}" for k, v in out.items()))
        for row in rows:
            if row["outcome"] != "arrived":
                print(row, file=sys.stderr)
    return 0 if count["collision"] == 0 and count["arrived"] >= 0.98 * len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())

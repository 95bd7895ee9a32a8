"""Drones that cross, agreeing by messages that are late and lost: distances, arrivals, time of a look.

usage: python benchmarks/fleet.py [--runs N] [--first-seed K] [--drones N] [--loss 0.2] [--delay 0.3] [--dies K]
       [--json]

Each run puts the drones on a circle of 12 to 20 m about a place, at about one height, and sends each to the place
opposite (half of the runs), or to one of the others' places by chance. Everyone plans for itself; ten times a second it
tells the others its way and its wish, and each message to each receiver is lost or comes later by itself. What is
planned goes through the drone's own controller to the simulated autopilot's loops with the parameters of
config/platforms/drone.yaml, on the simulator's multirotor, in wind of up to 6 m/s with Dryden's gusts; position is
known to 0.15 m (1 sigma, drifting), velocity to 0.03 m/s.

--dies K: K of them, by chance, fall silent at 8 to 12 s: they want nothing any more, fly their way to its end and stay
there. Who wants to where one of them stays need not arrive.

least_m: least true distance of two centres in all runs. Exit 1 when two come nearer than 1.0 m or one does not arrive
within 1 m in 120 s.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import sys
import time
from typing import Any

import numpy as np

from giljabi._core.plants import QuadrotorPlant
from giljabi.control.flight_velocity import FlightVelocityController
from giljabi.fleet.dodge import Room
from giljabi.fleet.intent import Intent, Way, from_text, to_text
from giljabi.fleet.member import Member
from giljabi.frames import matrix_from_quat
from giljabi.platform import Platform, load_platform
from giljabi.types import Array, JointState, Odometry, Trajectory
from giljabi_sim.dryden import Dryden
from giljabi_sim.noise import Drift, generator
from giljabi_sim.peers.autopilot_flight import PARAMETERS, Estimate, Loops, Shaper

TICK, PLAN_S = 0.01, 0.05  # s
LIMIT_S, ARRIVED, LEAST = 120.0, 1.0, 1.0  # s, m, m
DISTANCE = 2.2  # m that plans keep, of which 1.2 are for estimates, wind and lags
FLYING = JointState(0.0, {"landed": 0.0}, {}, {})
AHEAD = 0.1 * np.arange(31)  # s of a trajectory
COVARIANCE = np.eye(6)


class Drone:
    """One vehicle: estimate, plan, controller, autopilot, plant."""

    def __init__(self, name: str, platform: Platform, place: Array, seed: int, wind: tuple[float, float]) -> None:
        self.plant = QuadrotorPlant({}, "x500")
        x = list(self.plant.state)
        x[:3] = place
        self.plant.state = x
        parameters = {**PARAMETERS, **platform.model.drivers["autopilot"].options["parameters"]}
        level, jerk = 0.01 * parameters["WPNAV_ACCEL"], parameters["PSC_JERK_XY"]
        self._most = np.array([level, 0.01 * parameters["WPNAV_ACCEL_Z"]])
        self._jerk = np.array([jerk, parameters["PSC_JERK_Z"]])
        self._tilt = math.radians(0.01 * parameters["ANGLE_MAX"])
        self._loops, self._way = Loops(self.plant.parameters), Shaper()
        self._drift = Drift(generator(seed, f"{name}.position"), 0.15, 30.0, 3)
        self._wobble = Drift(generator(seed, f"{name}.velocity"), 0.03, 2.0, 3)
        self._wind, self._towards = wind
        self._gusts = Dryden(generator(seed, f"{name}.gusts"), *wind)
        self._controller = FlightVelocityController(platform)
        self._output: dict[str, float] = {}
        self._e = self._believe(0.0)
        self._way.begin(self._e)

    @property
    def place(self) -> Array:
        """Truth (3,) m."""
        return np.array(self.plant.state[:3])

    @property
    def believed(self) -> Array:
        """Where it takes itself to be (3,) m."""
        return self._e.position

    def _believe(self, t: float) -> Estimate:
        s = self.plant.state
        yaw = math.atan2(2 * (s[3] * s[6] + s[4] * s[5]), 1 - 2 * (s[5] ** 2 + s[6] ** 2))
        rotation = matrix_from_quat(np.array(s[3:7]))
        place = np.array(s[:3]) + self._drift.at(t) * np.array([1.0, 1.0, 0.5])
        return Estimate(place, np.array(s[7:10]) + self._wobble.at(t), rotation, yaw, np.array(s[10:13]))

    def control(self, t: float, way: Way) -> None:
        """One run of the controller."""
        e = self._e
        p, v = way.at(t + AHEAD)
        still = np.zeros(len(AHEAD))
        trajectory = Trajectory(t, AHEAD, p, still, v, still, "converged")
        q = np.array(self.plant.state[3:7])
        odom = Odometry(t, e.position, q, e.rotation.T @ e.velocity, e.rates, COVARIANCE, COVARIANCE)
        command = self._controller.step(t, odom, FLYING, trajectory, self._output)
        assert command is not None
        self._output = dict(command.values)

    def fly(self, t: float) -> None:
        """One tick of autopilot and plant."""
        e, o = self._believe(t), self._output
        self._e = e
        wanted = np.array([o.get(f"velocity_{a}", 0.0) for a in "xyz"])
        feed = np.array([o.get(f"acceleration_{a}", 0.0) for a in "xyz"])
        self._way.step(wanted, feed, self._most, self._jerk, TICK)
        thrust = self._loops.thrusts(e, self._way, 0.0, 0.0, self._tilt, TICK)
        mean = self._wind * np.array([math.cos(self._towards), math.sin(self._towards), 0.0])
        air = float(np.linalg.norm(e.velocity - mean))
        wind = mean + self._gusts.at(t, float(self.plant.state[2]), air)
        self.plant.step([float(x) for x in thrust], TICK, tuple(wind.tolist()))


class Air:
    """Messages between drones, each late and lost by itself."""

    def __init__(self, seed: int, loss: float, delay: float) -> None:
        self._rng, self._loss, self._delay = generator(seed, "air"), loss, delay
        self._queue: list[tuple[float, int, int, str]] = []
        self._count = 0
        self.bytes = 0

    def send(self, t: float, sender: int, others: int, intent: Intent) -> None:
        """To everybody else."""
        text = to_text(intent)
        self.bytes += len(text)
        for to in range(others):
            if to != sender and self._rng.random() >= self._loss:
                self._count += 1
                heapq.heappush(self._queue, (t + self._rng.uniform(0.0, self._delay), self._count, to, text))

    def due(self, t: float) -> list[tuple[int, Intent]]:
        """What has arrived: receiver, message."""
        out = []
        while self._queue and self._queue[0][0] <= t:
            _, _, to, text = heapq.heappop(self._queue)
            out.append((to, from_text(text)))
        return out


def task(seed: int, n: int) -> tuple[Array, Array]:
    """Starts and goals (n, 3) [m]."""
    rng = generator(seed, "task")
    angle = 2.0 * math.pi * rng.permutation(n) / n + rng.uniform(-0.1, 0.1, n)
    radius = rng.uniform(12.0, 20.0)
    start = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), rng.uniform(9.0, 11.0, n)])
    if seed % 2 == 0:
        return start, start * [-1.0, -1.0, 1.0]
    goal = start[np.roll(np.arange(n), int(rng.integers(1, n)))]
    return start, np.column_stack([goal[:, :2], start[:, 2]])


def _held(goal: Array, ways: list[Way]) -> Any:
    """Which goals (n, 3) a silent one holds; (n,)."""
    ends = np.array([w.rows[-1, 1:3] for w in ways]).reshape(-1, 2)
    return (np.linalg.norm(goal[:, None, :2] - ends[None], axis=2) < DISTANCE + ARRIVED).any(axis=1)


def run(seed: int, n: int, loss: float, delay: float, dies: int = 0) -> dict[str, Any]:
    """One run's figures."""
    platform = load_platform("drone")
    limits = platform.model.limits
    room = Room(6.0, 2.0, 0.8 * limits.acceleration_max, DISTANCE)
    start, goal = task(seed, n)
    rng = generator(seed, "wind")
    wind = (float(rng.uniform(0.0, 6.0)), float(rng.uniform(-math.pi, math.pi)))
    drones = [Drone(f"drone_{i}", platform, start[i], seed, wind) for i in range(n)]
    names = [f"drone_{i}" for i in range(n)]
    members = [Member(names[i], names, room, 0.0, start[i]) for i in range(n)]
    air = Air(seed, loss, delay)
    pairs = np.triu_indices(n, 1)
    rng = generator(seed, "deaths")
    death = np.full(n, math.inf)
    death[rng.permutation(n)[:dies]] = rng.uniform(8.0, 12.0, dies)
    lives = np.isinf(death)
    least, away, looks = math.inf, 0.0, []
    for k in range(round(LIMIT_S / TICK)):
        t = k * TICK
        if k % round(PLAN_S / TICK) == 0:
            for to, intent in air.due(t):
                members[to].hear(intent, t)
            for i, m in enumerate(members):
                if t > death[i]:
                    continue
                begin = time.process_time()
                way = m.step(t, goal[i])
                looks.append(time.process_time() - begin)
                away = max(away, float(np.linalg.norm(drones[i].place - way.state(t)[0])))
                if (k // round(PLAN_S / TICK) + i) % 2 == 0:
                    air.send(t, i, n, m.say(t))
        if k % 2 == 0:
            for m, d in zip(members, drones, strict=True):
                d.control(t, m.way)
        for d in drones:
            d.fly(t)
        places = np.array([d.place for d in drones])
        least = min(least, float(np.linalg.norm(places[pairs[0]] - places[pairs[1]], axis=1).min()))
        due = lives & ~_held(goal, [m.way for m, v in zip(members, lives, strict=True) if not v])
        if k % 10 == 0 and bool((np.linalg.norm(places - goal, axis=1) < ARRIVED)[due].all()):
            break
    arrived = int((np.linalg.norm(places - goal, axis=1) < ARRIVED)[due].sum())
    return {
        "seed": seed, "seconds": t, "least_m": least, "off_way_m": away, "arrived": arrived, "due": int(due.sum()),
        "look_p50_ms": 1e3 * float(np.percentile([x for x in looks if x > 1e-3] or [0.0], 50)),
        "look_p99_ms": 1e3 * float(np.percentile(looks, 99)), "bytes_per_s": air.bytes / max(t, TICK) / n,
    }  # fmt: skip


def main() -> int:
    """Runs and prints; 1 when two came too near or one did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--drones", type=int, default=8)
    parser.add_argument("--loss", type=float, default=0.2, help="share of messages")
    parser.add_argument("--delay", type=float, default=0.3, help="s, the longest")
    parser.add_argument("--dies", type=int, default=0, help="how many fall silent on the way")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for seed in range(args.first_seed, args.first_seed + args.runs):
        rows.append(run(seed, args.drones, args.loss, args.delay, args.dies))
        if not args.json:
            print(", ".join(f"{k} {v:.4g}" for k, v in rows[-1].items()), flush=True)
    out = {
        "runs": len(rows),
        "least_m": min(r["least_m"] for r in rows),
        "too_near": sum(r["least_m"] < LEAST for r in rows),
        "stuck": sum(r["arrived"] < r["due"] for r in rows),
        "seconds_p50": float(np.median([r["seconds"] for r in rows])),
        "seconds_max": max(r["seconds"] for r in rows),
        "off_way_m": max(r["off_way_m"] for r in rows),
        "look_p99_ms": max(r["look_p99_ms"] for r in rows),
        "bytes_per_s": max(r["bytes_per_s"] for r in rows),
    }
    print(json.dumps({**out, "rows": rows}) if args.json else out)
    return 1 if out["too_near"] or out["stuck"] else 0


if __name__ == "__main__":
    sys.exit(main())

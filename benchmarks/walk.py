"""Walks a walker in simulation: falls, speed, heading, and the time of a tick of its control chain.

benchmarks/walk.py --seeds 5 --distance 10
benchmarks/walk.py --push 0.25 --seeds 2            a push of that many m/s in 8 directions a seed
benchmarks/walk.py --vary servo_gain=0.8 --vary friction=0.4
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from giljabi.types import BadInputError
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import WalkerFile, load_walker
from giljabi_sim.humanoid.body import Ground, Push, World
from giljabi_sim.humanoid.servo_line import ServoFaults
from giljabi_sim.humanoid.walk import START_S, Row, Walk, steady

DIRECTIONS = 8
PUSH_S = 0.1
PUSH_AFTER = (4.0, 5.0)  # s, the push comes between; then the robot has as long again and more to fall
PUSHED_S = 12.0
VARIED = {
    "servo_gain": "factor on every servo's gain",
    "delay_s": "s that every target comes later",
    "noise": "factor on the noise of positions and inertial sensor",
    "corrupt": "share of the servo bus's packets that gets a flipped bit",
    "silent_s": "s for which one servo (another each seed) is silent",
    "slope_deg": "deg upwards",
    "step_m": "m, height of a board across the way, up and down again",
    "friction": "of the ground",
}


def world_of(vary: dict[str, float], seed: int, joints: int, pushes: tuple[Push, ...]) -> World:
    """The surroundings of one run."""
    step = vary.get("step_m", 0.0)
    silent = (seed % joints, 5.0, 5.0 + vary["silent_s"]) if "silent_s" in vary else None
    faults = ServoFaults(
        vary.get("servo_gain", 1.0), vary.get("delay_s", 0.0), vary.get("noise", 1.0), silent, vary.get("corrupt", 0.0)
    )
    ground = Ground(
        math.radians(vary.get("slope_deg", 0.0)), vary.get("friction"), ((0.6, 1.2, step),) if step > 0.0 else ()
    )
    return World(ground, faults, pushes)


def runs(args: argparse.Namespace, file: WalkerFile, vary: dict[str, float]) -> Iterator[tuple[Row, list[float]]]:
    """Every run's row and tick times."""
    mass, joints = Kinematics(file).mass, len(file.walker.joints)
    speed = file.walker.gait.speed if args.speed is None else args.speed
    velocity = Velocity(speed, args.side, args.turn)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for direction in range(DIRECTIONS if args.push else 1):
            pushes: tuple[Push, ...] = ()
            if args.push:
                when = np.random.default_rng([seed, direction]).uniform(*PUSH_AFTER)
                angle, force = 2 * math.pi * direction / DIRECTIONS, mass * args.push / PUSH_S
                pushes = (Push(when, PUSH_S, (force * math.cos(angle), force * math.sin(angle), 0.0)),)
            walk = Walk(file, world_of(vary, seed, joints, pushes), seed)
            slow = max(math.hypot(speed, args.side), 0.05)
            limit = args.seconds or (PUSHED_S if args.push else START_S + 3.0 + 1.5 * args.distance / slow)
            yield (
                walk.run(steady(velocity), limit, math.inf if args.push or args.seconds else args.distance),
                walk.tick_us,
            )


def report(rows: list[Row], ticks: list[float]) -> dict[str, object]:
    """The figures of all runs."""
    return {
        "falls": sum(r.fell for r in rows),
        "distance_m": min(r.distance_m for r in rows),
        "speed_mps": min(r.speed_mps for r in rows),
        "heading_error_rad": max(r.heading_error_rad for r in rows),
        "tick_p50_us": float(np.percentile(ticks, 50)),
        "tick_p99_us": float(np.percentile(ticks, 99)),
        "rows": [asdict(r) for r in rows],
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="small", help="walker's file, or a name in config/robots")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--distance", type=float, default=10.0, help="m")
    parser.add_argument("--seconds", type=float, help="walk so long instead of a distance")
    parser.add_argument("--speed", type=float, help="m/s forward; the file's when not given")
    parser.add_argument("--side", type=float, default=0.0, help="m/s to the left")
    parser.add_argument("--turn", type=float, default=0.0, help="rad/s to the left")
    parser.add_argument(
        "--push", type=float, default=0.0, help="m/s that a push of 0.1 s gives, in 8 directions a seed"
    )
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=VALUE", help=f"one of {', '.join(VARIED)}")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def varied(texts: list[str]) -> dict[str, float]:
    """--vary as numbers; raises BadInputError."""
    out = {}
    for text in texts:
        key, _, value = text.partition("=")
        try:
            out[key] = float(value)
        except ValueError:
            raise BadInputError(f"--vary {text}: no number; KEY=VALUE is expected") from None
        if key not in VARIED:
            raise BadInputError(f"--vary {text}: nothing is called '{key}'; known are {', '.join(VARIED)}")
    return out


def main() -> int:
    """Runs and prints; 1 when there was a fall, 2 on bad input."""
    args = arguments()
    rows: list[Row] = []
    ticks: list[float] = []
    try:
        for row, times in runs(args, load_walker(args.platform), varied(args.vary)):
            rows.append(row)
            ticks += times
            if not args.json:
                print(row, flush=True)
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    out = report(rows, ticks)
    if args.json:
        print(json.dumps(out))
    else:
        print(", ".join(f"{k} {v:.4g}" for k, v in out.items() if isinstance(v, (int, float))))
    return 1 if out["falls"] else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""How long a plan of footsteps takes, and how many steps it has.

usage: python benchmarks/footsteps.py [--platform NAME] [--plans N] [--seed K] [--json]

Random goals 3 m away on the far side of a box of random size and place (box), a low terrace across the way (terrace),
both (both), or nothing (free), from terrain to plan: what the planner does each time. cpu: of the thread, what other
programs take is not in it; field: share of it that the way of a disc takes (scipy's dijkstra among it). steps: mean
number, and in proportion to the straight line's. none: draws to which there was no way.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time

import numpy as np

from giljabi.ground import Surface, rectangle
from giljabi.planning.foot_planner import FootPlanner, legs_of
from giljabi.planning.terrain import Terrain
from giljabi.platform import load_platform
from giljabi.types import BadInputError
from giljabi.walking.robot import robot_file

KINDS = ("free", "box", "terrace", "both")
FAR = 3.0  # m


def draw(kind: str, rng: np.random.Generator, highest: float) -> tuple[list[Surface], tuple[float, float, float]]:
    """Surfaces and a goal; the robot stands at the origin and looks along x."""
    surfaces = []
    if kind in ("box", "both"):
        size, at = rng.uniform(0.2, 0.7, 2), rng.uniform((1.3, -0.2), (1.7, 0.2))
        surfaces.append(
            rectangle(
                float(at[0]), float(at[1]), float(rng.uniform(-1.5, 1.5)), (float(size[0]), float(size[1])), math.inf
            )
        )
    if kind in ("terrace", "both"):
        height = highest * float(rng.uniform(0.5, 1.0))
        surfaces.append(
            rectangle(float(rng.uniform(0.9, 1.8)), 0.0, float(rng.uniform(-0.05, 0.05)), (0.6, 4.0), height)
        )
    return surfaces, (FAR, float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-1.6, 1.6)))


def measure(kind: str, plans: int, seed: int, name: str) -> dict[str, float | str | int]:
    """One row."""
    platform = load_platform(name)
    robot, f = platform.model.robot, platform.model.footprint
    assert robot is not None, "a platform that walks is expected"
    walker = robot_file(platform.file, robot).walker
    legs = legs_of(walker, platform.model.limits, (f.length, f.width), walker.gait.speed)
    planner, rng = FootPlanner(legs), np.random.default_rng(seed)
    times, field, steps, none = [], [], [], 0
    for _ in range(plans):
        surfaces, goal = draw(kind, rng, legs.step_height)
        began = time.thread_time()
        terrain = Terrain(np.array([-1.5, -2.5]), np.array([FAR + 1.5, 2.5]), surfaces, step_height=legs.step_height)
        try:
            plan = planner.plan((0.0, 0.0, 0.0), goal, terrain)
        except BadInputError:
            none += 1
            continue
        times.append(time.thread_time() - began)
        steps.append(len(plan))
        began = time.thread_time()
        terrain.to_go(goal, 0.2, 0.3)
        field.append(time.thread_time() - began)
    mean = float(np.mean(steps))
    ms = 1e3 * np.array(times)
    return {
        "kind": kind, "plans": len(times), "none": none, "cpu_p50_ms": round(float(np.median(ms)), 1),
        "cpu_p99_ms": round(float(np.quantile(ms, 0.99)), 1), "field_share": round(sum(field) / sum(times), 2),
        "steps_mean": round(mean, 1), "steps_ratio": round(mean * legs.advance / FAR, 2),
    }  # fmt: skip


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="humanoid")
    parser.add_argument("--plans", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    rows = [measure(kind, a.plans, a.seed, a.platform) for kind in KINDS]
    if a.json:
        print(json.dumps(rows))
        return 0
    print("  ".join(f"{k:>11}" for k in rows[0]))
    for row in rows:
        print("  ".join(f"{v:>11}" for v in row.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

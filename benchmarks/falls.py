"""How long before a falling walker meets the ground its fall is told, over many pushes, and how often there was none.

The watch only looks on: the robot goes on as if nothing were told, so that a push that it survives shows a false alarm.
Half the pushes are near what it survives, half throw it.

    python benchmarks/falls.py --pushes 40
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass

import numpy as np

from giljabi.types import Array, BadInputError
from giljabi.walking.falls import FallWatch
from giljabi.walking.footsteps import Velocity
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import WalkerFile, load_walker
from giljabi_sim.humanoid.body import Push, World
from giljabi_sim.humanoid.walk import START_S, Walk

PUSH_S, WATCHED_S = 0.1, 4.0
SOFT, HARD = (0.2, 0.5), (0.5, 1.4)  # m/s


class Onlooker(FallWatch):
    """Remembers that it would have told a fall, and tells none."""

    def step(self, dt: float, rotation: Array, gyro: Array, beyond: float = 0.0) -> bool:
        """See FallWatch; always False."""
        self.seen = super().step(dt, rotation, gyro, beyond)
        return False

    seen = False


@dataclass(frozen=True, slots=True)
class Fall:
    """One push."""

    seed: int
    push_mps: float
    direction_rad: float
    walking: bool
    told_s: float | None  # after the push began
    touched_s: float | None  # anything but the feet on the ground, hands too; None: it stayed on its feet

    @property
    def lead_s(self) -> float | None:
        """From the word to the ground; 0 when it came too late."""
        if self.touched_s is None:
            return None
        return 0.0 if self.told_s is None else max(0.0, self.touched_s - self.told_s)


def push(file: WalkerFile, mass: float, seed: int) -> Fall:
    """One push of a random size, direction and time."""
    rng = np.random.default_rng(seed)
    size, angle, when = rng.uniform(*(SOFT, HARD)[seed % 2]), rng.uniform(0.0, 2 * math.pi), rng.uniform(3.0, 4.0)
    walking = bool(rng.random() < 0.7)
    f = mass * size / PUSH_S
    walk = Walk(file, World(pushes=(Push(when, PUSH_S, (f * math.cos(angle), f * math.sin(angle), 0.0)),)), seed)
    watch = walk.chain.falls = Onlooker()
    speed = 0.7 * file.walker.gait.speed if walking else 0.0
    told = touched = None
    while walk.body.now < when + WATCHED_S and touched is None:
        walk.tick(Velocity(speed if walk.body.now > START_S else 0.0))
        if watch.seen and told is None:
            told = round(walk.body.now - when, 3)
        if walk.body.touching:
            touched = round(walk.body.now - when, 3)
    return Fall(seed, round(size, 3), round(angle, 3), walking, told, touched)


def report(rows: list[Fall]) -> dict[str, object]:
    """The figures of all pushes. `possible`: falls with at least 0.3 s from the push to the ground."""
    leads = np.array([r.lead_s for r in rows if r.lead_s is not None])
    possible = np.array([r.lead_s for r in rows if r.lead_s is not None and (r.touched_s or 0.0) >= 0.3])
    return {
        "pushes": len(rows),
        "falls": len(leads),
        "false_alarms": sum(r.touched_s is None and r.told_s is not None for r in rows),
        "missed": sum(r.touched_s is not None and r.told_s is None for r in rows),
        "lead_p50_s": float(np.median(leads)) if len(leads) else None,
        "lead_min_s": float(leads.min()) if len(leads) else None,
        "share_of_possible_with_0_3_s": float((possible >= 0.3).mean()) if len(possible) else None,
        "rows": [asdict(r) for r in rows],
    }


def main() -> int:
    """Runs and prints; 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="small", help="walker's file, or a name in config/robots")
    parser.add_argument("--pushes", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        file = load_walker(args.platform)
        mass = Kinematics(file).mass
        rows = []
        for seed in range(args.first_seed, args.first_seed + args.pushes):
            rows.append(push(file, mass, seed))
            if not args.json:
                print(rows[-1], flush=True)
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    out = report(rows)
    print(json.dumps(out) if args.json else {k: v for k, v in out.items() if k != "rows"})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

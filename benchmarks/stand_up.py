"""A walker gets up from the ground, in full lock-step through servo packets, with noise.

Dropped on its face and on its back in random postures, on ground of random friction, asked to stand; it must then
stand for 2 s. Each side `--tries` times.

    python benchmarks/stand_up.py
    python benchmarks/stand_up.py --tries 5 --sides left right
    python benchmarks/stand_up.py --platform large --json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from giljabi.types import BadInputError
from giljabi.walking.walker_file import WalkerFile, load_walker
from giljabi_sim.humanoid.behave import LIES_ON, Rising, stand_up
from giljabi_sim.humanoid.body import Ground, World
from giljabi_sim.humanoid.servo_line import ServoFaults


def tries(args: argparse.Namespace, file: WalkerFile) -> Iterator[Rising]:
    """Every try's row."""
    for side in args.sides:
        for seed in range(args.first_seed, args.first_seed + args.tries):
            rng = np.random.default_rng([seed, 77])
            friction, gain = rng.uniform(*args.friction), rng.uniform(1.0 - args.gain, 1.0 + args.gain)
            world = World(Ground(friction=friction), ServoFaults(gain_factor=gain))
            yield stand_up(file, world, seed, side)


def report(rows: list[Rising]) -> dict[str, object]:
    """The figures of all tries."""
    out: dict[str, object] = {}
    for side in dict.fromkeys(r.side for r in rows):
        mine = [r for r in rows if r.side == side]
        stood = [r for r in mine if r.stood]
        out[side] = {
            "tries": len(mine),
            "stood": len(stood),
            "stood_at_once": sum(r.attempts == 1 for r in stood),
            "seconds_p50": float(np.median([r.seconds for r in stood])) if stood else None,
            "seconds_max": max(r.seconds for r in stood) if stood else None,
        }
    out["rows"] = [asdict(r) for r in rows]
    return out


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="small", help="walker's file, or a name in config/robots")
    parser.add_argument("--tries", type=int, default=20, help="of each side")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sides", nargs="+", choices=list(LIES_ON), default=["prone", "supine"])
    parser.add_argument("--friction", type=float, nargs=2, default=[0.5, 1.0], metavar=("FROM", "TO"))
    parser.add_argument("--gain", type=float, default=0.1, help="share by which the servos' gain may be off")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Runs and prints; 1 when fewer than 19 of 20 of a side stood, 2 on bad input."""
    args = arguments()
    rows: list[Rising] = []
    try:
        for row in tries(args, load_walker(args.platform)):
            rows.append(row)
            if not args.json:
                print(row, flush=True)
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    out = report(rows)
    if args.json:
        print(json.dumps(out))
    else:
        for side in dict.fromkeys(r.side for r in rows):
            print(side, out[side])
    worst = min(
        sum(r.stood for r in rows if r.side == s) / sum(r.side == s for r in rows) for s in {r.side for r in rows}
    )
    return 0 if worst >= 0.95 else 1


if __name__ == "__main__":
    raise SystemExit(main())

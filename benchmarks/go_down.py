"""A walker kneels, sits and lets go, in full lock-step through servo packets: how hard it meets the ground.

Each way down from standing and from walking, beside a robot whose joints only damp and one that loses all torque.

    python benchmarks/go_down.py --seeds 3
    python benchmarks/go_down.py --platform large --json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from giljabi.types import BadInputError
from giljabi.walking.walker_file import load_walker
from giljabi_sim.humanoid.behave import Lowering, go_down
from giljabi_sim.humanoid.body import World

WAYS = ("kneel", "sit", "minimum_risk", "damp", "free")


def report(rows: list[Lowering]) -> dict[str, object]:
    """Worst of each way."""
    out: dict[str, object] = {}
    for how in WAYS:
        mine = [r for r in rows if r.how == how]
        if mine:
            out[how] = {
                "runs": len(mine),
                "down": sum(r.down for r in mine),
                "peak_max_mps2": max(r.peak_mps2 for r in mine),
                "contact_max_mps": max(r.contact_mps for r in mine),
                "seconds_max": max(r.seconds for r in mine),
            }
    out["rows"] = [asdict(r) for r in rows]
    return out


def main() -> int:
    """Runs and prints; 1 when a way down ended in a fall or was harder than without torque, 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="small", help="walker's file, or a name in config/robots")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows: list[Lowering] = []
    try:
        file = load_walker(args.platform)
        for how in WAYS:
            for speed in (0.0, 0.7 * file.walker.gait.speed):
                for seed in range(args.seeds):
                    rows.append(go_down(file, World(), seed, how, speed))
                    if not args.json:
                        print(rows[-1], flush=True)
    except (BadInputError, RuntimeError) as e:
        print(e, file=sys.stderr)
        return 2
    out = report(rows)
    if args.json:
        print(json.dumps(out))
    else:
        for how in WAYS:
            print(how, out[how])
    free = max(r.peak_mps2 for r in rows if r.how == "free")
    good = all(r.down and r.peak_mps2 < free for r in rows if r.how in ("kneel", "sit", "minimum_risk"))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

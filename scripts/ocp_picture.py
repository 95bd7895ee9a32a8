"""Draws the README's picture of the solver's benchmark from what benchmarks/ocp.py --json printed.

usage: .venv/bin/python scripts/ocp_picture.py RESULT.json... [--out docs/img/solver.png]
example: for p in A C20 SRBD10; do .venv/bin/python benchmarks/ocp.py --problem $p --json > $p.json; done
         .venv/bin/python scripts/ocp_picture.py A.json C20.json SRBD10.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

TITLES = {
    "A": "A  car past a moving disc",
    "B": "B  ship among three discs",
    "C20": "C20  quadrotor, 20 stages",
    "C50": "C50  quadrotor, 50 stages",
    "D16": "D16  zero-moment point",
    "D100": "D100  the same, 100 stages",
    "SRBD10": "SRBD10  quadruped's forces",
    "SRBD20": "SRBD20  the same, 20 stages",
}
OURS, SAME, OTHER = "#1f6f8b", "#b9b9b9", "#e3e3e3"


def read(path: Path) -> dict[str, Any]:
    """One result; exits with one line when it is none."""
    try:
        out = json.loads(path.read_text(encoding="utf-8"))
        good = isinstance(out["ours"]["p50_us"], float) and isinstance(out["peers"], dict)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        good, out = False, {}
    if not good:
        print(f"{path}:1: not a result; the output of benchmarks/ocp.py --json is expected", file=sys.stderr)
        raise SystemExit(2)
    return dict(out)


def panel(axes: Any, result: dict[str, Any]) -> None:
    """One problem: median as a bar, 99th percentile as a line's end, per solver."""
    rows = [("giljabi", result["ours"], OURS)]
    for name, peer in result["peers"].items():
        if not peer["failed"]:
            # The method decides: a loop may cost the same to 1e-4 although more was done at every step.
            rows.append((name, peer, SAME if peer["method"].startswith("one QP") else OTHER))
    rows.sort(key=lambda row: (row[0] != "giljabi", row[1]["p50_us"]))
    for i, (_, row, colour) in enumerate(rows):
        axes.barh(i, row["p50_us"], color=colour, height=0.7)
        axes.plot([row["p50_us"], row["p99_us"]], [i, i], color="#555555", linewidth=1, marker="|", markevery=[1])
        axes.text(row["p99_us"] * 1.15, i, f"{row['p50_us']:.0f}", va="center", fontsize=7, color="#333333")
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(10, max(row["p99_us"] for _, row, _ in rows) * 4)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(TITLES.get(result["problem"], result["problem"]), fontsize=8, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(results: list[dict[str, Any]], out: Path) -> None:
    """All problems in one figure."""
    columns = min(len(results), 4)
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.9 * columns, 1.9 * rows + 0.4), squeeze=False)
    for place, result in zip(axes.flat, results, strict=False):
        panel(place, result)
    for place in axes.flat[len(results) :]:
        place.set_visible(False)
    figure.suptitle(
        "One step of the closed loop, µs of thread CPU time: median (bar, number) and 99th percentile (line). "
        "Dark: giljabi. Grey: one QP a step, the same work. Light: converged at every step.",
        fontsize=8, x=0.01, ha="left",
    )  # fmt: skip
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130, metadata={"Software": None})


def main() -> int:
    """Reads, draws, prints the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs/img/solver.png")
    args = parser.parse_args()
    draw([read(path) for path in args.results], args.out)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

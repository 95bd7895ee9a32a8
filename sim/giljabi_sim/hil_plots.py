"""Plots of a HIL run as inline SVG: the track, and everything over the scenario's time on one axis."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from giljabi_sim.hil_run import HilRun
from giljabi_sim.hil_trace import column
from giljabi_sim.world import build_route

MODE_COLORS = {
    "standby": "#9aa4ad", "auto": "#2e7d32", "manual": "#1565c0", "policy": "#1565c0", "minimum_risk": "#ef6c00",
    "stopped": "#c62828",
}  # fmt: skip
BAD, FAULT = "#c62828", "#6a1b9a"
BARS_MAX = 24


def svg(figure: Any, salt: str) -> str:
    """A figure as an <svg> element; salt keeps the identifiers of two figures of one page apart."""
    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    text = out.getvalue()
    return text[text.index("<svg") :]


def _figure(width: float, height: float) -> Any:
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure


def track(run: HilRun) -> str:
    """Route, the way the vehicle went, the estimate, and everything in the way."""
    figure = _figure(8.6, 4.6)
    axes = figure.add_subplot()
    points = build_route(run.scenario)[0].points
    axes.plot(points[:, 0], points[:, 1], "--", color="0.6", linewidth=1.0, label="route")
    for p in run.scenario.model.world.polygons:
        x, y = zip(*[*p.points, p.points[0]], strict=True)
        axes.plot(x, y, color="saddlebrown" if p.kind == "land" else BAD, linewidth=1.0, label=p.kind)
    for i, o in enumerate(run.scenario.model.world.obstacles):
        axes.plot(*o.position, "ks", markersize=5, label="obstacle" if i == 0 else None)
    for name, way in run.trace.others.items():
        axes.plot([p[0] for p in way], [p[1] for p in way], color="tab:red", linewidth=1.0, label=name)
    rows = run.trace.rows
    axes.plot(column(rows, "odom_x"), column(rows, "odom_y"), color="tab:orange", linewidth=1.0, label="estimate")
    axes.plot(column(rows, "x"), column(rows, "y"), color="tab:blue", linewidth=1.8, label=run.report["platform"])
    for t, name in run.marks:
        row = min(rows, key=lambda r: abs(r["t"] - t), default=None)
        if row is not None:
            axes.plot(row["x"], row["y"], "x", color=BAD, markersize=10, markeredgewidth=2.5, label=f"failed: {name}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("east [m]")
    axes.set_ylabel("north [m]")
    axes.grid(alpha=0.3)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="best", fontsize=8)
    return svg(figure, f"track {run.command}")


def over_time(run: HilRun) -> str:
    """Faults as bars, the guard's mode as a strip, then speed, cross track and every actuator, on one time axis."""
    rows = run.trace.rows
    actuators = [n for n in run.scenario.platform.model.actuators if any(f"command {n}" in r for r in rows)]
    actuators += [] if actuators else [n for n in run.scenario.platform.model.actuators if _has(run, f"feedback {n}")]
    bars = min(len(run.faults), BARS_MAX)
    heights = [0.35 * max(bars, 1) + 0.2, *([0.45] if run.trace.modes else []), 1.4, 1.4, *(1.4 for _ in actuators)]
    figure = _figure(8.6, sum(heights) + 0.35 * len(heights) + 0.5)
    all_axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.25})
    end = max([float(run.report["t_end_s"]), *(r["t"] for r in rows[-1:])])
    left = list(all_axes)
    _faults(left.pop(0), run, end)
    if run.trace.modes:
        _modes(left.pop(0), run, end)
    t = column(rows, "t")
    for label, key in (("speed [m/s]", "speed"), ("cross track [m]", "cross_track")):
        axes = left.pop(0)
        axes.plot(t, column(rows, key), color="tab:blue", linewidth=1.3)
        axes.set_ylabel(label, fontsize=8)
    for name in actuators:
        axes = left.pop(0)
        unit = run.scenario.platform.model.actuators[name].unit
        for kind, style in (("command", {"color": "tab:green"}), ("feedback", {"color": "0.25", "linestyle": ":"})):
            if _has(run, f"{kind} {name}"):
                axes.plot(t, column(rows, f"{kind} {name}"), linewidth=1.3, label=kind, **style)
        axes.set_ylabel(f"{name} [{unit}]", fontsize=8)
        axes.legend(loc="upper right", fontsize=7)
    for axes in all_axes:
        axes.tick_params(labelsize=8)
        axes.set_xlim(0.0, max(end, 1.0))
        for f in run.faults:
            axes.axvspan(f.begin, min(f.end if f.end is not None else math.inf, end), color=FAULT, alpha=0.07, lw=0)
        for at, _ in run.marks:
            axes.axvline(at, color=BAD, linewidth=1.4)
    for axes in all_axes[1 + bool(run.trace.modes) :]:
        axes.grid(alpha=0.3)
    all_axes[-1].set_xlabel("t [s] on the scenario's clock")
    return svg(figure, f"time {run.command}")


def _has(run: HilRun, key: str) -> bool:
    return any(key in r for r in run.trace.rows)


def _faults(axes: Any, run: HilRun, end: float) -> None:
    """One bar each; hollow and red when nothing consumed it."""
    axes.set_yticks([])
    axes.set_title("faults, guard mode, signals (red line: where an assert failed)", fontsize=9, loc="left")
    shown = run.faults[:BARS_MAX]
    axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    axes.invert_yaxis()
    if not shown:
        axes.text(0.0, 0.0, " no faults", fontsize=8, va="center", color="0.4")
    cases = [c for c in run.cases if c.group == "fault"]
    for i, f in enumerate(shown):
        bad = i < len(cases) and cases[i].bad
        stop = min(f.end if f.end is not None else math.inf, max(end, f.begin))
        face, edge = ("none", BAD) if bad else (FAULT, FAULT)
        axes.barh(i, max(stop - f.begin, 0.002 * end), left=min(f.begin, end), height=0.6, color=face, edgecolor=edge)
        text = f"{f.what} {f.where}" + (": NOT CONSUMED" if bad else "")
        inside = f.begin > 0.6 * end
        gap = -0.006 * end if inside else 0.006 * end
        axes.text(
            (min(f.begin, end) if inside else stop) + gap, i, text, fontsize=8,
            va="center", ha="right" if inside else "left", color=BAD if bad else "0.1",
        )  # fmt: skip


def _modes(axes: Any, run: HilRun, end: float) -> None:
    modes: Sequence[tuple[float, str, tuple[str, ...]]] = run.trace.modes
    axes.set_yticks([])
    axes.set_ylim(0.0, 1.0)
    for i, (t, mode, _) in enumerate(modes):
        until = modes[i + 1][0] if i + 1 < len(modes) else end
        axes.axvspan(t, until, color=MODE_COLORS.get(mode, "0.7"), alpha=0.75, lw=0)
        if until - t > 0.08 * end:
            axes.text((t + until) / 2, 0.5, mode.replace("_", " "), fontsize=8, ha="center", va="center", color="white")

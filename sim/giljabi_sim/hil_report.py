"""One self-contained HTML page of HIL runs: what failed stands first; nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from giljabi_sim.hil_plots import over_time, track
from giljabi_sim.hil_run import Case, HilRun, finite, versions

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem;color:#1b2227;background:#fff}
h1{font-size:1.25rem;margin:.2rem 0}h2{font-size:1.05rem;margin:1.4rem 0 .4rem;border-bottom:1px solid #d5dbe0}
.verdict{padding:.7rem 1rem;border-radius:.4rem;color:#fff;margin:.6rem 0}
.verdict b{font-size:1.4rem;margin-right:.6rem}
.ok{background:#2e7d32}.bad{background:#b71c1c}.verdict ul{margin:.4rem 0 0;padding-left:1.2rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}
td,th{text-align:left;padding:.22rem .5rem;vertical-align:top;
border-bottom:1px solid #e4e8eb}th{color:#56626b;font-weight:600}
td.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}
.failed,.error{color:#b71c1c;font-weight:600}.passed{color:#2e7d32}
code{background:#f1f4f6;padding:.15rem .35rem;border-radius:.2rem;overflow-wrap:anywhere}svg{width:100%;height:auto}
.facts{color:#56626b}.run{border-top:4px solid #d5dbe0;margin-top:2.5rem;padding-top:.6rem}a{color:inherit}
.wide{overflow-x:auto}
"""


def page(runs: Sequence[HilRun]) -> str:
    """The whole document."""
    first = runs[0]
    bad = sum(not r.passed for r in runs)
    title = f"{'FAILED' if bad else 'passed'}: giljabi hil {first.report['scenario']}"
    body = [_all_runs(runs)] if len(runs) > 1 else []
    body += [_run(i, r, len(runs) > 1) for i, r in enumerate(runs)]
    body.append(f"<h2>Versions</h2><p>{', '.join(f'{escape(k)} {escape(v)}' for k, v in versions().items())}</p>")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _all_runs(runs: Sequence[HilRun]) -> str:
    """Several seeds: the verdict over all, failed ones first."""
    bad = sum(not r.passed for r in runs)
    text = f"{bad} of {len(runs)} runs failed" if bad else f"all {len(runs)} runs passed"
    order = sorted(range(len(runs)), key=lambda i: runs[i].passed)
    rows = [
        (
            f'<a href="#run{i}">{runs[i].report["seed"]}</a>',
            _status("passed" if runs[i].passed else "failed"),
            escape(runs[i].cases[0].words),
            "<br>".join(escape(f"{c.name}: {c.words}") for c in runs[i].cases if c.bad),
        )
        for i in order
    ]
    return (
        f"<h1>{escape(str(runs[0].report['scenario']))}, {len(runs)} seeds</h1>"
        f'<div class="verdict {"bad" if bad else "ok"}"><b>{"FAILED" if bad else "PASSED"}</b>{text}</div>'
        + _table(("seed", "", "outcome", "what failed"), rows)
    )


def _run(number: int, run: HilRun, several: bool) -> str:
    r = run.report
    how = "in real time, the stack's own processes" if run.realtime else "in lock-step over real bytes"
    parts = [
        f'<section id="run{number}"{" class=run" if several else ""}>',
        f"<h1>{escape(str(r['scenario']))}, seed {r['seed']}</h1>",
        _verdict(run),
        f'<p class="facts">platform {escape(str(r["platform"]))}, {how}; path {finite(r.get("path_m"), 0)} m, '
        f"cross track {finite(r.get('cross_track_rms_m'))} m RMS, nearest {finite(r.get('min_distance_m'))} m; "
        f"{run.wall_s:.1f} s wall</p>",
        f"<p>Again: <code>{escape(run.command)}</code></p>",
    ]
    parts += _cases("Asserts", [c for c in run.cases if c.group == "assert"])
    parts += _cases("Faults", [c for c in run.cases if c.group == "fault"])
    if run.trace.rows:
        parts += ["<h2>Over time</h2>", over_time(run), "<h2>Track</h2>", track(run)]
    parts += _modes(run)
    parts += _wires(run.wires)
    return "\n".join([*parts, "</section>"])


def _verdict(run: HilRun) -> str:
    failed = [c for c in run.cases if c.bad]
    items = "".join(
        f"<li>{escape(c.group)} <b style='font-size:1em'>{escape(c.name)}</b>{escape(c.words)}</li>" for c in failed
    )
    word, style = ("PASSED", "ok") if run.passed else ("FAILED", "bad")
    return (
        f'<div class="verdict {style}"><b>{word}</b>{escape(run.cases[0].words)}'
        + (f"<ul>{items}</ul>" if failed else "")
        + "</div>"
    )


def _status(status: str) -> str:
    return f'<span class="{status}">{status}</span>'


def _cases(title: str, cases: Sequence[Case]) -> list[str]:
    if not cases:
        return []
    order = sorted(cases, key=lambda c: not c.bad)  # stable: what failed comes first
    return [f"<h2>{title}</h2>", _table(("", "what", "how it went"), [
        (_status(c.status), escape(c.name), escape(c.words)) for c in order
    ])]  # fmt: skip


def _modes(run: HilRun) -> list[str]:
    """When the guard changed its mode and why; in real time what it counted and what the stack told, too."""
    out = []
    if run.trace.modes:
        rows = [
            (f"{t:.2f}", escape(m.replace("_", " ")), "<br>".join(map(escape, why))) for t, m, why in run.trace.modes
        ]
        out = ["<h2>Guard</h2>", _table(("t [s]", "mode", "reasons"), rows)]
    if "guard" in run.report:
        out += _guard(run.report["guard"])
    phases: Iterable[Mapping[str, Any]] = run.report.get("phases", ())
    told = [(f"{p['wall_s']:.1f}", escape(str(p["phase"]))) for p in phases]
    return [*out, "<h2>What the stack told</h2>", _table(("wall [s]", ""), told)] if told else out


def _guard(counts: Mapping[str, Any]) -> list[str]:
    """What the guard's thread counted: inputs it refused, frames it wrote and could not write, how late it was."""
    loop = counts["loop"]
    late = f"{loop['ticks']:.0f} ticks, {loop['missed']:.0f} missed, the latest {1e3 * loop['late_max_s']:.1f} ms"
    rows = [(escape(device), _counts({k: n for k, n in d.items() if n})) for device, d in counts["devices"].items()]
    refused = _counts({k: n for k, n in counts["refused"].items() if n}) or "nothing"
    return [_table(("device", "written, and not written by reason"), rows), f"<p>{late}; refused: {refused}</p>"]


def _wires(wires: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not wires:
        return []
    head = ("driver", "direction", "bytes", "messages", "not carried", "accepted", "rejected by reason")
    rows = []
    for name, w in wires.items():
        label = f"{escape(name)}<br><small>{escape(str(w.get('url', '')))}</small>"
        flagged = _counts(w.get("driver_flagged", {}))
        rejected = _counts(w.get("driver_rejected", {})) + (f"; flagged {flagged}" if flagged else "")
        rows.append(
            (label, "from device", *_numbers(w, "bytes_in", "messages_in", "lost_in", "driver_accepted"), rejected)
        )
        out = _numbers(w, "bytes_out", "messages_out", "refused_out", "device_accepted")
        rows.append(("", "to device", *out, _counts(w.get("device_rejected", {}))))
    return ["<h2>Wires</h2>", f'<div class="wide">{_table(head, rows, numbers=(2, 3, 4, 5))}</div>']


def _numbers(w: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    return tuple(f"{w[k]:,}".replace(",", " ") if k in w else "–" for k in keys)


def _counts(counts: Mapping[str, int]) -> str:
    return escape(", ".join(f"{k} {n}" for k, n in sorted(counts.items())))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Cells are HTML already."""
    lines = ["<table>", "<tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>"]
    for row in rows:
        cells = (f'<td class="n">{c}</td>' if i in numbers else f"<td>{c}</td>" for i, c in enumerate(row))
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table>"])

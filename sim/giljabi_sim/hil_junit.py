"""JUnit XML of HIL runs: one suite a run, one case for the outcome, each assert and each fault."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from giljabi_sim.hil_run import HilRun, versions

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
GROUPS = {"outcome": "outcome", "assert": "asserts", "fault": "faults"}


def junit(runs: Sequence[HilRun]) -> str:
    """The document; times are wall seconds, and a run's own is its outcome's."""
    root = ET.Element("testsuites", name="giljabi hil", time=f"{sum(r.wall_s for r in runs):.3f}")
    for run in runs:
        _suite(root, run)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, run: HilRun) -> None:
    name = f"{run.report['scenario']} seed {run.report['seed']}"
    count = {s: sum(c.status == s for c in run.cases) for s in ("failed", "error")}
    suite = ET.SubElement(
        root, "testsuite", name=_text(name), tests=str(len(run.cases)), failures=str(count["failed"]),
        errors=str(count["error"]), skipped="0", time=f"{run.wall_s:.3f}",
    )  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    facts = {"command": run.command, "realtime": str(run.realtime).lower()}
    facts |= {k: str(run.report.get(k)) for k in ("platform", "seed", "outcome", "t_end_s")}
    for key, value in {**facts, **versions()}.items():
        ET.SubElement(properties, "property", name=key, value=_text(value))
    for c in run.cases:
        seconds = f"{run.wall_s if c.group == 'outcome' else 0.0:.3f}"
        group = f"{run.report['scenario']}.{GROUPS[c.group]}"
        case = ET.SubElement(suite, "testcase", name=_text(c.name), classname=_text(group), time=seconds)
        if c.bad:
            tag = "error" if c.status == "error" else "failure"
            ET.SubElement(case, tag, message=_text(c.words), type=c.group).text = _text(f"{c.words}\n{run.command}")
    ET.SubElement(suite, "system-out").text = _text("\n".join(f"{c.status}: {c.name}: {c.words}" for c in run.cases))


def _text(text: str) -> str:
    """Without characters that XML cannot hold."""
    return NOT_XML.sub("\ufffd", text)

"""`giljabi hil --realtime`: the same scenario and faults through the stack's own processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")

from giljabi.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_faults_meet_the_real_stack_and_one_that_does_not_fails_the_run(tmp_path: Path) -> None:
    argv = ["hil", "car_straight", "--realtime", "--fault", "what=flip where=vehicle begin=2 end=6 share=0.2"]
    argv += ["--fault", "what=drop where=vehicle message=0x7FF begin=2 end=4", "--seed", "3"]
    asserts = (
        "{name: truth, expression: max_cross_track < 2}",
        "{name: own, expression: armed, by: 30}",
        "{name: estimate, expression: position_error < 3, by: 30}",
        "{name: manual, expression: 'mode == \"manual\"', by: 20}",
    )
    argv += ["--set", f"asserts=[{', '.join(asserts)}]"]
    argv += ["--json", f"{tmp_path}/out.json", "--report", f"{tmp_path}/out.html", "--junit", f"{tmp_path}/out.xml"]
    assert main(argv) == 1
    result = json.loads((tmp_path / "out.json").read_text())["runs"][0]
    assert (result["outcome"], result["seed"]) == ("arrived", 3)
    status = {(c["group"], c["name"]): c["status"] for c in result["cases"]}
    assert status["assert", "truth"] == "passed"
    assert status["assert", "own (by 30 s)"] == status["assert", "estimate (by 30 s)"] == "passed"
    assert status["assert", "manual (by 20 s)"] == "failed"
    assert status["fault", "consumed: flip on 'vehicle' 2 to 6 s"] == "passed"
    assert status["fault", "consumed: drop 0x7ff on 'vehicle' 2 to 4 s"] == "failed"
    vehicle = result["wires"]["vehicle"]
    assert vehicle["device_accepted"] > 500
    assert vehicle["driver_accepted"] > 500
    assert vehicle["driver_rejected"]["checksum"] > 10
    assert result["guard"]["devices"]["vehicle"]["frames"] > 500
    assert result["guard"]["loop"]["ticks"] > 500
    page = (tmp_path / "out.html").read_text()
    assert "no such message" in page
    assert "armed" in page
    assert "<h2>Guard</h2>" in page
    assert "minimum risk" not in page.split("<h2>Guard</h2>")[1].split("</table>")[0]
    assert "checksum" in page

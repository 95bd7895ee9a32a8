"""What the simulator's judge hears of a stack in other processes."""

from __future__ import annotations

import json
import math
from pathlib import Path

from giljabi_sim.stack_words import StackWords
from giljabi_sim.truth import Own

ROW = {"t": 5.0, "mode": "auto", "armed": True, "reasons": [], "phase": "running", "output": {"rudder": 0.1}}


def own() -> Own:
    return Own(1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0, 1.0)


def test_lines_are_taken_whole_and_silence_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    words = StackWords(path)
    assert not words.read(0.0)
    assert words.signals(0.0, own()) == {}
    line = json.dumps(ROW | {"odom": {"x": 4.0, "y": 6.0, "yaw": 3.0 - 2 * math.pi + 0.1}, "counts": {"guard": 1}})
    with path.open("w", buffering=1) as f:
        f.write(line[:40])
        f.flush()
        assert not words.read(1.0)
        f.write(line[40:] + "\n")
        f.flush()
        assert words.read(1.0)
        signals = words.signals(1.5, own())
        assert (signals["mode"], signals["armed"], signals["phase"]) == ("auto", True, "running")
        assert signals["position_error"] == 5.0
        assert math.isclose(float(signals["heading_error_deg"]), math.degrees(0.1))
        assert words.counts == {"guard": 1}
        assert words.signals(2.5, own()) == {}, "silent for more than a second"
        f.write(json.dumps(ROW | {"mode": "minimum_risk"}) + "\n" + json.dumps({"counts": {"guard": 2}}) + "\n")
        f.flush()
        assert words.read(3.0)
    assert words.signals(3.0, own())["position_error"] == math.inf, "a stack without an estimate"
    assert words.counts == {"guard": 2}
    words.close()

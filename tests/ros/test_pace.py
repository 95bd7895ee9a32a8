"""A paced step keeps its rate and follows its data."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'giljabi[ros]'")
from giljabi.ros.pace import Pace


def runs(rate: float, data: list[float], until: float, phase: float = 0.003) -> list[tuple[float, str]]:
    """Times of the runs when data arrives at `data` and a timer ticks at the rate."""
    pace, out = Pace(rate), []
    n = int(until * rate)
    events = sorted([(phase + k / rate, "timer") for k in range(n)] + [(t, "data") for t in data if t < until])
    for t, kind in events:
        if pace.timer(t) if kind == "timer" else pace.arrived(t):
            out.append((t, kind))
    return out


@pytest.mark.parametrize("jitter", [0.0, 0.004])
def test_data_at_the_rate_triggers_every_run(jitter: float) -> None:
    data = [k / 50 + (jitter if k % 2 else 0.0) for k in range(500)]
    out = runs(50.0, data, 10.0)
    assert sum(kind == "data" for _, kind in out) >= 0.99 * len(out)
    assert 495 <= len(out) <= 505


def test_faster_data_does_not_raise_the_rate() -> None:
    out = runs(50.0, [k / 190 for k in range(1900)], 10.0)
    assert 490 <= len(out) <= 510


def test_slow_data_leaves_the_timer_its_rate() -> None:
    out = runs(50.0, [k / 7 for k in range(70)], 10.0)
    assert 430 <= len(out) <= 510


def test_without_data_the_timer_runs_alone() -> None:
    out = runs(20.0, [k / 20 for k in range(20)], 10.0)
    assert [kind for t, kind in out if t > 1.2] == ["timer"] * sum(t > 1.2 for t, _ in out)
    assert 195 <= len(out) <= 201

"""NMEA driver: one sample an epoch whatever the order of its sentences, and time of day to UTC."""

from __future__ import annotations

import calendar
import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nmea_lines import GGA, RMC, give, sentence, ship

from giljabi.types import GnssFix, GnssVelocity
from giljabi_drivers.contract import Received
from giljabi_drivers.epoch import GPS_ROLLOVER, EpochFilter, UtcTracker

# --- epochs -----------------------------------------------------------------------------------------


def epoch(clock: str, order: str) -> list[bytes]:
    lines = {
        "G": sentence("GGA", GGA.format(1).replace("123519.00", clock)),
        "R": sentence("RMC", RMC.format(clock)),
        "L": sentence("GLL", f"4807.038,N,01131.000,E,{clock},A,A"),
        "V": sentence("VTG", "084.4,T,,M,22.4,N,,K,A"),
    }
    return [lines[c] for c in order]


def drive(
    order: str, lost: dict[int, str], together: bool, count: int = 30, rate: float = 5.0
) -> tuple[list[Any], Any]:
    """Epochs of one second's parts, with the sentences of `lost` missing in some of them."""
    d = ship()
    out: list[Any] = []
    for i in range(count):
        clock = f"1235{i * 1.0 / rate:05.2f}"
        for k, line in enumerate(epoch(clock, "".join(c for c in order if c not in lost.get(i, "")))):
            t = i / rate + (0.0 if together else 0.01 * k)
            idle = d.step(max(t - 0.005, 0.0), [])
            out += idle.samples
            if idle.next_deadline < t:
                out += d.step(idle.next_deadline, []).samples
            out += d.step(t, [Received(t, line)]).samples
    out += d.step(1e3, []).samples
    return out


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("GRLV")] + ["RV", "VR", "GL", "L", "R"])
@pytest.mark.parametrize("together", [True, False])
def test_one_fix_and_one_velocity_an_epoch_in_any_order(order: str, together: bool) -> None:
    samples = drive(order, {}, together)
    fixes = [s for s in samples if isinstance(s, GnssFix)]
    velocities = [s for s in samples if isinstance(s, GnssVelocity)]
    # Only the first epoch can bring a second one: nobody knows yet what follows.
    assert 30 <= len(fixes) <= 30 + 2 * ("L" in order or "R" in order)
    assert len(velocities) in (30, 31) if {"R", "V"} & set(order) else not velocities
    if "G" in order:
        assert all(not math.isnan(f.alt_m) for f in fixes[3:])


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("GRV")])
def test_a_lost_line_costs_no_fix_and_no_velocity(order: str) -> None:
    lost = {10: "G", 14: "R", 18: "GV", 22: "RV"}
    samples = drive(order, lost, together=False)
    fix_epochs = {round(s.t * 5.0 - 0.1) for s in samples if isinstance(s, GnssFix)}
    velocity_epochs = {round(s.t * 5.0 - 0.1) for s in samples if isinstance(s, GnssVelocity)}
    assert fix_epochs == set(range(30))
    assert velocity_epochs == set(range(30)) - {22}  # that epoch has no line with a velocity


def test_a_lesser_sentence_waits_only_a_moment() -> None:
    d = ship()
    for i in range(5):
        give(d, *epoch(f"12350{i}.00", "RG"), t=float(i))
    result = d.step(6.0, [Received(6.0, epoch("123506.00", "R")[0])])
    assert [type(s) for s in result.samples] == [GnssVelocity]
    assert 6.0 < result.next_deadline < 6.3
    (late,) = d.step(result.next_deadline, []).samples
    assert isinstance(late, GnssFix)
    assert late.t == 6.0


def test_a_receiver_that_repeats_itself_gives_no_new_fix() -> None:
    d = ship()
    line = sentence("GGA", GGA.format(1))
    assert len(give(d, line)) == 1
    assert give(d, line, line, t=11.0) == []
    assert d.health(15.0)["gnss"].startswith("no gnss sample for 5.0 s")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from([math.nan, 1.0, 2.0, 3.0]), st.integers(0, 3)), max_size=30)
)
def test_an_epoch_filter_never_gives_a_sample_twice(offers: list[tuple[float, float, int]]) -> None:
    f: EpochFilter[int] = EpochFilter()
    out: list[int] = []
    for i, (t, key, rank) in enumerate(offers):
        out += f.offer(t, key, rank, i, i)
        out += f.flush(t)
    out += f.flush(math.inf)
    assert len(out) == len(set(out))
    assert f.pending is None
    best = max((rank for _, _, rank in offers), default=0)
    assert {i for i, o in enumerate(offers) if o[2] == best} <= set(out)  # the best sentence always passes


# --- time -------------------------------------------------------------------------------------------


def test_time_of_day_gets_its_date_over_midnight_and_leap_second() -> None:
    d = ship()
    zda = sentence("ZDA", "235958.00,31,12,2016,00,00")
    lines = [sentence("GGA", GGA.format(1).replace("123519", c)) for c in ("235959", "235960", "000000", "000001")]
    fixes = [s for i, line in enumerate([zda, *lines]) for s in give(d, line, t=100.0 + i)]
    new_year = calendar.timegm((2017, 1, 1, 0, 0, 0))
    assert [f.utc_s for f in fixes] == [new_year - 1, new_year, new_year, new_year + 1]
    assert len(fixes) == 4


def test_dates_without_times_and_times_without_dates() -> None:
    d = ship()
    give(d, sentence("ZDA", ",31,12,2016,00,00"), sentence("ZDA", "120000,,,,00,"), sentence("RMC", RMC.format("")))
    (fix,) = give(d, sentence("GGA", GGA.format(1)), t=12.0)
    assert math.isnan(fix.utc_s)
    assert give(d, sentence("ZDA", "120000,31,02,2016,00,00")) == []
    assert d.stats.rejected == {"bad_field": 1}


def test_gps_week_rollover() -> None:
    today = float(calendar.timegm((2026, 4, 7, 12, 0, 0)))
    utc = UtcTracker()
    utc.set_date(today + 3.0, 2006, 8, 22, 43200.0)  # 1024 weeks before, and the receive clock knows better
    assert utc.resolve(today + 4.0, 43201.0) == today + 1.0
    utc = UtcTracker()
    utc.set_date(today, 2006, 8, 22, 43200.0)
    assert utc.utc == today
    utc = UtcTracker()
    utc.set_date(5.0, 2006, 8, 22, 43200.0)  # a replay that counts from 0 knows nothing
    assert utc.utc == today - GPS_ROLLOVER
    utc = UtcTracker()
    utc.set_date(0.0, 2019, 4, 6, 86398.0)
    utc.set_date(3.0, 1999, 8, 22, 1.0)  # it happens while we listen
    assert utc.utc == calendar.timegm((2019, 4, 7, 0, 0, 1))

"""The tracker: own motion, clutter, crossings, reports with identity, bad input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from giljabi.frames import LocalFrame, quat_from_yaw, rotate_2d
from giljabi.perception.gnn import GnnTracker
from giljabi.platform import load_platform
from giljabi.types import Detections, GeoDetections, Kind, Odometry, Origin, Tracks

NAN = math.nan
ORIGIN = Origin(60.0, 23.5, 0.0)


def row(x: float, y: float, vx: float = NAN, vy: float = NAN, **more: float) -> list[float]:
    values = {"z": NAN, "yaw": NAN, "length": NAN, "width": NAN, "id": NAN, "kind": 0.0, "variance": 0.25, **more}
    head = [x, y, values["z"], vx, vy]
    return head + [values[k] for k in ("yaw", "length", "width", "id", "kind", "variance")]


def scan(t: float, rows: Sequence[Sequence[float]], frame: str = "map", source: str = "radar") -> Detections:
    return Detections(t, source, frame, np.array(rows, dtype=float).reshape(-1, 11))


def odom(
    t: float, *, x: float = 0.0, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0, rate: float = 0.0
) -> Odometry:
    cov = np.diag([0.01, 0.01, 0.01, 1e-4, 1e-4, 1e-6])
    return Odometry(
        t, np.array([x, y, 0.0]), quat_from_yaw(yaw), np.array([speed, 0.0, 0.0]), np.array([0.0, 0.0, rate]), cov, cov
    )


def tracker(name: str = "car") -> GnnTracker:
    return GnnTracker(load_platform(name))


def test_one_target_is_confirmed_and_followed() -> None:
    rng = np.random.default_rng(1)
    tr = tracker()
    out: Tracks | None = None
    late: list[np.ndarray] = []
    for k in range(60):
        t = 0.1 * k
        z = np.array([20.0 + 3.0 * t, -5.0 + 1.0 * t]) + 0.3 * rng.standard_normal(2)
        out = tr.step(t, [scan(t, [row(*z, length=4.0, width=1.8, variance=0.09)])], [], None)
        assert len(out.data) == (0 if k < 3 else 1)
        late.extend(out.data[:, 3:5] if k > 30 else [])
    assert out is not None
    x = out.data[0]
    assert np.allclose(x[:2], [37.7, 0.9], atol=0.5)
    assert np.allclose(np.mean(late, axis=0), [3.0, 1.0], atol=0.3)
    assert x[6] == pytest.approx(4.0)
    assert x[7] == pytest.approx(1.8)
    assert x[5] == pytest.approx(math.atan2(1, 3), abs=0.15)
    assert x[10] < 0.09  # better than one detection


def test_errors_match_the_variance_it_claims() -> None:
    rng = np.random.default_rng(2)
    nees = []
    for _ in range(20):
        tr = tracker()
        for k in range(50):
            t = 0.1 * k
            p = np.array([10.0 + 5.0 * t, 3.0 - 2.0 * t])
            out = tr.step(t, [scan(t, [row(*(p + 0.5 * rng.standard_normal(2)), variance=0.25)])], [], None)
        nees.append(float(np.sum((out.data[0, :2] - p) ** 2) / out.data[0, 10]))
    assert 0.4 < np.mean(nees) < 3.0  # chi-square with 2 degrees; process noise makes it careful


def test_output_is_predicted_to_now() -> None:
    tr = tracker()
    for k in range(30):
        t = 0.1 * k
        tr.step(t, [scan(t, [row(4.0 * t, 0.0, 4.0, 0.0)])], [], None)
    a, b = tr.step(3.0, [], [], None), tr.step(3.5, [], [], None)
    assert b.t == 3.5
    assert b.data[0, 0] - a.data[0, 0] == pytest.approx(2.0, abs=0.1)
    assert b.data[0, 10] > a.data[0, 10]


@pytest.mark.parametrize("rate", [0.0, 0.4, -0.4])
def test_own_motion_is_taken_out(rate: float) -> None:
    """A target at rest, seen from a car that drives and turns, stays at rest; one flipped sign would smear it."""
    rng = np.random.default_rng(3)
    tr = tracker()
    target, speed = np.array([40.0, 6.0]), 8.0
    x, y, yaw = 0.0, 0.0, 0.3
    history = []
    out: Tracks | None = None
    for k in range(400):
        t = 0.01 * k
        history.append(odom(t, x=x, y=y, yaw=yaw, speed=speed, rate=rate))
        if k % 10 == 0:
            # The scan is 50 ms old when it arrives: its own stamp counts.
            then = history[max(0, k - 5)]
            seen = rotate_2d(-then.yaw, target - then.position[:2]) + 0.1 * rng.standard_normal(2)
            ground = 0.1 * rng.standard_normal(2)
            out = tr.step(t, [scan(then.t, [row(*seen, *ground, variance=0.01)], "base_link")], history[-10:], None)
        x, y, yaw = x + 0.01 * speed * math.cos(yaw), y + 0.01 * speed * math.sin(yaw), yaw + 0.01 * rate
    assert out is not None
    assert len(out.data) == 1
    assert np.allclose(out.data[0, :2], target, atol=0.25)
    assert np.hypot(*out.data[0, 3:5]) < 0.3


def test_velocity_in_base_link_is_turned_into_map() -> None:
    tr = tracker()
    for k in range(10):
        t = 0.1 * k
        # Own vehicle looks north; the target ahead goes to its left, which is west.
        p = rotate_2d(-math.pi / 2, np.array([-2.0 * t, 30.0]))
        out = tr.step(t, [scan(t, [row(*p, 0.0, 2.0, yaw=math.pi / 2)], "base_link")], [odom(t, yaw=math.pi / 2)], None)
    assert np.allclose(out.data[0, 3:5], [-2.0, 0.0], atol=0.2)
    assert np.cos(out.data[0, 5]) == pytest.approx(-1.0, abs=1e-3)


def test_no_odometry_at_the_stamp() -> None:
    tr = tracker()
    tr.step(10.0, [scan(10.0, [row(1, 2)], "base_link")], [], None)
    tr.step(12.0, [scan(11.9, [row(1, 2)], "base_link")], [odom(8.0)], None)
    assert tr.rejected["radar"] == {"no odometry at its stamp": 2}


def test_clutter_rarely_makes_tracks_and_misses_do_not_break_one() -> None:
    """Poisson clutter of 3 a scan over 80 m x 80 m, detection probability 0.8, 60 s at 10 Hz."""
    false_scans, ids, seen, scans = 0, set(), 0, 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        tr = tracker()
        for k in range(600):
            t = 0.1 * k
            truth = np.array([-30.0 + 1.0 * t, 5.0])
            rows = [row(*p, variance=0.04) for p in rng.uniform(-40, 40, (rng.poisson(3.0), 2))]
            if rng.uniform() < 0.8:
                rows.append(row(*(truth + 0.2 * rng.standard_normal(2)), variance=0.04))
            out = tr.step(t, [scan(t, rows)], [], None)
            near = np.hypot(*(out.data[:, :2] - truth).T) < 2.0
            false_scans += int((~near).sum())
            if k > 20:
                scans += 1
                seen += bool(near.any())
                ids |= {(seed, int(i)) for i in out.data[near, 8]}
    assert false_scans / 1800 < 0.1
    assert seen / scans > 0.98
    assert len(ids) <= 4  # one track a run, at most one exchange in all


def test_identity_is_kept_through_a_crossing() -> None:
    """Two targets cross at right angles and pass within a metre of each other at the same time."""
    for seed in range(5):
        rng = np.random.default_rng(40 + seed)
        tr = tracker()
        first: dict[int, int] = {}
        for k in range(100):
            t = 0.1 * k
            a, b = np.array([-20.0 + 4.0 * t, 0.0]), np.array([0.7, -20.0 + 4.0 * t])
            rows = [row(*(p + 0.2 * rng.standard_normal(2)), variance=0.04) for p in (a, b) if rng.uniform() < 0.9]
            rng.shuffle(rows)
            out = tr.step(t, [scan(t, rows)], [], None)
            if k == 30:
                assert len(out.data) == 2
                first = {
                    n: int(out.data[np.argmin(np.hypot(*(out.data[:, :2] - p).T)), 8]) for n, p in ((0, a), (1, b))
                }
        assert len(out.data) == 2
        for n, p in ((0, a), (1, b)):
            assert int(out.data[np.argmin(np.hypot(*(out.data[:, :2] - p).T)), 8]) == first[n]


def test_lost_target_is_dropped_and_its_number_not_used_again() -> None:
    tr = tracker()
    for k in range(20):
        tr.step(0.1 * k, [scan(0.1 * k, [row(10.0, 0.0)])], [], None)
    (number,) = tr.step(2.0, [], [], None).data[:, 8]
    for k in range(21, 80):
        out = tr.step(0.1 * k, [scan(0.1 * k, [])], [], None)
    assert len(out.data) == 0
    for k in range(80, 100):
        out = tr.step(0.1 * k, [scan(0.1 * k, [row(10.0, 0.0)])], [], None)
    assert out.data[0, 8] != number


# --- reports with identity ---


def ais(t: float, p: Sequence[float], v: Sequence[float], mmsi: float, **more: float) -> GeoDetections:
    lat, lon, _ = LocalFrame(ORIGIN).geodetic_from_map([*p, 0.0])
    return GeoDetections(t, "ais", np.array([row(lon, lat, *v, id=mmsi, variance=25.0, kind=1.0, **more)]))


def test_ais_targets_live_between_irregular_reports() -> None:
    rng = np.random.default_rng(5)
    tr = tracker("ship")
    ships = {230111222: ((800.0, -200.0), (-3.0, 2.0)), 230333444: ((-500.0, 900.0), (4.0, -1.0))}
    due = dict.fromkeys(ships, 0.0)
    seen: set[int] = set()
    for k in range(1500):
        t = 0.2 * k
        batch = []
        for mmsi, (p, v) in ships.items():
            if t >= due[mmsi]:
                due[mmsi] = t + rng.uniform(2.0, 10.0)
                at = np.array(p) + t * np.array(v) + 4.0 * rng.standard_normal(2)
                course = np.array(v) + 0.1 * rng.standard_normal(2)
                batch.append(ais(t, at, course, mmsi, length=80.0, width=12.0, yaw=1.0))
        out = tr.step(t, batch, [], ORIGIN)
        seen |= set(out.data[:, 8].astype(int))
        if t > 1.0:
            assert len(out.data) == 2
            for x in out.data:
                p, v = ships[int(x[8])]
                assert np.hypot(*(x[:2] - p - t * np.array(v))) < 25.0
    assert seen == set(ships)
    assert np.all(out.data[:, 9] == Kind.VESSEL.value)
    assert np.all(out.data[:, 6] == 80.0)
    assert np.all(out.data[:, 5] == 1.0)


def test_slow_reporter_is_kept_by_its_own_interval() -> None:
    tr = tracker("ship")
    for t in (0.0, 25.0, 50.0):
        tr.step(t, [ais(t, (100.0, 0.0), (0.0, 0.0), 1e8)], [], ORIGIN)
    assert len(tr.step(140.0, [], [], ORIGIN).data) == 1
    assert len(tr.step(151.0, [], [], ORIGIN).data) == 0


def test_radar_track_takes_the_identity_of_the_report() -> None:
    tr = tracker("ship")
    for k in range(20):
        t = 0.5 * k
        tr.step(t, [scan(t, [row(200.0 + t, 50.0, variance=4.0)])], [], ORIGIN)
    (number,) = tr.step(10.0, [], [], ORIGIN).data[:, 8]
    tr.step(10.1, [ais(10.1, (211.0, 51.0), (1.0, 0.0), 230111222, length=30.0)], [], ORIGIN)
    out = tr.step(12.0, [ais(12.0, (212.0, 51.0), (1.0, 0.0), 230111222, length=30.0)], [], ORIGIN)
    assert len(out.data) == 1
    assert out.data[0, 8] == number
    assert out.data[0, 6] == 30.0


def test_one_absurd_report_is_not_believed_a_lasting_one_is() -> None:
    tr = tracker("ship")
    for k in range(10):
        tr.step(3.0 * k, [ais(3.0 * k, (9.0 * k, 0.0), (3.0, 0.0), 5e8)], [], ORIGIN)
    out = tr.step(30.0, [ais(30.0, (5000.0, 0.0), (3.0, 0.0), 5e8)], [], ORIGIN)
    assert out.data[0, 0] == pytest.approx(90.0, abs=15.0)
    out = tr.step(33.0, [ais(33.0, (5009.0, 0.0), (3.0, 0.0), 5e8)], [], ORIGIN)
    assert out.data[0, 0] == pytest.approx(5009.0, abs=15.0)
    assert out.data[0, 8] == 5e8


def test_reports_without_origin_wait() -> None:
    tr = tracker("ship")
    assert len(tr.step(1.0, [ais(1.0, (1, 2), (1, 1), 1e8)], [], None).data) == 0
    assert tr.rejected["ais"] == {"no origin yet": 1}


def test_same_input_same_bytes() -> None:
    def once() -> bytes:
        rng = np.random.default_rng(8)
        tr = tracker()
        out = b""
        for k in range(100):
            rows = [row(*p) for p in rng.uniform(-10, 10, (6, 2))]
            out += tr.step(0.1 * k, [scan(0.1 * k, rows)], [], None).data.tobytes()
        return out

    assert once() == once()


anything = st.one_of(st.floats(-1e3, 1e3), st.floats(), st.sampled_from([NAN, math.inf, 1e300, -1e300, 0.0]))
matrix = st.lists(st.lists(anything, min_size=11, max_size=11), max_size=4)
stamps = st.one_of(st.floats(8.0, 12.0), anything)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.builds(lambda t, f, m: scan(t, m, f), stamps, st.sampled_from(["map", "base_link", "?"]), matrix),
            st.builds(lambda t, m: GeoDetections(t, "ais", np.array(m, dtype=float).reshape(-1, 11)), stamps, matrix),
            st.builds(lambda t: Detections(t, "lidar", "map", np.zeros((2, 3))), stamps),
        ),
        max_size=10,
    )
)
def test_fuzz(scans: list[Any]) -> None:
    tr = tracker()
    for k, s in enumerate(scans):
        out = tr.step(10.0 + 0.1 * k, [s], [odom(10.0 + 0.1 * k)], ORIGIN)
        assert out.data.shape[1] == 11
        assert np.all(np.isfinite(out.data[:, [0, 1, 2, 3, 4, 8, 9, 10]]))

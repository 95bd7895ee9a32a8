"""A fleet's planners where things stand: ways lead through what is known to be free, and others are kept clear of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from giljabi.fleet.intent import from_text, to_text
from giljabi.frames import quat_from_yaw
from giljabi.planning.flight_fleet import FlightFleetPlanner
from giljabi.platform import load_platform
from giljabi.types import FREE, OCCUPIED, UNKNOWN, Array, GridMap, MissionPhase, Odometry, Route

CELL, N, DT = 0.2, 140, 0.05
RADIUS = 0.5 * math.hypot(0.6, 0.6)  # of the vehicle's corners


def planner(folder: Path, number: int, mapper: bool = True) -> FlightFleetPlanner:
    text = load_platform("drone_lidar" if mapper else "drone").file.path.read_text(encoding="utf-8")
    before, after = text.split("  planner:\n", 1)
    file = folder / "drone.yaml"
    options = "{fleet: {members: [vehicle_1, vehicle_2]}}"
    step = f"  planner: {{kind: flight_fleet, rate_hz: 20, options: {options}}}\n"
    file.write_text(before + step + after[after.index("  controller:") :])
    out = FlightFleetPlanner(load_platform(file))
    out.join(f"vehicle_{number}")
    return out


@dataclass
class Pair:
    """Two vehicles that are where they plan to be; what stands (x, y, radius) is seen within `sight` [m]."""

    planners: list[FlightFleetPlanner]
    routes: list[list[list[float]]]
    things: list[tuple[float, float, float]]
    sight: float = 11.0
    veiled: float = math.inf  # m east, from where on nothing can be seen
    place: Array = field(init=False)
    velocity: Array = field(default_factory=lambda: np.zeros((2, 3)))
    rows: list[Array] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.place = np.array([r[0] for r in self.routes], dtype=float)
        for p, points in zip(self.planners, self.routes, strict=True):
            n = len(points)
            p.set_route(Route(np.array(points, dtype=float), np.full(n, 5.0), np.full((n, 2), np.inf)))
            p.armed(True)
            p.start()

    def see(self, t: float, i: int) -> GridMap:
        p = self.place[i]
        corner = (float(p[0] - 0.5 * N * CELL), float(p[1] - 0.5 * N * CELL))
        y, x = np.mgrid[0:N, 0:N] * CELL + 0.5 * CELL
        x, y = x + corner[0], y + corner[1]
        known = (np.hypot(x - p[0], y - p[1]) < self.sight) & (x < self.veiled)
        cells = np.where(known, FREE, UNKNOWN).astype(np.uint8)
        for a, b, r in self.things:
            cells[(np.hypot(x - a, y - b) < r + 0.5 * CELL) & known] = OCCUPIED
        return GridMap(t, CELL, corner, float(p[2]), cells)

    def fly(self, seconds: float, *, maps: bool = True, begin: int = 0) -> list[MissionPhase]:
        phases = [MissionPhase.IDLE] * 2
        for k in range(begin, begin + round(seconds / DT)):
            t = DT * k
            for i, p in enumerate(self.planners):
                if maps and k % 2 == 0:
                    p.set_map(self.see(t, i))
                zero = np.zeros(3)
                odom = Odometry(t, self.place[i], quat_from_yaw(0.0), self.velocity[i], zero, np.eye(6), np.eye(6))
                result = p.step(t, odom, None)
                self.notes.add(result.mission.note)
                phases[i] = result.mission.phase
                if result.trajectory is not None:
                    self.place[i], self.velocity[i] = result.trajectory.position[0], result.trajectory.velocity[0]
                intent = p.say(t)
                assert intent is not None
                if k % 2 == 0:
                    self.planners[1 - i].hear(from_text(to_text(intent)))
            self.rows.append(self.place.copy())
            if all(x is MissionPhase.ARRIVED for x in phases):
                break
        return phases

    def away(self) -> float:
        """Least distance of a centre to anything that stands [m]."""
        rows = np.array(self.rows)[..., :2].reshape(-1, 2)
        return min(float(np.hypot(*(rows - [x, y]).T).min()) - r for x, y, r in self.things)

    def apart(self) -> float:
        rows = np.array(self.rows)
        return float(np.linalg.norm(rows[:, 0] - rows[:, 1], axis=1).min())


CROSSING = [
    [[0.0, 0, 0], [0, 0, 6], [40, 0, 6], [40, 0, 0]],
    [[20.0, -20, 0], [20, -20, 6], [20, 20, 6], [20, 20, 0]],
]
TRUNKS = [(20.0, 0.0, 0.3), (10.0, 0.3, 0.3), (20.3, 10.0, 0.3)]  # one where both lines cross


def test_two_cross_with_trunks_between_and_keep_clear_of_both(tmp_path: Path) -> None:
    pair = Pair([planner(tmp_path, 1), planner(tmp_path, 2)], CROSSING, TRUNKS)
    assert pair.fly(120.0) == [MissionPhase.ARRIVED] * 2
    assert pair.apart() > 2.1
    assert pair.away() > RADIUS + 0.3
    blind = Pair([planner(tmp_path, n, mapper=False) for n in (1, 2)], CROSSING, TRUNKS)
    assert blind.fly(120.0) == [MissionPhase.ARRIVED] * 2
    assert blind.away() < RADIUS  # what the map is for


def test_nobody_flies_into_what_was_not_seen(tmp_path: Path) -> None:
    pair = Pair([planner(tmp_path, 1), planner(tmp_path, 2)], CROSSING, TRUNKS[1:], veiled=14.0)
    pair.fly(40.0)
    rows = np.array(pair.rows)
    assert rows[:, 0, 0].max() < 14.0 - RADIUS
    assert rows[:, 0, 0].max() > 10.0
    assert np.hypot(*(rows[:, 1, :2] - [20, -20]).T).max() < 0.31  # all about it is unknown: straight up, no further
    assert rows[:, 1, 2].max() > 5.0
    assert "waits for a clear way" in pair.notes


def test_without_a_map_it_goes_straight_up_only_and_on_when_there_is_one(tmp_path: Path) -> None:
    pair = Pair([planner(tmp_path, 1), planner(tmp_path, 2)], CROSSING, TRUNKS)
    pair.fly(30.0, maps=False)
    rows = np.array(pair.rows)
    assert np.linalg.norm(rows[..., :2] - rows[0, :, :2], axis=2).max() < 0.31
    assert rows[-1, :, 2].min() > 5.0


def test_what_comes_to_stand_in_the_agreed_way_is_gone_around(tmp_path: Path) -> None:
    routes = [CROSSING[0], [[20.0, -60, 0], [20, -60, 6], [30, -60, 6], [30, -60, 0]]]
    pair = Pair([planner(tmp_path, 1), planner(tmp_path, 2)], routes, [(99.0, 99.0, 0.3)], sight=13.0)
    while pair.place[0][0] < 6.0:
        pair.fly(DT, begin=len(pair.rows))
    x, y, _ = pair.place[0] + 2.9 * pair.velocity[0]
    pair.things.append((x, y, 0.3))  # stands where it flies to
    assert pair.fly(60.0, begin=len(pair.rows))[0] is MissionPhase.ARRIVED
    assert "something stands in the way" in pair.notes
    assert pair.away() > RADIUS

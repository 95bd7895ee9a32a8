"""Planner, controller, guard limits and a small plant on one clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from small_plants import SmallGuard

from giljabi.control.ocp_tracking import OcpTrackingController
from giljabi.planning.obstacles import clearance, predict
from giljabi.planning.ocp_route import OcpRoutePlanner
from giljabi.platform import Platform
from giljabi.types import ActuatorCommand, Array, MissionPhase, Odometry, Route, Tracks, Trajectory

NO_TRACKS = np.zeros((0, 11))


class Plant(Protocol):
    def step(self, command: Mapping[str, float], dt: float) -> None: ...
    def odometry(self, t: float) -> Odometry: ...


def route(points: list[tuple[float, float]], speed: float, half_width: float, closed: bool = False) -> Route:
    xyz = np.array([(*p, 0.0) for p in points])
    return Route(xyz, np.full(len(xyz), speed), np.full((len(xyz), 2), half_width), closed)


def track(
    x: float, y: float, vx: float = 0.0, vy: float = 0.0, yaw: float = math.nan, length: float = 4.5, width: float = 1.9
) -> Array:
    """One row of Tracks.data."""
    return np.array([[x, y, 0.0, vx, vy, yaw, length, width, 7.0, 1.0, 0.04]])


@dataclass
class Run:
    """What a closed loop did; one row per plant step in `log`: t x y yaw u cross_track lateral_error room."""

    log: Array
    phase: MissionPhase
    notes: list[str]
    commands: list[ActuatorCommand] = field(default_factory=list)
    trajectories: list[Trajectory] = field(default_factory=list)
    guard: SmallGuard | None = None

    @property
    def least_room(self) -> float:
        return float(np.nanmin(self.log[:, 7]))

    def column(self, name: str) -> Array:
        return self.log[:, ["t", "x", "y", "yaw", "u", "cross", "lateral", "room"].index(name)]


def drive(
    platform: Platform,
    plant: Plant,
    way: Route,
    truth: Callable[[float], Array] = lambda t: NO_TRACKS,
    until: float = 120.0,
    dt: float = 0.01,
    latency: float = 0.0,
    noise: float = 0.0,
    events: Callable[[float, OcpRoutePlanner], None] | None = None,
) -> Run:
    """Runs until arrival and rest; truth(t) gives the true rows of Tracks.data, seen with noise [m, m/s x 0.3]."""
    rng = np.random.default_rng(5)
    planner, controller, guard = OcpRoutePlanner(platform), OcpTrackingController(platform), SmallGuard(platform)
    planner.set_route(way)
    planner.start()
    plan_every = round(1.0 / platform.model.steps.planner.rate_hz / dt)
    control_every = round(1.0 / platform.model.steps.controller.rate_hz / dt)
    late = round(latency / dt)
    seen: list[Odometry] = []
    run = Run(np.zeros(0), MissionPhase.IDLE, [], guard=guard)
    rows = []
    result, command = None, None
    for i in range(round(until / dt)):
        t = i * dt
        now = plant.odometry(t)
        seen = [*seen[-late:], now] if late else [now]
        if events is not None:
            events(t, planner)
        if i % plan_every == 0:
            data = truth(t).copy()
            data[:, 0:2] += noise * rng.standard_normal((len(data), 2))
            data[:, 3:5] += 0.3 * noise * rng.standard_normal((len(data), 2))
            result = planner.step(t, seen[0], Tracks(t, data))
            if not run.notes or run.notes[-1] != result.mission.note:
                run.notes.append(result.mission.note)
            if result.trajectory is not None:
                run.trajectories.append(result.trajectory)
        assert result is not None
        if i % control_every == 0:
            command = controller.step(t, seen[0], None, result.trajectory, guard.output)
            assert command is not None, controller.note
            run.commands.append(command)
        guard.step(command.values if command else None, dt)
        plant.step(guard.output, dt)
        rows.append([t, *now.position[:2], now.yaw, now.velocity[0], result.mission.cross_track])
        rows[-1] += [_lateral(t, now, result.trajectory), _room(platform, now, truth(t))]
        if result.mission.phase is MissionPhase.ARRIVED and np.hypot(*now.velocity[:2]) < 0.1:
            break
    run.log, run.phase = np.array(rows), result.mission.phase if result else run.phase
    return run


def _lateral(t: float, odom: Odometry, trajectory: Trajectory | None) -> float:
    if trajectory is None:
        return 0.0
    x, y, yaw = (
        float(np.interp(t - trajectory.t, trajectory.times, a))
        for a in (trajectory.position[:, 0], trajectory.position[:, 1], trajectory.yaw)
    )
    return -(odom.position[0] - x) * math.sin(yaw) + (odom.position[1] - y) * math.cos(yaw)


def _room(platform: Platform, odom: Odometry, rows: Array) -> float:
    """Exact distance between the footprints [m]; nan without tracks."""
    if not len(rows):
        return math.nan
    margins = OcpRoutePlanner(platform).set.margins if not hasattr(_room, "margins") else _room.margins
    _room.margins = margins  # type: ignore[attr-defined]
    there = predict(Tracks(0.0, rows), 0.0, np.zeros(1), margins)
    here = clearance(there, odom.position[None, :2], np.array([odom.yaw]), platform.model.footprint)
    return float(np.min(here))

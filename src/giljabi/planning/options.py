"""Options of the `ocp_route` planner; what is left out is derived from the platform's limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from giljabi.models import ModelAdapter
from giljabi.planning.obstacles import Margins
from giljabi.planning.route import RouteLimits
from giljabi.platform import Platform
from giljabi.topics import ODOM, TRACKS
from giljabi.yaml_file import Strict


class PlannerOptions(Strict):
    """`steps.planner.options`."""

    stages: int = Field(default=40, ge=10, le=120, description="stages of the solver's horizon")
    horizon_s: float | None = Field(default=None, gt=0, description="horizon; 1.2 of the time to rest from full speed")
    prefer: Literal["none", "starboard", "port"] = Field(
        default="none", description="side to which moving tracks are avoided when there is a choice (and pass astern)"
    )
    lateral_share: float = Field(default=0.8, gt=0, le=1, description="share of lateral limits a route's speed may use")
    avoid_share: float = Field(default=0.9, gt=0, le=1, description="share of lateral limits a plan may use")
    brake_share: float = Field(default=0.7, gt=0, le=1, description="share of deceleration_max for planned stops")
    wanted_radius: float | None = Field(default=None, gt=0, description="m, rounding of the route's corners")
    clearance_extra: float | None = Field(default=None, ge=0, description="m the solver aims beyond limits.clearance")
    clearance_growth: float | None = Field(default=None, ge=0, description="m/s growth of a moving track's margin")
    clearance_growth_max: float | None = Field(default=None, ge=0, description="m")
    sigmas: float = Field(default=2.0, ge=0, description="standard deviations of a track kept free")
    sigma_max: float | None = Field(default=None, ge=0, description="m, at most so much for them")
    unknown_size: float | None = Field(default=None, gt=0, description="m, size of a track that tells none")
    still_speed: float | None = Field(default=None, ge=0, description="m/s below which a track is taken to stand")
    corridor_margin: float | None = Field(default=None, ge=0, description="m kept from the corridor's edges")
    position_tolerance: float | None = Field(default=None, gt=0, description="m, deviation that costs one unit")
    heading_tolerance: float | None = Field(default=None, gt=0, description="rad")
    speed_tolerance: float | None = Field(default=None, gt=0, description="m/s")
    smoothness: float = Field(default=20.0, gt=0, description="weight of actuator rates")
    terminal: float = Field(default=5.0, gt=0, description="weight of the last stage over the others")
    iterations: int = Field(default=3, ge=1, le=20, description="solver iterations on the plan that is followed")
    seed_iterations: int = Field(default=8, ge=1, le=50, description="solver iterations on each alternative")
    switch_gain: float = Field(default=0.7, gt=0, le=1, description="an alternative must cost less than this share")
    switch_after_s: float = Field(default=1.0, ge=0, description="for this long, before it replaces the plan")
    keep_periods: float = Field(default=3.5, ge=0, description="planner periods for which a safe plan may be kept")
    rejoin_distance: float | None = Field(default=None, gt=0, description="m off the last plan: plan from the estimate")
    arrive_distance: float | None = Field(default=None, gt=0, description="m to the end that count as arrived")
    arrive_speed: float | None = Field(default=None, gt=0, description="m/s below which the vehicle has stopped")
    require_tracks: bool = Field(default=True, description="stand still until the tracker has spoken")


@dataclass(frozen=True, slots=True)
class Settings:
    """Options with every default filled in from the platform; SI."""

    option: PlannerOptions
    route: RouteLimits
    margins: Margins
    stages: int
    dt: float
    check_s: float  # how far ahead a plan must be safe to be sent
    corridor_margin: float
    tolerance: tuple[float, float, float]  # position m, heading rad, speed m/s
    rejoin_distance: float
    arrive_distance: float
    arrive_speed: float
    odom_timeout: float
    track_timeout: float
    period: float


def settings(platform: Platform, model: ModelAdapter) -> Settings:
    """Reads `steps.planner.options`; raises BadInputError with file and line."""
    o = platform.options(PlannerOptions, "steps", "planner")
    limits, body = platform.model.limits, platform.model.footprint
    braking = o.brake_share * limits.deceleration_max
    to_rest = limits.speed_max / limits.deceleration_max
    horizon = _or(o.horizon_s, 1.2 * to_rest)
    lateral = o.lateral_share * limits.lateral_acceleration_max
    rate = o.lateral_share * limits.yaw_rate_max
    tight = max(limits.speed_max**2 / lateral, limits.speed_max / rate)
    growth = _or(o.clearance_growth, 0.01 * limits.speed_max)
    route = RouteLimits(
        limits.speed_max,
        limits.acceleration_max,
        braking,
        lateral,
        rate,
        model.turn_radius,
        _or(o.wanted_radius, max(1.5 * model.turn_radius, 0.5 * tight)),
        0.1 * body.width,
    )
    margins = Margins(
        limits.clearance,
        _or(o.clearance_extra, max(0.1 * limits.clearance, 0.1 * body.width)),
        growth,
        _or(o.clearance_growth_max, 0.3 * limits.clearance + 0.2 * body.width),
        o.sigmas,
        _or(o.sigma_max, 0.5 * limits.clearance),
        _or(o.unknown_size, max(1.0, 0.5 * body.length)),
        _or(o.still_speed, 0.04 * limits.speed_max),
    )
    period = 1.0 / platform.model.steps.planner.rate_hz
    return Settings(
        o,
        route,
        margins,
        o.stages,
        horizon / o.stages,
        min(1.2 * to_rest + 2.0 * period, horizon),
        _or(o.corridor_margin, 0.2 * body.width),
        (
            _or(o.position_tolerance, float(model.state_scale[0])),
            _or(o.heading_tolerance, float(model.state_scale[2])),
            _or(o.speed_tolerance, float(model.state_scale[3])),
        ),
        _or(o.rejoin_distance, 0.4 * body.width),
        _or(o.arrive_distance, max(0.3 * body.length, 0.5)),
        _or(o.arrive_speed, max(0.1 * limits.speed_max, 0.1)),
        platform.timeout_s(ODOM),
        platform.timeout_s(TRACKS),
        period,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value

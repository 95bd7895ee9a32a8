"""What the platform file may set for the estimator; everything has a default or follows from the platform's limits."""

from __future__ import annotations

from pydantic import Field

from giljabi.platform import Limits
from giljabi.yaml_file import Strict


class EskfOptions(Strict):
    """Options of `steps.estimator` when its kind is `eskf`."""

    gyro_noise: float = Field(default=3e-3, gt=0, description="rad/s/sqrt(Hz)")
    accel_noise: float = Field(default=0.1, gt=0, description="m/s^2/sqrt(Hz), with what vibration adds")
    gyro_bias_std: float = Field(default=0.02, gt=0, description="rad/s, at the start")
    accel_bias_std: float = Field(default=0.15, gt=0, description="m/s^2, at the start")
    gyro_bias_walk: float = Field(default=5e-5, gt=0, description="rad/s^2/sqrt(Hz)")
    accel_bias_walk: float = Field(default=1e-3, gt=0, description="m/s^3/sqrt(Hz)")
    heading_std_min: float = Field(default=0.005, gt=0, description="rad, floor of what a compass claims")
    gnss_std_min: float = Field(default=0.01, gt=0, description="m, floor of what a receiver claims")
    velocity_std_min: float = Field(default=0.05, gt=0, description="m/s, floor of what a receiver claims")
    course_heading: bool = Field(default=True, description="without a compass the bow points where the vehicle goes")
    course_speed_min: float = Field(default=0.5, gt=0, description="m/s over ground from which course is used")
    sideslip_std: float = Field(default=0.1, gt=0, description="rad between course and heading")
    wheel_std: float = Field(default=0.05, gt=0, description="m/s")
    wheel_scale_std: float = Field(default=0.02, gt=0, description="share of speed: tyre radius, slip")
    gnss_delay_s: float = Field(default=0.0, ge=0, le=0.5, description="s from measurement to reception of a fix")
    gnss_delay_std_s: float = Field(default=0.1, ge=0, le=0.5, description="s, what wheels may learn of it; 0: fixed")
    current_std: float = Field(
        default=0.5, gt=0, description="m/s by which speed through water misses speed over ground"
    )
    gate: float = Field(default=0.999, gt=0.5, lt=1, description="probability that a good measurement passes")
    recovery_s: float = Field(
        default=3.0, gt=0, description="a rejected source that agrees with itself so long is believed"
    )
    window_s: float = Field(default=0.5, ge=0, description="how late a sample may come and still count")
    position_std_max: float = Field(default=10.0, gt=0, description="m, above it health complains")
    heading_std_max: float = Field(default=0.3, gt=0, description="rad, above it health complains")
    speed_lost_s: float | None = Field(
        default=None, gt=0, description="s without any source of speed; half of the time from rest to full speed"
    )
    speed_std_max: float | None = Field(default=None, gt=0, description="m/s that lose the speed; 0.3 speed_max")


def missing_acceleration_density(limits: Limits) -> tuple[float, float, float]:
    """Noise of an acceleration that nothing measures [m/s^2/sqrt(Hz)]: half of what the vehicle can do."""
    along = 0.5 * max(limits.acceleration_max, limits.deceleration_max)
    return along, 0.5 * min(limits.lateral_acceleration_max, along + 0.5 * limits.lateral_acceleration_max), 0.1


def speed_lost(options: EskfOptions, limits: Limits) -> tuple[float, float]:
    """When the speed is lost: (s without a source, m/s of uncertainty).

    In the first time the vehicle may have changed its speed by half of what it can do, unseen.
    """
    quickest = max(limits.acceleration_max, limits.deceleration_max)
    silent = options.speed_lost_s if options.speed_lost_s is not None else 0.5 * limits.speed_max / quickest
    std = options.speed_std_max if options.speed_std_max is not None else 0.3 * limits.speed_max
    return silent, std


def turn_rate_density(limits: Limits) -> float:
    """Random walk of a yaw rate that nothing measures [rad/s^2/sqrt(Hz)]: a third of the largest rate in a second."""
    return 0.3 * limits.yaw_rate_max

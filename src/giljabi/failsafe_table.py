"""`failsafes` and `energy` of a platform file: what is done when something is wrong, and what flying costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from giljabi.yaml_file import Strict

Action = Literal["hold", "return", "land"]


class Failsafe(Strict):
    """What is done, once its reason has lasted."""

    action: Action
    after_s: float = Field(default=0.0, ge=0, le=600)


class BatteryFailsafe(Failsafe):
    """Below a share of the charge."""

    at: float = Field(gt=0, lt=1, description="share of the charge, 0..1")


class TiltFailsafe(Failsafe):
    """Beyond an angle between the vehicle's up and the world's."""

    at_deg: float = Field(gt=0, le=180)


class FailsafeTable(Strict):
    """By reason; what is not named is not watched here. A hold or a return that lasts too long becomes the next."""

    battery_low: BatteryFailsafe | None = None
    battery_critical: BatteryFailsafe | None = None
    gnss_lost: Failsafe | None = Field(default=None, description="no fix of any sensor of kind gnss")
    estimator: Failsafe | None = Field(default=None, description="the estimate is missing, or says that it is unsure")
    link_lost: Failsafe | None = Field(default=None, description="nobody watches any more; who never did is not missed")
    tilt: TiltFailsafe | None = None
    unhealthy: Failsafe | None = Field(default=None, description="any other reason of the supervisor")
    hold_s: float = Field(default=20.0, gt=0, description="longest hold; then it returns, or lands without a position")
    return_s: float = Field(default=600.0, gt=0, description="longest return; then it lands")

    @model_validator(mode="after")
    def _ordered(self) -> FailsafeTable:
        low, critical = self.battery_low, self.battery_critical
        if low is not None and critical is not None and critical.at >= low.at:
            raise ValueError(f"battery_critical.at {critical.at} is not below battery_low.at {low.at}")
        return self


class Drag(Strict):
    """How strongly air that goes by pulls the vehicle along, a share of its mass."""

    linear: float = Field(gt=0, le=10, description="1/s: m/s^2 for each m/s of air speed, rotors mostly")
    quadratic: float = Field(default=0.0, ge=0, le=10, description="1/m: for each (m/s)^2, the airframe")


class Energy(Strict):
    """What the check of the way home reckons with."""

    battery_wh: float = Field(gt=0, description="of a full battery")
    hover_w: float = Field(gt=0)
    cruise_w: float = Field(gt=0)
    air_speed: float = Field(gt=0, description="m/s that it can fly")
    reserve: float = Field(default=0.2, ge=0, lt=1, description="share of the charge that is not planned with")
    wind: float = Field(default=0.0, ge=0, description="m/s, taken as a head wind on every leg until it is measured")
    drag: Drag | None = Field(default=None, description="tells the wind in flight; none: it is not measured")

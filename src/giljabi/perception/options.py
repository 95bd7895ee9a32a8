"""What the platform file may set for the tracker."""

from __future__ import annotations

from pydantic import Field, model_validator

from giljabi.yaml_file import Strict


class GnnOptions(Strict):
    """Options of `steps.tracker` when its kind is `gnn`."""

    acceleration_std: float | None = Field(
        default=None, gt=0, description="m/s^2 a target may do; half of what this vehicle can, when not given"
    )
    speed_max: float | None = Field(
        default=None, gt=0, description="m/s a target may go; twice what this vehicle can, when not given"
    )
    velocity_std: float = Field(default=0.5, gt=0, description="m/s, 1 sigma of velocities that a sensor gives")
    gate: float = Field(
        default=0.99, gt=0.5, lt=1, description="probability that a target's detection is inside its gate"
    )
    confirm_hits: int = Field(default=4, ge=1, description="detections ...")
    confirm_scans: int = Field(default=6, ge=1, description="... in so many scans make a track")
    coast_s: float = Field(default=2.0, gt=0, description="a confirmed track lives on so long without a detection")
    report_s: float = Field(
        default=30.0, gt=0, description="the same for targets that report themselves (AIS), at least"
    )
    report_intervals: float = Field(default=4.0, ge=1, description="... and so many of its own longest intervals")
    std_max: float = Field(default=100.0, gt=0, description="m, a track less certain than this is dropped")

    @model_validator(mode="after")
    def _possible(self) -> GnnOptions:
        if self.confirm_hits > self.confirm_scans:
            raise ValueError(f"confirm_hits {self.confirm_hits} is more than confirm_scans {self.confirm_scans}")
        return self

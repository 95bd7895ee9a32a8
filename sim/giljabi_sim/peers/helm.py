"""A ship's heading control system: takes HTC, steers by its own loop, tells HTD (IEC 61162-1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from giljabi.yaml_file import Strict


class HelmOptions(Strict):
    """An autopilot that has the rudder: HTC instead of ROR."""

    rate_hz: float = Field(default=10.0, gt=0, le=50)
    gain: float = Field(default=1.0, gt=0, description="rudder over heading error")
    damping_s: float = Field(default=4.0, ge=0, description="rudder over rate of turn")
    rudder_max_deg: float = Field(default=30.0, gt=0, le=60)


class Helm:
    """Heading and rudder in degrees as on the wire: clockwise from north, starboard positive."""

    def __init__(self, options: HelmOptions) -> None:
        self._o = options
        self.mode = "M"  # nobody steers until the first order
        self.override = False  # somebody has taken the wheel
        self.course: float | None = None  # ordered [deg]
        self.rudder = 0.0  # its own order [deg]

    def order(self, fields: Sequence[str]) -> str:
        """Obeys the fields of HTC, address first; returns why not, or an empty text."""
        if len(fields) < 14:
            return "field"
        override, mode, heading, reference, status = fields[1], fields[4], fields[10], fields[13], (*fields, "")[14]
        if override != "V" or mode not in ("M", "S", "H") or reference != "T" or status not in ("", "C"):
            return "field"
        try:
            course = float(heading)
        except ValueError:
            return "field"
        if not 0.0 <= course < 360.0:
            return "field"
        self.mode = mode
        if mode == "H":
            self.course = course
        return ""

    def steer(self, yaw: float, yaw_rate: float) -> float:
        """One step of its loop; yaw [rad] from east, counter-clockwise. Returns the rudder [rad], positive to port."""
        if self.override or self.course is None or self.mode == "M":
            self.rudder = 0.0
        else:
            error = (self.course - 90.0 + math.degrees(yaw) + 180.0) % 360.0 - 180.0
            wanted = self._o.gain * error + self._o.damping_s * math.degrees(yaw_rate)
            self.rudder = min(max(wanted, -self._o.rudder_max_deg), self._o.rudder_max_deg)
        return -math.radians(self.rudder)

    def told(self, yaw: float) -> tuple[str, ...]:
        """The 17 fields of HTD."""
        course = "" if self.course is None else f"{self.course:.1f}"
        limited = "V" if abs(self.rudder) >= self._o.rudder_max_deg else "A"
        rudder = (f"{abs(self.rudder):.1f}", "R" if self.rudder >= 0.0 else "L")
        limits = (f"{self._o.rudder_max_deg:.1f}", "", "", "")
        heading = f"{(90.0 - math.degrees(yaw)) % 360.0:.1f}"
        state = (
            "A" if self.override else "V",
            *rudder,
            self.mode,
            "N",
            *limits,
            course,
            "",
            "",
            "T",
            limited,
            "A",
            "A",
        )
        return (*state, heading if heading != "360.0" else "0.0")

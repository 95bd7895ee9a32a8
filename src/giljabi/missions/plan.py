"""A mission as data: steps with places in WGS-84, heights above home, fences, rally points; what each step takes.

Directions are those of a compass [deg]; `giljabi.missions.course` turns all of it into map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from giljabi.yaml_file import Strict

Kind = Literal[
    "takeoff",
    "waypoint",
    "loiter",
    "yaw",
    "orbit",
    "survey",
    "corridor",
    "expanding_square",
    "sector",
    "land",
    "return",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Place = tuple[float, float]  # lat, lon [deg]
LANES = ("spacing_m", "field_of_view_deg", "sidelap")
# Beside kind, alt_m and speed: what a step needs (first), and what it may have.
TAKES: Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "takeoff": ((), ("lat_deg", "lon_deg", "yaw_deg")),
    "waypoint": (("lat_deg", "lon_deg"), ("hold_s", "yaw_deg")),
    "loiter": (("lat_deg", "lon_deg"), ("hold_s", "yaw_deg", "until_resumed")),
    "yaw": (("yaw_deg",), ("hold_s",)),
    "orbit": (("lat_deg", "lon_deg", "radius_m"), ("turns",)),
    "survey": ((), ("polygon", "heading_deg", *LANES, "overshoot_m", "wind", "way", "qgc")),
    "corridor": ((), ("path", "width_m", *LANES, "way", "qgc")),
    "expanding_square": (("lat_deg", "lon_deg", "spacing_m", "legs"), ("heading_deg",)),
    "sector": (("lat_deg", "lon_deg", "radius_m"), ("heading_deg",)),
    "land": ((), ("lat_deg", "lon_deg")),
    "return": ((), ()),
}


class Wind(Strict):
    """Mean wind that a pattern is laid out for."""

    speed: float = Field(ge=0, le=60, description="m/s")
    from_deg: float = Field(ge=0, le=360, description="compass direction it comes from")


class PlanItem(Strict):
    """One step. `TAKES` says which keys go with which kind; a height of 0 is that of the step before."""

    kind: Kind
    lat_deg: float | None = Field(default=None, ge=-90, le=90)
    lon_deg: float | None = Field(default=None, ge=-180, le=180)
    alt_m: float = Field(default=0.0, ge=-1000, le=20000, description="above home; 0: as the step before")
    speed: float | None = Field(
        default=None, gt=0, le=100, description="m/s over ground on the way; the mission's else"
    )
    hold_s: float = Field(default=0.0, ge=0, le=86400)
    until_resumed: bool = Field(default=False, description="loiter: stays until mission/resume")
    yaw_deg: float | None = Field(default=None, ge=-360, le=360, description="where the nose points while it holds")
    radius_m: float | None = Field(default=None, gt=0, le=10000)
    turns: float = Field(default=1.0, ge=-100, le=100, description="orbit: negative ones are clockwise from above")
    polygon: list[Place] | None = Field(default=None, min_length=3, description="survey: lat, lon")
    path: list[Place] | None = Field(default=None, min_length=2, description="corridor: lat, lon")
    width_m: float | None = Field(default=None, gt=0, le=10000, description="corridor")
    heading_deg: float = Field(default=0.0, ge=-360, le=360, description="of lanes and of the first leg of a search")
    spacing_m: float | None = Field(default=None, gt=0, le=10000, description="between lanes")
    field_of_view_deg: float | None = Field(default=None, gt=0, lt=180, description="across, of a camera looking down")
    sidelap: float = Field(default=0.0, ge=0, lt=1, description="with field_of_view_deg")
    overshoot_m: float = Field(default=0.0, ge=0, le=1000, description="survey: beyond both ends of a lane")
    wind: Wind | None = Field(default=None, description="survey: lanes go on against it")
    legs: int | None = Field(default=None, ge=1, le=1000, description="expanding square")
    way: list[tuple[float, float, float]] | None = Field(
        default=None, min_length=1, description="survey, corridor: waypoints somebody else has made: lat, lon, alt"
    )
    qgc: dict[str, Any] | None = Field(default=None, description="QGroundControl's own item, kept for writing it back")

    @model_validator(mode="after")
    def _fits(self) -> PlanItem:
        needs, may = TAKES[self.kind]
        given = {n for n, f in type(self).model_fields.items() if getattr(self, n) != f.default}
        lost = sorted(given - {"kind", "alt_m", "speed", *needs, *may})
        if lost:
            raise ValueError(f"{self.kind} takes no {lost[0]}; {', '.join((*needs, *may)) or 'nothing'} may be given")
        missing = [n for n in needs if getattr(self, n) is None]
        if missing:
            what = "has no place; " if missing[0] in ("lat_deg", "lon_deg") else ""
            raise ValueError(
                f"{self.kind} {what}{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} expected"
            )
        if (self.lat_deg is None) != (self.lon_deg is None):
            raise ValueError("one of lat_deg and lon_deg is given; both are expected")
        if self.way is not None and (self.polygon is not None or self.path is not None):
            raise ValueError(f"{self.kind} has an area and a way; one of them is expected")
        if self.kind in ("survey", "corridor") and self.way is None:
            area = "polygon" if self.kind == "survey" else "path"
            if getattr(self, area) is None or (self.kind == "corridor" and self.width_m is None):
                raise ValueError(f"{self.kind} has no area; {area}{' and width_m' if area == 'path' else ''} expected")
            if (self.spacing_m is None) == (self.field_of_view_deg is None):
                raise ValueError(f"{self.kind}: spacing_m, or field_of_view_deg with sidelap, is expected")
        if self.kind == "orbit" and self.turns == 0.0:
            raise ValueError("orbit of no turns; another number is expected")
        return self


class Home(Strict):
    """Where it starts; heights are above it."""

    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)
    alt_m: float = 0.0


class Rally(Strict):
    """A place to return to that may be nearer than home."""

    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)
    alt_m: float = Field(default=0.0, ge=-1000, le=20000, description="at which it is flown to, above home")


class Circle(Strict):
    """A round fence: to stay in, or to stay out of."""

    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)
    radius_m: float = Field(gt=0, le=100000)
    keep: Literal["in", "out"] = "in"


class Plan(Strict):
    """A whole mission."""

    home: Home | None = None
    speed: float = Field(default=5.0, gt=0, le=100, description="m/s over ground")
    items: list[PlanItem] = Field(min_length=1)
    fences: list[list[Place]] = Field(default_factory=list, description="to stay in: lat, lon [deg]")
    keep_out: list[list[Place]] = Field(default_factory=list, description="to stay out of: lat, lon [deg]")
    circles: list[Circle] = Field(default_factory=list, description="round fences")
    rally: list[Rally] = Field(default_factory=list)
    left_out: list[str] = Field(default_factory=list, description="what the file said beyond this, in words")

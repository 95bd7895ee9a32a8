"""Scenario files: one run of one platform in one world, with what must hold."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from giljabi.fence import Fence, FenceModel
from giljabi.missions.course import course_from
from giljabi.missions.files import read_plan
from giljabi.missions.plan import Plan
from giljabi.platform import Platform, find_platform, load_platform, share_dir
from giljabi.types import BadInputError
from giljabi.types import Origin as MapOrigin
from giljabi.yaml_file import Key, Strict, YamlFile
from giljabi_sim.expressions import Expression
from giljabi_sim.fault_spec import Fault, parse_fault
from giljabi_sim.track import find_track, load_track

Point = tuple[float, float]
Point3 = tuple[float, float, float]
HalfWidth = float | tuple[float, float]


class Origin(Strict):
    """Geodetic origin of the scenario's map frame."""

    lat_deg: float = Field(default=35.0955, ge=-89.0, le=89.0)
    lon_deg: float = Field(default=129.0403, ge=-180.0, le=180.0)
    alt_m: float = Field(default=0.0, ge=-500.0, le=9000.0)


class Start(Strict):
    """Pose of base_link in map at the beginning, and speed along x."""

    x: float = 0.0
    y: float = 0.0
    yaw_deg: float = 0.0
    speed: float = 0.0
    charge: float | None = Field(default=None, gt=0, le=1, description="of the battery, of what has one; default full")


class RouteSpec(Strict):
    """Waypoints in map [m] and the speed wanted between them."""

    points: list[Point | Point3] = Field(min_length=2, description="a third number is the height [m]")
    speed: float = Field(gt=0, description="m/s")
    half_width: HalfWidth | None = Field(default=None, description="m free beside the line: both or [left, right]")
    arrival_radius: float | None = Field(default=None, gt=0, description="m; default the footprint's length")


class GoalSpec(Strict):
    """One point to reach from the start."""

    position: Point
    speed: float = Field(gt=0)
    half_width: HalfWidth | None = None
    arrival_radius: float | None = Field(default=None, gt=0)
    heading_deg: float | None = Field(default=None, description="in map, of what can turn on the spot")


class TrackSpec(Strict):
    """A closed track to lap once."""

    file: str = Field(description="CSV x_m,y_m,w_tr_right_m,w_tr_left_m: a path, or a name in config/tracks")
    speed_max: float | None = Field(default=None, gt=0, description="m/s, below the platform's own limit")
    use: float = Field(default=0.7, gt=0, le=1, description="share of the platform's acceleration limits")
    start_s: float = Field(default=0.0, ge=0, description="m along the centre line where the vehicle stands")
    arrival_radius: float | None = Field(default=None, gt=0)


class Action(Strict):
    """What a person asks of the mission, at a time of the scenario's clock."""

    at: float = Field(ge=0, description="s")
    do: Literal[
        "start", "pause", "resume", "skip", "return", "land", "load", "stand", "stop", "squat", "kneel", "sit", "policy"
    ] = Field(description="of the mission, or (from stand on) of a walker")
    step: int | None = Field(default=None, ge=1, description="skip: to this step; default: the next one")
    file: str | None = Field(default=None, description="load: a mission file, found as `mission` is")
    refused: bool = Field(default=False, description="the answer must be no")

    @model_validator(mode="after")
    def _fits(self) -> Action:
        if (self.do == "load") != (self.file is not None):
            raise ValueError("load has a file, nothing else has")
        if self.step is not None and self.do != "skip":
            raise ValueError(f"{self.do} takes no step")
        return self


class Obstacle(Strict):
    """A thing that stands still: a disc or a rectangle."""

    position: Point
    radius: float | None = Field(default=None, gt=0)
    length: float | None = Field(default=None, gt=0)
    width: float | None = Field(default=None, gt=0)
    yaw_deg: float = 0.0
    top: float | None = Field(default=None, gt=0, description="m above the ground; default: higher than anything flies")
    known: bool = Field(default=False, description="in what the stack is told of the ground before it begins")

    @model_validator(mode="after")
    def _shape(self) -> Obstacle:
        if (self.radius is None) == (self.length is None or self.width is None):
            raise ValueError("an obstacle has either a radius or length and width")
        return self


class Polygon(Strict):
    """Land (touching it is aground) or a fence to stay inside (leaving it is an outcome)."""

    kind: Literal["land", "fence"]
    points: list[Point] = Field(min_length=3)

    @model_validator(mode="after")
    def _whole(self) -> Polygon:
        if self.kind == "fence":
            FenceModel(points=self.points)
        return self


class Wind(Strict):
    """Mean wind and its gusts."""

    speed: float = Field(default=0.0, ge=0, le=60, description="m/s")
    from_deg: float = Field(default=0.0, description="compass direction it comes from")
    gust: float = Field(default=0.0, ge=0, le=30, description="m/s, 1 sigma")
    gust_time: float = Field(default=8.0, gt=0, description="s, correlation time")
    turbulence: Literal["none", "dryden"] = Field(
        default="none", description="dryden: gusts that depend on height, for what flies; `speed` is at 6 m height"
    )


class Current(Strict):
    """Uniform current."""

    speed: float = Field(default=0.0, ge=0, le=5, description="m/s")
    to_deg: float = Field(default=0.0, description="compass direction it runs to")


class Push(Strict):
    """A force on a walker's body for a moment."""

    at: float = Field(ge=0, description="s")
    duration: float = Field(default=0.1, gt=0, le=5, description="s")
    force: Point = Field(description="N towards east, north")


class World(Strict):
    """What surrounds the vehicle."""

    obstacles: list[Obstacle] = Field(default_factory=list)
    polygons: list[Polygon] = Field(default_factory=list)
    fences: list[FenceModel] = Field(default_factory=list, description="of the mission; leaving one is an outcome")
    wind: Wind = Field(default_factory=Wind)
    current: Current = Field(default_factory=Current)
    friction: float = Field(default=1.0, gt=0, le=1.5, description="of the road, 1 is dry")
    pushes: list[Push] = Field(default_factory=list)


class Parked(Strict):
    """Stays where it is."""

    kind: Literal["parked"]


class Straight(Strict):
    """Keeps course and speed."""

    kind: Literal["straight"]
    begin: float = Field(default=0.0, ge=0, description="s, waits until then")


class Follow(Strict):
    """Follows waypoints at the start's speed, then stops; without points it follows the scenario's route."""

    kind: Literal["follow"]
    points: list[Point] = Field(default_factory=list)
    begin: float = Field(default=0.0, ge=0)
    offset: float = Field(default=0.0, description="m to the left of the line")


class Ais(Strict):
    """Transponder of a vessel (ITU-R M.1371)."""

    device: Literal["A", "B"] = "A"
    period_s: float | None = Field(default=None, ge=2, le=180, description="default by class and speed")
    mmsi: int | None = Field(default=None, ge=200_000_000, le=799_999_999)


class Actor(Strict):
    """Another vehicle: where it begins, how large it is, what it does."""

    name: str = Field(pattern=r"^[A-Za-z0-9_ -]{1,20}$")
    kind: Literal["vessel", "car", "pedestrian", "drone"]
    start: Start | None = None
    at_s: float | None = Field(default=None, ge=0, description="m along the route, instead of start's x, y, yaw_deg")
    speed: float | None = Field(default=None, ge=0, description="with at_s")
    offset: float = Field(default=0.0, description="with at_s: m to the left of the route")
    length: float = Field(gt=0)
    width: float = Field(gt=0)
    behaviour: Annotated[Parked | Straight | Follow, Field(discriminator="kind")]
    ais: Ais | None = None

    @model_validator(mode="after")
    def _placed(self) -> Actor:
        if (self.start is None) == (self.at_s is None):
            raise ValueError("an actor has either start or at_s")
        return self


class Assert(Strict):
    """What must hold: once by a time, always, or (neither given) at the end."""

    name: str = Field(min_length=1)
    expression: str
    by: float | None = Field(default=None, gt=0, description="s: must have been true by then")
    always: bool = Field(default=False, description="must be true from arming to the end")

    @field_validator("expression")
    @classmethod
    def _parses(cls, text: str) -> str:
        Expression(text)
        return text


class ScenarioModel(Strict):
    """The whole file."""

    description: str = ""
    platform: str = Field(description="name or path of a platform file")
    seed: int = Field(default=1, ge=0, lt=2**31)
    duration_s: float = Field(gt=0, le=36000, description="simulated time after which the outcome is `timeout`")
    origin: Origin = Field(default_factory=Origin)
    start: Start | None = None
    route: RouteSpec | None = None
    goal: GoalSpec | None = None
    track: TrackSpec | None = None
    mission: str | None = Field(default=None, description="mission file: beside the scenario, or in config/missions")
    actions: list[Action] = Field(default_factory=list, description="what people ask of the mission on the way")
    world: World = Field(default_factory=World)
    actors: list[Actor] = Field(default_factory=list)
    faults: list[Fault] = Field(default_factory=list)
    asserts: list[Assert] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_way(self) -> ScenarioModel:
        given = [n for n in ("route", "goal", "track", "mission") if getattr(self, n) is not None]
        if len(given) != 1:
            what = " and ".join(given) or "nothing"
            raise ValueError(f"{what} given; one of route, goal, track and mission is expected")
        names = [a.name for a in self.actors]
        if len(set(names)) != len(names):
            raise ValueError("two actors have the same name")
        return self


class Scenario:
    """A validated scenario with its platform."""

    def __init__(self, file: YamlFile, model: ScenarioModel, platform: Platform) -> None:
        self.file = file
        self.model = model
        self.platform = platform
        self.plan: Plan | None = None
        self.loads: dict[int, Plan] = {}  # missions of the actions that load one
        self._fences: tuple[Fence, ...] = ()
        self._read_missions()

    def _read_missions(self) -> None:
        """Reads the mission files that it names; raises BadInputError, with their own lines."""
        m = self.model
        if m.mission is not None:
            self.plan = read_plan(self._mission_file(m.mission, ("mission",)))
            o = m.origin
            course = course_from(self.plan, MapOrigin(o.lat_deg, o.lon_deg, o.alt_m))
            self._fences = course.fences
        for i, action in enumerate(m.actions):
            if action.file is not None:
                self.loads[i] = read_plan(self._mission_file(action.file, ("actions", i, "file")))

    def _mission_file(self, name: str, key: Key) -> Path:
        places = [self.file.path.parent / name, share_dir() / "config" / "missions" / name]
        found = next((p for p in places if p.is_file()), None)
        if found is None:
            raise self.error(
                key, f"no mission file '{name}'; one beside the scenario or in config/missions is expected"
            )
        return found

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.file.path.stem

    @property
    def fences(self) -> tuple[Fence, ...]:
        """Those of the mission, not the platform's own."""
        world = self.model.world
        drawn = [Fence(tuple(p.points)) for p in world.polygons if p.kind == "fence"]
        return (*drawn, *(f.fence() for f in world.fences), *self._fences)

    def error(self, key: Key, what: str) -> BadInputError:
        """An error at the line of a key path."""
        return self.file.error(key, what)


def find_scenario(name_or_path: str | os.PathLike[str]) -> Path:
    """Path of a scenario from a path or the name of a file in config/scenarios."""
    path = Path(name_or_path)
    if path.is_file() or path.is_absolute() or len(path.parts) > 1:
        return path
    folder = share_dir() / "config" / "scenarios"
    for candidate in (folder / path.name, folder / f"{path.name}.yaml"):
        if candidate.is_file():
            return candidate
    if path.suffix in (".yaml", ".yml"):
        return path
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    raise BadInputError(f"no scenario '{name_or_path}'; known scenarios are {known}, or give a file")


def load_scenario(
    name_or_path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    track: str | None = None,
    seed: int | None = None,
    platform: str | None = None,
    *,
    faults: Sequence[str] = (),
    mission: str | None = None,
) -> Scenario:
    """Reads and validates; overrides are `key.path=value`, faults `key=value ...` beside the file's own.

    mission: a mission file in place of the scenario's way; asserts are about that way, and go with it.

    Raises BadInputError with file:line.
    """
    file = YamlFile(find_scenario(name_or_path))
    for text in overrides:
        _override(file, text)
    if track is not None:
        _replace_track(file, track, any(text.partition("=")[0].strip() == "duration_s" for text in overrides))
    if mission is not None:
        _replace_way(file, mission)
    if seed is not None:
        file.data["seed"] = seed
    if platform is not None:
        file.data["platform"] = platform
    for text in faults:
        _add_fault(file, text)
    model = file.validate(ScenarioModel)
    name = model.platform
    beside = file.path.parent / name
    try:
        found = find_platform(beside if beside.suffix in (".yaml", ".yml") and beside.is_file() else name)
    except BadInputError as e:
        raise file.error(("platform",), str(e)) from None
    return Scenario(file, model, load_platform(found))


def _replace_way(file: YamlFile, mission: str) -> None:
    """--mission: the world of the file about another mission, with time enough and its own origin of map."""
    plan = read_plan(Path(mission))
    for key in ("route", "goal", "track", "asserts", "actions", "start"):
        file.data.pop(key, None)
    place = plan.home or next((i for i in plan.items if i.lat_deg is not None), None)
    if place is not None and place.lat_deg is not None and place.lon_deg is not None:
        file.data["origin"] = {"lat_deg": place.lat_deg, "lon_deg": place.lon_deg}
    file.data |= {"mission": str(Path(mission).resolve()), "duration_s": 36000.0}


def _add_fault(file: YamlFile, text: str) -> None:
    """One --fault behind those of the file; raises BadInputError that names the option, not a line."""
    data = parse_fault(text)
    try:
        file.validate(Fault, data, ("--fault",))
    except BadInputError as e:
        what = str(e).removeprefix(f"{file.path}:{file.line(())}: ").replace("--fault.", "").replace("--fault", "it")
        raise BadInputError(f"--fault '{text}': {what}") from None
    own = file.data.get("faults")
    file.data["faults"] = [*own, data] if isinstance(own, list) else [data] if own is None else own


def _override(file: YamlFile, text: str) -> None:
    """Puts one `key.path=value` into the file's data; the validation that follows judges it."""
    name, equals, value = text.partition("=")
    text, name = " ".join(text.split()), " ".join(name.split())
    if not equals or not name.strip():
        raise BadInputError(f"--set: '{text}' has no key or no '='; key=value is expected, e.g. world.wind.speed=8")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise BadInputError(f"--set {name}: {value!r} cannot be read; a YAML value is expected") from None
    parts = name.strip().split(".")
    node: Any = file.data
    path: Key = ()
    for part in parts[:-1]:
        node, path = _enter(file, node, path, part, text)
    last = parts[-1]
    if isinstance(node, list):
        node[_index(file, node, path, last, text)] = parsed
    elif isinstance(node, dict):
        node[last] = parsed
    else:
        raise file.error(path, f"--set {text}: '{'.'.join(map(str, path))}' has no keys; another key is expected")


def _enter(file: YamlFile, node: Any, path: Key, part: str, text: str) -> tuple[Any, Key]:
    if isinstance(node, list):
        i = _index(file, node, path, part, text)
        return node[i], (*path, i)
    if isinstance(node, dict):
        if node.get(part) is None:
            node[part] = {}
        return node[part], (*path, part)
    raise file.error(path, f"--set {text}: '{'.'.join(map(str, path))}' has no keys; another key is expected")


def _index(file: YamlFile, node: list[Any], path: Key, part: str, text: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise file.error(path, f"--set {text}: no entry '{part}' among {len(node)}; 0 to {len(node) - 1} are expected")
    return int(part)


def _replace_track(file: YamlFile, track: str, duration_given: bool) -> None:
    """--track: another track than the file's, and more time in the ratio of their lengths where it is longer."""
    spec = file.data.get("track")
    if not isinstance(spec, dict) or not isinstance(spec.get("file"), str):
        raise file.error((), f"--track {track}: the scenario has no `track`; a track scenario is expected")
    longer = load_track(Path(track)).length / load_track(find_track(spec["file"], file.path.parent)).length
    duration = file.data.get("duration_s")
    if longer > 1.0 and not duration_given and isinstance(duration, (int, float)):
        file.data["duration_s"] = math.ceil(duration * longer)
    file.data["track"] = {**spec, "file": str(Path(track).resolve())}

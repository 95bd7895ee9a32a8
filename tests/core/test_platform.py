"""Platform files: the shipped ones load, and every mistake is reported with file, line and what is expected."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from giljabi.platform import Platform, find_platform, load_platform, share_dir
from giljabi.types import BadInputError
from giljabi.yaml_file import Strict

PLATFORMS = sorted(p.stem for p in (share_dir() / "config" / "platforms").glob("*.yaml"))


@pytest.fixture
def ship() -> dict[str, Any]:
    return dict(yaml.safe_load(find_platform("ship").read_text()))


def write(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def error(path: Path) -> tuple[str, str]:
    """(text of the line that the error names, words)."""
    with pytest.raises(BadInputError) as e:
        load_platform(path)
    found = re.fullmatch(re.escape(str(path)) + r":(\d+): ([^\n]+; [^\n]+)", str(e.value))
    assert found, str(e.value)
    return path.read_text().splitlines()[int(found[1]) - 1].strip(), found[2]


@pytest.mark.parametrize("name", PLATFORMS)
def test_shipped_platforms_load(name: str) -> None:
    platform = load_platform(name)
    assert platform.name == name
    for a in platform.model.actuators.values():
        assert a.slot in ("position", "velocity", "effort")


def test_slots_follow_units() -> None:
    actuators = load_platform("ship").model.actuators
    assert (actuators["rudder"].slot, actuators["throttle"].slot) == ("position", "effort")


def test_unknown_platform_names_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"no platform 'submarine'; known platforms are .*car.*ship"):
        load_platform("submarine")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.yaml:1: cannot be read"):
        load_platform(tmp_path / "gone.yaml")


# --- what is missing ------------------------------------------------------------------------------

REQUIRED = [
    "name", "description", "model", "model.kind", "footprint", "footprint.length", "footprint.width", "limits",
    *(f"limits.{k}" for k in (
        "speed_max", "speed_min", "acceleration_max", "deceleration_max", "yaw_rate_max", "lateral_acceleration_max",
        "clearance")),
    "actuators",
    *(f"actuators.rudder.{k}" for k in ("unit", "min", "max", "rate_max", "driver", "safe", "safe.rate")),
    "sensors", "sensors.gnss.kind", "sensors.gnss.driver", "sensors.gnss.timeout_s",
    "drivers", "drivers.bridge.kind", "drivers.bridge.device",
    "steps",
    *(f"steps.{s}.{k}" for s in ("estimator", "tracker", "planner", "controller") for k in ("kind", "rate_hz")),
    "guard", *(f"guard.{k}" for k in ("rate_hz", "command_timeout_s", "heartbeat_timeout_s", "pose_timeout_s")),
    "minimum_risk", "minimum_risk.manoeuvre", "minimum_risk.within_s", "scenario",
]  # fmt: skip


@pytest.mark.parametrize("key", REQUIRED)
def test_every_required_key_is_missed(tmp_path: Path, ship: dict[str, Any], key: str) -> None:
    *parents, last = key.split(".")
    at = ship
    for p in parents:
        at = at[p]
    del at[last]
    line, words = error(write(tmp_path, ship))
    assert words == f"'{key}' is missing; it is required"
    if parents:
        assert line.startswith(parents[-1])


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("actuators.rudder.unit", "deg", "'rad'"),
        ("actuators.rudder.unit", "Nm", "'N*m'"),
        ("actuators.rudder.min", "-0.6 rad", "a number is expected"),
        ("actuators.rudder.min", True, "a number is expected"),
        ("actuators.rudder.min", None, "number"),
        ("actuators.rudder.rate_max", 0.0, "greater than 0"),
        ("actuators.rudder.driver", "engine", "known are bridge, ais"),
        ("actuators.rudder.safe.action", "freeze", "'ramp', 'hold', 'release' or 'keep'"),
        ("actuators.rudder.safe.rate", -1.0, "greater than 0"),
        ("sensors.gnss.driver", "engine", "known are bridge, ais"),
        ("sensors.gnss.kind", "gps", "'gnss'"),
        ("sensors.gnss.position", [1.0, 2.0], "sensors.gnss.position"),
        ("sensors.gnss.position", "1 2 3", "valid tuple"),
        ("sensors.gnss.timeout_s", 0, "greater than 0"),
        ("sensors.gnss.required", "maybe", "true or false"),
        ("limits.speed_max", -1.0, "greater than 0"),
        ("limits.speed_min", 1.0, "less than or equal to 0"),
        ("limits.clearance", "12 m", "a number is expected"),
        ("footprint.length", 0, "greater than 0"),
        ("model.parameters.m11", "heavy", "a number is expected"),
        ("steps.planner.rate_hz", 5000, "less than or equal to 1000"),
        ("guard.rate_hz", 0, "greater than 0"),
        ("guard.command_timeout_s", 0.1, "at least 0.2 s is expected"),
        ("guard.rate_hz", 1.0, "at least 2 is expected"),
        ("minimum_risk.manoeuvre", "jump", "'stop'"),
        ("name", "My Ship", "pattern"),
        ("drivers.bridge.options", None, "dictionary"),
        ("topics", {"odometry": {"rate_hz": 5.0}}, "no topic is called 'odometry'"),
        ("topics", {"odom": {"rate_hz": -5.0}}, "greater than 0"),
        ("sensors", {}, "sensors"),
        ("actuators", [], "actuators"),
    ],
)
def test_wrong_values_are_reported_at_their_line(
    tmp_path: Path, ship: dict[str, Any], key: str, value: object, says: str
) -> None:
    *parents, last = key.split(".")
    at = ship
    for p in parents:
        at = at[p]
    at[last] = value
    line, words = error(write(tmp_path, ship))
    assert says in words
    assert line.startswith((last, "- ", *(value if isinstance(value, dict) else ()), "rate_hz"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"min": 0.7}, "min 0.7 is not below max 0.61"),
        ({"safe": {"value": 0.9, "rate": 0.1}}, "safe.value 0.9 is outside the limits; -0.61 to 0.61 is expected"),
        ({"safe": {"value": 0.0, "rate": 0.5}}, "safe.rate 0.5 is above rate_max; at most 0.25 is expected"),
        ({"safe": {"action": "hold", "rate": 0.1}}, "hold_s above 0 is expected"),
        ({"safe": {"action": "ramp", "rate": 0.1, "hold_s": 2.0}}, "action: hold is expected"),
    ],
)
def test_rules_between_keys_of_an_actuator(
    tmp_path: Path, ship: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    ship["actuators"]["rudder"].update(changes)
    line, words = error(write(tmp_path, ship))
    assert says in words
    assert line in ("rudder:", "safe:")


def test_misspelt_key_gets_a_hint(tmp_path: Path, ship: dict[str, Any]) -> None:
    ship["limits"]["max_speed"] = ship["limits"].pop("speed_max")
    line, words = error(write(tmp_path, ship))
    assert "unknown key 'limits.max_speed'" in words
    assert line.startswith("max_speed")
    assert "speed_max" in words


def test_line_is_that_of_the_file_as_people_write_it(tmp_path: Path) -> None:
    text = find_platform("car").read_text()
    number = next(i for i, row in enumerate(text.splitlines(), 1) if "safe: {action: hold" in row)
    path = tmp_path / "car.yaml"
    path.write_text(text.replace("rate: 0.2, hold_s", "rate: quick, hold_s"))
    with pytest.raises(BadInputError, match=rf"car\.yaml:{number}: 'actuators.steering.safe.rate' is 'quick'"):
        load_platform(path)


def test_error_names_the_file_not_the_value_of_a_big_part(tmp_path: Path, ship: dict[str, Any]) -> None:
    ship["steps"]["planner"] = "fast"
    _, words = error(write(tmp_path, ship))
    assert len(words) < 200


# --- options --------------------------------------------------------------------------------------


class Options(Strict):
    talker: str = "II"
    speed_std_mps: float = 0.2
    commands: dict[str, Any]


def test_options_are_checked_by_who_reads_them(tmp_path: Path, ship: dict[str, Any]) -> None:
    assert load_platform("ship").options(Options, "drivers", "bridge").talker == "AG"
    ship["drivers"]["bridge"]["options"]["tolker"] = "XX"
    path = write(tmp_path, ship)
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: unknown key 'drivers.bridge.options.tolker'; did you mean"):
        load_platform(path).options(Options, "drivers", "bridge")
    with pytest.raises(BadInputError, match=r"'drivers.ais.options.commands' is missing"):
        load_platform(path).options(Options, "drivers", "ais")


def test_names_that_nobody_provides_are_reported(tmp_path: Path, ship: dict[str, Any]) -> None:
    from giljabi.registry import build_driver, build_step

    ship["steps"]["planner"]["kind"] = "magic"
    ship["drivers"]["ais"]["kind"] = "carrier_pigeon"
    platform = load_platform(write(tmp_path, ship))
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: no planner is called 'magic'; known are .*ocp_route"):
        build_step(platform, "planner")
    with pytest.raises(BadInputError, match=r"no driver is called 'carrier_pigeon'; known are .*nmea0183"):
        build_driver(platform, "ais")


# --- fuzz -----------------------------------------------------------------------------------------


def paths(data: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for k, v in items:
        yield from paths(v, (*at, k))


SHIP = yaml.safe_load(find_platform("ship").read_text())
PATHS = list(paths(SHIP))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def loads_or_explains(path: Path) -> Platform | None:
    try:
        return load_platform(path)
    except BadInputError as e:
        error = str(e)
    assert re.match(r".+\.yaml:\d+: .+; .+", error, re.DOTALL), error
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=60, deadline=None)
@given(where=st.sampled_from(PATHS), value=values)
def test_any_value_anywhere(folder: Path, where: tuple[str | int, ...], value: object) -> None:
    data = copy.deepcopy(SHIP)
    at: Any = data
    for k in where[:-1]:
        at = at[k]
    at[where[-1]] = value
    platform = loads_or_explains(write(folder, data))
    if platform is not None:
        for a in platform.model.actuators.values():
            assert a.min <= a.safe.value <= a.max
            assert 0 < a.safe.rate <= a.rate_max < float("inf")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_to_the_text(folder: Path, data: st.DataObject) -> None:
    text = find_platform("ship").read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(text) - 1))
        n = data.draw(st.integers(0, 40))
        text = text[:i] + data.draw(st.binary(max_size=4)) + text[i + n :]
    path = folder / "damaged.yaml"
    path.write_bytes(text)
    loads_or_explains(path)

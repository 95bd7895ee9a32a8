"""Scenario files: validation with file:line, overrides, schemas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.types import BadInputError
from giljabi_sim.expressions import Expression
from giljabi_sim.scenario import load_scenario

TEXT = """\
platform: ship
duration_s: 60
route: {points: [[0, 0], [100, 0]], speed: 3}
world:
  wind: {speed: 2}
actors:
  - name: other
    kind: vessel
    start: {x: 1, y: 2}
    length: 20
    width: 5
    behaviour: {kind: straight}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return path


def test_every_scenario_of_the_project_is_valid(root: Path) -> None:
    files = sorted((root / "config" / "scenarios").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        assert load_scenario(file).name == file.stem


def test_platforms_name_a_scenario_that_exists(root: Path) -> None:
    from giljabi.platform import load_platform

    for file in sorted((root / "config" / "platforms").glob("*.yaml")):
        platform = load_platform(file)
        assert load_scenario(platform.model.scenario, platform=str(file)).platform.name == platform.name


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("duration_s: 60", "duration: 60", 2, "did you mean 'duration_s'"),
        ("duration_s: 60", "duration_s: .inf", 2, "not a finite number"),
        ("speed: 3}", "speed: -3}", 3, "greater than 0"),
        ("kind: vessel", "kind: submarine", 8, "vessel"),
        ("{kind: straight}", "{kind: dance}", 12, "parked"),
        ("platform: ship", "platform: shipp", 1, "known platforms are"),
        ("route: {points: [[0, 0], [100, 0]], speed: 3}", "seed: 3", 1, "route, goal, track and mission"),
    ],
)
def test_bad_files_say_where_and_what(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    path = write(tmp_path, TEXT.replace(old, new))
    with pytest.raises(BadInputError) as e:
        load_scenario(path)
    assert str(e.value).startswith(f"{path}:{line}: "), str(e.value)
    assert words in str(e.value)
    assert "\n" not in str(e.value)


def test_overrides_reach_into_lists_and_new_keys(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    s = load_scenario(path, ["actors.0.start.speed=4.5", "world.current.speed=0.5", "seed=9"])
    assert s.model.actors[0].start is not None
    assert s.model.actors[0].start.speed == 4.5
    assert s.model.world.current.speed == 0.5
    assert s.model.seed == 9
    assert load_scenario(path, ["seed=9"], seed=11).model.seed == 11


@pytest.mark.parametrize(
    ("override", "line", "words"),
    [
        ("world.wnd.speed=3", 4, "did you mean 'wind'"),
        ("actors.3.length=2", 6, "no entry '3'"),
        ("duration_s=soon", 2, "duration_s"),
        ("duration_s.x=1", 2, "has no keys"),
    ],
)
def test_bad_overrides_name_file_and_line(tmp_path: Path, override: str, line: int, words: str) -> None:
    path = write(tmp_path, TEXT)
    with pytest.raises(BadInputError) as e:
        load_scenario(path, [override])
    assert str(e.value).startswith(f"{path}:{line}: "), str(e.value)
    assert words in str(e.value)


@pytest.mark.parametrize("override", ["seed", "=3", "seed=[1"])
def test_overrides_that_are_no_overrides(tmp_path: Path, override: str) -> None:
    with pytest.raises(BadInputError, match=r"^--set"):
        load_scenario(write(tmp_path, TEXT), [override])


@given(st.binary(max_size=200))
def test_any_bytes_are_bad_input_or_a_scenario(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_bytes(data)
    with pytest.raises(BadInputError):
        load_scenario(path)


@given(st.text(max_size=60))
def test_any_override_is_bad_input_or_a_scenario(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), TEXT)
    try:
        load_scenario(path, [text])
    except BadInputError as e:
        assert "\n" not in str(e)  # noqa: PT017


def test_expressions() -> None:
    signals = {"t": 3.0, "speed": 2.0, "outcome": "arrived"}
    assert Expression("speed > 1 and t < 4")(signals)
    assert not Expression("speed > 1 and not t < 4")(signals)
    assert Expression("1 < speed <= 2 and abs(-speed) == 2")(signals)
    assert Expression("outcome == 'arrived'")(signals)
    assert not Expression("outcome > 3")(signals)
    assert not Expression("1 / (t - 3) > 0")(signals)
    with pytest.raises(ValueError, match="unknown signal 'sped'"):
        Expression("sped > 1").check_names(frozenset(signals))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "speed.real", "[1]", "(lambda: 1)()", "speed[0]", "x := 3", "", "1 +", "f'{speed}'",
        "2 ** 9", "abs(*[1])", "min", "max(1, min) > 0", "a" * 600, "(" * 300,
    ],
)  # fmt: skip
def test_expressions_that_are_not_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|allowed|known"):
        Expression(text)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_evaluates(text: str) -> None:
    try:
        e = Expression(text)
    except ValueError:
        return
    e({n: 1.0 for n in e.names})


def test_schemas_are_up_to_date(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "scripts" / "schemas.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

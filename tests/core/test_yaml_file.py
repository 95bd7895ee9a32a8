"""YAML files: every kind of bad input gets `file:line: what; what is expected`, nothing crashes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from giljabi.types import BadInputError
from giljabi.yaml_file import Strict, YamlFile


class Inner(Strict):
    speed: float = Field(gt=0)
    point: tuple[float, float] = (0.0, 0.0)
    count: int = 1
    on: bool = False
    mode: Literal["a", "b"] = "a"
    name: str = "x"
    table: dict[str, float] = Field(default_factory=dict)
    optional: float | None = None


class Outer(Strict):
    inner: Inner
    parts: dict[str, Inner] = Field(default_factory=dict)
    rows: list[Inner] = Field(default_factory=list)


def load(tmp_path: Path, text: str | bytes) -> YamlFile:
    path = tmp_path / "f.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return YamlFile(path)


def error(tmp_path: Path, text: str | bytes) -> tuple[int, str]:
    """Line and words of the error; checks the form of the message."""
    with pytest.raises(BadInputError) as e:
        load(tmp_path, text).validate(Outer)
    found = re.fullmatch(r"(.+f\.yaml):(\d+): (.+; .+)", str(e.value), re.DOTALL)
    assert found, str(e.value)
    assert "\n" not in found[3]
    return int(found[2]), found[3]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("- a\n- b\n", 1, "not a mapping"),
        ("just words", 1, "not a mapping"),
        ("inner: {speed: 1\n", 2, "valid YAML"),
        ("inner:\n  speed: 1\n\tpoint: [0, 0]\n", 3, "valid YAML"),
        ("inner:\n  speed: 1\n  speed: 2\n", 3, "'speed' stands twice"),
        ("inner: {speed: 1}\ninner: {speed: 2}\n", 2, "'inner' stands twice"),
        ("inner:\n  speed: .nan\n", 2, "not a finite number"),
        ("inner:\n  speed: -.inf\n", 2, "not a finite number"),
        ("inner:\n  speed: 1e999\n", 2, "not a finite number"),
        ("inner:\n  speed: 1" + "0" * 400 + "\n", 2, "cannot be read"),
        ("inner:\n  name: 2024-13-45\n", 2, "cannot be read"),
        ("inner:\n  name: !!python/object:os.system x\n", 2, "constructor"),
        ("inner: {speed: 1}\n---\ninner: {speed: 1}\n", 2, "another document"),
        ("? [a, b]\n: 1\n", 1, "key is not plain text"),
        ("? {a: b}\n: 1\n", 1, "key is not plain text"),
        ("a: *nothing\n", 1, "undefined alias"),
        ("inner:\n  speed: 1\n  x\u0007y: 1\n", 3, "U+0007"),
        (b"\x7fELF\x02\x01\x01\x00\x80\xff", 1, "not a text file"),
        (b"\x1f\x8b\x08\x00\x00", 1, "not a text file"),
        (b"\xff\xfe" + "inner: 1".encode("utf-16-le"), 1, "not a text file"),
    ],
)
def test_what_is_not_a_yaml_mapping(tmp_path: Path, text: str | bytes, line: int, says: str) -> None:
    where, words = error(tmp_path, text)
    assert says in words
    assert where == line


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("parts: {}\n", 1, "'inner' is missing"),
        ("inner:\n  point: [1, 2]\n", 1, "'inner.speed' is missing"),
        ("inner:\n  speed: 1\n  sped: 2\n", 3, "unknown key 'inner.sped'; did you mean 'speed'?"),
        ("inner:\n  sped: 2\n", 2, "unknown key 'inner.sped'; did you mean 'speed'?"),
        ("inner: {speed: 1}\nqqq: 3\n", 2, "unknown key 'qqq'; known keys are inner, parts, rows"),
        ("inner:\n  speed: fast\n", 2, "'inner.speed' is 'fast'; a number is expected"),
        ("inner:\n  speed: '3'\n", 2, "'inner.speed' is '3'; a number is expected"),
        ("inner:\n  speed: yes\n", 2, "'inner.speed' is True; a number is expected"),
        ("inner:\n  speed:\n", 2, "'inner.speed' is None"),
        ("inner:\n  speed: [1]\n", 2, "'inner.speed' is [1]"),
        ("inner:\n  speed: 0\n", 2, "greater than 0"),
        ("inner: 5\n", 1, "'inner' is 5"),
        ("inner:\n  speed: 1\n  point: [1]\n", 3, "inner.point"),
        ("inner:\n  speed: 1\n  point: [1, x]\n", 3, "a number is expected"),
        ("inner:\n  speed: 1\n  point: [1, true]\n", 3, "a number is expected"),
        ("inner:\n  speed: 1\n  count: 1.5\n", 3, "inner.count"),
        ("inner:\n  speed: 1\n  count: true\n", 3, "a number is expected"),
        ("inner:\n  speed: 1\n  on: 1\n", 3, "true or false is expected"),
        ("inner:\n  speed: 1\n  on: 'no'\n", 3, "true or false is expected"),
        ("inner:\n  speed: 1\n  mode: c\n", 3, "'a' or 'b'"),
        ("inner:\n  speed: 1\n  name: 5\n", 3, "inner.name"),
        ("inner:\n  speed: 1\n  table:\n    a: 1\n    b: two\n", 5, "a number is expected"),
        ("inner:\n  speed: 1\n  optional: x\n", 3, "a number is expected"),
        ("inner: {speed: 1}\nparts:\n  a: {speed: 1}\n  b:\n    speed: -1\n", 5, "'parts.b.speed' is -1"),
        ("inner: {speed: 1}\nparts:\n  b:\n    speeed: 1\n", 4, "did you mean 'speed'"),
        ("inner: {speed: 1}\nrows:\n  - speed: 1\n  - speed: 0\n", 4, "'rows.1.speed' is 0"),
    ],
)
def test_wrong_keys_types_and_values(tmp_path: Path, text: str, line: int, says: str) -> None:
    where, words = error(tmp_path, text)
    assert says in words
    assert where == line, words


@pytest.mark.parametrize("text", ["1e3", "1.0e3", "1.0e+3", "1000", "1000.0", "+1000", "1E3"])
def test_numbers_as_people_write_them(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"inner: {{speed: {text}}}").validate(Outer).inner.speed == 1000.0


def test_quoted_exponent_stays_text(tmp_path: Path) -> None:
    assert load(tmp_path, "inner: {speed: 1, name: '1e3'}").validate(Outer).inner.name == "1e3"


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    f = load(tmp_path, b"\xef\xbb\xbfinner:\r\n  speed: 2\r\n")
    assert f.validate(Outer).inner.speed == 2
    assert f.line(("inner", "speed")) == 2


def test_keys_that_yaml_takes_for_something_else(tmp_path: Path) -> None:
    f = load(tmp_path, "inner: {speed: 1, on: true}\nparts: {1: {speed: 1}, yes: {speed: 2}}\n")
    model = f.validate(Outer)
    assert model.inner.on is True
    assert set(model.parts) == {"1", "yes"}


def test_aliases_work_but_may_not_explode(tmp_path: Path) -> None:
    assert load(tmp_path, "inner: &i {speed: 1}\nparts: {a: *i}\n").validate(Outer).parts["a"].speed == 1
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for k in range(1, 12):
        bomb += f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n"
    assert "more than" in error(tmp_path, bomb)[1]
    assert "nested" in error(tmp_path, "a: &a [*a]\n")[1]
    assert "nested" in error(tmp_path, "a: " + "[" * 5000 + "]" * 5000)[1]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "nothing.yaml", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / ("x" * 300), "too long"),
        (Path("a\0b.yaml"), "not a path"),
        (Path("/dev/zero"), "larger than"),
    ):
        with pytest.raises(BadInputError, match=says):
            YamlFile(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    with pytest.raises(BadInputError, match="Permission"):
        YamlFile(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def never_crashes(folder: Path, data: bytes) -> Any:
    path = folder / "f.yaml"
    path.write_bytes(data)
    try:
        return YamlFile(path).validate(Outer)
    except BadInputError as e:
        error = str(e)
    assert re.match(r".+f\.yaml:\d+: .+; .+", error, re.DOTALL), error
    return None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda s: s.encode("utf-8", "replace")))
def test_any_bytes(folder: Path, data: bytes) -> None:
    never_crashes(folder, data)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="abinerspd:{}[],&*!|>-'\"#%@ \n\t01.e~?", max_size=80))
def test_any_yaml_like_text(folder: Path, text: str) -> None:
    never_crashes(folder, text.encode())
    never_crashes(folder, b"inner: {speed: 1}\n" + text.encode())

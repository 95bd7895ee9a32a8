"""Every console script and every command: --help with one example, and one line for what makes no sense."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from giljabi.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def console_scripts() -> dict[str, str]:
    """`module:function` by name, as setup.py lists them."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and hasattr(n.targets[0], "id")}
    space = {"NODES": ast.literal_eval(values["NODES"])}
    lines = eval(compile(ast.Expression(values["CONSOLE_SCRIPTS"]), "setup.py", "eval"), {}, space)
    return dict(line.split(" = ") for line in lines)


SCRIPTS = console_scripts()
CALLS = [(name,) for name in SCRIPTS] + [("giljabi", command) for command in COMMANDS]


def call(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs a script the way pip's wrapper does."""
    module, function = SCRIPTS[script].split(":")
    code = f"import sys; sys.argv[0] = {script!r}; from {module} import {function}; sys.exit({function}())"
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_list_is_read() -> None:
    assert {"giljabi", "giljabi-process", "giljabi-sim-peers", "giljabi-drivers", "giljabi-conductor"} <= set(SCRIPTS)


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_one_example(words: tuple[str, ...], flag: str) -> None:
    done = call(*words, flag)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith(f"usage: {' '.join(words)}")
    examples = [line for line in done.stdout.splitlines() if line.startswith("example: ")]
    assert len(examples) == 1
    assert examples[0].startswith(f"example: {words[0]} ")


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_a_wrong_argument_is_one_line_and_exit_code_2(words: tuple[str, ...]) -> None:
    done = call(*words, "--no-such-argument")
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [("giljabi", "sail"), ("giljabi-process", "sail"), ("giljabi-planner", "planning")])
def test_a_wrong_name_is_one_line_and_exit_code_2(args: tuple[str, ...]) -> None:
    done = call(*args)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert args[1] in done.stderr

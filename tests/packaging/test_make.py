"""What `make` and the install scripts promise to somebody who has nothing yet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest


def call(command: list[str], root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=root, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def as_user(tmp_path: Path) -> str:
    """A PATH on which nobody is root and apt-get only says what it was asked."""
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho apt-get was called; exit 9\n")
    for name in ("id", "apt-get"):
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_help_lists_every_target(root: Path) -> None:
    listed = set(re.findall(r"^  ([a-z]+) ", call(["make", "help"], root).stdout, re.M))
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.M)
    assert phony is not None
    assert listed == set(phony.group(1).split())
    assert {"install", "run", "test", "lint", "clean"} <= listed


def test_missing_packages_give_the_line_to_type_and_exit_code_2(root: Path, as_user: str) -> None:
    done = call(["scripts/apt.sh", "python3-venv", "g++"], root, PATH=as_user)
    assert done.returncode == 2
    assert "  sudo apt-get install -y python3-venv g++\n" in done.stderr
    assert "apt-get was called" not in done.stdout + done.stderr


def test_a_python_without_venv_and_headers(root: Path, as_user: str, tmp_path: Path) -> None:
    # A Python that works but has neither ensurepip nor headers, as Debian ships it.
    (tmp_path / "bare").write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*|*Python.h*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    (tmp_path / "bare").chmod(0o755)
    done = call(["scripts/venv.sh", str(tmp_path / "env"), "dev"], root, PATH=as_user, PYTHON=str(tmp_path / "bare"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    assert f"sudo apt-get install -y {version}-venv {version}-dev\n" in done.stderr
    assert not (tmp_path / "env").exists()


def test_an_old_python_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "old").chmod(0o755)
    done = call(["scripts/venv.sh", str(tmp_path / "env"), "dev"], root, PYTHON=str(tmp_path / "old"))
    assert done.returncode == 2
    assert "is not Python 3.10 or newer" in done.stderr


def test_parts_run_on_after_a_failure_and_fail_in_the_end(root: Path) -> None:
    script = ". scripts/parts.sh; part good true; part bad sh -c 'exit 3'; part last true; finish all"
    done = call(["bash", "-c", script], root)
    assert done.returncode == 1
    table = done.stdout.split("\nall\n")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["good", "bad", "last", "total"]
    assert "FAILED (3)" in table


def test_unknown_part_of_the_tests(root: Path) -> None:
    done = call(["scripts/test.sh", "nonsense"], root)
    assert done.returncode == 2
    assert "no part is called 'nonsense'" in done.stderr


def test_a_version_that_differs_is_found(root: Path, tmp_path: Path) -> None:
    names = ["setup.py", "package.xml", "src/giljabi/__init__.py", "CHANGELOG.md", "scripts/versions.py"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    assert call([sys.executable, "scripts/versions.py"], tmp_path).returncode == 0
    text = (tmp_path / "package.xml").read_text()
    (tmp_path / "package.xml").write_text(re.sub(r"<version>[^<]+", "<version>9.9.9", text))
    done = call([sys.executable, "scripts/versions.py"], tmp_path)
    assert done.returncode == 1
    assert "package.xml: 9.9.9" in done.stderr


def test_every_console_script_has_a_module() -> None:
    scripts = [e for e in entry_points(group="console_scripts") if e.value.startswith("giljabi")]
    assert {"giljabi", "giljabi-process"} <= {e.name for e in scripts}
    missing = [e.name for e in scripts if find_spec(e.module) is None]
    assert missing == []


def test_requirements_by_group(root: Path) -> None:
    done = call([sys.executable, "scripts/requirements.py", "build", "install", "ros"], root)
    lines = done.stdout.splitlines()
    assert any(line.startswith("pybind11") for line in lines)
    assert any(line.startswith("numpy") for line in lines)
    assert any(line.startswith("ros-rclpy") for line in lines)
    assert call([sys.executable, "scripts/requirements.py", "nonsense"], root).returncode == 2


def test_nothing_in_the_sources_names_a_package_host_or_proxy(root: Path) -> None:
    found = call(["git", "grep", "-lniE", r"pypi\.org|https?://[^ ]*/simple|index-url|_proxy"], root).stdout.split()
    assert [f for f in found if f != "tests/packaging/test_make.py"] == []

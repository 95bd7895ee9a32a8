"""The example of docs/add_a_driver.md: its own test passes, and a platform file finds it beside itself."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from giljabi.platform import load_platform
from giljabi.registry import build_driver
from giljabi.types import BadInputError
from giljabi_drivers.contract import Received


def test_the_examples_own_test_passes(root: Path) -> None:
    argv = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", str(root / "examples" / "own_driver")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") >= 15


def my_ship(folder: Path, root: Path, kind: str) -> Path:
    """A platform file with the documentation's snippet in it."""
    text = (root / "docs" / "add_a_driver.md").read_text()
    snippet = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    data = yaml.safe_load((root / "config" / "platforms" / "ship.yaml").read_text())
    for part, entries in snippet.items():
        data[part] |= entries
    data["drivers"]["my_compass"]["kind"] = kind
    path = folder / "my_ship.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_file_beside_the_platform_file_is_found(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "examples" / "own_driver" / "my_driver.py", tmp_path)
    driver = build_driver(load_platform(my_ship(tmp_path, root, "my_driver.py:Compass")), "my_compass")
    (sample,) = driver.step(1.0, [Received(1.0, bytes.fromhex("a51068dd"))]).samples
    assert (sample.yaw, sample.std) == pytest.approx((math.radians(48.0), math.radians(0.5)))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nowhere.py:Compass", "cannot be loaded"),
        ("my_driver.py:Sextant", "cannot be loaded"),
        ("no_such_module:Compass", "No module named 'no_such_module'"),
        ("my_driver.py:SYNC", "is no class or function"),
        ("sextant", "known are can"),
        (":", "cannot be loaded"),
    ],
)
def test_a_kind_that_is_none_is_an_error_with_its_line(kind: str, said: str, root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "examples" / "own_driver" / "my_driver.py", tmp_path)
    path = my_ship(tmp_path, root, kind)
    line = next(i for i, text in enumerate(path.read_text().split("\n"), 1) if text.strip().startswith("my_compass:"))
    with pytest.raises(BadInputError, match=rf"my_ship\.yaml:\d+: .*{re.escape(said)}") as e:
        build_driver(load_platform(path), "my_compass")
    assert abs(int(re.findall(r"yaml:(\d+)", str(e.value))[0]) - line) <= 3

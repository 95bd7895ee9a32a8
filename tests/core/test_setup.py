"""Every folder of code is in what is installed: a wheel without one would fail on somebody's machine only."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_folder_is_installed() -> None:
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    words = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for root in ("src", "hw_drivers", "sim"):
        for init in (ROOT / root).glob("*/**/__init__.py"):
            parts = init.parent.relative_to(ROOT / root).parts
            name = ".".join(parts)
            assert name in words or ".".join(parts[1:]) in words, f"{name} is not among the packages of setup.py"

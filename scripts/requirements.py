"""Prints what giljabi needs, without installing it: `requirements.py build install ros operator dev`.

`build` stands for the build requirements of pyproject.toml, `install` for the run-time ones, the rest for extras.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import setuptools

ROOT = Path(__file__).resolve().parents[1]


def main(groups: list[str]) -> int:
    """Prints one requirement a line."""
    seen: dict[str, Any] = {}
    with mock.patch.object(setuptools, "setup", lambda **k: seen.update(k)):
        code = compile((ROOT / "setup.py").read_text(encoding="utf-8"), str(ROOT / "setup.py"), "exec")
        exec(code, {"__file__": str(ROOT / "setup.py"), "__name__": "setup"})
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    build = re.search(r"^requires = \[(.*?)\]$", text, re.M | re.S)
    known = {
        "build": re.findall(r'"([^"]+)"', build.group(1)) if build else [],
        "install": seen["install_requires"],
        **seen["extras_require"],
    }
    for group in groups:
        if group not in known:
            print(f"no group is called '{group}'; groups are {', '.join(known)}", file=sys.stderr)
            return 2
        print("\n".join(known[group]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

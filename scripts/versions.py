"""Checks that every place that states the version states the same one; exit 1 with a list when not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "setup.py": r'^VERSION = "([^"]+)"$',
    "package.xml": r"<version>([^<]+)</version>",
    "src/giljabi/__init__.py": r'^__version__ = "([^"]+)"$',
    "CHANGELOG.md": r"^## \[(\d[^\]]*)\]",
}


def main() -> int:
    """Prints the version, or the places that disagree."""
    found = {}
    for name, pattern in PLACES.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.M)
        found[name] = match.group(1) if match else "no version found"
    from giljabi import _core

    found["giljabi._core (built)"] = _core.__version__
    if len(set(found.values())) == 1:
        print(found["setup.py"])
        return 0
    for name, version in found.items():
        print(f"{name}: {version}", file=sys.stderr)
    print("version numbers differ; the same one is expected everywhere", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes the JSON schemas of docs/ (scenario, platform, options of a can driver); --check: are they up to date?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from giljabi.platform import PlatformModel
from giljabi_drivers.can import CanOptions
from giljabi_sim.scenario import ScenarioModel

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCHEMAS = {
    "scenario.schema.json": ScenarioModel,
    "platform.schema.json": PlatformModel,
    "can_options.schema.json": CanOptions,  # `options` of a driver of kind can
}


def texts() -> dict[str, str]:
    """Text of every schema file by its name."""
    return {
        name: json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n" for name, model in SCHEMAS.items()
    }


def main() -> int:
    """Exit code 1 with --check when a file is not what would be written."""
    old = [n for n, text in texts().items() if not (DOCS / n).is_file() or (DOCS / n).read_text("utf-8") != text]
    if "--check" in sys.argv:
        if old:
            print(f"{', '.join(old)} are not up to date; type: python scripts/schemas.py", file=sys.stderr)
        return 1 if old else 0
    for name, text in texts().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

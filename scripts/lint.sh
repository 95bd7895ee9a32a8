#!/usr/bin/env bash
# usage: scripts/lint.sh      style, types, stubs and version numbers; all parts run even when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/parts.sh
bin=$PWD/.venv/bin

clang_format() { git ls-files '*.cpp' '*.hpp' | xargs -r "$bin/clang-format" --dry-run -Werror; }

part ruff "$bin/ruff" check -q .
part 'ruff format' "$bin/ruff" format -q --check .
part clang-format clang_format
part mypy "$bin/mypy" src hw_drivers sim
part stubs "$bin/python" scripts/stubs.py
part schemas "$bin/python" scripts/schemas.py --check
part versions "$bin/python" scripts/versions.py
finish "make lint"

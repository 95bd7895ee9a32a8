#!/usr/bin/env bash
# usage: scripts/stubs.sh [--check]
# Writes src/giljabi/_core/*.pyi from the built extension, or checks that the committed ones are what it would write.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BIN:-$PWD/.venv/bin}
folder=src/giljabi/_core
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bin/python" -m pybind11_stubgen --exit-code -o "$out" giljabi._core >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
# One module without submodules gives a file, else a folder.
made=$out/giljabi/_core
if [ ! -d "$made" ]; then mkdir "$made" && mv "$out/giljabi/_core.pyi" "$made/__init__.pyi"; fi
"$bin/ruff" check -q --fix-only --isolated --select I,UP,F401 --target-version py310 "$made"
"$bin/ruff" format -q --isolated --line-length 120 "$made"
if [ "${1:-}" = --check ]; then
  diff -ru "$folder" "$made" || { echo "the stubs are not those of the built module; type: make stubs" >&2; exit 1; }
else
  mkdir -p "$folder"
  rm -f "$folder"/*.pyi
  cp "$made"/*.pyi "$folder/"
  ls "$folder"
fi

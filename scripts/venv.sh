#!/usr/bin/env bash
# usage: scripts/venv.sh DIR EXTRAS
# Makes (or refreshes) a virtual environment with an editable install of this tree. Missing system packages are
# installed by apt when root; otherwise the exact line to type is printed and the exit code is 2.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
extras=$2

# The ROS 2 wheels exist for CPython 3.10 to 3.13: such a Python first, then any that giljabi itself runs on.
fits() { "$1" -c "import sys; sys.exit(not ($2 <= sys.version_info[:2] <= $3))" 2>/dev/null; }
python=""
if [ -n "${PYTHON:-}" ]; then
  fits "$PYTHON" '(3, 10)' '(3, 99)' || { echo "PYTHON=$PYTHON is not Python 3.10 or newer" >&2; exit 2; }
  python=$PYTHON
else
  for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
    if fits "$candidate" '(3, 10)' '(3, 13)'; then python=$candidate; break; fi
  done
  if [ -z "$python" ] && fits python3 '(3, 10)' '(3, 99)'; then
    python=python3
    echo "note: ROS 2 wheels are published for Python 3.10 to 3.13, this is $(python3 -V 2>&1): the ROS nodes will not run" >&2
  fi
fi
if [ -z "$python" ]; then
  echo "no Python 3.10 or newer was found ($(python3 -V 2>&1 || true)); install one, or name it: make install PYTHON=/path/to/python3" >&2
  exit 2
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
missing=()
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python$version-venv")
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
  missing+=("python$version-dev")
[ -n "${CXX:-}" ] || command -v c++ >/dev/null || missing+=(g++)
scripts/apt.sh "${missing[@]}"

if [ ! -x "$venv/bin/python" ]; then
  echo "making $venv with $("$python" -V)"
  "$python" -m venv "$venv"
fi
bin=$venv/bin

# The build requirements of pyproject.toml go into the environment itself, so that a later rebuild of the extension
# finds the same tools and compiles only what changed.
requires=$("$bin/python" - <<'PY'
import re
text = open("pyproject.toml", encoding="utf-8").read()
print("\n".join(re.findall(r'"([^"]+)"', re.search(r"^requires = \[(.*?)\]$", text, re.M | re.S).group(1))))
PY
)
echo "installing (the first time takes a few minutes)"
mapfile -t requires <<<"$requires"
"$bin/python" -m pip install -q --disable-pip-version-check 'pip>=23' wheel "${requires[@]}"
"$bin/python" -m pip install -q --disable-pip-version-check --no-build-isolation -e ".[$extras]"

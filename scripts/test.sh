#!/usr/bin/env bash
# usage: scripts/test.sh [PART]...      parts: cpp sanitize core drivers fuzz sim ros browser launch packaging
# Runs the tests part by part, quick ones first; all parts run even when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/parts.sh
python=$PWD/.venv/bin/python
jobs=$(nproc)
# ROS 2 stays on this machine, away from other graphs, and refuses wrong field types.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_PYTHON_CHECK_FIELDS=1 ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-77}

cpp() { # BUILD_DIR CMAKE_ARGUMENT...
  local dir=$1
  shift
  PATH=$PWD/.venv/bin:$PATH cmake -S cpp_ext -B "$dir" -G Ninja -DGILJABI_TESTS=ON -DPython_EXECUTABLE="$python" "$@" >"$dir.log" 2>&1 ||
    { cat "$dir.log"; return 1; }
  PATH=$PWD/.venv/bin:$PATH cmake --build "$dir" --parallel "$jobs" >>"$dir.log" 2>&1 || { tail -60 "$dir.log"; return 1; }
  "$dir/core_tests"
}

pytests() { # FOLDER
  case $1 in
    core | sim) collected "$1" -n "$jobs" ;;
    ros) # a file is one ROS graph; two files at a time, then those that watch real time or the whole machine
      local worst=0
      collected "$1" -n 2 --dist loadfile -m 'not alone' || worst=$?
      collected "$1" -m alone || worst=$?
      return $worst
      ;;
    *) collected "$1" ;; # they share builds or buses
  esac
}

collected() { # FOLDER PYTEST_ARGUMENT...
  "$python" -m pytest "tests/$1" -rs --durations=3 --timeout=300 "${@:2}"
  local code=$?
  [ $code -ne 5 ] || { echo "no tests were collected in tests/$1"; return 1; }
  return $code
}

needs_doctest() { echo '#include <doctest/doctest.h>' | "${CXX:-c++}" -E -x c++ - >/dev/null 2>&1 || scripts/apt.sh doctest-dev; }

if [ $# -gt 0 ]; then wanted=("$@"); else
  wanted=(cpp sanitize)
  for folder in core drivers fuzz sim ros browser launch packaging; do
    ! compgen -G "tests/$folder/test_*.py" >/dev/null || wanted+=("$folder")
  done
fi

mkdir -p build
for name in "${wanted[@]}"; do
  case $name in
    cpp) needs_doctest || exit 2; part cpp cpp build/tests -DCMAKE_BUILD_TYPE=Release ;;
    sanitize) needs_doctest || exit 2; part sanitize cpp build/sanitize -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" -DGILJABI_SANITIZE=ON ;;
    *)
      [ -d "tests/$name" ] || { echo "no part is called '$name'; parts are cpp, sanitize and the folders of tests/" >&2; exit 2; }
      part "$name" pytests "$name"
      ;;
  esac
done
finish "make test"

#!/usr/bin/env bash
# Builds C++ tests of the core for aarch64 on another machine and runs them under qemu's user mode.
#
# usage: scripts/aarch64.sh [NAME...]     names of files in cpp_ext/tests; default: the solver's
# example: scripts/aarch64.sh test_solver_qp
#
# Needs the Debian packages g++-aarch64-linux-gnu, qemu-user, doctest-dev and libeigen3-dev (or EIGEN=folder with Eigen/).
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed: apt install g++-aarch64-linux-gnu qemu-user" >&2; exit 2; }
done
[ -e /usr/include/doctest/doctest.h ] || { echo "doctest/doctest.h is not in /usr/include: apt install doctest-dev" >&2; exit 2; }
eigen=${EIGEN:-/usr/include/eigen3}
[ -e "$eigen/Eigen/Core" ] || { echo "$eigen/Eigen/Core: no such file; apt install libeigen3-dev, or EIGEN=folder" >&2; exit 2; }
out=build/aarch64
mkdir -p "$out/include"
ln -sfn /usr/include/doctest "$out/include/doctest"  # alone: /usr/include would bring this machine's C library
[ $# -gt 0 ] || set -- test_solver test_solver_qp
objects=()
for name in main allocations "$@"; do
  [ -e "cpp_ext/tests/$name.cpp" ] || { echo "cpp_ext/tests/$name.cpp: no such file; names are those of cpp_ext/tests" >&2; exit 2; }
  aarch64-linux-gnu-g++ -std=c++17 -O1 -ffp-contract=off -Wno-psabi -Icpp_ext/include -isystem "$out/include" -isystem "$eigen" \
    -c "cpp_ext/tests/$name.cpp" -o "$out/$name.o"
  objects+=("$out/$name.o")
done
aarch64-linux-gnu-g++ "${objects[@]}" -o "$out/tests" -lpthread
qemu-aarch64 -L /usr/aarch64-linux-gnu "$out/tests"

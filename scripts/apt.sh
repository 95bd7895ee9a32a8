#!/usr/bin/env bash
# usage: scripts/apt.sh [PACKAGE]...
# Installs Debian or Ubuntu packages when root; otherwise prints the line to type and exits with 2.
set -euo pipefail
[ $# -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing system packages: $*"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "apt-get could not install: $*" >&2
    exit 2
  fi
  exit 0
fi
if command -v apt-get >/dev/null; then
  printf 'missing system packages; type this, then try again:\n  sudo apt-get install -y %s\n' "$*" >&2
else
  printf 'missing system packages (names as on Debian): %s; install them, then try again\n' "$*" >&2
fi
exit 2

#!/usr/bin/env bash
# usage: scripts/install_routes.sh [ROUTE]...      routes: wheel pip editable colcon symlink
# Tries every way to install giljabi, each on a copy of this tree and in a fresh virtual environment, and checks
# from outside of the tree that the commands, the extension, config/ and launch/ are found.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/parts.sh
python=${PYTHON:-python3}
if [ "${1:-}" = --one ]; then # a route in a shell of its own: `set -e` is off inside a command whose failure is tested
  work=$3
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/giljabi-routes.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
unset PYTHONPATH VIRTUAL_ENV AMENT_PREFIX_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' setup.py)

copy_tree() { # TO
  mkdir -p "$1"
  git ls-files -co --exclude-standard -z | xargs -0 cp --parents --no-dereference -t "$1"
}

environment() { # DIR PACKAGE...
  "$python" -m venv "$1"
  [ $# -lt 2 ] || "$1/bin/python" -m pip install -q "${@:2}"
}

# What must hold after every route. Arguments: the command to run Python with the installation in view.
check_common() { # PYTHON GILJABI
  (
    cd "$work" # not the tree: nothing may be found by chance
    [ "$("$2" --version)" = "giljabi $version" ] || { echo "giljabi --version says: $("$2" --version)"; exit 1; }
    "$1" - <<'PY'
from importlib.util import find_spec
from pathlib import Path
import giljabi, giljabi_drivers, giljabi_sim
from giljabi import _core
from giljabi.platform import load_platform, share_dir
from giljabi.types import BadInputError

assert _core.__version__ == giljabi.__version__, (_core.__version__, giljabi.__version__)
share = share_dir()
for name in ("launch", "config/platforms", "config/scenarios"):
    assert any((share / name).iterdir()), f"{share / name} is empty"
for file in sorted((share / "config/platforms").glob("*.yaml")):
    try:
        load_platform(file.stem)
    except BadInputError as e:  # a walker's file needs MuJoCo, and says so
        assert "giljabi[humanoid]" in str(e) and find_spec("mujoco") is None, e
assert (Path(giljabi.__file__).parent / "operator/static/index.html").is_file()
print(f"giljabi {giljabi.__version__}: package {Path(giljabi.__file__).parent}, share {share}")
PY
  )
}

# Without ROS 2 the simulator works, and `run` says what to install.
check_without_ros() { # BIN
  (
    cd "$work"
    "$1/giljabi" sim ship_crossing.yaml --json - | "$1/python" -c 'import json, sys; r = json.load(sys.stdin); assert r["outcome"] == "arrived", r'
    code=0
    "$1/giljabi" run ship >out.txt 2>&1 || code=$?
    cat out.txt
    [ "$code" = 2 ] && grep -q 'giljabi\[ros\]' out.txt || { echo "giljabi run without ROS: exit $code, expected 2 and a word about giljabi[ros]"; exit 1; }
  )
}

# Every solver variant that this processor can run is there and solves.
check_variants() { # PYTHON
  local variant
  for variant in baseline avx2 avx512; do
    [ "$variant" = baseline ] || grep -qw "${variant/avx512/avx512f}" /proc/cpuinfo || continue
    [ "$(cd "$work" && GILJABI_SIMD=$variant "$1" -c 'from giljabi.solver import Ocp, variant; Ocp("bicycle", horizon=5, dt=0.1); print(variant())')" = "$variant" ] ||
      { echo "the solver does not run as $variant"; return 1; }
  done
}

# What `ros2 launch` needs: the package in the ament index and its executables in lib/giljabi.
check_ament() { # PREFIX
  [ -e "$1/share/ament_index/resource_index/packages/giljabi" ] || { echo "not in the ament index of $1"; return 1; }
  [ -e "$1/share/giljabi/package.xml" ] || { echo "no package.xml in $1/share/giljabi"; return 1; }
  local name
  for name in giljabi-process giljabi-sim-peers; do
    "$1/lib/giljabi/$name" --help >/dev/null || { echo "$1/lib/giljabi/$name does not run"; return 1; }
  done
}

route_wheel() { # sdist -> wheel -> an environment that has never seen the tree
  copy_tree "$work/wheel"
  environment "$work/build-env" build
  (cd "$work/wheel" && "$work/build-env/bin/python" -m build -o "$work/dist" . >"$work/build.log" 2>&1) || { tail -40 "$work/build.log"; return 1; }
  rm -rf "$work/wheel"
  ls -l "$work/dist"
  local names
  names=$(tar tzf "$work"/dist/*.tar.gz)
  for name in cpp_ext/CMakeLists.txt cpp_ext/bindings/module.cpp config/platforms/ship.yaml launch/ package.xml; do
    grep -q "/$name" <<<"$names" || { echo "the sdist lacks $name"; return 1; }
  done
  environment "$work/wheel-env" "$(ls "$work"/dist/*.whl)[ros,operator]"
  check_common "$work/wheel-env/bin/python" "$work/wheel-env/bin/giljabi"
  check_ament "$work/wheel-env"
  check_variants "$work/wheel-env/bin/python"
}

route_pip() {
  copy_tree "$work/pip"
  environment "$work/pip-env"
  (cd "$work/pip" && "$work/pip-env/bin/python" -m pip install -q .)
  rm -rf "$work/pip"
  check_common "$work/pip-env/bin/python" "$work/pip-env/bin/giljabi"
  check_without_ros "$work/pip-env/bin"
}

route_editable() {
  copy_tree "$work/editable"
  environment "$work/editable-env"
  (cd "$work/editable" && "$work/editable-env/bin/python" -m pip install -q -e .)
  check_common "$work/editable-env/bin/python" "$work/editable-env/bin/giljabi"
  check_without_ros "$work/editable-env/bin"
  # Editable means editable: a change in the tree is seen.
  echo '__version__ = "9.9.9"' >>"$work/editable/src/giljabi/__init__.py"
  [ "$(cd "$work" && "$work/editable-env/bin/giljabi" --version)" = "giljabi 9.9.9" ] || { echo "a change in the tree is not seen"; return 1; }
}

colcon_environment() { # colcon, ROS 2 and what giljabi needs, but not giljabi
  [ ! -d "$work/colcon-env" ] || return 0
  environment "$work/colcon-env"
  local bin=$work/colcon-env/bin
  "$bin/python" scripts/requirements.py build install ros operator >"$work/requirements.txt"
  "$bin/python" -m pip install -q colcon-common-extensions pytest -r "$work/requirements.txt"
}

colcon_route() { # DIR [COLCON ARGUMENT]...
  colcon_environment
  copy_tree "$1/src/giljabi"
  (
    cd "$1"
    . "$work/colcon-env/bin/activate"
    colcon --log-level error build --event-handlers console_direct- console_cohesion- "${@:2}" || { cat log/latest_build/giljabi/std*.log; exit 1; }
    [ "${#@}" -gt 1 ] || mv src gone # an installation by copies stands alone
    set +u
    . install/setup.bash
    set -u
    [ "$(command -v giljabi)" = "$1/install/giljabi/bin/giljabi" ] || { echo "giljabi is not on PATH after install/setup.bash"; exit 1; }
    check_common "$work/colcon-env/bin/python" giljabi
    check_ament "$1/install/giljabi"
  )
}

route_colcon() { colcon_route "$work/colcon"; }

route_symlink() {
  colcon_route "$work/symlink" --symlink-install
  echo '__version__ = "9.9.9"' >>"$work/symlink/src/giljabi/src/giljabi/__init__.py"
  [ "$(. "$work/colcon-env/bin/activate"; set +u; . "$work/symlink/install/setup.bash"; cd "$work"; giljabi --version)" = "giljabi 9.9.9" ] ||
    { echo "a change in the tree is not seen"; return 1; }
}

if [ "${1:-}" = --one ]; then
  case $2 in # the solver's variants for newer processors: most of the compiling, tried by two of the routes
    pip | editable | symlink) export GILJABI_VARIANTS= ;;
  esac
  "route_$2"
  exit 0
fi
routes=("$@")
[ ${#routes[@]} -gt 0 ] || routes=(wheel pip editable colcon symlink)
for route in "${routes[@]}"; do
  declare -F "route_$route" >/dev/null || { echo "no route is called '$route'; routes are wheel, pip, editable, colcon, symlink" >&2; exit 2; }
done
for route in "${routes[@]}"; do
  part "$route" scripts/install_routes.sh --one "$route" "$work"
done
finish "install routes"

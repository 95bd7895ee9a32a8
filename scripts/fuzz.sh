#!/usr/bin/env bash
# usage: scripts/fuzz.sh [TARGET]...      RUNS=1000000 inputs or MINUTES=1 for each target, whichever comes first
# Coverage-guided fuzzing: the C++ codecs, the guard and the solver by libFuzzer with sanitizers (cpp_ext/fuzz), the Python side by
# atheris (tests/fuzz/targets.py). As mutated:TARGET also mutation of real recordings, without coverage and faster, of every driver
# and Python target (tests/fuzz/mutated.py); `mutated` names them all. Corpora stay in build/fuzz/corpus, inputs that broke a promise in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
runs=${RUNS:-1000000}
seconds=$((${MINUTES:-1} * 60))
data=${GILJABI_DATA:-$PWD/../shared/data}
[ -d "$data" ] || data=
build=$PWD/build/fuzz
mkdir -p "$build"

libfuzzer() { echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' | clang++ -fsanitize=fuzzer -x c++ - -o /dev/null 2>/dev/null; }

if ! libfuzzer; then
  command -v clang++ >/dev/null || scripts/apt.sh clang
  libfuzzer || scripts/apt.sh "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"
fi
"$python" -c 'import atheris' 2>/dev/null || "$python" -m pip install -q atheris ||
  echo "atheris cannot be installed here; the Python targets are left out" >&2

PATH=$PWD/.venv/bin:$PATH cmake -S cpp_ext -B "$build" -G Ninja -DGILJABI_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE="$python" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
PATH=$PWD/.venv/bin:$PATH cmake --build "$build" >>"$build.log" 2>&1 || { tail -40 "$build.log"; exit 1; }

mutated=$(cd tests/fuzz && "$python" -c 'from targets import TARGETS; from streams import streams; print(*dict.fromkeys([*streams(), *TARGETS]))')
cpp=$(for f in cpp_ext/fuzz/*.cpp; do basename "$f" .cpp; done)
py=
if "$python" -c 'import atheris' 2>/dev/null; then
  py=$(cd tests/fuzz && "$python" -c 'import targets; print(*targets.TARGETS)')
fi
wanted=()
[ $# -gt 0 ] || set -- $cpp $py mutated
for name; do
  if [ "$name" = mutated ]; then for m in $mutated; do wanted+=("mutated:$m"); done; else wanted+=("$name"); fi
done

# What was freed is kept for a while to be watched; 256 MB of it, as by default, makes small allocations slow.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=4${ASAN_OPTIONS:+:$ASAN_OPTIONS}
rows=()
failed=0
for name in "${wanted[@]}"; do
  from=
  if [ "${name%%:*}" = mutated ] && grep -qw -- "${name#*:}" <<<"$mutated"; then
    command=("$python" tests/fuzz/mutated.py "${name#*:}") from=$data name=${name/:/-}
  elif grep -qw -- "$name" <<<"$(echo $cpp)"; then command=("$build/fuzz_$name");
  elif grep -qw -- "$name" <<<"$py"; then command=("$python" tests/fuzz/guided.py "$name");
  else echo "no fuzz target is called '$name'; targets are: $(echo $cpp $py), and mutated:TARGET" >&2; exit 2; fi
  corpus=$build/corpus/$name
  mkdir -p "$corpus" "$build/found"
  [ -n "$from" ] || "$python" tests/fuzz/seeds.py "$name" "$corpus" $data
  log=$build/$name.log
  word=ok
  "${command[@]}" -runs="$runs" -max_total_time="$seconds" -max_len=2048 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="$build/found/$name-" "$corpus" $from >"$log" 2>&1 || { word=FAILED; failed=1; }
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
  rows+=("$(printf '%-24s %10s inputs %8s /s %6s MB  %s' "$name" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" "$(stat peak_rss_mb)" "$word")")
  echo "${rows[-1]}"
  [ "$word" = ok ] || { grep -aE 'broken promise|Error|ERROR|SUMMARY|Uncaught' "$log" | head -5; ls "$build/found" | grep "^$name-" | sed "s|^|  kept: build/fuzz/found/|" | tail -3; }
done
exit $failed

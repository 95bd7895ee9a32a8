# Sourced by test.sh, lint.sh and .ci/run: runs named parts, prints the time of each, and ends with a table.
# part NAME COMMAND...   ·   finish: prints the table, exit code 1 when a part failed
PART_ROWS=()
PART_FAILED=0

part() {
  local name=$1 start=$SECONDS code=0 word
  shift
  printf '\n== %s\n' "$name"
  "$@" || code=$?
  word=ok
  if [ "$code" -ne 0 ]; then word="FAILED ($code)"; PART_FAILED=1; fi
  PART_ROWS+=("$(printf '%-22s %5d s  %s' "$name" $((SECONDS - start)) "$word")")
  printf -- '-- %s\n' "${PART_ROWS[-1]}"
}

finish() {
  printf '\n%s\n' "${1:-parts}"
  printf '  %s\n' "${PART_ROWS[@]}"
  printf '  %-22s %5d s\n' total "$SECONDS"
  exit "$PART_FAILED"
}

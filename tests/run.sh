#!/usr/bin/env bash
# All checks and tests, in the project's .venv, on a machine that has what they need. Called by ./run test.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python

if [ $# -gt 0 ]; then # ./run test tests/unit -k clock
  exec $python -m pytest "$@"
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .

# Tests of calls wait more than they work: three at a time. What only computes takes what these leave of the processors,
# and no call waits for it. What is judged to the millisecond has the machine to itself afterwards.
computing=(tests/unit
  tests/media/test_{clip,depacketize,finish,judge,mixed_{canvas,encoder,sound,text,watermark},mux_segments,orientation}*.py)
log=$(mktemp)
beside=
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -f "$log"' EXIT
nice -n 10 bash -c ".venv/bin/mypy && exec $python -m pytest \"\$@\"" mypy "${computing[@]}" -m "not alone" \
  -n 2 --dist loadfile --durations=8 -p no:cacheprovider >"$log" 2>&1 &
beside=$!
failed=
$python -m pytest tests/media tests/clients tests/live "${computing[@]/#/--ignore=}" -m "not alone" \
  -n 3 --dist loadfile --no-loadscope-reorder --durations=12 || failed=1
wait "$beside" || failed=1
beside=
cat "$log"
[ -z "$failed" ] || exit 1
$python -m pytest tests/media tests/clients tests/live -m alone --durations=5

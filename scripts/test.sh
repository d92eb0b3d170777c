#!/usr/bin/env bash
# Builds cvrsd and runs every test. Arguments go to `cargo nextest run`, for example a filter.
#
# Some tests compare with the published material in ../shared, which is not part of the project. Where
# it is missing they check nothing, or fail if CVRSD_NEED_SHARED is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

# The tests that call the helper `shared` for a file of that part.
tests_on_shared() {
    find src tests -name '*.rs' -exec awk -v part="\"$1/" '
        /^ *(async )?fn / { test = $0; sub(/^ *(async )?fn /, "", test); sub(/\(.*/, "", test) }
        /shared\(/ && index($0, part) { print FILENAME ": " test }
    ' {} + | sort -u
}

tell_missing() {
    local tests
    have_shared "$1" && return
    tests=$(tests_on_shared "$1")
    heading "WARNING: ../shared/$1 IS MISSING, $(wc -l <<<"$tests") TESTS WILL CHECK NOTHING:"
    printf '%s\n' "$tests"
}

tell_missing reference
tell_missing samples
tell_missing spec
need_nextest
need_clients
need_faketime
export CVRSD_NEED_FAKETIME=1
need_strace
if [ $# -gt 0 ]; then
    cargo nextest run --locked "$@" </dev/null
    exit
fi
# Those that sleep for a minute do so beside the others, and keep no place from them.
sleepers='test(/(^|::)long_wait_/)'
told=$(mktemp)
cargo nextest run --locked --no-run </dev/null
cargo nextest run --locked --no-fail-fast -E "$sleepers" >"$told" 2>&1 </dev/null &
others=0
cargo nextest run --locked -E "not $sleepers" </dev/null || others=$?
slept=0
wait $! || slept=$?
heading "tests that sleep for a minute"
cat "$told"
rm -f "$told"
[ "$others" -eq 0 ] || exit "$others"
exit "$slept"

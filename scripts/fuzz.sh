#!/usr/bin/env bash
# Fuzzes each target, or those that are named, for SECONDS (1800) of processor time with one process. Prints
# executions, how many a second, and what was found; keeps the smallest inputs that reach something new in fuzz/corpus, which every
# test run replays. What a target finds wrong lies in fuzz/artifacts, and the script fails.
#   scripts/fuzz.sh [SECONDS] [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

seconds=${1:-1800}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- upload zip rows envelopes configuration tokens
# Bytes of an input at most: what a large body meets beyond them are bounds, which have tests of their own.
longest=4096
# Inputs that one run adds to fuzz/corpus at most, and bytes of each.
kept_files=40
kept_bytes=2048

need_fuzz() {
    have cargo-fuzz || install_crate cargo-fuzz
    cargo +nightly --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
}

# All inputs of all runs here are in fuzz/found. A thread that ends a moment later is no leak. What other
# work took of the wall time is made up for by a further round.
fuzz() {
    local target=$1 left=$seconds used TIMEFORMAT=%0U+%0S
    heading "$target: $seconds s"
    mkdir -p "fuzz/found/$target"
    cargo +nightly fuzz build "$target" >"fuzz/found/$target.log" 2>&1
    while [ "$left" -gt 0 ]; do
        used=$({ time run_round "$target" "$left"; } 2>&1) || {
            tail -n 60 "fuzz/found/$target.log"
            return 1
        }
        left=$((left - used - 1))
    done
}

run_round() {
    cargo +nightly fuzz run "$1" "fuzz/found/$1" "fuzz/corpus/$1" -- \
        -max_total_time="$2" -max_len="$longest" -timeout=20 -rss_limit_mb=2048 \
        -detect_leaks=0 -print_final_stats=1 >"fuzz/found/$1.log" 2>&1 || return 1
    grep -E 'stat::(number_of_executed_units|average_exec_per_sec|new_units_added)' "fuzz/found/$1.log" >&3
}

keep() {
    local target=$1 all
    all=$(mktemp -d)
    cp "fuzz/corpus/$target"/* "$all"
    cargo +nightly fuzz run "$target" "$all" "fuzz/found/$target" -- \
        -merge=1 -max_len="$longest" -detect_leaks=0 >"fuzz/found/$target.log" 2>&1
    find "$all" -type f -size -"$((kept_bytes + 1))"c -printf '%s %f\n' | sort -n | cut -d ' ' -f 2 |
        while read -r name; do
            [ -e "fuzz/corpus/$target/$name" ] || printf '%s\n' "$name"
        done | head -n "$kept_files" | while read -r name; do
        cp "$all/$name" "fuzz/corpus/$target/$name"
    done
    rm -rf "$all"
    printf 'kept: %s inputs\n' "$(find "fuzz/corpus/$target" -type f | wc -l)"
}

exec 3>&1
# libFuzzer's own switch leaves the check at the end of the process on.
export ASAN_OPTIONS=detect_leaks=0
need_fuzz
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
failed=0
for target in "$@"; do
    if fuzz "$target"; then keep "$target"; else failed=1; fi
done
exit "$failed"

#!/usr/bin/env bash
# WATCHERS (10,000) of one job against an optimised daemon: at most 32 KiB of memory each, given back when they
# leave; a reconnect of all at once, some reading nothing, with no event missed or told twice; 5,000 idle
# connections on each listener. Then the latency of submits beside as many watchers, as a ratio to none.
# Needs that many open files.
# Usage: watchers.sh [WATCHERS]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

need_nextest
ulimit -n "$(ulimit -Hn)"
cargo build --locked --release
CVRSD_BIN=$(realpath "${CARGO_TARGET_DIR:-target}/release/cvrsd")
export CVRSD_BIN
CVRSD_WATCHERS=${1:-10000} CVRSD_IDLE_CONNECTIONS=5000 \
    cargo nextest run --locked --test hostile --test-threads 1 --no-capture \
    -E 'test(watcher) or test(say_nothing)' </dev/null
cargo bench --locked --bench compare -- crowd --watchers "${1:-10000}"

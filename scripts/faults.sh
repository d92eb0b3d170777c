#!/usr/bin/env bash
# Makes every system call of tests/faults kill the daemon, or fail, or take long, each in a run of its own:
# some 8,000 runs, an hour or two. CVRSD_FAULT_EVERY=10 takes every tenth. Arguments go to
# `cargo nextest run`, for example a filter.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

need_nextest
need_strace
export CVRSD_FAULT_EVERY="${CVRSD_FAULT_EVERY:-1}" TEST_LOG="${TEST_LOG:-off}"
cargo nextest run --locked --test faults --no-fail-fast --success-output final "$@" </dev/null

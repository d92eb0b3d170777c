#!/usr/bin/env bash
# Sends every file of tests/attack to an optimised daemon and holds it to its bounds: 2 s and 64 MiB
# for each file. Prints what each took. Arguments go to `cargo nextest run`, for example a filter.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

need_nextest
cargo build --locked --release
CVRSD_BIN=$(realpath "${CARGO_TARGET_DIR:-target}/release/cvrsd")
export CVRSD_BIN
cargo nextest run --locked --test attack --test-threads 1 --success-output final "$@" </dev/null

#!/usr/bin/env bash
# Works an optimised daemon for MINUTES (60): submits, cancels, watches that break off, and a kill every ten
# minutes. Holds every result against a model, and prints each minute what the daemon takes, how many jobs
# have ended, and how many stand still. From 30 minutes on it says what stayed flat, and fails where memory or
# descriptors did not within 5 % after the first ten.
# Usage: soak.sh [MINUTES]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

need_nextest
cargo build --locked --release
CVRSD_BIN=$(realpath "${CARGO_TARGET_DIR:-target}/release/cvrsd")
export CVRSD_BIN
CVRSD_SOAK_SECONDS=$((${1:-60} * 60)) CVRSD_SOAK_SAMPLE_SECONDS=60 CVRSD_SOAK_KILL_SECONDS=600 \
    cargo nextest run --locked --test soak --no-capture </dev/null

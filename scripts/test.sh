#!/usr/bin/env bash
# Builds cvrsd and runs every test. Arguments go to `cargo nextest run`, for example a filter.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

need_nextest
need_clients
cargo nextest run --locked "$@" </dev/null

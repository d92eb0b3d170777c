#!/usr/bin/env bash
# Holds engine and stores against a plain model over a million operations with crashes among them, and
# sled and fjall over 100,000 of them. Prints operations, crashes, the seed and divergences.
#   CVRSD_MODEL_OPERATIONS, CVRSD_MODEL_FILE_OPERATIONS: how many; CVRSD_MODEL_SEED: the run to repeat
set -euo pipefail
cd "$(dirname "$0")/.."

: "${CVRSD_MODEL_OPERATIONS:=1000000}" "${CVRSD_MODEL_FILE_OPERATIONS:=100000}"
export CVRSD_MODEL_OPERATIONS CVRSD_MODEL_FILE_OPERATIONS
# A crash is one of the process, so memory keeps files as well as a disk does.
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
cargo test --locked --test model -- --nocapture --test-threads 1 </dev/null

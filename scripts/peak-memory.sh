#!/usr/bin/env bash
# Measures the daemon's peak memory while it takes and processes a zip just under its bound of
# 150,000,000 bytes: its rows are created, then deleted. Fails at 512 MiB or above.
# Usage: peak-memory.sh [PROFILE]; dch-2021 where left out.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:-dch-2021}
ROWS=${ROWS:-1711000} # whose zip is just under the bound
BYTES_MIN=149000000
BYTES_BOUND=150000000
PEAK_MIB_BOUND=512

cargo build --locked --release
cvrsd=${CARGO_TARGET_DIR:-target}/release/cvrsd
work=$(mktemp -d)
daemon=
end() {
    if [ -n "$daemon" ]; then kill "$daemon" && wait "$daemon" || true; fi
    rm -rf "$work"
}
trap end EXIT

# The address of a listener.
address() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$work/data/listen.json"
}

start_daemon() {
    CVRSD__DATA__DIR=$work/data CVRSD__VALIDATION__PROFILE=$profile CVRSD__LOG__LEVEL=warn \
        CVRSD__GRPC__LISTEN=127.0.0.1:0 \
        CVRSD__REST__LISTEN=127.0.0.1:0 CVRSD__ADMIN__LISTEN=127.0.0.1:0 "$cvrsd" serve &
    daemon=$!
    until [ -s "$work/data/listen.json" ]; do
        kill -0 "$daemon"
        sleep 0.1
    done
    CVRSD_SERVER=http://$(address grpc)
    export CVRSD_SERVER
}

peak_mib() {
    awk '/^VmHWM:/ { printf "%.0f", $2 / 1024 }' "/proc/$daemon/status"
}

line() {
    printf '%-8s %10s %12s %8s %9s\n' "$@"
}

# Runs a job to its end and prints its line; the peak is that since the daemon's start.
measure() {
    local job begin=$EPOCHREALTIME
    job=$("$cvrsd" submit "$1" "$zip")
    "$cvrsd" watch "$job" >"$work/watched" 2>&1 || { cat "$work/watched" >&2; exit 1; }
    local seconds
    seconds=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    "$cvrsd" get "$job" --output json >"$work/job"
    grep -q '"outcome": *"SUCCEEDED"' "$work/job" || { cat "$work/job" >&2; exit 1; }
    line "$1" "$ROWS" "$bytes" "$seconds" "$(peak_mib)"
}

zip=$work/just-under.zip
"$cvrsd" generate --rows "$ROWS" --zip --out "$zip"
bytes=$(stat --format %s "$zip")
if [ "$bytes" -lt "$BYTES_MIN" ] || [ "$bytes" -ge "$BYTES_BOUND" ]; then
    echo "$ROWS rows make a zip of $bytes bytes; set ROWS so that it is just under $BYTES_BOUND" >&2
    exit 1
fi
start_daemon
echo "profile $profile"
line step rows bytes seconds "peak MiB"
line idle - - - "$(peak_mib)"
measure create
measure delete
if [ "$(peak_mib)" -ge "$PEAK_MIB_BOUND" ]; then
    echo "the peak is not below $PEAK_MIB_BOUND MiB" >&2
    exit 1
fi

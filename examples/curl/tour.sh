#!/usr/bin/env bash
# The REST API by curl, against a running daemon: creates the records of a text file, deletes those of
# a zip, reads the errors, repeats a request, gets a refusal. Prints each command before it runs.
# Usage: tour.sh TEXT ZIP. `cvrsd generate` makes such files; with a few rows more in the zip there
# are errors to see. CVRSD_REST is the daemon's address.
set -euo pipefail
if [ $# -ne 2 ]; then
    echo "usage: $0 TEXT ZIP" >&2
    exit 64
fi
text=$1 zip=$2
jobs=${CVRSD_REST:-http://127.0.0.1:8080}/v0/async/cvrs/jobs
key=tour-$(date +%s%N)

# Prints the command, runs it, prints its answer and keeps it.
run() {
    local word line='$'
    for word in "$@"; do
        case $word in *[!A-Za-z0-9/:.@=_-]*) word="'$word'" ;; esac
        line+=" $word"
    done
    printf '\n%s\n' "$line"
    local code=0
    answer=$("$@") || code=$?
    printf '%s\n' "$answer"
    return "$code"
}

# The job that the last answer is about.
job_id() {
    printf '%s\n' "$answer" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p'
}

poll_until_completed() {
    for _ in $(seq 600); do
        run curl -sS --fail-with-body "$jobs/$1"
        if printf '%s\n' "$answer" | grep -q '"status":"COMPLETED"'; then return; fi
        sleep 1
    done
    echo "job $1 did not complete" >&2
    exit 1
}

echo "# Create the records of a text file. The answer names the job; it comes once the job is on disk."
run curl -sSi --fail-with-body -X POST -H 'Content-Type: text/plain' -T "$text" "$jobs"
poll_until_completed "$(job_id)"

echo
echo "# Delete the records of a zip, with a key that makes the request safe to repeat."
run curl -sSi --fail-with-body -X DELETE -H 'Content-Type: application/zip' \
    -H "Idempotency-Key: $key" -T "$zip" "$jobs"
deleted=$(job_id)
poll_until_completed "$deleted"

echo
echo "# Every error of the job, complete."
run curl -sS --fail-with-body "$jobs/$deleted/errors"

echo
echo "# The same request once more gives the same job, not a second one."
run curl -sS --fail-with-body -X DELETE -H 'Content-Type: application/zip' \
    -H "Idempotency-Key: $key" -T "$zip" "$jobs"
test "$(job_id)" = "$deleted"

echo
echo "# A refusal is a problem document with a stable code, and leaves nothing behind."
run curl -sSi -X DELETE -H 'Content-Type: text/plain' -T "$zip" "$jobs"
printf '%s\n' "$answer" | grep -q '"code":"CVRS-MEDIA-TYPE-MISMATCH"'

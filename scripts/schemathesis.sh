#!/usr/bin/env bash
# Holds a running daemon against the OpenAPI document that it serves, with made-up and malformed
# requests. Usage: schemathesis.sh [MAX-EXAMPLES]; for each operation, 20 where left out.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh
examples=${1:-20}

need_clients
# The program that the tests run, so that nothing is built for this alone.
cargo test --locked --no-run --test walls
target=${CARGO_TARGET_DIR:-target}
venv=$target/schemathesis
if [ ! -x "$venv/bin/st" ] || ! "$venv/bin/pip" freeze | grep -qxf scripts/schemathesis.txt; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/schemathesis.txt
fi

work=$(mktemp -d)
trap 'kill "${daemon:-}" 2>/dev/null || :; wait; rm -rf "$work"' EXIT
"$target/debug/cvrsd" generate --rows 50 --out "$work/rows.txt" >"$work/generate.log"
secret=made-up-for-this-run
cat >"$work/cvrsd.toml" <<END
[auth]
mode = "token"

[[auth.client]]
id = "A"
tenant = "T"
secret_sha256 = "$(printf %s "$secret" | sha256sum | cut -d ' ' -f 1)"
scopes = ["UPLOAD", "UPDATE", "DELETE", "EXPORT_REDACTED", "EXPORT_NON_REDACTED",
    "EXPORT_SUMMARIZATION"]
END
CVRSD__DATA__DIR=$work/data \
    CVRSD__GRPC__LISTEN=127.0.0.1:0 \
    CVRSD__REST__LISTEN=127.0.0.1:0 \
    CVRSD__ADMIN__LISTEN=127.0.0.1:0 \
    "$target/debug/cvrsd" serve --config "$work/cvrsd.toml" >"$work/serve.log" 2>&1 &
daemon=$!
for _ in $(seq 300); do
    [ ! -e "$work/data/listen.json" ] || break
    sleep 0.1
done
rest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["rest"])' \
    "$work/data/listen.json")

asked='{"clientID":"A","clientSecret":"'$secret'","scopes":["UPLOAD","UPDATE","DELETE"]}'
token=$(curl --fail --silent --show-error --json "$asked" "http://$rest/v0/token/gen" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')

heading "schemathesis, $examples examples"
CVRSD_ROWS=$work/rows.txt CVRSD_SECRET=$secret PYTHONPATH=scripts SCHEMATHESIS_HOOKS=schemathesis_hooks \
    "$venv/bin/st" --config-file scripts/schemathesis.toml run "http://$rest/openapi.json" \
    --max-examples "$examples" --header "Authorization: $token" --max-failures 50 --request-timeout 20 --workers 2 --no-color

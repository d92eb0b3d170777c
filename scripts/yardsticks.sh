#!/usr/bin/env bash
# Installs what `cargo bench --bench compare` compares with, on Debian 12: PostgreSQL 15 and unzip from
# Debian, DuckDB from PyPI, the Restate server from npm, and the handler that Restate calls, built from
# benches/restate-handler. What is no Debian package goes to target/yardsticks. What is there stays.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

DUCKDB=2.0.1
RESTATE=1.7.12
place=${CARGO_TARGET_DIR:-target}/yardsticks

install_debian() {
    local missing=()
    [ -x /usr/lib/postgresql/15/bin/initdb ] || missing+=(postgresql-15)
    have unzip || missing+=(unzip)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    have npm || missing+=(npm)
    [ ${#missing[@]} -gt 0 ] || return 0
    heading "install ${missing[*]}"
    as_root apt-get update
    # The server that the package would start is not the one that is measured.
    if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            postgresql-common
        echo 'create_main_cluster = false' | as_root tee -a /etc/postgresql-common/createcluster.conf
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

install_duckdb() {
    local python=$place/duckdb/bin/python
    "$python" -c "import duckdb; assert duckdb.__version__ == '$DUCKDB'" 2>/dev/null && return
    heading "install DuckDB $DUCKDB"
    python3 -m venv "$place/duckdb"
    "$place/duckdb/bin/pip" install --quiet --disable-pip-version-check "duckdb==$DUCKDB"
}

install_restate() {
    local package=$place/restate/node_modules/@restatedev/restate-server/package.json
    grep -qs "\"version\": \"$RESTATE\"" "$package" && return
    heading "install the Restate server $RESTATE"
    mkdir -p "$place/restate"
    npm install --prefix "$place/restate" --no-fund --no-audit --no-save \
        "@restatedev/restate-server@$RESTATE"
}

build_handler() {
    heading "build the handler of Restate"
    CARGO_TARGET_DIR=$(realpath -m "$place/restate-handler") cargo build --release --locked \
        --manifest-path benches/restate-handler/Cargo.toml
}

mkdir -p "$place"
install_debian
install_duckdb
install_restate
build_handler
heading "all yardsticks are there"

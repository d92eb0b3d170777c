# What the scripts need beside Rust itself; sourced, not run. Each function installs one tool where
# it is missing and leaves it alone where it is there.

heading() {
    printf '\n== %s\n' "$*"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Whether that part of the published material is where the tests look for it.
have_shared() {
    [ -d "../shared/$1" ] || [ -d "../../shared/$1" ]
}

# Without optimisation a tool builds in a third of the time, and ours have little to do.
install_crate() {
    heading "install $1"
    env -u CARGO_TARGET_DIR \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --locked "$1"
}

need_nextest() {
    have cargo-nextest || install_crate cargo-nextest
}

need_deny() {
    have cargo-deny || install_crate cargo-deny
}

# What the clients of the tests run on, and what makes the certificates of docs/OPERATIONS.md.
need_clients() {
    have curl && have openssl && python3 -c 'import ensurepip, venv' 2>/dev/null && return
    heading "install curl, openssl, python3-venv"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates curl openssl python3 python3-venv
}

# What the tests of a jumping clock put between the daemon and its clock.
need_faketime() {
    have faketime && return
    heading "install faketime"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends faketime
}

# What makes system calls of the daemon fail in tests.
need_strace() {
    have strace && return
    heading "install strace"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends strace
}

need_npx() {
    have npx && return
    heading "install npm"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends npm
}

need_components() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
}

export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

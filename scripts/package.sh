#!/usr/bin/env bash
# Builds the Debian package and tries it: systemd boots from this machine's own Debian in a container whose
# changes are thrown away, and packaging/try.sh installs the package there, uses the service, kills and hangs
# it, installs again, removes and purges. Needs root, for the container alone.
# The package is in target/debian.
#   scripts/package.sh [build]     with `build` it is only built
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

build() {
    heading "build the package"
    have cargo-deb || install_crate cargo-deb
    cargo build --locked --release
    rm -rf target/package-files target/debian
    target/release/cvrsd package-files target/package-files
    cargo deb --no-build --locked
}

need_nspawn() {
    have systemd-nspawn && return
    heading "install systemd-container"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends systemd-container
}

try() {
    heading "install, use, break, upgrade and remove it"
    local work
    work=$(mktemp -d)
    mkdir "$work/root" "$work/package"
    cp target/debian/cvrsd_*.deb packaging/try.sh packaging/try.service "$work/package/"
    # The container must not be the root directory itself.
    as_root mount --bind / "$work/root"
    as_root timeout -k 10 300 systemd-nspawn --quiet --volatile=overlay --directory="$work/root" \
        --bind="$work/package:/mnt" --bind-ro="$work/package/try.service:/etc/systemd/system/try.service" \
        --private-network --register=no --keep-unit --machine=cvrsd --console=pipe --boot \
        systemd.unit=try.service >"$work/package/boot.log" 2>&1 || true
    as_root umount "$work/root"
    cat "$work/package/log" 2>/dev/null || tail -n 60 "$work/package/boot.log"
    local status
    status=$(cat "$work/package/status" 2>/dev/null || echo 1)
    as_root rm -rf "$work"
    return "$status"
}

[ -n "${CVRSD_PACKAGE_BUILT:-}" ] || build
[ "${1:-}" != build ] || exit 0
need_nspawn
try
heading "the package works"

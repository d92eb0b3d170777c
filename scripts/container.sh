#!/usr/bin/env bash
# Builds the image of the Containerfile with podman and tries it: read-only, without capabilities, as the user it
# names. The two bases that the Containerfile names come from registries; so that this needs none, they are put
# together here out of Debian's packages and the Rust that is installed. Needs root, for the bases alone.
#   scripts/container.sh [published]     with `published` the bases come from their registries
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/tools.sh

image=localhost/cvrsd:try
work=$(mktemp -d)
container=
# The data directory inside of it.
data=/data
options=(--isolation chroot --network host)
# As closed as it gets, on machines that give root no more open files and have no control groups of version 2.
running=(--runtime runc --ulimit nofile=16384:16384 --ulimit nproc=4096:4096 --read-only --cap-drop all
    --security-opt no-new-privileges --network none)

clean() {
    [ -z "$container" ] || podman rm --force --time 0 "$container" >/dev/null 2>&1 || :
    podman volume rm --force cvrsd-try >/dev/null 2>&1 || :
    rm -rf "$work"
}
trap clean EXIT

die() {
    printf 'FAILED: %s\n' "$*"
    [ -z "$container" ] || podman logs "$container" 2>&1 | tail -n 20
    exit 1
}

need_podman() {
    have podman && have runc && have debootstrap && return
    heading "install podman, runc, debootstrap"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        podman runc debootstrap
}

# What the build runs in: a compiler, make, and Rust mounted into it.
make_build_base() {
    as_root debootstrap --variant=minbase --include=gcc,make,libc6-dev,ca-certificates bookworm "$work/build" >/dev/null
    as_root tar -C "$work/build" -c . |
        podman import --change 'ENV PATH=/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin' - localhost/cvrsd-try-build >/dev/null
    mkdir -p "${CARGO_HOME:-$HOME/.cargo}/registry"
    options+=(--volume "$(rustc --print sysroot):/rust:ro"
        --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/root/.cargo/registry"
        --build-arg BUILD_BASE=localhost/cvrsd-try-build --build-arg BASE=localhost/cvrsd-try-base)
}

# What the daemon runs in: C libraries, certificates, time zones, and no program.
make_base() {
    local files=$work/base
    mkdir -p "$work/packages" "$files/etc/ssl/certs"
    (cd "$work/packages" && apt-get download libc6 libgcc-s1 tzdata >/dev/null)
    for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$files"; done
    cp "$work/build/etc/ssl/certs/ca-certificates.crt" "$files/etc/ssl/certs/"
    mkdir -m 1777 "$files/tmp"
    printf 'root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n' >"$files/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$files/etc/group"
    rm -rf "$files"/{bin,sbin,usr/bin,usr/sbin,usr/share/{doc,lintian}}
    tar -C "$files" --owner 0 --group 0 -c . | podman import --change 'USER 65532' - localhost/cvrsd-try-base >/dev/null
}

start() {
    container=$(podman run --detach "${running[@]}" \
        --volume cvrsd-try:/data --env CVRSD__DATA__DIR="$data" \
        "$image")
    for _ in $(seq 100); do
        run ready >/dev/null 2>&1 && return
        sleep 0.1
    done
    die "the daemon does not answer"
}

# A command of the program inside of the container.
run() {
    podman exec --env CVRSD__DATA__DIR="$data" "$container" /usr/bin/cvrsd "$@"
}

# Ends the daemon as an orchestrator does.
stop() {
    podman stop --time 60 "$container" >/dev/null
    local code
    code=$(podman inspect --format '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || die "it ended with $code"
    podman rm "$container" >/dev/null
    container=
}

need_podman
if [ -z "${CVRSD_IMAGE_BUILT:-}" ]; then
    if [ "${1:-}" != published ]; then
        heading "bases"
        make_build_base
        make_base
    fi
    heading "build the image"
    podman build "${options[@]}" --tag "$image" .
fi

heading "run it"
start
[ "$(podman exec "$container" /usr/bin/cvrsd --version)" ] || die "no version"
podman top "$container" huser | grep -qx 65532 || die "it does not run as the user that has nothing"
run generate --rows 2000 --out /data/people.txt
run submit create /data/people.txt --watch || die "create"
stop
start
run list | grep -q COMPLETED || die "the job is gone"
run backup --out /data/monday.backup || die "backup"
run submit delete /data/people.txt --watch || die "delete"
run records count | grep -qw 0 || die "records are left"
podman kill --signal KILL "$container" >/dev/null
podman rm --force "$container" >/dev/null
start
[ "$(run list | grep -c COMPLETED)" = 2 ] || die "a job is gone after the kill"
stop
# As docs/OPERATIONS.md has it.
podman run --rm "${running[@]}" --volume cvrsd-try:/data "$image" \
    restore /data/monday.backup --data-dir /data/restored || die "restore"
data=/data/restored
start
run records count | grep -qE '2,?000' || die "the records are not back"
stop
heading "the image works"

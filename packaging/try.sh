#!/usr/bin/env bash
# Runs as root in a container that systemd booted, beside the package; see scripts/package.sh. Writes what it
# did to /mnt/log and how it ended to /mnt/status, and ends the container.
exec >/mnt/log 2>&1 </dev/null
set -uo pipefail
export PAGER=cat SYSTEMD_COLORS=0

work=$(mktemp -d)
cd "$work" || exit 1

say() { printf '\n-- %s\n' "$*"; }
die() {
    printf 'FAILED: %s\n' "$*"
    journalctl -u cvrsd --no-pager -n 40
    exit 1
}
active() { [ "$(systemctl is-active cvrsd)" = active ]; }
until_active() {
    for _ in $(seq 150); do
        active && return
        sleep 0.2
    done
    die "cvrsd did not become active"
}
pid() { systemctl show -p MainPID --value cvrsd; }

# As docs/OPERATIONS.md has them.
manual() (
    set -e
    cd /mnt
    dpkg -i cvrsd_*_amd64.deb
    systemctl status cvrsd --no-pager
    cvrsd check-config --config /etc/cvrsd/cvrsd.toml
    systemctl reload cvrsd
    systemctl restart cvrsd
    journalctl -u cvrsd --no-pager -n 20
)
manual_tls() (
    set -e
    install -o root -g cvrsd -m 0640 server.crt server.key /etc/cvrsd/
)
manual_verify() (
    set -e
    systemctl stop cvrsd
    runuser -u cvrsd -- cvrsd verify --config /etc/cvrsd/cvrsd.toml
    systemctl start cvrsd
    runuser -u cvrsd -- cvrsd audit verify --config /etc/cvrsd/cvrsd.toml
)
manual_restore() (
    set -e
    systemctl stop cvrsd
    install -o cvrsd -g cvrsd -m 0600 monday.backup /var/lib/cvrsd/
    runuser -u cvrsd -- cvrsd restore /var/lib/cvrsd/monday.backup --data-dir /var/lib/cvrsd/restored
    mv /var/lib/cvrsd /var/lib/cvrsd.before
    mv /var/lib/cvrsd.before/restored /var/lib/cvrsd
    cp -a /var/lib/cvrsd.before/audit /var/lib/cvrsd/
    runuser -u cvrsd -- cvrsd verify --config /etc/cvrsd/cvrsd.toml
    systemctl start cvrsd
)
manual_disk() (
    set -e
    install -d -o cvrsd -g cvrsd -m 0700 /srv/cvrsd /srv/cvrsd/data
    mkdir -p /etc/systemd/system/cvrsd.service.d
    printf '[Unit]\nRequiresMountsFor=/srv/cvrsd\n[Service]\nReadWritePaths=/srv/cvrsd\n' \
        > /etc/systemd/system/cvrsd.service.d/data.conf
    systemctl daemon-reload
    systemctl stop cvrsd
    cp -a /var/lib/cvrsd/. /srv/cvrsd/data/
    sed -i 's|^dir = .*|dir = "/srv/cvrsd/data"|' /etc/cvrsd/cvrsd.toml
    systemctl start cvrsd
)

try() {
    # This machine may have been told to start nothing on its own.
    rm -f /usr/sbin/policy-rc.d
    say "install"
    manual || die "the commands of docs/OPERATIONS.md"
    until_active
    systemd-analyze verify cvrsd.service || die "the unit is not clean"
    local exposure
    exposure=$(systemd-analyze security cvrsd.service | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
    echo "exposure $exposure"
    awk -v e="$exposure" 'BEGIN { exit !(e != "" && e < 2) }' || die "the unit is not hardened"
    [ "$(stat -c '%U %a' /var/lib/cvrsd)" = "cvrsd 700" ] || die "others may look at the records"
    [ "$(stat -c '%U %G %a' /etc/cvrsd/cvrsd.toml)" = "root cvrsd 640" ] || die "others may read the clients"
    grep -q 'Max core file size *0 ' "/proc/$(pid)/limits" || die "a core would be written"
    for file in man/man1/cvrsd.1 man/man1/cvrsd-serve.1 bash-completion/completions/cvrsd; do
        ls "/usr/share/$file"* >/dev/null || die "$file is missing"
    done
    bash -n /usr/share/bash-completion/completions/cvrsd || die "completions"

    say "a job"
    cvrsd generate --rows 2000 --out people.txt || die generate
    cvrsd submit create people.txt --watch || die "create"
    [ "$(cvrsd records count | grep -c 2,*000)" -gt 0 ] || die "the records are not there"

    say "reload"
    systemctl reload cvrsd || die reload
    sleep 0.5
    journalctl -u cvrsd --no-pager | grep -q 'read again' || die "it was not reloaded"

    say "kill -9"
    kill -9 "$(pid)"
    sleep 1
    until_active
    cvrsd list || die "the job is gone"
    cvrsd submit delete people.txt --watch || die "delete after the kill"

    say "a hang"
    mkdir -p /etc/systemd/system/cvrsd.service.d
    printf '[Service]\nWatchdogSec=2\n' >/etc/systemd/system/cvrsd.service.d/try.conf
    systemctl daemon-reload
    systemctl restart cvrsd || die restart
    local hung
    hung=$(pid)
    sleep 5
    [ "$(pid)" = "$hung" ] || die "the watchdog ended a daemon that is well"
    kill -STOP "$hung"
    for _ in $(seq 150); do
        [ "$(pid)" != "$hung" ] && active && break
        sleep 0.2
    done
    [ "$(pid)" != "$hung" ] || die "a daemon that hangs was left alone"
    until_active

    say "verify"
    manual_verify || die "the commands of docs/OPERATIONS.md"
    until_active
    systemctl stop cvrsd
    cvrsd verify --config /etc/cvrsd/cvrsd.toml
    [ $? = 64 ] || die "root may verify what is another user's"
    systemctl start cvrsd || die "root left something behind"

    say "restore"
    cvrsd submit create people.txt --watch || die create
    cvrsd backup --out monday.backup || die backup
    cvrsd submit delete people.txt --watch || die delete
    manual_restore || die "the commands of docs/OPERATIONS.md"
    [ "$(cvrsd records count | grep -c 2,*000)" -gt 0 ] || die "the records are not back"
    [ "$(stat -c '%U %a' /var/lib/cvrsd)" = "cvrsd 700" ] || die "others may look at the records"

    say "TLS"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
        -keyout server.key -out server.crt || die openssl
    manual_tls || die "the commands of docs/OPERATIONS.md"
    cp /etc/cvrsd/cvrsd.toml plain.toml
    printf '[tls]\ncertificate = "/etc/cvrsd/server.crt"\nkey = "/etc/cvrsd/server.key"\n' >>/etc/cvrsd/cvrsd.toml
    systemctl restart cvrsd || die "it cannot read its key"
    cvrsd list --server https://localhost:50051 --ca server.crt || die "no TLS"
    cp plain.toml /etc/cvrsd/cvrsd.toml
    systemctl restart cvrsd || die restart

    say "a larger disk, and a full one"
    mkdir /srv/cvrsd
    mount -t tmpfs -o size=64m tmpfs /srv/cvrsd || die mount
    manual_disk || die "the commands of docs/OPERATIONS.md"
    [ -e /srv/cvrsd/data/listen.json ] || die "it is not served from there"
    printf '[Service]\nRestartSec=1\n' >/etc/systemd/system/cvrsd.service.d/full.conf
    systemctl daemon-reload
    systemctl stop cvrsd
    head -c 64M /dev/zero >/srv/cvrsd/filler
    systemctl start cvrsd && die "it started on a full disk"
    sleep 12
    [ "$(systemctl show -p ExecMainStatus --value cvrsd)" = 70 ] || die "exit status"
    [ "$(systemctl show -p NRestarts --value cvrsd)" -gt 5 ] || die "it was given up"
    rm /srv/cvrsd/filler
    until_active
    [ "$(cvrsd records count | grep -c 2,*000)" -gt 0 ] || die "the records are gone"
    systemctl stop cvrsd
    rm /etc/systemd/system/cvrsd.service.d/*.conf
    systemctl daemon-reload
    sed -i 's|^dir = .*|dir = "/var/lib/cvrsd"|' /etc/cvrsd/cvrsd.toml
    systemctl start cvrsd || die start

    say "a configuration that is wrong"
    cp /etc/cvrsd/cvrsd.toml kept.toml
    echo 'nonsense = 1' >>/etc/cvrsd/cvrsd.toml
    systemctl restart cvrsd && die "it started"
    [ "$(systemctl show -p ExecMainStatus --value cvrsd)" = 64 ] || die "exit status"
    [ "$(systemctl show -p NRestarts --value cvrsd)" -le 1 ] || die "it was tried again and again"
    cp kept.toml /etc/cvrsd/cvrsd.toml
    echo '# ours' >>/etc/cvrsd/cvrsd.toml
    systemctl start cvrsd || die start

    say "upgrade"
    chmod 0440 /etc/cvrsd/cvrsd.toml
    dpkg -i /mnt/cvrsd_*_amd64.deb || die "dpkg -i over it"
    until_active
    grep -q '^# ours' /etc/cvrsd/cvrsd.toml || die "a changed configuration was lost"
    cvrsd list || die "the jobs are gone"
    [ "$(stat -c %a /etc/cvrsd/cvrsd.toml)" = 440 ] || die "a changed mode was lost"
    mv /etc/cvrsd/cvrsd.toml kept.toml
    dpkg -i /mnt/cvrsd_*_amd64.deb || die "dpkg -i without the configuration"
    mv kept.toml /etc/cvrsd/cvrsd.toml
    systemctl restart cvrsd || die restart

    say "remove"
    dpkg -r cvrsd || die "dpkg -r"
    active && die "it still runs"
    [ ! -e /var/lib/cvrsd/listen.json ] || die "it was not drained"
    dpkg -P cvrsd || die "dpkg -P"
    [ -d /var/lib/cvrsd/records ] || die "a purge took the records"
    [ ! -e /etc/cvrsd/cvrsd.toml ] || die "a purge left the configuration"
}

(try)
echo $? >/mnt/status
# Nothing of this system is kept.
systemctl exit --force --force || poweroff -ff

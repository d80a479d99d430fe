#!/usr/bin/env bash
# fetch_nginx.sh VENV: nginx for the tests behind a proxy, unpacked into VENV from the system's own
# package archive. Nothing is installed on the machine and no service is started. Where it cannot
# be had the tests say so.
set -euo pipefail
venv=$1
if PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx >/dev/null; then exit 0; fi
without() { echo "nginx: $1; the tests behind a proxy will be skipped" >&2; exit 0; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || without "not found, and there is no apt-get"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! apt-cache show nginx >/dev/null 2>&1 && test "$(id -u)" = 0; then
    apt-get update -qq || without "the package lists cannot be had"
fi
for package in nginx nginx-light nginx-core; do # which of them holds the program differs by release
    apt-get download -qq "$package" 2>/dev/null || continue
    dpkg -x "$package"_*.deb unpacked
    if test -x unpacked/usr/sbin/nginx; then
        unpacked/usr/sbin/nginx -v 2>/dev/null || without "a library it needs is missing"
        cd - >/dev/null
        install -m 755 "$folder/unpacked/usr/sbin/nginx" "$venv/bin/nginx"
        exit 0
    fi
done
without "no package could be fetched"

#!/usr/bin/env bash
# fetch_softhsm.sh VENV: SoftHSM2 for the tests of HSM keys, unpacked into VENV from the system's own
# package archive. Nothing is installed on the machine and no token is made. Where it cannot be had
# the tests say so.
set -euo pipefail
venv=$1
installed() { find /usr/lib /usr/local/lib -name libsofthsm2.so 2>/dev/null | grep -q . && command -v softhsm2-util >/dev/null; }
if installed || test -e "$venv/lib/softhsm/libsofthsm2.so"; then exit 0; fi
without() { echo "softhsm2: $1; the tests of HSM keys will be skipped" >&2; exit 0; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || without "not found, and there is no apt-get"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! apt-cache show softhsm2 >/dev/null 2>&1 && test "$(id -u)" = 0; then
    apt-get update -qq || without "the package lists cannot be had"
fi
apt-get download -qq softhsm2 libsofthsm2 2>/dev/null || without "no package could be fetched"
for package in ./*.deb; do dpkg -x "$package" unpacked; done
library=$(find unpacked -name libsofthsm2.so | head -n 1)
test -n "$library" || without "the package holds no library"
unpacked/usr/bin/softhsm2-util --version >/dev/null 2>&1 || without "a library it needs is missing"
cd - >/dev/null
mkdir -p "$venv/lib/softhsm"
install -m 644 "$folder/$library" "$venv/lib/softhsm/libsofthsm2.so"
install -m 755 "$folder/unpacked/usr/bin/softhsm2-util" "$venv/bin/softhsm2-util"

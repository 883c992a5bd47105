#!/usr/bin/env bash
# Installs what a step needs, from Debian's packages, once. Usage: tools/setup.sh build|test|bench
# Services that come with a package are not started (policy-rc.d denies while we install).
set -euo pipefail
cd "$(dirname "$0")/.."
build="gcc libc6-dev make meson ninja-build pkg-config python3 ca-certificates libssl-dev libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libjansson-dev libexpat1-dev libseccomp-dev"
test="$build python3-jsonschema clang llvm libclang-rt-14-dev libcmocka-dev python3-pytest sip-tester baresip curl iproute2 nftables sqlite3 git procps openssl libre-dev libsofia-sip-ua-dev libosip2-dev systemd binutils"
bench="$test kamailio rtpengine-daemon"
case "${1:-}" in
  build) want=$build ;;
  test) want=$test ;;
  bench) want=$bench ;;
  *) echo "usage: tools/setup.sh build|test|bench" >&2; exit 2 ;;
esac
missing=()
for p in $want; do
  dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: these packages are missing and you are neither root nor have sudo: ${missing[*]}" >&2
    echo "  mend: as root, run: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
policy=/usr/sbin/policy-rc.d made=no
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  made=yes
fi
cleanup() { if [ $made = yes ]; then "${as_root[@]}" rm -f $policy; fi; }
trap cleanup EXIT
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (whole log: $log)" >&2
  exit 1
fi
rm -f "$log"

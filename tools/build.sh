#!/usr/bin/env bash
# Configures (again when a source file came or went) and builds one kind: release (build/), san (clang, ASan + UBSan), tsan (clang,
# ThreadSanitizer), clang (warnings of the other compiler), fuzz (libFuzzer). Usage: tools/build.sh KIND [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-release}
shift || true
opts=()
case "$kind" in
  release) dir=build; opts=(--buildtype=debugoptimized) ;;
  san) dir=build-san; export CC=clang; opts=(--buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false) ;;
  tsan) dir=build-tsan; export CC=clang; opts=(--buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false) ;;
  clang) dir=build-clang; export CC=clang; opts=(--buildtype=debugoptimized) ;;
  fuzz) dir=build-fuzz; export CC=clang; opts=(--buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true -Dtests=false) ;;
  *) echo "build: unknown kind $kind" >&2; exit 2 ;;
esac
# Tests are built only where cmocka is there: ./run alone does not ask for it.
mkdir -p "$dir"
stamp=$(python3 tools/sources.py stamp; cat meson.build meson_options.txt src/gen/meson.build; pkg-config --exists cmocka 2>/dev/null && echo cmocka; dpkg-query -W -f='${db:Status-Abbrev}' libre-dev libsofia-sip-ua-dev libosip2-dev 2>/dev/null || true)
log="$dir/configure.log"
if [ ! -f "$dir/build.ninja" ]; then
  echo "build: configuring $dir"
  meson setup "$dir" "${opts[@]}" >"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
elif [ "$stamp" != "$(cat "$dir/sources.stamp" 2>/dev/null)" ]; then
  meson setup --reconfigure "$dir" "${opts[@]}" >"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
fi
printf '%s' "$stamp" >"$dir/sources.stamp"
if [ -t 1 ]; then
  ninja -C "$dir" "$@"
else
  ninja -C "$dir" "$@" >"$dir/build.log" 2>&1 || { grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Linking|Generating)' "$dir/build.log" | tail -n 60 >&2; exit 1; }
fi

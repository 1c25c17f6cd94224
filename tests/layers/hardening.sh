#!/usr/bin/env bash
# Fails when a binary that ships lacks what the release build promises, or a file of it was compiled without what cannot be seen there.
# usage: hardening.sh BUILD-FOLDER BINARY…
set -euo pipefail

status=0
lacks() {
  printf '%s: %s\n' "$1" "$2"
  status=1
}

(($# > 1)) || {
  printf 'hardening.sh: no binary to look at\n' >&2
  exit 2
}
# A binary shows that it was fortified, and not how far
commands=$1/compile_commands.json
shift
[[ -s $commands ]] || lacks "$commands" 'is missing'
flags=(-D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection)
# No binary has it in force: Debian's own objects that are linked into each are not marked for it
[[ $(uname -m) != x86_64 ]] || flags+=(-fcf-protection)
for flag in "${flags[@]}"; do
  without=$(grep '"command":' "$commands" | grep -cvF -e "$flag" || true)
  ((without == 0)) || lacks "$commands" "$without files are compiled without $flag"
done
for binary in "$@"; do
  headers=$(readelf -hlW "$binary")
  dynamic=$(readelf -dW "$binary")
  symbols=$(readelf -W --dyn-syms "$binary")
  [[ $headers =~ Type:\ +DYN ]] || lacks "$binary" 'is not position independent'
  [[ $headers == *GNU_RELRO* ]] || lacks "$binary" 'has no read-only relocations'
  [[ $dynamic == *BIND_NOW* ]] || lacks "$binary" 'binds lazily'
  [[ ! $headers =~ GNU_STACK.*RWE ]] || lacks "$binary" 'has an executable stack'
  [[ $symbols == *__stack_chk_fail* ]] || lacks "$binary" 'has no stack protector'
  [[ $symbols =~ __[a-z]+_chk ]] || lacks "$binary" 'was built without _FORTIFY_SOURCE'
  # Its allocator serves the shared libraries too only where they find it in the program
  case ${binary##*/} in parley-gateway)
    for name in malloc calloc realloc free posix_memalign aligned_alloc; do
      [[ $symbols =~ FUNC\ +GLOBAL\ +DEFAULT\ +[0-9]+\ +$name($|[[:space:]]) ]] || lacks "$binary" "does not give its $name to the libraries"
    done
    [[ $dynamic != *libstdc++* && $dynamic != *libjemalloc* ]] || lacks "$binary" 'needs a shared allocator' ;;
  esac
  [[ $dynamic != *RPATH* && $dynamic != *RUNPATH* ]] || lacks "$binary" 'looks for libraries in a folder of its own'
done
((status)) || printf 'hardening: %d binaries\n' $#
exit "$status"

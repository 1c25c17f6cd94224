# Sourced by the scripts beside this folder: where things are and how they speak.
# shellcheck shell=bash disable=SC2034 # who sources this uses the names

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
SELF=scripts/$(basename "$0")
# Servers live in sbin, which an ordinary user's PATH lacks on Debian.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# scripts/deps puts a Node.js here where the system's is too old.
[[ ! -x $ROOT/.deps/node/bin/node ]] || PATH=$ROOT/.deps/node/bin:$PATH
export PATH

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "$SELF" "$*" >&2
  exit 1
}

# Runs what changes build/, one at a time: ninja has no lock of its own against a second run. In a shell of its own, whose lock ends with it.
locked() ( # locked COMMAND…
  mkdir -p "$ROOT/build"
  exec {lock}>"$ROOT/build/.lock"
  flock -n "$lock" || { say 'waiting for another build' >&2 && flock "$lock"; }
  "$@" {lock}>&-
)

have() { command -v "$1" >/dev/null 2>&1; }

# Prints the address that this machine takes Debian's SUITE from. Other publishers use the suites'
# names too: apt knows the Origin once it has lists; before that the path has to do.
system_mirror() { # system_mirror SUITE-PATTERN ARCHIVE-PATTERN
  # shellcheck disable=SC2016 # apt's variables, not the shell's
  LC_ALL=C apt-get indextargets --format '$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' -v suite="$1" -v archive="$2" '
      $2 !~ suite || $3 != "main" { next }
      $1 == "Debian" && !origin { origin = $4 }
      $4 ~ archive && !path { path = $4 }
      END { print origin ? origin : path }'
}

# Prints the bin folder of the newest PostgreSQL server (>= 15); Debian keeps servers off the PATH.
postgres_bindir() {
  local dir major best='' best_major=14
  for dir in /usr/lib/postgresql/*/bin; do
    [[ -x $dir/initdb && -x $dir/postgres ]] || continue
    major=${dir#/usr/lib/postgresql/}
    major=${major%%/*}
    [[ $major =~ ^[0-9]+$ ]] && ((major > best_major)) && best=$dir best_major=$major
  done
  if [[ -z $best ]] && have initdb && have postgres; then
    [[ $(postgres --version) =~ ([0-9]+)(\.|$) ]] && ((BASH_REMATCH[1] > 14)) &&
      best=$(dirname "$(readlink -f "$(command -v initdb)")")
  fi
  [[ -n $best ]] && printf '%s\n' "$best"
}

build_targets() { cmake --preset "$1" -DBUILD_TESTING=ON && cmake --build --preset "$1" --target "${@:2}"; }

# build_quietly PRESET TARGET…: in one line, and its output where it fails
build_quietly() {
  local preset=$1 log=build/test/$1.build.log
  shift
  mkdir -p build/test
  say "building ${*#parley-} into build/$preset; the first time takes some minutes ($log)"
  locked build_targets "$preset" "$@" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "the build failed; log: $log"
  }
}

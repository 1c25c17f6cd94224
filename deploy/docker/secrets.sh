#!/usr/bin/env bash
# Makes the secrets of compose.yaml in deploy/docker/secrets, once: what is there stays. The folder is its owner's alone; the files in
# it can be read by all, as the containers, which see the files and not the folder, run as another user.
set -euo pipefail
umask 022
folder=$(dirname "$(readlink -f "$0")")/secrets
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

own=$(mktemp -d ./new.XXXXXX)
trap 'rm -rf "$own"' EXIT

put() { # put NAME TEXT: whole or not at all
  printf '%s\n' "$2" >"$own/$1"
  mv "$own/$1" "$1"
}

make() { # make NAME: of two that run at once, one makes it and both use it
  openssl rand -hex 32 >"$own/$1"
  ln "$own/$1" "$1" 2>/dev/null || [[ -s $1 ]] || {
    echo "secrets/$1 is empty: remove it" >&2
    exit 1
  }
}

for name in token upload nats.password postgres.password; do
  [[ -s $name ]] || make "$name"
done
put nats.auth "authorization { user: parley, password: \"$(<nats.password)\" }"
put postgres.url "postgresql://parley:$(<postgres.password)@postgres:5432/parley"

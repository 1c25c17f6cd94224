#!/usr/bin/env bash
# Makes the secrets of compose.yaml in deploy/docker/secrets, once: what is there stays. The folder is its owner's alone; the files in
# it can be read by all, as the containers, which see the files and not the folder, run as another user.
set -euo pipefail
umask 022
folder=$(dirname "$(readlink -f "$0")")/secrets
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

make() { # make NAME: from standard input, whole or not at all
  [[ ! -s $1 ]] || return 0
  cat >"$1.new"
  mv "$1.new" "$1"
}

for name in token upload nats.password postgres.password; do
  [[ -s $name ]] || openssl rand -hex 32 | make "$name"
done
printf 'authorization { user: parley, password: "%s" }\n' "$(<nats.password)" | make nats.auth
printf 'postgresql://parley:%s@postgres:5432/parley\n' "$(<postgres.password)" | make postgres.url

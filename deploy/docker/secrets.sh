#!/usr/bin/env bash
# Makes the secrets of compose.yaml in deploy/docker/secrets, once: what is there stays. The folder is its owner's alone; the files in
# it can be read by all, as the containers, which see the files and not the folder, run as another user.
set -euo pipefail
umask 022
folder=$(dirname "$(readlink -f "$0")")/secrets
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

keep() { # keep NAME TEXT: whole or not at all
  printf '%s\n' "$2" >"$1.new"
  mv "$1.new" "$1"
}

for name in token upload nats.password postgres.password; do
  [[ -s $name ]] || keep "$name" "$(openssl rand -hex 32)"
done
keep nats.auth "authorization { user: parley, password: \"$(<nats.password)\" }"
keep postgres.url "postgresql://parley:$(<postgres.password)@postgres:5432/parley"

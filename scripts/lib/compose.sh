# Sourced by scripts/deps and scripts/images: Docker Compose. Debian 12 has one that knows neither `up --wait` nor files of settings that
# need not be there; Debian 13's is one program that runs on both.
# shellcheck shell=bash disable=SC2154 # who sources this has the names

COMPOSE_LEAST=2.24
COMPOSE_OWN=$ROOT/.deps/compose/docker-compose

# Prints the words of a command that is new enough: Docker's plugin, or what scripts/deps put into .deps.
compose_command() {
  local command
  for command in "${DOCKER:-docker} compose" docker-compose "$COMPOSE_OWN"; do
    # Words, not one word.
    # shellcheck disable=SC2086
    compose_is_new $command && printf '%s\n' "$command" && return
  done
  return 1
}

compose_is_new() { # compose_is_new COMMAND…
  local version
  version=$("$@" version --short 2>/dev/null) && version=${version#v} || return 1
  [[ $version == dev ]] || printf '%s\n%s\n' "$COMPOSE_LEAST" "$version" | sort -CV
}

compose_is_usable() { compose_command >/dev/null; }

# Debian packages and the program by which each is known, as scripts/deps writes them
compose_packages() {
  printf '%s\n' docker.io:dockerd
  builds_libraries || printf '%s\n' docker-cli:docker docker-buildx:docker-buildx docker-compose:docker-compose
}

make_compose() {
  local status
  begin "unpacking Debian 13's docker-compose" compose
  set +e
  (
    set -e
    prepare_apt
    unpack_binary docker-compose "$COMPOSE_LEAST"
    mkdir -p "${COMPOSE_OWN%/*}"
    cp "$BUILD/docker-compose/root/usr/libexec/docker/cli-plugins/docker-compose" "$COMPOSE_OWN.new"
    mv "$COMPOSE_OWN.new" "$COMPOSE_OWN"
    rm -rf "$APT" "$BUILD"
  ) >>"$step_log" 2>&1 </dev/null
  status=$?
  set -e
  ((status == 0)) || fail "$(advice "see the log's end; another Docker Compose from $COMPOSE_LEAST on does as well")"
  end
}

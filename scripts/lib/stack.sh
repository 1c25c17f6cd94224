# Sourced by up, down and token: what the local stack consists of, and how one part of it is started,
# found and stopped.
# shellcheck shell=bash disable=SC2034 # who sources this uses the names

# The services, in the order in which they are started. A new one is a word here, two ports below and
# a location in deploy/edge/nginx.conf.in.
SERVICES=(gateway history presence upload)

# Every part in the order of its start. Nothing waits for another: services retry NATS and Postgres.
PARTS=(nats-server postgres "${SERVICES[@]}" nginx)
EXTRA_PARTS=(versitygw) # what may run besides; s3.sh

OFFSET=${PARLEY_PORT_OFFSET:-0}
if [[ ! $OFFSET =~ ^(0|[1-9][0-9]{0,4})$ ]] || ((OFFSET > 56000)); then
  die "PARLEY_PORT_OFFSET is '$OFFSET': takes a number from 0 to 56000"
fi

declare -A PORT=([nginx]=8080 [gateway]=8081 [history]=8082 [presence]=8083 [upload]=8084 [nats-server]=8422 [postgres]=8432 [versitygw]=8433)
declare -A ADMIN_PORT=([gateway]=9081 [history]=9082 [presence]=9083 [upload]=9084)
for part in "${!PORT[@]}"; do PORT[$part]=$((PORT[$part] + OFFSET)); done
for part in "${!ADMIN_PORT[@]}"; do ADMIN_PORT[$part]=$((ADMIN_PORT[$part] + OFFSET)); done
unset part

RUN=$(realpath -m -- "${PARLEY_RUN_DIR:-$ROOT/.run}")
RUN_SHOWN=${RUN#"$PWD"/} # as a person would type it
PIDS=$RUN/pids
LOGS=$RUN/log
CONF=$RUN/conf
PG_DATA=$RUN/postgres
PG_SOCKETS=$RUN/postgres-socket # 0700: what lies in it needs no password
PG_PASSFILE=$RUN/postgres.pgpass

is_service() {
  local name
  for name in "${SERVICES[@]}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

check_part() {
  local name
  for name in "${PARTS[@]}" "${EXTRA_PARTS[@]}"; do [[ $name != "$1" ]] || return 0; done
  die "there is no part '$1'; there are: ${PARTS[*]} ${EXTRA_PARTS[*]}"
}

# ---------------------------------------------------------------- processes

# Prints the state of process PID and when it was started, in the kernel's ticks.
state_of() {
  local stat
  # Not $(<…): where the file is missing, that ends a shell with -e whatever stands behind it.
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  local -a field
  read -ra field <<<"${stat##*) }" # the name in parentheses may hold anything
  printf '%s %s\n' "${field[0]}" "${field[19]}"
}

# Sets pid to the process of PART when it runs. The id alone would also match a stranger that was
# given the same number since, hence the time beside it. A zombie, which some containers keep for
# good, does not run.
pid_of() {
  pid=
  local recorded began state
  { read -r recorded <"$PIDS/$1" && read -r began <"$PIDS/.$1.began"; } 2>/dev/null || return 1
  state=$(state_of "$recorded") || return 1
  [[ $state == [!ZX]" $began" ]] || return 1
  pid=$recorded
}

running() {
  local pid
  pid_of "$1"
}

# After its leader was killed, nginx's workers go on and hold the port. Each part leads a session of
# its own, and the kernel gives no process the number of a session that still has members.
end_orphans() { # end_orphans PART, which does not run
  local leader began state
  { read -r leader <"$PIDS/$1" && read -r began <"$PIDS/.$1.began"; } 2>/dev/null || return 0
  if state=$(state_of "$leader") && [[ $state != ?" $began" ]]; then return 0; fi # a stranger's number now
  pkill -KILL -s "$leader" || true
}

# Starts a command as PART: in a session of its own, with no file of ours but its log.
launch() { # launch PART COMMAND…
  local part=$1 log=$LOGS/$1.log fd pid state
  shift
  if [[ -e $log && $(stat -c %s "$log") -gt 20000000 ]]; then mv -f "$log" "$log.1"; fi
  touch "$log"
  LOG_FROM[$part]=$(($(stat -c %s "$log") + 1))
  (
    # The lock, and whatever our caller left open, would be held as long as the service lives.
    for fd in "/proc/$BASHPID/fd"/*; do
      fd=${fd##*/}
      ((fd < 3 || fd == 255)) || eval "exec $fd>&-" # 255 is bash's own and closes by itself
    done
    cd "$RUN" || exit
    # Not a group leader here, so setsid does not fork and the id stays.
    exec setsid "$@"
  ) </dev/null >>"$log" 2>&1 &
  pid=$!
  disown "$pid" # or bash would speak up when it is killed
  state=$(state_of "$pid") || state=
  printf '%s\n' "${state#* }" >"$PIDS/.$part.began"
  printf '%s\n' "$pid" >"$PIDS/$part.new"
  mv -f "$PIDS/$part.new" "$PIDS/$part"
}
declare -A LOG_FROM=()

# Waits until no part of those given runs, at most TENTHS of a second.
wait_gone() { # wait_gone TENTHS PART…
  local tenths=$1 part alive
  shift
  while :; do
    alive=0
    for part in "$@"; do ! running "$part" || alive=1; done
    ((alive)) || return 0
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

signal_part() { # signal_part SIGNAL PART
  local pid
  ! pid_of "$2" || kill -s "$1" "$pid" 2>/dev/null || true
}

# Stops parts together: asks, and after a bound does not ask. Prints those that had to be killed.
stop_parts() { # stop_parts PART…
  local part
  for part in "$@"; do
    # TERM lets Postgres wait for its clients; INT is its orderly stop.
    if [[ $part == postgres ]]; then signal_part INT postgres; else signal_part TERM "$part"; fi
  done
  if ! wait_gone 150 "$@"; then
    for part in "$@"; do
      running "$part" || continue
      say "  $part did not stop within 15 s and is killed"
      # QUIT is Postgres' own emergency stop; it takes its children along.
      if [[ $part == postgres ]]; then signal_part QUIT postgres; else signal_part KILL "$part"; fi
    done
    wait_gone 50 "$@" || for part in "$@"; do signal_part KILL "$part"; done
    wait_gone 20 "$@" || true
  fi
  for part in "$@"; do
    running "$part" && continue
    end_orphans "$part"
    rm -f "$PIDS/$part" "$PIDS/.$part.began"
  done
}

# Services go first and nginx after them: the word that a gateway sends its clients before it stops
# has to pass the edge.
stop_all() {
  stop_parts "${SERVICES[@]}"
  stop_parts nginx
  stop_parts postgres
  stop_parts nats-server
  stop_parts "${EXTRA_PARTS[@]}"
}

# One up or down at a time for each run folder. The descriptor is closed in what is launched.
lock_stack() {
  mkdir -p "$RUN"
  exec {LOCK}>"$RUN/lock"
  flock -n "$LOCK" && return
  say "waiting for another scripts/up or scripts/down"
  flock -w 180 "$LOCK" || die "another scripts/up or scripts/down holds $RUN_SHOWN/lock for 3 minutes"
}
unlock_stack() { exec {LOCK}>&-; }

# The listeners that would be in the way of PARTs: "port holder" a line, from one look at the kernel.
listeners() {
  ss -ltnpH 2>/dev/null | awk '{
    n = split($4, address, ":"); port = address[n]
    host = substr($4, 1, length($4) - length(port) - 1)
    if (host !~ /^(127\.0\.0\.1|0\.0\.0\.0|\*|\[::\])(%.*)?$/) next
    who = "another program"
    if (match($6, /"[^"]+",pid=[0-9]+/)) {
      split(substr($6, RSTART + 1, RLENGTH - 1), holder, /",pid=/)
      who = holder[1] " (pid " holder[2] ")"
    }
    print port, who
  }'
}

check_ports() { # check_ports PART…
  local part port who taken
  local -A holder=()
  taken=$(listeners)
  while read -r port who; do [[ -z $port ]] || holder[$port]=$who; done <<<"$taken"
  for part in "$@"; do
    for port in "${PORT[$part]}" "${ADMIN_PORT[$part]:-}"; do
      [[ -z $port || -z ${holder[$port]:-} ]] ||
        die "port $port, which $part needs, is taken by ${holder[$port]}: stop that, or set PARLEY_PORT_OFFSET=$((OFFSET + 100)) to use other ports"
    done
  done
}

# ---------------------------------------------------------------- secrets

# Makes a file with 32 random bytes in hex that only its owner can read, once.
make_secret() { # make_secret FILE
  [[ ! -s $1 ]] || return 0
  local new
  mkdir -p "$(dirname "$1")"
  new=$(mktemp "$1.XXXXXX")
  openssl rand -hex 32 >"$new"
  # A link that exists already is somebody else's secret, made at the same time: it stands.
  ln -T "$new" "$1" 2>/dev/null || [[ -s $1 ]] || mv -f "$new" "$1"
  rm -f "$new"
}

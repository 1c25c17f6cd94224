# Sourced by up and test: the web workspace's packages.
# shellcheck shell=bash

# Installs what web/package-lock.json says, when that changed since the last time. Speaks to stdout.
install_web_packages() (
  cd "$ROOT/web" || exit
  local out
  # npm notes here what it installed.
  [[ package-lock.json -nt node_modules/.package-lock.json || package.json -nt node_modules/.package-lock.json ]] || return 0
  if out=$(npm ci --no-audit --no-fund 2>&1); then
    printf '%s\n' "$out"
  elif [[ $out == *'Missing: '* ]] && ! grep 'Missing: \|Invalid: ' <<<"$out" | grep -qv '@ from lock file$'; then
    # A registry that is not complete: it lacks builds for other systems, which are optional. npm
    # writes a lock without them, and then refuses it ("Missing: name@ from lock file").
    npm install --no-save --no-audit --no-fund
  else
    printf '%s\n' "$out"
    return 1
  fi
  touch node_modules/.package-lock.json
)

# Sourced by scripts/deps: tools in Go, which the tests and scripts/up --s3 use, built once from Go's module
# proxy into .deps/go. Every module is checked against Go's checksum database.
# shellcheck shell=bash disable=SC2034,SC2154 # scripts/deps uses the names and has the others

GO_LEAST=1.25 # the newest that a go.mod of the tools asks for; an older Go fetches GO_TOOLCHAIN as a module
GO_TOOLCHAIN=go1.25.3
GO_TOOLS=$DEPS/go

# The S3 server
VERSITYGW_VERSION=v1.8.0

versitygw_key() { printf '%s %s\n' "$VERSITYGW_VERSION" "$(uname -m)"; }
versitygw_is_current() {
  [[ -x $GO_TOOLS/bin/versitygw && $(cat "$DEPS/stamp/versitygw" 2>/dev/null) == "$(versitygw_key)" ]]
}

# Prints a go that is new enough: the system's, or one that the system's has fetched.
usable_go() {
  local version arch folder
  version=$(GOTOOLCHAIN=local go env GOVERSION)
  if printf 'go%s\n%s\n' "$GO_LEAST" "$version" | sort -CV; then
    command -v go
    return
  fi
  case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *)
      say "there is no toolchain $GO_TOOLCHAIN for $(uname -m): install Go $GO_LEAST" >&2
      return 1
      ;;
  esac
  # Not from within a module; 1.19, which Debian 12 has, needs to be told to look for modules.
  folder=$(cd / && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "golang.org/toolchain@v0.0.1-$GO_TOOLCHAIN.linux-$arch" |
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [[ -d $folder ]] || return 1
  # Archives of modules keep no modes.
  chmod -R u+w "$folder" && chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/* && printf '%s\n' "$folder/bin/go"
}

# go_install GO LDFLAGS PACKAGE@VERSION: not from within a module, for the system's knows nothing of this checkout
go_install() {
  (cd / && GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 GOBIN=$GO_TOOLS/bin GOROOT='' "$1" install -trimpath -ldflags "-s -w $2" "$3")
}

make_versitygw() {
  begin "building versitygw $VERSITYGW_VERSION, an S3 server for tests" versitygw
  {
    go=$(usable_go) &&
      mkdir -p "$GO_TOOLS/bin" "$DEPS/stamp" &&
      go_install "$go" '' "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION" &&
      versitygw_key >"$DEPS/stamp/versitygw"
  } >>"$step_log" 2>&1 </dev/null || fail "$(advice "see the log's end; GOPROXY names another module proxy")"
  end
}

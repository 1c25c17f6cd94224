# Sourced by scripts/deps: what the chart is tested with, built once from Go's module proxy into .deps/go. Every module is
# checked against Go's checksum database.
# shellcheck shell=bash disable=SC2154 # scripts/deps has the names

HELM_VERSION=v3.19.5
HELM_KUBERNETES=34 # 1.34: what `helm template` takes the cluster for; that of helm's own client libraries
KUBECONFORM_VERSION=v0.7.0
HELM_DOCS_VERSION=v1.14.2
HELM_GO=1.24.0 # what helm's go.mod asks for; an older Go fetches one as a module
HELM_TOOLCHAIN=go1.25.3
HELM_BIN=$DEPS/go/bin

helm_key() { printf '%s %s %s %s %s\n' "$HELM_VERSION" "$HELM_KUBERNETES" "$KUBECONFORM_VERSION" "$HELM_DOCS_VERSION" "$(uname -m)"; }
helm_is_current() {
  [[ -x $HELM_BIN/helm && -x $HELM_BIN/kubeconform && -x $HELM_BIN/helm-docs && $(cat "$DEPS/stamp/helm" 2>/dev/null) == "$(helm_key)" ]]
}

# Prints a go that is new enough. Debian 12's (1.19) does not know how to fetch one by itself.
helm_go() {
  local version arch folder
  version=$(GOTOOLCHAIN=local go env GOVERSION)
  if printf 'go%s\n%s\n' "$HELM_GO" "$version" | sort -CV; then
    command -v go
    return
  fi
  case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *)
      say "there is no toolchain $HELM_TOOLCHAIN for $(uname -m): install Go $HELM_GO" >&2
      return 1
      ;;
  esac
  folder=$(cd / && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "golang.org/toolchain@v0.0.1-$HELM_TOOLCHAIN.linux-$arch" |
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [[ -d $folder ]] || return 1
  # Archives of modules keep no modes.
  chmod -R u+w "$folder" && chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/* && printf '%s\n' "$folder/bin/go"
}

go_install() { # go_install GO LDFLAGS PACKAGE@VERSION, as the system's modules know nothing of this checkout
  (cd / && GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 GOBIN=$HELM_BIN GOROOT='' "$1" install -trimpath -ldflags "-s -w $2" "$3")
}

make_helm() {
  local go pkg=helm.sh/helm/v3 flags
  flags="-X $pkg/internal/version.version=$HELM_VERSION"
  flags+=" -X $pkg/pkg/chartutil.k8sVersionMajor=1 -X $pkg/pkg/chartutil.k8sVersionMinor=$HELM_KUBERNETES"
  flags+=" -X $pkg/pkg/lint/rules.k8sVersionMajor=1 -X $pkg/pkg/lint/rules.k8sVersionMinor=$HELM_KUBERNETES"
  begin "building helm $HELM_VERSION, kubeconform and helm-docs, for tests of the chart" helm
  {
    go=$(helm_go) &&
      mkdir -p "$HELM_BIN" "$DEPS/stamp" &&
      go_install "$go" "$flags" "$pkg/cmd/helm@$HELM_VERSION" &&
      go_install "$go" '' "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION" &&
      go_install "$go" '' "github.com/norwoodj/helm-docs/cmd/helm-docs@$HELM_DOCS_VERSION" &&
      helm_key >"$DEPS/stamp/helm"
  } >>"$step_log" 2>&1 </dev/null || fail "$(advice "see the log's end; GOPROXY names another module proxy")"
  end
}

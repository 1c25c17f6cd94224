# Sourced by scripts/deps after gotools.sh: what the chart is tested with, built once from Go's module proxy into .deps/go. Every module is
# checked against Go's checksum database.
# shellcheck shell=bash disable=SC2154 # scripts/deps has the names

HELM_VERSION=v3.19.5
HELM_KUBERNETES=34 # 1.34: what `helm template` takes the cluster for; that of helm's own client libraries
KUBECONFORM_VERSION=v0.7.0
HELM_DOCS_VERSION=v1.14.2
HELM_BIN=$GO_TOOLS/bin

helm_key() { printf '%s %s %s %s %s\n' "$HELM_VERSION" "$HELM_KUBERNETES" "$KUBECONFORM_VERSION" "$HELM_DOCS_VERSION" "$(uname -m)"; }
helm_is_current() {
  [[ -x $HELM_BIN/helm && -x $HELM_BIN/kubeconform && -x $HELM_BIN/helm-docs && $(cat "$DEPS/stamp/helm" 2>/dev/null) == "$(helm_key)" ]]
}

make_helm() {
  local go pkg=helm.sh/helm/v3 flags
  flags="-X $pkg/internal/version.version=$HELM_VERSION"
  flags+=" -X $pkg/pkg/chartutil.k8sVersionMajor=1 -X $pkg/pkg/chartutil.k8sVersionMinor=$HELM_KUBERNETES"
  flags+=" -X $pkg/pkg/lint/rules.k8sVersionMajor=1 -X $pkg/pkg/lint/rules.k8sVersionMinor=$HELM_KUBERNETES"
  begin "building helm $HELM_VERSION, kubeconform and helm-docs, for tests of the chart" helm
  {
    go=$(usable_go) &&
      mkdir -p "$HELM_BIN" "$DEPS/stamp" &&
      go_install "$go" "$flags" "$pkg/cmd/helm@$HELM_VERSION" &&
      go_install "$go" '' "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION" &&
      go_install "$go" '' "github.com/norwoodj/helm-docs/cmd/helm-docs@$HELM_DOCS_VERSION" &&
      helm_key >"$DEPS/stamp/helm"
  } >>"$step_log" 2>&1 </dev/null || fail "$(advice "see the log's end; GOPROXY names another module proxy")"
  end
}

"""The chart over a matrix of values: lint, schemas, golden files, policy, documentation."""

import re
import shutil
import subprocess

import pytest
import yaml
from support_chart import CHART, GOLDEN, MATRIX, ROOT, TOOLS, helm, pod_specs, render, text

CASES = pytest.mark.parametrize("case", MATRIX)


@pytest.mark.parametrize("case", ["trial", "production", "minimal"])
def test_lint(case):
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *MATRIX[case])


@CASES
def test_objects_are_what_the_api_server_takes(case, tmp_path):
    file = tmp_path / "all.yaml"
    file.write_text(text(*map(str, MATRIX[case])))
    schemas = ROOT / "tests/chart/schemas/{{.ResourceKind}}{{.KindSuffix}}.json"
    result = subprocess.run([TOOLS / "kubeconform", "-strict", "-summary", "-schema-location", schemas, file], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    assert re.search(r"Valid: [1-9]\d*, Invalid: 0, Errors: 0, Skipped: 0", result.stdout), result.stdout


def test_a_wrong_object_is_found(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(text(*map(str, MATRIX["minimal"])).replace("terminationGracePeriodSeconds:", "terminationGracePeriod:"))
    schemas = ROOT / "tests/chart/schemas/{{.ResourceKind}}{{.KindSuffix}}.json"
    result = subprocess.run([TOOLS / "kubeconform", "-strict", "-schema-location", schemas, file], text=True, stdout=subprocess.PIPE)
    assert result.returncode != 0 and "terminationGracePeriod" in result.stdout


@pytest.mark.parametrize("case", ["trial", "production"])
def test_golden(case):
    """What was rendered before. After a change that is meant: python tests/chart/golden.py"""
    assert text(*map(str, MATRIX[case])) == (GOLDEN / f"{case}.yaml").read_text(), "differs: python tests/chart/golden.py writes it anew"


# --- policy ---


@CASES
def test_pods_keep_to_the_restricted_profile(case):
    objects = render(*MATRIX[case])
    seen = 0
    for name, spec in pod_specs(objects):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0, name
        assert context["seccompProfile"]["type"] == "RuntimeDefault", name
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert all(set(v) - {"name"} <= allowed for v in spec.get("volumes", [])), name
        for c in spec["containers"] + spec.get("initContainers", []):
            own = c["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            seen += 1
    assert seen >= 5


@CASES
def test_every_container_has_limits_and_a_version(case):
    for name, spec in pod_specs(render(*MATRIX[case])):
        for c in spec["containers"] + spec.get("initContainers", []):
            for kind in ("requests", "limits"):
                assert set(c["resources"][kind]) >= {"cpu", "memory"}, name
            tag = c["image"].rsplit("/", 1)[-1].partition(":")[2]
            assert tag and tag != "latest", (name, c["image"])


@CASES
def test_every_pod_may_pull_from_a_private_registry(case):
    for names in (["one"], ["one", "another"]):
        specs = list(pod_specs(render(*MATRIX[case], "--set", f"global.imagePullSecrets={{{','.join(names)}}}")))
        assert len(specs) >= 6
        for name, spec in specs:
            assert spec.get("imagePullSecrets") == [{"name": n} for n in names], name
    for name, spec in pod_specs(render(*MATRIX[case], "--set", "global.imagePullSecrets=null")):
        assert "imagePullSecrets" not in spec, name


@CASES
def test_only_the_job_that_makes_secrets_has_a_token(case):
    objects = render(*MATRIX[case])
    for name, spec in pod_specs(objects):
        assert spec["automountServiceAccountToken"] is (name == "Job/parley-make-secrets"), name
        assert spec["enableServiceLinks"] is False, name
    assert all(o["automountServiceAccountToken"] is False for (kind, _), o in objects.items() if kind == "ServiceAccount")


@CASES
def test_no_secret_stands_in_what_is_rendered(case):
    objects = render(*MATRIX[case])
    assert not [name for kind, name in objects if kind == "Secret"]
    for name, spec in pod_specs(objects):
        for c in spec["containers"] + spec.get("initContainers", []):
            for e in c.get("env", []):
                assert not (re.search(r"PASSWORD$|SECRET$|_PG_URL$", e["name"]) and "value" in e), (name, e["name"])


@CASES
def test_long_running_containers_have_three_probes(case):
    for (kind, name), o in render(*MATRIX[case]).items():
        if kind in ("Deployment", "StatefulSet"):
            for c in o["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(c), name


@CASES
def test_selectors_select_the_pods_they_are_for(case):
    objects = render(*MATRIX[case])
    pods = [o["spec"]["template"]["metadata"]["labels"] for (kind, _), o in objects.items() if kind in ("Deployment", "StatefulSet", "Job")]
    pods += [o["metadata"]["labels"] for (kind, _), o in objects.items() if kind == "Pod"]
    for (kind, name), o in objects.items():
        selector = {"Service": lambda o: o["spec"]["selector"], "PodDisruptionBudget": lambda o: o["spec"]["selector"]["matchLabels"]}.get(kind)
        if selector:
            assert any(selector(o).items() <= labels.items() for labels in pods), name


@CASES
def test_services_have_an_address_of_each_family(case):
    for flags, policy in (([], "PreferDualStack"), (["--set", "global.ipFamilyPolicy=SingleStack"], "SingleStack")):
        services = [o for (kind, _), o in render(*MATRIX[case], *flags).items() if kind == "Service"]
        assert len(services) >= 5 and {o["spec"]["ipFamilyPolicy"] for o in services} == {policy}


@CASES
def test_pods_listen_on_both_families(case):
    settings = {e["name"]: e["value"] for name, spec in pod_specs(render(*MATRIX[case])) for e in spec["containers"][0].get("env", []) if e["name"].endswith("_LISTEN")}
    assert set(settings) >= {"PARLEY_LISTEN", "PARLEY_ADMIN_LISTEN", "PARLEY_EDGE_LISTEN"}
    assert all(value.startswith(":") for value in settings.values()), settings


# --- documentation ---


@pytest.mark.parametrize("chart", ["", "charts/nats/", "charts/postgresql/"])
def test_the_schema_of_values_is_complete(chart):
    schema = yaml.safe_load((CHART / chart / "values.schema.json").read_text())

    def check(values, node, path):
        properties = node.get("properties")
        if properties is None or node.get("additionalProperties") is not False:
            return
        assert set(values) | {"global", "ephemeral-storage"} >= set(properties), (path, set(properties) - set(values))
        assert set(properties) >= set(values), (path, set(values) - set(properties))
        for key, value in values.items():
            if isinstance(value, dict):
                check(value, properties[key], f"{path}.{key}")
    check(yaml.safe_load((CHART / chart / "values.yaml").read_text()), schema, "")


def test_readme_is_what_the_values_say(tmp_path):
    shutil.copytree(CHART, tmp_path / "chart")
    subprocess.run([TOOLS / "helm-docs", "--chart-search-root", tmp_path / "chart", "--log-level", "error", "--sort-values-order", "file"], check=True)
    for chart in ("", "charts/nats", "charts/postgresql"):
        assert (tmp_path / "chart" / chart / "README.md").read_text() == (CHART / chart / "README.md").read_text(), "run scripts/chart-docs"


def test_alerts_and_dashboard_are_those_of_the_project():
    there = ROOT / "deploy/observability"
    for name in ("alerts.yaml", "dashboard.json"):
        assert not there.is_dir() or (CHART / "files" / name).read_text() == (there / name).read_text(), "run scripts/chart-docs"
    objects = render(*MATRIX["scaled"])
    rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
    assert objects["PrometheusRule", "parley-prometheusrule"]["spec"] == rules and rules["groups"][0]["rules"]
    assert objects["ConfigMap", "parley-dashboard"]["data"]["parley.json"] == (CHART / "files/dashboard.json").read_text()


def test_settings_that_the_chart_gives_exist():
    known = set(re.findall(r"^\| `(PARLEY_\w+)`", (ROOT / "docs/configuration.md").read_text(), re.M))
    edge = set(re.findall(r"PARLEY_EDGE_\w+", (ROOT / "deploy/edge/nginx.conf.in").read_text()))
    assert {"PARLEY_NATS_URL", "PARLEY_PROVISION"} <= known
    for case, flags in MATRIX.items():
        for name, spec in pod_specs(render(*flags)):
            if name.endswith(("-test", "-make-secrets")):
                continue
            for c in spec["containers"] + spec.get("initContainers", []):
                given = {e["name"] for e in c.get("env", []) if e["name"].startswith("PARLEY_")}
                assert {g if g in known else g.removesuffix("_FILE") for g in given} <= known | edge, (case, name, given - known - edge)

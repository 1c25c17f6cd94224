"""What the chart decides."""

import base64
import importlib.util
import json
import math
import re
import shutil

import pytest
import yaml
from support_chart import CHART, MATRIX, ROOT, SERVICES, Refused, container, env, helm, render, text, values


def template(objects, name):
    return objects["Deployment", f"parley-{name}"]["spec"]["template"]


# --- stopping ---


@pytest.mark.parametrize("drain_ms", [0, 5000, 30001, 600000])
@pytest.mark.parametrize("pre_stop", [0, 5, 30])
def test_the_grace_is_longer_than_what_a_stop_takes(drain_ms, pre_stop):
    objects = render(*values(gateway__config__PARLEY_DRAIN_MS=str(drain_ms), gateway__preStopSeconds=pre_stop))
    assert template(objects, "gateway")["spec"]["terminationGracePeriodSeconds"] >= pre_stop + math.ceil(drain_ms / 1000) + 10
    # Kubernetes before 1.33 refuses a sleep of 0
    assert container(objects, "gateway").get("lifecycle") == ({"preStop": {"sleep": {"seconds": pre_stop}}} if pre_stop else None)


def test_a_drain_for_all_services_counts_and_one_of_a_service_counts_more():
    objects = render(*values(config={"PARLEY_DRAIN_MS": "40000"}, history__config={"PARLEY_DRAIN_MS": "1000"}))
    assert template(objects, "gateway")["spec"]["terminationGracePeriodSeconds"] == 60
    assert template(objects, "history")["spec"]["terminationGracePeriodSeconds"] == 21
    assert env(objects, "history")["PARLEY_DRAIN_MS"] == "1000"


def test_an_upgrade_replaces_one_ready_pod_at_a_time():
    for name in ("gateway", "history", "presence", "web"):
        assert render(*values())["Deployment", f"parley-{name}"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


# --- secrets ---


def test_each_service_is_given_its_own_secrets_alone():
    objects = render(*values())
    given = {name: {i["key"] for v in template(objects, name)["spec"]["volumes"] if v["name"] == "secrets" for i in v["secret"]["items"]} for name in SERVICES}
    assert given == {
        "gateway": {"token-secret", "upload-secret", "nats-gateway-password"},
        "history": {"token-secret", "upload-secret", "nats-history-password", "pg-url"},
        "presence": {"token-secret", "nats-presence-password"},
        "upload": {"token-secret", "upload-secret", "nats-upload-password"},
        "web": set(),
    }
    setup = objects["Job", "parley-setup"]["spec"]["template"]["spec"]["volumes"][0]["secret"]["items"]
    assert {i["key"] for i in setup} == {"pg-url", "nats-setup-password"}


def test_secrets_are_files_that_settings_name():
    for name in SERVICES[:-1]:
        for setting, value in env(render(*values()), name).items():
            if setting.endswith("_FILE"):
                assert value.startswith("/run/secrets/parley/")


def test_another_version_of_the_secret_rolls_what_uses_it():
    before, after = render(*values()), render(*values(secrets__version="2"))
    for name in SERVICES:
        changed = template(before, name)["metadata"].get("annotations") != template(after, name)["metadata"].get("annotations")
        assert changed == (name != "web"), name


def test_random_secrets_are_made_only_if_asked_and_by_an_account_that_may_nothing_else():
    assert not [n for _, n in render(*values()) if "make-secrets" in n]
    rules = render(*MATRIX["trial"])["Role", "parley-make-secrets"]["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
                     {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["parley-parley-secrets"], "verbs": ["get", "patch"]}]


@pytest.fixture
def check():
    """What runs in the image `check`"""
    spec = importlib.util.spec_from_file_location("check", ROOT / "deploy/k8s/check/check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("host, url", [("10.96.0.1", "https://10.96.0.1:443"), ("fd00:10:96::1", "https://[fd00:10:96::1]:443")])
def test_the_job_that_makes_secrets_finds_the_api_server(check, monkeypatch, host, url):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert check.api_server() == url


def test_the_chart_knows_what_the_job_made(tmp_path, check):
    """The first upgrade rolls nothing then: both come to one hash of the same Secret, without the password between servers"""
    data = {**{f"key-{i}": base64.b64encode(bytes(range(i, i + 40))).decode() for i in range(0, 216, 5)}, "nats-routes-password": "cA=="}
    helpers = (CHART / "templates/_helpers.tpl").read_text()
    hashed = re.search(r"\(toJson \(omit \$data .*?\) \| sha256sum\)", helpers).group().replace("$data", ".Values.data")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: one, version: 0.1.0}")
    (tmp_path / "values.yaml").write_text(json.dumps({"data": data}))
    (tmp_path / "templates/one.yaml").write_text(f"made: {{{{ {hashed} }}}}\n")
    assert yaml.safe_load(helm("template", "one", tmp_path))["made"] == check.made(data) == check.made({**data, "nats-routes-password": "eA=="})
    assert check.made(data) != check.made({**data, "key-0": "eA=="})


# --- setup ---


def test_schema_and_streams_are_made_by_a_hook_before_the_services():
    job = render(*values())["Job", "parley-setup"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert [c["args"] for c in spec["initContainers"] + spec["containers"]] == [["--migrate"], ["--provision"]]
    assert job["spec"]["backoffLimit"] > 0
    for name in ("history", "upload"):
        assert env(render(*values()), name)["PARLEY_PROVISION"] == "off"
        assert env(render(*values(setup__enabled=False)), name)["PARLEY_PROVISION"] == "on"


def test_with_servers_of_its_own_the_first_setup_is_a_job_among_the_rest():
    """A hook would wait for servers that are installed behind it"""
    job = render(*MATRIX["trial"])["Job", "parley-setup-1"]
    assert "annotations" not in job["metadata"]


@pytest.mark.parametrize("ready, hook", [(None, False), (0, False), (1, False), (2, True), (3, True)])
def test_setup_waits_for_no_servers_that_the_same_upgrade_may_mend(ready, hook, tmp_path):
    """A wrong image at the first installation. Without a cluster nothing can be looked up: what would be found is put in"""
    shutil.copytree(CHART, tmp_path / "chart")
    file = tmp_path / "chart/templates/_helpers.tpl"
    live = {} if ready is None else {"spec": {"replicas": 3}, "status": {"readyReplicas": ready} if ready else {}}
    found, n = re.subn(r'lookup "apps/v1" "StatefulSet" .*?\$sub\)', lambda _: f"fromJson `{json.dumps(live)}`", file.read_text())
    assert n == 1
    file.write_text(found)
    objects = [o for o in yaml.safe_load_all(helm("template", "parley", tmp_path / "chart", *MATRIX["trial"])) if o]
    job = next(o for o in objects if o["kind"] == "Job" and "setup" in o["metadata"]["name"])
    assert (job["metadata"]["name"] == "parley-setup") == ("annotations" in job["metadata"]) == hook


def test_setup_and_history_agree_on_the_streams():
    objects = render(*values(shards=7, bus__replicas=3, bus__dedupeWindowMs=90000, bus__logMaxBytes=123456789012, bus__logKeepHours=24,
                             config={"PARLEY_SYSTEM_KEEP_DAYS": "3"}))
    setup = {e["name"]: e.get("value") for e in objects["Job", "parley-setup"]["spec"]["template"]["spec"]["containers"][0]["env"]}
    history = env(objects, "history")
    for name in ("PARLEY_SHARDS", "PARLEY_STREAM_REPLICAS", "PARLEY_DEDUPE_WINDOW_MS", "PARLEY_LOG_MAX_BYTES", "PARLEY_SYSTEM_KEEP_DAYS"):
        assert setup[name] == history[name], name
    assert setup["PARLEY_LOG_MAX_BYTES"] == "123456789012"
    assert env(objects, "gateway")["PARLEY_SHARDS"] == "7"


def test_other_users_or_rights_of_nats_reach_its_servers():
    """They read accounts.conf when they begin"""
    def hashed(*flags):
        return render(*MATRIX["trial"], *flags)["StatefulSet", "parley-nats"]["spec"]["template"]["metadata"]["annotations"]["parley/config"]
    assert len({hashed(), hashed("--set", "shards=2"), hashed("--set-json", 'bus.accounts.extraUsers="{ user: one }"'), hashed("--set", "nats.maxPayload=2MB")}) == 4
    assert hashed() == hashed("--set", "nats.resources.limits.cpu=3")


# --- scaling, volumes, classes ---


def test_an_autoscaler_owns_the_number_of_pods():
    objects = render(*MATRIX["scaled"])
    assert "replicas" not in objects["Deployment", "parley-gateway"]["spec"]
    # by which an upgrade knows that Helm never had the field: where it had, leaving it out would make it 1 (tried by scripts/test-helm)
    assert objects["Deployment", "parley-gateway"]["metadata"]["annotations"]["parley/counted-by"] == "autoscaler"
    assert "annotations" not in render(*values())["Deployment", "parley-gateway"]["metadata"]
    metrics = objects["HorizontalPodAutoscaler", "parley-gateway"]["spec"]["metrics"]
    assert [m["type"] for m in metrics] == ["Pods", "Resource"]
    assert metrics[0]["pods"]["metric"]["name"] == "parley_gateway_connections"
    assert objects["Deployment", "parley-gateway"]["spec"]["template"]["spec"]["priorityClassName"] == "chat-parley-core"


@pytest.mark.parametrize("pods, counted_by, then, annotated", [
    (7, "autoscaler", None, True),   # the autoscaler's own
    (0, "autoscaler", 3, False),     # stopped by hand, as for a restore: no autoscaler begins it anew
    (0, "", 3, False),
    (7, "", 7, False),               # switched on later: taking the field out would make it one
    (2, "", 3, False),
    (40, "", 20, False),
])
def test_an_upgrade_finds_pods_that_an_autoscaler_counts(pods, counted_by, then, annotated, tmp_path):
    """Without a cluster nothing can be looked up: what would be found is put in"""
    shutil.copytree(CHART, tmp_path / "chart")
    file = tmp_path / "chart/templates/_deployment.tpl"
    live = json.dumps({"metadata": {"annotations": {"parley/counted-by": counted_by}}, "spec": {"replicas": pods}})
    found, n = re.subn(r'lookup "apps/v1" "Deployment" .*?\.name\)(?= -}})', lambda _: f"fromJson `{live}`", file.read_text())
    assert n == 1
    file.write_text(found)
    flags = values(gateway__autoscaling__enabled=True, gateway__autoscaling__minReplicas=3)
    objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(helm("template", "parley", tmp_path / "chart", *flags)) if o}
    gateway = objects["Deployment", "parley-gateway"]
    assert gateway["spec"].get("replicas") == then
    # by which the upgrade after it knows whether Helm had the field
    assert ("parley/counted-by" in gateway["metadata"].get("annotations", {})) == annotated


def test_two_releases_of_one_name_make_two_classes():
    both = [{name for kind, name in render(*MATRIX["scaled"], "--set", "priorityClasses.create=true", "--namespace", namespace) if kind == "PriorityClass"} for namespace in ("live", "staging")]
    assert both == [{f"{namespace}-parley-{part}" for part in ("core", "side")} for namespace in ("live", "staging")]


def test_classes_are_given_to_whom_the_values_say():
    objects = render(*MATRIX["trial"], "--set", "priorityClasses.create=true")
    given = {name: o["spec"]["template"]["spec"].get("priorityClassName") for (kind, name), o in objects.items() if kind in ("Deployment", "StatefulSet")}
    assert given == {**dict.fromkeys(("parley-gateway", "parley-history"), "chat-parley-core"), "parley-nats": None, "parley-postgresql": None,
                     **dict.fromkeys(("parley-presence", "parley-upload", "parley-web"), "chat-parley-side")}


def test_the_metric_of_the_autoscaler_is_one_of_the_gateway():
    assert '"parley_gateway_connections"' in (CHART.parents[2] / "services/gateway/stats.h").read_text()


def test_a_volume_belongs_to_one_pod():
    deployment = render(*values(upload__replicas=5))["Deployment", "parley-upload"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    deployment = render(*MATRIX["s3"])["Deployment", "parley-upload"]["spec"]
    assert deployment["strategy"]["type"] == "RollingUpdate"


def test_what_holds_data_outlives_the_release():
    objects = render(*MATRIX["trial"])
    assert objects["PersistentVolumeClaim", "parley-upload"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for name in ("parley-nats", "parley-postgresql"):
        assert objects["StatefulSet", name]["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


# --- ways in ---


def test_ingress_and_route_lead_each_path_to_its_owner():
    objects = render(*MATRIX["production"])
    paths = objects["Ingress", "parley"]["spec"]["rules"][0]["http"]["paths"]
    owners = {"/ws": "gateway", "/api/uploads": "upload", "/api/files": "upload", "/": "web"}
    assert {p["path"]: p["backend"]["service"]["name"] for p in paths} == {k: f"parley-{v}" for k, v in owners.items()}
    assert int(objects["Ingress", "parley"]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 3600
    rules = render(*MATRIX["gateway-api"])["HTTPRoute", "parley"]["spec"]["rules"]
    assert {r["matches"][0]["path"]["value"]: r["backendRefs"][0]["name"] for r in rules} == {k: f"parley-{v}" for k, v in owners.items()}
    assert next(r for r in rules if r["matches"][0]["path"]["value"] == "/ws")["timeouts"] == {"request": "0s"}


def test_own_annotations_of_the_ingress_go_before_the_charts():
    own = {"nginx.ingress.kubernetes.io/proxy-body-size": "20m", "cert-manager.io/cluster-issuer": "chat"}
    flags = [*MATRIX["production"], "--set-json", f"ingress.annotations={json.dumps(own)}"]
    found = render(*flags)["Ingress", "parley"]["metadata"]["annotations"]
    assert own.items() <= found.items() and found["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600" and len(found) == 5
    assert text(*map(str, flags)).count("proxy-body-size") == 1, "twice is refused, and not seen by who reads YAML here"


def test_ports_of_ways_in_are_ports_of_services():
    objects = render(*MATRIX["production"])
    for p in objects["Ingress", "parley"]["spec"]["rules"][0]["http"]["paths"]:
        service = objects["Service", p["backend"]["service"]["name"]]
        assert p["backend"]["service"]["port"]["number"] in [port["port"] for port in service["spec"]["ports"]]


# --- what may speak to whom ---


def egress(objects, name):
    return {port["port"] for rule in objects["NetworkPolicy", f"parley-{name}"]["spec"].get("egress") or [] for port in rule["ports"]}


def test_each_service_reaches_what_it_needs():
    objects = render(*values())
    deny = objects["NetworkPolicy", "parley-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in deny and egress(objects, "deny") == {53, 5353}
    assert deny["podSelector"]["matchLabels"] == {"app.kubernetes.io/instance": "parley"}
    assert {name: egress(objects, name) for name in SERVICES} == {
        "gateway": {4222}, "history": {4222, 5432}, "presence": {4222}, "upload": {4222}, "web": {8080, 8081, 8082, 8083, 8084}}
    assert egress(render(*MATRIX["s3"]), "upload") == {4222, 443}
    ingress = objects["NetworkPolicy", "parley-history"]["spec"]["ingress"]
    assert next(r for r in ingress if r["ports"] == [{"port": 8082}])["from"], "history is for the edge alone"


def test_policies_let_through_the_ports_that_the_addresses_have():
    objects = render(*MATRIX["s3"], "--set", r"bus.url=tls://a:4223\,nats://b\,c:4224,auth.jwksUrl=http://idp.auth:8080/keys?x=1,objectStore.endpoint=http://minio.minio:9000,"
                     "networkPolicy.databasePorts={6432}")
    nats = {4222, 4223, 4224}
    assert {name: egress(objects, name) for name in ("gateway", "history", "presence", "upload", "setup-hook")} == {
        "gateway": nats | {8080}, "history": nats | {8080, 6432}, "presence": nats | {8080}, "upload": nats | {8080, 9000}, "setup-hook": nats | {6432}}
    # what was named counts alone: a Service may lead to another port
    objects = render(*MATRIX["s3"], "--set", "objectStore.endpoint=http://minio.minio,networkPolicy.httpsPorts={9000},networkPolicy.natsPorts={14222}")
    assert egress(objects, "upload") == {14222, 9000}


def test_the_job_that_makes_secrets_reaches_the_api_server():
    """A network that keeps to policies sees where that listens, and not the Service's 443: 6443 mostly, 8443 in minikube, 16443 in microk8s"""
    assert egress(render(*MATRIX["trial"]), "make-secrets-hook") == {443, 6443, 8443, 16443}
    assert egress(render(*MATRIX["trial"], "--set", "networkPolicy.apiServerPorts={7443}"), "make-secrets-hook") == {7443}


def test_one_switch_for_all_policies():
    assert {n for k, n in render(*MATRIX["trial"]) if k == "NetworkPolicy"} > {"parley-deny", "parley-nats", "parley-postgresql"}
    assert not [n for k, n in render(*MATRIX["trial"], "--set", "global.networkPolicy.enabled=false") if k == "NetworkPolicy"]


def test_servers_of_nats_ask_for_names_by_their_own_policy():
    policy = render(*MATRIX["trial"])["NetworkPolicy", "parley-nats"]
    assert {(53, "UDP"), (53, "TCP")} <= {(p["port"], p.get("protocol")) for rule in policy["spec"]["egress"] for p in rule["ports"]}


def test_jobs_before_an_upgrade_have_policies_of_the_same_version():
    """Under those of the version before they could not reach what has moved"""
    objects = render(*values(secrets__generate=True))
    for name in ("setup", "make-secrets"):
        about, job = (objects[key]["metadata"]["annotations"] for key in (("NetworkPolicy", f"parley-{name}-hook"), ("Job", f"parley-{name}")))
        assert about["helm.sh/hook"] == job["helm.sh/hook"] and int(about["helm.sh/hook-weight"]) < int(job["helm.sh/hook-weight"])
    # Helm that gives up waiting removes that of the hook; the Job goes on, under the one that is the release's
    assert objects["NetworkPolicy", "parley-setup"]["spec"] == objects["NetworkPolicy", "parley-setup-hook"]["spec"]
    assert "annotations" not in objects["NetworkPolicy", "parley-setup"]["metadata"]
    # with servers of its own the first setup is no hook, and neither is its policy
    assert "annotations" not in render(*MATRIX["trial"])["NetworkPolicy", "parley-setup"]["metadata"]


# --- helm test ---


def test_helm_test_takes_tokens_that_somebody_else_signed():
    pod = render(*MATRIX["production"], "--set", "tests.tokensSecret=two-tokens")["Pod", "parley-test"]["spec"]
    folder = {e["name"]: e["value"] for e in pod["containers"][0]["env"]}["PARLEY_TOKENS_DIR"]
    volume = {v["name"]: v for v in pod["volumes"]}[{m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}[folder]]["secret"]
    assert volume["secretName"] == "two-tokens" and [i["path"] for i in volume["items"]] == ["first", "second"]
    assert "PARLEY_TOKENS_DIR" not in {e["name"] for e in render(*values())["Pod", "parley-test"]["spec"]["containers"][0]["env"]}


def test_helm_test_signs_only_where_the_services_take_it():
    def mounted(*flags):
        pod = render(*MATRIX["production"], *flags)["Pod", "parley-test"]["spec"]
        assert [m["name"] for m in pod["containers"][0].get("volumeMounts", [])] == [v["name"] for v in pod.get("volumes", [])][::-1]
        return {v["secret"]["secretName"] for v in pod.get("volumes", [])}
    assert mounted() == set()
    assert mounted("--set", "tests.tokensSecret=two") == {"two"}
    assert mounted("--set", "auth.tokenSecret=true,tests.tokensSecret=two") == {"two", "parley-secrets"}


# --- TLS ---


def test_own_authorities_reach_who_checks_them():
    objects = render(*MATRIX["production"])
    assert env(objects, "gateway")["PARLEY_NATS_TLS_CA"] == "/etc/parley/ca/nats/ca.crt"
    assert env(objects, "history")["PGSSLMODE"] == "verify-full" and "PGSSLMODE" not in env(objects, "gateway")
    sources = {name: [s["secret"]["name"] for v in template(objects, name)["spec"]["volumes"] if v["name"] == "ca" for s in v["projected"]["sources"]]
               for name in ("gateway", "history", "web")}
    assert sources == {"gateway": ["nats-ca"], "history": ["nats-ca", "pg-ca"], "web": []}


def test_the_object_store_is_reached_with_its_own_keys():
    objects = render(*MATRIX["s3"])
    given = env(objects, "upload")
    assert given["PARLEY_UPLOAD_STORE"] == "s3" and given["PARLEY_S3_CA"] == "/etc/parley/ca/s3/ca.crt"
    assert given["PARLEY_S3_SECRET_ACCESS_KEY_FILE"] == "/run/secrets/parley/s3-secret-access-key"
    assert not any(v["name"] == "files" for v in template(objects, "upload")["spec"]["volumes"])


# --- what is refused ---


@pytest.mark.parametrize("flags, why", [
    ([], "bus.url"),
    (values(image__tag="latest"), "image/tag|image.tag|latest"),
    (values(image__tag="x" * 64), "image/tag"),  # it is a label, too
    (values(image__tag="0.1.0-"), "image/tag"),
    (values(auth__tokenSecret=False), "nobody could sign in"),
    (values(bus__tls__enabled=True), "caSecret"),
    ([*values(), "--set", r"bus.url=nats://one:4222\,tls://ann:secret@two:4222"], "bus.url holds"),
    (values(upload__autoscaling__enabled=True), "upload.store"),
    (values(upload__store="s3"), "objectStore.bucket"),
    (values(gatewayApi__enabled=True), "parentRefs"),
    (values(gatewayApi__enabled=True, gatewayApi__hostnames=[]), "gatewayApi.hostnames"),
    (values(ingress__enabled=True, ingress__host=""), "ingress.host"),
    (values(shards=0), "shards"),
    (values(durability="strict"), "sync_interval: always"),
    ([*MATRIX["trial"], "--set", "durability=some"], "durability"),
    (values(nonsense=1), "nonsense"),
    (values(gateway__config__NOT_OURS="1"), "NOT_OURS"),
    ([*MATRIX["trial"], "--set", "bus.replicas=5"], "servers of NATS"),
    (values(bus__replicas=2), "bus/replicas"),
    (values(image__digests={"gateway": "0.1.0"}), "digests/gateway"),
    (values(objectStore__endpoint="https://s3.example.com/"), "objectStore/endpoint"),
    (values(networkPolicy__enabled=False), "networkPolicy"),
    (values(image__pullSecrets=["one"]), "pullSecrets"),  # of some pods alone: global.imagePullSecrets
    (values(fullnameOverride="x" * 41), "longer than 40 letters"),
    ([*MATRIX["trial"], "--set", "secrets.existing=mine"], "existingSecret"),
    ([*MATRIX["trial"], "--set", "bus.url=nats://nats:4222"], "bus.url and nats.enabled"),
    ([*MATRIX["trial"], "--set", "bus.tls.enabled=true,bus.tls.caSecret=ca"], "own NATS .* speaks no TLS"),
    ([*MATRIX["trial"], "--set", "bus.auth=false"], "needs bus.auth"),
    ([*MATRIX["trial"], "--set", "bus.accounts.create=false"], "needs bus.auth and bus.accounts.create"),
    ([*MATRIX["trial"], "--set", "database.tls.enabled=true,database.tls.caSecret=ca"], "own PostgreSQL .* speaks no TLS"),
])
def test_a_wrong_value_is_named(flags, why):
    with pytest.raises(Refused) as error:
        render(*flags)
    assert re.search(why, str(error.value)), error.value


@pytest.mark.parametrize("name, flags, ok", [
    ("x" * 41, [*MATRIX["trial"], "--set", "fullnameOverride=chat"], True),
    ("x" * 42, [*MATRIX["trial"], "--set", "fullnameOverride=chat"], False),
    ("x" * 33, values(), True),
    ("x" * 34, values(), False),  # with -parley it is 41
])
def test_names_that_would_be_too_long_are_refused(name, flags, ok):
    try:
        objects = [o for o in yaml.safe_load_all(helm("template", name, CHART, *flags)) if o]
    except Refused as error:
        assert not ok and "letters" in str(error)
        return
    assert ok and max(len(o["metadata"]["name"]) for o in objects) <= 63
    assert all(len(o["metadata"]["name"]) + len("-0123456789") <= 63 for o in objects if o["kind"] == "StatefulSet"), "the label of a revision"


def test_images_can_be_pinned():
    digest = "sha256:" + "a" * 64
    objects = render(*values(image__tag="0.2.0", image__digests={"gateway": digest}))
    assert container(objects, "gateway")["image"] == f"parley-gateway:0.2.0@{digest}"
    assert container(objects, "history")["image"] == "parley-history:0.2.0"


def test_jobs_run_where_they_may():
    place = {"nodeSelector": {"pool": "chat"}, "tolerations": [{"key": "chat", "operator": "Exists"}]}
    objects = render(*values(secrets__generate=True, jobs=place))
    specs = [objects["Pod", "parley-test"]["spec"], *(objects["Job", f"parley-{name}"]["spec"]["template"]["spec"] for name in ("setup", "make-secrets"))]
    assert all({key: spec.get(key) for key in place} == place for spec in specs)
    assert not any(key in spec for spec in (render(*values())["Job", "parley-setup"]["spec"]["template"]["spec"],) for key in place)


def test_what_is_not_ready_keeps_no_node():
    budgets = [o["spec"] for (kind, name), o in render(*MATRIX["production"]).items() if kind == "PodDisruptionBudget"]
    assert budgets and all(b["unhealthyPodEvictionPolicy"] == "AlwaysAllow" and b["maxUnavailable"] == 1 for b in budgets)

"""The chart beside docs/configuration.md: which settings it takes, what its limits hold."""

import re
import shutil
import sys

import pytest
import yaml
from support_chart import CHART, MATRIX, ROOT, Refused, container, env, render, values

sys.path.insert(0, str(ROOT / "scripts/lib"))
import chart_schema  # noqa: E402

# Settings in bytes that are a bound of one thing, which what is bounded for all of them together holds; and bounds of disks
OF_ONE = {"PARLEY_MAX_FRAME_BYTES", "PARLEY_MAX_CONTENT_BYTES", "PARLEY_MAX_EVENT_BYTES", "PARLEY_SESSION_MAX_QUEUE_BYTES",
          "PARLEY_REST_MAX_ANSWER_BYTES_PER_ADDRESS", "PARLEY_UPLOAD_MAX_BYTES"}
OF_DISKS = {"PARLEY_LOG_MAX_BYTES", "PARLEY_SYSTEM_MAX_BYTES", "PARLEY_UPLOAD_QUOTA_BYTES"}
MIB = 1 << 20
# docs/operations.md, "How large"
PROCESS, CONNECTION = 60_000_000, 8192


def defaults(service):
    """name -> default of the settings of one service that are numbers"""
    page = (ROOT / "docs/configuration.md").read_text().split(f"\n## {service}\n")[1].split("\n## ")[0]
    return {name: int(number) for name, number in re.findall(r"^\| `(PARLEY_\w+)` \| [^|]* \| `(\d+)` \|", page, re.M)}


def bounds(service):
    return {n: v for n, v in defaults(service).items() if "_BYTES" in n and n not in OF_ONE | OF_DISKS}


def in_bytes(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", quantity).groups()
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


@pytest.mark.parametrize("service", chart_schema.SERVICES)
def test_the_limit_of_memory_holds_what_the_settings_let_a_service_keep(service):
    """Or the kernel ends it before it refuses anything."""
    need = PROCESS + sum(bounds(service).values())
    if service == "gateway":
        need += CONNECTION * defaults(service)["PARLEY_MAX_CONNECTIONS"]
    limit = in_bytes(container(render(*values()), service)["resources"]["limits"]["memory"])
    assert need < limit, f"{need / MIB:.0f} MiB: {bounds(service)}"


def test_the_formula_of_the_operators_page_names_every_bound():
    page = (ROOT / "docs/operations.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| memory of a gateway |"))
    assert set(re.findall(r"`(PARLEY_\w+)`", row)) == set(bounds("gateway")) | {"PARLEY_MAX_CONNECTIONS"}
    assert f"{sum(bounds('gateway').values()) // MIB} MiB" in row


def in_cores(quantity):
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def autoscaler(objects, service):
    """most pods, and the cores at which one counts as full"""
    spec = objects["HorizontalPodAutoscaler", f"parley-{service}"]["spec"]
    percent = next(m["resource"]["target"]["averageUtilization"] for m in spec["metrics"] if m["type"] == "Resource")
    return spec["maxReplicas"], in_cores(container(objects, service)["resources"]["requests"]["cpu"]) * percent / 100


def test_pods_in_production_are_not_full_when_they_are_idle():
    """Each gateway too many sends its clients away when it goes again"""
    objects = render(*MATRIX["production"])
    assert autoscaler(objects, "gateway")[1] >= 0.5 and autoscaler(objects, "history")[1] >= 0.3


def test_all_of_history_in_production_finds_room_in_postgresql():
    """100 connections are PostgreSQL's default and CloudNativePG's, of which some are kept for others"""
    objects = render(*MATRIX["production"])
    given = env(objects, "history")
    pool = int(given.get("PARLEY_PG_POOL", defaults("history")["PARLEY_PG_POOL"]))
    of_each = pool + min(16, 2 + int(given["PARLEY_SHARDS"])) + 2  # docs/operations.md, "How large"
    assert of_each * (autoscaler(objects, "history")[0] + 1) <= 90


# --- settings ---


def test_the_schema_takes_the_settings_that_there_are(tmp_path):
    shutil.copytree(CHART, tmp_path / "chart")
    chart_schema.main(ROOT, tmp_path / "chart")
    assert (tmp_path / "chart/values.schema.json").read_text() == (CHART / "values.schema.json").read_text(), "run scripts/chart-docs"


@pytest.mark.parametrize("part, name", [
    ("gateway", "PARLEY_MAX_WACTH"),         # misspelt
    ("", "PARLEY_MAX_WACTH"),
    ("presence", "PARLEY_MAX_WATCH"),        # another service's
    ("", "PARLEY_TOKEN_SECRET"),             # a secret would stand in the pods
    ("upload", "PARLEY_S3_SECRET_ACCESS_KEY"),
    ("", "PARLEY_STREAM_REPLICAS"),          # bus.replicas; the Job that makes streams would not hear of it
    ("history", "PARLEY_SHARDS"),
    ("gateway", "PARLEY_NATS_URL"),
    ("gateway", "PARLEY_TLS_KEY_FILE"),
    ("gateway", "PARLEY_GATEWAY_ID"),        # one name for all pods
    ("web", "PARLEY_EDGE_GATEWAY"),
    ("web", "PARLEY_EDGE_CONNECTION"),
])
def test_settings_that_would_be_ignored_or_break_something_are_refused(part, name):
    with pytest.raises(Refused, match=f"invalid propertyName '{name}'"):
        render(*values(**{f"{part}__config" if part else "config": {name: "3"}}))


def test_settings_reach_those_that_know_them():
    objects = render(*values(config={"PARLEY_LOG_LEVEL": "debug"}, upload__config={"PARLEY_UPLOAD_REQUIRE_SCAN": "on"}))
    assert all(env(objects, s)["PARLEY_LOG_LEVEL"] == "debug" for s in chart_schema.SERVICES)
    assert env(objects, "upload")["PARLEY_UPLOAD_REQUIRE_SCAN"] == "on"


def test_the_job_that_makes_streams_has_the_same_replicas():
    objects = render(*values(bus__replicas=3))
    job = objects["Job", "parley-setup"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {e["name"]: e.get("value") for e in job}["PARLEY_STREAM_REPLICAS"] == "3"


# --- TLS of the gateway ---


def test_the_gateway_speaks_tls_with_an_existing_secret_beside_its_plain_port():
    plain, objects = render(*values()), render(*MATRIX["gateway-tls"])
    assert ("Service", "parley-gateway-tls") not in plain and "PARLEY_TLS_CERT_FILE" not in env(plain, "gateway")
    given = env(objects, "gateway")
    assert given["PARLEY_TLS_LISTEN"] == ":8443" and given["PARLEY_LISTEN"] == ":8081"
    spec = objects["Deployment", "parley-gateway"]["spec"]["template"]["spec"]
    mounts = {m["mountPath"]: m["name"] for m in spec["containers"][0]["volumeMounts"]}
    volume = next(v for v in spec["volumes"] if v["name"] == mounts["/run/secrets/tls"])["secret"]
    assert volume["secretName"] == "chat-tls"
    for setting in ("PARLEY_TLS_CERT_FILE", "PARLEY_TLS_KEY_FILE"):
        # a folder, and no subPath: Kubernetes changes the files in it when the Secret changes
        assert given[setting].removeprefix("/run/secrets/tls/") in {i["path"] for i in volume["items"]}
    service = objects["Service", "parley-gateway-tls"]["spec"]
    assert service["type"] == "LoadBalancer" and service["ports"] == [{"name": "wss", "port": 443, "targetPort": 8443}]
    assert {"port": 8443} in objects["NetworkPolicy", "parley-gateway"]["spec"]["ingress"][0]["ports"]
    assert {"name": "wss", "containerPort": 8443} in spec["containers"][0]["ports"]


# --- others ---


def test_a_temporary_key_brings_its_token():
    assert "PARLEY_S3_SESSION_TOKEN_FILE" not in env(render(*MATRIX["s3"]), "upload")
    given = env(render(*MATRIX["s3"], "--set", "objectStore.sessionToken=true"), "upload")
    assert given["PARLEY_S3_SESSION_TOKEN_FILE"] == "/run/secrets/parley/s3-session-token"


def test_runbooks_are_addresses_where_a_base_is_given():
    rules = render(*MATRIX["scaled"], "--set", "metrics.prometheusRule.runbookBase=https://git.example.com/parley/blob/main/")
    spec = rules["PrometheusRule", "parley-prometheusrule"]["spec"]
    for rule in spec["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"] == f"https://git.example.com/parley/blob/main/docs/operations.md#{rule['alert'].lower()}"
    assert len(spec["groups"][0]["rules"]) == len(yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"][0]["rules"])
    with pytest.raises(Refused, match="runbookBase"):
        render(*values(metrics__prometheusRule__runbookBase="docs"))

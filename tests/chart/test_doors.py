"""Which ports are open to whom, what probes ask, and what hooks leave behind: values that stand deep in objects, where a golden file alone would see a change."""

import ipaddress

import pytest
from support_chart import MATRIX, ROOT, SERVICES, Refused, container, env, render, values

ADMIN = {"gateway": 9081, "history": 9082, "presence": 9083, "upload": 9084}
ANYBODY_INSIDE = [{"namespaceSelector": {}}]


def policy(objects, name):
    return objects["NetworkPolicy", f"parley-{name}"]["spec"]


def who_may(objects, name, port):
    """Who gets in at the port: the peers of each rule that has it, None for everybody"""
    return [rule.get("from") for rule in policy(objects, name)["ingress"] if {"port": port} in rule["ports"]]


@pytest.mark.parametrize("name", ADMIN)
def test_metrics_are_read_by_who_may(name):
    objects = render(*values())
    assert who_may(objects, name, ADMIN[name]) == [ANYBODY_INSIDE]
    service = objects["Service", f"parley-{name}"]["spec"]
    assert ADMIN[name] in [port["port"] for port in service["ports"]], "the ServiceMonitor finds it by the Service"
    prometheus = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    assert who_may(render(*values(networkPolicy__metricsFrom=prometheus)), name, ADMIN[name]) == [prometheus]


def test_clients_come_to_three_services_and_to_no_other():
    objects = render(*values())
    ways = {"gateway": 8081, "history": 8082, "presence": 8083, "upload": 8084, "web": 8080}
    of_release = [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": part, "app.kubernetes.io/instance": "parley"}}} for part in ("web", "test")]
    open_to_all = {name: who_may(objects, name, port) for name, port in ways.items()}
    assert open_to_all == {"gateway": [None], "upload": [None], "web": [None], "history": [of_release], "presence": [of_release]}
    ingress = [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]
    objects = render(*values(networkPolicy__clientsFrom=ingress))
    assert {name: who_may(objects, name, ways[name]) for name in ("gateway", "upload", "web")} == {name: [ingress + of_release] for name in ("gateway", "upload", "web")}


@pytest.mark.parametrize("name", ["deny", "nats"])
def test_names_are_asked_for_both_ways(name):
    """A resolver goes from UDP to TCP where an answer is long. Networks see the port of the DNS pod, which is 5353 on OpenShift"""
    rules = policy(render(*MATRIX["trial"]), name)["egress"]
    assert [rule for rule in rules if "to" not in rule] == [{"ports": [{"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")]}]


@pytest.mark.parametrize("name", SERVICES)
def test_probes_ask_what_they_are_for(name):
    """Being alive is the loop's own word; being ready includes whoever it needs"""
    box, path = container(render(*values()), name), {"health": "/healthz", "ready": "/readyz"} if name != "web" else {"health": "/", "ready": "/"}
    asked = {probe: box[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    port = ADMIN.get(name, 8080)
    assert port in [p["containerPort"] for p in box["ports"]]
    assert asked == {"startupProbe": {"path": path["health"], "port": port}, "livenessProbe": {"path": path["health"], "port": port},
                     "readinessProbe": {"path": path["ready"], "port": port}}
    # not ready before it is given up: a loop that stands still is taken out of the Service first
    patience = {probe: box[probe]["periodSeconds"] * box[probe].get("failureThreshold", 3) for probe in asked}
    assert patience["readinessProbe"] < patience["livenessProbe"] < patience["startupProbe"]


def test_a_server_of_nats_that_finds_no_leader_is_begun_anew_while_helm_waits():
    """Once one stood ten minutes with a damaged file, which it mended when it was begun anew; helm waits for five"""
    box = render(*MATRIX["trial"])["StatefulSet", "parley-nats"]["spec"]["template"]["spec"]["containers"][0]
    startup = box["startupProbe"]
    assert startup["httpGet"]["path"] == "/healthz" and startup["periodSeconds"] * startup["failureThreshold"] == 180
    startup = render(*MATRIX["trial"], "--set", "nats.startupSeconds=901")["StatefulSet", "parley-nats"]["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 902


@pytest.mark.parametrize("flags", [MATRIX["trial"], values(secrets__generate=True)], ids=["trial", "own servers"])
def test_what_a_hook_left_behind_does_not_stop_the_next_one(flags):
    hooks = {key: o["metadata"]["annotations"] for key, o in render(*flags).items() if "helm.sh/hook" in o["metadata"].get("annotations", {})}
    assert ("Job", "parley-make-secrets") in hooks
    for key, about in hooks.items():
        assert "before-hook-creation" in about["helm.sh/hook-delete-policy"], key


def test_one_pod_of_each_may_be_missing():
    objects = render(*MATRIX["production"])
    budgets = {name: o["spec"]["maxUnavailable"] for (kind, name), o in objects.items() if kind == "PodDisruptionBudget"}
    assert budgets == {f"parley-{name}": 1 for name in SERVICES}


def test_the_paths_of_probes_are_those_of_the_services():
    served = (ROOT / "lib/http/admin.c").read_text()
    assert '"/healthz"' in served and '"/readyz"' in served


def test_the_edge_believes_the_same_proxies_as_the_services():
    """Else all who come by an ingress are one address there, and one of them can take the places of all"""
    for flags, proxies in ((values(), None), (values(trustedProxies=["10.1.0.0/16", "fd12::7"]), "10.1.0.0/16,fd12::7")):
        objects = render(*flags)
        believed = {env(objects, name)["PARLEY_TRUSTED_PROXIES"] for name in ADMIN} | {env(objects, "web")["PARLEY_EDGE_TRUSTED_PROXIES"]}
        assert len(believed) == 1 and proxies in (None, *believed)
    assert "PARLEY_EDGE_TRUSTED_PROXIES" not in env(render(*values(trustedProxies=[])), "web")


@pytest.mark.parametrize("proxy", ["ingress.example.com", "10.0.0.0/8;", "10.0.0.0/8,10.1.0.0/16", "all"])
def test_a_proxy_has_an_address(proxy):
    with pytest.raises(Refused, match="trustedProxies"):
        render(*values(trustedProxies=[proxy]))


@pytest.mark.parametrize("pod", ["10.244.0.7", "172.17.0.2", "192.168.3.4", "100.96.1.2", "fd12:3456::9"])
def test_usual_addresses_of_a_cluster_are_trusted_and_no_others(pod):
    trusted = [ipaddress.ip_network(net) for net in env(render(*values()), "web")["PARLEY_EDGE_TRUSTED_PROXIES"].split(",")]
    assert any(ipaddress.ip_address(pod) in net for net in trusted)
    assert all(net.is_private or net == ipaddress.ip_network("100.64.0.0/10") for net in trusted)


@pytest.mark.parametrize("name", SERVICES)
def test_a_load_balancer_is_told_by_the_service_where_to_ask(name):
    told = {"cloud.google.com/backend-config": f'{{"default": "{name}"}}'}
    objects = render(*values(**{f"{name}__serviceAnnotations": told}))
    assert {service for (kind, service), o in objects.items() if kind == "Service" and o["metadata"].get("annotations") == told} == {f"parley-{name}"}
